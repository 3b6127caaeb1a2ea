/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void log_out_standard(int fd, struct log_out *out)
{
    struct stat st;
    char path[32];
    *out = (struct log_out){.fd = fd};
    if (fstat(fd, &st) != 0) {
        return; /* closed: writes fail, which is counted */
    }
    out->is_file = S_ISREG(st.st_mode);
    out->is_socket = S_ISSOCK(st.st_mode);
    if (out->is_file || out->is_socket) {
        return;
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fits */
    int own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    out->waits = own < 0;
    if (own >= 0) {
        out->fd = own;
        out->is_own = true;
    }
}

enum err log_out_open(const char *path, struct log_out *out)
{
    struct stat st;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
    if (fd < 0 && errno == ENXIO) { /* a FIFO that nobody reads: held open by ourselves it fills */
        fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    if (fd < 0) {
        return ERR_FILE;
    }
    *out = (struct log_out){.fd = fd, .is_own = true};
    out->is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    return ERR_OK;
}

ssize_t log_out_write(const struct log_out *out, struct span bytes)
{
    if (out->is_socket) {
        return send(out->fd, bytes.at, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    struct pollfd ready = {.fd = out->fd, .events = POLLOUT};
    if (out->waits && poll(&ready, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(out->fd, bytes.at, bytes.len);
}

void log_out_close(struct log_out *out)
{
    if (out->is_own) {
        (void)close(out->fd); /* what could not be written was counted */
    }
    *out = (struct log_out){.fd = -1};
}
