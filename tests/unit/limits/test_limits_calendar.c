/* SPDX-License-Identifier: Apache-2.0 */
/* test_limits_calendar.c — a window is what the people of its zone would say, wherever clocks are
 * changed. */
#include "unit.h"

#include <stdio.h>
#include <time.h>

#include "limits/limits_calendar.h"

#define HOUR_S INT64_C(3600)

/* "2026-11-29 18:00:00" of UTC. */
static wall_us utc(const char *text)
{
    struct tm tm = {0};
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    return (wall_us){(int64_t)timegm(&tm) * 1000000};
}

static struct limits_zone *zone_of(const char *name)
{
    struct limits_zone *zone = NULL;
    if (limits_zone_open(name, &zone) != ERR_OK) {
        fail_msg("no zone %s: is tzdata installed?", name);
    }
    return zone;
}

static void windows_are_those_of_the_clock_on_the_wall(void **state)
{
    (void)state;
    static const struct {
        const char *why, *zone;
        enum limits_span span;
        int week_start;
        const char *at, *from, *to;
    } rows[] = {
        {"a day", "UTC", LIMITS_DAY, 1, "2026-11-29 18:00:00", "2026-11-29 00:00:00",
         "2026-11-30 00:00:00"},
        {"its first second", "UTC", LIMITS_DAY, 1, "2026-11-29 00:00:00", "2026-11-29 00:00:00",
         "2026-11-30 00:00:00"},
        {"its last second", "UTC", LIMITS_DAY, 1, "2026-11-29 23:59:59", "2026-11-29 00:00:00",
         "2026-11-30 00:00:00"},
        {"ahead of UTC", "Asia/Riyadh", LIMITS_DAY, 1, "2026-11-29 21:00:00", "2026-11-29 21:00:00",
         "2026-11-30 21:00:00"},
        {"half an hour", "Asia/Kolkata", LIMITS_DAY, 1, "2026-11-29 18:29:59",
         "2026-11-28 18:30:00", "2026-11-29 18:30:00"},
        {"three quarters", "Asia/Kathmandu", LIMITS_DAY, 1, "2026-11-29 18:15:00",
         "2026-11-29 18:15:00", "2026-11-30 18:15:00"},
        {"behind UTC", "America/St_Johns", LIMITS_DAY, 1, "2026-01-01 03:29:59",
         "2025-12-31 03:30:00", "2026-01-01 03:30:00"},
        {"23 hours", "Europe/London", LIMITS_DAY, 1, "2026-03-29 12:00:00", "2026-03-29 00:00:00",
         "2026-03-29 23:00:00"},
        {"25 hours", "Europe/London", LIMITS_DAY, 1, "2026-10-25 12:00:00", "2026-10-24 23:00:00",
         "2026-10-26 00:00:00"},
        {"no midnight", "Africa/Cairo", LIMITS_DAY, 1, "2026-04-24 06:00:00", "2026-04-23 22:00:00",
         "2026-04-24 21:00:00"},
        {"clocks go back at 24:00", "Africa/Cairo", LIMITS_DAY, 1, "2026-10-29 20:30:00",
         "2026-10-28 21:00:00", "2026-10-29 22:00:00"},
        {"two midnights", "America/Havana", LIMITS_DAY, 1, "2020-11-01 12:00:00",
         "2020-11-01 04:00:00", "2020-11-02 05:00:00"},
        {"23 hours and a half", "Australia/Lord_Howe", LIMITS_DAY, 1, "2026-10-04 12:59:59",
         "2026-10-03 13:30:00", "2026-10-04 13:00:00"},
        {"24 hours and a half", "Australia/Lord_Howe", LIMITS_DAY, 1, "2026-04-05 13:29:59",
         "2026-04-04 13:00:00", "2026-04-05 13:30:00"},
        {"before a day that never was", "Pacific/Apia", LIMITS_DAY, 1, "2011-12-30 09:59:59",
         "2011-12-29 10:00:00", "2011-12-30 10:00:00"},
        {"after it", "Pacific/Apia", LIMITS_DAY, 1, "2011-12-30 10:00:00", "2011-12-30 10:00:00",
         "2011-12-31 10:00:00"},
        {"a leap day of Riyadh's", "Asia/Riyadh", LIMITS_DAY, 1, "2028-02-28 21:00:00",
         "2028-02-28 21:00:00", "2028-02-29 21:00:00"},
        {"a week over a leap day", "UTC", LIMITS_WEEK, 1, "2028-02-29 12:00:00",
         "2028-02-28 00:00:00", "2028-03-06 00:00:00"},
        {"a week of 167 hours", "Europe/London", LIMITS_WEEK, 1, "2026-03-29 22:59:59",
         "2026-03-23 00:00:00", "2026-03-29 23:00:00"},
        {"a month's last second by half hours", "Asia/Kolkata", LIMITS_MONTH, 1,
         "2026-11-30 18:29:59", "2026-10-31 18:30:00", "2026-11-30 18:30:00"},
        {"a month in which clocks change", "Africa/Cairo", LIMITS_MONTH, 1, "2026-04-30 20:59:59",
         "2026-03-31 22:00:00", "2026-04-30 21:00:00"},
        {"a week from Monday", "UTC", LIMITS_WEEK, 1, "2026-11-29 18:00:00", "2026-11-23 00:00:00",
         "2026-11-30 00:00:00"},
        {"a week from Sunday", "Asia/Riyadh", LIMITS_WEEK, 0, "2026-11-29 18:00:00",
         "2026-11-28 21:00:00", "2026-12-05 21:00:00"},
        {"a week from Saturday", "UTC", LIMITS_WEEK, 6, "2026-11-29 18:00:00",
         "2026-11-28 00:00:00", "2026-12-05 00:00:00"},
        {"over the year's end", "UTC", LIMITS_WEEK, 1, "2027-01-01 00:00:00", "2026-12-28 00:00:00",
         "2027-01-04 00:00:00"},
        {"before 1970", "UTC", LIMITS_WEEK, 1, "1969-12-31 00:00:00", "1969-12-29 00:00:00",
         "1970-01-05 00:00:00"},
        {"a month", "UTC", LIMITS_MONTH, 1, "2026-11-30 23:59:59", "2026-11-01 00:00:00",
         "2026-12-01 00:00:00"},
        {"December", "UTC", LIMITS_MONTH, 1, "2026-12-31 23:59:59", "2026-12-01 00:00:00",
         "2027-01-01 00:00:00"},
        {"February", "UTC", LIMITS_MONTH, 1, "2026-02-28 23:59:59", "2026-02-01 00:00:00",
         "2026-03-01 00:00:00"},
        {"with a leap day", "UTC", LIMITS_MONTH, 1, "2028-02-29 12:00:00", "2028-02-01 00:00:00",
         "2028-03-01 00:00:00"},
        {"a century without one", "UTC", LIMITS_MONTH, 1, "2100-02-28 12:00:00",
         "2100-02-01 00:00:00", "2100-03-01 00:00:00"},
        {"one with", "UTC", LIMITS_MONTH, 1, "2000-02-29 12:00:00", "2000-02-01 00:00:00",
         "2000-03-01 00:00:00"},
        {"a month of Riyadh's", "Asia/Riyadh", LIMITS_MONTH, 1, "2026-11-30 21:00:00",
         "2026-11-30 21:00:00", "2026-12-31 21:00:00"},
    };

    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct limits_zone *zone = zone_of(rows[r].zone);
        struct limits_range range =
            limits_range_of(zone, rows[r].span, rows[r].week_start, utc(rows[r].at));
        if (range.from.us != utc(rows[r].from).us || range.to.us != utc(rows[r].to).us) {
            fail_msg("%s: from %s + %lld s to %s + %lld s", rows[r].why, rows[r].from,
                     (long long)((range.from.us - utc(rows[r].from).us) / 1000000), rows[r].to,
                     (long long)((range.to.us - utc(rows[r].to).us) / 1000000));
        }
        limits_zone_close(&zone);
    }
}

