/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/buf.h"
#include "openai/openai_internal.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define CHOICES_MAX     32
#define TOOLS_MAX       128
#define USAGE_BYTES_MAX 8192

void openai_stream_init(struct openai_stream *s, const struct openai_plan *plan)
{
    *s = (struct openai_stream){.plan = plan};
}

static void keep_id(struct openai_stream *s, const struct json_index *x)
{
    uint32_t id = openai_member(x, 0, SPAN("id"));
    if (s->id[0] == '\0' && id != JSON_NONE && json_source(x, id).len < sizeof(s->id)) {
        span_copy_text(json_source(x, id), s->id, sizeof(s->id));
    }
}

/* ---- tool calls ---- */

#define TOOL_TEXT_BYTES 96

/* Adds a member whose text was written to `room`; it is copied. */
static void add_text(struct json_edits *edits, uint32_t object, const char *room)
{
    struct span text = arena_copy(edits->arena, span_of(room));
    if (text.at == NULL) {
        edits->failed = true;
        return;
    }
    json_edits_add_member_borrow(edits, object, JSON_AT_END, text);
}

static void remove_if_there(const struct json_index *x, uint32_t object, struct span name,
                            struct json_edits *edits)
{
    uint32_t key = object == JSON_NONE ? JSON_NONE : json_find_key(x, object, name);
    if (key != JSON_NONE) {
        json_edits_remove_member(edits, object, key);
    }
}

/* The first delta of a call carries index, id and name; later ones must not repeat them, for some
 * clients put the pieces together. */
static void edit_tool(struct openai_stream *s, const struct json_index *x, uint32_t tool,
                      int64_t position, struct json_edits *edits)
{
    int64_t index = position;
    char room[TOOL_TEXT_BYTES];
    uint32_t row = openai_member(x, tool, SPAN("index"));
    uint32_t function = openai_member(x, tool, SPAN("function"));
    if (row == JSON_NONE || json_int64(x, row, &index) != ERR_OK) {
        remove_if_there(x, tool, SPAN("index"), edits);
        (void)snprintf(room, sizeof(room), "\"index\":%lld", (long long)position); /* fits */
        add_text(edits, tool, room);
    }
    if (function == JSON_NONE || json_kind(x, function) != JSON_OBJECT) {
        remove_if_there(x, tool, SPAN("function"), edits);
        json_edits_add_member_borrow(edits, tool, JSON_AT_END, SPAN("\"function\":{}"));
        function = JSON_NONE;
    }
    if (index < 0 || index >= TOOLS_MAX) {
        return;
    }
    uint64_t *word = &s->tools_seen[index / 64], bit = 1ULL << (index % 64);
    if ((*word & bit) != 0) {
        remove_if_there(x, tool, SPAN("id"), edits);
        remove_if_there(x, function, SPAN("name"), edits);
        return;
    }
    *word |= bit;
    if (openai_member(x, tool, SPAN("id")) == JSON_NONE) {
        remove_if_there(x, tool, SPAN("id"), edits);
        (void)snprintf(room, sizeof(room), "\"id\":\"call_%.*s_%lld\"", SPAN_ARGS(s->plan->call_id),
                       (long long)index); /* 26 characters fit */
        add_text(edits, tool, room);
    }
}

static void edit_tools(struct openai_stream *s, const struct json_index *x, uint32_t delta,
                       struct json_edits *edits)
{
    uint32_t tools = openai_member(x, delta, SPAN("tool_calls"));
    int64_t position = 0;
    if (tools == JSON_NONE || json_kind(x, tools) != JSON_ARRAY) {
        return;
    }
    for (uint32_t t = json_first(x, tools); t != JSON_NONE; t = json_next(x, t)) {
        if (json_kind(x, t) == JSON_OBJECT) {
            edit_tool(s, x, t, position, edits);
        }
        position++;
    }
}

/* ---- choices ---- */

static void edit_choice(struct openai_stream *s, const struct json_index *x, uint32_t choice,
                        struct arena *arena, struct json_edits *edits)
{
    int64_t index = 0;
    uint32_t number = openai_member(x, choice, SPAN("index"));
    if (number != JSON_NONE && json_int64(x, number, &index) != ERR_OK) {
        index = 0;
    }
    uint32_t bit = index >= 0 && index < CHOICES_MAX ? 1u << index : 0;
    s->choices_open |= bit;
    if (openai_edit_finish(x, choice, edits)) {
        s->choices_open &= ~bit;
        s->any_finished = true;
    }
    uint32_t delta = openai_member(x, choice, SPAN("delta"));
    if (delta != JSON_NONE && json_kind(x, delta) == JSON_OBJECT) {
        openai_edit_message(x, delta, arena, edits, &s->text_bytes);
        if (index == 0) {
            edit_tools(s, x, delta, edits);
        }
    }
    uint32_t text = openai_member(x, choice, SPAN("text"));
    if (text != JSON_NONE && json_kind(x, text) == JSON_STRING) {
        s->text_bytes += json_inside(x, text).len;
    }
}

