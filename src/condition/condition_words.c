/* SPDX-License-Identifier: Apache-2.0 */
/* A condition's text as words. What other languages write instead is told. */
#include <stdarg.h>
#include <stdio.h>

#include "condition/condition_internal.h"

enum err condition_refuse(struct condition_problem *problem, size_t at, size_t len,
                          const char *format, ...)
{
    va_list args;
    problem->at = at;
    problem->len = len;
    va_start(args, format);
    vsnprintf(problem->sentence, sizeof(problem->sentence), format, args);
    va_end(args);
    return ERR_CONFIG;
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The byte at `at`, or 0 behind the end. */
static uint8_t peek(struct span text, size_t at)
{
    return at < text.len ? text.at[at] : 0;
}

/* ---- texts ---- */

static int hex_of(uint8_t c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    uint8_t small = c | 0x20;
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

/* Writes a character in UTF-8; returns its length, 0 for what is no character. */
static size_t put_character(uint32_t c, uint8_t *out)
{
    if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        return 0;
    }
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xC0, 0xE0, 0xF0};
    out[0] = (uint8_t)(leads[more] | (c >> (6 * more)));
    for (size_t i = 1; i <= more; i++) {
        out[i] = (uint8_t)(0x80 | ((c >> (6 * (more - i))) & 0x3F));
    }
    return more + 1;
}

/* Reads `count` hexadecimal digits; false: they are not there. */
static bool read_hex(struct span text, size_t at, size_t count, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        int digit = hex_of(peek(text, at + i));
        if (digit < 0) {
            return false;
        }
        *out = *out << 4 | (uint32_t)digit;
    }
    return true;
}

/* What stands behind the backslash at `*at`; `*at` is then behind it. Returns how many bytes it is
 * of `out`; 0: it is no escape. */
