/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "openai/openai_internal.h"
#include "json/json_value.h"

uint32_t openai_member(const struct json_index *x, uint32_t object, struct span name)
{
    uint32_t row = object == JSON_NONE ? JSON_NONE : json_find(x, object, name);
    return row == JSON_NONE || json_kind(x, row) == JSON_NULL ? JSON_NONE : row;
}

/* FastAPI's {"detail":…}, and {"message":…}: no part of an answer has these and nothing else. */
static bool is_bare_error(const struct json_index *x)
{
    static const char *const of_answers[] = {"choices", "data", "usage", "timings"};
    for (size_t i = 0; i < sizeof(of_answers) / sizeof(of_answers[0]); i++) {
        if (json_find(x, 0, span_of(of_answers[i])) != JSON_NONE) {
            return false;
        }
    }
    return openai_member(x, 0, SPAN("detail")) != JSON_NONE ||
           openai_member(x, 0, SPAN("message")) != JSON_NONE;
}

bool openai_is_error(const struct json_index *x, struct json_edits *edits)
{
    bool was_null = false; /* no answer says it twice, and each removal is a walk */
    for (uint32_t key = json_first(x, 0); key != JSON_NONE; key = json_next(x, key)) {
        if (!json_text_is(x, key, SPAN("error"))) {
            continue;
        }
        if (was_null || json_kind(x, json_value(x, key)) != JSON_NULL) {
            return true;
        }
        was_null = true;
        json_edits_remove_member(edits, 0, key);
    }
    uint32_t object = json_find(x, 0, SPAN("object"));
    return (object != JSON_NONE && json_text_is(x, object, SPAN("error"))) || is_bare_error(x);
}

void openai_add_member(struct json_edits *edits, uint32_t object, const char *text)
{
    struct span kept = arena_copy(edits->arena, span_of(text));
    if (kept.at == NULL) {
        edits->failed = true;
        return;
    }
    json_edits_add_member_borrow(edits, object, JSON_AT_END, kept);
}

void openai_remove_member(const struct json_index *x, uint32_t object, struct span name,
                          struct json_edits *edits)
{
    uint32_t key = json_find_key(x, object, name);
    if (key != JSON_NONE) {
        json_edits_remove_member(edits, object, key);
    }
}

/* Adds a member to `object`: `key`, quotes and colon included, and its value. */
static void add_member(struct json_edits *edits, uint32_t object, struct span key,
                       struct span value)
{
    uint8_t *text = arena_alloc(edits->arena, key.len + value.len);
    if (text == NULL) {
        edits->failed = true;
        return;
    }
    memcpy(text, key.at, key.len);
    memcpy(text + key.len, value.at, value.len);
    json_edits_add_member_borrow(edits, object, JSON_AT_END, span_make(text, key.len + value.len));
}

void openai_set_model(const struct json_index *x, const struct openai_plan *plan,
                      struct json_edits *edits)
{
    uint32_t row = json_find(x, 0, SPAN("model"));
    if (row == JSON_NONE) {
        add_member(edits, 0, SPAN("\"model\":"), plan->quoted_model);
    } else if (!span_equal(json_source(x, row), plan->quoted_model)) {
        json_edits_set_value_borrow(edits, row, plan->quoted_model);
    }
}

/* A count of tokens: whole, not negative, and small enough to add up. */
static bool read_tokens(const struct json_index *x, uint32_t object, struct span name, int64_t *out)
{
    int64_t value;
    uint32_t row = openai_member(x, object, name);
    if (row == JSON_NONE || json_int64(x, row, &value) != ERR_OK || value < 0 ||
        value > INT64_C(1) << 40) {
        return false;
    }
    *out = value;
    return true;
}

