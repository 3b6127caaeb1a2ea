/* SPDX-License-Identifier: Apache-2.0 */
/* What a reply's message and a chunk's delta are done with alike, and the objects around them. */
#include <stdio.h>

#include "openai/openai_internal.h"
#include "openai/openai_names.h"
#include "json/json_value.h"

/* ---- members ---- */

#define COMPARED_BYTES (1u << 20) /* of reasoning; who says more under two names says it twice */

/* A key's place by its name, and one; 0: it is none of these. */
const uint8_t openai_top_names[NAME_COUNT] = {
    [NAME_id] = TOP_ID + 1,           [NAME_data] = TOP_DATA + 1,
    [NAME_model] = TOP_MODEL + 1,     [NAME_error] = TOP_ERROR + 1,
    [NAME_usage] = TOP_USAGE + 1,     [NAME_object] = TOP_OBJECT + 1,
    [NAME_detail] = TOP_DETAIL + 1,   [NAME_choices] = TOP_CHOICES + 1,
    [NAME_created] = TOP_CREATED + 1, [NAME_message] = TOP_MESSAGE + 1,
    [NAME_timings] = TOP_TIMINGS + 1};
const uint8_t openai_choice_names[NAME_COUNT] = {[NAME_text] = CHOICE_TEXT + 1,
                                                 [NAME_index] = CHOICE_INDEX + 1,
                                                 [NAME_delta] = CHOICE_DELTA + 1,
                                                 [NAME_error] = CHOICE_ERROR + 1,
                                                 [NAME_message] = CHOICE_MESSAGE + 1,
                                                 [NAME_logprobs] = CHOICE_LOGPROBS + 1,
                                                 [NAME_finish_reason] = CHOICE_FINISH_REASON + 1};
const uint8_t openai_message_names[NAME_COUNT] = {[NAME_role] = MESSAGE_ROLE + 1,
                                                  [NAME_name] = MESSAGE_NAME + 1,
                                                  [NAME_content] = MESSAGE_CONTENT + 1,
                                                  [NAME_reasoning] = MESSAGE_REASONING + 1,
                                                  [NAME_tool_calls] = MESSAGE_TOOL_CALLS + 1,
                                                  [NAME_function_call] = MESSAGE_FUNCTION_CALL + 1,
                                                  [NAME_reasoning_content] =
                                                      MESSAGE_REASONING_CONTENT + 1};
const uint8_t openai_tool_names[NAME_COUNT] = {[NAME_id] = TOOL_ID + 1,
                                               [NAME_type] = TOOL_TYPE + 1,
                                               [NAME_index] = TOOL_INDEX + 1,
                                               [NAME_custom] = TOOL_CUSTOM + 1,
                                               [NAME_function] = TOOL_FUNCTION + 1};
const uint8_t openai_function_names[NAME_COUNT] = {
    [NAME_name] = FUNCTION_NAME + 1, [NAME_arguments] = FUNCTION_ARGUMENTS + 1};

uint32_t openai_keys(struct json_edits *edits, uint32_t object, const uint8_t *names,
                     uint32_t count, uint32_t *keys)
{
    const struct json_index *x = edits->index;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = JSON_NONE;
    }
    if (!openai_is_kind(x, object, JSON_OBJECT)) {
        return 0;
    }
    const struct json_row *rows = x->rows;
    uint32_t end = rows[object].next;
    for (uint32_t key = object + 1; key < end && seen < OPENAI_MEMBERS_MAX; seen++) {
        uint8_t place = names[openai_name_of(x, key)];
        if (place > 0) {
            if (UNLIKELY(keys[place - 1] != JSON_NONE)) {
                json_edits_remove_member(edits, object, keys[place - 1]);
            }
            keys[place - 1] = key;
        }
        key = rows[key + 1].next;
    }
    return seen;
}

uint32_t openai_member_key(const struct json_index *x, uint32_t object, struct span name)
{
    uint32_t seen = 0,
             key = openai_is_kind(x, object, JSON_OBJECT) ? json_first(x, object) : JSON_NONE;
    while (key != JSON_NONE && seen++ < OPENAI_MEMBERS_MAX && !json_text_is(x, key, name)) {
        key = json_next(x, key);
    }
    return seen > OPENAI_MEMBERS_MAX ? JSON_NONE : key;
}

uint32_t openai_member(const struct json_index *x, uint32_t object, struct span name)
{
    return openai_value(x, openai_member_key(x, object, name));
}

