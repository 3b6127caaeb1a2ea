/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of an index stand in the order of the document, so the walk is one loop over them. Where
 * it is in the document it knows from the places of the containers that are open, one a depth; a
 * key gives the place of the value behind it.
 */
#include "openai/openai_texts.h"

#include "openai/openai_places.h"
#include "json/json_value.h"

#define LOOKED_AT_MAX 256 /* members of an object in which a name is looked for */
#define URL_HEAD_MAX  128 /* of a data URL: "data:image/png;charset=…;base64," */

void openai_texts_begin(struct openai_texts *t, const struct json_index *x,
                        enum openai_texts_kind kind)
{
    t->x = x;
    t->row = t->items = t->messages = 0;
    t->end = x->count;
    t->choice = -1;
    t->inside = 0;
    t->is_answer = kind == OPENAI_TEXTS_ANSWER;
    t->role = OPENAI_TEXT_USER;
    t->media = OPENAI_MEDIA_PICTURE;
    t->value = t->is_answer ? PLACE_ANSWER : PLACE_REQUEST; /* a place is open before it is read */
}

void openai_texts_begin_choice(struct openai_texts *t, const struct json_index *x, uint32_t choice)
{
    openai_texts_begin(t, x, OPENAI_TEXTS_ANSWER);
    t->row = choice;
    t->end = json_row(x, choice)->next;
    t->value = PLACE_CHOICE;
}

/* The value of a member of `object` that stands among the first ones; or JSON_NONE. */
static uint32_t find_early(const struct json_index *x, uint32_t object, enum openai_name name)
{
    uint32_t key = object + 1, end = x->rows[object].next;
    for (uint32_t i = 0; i < LOOKED_AT_MAX && key < end; i++, key = x->rows[key + 1].next) {
        if (openai_name_of(x, key) == name) {
            return key + 1;
        }
    }
    return JSON_NONE;
}

static uint8_t channel_of_role(const struct json_index *x, uint32_t role)
{
    if (role == JSON_NONE || json_kind(x, role) != JSON_STRING) {
        return PLACES_NO_TEXT;
    }
    const struct json_row *r = json_row(x, role);
    const uint8_t *at = x->text.at + r->offset + 1;
    if (r->len == 6 && memcmp(at, "user", 4) == 0) {
        return OPENAI_TEXT_USER;
    }
    if (r->len == 11 && openai_same8(at, "assistan") && at[8] == 't') {
        return OPENAI_TEXT_ASSISTANT;
    }
    enum openai_name name = openai_name_of(x, role);
    if (name == NAME_system || name == NAME_developer) {
        return OPENAI_TEXT_SYSTEM;
    }
    if (name == NAME_tool || name == NAME_function) {
        return OPENAI_TEXT_TOOL;
    }
    return name == NAME_assistant ? OPENAI_TEXT_ASSISTANT : PLACES_NO_TEXT;
}

/* Whose message it is; users' too if nobody knows. */
static void take_role(struct openai_texts *t, uint32_t message)
{
    bool is_plain = openai_is_plain_message(t->x, message);
    uint32_t role = is_plain ? message + 2 : find_early(t->x, message, NAME_role);
    t->role = channel_of_role(t->x, role);
    if (t->role == PLACES_NO_TEXT) {
        t->role = OPENAI_TEXT_USER;
    } else if (is_plain) { /* its role is no text: on to the content */
        t->row = message + 4;
        t->value = PLACE_CONTENT;
    }
}

/* ---- where the walk is ---- */

static uint32_t slot_of(const struct json_row *r)
{
    return r->depth < OPENAI_DEPTH_MAX ? r->depth : OPENAI_DEPTH_MAX;
}

/* The place of a value; what the key before it said is used up. */
static enum place take_place(struct openai_texts *t, const struct json_row *r)
{
    enum place place = (enum place)t->value;
    t->value = PLACE_NONE;
    return place != PLACE_NONE ? place : (enum place)openai_places[t->open[slot_of(r)]].elements;
}

/* A message or choice ends with the first row that is not inside it. */
static void leave_item(struct openai_texts *t)
{
    t->inside = 0;
    t->choice = -1;
}

static void enter_item(struct openai_texts *t, const struct json_row *object)
{
    t->inside = (uint16_t)(object->depth + 1);
    t->items++;
}

