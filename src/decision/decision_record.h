/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decision_record.h — what rules could ask of a call, as its record keeps it: words of a few bytes,
 * none of them of what was said. And back, so that other rules can be asked about calls that were.
 *
 *   language=ar confidence=1000 script=Arab dialect=egy tools=0 images=0 turns=2 prompt_tokens=17
 *
 * Ownership  what is read borrows from the text.
 * Limits     DECISION_FACTS_BYTES.
 * Threads    any; pure.
 * Sources    docs/formats/journal.md.
 */
#ifndef DECISION_DECISION_RECORD_H
#define DECISION_DECISION_RECORD_H

#include "decision/decision.h"

#define DECISION_FACTS_BYTES 400
#define DECISION_WORD_BYTES  8 /* of a language, a script, a dialect, with its NUL */

/* Writes the facts of a call for which decision_find() was asked. Returns their length. */
size_t decision_facts_write(const struct decision_ask *ask, struct decision_work *work,
                            char out[DECISION_FACTS_BYTES]);

/* What was read. The members of an ask that it is for point into it. */
struct decision_facts {
    struct decision_recorded recorded;
    char language[DECISION_WORD_BYTES], script[DECISION_WORD_BYTES];
    int64_t prompt_tokens;
    struct openai_gist gist;
    struct openai_request request; /* but for what the record has in members of its own */
    struct decision_hints hints;
    struct span model; /* that was asked for */
};

/* Reads them. False: they are not what decision_facts_write() writes. */
MUST_USE bool decision_facts_read(struct span text, struct decision_facts *out);

#endif
