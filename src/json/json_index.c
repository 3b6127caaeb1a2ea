/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First the whole text is checked for UTF-8, many bytes at a time; then one walk over it needs to
 * know only ASCII. While a container is open its row's `next` holds the row of the container
 * around it, so the walk needs no stack of its own:
 *
 *   VALUE → AFTER → VALUE …           a scalar, then what may follow it
 *     │       ↑ │
 *     │       └─┘ a bracket closes
 *     └→ VALUE                        a bracket opens
 *
 * All of `struct walk` stays in registers as long as no function that takes its address is left
 * out of line; the two slow paths (growing, long strings) therefore take and give plain values.
 */
#include "json/json_index.h"

#include "base/memory.h"
#include "json/json_scan.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define FIRST_ROWS 64
#define INLINE     static inline __attribute__((always_inline))

enum step { VALUE, AFTER, DONE, FAILED };

struct walk {
    const uint8_t *text, *at, *end;
    struct json_row *rows;
    uint32_t count, cap;
    uint32_t open; /* row of the innermost open container, or JSON_NONE */
    uint16_t depth, max_depth;
    bool in_object; /* whether that is an object */
    enum err error;
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

/* 1: may follow a backslash alone; 2: `u`, and four hexadecimal digits. */
static const uint8_t escapes[256] = {
    ['"'] = 1, ['\\'] = 1, ['/'] = 1, ['b'] = 1, ['f'] = 1, ['n'] = 1, ['r'] = 1, ['t'] = 1,
    ['u'] = 2,
};

static const uint8_t hex[256] = {
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
    ['8'] = 1, ['9'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1,
    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1,
};
/* clang-format on */

void json_index_init(struct json_index *x, uint32_t max_rows, uint16_t max_depth)
{
    *x = (struct json_index){.max_rows = max_rows, .max_depth = max_depth};
}

void json_index_fini(struct json_index *x)
{
    memory_free(x->rows);
    json_index_init(x, x->max_rows, x->max_depth);
}

void json_index_trim(struct json_index *x, uint32_t rows)
{
    if (x->cap > rows) {
        json_index_fini(x);
    }
    x->count = 0;
    x->text = (struct span){NULL, 0};
}

void json_index_move(struct json_index *x, struct json_index *out)
{
    *out = *x;
    json_index_init(x, out->max_rows, out->max_depth);
}

size_t json_index_fit(struct json_index *x)
{
    struct json_row *less = x->count == 0 ? NULL : memory_resize(x->rows, x->count * sizeof(*less));
    if (less != NULL) {
        x->rows = less;
        x->cap = x->count;
    }
    return x->cap * sizeof(*x->rows);
}

/* Doubles the room for rows, up to the maximum. */
static __attribute__((noinline)) enum err grow(struct json_index *x)
{
    if (x->cap >= x->max_rows) {
        return ERR_JSON_TOO_MANY;
    }
    uint64_t cap = x->cap < FIRST_ROWS ? FIRST_ROWS : (uint64_t)x->cap * 2;
    cap = cap < x->max_rows ? cap : x->max_rows;
    struct json_row *rows = memory_resize(x->rows, cap * sizeof(*rows));
    if (rows == NULL) {
        return ERR_NO_MEMORY;
    }
    x->rows = rows;
    x->cap = (uint32_t)cap;
    return ERR_OK;
}

/* The next byte that is not white space, or 0 at the end: NUL may stand nowhere either. */
INLINE uint8_t peek(struct walk *w)
{
    const uint8_t *at = w->at;
    uint8_t byte = 0;
    while (at < w->end) {
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

/* Adds a row for the bytes from `from` to w->at. */
INLINE bool add_row(struct walk *w, enum json_kind kind, uint8_t flags, const uint8_t *from)
{
    if (UNLIKELY(w->count == w->cap)) {
        enum err e = grow(w->index);
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

/* Whether the four bytes at `at` are hexadecimal digits. */
INLINE bool are_hex(const uint8_t *at)
{
    return (hex[at[0]] & hex[at[1]] & hex[at[2]] & hex[at[3]]) != 0;
}

/* Goes past the escape whose backslash is at `at`; NULL if it is none. */
INLINE const uint8_t *skip_escape(const uint8_t *at, const uint8_t *end)
{
    uint8_t kind = end - at < 2 ? 0 : escapes[at[1]];
    if (kind == 1) {
        return at + 2;
    }
    return kind == 2 && end - at >= 6 && are_hex(at + 2) ? at + 6 : NULL;
}

/* Goes past the escapes that follow one another at `at`, at least one; NULL if one is none. */
INLINE const uint8_t *skip_escapes(const uint8_t *at, const uint8_t *end)
{
    do {
        at = skip_escape(at, end);
    } while (at != NULL && at < end && *at == '\\');
    return at;
}

/* Which of the escapes at `at` is none; the quick loop above does not remember. */
static __attribute__((noinline)) const uint8_t *bad_escape(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *past = at;
    while (past != NULL && past < end && *past == '\\') {
        at = past;
        past = skip_escape(at, end);
    }
    return at;
}

/* Takes the string whose quote is at w->at. */
INLINE bool take_string(struct walk *w, enum json_kind kind)
{
    const uint8_t *from = w->at;
    const uint8_t *at = from + 1;
    uint8_t flags = 0;
    for (;;) {
        at = find_special(at, w->end);
        if (at < w->end && *at == '"') {
            w->at = at + 1;
            return add_row(w, kind, flags, from);
        }
        const uint8_t *past = at < w->end && *at == '\\' ? skip_escapes(at, w->end) : NULL;
        if (past == NULL) {
            w->at = bad_escape(at, w->end);
            return false;
        }
        flags = JSON_ESCAPED;
        at = past;
    }
}

/* Goes past the digits at `at`, of which there must be one; NULL if there is none. */
INLINE const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *from = at;
    while (at < end && (uint8_t)(*at - '0') < 10) {
        at++;
    }
    return at > from ? at : NULL;
}

/* Goes past the exponent at `at`, if there is one; NULL if it has no digits. */
INLINE const uint8_t *skip_exponent(const uint8_t *at, const uint8_t *end)
{
    if (at == end || (*at | 0x20) != 'e') {
        return at;
    }
    at++;
    at += at < end && (*at == '+' || *at == '-');
    return skip_digits(at, end);
}

INLINE bool take_number(struct walk *w)
{
    const uint8_t *from = w->at;
    const uint8_t *at = from + (*from == '-');
    /* After a leading zero more digits are refused by what may follow a value. */
    at = at < w->end && *at == '0' ? at + 1 : skip_digits(at, w->end);
    const uint8_t *whole = at;
    if (at != NULL && at < w->end && *at == '.') {
        at = skip_digits(at + 1, w->end);
    }
    if (at != NULL) {
        at = skip_exponent(at, w->end);
    }
    if (at == NULL) {
        return false;
    }
    w->at = at;
    return add_row(w, JSON_NUMBER, at != whole ? JSON_FRACTION : 0, from);
}

INLINE bool take_word(struct walk *w, enum json_kind kind, struct span word)
{
    const uint8_t *from = w->at;
    if ((size_t)(w->end - from) < word.len || memcmp(from, word.at, word.len) != 0) {
        return false;
    }
    w->at = from + word.len;
    return add_row(w, kind, 0, from);
}

/* Takes a key and its colon. */
INLINE enum step take_key(struct walk *w)
{
    if (peek(w) != '"' || !take_string(w, JSON_KEY) || peek(w) != ':') {
        return FAILED;
    }
    w->at++;
    return VALUE;
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

/* Takes an opening bracket and, in an object, the first key. */
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
    if (peek(w) == (kind == JSON_OBJECT ? '}' : ']')) {
        return take_close(w);
    }
    return kind == JSON_OBJECT ? take_key(w) : VALUE;
}

INLINE enum step take_value(struct walk *w)
{
    switch ((enum start)starts[peek(w)]) {
    case START_STRING:
        return take_string(w, JSON_STRING) ? AFTER : FAILED;
    case START_NUMBER:
        return take_number(w) ? AFTER : FAILED;
    case START_ARRAY:
        return take_open(w, JSON_ARRAY);
    case START_OBJECT:
        return take_open(w, JSON_OBJECT);
    case START_NULL:
        return take_word(w, JSON_NULL, SPAN("null")) ? AFTER : FAILED;
    case START_FALSE:
        return take_word(w, JSON_FALSE, SPAN("false")) ? AFTER : FAILED;
    case START_TRUE:
        return take_word(w, JSON_TRUE, SPAN("true")) ? AFTER : FAILED;
    case START_NOTHING:
        break;
    }
    return FAILED;
}

INLINE enum step take_after(struct walk *w)
{
    uint8_t byte = peek(w);
    if (w->open == JSON_NONE) {
        return w->at == w->end ? DONE : FAILED;
    }
    if (byte == ',') {
        w->at++;
        return w->in_object ? take_key(w) : VALUE;
    }
    return byte == (w->in_object ? '}' : ']') ? take_close(w) : FAILED;
}

/* Whether the rows inside `row` are in order, in its bytes, and end where it says. */
static bool is_sound_inside(const struct json_index *x, uint32_t row)
{
    const struct json_row *outer = &x->rows[row];
    uint32_t at = outer->offset + 1;
    uint32_t inside = row + 1;
    while (inside < outer->next) {
        const struct json_row *r = &x->rows[inside];
        if (r->offset < at || r->depth != outer->depth + 1 || r->len > x->text.len - r->offset) {
            return false;
        }
        at = r->offset + r->len;
        inside = r->next;
    }
    return inside == outer->next && at < outer->offset + outer->len;
}

/* Asserts what json_index.h says is always true. */
static bool is_sound(const struct json_index *x)
{
    for (uint32_t row = 0; row < x->count; row++) {
        const struct json_row *r = &x->rows[row];
        bool container = r->kind >= JSON_ARRAY;
        if (r->len == 0 || r->next <= row || r->next > x->count ||
            (!container && r->next != row + 1) || (container && !is_sound_inside(x, row))) {
            return false;
        }
    }
    return x->count > 0 && x->rows[0].depth == 0 && x->rows[0].next == x->count;
}

enum err json_index_parse_borrow(struct json_index *x, struct span text)
{
    text = text.at == NULL ? SPAN("") : text;
    x->count = 0;
    x->text = text;
    x->error_at = 0;
    if (text.len > UINT32_MAX) {
        return ERR_BODY_TOO_LARGE;
    }
    x->error_at = json_scan_utf8(text);
    if (x->error_at < text.len) {
        return ERR_BODY_NOT_JSON;
    }
    struct walk w = {.text = text.at,
                     .at = text.at,
                     .end = text.at + text.len,
                     .rows = x->rows,
                     .cap = x->cap,
                     .open = JSON_NONE,
                     .max_depth = x->max_depth,
                     .error = ERR_BODY_NOT_JSON,
                     .index = x};
    enum step step = VALUE;
    while (step < DONE) {
        step = step == VALUE ? take_value(&w) : take_after(&w);
    }
    x->error_at = (size_t)(w.at - w.text);
    x->count = step == DONE ? w.count : 0;
    CHECK_SLOW(step != DONE || is_sound(x));
    return step == DONE ? ERR_OK : w.error;
}
