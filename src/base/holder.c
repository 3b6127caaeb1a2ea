/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/net/tcp tells which socket (inode) listens on a port, /proc/PID/fd who holds that socket.
 */
#include "base/holder.h"

#include <dirent.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_LISTEN 0x0A

/* The inode of a socket that listens on the port in one of the kernel's tables; 0: none. */
static unsigned long inode_in(const char *table, unsigned port)
{
    char line[512];
    unsigned long inode = 0;
    FILE *file = fopen(table, "re");
    while (file != NULL && inode == 0 && fgets(line, sizeof(line), file) != NULL) {
        /* sl local:port remote:port state queues timer retransmits uid timeout inode */
        unsigned local = 0;
        unsigned state = 0;
        unsigned long found = 0;
        // NOLINTNEXTLINE(cert-err34-c): the kernel writes these numbers
        int fields = sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*u %*u %lu",
                            &local, &state, &found);
        if (fields == 3 && local == port && state == STATE_LISTEN) {
            inode = found;
        }
    }
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
    return inode;
}

/* The next entry whose name is a number, or NULL. */
static const char *next_number(DIR *dir)
{
    const struct dirent *entry;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is this function's caller's own
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') {
            return entry->d_name;
        }
    }
    return NULL;
}

static bool process_has(const char *pid, const char *file)
{
    char path[600];
    char target[4200];
    const char *fd;
    bool has = false;
    (void)snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    while (!has && (fd = next_number(dir)) != NULL) {
        (void)snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, fd);
        ssize_t len = readlink(path, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = '\0';
        has = strcmp(target, file) == 0;
    }
    if (dir != NULL) {
        (void)closedir(dir); /* only read from */
    }
    return has;
}

static void name_process(const char *pid, char *out, size_t size)
{
    char path[300];
    char name[64] = "";
    (void)snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(name, sizeof(name), file) == NULL) {
        (void)snprintf(name, sizeof(name), "a program");
    }
    name[strcspn(name, "\n")] = '\0';
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
    (void)snprintf(out, size, "%s (process %s)", name, pid);
}

pid_t holder_of_port(unsigned port, char *out, size_t size)
{
    char socket[64];
    const char *pid;
    pid_t found = 0;
    unsigned long inode = inode_in("/proc/net/tcp", port);
    if (inode == 0) {
        inode = inode_in("/proc/net/tcp6", port);
    }
    (void)snprintf(out, size, "another program");
    (void)snprintf(socket, sizeof(socket), "socket:[%lu]", inode);
    DIR *dir = inode == 0 ? NULL : opendir("/proc");
    while (found == 0 && (pid = next_number(dir)) != NULL) {
        if (process_has(pid, socket)) {
            name_process(pid, out, size);
            found = (pid_t)strtol(pid, NULL, 10);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir); /* only read from */
    }
    return found;
}

pid_t holder_of_lock(const char *path, char *out, size_t size)
{
    char line[256];
    struct stat st;
    int found = 0;
    (void)snprintf(out, size, "another program");
    FILE *file = stat(path, &st) != 0 ? NULL : fopen("/proc/locks", "re");
    while (file != NULL && found == 0 && fgets(line, sizeof(line), file) != NULL) {
        /* 1: FLOCK  ADVISORY  WRITE 12 08:01:345 0 EOF */
        int pid;
        unsigned major;
        unsigned minor;
        unsigned long inode;
        // NOLINTNEXTLINE(cert-err34-c): the kernel writes these numbers
        if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major, &minor, &inode) == 4 &&
            inode == st.st_ino && pid > 0) {
            found = pid;
        }
    }
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
    if (found > 0) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%d", found);
        name_process(number, out, size);
    }
    return found;
}

bool holder_has_open(pid_t pid, const char *path)
{
    char number[16];
    char whole[PATH_MAX];
    (void)snprintf(number, sizeof(number), "%d", (int)pid);
    return realpath(path, whole) != NULL && process_has(number, whole);
}

bool holder_listens_at(const char *path)
{
    char line[512];
    bool found = false;
    FILE *file = fopen("/proc/net/unix", "re");
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        const char *slash = strchr(line, '/'); /* no other column has one */
        line[strcspn(line, "\n")] = '\0';
        found = slash != NULL && strcmp(slash, path) == 0;
    }
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
    return found || file == NULL; /* without the table nothing is sure */
}

void holder_user(uid_t user, char *out, size_t size)
{
    struct passwd row;
    struct passwd *found = NULL;
    char room[1024];
    if (getpwuid_r(user, &row, room, sizeof(room), &found) == 0 && found != NULL) {
        (void)snprintf(out, size, "%s", row.pw_name);
    } else {
        (void)snprintf(out, size, "user %u", (unsigned)user);
    }
}
