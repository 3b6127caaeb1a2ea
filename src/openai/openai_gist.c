/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/openai_gist.h"

#include "text/text_tokens.h"
#include "json/json_value.h"

#define CLASSES      "public, internal, restricted, secret or top-secret"
#define WORDS_ENOUGH 3
#define WISH_BYTES   256 /* of a wish; ours are shorter */

/* ---- what was asked ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool has_words(struct span text, unsigned enough)
{
    unsigned words = 0;
    bool is_inside = false;
    for (size_t i = 0; i < text.len && words < enough; i++) {
        bool is_letter = !is_blank(text.at[i]);
        words += is_letter && !is_inside;
        is_inside = is_letter;
    }
    return words >= enough;
}

/* The texts of the last turn, with blanks between. */
static size_t read_turn(const struct openai_count *count, uint8_t *out, size_t most)
{
    size_t len = 0;
    for (uint32_t i = 0; i < count->asked_count && len + 1 < most; i++) {
        if (len > 0) {
            out[len++] = ' ';
        }
        len += json_read_beginning(count->texts.x, count->asked[i], out + len, most - len);
    }
    return len;
}

static enum err read_asked(const struct openai_count *count, struct arena *arena,
                           struct openai_gist *out)
{
    uint8_t *text = arena_alloc(arena, OPENAI_GIST_BYTES);
    if (text == NULL) {
        return arena_error(arena);
    }
    size_t len = read_turn(count, text, OPENAI_GIST_BYTES);
    if (!has_words(span_make(text, len), WORDS_ENOUGH) && count->asked_before != JSON_NONE) {
        uint8_t last[64];
        size_t last_len = read_turn(count, last, sizeof(last));
        len = json_read_beginning(count->texts.x, count->asked_before, text,
                                  OPENAI_GIST_BYTES - sizeof(last) - 1);
        text[len++] = ' ';
        memcpy(text + len, last, last_len);
        len += last_len;
    }
    out->asked = span_make(text, len);
    return ERR_OK;
}

/* Whether the body, or its extra_body, has a list of that name with something in it. */
static bool has_list(const struct json_index *x, const struct openai_request *request,
                     struct span name)
{
    uint32_t extra = request->top.keys[OPENAI_FACT_EXTRA_BODY];
    uint32_t row = json_find(x, 0, name);
    if (row == JSON_NONE && extra != JSON_NONE) {
        row = json_find(x, extra + 1, name);
    }
    return row != JSON_NONE && json_kind(x, row) == JSON_ARRAY && json_first(x, row) != JSON_NONE;
}

enum err openai_gist_read(const struct openai_count *count, const struct json_index *x,
                          const struct openai_request *request, struct arena *arena,
                          struct openai_gist *out)
{
    *out = (struct openai_gist){.asked = SPAN("")};
    out->has_tools = has_list(x, request, SPAN("tools")) || has_list(x, request, SPAN("functions"));
    if (count == NULL) {
        return ERR_OK;
    }
    out->turns = count->turns;
    out->has_pictures = count->has_pictures;
    out->shape = count->shape;
    out->messages = (int64_t)count->texts.messages;
    out->beside = (int64_t)text_tokens_of(count->beside);
    out->has_shape = true;
    return read_asked(count, arena, out);
}

/* ---- wishes ---- */

static enum err fault(struct openai_wishes *out, struct span param, struct span message)
{
    out->param = param;
    out->message = message;
    return ERR_VALUE_INVALID;
}

static enum err add(const struct json_index *x, uint32_t row, struct span param, bool is_class,
                    struct arena *arena, struct openai_wishes *out)
{
    struct openai_wish *wish = &out->at[out->count];
    struct span message =
        is_class ? SPAN("it must be a class of data: " CLASSES)
                 : SPAN("it must be a profile's name: cost, performance, balanced or local-only");
    wish->param = param;
    wish->is_class = is_class;
    if (json_kind(x, row) == JSON_NULL) {
        return ERR_OK;
    }
    if (json_kind(x, row) != JSON_STRING || json_row(x, row)->len > WISH_BYTES) {
        return fault(out, param, message);
    }
    enum err e = json_text(x, row, arena, &wish->value);
    out->count += e == ERR_OK;
    return e == ERR_VALUE_INVALID ? fault(out, param, message) : e;
}

/* The members of a `routing` object. */
static enum err add_routing(const struct json_index *x, uint32_t row, struct arena *arena,
                            struct openai_wishes *out)
{
    enum err e = ERR_OK;
    if (json_kind(x, row) == JSON_NULL) {
        return ERR_OK;
    }
    if (json_kind(x, row) != JSON_OBJECT) {
        return fault(out, SPAN("routing"),
                     SPAN("'routing' must be an object with `profile` or `classification`"));
    }
    for (uint32_t key = json_first(x, row); e == ERR_OK && key != JSON_NONE;
         key = json_next(x, key + 1)) {
        bool is_class = json_text_is(x, key, SPAN("classification"));
        if (!is_class && !json_text_is(x, key, SPAN("profile"))) {
            return fault(out, SPAN("routing"),
                         SPAN("'routing' has a member that is not known; it may have `profile` "
                              "and `classification`"));
        }
        e = add(x, key + 1, is_class ? SPAN("routing.classification") : SPAN("routing.profile"),
                is_class, arena, out);
    }
    return e;
}

enum err openai_wishes_read(const struct json_index *x, const struct openai_request *request,
                            struct arena *arena, struct openai_wishes *out)
{
    const struct openai_facts *places[] = {&request->top, &request->extra};
    enum err e = ERR_OK;
    *out = (struct openai_wishes){.param = SPAN(""), .message = SPAN("")};
    for (size_t i = 0; e == ERR_OK && i < 2; i++) {
        uint32_t routing = places[i]->keys[OPENAI_FACT_ROUTING];
        uint32_t preference = places[i]->keys[OPENAI_FACT_ROUTING_PREFERENCE];
        if (routing != JSON_NONE) {
            e = add_routing(x, routing + 1, arena, out);
        }
        if (e == ERR_OK && preference != JSON_NONE) {
            e = add(x, preference + 1, SPAN("routing_preference"), false, arena, out);
        }
    }
    return e;
}

bool openai_request_has_wishes(const struct openai_request *request)
{
    return (request->top.keys[OPENAI_FACT_ROUTING] & request->extra.keys[OPENAI_FACT_ROUTING] &
            request->top.keys[OPENAI_FACT_ROUTING_PREFERENCE] &
            request->extra.keys[OPENAI_FACT_ROUTING_PREFERENCE]) != JSON_NONE;
}