bool openai_is_count(const struct json_index *x, uint32_t row, int64_t *out)
{
    if (!openai_is_kind(x, row, JSON_NUMBER) || json_int64(x, row, out) != ERR_OK || *out < 0) {
        return false;
    }
    struct span source = json_source(x, row);
    size_t digits = 0;
    while (digits < source.len && source.at[digits] >= '0' && source.at[digits] <= '9') {
        digits++;
    }
    return digits == source.len; /* 1.0 and 1e0 are no whole numbers to some clients */
}

bool openai_is_nothing(const struct json_index *x, uint32_t row)
{
    enum json_kind kind = json_kind(x, row);
    return kind == JSON_NULL || kind == JSON_FALSE ||
           (kind == JSON_STRING && json_inside(x, row).len == 0) ||
           ((kind == JSON_OBJECT || kind == JSON_ARRAY) && json_first(x, row) == JSON_NONE);
}

/* ---- edits ---- */

void openai_add_member(struct json_edits *edits, uint32_t object, const char *text)
{
    struct span kept = arena_copy(edits->arena, span_of(text));
    if (kept.at == NULL) {
        json_edits_fail(edits, arena_error(edits->arena));
        return;
    }
    json_edits_add_member_borrow(edits, object, JSON_AT_END, kept);
}

struct span openai_join(struct json_edits *edits, struct span before, struct span middle,
                        struct span behind)
{
    size_t len = before.len + middle.len + behind.len;
    uint8_t *text = middle.at == NULL ? NULL : arena_alloc(edits->arena, len);
    if (text == NULL) {
        json_edits_fail(edits, arena_error(edits->arena));
        return (struct span){NULL, 0};
    }
    memcpy(text, before.at, before.len);
    memcpy(text + before.len, middle.at, middle.len);
    memcpy(text + before.len + middle.len, behind.at, behind.len);
    return span_make(text, len);
}

void openai_add_parts(struct json_edits *edits, uint32_t object, struct span before,
                      struct span middle, struct span behind)
{
    struct span member = openai_join(edits, before, middle, behind);
    if (member.at != NULL) {
        json_edits_add_member_borrow(edits, object, JSON_AT_END, member);
    }
}

static bool is_answer(const uint32_t top[TOP_KEYS])
{
    return top[TOP_CHOICES] != JSON_NONE || top[TOP_DATA] != JSON_NONE ||
           top[TOP_USAGE] != JSON_NONE || top[TOP_TIMINGS] != JSON_NONE;
}

/* FastAPI's {"detail":…}, and {"message":…}: no part of an answer has these and nothing else. */
static bool is_bare_error(const struct json_index *x, const uint32_t top[TOP_KEYS])
{
    return !is_answer(top) && (openai_value(x, top[TOP_DETAIL]) != JSON_NONE ||
                               openai_value(x, top[TOP_MESSAGE]) != JSON_NONE);
}

/* Whether something is answered, beside an error that says nothing. */
static bool has_answer(const struct json_index *x, const uint32_t top[TOP_KEYS])
{
    return (top[TOP_CHOICES] != JSON_NONE && !openai_is_nothing(x, top[TOP_CHOICES] + 1)) ||
           (top[TOP_DATA] != JSON_NONE && !openai_is_nothing(x, top[TOP_DATA] + 1));
}

bool openai_is_error(const struct json_index *x, const uint32_t top[TOP_KEYS],
                     struct json_edits *edits)
{
    uint32_t error = top[TOP_ERROR];
    if (error != JSON_NONE) {
        bool is_null = json_kind(x, error + 1) == JSON_NULL;
        if (!is_null && !(has_answer(x, top) && openai_is_nothing(x, error + 1))) {
            return true;
        }
        json_edits_remove_member(edits, 0, error);
    }
    uint32_t object = openai_value(x, top[TOP_OBJECT]);
    return (object != JSON_NONE && json_text_is(x, object, SPAN("error"))) || is_bare_error(x, top);
}

void openai_set_model(const struct openai_ed *ed, const uint32_t top[TOP_KEYS])
{
    struct span shown = ed->plan->quoted_model;
    if (top[TOP_MODEL] == JSON_NONE) {
        openai_add_parts(ed->edits, 0, SPAN("\"model\":"), shown, SPAN(""));
    } else if (!span_equal(json_edits_value(ed->edits, top[TOP_MODEL] + 1), shown)) {
        json_edits_set_value_borrow(ed->edits, top[TOP_MODEL] + 1, shown);
    }
}

void openai_edit_index(const struct openai_ed *ed, uint32_t choice,
                       const uint32_t keys[CHOICE_KEYS], int64_t index)
{
    int64_t said;
    char member[40];
    if (openai_is_count(ed->x, openai_value(ed->x, keys[CHOICE_INDEX]), &said) && said == index) {
        return;
    }
    (void)snprintf(member, sizeof(member), "\"index\":%lld", (long long)index); /* fits */
    openai_remove_key(ed->edits, choice, keys[CHOICE_INDEX]);
    openai_add_member(ed->edits, choice, member);
}

