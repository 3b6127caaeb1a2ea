/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_sink.h — what detectors found in a window, and which of it stays where values overlap.
 *
 * For guard's own files.
 */
#ifndef GUARD_GUARD_SINK_H
#define GUARD_GUARD_SINK_H

#include "base/buf.h"
#include "guard/guard_internal.h"

/* A value that may be one, in the window. */
struct guard_candidate {
    size_t start, end;
    uint16_t type;
    uint8_t percent;
    bool is_validated;
    bool is_open; /* it goes on behind `end` */
    bool is_out;  /* another one stays in its place */
};

struct guard_sink {
    const struct guard_window *window;
    uint32_t types;         /* that are wanted */
    struct buf found;       /* candidates */
    struct buf waits;       /* places: size_t */
    size_t first;           /* of `found`, after guard_sink_sort(): all before it are done with */
    bool is_sorted_already; /* nothing came out of its order */
};

void guard_sink_init(struct guard_sink *k);
void guard_sink_fini(struct guard_sink *k);

/* Empties it for a window. */
void guard_sink_begin(struct guard_sink *k, const struct guard_window *w, uint32_t types);

bool guard_sink_failed(const struct guard_sink *k);

/* Puts it into the order of the text, before guard_sink_next(). */
void guard_sink_sort(struct guard_sink *k);

/*
 * The next value that stays. Not in the text's order: one that lies before another may come after
 * it. `done`: up to there all is decided, so that what waits before counts no more.
 *
 *   true   it is in *out; what overlaps it is done with
 *   false  there is none before *to, and up to there all is decided
 */
bool guard_sink_next(struct guard_sink *k, size_t done, struct guard_candidate *out, size_t *to);

/* What begins in [from, to) is part of a value that went on up to there. */
void guard_sink_skip(struct guard_sink *k, size_t from, size_t to);

#endif
