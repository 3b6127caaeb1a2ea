/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_tokens.h — how many tokens a text may come to, where no tokeniser can be asked.
 *
 * An estimate by script, on the high side: characters divided by four counts vocalised Arabic up to
 * four times too low, and a quota or a context check must not. Where an upstream reports usage,
 * that number replaces the estimate; the journal says which of the two it holds.
 *
 * Costs are eighths of a token, so that a text in pieces, cut between characters, costs what it
 * costs whole.
 *
 * Limits   one pass, no allocation. Bytes that are no UTF-8 cost something, but no stated amount.
 * Threads  any; no state.
 * Sources  tokens of UDHR and Quran texts under cl100k, o200k, Gemma 3, Qwen 3 and Llama 3.1, in
 *          docs/decisions/0010-token-estimates.md.
 */
#ifndef TEXT_TEXT_TOKENS_H
#define TEXT_TEXT_TOKENS_H

#include "base/span.h"

#define TEXT_TOKEN_LETTER 2 /* ASCII letter or space: English has 4.5 to 5.3 characters a token */
#define TEXT_TOKEN_SIGN   5 /* ASCII digit, punctuation or control: code and numbers */

/* Eighths of a token that a character of ASCII costs. */
static inline uint64_t text_token_eighths_ascii(uint8_t c)
{
    bool is_letter = (uint8_t)((c | 0x20) - 'a') < 26 || c == ' ';
    return is_letter ? TEXT_TOKEN_LETTER : TEXT_TOKEN_SIGN;
}

/* Eighths of a token that UTF-8 `text` costs; 0 for none. */
uint64_t text_token_eighths(struct span text);

/* The same, without vectors. */
uint64_t text_token_eighths_portable(struct span text);

/* Tokens, rounded up. */
static inline uint64_t text_tokens_of(uint64_t eighths)
{
    return (eighths + 7) / 8;
}

#endif
