/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A window is what stands before, what is held back, and the piece, as a text that is folded anew:
 * a scan keeps bytes as they came, so it needs no other state. What is decided of the window goes
 * out; then what stands before the rest is remembered with it.
 *
 *       |  before  |   held   |        piece        |
 *       |  before  |      goes out      |  is held  |
 */
#include "guard/guard_scan.h"

#include <stdlib.h>

#include "base/memory.h"
#include "guard/guard_sink.h"

/* A character may lie across the beginning of what is kept, as an escape of twelve bytes: so much
 * more shows it whole. */
#define BEFORE_KEPT   (GUARD_BEFORE + 12)
#define WINDOW_MAX    ((size_t)UINT32_MAX - 1)
#define ROOM_KEPT     ((size_t)1 << 20) /* bytes that a scratch keeps from one text to the next */
#define KEY_END_BYTES 80                /* of "-----END … PRIVATE KEY-----" */

struct guard_scratch {
    struct buf window; /* where pieces are put together */
    struct text_fold fold;
    struct guard_sink sink;
    struct buf findings;
    struct guard_rules_scratch *rules;
};

/* What one call works on. */
struct feed {
    struct guard_scan *scan;
    struct guard_scratch *scratch;
    struct guard_window window;
    struct span all; /* the window as it came */
    struct span piece;
    uint64_t piece_at; /* of the text */
};

enum err guard_scratch_new(struct guard_scratch **out)
{
    struct guard_scratch *w = memory_new(sizeof(*w));
    *out = w;
    if (w == NULL) {
        return ERR_NO_MEMORY;
    }
    w->rules = guard_rules_scratch_new();
    if (w->rules == NULL) {
        memory_free(w);
        *out = NULL;
        return ERR_NO_MEMORY;
    }
    buf_init(&w->window, WINDOW_MAX);
    buf_init(&w->findings, WINDOW_MAX);
    text_fold_init(&w->fold);
    guard_sink_init(&w->sink);
    return ERR_OK;
}

void guard_scratch_free(struct guard_scratch **w)
{
    if (*w != NULL) {
        buf_fini(&(*w)->window);
        buf_fini(&(*w)->findings);
        text_fold_fini(&(*w)->fold);
        guard_sink_fini(&(*w)->sink);
        guard_rules_scratch_free(&(*w)->rules);
        memory_free(*w);
        *w = NULL;
    }
}

void guard_scan_begin(struct guard_scan *s, const struct guard_wanted *wanted)
{
    *s = (struct guard_scan){.wanted = *wanted};
}

static struct guard_finding *findings_of(struct guard_scratch *w)
{
    return (struct guard_finding *)(void *)w->findings.at;
}

static size_t finding_count(const struct guard_scratch *w)
{
    return w->findings.len / sizeof(struct guard_finding);
}

static uint64_t begin_of(const struct feed *f, size_t at)
{
    return f->scan->at + text_fold_begin(&f->scratch->fold, at);
}

static uint64_t end_of(const struct feed *f, size_t end)
{
    return f->scan->at + text_fold_end(&f->scratch->fold, end);
}

static void tell(struct feed *f, uint64_t start, uint64_t end, const struct guard_candidate *c)
{
    struct guard_finding finding = {.start = start,
                                    .end = end,
                                    .type = c->type,
                                    .percent = c->percent,
                                    .is_validated = c->is_validated};
    buf_put(&f->scratch->findings, span_make(&finding, sizeof(finding)));
}

/* ---- values that go on ---- */

/* What stands between the first and the last line of a private key. */
static bool is_of_key(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != 0 && strchr("+/=-:,\\\" \t\r\n", c) != NULL);
}

/* Behind the last line that begins at `at` with `mark`; 0: it is another; SIZE_MAX: who knows. */
static size_t key_end_at(const struct guard_window *w, size_t at, struct span mark)
{
    static const char dashes[] = "-----";
    size_t behind = guard_behind(w, at), run = 0;
    behind = behind - at > KEY_END_BYTES ? at + KEY_END_BYTES : behind;
    struct span there = span_cut(w->text, at, behind - at);
    size_t shared = there.len < mark.len ? there.len : mark.len;
    if (memcmp(there.at, mark.at, shared) != 0) {
        return 0;
    }
    for (size_t i = mark.len; i < there.len; i++) {
        run = there.at[i] == '-' ? run + 1 : 0;
        if (run == sizeof(dashes) - 1) {
            return at + i + 1;
        }
        if (there.at[i] == '\n') {
            return 0;
        }
    }
    return there.len < KEY_END_BYTES && guard_is_open(w, at) ? SIZE_MAX : 0;
}

/* How a value goes on. */
struct run {
    size_t to;
    bool is_over;   /* it ends there */
    bool is_marked; /* with a line that says so, not with something else behind it */
};

