/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_calendar.h — the windows of budgets: days, weeks and months as people of a time zone count
 * them.
 *
 * A day lasts from one local midnight to the next, so it has 23 or 25 hours where clocks are
 * changed. A midnight that is left out (clocks go forward at 00:00, as in Egypt) is the moment
 * after the gap; one that comes twice is the first. Windows of one kind follow each other without
 * gap or overlap.
 *
 * Ownership  limits_zone_open() hands the zone to the caller, who gives it back to
 *            limits_zone_close(); all zones of one name are one.
 * Threads    limits_zone_open() and close on one thread at a time; the others any, at any time.
 * Sources    the IANA time zone database, as GLib's GTimeZone reads it; docs/decisions/0087.
 */
#ifndef LIMITS_LIMITS_CALENDAR_H
#define LIMITS_LIMITS_CALENDAR_H

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"

enum limits_span { LIMITS_DAY, LIMITS_WEEK, LIMITS_MONTH, LIMITS_TOTAL };

#define LIMITS_NEVER_US INT64_MAX

struct limits_zone;

/*
 * The zone of this IANA name: "Asia/Riyadh", "UTC".
 *
 *   ERR_VALUE_INVALID  this machine knows no such zone
 */
MUST_USE enum err limits_zone_open(const char *name, struct limits_zone **out);

/* Closes `*zone` and sets it to NULL. Does nothing if it is NULL already. */
void limits_zone_close(struct limits_zone **zone);

/* From when to when a window lasts: the end is no part of it. */
struct limits_range {
    wall_us from;
    wall_us to; /* LIMITS_NEVER_US: it does not end */
};

/* The window that `at` is in. `week_start`: the first day of a week, 0 for Sunday to 6. */
struct limits_range limits_range_of(const struct limits_zone *zone, enum limits_span span,
                                    int week_start, wall_us at);

#endif
