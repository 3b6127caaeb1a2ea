/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the values that overlap stays. The first one that is left is compared with all that
 * begin before its end, and the best of these stays, whatever begins later still: so what is
 * decided of a value depends on no more than its own length and what a place may look ahead, in
 * a text that comes in pieces too. What the one that stays does not touch is looked at again.
 */
#include "guard/guard_sink.h"

#include <stdlib.h>

#define FOUND_MAX ((size_t)1 << 30)
#define ACTS_FROM 50 /* confidence in percent */

void guard_sink_init(struct guard_sink *k)
{
    *k = (struct guard_sink){.window = NULL};
    buf_init(&k->found, FOUND_MAX);
    buf_init(&k->waits, FOUND_MAX);
}

void guard_sink_fini(struct guard_sink *k)
{
    buf_fini(&k->found);
    buf_fini(&k->waits);
}

void guard_sink_begin(struct guard_sink *k, const struct guard_window *w, uint32_t types)
{
    k->window = w;
    k->types = types;
    k->first = 0;
    k->is_sorted_already = true;
    buf_clear(&k->found);
    buf_clear(&k->waits);
}

bool guard_sink_failed(const struct guard_sink *k)
{
    return buf_failed(&k->found) || buf_failed(&k->waits);
}

static struct guard_candidate *candidates(struct guard_sink *k)
{
    return (struct guard_candidate *)(void *)k->found.at;
}

static size_t candidate_count(const struct guard_sink *k)
{
    return k->found.len / sizeof(struct guard_candidate);
}

/* Of the source. */
static size_t length_of(const struct guard_window *w, size_t start, size_t end)
{
    return w->fold == NULL ? end - start
                           : text_fold_end(w->fold, end) - text_fold_begin(w->fold, start);
}

static bool is_before(const struct guard_candidate *a, const struct guard_candidate *b)
{
    return a->start != b->start ? a->start < b->start
           : a->end != b->end   ? a->end < b->end
                                : a->type < b->type;
}

static void add(struct guard_sink *k, struct guard_candidate c)
{
    const struct guard_window *w = k->window;
    bool is_wanted = c.type >= GUARD_BUILTINS || (k->types >> c.type & 1) != 0;
    CHECK(c.start < c.end && c.end <= w->text.len);
    if (c.start < w->from || !is_wanted) {
        return;
    }
    if (c.is_open) {
        size_t behind = guard_behind(w, c.start);
        c.end = c.end < behind ? c.end : behind;
    } else if (length_of(w, c.start, c.end) > GUARD_VALUE_BYTES) {
        return;
    }
    size_t count = candidate_count(k);
    if (count > 0 && is_before(&c, &candidates(k)[count - 1])) {
        k->is_sorted_already = false;
    }
    buf_put(&k->found, span_make(&c, sizeof(c)));
}

void guard_sink_add(struct guard_sink *k, size_t start, size_t end, unsigned type, unsigned percent,
                    bool is_validated)
{
    add(k, (struct guard_candidate){.start = start,
                                    .end = end,
                                    .type = (uint16_t)type,
                                    .percent = (uint8_t)percent,
                                    .is_validated = is_validated});
}

void guard_sink_add_open(struct guard_sink *k, size_t start, size_t end, unsigned type,
                         unsigned percent, bool is_validated)
{
    add(k, (struct guard_candidate){.start = start,
                                    .end = end,
                                    .type = (uint16_t)type,
                                    .percent = (uint8_t)percent,
                                    .is_validated = is_validated,
                                    .is_open = true});
}

void guard_sink_wait(struct guard_sink *k, size_t start)
{
    if (start >= k->window->from && guard_is_open(k->window, start)) {
        buf_put(&k->waits, span_make(&start, sizeof(start)));
    }
}

static int compare(const void *a, const void *b)
{
    return is_before(a, b) ? -1 : is_before(b, a);
}

void guard_sink_sort(struct guard_sink *k)
{
    if (!k->is_sorted_already) {
        qsort(k->found.at, candidate_count(k), sizeof(struct guard_candidate), compare);
    }
}

/* The first place at or after `from` that waits, or the window's end. */
static size_t first_wait(const struct guard_sink *k, size_t from)
{
    size_t first = k->window->text.len, at;
    for (size_t i = 0; i < k->waits.len; i += sizeof(at)) {
        memcpy(&at, k->waits.at + i, sizeof(at));
        if (at >= from && at < first) {
            first = at;
        }
    }
    return first;
}

static bool is_better(const struct guard_candidate *a, const struct guard_candidate *b)
{
    bool acts = a->percent >= ACTS_FROM, other_acts = b->percent >= ACTS_FROM;
    size_t len = a->end - a->start, other_len = b->end - b->start;
    if (acts != other_acts) {
        return acts;
    }
    if (a->is_validated != b->is_validated) {
        return a->is_validated;
    }
    if (len != other_len) {
        return len > other_len;
    }
    return a->percent != b->percent ? a->percent > b->percent : a->type < b->type;
}

static bool overlap(const struct guard_candidate *a, const struct guard_candidate *b)
{
    return a->start < b->end && b->start < a->end;
}

/* The first that is left; NULL: none. */
static struct guard_candidate *first_left(struct guard_sink *k)
{
    struct guard_candidate *c = candidates(k);
    size_t count = candidate_count(k);
    while (k->first < count && c[k->first].is_out) {
        k->first++;
    }
    return k->first == count ? NULL : &c[k->first];
}

bool guard_sink_next(struct guard_sink *k, size_t done, struct guard_candidate *out, size_t *to)
{
    struct guard_candidate *first = first_left(k), *best = first;
    *to = first_wait(k, done);
    if (first == NULL) {
        return false;
    }
    const struct guard_candidate *end = candidates(k) + candidate_count(k);
    if (!k->window->is_last && first->end > *to) {
        *to = first->start < *to ? first->start : *to;
        return false;
    }
    for (struct guard_candidate *c = first; c < end && c->start < first->end; c++) {
        best = !c->is_out && is_better(c, best) ? c : best;
    }
    *out = *best;
    for (struct guard_candidate *c = first; c < end && c->start < out->end; c++) {
        c->is_out = c->is_out || overlap(c, out);
    }
    return true;
}

void guard_sink_skip(struct guard_sink *k, size_t from, size_t to)
{
    struct guard_candidate *c = candidates(k);
    for (size_t i = k->first; i < candidate_count(k) && c[i].start < to; i++) {
        c[i].is_out = c[i].is_out || c[i].start >= from;
    }
}
