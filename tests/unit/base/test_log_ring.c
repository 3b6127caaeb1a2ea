/* SPDX-License-Identifier: Apache-2.0 */
/* test_log_ring.c — records of many threads come out whole, each thread's in order, or not at all.
 */
#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "base/log_ring.h"

#define WRITERS 4
#define EACH    50000

static void what_was_put_comes_out_in_order_around_the_end(void **state)
{
    (void)state;
    struct log_ring r;
    struct span got;
    unsigned put = 0, seen = 0;
    assert_int_equal(log_ring_init(&r, 256), ERR_OK);
    assert_false(log_ring_peek(&r, &got));
    for (int round = 0; round < 500; round++) {
        char text[64], expect[64];
        for (;;) {
            (void)snprintf(text, sizeof(text), "%u %.*s", put, (int)(put * 7 % 40),
                           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
            struct span whole = span_of(text);
            if (!log_ring_put(&r, span_cut(whole, 0, 2), span_cut(whole, 2, whole.len))) {
                break;
            }
            put++;
        }
        assert_true(log_ring_is_half_full(&r));
        for (int i = 0; i < 3 && log_ring_peek(&r, &got); i++) {
            (void)snprintf(expect, sizeof(expect), "%u %.*s", seen, (int)(seen * 7 % 40),
                           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
            assert_int_equal(got.len, strlen(expect));
            assert_memory_equal(got.at, expect, got.len);
            log_ring_next(&r);
            seen++;
        }
    }
    while (log_ring_peek(&r, &got)) {
        log_ring_next(&r);
        seen++;
    }
    assert_int_equal(seen, put);
    assert_true(log_ring_is_empty(&r));
    log_ring_fini(&r);
}

static void what_is_too_long_or_empty_is_not_put(void **state)
{
    (void)state;
    static const uint8_t zeros[512];
    struct log_ring r;
    assert_int_equal(log_ring_init(&r, 1024), ERR_OK);
    assert_false(log_ring_put(&r, span_make(zeros, 300), SPAN("")));
    assert_false(log_ring_put(&r, SPAN(""), SPAN("")));
    assert_true(log_ring_put(&r, span_make(zeros, 200), SPAN("")));
    log_ring_fini(&r);
}

struct writer {
    struct log_ring *ring;
    uint32_t number;
};

static void *write_many(void *arg)
{
    const struct writer *w = arg;
    for (uint32_t i = 0; i < EACH; i++) {
        const uint32_t record[2] = {w->number, i};
        const uint8_t more[24] = {0};
        while (!log_ring_put(w->ring, span_make(record, sizeof(record)),
                             span_make(more, i % sizeof(more)))) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static void many_writers_keep_each_their_own_order(void **state)
{
    (void)state;
    struct log_ring r;
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    uint32_t next[WRITERS] = {0};
    assert_int_equal(log_ring_init(&r, 4096), ERR_OK);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){&r, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (uint32_t seen = 0; seen < WRITERS * EACH;) {
        struct span got;
        uint32_t record[2];
        if (!log_ring_peek(&r, &got)) {
            (void)sched_yield();
            continue;
        }
        memcpy(record, got.at, sizeof(record));
        assert_true(record[0] < WRITERS);
        assert_int_equal(record[1], next[record[0]]++);
        assert_int_equal(got.len, sizeof(record) + record[1] % 24);
        log_ring_next(&r);
        seen++;
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(log_ring_is_empty(&r));
    log_ring_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_comes_out_in_order_around_the_end),
        cmocka_unit_test(what_is_too_long_or_empty_is_not_put),
        cmocka_unit_test(many_writers_keep_each_their_own_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
