/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/doctor_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>

#include "base/clock.h"
#include "cli/cli_data.h"

#define FILES_LEAST 1024
#define OLDEST_CLOCK_US                                                       \
    ((int64_t)1793491200000000) /* 1 November 2026: no clock was right before \
                                 */
#define HOUR_US ((int64_t)3600 * 1000000)

static void check_clock(struct doctor *d)
{
    struct timex state = {.modes = 0};
    char path[CLI_PATH_MAX];
    struct stat st;
    char now[CLOCK_TEXT_BYTES];
    wall_us wall = clock_wall();
    clock_text(wall, now);
    bool is_behind = wall.us < OLDEST_CLOCK_US;
    if (cli_data_path(d->settings->data, CLI_STORE_FILE, path) == ERR_OK && stat(path, &st) == 0) {
        is_behind = is_behind || (int64_t)st.st_mtime * 1000000 > wall.us + HOUR_US;
    }
    if (is_behind) {
        doctor_say(
            d, DOCTOR_FAIL, "clock",
            "it says %s, which is past already: keys and records would get wrong times — set "
            "it, and start a time service",
            now);
    } else if (adjtimex(&state) == TIME_ERROR) {
        doctor_say(d, DOCTOR_WARN, "clock",
                   "it says %s, but no time service keeps it right — start chrony or "
                   "systemd-timesyncd",
                   now);
    } else {
        doctor_say(d, DOCTOR_OK, "clock", "it says %s and is kept right", now);
    }
}

/* A call takes a client connection and, while it is served, an upstream's. */
static void check_files(struct doctor *d)
{
    struct rlimit limit;
    uint64_t need = (uint64_t)d->settings->server.connections_max +
                    (uint64_t)d->settings->gateway.calls_max +
                    (uint64_t)settings_files_beside(d->settings);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        doctor_say(d, DOCTOR_WARN, "open files", "the limit cannot be read: %s",
                   strerrordesc_np(errno));
        return;
    }
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < need) {
        doctor_say(d, limit.rlim_max < FILES_LEAST ? DOCTOR_FAIL : DOCTOR_WARN, "open files",
                   "the limit is %llu; client.connections_max and calls.max together need %llu, "
                   "so fewer clients are let in — raise LimitNOFILE of the service, or lower the "
                   "two",
                   (unsigned long long)limit.rlim_max, (unsigned long long)need);
        return;
    }
    doctor_say(d, DOCTOR_OK, "open files", "the limit leaves room for %lld connections",
               (long long)d->settings->server.connections_max);
}

void doctor_check_machine(struct doctor *d)
{
    check_clock(d);
    check_files(d);
}
