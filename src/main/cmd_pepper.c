/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas pepper list | add | remove`: the secrets that keys are checked with. All work on the data
 * folder; a gateway that runs goes on with the peppers that it read at its start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_data.h"
#include "crypto/random.h"
#include "keys/key_pepper.h"
#include "keys/keys.h"
#include "main/commands.h"
#include "settings/settings.h"
#include "store/store_tables.h"

#define PROBLEMS_BYTES_MAX (128u << 10)
#define AT_START           "; it counts from the next start of the gateway on"

struct pepper_given {
    const char *config, *version;
    bool anyway;
};

/* Keys that were made with each version and are not revoked. */
struct users {
    uint64_t count[UINT8_MAX + 1];
};

static int fail(const char *action, const char *what, enum err e)
{
    fprintf(stderr, "atlas pepper %s: %s: %s\n", action, what, err_sentence(e));
    return CLI_FAILED;
}

/* Finds the data folder that the configuration names, and the pepper file in it. */
static int find_file(const char *action, const char *config, char folder[CLI_PATH_MAX],
                     char path[CLI_PATH_MAX])
{
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open_data(config, &problems, &settings);
    if (e == ERR_OK) {
        (void)snprintf(folder, CLI_PATH_MAX, "%s", settings->data); /* the path below says if cut */
        e = cli_data_path(settings->data, KEYS_PEPPER_FILE, path);
    }
    if (e != ERR_OK) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
    }
    int status = e == ERR_OK ? CLI_GO_ON : fail(action, config, e);
    buf_fini(&problems);
    settings_close(&settings);
    return status;
}

static enum err on_key(void *context, const void *row)
{
    const struct store_key *key = row;
    struct users *users = context;
    bool has_before = key->before_ends.us > clock_wall().us && key->before_pepper != key->pepper;
    users->count[key->pepper] += key->revoked.us == 0 ? 1 : 0;
    users->count[key->before_pepper] += key->revoked.us == 0 && has_before ? 1 : 0;
    return ERR_OK;
}

static enum err count_users(const char *folder, struct users *users)
{
    const struct store_page all = {.limit = INT64_MAX};
    struct store *store = NULL;
    *users = (struct users){{0}};
    enum err e = cli_data_open_to_look(folder, &store);
    if (e == ERR_OK) {
        e = store_key_page(store, STORE_INDEX_KEY_BY_NUMBER, &all, on_key, users);
    }
    store_close(&store);
    return e;
}

const struct cli_option main_pepper_list_options[] = {
    CLI_CONFIG(struct pepper_given, config),
    CLI_END(NULL),
};

int main_pepper_list(const void *given)
{
    const struct pepper_given *g = given;
    char folder[CLI_PATH_MAX], path[CLI_PATH_MAX];
    struct key_peppers peppers;
    struct users users;
    int status = find_file("list", g->config, folder, path);
    if (status != CLI_GO_ON) {
        return status;
    }
    enum err e = key_peppers_read(path, &peppers);
    if (e != ERR_OK) {
        return fail("list", path, e);
    }
    e = count_users(folder, &users);
    if (e != ERR_OK) {
        crypto_wipe(&peppers, sizeof(peppers));
        return fail("list", CLI_STORE_FILE, e);
    }
    printf("VERSION  KEYS\n");
    for (size_t i = 0; i < peppers.count; i++) {
        uint8_t version = peppers.row[i].version;
        printf("%7u  %llu%s\n", version, (unsigned long long)users.count[version],
               i + 1 == peppers.count ? "  new keys take it" : "");
        users.count[version] = 0;
    }
    for (size_t version = 0; version <= UINT8_MAX; version++) {
        if (users.count[version] > 0) {
            printf("%7zu  %llu  not in the file: these keys are refused\n", version,
                   (unsigned long long)users.count[version]);
        }
    }
    crypto_wipe(&peppers, sizeof(peppers));
    return CLI_DONE;
}

const struct cli_option main_pepper_add_options[] = {
    CLI_CONFIG(struct pepper_given, config),
    CLI_END(NULL),
};

int main_pepper_add(const void *given)
{
    const struct pepper_given *g = given;
    char folder[CLI_PATH_MAX], path[CLI_PATH_MAX];
    uint8_t version = 0;
    int status = find_file("add", g->config, folder, path);
    if (status != CLI_GO_ON) {
        return status;
    }
    enum err e = key_pepper_add(path, &version);
    if (e == ERR_EXISTS) {
        fprintf(stderr,
                "atlas pepper add: %s holds as many as it may; remove one that no key needs\n",
                path);
        return CLI_FAILED;
    }
    if (e != ERR_OK) {
        return fail("add", path, e);
    }
    printf("version %u was added" AT_START "; back the file up\n", version);
    return CLI_DONE;
}

const struct cli_option main_pepper_remove_options[] = {
    CLI_WORD(struct pepper_given, version, "VERSION", "As `atlas pepper list` shows it"),
    CLI_FLAG(struct pepper_given, anyway, "anyway", "Though keys need it, which are refused then"),
    CLI_CONFIG(struct pepper_given, config),
    CLI_END(NULL),
};

/* Removing a pepper ends keys: whoever does it says that it is meant. */
static int may_remove(const char *folder, uint8_t version, bool anyway)
{
    struct users users;
    enum err e = count_users(folder, &users);
    if (e != ERR_OK && !anyway) {
        fprintf(stderr,
                "atlas pepper remove: which keys need it cannot be told: %s; --anyway removes "
                "it all the same\n",
                err_sentence(e));
        return CLI_FAILED;
    }
    if (e == ERR_OK && users.count[version] > 0 && !anyway) {
        fprintf(stderr,
                "atlas pepper remove: %llu key%s made with version %u would be refused; make "
                "new ones first, or give --anyway\n",
                (unsigned long long)users.count[version], SPAN_PLURAL(users.count[version]),
                version);
        return CLI_FAILED;
    }
    return CLI_GO_ON;
}

int main_pepper_remove(const void *given)
{
    const struct pepper_given *g = given;
    char folder[CLI_PATH_MAX], path[CLI_PATH_MAX];
    uint64_t version = 0;
    if (!span_to_u64(span_of(g->version), UINT8_MAX, &version)) {
        fprintf(stderr, "atlas pepper remove: '%s' is no version; `atlas pepper list` shows them\n",
                g->version);
        return CLI_MISUSED;
    }
    int status = find_file("remove", g->config, folder, path);
    if (status == CLI_GO_ON) {
        status = may_remove(folder, (uint8_t)version, g->anyway);
    }
    if (status != CLI_GO_ON) {
        return status;
    }
    enum err e = key_pepper_remove(path, (uint8_t)version);
    if (e == ERR_NOT_FOUND_ROW || e == ERR_VALUE_INVALID) {
        fprintf(stderr, "atlas pepper remove: %s\n",
                e == ERR_NOT_FOUND_ROW
                    ? "there is no such version; `atlas pepper list` shows them"
                    : "it is the newest, which new keys take; add another first");
        return CLI_FAILED;
    }
    if (e != ERR_OK) {
        return fail("remove", path, e);
    }
    printf("version %u was removed" AT_START "\n", (unsigned)version);
    return CLI_DONE;
}
