/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span.h — bytes of someone else's.
 *
 * Ownership  none: a span is a loan, valid until the function or callback returns. To keep it,
 *            copy it into an arena (arena_copy()).
 * Threads    any.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"

struct span {
    const uint8_t *at;
    size_t len;
};

/* A span over a string literal, also in static initialisers. */
#define SPAN(literal) ((struct span){(const uint8_t *)("" literal), sizeof(literal) - 1})

/* For printf's "%.*s". */
#define SPAN_ARGS(s) (int)(s).len, (const char *)(s).at

static inline struct span span_of(const char *text)
{
    return (struct span){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

static inline struct span span_make(const void *at, size_t len)
{
    return (struct span){(const uint8_t *)at, len};
}

/* The bytes of `s` from `from`, at most `len` of them; both are cut to what is there. */
static inline struct span span_cut(struct span s, size_t from, size_t len)
{
    from = from < s.len ? from : s.len;
    len = len < s.len - from ? len : s.len - from;
    return (struct span){s.at == NULL ? NULL : s.at + from, len};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool span_is(struct span s, const char *text)
{
    return span_equal(s, span_of(text));
}

static inline bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_equal(span_cut(s, 0, prefix.len), prefix);
}

static inline bool span_ends(struct span s, struct span suffix)
{
    return s.len >= suffix.len && span_equal(span_cut(s, s.len - suffix.len, s.len), suffix);
}

/* Equal but for the case of ASCII letters. */
bool span_equal_nocase(struct span a, struct span b);

/* Index of the first place at or after `from` where `words`, which are not empty, stand in letters
 * of either case, or s.len if there is none. About a nanosecond a byte. */
size_t span_find_nocase(struct span s, struct span words, size_t from);

/* Behind a noun of which there are `count`: "1 call", "2 calls". */
#define SPAN_PLURAL(count) ((count) == 1 ? "" : "s")

/* Without spaces and tabs at either end. */
struct span span_trim(struct span s);

/* Index of the first `byte` at or after `from`, or s.len if there is none. */
size_t span_find(struct span s, uint8_t byte, size_t from);

/* Reads all of `s` as a decimal number; false if empty, not digits, or past `most`. */
MUST_USE bool span_to_u64(struct span s, uint64_t most, uint64_t *out);

/* The first at most `most` bytes of a text in UTF-8, without a character that is torn. */
struct span span_cut_text(struct span s, size_t most);

/* Copies `s` as a C string into `out`, cutting it to `size` - 1 bytes as span_cut_text() does. */
void span_copy_text(struct span s, char *out, size_t size);

#endif
