/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_log.h — a file of one JSON line a call, for log shippers.
 *
 * Lines are gathered and written together, so that a group of calls costs one write(). It is a
 * convenience, not the evidence: a line that cannot be written is counted
 * (atlas_access_log_lines_lost_total) and dropped, and calls go on.
 *
 * Ownership  access_log_open() hands the log to the caller, who gives it back to
 *            access_log_close(). Lines are copied.
 * Limits     ACCESS_LOG_HELD_MAX bytes are held between two writes.
 * Threads    put, flush, close: one thread (the journal's). access_log_reopen(): one other, while
 *            the log is open.
 */
#ifndef TELEMETRY_ACCESS_LOG_H
#define TELEMETRY_ACCESS_LOG_H

#include "base/err.h"
#include "base/span.h"

#define ACCESS_LOG_HELD_MAX (256 * 1024)

struct access_log;

/*
 * Opens the file at `path` for appending, making it with mode 0640; "-" is standard output.
 *
 *   ERR_FILE       it cannot be opened; errno says why
 *   ERR_NO_MEMORY
 */
MUST_USE enum err access_log_open(const char *path, struct access_log **out);

/* Adds a line, without its line feed; writes first what is held when there is no room. */
void access_log_put(struct access_log *log, struct span line);

/* Writes what is held, to the new file if access_log_reopen() opened one. */
void access_log_flush(struct access_log *log);

/*
 * Opens the file anew, after it was moved (log rotation); the next write goes there.
 *
 *   ERR_FILE  it cannot be opened; errno says why. Lines go on to where they went
 */
MUST_USE enum err access_log_reopen(struct access_log *log);

/* The path that it was opened with; "-" for standard output. */
const char *access_log_path(const struct access_log *log);

/* Writes what is held, closes `*log` and sets it to NULL. Does nothing if it is NULL already. */
void access_log_close(struct access_log **log);

#endif
