/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as they stand after edits, gathered into one, and places of that back to the bytes of the
 * document. What an edit put there is shown, and is nobody's to change again. */
#include <stdlib.h>
#include <string.h>

#include "guard/guard_external.h"

#define RANGES_BYTES_MAX ((size_t)64 << 20)
#define BETWEEN          "\n\n" /* texts: no value goes on over a blank line */

_Static_assert(GUARD_GATHERED_MAX + GUARD_PARTS_MAX * 2 < UINT32_MAX, "places are 32 bits");

/* ---- what stands in a string ---- */

/* A stretch of a string: of the document, or of an edit. */
struct stretch {
    struct span bytes; /* escapes and all */
    uint32_t offset;   /* in the document */
    bool is_edit;
};

/* Goes through a string. */
struct stretches {
    const struct json_edits *edits;
    struct json_edit_place place;
    uint32_t at, end;
};

/* False: the string is gone, or something else stands there. */
static bool begin(struct stretches *s, const struct json_edits *edits, uint32_t row)
{
    const uint32_t from = json_row(edits->index, row)->offset + 1;
    const struct json_edit look = {.offset = from, .role = JSON_EDIT_FIND};
    s->edits = edits;
    s->at = from;
    s->end = from + (uint32_t)json_inside(edits->index, row).len;
    s->place = json_edit_list_find(&edits->list, &look);
    const struct json_edit *before = json_edit_list_before(&edits->list, s->place);
    return before == NULL || json_edit_end(before) <= from;
}

static bool next_stretch(struct stretches *s, struct stretch *out)
{
    const struct json_edit *edit = json_edit_list_get(&s->edits->list, &s->place);
    bool is_inside =
        edit != NULL && (edit->offset < s->end || (edit->offset == s->end && edit->len == 0));
    uint32_t until = is_inside ? edit->offset : s->end;
    if (s->at < until) {
        *out = (struct stretch){span_make(s->edits->index->text.at + s->at, until - s->at), s->at,
                                false};
        s->at = until;
        return true;
    }
    if (!is_inside) {
        return false;
    }
    *out = (struct stretch){edit->text, edit->offset, true};
    s->at = json_edit_end(edit);
    s->place.at++;
    return true;
}

/* ---- gathering ---- */

void guard_gather_begin(struct guard_gathered *g, struct guard_part *parts, size_t count)
{
    *g = (struct guard_gathered){.parts = parts, .count = count};
    buf_init_counted(&g->text, GUARD_GATHERED_MAX, BUF_UNCOUNTED);
}

void guard_gather_end(struct guard_gathered *g)
{
    buf_fini(&g->text);
}

static void put(struct buf *out, struct span left)
{
    while (left.len > 0) {
        uint8_t room[4];
        const uint8_t *escape = memchr(left.at, '\\', left.len);
        size_t plain = escape == NULL ? left.len : (size_t)(escape - left.at);
        buf_put(out, span_cut(left, 0, plain));
        left = span_cut(left, plain, left.len);
        if (left.len > 0) {
            size_t len = json_undo_escape(&left, room);
            buf_put(out, span_make(room, len));
        }
    }
}

static void gather_one(struct guard_gathered *g, const struct json_edits *edits,
                       struct guard_part *part)
{
    struct stretches all;
    struct stretch one;
    if (g->text.len > 0) {
        buf_put(&g->text, SPAN(BETWEEN));
    }
    part->start = (uint32_t)g->text.len;
    if (begin(&all, edits, part->row)) {
        while (next_stretch(&all, &one) && !buf_failed(&g->text)) {
            put(&g->text, one.bytes);
        }
    }
    part->end = (uint32_t)g->text.len;
}

enum err guard_gather(struct guard_gathered *g, const struct json_edits *edits, size_t bytes,
                      bool *is_done)
{
    size_t until = g->text.len + bytes;
    *is_done = false;
    while (g->next < g->count && g->text.len < until) {
        gather_one(g, edits, &g->parts[g->next++]);
        if (buf_failed(&g->text)) {
            bool is_full = !g->text.is_refused;
            return is_full ? ERR_VALUE_INVALID : buf_error(&g->text);
        }
        until -= until > g->text.len ? 1 : 0; /* an empty one takes its time, too */
    }
    *is_done = g->next == g->count;
    return ERR_OK;
}

