/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_sink.h — lines on their way to a file, a pipe or a terminal, by one thread for all of them.
 *
 * Whoever logs must never wait for who reads: a disk that hangs, a terminal that was stopped, a
 * collector that died. So lines are put into a bounded ring, and the log thread writes them. What
 * finds no room there, and what a full disk refuses, is dropped, counted, and said once lines get
 * through again.
 *
 * Before log_thread_start() and after log_thread_stop() (in subcommands, in the parent, while the
 * gateway starts and ends) lines are written at once: then a reader that has stopped is waited for
 * a moment, once.
 *
 * Ownership  a sink is the caller's from log_sink_open() to log_sink_close(). Lines are copied.
 * Limits     LOG_SINKS_MAX sinks; LOG_LINE_MAX bytes a line. What waits is bounded by the ring.
 * Threads    put, reopen: any. open, close, start, stop: one; open before start, close after stop.
 */
#ifndef BASE_LOG_SINK_H
#define BASE_LOG_SINK_H

#include "base/counter.h"
#include "base/err.h"
#include "base/span.h"

#define LOG_SINKS_MAX 4
#define LOG_LINE_MAX  (16 * 1024)
#define LOG_FLUSH_MS  1000
#define LOG_DIRECT_MS 200 /* for a reader that has stopped, where no thread writes */
#define LOG_GATHER_MS 20  /* lines are gathered for so long while there are many */

struct log_sink;

/* Makes the line, with its line feed, of a record; returns its length, LOG_LINE_MAX at most. */
typedef size_t log_sink_format(struct span record, char out[LOG_LINE_MAX]);

struct log_sink_options {
    const char *path;        /* copied; "-": standard output; NULL: standard error */
    const char *name;        /* for the operator: "the access log"; lives for ever */
    const char *event;       /* of lines about this sink; lives for ever */
    size_t ring_bytes;       /* a power of two */
    log_sink_format *format; /* NULL: records are lines, without their line feed */
    enum counter lost;       /* counts lines that were dropped */
};

/* ERR_FILE: it cannot be opened, and errno says why. ERR_NO_MEMORY. */
MUST_USE enum err log_sink_open(const struct log_sink_options *options, struct log_sink **out);

/* Puts a record, not empty and less than LOG_LINE_MAX; `more` follows `record` without a gap. Never
 * waits for the log thread. */
void log_sink_put(struct log_sink *s, struct span record, struct span more);

/* Opens the file anew, after it was moved: what was put before still goes to the old one. Does
 * nothing for the standard ones. If it fails, lines go on to the old one, and the log says so. */
void log_sink_reopen(struct log_sink *s);

/* Closes it and sets `*s` to NULL; nothing if it is NULL. */
void log_sink_close(struct log_sink **s);

/* ERR_NO_MEMORY, also when no thread can be made: lines are written at once then. */
MUST_USE enum err log_thread_start(void);

/* Writes what waits, for LOG_FLUSH_MS at most, and ends the thread. Nothing if none runs. */
void log_thread_stop(void);

#endif
