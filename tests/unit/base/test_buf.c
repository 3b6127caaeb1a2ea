/* SPDX-License-Identifier: Apache-2.0 */
/* test_buf.c — a buffer grows to its maximum, remembers a failure, and consumes from the front. */
#include "unit.h"

#include "base/buf.h"
#include "base/memory.h"

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

static void a_counted_buffer_takes_its_room_from_the_allowance(void **state)
{
    (void)state;
    enum { ALLOWANCE = 1 << 20 };
    struct buf b;
    memory_set_allowance(ALLOWANCE);
    buf_init_counted(&b, 64 << 20, BUF_UNCOUNTED);
    assert_non_null(buf_reserve(&b, BUF_UNCOUNTED));
    assert_int_equal(memory_taken(), 0);
    while (buf_reserve(&b, 1000) != NULL) {
        buf_added(&b, 1000);
        assert_true(b.cap <= memory_taken() + BUF_UNCOUNTED);
    }
    assert_true(b.cap > ALLOWANCE / 4 && b.cap <= ALLOWANCE + BUF_UNCOUNTED);
    assert_int_equal(buf_error(&b), ERR_OVERLOADED);
    buf_clear(&b);
    assert_int_equal(memory_taken(), b.cap - BUF_UNCOUNTED); /* it keeps the memory */
    buf_fini(&b);
    assert_int_equal(memory_taken(), 0);
    assert_null(buf_reserve(&b, 2 * ALLOWANCE)); /* it counts still */
    memory_set_allowance(0);
    assert_null(buf_reserve(&b, 1));
    buf_fini(&b);
    assert_non_null(buf_reserve(&b, 2 * ALLOWANCE));
    assert_int_equal(memory_taken(), 2 * ALLOWANCE - BUF_UNCOUNTED);
    buf_fini(&b);
    assert_int_equal(memory_taken(), 0);
}

static void a_counted_block_is_there_or_it_is_not(void **state)
{
    (void)state;
    memory_set_allowance(4096);
    assert_null(memory_raw_counted(4096)); /* its own header counts, too */
    assert_null(memory_raw_counted(SIZE_MAX));
    void *block = memory_raw_counted(4000);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % 16, 0);
    assert_null(memory_raw_counted(4000));
    memory_free_counted(block);
    memory_free_counted(NULL);
    assert_int_equal(memory_taken(), 0);
    memory_set_allowance(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_put_past_the_maximum_fails_once_and_for_all),
        cmocka_unit_test(consumed_space_is_used_again),
        cmocka_unit_test(numbers_and_formats_are_written_whole),
        cmocka_unit_test(a_counted_buffer_takes_its_room_from_the_allowance),
        cmocka_unit_test(a_counted_block_is_there_or_it_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