static void windows_follow_each_other_without_gap_or_overlap(void **state)
{
    (void)state;
    static const char *const zones[] = {
        "UTC",         "Asia/Riyadh",       "Africa/Cairo",        "America/Havana",
        "Asia/Beirut", "Europe/London",     "Australia/Lord_Howe", "Pacific/Apia",
        "Asia/Tehran", "America/Sao_Paulo", "Africa/Casablanca",   "Asia/Gaza"};
    uint64_t random = 1;
    for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
        struct limits_zone *zone = zone_of(zones[z]);
        for (int i = 0; i < 3000; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            wall_us at = {(int64_t)(random >> 20) % (INT64_C(130) * 365 * 24 * HOUR_S) * 1000000};
            enum limits_span span = (enum limits_span)(random % 3);
            struct limits_range range = limits_range_of(zone, span, 0, at);
            struct limits_range next = limits_range_of(zone, span, 0, range.to);
            struct limits_range last = limits_range_of(zone, span, 0, (wall_us){range.to.us - 1});
            if (at.us < range.from.us || at.us >= range.to.us || next.from.us != range.to.us ||
                last.from.us != range.from.us) {
                fail_msg("%s, %d, %lld: %lld to %lld, then from %lld", zones[z], (int)span,
                         (long long)at.us, (long long)range.from.us, (long long)range.to.us,
                         (long long)next.from.us);
            }
        }
        limits_zone_close(&zone);
    }
}

static void a_total_has_no_end_and_a_zone_must_be_known(void **state)
{
    (void)state;
    struct limits_zone *zone = NULL;
    assert_int_equal(limits_zone_open("Asia/Atlantis", &zone), ERR_VALUE_INVALID);
    assert_int_equal(limits_zone_open("", &zone), ERR_VALUE_INVALID);
    assert_null(zone);
    zone = zone_of("UTC");
    assert_true(limits_range_of(zone, LIMITS_TOTAL, 1, utc("2026-11-29 18:00:00")).to.us ==
                LIMITS_NEVER_US);
    limits_zone_close(&zone);
    assert_null(zone);
    limits_zone_close(&zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_those_of_the_clock_on_the_wall),
        cmocka_unit_test(windows_follow_each_other_without_gap_or_overlap),
        cmocka_unit_test(a_total_has_no_end_and_a_zone_must_be_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
