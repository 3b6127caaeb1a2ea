/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_http.h — what the targets of HTTP heads share.
 */
#ifndef TESTS_FUZZ_HTTP_H
#define TESTS_FUZZ_HTTP_H

#include "http/http_fields.h"

/* CHECKs that two readings of one head found the same fields in the same places. */
static inline void check_same_fields(const struct http_fields *x, const struct http_fields *y)
{
    CHECK(x->count == y->count && x->seen == y->seen && x->repeated == y->repeated);
    for (uint32_t i = 0; i < x->count; i++) {
        const struct http_field *a = &x->rows[i], *b = &y->rows[i];
        CHECK(a->id == b->id && a->name_at == b->name_at && a->name_len == b->name_len);
        CHECK(a->value_at == b->value_at && a->value_len == b->value_len);
    }
}

#endif
