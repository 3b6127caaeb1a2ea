/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a chunk needs is seen from the chunks before it: which choices and tool calls have begun,
 * and what usage was reported. All of that is bits and numbers in struct openai_stream.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/memory.h"
#include "openai/openai_internal.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define LAST_BYTES_MAX 16384 /* of the events that we add at the end */

void openai_stream_init(struct openai_stream *s, const struct openai_plan *plan)
{
    *s = (struct openai_stream){.plan = plan};
}

void openai_stream_fini(struct openai_stream *s)
{
    memory_free(s->other_tools);
    s->other_tools = NULL;
    s->other_tools_count = 0;
}

static bool has_open_choices(const struct openai_stream *s)
{
    return (s->choices_open[0] | s->choices_open[1]) != 0;
}

static void keep_identity(struct openai_stream *s, const struct json_index *x)
{
    uint32_t id = openai_member(x, 0, SPAN("id"));
    uint32_t created = openai_member(x, 0, SPAN("created"));
    if (s->id[0] == '\0' && id != JSON_NONE && json_source(x, id).len < sizeof(s->id)) {
        span_copy_text(json_source(x, id), s->id, sizeof(s->id));
    }
    if (s->created_s == 0 && created != JSON_NONE &&
        json_int64(x, created, &s->created_s) != ERR_OK) {
        s->created_s = 0;
    }
}

/* ---- choices ---- */

/* The delta, which clients look into without a question; JSON_NONE if it had to be made. A server
 * that does not stream says the whole message instead: that is a delta too. */
static uint32_t edit_delta(const struct json_index *x, uint32_t choice, struct json_edits *edits)
{
    uint32_t delta = json_find(x, choice, SPAN("delta"));
    uint32_t message = json_find_key(x, choice, SPAN("message"));
    if (delta != JSON_NONE && json_kind(x, delta) == JSON_NULL) {
        json_edits_set_value_borrow(edits, delta, SPAN("{}"));
    } else if (delta == JSON_NONE && message != JSON_NONE &&
               json_kind(x, json_value(x, message)) == JSON_OBJECT) {
        const struct json_row *key = json_row(x, message);
        json_edits_replace_borrow(edits, key->offset, key->len, SPAN("\"delta\""));
        return json_value(x, message);
    } else if (delta == JSON_NONE) {
        openai_add_member(edits, choice, "\"delta\":{}");
    } else if (json_kind(x, delta) == JSON_OBJECT) {
        return delta;
    }
    return JSON_NONE;
}

static void edit_choice(struct openai_stream *s, const struct json_index *x, uint32_t choice,
                        int64_t position, struct json_edits *edits)
{
    int64_t index = openai_edit_index(x, choice, position, edits);
    bool is_watched = index >= 0 && index < OPENAI_CHOICES_MAX;
    bool begins = is_watched && !openai_bit_mark(s->choices_begun, index);
    uint32_t delta = s->plan->endpoint == OPENAI_CHAT ? edit_delta(x, choice, edits) : JSON_NONE;
    if (delta != JSON_NONE) {
        if (is_watched && !begins) { /* some clients put the roles together too */
            openai_remove_member(x, delta, SPAN("role"), edits);
        } else {
            openai_edit_role(x, delta, edits);
        }
        openai_edit_message(x, delta, edits, &s->text_bytes);
        if (is_watched) {
            openai_edit_tools(s, x, (uint32_t)index, delta, edits);
        }
    }
    s->text_bytes += openai_text_bytes(x, openai_member(x, choice, SPAN("text")));
    s->any_begun = true;
    if (begins) {
        (void)openai_bit_mark(s->choices_open, index); /* it was not: it begins */
    }
    if (openai_edit_finish(x, choice, edits)) {
        s->any_finished = true;
        if (is_watched) {
            openai_bit_clear(s->choices_open, index);
        }
    }
}

/* ---- usage ---- */

/* Keeps what the chunk says of usage. One that is all zero says nothing, once something was said:
 * some servers send it with every chunk. */
static bool keep_usage(struct openai_stream *s, const struct json_index *x)
{
    struct openai_usage usage;
    if (!openai_read_usage(x, &usage)) {
        return false;
    }
    if (usage.input_tokens > 0 || usage.output_tokens > 0) {
        s->usage = usage;
    }
    return true;
}

