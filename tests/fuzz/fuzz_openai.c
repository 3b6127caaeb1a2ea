/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_openai.c — whatever is asked or answered, what is passed on is JSON, says the same, and
 * would be passed on again as it is.
 *
 * An input's first byte says what it is: a request, a reply, or a stream whose events' data stand
 * on a line each. The second says which endpoint, and what the model server or the caller needs.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "base/buf.h"
#include "openai/openai_reply.h"
#include "openai/openai_request.h"
#include "json/json_value.h"

#define ROWS_MAX  100000
#define DEPTH_MAX 64

/* The text with all edits, in the arena, and its index. */
static struct span edited(const struct json_edits *edits, struct arena *arena,
                          struct json_index *out)
{
    size_t len = (size_t)json_edits_total(edits);
    uint8_t *text = arena_alloc(arena, len + 1);
    CHECK(text != NULL);
    json_edits_copy(edits, text);
    json_index_init(out, UINT32_MAX, DEPTH_MAX + 1);
    CHECK(json_index_parse_borrow(out, span_make(text, len)) == ERR_OK);
    CHECK(json_kind(out, 0) == JSON_OBJECT);
    return span_make(text, len);
}

/* Whether a key may hold half a surrogate pair: such keys are told apart by some readers only. */
static bool may_hold_halves(struct span text)
{
    for (size_t i = 0; i + 2 < text.len; i++) {
        if (text.at[i] == '\\' && text.at[i + 1] == 'u' && (text.at[i + 2] | 0x20) == 'd') {
            return true;
        }
    }
    return false;
}

static void compare_facts(const struct openai_request *a, const struct openai_request *b,
                          const struct openai_target *target)
{
    CHECK(span_equal(b->model, target->model));
    CHECK(a->stream == b->stream && a->inputs == b->inputs);
    CHECK(a->has_token_arrays == b->has_token_arrays && a->input_tokens == b->input_tokens);
    /* Of two bounds the greater is held, and one of them may be what the server is sent. */
    CHECK(a->output_tokens_max < 0 ||
          (b->output_tokens_max >= 0 && b->output_tokens_max <= a->output_tokens_max));
    CHECK(b->wants_usage || !b->stream);
    CHECK(b->wants_base64 == (a->wants_base64 && !target->lacks_base64));
}

static enum err read_request(const struct json_index *x, enum openai_endpoint endpoint,
                             struct arena *arena, struct openai_request *out, size_t bytes)
{
    struct openai_reading r;
    enum err e = ERR_OK;
    openai_request_begin(&r, x, endpoint, arena);
    while (e == ERR_OK && !r.is_done) {
        e = openai_request_step(&r, bytes);
    }
    openai_request_end(&r);
    *out = r.request;
    return e;
}

static void edit(const struct json_index *x, const struct openai_request *request,
                 const struct openai_target *target, struct arena *arena, struct json_edits *call,
                 struct json_edits *out)
{
    json_edits_init(call, x, arena);
    CHECK(openai_request_edit_call(x, request, arena, call) == ERR_OK);
    CHECK(openai_request_edit_target(x, request, call, target, arena, out) == ERR_OK);
}

static void try_request(struct span text, uint8_t how)
{
    struct json_index x, y;
    struct arena arena;
    struct openai_request request, again;
    struct json_edits call, edits;
    struct openai_target target = {.model = SPAN("real"),
                                   .lacks_max_completion_tokens = (how & 4) != 0,
                                   .refuses_both_max_tokens = (how & 8) != 0,
                                   .lacks_developer_role = (how & 16) != 0,
                                   .lacks_stop_text = (how & 32) != 0,
                                   .lacks_base64 = (how & 64) != 0,
                                   .keeps_extra_body = (how & 128) != 0};
    enum openai_endpoint endpoint = (enum openai_endpoint)((how & 3) % 3);
    arena_init(&arena, SIZE_MAX / 2);
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    if (json_index_parse_borrow(&x, text) == ERR_OK &&
        read_request(&x, endpoint, &arena, &request, 1 + how) == ERR_OK) {
        edit(&x, &request, &target, &arena, &call, &edits);
        struct span once = edited(&edits, &arena, &y);
        enum err e = read_request(&y, endpoint, &arena, &again, SIZE_MAX);
        CHECK(e == ERR_OK || (e == ERR_JSON_DUPLICATE && may_hold_halves(text)));
        if (e == ERR_OK) {
            struct json_index z;
            compare_facts(&request, &again, &target);
            CHECK(json_find(&y, 0, SPAN("routing")) == JSON_NONE);
            CHECK(json_find(&y, 0, SPAN("routing_preference")) == JSON_NONE);
            edit(&y, &again, &target, &arena, &call, &edits);
            CHECK(span_equal(edited(&edits, &arena, &z), once));
            json_index_fini(&z);
        }
        json_index_fini(&y);
    }
    json_index_fini(&x);
    arena_fini(&arena);
}

static struct openai_plan plan_of(uint8_t how)
{
    return (struct openai_plan){.endpoint = (enum openai_endpoint)((how & 3) % 3),
                                .quoted_model = SPAN("\"shown\""),
                                .call_id = SPAN("01ABC"),
                                .created_s = 99,
                                .wants_usage = (how & 4) != 0,
                                .wants_continuous_usage = (how & 12) == 12,
                                .wants_base64 = (how & 16) != 0,
                                .inputs = 1 + (how >> 5)};
}

