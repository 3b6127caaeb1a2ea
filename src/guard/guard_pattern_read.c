/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern is read once for what the guard does not take (repeats without end, references back,
 * recursion, verbs), and written anew in two forms of plain bytes, for Vectorscan:
 *
 *   first  matches the same or more: what may be a character beyond ASCII is any run of bytes with
 *          that, and what is only looked at is not there. Vectorscan takes seconds for \w of
 * Unicode. wide   matches as many bytes as the pattern can, what it only looks at included.
 *
 * PCRE2 has compiled it before, so brackets are balanced and escapes whole.
 */
#include "guard/guard_patterns_internal.h"

#include <stdarg.h>
#include <stdio.h>

#define BEYOND    "\\x80-\\xff" /* in a class: bytes of characters beyond ASCII */
#define ASCII_END 0x80
#define UTF8_MAX  4 /* bytes of a character */

struct reader {
    struct span text;
    size_t at, depth;
    size_t muted;   /* the depth of the group that is only looked at; 0: none is */
    bool is_beyond; /* the last item may be beyond ASCII: in `first` it has no upper bound */
    struct guard_pattern_text *out;
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

static void put(struct reader *in, const char *first, const char *wide)
{
    if (in->muted == 0) {
        buf_put_text(&in->out->first, first);
    }
    buf_put_text(&in->out->wide, wide);
}

static size_t character_length(const struct reader *in)
{
    size_t len = 1;
    while (peek(in, len) >= 0 && (peek(in, len) & 0xC0) == 0x80) {
        len++;
    }
    return len;
}

/* ---- items ---- */

/* An item that may be any byte of the class in `first`, and takes up to `bytes`. */
static void put_beyond(struct reader *in, const char *class, size_t bytes)
{
    char wide[] = "(?:a{1,4})";
    wide[sizeof("(?:a{1,") - 1] = (char)('0' + bytes);
    put(in, class, wide);
    in->is_beyond = true;
}

/* A character as it is. Beyond ASCII it may have another case, of another length. */
static void put_literal(struct reader *in)
{
    char item[UTF8_MAX + sizeof("(?:)")];
    size_t len = character_length(in);
    struct span c = span_cut(in->text, in->at, len);
    int first = peek(in, 0);
    if (len > 1 && in->out->is_caseless) {
        put_beyond(in, "[" BEYOND "]", UTF8_MAX);
    } else if (len > 1) {
        (void)snprintf(item, sizeof(item), "(?:%.*s)", SPAN_ARGS(c)); /* fits */
        put(in, item, item);
    } else {
        bool is_word = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') ||
                       (first >= '0' && first <= '9') || first == '_';
        (void)snprintf(item, sizeof(item), is_word ? "%c" : "\\x%02x", first); /* fits */
        put(in, item, item);
    }
    in->at += len;
}

/* Escapes that stand for many characters, and what they may be: in a class, and alone. */
static const struct escape {
    char sign;
    const char *in_class; /* NULL: any byte */
} escapes[] = {
    {'w', "\\w" BEYOND},
    {'d', "\\d" BEYOND},
    {'s', "\\s" BEYOND},
    {'h', "\\t " BEYOND},
    {'v', "\\n\\x0b-\\r" BEYOND},
    {'R', "\\n\\x0b-\\r" BEYOND},
    {'W', "\\W" BEYOND},
    {'D', "\\D" BEYOND},
    {'S', "\\S" BEYOND},
    {'N', NULL},
    {'H', NULL},
    {'V', NULL},
    {'p', NULL},
    {'P', NULL},
};

static const struct escape *escape_of(int c)
{
    for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
        if (escapes[i].sign == c) {
            return &escapes[i];
        }
    }
    return NULL;
}

/* Behind "\x" or "\p": hh, {…}, one letter. Goes on behind it. */
static void skip_argument(struct reader *in, bool is_number)
{
    if (peek(in, 0) == '{') {
        while (peek(in, 0) >= 0 && peek(in, 0) != '}') {
            in->at++;
        }
        in->at++;
        return;
    }
    size_t most = is_number ? 2 : 1;
    for (size_t i = 0; i < most && peek(in, 0) >= 0; i++) {
        int c = peek(in, 0) | 0x20;
        if (is_number && !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return;
        }
        in->at++;
    }
}

