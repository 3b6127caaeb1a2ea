/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/doctor_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/holder.h"
#include "base/memory.h"
#include "cli/cli_data.h"
#include "journal/journal_apply.h"
#include "journal/journal_reader.h"
#include "store/store.h"

#define MIB ((uint64_t)1 << 20)

/* It may well be there: what is in the way is who may go there. */
static void say_denied(struct doctor *d, const char *path)
{
    char us[64];
    holder_user(geteuid(), us, sizeof(us));
    doctor_say(d, DOCTOR_FAIL, "data folder",
               "%s: %s may not go there — run this as the user that Atlas runs as, or give it the "
               "folders: chown -R %s %s",
               path, us, us, d->settings->data);
}

/* False: nothing in it can be looked at, and that was said. */
static bool check_folder(struct doctor *d)
{
    const char *folder = d->settings->data;
    struct stat st;
    if (stat(folder, &st) != 0 && errno == EACCES) {
        say_denied(d, folder);
    } else if (stat(folder, &st) != 0) {
        doctor_say(d, DOCTOR_FAIL, "data folder", "%s: %s — `atlas init --config %s` makes it",
                   folder, strerrordesc_np(errno), d->settings->path);
    } else if (!S_ISDIR(st.st_mode)) {
        doctor_say(d, DOCTOR_FAIL, "data folder", "%s is not a folder — set `data:` to one",
                   folder);
    } else if (access(folder, R_OK | W_OK | X_OK) != 0 && errno == EROFS) {
        doctor_say(d, DOCTOR_FAIL, "data folder",
                   "%s cannot be written: %s — mount it for writing, or set `data:` to another",
                   folder, strerrordesc_np(errno));
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
    return stat(folder, &st) == 0 && S_ISDIR(st.st_mode) && access(folder, X_OK) == 0;
}

static void say_no_store(struct doctor *d, const char *path)
{
    const char *why = strerrordesc_np(errno);
    char journal[CLI_PATH_MAX];
    if (cli_data_path(d->settings->data, "journal", journal) == ERR_OK &&
        access(journal, F_OK) == 0) {
        doctor_say(d, DOCTOR_FAIL, "store",
                   "%s: %s — restore a backup; or else `atlas serve` makes it from the journal",
                   path, why);
    } else {
        doctor_say(d, DOCTOR_FAIL, "store", "%s: %s — `atlas init --config %s` makes it", path, why,
                   d->settings->path);
    }
}

/* False if it cannot be used, and that was said. */
static bool check_store(struct doctor *d)
{
    uint64_t seen;
    char path[CLI_PATH_MAX];
    char complaint[STORE_COMPLAINT_BYTES] = "";
    enum err e = cli_data_path(d->settings->data, CLI_STORE_FILE, path);
    if (e == ERR_OK && access(path, F_OK) != 0) {
        say_no_store(d, path);
        return false;
    }
    if (e == ERR_OK) {
        e = cli_data_look(d->settings->data, complaint, &seen);
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

/* Whether it is the journal that the store was filled from, whole, as `atlas serve` asks. False:
 * what is wrong was said. */
static bool compare_journal(struct doctor *d, const char *folder, const struct journal_seen *seen)
{
    struct journal_report report;
    enum err e = journal_look(folder, seen, &report);
    if (report.flaw == JOURNAL_SHORT) {
        doctor_say(d, DOCTOR_FAIL, "journal",
                   "%s lacks records that the store has seen: it ends with %llu, and the store has "
                   "seen %llu — %s",
                   folder, (unsigned long long)report.last_sequence,
                   (unsigned long long)seen->sequence, journal_flaw_sentence(report.flaw));
    } else if (report.flaw != JOURNAL_FLAWLESS) {
        doctor_say(d, DOCTOR_FAIL, "journal", "%s%s%s — %s", folder,
                   report.place.file[0] != '\0' ? "/" : "", report.place.file,
                   journal_flaw_sentence(report.flaw));
    } else if (e == ERR_JOURNAL_BROKEN) {
        doctor_say(d, DOCTOR_FAIL, "journal",
                   "%s/%s is damaged at byte %llu — keep it, and see docs/operating.md", folder,
                   report.place.file, (unsigned long long)report.place.offset);
    } else if (e == ERR_JOURNAL_OLD) {
        doctor_say(d, DOCTOR_FAIL, "journal", "%s/%s — %s", folder, report.place.file,
                   err_sentence(e));
    } else if (e != ERR_OK) {
        doctor_say(d, DOCTOR_FAIL, "journal", "%s cannot be read: %s — is it this user's?", folder,
                   err_sentence(e));
    }
    return e == ERR_OK;
}

static void check_journal(struct doctor *d, const struct journal_seen *seen)
{
    char folder[CLI_PATH_MAX];
    struct journal_place place = {0};
    uint64_t last = 0;
    enum err e = cli_data_path(d->settings->data, "journal", folder);
    if (e == ERR_OK && access(folder, F_OK) != 0 && seen->sequence == 0) {
        doctor_say(d, DOCTOR_OK, "journal", "`atlas serve` makes it");
        return;
    }
    if (e != ERR_OK || !compare_journal(d, folder, seen)) {
        return;
    }
    e = read_journal(folder, seen->sequence, &place, &last);
    if (e == ERR_JOURNAL_BROKEN || e == ERR_JOURNAL_OTHER) {
        doctor_say(d, DOCTOR_FAIL, "journal",
                   "%s/%s is damaged at byte %llu — keep it, and see docs/operating.md", folder,
                   place.file, (unsigned long long)place.offset);
    } else if (e != ERR_NOT_FOUND_ROW) {
        doctor_say(d, DOCTOR_FAIL, "journal", "%s cannot be read: %s — is it this user's?", folder,
                   err_sentence(e));
    } else {
        doctor_say(d, DOCTOR_OK, "journal",
                   "%s holds what the store has seen last, to record %llu; "
                   "`atlas journal check` reads all of it",
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
        return; /* cannot be: it is there */
    }
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (fs.f_blocks == 0) {
        doctor_say(d, DOCTOR_OK, "disk", "it does not say how much is free");
    } else if (free_bytes < 2 * segment) {
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

/* Which journal the store was filled from, and how far. */
static bool ask_store(struct doctor *d, struct journal_seen *seen)
{
    struct store *store = NULL;
    enum err e = cli_data_open_to_look(d->settings->data, &store);
    e = e == ERR_OK ? journal_apply_seen(store, seen) : e;
    store_close(&store);
    if (e != ERR_OK) {
        doctor_say(d, DOCTOR_FAIL, "store", "%s cannot be read: %s — is it this user's?",
                   CLI_STORE_FILE, err_sentence(e));
    }
    return e == ERR_OK;
}

static void check_inside(struct doctor *d)
{
    struct journal_seen seen;
    bool has_pepper = doctor_check_pepper(d);
    doctor_check_revoked(d);
    if (check_store(d)) {
        if (has_pepper) {
            doctor_check_keys(d);
        }
        if (ask_store(d, &seen)) {
            check_journal(d, &seen);
        }
    }
    check_disk(d);
}

/* Whether `path` lies in the data folder. */
static bool is_inside(const struct doctor *d, const char *path)
{
    size_t len = strlen(d->settings->data);
    return path != NULL && strncmp(path, d->settings->data, len) == 0 && path[len] == '/';
}

void doctor_check_data(struct doctor *d)
{
    const struct settings_log *log = &d->settings->log;
    bool has_folder = check_folder(d);
    if (has_folder) {
        check_inside(d);
    }
    if (has_folder || !is_inside(d, log->file)) {
        check_log(d, "log.file", log->file);
    }
    if (has_folder || !is_inside(d, log->access)) {
        check_log(d, "log.access", log->access);
    }
}
