/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/counter.h"
#include "base/memory.h"

struct access_log {
    int fd;
    char *path; /* NULL: standard output */
    struct buf held;
    int64_t lines;      /* held */
    atomic_int next_fd; /* the file opened anew, for the next write; -1: none */
};

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

enum err access_log_open(const char *path, struct access_log **out)
{
    bool is_file = strcmp(path, "-") != 0;
    struct access_log *log = memory_new(sizeof(*log));
    if (log == NULL) {
        return ERR_NO_MEMORY;
    }
    log->fd = -1;
    atomic_init(&log->next_fd, -1);
    buf_init(&log->held, ACCESS_LOG_HELD_MAX);
    enum err e = ERR_OK;
    if (is_file && (log->path = memory_text(path)) == NULL) {
        e = ERR_NO_MEMORY;
    } else {
        log->fd = is_file ? open_file(path) : STDOUT_FILENO;
        e = log->fd < 0 ? ERR_FILE : ERR_OK;
    }
    if (e != ERR_OK) {
        int reason = errno;
        access_log_close(&log);
        errno = reason;
        return e;
    }
    *out = log;
    return ERR_OK;
}

void access_log_flush(struct access_log *log)
{
    int next = atomic_exchange(&log->next_fd, -1);
    if (next >= 0) {
        (void)close(log->fd); /* all that it got was written */
        log->fd = next;
    }
    while (buf_span(&log->held).len > 0) {
        struct span s = buf_span(&log->held);
        ssize_t done = write(log->fd, s.at, s.len);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            counter_add(COUNT_ACCESS_LOG_LOST, log->lines);
            break;
        }
        buf_consume(&log->held, (size_t)done);
    }
    buf_clear(&log->held);
    log->lines = 0;
}

void access_log_put(struct access_log *log, struct span line)
{
    if (buf_span(&log->held).len + line.len + 1 > ACCESS_LOG_HELD_MAX) {
        access_log_flush(log);
    }
    uint8_t *to = buf_reserve(&log->held, line.len + 1);
    if (to == NULL) {
        counter_add(COUNT_ACCESS_LOG_LOST, 1 + log->lines);
        buf_clear(&log->held);
        log->lines = 0;
        return;
    }
    memcpy(to, line.at, line.len);
    to[line.len] = '\n';
    buf_added(&log->held, line.len + 1);
    log->lines++;
}

enum err access_log_reopen(struct access_log *log)
{
    if (log->path == NULL) {
        return ERR_OK;
    }
    int fd = open_file(log->path);
    if (fd < 0) {
        return ERR_FILE;
    }
    int unused = atomic_exchange(&log->next_fd, fd);
    if (unused >= 0) {
        (void)close(unused); /* nothing was written to it */
    }
    return ERR_OK;
}

const char *access_log_path(const struct access_log *log)
{
    return log->path == NULL ? "-" : log->path;
}

void access_log_close(struct access_log **log)
{
    struct access_log *ended = *log;
    if (ended == NULL) {
        return;
    }
    if (ended->fd >= 0) {
        access_log_flush(ended);
    }
    int next = atomic_load(&ended->next_fd);
    if (next >= 0) {
        (void)close(next); /* nothing was written to it */
    }
    if (ended->fd >= 0 && ended->path != NULL) {
        (void)close(ended->fd);
    }
    buf_fini(&ended->held);
    memory_free(ended->path);
    memory_free(ended);
    *log = NULL;
}