/* Whether an escape is taken at all. */
static bool check_escape(struct reader *in)
{
    int c = peek(in, 1);
    if (c == 'g' || c == 'k' || (c >= '1' && c <= '9')) {
        refuse(in, in->at, "references back are not supported");
    } else if (c == 'Z') {
        refuse(in, in->at, "\\Z is not supported: the end is \\z or $");
    } else if (c >= 0 && strchr("KGXCco0LlUuB", c) != NULL && c != 'B') {
        refuse(in, in->at, "\\%c is not supported", c);
    } else if (c == 'N' && peek(in, 2) == '{') {
        refuse(in, in->at, "\\N{…} is not supported: write \\x{…}");
    }
    return !in->is_refused;
}

static void read_quoted(struct reader *in)
{
    in->at += 2;
    while (in->at < in->text.len && !follows(in, "\\E")) {
        put_literal(in);
    }
    in->at += 2;
}

static void read_escape(struct reader *in)
{
    int c = peek(in, 1);
    const struct escape *e = escape_of(c);
    if (!check_escape(in)) {
        return;
    }
    if (c == 'Q') {
        read_quoted(in);
        return;
    }
    in->at += 2;
    if (e != NULL) {
        char class[32];
        (void)snprintf(class, sizeof(class), "[%s]", e->in_class); /* fits */
        put_beyond(in, e->in_class == NULL ? "[\\x00-\\xff]" : class, UTF8_MAX);
        if (c == 'p' || c == 'P') {
            skip_argument(in, false);
        }
    } else if (c == 'x') {
        skip_argument(in, true);
        put_beyond(in, "[\\x00-\\xff]", UTF8_MAX);
    } else if (c == 'b' || c == 'B' || c == 'E') {
        put(in, "(?:)", "(?:)");
    } else if (c == 'A' || c == 'z' || (c >= 'a' && c <= 'z')) {
        char same[] = {'\\', (char)c, '\0'};
        put(in, same, same);
    } else {
        in->at--;
        put_literal(in);
    }
}

/* ---- classes ---- */

struct class
{
    char members[256]; /* those of ASCII, as Vectorscan reads them */
    size_t len;
    size_t widest;    /* bytes of a member */
    bool is_anything; /* there are too many to say */
};

static void add_member(struct class *c, const char *text)
{
    size_t len = strlen(text);
    if (c->len + len >= sizeof(c->members)) {
        c->is_anything = true;
        return;
    }
    memcpy(c->members + c->len, text, len + 1);
    c->len += len;
}

/* Members; NULL: any. */
static void add_many(struct class *c, const char *text)
{
    if (text == NULL) {
        c->is_anything = true;
    } else {
        add_member(c, text);
    }
}

static void read_class_escape(struct reader *in, struct class *c)
{
    int sign = peek(in, 1);
    const struct escape *e = escape_of(sign);
    if (sign == 'Q' || sign == 'E') {
        refuse(in, in->at, "\\%c is not supported in a class", sign);
        return;
    }
    if (sign != 'b' && !check_escape(in)) {
        return;
    }
    in->at += 2;
    if (sign == 'p' || sign == 'P' || sign == 'x') {
        skip_argument(in, sign == 'x');
    }
    if (sign == 'x' || e != NULL) {
        c->widest = UTF8_MAX;
        add_many(c, sign == 'x' ? NULL : e->in_class);
    } else {
        char same[] = {'\\', (char)sign, '\0'};
        add_many(c, sign < ASCII_END ? same : NULL);
    }
}

static void read_class_name(struct reader *in, struct class *c)
{
    size_t from = in->at;
    char name[32];
    in->at += 2;
    in->at += peek(in, 0) == '^';
    while (peek(in, 0) >= 'a' && peek(in, 0) <= 'z') {
        in->at++;
    }
    if (!follows(in, ":]")) { /* to PCRE2 these are characters, to others they may be none */
        refuse(in, from,
               "`[:` in a class begins a name, as [:alpha:] does: write \\[ for a bracket");
        return;
    }
    in->at += 2;
    span_copy_text(span_cut(in->text, from, in->at - from), name, sizeof(name));
    add_member(c, name);
    add_member(c, BEYOND);
    c->widest = UTF8_MAX;
}

