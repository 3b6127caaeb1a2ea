/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectorscan tells ends: a match of at most `width` bytes lies before each. PCRE2 looks at the
 * places where one may begin, all of them, so that what is found at a place is not decided by where
 * the window began. Overlapping matches are told; the scan keeps the longest.
 *
 *      from                       an end           the window's end
 *       |        lo |<── width ───|hi    lo |<─ width + 1 ──|
 *                    PCRE2 looks here        and here, whether one begins, if text may follow
 */
#include "guard/guard_patterns_internal.h"

#include "base/memory.h"

#define HEAP_KIB     256 /* of a match */
#define SETS_KNOWN   64  /* sets of patterns for which a scratch is known to suffice */
#define CHARACTER    4   /* bytes */
#define PLACES_MAX   512 /* at which is looked at once */
#define OVERLAPS_MAX 16  /* matches that each begin inside the one before; then they are skipped */

_Static_assert((SETS_KNOWN & (SETS_KNOWN - 1)) == 0, "a serial's low bits choose the place");

struct guard_rules_scratch {
    hs_scratch_t *first;
    uint64_t known[SETS_KNOWN];
    pcre2_general_context *general;
    pcre2_match_context *context;
    pcre2_match_data *data;
    struct region {
        size_t lo, hi; /* where a match may begin: [lo, hi] */
        bool is_open;
    } regions[GUARD_RULES_MAX];
};

