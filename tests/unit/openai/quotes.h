/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quotes.h — JSON in C without backslashes: in these tests' tables ' stands for ".
 */
#ifndef TESTS_OPENAI_QUOTES_H
#define TESTS_OPENAI_QUOTES_H

#include "unit.h"

#include "base/arena.h"

/* What an answer gets that says nothing of itself. */
#define ID(prefix, object) ",'id':'" prefix "-01ABC','object':'" object "','created':99"

/* `text` with " for ', in the arena. */
static inline struct span quoted(struct arena *arena, const char *text)
{
    size_t len = strlen(text);
    char *to = arena_alloc(arena, len + 1);
    assert_non_null(to);
    for (size_t i = 0; i <= len; i++) {
        to[i] = text[i];
        if (to[i] == '\'') {
            to[i] = '"';
        }
    }
    return span_make(to, len);
}

/* Where `words` begin in `text`, or its length. */
static inline size_t place_in(struct span text, struct span words)
{
    const uint8_t *at = memmem(text.at, text.len, words.at, words.len);
    return at == NULL ? text.len : (size_t)(at - text.at);
}

/* `text` without `part`, which has ' for ", wherever it stands; in the arena. */
static inline struct span without(struct arena *arena, struct span text, const char *part)
{
    struct span words = quoted(arena, part);
    uint8_t *rest = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    assert_non_null(rest);
    while (text.len > 0) {
        size_t at = place_in(text, words);
        memcpy(rest + len, text.at, at);
        len += at;
        text = span_cut(text, at + words.len, text.len);
    }
    return span_make(rest, len);
}

/* Fails unless `found` reads `wanted`, which has ' for ". */
static inline void expect_text(const char *why, struct span found, const char *wanted)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    if (!span_equal(found, quoted(&arena, wanted))) {
        fail_msg("%s:\n  is     %.*s\n  not    %s", why, SPAN_ARGS(found), wanted);
    }
    arena_fini(&arena);
}

#endif
