/* SPDX-License-Identifier: Apache-2.0 */
/* test_arena.c — memory of one call: bounded, aligned, all given back at once. */
#include "unit.h"

#include "base/arena.h"
#include "base/memory.h"

static void it_refuses_past_its_maximum_and_stays_refusing(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64);
    assert_non_null(arena_alloc(&a, 48));
    assert_null(arena_alloc(&a, 32));
    assert_true(arena_failed(&a));
    assert_null(arena_alloc(&a, 1));
    arena_fini(&a);
    assert_non_null(arena_alloc(&a, 64));
    arena_fini(&a);
}

static void what_it_gives_is_aligned_and_does_not_overlap(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    uint8_t *given[300];
    for (size_t i = 0; i < ROWS(given); i++) {
        given[i] = arena_alloc(&a, i + 1);
        assert_non_null(given[i]);
        assert_int_equal((uintptr_t)given[i] % 16, 0);
        memset(given[i], (int)(i & 0xff), i + 1);
    }
    for (size_t i = 0; i < ROWS(given); i++) {
        assert_int_equal(given[i][0], i & 0xff);
        assert_int_equal(given[i][i], i & 0xff);
    }
    arena_fini(&a);
}

static void a_copy_ends_with_a_nul(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 16);
    struct span copy = arena_copy(&a, SPAN("salam"));
    assert_string_equal((const char *)copy.at, "salam");
    assert_int_equal(copy.len, 5);
    assert_int_equal(arena_copy(&a, (struct span){NULL, 0}).len, 0);
    arena_fini(&a);
}

static void an_absurd_size_is_refused(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 16);
    assert_null(arena_alloc(&a, SIZE_MAX));
    arena_fini(&a);
}

static void a_counted_arena_takes_from_the_allowance_what_is_more_than_a_little(void **state)
{
    (void)state;
    enum { ALLOWANCE = 1 << 20, PIECE = 1000, UNCOUNTED = 1 << 17 };
    struct arena a;
    size_t given = 0;
    memory_set_allowance(ALLOWANCE);
    arena_init_counted(&a, 64 << 20, UNCOUNTED);
    assert_non_null(arena_alloc(&a, 1000));
    assert_int_equal(memory_taken(), 0);
    for (given = 1000; arena_alloc(&a, PIECE) != NULL; given += PIECE) {
        assert_true(memory_taken() <= ALLOWANCE);
        assert_true(given <= memory_taken() + UNCOUNTED);
    }
    assert_true(given > ALLOWANCE / 2 && given < ALLOWANCE + UNCOUNTED);
    assert_int_equal(arena_error(&a), ERR_OVERLOADED);
    arena_fini(&a);
    assert_int_equal(memory_taken(), 0);
    assert_null(arena_alloc(&a, 2 * ALLOWANCE)); /* it counts still, a single one too */
    assert_int_equal(arena_error(&a), ERR_OVERLOADED);
    arena_fini(&a);
    memory_set_allowance(0);
    assert_non_null(arena_alloc(&a, 4 * ALLOWANCE));
    assert_true(memory_taken() >= 4 * ALLOWANCE - UNCOUNTED);
    assert_null(arena_alloc(&a, 64 << 20));
    assert_int_equal(arena_error(&a), ERR_NO_MEMORY); /* past its own maximum */
    arena_fini(&a);
    assert_int_equal(memory_taken(), 0);
}

static void a_large_arena_is_given_what_is_left_of_the_allowance(void **state)
{
    (void)state;
    static const size_t sizes[] = {1000, 5000, 300 << 10};
    for (size_t i = 0; i < ROWS(sizes); i++) {
        struct arena a;
        memory_set_allowance(2u << 20); /* a large block does not fit behind the first half */
        arena_init_counted(&a, 64 << 20, 0);
        for (size_t given = 0; given < (1100u << 10); given += 4000) {
            assert_non_null(arena_alloc(&a, 4000));
        }
        assert_non_null(arena_alloc(&a, sizes[i]));
        assert_null(arena_alloc(&a, 2u << 20));
        assert_int_equal(arena_error(&a), ERR_OVERLOADED);
        arena_fini(&a);
    }
    memory_set_allowance(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_refuses_past_its_maximum_and_stays_refusing),
        cmocka_unit_test(what_it_gives_is_aligned_and_does_not_overlap),
        cmocka_unit_test(a_copy_ends_with_a_nul),
        cmocka_unit_test(an_absurd_size_is_refused),
        cmocka_unit_test(a_large_arena_is_given_what_is_left_of_the_allowance),
        cmocka_unit_test(a_counted_arena_takes_from_the_allowance_what_is_more_than_a_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
