/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the keys can be checked: the pepper, and each key by itself. Nothing is changed. */
#include "doctor/doctor_internal.h"

#include <unistd.h>

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
    if (cli_data_path(d->settings->data, KEY_DENY_FILE, path) == ERR_OK &&
        access(path, F_OK) != 0) {
        doctor_say(d, DOCTOR_WARN, "keys",
                   "%s, which says which keys were revoked, is missing — restore it from a backup; "
                   "the next start makes an empty one",
                   path);
    }
}
