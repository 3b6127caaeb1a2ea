/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/net/tcp tells which socket (inode) listens on a port, /proc/PID/fd who holds that socket.
 * The latter shows only our own user's processes, unless we are root.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor/doctor_internal.h"

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

static bool process_has(const char *pid, const char *socket)
{
    char path[600];
    char target[64];
    const char *fd;
    bool has = false;
    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    while (!has && (fd = next_number(dir)) != NULL) {
        snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, fd);
        ssize_t len = readlink(path, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = '\0';
        has = strcmp(target, socket) == 0;
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
    snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(name, sizeof(name), file) == NULL) {
        snprintf(name, sizeof(name), "a program");
    }
    name[strcspn(name, "\n")] = '\0';
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
    snprintf(out, size, "%s (process %s)", name, pid);
}

void doctor_find_holder(unsigned port, char *out, size_t size)
{
    char socket[64];
    const char *pid;
    unsigned long inode = inode_in("/proc/net/tcp", port);
    if (inode == 0) {
        inode = inode_in("/proc/net/tcp6", port);
    }
    snprintf(out, size, "another program");
    snprintf(socket, sizeof(socket), "socket:[%lu]", inode);
    DIR *dir = inode == 0 ? NULL : opendir("/proc");
    while ((pid = next_number(dir)) != NULL) {
        if (process_has(pid, socket)) {
            name_process(pid, out, size);
            break;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir); /* only read from */
    }
}
