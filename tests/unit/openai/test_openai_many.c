/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_many.c — a chunk with many calls or choices takes time in proportion. */
#include "unit.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "openai/openai_reply.h"

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
    mono_us from = clock_mono();
    if (whole) {
        assert_int_equal(json_index_parse_borrow(&x, buf_span(&b)), ERR_OK);
        assert_int_equal(openai_reply_begin(&r, &x, &plan, &arena), ERR_OK);
    } else {
        openai_stream_init(&s, &plan);
        assert_int_equal(openai_stream_event(&s, buf_span(&b), &x, &arena, &edits, &verdict),
                         ERR_OK);
        openai_stream_fini(&s);
    }
    int64_t took = clock_since(from, clock_mono());
    printf("# %s %zu x %s: %lld us, %zu bytes\n", whole ? "whole" : "event", count, each,
           (long long)took, buf_span(&b).len);
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
    unsigned slow = 0;
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t few = time_of(rows[i].before, rows[i].each, rows[i].after, 4000, rows[i].whole);
        int64_t many = time_of(rows[i].before, rows[i].each, rows[i].after, 16000, rows[i].whole);
        printf("# ratio %.1f for 4 times as many\n", (double)many / (double)few);
        slow += many >= 8 * few + 10000;
    }
    assert_int_equal(slow, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_take_time_in_proportion)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