static struct run key_run(const struct guard_window *w, size_t at)
{
    struct span mark = SPAN("-----END ");
    for (; at < w->text.len; at++) {
        size_t end = w->text.at[at] == '-' ? key_end_at(w, at, mark) : 0;
        if (end == SIZE_MAX) {
            return (struct run){.to = at};
        }
        if (end != 0) {
            return (struct run){.to = end, .is_over = true, .is_marked = true};
        }
        if (!is_of_key(w->text.at[at])) {
            return (struct run){.to = at, .is_over = true};
        }
    }
    return (struct run){.to = at, .is_over = w->is_last};
}

static struct run token_run(const struct guard_window *w, size_t at)
{
    size_t to = guard_secret_run(w->text, at);
    return (struct run){.to = to, .is_over = to < w->text.len || w->is_last};
}

/* Goes on with the value that the scan is inside of, from `at`, and tells it with what was found of
 * it from `start` of the text on. Returns where it ends, or where it is not decided. */
static size_t go_on(struct feed *f, uint64_t start, size_t at)
{
    struct guard_scan *s = f->scan;
    struct run run =
        s->inside == GUARD_PRIVATE_KEY ? key_run(&f->window, at) : token_run(&f->window, at);
    uint64_t end = run.is_marked ? end_of(f, run.to) : begin_of(f, run.to);
    s->is_inside = !run.is_over;
    if (end > start) {
        struct guard_candidate c = {
            .type = s->inside, .percent = s->percent, .is_validated = s->is_validated};
        tell(f, start, end, &c);
    }
    return run.to;
}

/* ---- what is decided ---- */

