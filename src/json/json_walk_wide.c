/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk again, for processors with AVX2 and BMI: it knows only what is usual. At the first thing
 * that is wrong, or too large for a row or a step, or merely odd (a scalar alone, a number of more
 * than 64 characters, a page of white space) it is stuck, and json_walk.c, which is its judge,
 * begins anew and says what it is. So it never says an error, and its rows are the judge's.
 *
 * It goes item by item: in an object a key and a colon, then a value, then the brackets that close
 * behind it and the comma. UTF-8 is checked in strings alone, and there only if one has a byte that
 * is not ASCII: elsewhere the grammar takes nothing but ASCII.
 *
 * The text is an array or object, and its last byte a closing bracket, which nothing but a
 * bracket's own code goes past: so one may always look at the next byte without asking whether
 * there is one.
 *
 * `struct wide` stays in registers, as in json_walk.c.
 */
#include "json/json_walk.h"

#include "json/json_scan.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define WIDE        __attribute__((target("avx2,bmi")))
#define BLOCK       32
#define NUMBER_MOST 64
#define BLANKS_MOST 4096

/* Where a step may end inside an item. */
enum step { ITEM, VALUE };

struct wide {
    const uint8_t *text, *at, *end;
    const uint8_t *stop; /* where this step ends */
    const uint8_t *safe; /* up to here, 32 bytes can be read: the text has as many */
    struct json_row *row, *row_end;
    uint32_t count;            /* of rows */
    uint32_t depth, max_depth; /* in the place as in a row's first word */
    uint32_t open;             /* row of the innermost open container, or JSON_NONE */
    bool in_object;            /* whether that is an object, */
    uint8_t close;             /* and its closing bracket */
    struct json_index *index;
};

#define ONE_DEEP (1u << 16)

/* ---- strings ---- */

/* Where a string ends: its closing quote, or NULL; and its row's flags, in their place. */
struct string_end {
    const uint8_t *at;
    uint32_t flags;
};

/* 32 bytes of a string. */
WIDE INLINE __m256i load(const uint8_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

WIDE INLINE uint32_t bits_of(__m256i in)
{
    return (uint32_t)_mm256_movemask_epi8(in);
}

/* Where quotes, backslashes and controls are. 0x02 apart, a quote is the next after the controls,
 * and a space is not. */
WIDE INLINE __m256i find_stops(__m256i in)
{
    __m256i turned = _mm256_xor_si256(in, _mm256_set1_epi8('"' ^ ' '));
    __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(turned, _mm256_set1_epi8(' ')), turned);
    return _mm256_or_si256(low, _mm256_cmpeq_epi8(in, _mm256_set1_epi8('\\')));
}

/* A string that is looked at by 64 bytes. */
struct text {
    const uint8_t *at;
    uint64_t high; /* not zero: something is not ASCII */
    uint32_t flags;
};

/* Looks at the 64 bytes at t->at. The closing quote, if it is there; else t->at is where to go on,
 * NULL if something is wrong. */
WIDE INLINE const uint8_t *look_at_64(struct text *t, const uint8_t *end)
{
    __m256i one = load(t->at), two = load(t->at + 32);
    __m256i stops_one = find_stops(one), stops_two = find_stops(two);
    if (LIKELY(bits_of(_mm256_or_si256(stops_one, stops_two)) == 0)) {
        t->high |= bits_of(_mm256_or_si256(one, two));
        t->at += 64;
        return NULL;
    }
    uint64_t stops = bits_of(stops_one) | (uint64_t)bits_of(stops_two) << 32;
    uint64_t high = bits_of(one) | (uint64_t)bits_of(two) << 32;
    unsigned past = 64; /* the first byte that is not done with */
    while (stops != 0) {
        const uint8_t *stop = t->at + __builtin_ctzll(stops);
        if (*stop == '"') {
            t->high |= high & (stops ^ (stops - 1));
            return stop;
        }
        const uint8_t *behind = *stop == '\\' ? json_skip_escape(stop, end) : NULL;
        if (behind == NULL) {
            t->at = NULL;
            return NULL;
        }
        t->flags = JSON_ESCAPED << 8;
        past = (unsigned)(behind - t->at);
        if (past >= 64) {
            break;
        }
        stops &= ~UINT64_C(0) << past;
    }
    t->high |= high;
    t->at += past > 64 ? past : 64;
    return NULL;
}

