/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_class.h — classes of data, from what anybody may read to what hardly anybody may.
 *
 *   public < internal < restricted < secret < top-secret
 *
 * Stores and records keep the number, so a class has its own for good.
 *
 * Threads    any.
 * Sources    docs/routing.md (residency).
 */
#ifndef BASE_DATA_CLASS_H
#define BASE_DATA_CLASS_H

#include "base/check.h"
#include "base/span.h"

enum data_class {
    DATA_UNSAID,
    DATA_PUBLIC,
    DATA_INTERNAL,
    DATA_RESTRICTED,
    DATA_SECRET,
    DATA_TOP_SECRET,
    DATA_CLASSES_END
};

/* What they are called, from DATA_PUBLIC on. */
#define DATA_CLASSES "public|internal|restricted|secret|top-secret"

/* "secret"; "" for DATA_UNSAID. */
const char *data_class_name(enum data_class class);

/* The class of a name. False: there is none of it. */
MUST_USE bool data_class_find(struct span name, enum data_class *out);

#endif
