/* SPDX-License-Identifier: Apache-2.0 */
/* test_key_uses.c — what is read of a use belongs together, and no use is forgotten. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "keys/key_uses.h"

#define S    INT64_C(1000000)
#define MANY 200000

static struct key_uses *uses;

static int open_uses(void **state)
{
    (void)state;
    assert_int_equal(key_uses_open(&uses), ERR_OK);
    assert_int_equal(key_uses_reserve(uses, MANY), ERR_OK);
    return 0;
}

static int close_uses(void **state)
{
    (void)state;
    key_uses_close(&uses);
    assert_null(uses);
    key_uses_close(&uses);
    return 0;
}

static void note(uint32_t number, int64_t second, uint8_t address, bool by_previous)
{
    struct key_last_use use = {
        .at = {second * S + 5}, .has_address = true, .by_previous = by_previous};
    memset(use.address.bytes, address, sizeof(use.address.bytes));
    key_uses_note(uses, number, &use);
}

static void the_first_use_of_a_second_and_secret_is_kept(void **state)
{
    (void)state;
    struct key_last_use use;
    assert_false(key_uses_read(uses, 7, &use));
    note(7, 100, 1, true);
    note(7, 100, 2, true);
    assert_true(key_uses_read(uses, 7, &use));
    assert_int_equal(use.at.us, 100 * S);
    assert_int_equal(use.address.bytes[15], 1);
    assert_true(use.by_previous && use.has_address);
    note(7, 100, 3, false); /* by the other secret: that is told though it is the same second */
    assert_true(key_uses_read(uses, 7, &use));
    assert_false(use.by_previous);
    note(7, 101, 3, false);
    assert_true(key_uses_read(uses, 7, &use));
    assert_int_equal(use.address.bytes[0], 3);
    assert_false(use.by_previous);
    note(7, 50, 4, false); /* a clock that was set back */
    assert_true(key_uses_read(uses, 7, &use));
    assert_int_equal(use.at.us, 50 * S);
    assert_false(key_uses_read(uses, 8, &use));
}

static void each_that_was_used_is_taken_once(void **state)
{
    (void)state;
    static uint8_t taken[MANY];
    uint32_t numbers[100];
    size_t count, all = 0;
    memset(taken, 0, sizeof(taken));
    assert_false(key_uses_are_new(uses));
    assert_int_equal(key_uses_take(uses, numbers, 100), 0);
    for (uint32_t i = 0; i < MANY; i += 97) {
        note(i, 1, 1, false);
    }
    while (key_uses_are_new(uses)) {
        count = key_uses_take(uses, numbers, 100);
        for (size_t i = 0; i < count; i++, all++) {
            assert_int_equal(numbers[i] % 97, 0);
            assert_int_equal(taken[numbers[i]]++, 0);
        }
    }
    assert_int_equal(all, (MANY + 96) / 97);
    key_uses_give_back(uses, 194);
    note(97, 2, 1, false);
    key_uses_forget(uses, 97);
    assert_int_equal(key_uses_take(uses, numbers, 100), 1);
    assert_int_equal(numbers[0], 194);
}

#define WRITERS 3
#define SECONDS 20000

static void *write_on(void *context)
{
    uint8_t address = *(uint8_t *)context;
    for (int64_t second = 1; second <= SECONDS; second++) {
        note(3, second * WRITERS + address, address, address % 2 == 0);
    }
    return NULL;
}

static void what_is_read_belongs_together(void **state)
{
    (void)state;
    pthread_t writers[WRITERS];
    uint8_t addresses[WRITERS] = {1, 2, 3};
    struct key_last_use use;
    uint32_t number;
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&writers[i], NULL, write_on, &addresses[i]), 0);
    }
    for (int i = 0; i < SECONDS; i++) {
        if (key_uses_read(uses, 3, &use)) {
            uint8_t address = use.address.bytes[0];
            assert_in_range(address, 1, WRITERS);
            assert_int_equal(address, use.address.bytes[15]);
            assert_int_equal(use.at.us / S % WRITERS, address % WRITERS);
            assert_int_equal(use.by_previous, address % 2 == 0);
        }
        (void)key_uses_take(uses, &number, 1);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(writers[i], NULL), 0);
    }
    note(3, 9, 1, false);
    assert_int_equal(key_uses_take(uses, &number, 1), 1);
    assert_int_equal(number, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_uses, close_uses)
    const struct CMUnitTest tests[] = {
        TEST(the_first_use_of_a_second_and_secret_is_kept),
        TEST(each_that_was_used_is_taken_once),
        TEST(what_is_read_belongs_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
