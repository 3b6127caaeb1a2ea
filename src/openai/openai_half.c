/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server that counts in UTF-16 may cut a text between the two halves of a character, which are
 * escapes in JSON. Some clients put texts together before they look at characters; most cannot. So
 * the first half waits for the text that has the other, and a half that stays alone is U+FFFD.
 */
#include <stdio.h>

#include "openai/openai_internal.h"
#include "json/json_value.h"

#define ESCAPE_BYTES 6      /* of a half */
#define SLASHES_MAX  1024   /* that are looked at before an escape */
#define FIRST_HALF   0xD800 /* to DBFF; then the second, to DFFF */
#define SECOND_HALF  0xDC00

/* The number of a hexadecimal digit, or -1. */
static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What the escape that `s`, which is well-formed, begins with says, or 0. */
static uint16_t escape_of(struct span s)
{
    unsigned code = 0;
    if (s.len < ESCAPE_BYTES || s.at[0] != '\\' || s.at[1] != 'u') {
        return 0;
    }
    for (int i = 2; i < ESCAPE_BYTES; i++) {
        int digit = digit_of(s.at[i]);
        code = code << 4 | (unsigned)(digit < 0 ? 0 : digit);
    }
    return (uint16_t)code;
}

static bool is_half(uint16_t code, unsigned kind)
{
    return (code & 0xFC00) == kind;
}

/* The first half that it ends with, or 0: with an escape, that is, and not with what a backslash is
 * before. */
static uint16_t first_half_behind(struct span s)
{
    uint16_t code = s.len < ESCAPE_BYTES ? 0 : escape_of(span_cut(s, s.len - ESCAPE_BYTES, s.len));
    size_t end = s.len - ESCAPE_BYTES, slashes = 0;
    if (!is_half(code, FIRST_HALF)) {
        return 0;
    }
    while (slashes < end && slashes < SLASHES_MAX && s.at[end - 1 - slashes] == '\\') {
        slashes++;
    }
    return slashes % 2 == 0 && slashes < SLASHES_MAX ? code : 0;
}

/* Puts before a text what waited for it. */
static void edit_begin(const struct openai_ed *ed, uint32_t at, struct span text,
                       struct openai_choice *c)
{
    bool is_second = is_half(escape_of(text), SECOND_HALF);
    if (c->half != 0 && is_second) {
        char escape[ESCAPE_BYTES + 1];
        (void)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)c->half); /* fits */
        struct span half = arena_copy(ed->edits->arena, span_of(escape));
        if (half.at == NULL) {
            json_edits_fail(ed->edits, arena_error(ed->edits->arena));
            return;
        }
        json_edits_replace_borrow(ed->edits, at, 0, half);
    } else if (is_second) {
        json_edits_replace_borrow(ed->edits, at, ESCAPE_BYTES, SPAN("\\ufffd"));
    } else if (c->half != 0) {
        json_edits_replace_borrow(ed->edits, at, 0, SPAN("\\ufffd"));
    }
    c->half = 0;
}

void openai_edit_halves(const struct openai_ed *ed, uint32_t row, struct openai_choice *c,
                        bool is_last)
{
    bool is_escaped = openai_is_kind(ed->x, row, JSON_STRING) &&
                      (json_row(ed->x, row)->flags & JSON_ESCAPED) != 0;
    if (!is_escaped && (c->half == 0 || !openai_is_text(ed->x, row))) {
        return;
    }
    struct span text = json_inside(ed->x, row);
    uint32_t at = json_row(ed->x, row)->offset + 1;
    uint16_t half = first_half_behind(text);
    edit_begin(ed, at, text, c);
    if (half != 0) {
        c->half = is_last ? 0 : half;
        json_edits_replace_borrow(ed->edits, at + (uint32_t)text.len - ESCAPE_BYTES, ESCAPE_BYTES,
                                  is_last ? SPAN("\\ufffd") : SPAN(""));
    }
}
