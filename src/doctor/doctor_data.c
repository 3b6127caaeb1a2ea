/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/doctor_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/cli_data.h"
#include "crypto/random.h"
#include "journal/journal_reader.h"
#include "keys/key_pepper.h"
#include "keys/keys.h"
#include "store/store.h"

#define MIB ((uint64_t)1 << 20)

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

static void check_pepper(struct doctor *d)
{
    char path[CLI_PATH_MAX];
    struct key_peppers peppers;
    enum err e = cli_data_path(d->settings->data, KEYS_PEPPER_FILE, path);
    if (e == ERR_OK) {
        e = key_peppers_read(path, &peppers);
    }
    if (e == ERR_OK) {
        crypto_wipe(&peppers, sizeof(peppers));
        doctor_say(d, DOCTOR_OK, "pepper", "%s can be read by its owner only", path);
    } else if (e == ERR_PEPPER_OPEN) {
        doctor_say(d, DOCTOR_FAIL, "pepper",
                   "%s is not the file of this user alone — chmod 600 %s, and chown it", path,
                   path);
    } else {
        doctor_say(
            d, DOCTOR_FAIL, "pepper",
            "%s is missing or damaged — restore it from a backup; without it no key is valid",
            path);
    }
}

/* The store says which record of the journal it has seen. False if it cannot be used. */
static bool check_store(struct doctor *d, uint64_t *seen)
{
    char path[CLI_PATH_MAX];
    char complaint[STORE_COMPLAINT_BYTES] = "";
    enum err e = cli_data_path(d->settings->data, CLI_STORE_FILE, path);
    if (e == ERR_OK && access(path, F_OK) != 0) {
        doctor_say(d, DOCTOR_FAIL, "store", "%s: %s — `atlas init --config %s` makes it", path,
                   strerrordesc_np(errno), d->settings->path);
        return false;
    }
    if (e == ERR_OK) {
        e = cli_data_look(d->settings->data, complaint, seen);
    }
    if (e == ERR_STORE_NEWER) {
        doctor_say(d, DOCTOR_FAIL, "store",
                   "a newer Atlas wrote %s — install that version, or restore a backup", path);
    } else if (e == ERR_STORE_CORRUPT) {
        doctor_say(
            d, DOCTOR_FAIL, "store",
            "%s is damaged (%s) — restore a backup; usage is summed up again from the journal",
            path, complaint);
    } else if (e != ERR_OK) {
        doctor_say(d, DOCTOR_FAIL, "store", "%s: %s (%s) — is it Atlas's, and this user's?", path,
                   err_sentence(e), complaint);
    } else {
        doctor_say(d, DOCTOR_OK, "store", "%s is sound", path);
    }
    return e == ERR_OK;
}

/* Reads the journal from the record `seen` on; `*last` is the last one that is there. */
static enum err read_journal(const char *folder, uint64_t seen, struct journal_place *place,
                             uint64_t *last)
{
    struct journal_reader *r = NULL;
    struct journal_group *group = memory_new(sizeof(*group));
    uint64_t first;
    enum err e = group == NULL ? ERR_NO_MEMORY : journal_reader_open(folder, seen, place, &r);
    *last = 0;
    while (e == ERR_OK) {
        e = journal_reader_next(r, group, &first);
        *last = e == ERR_OK ? group->commit.last_sequence : *last;
        *place = journal_reader_place(r);
    }
    journal_reader_close(&r);
    memory_free(group);
    return e;
}

static void check_journal(struct doctor *d, uint64_t seen)
{
    char folder[CLI_PATH_MAX];
    struct journal_place place = {0};
    uint64_t last = 0;
    enum err e = cli_data_path(d->settings->data, "journal", folder);
    if (e == ERR_OK && access(folder, F_OK) != 0 && seen == 0) {
        doctor_say(d, DOCTOR_OK, "journal", "`atlas serve` makes it");
        return;
    }
    if (e == ERR_OK) {
        e = read_journal(folder, seen, &place, &last);
    }
    if (e == ERR_JOURNAL_BROKEN) {
        doctor_say(d, DOCTOR_FAIL, "journal",
                   "%s/%s is damaged at byte %llu — keep it, and see docs/operating.md", folder,
                   place.file, (unsigned long long)place.offset);
    } else if (e != ERR_NOT_FOUND_ROW) {
        doctor_say(d, DOCTOR_FAIL, "journal", "%s cannot be read: %s — is it this user's?", folder,
                   err_sentence(e));
    } else if (last < seen) {
        doctor_say(d, DOCTOR_FAIL, "journal",
                   "%s lacks records that the store has seen, up to %llu — find the segments, or "
                   "see docs/operating.md",
                   folder, (unsigned long long)seen);
    } else {
        doctor_say(d, DOCTOR_OK, "journal", "%s holds all that the store has seen, to record %llu",
                   folder, (unsigned long long)last);
    }
}

/* Whether the log can be written: a file that is there, or one to be made in its folder. */
static void check_log(struct doctor *d, const char *setting, const char *path)
{
    char folder[CLI_PATH_MAX];
    struct stat st;
    const char *slash = path == NULL ? NULL : strrchr(path, '/');
    if (slash == NULL || strcmp(path, "-") == 0) {
        return; /* standard output or error, or none */
    }
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    (void)snprintf(folder, sizeof(folder), "%.*s", (int)len, path); /* cut, it is not there */
    bool is_there = stat(path, &st) == 0;
    const char *what = is_there ? path : folder;
    if (is_there && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
    } else if (access(what, is_there ? W_OK : W_OK | X_OK) == 0) {
        return;
    }
    doctor_say(d, DOCTOR_FAIL, setting, "%s cannot be written: %s — make its folder, or set `%s:`",
               path, strerrordesc_np(errno), setting);
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
    uint64_t seen = 0;
    check_folder(d);
    check_pepper(d);
    if (check_store(d, &seen)) {
        check_journal(d, seen);
    }
    check_log(d, "log.file", d->settings->log.file);
    check_log(d, "log.access", d->settings->log.access);
    check_disk(d);
}
