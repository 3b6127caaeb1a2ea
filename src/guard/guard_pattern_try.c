/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Some patterns can match one text in so many ways that to see that none of them leads on takes
 * very long. Such a pattern is refused: each part of it that repeats is tried, with what follows
 * it, over texts made of the characters that the pattern names, and is made to fail at its end.
 *
 * This finds what people write by mistake. What it misses is bounded when it runs.
 */
#include "guard/guard_patterns_internal.h"

#include <stdio.h>

#define TRY_STEPS    2000 /* of PCRE2 at a place */
#define SEEDS_MAX    16   /* characters that are tried */
#define PAIR_SEEDS   6    /* of them also in pairs */
#define UTF8_BYTES   4
#define SHOWN        40 /* bytes of a part that a fault quotes */
#define PARTS_MAX    64 /* of a pattern that are tried */
#define PLACES_DEPTH 64 /* of brackets */

struct seed {
    uint8_t bytes[UTF8_BYTES];
    size_t len;
};

struct trial {
    const struct guard_patterns *p;
    struct span text;
    struct seed seeds[SEEDS_MAX];
    size_t seed_count;
    struct span parts[PARTS_MAX];
    size_t part_count;
    pcre2_match_context *context;
    pcre2_match_data *data;
};

static void add_seed(struct trial *t, struct span c)
{
    bool is_known = t->seed_count == SEEDS_MAX || c.len > UTF8_BYTES;
    for (size_t i = 0; i < t->seed_count && !is_known; i++) {
        is_known = span_equal(c, span_make(t->seeds[i].bytes, t->seeds[i].len));
    }
    if (!is_known) {
        struct seed *s = &t->seeds[t->seed_count++];
        memcpy(s->bytes, c.at, c.len);
        s->len = c.len;
    }
}

static size_t character_length(struct span text, size_t at)
{
    size_t len = 1;
    while (at + len < text.len && (text.at[at + len] & 0xC0) == 0x80) {
        len++;
    }
    return len;
}

/* What an escape stands for, in one character. */
static struct span seed_of_escape(uint8_t c)
{
    switch (c) {
    case 'd':
        return SPAN("5");
    case 'w':
    case 'p':
    case 'S':
    case 'D':
        return SPAN("a");
    case 's':
    case 'h':
    case 'W':
        return SPAN(" ");
    default:
        return SPAN("");
    }
}

static void find_seeds(struct trial *t)
{
    for (size_t i = 0; i < t->text.len;) {
        size_t len = character_length(t->text, i);
        const uint8_t *c = t->text.at + i;
        if (*c == '\\' && i + 1 < t->text.len) {
            struct span stands = seed_of_escape(c[1]);
            len = 1 + character_length(t->text, i + 1);
            add_seed(t, stands.len > 0 ? stands : span_make(c + 1, len - 1));
        } else if (strchr("()[]{}?*+|^$:=!<>,", *c) == NULL) {
            add_seed(t, span_make(c, len));
        }
        i += len;
    }
    add_seed(t, SPAN("a"));
    add_seed(t, SPAN("5"));
    add_seed(t, SPAN("."));
}

/* Index behind a class that begins at `at`. */
static size_t skip_class(struct span text, size_t at)
{
    at++;
    at += at < text.len && text.at[at] == '^';
    at += at < text.len && text.at[at] == ']';
    while (at < text.len && text.at[at] != ']') {
        at += text.at[at] == '\\' ? 2 : 1;
    }
    return at + 1;
}

/* Where the next item ends: an escape, a class, a character. */
static size_t skip_item(struct span text, size_t at)
{
    if (text.at[at] == '\\') {
        return at + 1 + (at + 1 < text.len ? character_length(text, at + 1) : 0);
    }
    return text.at[at] == '[' ? skip_class(text, at) : at + character_length(text, at);
}

/* Where the group around ends that begins before `at`, whose brackets are balanced. */
static size_t end_of_group(struct span text, size_t at)
{
    size_t depth = 0;
    while (at < text.len) {
        depth += text.at[at] == '(';
        if (text.at[at] == ')') {
            if (depth == 0) {
                return at;
            }
            depth--;
        }
        at = skip_item(text, at);
    }
    return text.len;
}