struct guard_rules_scratch *guard_rules_scratch_new(void)
{
    struct guard_rules_scratch *s = memory_new(sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    s->general = guard_pattern_memory();
    if (s->general != NULL) {
        s->context = pcre2_match_context_create(s->general);
        s->data = pcre2_match_data_create(1, s->general);
    }
    if (s->context == NULL || s->data == NULL) {
        guard_rules_scratch_free(&s);
        return NULL;
    }
    /* These can only say that it was done. */
    (void)pcre2_set_match_limit(s->context, GUARD_PATTERN_STEPS);
    (void)pcre2_set_depth_limit(s->context, GUARD_PATTERN_STEPS);
    (void)pcre2_set_heap_limit(s->context, HEAP_KIB);
    return s;
}

void guard_rules_scratch_free(struct guard_rules_scratch **scratch)
{
    struct guard_rules_scratch *s = *scratch;
    *scratch = NULL;
    if (s != NULL) {
        (void)hs_free_scratch(s->first); /* NULL is fine */
        pcre2_match_data_free(s->data);
        pcre2_match_context_free(s->context);
        pcre2_general_context_free(s->general);
        memory_free(s);
    }
}

enum err guard_patterns_fit(const struct guard_patterns *p, struct guard_rules_scratch *scratch)
{
    uint64_t *known = &scratch->known[p->serial & (SETS_KNOWN - 1)];
    if (p->database != NULL && *known != p->serial) {
        if (hs_alloc_scratch(p->database, &scratch->first) != HS_SUCCESS) {
            return ERR_NO_MEMORY;
        }
        *known = p->serial;
    }
    return ERR_OK;
}

/* ---- PCRE2 ---- */

struct search {
    const struct guard_patterns *p;
    const struct guard_window *w;
    struct guard_rules_scratch *scratch;
    struct guard_sink *k;
};

static bool is_middle(struct span text, size_t at)
{
    return at < text.len && (text.at[at] & 0xC0) == 0x80;
}

/* The next place at or behind `at` where a character begins. */
static size_t place_from(struct span text, size_t at)
{
    while (is_middle(text, at)) {
        at++;
    }
    return at;
}

/* What PCRE2 is shown, and how. */
struct look {
    struct span subject;
    size_t base; /* where it begins in the window */
    uint32_t options;
};

/* A place is decided by what it may see, not by what else is there. */
static struct look look_at(const struct search *s, const struct guard_pattern *pattern, size_t lo,
                           size_t hi)
{
    struct span text = s->w->text;
    size_t base = place_from(text, lo < pattern->before ? 0 : lo - pattern->before);
    size_t end = place_from(text, hi + pattern->width + CHARACTER);
    bool is_end = end >= text.len;
    struct look l = {.base = base, .subject = span_cut(text, base, end - base)};
    l.options |= base > 0 || !s->w->is_first ? PCRE2_NOTBOL : 0;
    l.options |= is_end ? 0 : PCRE2_NOTEOL; /* of one that may go on PCRE2 says so itself */
    l.options |= is_end && !s->w->is_last ? PCRE2_PARTIAL_HARD : 0;
    return l;
}

static int match(const struct search *s, const struct guard_pattern *pattern, const struct look *l,
                 size_t at, uint32_t more)
{
    return pcre2_match(pattern->code, l->subject.at, l->subject.len, at - l->base,
                       l->options | more, s->scratch->data, s->scratch->context);
}

/* What could not be decided at `at` is taken for found. Where to go on; SIZE_MAX: nowhere. */
static size_t take_for_found(const struct search *s, const struct guard_pattern *pattern, size_t at)
{
    size_t len = s->w->text.len, end = at + pattern->width;
    if (end > len && guard_is_open(s->w, at)) {
        guard_sink_wait(s->k, at);
        return SIZE_MAX;
    }
    end = place_from(s->w->text, end < len ? end : len);
    guard_sink_add(s->k, at, end, pattern->type, 50, false);
    return end;
}

/* At which of the places up to `hi` a search fails that looked at all from `at` on. */
static size_t find_fault(const struct search *s, const struct guard_pattern *pattern,
                         const struct look *l, size_t at, size_t hi)
{
    while (at < hi) {
        int found = match(s, pattern, l, at, PCRE2_ANCHORED);
        if (found != PCRE2_ERROR_NOMATCH) {
            break;
        }
        at = place_from(s->w->text, at + 1);
    }
    return at;
}

/*
 * The match that begins at `start` by what this place may see, where PCRE2 was shown more than that
 * or would have wished for more: characters without width count there and are not in the text.
 */
static int match_in_sight(const struct search *s, const struct guard_pattern *pattern,
                          struct look l, size_t start)
{
    size_t behind = guard_behind(s->w, start);
    bool is_open = guard_is_open(s->w, start);
    l.subject = span_cut(l.subject, 0, behind - l.base);
    l.options &= is_open ? UINT32_MAX : ~(uint32_t)(PCRE2_PARTIAL_HARD | PCRE2_NOTEOL);
    return match(s, pattern, &l, start, PCRE2_ANCHORED);
}

/* What a match is at its place, which PCRE2 found with more in sight, or less, than that has. */
static int settle(const struct search *s, const struct guard_pattern *pattern, const struct look *l,
                  int found, size_t start)
{
    bool is_far = start + pattern->width + CHARACTER > guard_behind(s->w, start);
    return found == PCRE2_ERROR_PARTIAL || is_far ? match_in_sight(s, pattern, *l, start) : found;
}

/* All matches that begin in [lo, hi]. Where to go on; SIZE_MAX: nowhere. */
static size_t look(const struct search *s, const struct guard_pattern *pattern, size_t lo,
                   size_t hi)
{
    struct look l = look_at(s, pattern, lo, hi);
    const size_t *found_at = pcre2_get_ovector_pointer(s->scratch->data);
    size_t at = place_from(s->w->text, lo), covered = 0, overlaps = 0;
    while (at <= hi && at < s->w->text.len) {
        int found = match(s, pattern, &l, at, 0);
        if (found == PCRE2_ERROR_NOMATCH) {
            return hi + 1;
        }
        if (found < 0 && found != PCRE2_ERROR_PARTIAL) {
            at = take_for_found(s, pattern, find_fault(s, pattern, &l, at, hi));
            continue;
        }
        size_t start = l.base + found_at[0];
        if (start > hi) {
            return hi + 1;
        }
        if (found == PCRE2_ERROR_PARTIAL && guard_is_open(s->w, start)) {
            guard_sink_wait(s->k, start);
            return SIZE_MAX;
        }
        found = settle(s, pattern, &l, found, start);
        if (found < 0) {
            at = place_from(s->w->text, start + 1);
            continue;
        }
        size_t end = l.base + found_at[1];
        guard_sink_add(s->k, start, end, pattern->type, 100, true);
        overlaps = start < covered ? overlaps + 1 : 0;
        covered = end;
        at = place_from(s->w->text, overlaps < OVERLAPS_MAX ? start + 1 : end);
    }
    return at;
}

/* ---- Vectorscan ---- */

static void close_region(const struct search *s, size_t i)
{
    struct region *r = &s->scratch->regions[i];
    if (r->is_open) {
        r->is_open = false;
        for (size_t at = r->lo;
             at <= r->hi && at < s->w->text.len;) { /* PCRE2 reads all that it is shown each time */
            size_t last = r->hi - at < PLACES_MAX ? r->hi : at + PLACES_MAX;
            at = look(s, &s->p->at[i], at, last);
        }
    }
}

/* Places come in order. */
static void add_region(const struct search *s, size_t i, size_t lo, size_t hi)
{
    struct region *r = &s->scratch->regions[i];
    lo = lo > s->w->from ? lo : s->w->from;
    if (r->is_open && lo > r->hi + 1) {
        close_region(s, i);
    }
    if (!r->is_open) {
        *r = (struct region){.lo = lo, .hi = hi, .is_open = true};
    }
    r->hi = hi > r->hi ? hi : r->hi;
}

struct ends {
    const struct search *s;
    size_t base;
};

static int on_end(unsigned id, unsigned long long unused, unsigned long long end, unsigned flags,
                  void *ctx)
{
    const struct ends *ends = ctx;
    (void)unused;
    (void)flags;
    size_t hi = ends->base + (size_t)end, width = ends->s->p->at[id].width;
    if (hi > ends->s->w->from) {
        add_region(ends->s, id, hi > width ? hi - width : 0, hi - 1);
    }
    return 0;
}

/* A character before the first place is shown, for the boundary there. */
static void find_ends(const struct search *s)
{
    struct span text = s->w->text;
    size_t base = s->w->from < CHARACTER ? 0 : s->w->from - CHARACTER;
    base = place_from(text, base);
    struct ends ends = {.s = s, .base = base};
    hs_error_t said = hs_scan(s->p->database, (const char *)text.at + base,
                              (unsigned)(text.len - base), 0, s->scratch->first, on_end, &ends);
    CHECK(said == HS_SUCCESS);
}

/* ---- the whole ---- */

/* The patterns that may begin with one of these bytes. */
static void find_starts(const struct guard_patterns *p, struct span text,
                        uint64_t out[GUARD_MASK_WORDS])
{
    uint64_t a = 0, b = 0;
    for (size_t i = 0; i < text.len; i++) {
        a |= p->starts[text.at[i]][0];
        b |= p->starts[text.at[i]][1];
    }
    out[0] = a;
    out[1] = b;
}

/* Where a match may begin that ends behind the window, or with it: Vectorscan 5.4.9 does not tell
 * of some that end with the last byte of 16 to 33. */
static void add_tails(const struct search *s, const uint64_t starts[GUARD_MASK_WORDS],
                      bool is_short)
{
    size_t len = s->w->text.len;
    for (size_t word = 0; word < GUARD_MASK_WORDS; word++) {
        for (uint64_t rest = starts[word]; rest != 0; rest &= rest - 1) {
            size_t i = word * 64 + (size_t)__builtin_ctzll(rest);
            size_t width = s->p->at[i].width + CHARACTER;
            bool is_slow = (s->p->slow[word] >> (i % 64) & 1) != 0;
            add_region(s, i, is_slow || is_short || len < width ? 0 : len - width, len);
        }
    }
}

void guard_patterns_find(const struct guard_patterns *p, const struct guard_window *w,
                         struct guard_rules_scratch *scratch, struct guard_sink *k)
{
    struct search s = {.p = p, .w = w, .scratch = scratch, .k = k};
    size_t tail = w->from + GUARD_VALUE_BYTES + CHARACTER;
    bool is_short = !w->is_last && w->text.len <= tail; /* its end is all of it */
    uint64_t starts[GUARD_MASK_WORDS], slow = p->slow[0] | p->slow[1];
    if (w->from >= w->text.len) {
        return;
    }
    if (p->database != NULL && !is_short) {
        find_ends(&s);
    }
    bool is_all = is_short || slow != 0 || w->text.len <= tail;
    size_t from = is_all ? w->from : w->text.len - (tail - w->from);
    find_starts(p, span_cut(w->text, from, w->text.len), starts);
    add_tails(&s, starts, is_short);
    for (size_t i = 0; i < p->count; i++) {
        close_region(&s, i);
    }
}