bool openai_choice_failed(const struct json_index *x, uint32_t choice,
                          const uint32_t keys[CHOICE_KEYS], struct span *words)
{
    uint32_t error = openai_value(x, keys[CHOICE_ERROR]);
    bool failed = error != JSON_NONE && !openai_is_nothing(x, error);
    if (failed ||
        openai_reason_read(x, openai_value(x, keys[CHOICE_FINISH_REASON])) == OPENAI_FAILED) {
        *words = failed ? json_source(x, choice) : SPAN("{}");
        return true;
    }
    return false;
}

/* ---- a message ---- */

/* Whoever speaks is the assistant: some clients take no other, and some put the roles of all deltas
 * together. */
static void edit_role(const struct openai_ed *ed, uint32_t message, uint32_t key,
                      struct openai_choice *c)
{
    if (key == JSON_NONE) {
        return;
    }
    if (c->has_role) {
        json_edits_remove_member(ed->edits, message, key);
    } else if (!json_text_is(ed->x, key + 1, SPAN("assistant"))) {
        json_edits_set_value_borrow(ed->edits, key + 1, SPAN("\"assistant\""));
    }
    c->has_role = true;
}

/* Gives the member `from` the name `to`, whose own key `there` says nothing. */
static void rename_key(const struct openai_ed *ed, uint32_t message, uint32_t from, uint32_t there,
                       struct span to)
{
    const struct json_row *key = json_row(ed->x, from);
    openai_remove_key(ed->edits, message, there);
    json_edits_replace_borrow(ed->edits, key->offset, key->len, to);
}

/* Reasoning has two names, and clients that read both show it twice. */
static void edit_reasoning(const struct openai_ed *ed, uint32_t message,
                           const uint32_t keys[MESSAGE_KEYS], struct openai_choice *c)
{
    const struct json_index *x = ed->x;
    uint32_t newer = keys[MESSAGE_REASONING], older = keys[MESSAGE_REASONING_CONTENT];
    bool has_newer = openai_is_kind(x, openai_value(x, newer), JSON_STRING);
    bool has_older = openai_is_kind(x, openai_value(x, older), JSON_STRING);
    enum openai_reasoning wanted = ed->plan->reasoning;
    if (has_newer && has_older && json_row(x, newer + 1)->len <= COMPARED_BYTES &&
        span_equal(json_edits_value(ed->edits, newer + 1),
                   json_edits_value(ed->edits, older + 1))) {
        bool keeps_newer = wanted == OPENAI_REASONING;
        json_edits_remove_member(ed->edits, message, keeps_newer ? older : newer);
        c->reasons_twice = true;
    } else if (has_newer && !has_older && wanted == OPENAI_REASONING_CONTENT) {
        rename_key(ed, message, newer, older, SPAN("\"reasoning_content\""));
    } else if (has_older && !has_newer && wanted == OPENAI_REASONING) {
        rename_key(ed, message, older, newer, SPAN("\"reasoning\""));
    }
}

/* A function_call, which few servers send any more, but as null. */
static void edit_function_call(const struct openai_ed *ed, uint32_t message, uint32_t key)
{
    const struct json_index *x = ed->x;
    if (key == JSON_NONE) {
        return;
    }
    uint32_t keys[FUNCTION_KEYS];
    openai_keys(ed->edits, key + 1, openai_function_names, FUNCTION_KEYS, keys);
    uint32_t arguments = openai_value(x, keys[FUNCTION_ARGUMENTS]);
    enum json_kind kind = json_kind(x, key + 1);
    if (kind == JSON_NULL ||
        (kind == JSON_OBJECT && !openai_is_text(x, openai_value(x, keys[FUNCTION_NAME])) &&
         !openai_is_text(x, arguments))) {
        json_edits_remove_member(ed->edits, message, key);
    }
}

void openai_edit_message(const struct openai_ed *ed, uint32_t message,
                         const uint32_t keys[MESSAGE_KEYS], struct openai_choice *c)
{
    uint32_t name = keys[MESSAGE_NAME];
    edit_role(ed, message, keys[MESSAGE_ROLE], c);
    if (name != JSON_NONE && !openai_is_text(ed->x, name + 1)) {
        json_edits_remove_member(ed->edits, message, name);
    }
    edit_function_call(ed, message, keys[MESSAGE_FUNCTION_CALL]);
    edit_reasoning(ed, message, keys, c);
}
