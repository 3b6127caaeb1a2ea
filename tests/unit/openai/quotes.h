/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quotes.h — JSON in C without backslashes: in these tests' tables ' stands for ".
 */
#ifndef TESTS_OPENAI_QUOTES_H
#define TESTS_OPENAI_QUOTES_H

#include "unit.h"

#include "base/arena.h"

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
