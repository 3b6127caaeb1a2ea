/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Escapes are undone one character at a time by next_piece(), which both the comparing and the
 * copying functions use, so they cannot differ.
 */
#include "json/json_value.h"

#include <math.h>
#include <stdlib.h>

#define NUMBER_BYTES 400 /* the longest number that is converted */
#define PIECE_MIN    16  /* bytes that json_reader_next() must have room for */

static bool is_text(const struct json_index *x, uint32_t row)
{
    return json_kind(x, row) == JSON_STRING || json_kind(x, row) == JSON_KEY;
}

struct span json_inside(const struct json_index *x, uint32_t row)
{
    CHECK(is_text(x, row));
    const struct json_row *r = json_row(x, row);
    return (struct span){x->text.at + r->offset + 1, r->len - 2};
}

/* The value of four hexadecimal digits, which the index has checked. */
static uint32_t hex4(const uint8_t *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t digit = at[i];
        value = value << 4 | (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    return value;
}

/* Writes a code point as UTF-8 and returns its length. */
static size_t put_utf8(uint32_t code, uint8_t out[4])
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

/* Part of what a string says: either bytes of the text or an escape, undone. */
struct piece {
    struct span said;
    uint8_t undone[4];
    bool half; /* a surrogate without its partner; U+FFFD stands for it */
};

/* Undoes the \u at `at`; returns how many bytes of the text that took. */
static size_t undo_code(const uint8_t *at, const uint8_t *end, struct piece *out)
{
    uint32_t code = hex4(at + 2);
    size_t taken = 6;
    if (code >= 0xd800 && code < 0xdc00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u') {
        uint32_t low = hex4(at + 8);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            taken = 12;
        }
    }
    out->half = code >= 0xd800 && code < 0xe000;
    out->said = span_make(out->undone, put_utf8(out->half ? 0xfffd : code, out->undone));
    return taken;
}