/* Usage of a chunk that has choices is told in the last chunk. */
static void edit_usage(struct openai_stream *s, const struct json_index *x,
                       struct json_edits *edits)
{
    (void)keep_usage(s, x); /* most chunks have none */
    if (!s->plan->wants_continuous_usage && openai_member(x, 0, SPAN("usage")) != JSON_NONE) {
        openai_remove_member(x, 0, SPAN("usage"), edits);
    }
}

/* Whether as many choices have finished as were asked for, or as are watched. */
static bool are_all_finished(const struct openai_stream *s)
{
    int finished = 0;
    for (size_t i = 0; i < OPENAI_CHOICES_MAX / 64; i++) {
        finished += __builtin_popcountll(s->choices_begun[i] & ~s->choices_open[i]);
    }
    uint32_t wanted = s->plan->choices;
    return openai_stream_is_complete(s) &&
           (uint32_t)finished >= (wanted < OPENAI_CHOICES_MAX ? wanted : OPENAI_CHOICES_MAX);
}

/* A chunk without choices: the usage, or something of the server's own. The usage goes out once,
 * when all choices have finished: clients take it for the last chunk. One that comes too early is
 * told in a chunk of ours. */
static enum openai_verdict edit_choiceless(struct openai_stream *s, const struct json_index *x,
                                           struct json_edits *edits)
{
    if (openai_member(x, 0, SPAN("choices")) == JSON_NONE) {
        openai_remove_member(x, 0, SPAN("choices"), edits);
        openai_add_member(edits, 0, "\"choices\":[]");
    }
    if (!keep_usage(s, x)) {
        return OPENAI_SEND;
    }
    if (!s->plan->wants_usage || s->usage_sent || !are_all_finished(s) ||
        openai_member(x, 0, SPAN("usage")) == JSON_NONE) {
        return OPENAI_DROP;
    }
    s->usage_sent = true;
    return OPENAI_SEND;
}

/* ---- the whole event ---- */

/* A whole reply is a chunk here. */
static void edit_object(const struct openai_stream *s, const struct json_index *x,
                        struct json_edits *edits)
{
    uint32_t object = json_find(x, 0, SPAN("object"));
    if (s->plan->endpoint == OPENAI_CHAT && object != JSON_NONE &&
        json_text_is(x, object, SPAN("chat.completion"))) {
        json_edits_set_value_borrow(edits, object, SPAN("\"chat.completion.chunk\""));
    }
}

static enum err edit_choices(struct openai_stream *s, const struct json_index *x,
                             struct json_edits *edits, enum openai_verdict *verdict)
{
    uint32_t choices = openai_member(x, 0, SPAN("choices"));
    if (choices != JSON_NONE && json_kind(x, choices) != JSON_ARRAY) {
        return ERR_UPSTREAM_STREAM;
    }
    uint32_t first = choices == JSON_NONE ? JSON_NONE : json_first(x, choices);
    if (first == JSON_NONE) {
        *verdict = edit_choiceless(s, x, edits);
        return ERR_OK;
    }
    edit_usage(s, x, edits);
    int64_t position = 0;
    for (uint32_t c = first; c != JSON_NONE; c = json_next(x, c)) {
        if (json_kind(x, c) != JSON_OBJECT) {
            return ERR_UPSTREAM_STREAM;
        }
        edit_choice(s, x, c, position++, edits);
    }
    *verdict = OPENAI_SEND;
    return ERR_OK;
}

