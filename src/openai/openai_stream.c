/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a chunk needs is seen from the chunks before it: what each choice has said (openai_answer.h)
 * and what usage was reported.
 */
#include "base/memory.h"
#include "openai/openai_internal.h"
#include "json/json_value.h"

void openai_stream_init(struct openai_stream *s, const struct openai_plan *plan)
{
    *s = (struct openai_stream){.plan = plan};
}

void openai_stream_fini(struct openai_stream *s)
{
    openai_answer_fini(&s->answer);
    openai_usage_fini(&s->usage);
    memory_free_counted(s->memo);
    s->memo = NULL;
}

/* ---- usage ---- */

/* Keeps what the chunk says of usage. */
static bool keep_usage(struct openai_stream *s, const struct openai_event *v)
{
    return openai_usage_keep(&s->usage, v->edits, v->usage, v->timings, s->answer.written);
}

/* Usage of a chunk that has choices is told in the last chunk. */
static void edit_usage(struct openai_stream *s, const struct openai_event *v)
{
    (void)keep_usage(s, v); /* most chunks have none */
    if (!s->plan->wants_continuous_usage && v->usage != JSON_NONE) {
        openai_remove_key(v->edits, 0, v->usage_key);
    }
}

/* Whether as many choices have finished as were asked for, or as are watched. */
static bool are_all_finished(const struct openai_stream *s)
{
    uint32_t wanted = s->plan->choices;
    return openai_stream_is_complete(s) &&
           s->answer.ended >= (wanted < OPENAI_CHOICES_MAX ? wanted : OPENAI_CHOICES_MAX);
}

/* A chunk without choices: the usage, or something of the server's own. The usage goes out once,
 * when all choices have finished: clients take it for the last chunk. One that comes too early is
 * told in a chunk of ours. */
static enum openai_verdict edit_choiceless(struct openai_stream *s, const struct openai_event *v,
                                           uint32_t choices)
{
    if (openai_value(v->x, choices) == JSON_NONE) {
        openai_remove_key(v->edits, 0, choices);
        openai_add_member(v->edits, 0, "\"choices\":[]");
    }
    if (!keep_usage(s, v)) {
        if (v->usage != JSON_NONE && json_kind(v->x, v->usage) != JSON_OBJECT) {
            openai_remove_key(v->edits, 0, v->usage_key);
        }
        return OPENAI_SEND;
    }
    if (!s->plan->wants_usage || s->usage_sent || !are_all_finished(s) || v->usage == JSON_NONE) {
        return OPENAI_DROP;
    }
    s->usage_sent = true;
    return OPENAI_SEND;
}

/* ---- the whole event ---- */

/* An event that says nothing, or what becomes of it is known already. */
static enum err end_event(struct openai_event *v, enum openai_verdict verdict)
{
    v->verdict = verdict;
    v->is_made = true;
    return json_edits_error(v->edits);
}

enum err openai_event_begin(struct openai_event *v, struct openai_stream *s,
                            const struct json_index *x, struct arena *arena,
                            struct json_edits *edits)
{
    uint32_t top[TOP_KEYS];
    if (json_kind(x, 0) != JSON_OBJECT) {
        return ERR_UPSTREAM_STREAM;
    }
    json_edits_init(edits, x, arena);
    (void)openai_keys(edits, 0, openai_top_names, TOP_KEYS, top);
    *v = (struct openai_event){.x = x,
                               .edits = edits,
                               .usage_key = top[TOP_USAGE],
                               .usage = openai_value(x, top[TOP_USAGE]),
                               .timings = openai_value(x, top[TOP_TIMINGS])};
    const struct openai_ed ed = {s->plan, x, edits};
    openai_memo_forget(s);
    if (openai_is_error(x, top, edits)) {
        s->failure = x->text;
        return end_event(v, OPENAI_ERROR);
    }
    if (openai_is_kind(x, v->usage, JSON_OBJECT)) {
        openai_usage_edit(edits, v->usage, true);
    }
    openai_edit_identity(&ed, top, true, &s->who); /* also of a whole reply */
    openai_set_model(&ed, top);
    uint32_t choices = openai_value(x, top[TOP_CHOICES]);
    if (choices != JSON_NONE && json_kind(x, choices) != JSON_ARRAY) {
        return ERR_UPSTREAM_STREAM;
    }
    if (choices == JSON_NONE || json_first(x, choices) == JSON_NONE) {
        return end_event(v, edit_choiceless(s, v, top[TOP_CHOICES]));
    }
    enum err e = openai_cursor_begin(&v->cursor, x, choices, &s->answer);
    v->cursor.has_content = s->has_content; /* once is enough */
    v->cursor.counts = true;                /* it may be cut at any time */
    return e;
}

enum err openai_event_step(struct openai_event *v, struct openai_stream *s, int64_t budget)
{
    const struct openai_ed ed = {s->plan, v->x, v->edits};
    if (v->is_made) {
        return ERR_OK;
    }
    enum err e = openai_cursor_step(&v->cursor, &ed, &budget);
    s->has_content = s->has_content || v->cursor.has_content;
    if (e == ERR_UPSTREAM_STATUS) {
        s->failure = v->cursor.failure;
        return end_event(v, OPENAI_ERROR);
    }
    if (e == ERR_OK && v->cursor.is_done) {
        edit_usage(s, v);
        return end_event(v, OPENAI_SEND);
    }
    return e == ERR_UPSTREAM_JSON ? ERR_UPSTREAM_STREAM : e;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct span openai_without_blanks(struct span text, size_t most)
{
    size_t before = 0, behind = 0, some = text.len < most ? text.len : most;
    while (before < some && is_blank(text.at[before])) {
        before++;
    }
    text = span_cut(text, before, text.len);
    some = text.len < most ? text.len : most;
    while (behind < some && is_blank(text.at[text.len - 1 - behind])) {
        behind++;
    }
    return span_cut(text, 0, text.len - behind);
}

bool openai_stream_is_word(const struct openai_stream *s, struct span text,
                           enum openai_verdict *verdict, enum err *e)
{
    *e = ERR_OK;
    if (text.len == 0) {
        *verdict = OPENAI_DROP;
        return true;
    }
    if (!span_equal(text, SPAN("[DONE]"))) {
        return false;
    }
    *verdict = OPENAI_END;
    *e = s->answer.any_begun ? ERR_OK : ERR_UPSTREAM_STREAM;
    return true;
}

enum err openai_stream_event(struct openai_stream *s, struct span data, struct json_index *x,
                             struct arena *arena, struct json_edits *out,
                             enum openai_verdict *verdict)
{
    enum err e;
    struct span text = openai_without_blanks(data, data.len);
    if (openai_stream_is_word(s, text, verdict, &e)) {
        return e;
    }
    e = json_index_parse_borrow(x, data);
    if (e != ERR_OK) {
        return err_is_memory(e) ? e : ERR_UPSTREAM_STREAM;
    }
    struct openai_event v;
    const struct openai_stream before = *s;
    e = openai_event_begin(&v, s, x, arena, out);
    if (e == ERR_OK) {
        e = openai_event_step(&v, s, INT64_MAX);
    }
    if (e == ERR_OK) {
        *verdict = v.verdict;
        openai_memo_keep(s, &before, &v);
    }
    return e;
}

bool openai_stream_is_complete(const struct openai_stream *s)
{
    return s->answer.any_ended && s->answer.ended == s->answer.begun;
}