/* ---- what is found ---- */

/* A stretch of the document that a value stands in, or a part of it. */
struct range {
    uint32_t offset, len; /* of the document */
    uint32_t start, end;  /* of all texts together */
    size_t finding;
};

struct work {
    struct guard_case *c;
    const struct guard_gathered *g;
    struct json_edits *edits;
    struct arena *arena;
    const struct guard_finding *findings; /* those that change the text, in order */
    size_t count;
    struct buf ranges;
    bool changes;
};

static int by_start(const void *a, const void *b)
{
    const struct guard_finding *x = a;
    const struct guard_finding *y = b;
    return x->start != y->start ? (x->start < y->start ? -1 : 1)
                                : (x->end < y->end) - (x->end > y->end);
}

/* The part that a place is in, or the next one. */
static size_t part_at(const struct guard_gathered *g, uint64_t at)
{
    size_t low = 0, high = g->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (g->parts[mid].end <= at) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* A finding by the places of the text in which it begins. */
static struct guard_finding inside_of(const struct guard_part *part, const struct guard_finding *f)
{
    struct guard_finding in = *f;
    in.start = f->start > part->start ? f->start - part->start : 0;
    in.end = f->end - part->start;
    return in;
}

/* Notes those that change nothing, and makes one of others that overlap. Returns how many are left,
 * in order. */
static size_t sift(struct guard_case *c, const struct guard_gathered *g, struct guard_finding *f,
                   size_t count)
{
    size_t kept = 0;
    if (count == 0) {
        return 0;
    }
    qsort(f, count, sizeof(*f), by_start);
    for (size_t i = 0; i < count; i++) {
        enum guard_action action = guard_action_of(&c->of, GUARD_PROMPT, &f[i]);
        size_t at = part_at(g, f[i].start);
        if (at == g->count || f[i].end <= g->parts[at].start) {
            continue; /* it is what stands between texts */
        }
        if (!guard_changes(action) || f[i].type == GUARD_INJECTION) {
            const struct guard_finding in = inside_of(&g->parts[at], &f[i]);
            (void)guard_case_judge(c, GUARD_PROMPT, &in); /* is noted */
            continue;
        }
        struct guard_finding *last = kept > 0 ? &f[kept - 1] : NULL;
        if (last == NULL || f[i].start >= last->end) {
            f[kept++] = f[i];
            continue;
        }
        enum guard_action before = guard_action_of(&c->of, GUARD_PROMPT, last);
        const uint64_t end = f[i].end > last->end ? f[i].end : last->end;
        if (guard_strictness(action) > guard_strictness(before)) {
            last->type = f[i].type;
            last->percent = f[i].percent;
        }
        last->end = end;
    }
    return kept;
}

/* Goes on in a stretch until `*said` of the text is `until`. */
static void walk(struct span *left, uint64_t *said, uint64_t until)
{
    while (*said < until && left->len > 0) {
        uint8_t room[4];
        if (left->at[0] == '\\') {
            *said += json_undo_escape(left, room);
            continue;
        }
        const uint8_t *escape = memchr(left->at, '\\', left->len);
        size_t plain = escape == NULL ? left->len : (size_t)(escape - left->at);
        size_t some = until - *said < plain ? (size_t)(until - *said) : plain;
        *said += some;
        *left = span_cut(*left, some, left->len);
    }
}

/* Notes what of the findings from `*next` on stands in a stretch of the document, which begins at
 * `*pos` of all texts. */
static void find_ranges(struct work *w, const struct stretch *one, const struct guard_part *part,
                        uint64_t *pos, size_t *next)
{
    struct span left = one->bytes;
    while (*next < w->count && w->findings[*next].start < part->end) {
        const struct guard_finding *f = &w->findings[*next];
        uint64_t start = f->start > *pos ? f->start : *pos;
        walk(&left, pos, start);
        if (left.len == 0) {
            return; /* it stands behind this stretch */
        }
        const uint8_t *from = left.at;
        uint64_t begun = *pos;
        walk(&left, pos, f->end);
        const struct range range = {.offset = one->offset + (uint32_t)(from - one->bytes.at),
                                    .len = (uint32_t)(left.at - from),
                                    .start = (uint32_t)begun,
                                    .end = (uint32_t)*pos,
                                    .finding = *next};
        if (begun < *pos) {
            buf_put(&w->ranges, span_make(&range, sizeof(range)));
        }
        if (left.len == 0) {
            return; /* it may go on */
        }
        ++*next;
    }
    walk(&left, pos, UINT64_MAX);
}

static uint64_t length_of(struct span bytes)
{
    uint64_t said = 0;
    walk(&bytes, &said, UINT64_MAX);
    return said;
}

static bool is_blank(struct span s)
{
    return span_trim(s).len == 0;
}

/* Whether it would break a text that is JSON itself. */
static bool is_structure(struct span value)
{
    return memchr(value.at, '"', value.len) != NULL || memchr(value.at, '\\', value.len) != NULL;
}

static enum err replace(struct work *w, const struct guard_part *part, const struct range *r,
                        enum guard_action action, struct span value)
{
    struct span instead = {NULL, 0};
    const struct guard_value what = {
        .f = &w->findings[r->finding], .text = value, .is_callers = part->manner.is_callers};
    const struct guard_means by = {
        .c = w->c, .edits = w->edits, .arena = w->arena, .manner = part->manner};
    enum err e = guard_case_replace(w->c, action, &what, w->arena, &instead);
    if (e == ERR_OK) {
        w->changes = true;
        e = guard_text_replace(&by, r->offset, r->len, instead, false);
    }
    return e;
}

/* Judges each finding of the part once, where it is first seen, and does what follows. */
static enum err act(struct work *w, const struct guard_part *part)
{
    const struct range *ranges = (const struct range *)(const void *)buf_span(&w->ranges).at;
    size_t count = buf_span(&w->ranges).len / sizeof(*ranges), judged = SIZE_MAX;
    enum guard_action action = GUARD_ALLOW;
    const struct guard_out whole = {
        .text = span_cut(buf_span(&w->g->text), part->start, part->end - part->start)};
    struct guard_syntax syntax = {.at = 0};
    enum err e = buf_failed(&w->ranges) ? buf_error(&w->ranges) : ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < count; i++) {
        const struct range *r = &ranges[i];
        struct span value = span_cut(buf_span(&w->g->text), r->start, r->end - r->start);
        if (is_blank(value)) {
            continue;
        }
        if (judged != r->finding) {
            const struct guard_finding in = inside_of(part, &w->findings[r->finding]);
            bool is_firm =
                part->manner.is_firm || (part->manner.is_in_json && is_structure(value)) ||
                guard_text_is_bare(&syntax, &part->manner, &whole, r->start - part->start);
            judged = r->finding;
            action = is_firm ? guard_case_judge_firm(w->c, GUARD_PROMPT, &in)
                             : guard_case_judge(w->c, GUARD_PROMPT, &in);
        }
        e = guard_changes(action) ? replace(w, part, r, action, value) : ERR_OK;
    }
    return e;
}

