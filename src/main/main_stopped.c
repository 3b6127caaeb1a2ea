/* SPDX-License-Identifier: Apache-2.0 */
#include "main/main_stopped.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Who stopped the thread whose stat file this is: a signal (T), or a debugger (t). */
static enum main_stop stop_of_thread(const char *path)
{
    char text[512] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) {
        (void)close(fd); /* read only */
    }
    const char *name_end = n > 0 ? strrchr(text, ')') : NULL;
    if (name_end == NULL || name_end[1] != ' ') {
        return MAIN_RUNS;
    }
    return name_end[2] == 't' ? MAIN_TRACED : name_end[2] == 'T' ? MAIN_STOPPED : MAIN_RUNS;
}

enum main_stop main_stop_of(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid); /* fits */
    DIR *dir = opendir(path);
    const struct dirent *entry;
    enum main_stop all = dir != NULL ? MAIN_STOPPED : MAIN_RUNS;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is this function's own
    while (all != MAIN_RUNS && (entry = readdir(dir)) != NULL) {
        char stat_path[sizeof(path) + NAME_MAX + 8];
        (void)snprintf(stat_path, sizeof(stat_path), "%s/%s/stat", path, entry->d_name); /* fits */
        enum main_stop one = entry->d_name[0] == '.' ? all : stop_of_thread(stat_path);
        all = one == MAIN_RUNS || one == MAIN_TRACED ? one : all;
    }
    if (dir != NULL) {
        (void)closedir(dir); /* only read from */
    }
    return all;
}
