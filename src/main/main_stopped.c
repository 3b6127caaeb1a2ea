/* SPDX-License-Identifier: Apache-2.0 */
#include "main/main_stopped.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Whether the thread whose stat file this is was stopped: by a signal (T), or a debugger (t). */
static bool is_thread_stopped(const char *path)
{
    char text[512] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) {
        (void)close(fd); /* read only */
    }
    const char *name_end = n > 0 ? strrchr(text, ')') : NULL;
    return name_end != NULL &&
           (strncmp(name_end, ") T", 3) == 0 || strncmp(name_end, ") t", 3) == 0);
}

bool main_is_stopped(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid); /* fits */
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool all = dir != NULL;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is this function's own
    while (all && (entry = readdir(dir)) != NULL) {
        char stat_path[sizeof(path) + NAME_MAX + 8];
        (void)snprintf(stat_path, sizeof(stat_path), "%s/%s/stat", path, entry->d_name); /* fits */
        all = entry->d_name[0] == '.' || is_thread_stopped(stat_path);
    }
    if (dir != NULL) {
        (void)closedir(dir); /* only read from */
    }
    return all;
}
