/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_tokenizer.h — how many tokens a text likely is, by the family of its model's tokenizer.
 *
 * The shape of the text (text_shape.h) times what each trait costs in that family: a fit to what
 * the real tokenizers make of Arabic, English and code (tests/bench/tokens.py), no tokenizer. It is
 * meant to be right on the average, so it may be too low: what admits calls and holds budgets goes
 * by text_tokens.h, which is high.
 *
 * Threads  any; constant.
 * Sources  docs/decisions/0010-token-estimates.md.
 */
#ifndef TEXT_TEXT_TOKENIZER_H
#define TEXT_TEXT_TOKENIZER_H

#include "text/text_shape.h"

struct text_tokenizer {
    const char *name;
    uint16_t message_tokens;     /* that the template puts around each message, */
    uint16_t request_tokens;     /* and once around all */
    uint16_t costs[TEXT_TRAITS]; /* of each trait, 64ths of a token */
};

/* The mean of the newer vocabularies, for who has no row of its own; its name is "". */
const struct text_tokenizer *text_tokenizer_mean(void);

/* The row of a family, by its name in the catalogue; NULL: it was not measured. */
const struct text_tokenizer *text_tokenizer_find(struct span name);

/* The row at a place, the mean first, for who shows all of them; NULL: there are no more. */
const struct text_tokenizer *text_tokenizer_at(size_t i);

/* Tokens of a text of that shape, without a template, rounded up. */
int64_t text_tokenizer_count(const struct text_tokenizer *t, const struct text_shape *shape);

#endif
