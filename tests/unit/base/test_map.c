/* SPDX-License-Identifier: Apache-2.0 */
/* test_map.c — what is put is found, whatever its size and however many. */
#include "unit.h"

#include <stdio.h>

#include "base/map.h"

static void ten_thousand_keys_are_found_and_no_other(void **state)
{
    (void)state;
    static char keys[10000][16];
    struct map m;
    map_init(&m);
    assert_null(map_find(&m, SPAN("0")));
    for (size_t i = 0; i < ROWS(keys); i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "key-%zu", i);
        assert_int_equal(map_put_borrow(&m, span_of(keys[i]), keys[i]), ERR_OK);
    }
    assert_int_equal(m.count, ROWS(keys));
    for (size_t i = 0; i < ROWS(keys); i++) {
        assert_ptr_equal(map_find(&m, span_of(keys[i])), keys[i]);
    }
    assert_null(map_find(&m, SPAN("key-10000")));
    map_fini(&m);
}

static void what_is_taken_out_is_gone_and_nothing_else_is(void **state)
{
    (void)state;
    static char keys[3000][16];
    struct map m;
    map_init(&m);
    map_take(&m, SPAN("key-0"));
    for (size_t i = 0; i < ROWS(keys); i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "key-%zu", i);
        assert_int_equal(map_put_borrow(&m, span_of(keys[i]), keys[i]), ERR_OK);
    }
    for (size_t i = 0; i < ROWS(keys); i += 3) {
        map_take(&m, span_of(keys[i]));
        map_take(&m, span_of(keys[i]));
    }
    assert_int_equal(m.count, ROWS(keys) / 3 * 2);
    for (size_t i = 0; i < ROWS(keys); i++) {
        assert_ptr_equal(map_find(&m, span_of(keys[i])), i % 3 == 0 ? NULL : keys[i]);
    }
    map_fini(&m);
}

static void putting_twice_replaces(void **state)
{
    (void)state;
    int a, b;
    struct map m;
    map_init(&m);
    assert_int_equal(map_put_borrow(&m, SPAN("k"), &a), ERR_OK);
    assert_int_equal(map_put_borrow(&m, SPAN("k"), &b), ERR_OK);
    assert_int_equal(m.count, 1);
    assert_ptr_equal(map_find(&m, SPAN("k")), &b);
    map_fini(&m);
}

static void the_empty_key_is_a_key(void **state)
{
    (void)state;
    int a;
    struct map m;
    map_init(&m);
    assert_int_equal(map_put_borrow(&m, (struct span){NULL, 0}, &a), ERR_OK);
    assert_ptr_equal(map_find(&m, SPAN("")), &a);
    map_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_keys_are_found_and_no_other),
        cmocka_unit_test(what_is_taken_out_is_gone_and_nothing_else_is),
        cmocka_unit_test(putting_twice_replaces),
        cmocka_unit_test(the_empty_key_is_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
