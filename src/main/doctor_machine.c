/* SPDX-License-Identifier: Apache-2.0 */
#include "main/doctor.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "crypto/random.h"
#include "keys/key_pepper.h"
#include "keys/keys.h"
#include "main/data_folder.h"

#define MIB            ((uint64_t)1 << 20)
#define FILES_FOR_ELSE 256 /* loops, logs, the journal, the store */
#define OLDEST_CLOCK_US                                                       \
    ((int64_t)1793491200000000) /* 1 November 2026: no clock was right before \
                                 */
#define HOUR_US ((int64_t)3600 * 1000000)

static void check_folder(struct doctor *d)
{
    const char *folder = d->settings->data;
    struct stat st;
    if (stat(folder, &st) != 0) {
        doctor_say(d, DOCTOR_FAIL, "data folder", "%s: %s — `atlas init --config %s` makes it",
                   folder, strerrordesc_np(errno), d->settings->path);
    } else if (!S_ISDIR(st.st_mode)) {
        doctor_say(d, DOCTOR_FAIL, "data folder", "%s is not a folder — set `data:` to one",
                   folder);
    } else if (access(folder, R_OK | W_OK | X_OK) != 0) {
        doctor_say(d, DOCTOR_FAIL, "data folder",
                   "%s cannot be written by user %d — run Atlas as its owner, user %d", folder,
                   (int)geteuid(), (int)st.st_uid);
    } else if ((st.st_mode & 0077) != 0) {
        doctor_say(d, DOCTOR_WARN, "data folder", "other users may enter %s — chmod 700 %s", folder,
                   folder);
    } else {
        doctor_say(d, DOCTOR_OK, "data folder", "%s is its owner's alone", folder);
    }
}

static void check_contents(struct doctor *d)
{
    char pepper[MAIN_PATH_MAX];
    char store[MAIN_PATH_MAX];
    struct key_peppers peppers;
    if (main_data_path(d->settings->data, KEYS_PEPPER_FILE, pepper) != ERR_OK ||
        main_data_path(d->settings->data, MAIN_STORE_FILE, store) != ERR_OK) {
        doctor_say(d, DOCTOR_FAIL, "data folder", "its path is too long");
        return;
    }
    if (access(store, F_OK) != 0) {
        doctor_say(d, DOCTOR_FAIL, "store", "%s: %s — `atlas init --config %s` makes it", store,
                   strerrordesc_np(errno), d->settings->path);
    } else {
        doctor_say(d, DOCTOR_OK, "store", "%s is there", store);
    }
    if (key_peppers_read(pepper, &peppers) == ERR_OK) {
        crypto_wipe(&peppers, sizeof(peppers));
        doctor_say(d, DOCTOR_OK, "pepper", "%s can be read by its owner only", pepper);
    } else {
        doctor_say(d, DOCTOR_FAIL, "pepper",
                   "%s is missing, damaged, or not its owner's alone — chmod 600 it, or restore it "
                   "from a backup; without it no key is valid",
                   pepper);
    }
}

static void check_disk(struct doctor *d)
{
    struct statvfs fs;
    uint64_t segment = (uint64_t)d->settings->journal.segment_bytes;
    if (statvfs(d->settings->data, &fs) != 0) {
        return; /* check_folder() has said that it is not there */
    }
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes < 2 * segment) {
        doctor_say(
            d, DOCTOR_FAIL, "disk",
            "%llu MiB are free, and a full disk stops all calls — make room, or move `data:`",
            (unsigned long long)(free_bytes / MIB));
    } else if (free_bytes < 1024 * MIB || free_bytes < 8 * segment) {
        doctor_say(d, DOCTOR_WARN, "disk",
                   "only %llu MiB are free, and a full disk stops all calls — make room soon",
                   (unsigned long long)(free_bytes / MIB));
    } else {
        doctor_say(d, DOCTOR_OK, "disk", "%llu MiB are free",
                   (unsigned long long)(free_bytes / MIB));
    }
}

void doctor_check_data(struct doctor *d)
{
    check_folder(d);
    check_contents(d);
    check_disk(d);
}

static void check_clock(struct doctor *d)
{
    struct timex state = {.modes = 0};
    char path[MAIN_PATH_MAX];
    struct stat st;
    char now[CLOCK_TEXT_BYTES];
    wall_us wall = clock_wall();
    clock_text(wall, now);
    bool is_behind = wall.us < OLDEST_CLOCK_US;
    if (main_data_path(d->settings->data, MAIN_STORE_FILE, path) == ERR_OK &&
        stat(path, &st) == 0) {
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
                    (uint64_t)d->settings->gateway.calls_max + FILES_FOR_ELSE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        doctor_say(d, DOCTOR_WARN, "open files", "the limit cannot be read: %s",
                   strerrordesc_np(errno));
        return;
    }
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < need) {
        doctor_say(d, DOCTOR_WARN, "open files",
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
