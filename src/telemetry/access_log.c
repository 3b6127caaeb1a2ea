/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/access_log.h"

#define RING_BYTES ((size_t)512 << 10)

enum err access_log_open(const char *path, log_sink_format *format, struct log_sink **out)
{
    const struct log_sink_options options = {
        .path = path,
        .name = "the access log",
        .event = "access_log",
        .format = format,
        .ring_bytes = RING_BYTES,
        .lost = COUNT_ACCESS_LOG_LOST,
    };
    return log_sink_open(&options, out);
}
