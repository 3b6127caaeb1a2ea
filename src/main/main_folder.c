/* SPDX-License-Identifier: Apache-2.0 */
#include "main/main_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/holder.h"
#include "base/log.h"
#include "cli/cli_data.h"

#define LOCK_WAIT_MS 1000 /* for a command that is at work in the folder */

/* What we must be able to do with an entry of the data folder, or of `journal/` in it, where a full
 * segment is only read, and what else is there can be made anew. */
static int use_of(const char *below, const char *name)
{
    if (below[0] == '\0') {
        return W_OK;
    }
    bool is_lane = strncmp(name, "lane-", 5) == 0;
    bool is_segment = strlen(name) > 4 && strcmp(name + strlen(name) - 4, ".seg") == 0;
    return is_lane ? R_OK | W_OK : is_segment ? R_OK : F_OK;
}

/* What is in every folder, or in the first of a file system, and is root's there. */
static bool is_anyones(const char *name)
{
    return strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0;
}

/* The first file of the folder that is another user's and that we may not use as we must. Root may
 * use all of them. */
static bool find_anothers(const char *folder, const char *below, char *name, size_t size,
                          uid_t *owner)
{
    char path[CLI_PATH_MAX];
    DIR *dir = cli_data_path(folder, below, path) == ERR_OK ? opendir(path) : NULL;
    const struct dirent *entry;
    bool found = false;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is this function's own
    while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
        struct stat st;
        found = !is_anyones(entry->d_name) &&
                fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                !S_ISSOCK(st.st_mode) && st.st_uid != geteuid() &&
                faccessat(dirfd(dir), entry->d_name, use_of(below, entry->d_name), AT_EACCESS) != 0;
        if (found) {
            (void)snprintf(name, size, "%s%s", below, entry->d_name); /* has room for any name */
            *owner = st.st_uid;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir); /* only read from */
    }
    return found;
}

/* What root made, or restored from a backup, belongs to root. */
static enum err refuse_anothers(const char *folder)
{
    char name[sizeof("journal/") + NAME_MAX];
    char owner[64];
    char us[64];
    uid_t user;
    if (!find_anothers(folder, "", name, sizeof(name), &user) &&
        !find_anothers(folder, "journal/", name, sizeof(name), &user)) {
        return ERR_OK;
    }
    holder_user(user, owner, sizeof(owner));
    holder_user(geteuid(), us, sizeof(us));
    log_error("data_owner",
              "%s/%s belongs to %s and %s may not write it; give it back: "
              "sudo chown -R %s %s",
              folder, name, owner, us, us, folder);
    return ERR_FILE;
}

/* A folder of our own that its mode keeps us out of: nothing can be made there, or removed. */
static enum err refuse_closed(const char *path)
{
    char us[64];
    if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) == 0 || errno != EACCES) {
        return ERR_OK; /* what else is wrong with it is said by who meets it */
    }
    holder_user(geteuid(), us, sizeof(us));
    log_error("data_owner", "%s may not write the folder %s; let it: chmod u+rwx %s", us, path,
              path);
    return ERR_FILE;
}

static enum err refuse_closed_folders(const char *folder)
{
    char journal[CLI_PATH_MAX];
    enum err e = refuse_closed(folder);
    if (e == ERR_OK && cli_data_path(folder, "journal", journal) == ERR_OK) {
        e = refuse_closed(journal);
    }
    return e;
}

static void say_locked(const char *folder)
{
    char path[CLI_PATH_MAX];
    char holder[HOLDER_BYTES] = "another Atlas";
    if (cli_data_path(folder, CLI_LOCK_FILE, path) == ERR_OK) {
        (void)holder_of_lock(path, holder, sizeof(holder));
    }
    log_error("data_locked", "%s is used by %s; stop it first", folder, holder);
}

enum err main_folder_lock(const char *folder, const char *config, int *out)
{
    enum err e = refuse_anothers(folder);
    e = e == ERR_OK ? refuse_closed_folders(folder) : e;
    if (e != ERR_OK) {
        return e;
    }
    e = cli_data_lock(folder, CLI_LOCK_ALONE, LOCK_WAIT_MS, out);
    if (e == ERR_LOCKED) {
        say_locked(folder);
    } else if (e != ERR_OK && errno == ENOENT) {
        log_error("data_folder", "%s is not there; make it with: atlas init --config %s", folder,
                  config);
    } else if (e != ERR_OK) {
        log_error("data_folder", "%s cannot be locked: %s%s", folder, strerrordesc_np(errno),
                  errno == EROFS ? "; mount it for writing, or set `data:` to another" : "");
    }
    return e;
}

void main_folder_look(const char *folder)
{
    struct stat st;
    if (stat(folder, &st) != 0) {
        return;
    }
    if ((st.st_mode & 0077) != 0) {
        log_warn("data_open", "other users may enter %s, where keys and records are; chmod 700 it",
                 folder);
    }
    if (geteuid() == 0 && st.st_uid != 0) {
        char owner[64];
        holder_user(st.st_uid, owner, sizeof(owner));
        log_warn("data_owner",
                 "root serves %s, which belongs to %s, who cannot use what root makes there; run "
                 "it as %s, and first: chown -R %s %s",
                 folder, owner, owner, owner, folder);
    }
}
