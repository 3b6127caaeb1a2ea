/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_tokens.h — how many tokens a text may come to, where no tokeniser can be asked.
 *
 * An estimate by script, on the high side: characters divided by four counts vocalised Arabic up to
 * four times too low, and a quota or a context check must not. Where an upstream reports usage,
 * that number replaces the estimate; the journal says which of the two it holds.
 *
 * Limits   one pass, no allocation; any bytes are taken (those that are not UTF-8 count one each).
 * Threads  any; no state.
 * Sources  tokens of UDHR and Quran texts under cl100k, o200k, Gemma 3, Qwen 3 and Llama 3.1, in
 *          docs/decisions/0010-token-estimates.md.
 */
#ifndef TEXT_TEXT_TOKENS_H
#define TEXT_TEXT_TOKENS_H

#include "base/span.h"

/* Tokens of UTF-8 `text`, rounded up; 0 for none. */
uint64_t text_estimate_tokens(struct span text);

#endif
