/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_name.c — the table of names and its recogniser. */
#include "unit.h"

#include "http/http_name.h"

static void every_name_of_the_table_is_found_in_any_case(void **state)
{
    (void)state;
    for (enum http_name id = HTTP_NAME_X_STAINLESS + 1; id < HTTP_NAME_COUNT; id++) {
        struct span text = http_name_text(id);
        uint8_t upper[64];
        for (size_t i = 0; i < text.len; i++) {
            uint8_t c = text.at[i];
            upper[i] = c >= 'a' && c <= 'z' ? (uint8_t)(c - 0x20) : c;
        }
        assert_int_equal(http_name_find(text), id);
        assert_int_equal(http_name_find(span_make(upper, text.len)), id);
        upper[text.len] = 'X';
        assert_int_equal(http_name_find(span_make(upper, text.len + 1)), HTTP_NAME_OTHER);
    }
}

static void a_name_without_a_row_is_other(void **state)
{
    (void)state;
    static const char *const names[] = {"", "x", "hos", "hst", "hxst", "x-custom", "X-Stainless-"};
    for (size_t r = 0; r < ROWS(names); r++) {
        assert_int_equal(http_name_find(span_of(names[r])), HTTP_NAME_OTHER);
    }
    assert_int_equal(http_name_text(HTTP_NAME_OTHER).len, 0);
}

static void what_starts_with_x_stainless_is_one_class(void **state)
{
    (void)state;
    assert_int_equal(http_name_find(SPAN("X-Stainless-Lang")), HTTP_NAME_X_STAINLESS);
    assert_int_equal(http_name_find(SPAN("x-stainless-retry-count")), HTTP_NAME_X_STAINLESS);
}

static void the_table_says_which_names_are_single_and_which_go_one_hop(void **state)
{
    (void)state;
    assert_true(http_name_is_hop(HTTP_NAME_UPGRADE));
    assert_true(http_name_is_hop(HTTP_NAME_TRANSFER_ENCODING));
    assert_false(http_name_is_hop(HTTP_NAME_HOST));
    assert_true((http_name_singles & HTTP_NAME_BIT(HTTP_NAME_AUTHORIZATION)) != 0);
    assert_true((http_name_singles & HTTP_NAME_BIT(HTTP_NAME_ACCEPT)) == 0);
    assert_true((http_name_singles & HTTP_NAME_BIT(HTTP_NAME_OTHER)) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_of_the_table_is_found_in_any_case),
        cmocka_unit_test(a_name_without_a_row_is_other),
        cmocka_unit_test(what_starts_with_x_stainless_is_one_class),
        cmocka_unit_test(the_table_says_which_names_are_single_and_which_go_one_hop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
