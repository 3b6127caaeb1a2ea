/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk that says what is JSON. While a container is open its row's `next` holds the row of the
 * container around it, so the walk needs no stack of its own:
 *
 *   VALUE → AFTER → VALUE …           a scalar, then what may follow it
 *     │      ↑ ↑ │
 *     │      │ └─┘ a bracket closes
 *     │      └───────────────────┐
 *     └→ FIRST → KEY → COLON → VALUE  a bracket opens; in an array, no KEY and no COLON
 *
 * A step's end may lie anywhere. A string or number that reaches beyond it is gone on with from
 * `token`, and white space is simply passed; so nothing is looked at twice.
 *
 * All of `struct walk` stays in registers as long as no function that takes its address is left
 * out of line; the two slow paths (growing, long strings) therefore take and give plain values.
 */
#include "json/json_walk.h"

#include "json/json_scan.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum step { VALUE, FIRST, KEY, COLON, AFTER, DONE, FAILED };

/* Parts of a number, in their order: a leading zero takes the place of the whole part. */
enum part { PART_NONE, PART_ZERO, PART_WHOLE, PART_FRACTION, PART_EXPONENT };

struct walk {
    const uint8_t *text, *at, *end;
    const uint8_t *stop; /* where this step ends, not beyond the end */
    struct json_row *rows;
    uint32_t count, cap;
    uint32_t open; /* row of the innermost open container, or JSON_NONE */
    uint16_t depth, max_depth;
    bool in_object; /* whether that is an object */
    enum err error;
    struct json_token token;
    struct json_index *index; /* for growing only */
};

/* What a value's first byte says it is. */
enum start {
    START_NOTHING,
    START_STRING,
    START_NUMBER,
    START_ARRAY,
    START_OBJECT,
    START_NULL,
    START_FALSE,
    START_TRUE
};

/* clang-format off */
static const uint8_t starts[256] = {
    ['"'] = START_STRING, ['-'] = START_NUMBER, ['0'] = START_NUMBER, ['1'] = START_NUMBER,
    ['2'] = START_NUMBER, ['3'] = START_NUMBER, ['4'] = START_NUMBER, ['5'] = START_NUMBER,
    ['6'] = START_NUMBER, ['7'] = START_NUMBER, ['8'] = START_NUMBER, ['9'] = START_NUMBER,
    ['['] = START_ARRAY,  ['{'] = START_OBJECT, ['n'] = START_NULL,   ['f'] = START_FALSE,
    ['t'] = START_TRUE,
};

const uint8_t json_escapes[256] = {
    ['"'] = 1, ['\\'] = 1, ['/'] = 1, ['b'] = 1, ['f'] = 1, ['n'] = 1, ['r'] = 1, ['t'] = 1,
    ['u'] = 2,
};

