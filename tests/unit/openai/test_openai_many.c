/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_many.c — a chunk with many calls or choices takes time in proportion. */
#include "unit.h"

#include <time.h>

#include "base/buf.h"
#include "openai/openai_reply.h"

/* Of this thread alone: what else the machine does is not the code's. */
static int64_t cpu_us(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t time_of(const char *before, const char *each, const char *after, size_t count,
                       bool whole)
{
    struct buf b;
    buf_init(&b, 64 << 20);
    buf_put_text(&b, before);
    for (size_t i = 0; i < count; i++) {
        buf_put_text(&b, i == 0 ? "" : ",");
        buf_put_text(&b, each);
    }
    buf_put_text(&b, after);
    struct openai_plan plan = {.endpoint = OPENAI_CHAT,
                               .quoted_model = SPAN("\"shown\""),
                               .call_id = SPAN("01ABCDEFGHJKMNPQRSTVWXYZ00"),
                               .choices = 1};
    struct arena arena;
    struct json_index x;
    struct json_edits edits;
    enum openai_verdict verdict;
    struct openai_stream s;
    struct openai_reply r;
    arena_init(&arena, (size_t)1 << 30);
    json_index_init(&x, 4 << 20, 128);
    int64_t from = cpu_us();
    if (whole) {
        assert_int_equal(json_index_parse_borrow(&x, buf_span(&b)), ERR_OK);
        assert_int_equal(openai_reply_begin(&r, &x, &plan, &arena), ERR_OK);
        assert_int_equal(openai_reply_convert(&r, INT64_MAX), ERR_OK);
    } else {
        openai_stream_init(&s, &plan);
        assert_int_equal(openai_stream_event(&s, buf_span(&b), &x, &arena, &edits, &verdict),
                         ERR_OK);
        openai_stream_fini(&s);
    }
    int64_t took = cpu_us() - from;
    json_index_fini(&x);
    arena_fini(&arena);
    buf_fini(&b);
    return took;
}

static void many_take_time_in_proportion(void **state)
{
    (void)state;
    static const struct {
        const char *before, *each, *after;
        bool whole;
    } rows[] = {
        {"{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[", "{}", "]}}]}", false},
        {"{\"choices\":[", "{}", "]}", false},
        {"{\"choices\":[{\"index\":0,\"message\":{\"tool_calls\":[", "{}", "]}}]}", true},
        {"{\"choices\":[", "{}", "]}", true},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t few = INT64_MAX, many = INT64_MAX;
        for (int round = 0; round < 3; round++) { /* the best: caches are others', too */
            int64_t f = time_of(rows[i].before, rows[i].each, rows[i].after, 4000, rows[i].whole);
            int64_t m = time_of(rows[i].before, rows[i].each, rows[i].after, 16000, rows[i].whole);
            few = f < few ? f : few;
            many = m < many ? m : many;
        }
        if (many >= 8 * few + 10000) {
            fail_msg("%s: %lld us for 4,000, %lld us for four times as many", rows[i].before,
                     (long long)few, (long long)many);
        }
    }
}

/* A reply of `count` elements with a thousand members each beside what is read: how many steps of a
 * budget it takes. */
static int steps_of(enum openai_endpoint endpoint, const char *before, const char *each, int count)
{
    enum { MEMBERS = 1000, BUDGET = 1024 };
    struct openai_plan plan = {.endpoint = endpoint,
                               .quoted_model = SPAN("\"shown\""),
                               .call_id = SPAN("01ABCDEFGHJKMNPQRSTVWXYZ00"),
                               .inputs = (uint32_t)count,
                               .choices = (uint32_t)count,
                               .asked = -1};
    struct arena arena;
    struct json_index x;
    struct openai_reply r;
    struct buf b;
    int steps = 0;
    buf_init(&b, 64 << 20);
    buf_put_text(&b, before);
    for (int i = 0; i < count; i++) {
        buf_printf(&b, "%s{\"index\":%d", i == 0 ? "" : ",", i);
        for (int j = 0; j < MEMBERS; j++) {
            buf_put_text(&b, ",\"\\u0061\":0");
        }
        buf_printf(&b, ",%s}", each);
    }
    buf_put_text(&b, "]}");
    arena_init(&arena, 64 << 20);
    json_index_init(&x, 4 << 20, 128);
    assert_int_equal(json_index_parse_borrow(&x, buf_span(&b)), ERR_OK);
    assert_int_equal(openai_reply_begin(&r, &x, &plan, &arena), ERR_OK);
    for (; !r.is_made; steps++) {
        assert_int_equal(openai_reply_convert(&r, BUDGET), ERR_OK);
    }
    json_index_fini(&x);
    arena_fini(&arena);
    buf_fini(&b);
    return steps;
}

static void what_has_many_members_takes_many_steps_though_nothing_of_it_is_counted(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    assert_true(steps_of(OPENAI_CHAT, "{\"usage\":{\"completion_tokens\":1000000},\"choices\":[",
                         "\"message\":{}", COUNT) > COUNT / 4);
    assert_true(steps_of(OPENAI_EMBEDDINGS, "{\"data\":[", "\"embedding\":[1]", COUNT) > COUNT / 4);
}

/* What a reply of one choice becomes: `before`, a text of `count` bytes, `behind`. */
static void expect_mended(const char *before, const char *behind, size_t count, const char *begins,
                          const char *ends)
{
    struct openai_plan plan = {.endpoint = OPENAI_CHAT,
                               .quoted_model = SPAN("\"shown\""),
                               .call_id = SPAN("01ABC"),
                               .created_s = 99,
                               .asked = -1};
    struct arena arena;
    struct json_index x;
    struct openai_reply r;
    struct buf b, out;
    buf_init(&b, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_put_text(&b, before);
    for (size_t i = 0; i < count; i++) {
        buf_put_byte(&b, 'x');
    }
    buf_put_text(&b, behind);
    arena_init(&arena, 32 << 10); /* has no room for a copy of the text */
    json_index_init(&x, 1 << 16, 128);
    assert_int_equal(json_index_parse_borrow(&x, buf_span(&b)), ERR_OK);
    assert_int_equal(openai_reply_begin(&r, &x, &plan, &arena), ERR_OK);
    assert_int_equal(openai_reply_convert(&r, INT64_MAX), ERR_OK);
    size_t len = (size_t)json_edits_total(&r.edits);
    json_edits_copy(&r.edits, buf_reserve(&out, len));
    buf_added(&out, len);
    assert_true(span_starts(buf_span(&out), span_of(begins)));
    assert_true(span_ends(buf_span(&out), span_of(ends)));
    assert_int_equal(buf_span(&out).len, strlen(begins) + count + strlen(ends));
    json_index_fini(&x);
    arena_fini(&arena);
    buf_fini(&b);
    buf_fini(&out);
}

static void a_long_text_in_another_place_becomes_the_message_and_is_not_copied(void **state)
{
    (void)state;
    const char *begins = "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"";
    const char *ends = "\"},\"index\":0,\"finish_reason\":\"stop\"}],\"id\":\"chatcmpl-01ABC\","
                       "\"object\":\"chat.completion\",\"created\":99,\"model\":\"shown\"}";
    expect_mended("{\"choices\":[{\"message\":\"", "\"}]}", 100000, begins, ends);
    expect_mended("{\"choices\":[{\"text\":\"", "\"}]}", 100000, begins, ends);
    expect_mended("{\"choices\":[{\"message\":null,\"text\":\"", "\"}]}", 100000, begins, ends);
    expect_mended("{\"choices\":[{\"text\":\"", "\",\"message\":null}]}", 100000, begins, ends);
}

static void calls_beyond_the_bound_without_an_index_pass_as_they_came(void **state)
{
    (void)state;
    struct openai_plan plan = {.endpoint = OPENAI_CHAT,
                               .quoted_model = SPAN("\"shown\""),
                               .call_id = SPAN("01ABCDEFGHJKMNPQRSTVWXYZ00"),
                               .choices = 1};
    struct arena arena;
    struct json_index x;
    struct json_edits edits;
    enum openai_verdict verdict;
    struct openai_stream s;
    struct buf b, out;
    buf_init(&b, 1 << 20);
    buf_init(&out, 1 << 20);
    arena_init(&arena, 1 << 20);
    json_index_init(&x, 1 << 16, 128);
    buf_put_text(&b, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[");
    for (int i = 0; i < 131; i++) {
        buf_printf(&b, "%s{\"id\":\"i%d\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}",
                   i == 0 ? "" : ",", i);
    }
    buf_put_text(&b, "]}}]}");
    openai_stream_init(&s, &plan);
    assert_int_equal(openai_stream_event(&s, buf_span(&b), &x, &arena, &edits, &verdict), ERR_OK);
    size_t len = (size_t)json_edits_total(&edits);
    json_edits_copy(&edits, buf_reserve(&out, len));
    buf_added(&out, len);
    buf_put_byte(&out, 0);
    const char *text = (const char *)buf_span(&out).at;
    assert_non_null(strstr(text, "\"index\":127"));
    assert_null(strstr(text, "\"index\":128"));
    assert_non_null(
        strstr(text, "{\"id\":\"i130\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}"));
    openai_stream_fini(&s);
    json_index_fini(&x);
    arena_fini(&arena);
    buf_fini(&b);
    buf_fini(&out);
}

enum { CHOICES = 128, CALLS = 128, ONCE = 3 * 128 };

/* How many calls are told there. */
static size_t count_told(struct span text)
{
    const struct span each = SPAN("\"arguments\":\"{}\"");
    size_t count = 0;
    const uint8_t *at = memmem(text.at, text.len, each.at, each.len);
    while (at != NULL) {
        count++;
        text = span_cut(text, (size_t)(at - text.at) + each.len, text.len);
        at = memmem(text.at, text.len, each.at, each.len);
    }
    return count;
}

static size_t told_of(struct openai_stream *s, struct span event, struct json_index *x)
{
    struct arena arena;
    struct json_edits edits;
    enum openai_verdict verdict;
    arena_init(&arena, 8 << 20);
    assert_int_equal(openai_stream_event(s, event, x, &arena, &edits, &verdict), ERR_OK);
    size_t len = (size_t)json_edits_total(&edits);
    uint8_t *text = arena_alloc(&arena, len);
    assert_non_null(text);
    json_edits_copy(&edits, text);
    size_t told = count_told(span_make(text, len));
    arena_fini(&arena);
    return told;
}

/* Each of very many choices calls very many functions and says no arguments of any. */
static void calls_that_lack_something_are_told_some_at_a_time(void **state)
{
    (void)state;
    for (int says_ends = 0; says_ends < 2; says_ends++) {
        struct openai_plan plan = {.endpoint = OPENAI_CHAT,
                                   .quoted_model = SPAN("\"shown\""),
                                   .call_id = SPAN("01ABCDEFGHJKMNPQRSTVWXYZ00")};
        struct json_index x;
        struct openai_stream s;
        struct buf ends;
        size_t told = 0;
        buf_init(&ends, 1 << 20);
        json_index_init(&x, 1 << 16, 128);
        openai_stream_init(&s, &plan);
        buf_put_text(&ends, "{\"choices\":[");
        for (int choice = 0; choice < CHOICES; choice++) {
            struct buf b;
            buf_init(&b, 1 << 20);
            buf_printf(&b, "{\"choices\":[{\"index\":%d,\"delta\":{\"tool_calls\":[", choice);
            for (int call = 0; call < CALLS; call++) {
                buf_printf(&b, "%s{\"index\":%d,\"function\":{\"name\":\"f\"}}",
                           call == 0 ? "" : ",", call);
            }
            buf_put_text(&b, "]}}]}");
            assert_int_equal(told_of(&s, buf_span(&b), &x), 0);
            buf_fini(&b);
            buf_printf(&ends, "%s{\"index\":%d,\"finish_reason\":\"stop\",\"delta\":{}}",
                       choice == 0 ? "" : ",", choice);
        }
        buf_put_text(&ends, "]}");
        if (says_ends) {
            told = told_of(&s, buf_span(&ends), &x);
            assert_in_range(told, 1, ONCE);
        }
        while (!s.is_finished) {
            struct arena arena;
            struct span events;
            arena_init(&arena, 8 << 20);
            assert_int_equal(openai_stream_finish(&s, &arena, &events), ERR_OK);
            size_t some = count_told(events);
            assert_in_range(some, 1, ONCE);
            told += some;
            assert_int_equal(s.is_finished, span_ends(events, SPAN("data: [DONE]\n\n")));
            arena_fini(&arena);
        }
        assert_int_equal(told, CHOICES * CALLS);
        assert_true(openai_stream_is_complete(&s));
        openai_stream_fini(&s);
        json_index_fini(&x);
        buf_fini(&ends);
    }
}

/* What is held of a call has a bound; a name beyond it is told as it comes. */
static void a_name_that_is_too_long_to_hold_is_told_as_it_comes(void **state)
{
    (void)state;
    enum { PIECE = 30000, PIECES = 5 };
    struct openai_plan plan = {.endpoint = OPENAI_CHAT, .quoted_model = SPAN("\"shown\"")};
    struct json_index x;
    struct openai_stream s;
    uint64_t told = 0;
    json_index_init(&x, 1 << 16, 128);
    openai_stream_init(&s, &plan);
    for (int piece = 0; piece < PIECES; piece++) {
        struct arena arena;
        struct json_edits edits;
        enum openai_verdict verdict;
        struct buf b;
        buf_init(&b, 1 << 20);
        arena_init(&arena, 1 << 20);
        buf_put_text(&b, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,"
                         "\"function\":{\"name\":\"");
        for (int i = 0; i < PIECE; i++) {
            buf_put_byte(&b, (uint8_t)('a' + piece));
        }
        buf_put_text(&b, "\"}}]}}]}");
        assert_int_equal(openai_stream_event(&s, buf_span(&b), &x, &arena, &edits, &verdict),
                         ERR_OK);
        told += json_edits_total(&edits) / PIECE;
        arena_fini(&arena);
        buf_fini(&b);
    }
    assert_int_equal(told, PIECES);
    openai_stream_fini(&s);
    json_index_fini(&x);
}

/* To quote them would take long. */
static void long_arguments_that_are_no_text_pass_as_they_came(void **state)
{
    (void)state;
    enum { MOST = 64 << 10 };
    struct openai_plan plan = {.endpoint = OPENAI_CHAT, .quoted_model = SPAN("\"shown\"")};
    for (size_t more = 0; more < 2; more++) {
        struct arena arena;
        struct json_index x;
        struct openai_reply r;
        struct buf b;
        buf_init(&b, 1 << 20);
        arena_init(&arena, 1 << 20);
        json_index_init(&x, 1 << 16, 128);
        buf_put_text(
            &b,
            "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"shown\","
            "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
            "\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"arguments\":[");
        for (size_t i = 0; i < MOST - 2 + more; i++) {
            buf_put_byte(&b, i == 0 ? '1' : ' ');
        }
        buf_put_text(&b, "]}}]},\"finish_reason\":\"tool_calls\"}]}");
        assert_int_equal(json_index_parse_borrow(&x, buf_span(&b)), ERR_OK);
        assert_int_equal(openai_reply_begin(&r, &x, &plan, &arena), ERR_OK);
        assert_int_equal(openai_reply_convert(&r, INT64_MAX), ERR_OK);
        uint64_t quotes = json_edits_total(&r.edits) - buf_span(&b).len;
        assert_int_equal(quotes, more == 0 ? 2 : 0);
        json_index_fini(&x);
        arena_fini(&arena);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_take_time_in_proportion),
        cmocka_unit_test(what_has_many_members_takes_many_steps_though_nothing_of_it_is_counted),
        cmocka_unit_test(a_long_text_in_another_place_becomes_the_message_and_is_not_copied),
        cmocka_unit_test(calls_beyond_the_bound_without_an_index_pass_as_they_came),
        cmocka_unit_test(calls_that_lack_something_are_told_some_at_a_time),
        cmocka_unit_test(a_name_that_is_too_long_to_hold_is_told_as_it_comes),
        cmocka_unit_test(long_arguments_that_are_no_text_pass_as_they_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
