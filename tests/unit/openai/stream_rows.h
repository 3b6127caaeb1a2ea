/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_rows.h — streams as rows of a table: what comes, an event's data a line, and what becomes
 * of it. A dropped event leaves no line, an error leaves its name, an error event "(error)". [DONE]
 * leaves the events that end a stream. The role that a choice's first delta gets where the server
 * said none is shown in rows with ROLES only, and who a chunk is, what and of when, where it said
 * nothing of all that, in rows with MADE only.
 */
#ifndef TESTS_OPENAI_STREAM_ROWS_H
#define TESTS_OPENAI_STREAM_ROWS_H

#include "unit.h"

#include "base/buf.h"
#include "openai/openai_reply.h"
#include "quotes.h"

#define HEAD     "{'id':'c1','object':'chat.completion.chunk','created':7,'model':'m',"
#define SENT     "{'id':'c1','object':'chat.completion.chunk','created':7,'model':'shown',"
#define DELTA(d) "'choices':[{'index':0,'delta':{" d "},'finish_reason':null}]}\n"
#define STOP     "'choices':[{'index':0,'delta':{},'finish_reason':'stop'}]}\n"
#define NUMBERS  "{'prompt_tokens':9,'completion_tokens':2,'total_tokens':11}"
#define USAGE    "'choices':[],'usage':" NUMBERS "}\n"
#define TOOL(t)  DELTA("'tool_calls':[" t "]")
#define CHOICE(i, t) \
    "'choices':[{'index':" i ",'delta':{'tool_calls':[" t "]},'finish_reason':null}]}\n"
#define DONE       "[DONE]\n"
#define CALL(text) "call_01ABC_" text
#define F          "'type':'function','function'"

#define WANTED     (1u << 0) /* the usage chunk is the caller's */
#define CONTINUOUS (1u << 1)
#define TEXT       (1u << 2) /* completions */
#define COMPLETE   (1u << 3) /* the answer may end here */
#define TWO        (1u << 4) /* choices were asked for */
#define OLDER      (1u << 5) /* reasoning is to be said as reasoning_content, */
#define NEWER      (1u << 6) /* or as reasoning */
#define ROLES      (1u << 7)
#define MADE       (1u << 8)

enum way { AT_ONCE, IN_STEPS, REPEATED };

struct stream_row {
    const char *why;
    unsigned flags;
    const char *in, *out;
    uint64_t written; /* eighths of a token */
    int64_t input_tokens, output_tokens;
};

static inline void put_edited(struct buf *out, const struct json_edits *edits, bool roles)
{
    static const char *const added[] = {",\"role\":\"assistant\"}", "{\"role\":\"assistant\"}"};
    size_t len = (size_t)json_edits_total(edits), at;
    uint8_t *text = arena_alloc(edits->arena, len);
    assert_non_null(text);
    json_edits_copy(edits, text);
    struct span rest = span_make(text, len), came = edits->index->text;
    bool is_added = !roles && place_in(came, SPAN("\"role\"")) == came.len;
    for (size_t i = 0; is_added && i < ROWS(added); i++) {
        while ((at = place_in(rest, span_of(added[i]))) < rest.len) {
            buf_put(out, span_cut(rest, 0, at));
            buf_put_text(out, i == 0 ? "}" : "{}");
            rest = span_cut(rest, at + strlen(added[i]), rest.len);
        }
    }
    buf_put(out, rest);
    buf_put_byte(out, '\n');
}

/* The data of `events`, a line each. */
static inline void put_data(struct buf *out, struct span events)
{
    while (events.len > 0) {
        struct span line = span_cut(events, 0, span_find(events, '\n', 0));
        assert_true(span_starts(line, SPAN("data: ")));
        buf_put(out, span_cut(line, 6, line.len));
        buf_put_byte(out, '\n');
        events = span_cut(events, line.len + 2, events.len);
    }
}

/* What is no JSON is not looked at in steps. */
static inline enum err look_in_steps(struct openai_stream *s, struct span data,
                                     struct json_index *x, struct arena *arena,
                                     struct json_edits *edits, enum openai_verdict *verdict)
{
    struct openai_event v;
    if (json_index_parse_borrow(x, data) != ERR_OK) {
        return openai_stream_event(s, data, x, arena, edits, verdict);
    }
    enum err e = openai_event_begin(&v, s, x, arena, edits);
    while (e == ERR_OK && !v.is_made) {
        e = openai_event_step(&v, s, 1);
    }
    *verdict = v.verdict;
    return e;
}

