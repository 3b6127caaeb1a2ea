/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller wishes, in whichever form. */
#include "decision/decision.h"

static enum err fault(struct openai_wishes *wishes, struct span param, struct span message)
{
    wishes->param = param;
    wishes->message = message;
    return ERR_VALUE_INVALID;
}

static enum err add(struct openai_wishes *wishes, struct span value, struct span param,
                    struct decision_hints *out)
{
    enum routing_profile profile;
    if (span_is(value, "local-only")) {
        out->is_local = true;
        return ERR_OK;
    }
    if (!routing_profile_find(value, &profile)) {
        return fault(wishes, param,
                     SPAN("there is no such profile; there are cost, performance, balanced and "
                          "local-only"));
    }
    if (out->profile != ROUTING_NO_PROFILE && out->profile != profile) {
        return fault(wishes, param, SPAN("the request asks for two profiles; ask for one"));
    }
    out->profile = profile;
    return ERR_OK;
}

/* A header's value is a list: "local-only; cost" and "local-only, cost" are two wishes. */
static enum err add_list(struct openai_wishes *wishes, struct span list, struct decision_hints *out)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && list.len > 0) {
        size_t comma = span_find(list, ',', 0), semicolon = span_find(list, ';', 0);
        size_t end = comma < semicolon ? comma : semicolon;
        struct span value = span_trim(span_cut(list, 0, end));
        if (span_starts(value, SPAN("profile="))) { /* as replies say it */
            value = span_cut(value, sizeof("profile=") - 1, value.len);
        }
        e = value.len == 0 ? ERR_OK : add(wishes, value, SPAN("X-Route-Policy"), out);
        list = span_cut(list, end + 1, list.len);
    }
    return e;
}

enum err decision_read_hints(struct openai_wishes *wishes, const struct http_fields *headers,
                             struct decision_hints *out)
{
    enum err e = ERR_OK;
    *out = (struct decision_hints){.profile = ROUTING_NO_PROFILE};
    for (size_t i = 0; e == ERR_OK && i < wishes->count; i++) {
        e = add(wishes, wishes->at[i].value, wishes->at[i].param, out);
    }
    for (uint32_t i = 0; e == ERR_OK && headers != NULL && i < headers->count; i++) {
        if (headers->rows[i].id == HTTP_NAME_X_ROUTE_POLICY) {
            e = add_list(wishes, http_field_value(headers, i), out);
        }
    }
    return e;
}