/* The closing quote, less than 64 bytes before the text's end. */
static const uint8_t *end_near_end(struct text *t, const uint8_t *end)
{
    while (t->at != NULL) {
        const uint8_t *stop = t->at;
        while (stop < end && *stop != '"' && *stop != '\\' && *stop >= 0x20) {
            t->high |= *stop & 0x80;
            stop++;
        }
        if (stop < end && *stop == '"') {
            return stop;
        }
        t->flags = JSON_ESCAPED << 8;
        t->at = stop < end && *stop == '\\' ? json_skip_escape(stop, end) : NULL;
    }
    return NULL;
}

/* The step ends inside a string: it is good up to a character that ends at t->at or before. */
static void leave_string(const uint8_t *base, const uint8_t *checked, const struct text *t,
                         struct json_token *token)
{
    const uint8_t *cut = t->at;
    while (cut > checked && t->at - cut < 3 && (*cut & 0xc0) == 0x80) {
        cut--;
    }
    size_t len = (size_t)(cut - checked);
    if (t->high == 0 || json_scan_utf8(span_make(checked, len)) == len) {
        *token =
            (struct json_token){.at = (uint32_t)(cut - base), .flags = (uint8_t)(t->flags >> 8)};
    }
}

/* The end of a string from `from` on that is not short, or has escapes, or ends near the text's
 * end. If the step ends before, `*token` says where to go on. */
WIDE static __attribute__((noinline)) struct string_end end_of_long(const uint8_t *from,
                                                                    const uint8_t *stop,
                                                                    const struct json_index *x,
                                                                    struct json_token *token)
{
    const uint8_t *base = x->text.at, *end = base + x->text.len, *quote = NULL;
    struct text t = {.at = from};
    if (UNLIKELY(token->at != 0)) {
        from = t.at = base + token->at;
        t.flags = (uint32_t)token->flags << 8;
        token->at = 0;
    }
    while (quote == NULL && t.at != NULL && end - t.at >= 64) {
        if (UNLIKELY(t.at >= stop)) {
            leave_string(base, from, &t, token);
            return (struct string_end){NULL, 0};
        }
        quote = look_at_64(&t, end);
    }
    if (quote == NULL && t.at != NULL) {
        quote = end_near_end(&t, end);
    }
    size_t len = quote == NULL ? 0 : (size_t)(quote - from);
    if (t.high != 0 && json_scan_utf8(span_make(from, len)) < len) {
        quote = NULL;
    }
    return (struct string_end){quote, t.flags};
}

/* The end of the string whose quote is at w->at. */
WIDE INLINE struct string_end end_of_string(const struct wide *w)
{
    const uint8_t *at = w->at + 1;
    __m256i in = load(LIKELY(at <= w->safe) ? at : w->safe);
    uint32_t stops = bits_of(_mm256_or_si256(find_stops(in), in)); /* or what is not ASCII */
    if (UNLIKELY(at > w->safe)) {
        stops >>= at - w->safe;
    }
    if (LIKELY(stops != 0) && LIKELY(at[__builtin_ctz(stops)] == '"')) {
        return (struct string_end){at + __builtin_ctz(stops), 0};
    }
    return end_of_long(at, w->stop, w->index, &w->index->walk.token);
}

/* ---- rows ---- */

/* Adds the row of what begins at w->at. */
WIDE INLINE bool put_row(struct wide *w, uint32_t kind_and_flags, uint32_t len, uint32_t next)
{
    if (UNLIKELY(w->row == w->row_end)) {
        if (json_index_grow(w->index) != ERR_OK) {
            return false;
        }
        w->row = w->index->rows + w->count;
        w->row_end = w->index->rows + w->index->cap;
    }
    uint32_t first = kind_and_flags | w->depth; /* three members at once */
    memcpy(w->row, &first, sizeof(first));
    w->row->offset = (uint32_t)(w->at - w->text);
    w->row->len = len;
    w->row->next = next;
    w->row++;
    w->count++;
    return true;
}

/* The row of a scalar or key that ends at `past`; w->at is then there. */
WIDE INLINE bool put_scalar(struct wide *w, uint32_t kind_and_flags, const uint8_t *past)
{
    bool done = put_row(w, kind_and_flags, (uint32_t)(past - w->at), w->count + 1);
    w->at = past;
    return done;
}

/* ---- the items ---- */

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static __attribute__((noinline)) const uint8_t *skip_blanks(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *most = end - at > BLANKS_MOST ? at + BLANKS_MOST : end;
    while (at < most && is_blank(*at)) {
        at++;
    }
    return at;
}

/* Whether the next byte that is no white space, to which it goes, is `byte`. */
WIDE INLINE bool goes_on_with(struct wide *w, uint8_t byte)
{
    if (LIKELY(*w->at == byte)) {
        return true;
    }
    if (*w->at <= ' ') {
        bool is_one = *w->at == ' ' && w->at[1] > ' '; /* as many writers put it */
        w->at = LIKELY(is_one) ? w->at + 1 : skip_blanks(w->at, w->end);
    }
    return *w->at == byte;
}