static inline void feed(struct openai_stream *s, struct span data, struct json_index *x,
                        struct buf *out, enum way way, bool roles)
{
    struct arena arena;
    struct json_edits edits;
    enum openai_verdict verdict = OPENAI_DROP;
    struct iovec same[3];
    if (way == REPEATED && openai_stream_repeats(s, data, same)) {
        for (size_t i = 0; i < 3; i++) {
            buf_put(out, span_make(same[i].iov_base, same[i].iov_len));
        }
        buf_put_byte(out, '\n');
        return;
    }
    arena_init(&arena, 1 << 20);
    enum err e = way == IN_STEPS ? look_in_steps(s, data, x, &arena, &edits, &verdict)
                                 : openai_stream_event(s, data, x, &arena, &edits, &verdict);
    if (e != ERR_OK) {
        buf_printf(out, "%s\n", err_name(e));
    } else if (verdict == OPENAI_SEND) {
        put_edited(out, &edits, roles);
    } else if (verdict == OPENAI_ERROR) {
        buf_put_text(out, "(error)\n");
    } else if (verdict == OPENAI_END) {
        struct span events;
        assert_int_equal(openai_stream_finish(s, &arena, &events), ERR_OK);
        put_data(out, events);
    }
    arena_fini(&arena);
}

static inline struct openai_plan plan_of(unsigned flags)
{
    return (struct openai_plan){.endpoint = (flags & TEXT) != 0 ? OPENAI_COMPLETIONS : OPENAI_CHAT,
                                .quoted_model = SPAN("\"shown\""),
                                .call_id = SPAN("01ABC"),
                                .created_s = 99,
                                .wants_usage = (flags & WANTED) != 0,
                                .wants_continuous_usage = (flags & CONTINUOUS) != 0,
                                .reasoning = (flags & OLDER) != 0   ? OPENAI_REASONING_CONTENT
                                             : (flags & NEWER) != 0 ? OPENAI_REASONING
                                                                    : OPENAI_REASONING_AS_IS,
                                .choices = (flags & TWO) != 0 ? 2 : 1};
}

static inline void play(const struct stream_row *row, enum way way)
{
    struct openai_plan plan = plan_of(row->flags);
    struct openai_stream s;
    struct json_index x;
    struct arena arena;
    struct buf out;
    arena_init(&arena, 1 << 20);
    buf_init(&out, 1 << 20);
    json_index_init(&x, 10000, 32);
    openai_stream_init(&s, &plan);
    struct span in = quoted(&arena, row->in);
    while (in.len > 0) {
        struct span line = span_cut(in, 0, span_find(in, '\n', 0));
        feed(&s, line, &x, &out, way, (row->flags & ROLES) != 0);
        in = span_cut(in, line.len + 1, in.len);
    }
    struct span sent = buf_span(&out);
    if ((row->flags & MADE) == 0) {
        sent = without(&arena, sent,
                       (row->flags & TEXT) != 0 ? ID("cmpl", "text_completion")
                                                : ID("chatcmpl", "chat.completion.chunk"));
    }
    expect_text(row->why, sent, row->out);
    if (s.answer.written != row->written || s.usage.input_tokens != row->input_tokens ||
        s.usage.output_tokens != row->output_tokens ||
        openai_stream_is_complete(&s) != ((row->flags & COMPLETE) != 0)) {
        fail_msg("%s: %llu eighths, %lld and %lld tokens, complete %d", row->why,
                 (unsigned long long)s.answer.written, (long long)s.usage.input_tokens,
                 (long long)s.usage.output_tokens, openai_stream_is_complete(&s));
    }
    openai_stream_fini(&s);
    json_index_fini(&x);
    buf_fini(&out);
    arena_fini(&arena);
}

/* At once, in the smallest steps, and with events that repeat the one before known as such. */
static inline void play_all(const struct stream_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        play(&rows[i], AT_ONCE);
        play(&rows[i], IN_STEPS);
        play(&rows[i], REPEATED);
    }
}

#endif
