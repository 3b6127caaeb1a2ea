/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <string.h>
#include <time.h>

#include "base/check.h"

mono_us clock_mono(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* this clock always exists */
    return (mono_us){(int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000};
}

wall_us clock_wall_coarse(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now); /* this clock always exists */
    return (wall_us){(int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000};
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

static char *put_two(char *to, int number, char behind)
{
    to[0] = (char)('0' + number / 10);
    to[1] = (char)('0' + number % 10);
    to[2] = behind;
    return to + 3;
}

/* A line a call has one: printf() would be the most of it. */
void clock_text(wall_us at, char out[CLOCK_TEXT_BYTES])
{
    struct tm t = utc(at);
    int year = t.tm_year + 1900, ms = (int)(at.us / 1000 % 1000);
    char *to = put_two(out, year / 100 % 100, '0');
    to = put_two(to - 1, year % 100, '-');
    to = put_two(to, t.tm_mon + 1, '-');
    to = put_two(to, t.tm_mday, 'T');
    to = put_two(to, t.tm_hour, ':');
    to = put_two(to, t.tm_min, ':');
    to = put_two(to, t.tm_sec, '.');
    to = put_two(to, ms / 10, (char)('0' + ms % 10));
    memcpy(to, "Z", 2);
}

void clock_day(wall_us at, char out[11])
{
    char text[CLOCK_TEXT_BYTES];
    clock_text(at, text);
    memcpy(out, text, 10);
    out[10] = '\0';
}
