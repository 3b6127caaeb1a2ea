/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_out.h — where lines go: a file, a FIFO, or standard output or error, whatever these are; and
 * writing there without ever waiting for a reader.
 *
 * Standard output and error belong to others too (the shell, the parent), so their flags are left
 * alone: where one is a pipe or a terminal it is opened once more, for ourselves, and that does not
 * wait.
 *
 * Ownership  log_out_close() closes what was opened here; the standard ones stay open.
 * Threads    one at a time.
 * Sources    open(2), pipe(7), fifo(7).
 */
#ifndef BASE_LOG_OUT_H
#define BASE_LOG_OUT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/span.h"

/* To a pipe, so much of whole lines is written at once, and does not mix with what others write. */
#define LOG_OUT_PIECE 4096

struct log_out {
    int fd;
    bool is_own;    /* to be closed */
    bool is_file;   /* a regular one: nobody reads along */
    bool is_socket; /* written to with send() */
    bool waits;     /* a write might: ask first */
};

/* Standard output (1) or error (2). Cannot fail. */
void log_out_standard(int fd, struct log_out *out);

/* Opens `path` for appending, making a file with mode 0640 if there is nothing. A FIFO needs no
 * reader: it is filled until one comes. ERR_FILE: errno says why. */
MUST_USE enum err log_out_open(const char *path, struct log_out *out);

/* As write(), but never waits for a reader: EAGAIN if it would. */
ssize_t log_out_write(const struct log_out *out, struct span bytes);

void log_out_close(struct log_out *out);

#endif
