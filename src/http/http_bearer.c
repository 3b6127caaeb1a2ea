/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_bearer.h"

enum err http_bearer(struct span authorization, struct span *token)
{
    static const size_t scheme = sizeof("Bearer") - 1;
    struct span value = span_trim(authorization);
    if (value.len <= scheme || !span_equal_nocase(span_cut(value, 0, scheme), SPAN("Bearer")) ||
        value.at[scheme] != ' ') {
        return ERR_KEY_MISSING;
    }
    struct span rest = span_trim(span_cut(value, scheme, value.len));
    if (rest.len == 0) {
        return ERR_KEY_MISSING;
    }
    *token = rest;
    return ERR_OK;
}
