/* SPDX-License-Identifier: Apache-2.0 */
/* test_buf.c — a buffer grows to its maximum, remembers a failure, and consumes from the front. */
#include "unit.h"

#include "base/buf.h"

static void a_put_past_the_maximum_fails_once_and_for_all(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    buf_put_text(&b, "12345678");
    assert_false(buf_failed(&b));
    buf_put_byte(&b, '9');
    assert_true(buf_failed(&b));
    buf_clear(&b);
    buf_put_text(&b, "ab");
    assert_true(span_is(buf_span(&b), "ab"));
    buf_fini(&b);
}

static void consumed_space_is_used_again(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    for (int i = 0; i < 100; i++) {
        buf_put_text(&b, "abcde");
        buf_consume(&b, 3);
        buf_consume(&b, 2);
    }
    assert_false(buf_failed(&b));
    assert_int_equal(buf_span(&b).len, 0);
    buf_put_text(&b, "12345678");
    buf_consume(&b, 4);
    buf_put_text(&b, "wxyz");
    assert_true(span_is(buf_span(&b), "5678wxyz"));
    buf_fini(&b);
}

static void numbers_and_formats_are_written_whole(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    buf_put_u64(&b, 0);
    buf_put_byte(&b, ' ');
    buf_put_u64(&b, UINT64_MAX);
    buf_printf(&b, " %s-%d", "x", 7);
    assert_true(span_is(buf_span(&b), "0 18446744073709551615 x-7"));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_put_past_the_maximum_fails_once_and_for_all),
        cmocka_unit_test(consumed_space_is_used_again),
        cmocka_unit_test(numbers_and_formats_are_written_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
