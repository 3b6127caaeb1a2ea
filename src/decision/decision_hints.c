/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller wishes, in whichever form. */
#include <stdio.h>

#include "decision/decision.h"

static enum err fault(struct openai_wishes *wishes, struct span param, struct span message)
{
    wishes->param = param;
    wishes->message = message;
    return ERR_VALUE_INVALID;
}

static enum err add_class(struct openai_wishes *wishes, struct span value, struct span param,
                          struct decision_hints *out)
{
    enum data_class class;
    if (!data_class_find(value, &class)) {
        return fault(wishes, param,
                     SPAN("there is no such class of data; there are public, internal, "
                          "restricted, secret and top-secret"));
    }
    if (class > out->class) {
        out->class = class;
        out->class_from = param;
    }
    return ERR_OK;
}

static enum err add(struct openai_wishes *wishes, struct span value, struct span param,
                    struct decision_hints *out)
{
    enum routing_profile profile;
    if (span_is(value, "local-only")) {
        out->is_local = out->says_local = true;
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
static enum err add_list(struct openai_wishes *wishes, struct span list, bool is_class,
                         struct decision_hints *out)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && list.len > 0) {
        size_t comma = span_find(list, ',', 0), semicolon = span_find(list, ';', 0);
        size_t end = comma < semicolon ? comma : semicolon;
        struct span value = span_trim(span_cut(list, 0, end));
        if (span_starts(value, SPAN("profile="))) { /* as replies say it */
            value = span_cut(value, sizeof("profile=") - 1, value.len);
        }
        e = value.len == 0 ? ERR_OK
            : is_class     ? add_class(wishes, value, SPAN("X-Data-Classification"), out)
                           : add(wishes, value, SPAN("X-Route-Policy"), out);
        list = span_cut(list, end + 1, list.len);
    }
    return e;
}

enum err decision_read_hints(struct openai_wishes *wishes, const struct http_fields *headers,
                             struct decision_hints *out)
{
    enum err e = ERR_OK;
    *out = (struct decision_hints){.profile = ROUTING_NO_PROFILE, .class_from = SPAN("")};
    for (size_t i = 0; e == ERR_OK && i < wishes->count; i++) {
        const struct openai_wish *wish = &wishes->at[i];
        e = wish->is_class ? add_class(wishes, wish->value, wish->param, out)
                           : add(wishes, wish->value, wish->param, out);
    }
    for (uint32_t i = 0; e == ERR_OK && headers != NULL && i < headers->count; i++) {
        bool is_class = headers->rows[i].id == HTTP_NAME_X_DATA_CLASSIFICATION;
        if (is_class || headers->rows[i].id == HTTP_NAME_X_ROUTE_POLICY) {
            e = add_list(wishes, http_field_value(headers, i), is_class, out);
        }
    }
    return e;
}

enum err decision_bind(struct decision_ask *ask, char why[DECISION_WHY_BYTES])
{
    const struct access_place *place = &ask->place;
    enum data_class usual = place->usual == DATA_UNSAID ? DATA_PUBLIC : place->usual;
    enum data_class said = ask->hints.class;
    ask->hints.is_local = ask->hints.is_local || place->is_local;
    ask->class = said == DATA_UNSAID ? usual : said;
    if (ask->class < usual) {
        (void)snprintf(why, DECISION_WHY_BYTES,
                       "calls of this team are of class '%s' at least, and this one says '%s': "
                       "say a higher one, or none",
                       data_class_name(usual), data_class_name(said)); /* it fits */
        return ERR_SOVEREIGNTY;
    }
    if (place->most != DATA_UNSAID && ask->class > place->most) {
        (void)snprintf(why, DECISION_WHY_BYTES,
                       "this team may send data of class '%s' at most, and the call's is '%s'",
                       data_class_name(place->most), data_class_name(ask->class)); /* it fits */
        return ERR_SOVEREIGNTY;
    }
    return ERR_OK;
}

bool decision_is_auto(struct span model)
{
    return span_equal_nocase(model, SPAN("auto-router")) || span_equal_nocase(model, SPAN("auto"));
}
