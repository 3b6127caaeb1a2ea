/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_name.h — the header names that Atlas looks at, as numbers.
 *
 * The table is http_name.def. A name is recognised whatever the case of its letters, with one hash
 * and one comparison.
 *
 * Threads  any; all of it is constant.
 * Sources  RFC 9110; OpenAI's SDKs, for the names that they send.
 */
#ifndef HTTP_HTTP_NAME_H
#define HTTP_HTTP_NAME_H

#include <stdbool.h>

#include "base/span.h"

enum http_name {
    HTTP_NAME_OTHER,       /* a name without a row */
    HTTP_NAME_X_STAINLESS, /* any name that starts with "x-stainless-" */
#define NAME(id, first, middle, last, text, single, hop) HTTP_NAME_##id,
#include "http/http_name.def"
#undef NAME
    HTTP_NAME_COUNT
};

_Static_assert(HTTP_NAME_COUNT <= 64, "a set of names is one 64-bit word");

/* A set with the one name `id` in it. */
#define HTTP_NAME_BIT(id) ((uint64_t)1 << (id))

/* Names that a request may hold once only. */
extern const uint64_t http_name_singles;

/* Which name `name` is; HTTP_NAME_OTHER for one without a row. */
enum http_name http_name_find(struct span name);

/* The name in lower case; "" for HTTP_NAME_OTHER, "x-stainless-" for that class. */
struct span http_name_text(enum http_name id);

/* Whether the field belongs to one connection only and is never forwarded. */
bool http_name_is_hop(enum http_name id);

#endif