/* Takes a key and its colon. */
WIDE INLINE bool take_key(struct wide *w)
{
    if (!goes_on_with(w, '"')) {
        return false;
    }
    struct string_end end = end_of_string(w);
    if (UNLIKELY(end.at == NULL) || !put_scalar(w, JSON_KEY | end.flags, end.at + 1) ||
        !goes_on_with(w, ':')) {
        return false;
    }
    w->at++;
    return true;
}

/* What was taken. */
enum taken { TAKEN_NONE, TAKEN_VALUE, TAKEN_OPEN };

WIDE INLINE const uint8_t *skip_digits(const uint8_t *at, const uint8_t *most)
{
    const uint8_t *from = at;
    while (at < most && (uint8_t)(*at - '0') < 10) {
        at++;
    }
    return at > from ? at : NULL;
}

WIDE INLINE enum taken take_number(struct wide *w)
{
    const uint8_t *most = w->end - w->at > NUMBER_MOST ? w->at + NUMBER_MOST : w->end;
    const uint8_t *at = w->at + (*w->at == '-');
    uint32_t flags = 0;
    at = *at == '0' ? at + 1 : skip_digits(at, most);
    if (at != NULL && *at == '.') {
        flags = JSON_FRACTION << 8;
        at = skip_digits(at + 1, most);
    }
    if (at != NULL && UNLIKELY((*at | 0x20) == 'e')) {
        flags = JSON_FRACTION << 8;
        at++;
        at = skip_digits(at + (*at == '+' || *at == '-'), most);
    }
    bool done = at != NULL && at < most && put_scalar(w, JSON_NUMBER | flags, at);
    return done ? TAKEN_VALUE : TAKEN_NONE;
}

WIDE INLINE enum taken take_word(struct wide *w, enum json_kind kind, const char *word, size_t len)
{
    bool done = (size_t)(w->end - w->at) > len && memcmp(w->at, word, len) == 0 &&
                put_scalar(w, kind, w->at + len);
    return done ? TAKEN_VALUE : TAKEN_NONE;
}

/* Takes the closing bracket at w->at. */
WIDE INLINE void take_close(struct wide *w)
{
    struct json_row *rows = w->index->rows;
    w->at++;
    struct json_row *row = &rows[w->open];
    row->len = (uint32_t)(w->at - w->text) - row->offset;
    w->open = row->next;
    row->next = w->count;
    w->depth -= ONE_DEEP;
    if (LIKELY(w->open != JSON_NONE)) {
        w->in_object = rows[w->open].kind == JSON_OBJECT;
        w->close = w->in_object ? '}' : ']';
    }
}

/* Takes an opening bracket; of an empty container, the closing one too. While it is open its `next`
 * holds the row of the container around it. */
WIDE INLINE enum taken take_open(struct wide *w, enum json_kind kind)
{
    if (w->depth == w->max_depth || !put_row(w, kind, 0, w->open)) {
        return TAKEN_NONE;
    }
    w->open = w->count - 1;
    w->depth += ONE_DEEP;
    w->in_object = kind == JSON_OBJECT;
    w->close = w->in_object ? '}' : ']';
    w->at++;
    if (!goes_on_with(w, w->close)) {
        return TAKEN_OPEN;
    }
    take_close(w);
    return LIKELY(w->at < w->end && w->open != JSON_NONE) ? TAKEN_VALUE : TAKEN_NONE;
}

WIDE INLINE enum taken take_value(struct wide *w)
{
    if (goes_on_with(w, '"')) {
        struct string_end end = end_of_string(w);
        return end.at != NULL && put_scalar(w, JSON_STRING | end.flags, end.at + 1) ? TAKEN_VALUE
                                                                                    : TAKEN_NONE;
    }
    switch (*w->at) {
    case '{':
        return take_open(w, JSON_OBJECT);
    case '[':
        return take_open(w, JSON_ARRAY);
    case 't':
        return take_word(w, JSON_TRUE, "true", 4);
    case 'f':
        return take_word(w, JSON_FALSE, "false", 5);
    case 'n':
        return take_word(w, JSON_NULL, "null", 4);
    default:
        return *w->at == '-' || (uint8_t)(*w->at - '0') < 10 ? take_number(w) : TAKEN_NONE;
    }
}

/* What comes behind a value. */
enum after { AFTER_MORE, AFTER_ALL, AFTER_NONE, AFTER_STUCK };