static void add_part(struct trial *t, size_t from)
{
    if (t->part_count < PARTS_MAX) {
        size_t end = end_of_group(t->text, from);
        t->parts[t->part_count++] = span_cut(t->text, from, end - from);
    }
}

/* Each item that is repeated, with all that follows it in its group. */
static void find_parts(struct trial *t)
{
    size_t opened[PLACES_DEPTH], depth = 0, last = 0;
    add_part(t, 0);
    for (size_t i = 0; i < t->text.len;) {
        uint8_t c = t->text.at[i];
        size_t next = skip_item(t->text, i);
        if (c == '(') {
            if (depth == PLACES_DEPTH) {
                return; /* what runs is bounded all the same */
            }
            opened[depth++] = i;
        } else if (c == ')' && depth > 0) {
            last = opened[--depth];
        } else if ((c == '{' || c == '?') && i > 0 && t->text.at[i - 1] != '(') {
            add_part(t, last);
        } else {
            last = i;
        }
        i = next;
    }
}

static size_t fill(uint8_t *out, size_t room, const struct seed *a, const struct seed *b)
{
    size_t len = 0;
    while (len + a->len + b->len <= room) {
        memcpy(out + len, a->bytes, a->len);
        len += a->len;
        memcpy(out + len, b->bytes, b->len);
        len += b->len;
    }
    return len;
}

static bool is_slow_over(struct trial *t, const pcre2_code *code, const struct seed *a,
                         const struct seed *b)
{
    uint8_t text[GUARD_VALUE_BYTES + UTF8_BYTES];
    size_t len = fill(text, sizeof(text), a, b);
    int found = pcre2_match(code, text, len, 0, PCRE2_ANCHORED, t->data, t->context);
    return found < 0 && found != PCRE2_ERROR_NOMATCH;
}

static bool is_slow(struct trial *t, const pcre2_code *code)
{
    for (size_t i = 0; i < t->seed_count; i++) {
        if (is_slow_over(t, code, &t->seeds[i], &t->seeds[i])) {
            return true;
        }
        for (size_t j = 0; i < PAIR_SEEDS && j < PAIR_SEEDS && j < t->seed_count; j++) {
            if (i != j && is_slow_over(t, code, &t->seeds[i], &t->seeds[j])) {
                return true;
            }
        }
    }
    return false;
}

/* A part that cannot stand alone is not tried alone. */
static bool is_slow_part(struct trial *t, struct span part)
{
    char text[GUARD_PATTERN_BYTES + 16];
    int error = 0;
    size_t at = 0;
    int len = snprintf(text, sizeof(text), "(?:%.*s)(?!)", SPAN_ARGS(part)); /* fits */
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)text, (size_t)len,
                      GUARD_PATTERN_OPTIONS | PCRE2_NO_START_OPTIMIZE | PCRE2_NO_AUTO_POSSESS,
                      &error, &at, t->p->compile);
    bool is = code != NULL && is_slow(t, code);
    pcre2_code_free(code);
    return is;
}

static enum err try_parts(struct trial *t, char fault[GUARD_RULES_FAULT])
{
    (void)pcre2_set_match_limit(t->context, TRY_STEPS);
    for (size_t i = 0; i < t->part_count; i++) {
        if (is_slow_part(t, t->parts[i])) {
            /* fits */
            (void)snprintf(fault, GUARD_RULES_FAULT,
                           "it can take very long: `%.*s` can match one text in too many ways; "
                           "have its repeats differ in what they match, or bound them more tightly",
                           SPAN_ARGS(span_cut_text(t->parts[i], SHOWN)));
            return ERR_CONFIG;
        }
    }
    return ERR_OK;
}

enum err guard_pattern_try(const struct guard_patterns *p, struct span text,
                           char fault[GUARD_RULES_FAULT])
{
    struct trial t = {.p = p, .text = text};
    t.context = pcre2_match_context_create(p->general);
    t.data = pcre2_match_data_create(1, p->general);
    enum err e = ERR_NO_MEMORY;
    if (t.context != NULL && t.data != NULL) {
        find_seeds(&t);
        find_parts(&t);
        e = try_parts(&t, fault);
    }
    pcre2_match_data_free(t.data);
    pcre2_match_context_free(t.context);
    return e;
}
