/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log_sink.h"

#define TEXT_BYTES 2048
#define LINE_BYTES (TEXT_BYTES * 6 + 256) /* an escaped byte is up to 6 */
#define RING_BYTES (256 * 1024)

_Static_assert(LINE_BYTES < LOG_LINE_MAX, "whatever is said fits");

static _Atomic int least_level = LOG_INFO;
static _Atomic bool json_lines, echoes;
static struct log_sink *sink; /* set before other threads run */

void log_setup(enum log_level least, bool as_json)
{
    atomic_store(&least_level, (int)least);
    atomic_store(&json_lines, as_json);
}

static enum err open_sink(const char *path, struct log_sink **out)
{
    const struct log_sink_options options = {
        .path = path,
        .name = "the log",
        .event = "log_reopen",
        .ring_bytes = RING_BYTES,
        .lost = COUNT_LOG_LOST,
    };
    return log_sink_open(&options, out);
}

enum err log_open(const char *path)
{
    struct log_sink *opened;
    enum err e = open_sink(path, &opened);
    if (e == ERR_OK) {
        log_sink_close(&sink);
        sink = opened;
    }
    return e;
}

void log_reopen(void)
{
    if (sink != NULL) {
        log_sink_reopen(sink);
    }
}

enum err log_start(void)
{
    enum err e = sink == NULL ? open_sink(NULL, &sink) : ERR_OK;
    return e == ERR_OK ? log_thread_start() : e;
}

void log_stop(void)
{
    log_thread_stop();
}

void log_echo(bool on)
{
    atomic_store(&echoes, on);
}

/* Copies `text` so that it can be neither a second line nor the end of a JSON string. */
static size_t escape(const char *text, char *out, bool as_json)
{
    size_t len = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f) {
            len += (size_t)snprintf(out + len, 7, "\\u%04x", *c);
        } else {
            if (as_json && (*c == '"' || *c == '\\')) {
                out[len++] = '\\';
            }
            out[len++] = (char)*c;
        }
    }
    out[len] = '\0';
    return len;
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed)) {
        return;
    }
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args); /* cut to TEXT_BYTES, as log.h says */
    va_end(args);
    bool as_json = atomic_load_explicit(&json_lines, memory_order_relaxed);
    char escaped[TEXT_BYTES * 6];
    (void)escape(text, escaped, as_json);
    char time[CLOCK_TEXT_BYTES];
    clock_text(clock_wall(), time);
    char line[LINE_BYTES];
    int len = as_json ? snprintf(line, sizeof(line),
                                 "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\","
                                 "\"message\":\"%s\"}",
                                 time, names[level], event, escaped)
                      : snprintf(line, sizeof(line), "%s %-5s %s  %s", time, names[level], event,
                                 escaped);
    if (level >= LOG_WARN && atomic_load_explicit(&echoes, memory_order_relaxed)) {
        (void)fprintf(stderr, "%s\n", line); /* who hears nothing there has the file */
    }
    if (sink == NULL && open_sink(NULL, &sink) != ERR_OK) {
        return;
    }
    log_sink_put(sink, span_make(line, (size_t)len), SPAN(""));
}