/* Takes the brackets that close and the comma. */
WIDE INLINE enum after take_after(struct wide *w)
{
    for (;;) {
        if (LIKELY(goes_on_with(w, ','))) {
            w->at++;
            return AFTER_MORE;
        }
        if (UNLIKELY(*w->at != w->close)) {
            return AFTER_STUCK;
        }
        take_close(w);
        if (UNLIKELY(w->open == JSON_NONE)) {
            return w->at == w->end ? AFTER_ALL : AFTER_STUCK;
        }
        if (UNLIKELY(w->at == w->end)) {
            return AFTER_STUCK;
        }
    }
}

/* Where the step ended. */
enum ended { ENDED_STEP, ENDED_ALL, ENDED_STUCK };

static enum ended end_inside(struct json_walk *walk, enum step step)
{
    walk->step = (uint8_t)step;
    return walk->token.at != 0 ? ENDED_STEP : ENDED_STUCK;
}

/* Takes a value and what comes behind it. */
WIDE INLINE enum after take_rest(struct wide *w)
{
    enum taken taken = take_value(w);
    if (UNLIKELY(taken == TAKEN_NONE)) {
        return AFTER_NONE;
    }
    return taken == TAKEN_OPEN ? AFTER_MORE : take_after(w);
}

WIDE INLINE enum ended walk_items(struct wide *w, enum step step)
{
    struct json_walk *walk = &w->index->walk;
    enum after after = step == VALUE ? take_rest(w) : AFTER_MORE;
    while (after == AFTER_MORE && LIKELY(w->at < w->stop)) {
        if (w->in_object && UNLIKELY(!take_key(w))) {
            return end_inside(walk, ITEM);
        }
        after = take_rest(w);
    }
    if (after == AFTER_NONE) {
        return end_inside(walk, VALUE);
    }
    walk->step = ITEM;
    return after == AFTER_MORE ? ENDED_STEP : after == AFTER_ALL ? ENDED_ALL : ENDED_STUCK;
}

WIDE static enum ended walk_on(struct json_index *x, size_t bytes)
{
    struct json_walk *from = &x->walk;
    const uint8_t *text = x->text.at, *end = text + x->walk.end;
    uint32_t begin = from->token.at != 0 ? from->token.at : from->at;
    struct wide w = {.text = text,
                     .at = text + from->at,
                     .end = end,
                     .stop = bytes < x->walk.end - begin ? text + begin + bytes : end,
                     .safe = end - BLOCK,
                     .row = x->rows + from->count,
                     .row_end = x->rows + x->cap,
                     .count = from->count,
                     .depth = (uint32_t)from->depth << 16,
                     .max_depth = (uint32_t)x->max_depth << 16,
                     .open = from->open,
                     .index = x};
    if (w.open != JSON_NONE) {
        w.in_object = x->rows[w.open].kind == JSON_OBJECT;
        w.close = w.in_object ? '}' : ']';
    }
    enum ended ended = walk_items(&w, (enum step)from->step);
    from->at = (uint32_t)(w.at - text);
    from->count = w.count;
    from->open = w.open;
    from->depth = (uint16_t)(w.depth >> 16);
    return ended;
}

bool json_walk_may_be_quick(struct json_index *x)
{
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi")) {
        return false;
    }
    const uint8_t *at = x->text.at, *end = at + x->text.len;
    for (int i = 0; i < BLOCK && end > at && is_blank(end[-1]); i++) {
        end--;
    }
    x->walk.end = (uint32_t)(end - at);
    if (x->walk.end < BLOCK || (end[-1] != '}' && end[-1] != ']')) {
        return false;
    }
    for (int i = 0; i < BLOCK - 1 && is_blank(*at); i++) {
        at++;
    }
    return *at == '{' || *at == '[';
}

void json_walk_quickly(struct json_index *x, size_t bytes)
{
    bool has_rows = x->cap > 0 || json_index_grow(x) == ERR_OK;
    switch (has_rows ? walk_on(x, bytes) : ENDED_STUCK) {
    case ENDED_STEP:
        break;
    case ENDED_ALL:
        x->walk.phase = JSON_WALK_DONE;
        x->count = x->walk.count;
        x->error_at = x->text.len;
        break;
    case ENDED_STUCK:
        x->walk = (struct json_walk){.phase = JSON_WALK_UTF8, .open = JSON_NONE};
        break;
    }
}

#else

bool json_walk_may_be_quick(struct json_index *x)
{
    (void)x;
    return false;
}

void json_walk_quickly(struct json_index *x, size_t bytes)
{
    (void)x;
    (void)bytes;
    NEVER("nothing may be quick here");
}

#endif
