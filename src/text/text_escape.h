/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_escape.h — the escapes of JSON in a text that may be JSON, or have some in it: what a tool is
 * given and what it answers. What is no escape is a backslash and what follows it.
 *
 * Threads  any; functions of their arguments.
 * Sources  RFC 8259 section 7.
 */
#ifndef TEXT_TEXT_ESCAPE_H
#define TEXT_TEXT_ESCAPE_H

#include "base/span.h"

/* What stands at a backslash. */
struct text_escape {
    size_t len;    /* 0: what follows the text decides; 1: the backslash is nothing but that */
    uint32_t says; /* a character, or half a surrogate pair that has no other half */
};

/* `s` begins with a backslash. */
struct text_escape text_escape_read(struct span s);

bool text_escape_is_half(uint32_t c);

/* Writes a character as UTF-8; returns the length. */
size_t text_escape_encode(uint32_t c, uint8_t out[4]);

/* Writes what `s` says once its escapes are undone, which is no longer; what is none, and half a
 * surrogate pair, stays as it is. Returns the length. */
size_t text_escape_undo(struct span s, uint8_t *out);

#endif
