/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern is read once for what the guard does not take (repeats without end, references back,
 * recursion, verbs), and written anew in two forms: the one that Vectorscan knows, which matches the
 * same or more, and one whose match holds all that the pattern looks at, to know how wide that is.
 *
 * PCRE2 has compiled it before, so brackets are balanced and escapes whole.
 */
#include "guard/guard_patterns_internal.h"

#include <stdarg.h>
#include <stdio.h>

struct reader {
    struct span text;
    size_t at;
    struct guard_pattern_text *out;
    size_t first_len, wide_len;
    char *fault;
    bool is_refused;
};

static void PRINTF_LIKE(3, 4) refuse(struct reader *in, size_t at, const char *format, ...)
{
    if (in->is_refused) {
        return;
    }
    va_list args;
    va_start(args, format);
    int len = snprintf(in->fault, GUARD_RULES_FAULT, "at byte %zu: ", at + 1);
    (void)vsnprintf(in->fault + len, GUARD_RULES_FAULT - (size_t)len, format, args); /* or cut */
    va_end(args);
    in->is_refused = true;
}

static int peek(const struct reader *in, size_t ahead)
{
    return in->at + ahead < in->text.len ? in->text.at[in->at + ahead] : -1;
}

static bool follows(const struct reader *in, const char *what)
{
    return span_starts(span_cut(in->text, in->at, in->text.len), span_of(what));
}

/* Neither form is longer than the pattern. */
static void put(struct reader *in, const char *first, const char *wide)
{
    for (; *first != '\0'; first++) {
        in->out->first[in->first_len++] = *first;
    }
    for (; *wide != '\0'; wide++) {
        in->out->wide[in->wide_len++] = *wide;
    }
}

static void copy(struct reader *in, size_t count)
{
    for (; count > 0 && in->at < in->text.len; count--) {
        char c[2] = {(char)in->text.at[in->at++], '\0'};
        put(in, c, c);
    }
}

static void read_escape(struct reader *in)
{
    int c = peek(in, 1);
    if (c == 'Q') {
        copy(in, 2);
        while (in->at < in->text.len && !follows(in, "\\E")) {
            copy(in, 1);
        }
        copy(in, 2);
        return;
    }
    if (c == 'K' || c == 'G' || c == 'X') {
        refuse(in, in->at, "\\%c is not supported", c);
    } else if (c == 'g' || c == 'k') {
        refuse(in, in->at, "references back are not supported");
    }
    copy(in, 2);
}

static void read_class(struct reader *in)
{
    copy(in, 1);
    copy(in, peek(in, 0) == '^');
    copy(in, peek(in, 0) == ']');
    while (in->at < in->text.len && peek(in, 0) != ']') {
        if (peek(in, 0) == '\\') {
            read_escape(in);
        } else if (follows(in, "[:")) { /* a name: its end is not the class's */
            while (in->at < in->text.len && !follows(in, ":]")) {
                copy(in, 1);
            }
            copy(in, 2);
        } else {
            copy(in, 1);
        }
    }
    copy(in, 1);
}

/* Behind "(?": options, up to ')' or ':'. */
static void read_options(struct reader *in)
{
    for (size_t i = 0; peek(in, i) >= 0 && peek(in, i) != ')' && peek(in, i) != ':'; i++) {
        if (peek(in, i) == 'x') {
            refuse(in, in->at + i, "the option x is not supported");
        }
    }
}

/* What stands behind a bracket says what kind of group it is. */
static const struct group {
    const char *sign, *first, *wide;
    const char *refused; /* why it is */
} groups[] = {
    {"(?=", "(?=", "(?:", NULL},
    {"(?!", "(?!", "(?:", NULL},
    {"(?<=", "(?<=", "(?:", NULL},
    {"(?<!", "(?<!", "(?:", NULL},
    {"(?>", "(?:", "(?:", NULL},
    {"(?|", "(?:", "(?:", NULL},
    {"(?P=", NULL, NULL, "references back are not supported"},
    {"(?P>", NULL, NULL, "recursion is not supported"},
    {"(?&", NULL, NULL, "recursion is not supported"},
    {"(?R", NULL, NULL, "recursion is not supported"},
    {"(?+", NULL, NULL, "recursion is not supported"},
    {"(?C", NULL, NULL, "callouts are not supported"},
    {"(?(", NULL, NULL, "conditions are not supported"},
    {"(?#", NULL, NULL, "comments are not supported"},
    {"(*", NULL, NULL, "verbs, as (*…), are not supported"},
};

static void read_group(struct reader *in)
{
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        const struct group *g = &groups[i];
        if (follows(in, g->sign)) {
            if (g->refused != NULL) {
                refuse(in, in->at, "%s", g->refused);
                in->at++;
                return;
            }
            put(in, g->first, g->wide);
            in->at += strlen(g->sign);
            return;
        }
    }
    if (peek(in, 1) != '?') {
        copy(in, 1);
        return;
    }
    int c = peek(in, 2);
    if ((c >= '0' && c <= '9') || (c == '-' && peek(in, 3) >= '0' && peek(in, 3) <= '9')) {
        refuse(in, in->at, "recursion is not supported");
    }
    copy(in, 2);
    if (c == '<' || c == '\'' || c == 'P') { /* a name */
        copy(in, 1);
    } else {
        read_options(in);
    }
}

/* Whether "{…" repeats: {2} {2,} {2,3}. If so, its length; and whether it has no end. */
static size_t repeat_length(const struct reader *in, bool *is_endless)
{
    size_t i = 1, digits = 0;
    for (; peek(in, i) >= '0' && peek(in, i) <= '9'; i++) {
        digits++;
    }
    *is_endless = false;
    if (digits > 0 && peek(in, i) == ',') {
        i++;
        *is_endless = peek(in, i) == '}';
        while (peek(in, i) >= '0' && peek(in, i) <= '9') {
            i++;
        }
    }
    return digits > 0 && peek(in, i) == '}' ? i + 1 : 0;
}

static void read_repeat(struct reader *in)
{
    int c = peek(in, 0);
    bool is_endless = c == '*' || c == '+';
    size_t len = c == '{' ? repeat_length(in, &is_endless) : 1;
    if (is_endless) {
        refuse(in, in->at, "a repeat without end, `%.*s`: bound it, as in {1,64}",
               (int)(len == 0 ? 1 : len), (const char *)in->text.at + in->at);
    }
    bool is_literal = len == 0;
    copy(in, is_literal ? 1 : len);
    if (!is_literal && peek(in, 0) == '?') {
        copy(in, 1);
    } else if (!is_literal && peek(in, 0) == '+') { /* it gives nothing back: the same or less */
        in->at++;
    }
}

enum err guard_pattern_read(struct span text, struct guard_pattern_text *out,
                            char fault[GUARD_RULES_FAULT])
{
    struct reader in = {.text = text, .out = out, .fault = fault};
    while (in.at < text.len && !in.is_refused) {
        switch (text.at[in.at]) {
        case '\\':
            read_escape(&in);
            break;
        case '[':
            read_class(&in);
            break;
        case '(':
            read_group(&in);
            break;
        case '*':
        case '+':
        case '?':
        case '{':
            read_repeat(&in);
            break;
        default:
            copy(&in, 1);
        }
    }
    out->first[in.first_len] = out->wide[in.wide_len] = '\0';
    return in.is_refused ? ERR_CONFIG : ERR_OK;
}
