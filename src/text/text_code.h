/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_code.h — how much of a text is code, for choosing a model that writes it.
 *
 * Lines are looked at one by one. What stands in a fence (``` or ~~~) is code, whatever it is. Of
 * other lines their signs tell: how they begin and end, operators, calls, names as programs have
 * them; words with nothing but blanks between them speak against it. What machines print (traces,
 * logs with a time, diffs, JSON) counts as code. Code within a sentence (`so`) and addresses do
 * not.
 *
 *   "int main(void)\n{\n    return 0;\n}"       1,000
 *   "Why does this fail?\n```\nx = 1\n```"        208
 *   "ما هي عاصمة السعودية؟"                         0
 *
 * Ownership  none.
 * Limits     the first TEXT_CODE_BYTES of a text are looked at: some 1.5 µs of prose, 4 µs of
 *            code.
 * Threads    any; pure.
 * Sources    CommonMark 0.31 section 4.5 (fences).
 */
#ifndef TEXT_TEXT_CODE_H
#define TEXT_TEXT_CODE_H

#include "base/span.h"

#define TEXT_CODE_BYTES 1024

/* How many of a thousand characters of `text`, which is UTF-8, stand in lines of code. */
int text_code_permille(struct span text);

#endif
