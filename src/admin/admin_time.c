/* SPDX-License-Identifier: Apache-2.0 */
/* Days and times as RFC 3339 writes them. */
#include "admin/admin_objects.h"

#include <stdio.h>

#define DAY_US    INT64_C(86400000000)
#define HOUR_US   INT64_C(3600000000)
#define MINUTE_US INT64_C(60000000)
#define DAY_HOURS 24

/* Reads the number of exactly `len` digits at `from`. */
static bool read_digits(struct span text, size_t from, size_t len, uint64_t most, int64_t *out)
{
    uint64_t number;
    if (from + len > text.len || !span_to_u64(span_cut(text, from, len), most, &number)) {
        return false;
    }
    *out = (int64_t)number;
    return true;
}

/* The number of a day (Hinnant, "chrono-Compatible Low-Level Date Algorithms"): years begin in
 * March, so that the leap day is a year's last. */
bool admin_day_read(struct span text, int32_t *out)
{
    int64_t year, month, day;
    if (text.len != 10 || text.at[4] != '-' || text.at[7] != '-' ||
        !read_digits(text, 0, 4, 9999, &year) || !read_digits(text, 5, 2, 12, &month) ||
        !read_digits(text, 8, 2, 31, &day) || year < 1970 || month < 1 || day < 1) {
        return false;
    }
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int32_t number =
        (int32_t)(y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468); /* 1970-01-01 */
    char again[11];
    clock_day((wall_us){number * DAY_US}, again);
    if (!span_is(text, again)) { /* February 30 is March 1 or 2 by now */
        return false;
    }
    *out = number;
    return true;
}

/* Takes ".123456" off the front of `rest`, if it is there, in microseconds. */
static bool read_fraction(struct span *rest, int64_t *us)
{
    size_t digits = 0;
    *us = 0;
    if (rest->len == 0 || rest->at[0] != '.') {
        return true;
    }
    for (size_t i = 1; i < rest->len && rest->at[i] >= '0' && rest->at[i] <= '9'; i++, digits++) {
        *us = digits < 6 ? *us * 10 + (rest->at[i] - '0') : *us;
    }
    for (size_t i = digits; i < 6; i++) {
        *us *= 10;
    }
    *rest = span_cut(*rest, digits + 1, rest->len);
    return digits > 0;
}

/* Reads "Z" or "+03:00": what to take off to have UTC. */
static bool read_zone(struct span zone, int64_t *us)
{
    int64_t hours, minutes;
    *us = 0;
    if (zone.len == 1) {
        return zone.at[0] == 'Z' || zone.at[0] == 'z';
    }
    if (zone.len != 6 || (zone.at[0] != '+' && zone.at[0] != '-') || zone.at[3] != ':' ||
        !read_digits(zone, 1, 2, 23, &hours) || !read_digits(zone, 4, 2, 59, &minutes)) {
        return false;
    }
    *us = (hours * 60 + minutes) * MINUTE_US * (zone.at[0] == '-' ? -1 : 1);
    return true;
}

bool admin_time_read(struct span text, wall_us *out)
{
    int32_t day;
    int64_t hour, minute, second, fraction, zone;
    if (text.len < 20 || !admin_day_read(span_cut(text, 0, 10), &day) ||
        (text.at[10] != 'T' && text.at[10] != 't') || text.at[13] != ':' || text.at[16] != ':' ||
        !read_digits(text, 11, 2, 23, &hour) || !read_digits(text, 14, 2, 59, &minute) ||
        !read_digits(text, 17, 2, 60, &second)) {
        return false;
    }
    struct span rest = span_cut(text, 19, text.len);
    if (!read_fraction(&rest, &fraction) || !read_zone(rest, &zone)) {
        return false;
    }
    out->us = day * DAY_US + (hour * 60 + minute) * MINUTE_US + second * 1000000 + fraction - zone;
    return out->us >= 0;
}

bool admin_hour_read(struct span text, int32_t *out)
{
    int32_t day;
    int64_t hour = 0;
    bool is_day = text.len == 10;
    struct span rest = span_cut(text, 13, text.len);
    if (!admin_day_read(span_cut(text, 0, 10), &day) ||
        (!is_day && (text.len < 14 || text.at[10] != 'T' || !read_digits(text, 11, 2, 23, &hour) ||
                     (!span_is(rest, ":00Z") && !span_is(rest, ":00:00Z"))))) {
        return false;
    }
    *out = day * DAY_HOURS + (int32_t)hour;
    return true;
}

void admin_hour_write(int32_t hour, char out[ADMIN_HOUR_BYTES])
{
    char day[11];
    clock_day((wall_us){hour * HOUR_US}, day);
    (void)snprintf(out, ADMIN_HOUR_BYTES, "%sT%02u:00Z", day,
                   (unsigned)hour % DAY_HOURS); /* it is not before 1970 */
}
