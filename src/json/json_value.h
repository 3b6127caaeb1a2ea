/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_value.h — what the rows of an index mean: members by name, texts, numbers.
 *
 * Keys and strings are compared and read unescaped: "mod\u0065l" is `model`, for us as for
 * whoever reads the text after us. A surrogate without its partner ("\ud800") is legal JSON but no
 * text: it equals nothing, json_text() refuses it, json_unescape() puts U+FFFD in its place and
 * says so. "\u0000" is a character like any other.
 *
 * Ownership  nothing is kept. Spans that json_text() gives lie in the text or in the arena.
 * Limits     every function's time is at most linear in the rows and bytes it looks at.
 * Threads    any number of readers of one index.
 * Sources    RFC 8259 sections 4, 6, 7 and 8.3.
 */
#ifndef JSON_JSON_VALUE_H
#define JSON_JSON_VALUE_H

#include "base/arena.h"
#include "json/json_index.h"

/* The value of the first member of `object` whose key is `name`; JSON_NONE if there is none or
 * `object` is no object. */
uint32_t json_find(const struct json_index *x, uint32_t object, struct span name);

/* The same, but the key's row. */
uint32_t json_find_key(const struct json_index *x, uint32_t object, struct span name);

/*
 * The key among the members of `object` itself (not of what they hold) that repeats an earlier one,
 * or JSON_NONE; also for what is no object. For objects whose size is bounded: json_duplicates.h
 * says how keys are compared, and does the same in steps.
 *
 *   ERR_NO_MEMORY
 */
MUST_USE enum err json_first_duplicate(const struct json_index *x, uint32_t object, uint32_t *key);

/* Whether a row is a string or key that reads `text`. */
bool json_text_is(const struct json_index *x, uint32_t row, struct span text);

/*
 * What a string or key says.
 *
 *   ERR_VALUE_INVALID  it is neither, or holds half a surrogate pair
 *   ERR_NO_MEMORY      it has escapes and the arena has no room
 *
 * `*out` points into the text if there are no escapes, else into the arena.
 */
MUST_USE enum err json_text(const struct json_index *x, uint32_t row, struct arena *arena,
                            struct span *out);

/* A string's or key's bytes between its quotes, escapes and all. */
struct span json_inside(const struct json_index *x, uint32_t row);

/*
 * Writes what a string or key says to `out`, which has room for json_inside().len bytes (it never
 * says more than it is long), and returns how many. U+FFFD stands for each half of a surrogate pair
 * without the other; `*halves`, if not NULL, is how many there were.
 */
size_t json_unescape(const struct json_index *x, uint32_t row, uint8_t *out, size_t *halves);

/*
 * Undoes the escape at the front of `left`, which begins with one, and takes it off: what it says
 * is written to `out`, U+FFFD for half a surrogate pair. Returns how many bytes that are. For
 * strings of an index alone, which has checked them.
 */
size_t json_undo_escape(struct span *left, uint8_t out[4]);

#define JSON_PIECE_BYTES 256 /* of what escapes say, at a time */

/* Reads what a string or key says piece by piece, whatever its length. */
struct json_reader {
    struct span left; /* of the text between the quotes */
    bool is_escaped;
    uint8_t room[JSON_PIECE_BYTES];
};

void json_reader_init(struct json_reader *r, const struct json_index *x, uint32_t row);

/*
 * The next piece, unescaped: at most `most` bytes (16 or more), never less than a character and
 * never a part of one; empty behind the last. All pieces together are what json_unescape() writes.
 * A piece lies in the text or in the reader, and is good until the next call.
 */
struct span json_reader_next(struct json_reader *r, size_t most);

/* Writes the beginning of what a string or key says to `out`: at most `most` bytes, less by up to
 * 15 where more is said, whole characters. Returns how many; 0 for JSON_NONE. */
size_t json_read_beginning(const struct json_index *x, uint32_t row, uint8_t *out, size_t most);

/*
 * A number that is whole (1, -5, 1.0 and 1e3 are) and fits.
 *
 *   ERR_VALUE_INVALID  it is no number, not whole, or does not fit. With a point or an exponent it
 *                      must lie within ±2^53.
 */
MUST_USE enum err json_int64(const struct json_index *x, uint32_t row, int64_t *out);

/*
 * Any number, rounded to the nearest double; what is nearer to zero than any double becomes zero.
 *
 *   ERR_VALUE_INVALID  it is no number, beyond the largest double, or longer than 400 characters
 */
MUST_USE enum err json_double(const struct json_index *x, uint32_t row, double *out);

/* A boolean. ERR_VALUE_INVALID: it is none. */
MUST_USE enum err json_bool(const struct json_index *x, uint32_t row, bool *out);

/* How many elements or members a container has. Walks over them. */
uint32_t json_count(const struct json_index *x, uint32_t row);

/* The same, but walks over no more than `most`, which it then says. */
uint32_t json_count_most(const struct json_index *x, uint32_t row, uint32_t most);

#endif
