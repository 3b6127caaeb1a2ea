/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_scan.h — values found in a text that comes whole or in pieces.
 *
 *     guard_scan_begin(&s, &what);
 *     guard_scan_feed(&s, work, "my card is 41", false, &out);    out.text "my card is "
 *     guard_scan_feed(&s, work, "11111111111111 ok", false, &out) out.text "4111111111111111 " and
 *                                                                 a finding, at 11 to 27 of all
 *     guard_scan_feed(&s, work, "", true, &out);                  out.text "ok"
 *
 * What is found does not depend on how the text was cut: each place is judged by the GUARD_BEFORE
 * bytes before it and by what follows up to GUARD_VALUE_BYTES + 1, and is only told once these are
 * there. Out comes the text as it came, never one byte of a value that is not decided, and never a
 * part of a character; prose is behind by a word.
 *
 * Text is UTF-8. Digits of Arabic, Persian and full width are digits, tatweel, marks of direction
 * and characters without width are not there, signs that look like ASCII are that (text_fold.h):
 * findings have the offsets of the text as it came, and cover such characters inside a value.
 *
 * Findings of a text do not overlap: the longest validated one stays. They come in order. What has
 * no end in sight (a private key, a token longer than GUARD_VALUE_BYTES) is told in pieces: a
 * finding that begins where one of the same type ended, and both of PRIVATE_KEY or SECRET, goes on
 * with that value. A private key reaches to its last line, or to where no key can go on.
 *
 * INJECTION is told at the text's end, once, over its strongest phrase, and only of prompts.
 *
 * Ownership  a scan holds what is behind in itself; `out` borrows from it, from the piece and from
 *            the scratch, until the next call with either. A scratch belongs to a worker.
 * Limits     a scan is less than 1 KiB. A piece of any length, but a call takes time in proportion
 *            to it: who must not stay long feeds 16 KiB at a time.
 * Threads    one at a time; rules are shared.
 * Sources    docs/guard.md.
 */
#ifndef GUARD_GUARD_SCAN_H
#define GUARD_GUARD_SCAN_H

#include "base/err.h"
#include "guard/guard.h"

#define GUARD_BEFORE 128 /* bytes before a value in which a word may say what it is */

/* What a scan keeps of its text: what stands before, and a value with what may overlap it. */
#define GUARD_SCAN_BYTES (GUARD_BEFORE + 2 * GUARD_VALUE_BYTES + 80)

struct guard_rules;   /* the operator's: guard_rules.h */
struct guard_scratch; /* room that scans of one thread share */

/* What is looked for. */
struct guard_wanted {
    const struct guard_rules *rules[2]; /* the gateway's, the team's; NULL: none */
    uint32_t types;                     /* bits of the built-in ones; others are not looked for */
    bool placeholders;                  /* also what looks like one of ours: GUARD_PLACEHOLDER */
    bool reads_escapes; /* the text is JSON, or has some: "\u0661" is the digit that it says */
    enum guard_direction direction;
};

/* Where a text that is JSON itself stands. */
struct guard_syntax {
    uint64_t at;                                    /* of the text, up to where this holds */
    bool has_begun, is_json, is_inside, is_escaped; /* inside a string; behind a backslash */
};

struct guard_scan {
    struct guard_wanted wanted;
    uint64_t at;                /* of the text, where `bytes` begins */
    uint16_t before, len;       /* of `bytes`, what was given out already; and all of it */
    struct guard_syntax syntax; /* guard_string.c's, as the next one is */
    uint64_t gone_to;           /* where a value ended that is not what it was: guard_string.c */
    bool is_inside;             /* a value of `inside` that goes on, */
    uint8_t percent;            /* its confidence, */
    bool is_validated;          /* and what else is told of it */
    uint16_t inside;            /* PRIVATE_KEY or SECRET */
    uint16_t weight;            /* of the tripwire that weighs most, in percent */
    uint32_t hits[4];           /* tripwires that were touched: bits */
    uint32_t hidden;            /* characters without width that the text so far ends with */
    uint64_t strongest[2];      /* where the one stands that weighs most */
    uint8_t bytes[GUARD_SCAN_BYTES];
};

/* What a piece brought. */
struct guard_out {
    struct span text;                     /* that is decided, as it came */
    uint64_t at;                          /* of the text, where it begins */
    const struct guard_finding *findings; /* in `text`; of INJECTION, anywhere before its end */
    size_t count;
};

MUST_USE enum err guard_scratch_new(struct guard_scratch **out);
void guard_scratch_free(struct guard_scratch **w);

void guard_scan_begin(struct guard_scan *s, const struct guard_wanted *wanted);

/*
 * The next piece of the text. Behind the last nothing is held back.
 *   ERR_NO_MEMORY
 */
MUST_USE enum err guard_scan_feed(struct guard_scan *s, struct guard_scratch *w, struct span piece,
                                  bool is_last, struct guard_out *out);

/* How many bytes are held back. */
static inline size_t guard_scan_held(const struct guard_scan *s)
{
    return (size_t)(s->len - s->before);
}

#endif