static size_t read_escape(struct span text, size_t *at, uint8_t *out)
{
    static const char names[] = "abfnrtv\\'\"`?";
    static const char values[] = "\a\b\f\n\r\t\v\\'\"`?";
    uint8_t c = peek(text, *at + 1);
    const char *found = c == 0 ? NULL : strchr(names, c);
    if (found != NULL) {
        out[0] = (uint8_t)values[found - names];
        *at += 2;
        return 1;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t said;
    if (digits == 0 || !read_hex(text, *at + 2, digits, &said)) {
        return 0;
    }
    *at += 2 + digits;
    return put_character(said, out);
}

/* `out->at` is where it begins; `at` is behind the quote. */
static enum err read_text(struct span text, size_t at, bool is_raw, struct arena *arena,
                          struct condition_token *out, struct condition_problem *problem)
{
    uint8_t quote = text.at[at - 1];
    size_t end = at;
    while (end < text.len && text.at[end] != quote) {
        end += text.at[end] == '\\' && !is_raw ? 2 : 1;
    }
    uint8_t *value = arena_alloc(arena, end - at + 1); /* an escape says less than it is long */
    size_t len = 0;
    if (value == NULL) {
        return ERR_NO_MEMORY;
    }
    while (at < text.len && text.at[at] != quote) {
        if (text.at[at] != '\\' || is_raw) {
            value[len++] = text.at[at++];
            continue;
        }
        size_t begun = at;
        size_t more = read_escape(text, &at, value + len);
        if (more == 0) {
            return condition_refuse(problem, begun, 2,
                                    "'%.*s' is no escape; a backslash is written \\\\, or the text "
                                    "raw: r'…'",
                                    SPAN_ARGS(span_cut_text(span_cut(text, begun, 5), 2)));
        }
        len += more;
    }
    if (at == text.len) {
        return condition_refuse(problem, out->at, at - out->at,
                                "the text that begins here has no end: a %c is missing", quote);
    }
    out->word = WORD_TEXT;
    out->len = at + 1 - out->at;
    out->value = span_make(value, len);
    return ERR_OK;
}

/* ---- names and numbers ---- */

static enum err read_number(struct span text, struct condition_token *out,
                            struct condition_problem *problem)
{
    size_t at = out->at;
    out->word = WORD_INT;
    while (is_digit(peek(text, at))) {
        at++;
    }
    if (peek(text, at) == '.' && is_digit(peek(text, at + 1))) {
        out->word = WORD_REAL;
        for (at++; is_digit(peek(text, at)); at++) {
        }
    }
    out->len = at - out->at;
    out->value = span_cut(text, out->at, out->len);
    if (is_letter(peek(text, at)) || out->len > 40) {
        return condition_refuse(problem, out->at, out->len + 1,
                                "a number is written as 100 or 0.5, without a unit");
    }
    return ERR_OK;
}

/* What people write that know another language. */
static enum err refuse_foreign(struct condition_problem *problem, const struct condition_token *t)
{
    static const struct {
        const char *foreign, *ours;
    } rows[] = {{"and", "&&"}, {"or", "||"}, {"not", "!"}, {"is", "=="}, {"like", "contains()"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (span_equal_nocase(t->value, span_of(rows[i].foreign))) {
            return condition_refuse(problem, t->at, t->len, "'%s' is written %s", rows[i].foreign,
                                    rows[i].ours);
        }
    }
    return ERR_OK;
}

static enum err read_name(struct span text, struct condition_token *out,
                          struct condition_problem *problem)
{
    size_t at = out->at;
    while (is_letter(peek(text, at)) || is_digit(peek(text, at))) {
        at++;
    }
    out->len = at - out->at;
    out->value = span_cut(text, out->at, out->len);
    out->word = span_is(out->value, "in")      ? WORD_IN
                : span_is(out->value, "true")  ? WORD_TRUE
                : span_is(out->value, "false") ? WORD_FALSE
                                               : WORD_NAME;
    return out->word == WORD_NAME ? refuse_foreign(problem, out) : ERR_OK;
}

/* ---- signs ---- */

static enum err read_sign(struct span text, struct condition_token *out,
                          struct condition_problem *problem)
{
    static const struct {
        char sign[3];
        enum condition_word word;
    } rows[] = {{"&&", WORD_AND},     {"||", WORD_OR},      {"==", WORD_EQUAL},
                {"!=", WORD_UNEQUAL}, {"<=", WORD_AT_MOST}, {">=", WORD_AT_LEAST},
                {"<", WORD_LESS},     {">", WORD_MORE},     {"!", WORD_NOT},
                {"-", WORD_MINUS},    {"?", WORD_IF},       {":", WORD_ELSE},
                {"(", WORD_OPEN},     {")", WORD_CLOSE},    {"[", WORD_LIST},
                {"]", WORD_UNLIST},   {",", WORD_COMMA},    {".", WORD_DOT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span sign = span_of(rows[i].sign);
        if (span_equal(span_cut(text, out->at, sign.len), sign)) {
            out->word = rows[i].word;
            out->len = sign.len;
            return ERR_OK;
        }
    }
    struct span shown = span_cut_text(span_cut(text, out->at, 8), 4);
    const char *meant = shown.at[0] == '='   ? "; 'is equal' is written =="
                        : shown.at[0] == '&' ? "; 'and' is written &&"
                        : shown.at[0] == '|' ? "; 'or' is written ||"
                                             : "";
    size_t len = 1;
    while (len < shown.len && (shown.at[len] & 0xC0) == 0x80) {
        len++;
    }
    return condition_refuse(problem, out->at, len, "'%.*s' has no meaning here%s",
                            SPAN_ARGS(span_cut(shown, 0, len)), meant);
}

enum err condition_read_word(struct span text, size_t *at, struct arena *arena,
                             struct condition_token *out, struct condition_problem *problem)
{
    while (*at < text.len && strchr(" \t\r\n", text.at[*at]) != NULL && text.at[*at] != 0) {
        (*at)++;
    }
    *out = (struct condition_token){.word = WORD_END, .at = *at, .len = 0, .value = SPAN("")};
    uint8_t c = peek(text, *at), next = peek(text, *at + 1);
    enum err e = ERR_OK;
    if (*at == text.len) {
        return ERR_OK;
    }
    if (c == '\'' || c == '"') {
        e = read_text(text, *at + 1, false, arena, out, problem);
    } else if ((c == 'r' || c == 'R') && (next == '\'' || next == '"')) {
        e = read_text(text, *at + 2, true, arena, out, problem);
    } else if (is_letter(c)) {
        e = read_name(text, out, problem);
    } else if (is_digit(c)) {
        e = read_number(text, out, problem);
    } else {
        e = read_sign(text, out, problem);
    }
    *at += out->len;
    return e;
}