/* In steps of some floats, or at once. */
static enum err make(struct openai_reply *r, const struct json_index *x,
                     const struct openai_plan *plan, struct arena *arena, int64_t floats)
{
    enum err e = openai_reply_begin(r, x, plan, arena);
    while (e == ERR_OK && !r->is_made) {
        e = openai_reply_convert(r, floats);
    }
    return e;
}

static void try_reply(struct span text, uint8_t how)
{
    struct json_index x, y, z;
    struct arena arena;
    struct openai_plan plan = plan_of(how);
    struct openai_reply reply;
    arena_init(&arena, SIZE_MAX / 2);
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    if (json_index_parse_borrow(&x, text) == ERR_OK &&
        make(&reply, &x, &plan, &arena, 1) == ERR_OK) {
        struct span once = edited(&reply.edits, &arena, &y);
        CHECK(json_find(&y, 0, SPAN("error")) == JSON_NONE);
        CHECK(make(&reply, &y, &plan, &arena, INT64_MAX) == ERR_OK);
        CHECK(span_equal(edited(&reply.edits, &arena, &z), once));
        json_index_fini(&y);
        json_index_fini(&z);
    }
    json_index_fini(&x);
    arena_fini(&arena);
}

/* What a client gets of the stream's end: events of JSON, and [DONE] last. */
static void check_end(struct openai_stream *s)
{
    const struct span done = SPAN("data: [DONE]\n\n");
    struct arena arena;
    arena_init(&arena, SIZE_MAX / 2);
    while (!s->is_finished) {
        struct span events;
        CHECK(openai_stream_finish(s, &arena, &events) == ERR_OK);
        CHECK(events.len > 0);
        while (events.len > 0 && !(s->is_finished && span_equal(events, done))) {
            struct json_index x;
            CHECK(span_starts(events, SPAN("data: ")));
            struct span line = span_cut(events, 6, span_find(events, '\n', 0) - 6);
            json_index_init(&x, 1000000, 8);
            CHECK(json_index_parse_borrow(&x, line) == ERR_OK);
            json_index_fini(&x);
            events = span_cut(events, 6 + line.len + 2, events.len);
        }
        CHECK(!s->is_finished || events.len > 0);
    }
    CHECK(s->answer.begun == s->answer.ended);
    arena_fini(&arena);
}

/* What an event that repeats the one before becomes is what it would have become otherwise. */
static bool is_repeated(struct openai_stream *s, struct openai_stream *other, struct span data)
{
    struct arena arena;
    struct json_index x, y;
    struct json_edits edits;
    enum openai_verdict verdict = OPENAI_DROP;
    struct iovec same[3];
    arena_init(&arena, SIZE_MAX / 2);
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    bool repeats = openai_stream_repeats(s, data, same);
    enum err e = openai_stream_event(other, data, &x, &arena, &edits, &verdict);
    if (repeats) {
        CHECK(e == ERR_OK && verdict == OPENAI_SEND);
        struct span once = edited(&edits, &arena, &y);
        for (size_t i = 0; i < 3; i++) {
            struct span piece = span_make(same[i].iov_base, same[i].iov_len);
            for (size_t at = 0; at < piece.len; at++) { /* an event is one line */
                CHECK(once.at[at] == piece.at[at] ||
                      (piece.at[at] == ' ' && (once.at[at] == '\n' || once.at[at] == '\r')));
            }
            once = span_cut(once, piece.len, once.len);
        }
        CHECK(once.len == 0 && s->answer.written == other->answer.written);
        json_index_fini(&y);
    }
    json_index_fini(&x);
    arena_fini(&arena);
    return repeats;
}

static void try_stream(struct span text, uint8_t how)
{
    struct openai_plan plan = plan_of(how);
    struct openai_stream s, other;
    struct json_index x;
    enum err e = ERR_OK;
    enum openai_verdict verdict = OPENAI_DROP;
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    openai_stream_init(&s, &plan);
    openai_stream_init(&other, &plan);
    while (text.len > 0 && e == ERR_OK && verdict < OPENAI_END) {
        struct arena arena;
        struct json_edits edits;
        struct json_index y;
        struct span data = span_cut(text, 0, span_find(text, '\n', 0));
        if (is_repeated(&s, &other, data)) {
            text = span_cut(text, data.len + 1, text.len);
            continue;
        }
        arena_init(&arena, SIZE_MAX / 2);
        e = openai_stream_event(&s, data, &x, &arena, &edits, &verdict);
        if (e == ERR_OK && verdict == OPENAI_SEND) {
            (void)edited(&edits, &arena, &y); /* its index is what is asked about */
            CHECK(json_find(&y, 0, SPAN("error")) == JSON_NONE);
            uint32_t choices = json_find(&y, 0, SPAN("choices"));
            CHECK(choices != JSON_NONE);
            json_index_fini(&y);
        }
        arena_fini(&arena);
        text = span_cut(text, data.len + 1, text.len);
    }
    if (e == ERR_OK && verdict == OPENAI_END) {
        check_end(&s);
    }
    openai_stream_fini(&s);
    openai_stream_fini(&other);
    json_index_fini(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_cut(span_make(data, size), 2, size);
    if (size < 2) {
        return 0;
    }
    if (data[0] == 'q') {
        try_request(text, data[1]);
    } else if (data[0] == 'r') {
        try_reply(text, data[1]);
    } else if (data[0] == 's') {
        try_stream(text, data[1]);
    }
    return 0;
}