const uint8_t json_hex_digits[256] = {
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
    ['8'] = 1, ['9'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1,
    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1,
};
/* clang-format on */

/* The next byte that is not white space, or 0 at the step's end: NUL may stand nowhere either. */
INLINE uint8_t peek(struct walk *w)
{
    const uint8_t *at = w->at;
    uint8_t byte = 0;
    while (at < w->stop) {
        byte = *at;
        if (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t') {
            break;
        }
        at++;
        byte = 0;
    }
    w->at = at;
    return byte;
}

/* What follows when nothing fits: it may be that the step ends before `step` found its byte. */
INLINE enum step none_fits(const struct walk *w, enum step step)
{
    return w->at >= w->stop && w->stop < w->end ? step : FAILED;
}

/* Adds a row for the bytes from `from` to w->at. */
INLINE bool add_row(struct walk *w, enum json_kind kind, uint8_t flags, const uint8_t *from)
{
    if (UNLIKELY(w->count == w->cap)) {
        enum err e = json_index_grow(w->index);
        if (e != ERR_OK) {
            w->error = e;
            return false;
        }
        w->rows = w->index->rows;
        w->cap = w->index->cap;
    }
    struct json_row *row = &w->rows[w->count++];
    row->kind = (uint8_t)kind;
    row->flags = flags;
    row->depth = w->depth;
    row->offset = (uint32_t)(from - w->text);
    row->len = (uint32_t)(w->at - from);
    row->next = w->count;
    return true;
}

/* json_scan_special(), with the usual short string looked at on the spot. */
INLINE const uint8_t *find_special(const uint8_t *at, const uint8_t *end)
{
#if defined(__SSE2__)
    if (LIKELY(end - at >= 16)) {
        __m128i in = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i found = _mm_or_si128(_mm_cmpeq_epi8(in, _mm_set1_epi8('"')),
                                     _mm_cmpeq_epi8(in, _mm_set1_epi8('\\')));
        found = _mm_or_si128(found, _mm_cmpeq_epi8(_mm_min_epu8(in, _mm_set1_epi8(0x1f)), in));
        unsigned bits = (unsigned)_mm_movemask_epi8(found);
        if (bits != 0) {
            return at + __builtin_ctz(bits);
        }
        at += 16;
    }
#endif
    return json_scan_special(at, end);
}

/* Goes past the escapes that follow one another at `at`, at least one, and no further than to
 * `stop`; NULL if one is none. */
INLINE const uint8_t *skip_escapes(const uint8_t *at, const uint8_t *stop, const uint8_t *end)
{
    do {
        at = json_skip_escape(at, end);
    } while (at != NULL && at < stop && *at == '\\');
    return at;
}

/* Which of the escapes at `at` is none; the quick loop above does not remember. */
static __attribute__((noinline)) const uint8_t *bad_escape(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *past = at;
    while (past != NULL && past < end && *past == '\\') {
        at = past;
        past = json_skip_escape(at, end);
    }
    return at;
}

/* Takes the string whose quote is at w->at; `step` is gone on with if it does not end yet. */
INLINE enum step take_string(struct walk *w, enum json_kind kind, enum step step)
{
    const uint8_t *from = w->at;
    const uint8_t *at = from + 1;
    uint8_t flags = 0;
    if (UNLIKELY(w->token.at != 0)) {
        at = w->text + w->token.at;
        flags = w->token.flags;
        w->token.at = 0;
    }
    for (;;) {
        at = find_special(at, w->stop);
        if (at < w->stop && *at == '"') {
            w->at = at + 1;
            return !add_row(w, kind, flags, from) ? FAILED : kind == JSON_KEY ? COLON : AFTER;
        }
        if (at >= w->stop && w->stop < w->end) {
            w->token = (struct json_token){.at = (uint32_t)(at - w->text), .flags = flags};
            return step;
        }
        const uint8_t *past =
            at < w->stop && *at == '\\' ? skip_escapes(at, w->stop, w->end) : NULL;
        if (past == NULL) {
            w->at = bad_escape(at, w->end);
            return FAILED;
        }
        flags = JSON_ESCAPED;
        at = past;
    }
}

/* Goes past digits, as far as to the step's end. */
INLINE const uint8_t *skip_digits(const struct walk *w, const uint8_t *at)
{
    while (at < w->stop && (uint8_t)(*at - '0') < 10) {
        at++;
    }
    return at;
}

/* Goes past what introduces the part of a number that may stand at `*at` behind `part`, and its
 * first digit, which there must be: `*at` becomes NULL if there is none. PART_NONE: the number ends
 * here. These few bytes may lie beyond the step's end. */
INLINE enum part begin_part(const uint8_t **at, const uint8_t *end, enum part part)
{
    const uint8_t *digit = *at;
    if (digit == end) {
        return PART_NONE;
    }
    if (*digit == '.' && part < PART_FRACTION) {
        part = PART_FRACTION;
        digit++;
    } else if ((*digit | 0x20) == 'e' && part != PART_EXPONENT) {
        part = PART_EXPONENT;
        digit++;
        digit += digit < end && (*digit == '+' || *digit == '-');
    } else {
        return PART_NONE;
    }
    *at = digit < end && (uint8_t)(*digit - '0') < 10 ? digit + 1 : NULL;
    return part;
}

INLINE enum step take_number(struct walk *w)
{
    const uint8_t *from = w->at;
    const uint8_t *at = from + (*from == '-');
    enum part part, next;
    if (UNLIKELY(w->token.at != 0)) {
        at = w->text + w->token.at;
        part = (enum part)w->token.part;
        w->token.at = 0;
    } else if (at == w->end || (uint8_t)(*at - '0') >= 10) {
        return FAILED;
    } else {
        part = *at == '0' ? PART_ZERO : PART_WHOLE;
        at++;
    }
    for (;; part = next) {
        /* After a leading zero more digits are refused by what may follow a value. */
        at = part == PART_ZERO ? at : skip_digits(w, at);
        if (UNLIKELY(at >= w->stop && w->stop < w->end)) {
            w->token = (struct json_token){.at = (uint32_t)(at - w->text), .part = (uint8_t)part};
            return VALUE;
        }
        next = begin_part(&at, w->end, part);
        if (at == NULL) {
            return FAILED;
        }
        if (next == PART_NONE) {
            break;
        }
    }
    w->at = at;
    return add_row(w, JSON_NUMBER, part >= PART_FRACTION ? JSON_FRACTION : 0, from) ? AFTER
                                                                                    : FAILED;
}

INLINE enum step take_word(struct walk *w, enum json_kind kind, struct span word)
{
    const uint8_t *from = w->at;
    if ((size_t)(w->end - from) < word.len || memcmp(from, word.at, word.len) != 0) {
        return FAILED;
    }
    w->at = from + word.len;
    return add_row(w, kind, 0, from) ? AFTER : FAILED;
}

INLINE enum step take_colon(struct walk *w)
{
    if (peek(w) != ':') {
        return none_fits(w, COLON);
    }
    w->at++;
    return VALUE;
}

/* Takes a key and, usually, its colon. */
INLINE enum step take_key(struct walk *w)
{
    if (peek(w) != '"') {
        return none_fits(w, KEY);
    }
    enum step next = take_string(w, JSON_KEY, KEY);
    return next == COLON ? take_colon(w) : next;
}

/* Takes the closing bracket at w->at. */
INLINE enum step take_close(struct walk *w)
{
    w->at++;
    struct json_row *row = &w->rows[w->open];
    row->len = (uint32_t)(w->at - w->text) - row->offset;
    w->open = row->next;
    row->next = w->count;
    w->depth--;
    w->in_object = w->open != JSON_NONE && w->rows[w->open].kind == JSON_OBJECT;
    return AFTER;
}

/* Takes what stands behind an opening bracket: the closing one, or a key. */
INLINE enum step take_first(struct walk *w)
{
    uint8_t byte = peek(w);
    if (byte == (w->in_object ? '}' : ']')) {
        return take_close(w);
    }
    if (byte == 0) {
        return none_fits(w, FIRST);
    }
    return w->in_object ? take_key(w) : VALUE;
}

INLINE enum step take_open(struct walk *w, enum json_kind kind)
{
    if (w->depth == w->max_depth) {
        w->error = ERR_JSON_TOO_DEEP;
        return FAILED;
    }
    const uint8_t *from = w->at++;
    if (!add_row(w, kind, 0, from)) {
        return FAILED;
    }
    uint32_t row = w->count - 1;
    w->rows[row].next = w->open;
    w->open = row;
    w->depth++;
    w->in_object = kind == JSON_OBJECT;
    return FIRST;
}

INLINE enum step take_value(struct walk *w)
{
    switch ((enum start)starts[peek(w)]) {
    case START_STRING:
        return take_string(w, JSON_STRING, VALUE);
    case START_NUMBER:
        return take_number(w);
    case START_ARRAY:
        return take_open(w, JSON_ARRAY);
    case START_OBJECT:
        return take_open(w, JSON_OBJECT);
    case START_NULL:
        return take_word(w, JSON_NULL, SPAN("null"));
    case START_FALSE:
        return take_word(w, JSON_FALSE, SPAN("false"));
    case START_TRUE:
        return take_word(w, JSON_TRUE, SPAN("true"));
    case START_NOTHING:
        break;
    }
    return none_fits(w, VALUE);
}

INLINE enum step take_after(struct walk *w)
{
    uint8_t byte = peek(w);
    if (w->open == JSON_NONE) {
        return w->at == w->end ? DONE : none_fits(w, AFTER);
    }
    if (byte == ',') {
        w->at++;
        return w->in_object ? KEY : VALUE;
    }
    return byte == (w->in_object ? '}' : ']') ? take_close(w) : none_fits(w, AFTER);
}

INLINE enum step take_step(struct walk *w, enum step step)
{
    switch (step) {
    case VALUE:
        return take_value(w);
    case AFTER:
        return take_after(w);
    case KEY:
        return take_key(w);
    case FIRST:
        return take_first(w);
    case COLON:
        return take_colon(w);
    case DONE:
    case FAILED:
        break;
    }
    return FAILED;
}

/* Where the step ends that goes on from `from` for so many bytes. */
static const uint8_t *stop_of(const uint8_t *from, const uint8_t *end, size_t bytes)
{
    return bytes < (size_t)(end - from) ? from + bytes : end;
}

enum err json_walk_on(struct json_index *x, size_t bytes)
{
    struct json_walk *from = &x->walk;
    const uint8_t *text = x->text.at, *end = text + x->text.len;
    struct walk w = {
        .text = text,
        .at = text + from->at,
        .end = end,
        .stop = stop_of(text + (from->token.at != 0 ? from->token.at : from->at), end, bytes),
        .rows = x->rows,
        .count = from->count,
        .cap = x->cap,
        .open = from->open,
        .depth = from->depth,
        .max_depth = x->max_depth,
        .in_object = from->open != JSON_NONE && x->rows[from->open].kind == JSON_OBJECT,
        .error = ERR_BODY_NOT_JSON,
        .token = from->token,
        .index = x};
    enum step step = (enum step)from->step;
    do {
        step = take_step(&w, step);
    } while (step < DONE && w.token.at == 0 && (w.at < w.stop || w.stop == w.end));
    *from = (struct json_walk){.phase = step < DONE ? JSON_WALK_VALUES : JSON_WALK_DONE,
                               .step = (uint8_t)step,
                               .depth = w.depth,
                               .at = (uint32_t)(w.at - text),
                               .count = w.count,
                               .open = w.open,
                               .token = w.token};
    x->count = step == DONE ? w.count : 0;
    x->error_at = from->at;
    return step == FAILED ? w.error : ERR_OK;
}
