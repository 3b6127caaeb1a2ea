/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_float.h — single precision, as JSON numbers, fast enough for millions of them.
 *
 * Each number is read as the float that is nearest to it (of two, the even one), and each float is
 * written with the fewest of 6 to 9 digits that are read back as the same float.
 *
 * Ownership  none.
 * Threads    any; pure.
 * Sources    RFC 8259 section 6; IEEE 754; W. D. Clinger, "How to Read Floating Point Numbers
 *            Accurately" (PLDI 1990).
 */
#ifndef JSON_JSON_FLOAT_H
#define JSON_JSON_FLOAT_H

#include "base/err.h"
#include "base/span.h"

#define JSON_FLOAT_BYTES 16 /* "-1.17549435e-38" and a NUL */

/*
 * Reads `number`, which is a JSON number. What is nearer to zero than any float becomes zero.
 *
 *   ERR_VALUE_INVALID  beyond the largest float, or longer than 400 characters
 */
MUST_USE enum err json_float_parse(struct span number, float *out);

/* Writes `number`, which is finite, as "%.*g" would; returns its length. `out` has room for
 * JSON_FLOAT_BYTES, all of which may be written. */
size_t json_float_write(float number, char *out);

#endif
