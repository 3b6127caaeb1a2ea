/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_log.h — a file of one JSON line a call, for log shippers.
 *
 * It is a convenience, not the evidence: the log thread writes it (base/log_sink.h), a line that
 * finds no room is counted (atlas_access_log_lines_lost_total) and dropped, and calls go on.
 *
 * Ownership  a sink as log_sink.h says: opened before the log thread starts, closed after its end.
 * Threads    put: any.
 */
#ifndef TELEMETRY_ACCESS_LOG_H
#define TELEMETRY_ACCESS_LOG_H

#include "base/log_sink.h"

/*
 * Opens the file at `path` for appending, making it with mode 0640; "-" is standard output. What
 * is put into it becomes a line by `format`.
 *
 *   ERR_FILE       it cannot be opened; errno says why
 *   ERR_NO_MEMORY
 */
MUST_USE enum err access_log_open(const char *path, log_sink_format *format, struct log_sink **out);

#endif
