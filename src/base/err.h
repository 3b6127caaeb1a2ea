/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h — every way in which something can fail, and what a caller of the API is told of it.
 *
 * One table, err.def, so that the log, the reply, the metric's label and docs/reference/errors.md
 * cannot disagree.
 *
 * Threads  any; all of it is constant.
 * Sources  statuses and codes: OpenAI's API reference (error object), RFC 9110 section 15.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

#include "base/check.h"

enum err {
    ERR_OK,
#define ERR(name, status, type, code, retry, sentence) ERR_##name,
#include "base/err.def"
#undef ERR
    ERR_COUNT
};

struct err_row {
    const char *name;     /* as in err.def: what logs and metrics say */
    int status;           /* HTTP status of the reply; 0 for one that never reaches a client */
    const char *type;     /* `error.type` */
    const char *code;     /* `error.code`, or NULL */
    bool retry;           /* whether the same call may succeed later; if not, SDKs are told so */
    const char *sentence; /* what happened and, where the caller can mend it, how */
};

/* The row of `e`; ERR_OK has one too (status 200). */
const struct err_row *err_row(enum err e);

/* Whether what is short is our own memory: what was read is not at fault. */
static inline bool err_is_memory(enum err e)
{
    return e == ERR_NO_MEMORY || e == ERR_OVERLOADED;
}

/* The name of `e`, such as "BODY_NOT_JSON". */
const char *err_name(enum err e);

/* The sentence of `e`. */
const char *err_sentence(enum err e);

#endif