enum err openai_stream_event(struct openai_stream *s, struct span data, struct json_index *x,
                             struct arena *arena, struct json_edits *out,
                             enum openai_verdict *verdict)
{
    struct span text = span_trim(data);
    if (text.len == 0) {
        *verdict = OPENAI_DROP; /* keeps a connection alive, and breaks clients */
        return ERR_OK;
    }
    if (span_equal(text, SPAN("[DONE]"))) {
        *verdict = OPENAI_END;
        return s->any_begun ? ERR_OK : ERR_UPSTREAM_STREAM;
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
    keep_identity(s, x);
    edit_object(s, x, out);
    openai_set_model(x, s->plan, out);
    e = edit_choices(s, x, out, verdict);
    return e == ERR_OK && json_edits_failed(out) ? ERR_NO_MEMORY : e;
}

bool openai_stream_is_complete(const struct openai_stream *s)
{
    return s->any_finished && !has_open_choices(s);
}

/* ---- the end ---- */

static void begin_chunk(const struct openai_stream *s, int64_t created_s, struct json_writer *w)
{
    bool is_chat = s->plan->endpoint == OPENAI_CHAT;
    char id[OPENAI_ID_BYTES];
    (void)snprintf(id, sizeof(id), "%s-%.*s", is_chat ? "chatcmpl" : "cmpl",
                   SPAN_ARGS(s->plan->call_id)); /* 26 characters */
    buf_put(w->out, SPAN("data: "));
    json_write_object(w);
    json_write_key(w, "id");
    if (s->id[0] == '\0') {
        json_write_text(w, id);
    } else {
        json_write_raw(w, span_of(s->id));
    }
    json_write_key(w, "object");
    json_write_text(w, is_chat ? "chat.completion.chunk" : "text_completion");
    json_write_key(w, "created");
    json_write_int(w, s->created_s > 0 ? s->created_s : created_s);
    json_write_key(w, "model");
    json_write_raw(w, s->plan->quoted_model);
    json_write_key(w, "choices");
    json_write_array(w);
}

/* Each choice that the server left without a reason, but whose end it declared. */
static void write_finish(const struct openai_stream *s, struct json_writer *w)
{
    for (int64_t index = 0; index < OPENAI_CHOICES_MAX; index++) {
        if (!openai_bit(s->choices_open, index)) {
            continue;
        }
        json_write_object(w);
        json_write_key(w, "index");
        json_write_int(w, index);
        if (s->plan->endpoint == OPENAI_CHAT) {
            json_write_key(w, "delta");
            json_write_object(w);
            json_write_end(w);
        } else {
            json_write_key(w, "text");
            json_write_text(w, "");
        }
        json_write_key(w, "logprobs");
        json_write_null(w);
        json_write_key(w, "finish_reason");
        json_write_text(w, "stop");
        json_write_end(w);
    }
    json_write_end(w);
    json_write_end(w);
}

static void write_usage(const struct openai_usage *usage, struct json_writer *w)
{
    json_write_end(w);
    json_write_key(w, "usage");
    json_write_object(w);
    json_write_key(w, "prompt_tokens");
    json_write_int(w, usage->input_tokens);
    json_write_key(w, "completion_tokens");
    json_write_int(w, usage->output_tokens);
    json_write_key(w, "total_tokens");
    json_write_int(w, usage->input_tokens + usage->output_tokens);
    if (usage->cached_tokens > 0) {
        json_write_key(w, "prompt_tokens_details");
        json_write_object(w);
        json_write_key(w, "cached_tokens");
        json_write_int(w, usage->cached_tokens);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_end(w);
}

enum err openai_stream_finish(struct openai_stream *s, struct arena *arena, int64_t created_s,
                              struct span *out)
{
    struct buf b;
    struct json_writer w;
    enum err e = ERR_OK;
    buf_init(&b, LAST_BYTES_MAX + 2 * s->plan->quoted_model.len);
    if (has_open_choices(s)) {
        json_write_init(&w, &b);
        begin_chunk(s, created_s, &w);
        write_finish(s, &w);
        e = json_write_finish(&w);
        buf_put(&b, SPAN("\n\n"));
        memset(s->choices_open, 0, sizeof(s->choices_open));
        s->any_finished = true;
    }
    if (e == ERR_OK && s->plan->wants_usage && !s->usage_sent && s->usage.is_known) {
        json_write_init(&w, &b);
        begin_chunk(s, created_s, &w);
        write_usage(&s->usage, &w);
        e = json_write_finish(&w);
        buf_put(&b, SPAN("\n\n"));
        s->usage_sent = true;
    }
    buf_put(&b, SPAN("data: [DONE]\n\n"));
    struct span events = arena_copy(arena, buf_span(&b));
    bool failed = e != ERR_OK || buf_failed(&b) || events.at == NULL;
    buf_fini(&b);
    if (failed) {
        return ERR_NO_MEMORY;
    }
    *out = events;
    return ERR_OK;
}
