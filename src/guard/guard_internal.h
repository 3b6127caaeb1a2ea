/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_internal.h — what the detectors share: a window of folded text, and where they say what
 * they found. For guard's own files.
 *
 * Each place of a text is decided by what stands before it (GUARD_BEFORE bytes as they came) and by
 * GUARD_VALUE_BYTES + 1 from it on, so that nothing depends on how the text was cut. A detector
 * that would have to see more than the window holds says guard_sink_wait() for the place where its
 * value begins, unless the window is the text's last; it is asked again, with more. guard_before()
 * and guard_behind() say how far a place may look: what is nearer than that counts as the text's
 * beginning, or its end, else a text that is rich in characters without width would be judged by
 * more than one that came in pieces.
 */
#ifndef GUARD_GUARD_INTERNAL_H
#define GUARD_GUARD_INTERNAL_H

#include "base/err.h"
#include "guard/guard_rules.h"
#include "guard/guard_scan.h"
#include "text/text_fold.h"

/* A stretch of folded text (text_fold.h): case is kept, digits are ASCII, what has no width is not
 * there. Offsets of findings are offsets into it; guard_scan.c translates them. */
struct guard_window {
    struct span text;
    size_t from;   /* the first place where a value may begin that was not decided; what stands
                      before is context */
    bool is_first; /* the text begins where the window begins */
    bool is_last;  /* and ends where it ends */
    const struct text_fold *fold; /* where it came from; NULL: `text` is as it came */
};

/* Bounds of what decides of the place `at`: [guard_before(), guard_behind()) of the window. */
size_t guard_before(const struct guard_window *w, size_t at);
size_t guard_behind(const struct guard_window *w, size_t at);

/* Whether there is something before guard_before(). */
bool guard_is_cut(const struct guard_window *w, size_t at);

/* Whether more may come that decides of the place: what touches guard_behind() has to wait. */
bool guard_is_open(const struct guard_window *w, size_t at);

struct guard_sink;
struct guard_rules_scratch;

/* A value was found at [start, end) of the window. One that begins before `from` is ignored. */
void guard_sink_add(struct guard_sink *k, size_t start, size_t end, unsigned type, unsigned percent,
                    bool is_validated);

/* The same of a value that is longer than GUARD_VALUE_BYTES: `end` is where the window's sight of
 * it ends. What follows belongs to it as far as guard_secret_run() says, of PRIVATE_KEY up to its
 * last line. */
void guard_sink_add_open(struct guard_sink *k, size_t start, size_t end, unsigned type,
                         unsigned percent, bool is_validated);

/* Whether a value begins at `start` is not known before more is there. */
void guard_sink_wait(struct guard_sink *k, size_t start);

/* Detectors. `types`: the bits that are wanted. */
void guard_find_numbers(const struct guard_window *w, uint32_t types, struct guard_sink *k);
void guard_find_addresses(const struct guard_window *w, uint32_t types, struct guard_sink *k);
void guard_find_placeholders(const struct guard_window *w, struct guard_sink *k);
void guard_find_secrets(const struct guard_window *w, uint32_t types, struct guard_sink *k);
void guard_find_rules(const struct guard_rules *r, const struct guard_window *w,
                      struct guard_rules_scratch *scratch, struct guard_sink *k);

/* Index of the first byte at or after `from` that cannot be of a token: where an open SECRET ends.
 */
size_t guard_secret_run(struct span text, size_t from);

#define GUARD_HIT_WORDS 4 /* of 32 tripwires each */

/* Tripwires that a window touched. */
struct guard_tripped {
    uint32_t hits[GUARD_HIT_WORDS]; /* a bit each: to be joined with those of the text so far */
    size_t start, end;              /* in the window, of the one that weighs most; if weight > 0 */
    unsigned weight;                /* of that, in percent */
};

/*
 * Looks at the whole window, also before `from`: no phrase is longer than GUARD_BEFORE, so none is
 * missed where a text is cut, and one that is seen twice is the same bit. A word that touches an
 * end of the window that is not the text's is left for later.
 */
void guard_find_tripwires(const struct guard_window *w, struct guard_tripped *out);

/* The same for what folding takes away: hidden characters in a piece as it came. `run` is what the
 * piece before left of it, also of a torn character; 0 at a text's beginning. */
void guard_find_hidden(struct span raw, uint32_t *run, struct guard_tripped *out);

/* 1 − Π(1 − weight) over the tripwires touched, in percent. */
unsigned guard_tripwires_score(const uint32_t hits[GUARD_HIT_WORDS]);

/* What one thread needs to look for the operator's rules: part of a guard_scratch. */
struct guard_rules_scratch;

struct guard_rules_scratch *guard_rules_scratch_new(void);
void guard_rules_scratch_free(struct guard_rules_scratch **s);

/* Makes it large enough for a set of rules. Costs nothing if it was so before. ERR_NO_MEMORY */
MUST_USE enum err guard_rules_scratch_fit(struct guard_rules_scratch *s,
                                          const struct guard_rules *r);

#endif
