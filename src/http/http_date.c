/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_date.h"

#define DAY_S       86400
#define YEARS_AHEAD 50 /* RFC 9110 5.6.7: a year in two digits is not more than this ahead */

static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const long_days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* What is left of the text. Sticky: once something else was there than wanted, all is wrong. */
struct cursor {
    struct span left;
    bool wrong;
};

struct parts {
    int64_t year, month, day, hour, minute, second; /* month 0 to 11 */
};

static void take(struct cursor *c, const char *text)
{
    struct span wanted = span_of(text);
    c->wrong = c->wrong || !span_starts(c->left, wanted);
    c->left = span_cut(c->left, wanted.len, c->left.len);
}

static int64_t take_digits(struct cursor *c, size_t count)
{
    uint64_t value = 0;
    c->wrong =
        c->wrong || c->left.len < count || !span_to_u64(span_cut(c->left, 0, count), 9999, &value);
    c->left = span_cut(c->left, count, c->left.len);
    return (int64_t)value;
}

/* Which of the names comes. */
static int64_t take_name(struct cursor *c, const char *const *names, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (span_starts(c->left, span_of(names[i]))) {
            take(c, names[i]);
            return i;
        }
    }
    c->wrong = true;
    return 0;
}

static int64_t take_month(struct cursor *c)
{
    return take_name(c, months, 12);
}

static void take_clock(struct cursor *c, struct parts *p)
{
    p->hour = take_digits(c, 2);
    take(c, ":");
    p->minute = take_digits(c, 2);
    take(c, ":");
    p->second = take_digits(c, 2);
}

/* Days from 1970 to the first of January of `year`, which is 1 to 9999. */
static int64_t days_before(int64_t year)
{
    int64_t past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400 - 719162;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_time(const struct parts *p)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t most = lengths[p->month] + (p->month == 1 && is_leap(p->year) ? 1 : 0);
    return p->year >= 1 && p->day >= 1 && p->day <= most && p->hour <= 23 && p->minute <= 59 &&
           p->second <= 60; /* a leap second is one */
}

static int64_t seconds_of(const struct parts *p)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t day = days_before(p->year) + before[p->month] + p->day - 1;
    day += p->month > 1 && is_leap(p->year) ? 1 : 0;
    return ((day * 24 + p->hour) * 60 + p->minute) * 60 + p->second;
}

static int64_t year_of(wall_us at)
{
    int64_t day = at.us / 1000000 / DAY_S, year = 1970;
    while (year < 9999 && days_before(year + 1) <= day) {
        year++;
    }
    return year;
}

/* The last year with these two digits that is not more than fifty ahead. */
static int64_t whole_year(int64_t digits, wall_us now)
{
    int64_t last = year_of(now) + YEARS_AHEAD;
    return last - (last - digits) % 100;
}

static void parse_fixdate(struct cursor *c, struct parts *p)
{
    (void)take_name(c, days, 7); /* no matter which */
    take(c, ", ");
    p->day = take_digits(c, 2);
    take(c, " ");
    p->month = take_month(c);
    take(c, " ");
    p->year = take_digits(c, 4);
    take(c, " ");
    take_clock(c, p);
    take(c, " GMT");
}

static void parse_rfc850(struct cursor *c, struct parts *p, wall_us now)
{
    (void)take_name(c, long_days, 7); /* no matter which */
    take(c, ", ");
    p->day = take_digits(c, 2);
    take(c, "-");
    p->month = take_month(c);
    take(c, "-");
    p->year = whole_year(take_digits(c, 2), now);
    take(c, " ");
    take_clock(c, p);
    take(c, " GMT");
}

static void parse_asctime(struct cursor *c, struct parts *p)
{
    (void)take_name(c, days, 7); /* no matter which */
    take(c, " ");
    p->month = take_month(c);
    take(c, " ");
    if (span_starts(c->left, SPAN(" "))) {
        take(c, " ");
        p->day = take_digits(c, 1);
    } else {
        p->day = take_digits(c, 2);
    }
    take(c, " ");
    take_clock(c, p);
    take(c, " ");
    p->year = take_digits(c, 4);
}

enum err http_date_parse(struct span text, wall_us now, wall_us *out)
{
    struct cursor c = {.left = text};
    struct parts p = {0};
    size_t comma = span_find(text, ',', 0);
    if (comma == text.len) {
        parse_asctime(&c, &p);
    } else if (comma == 3) {
        parse_fixdate(&c, &p);
    } else {
        parse_rfc850(&c, &p, now);
    }
    if (c.wrong || c.left.len > 0 || !is_time(&p)) {
        return ERR_VALUE_INVALID;
    }
    out->us = seconds_of(&p) * 1000000;
    return ERR_OK;
}
