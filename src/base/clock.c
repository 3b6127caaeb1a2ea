/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

mono_us clock_mono(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* this clock always exists */
    return (mono_us){(int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000};
}

wall_us clock_wall(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* this clock always exists */
    return (wall_us){(int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000};
}

static struct tm utc(wall_us at)
{
    time_t seconds = (time_t)(at.us / 1000000);
    struct tm parts;
    CHECK(gmtime_r(&seconds, &parts) != NULL);
    return parts;
}

void clock_text(wall_us at, char out[CLOCK_TEXT_BYTES])
{
    struct tm t = utc(at);
    char text[64];
    (void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900,
                   t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
                   (int)(at.us / 1000 % 1000)); /* fits: ten numbers of known width */
    memcpy(out, text, CLOCK_TEXT_BYTES - 1);
    out[CLOCK_TEXT_BYTES - 1] = '\0';
}

void clock_day(wall_us at, char out[11])
{
    char text[CLOCK_TEXT_BYTES];
    clock_text(at, text);
    memcpy(out, text, 10);
    out[10] = '\0';
}