static bool read_timings(const struct json_index *x, struct openai_usage *out)
{
    uint32_t timings = openai_member(x, 0, SPAN("timings"));
    int64_t prompt, cached = 0, predicted;
    if (!read_tokens(x, timings, SPAN("prompt_n"), &prompt) ||
        !read_tokens(x, timings, SPAN("predicted_n"), &predicted)) {
        return false;
    }
    (void)read_tokens(x, timings, SPAN("cache_n"), &cached); /* older servers do not say it */
    *out = (struct openai_usage){prompt + cached, predicted, cached, true};
    return true;
}

bool openai_read_usage(const struct json_index *x, struct openai_usage *out)
{
    uint32_t usage = openai_member(x, 0, SPAN("usage"));
    struct openai_usage read = {.is_known = true};
    if (!read_tokens(x, usage, SPAN("prompt_tokens"), &read.input_tokens)) {
        return read_timings(x, out);
    }
    (void)read_tokens(x, usage, SPAN("completion_tokens"),
                      &read.output_tokens); /* embeddings: none */
    (void)read_tokens(x, openai_member(x, usage, SPAN("prompt_tokens_details")),
                      SPAN("cached_tokens"), &read.cached_tokens); /* few servers say it */
    *out = read;
    return true;
}

uint64_t openai_text_bytes(const struct json_index *x, uint32_t row)
{
    if (row == JSON_NONE || json_kind(x, row) != JSON_STRING) {
        return 0;
    }
    struct span inside = json_inside(x, row);
    uint64_t bytes = inside.len;
    if ((json_row(x, row)->flags & JSON_ESCAPED) == 0) {
        return bytes;
    }
    for (size_t i = span_find(inside, '\\', 0); i < inside.len;
         i = span_find(inside, '\\', i + 2)) {
        bytes -= inside.at[i + 1] == 'u' ? 4 : 1; /* two bytes each is Arabic's measure */
    }
    return bytes;
}

static uint64_t member_bytes(const struct json_index *x, uint32_t object, struct span name)
{
    return openai_text_bytes(x, openai_member(x, object, name));
}

static void copy_reasoning(const struct json_index *x, uint32_t message, uint32_t row,
                           struct json_edits *edits)
{
    uint32_t old = json_find(x, message, SPAN("reasoning_content"));
    if (old == JSON_NONE) {
        add_member(edits, message, SPAN("\"reasoning_content\":"), json_source(x, row));
    } else if (json_kind(x, old) == JSON_NULL) {
        json_edits_set_value_borrow(edits, old, json_source(x, row));
    }
}

int64_t openai_edit_index(const struct json_index *x, uint32_t choice, int64_t position,
                          struct json_edits *edits)
{
    int64_t index;
    uint32_t row = openai_member(x, choice, SPAN("index"));
    if (row != JSON_NONE && json_int64(x, row, &index) == ERR_OK) {
        return index;
    }
    char member[40];
    (void)snprintf(member, sizeof(member), "\"index\":%lld", (long long)position); /* fits */
    openai_remove_member(x, choice, SPAN("index"), edits);
    openai_add_member(edits, choice, member);
    return position;
}

void openai_edit_role(const struct json_index *x, uint32_t message, struct json_edits *edits)
{
    uint32_t role = openai_member(x, message, SPAN("role"));
    if (role != JSON_NONE && !json_text_is(x, role, SPAN("assistant"))) {
        json_edits_set_value_borrow(edits, role, SPAN("\"assistant\""));
    }
}

void openai_edit_message(const struct json_index *x, uint32_t message, struct json_edits *edits,
                         uint64_t *text_bytes)
{
    uint32_t reasoning = openai_member(x, message, SPAN("reasoning"));
    *text_bytes += member_bytes(x, message, SPAN("content"));
    if (reasoning != JSON_NONE && json_kind(x, reasoning) == JSON_STRING) {
        copy_reasoning(x, message, reasoning, edits);
        *text_bytes += openai_text_bytes(x, reasoning);
    } else {
        *text_bytes += member_bytes(x, message, SPAN("reasoning_content"));
    }
    uint32_t tools = openai_member(x, message, SPAN("tool_calls"));
    if (tools == JSON_NONE || json_kind(x, tools) != JSON_ARRAY) {
        return;
    }
    for (uint32_t t = json_first(x, tools); t != JSON_NONE; t = json_next(x, t)) {
        *text_bytes += member_bytes(x, openai_member(x, t, SPAN("function")), SPAN("arguments"));
    }
}

