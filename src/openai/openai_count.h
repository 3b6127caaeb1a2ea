/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_count.h — how many tokens a request may cost, or an answer did, where no tokeniser can be
 * asked.
 *
 * The walker's texts, unescaped, by text/text_tokens.h; so an Arabic prompt costs the same raw and
 * in \u escapes, and a picture does not cost what its base64 is long. Beside the text:
 *
 *   each message                    4 tokens, for the template around it
 *   each prompt and input           2, for the marks at its ends
 *   each string of a definition
 *   or schema, key or value         2, for the JSON around it
 *   a picture                       1,445: the most that OpenAI's rule gives (85 and eight tiles of
 *                                   170); 85 where little detail was asked for
 *   sound                           a token each 512 bytes of base64: ten a second at 32 kbit/s
 *   any other file                  a token each 64 bytes of base64
 *   what lies elsewhere (http…)     like a picture
 *
 * Labels and log probabilities cost nothing: a model reads neither.
 *
 * Ownership  the index is borrowed.
 * Limits     no allocation; one step takes the time that its budget allows, whatever the document.
 * Threads    any; pure.
 * Sources    docs/decisions/0010-token-estimates.md, docs/decisions/0072-tokens-by-channel.md.
 */
#ifndef OPENAI_OPENAI_COUNT_H
#define OPENAI_OPENAI_COUNT_H

#include "openai/openai_texts.h"
#include "text/text_shape.h"
#include "json/json_value.h"

#define OPENAI_COUNT_ASKED 4

/* A count on its way. */
struct openai_count {
    struct openai_texts texts;
    struct openai_text text; /* the one that is read, */
    struct span left;        /* and what is left of it, as it is written */
    uint64_t eighths[OPENAI_CHANNELS];

    /* Of a request, for openai_gist.h and openai_session.h, if `is_noting` is set behind
     * openai_count_begin(): the first texts of the user's last turn, the first of the one before
     * (JSON_NONE: there is none), which turn that is, and how many there were; the first text of
     * the user, and the first of an instruction before it. */
    uint32_t asked[OPENAI_COUNT_ASKED], asked_count, asked_before, asked_item, turns;
    uint32_t opening_turn, opening_instruction;
    bool is_noting, has_pictures;

    /* With that, too: what the texts are made of that a model reads, and eighths of a token beside
     * these: media, and what stands around prompts and definitions. */
    struct text_shape shape;
    uint64_t beside;
};

/* Begins to count what the request `x` says. */
void openai_count_begin(struct openai_count *t, const struct json_index *x);

/* Begins to count what a choice of an answer says. */
void openai_count_begin_choice(struct openai_count *t, const struct json_index *x, uint32_t choice);

/* Goes on for about `*bytes` of text, or rows that take as long; what was not needed of it is left.
 * True when all was counted. */
bool openai_count_step(struct openai_count *t, size_t *bytes);

/* Tokens of what a model reads. */
int64_t openai_count_read(const struct openai_count *t);

/* Eighths of a token of what a model wrote: content, reasoning, refusals, calls. To be summed over
 * the events of a stream before they are rounded. */
uint64_t openai_count_written(const struct openai_count *t);

/* What of that is reasoning. */
uint64_t openai_count_reasoning(const struct openai_count *t);

/* Eighths of a token of one string, at once; 0 for JSON_NONE and what is no string. */
uint64_t openai_count_text(const struct json_index *x, uint32_t row);

#endif
