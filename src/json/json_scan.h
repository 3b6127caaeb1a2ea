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
 *          Keiser and Lemire, "Validating UTF-8 in less than one instruction per byte" (2020).
 */
#ifndef JSON_JSON_SCAN_H
#define JSON_JSON_SCAN_H

#include "base/span.h"

/* The first byte from `at` on that a JSON string treats specially (quote, backslash, below 0x20),
 * or `end`. */
const uint8_t *json_scan_special(const uint8_t *at, const uint8_t *end);

/* The same, without vectors wider than the compiler's baseline. */
const uint8_t *json_scan_special_portable(const uint8_t *at, const uint8_t *end);

/* Where the longest well-formed UTF-8 prefix of `s` ends: s.len if all of it is. */
size_t json_scan_utf8(struct span s);

/* The same, without vectors. */
size_t json_scan_utf8_portable(struct span s);

/*
 * Looks at the one character at `at`, which is before `end`. True if it is well-formed; `*len` is
 * then its length. Otherwise `*len` is the length of the part that one U+FFFD stands for (Unicode
 * 15, section 3.9, "maximal subparts").
 */
bool json_scan_character(const uint8_t *at, const uint8_t *end, size_t *len);

#endif