/* A character that is a member, or a range's end. */
static void read_class_literal(struct reader *in, struct class *c)
{
    size_t len = character_length(in);
    int first = peek(in, 0);
    bool is_range = peek(in, len) == '-' && peek(in, len + 1) >= ASCII_END;
    if (first < ASCII_END) {
        char same[] = {'\\', (char)first, '\0'};
        bool is_sign = strchr("[^\\", first) != NULL;
        add_member(c, is_sign ? same : same + 1);
        c->is_anything = c->is_anything || (is_range && first != '-');
    } else {
        c->widest = c->widest > len ? c->widest : len;
        add_member(c, BEYOND);
        in->at += peek(in, len) == '-' && peek(in, len + 1) != ']'; /* of a range, which goes on */
    }
    in->at += len;
}

static void read_class(struct reader *in)
{
    struct class c = {.widest = 1};
    in->at++;
    bool is_negative = peek(in, 0) == '^';
    in->at += is_negative;
    if (peek(in, 0) == ']') {
        add_member(&c, "\\]");
        in->at++;
    }
    while (in->at < in->text.len && peek(in, 0) != ']' && !in->is_refused) {
        if (peek(in, 0) == '\\') {
            read_class_escape(in, &c);
        } else if (follows(in, "[:")) {
            read_class_name(in, &c);
        } else {
            read_class_literal(in, &c);
        }
    }
    in->at++;
    char class[sizeof(c.members) + sizeof("[^]")];
    bool is_any = c.is_anything || (is_negative && c.widest > 1);
    (void)snprintf(class, sizeof(class), "[%s%s]", is_negative ? "^" : "", c.members); /* fits */
    if (is_any || is_negative) {
        put_beyond(in, is_any ? "[\\x00-\\xff]" : class, UTF8_MAX);
    } else if (c.widest == 1) {
        put(in, class, "a");
    } else {
        put_beyond(in, class, in->out->is_caseless ? UTF8_MAX : c.widest);
    }
}

/* ---- groups ---- */

static void read_options(struct reader *in)
{
    char text[16] = "(?";
    size_t len = 2;
    for (in->at += 2; peek(in, 0) >= 0 && peek(in, 0) != ')' && peek(in, 0) != ':'; in->at++) {
        int c = peek(in, 0);
        if (strchr("ims-", c) == NULL || len + 3 > sizeof(text)) {
            refuse(in, in->at, "of options there are i, m and s");
            return;
        }
        text[len++] = (char)c;
    }
    text[len++] = (char)peek(in, 0); /* of a group it is ':', else ')' */
    text[len] = '\0';
    in->depth += peek(in, 0) == ':';
    in->at++;
    put(in, text, text);
}

/* What stands behind a bracket says what kind of group it is. */
static const struct group {
    const char *sign;
    const char *refused; /* why it is; NULL: it is taken */
    char name_end;       /* 0: it has no name */
    bool is_look;        /* it is only looked at */
} groups[] = {
    {"(?=", NULL, 0, true},
    {"(?!", NULL, 0, true},
    {"(?<=", NULL, 0, true},
    {"(?<!", NULL, 0, true},
    {"(?>", NULL, 0, false},
    {"(?|", NULL, 0, false},
    {"(?:", NULL, 0, false},
    {"(?P<", NULL, '>', false},
    {"(?<", NULL, '>', false},
    {"(?'", NULL, '\'', false},
    {"(?P=", "references back are not supported", 0, false},
    {"(?P>", "recursion is not supported", 0, false},
    {"(?&", "recursion is not supported", 0, false},
    {"(?R", "recursion is not supported", 0, false},
    {"(?+", "recursion is not supported", 0, false},
    {"(?C", "callouts are not supported", 0, false},
    {"(?(", "conditions are not supported", 0, false},
    {"(?#", "comments are not supported", 0, false},
    {"(?^", "the option ^ is not supported", 0, false},
    {"(*", "verbs, as (*…), are not supported", 0, false},
};

static const struct group *group_of(const struct reader *in)
{
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (follows(in, groups[i].sign)) {
            return &groups[i];
        }
    }
    return NULL;
}

static bool is_recursion(const struct reader *in)
{
    int c = peek(in, 2), next = peek(in, 3);
    return (c >= '0' && c <= '9') || (c == '-' && next >= '0' && next <= '9');
}