/* Reasons that some servers have, and typed clients do not know. */
static bool is_own_reason(const struct json_index *x, uint32_t reason)
{
    return json_text_is(x, reason, SPAN("abort")) || json_text_is(x, reason, SPAN("eos_token")) ||
           json_text_is(x, reason, SPAN("stop_sequence"));
}

bool openai_edit_finish(const struct json_index *x, uint32_t choice, struct json_edits *edits)
{
    uint32_t reason = openai_member(x, choice, SPAN("finish_reason"));
    if (reason == JSON_NONE) {
        return false;
    }
    if (json_text_is(x, reason, SPAN(""))) {
        json_edits_set_value_borrow(edits, reason, SPAN("null"));
        return false;
    }
    if (is_own_reason(x, reason)) {
        json_edits_set_value_borrow(edits, reason, SPAN("\"stop\""));
    }
    return true;
}

static enum err edit_choices(const struct json_index *x, const struct openai_plan *plan,
                             struct json_edits *edits, uint64_t *text_bytes)
{
    int64_t position = 0;
    uint32_t choices = openai_member(x, 0, SPAN("choices"));
    if (choices == JSON_NONE || json_kind(x, choices) != JSON_ARRAY) {
        return ERR_UPSTREAM_JSON;
    }
    for (uint32_t c = json_first(x, choices); c != JSON_NONE; c = json_next(x, c)) {
        if (json_kind(x, c) != JSON_OBJECT) {
            return ERR_UPSTREAM_JSON;
        }
        (void)openai_edit_index(x, c, position, edits); /* nothing depends on which it is */
        (void)openai_edit_finish(x, c, edits); /* a whole reply ends whether it says why or not */
        uint32_t message = openai_member(x, c, SPAN("message"));
        if (message != JSON_NONE && json_kind(x, message) == JSON_OBJECT) {
            openai_edit_role(x, message, edits);
            openai_edit_whole_tools(plan, x, (uint32_t)position, message, edits);
            openai_edit_message(x, message, edits, text_bytes);
        }
        *text_bytes += member_bytes(x, c, SPAN("text"));
        position++;
    }
    return ERR_OK;
}

static enum err finish(struct openai_reply *r, enum err e)
{
    return e == ERR_OK && json_edits_failed(&r->edits) ? ERR_NO_MEMORY : e;
}

enum err openai_reply_begin(struct openai_reply *r, const struct json_index *x,
                            const struct openai_plan *plan, struct arena *arena)
{
    *r = (struct openai_reply){.is_made = plan->endpoint != OPENAI_EMBEDDINGS};
    if (x->count == 0 || json_kind(x, 0) != JSON_OBJECT) {
        return ERR_UPSTREAM_JSON;
    }
    json_edits_init(&r->edits, x, arena);
    if (openai_is_error(x, &r->edits)) {
        return ERR_UPSTREAM_STATUS;
    }
    openai_set_model(x, plan, &r->edits);
    (void)openai_read_usage(x, &r->usage); /* is_known says whether there was any */
    return finish(r, r->is_made ? edit_choices(x, plan, &r->edits, &r->text_bytes)
                                : openai_vectors_begin(&r->vectors, x, plan, arena));
}

enum err openai_reply_convert(struct openai_reply *r, int64_t floats)
{
    if (r->is_made) {
        return ERR_OK;
    }
    enum err e = openai_vectors_convert(&r->vectors, floats, &r->edits);
    r->is_made = e == ERR_OK && openai_vectors_are_done(&r->vectors);
    return finish(r, e);
}
