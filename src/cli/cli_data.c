/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_data.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "keys/key_pepper.h"
#include "keys/keys.h"
#include "store/store.h"

#define STORE_BUSY_MS 2000
#define LOCK_PAUSE_NS 10000000

enum err cli_data_path(const char *folder, const char *name, char out[CLI_PATH_MAX])
{
    int len = snprintf(out, CLI_PATH_MAX, "%s/%s", folder, name);
    return len > 0 && len < CLI_PATH_MAX ? ERR_OK : ERR_FILE;
}

enum err cli_make_parents(const char *path)
{
    char part[CLI_PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof(part)) {
        errno = ENAMETOOLONG;
        return ERR_FILE;
    }
    for (size_t i = 1; i < len; i++) {
        if (path[i] != '/') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST) {
            return ERR_FILE;
        }
    }
    return ERR_OK;
}

/* Closes an empty folder to others. False where it is not empty or not ours. */
static bool close_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t entries = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is this function's own
    while (dir != NULL && readdir(dir) != NULL) {
        entries++;
    }
    bool closed = dir != NULL && entries <= 2 && fchmod(dirfd(dir), 0700) == 0;
    if (dir != NULL) {
        (void)closedir(dir); /* only read from */
    }
    return closed;
}

/* A folder of someone's that others may enter: an empty one is closed to them, one with other
 * things in it is not ours to change. */
static enum err close_to_others(const char *folder, struct cli_data_made *out)
{
    char store[CLI_PATH_MAX];
    enum err e = cli_data_path(folder, CLI_STORE_FILE, store);
    if (e == ERR_OK && (access(store, F_OK) == 0 || close_empty(folder))) {
        return ERR_OK;
    }
    snprintf(out->problem, sizeof(out->problem),
             "the data folder holds other things and is open to other users; give Atlas a folder "
             "of its own, or run chmod 700 on this one");
    return ERR_FILE;
}

static enum err make_folder(const char *folder, struct cli_data_made *out)
{
    struct stat st;
    enum err e = cli_make_parents(folder);
    if (e == ERR_OK && mkdir(folder, 0700) == 0) {
        out->folder = true;
    } else if (e != ERR_OK || errno != EEXIST) {
        snprintf(out->problem, sizeof(out->problem),
                 "the data folder cannot be made: %s; make it, or set `data:` to another",
                 strerrordesc_np(errno));
        return ERR_FILE;
    }
    if (stat(folder, &st) != 0 || !S_ISDIR(st.st_mode)) {
        snprintf(out->problem, sizeof(out->problem), "the data folder is not a folder");
        return ERR_FILE;
    }
    return (st.st_mode & 0077) == 0 ? ERR_OK : close_to_others(folder, out);
}

/* A new pepper beside old keys would make every one of them invalid, so it is refused. */
static enum err make_pepper(const char *folder, struct cli_data_made *out)
{
    char path[CLI_PATH_MAX];
    char store[CLI_PATH_MAX];
    enum err e = cli_data_path(folder, KEYS_PEPPER_FILE, path);
    if (e == ERR_OK) {
        e = cli_data_path(folder, CLI_STORE_FILE, store);
    }
    if (e != ERR_OK) {
        snprintf(out->problem, sizeof(out->problem), "the data folder's path is too long");
        return e;
    }
    if (access(path, F_OK) == 0) {
        return ERR_OK;
    }
    if (access(store, F_OK) == 0) {
        snprintf(out->problem, sizeof(out->problem),
                 "%s is there but the file %s is not, and without it no key in it is valid: "
                 "restore it from a backup",
                 CLI_STORE_FILE, KEYS_PEPPER_FILE);
        return ERR_PEPPER;
    }
    e = key_pepper_make(path);
    out->pepper = e == ERR_OK;
    if (e != ERR_OK && e != ERR_EXISTS) {
        snprintf(out->problem, sizeof(out->problem), "the file %s cannot be made: %s",
                 KEYS_PEPPER_FILE, err_sentence(e));
        return e;
    }
    return ERR_OK;
}

/* Gives a file that root made to the folder's owner, who could not open it otherwise. */
static void give_to_owner(int fd, const char *folder)
{
    struct stat st;
    if (geteuid() == 0 && stat(folder, &st) == 0) {
        (void)!fchown(fd, st.st_uid, st.st_gid); /* then only root can start the gateway */
    }
}

