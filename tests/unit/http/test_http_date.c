/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_date.c — a time means the same however it is written. */
#include "unit.h"

#include "http/http_date.h"
#include "http/http_write.h"

#define NOW_S 1795489200 /* 2026-11-24T03:00:00Z */

static const struct {
    const char *text;
    int64_t seconds; /* since 1970; -1: it is no time */
} rows[] = {
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    {"Sun Nov 16 08:49:37 1994", 784975777},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Tue, 29 Feb 2000 12:00:00 GMT", 951825600},
    {"Wed, 01 Mar 2000 00:00:00 GMT", 951868800},
    {"Tue, 24 Nov 2026 03:00:00 GMT", NOW_S},
    {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800}, /* a leap second */
    {"Mon, 31 Dec 9999 23:59:59 GMT", 253402300799},
    {"Tuesday, 24-Nov-26 03:00:00 GMT", NOW_S},
    {"Friday, 31-Dec-76 23:59:59 GMT", 3376684799},  /* 2076: fifty years ahead, no more */
    {"Saturday, 01-Jan-77 00:00:00 GMT", 220924800}, /* 1977 */
    {"Fri, 01 Jan 2027 00:00:00 GMT", 1798761600},

    {"", -1},
    {"Sun", -1},
    {"soon", -1},
    {",", -1},
    {"120", -1},
    {"Sun, 06 Nov 1994 08:49:37", -1},
    {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
    {"Sun, 06 Nov 1994 08:49:37 GMT+1", -1},
    {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
    {"sun, 06 nov 1994 08:49:37 gmt", -1},
    {"Sun, 06 Nov 94 08:49:37 GMT", -1},
    {"Sun, 06 Non 1994 08:49:37 GMT", -1},
    {"Son, 06 Nov 1994 08:49:37 GMT", -1},
    {"Sun,  6 Nov 1994 08:49:37 GMT", -1},
    {"Sun, +6 Nov 1994 08:49:37 GMT", -1},
    {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
    {"Sun, 31 Nov 1994 08:49:37 GMT", -1},
    {"Mon, 29 Feb 2100 08:49:37 GMT", -1},
    {"Sun, 06 Nov 1994 24:00:00 GMT", -1},
    {"Sun, 06 Nov 1994 08:60:00 GMT", -1},
    {"Sun, 06 Nov 1994 08:49:61 GMT", -1},
    {"Sun, 06 Nov 0000 08:49:37 GMT", -1},
    {"Sun, 06-Nov-94 08:49:37 GMT", -1},
    {"Sunday, 06-Nov-1994 08:49:37 GMT", -1},
    {"Sun Nov 6 08:49:37 1994", -1},
    {"Sun Nov  6 08:49:37 1994 GMT", -1},
    {"1994-11-06T08:49:37Z", -1},
};

static void a_time_is_read_in_all_three_forms(void **state)
{
    (void)state;
    for (size_t r = 0; r < ROWS(rows); r++) {
        wall_us at = {-1000000};
        enum err e = http_date_parse(span_of(rows[r].text), (wall_us){NOW_S * 1000000LL}, &at);
        bool is_fine = rows[r].seconds < 0 ? e == ERR_VALUE_INVALID && at.us == -1000000
                                           : e == ERR_OK && at.us == rows[r].seconds * 1000000;
        if (!is_fine) {
            fail_msg("%s: %s, %lld", rows[r].text, err_name(e), (long long)at.us);
        }
    }
}

static void what_we_write_is_read_back_and_nothing_that_was_cut(void **state)
{
    (void)state;
    for (int64_t at_s = 0; at_s < 20000000000; at_s += 86399 * 97) {
        char text[HTTP_DATE_BYTES];
        wall_us at = {at_s * 1000000}, back;
        http_date(at, text);
        assert_int_equal(http_date_parse(span_of(text), at, &back), ERR_OK);
        assert_int_equal(back.us, at.us);
        size_t cut = (size_t)at_s % (HTTP_DATE_BYTES - 1);
        assert_int_equal(http_date_parse(span_make(text, cut), at, &back), ERR_VALUE_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_read_in_all_three_forms),
        cmocka_unit_test(what_we_write_is_read_back_and_nothing_that_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
