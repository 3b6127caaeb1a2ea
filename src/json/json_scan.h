/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_scan.h — UTF-8 and the special bytes of strings, found many bytes at a time.
 *
 * Each function has a portable form and, on x86-64, one for AVX2 that is chosen at run time; both
 * give the same answers, which the unit tests compare.
 *
 * Limits   nothing outside the span is read.
 * Threads  any.
 * Sources  RFC 3629 and Unicode 15 table 3-7 (well-formed UTF-8); the AVX2 check is written from
 *          Keiser and Lemire, "Validating UTF-8 in less than one instruction per byte" (2020);
 *          Encoding Standard, section 8.1.1 (UTF-8 decoder), for what is mended.
 */
#ifndef JSON_JSON_SCAN_H
#define JSON_JSON_SCAN_H

#include "base/span.h"

/* The first byte from `at` on that a JSON string treats specially (quote, backslash, below 0x20),
 * or `end`. */
const uint8_t *json_scan_special(const uint8_t *at, const uint8_t *end);

/* The same, without vectors wider than the compiler's baseline. */
const uint8_t *json_scan_special_portable(const uint8_t *at, const uint8_t *end);

/* Where the white space before `offset` in a JSON text begins: `offset` if there is none. Neither
 * it nor the byte before it lies inside a string. */
size_t json_scan_blanks_before(struct span text, size_t offset);

/* Where the longest well-formed UTF-8 prefix of `s` ends: s.len if all of it is. */
size_t json_scan_utf8(struct span s);

/* The same, without vectors. */
size_t json_scan_utf8_portable(struct span s);

/* About `most` bytes of `s` from `offset` on, or what there is. A character is not cut, so the
 * first wrong byte of the pieces is that of the whole. */
struct span json_scan_piece(struct span s, size_t offset, size_t most);

/* How long `s` is with U+FFFD in the place of each part that is not well-formed UTF-8; how many
 * parts that are is added to `*parts`, until they are more than `most`. The pieces of a text
 * (json_scan_piece()) have together the parts and the length of the whole. */
size_t json_scan_mended_piece(struct span s, size_t most, size_t *parts);

/* The same. 0 if all of it is well-formed, or more than `most` parts are not. */
size_t json_scan_mended(struct span s, size_t most);

/* Writes it: as many bytes to `out`, which it returns. */
size_t json_scan_mend(struct span s, uint8_t *out);

/*
 * Looks at the one character at `at`, which is before `end`. True if it is well-formed; `*len` is
 * then its length. Otherwise `*len` is the length of the part that one U+FFFD stands for (Unicode
 * 15, section 3.9, "maximal subparts").
 */
bool json_scan_character(const uint8_t *at, const uint8_t *end, size_t *len);

#endif
