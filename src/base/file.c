/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/span.h"

static const char *what_it_is(mode_t mode)
{
    if (S_ISFIFO(mode)) {
        return "it is a named pipe, not a file";
    }
    if (S_ISDIR(mode)) {
        return "it is a folder, not a file";
    }
    return S_ISSOCK(mode) ? "it is a socket, not a file" : "it is a device, not a file";
}

enum err file_open(const char *path, int *out, const char **why)
{
    struct stat st;
    /* A pipe without a writer is opened at once with O_NONBLOCK, which means nothing to a file. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int number = errno;
        *why = strerrordesc_np(number);
        if (fd >= 0) {
            (void)close(fd); /* unused */
        }
        errno = number;
        return ERR_FILE;
    }
    if (!S_ISREG(st.st_mode)) {
        *why = what_it_is(st.st_mode);
        (void)close(fd); /* unused */
        errno = EINVAL;
        return ERR_FILE;
    }
    *out = fd;
    return ERR_OK;
}

bool file_is_regular(const char *path, const char **why)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        *why = strerrordesc_np(errno);
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        *why = what_it_is(st.st_mode);
        errno = EINVAL;
        return false;
    }
    return true;
}

enum err file_sync_name(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct span name = slash == NULL ? SPAN(".") : span_make(path, (size_t)(slash - path));
    span_copy_text(name.len == 0 ? SPAN("/") : name, folder, sizeof(folder));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return ERR_FILE;
    }
    enum err e = fsync(fd) == 0                       ? ERR_OK
                 : errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL
                                                      : ERR_DISK;
    (void)close(fd); /* it was only synced */
    return e;
}