static int compare(const void *a, const void *b)
{
    const struct guard_finding *left = a, *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

static void sort_findings(struct guard_scratch *w)
{
    size_t count = finding_count(w);
    for (size_t i = 1; i < count; i++) {
        if (findings_of(w)[i].start < findings_of(w)[i - 1].start) {
            qsort(findings_of(w), count, sizeof(struct guard_finding), compare);
            return;
        }
    }
}

/* Goes into a value that may be longer than what a place sees; returns where it ends. */
static size_t enter(struct feed *f, const struct guard_candidate *c)
{
    struct guard_scan *s = f->scan;
    bool is_key = c->type == GUARD_PRIVATE_KEY; /* its last line may be in sight already */
    s->inside = c->type;
    s->percent = c->percent;
    s->is_validated = c->is_validated;
    size_t end = go_on(f, begin_of(f, c->start), is_key ? c->start : c->end);
    guard_sink_skip(&f->scratch->sink, c->start, s->is_inside ? SIZE_MAX : end);
    return end;
}

/* Tells what stays, and returns up to where all is decided. */
static size_t decide(struct feed *f, size_t done)
{
    struct guard_candidate c;
    size_t to, end;
    guard_sink_sort(&f->scratch->sink);
    while (guard_sink_next(&f->scratch->sink, done, &c, &to)) {
        if (c.is_open || c.type == GUARD_PRIVATE_KEY) {
            end = enter(f, &c);
        } else {
            end = c.end;
            tell(f, begin_of(f, c.start), end_of(f, c.end), &c);
        }
        done = end > done ? end : done;
    }
    sort_findings(f->scratch);
    return to > done && !f->scan->is_inside ? to : done;
}

static void join_hits(struct feed *f, const struct guard_tripped *hit, uint64_t start, uint64_t end)
{
    struct guard_scan *s = f->scan;
    for (size_t i = 0; i < GUARD_HIT_WORDS; i++) {
        s->hits[i] |= hit->hits[i];
    }
    if (hit->weight > s->weight) {
        s->weight = (uint16_t)hit->weight;
        s->strongest[0] = start;
        s->strongest[1] = end;
    }
}

static void find_injection(struct feed *f)
{
    struct guard_scan *s = f->scan;
    struct guard_tripped hit;
    if (s->wanted.direction != GUARD_PROMPT || (s->wanted.types >> GUARD_INJECTION & 1) == 0) {
        return;
    }
    guard_find_tripwires(&f->window, &hit);
    if (hit.weight > 0) {
        join_hits(f, &hit, begin_of(f, hit.start), end_of(f, hit.end));
    }
    guard_find_hidden(f->piece, &s->hidden, &hit);
    if (hit.weight > 0) {
        uint64_t end = f->piece_at + hit.end;
        size_t start = (size_t)(end - s->at) - 1;
        while (start > 0 && (f->all.at[start] & 0xC0) == 0x80) { /* the whole character */
            start--;
        }
        join_hits(f, &hit, s->at + start, end);
    }
}

static void tell_injection(struct feed *f)
{
    struct guard_scan *s = f->scan;
    if (s->weight > 0) {
        struct guard_candidate c = {.type = GUARD_INJECTION,
                                    .percent = (uint8_t)guard_tripwires_score(s->hits)};
        tell(f, s->strongest[0], s->strongest[1], &c);
        sort_findings(f->scratch);
    }
}

/* Runs the detectors. */
static enum err find(struct feed *f)
{
    struct guard_sink *k = &f->scratch->sink;
    const struct guard_wanted *wanted = &f->scan->wanted;
    guard_sink_begin(k, &f->window, wanted->types);
    guard_find_numbers(&f->window, wanted->types, k);
    guard_find_addresses(&f->window, wanted->types, k);
    guard_find_secrets(&f->window, wanted->types, k);
    if (wanted->placeholders) {
        guard_find_placeholders(&f->window, k);
    }
    for (size_t i = 0; i < 2; i++) {
        if (wanted->rules[i] != NULL) {
            enum err err = guard_rules_scratch_fit(f->scratch->rules, wanted->rules[i]);
            if (err != ERR_OK) {
                return err;
            }
            guard_find_rules(wanted->rules[i], &f->window, f->scratch->rules, k);
        }
    }
    return guard_sink_failed(k) ? ERR_NO_MEMORY : ERR_OK;
}

/* What is decided, up to *to of the window as it came. */
static enum err scan(struct feed *f, size_t *to)
{
    struct guard_scan *s = f->scan;
    struct guard_window *w = &f->window;
    size_t done = w->from;
    if (s->is_inside) {
        done = go_on(f, s->at + s->before, w->from);
        w->from = done;
    }
    if (!s->is_inside) {
        enum err err = find(f);
        if (err != ERR_OK) {
            return err;
        }
        done = decide(f, done);
    }
    find_injection(f);
    if (w->is_last) {
        tell_injection(f);
    }
    *to = w->is_last ? f->all.len : text_fold_begin(&f->scratch->fold, done);
    return buf_failed(&f->scratch->findings) ? ERR_NO_MEMORY : ERR_OK;
}

/* Forgets what is done with, up to `to` of the window as it came. Inside an escape nobody could
 * tell what follows. */
static void keep(struct guard_scan *s, const struct text_fold *fold, struct span all, size_t to)
{
    size_t from = to > BEFORE_KEPT ? to - BEFORE_KEPT : 0;
    if (s->wanted.reads_escapes && from > 0) {
        from = text_fold_begin(fold, text_fold_find(fold, from));
    }
    CHECK(all.len - from <= sizeof(s->bytes));
    if (from < all.len) { /* else there may be no text at all */
        memmove(s->bytes, all.at + from, all.len - from);
    }
    s->at += from;
    s->before = (uint16_t)(to - from);
    s->len = (uint16_t)(all.len - from);
}

/* Folds the window, but for the beginning of a character at its end. */
static enum err fold(struct feed *f, bool is_last)
{
    bool is_json = f->scan->wanted.reads_escapes;
    size_t whole = is_last   ? f->all.len
                   : is_json ? text_fold_whole_json(f->all)
                             : text_fold_whole(f->all);
    struct span window = span_cut(f->all, 0, whole);
    return is_json ? text_fold_json(&f->scratch->fold, window)
                   : text_fold(&f->scratch->fold, window);
}

static void drop_room(struct buf *b)
{
    if (b->cap > ROOM_KEPT) {
        buf_fini(b);
    }
}

static void clear(struct guard_scratch *w)
{
    drop_room(&w->window);
    drop_room(&w->fold.room);
    drop_room(&w->fold.map);
    buf_clear(&w->window);
    buf_clear(&w->findings);
}

enum err guard_scan_feed(struct guard_scan *s, struct guard_scratch *w, struct span piece,
                         bool is_last, struct guard_out *out)
{
    struct feed f = {.scan = s, .scratch = w, .all = piece, .piece = piece};
    size_t before = s->before, to;
    *out = (struct guard_out){.at = s->at + before};
    if (piece.len == 0 && !is_last) {
        return ERR_OK;
    }
    clear(w);
    f.piece_at = s->at + s->len;
    if (s->len > 0) {
        buf_put(&w->window, span_make(s->bytes, s->len));
        buf_put(&w->window, piece);
        f.all = buf_span(&w->window);
    }
    enum err err = buf_failed(&w->window) ? ERR_NO_MEMORY : fold(&f, is_last);
    if (err != ERR_OK) {
        return err;
    }
    f.window = (struct guard_window){.text = w->fold.text,
                                     .from = text_fold_find(&w->fold, before),
                                     .is_first = s->at == 0,
                                     .is_last = is_last,
                                     .fold = &w->fold};
    err = scan(&f, &to);
    if (err != ERR_OK) {
        return err;
    }
    out->text = span_cut(f.all, before, to - before);
    out->findings = findings_of(w);
    out->count = finding_count(w);
    keep(s, &w->fold, f.all, to);
    return ERR_OK;
}