/* Usage of a chunk that has choices is kept for the last chunk. One that is all zero says nothing:
 * some servers send it with every chunk. */
static void take_usage(struct openai_stream *s, const struct json_index *x,
                       struct json_edits *edits)
{
    struct openai_usage usage;
    if (openai_read_usage(x, &usage) && (usage.input_tokens > 0 || usage.output_tokens > 0)) {
        s->usage = usage;
    }
    uint32_t key = json_find_key(x, 0, SPAN("usage"));
    if (!s->plan->wants_continuous_usage && key != JSON_NONE &&
        json_kind(x, json_value(x, key)) != JSON_NULL) {
        json_edits_remove_member(edits, 0, key);
    }
}

/* A chunk without choices: the usage, or something of the server's own. */
static enum openai_verdict last_chunk(struct openai_stream *s, const struct json_index *x)
{
    if (!openai_read_usage(x, &s->usage)) {
        return OPENAI_SEND;
    }
    if (!s->plan->wants_usage) {
        return OPENAI_DROP;
    }
    s->usage_sent = openai_member(x, 0, SPAN("usage")) != JSON_NONE;
    return OPENAI_SEND;
}

enum err openai_stream_event(struct openai_stream *s, struct span data, struct json_index *x,
                             struct arena *arena, struct json_edits *out,
                             enum openai_verdict *verdict)
{
    if (span_equal(span_trim(data), SPAN("[DONE]"))) {
        *verdict = OPENAI_END;
        return ERR_OK;
    }
    enum err e = json_index_parse_borrow(x, data);
    if (e != ERR_OK) {
        return e == ERR_NO_MEMORY ? e : ERR_UPSTREAM_STREAM;
    }
    if (json_kind(x, 0) != JSON_OBJECT) {
        return ERR_UPSTREAM_STREAM;
    }
    json_edits_init(out, x, arena);
    if (openai_is_error(x, out)) {
        *verdict = OPENAI_ERROR;
        return ERR_OK;
    }
    keep_id(s, x);
    openai_set_model(x, s->plan, out);
    uint32_t choices = openai_member(x, 0, SPAN("choices"));
    if (choices != JSON_NONE && json_kind(x, choices) != JSON_ARRAY) {
        return ERR_UPSTREAM_STREAM;
    }
    uint32_t first = choices == JSON_NONE ? JSON_NONE : json_first(x, choices);
    *verdict = first == JSON_NONE ? last_chunk(s, x) : OPENAI_SEND;
    if (first != JSON_NONE) {
        take_usage(s, x, out);
    }
    for (uint32_t c = first; c != JSON_NONE; c = json_next(x, c)) {
        if (json_kind(x, c) != JSON_OBJECT) {
            return ERR_UPSTREAM_STREAM;
        }
        edit_choice(s, x, c, arena, out);
    }
    return json_edits_failed(out) ? ERR_NO_MEMORY : ERR_OK;
}

bool openai_stream_is_complete(const struct openai_stream *s)
{
    return s->any_finished && s->choices_open == 0;
}

struct span openai_stream_usage_event(struct openai_stream *s, struct arena *arena,
                                      int64_t created_s)
{
    if (!s->plan->wants_usage || s->usage_sent || !s->usage.is_known) {
        return SPAN("");
    }
    struct buf b;
    struct json_writer w;
    buf_init(&b, USAGE_BYTES_MAX);
    buf_put_text(&b, "data: ");
    json_write_init(&w, &b);
    json_write_object(&w);
    json_write_key(&w, "id");
    json_write_raw(&w, s->id[0] == '\0' ? SPAN("\"chatcmpl-atlas\"") : span_of(s->id));
    json_write_key(&w, "object");
    json_write_text(&w,
                    s->plan->endpoint == OPENAI_CHAT ? "chat.completion.chunk" : "text_completion");
    json_write_key(&w, "created");
    json_write_int(&w, created_s);
    json_write_key(&w, "model");
    json_write_raw(&w, s->plan->quoted_model);
    json_write_key(&w, "choices");
    json_write_array(&w);
    json_write_end(&w);
    json_write_key(&w, "usage");
    json_write_object(&w);
    json_write_key(&w, "prompt_tokens");
    json_write_int(&w, s->usage.input_tokens);
    json_write_key(&w, "completion_tokens");
    json_write_int(&w, s->usage.output_tokens);
    json_write_key(&w, "total_tokens");
    json_write_int(&w, s->usage.input_tokens + s->usage.output_tokens);
    json_write_end(&w);
    json_write_end(&w);
    enum err e = json_write_finish(&w);
    buf_put_text(&b, "\n\n");
    struct span event = e != ERR_OK || buf_failed(&b) ? SPAN("") : arena_copy(arena, buf_span(&b));
    buf_fini(&b);
    s->usage_sent = true;
    return event.at == NULL ? SPAN("") : event;
}
