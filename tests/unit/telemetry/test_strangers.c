/* SPDX-License-Identifier: Apache-2.0 */
/* test_strangers.c — refusals are told once a second and address, the rest as a number. */
#include "unit.h"

#include <stdio.h>

#include "base/counter.h"
#include "base/log.h"
#include "telemetry/strangers.h"

#define SECOND(n) ((mono_us){(int64_t)(n)*1000000})

static struct strangers all;

static int start(void **state)
{
    (void)state;
    memset(&all, 0, sizeof(all));
    log_setup(LOG_ERROR, false); /* what is told is counted here, not printed */
    counter_thread_start();
    return 0;
}

static const struct stranger *entry_of(const char *address)
{
    for (size_t i = 0; i < STRANGERS; i++) {
        if (strcmp(all.at[i].address, address) == 0) {
            return &all.at[i];
        }
    }
    static const struct stranger none;
    fail_msg("%s has no entry", address);
    return &none;
}

static void those_of_one_second_are_told_as_a_number(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        strangers_note(&all, "192.0.2.1", ERR_KEY_INVALID, SECOND(7));
    }
    strangers_note(&all, "192.0.2.2", ERR_KEY_INVALID, SECOND(7));
    assert_int_equal(entry_of("192.0.2.1")->untold, 4);
    assert_int_equal(entry_of("192.0.2.2")->untold, 0);
    assert_true(strangers_tell(&all, SECOND(7))); /* the second is not over */
    assert_int_equal(entry_of("192.0.2.1")->untold, 4);
    strangers_note(&all, "192.0.2.1", ERR_KEY_INVALID, SECOND(8));
    assert_true(strangers_tell(&all, SECOND(8))); /* those before belong to the next number */
    assert_false(strangers_tell(&all, SECOND(9)));
    assert_int_equal(entry_of("192.0.2.1")->untold, 0);
}

static void addresses_without_number_share_the_last_entry(void **state)
{
    (void)state;
    char address[32];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(address, sizeof(address), "192.0.2.%d", i);
        strangers_note(&all, address, ERR_KEY_MISSING, SECOND(7));
    }
    assert_int_equal(entry_of("other addresses")->untold, 1000 - (STRANGERS - 1) - 1);
    assert_false(strangers_tell(&all, SECOND(8)));
    strangers_note(&all, "198.51.100.1", ERR_KEY_MISSING, SECOND(9)); /* one is silent by now */
    assert_int_equal(entry_of("198.51.100.1")->second, 9);
}

static bool try_key(const char *peer, const char *token, int second)
{
    strangers_note(&all, peer, ERR_KEY_INVALID, SECOND(second));
    return strangers_try(&all, peer, span_of(token), SECOND(second));
}

static void five_different_keys_in_a_minute_are_no_mistake(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_false(try_key("192.0.2.1", "the same", 60));
    }
    assert_false(try_key("192.0.2.1", "b", 61));
    assert_false(try_key("192.0.2.1", "c", 70));
    assert_false(try_key("192.0.2.2", "x", 70));
    assert_false(try_key("192.0.2.1", "d", 80));
    assert_true(try_key("192.0.2.1", "e", 119));
    assert_true(try_key("192.0.2.1", "f", 119));
    assert_true(try_key("192.0.2.1", "the same", 119));
    assert_false(try_key("192.0.2.1", "g", 120)); /* another minute */
    assert_false(try_key("192.0.2.2", "y", 120));
}

static void those_who_share_an_entry_are_not_one_who_tries_many(void **state)
{
    (void)state;
    char address[32];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(address, sizeof(address), "192.0.2.%d", i);
        assert_false(try_key(address, address, 7));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(those_of_one_second_are_told_as_a_number, start),
        cmocka_unit_test_setup(addresses_without_number_share_the_last_entry, start),
        cmocka_unit_test_setup(five_different_keys_in_a_minute_are_no_mistake, start),
        cmocka_unit_test_setup(those_who_share_an_entry_are_not_one_who_tries_many, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
