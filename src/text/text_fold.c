/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Most text does not change: it is looked over for the first character that would, sixteen bytes
 * at a time where they are ASCII and letters of Arabic, else by the character. What changes is then
 * put together from the stretches between.
 */
#include "text/text_fold.h"

#include <string.h>

#include "text/text_escape.h"

#define ROOM_MAX ((size_t)UINT32_MAX)
#define MAP_MAX  (ROOM_MAX * sizeof(struct text_fold_point))
#define KEPT     (-1)

struct row {
    uint32_t first, last;
    uint8_t as;
    bool is_run;
};

static const struct row rows[] = {
#define FOLD(first, last, as)     {first, last, as, false},
#define FOLD_RUN(first, last, as) {first, last, as, true},
#include "text/text_fold.def"
#undef FOLD
#undef FOLD_RUN
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Of two bytes, by the first: which second ones may make a character that changes. */
#define CONT(c)         (UINT64_C(1) << ((c)-0x80))
#define CONTS(from, to) ((CONT(to) - CONT(from)) | CONT(to))
#define ANY             UINT64_MAX

static const uint64_t pairs[32] = {
    [0x02] = CONT(0xA0) | CONT(0xAD) | CONTS(0xB2, 0xB3) | CONT(0xB9), /* U+0080 */
    [0x0D] = CONT(0x8F) | CONT(0xBE),                                  /* U+0340 */
    [0x0E] = ANY,                                                      /* Greek */
    [0x0F] = ANY,
    [0x10] = ANY, /* Cyrillic */
    [0x11] = ANY,
    [0x12] = ANY,
    [0x13] = ANY,
    [0x14] = ANY,
    [0x16] = CONT(0x89),                                  /* U+0580 */
    [0x18] = CONT(0x8C) | CONTS(0x9B, 0x9C) | CONT(0x9F), /* U+0600 */
    [0x19] = CONT(0x80) | CONTS(0xA0, 0xAC),              /* U+0640 */
    [0x1B] = CONT(0x94) | CONTS(0xB0, 0xB9),              /* U+06C0 */
    [0x1F] = CONTS(0x80, 0x89),                           /* U+07C0 */
};

/* Of three bytes: whether one that begins so may change. */
#define TRIPLES (1u << 0x0 | 1u << 0x1 | 1u << 0x2 | 1u << 0x3 | 1u << 0xF)

static bool is_cont(uint8_t c)
{
    return (c & 0xC0) == 0x80;
}

/* How many bytes a character has that begins so; 1: it is ASCII, or none begins so. */
static size_t length_of(uint8_t lead)
{
    return lead < 0xC2 || lead > 0xF4 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

size_t text_fold_next(struct span s, size_t at)
{
    size_t len = length_of(s.at[at]);
    if (len > s.len - at) {
        return at + 1;
    }
    for (size_t i = 1; i < len; i++) {
        if (!is_cont(s.at[at + i])) {
            return at + 1;
        }
    }
    return at + len;
}

size_t text_fold_whole(struct span s)
{
    for (size_t back = 1; back < 4 && back <= s.len; back++) {
        uint8_t c = s.at[s.len - back];
        if (!is_cont(c)) {
            return length_of(c) > back ? s.len - back : s.len;
        }
    }
    return s.len;
}

size_t text_fold_whole_json(struct span s)
{
    const uint8_t *at = s.len == 0 ? NULL : memchr(s.at, '\\', s.len);
    while (at != NULL) {
        size_t from = (size_t)(at - s.at);
        struct text_escape e = text_escape_read(span_cut(s, from, s.len));
        if (e.len == 0) {
            return from;
        }
        from += e.len;
        at = from < s.len ? memchr(s.at + from, '\\', s.len - from) : NULL;
    }
    return text_fold_whole(s);
}

static uint32_t decode(const uint8_t *at, size_t len)
{
    uint32_t c = at[0] & (0xFFu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        c = c << 6 | (at[i] & 0x3Fu);
    }
    return c;
}

/* What a character is read as: ASCII, 0 if it is not there, or KEPT. */
static int read_as(uint32_t c)
{
    size_t from = 0, to = ROWS;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (c > rows[middle].last) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    if (from == ROWS || c < rows[from].first) {
        return KEPT;
    }
    return rows[from].as + (rows[from].is_run ? (int)(c - rows[from].first) : 0);
}

static bool may_change(const uint8_t *at, size_t len)
{
    switch (len) {
    case 1:
        return false;
    case 2:
        return (pairs[at[0] & 0x1F] & CONT(at[1])) != 0;
    case 3:
        return (TRIPLES >> (at[0] & 0xF) & 1) != 0;
    default:
        return at[0] == 0xF0 || at[0] == 0xF3;
    }
}

/* A character that is read as something else, or as nothing. */
struct change {
    size_t at, next;
    size_t len;
    uint8_t as[4];
};

typedef uint8_t block __attribute__((vector_size(16)));

static block load(const uint8_t *at)
{
    block b;
    memcpy(&b, at, sizeof(b));
    return b;
}

static block is_between(block b, uint8_t from, uint8_t to)
{
    return (block)((b - from) <= (uint8_t)(to - from));
}

static bool has_any(block b)
{
    uint64_t halves[2];
    memcpy(halves, &b, sizeof(halves));
    return (halves[0] | halves[1]) != 0;
}

/* Skips blocks of ASCII and of letters of Arabic, which begin with D8, D9 or DA and of whose
 * second bytes few make something that changes; of JSON not those with escapes. Ends maybe inside a
 * character, which stays. */
static size_t skip_blocks(struct span s, size_t at, bool is_json)
{
    while (s.len - at > sizeof(block)) {
        block b = load(s.at + at);
        if (is_json && has_any(is_between(b, '\\', '\\'))) {
            return at;
        }
        if (has_any(b & 0x80)) {
            block next = load(s.at + at + 1);
            block odd = is_between(b, 0xC0, 0xD7) | is_between(b, 0xDB, 0xFF) |
                        (is_between(b, 0xD8, 0xD8) &
                         (is_between(next, 0x8C, 0x8C) | is_between(next, 0x9B, 0x9F))) |
                        (is_between(b, 0xD9, 0xD9) &
                         (is_between(next, 0x80, 0x80) | is_between(next, 0xA0, 0xAC)));
            if (has_any(odd)) {
                return at;
            }
        }
        at += sizeof(block);
    }
    return at;
}

/* False: it stands for itself. Either way out->next is behind it. */
static bool change_escape(struct span s, size_t at, struct change *out)
{
    struct text_escape e = text_escape_read(span_cut(s, at, s.len));
    *out = (struct change){.at = at, .next = at + (e.len > 0 ? e.len : 1)};
    if (e.len <= 1 || text_escape_is_half(e.says)) {
        return false;
    }
    int as = read_as(e.says);
    if (as == KEPT) {
        out->len = text_escape_encode(e.says, out->as);
    } else {
        out->as[0] = (uint8_t)as;
        out->len = as != 0;
    }
    return true;
}

static bool change_character(struct span s, size_t at, struct change *out)
{
    *out = (struct change){.at = at, .next = text_fold_next(s, at)};
    size_t len = out->next - at;
    int as = may_change(s.at + at, len) ? read_as(decode(s.at + at, len)) : KEPT;
    out->as[0] = (uint8_t)as;
    out->len = as != 0;
    return as != KEPT;
}

/* The first one at or after `at`; false: there is none. */
static bool find_change(const struct text_fold *f, size_t at, struct change *out)
{
    struct span s = f->source;
    size_t stop = at; /* up to here it is looked at by the character */
    while (at < s.len) {
        if (at >= stop) {
            at = skip_blocks(s, at, f->is_json);
            stop = at + sizeof(block);
        }
        if (at == s.len) {
            break;
        }
        bool is_escape = f->is_json && s.at[at] == '\\';
        if (s.at[at] < 0x80 && !is_escape) {
            at++;
            continue;
        }
        if (is_escape ? change_escape(s, at, out) : change_character(s, at, out)) {
            return true;
        }
        at = out->next;
    }
    return false;
}

void text_fold_init(struct text_fold *f)
{
    *f = (struct text_fold){.points = 0};
    buf_init(&f->room, ROOM_MAX);
    buf_init(&f->map, MAP_MAX);
}

void text_fold_fini(struct text_fold *f)
{
    buf_fini(&f->room);
    buf_fini(&f->map);
}

static const struct text_fold_point *points_of(const struct text_fold *f)
{
    return (const struct text_fold_point *)(const void *)f->map.at;
}

/* What follows in the room comes from `from` on. */
static void put_point(struct text_fold *f, size_t from)
{
    struct text_fold_point p = {(uint32_t)f->room.len, (uint32_t)from};
    if (f->points > 0 && points_of(f)[f->points - 1].at == p.at) { /* nothing lay between */
        f->points--;
        f->map.len -= sizeof(p);
    }
    buf_put(&f->map, span_make(&p, sizeof(p)));
    f->points++;
}

static enum err fold(struct text_fold *f, struct span source, bool is_json)
{
    struct change c;
    size_t at = 0;
    CHECK(source.len < ROOM_MAX);
    f->source = f->text = source;
    f->is_json = is_json;
    f->points = 0;
    buf_clear(&f->room);
    buf_clear(&f->map);
    while (find_change(f, at, &c)) {
        buf_put(&f->room, span_cut(source, at, c.at - at));
        for (size_t i = 0; i < c.len; i++) {
            put_point(f, c.at);
            buf_put_byte(&f->room, c.as[i]);
        }
        put_point(f, c.next);
        at = c.next;
        if (buf_failed(&f->map)) {
            return buf_error(&f->map);
        }
    }
    if (at > 0) {
        buf_put(&f->room, span_cut(source, at, source.len));
        f->text = buf_span(&f->room);
    }
    return buf_failed(&f->room) ? buf_error(&f->room) : ERR_OK;
}

enum err text_fold(struct text_fold *f, struct span source)
{
    return fold(f, source, false);
}

enum err text_fold_json(struct text_fold *f, struct span source)
{
    return fold(f, source, true);
}

/* How many points are at or before `at`: of the folded text, or of the source. */
static size_t points_to(const struct text_fold *f, size_t at, bool is_source)
{
    const struct text_fold_point *points = points_of(f);
    size_t from = 0, to = f->points;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if ((is_source ? points[middle].from : points[middle].at) <= at) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

size_t text_fold_begin(const struct text_fold *f, size_t at)
{
    if (f->points == 0) {
        return at;
    }
    if (at >= f->text.len) {
        return f->source.len;
    }
    size_t n = points_to(f, at, false);
    if (n == 0) {
        return at;
    }
    const struct text_fold_point *p = points_of(f) + n - 1;
    return p->from + (at - p->at);
}

size_t text_fold_end(const struct text_fold *f, size_t end)
{
    size_t at = text_fold_begin(f, end - 1);
    if (f->is_json && f->source.at[at] == '\\') {
        struct text_escape e = text_escape_read(span_cut(f->source, at, f->source.len));
        return at + (e.len > 0 ? e.len : 1);
    }
    if (f->text.at[end - 1] < 0x80 && f->source.at[at] >= 0x80) {
        return text_fold_next(f->source, at);
    }
    return at + 1;
}

size_t text_fold_find(const struct text_fold *f, size_t from)
{
    if (f->points == 0) { /* there is no map */
        return from < f->text.len ? from : f->text.len;
    }
    size_t n = points_to(f, from, true);
    const struct text_fold_point *p = points_of(f) + n;
    size_t at = n == 0 ? from : p[-1].at + (from - p[-1].from);
    size_t most = n < f->points ? p->at : f->text.len; /* it was in what changed */
    return at < most ? at : most;
}
