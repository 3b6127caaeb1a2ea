/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h — what the program tells its operator: one line an event, on standard error or in a file.
 *
 * Who logs: gateway, admin and main. All else returns an error and is silent, so each failure is
 * logged once. Never a prompt, a reply, a key or a secret: an event's text names ids.
 *
 * Lines are "2026-11-24T03:00:00.123Z warn  event_name  sentence", or JSON objects with the members
 * `time`, `level`, `event`, `message`. Control characters are escaped in both.
 *
 * Once log_start() was called lines are written by a thread of their own (log_sink.h), and nobody
 * who logs waits for the disk or a reader.
 *
 * Threads  any, after log_start(); before it, and after log_stop(), one.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/check.h"
#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* What to write (`least` and above) and how. Standard error until log_open(). */
void log_setup(enum log_level least, bool as_json);

/* Writes to the file at `path` from now on, made with mode 0640; before log_start(). ERR_FILE,
 * ERR_NO_MEMORY: lines go on to where they went. */
MUST_USE enum err log_open(const char *path);

/* Opens the file anew after it was moved (log rotation). Does nothing on standard error. If it
 * fails, the log says so and lines go on to the old one. */
void log_reopen(void);

/* While it is on, warnings and errors stand on standard error too: a start that fails is seen by
 * who started it, not in the log's file only. For a log that has a file. */
void log_echo(bool on);

/* Starts the log thread. ERR_NO_MEMORY: lines are written as before. */
MUST_USE enum err log_start(void);

/* Writes what waits, for a second at most, and ends the thread. Nothing if none runs. */
void log_stop(void);

/* Writes one line; `event` is a stable snake_case name, the rest a sentence of at most 2 KiB. */
void log_write(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_debug(event, ...) log_write(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  log_write(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  log_write(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_write(LOG_ERROR, event, __VA_ARGS__)

#endif