/* Takes the next piece off the front of `left`, which is not empty. `out` must not move. */
static void next_piece(struct span *left, struct piece *out)
{
    static const uint8_t plain[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                       ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    size_t taken = 0;
    out->half = false;
    if (left->at[0] != '\\') {
        const uint8_t *slash = memchr(left->at, '\\', left->len);
        taken = slash == NULL ? left->len : (size_t)(slash - left->at);
        out->said = span_make(left->at, taken);
    } else if (left->at[1] == 'u') {
        taken = undo_code(left->at, left->at + left->len, out);
    } else {
        out->undone[0] = plain[left->at[1]];
        out->said = span_make(out->undone, 1);
        taken = 2;
    }
    *left = span_cut(*left, taken, left->len);
}

size_t json_undo_escape(struct span *left, uint8_t out[4])
{
    struct piece piece = {.half = false};
    CHECK(left->len > 0 && left->at[0] == '\\');
    next_piece(left, &piece);
    memcpy(out, piece.undone, sizeof(piece.undone));
    return piece.said.len;
}

/* Whether the inside of a string with escapes reads `text`. */
static bool escaped_is(struct span inside, struct span text)
{
    while (inside.len > 0) {
        struct piece piece;
        next_piece(&inside, &piece);
        if (piece.half || !span_starts(text, piece.said)) {
            return false;
        }
        text = span_cut(text, piece.said.len, text.len);
    }
    return text.len == 0;
}

/* Whether a key or string reads `text`. Its length and first byte tell nearly all words apart. */
static inline __attribute__((always_inline)) bool
reads(const struct json_index *x, const struct json_row *row, struct span text)
{
    const uint8_t *inside = x->text.at + row->offset + 1;
    if (LIKELY((row->flags & JSON_ESCAPED) == 0)) {
        return row->len == text.len + 2 &&
               (text.len == 0 ||
                (inside[0] == text.at[0] && memcmp(inside, text.at, text.len) == 0));
    }
    return escaped_is(span_make(inside, row->len - 2), text);
}

bool json_text_is(const struct json_index *x, uint32_t row, struct span text)
{
    return is_text(x, row) && reads(x, &x->rows[row], text);
}

/* Undoes all of `inside`; `*halves` counts what has no meaning. */
static size_t undo(struct span inside, uint8_t *out, size_t *halves)
{
    size_t len = 0;
    while (inside.len > 0) {
        struct piece piece;
        next_piece(&inside, &piece);
        memcpy(out + len, piece.said.at, piece.said.len);
        len += piece.said.len;
        *halves += piece.half;
    }
    return len;
}

size_t json_unescape(const struct json_index *x, uint32_t row, uint8_t *out, size_t *halves)
{
    size_t found = 0;
    size_t len = undo(json_inside(x, row), out, &found);
    if (halves != NULL) {
        *halves = found;
    }
    return len;
}

void json_reader_init(struct json_reader *r, const struct json_index *x, uint32_t row)
{
    r->left = json_inside(x, row);
    r->is_escaped = (json_row(x, row)->flags & JSON_ESCAPED) != 0;
}

/* How many of the first `most` bytes of `s` are whole characters. */
static size_t whole_characters(struct span s, size_t most)
{
    if (s.len <= most) {
        return s.len;
    }
    while ((s.at[most] & 0xc0) == 0x80) {
        most--;
    }
    return most;
}

/* Takes up to `most` bytes that stand as they are off the front; empty at an escape. */
static struct span take_plain(struct json_reader *r, size_t most)
{
    struct span plain = span_cut(r->left, 0, whole_characters(r->left, most));
    if (r->is_escaped) {
        plain.len = span_find(plain, '\\', 0);
    }
    r->left = span_cut(r->left, plain.len, r->left.len);
    return plain;
}

/* Undoes escapes, and copies the few bytes that may stand between them, while there is room. */
static struct span take_escapes(struct json_reader *r, size_t most)
{
    most = most < sizeof(r->room) ? most : sizeof(r->room);
    size_t len = 0;
    while (r->left.len > 0 && most - len >= 4) {
        struct piece piece;
        if (r->left.at[0] == '\\') {
            next_piece(&r->left, &piece);
        } else {
            size_t plain = span_find(span_cut(r->left, 0, most - len), '\\', 0);
            if (plain == most - len || plain == r->left.len) {
                break; /* a longer stretch is no piece of this room */
            }
            piece.said = span_cut(r->left, 0, plain);
            r->left = span_cut(r->left, plain, r->left.len);
        }
        memcpy(r->room + len, piece.said.at, piece.said.len);
        len += piece.said.len;
    }
    return span_make(r->room, len);
}

struct span json_reader_next(struct json_reader *r, size_t most)
{
    CHECK(most >= PIECE_MIN);
    struct span plain = take_plain(r, most);
    return plain.len > 0 || r->left.len == 0 ? plain : take_escapes(r, most);
}

size_t json_read_beginning(const struct json_index *x, uint32_t row, uint8_t *out, size_t most)
{
    struct json_reader reader;
    size_t len = 0;
    if (row == JSON_NONE) {
        return 0;
    }
    json_reader_init(&reader, x, row);
    while (most - len >= PIECE_MIN) {
        struct span piece = json_reader_next(&reader, most - len);
        if (piece.len == 0) {
            break;
        }
        memcpy(out + len, piece.at, piece.len);
        len += piece.len;
    }
    return len;
}

enum err json_text(const struct json_index *x, uint32_t row, struct arena *arena, struct span *out)
{
    if (!is_text(x, row)) {
        return ERR_VALUE_INVALID;
    }
    struct span inside = json_inside(x, row);
    if ((json_row(x, row)->flags & JSON_ESCAPED) == 0) {
        *out = inside;
        return ERR_OK;
    }
    uint8_t *room = arena_alloc(arena, inside.len);
    if (room == NULL) {
        return ERR_NO_MEMORY;
    }
    size_t halves = 0;
    size_t len = undo(inside, room, &halves);
    if (halves != 0) {
        return ERR_VALUE_INVALID;
    }
    *out = span_make(room, len);
    return ERR_OK;
}

uint32_t json_find_key(const struct json_index *x, uint32_t object, struct span name)
{
    if (json_kind(x, object) != JSON_OBJECT) {
        return JSON_NONE;
    }
    uint32_t end = x->rows[object].next;
    for (uint32_t key = object + 1; key < end; key = x->rows[key + 1].next) {
        if (reads(x, &x->rows[key], name)) {
            return key;
        }
    }
    return JSON_NONE;
}

uint32_t json_find(const struct json_index *x, uint32_t object, struct span name)
{
    uint32_t key = json_find_key(x, object, name);
    return key == JSON_NONE ? JSON_NONE : key + 1;
}

uint32_t json_count(const struct json_index *x, uint32_t row)
{
    return json_count_most(x, row, UINT32_MAX);
}

uint32_t json_count_most(const struct json_index *x, uint32_t row, uint32_t most)
{
    uint32_t count = 0;
    for (uint32_t i = json_first(x, row); i != JSON_NONE && count < most; i = json_next(x, i)) {
        count++;
    }
    return count;
}

enum err json_bool(const struct json_index *x, uint32_t row, bool *out)
{
    enum json_kind kind = json_kind(x, row);
    if (kind != JSON_TRUE && kind != JSON_FALSE) {
        return ERR_VALUE_INVALID;
    }
    *out = kind == JSON_TRUE;
    return ERR_OK;
}

enum err json_double(const struct json_index *x, uint32_t row, double *out)
{
    struct span source = json_source(x, row);
    if (json_kind(x, row) != JSON_NUMBER || source.len > NUMBER_BYTES) {
        return ERR_VALUE_INVALID;
    }
    char text[NUMBER_BYTES + 1];
    span_copy_text(source, text, sizeof(text));
    double value = strtod(text, NULL);
    if (isinf(value)) {
        return ERR_VALUE_INVALID;
    }
    *out = value;
    return ERR_OK;
}

/* A number with a point or an exponent that is whole all the same. */
static enum err whole_double(const struct json_index *x, uint32_t row, int64_t *out)
{
    const double most = 9007199254740992.0; /* 2^53: up to there each whole number is a double */
    double value;
    enum err e = json_double(x, row, &value);
    if (e != ERR_OK) {
        return e;
    }
    if (value < -most || value > most || (double)(int64_t)value != value) {
        return ERR_VALUE_INVALID;
    }
    *out = (int64_t)value;
    return ERR_OK;
}

enum err json_int64(const struct json_index *x, uint32_t row, int64_t *out)
{
    if (json_kind(x, row) != JSON_NUMBER) {
        return ERR_VALUE_INVALID;
    }
    if ((json_row(x, row)->flags & JSON_FRACTION) != 0) {
        return whole_double(x, row, out);
    }
    struct span digits = json_source(x, row);
    bool negative = digits.at[0] == '-';
    digits = span_cut(digits, negative, digits.len);
    uint64_t value;
    if (!span_to_u64(digits, (uint64_t)INT64_MAX + negative, &value)) {
        return ERR_VALUE_INVALID;
    }
    *out = (int64_t)(negative ? 0 - value : value);
    return ERR_OK;
}
