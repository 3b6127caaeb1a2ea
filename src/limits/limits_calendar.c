/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_calendar.c — civil dates by arithmetic, offsets from UTC by GLib.
 *
 * A date is a number of days since 1970-01-01 in local time. GLib is asked for two things alone,
 * and neither allocates or locks: what a moment's offset is, and at which moments a local time
 * stands on the clock.
 */
#include "limits/limits_calendar.h"

#include <glib.h>

#include "base/zone.h"

#define DAY_S INT64_C(86400)

struct limits_zone {
    GTimeZone *zone; /* this struct is never made: a pointer to it is one to a GTimeZone */
};

static GTimeZone *glib_of(const struct limits_zone *zone)
{
    return (GTimeZone *)(uintptr_t)zone; /* GLib's readers take no const */
}

enum err limits_zone_open(const char *name, struct limits_zone **out)
{
    GTimeZone *zone = zone_is_known(name) ? g_time_zone_new_identifier(name) : NULL;
    if (zone == NULL) {
        return ERR_VALUE_INVALID;
    }
    *out = (struct limits_zone *)zone;
    return ERR_OK;
}

void limits_zone_close(struct limits_zone **zone)
{
    if (*zone != NULL) {
        g_time_zone_unref(glib_of(*zone));
        *zone = NULL;
    }
}

/* ---- dates ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Months since March of year 0, which is when a leap day falls at the end of a year. */
static int64_t days_of_month(int64_t month)
{
    int64_t year = floor_div(month, 12);
    int64_t of_year = month - year * 12;
    return year * 365 + floor_div(year, 4) - floor_div(year, 100) + floor_div(year, 400) +
           (153 * of_year + 2) / 5 - 719468;
}

/* The month that a day is in. */
static int64_t month_of_days(int64_t day)
{
    int64_t month = floor_div((day + 719468) * 4800, 146097); /* right, or off by one */
    while (days_of_month(month) > day) {
        month--;
    }
    while (days_of_month(month + 1) <= day) {
        month++;
    }
    return month;
}

/* ---- moments ---- */

static int64_t offset_at(const struct limits_zone *zone, int64_t second)
{
    int at = g_time_zone_find_interval(glib_of(zone), G_TIME_TYPE_UNIVERSAL, second);
    return g_time_zone_get_offset(glib_of(zone), at);
}

static int64_t local_day(const struct limits_zone *zone, int64_t second)
{
    return floor_div(second + offset_at(zone, second), DAY_S);
}

/* The end of the gap in which the clock leaves this local time out. */
static int64_t behind_gap(const struct limits_zone *zone, int64_t local)
{
    gint64 shown = local;
    int at = g_time_zone_adjust_time(glib_of(zone), G_TIME_TYPE_STANDARD, &shown);
    return shown - g_time_zone_get_offset(glib_of(zone), at);
}

/* When a local day begins. An offset is that of the day before, or that of the day after. */
static wall_us midnight(const struct limits_zone *zone, int64_t day)
{
    int64_t local = day * DAY_S;
    int64_t moment = behind_gap(zone, local);
    for (int64_t near = local + DAY_S; near >= local - DAY_S; near -= 2 * DAY_S) {
        int64_t second = local - offset_at(zone, near);
        moment =
            second + offset_at(zone, second) == local ? second : moment; /* the first, at last */
    }
    return (wall_us){moment * 1000000};
}

struct limits_range limits_range_of(const struct limits_zone *zone, enum limits_span span,
                                    int week_start, wall_us at)
{
    if (span == LIMITS_TOTAL) {
        return (struct limits_range){{0}, {LIMITS_NEVER_US}};
    }
    int64_t first = local_day(zone, floor_div(at.us, 1000000));
    int64_t next = first + 1;
    if (span == LIMITS_WEEK) {
        int64_t week_day = first + 4 - floor_div(first + 4, 7) * 7; /* 1970-01-01: a Thursday */
        first -= (week_day - week_start + 7) % 7;
        next = first + 7;
    } else if (span == LIMITS_MONTH) {
        int64_t month = month_of_days(first);
        first = days_of_month(month);
        next = days_of_month(month + 1);
    }
    return (struct limits_range){midnight(zone, first), midnight(zone, next)};
}