static void read_group(struct reader *in)
{
    const struct group *g = group_of(in);
    if (g != NULL && g->refused != NULL) {
        refuse(in, in->at, "%s", g->refused);
        return;
    }
    if (g == NULL && peek(in, 1) == '?') {
        if (is_recursion(in)) {
            refuse(in, in->at, "recursion is not supported");
            return;
        }
        read_options(in);
        return;
    }
    in->at += g == NULL ? 1 : strlen(g->sign);
    if (g != NULL && g->name_end != 0) {
        in->at = span_find(in->text, (uint8_t)g->name_end, in->at) + 1;
    }
    in->depth++;
    bool is_look = g != NULL && g->is_look;
    put(in, is_look ? "(?:)" : "(?:", "(?:");
    if (is_look && in->muted == 0) {
        in->muted = in->depth;
    }
}

static void end_group(struct reader *in)
{
    put(in, ")", ")");
    in->muted = in->muted == in->depth ? 0 : in->muted;
    in->depth--;
    in->at++;
}

/* ---- repeats ---- */

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

/* The same repeat; in `first` without upper bound where a character may be many bytes. */
static void put_repeat(struct reader *in, size_t len)
{
    char same[16], open[16];
    const uint8_t *repeat = in->text.at + in->at;
    span_copy_text(span_make(repeat, len), same, sizeof(same));
    if (repeat[0] == '?') {
        put(in, in->is_beyond ? "*" : "?", "?");
        return;
    }
    size_t digits = 1;
    while (repeat[digits] >= '0' && repeat[digits] <= '9') {
        digits++;
    }
    (void)snprintf(open, sizeof(open), "%.*s,}", (int)digits, same); /* fits */
    put(in, in->is_beyond ? open : same, same);
}

static void read_repeat(struct reader *in)
{
    int c = peek(in, 0);
    bool is_endless = c == '*' || c == '+';
    size_t len = c == '{' ? repeat_length(in, &is_endless) : 1;
    if (len == 0) {
        put_literal(in);
        return;
    }
    if (is_endless) {
        refuse(in, in->at, "a repeat without end, `%.*s`: bound it, as in {1,64}", (int)len,
               (const char *)in->text.at + in->at);
        return;
    }
    if (follows(in, "{0}") || follows(in, "{0,0}")) {
        refuse(in, in->at, "a repeat of nothing");
        return;
    }
    put_repeat(in, len);
    in->is_beyond = false;
    in->at += len;
    in->at += peek(in, 0) == '?' || peek(in, 0) == '+'; /* which match it prefers */
}

/* ---- the whole ---- */

static bool is_repeat(const struct reader *in)
{
    int c = peek(in, 0);
    bool unused;
    return c == '*' || c == '+' || c == '?' || (c == '{' && repeat_length(in, &unused) > 0);
}

static void read_item(struct reader *in)
{
    switch (in->text.at[in->at]) {
    case '\\':
        read_escape(in);
        break;
    case '[':
        read_class(in);
        break;
    case '(':
        read_group(in);
        break;
    case ')':
        end_group(in);
        break;
    case '.':
        in->at++;
        put_beyond(in, "[\\x00-\\xff]", UTF8_MAX);
        break;
    case '|':
    case '^':
    case '$': {
        char same[] = {(char)in->text.at[in->at++], '\0'};
        put(in, same, same);
        break;
    }
    default:
        put_literal(in);
    }
}

enum err guard_pattern_read(struct span text, struct guard_pattern_text *out,
                            char fault[GUARD_RULES_FAULT])
{
    struct reader in = {.text = text, .out = out, .fault = fault};
    while (in.at < text.len && !in.is_refused) {
        if (is_repeat(&in)) {
            read_repeat(&in);
            continue;
        }
        if (in.is_beyond) { /* one character, of many bytes */
            in.is_beyond = false;
            buf_put_text(&out->first, in.muted == 0 ? "+" : "");
        }
        read_item(&in);
    }
    if (in.is_beyond) {
        buf_put_text(&out->first, in.muted == 0 ? "+" : "");
    }
    buf_put_byte(&out->first, '\0');
    buf_put_byte(&out->wide, '\0');
    if (in.is_refused) {
        return ERR_CONFIG;
    }
    return buf_failed(&out->first) || buf_failed(&out->wide) ? ERR_NO_MEMORY : ERR_OK;
}
