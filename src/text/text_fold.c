/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Most text does not change: it is looked over for the first character that would, by eight bytes
 * of ASCII at a time, and for a letter of Arabic by one bit. What changes is then put together from
 * the stretches between.
 */
#include "text/text_fold.h"

#include <string.h>

#define ROOM_MAX  ((size_t)UINT32_MAX)
#define MAP_MAX   (ROOM_MAX * sizeof(struct text_fold_point))
#define HIGH_BITS UINT64_C(0x8080808080808080)
#define LOW_BITS  UINT64_C(0x0101010101010101)
#define BACKSLASHES (LOW_BITS * '\\')
#define KEPT      (-1)

#define UNIT_BYTES     6 /* of "\u0661" */
#define HALF_FIRST     0xD800u
#define HALF_SECOND    0xDC00u /* from here on it is the second of a pair */
#define HALF_LAST      0xDFFFu
#define BEYOND_16_BITS 0x10000u

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

/* ---- escapes ---- */

/* What stands at a backslash. */
struct escape {
    size_t len;    /* 0: what follows decides; 1: the backslash is nothing but that */
    uint32_t says; /* a character, or half a pair that has no other half */
};

static int digit_of(uint8_t c)
{
    uint8_t small = c | 0x20;
    return c >= '0' && c <= '9'           ? c - '0'
           : small >= 'a' && small <= 'f' ? small - 'a' + 10
                                          : -1;
}

/* Of "\uXXXX", one half of a pair or all there is. */
static struct escape read_unit(struct span s)
{
    struct escape unit = {.len = UNIT_BYTES};
    for (size_t i = 2; i < UNIT_BYTES; i++) {
        if (i >= s.len) {
            return (struct escape){.len = 0};
        }
        int digit = digit_of(s.at[i]);
        if (digit < 0) {
            return (struct escape){.len = 1};
        }
        unit.says = unit.says << 4 | (uint32_t)digit;
    }
    return unit;
}

static bool is_half(uint32_t c)
{
    return c >= HALF_FIRST && c <= HALF_LAST;
}

/* What the other half of a pair follows, if it does. */
static struct escape read_pair(struct span s, struct escape high)
{
    struct span rest = span_cut(s, UNIT_BYTES, s.len);
    if ((rest.len > 0 && rest.at[0] != '\\') || (rest.len > 1 && rest.at[1] != 'u')) {
        return high;
    }
    struct escape low = read_unit(rest);
    if (low.len == 0) {
        return low;
    }
    if (low.len != UNIT_BYTES || low.says < HALF_SECOND || low.says > HALF_LAST) {
        return high;
    }
    uint32_t c = (high.says - HALF_FIRST) << 10 | (low.says - HALF_SECOND);
    return (struct escape){.len = 2 * UNIT_BYTES, .says = c + BEYOND_16_BITS};
}

/* `s` begins with a backslash. */
static struct escape read_escape(struct span s)
{
    static const char marks[] = "\"\\/bfnrt", says[] = "\"\\/\b\f\n\r\t";
    if (s.len < 2) {
        return (struct escape){.len = 0};
    }
    if (s.at[1] != 'u') {
        const char *mark = memchr(marks, s.at[1], sizeof(marks) - 1);
        return mark == NULL ? (struct escape){.len = 1}
                            : (struct escape){.len = 2, .says = (uint8_t)says[mark - marks]};
    }
    struct escape e = read_unit(s);
    return e.len == UNIT_BYTES && e.says >= HALF_FIRST && e.says < HALF_SECOND ? read_pair(s, e)
                                                                               : e;
}

static size_t encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < BEYOND_16_BITS ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    out[0] = (uint8_t)((0xF00u >> len) | c);
    return len;
}

size_t text_fold_whole_json(struct span s)
{
    const uint8_t *at = s.len == 0 ? NULL : memchr(s.at, '\\', s.len);
    while (at != NULL) {
        size_t from = (size_t)(at - s.at);
        struct escape e = read_escape(span_cut(s, from, s.len));
        if (e.len == 0) {
            return from;
        }
        from += e.len;
        at = from < s.len ? memchr(s.at + from, '\\', s.len - from) : NULL;
    }
    return text_fold_whole(s);
}

size_t text_undo_json(struct span s, uint8_t *out)
{
    size_t len = 0;
    for (size_t at = 0; at < s.len;) {
        struct escape e = {.len = 1};
        if (s.at[at] == '\\') {
            e = read_escape(span_cut(s, at, s.len));
        }
        if (e.len > 1 && !is_half(e.says)) {
            len += encode(e.says, out + len);
            at += e.len;
        } else {
            out[len++] = s.at[at++];
        }
    }
    return len;
}

/* ---- what changes ---- */

/* A character that is read as something else, or as nothing. */
struct change {
    size_t at, next;
    size_t len;
    uint8_t as[4];
};

/* Whether one of eight bytes is a backslash. */
static bool has_backslash(uint64_t block)
{
    uint64_t other = block ^ BACKSLASHES;
    return ((other - LOW_BITS) & ~other & HIGH_BITS) != 0;
}

/* To what is not ASCII, or may be an escape. */
static size_t skip_ascii(struct span s, size_t at, bool is_json)
{
    uint64_t block;
    while (s.len - at >= sizeof(block)) {
        memcpy(&block, s.at + at, sizeof(block));
        if ((block & HIGH_BITS) != 0 || (is_json && has_backslash(block))) {
            break;
        }
        at += sizeof(block);
    }
    while (at < s.len && s.at[at] < 0x80 && !(is_json && s.at[at] == '\\')) {
        at++;
    }
    return at;
}

/* False: it stands for itself. Either way out->next is behind it. */
static bool change_escape(struct span s, size_t at, struct change *out)
{
    struct escape e = read_escape(span_cut(s, at, s.len));
    *out = (struct change){.at = at, .next = at + (e.len > 0 ? e.len : 1)};
    if (e.len <= 1 || is_half(e.says)) {
        return false;
    }
    int as = read_as(e.says);
    if (as == KEPT) {
        out->len = encode(e.says, out->as);
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
    while (at < s.len) {
        if (s.at[at] >= 0x80) {
            if (change_character(s, at, out)) {
                return true;
            }
            at = out->next;
        } else if (f->is_json && s.at[at] == '\\') {
            if (change_escape(s, at, out)) {
                return true;
            }
            at = out->next;
        } else {
            at = skip_ascii(s, at, f->is_json);
        }
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

/* How many points are at or before `at`. */
static size_t points_to(const struct text_fold *f, size_t at)
{
    const struct text_fold_point *points = points_of(f);
    size_t from = 0, to = f->points;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (points[middle].at <= at) {
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
    size_t n = points_to(f, at);
    const struct text_fold_point *p = points_of(f) + n - 1;
    return n == 0 ? at : p->from + (at - p->at);
}

size_t text_fold_end(const struct text_fold *f, size_t end)
{
    size_t at = text_fold_begin(f, end - 1);
    if (f->is_json && f->source.at[at] == '\\') {
        struct escape e = read_escape(span_cut(f->source, at, f->source.len));
        return at + (e.len > 0 ? e.len : 1);
    }
    if (f->text.at[end - 1] < 0x80 && f->source.at[at] >= 0x80) {
        return text_fold_next(f->source, at);
    }
    return at + 1;
}

size_t text_fold_find(const struct text_fold *f, size_t from)
{
    if (f->points == 0) {
        return from < f->text.len ? from : f->text.len;
    }
    size_t low = 0, high = f->text.len;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (text_fold_begin(f, middle) >= from) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}
