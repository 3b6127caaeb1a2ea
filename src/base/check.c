/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last words of a program that found itself in the wrong. Only async-signal-safe calls and
 * stack memory: the heap may be what is broken.
 */
#include "base/check.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOTES  32
#define FRAMES 48

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

static void say(const char *text, size_t len)
{
    if (write(STDERR_FILENO, text, len) < 0) {
        return; /* nobody is left to tell */
    }
}

void check_failed(const char *what, const char *file, int line, const char *func)
{
    char text[512];
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
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
    abort();
}
