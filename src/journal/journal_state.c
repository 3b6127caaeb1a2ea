/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object is read with a stack of what is open, one entry a level; a member's name is compared
 * with the one before it in the same object, both as they stand: names are ASCII without escapes.
 */
#include "journal/journal_state.h"

#include "json/json_scan.h"

#define DEPTH_MAX  4
#define DIGITS_MAX 16 /* of 2^53 - 1 */

/* The character that the escape at the front of `rest` stands for; 0 if we do not write it so. */
static uint8_t take_escape(struct span *rest)
{
    static const uint8_t letters[256] = {['"'] = '"',  ['\\'] = '\\', ['b'] = '\b', ['f'] = '\f',
                                         ['n'] = '\n', ['r'] = '\r',  ['t'] = '\t'};
    static const char digits[] = "0123456789abcdef";
    if (rest->len < 2 || rest->at[0] != '\\') { /* the other special bytes are never raw */
        return 0;
    }
    uint8_t letter = letters[rest->at[1]];
    if (letter != 0) {
        *rest = span_cut(*rest, 2, rest->len);
        return letter;
    }
    struct span code = span_cut(*rest, 0, 6);
    if (code.len < 6 || !span_starts(code, SPAN("\\u00")) ||
        (code.at[4] != '0' && code.at[4] != '1')) {
        return 0;
    }
    const char *low = memchr(digits, code.at[5], 16);
    if (low == NULL) {
        return 0;
    }
    uint8_t byte = (uint8_t)((code.at[4] - '0') * 16 + (low - digits));
    bool has_letter = byte >= '\b' && byte <= '\r' && byte != '\v';
    *rest = span_cut(*rest, 6, rest->len);
    return has_letter ? 0 : byte;
}

static bool take_byte(struct span *rest, uint8_t byte)
{
    bool is_there = rest->len > 0 && rest->at[0] == byte;
    *rest = is_there ? span_cut(*rest, 1, rest->len) : *rest;
    return is_there;
}

bool journal_text_take(struct span *rest, char *out, size_t size, size_t *len)
{
    *len = 0;
    if (!take_byte(rest, '"')) {
        return false;
    }
    while (!take_byte(rest, '"')) {
        const uint8_t *end = json_scan_special(rest->at, rest->at + rest->len);
        struct span plain = span_make(rest->at, (size_t)(end - rest->at));
        uint8_t escaped = 0;
        *rest = span_cut(*rest, plain.len, rest->len);
        if (plain.len == 0 && (escaped = take_escape(rest)) == 0) {
            return false;
        }
        plain = plain.len > 0 ? plain : span_make(&escaped, 1);
        if (plain.len > size - *len) {
            return false;
        }
        if (out != NULL) {
            memcpy(out + *len, plain.at, plain.len);
        }
        *len += plain.len;
    }
    return true;
}

/* ---- objects ---- */

struct open {
    bool is_array;
    struct span name; /* of the member before; empty: there was none */
};

struct reading {
    struct span rest;
    struct open stack[DEPTH_MAX];
    int depth;
    bool is_first; /* of what is open */
};

static bool take_integer(struct span *rest)
{
    bool is_negative = take_byte(rest, '-');
    uint64_t number = 0;
    size_t digits = 0;
    while (digits < rest->len && digits < DIGITS_MAX && (uint8_t)(rest->at[digits] - '0') < 10) {
        number = number * 10 + (uint64_t)(rest->at[digits++] - '0');
    }
    bool is_right = digits > 0 && number <= JOURNAL_NUMBER_MAX &&
                    (digits == 1 || rest->at[0] != '0') && !(is_negative && number == 0);
    *rest = span_cut(*rest, digits, rest->len);
    return is_right;
}

static bool take_word(struct span *rest, struct span word)
{
    bool is_there = span_starts(*rest, word);
    *rest = is_there ? span_cut(*rest, word.len, rest->len) : *rest;
    return is_there;
}

/* Opens an object or array, or takes a value that is none. */
static bool take_value(struct reading *r)
{
    struct span *rest = &r->rest;
    uint8_t first = rest->len == 0 ? 0 : rest->at[0];
    size_t len;
    switch (first) {
    case '{':
    case '[':
        if (r->depth == DEPTH_MAX) {
            return false;
        }
        r->stack[r->depth++] = (struct open){.is_array = first == '['};
        r->is_first = true;
        return take_byte(rest, first);
    case '"':
        return journal_text_take(rest, NULL, JOURNAL_STATE_MAX, &len);
    case 't':
        return take_word(rest, SPAN("true"));
    case 'f':
        return take_word(rest, SPAN("false"));
    case 'n':
        return take_word(rest, SPAN("null"));
    default:
        return take_integer(rest);
    }
}

static bool is_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] < 0x20 || name.at[i] > 0x7e || name.at[i] == '\\') {
            return false;
        }
    }
    return name.len > 0;
}

static bool is_less(struct span a, struct span b)
{
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return order < 0 || (order == 0 && a.len < b.len);
}

/* A member's name and colon, which follow the name of the one before. */
static bool take_name(struct reading *r)
{
    struct open *open = &r->stack[r->depth - 1];
    size_t end = span_find(span_cut(r->rest, 1, r->rest.len), '"', 0);
    struct span name = span_cut(r->rest, 1, end);
    if (!take_byte(&r->rest, '"') || !is_name(name) ||
        (open->name.len > 0 && !is_less(open->name, name))) {
        return false;
    }
    open->name = name;
    r->rest = span_cut(r->rest, name.len, r->rest.len);
    return take_byte(&r->rest, '"') && take_byte(&r->rest, ':');
}

/* What comes next in the innermost that is open: its end, or one more value. */
static bool take_next(struct reading *r)
{
    const struct open *open = &r->stack[r->depth - 1];
    if (take_byte(&r->rest, open->is_array ? ']' : '}')) {
        r->depth--;
        r->is_first = false;
        return true;
    }
    if (!r->is_first && !take_byte(&r->rest, ',')) {
        return false;
    }
    r->is_first = false;
    return (open->is_array || take_name(r)) && take_value(r);
}

size_t journal_state_length(struct span text)
{
    struct reading r = {.rest = span_cut(text, 0, JOURNAL_STATE_MAX)};
    size_t len = r.rest.len;
    bool is_right = len > 0 && text.at[0] == '{' && take_value(&r);
    while (is_right && r.depth > 0) {
        is_right = take_next(&r);
    }
    return is_right ? len - r.rest.len : 0;
}

bool journal_state_is_valid(struct span state)
{
    return state.len > 0 && json_scan_utf8(state) == state.len &&
           journal_state_length(state) == state.len;
}
