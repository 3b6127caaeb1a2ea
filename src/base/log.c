/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define TEXT_BYTES 2048
#define LINE_BYTES (TEXT_BYTES * 6 + 256) /* an escaped byte is up to 6 */

static _Atomic int least_level = LOG_INFO;
static _Atomic bool json_lines;
static _Atomic int log_fd = STDERR_FILENO;
static char log_path[4096];
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;

void log_setup(enum log_level least, bool as_json)
{
    atomic_store(&least_level, (int)least);
    atomic_store(&json_lines, as_json);
}

/* Puts a new file in the old one's place. The number of the descriptor stays the same, so that a
 * thread in the middle of a write() never writes to a stranger's file. */
static enum err switch_to(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) {
        return ERR_FILE;
    }
    int now = atomic_load(&log_fd);
    if (now == STDERR_FILENO) {
        atomic_store(&log_fd, fd);
        return ERR_OK;
    }
    enum err e = dup3(fd, now, O_CLOEXEC) < 0 ? ERR_FILE : ERR_OK;
    (void)close(fd); /* nothing was written through it */
    return e;
}

enum err log_open(const char *path)
{
    if (strlen(path) >= sizeof(log_path)) {
        return ERR_FILE;
    }
    (void)pthread_mutex_lock(&open_lock); /* fails only when misused */
    enum err e = switch_to(path);
    if (e == ERR_OK) {
        memcpy(log_path, path, strlen(path) + 1);
    }
    (void)pthread_mutex_unlock(&open_lock); /* ours */
    return e;
}

enum err log_reopen(void)
{
    (void)pthread_mutex_lock(&open_lock); /* fails only when misused */
    enum err e = log_path[0] == '\0' ? ERR_OK : switch_to(log_path);
    (void)pthread_mutex_unlock(&open_lock); /* ours */
    return e;
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
                                 "\"message\":\"%s\"}\n",
                                 time, names[level], event, escaped)
                      : snprintf(line, sizeof(line), "%s %-5s %s  %s\n", time, names[level], event,
                                 escaped);
    if (write(atomic_load(&log_fd), line, (size_t)len) < 0) {
        return; /* a full disk must not stop the gateway from answering */
    }
}
