/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_series.c — metrics by model are bounded, escaped, and sums over threads. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>

#include "telemetry/call_series.h"
#include "telemetry/prometheus.h"

static bool page_has(const char *line)
{
    struct buf page;
    buf_init(&page, 1u << 20);
    call_series_write(&page);
    assert_false(buf_failed(&page));
    bool has = memmem(page.at, buf_span(&page).len, line, strlen(line)) != NULL;
    buf_fini(&page);
    return has;
}

static void *count_here(void *series)
{
    call_series_thread_start();
    uint32_t mine = *(const uint32_t *)series;
    call_series_add_tokens(mine, 4, 0); /* of a try that lost */
    call_series_add_tokens(mine, 1, 2);
    call_series_count(mine,
                      &(struct call_series_facts){.class = CALL_CLASS_2XX, .duration_us = 900});
    return NULL;
}

static void calls_are_summed_over_threads_by_model_upstream_and_class(void **state)
{
    (void)state;
    uint32_t series = call_series_find(SPAN("m"), "u");
    assert_int_equal(call_series_find(SPAN("m"), "u"), series);
    assert_int_not_equal(call_series_find(SPAN("m"), "other"), series);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, count_here, &series), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    call_series_thread_start();
    call_series_count(series,
                      &(struct call_series_facts){.class = CALL_CLASS_GONE, .duration_us = -1});
    assert_true(page_has("atlas_model_calls_total{model=\"m\",upstream=\"u\",class=\"2xx\"} 3\n"));
    assert_true(
        page_has("atlas_model_calls_total{model=\"m\",upstream=\"u\",class=\"client_gone\"} 1\n"));
    assert_true(page_has("{model=\"m\",upstream=\"u\",direction=\"input\"} 15\n"));
    assert_true(page_has("{model=\"m\",upstream=\"u\",direction=\"output\"} 6\n"));
    assert_true(page_has("_bucket{model=\"m\",upstream=\"u\",le=\"0.0005\"} 0\n"));
    assert_true(page_has("_bucket{model=\"m\",upstream=\"u\",le=\"0.001\"} 3\n"));
    assert_true(page_has("_count{model=\"m\",upstream=\"u\"} 3\n"));
}

static void a_name_is_escaped_and_cannot_be_a_second_label(void **state)
{
    (void)state;
    uint32_t series = call_series_find(SPAN("a\"} 1\n\\b"), "u");
    call_series_thread_start();
    call_series_count(series,
                      &(struct call_series_facts){.class = CALL_CLASS_5XX, .duration_us = -1});
    assert_true(page_has("{model=\"a\\\"} 1\\n\\\\b\",upstream=\"u\",class=\"5xx\"} 1\n"));
}

static void models_beyond_the_bound_share_one_series(void **state)
{
    (void)state;
    uint32_t last = 0;
    for (int i = 0; i < 2 * CALL_SERIES_MAX; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "model %d", i);
        last = call_series_find(span_of(name), "u");
        assert_true(last < CALL_SERIES_MAX);
    }
    assert_int_equal(last, CALL_SERIES_OTHER);
    assert_int_not_equal(call_series_find(SPAN("m"), "u"), CALL_SERIES_OTHER);
    call_series_thread_start();
    call_series_count(last,
                      &(struct call_series_facts){.class = CALL_CLASS_4XX, .duration_us = -1});
    call_series_count(CALL_SERIES_NONE,
                      &(struct call_series_facts){.class = CALL_CLASS_4XX, .duration_us = -1});
    assert_true(page_has("{model=\"(other)\",upstream=\"(other)\",class=\"4xx\"} 1\n"));
    assert_true(page_has("{model=\"(none)\",upstream=\"(none)\",class=\"4xx\"} 1\n"));
}

static void every_line_of_the_page_is_a_comment_or_a_sample(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, 1u << 20);
    prometheus_write(&page);
    struct span rest = buf_span(&page);
    while (rest.len > 0) {
        size_t end = span_find(rest, '\n', 0);
        struct span line = span_cut(rest, 0, end);
        assert_true(span_starts(line, SPAN("# ")) || span_starts(line, SPAN("atlas_")) ||
                    span_starts(line, SPAN("process_")));
        rest = span_cut(rest, end + 1, rest.len);
    }
    buf_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_summed_over_threads_by_model_upstream_and_class),
        cmocka_unit_test(a_name_is_escaped_and_cannot_be_a_second_label),
        cmocka_unit_test(models_beyond_the_bound_share_one_series),
        cmocka_unit_test(every_line_of_the_page_is_a_comment_or_a_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