static void enter_choice(struct openai_texts *t, uint32_t object)
{
    int64_t index;
    uint32_t row = find_early(t->x, object, NAME_index);
    if (row == JSON_NONE || json_int64(t->x, row, &index) != ERR_OK || index < 0 ||
        index > INT32_MAX) {
        index = t->items;
    }
    enter_item(t, json_row(t->x, object));
    t->choice = (int32_t)index;
}

static void enter_object(struct openai_texts *t, uint32_t object, enum place place)
{
    if (place == PLACE_MESSAGE) {
        t->role = OPENAI_TEXT_ASSISTANT;
        if (!t->is_answer) {
            take_role(t, object);
            enter_item(t, json_row(t->x, object));
            t->messages++;
        }
    } else if (place == PLACE_CHOICE) {
        enter_choice(t, object);
    } else if (place == PLACE_CONTENT) {
        t->media = OPENAI_MEDIA_PICTURE;
    } else if (place == PLACE_PICTURE) {
        uint32_t detail = find_early(t->x, object, NAME_detail);
        bool is_low = detail != JSON_NONE && json_text_is(t->x, detail, SPAN("low"));
        t->media = is_low ? OPENAI_MEDIA_PREVIEW : OPENAI_MEDIA_PICTURE;
    }
}

static void enter(struct openai_texts *t, uint32_t row, const struct json_row *r)
{
    enum place place = take_place(t, r);
    bool fits = r->depth < OPENAI_DEPTH_MAX;
    t->open[fits ? r->depth + 1 : OPENAI_DEPTH_MAX] = (uint8_t)(fits ? place : PLACE_UNKNOWN);
    if (r->kind == JSON_OBJECT) {
        enter_object(t, row, place);
    }
}

/* ---- what is told ---- */

/* Written member by member: a struct that is copied is read wider than it was just written, and the
 * processor waits. */
static void put_text(const struct openai_texts *t, uint32_t row, uint8_t channel,
                     struct openai_text *out)
{
    out->channel = (enum openai_channel)channel;
    out->media = OPENAI_MEDIA_NONE;
    out->row = row;
    out->choice = t->choice;
    out->item = t->inside > 0 && !t->is_answer ? t->items - 1 : 0;
}

static enum openai_media media_of_place(const struct openai_texts *t, enum place place)
{
    if (place == PLACE_PICTURE) {
        return t->media == OPENAI_MEDIA_PREVIEW ? OPENAI_MEDIA_PREVIEW : OPENAI_MEDIA_PICTURE;
    }
    return place == PLACE_SOUND ? OPENAI_MEDIA_SOUND : OPENAI_MEDIA_FILE;
}

/* What a data URL in base64 holds; NONE if `s` is none. */
static enum openai_media media_of_url(struct span s)
{
    s = span_cut(s, 0, URL_HEAD_MAX);
    if (!span_starts(s, SPAN("data:")) || memmem(s.at, s.len, ";base64,", 8) == NULL) {
        return OPENAI_MEDIA_NONE;
    }
    if (span_starts(s, SPAN("data:image"))) {
        return OPENAI_MEDIA_PICTURE;
    }
    return span_starts(s, SPAN("data:audio")) ? OPENAI_MEDIA_SOUND : OPENAI_MEDIA_FILE;
}

/* Whether the string is a text; it is then `*out`. */
static bool take_string(struct openai_texts *t, uint32_t row, const struct json_row *r,
                        struct openai_text *out)
{
    enum place place = take_place(t, r);
    uint8_t channel = openai_places[place].channel;
    if (channel == PLACES_BY_ROLE) {
        channel = t->role;
    } else if (place == PLACE_MESSAGE && t->is_answer) { /* all of it: {"delta":"Hi"} */
        channel = OPENAI_TEXT_ASSISTANT;
    } else if (channel >= PLACES_NO_TEXT) {
        if (channel == PLACES_NEVER_TEXT || r->len <= OPENAI_WORD_MAX + 2) {
            return false;
        }
        channel = OPENAI_TEXT_UNKNOWN;
    }
    put_text(t, row, channel, out);
    if (channel == OPENAI_TEXT_PROMPT || channel == OPENAI_TEXT_INPUT) {
        out->item = t->items++;
    } else if (channel == OPENAI_TEXT_MEDIA) {
        out->media = media_of_place(t, place);
    } else if (channel == OPENAI_TEXT_UNKNOWN) {
        out->media = media_of_url(json_inside(t->x, row));
        out->channel = out->media == OPENAI_MEDIA_NONE ? OPENAI_TEXT_UNKNOWN : OPENAI_TEXT_MEDIA;
    }
    return true;
}

