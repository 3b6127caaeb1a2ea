/* SPDX-License-Identifier: Apache-2.0 */
#include "base/data_class.h"

static const char *const names[DATA_CLASSES_END] = {"",           "public", "internal",
                                                    "restricted", "secret", "top-secret"};

const char *data_class_name(enum data_class class)
{
    return names[class];
}

bool data_class_find(struct span name, enum data_class *out)
{
    for (unsigned i = DATA_PUBLIC; i < DATA_CLASSES_END; i++) {
        if (span_is(name, names[i])) {
            *out = (enum data_class)i;
            return true;
        }
    }
    return false;
}
