/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h — kinds of values that settings are made of and C has no type for.
 *
 * Ownership  none: the bytes belong to whoever filled the struct (settings: to struct settings).
 * Threads    any; read only.
 */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H

#include <stddef.h>

/*
 * A password, key or token. It has a type of its own so that it cannot be handed to a printf or
 * a log by mistake; what prints it shows value_secret_shown(). `text` is NULL where none was given.
 */
struct secret {
    const char *text;
};

/* A list of C strings. */
struct texts {
    const char *const *at;
    size_t count;
};

/* A name that the operator chose, and what he gave it. */
struct pair {
    const char *name, *value;
};

/* A mapping of such names, in the order of the file. */
struct pairs {
    const struct pair *at;
    size_t count;
};

/* All that may ever be shown of a secret. */
static inline const char *value_secret_shown(struct secret s)
{
    return s.text == NULL ? "not set" : "set";
}

#endif