/* A container has begun. If it was a plain message, whose content is next, and that is a string, it
 * is `*out`. */
static bool take_begun(struct openai_texts *t, uint32_t row, struct openai_text *out)
{
    bool is_plain = t->row > row + 1;
    if (!is_plain || json_kind(t->x, t->row) != JSON_STRING) {
        return false;
    }
    t->value = PLACE_NONE;
    put_text(t, t->row++, t->role, out);
    return true;
}

/* Whether the key is a text; it is then `*out`. */
static bool take_key(struct openai_texts *t, uint32_t row, const struct json_row *r,
                     struct openai_text *out)
{
    uint8_t open = t->open[slot_of(r)];
    const struct place_row *place = &openai_places[open];
    t->value = openai_members[open][openai_name_of(t->x, row)];
    if (LIKELY(t->value != PLACE_NONE)) {
        return false;
    }
    t->value = place->others;
    if (!place->keys_are_text && r->len <= OPENAI_WORD_MAX + 2) {
        return false;
    }
    bool has_channel = place->keys_are_text && place->channel < OPENAI_CHANNELS;
    put_text(t, row, has_channel ? place->channel : OPENAI_TEXT_UNKNOWN, out);
    return true;
}

/* Whether the row is a text; it is then `*out`. */
static inline __attribute__((always_inline)) bool
take_row(struct openai_texts *t, uint32_t row, const struct json_row *r, struct openai_text *out)
{
    if (r->depth < t->inside) {
        leave_item(t);
    }
    switch ((enum json_kind)r->kind) {
    case JSON_KEY:
        return take_key(t, row, r, out);
    case JSON_STRING:
        return take_string(t, row, r, out);
    case JSON_ARRAY:
    case JSON_OBJECT:
        enter(t, row, r);
        return take_begun(t, row, out);
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
    case JSON_NUMBER:
        break;
    }
    t->value = PLACE_NONE;
    return false;
}

enum openai_texts_step openai_texts_next(struct openai_texts *t, uint32_t *rows,
                                         struct openai_text *out)
{
    uint32_t first = t->row, count = t->end;
    uint32_t until = count - first < *rows ? count : first + *rows;
    bool is_text = false;
    while (t->row < until && !is_text) {
        uint32_t row = t->row++;
        is_text = take_row(t, row, &t->x->rows[row], out);
    }
    *rows -= t->row - first < *rows ? t->row - first : *rows;
    if (is_text) {
        return OPENAI_TEXTS_ONE;
    }
    return t->row < count ? OPENAI_TEXTS_LATER : OPENAI_TEXTS_END;
}

const char *openai_channel_name(enum openai_channel channel)
{
    static const char *const names[OPENAI_CHANNELS] = {
        [OPENAI_TEXT_SYSTEM] = "system",
        [OPENAI_TEXT_USER] = "user",
        [OPENAI_TEXT_ASSISTANT] = "assistant",
        [OPENAI_TEXT_TOOL] = "tool",
        [OPENAI_TEXT_REASONING] = "reasoning",
        [OPENAI_TEXT_REFUSAL] = "refusal",
        [OPENAI_TEXT_NAME] = "name",
        [OPENAI_TEXT_ARGUMENTS] = "arguments",
        [OPENAI_TEXT_DEFINITION] = "definition",
        [OPENAI_TEXT_SCHEMA] = "schema",
        [OPENAI_TEXT_PROMPT] = "prompt",
        [OPENAI_TEXT_INPUT] = "input",
        [OPENAI_TEXT_LOGPROB] = "logprob",
        [OPENAI_TEXT_LABEL] = "label",
        [OPENAI_TEXT_UNKNOWN] = "unknown",
        [OPENAI_TEXT_MEDIA] = "media",
    };
    return names[channel];
}
