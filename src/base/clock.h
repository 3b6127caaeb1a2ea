/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h — two kinds of time that cannot be mixed up.
 *
 * mono_us counts microseconds since the machine started and never goes back: for waits and
 * durations. wall_us is microseconds since 1970 (UTC): for records, and it may jump.
 *
 * Threads  any.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t us;
} mono_us;

typedef struct {
    int64_t us;
} wall_us;

#define CLOCK_TEXT_BYTES 25 /* "2026-11-24T03:00:00.123Z" and its NUL */

mono_us clock_mono(void);
wall_us clock_wall(void);

/* The same as of the kernel's last tick, some milliseconds ago, for a fifth of the time. */
wall_us clock_wall_coarse(void);

/* `later` - `earlier`, in microseconds. */
static inline int64_t clock_since(mono_us earlier, mono_us later)
{
    return later.us - earlier.us;
}

static inline mono_us clock_after_ms(mono_us from, int64_t ms)
{
    return (mono_us){from.us + ms * 1000};
}

/* Writes `at` as RFC 3339 in UTC with milliseconds. */
void clock_text(wall_us at, char out[CLOCK_TEXT_BYTES]);

/* Writes the UTC day of `at` as "2026-11-24" and a NUL: 11 bytes. */
void clock_day(wall_us at, char out[11]);

#endif
