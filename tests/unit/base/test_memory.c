/* SPDX-License-Identifier: Apache-2.0 */
/* test_memory.c — large blocks are freed, by whichever thread. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/memory_threads.h"

#define LARGE ((size_t)64 << 20)

/* Pages of this process that are in memory. */
static size_t resident(void)
{
    size_t all = 0, found = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu %zu", &all, &found), 2);
    (void)fclose(f);
    return found;
}

static void *fill_and_free(void *unused)
{
    for (int i = 0; i < 20; i++) {
        char *block = memory_raw(LARGE / 8);
        assert_non_null(block);
        memset(block, 1, LARGE / 8);
        memory_free(block);
    }
    return unused;
}

static void what_is_handed_over_is_resident_no_more_when_the_freer_has_ended(void **state)
{
    (void)state;
    pthread_t threads[4];
    memory_keep_large_apart();
    size_t before = resident();
    assert_int_equal(memory_start_freer(), ERR_OK);
    for (size_t i = 0; i < ROWS(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fill_and_free, NULL), 0);
    }
    for (size_t i = 0; i < ROWS(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    memory_stop_freer();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)before; /* they keep what is freed for a while */
#else
    assert_true(resident() < before + LARGE / 2 / 4096);
#endif
    memory_stop_freer(); /* does nothing */
    assert_int_equal(memory_start_freer(), ERR_OK);
    memory_free(memory_raw(LARGE));
    memory_stop_freer();
}

static void a_counted_block_gives_its_bytes_back_at_once(void **state)
{
    (void)state;
    assert_int_equal(memory_start_freer(), ERR_OK);
    void *block = memory_raw_counted(LARGE);
    assert_non_null(block);
    assert_true(memory_taken() >= LARGE);
    memory_free_counted(block);
    assert_int_equal(memory_taken(), 0);
    memory_stop_freer();
}

static void blocks_that_a_thread_keeps_are_its_own_and_zeroed_where_they_must_be(void **state)
{
    (void)state;
    void *blocks[64];
    memory_thread_start();
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ROWS(blocks); i++) {
            size_t size = 1000 + i * 64;
            blocks[i] = i % 2 == 0 ? memory_new(size) : memory_raw(size);
            assert_non_null(blocks[i]);
            for (size_t b = 0; i % 2 == 0 && b < size; b++) {
                assert_int_equal(((uint8_t *)blocks[i])[b], 0);
            }
            memset(blocks[i], (int)i + 1, size);
        }
        for (size_t i = 0; i < ROWS(blocks); i++) {
            assert_int_equal(*(uint8_t *)blocks[i], i + 1);
            memory_free(blocks[i]);
        }
    }
    memory_thread_end();
    memory_free(memory_raw(2000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_handed_over_is_resident_no_more_when_the_freer_has_ended),
        cmocka_unit_test(blocks_that_a_thread_keeps_are_its_own_and_zeroed_where_they_must_be),
        cmocka_unit_test(a_counted_block_gives_its_bytes_back_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
