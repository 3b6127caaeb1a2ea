/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last words of a program that found itself in the wrong. Only async-signal-safe calls and
 * stack memory: the heap may be what is broken.
 */
#include "base/check.h"

#include <execinfo.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOTES    32
#define FRAMES   48
#define WAIT_MS  100 /* for a reader that is slow */
#define REPORT_S 3

struct note {
    const char *state;
    uint64_t object;
};

static _Thread_local struct note notes[NOTES];
static _Thread_local uint32_t note_count;

void check_note(const char *state, uint64_t object)
{
    notes[note_count++ % NOTES] = (struct note){state, object};
}

/* Whether standard error takes something now: its reader may have stopped. */
static bool may_say(void)
{
    struct pollfd error = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&error, 1, WAIT_MS) > 0;
}

static void say(const char *text, size_t len)
{
    if (!may_say() || write(STDERR_FILENO, text, len) < 0) {
        return; /* nobody is left to tell */
    }
}

void check_failed(const char *what, const char *file, int line, const char *func)
{
    char text[512];
    (void)alarm(REPORT_S); /* whatever holds the report up: the end must come */
    int len = snprintf(text, sizeof(text), "atlas: check failed: %s (%s:%d, %s)\n", what, file,
                       line, func);
    say(text, len < (int)sizeof(text) ? (size_t)len : sizeof(text) - 1);
    uint32_t first = note_count > NOTES ? note_count - NOTES : 0;
    for (uint32_t i = first; i < note_count; i++) {
        const struct note *note = &notes[i % NOTES];
        len = snprintf(text, sizeof(text), "  recently: %s %016llx\n", note->state,
                       (unsigned long long)note->object);
        say(text, (size_t)len);
    }
    void *frames[FRAMES];
    int depth = backtrace(frames, FRAMES);
    if (may_say()) {
        backtrace_symbols_fd(frames, depth, STDERR_FILENO);
    }
    (void)alarm(0);
    abort();
}