enum err cli_data_lock(const char *folder, enum cli_lock kind, int64_t wait_ms, int *out)
{
    char path[CLI_PATH_MAX];
    const mono_us deadline = clock_after_ms(clock_mono(), wait_ms);
    const struct timespec pause = {0, LOCK_PAUSE_NS};
    enum err e = cli_data_path(folder, CLI_LOCK_FILE, path);
    int fd = e == ERR_OK ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (fd < 0) {
        return ERR_FILE;
    }
    give_to_owner(fd, folder);
    while (flock(fd, (kind == CLI_LOCK_ALONE ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        if (clock_since(deadline, clock_mono()) >= 0) {
            (void)close(fd); /* nothing was written */
            return ERR_LOCKED;
        }
        (void)nanosleep(&pause, NULL); /* woken early, it only looks early */
    }
    *out = fd;
    return ERR_OK;
}

static enum err open_store(const char *folder, struct store **out)
{
    char path[CLI_PATH_MAX];
    enum err e = cli_data_path(folder, CLI_STORE_FILE, path);
    const struct store_settings settings = {
        .driver = "sqlite", .path = path, .busy_ms = STORE_BUSY_MS};
    return e == ERR_OK ? store_open(&settings, out) : e;
}

/* Keeps in the store what proves the pepper, so that another's is found out. */
static enum err prove_pepper(const char *folder, struct store *store, struct cli_data_made *out)
{
    char path[CLI_PATH_MAX];
    struct keys *keys = NULL;
    enum err e = cli_data_path(folder, KEYS_PEPPER_FILE, path);
    if (e == ERR_OK) {
        e = keys_open(path, &keys);
    }
    if (e == ERR_OK) {
        e = keys_prove(keys, store);
    }
    keys_close(&keys);
    if (e != ERR_OK) {
        snprintf(out->problem, sizeof(out->problem), "%s: %s", KEYS_PEPPER_FILE, err_sentence(e));
    }
    return e;
}

static enum err make_store(const char *folder, struct cli_data_made *out)
{
    char path[CLI_PATH_MAX];
    struct store *store = NULL;
    bool was_there =
        cli_data_path(folder, CLI_STORE_FILE, path) == ERR_OK && access(path, F_OK) == 0;
    enum err e = open_store(folder, &store);
    if (e != ERR_OK) {
        snprintf(out->problem, sizeof(out->problem), "%s: %s", CLI_STORE_FILE, err_sentence(e));
        return e;
    }
    out->store = !was_there;
    e = prove_pepper(folder, store, out);
    store_close(&store);
    return e;
}

static enum err make_deny(const char *folder, struct cli_data_made *out)
{
    char path[CLI_PATH_MAX];
    struct key_deny *deny = NULL;
    enum err e = cli_data_path(folder, KEY_DENY_FILE, path);
    bool was_there = e == ERR_OK && access(path, F_OK) == 0;
    if (e == ERR_OK) {
        e = key_deny_open(path, &deny);
    }
    key_deny_close(&deny);
    if (e != ERR_OK) {
        snprintf(out->problem, sizeof(out->problem), "the file %s cannot be made: %s",
                 KEY_DENY_FILE, err_sentence(e));
        return e;
    }
    out->deny = !was_there;
    return ERR_OK;
}

enum err cli_data_make(const char *folder, struct cli_data_made *out)
{
    *out = (struct cli_data_made){0};
    enum err e = make_folder(folder, out);
    if (e == ERR_OK) {
        e = make_pepper(folder, out);
    }
    if (e == ERR_OK) {
        e = make_deny(folder, out);
    }
    if (e == ERR_OK) {
        e = make_store(folder, out);
    }
    return e;
}

enum err cli_data_look(const char *folder, char *complaint, uint64_t *sequence)
{
    char path[CLI_PATH_MAX];
    enum err e = cli_data_path(folder, CLI_STORE_FILE, path);
    const struct store_settings settings = {
        .driver = "sqlite", .path = path, .busy_ms = STORE_BUSY_MS, .complaint = complaint};
    return e == ERR_OK ? store_look(&settings, sequence) : e;
}

enum err cli_data_open_to_look(const char *folder, struct store **out)
{
    char path[CLI_PATH_MAX];
    enum err e = cli_data_path(folder, CLI_STORE_FILE, path);
    const struct store_settings settings = {
        .driver = "sqlite", .path = path, .busy_ms = STORE_BUSY_MS, .looks_only = true};
    return e == ERR_OK ? store_open(&settings, out) : e;
}

enum err cli_data_open_store(const char *folder, struct store **out)
{
    char path[CLI_PATH_MAX];
    enum err e = cli_data_path(folder, CLI_STORE_FILE, path);
    if (e == ERR_OK && access(path, F_OK) != 0) {
        e = ERR_FILE;
    }
    return e == ERR_OK ? open_store(folder, out) : e;
}
