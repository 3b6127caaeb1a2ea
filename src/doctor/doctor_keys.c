/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the keys can be checked: the pepper, and each key by itself. Nothing is changed. */
#include "doctor/doctor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/holder.h"
#include "cli/cli_data.h"
#include "crypto/random.h"
#include "keys/key_pepper.h"
#include "keys/keys.h"
#include "store/store.h"

bool doctor_check_pepper(struct doctor *d)
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
    return e == ERR_OK;
}

static void say_keys(struct doctor *d, const struct keys *keys, const struct keys_report *report)
{
    size_t count = key_table_count(keys_table(keys));
    unsigned long long useless = report->damaged + report->no_pepper;
    if (report->damaged > 0) {
        doctor_say(d, DOCTOR_FAIL, "keys",
                   "%llu key%s with a damaged row cannot be checked — `atlas key "
                   "list` shows them; delete them, or restore a backup",
                   (unsigned long long)report->damaged, SPAN_PLURAL(report->damaged));
    }
    if (report->no_pepper > 0) {
        doctor_say(d, DOCTOR_FAIL, "keys",
                   "%llu key%s made with a pepper that the file does not hold any more cannot be "
                   "checked — `atlas key list` shows them; delete them, or put the pepper back",
                   (unsigned long long)report->no_pepper, SPAN_PLURAL(report->no_pepper));
    }
    if (useless == 0) {
        doctor_say(d, DOCTOR_OK, "keys", "%zu can be checked", count);
    }
}

void doctor_check_keys(struct doctor *d)
{
    char path[CLI_PATH_MAX];
    struct store *store = NULL;
    struct keys *keys = NULL;
    struct keys_report report;
    enum err e = cli_data_path(d->settings->data, KEYS_PEPPER_FILE, path);
    if (e == ERR_OK) {
        e = cli_data_open_to_look(d->settings->data, &store);
    }
    if (e == ERR_OK) {
        e = keys_open(path, &keys);
    }
    if (e == ERR_OK) {
        e = keys_load(keys, store, NULL, &report);
    }
    if (e == ERR_OK) {
        say_keys(d, keys, &report);
    } else if (e == ERR_PEPPER_WRONG) {
        doctor_say(d, DOCTOR_FAIL, "keys", "%s — every key would be refused", err_sentence(e));
    } else {
        doctor_say(d, DOCTOR_WARN, "keys", "not looked at: %s", err_sentence(e));
    }
    keys_close(&keys);
    store_close(&store);
}

/* Whether the gateway that this user starts can use what is there. False: it was said why not. */
static bool can_use_revoked(struct doctor *d, const char *path, const struct stat *st)
{
    char owner[64], us[64];
    int why = faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0 ? 0 : errno;
    holder_user(st->st_uid, owner, sizeof(owner));
    holder_user(geteuid(), us, sizeof(us));
    if (!S_ISREG(st->st_mode)) {
        doctor_say(d, DOCTOR_FAIL, "keys",
                   "%s, which says which keys were revoked, is no file of its own — move it away, "
                   "and restore the file from a backup",
                   path);
        return false;
    }
    if (why == EACCES && st->st_uid != geteuid()) {
        doctor_say(
            d, DOCTOR_FAIL, "keys",
            "%s belongs to %s and %s may not write it — chown %s %s, or run this as the user "
            "that Atlas runs as",
            path, owner, us, us, path);
    } else if (why != 0 && why != EROFS) { /* that is said of the folder */
        doctor_say(d, DOCTOR_FAIL, "keys", "%s cannot be written by %s: %s — chmod 600 %s", path,
                   us, strerrordesc_np(why), path);
    }
    return why == 0;
}

/* Root may use each file, and the gateway may be another user's. */
static void compare_owners(struct doctor *d, const char *path, const struct stat *st)
{
    struct stat folder;
    char owner[64], of_folder[64];
    bool is_open = (st->st_mode & 0006) == 0006;
    if (stat(d->settings->data, &folder) != 0 || folder.st_uid == st->st_uid || is_open) {
        return;
    }
    holder_user(st->st_uid, owner, sizeof(owner));
    holder_user(folder.st_uid, of_folder, sizeof(of_folder));
    doctor_say(d, DOCTOR_WARN, "keys",
               "%s belongs to %s, and its folder to %s, whose gateway may not write it — chown %s "
               "%s",
               path, owner, of_folder, of_folder, path);
}

void doctor_check_revoked(struct doctor *d)
{
    char path[CLI_PATH_MAX];
    struct stat st;
    if (cli_data_path(d->settings->data, KEY_DENY_FILE, path) != ERR_OK) {
        return; /* then nothing in the folder can be used, and that is said */
    }
    if (lstat(path, &st) == 0) {
        if (can_use_revoked(d, path, &st)) {
            compare_owners(d, path, &st);
        }
    } else if (errno == ENOENT) {
        doctor_say(d, DOCTOR_WARN, "keys",
                   "%s, which says which keys were revoked, is missing — restore it from a backup; "
                   "the next start makes an empty one",
                   path);
    }
}