static enum err apply_part(struct work *w, const struct guard_part *part, size_t *next)
{
    struct stretches all;
    struct stretch one;
    uint64_t pos = part->start;
    buf_clear(&w->ranges);
    while (*next < w->count && w->findings[*next].end <= part->start) {
        ++*next;
    }
    size_t at = *next;
    bool has_some = at < w->count && w->findings[at].start < part->end;
    if (!has_some || !begin(&all, w->edits, part->row)) {
        return ERR_OK;
    }
    while (next_stretch(&all, &one)) {
        if (one.is_edit) {
            pos += length_of(one.bytes);
            while (at < w->count && w->findings[at].end <= pos) { /* what stands there is known */
                at++;
            }
        } else {
            find_ranges(w, &one, part, &pos, &at);
        }
    }
    return act(w, part);
}

enum err guard_apply(struct guard_case *c, const struct guard_gathered *g,
                     struct guard_finding *findings, size_t count, struct json_edits *edits,
                     bool *changes)
{
    struct work w = {.c = c, .g = g, .edits = edits, .arena = edits->arena, .findings = findings};
    enum err e = ERR_OK;
    size_t at = 0;
    w.count = sift(c, g, findings, count);
    buf_init(&w.ranges, RANGES_BYTES_MAX);
    for (size_t i = 0; e == ERR_OK && at < w.count && i < g->count; i++) {
        e = apply_part(&w, &g->parts[i], &at);
    }
    buf_fini(&w.ranges);
    *changes = w.changes;
    return e;
}
