/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_string.h — one string of a JSON document goes through a scan, and what is done about what
 * was found becomes edits of the document's bytes.
 *
 * The scan reads what the string says, the edits change how it is written: a cursor tells where in
 * the escaped bytes a character stands. A string may be one of many pieces of a text, as those of a
 * stream are: what the scan still held back from earlier ones goes in before it, what it holds back
 * of this one is taken out.
 *
 *   scan holds "mail bob@c"      piece "orp.sa, please"
 *   inserted "mail [EMAIL_1]"    taken out "orp.sa"      left ", "     held back "please"
 *
 * Ownership  index, edits, scan and case are borrowed; what is inserted lies in the arena.
 * Limits     one piece of GUARD_PIECE_BYTES a step.
 * Threads    one at a time.
 */
#ifndef GUARD_GUARD_STRING_H
#define GUARD_GUARD_STRING_H

#include "guard/guard_case.h"
#include "json/json_edit.h"
#include "json/json_value.h"

#define GUARD_PIECE_BYTES ((size_t)4 << 10)

/* How a text is dealt with. */
struct guard_manner {
    enum guard_direction direction;
    bool is_callers;  /* what is redacted in it may be put back for the caller */
    bool is_firm;     /* nothing may stand in place of its values */
    bool is_in_json;  /* it is a part of a text that is JSON itself: what is put into it is escaped
                         twice */
    bool keeps_names; /* nothing is put back into it */
};

/* What a text is dealt with by. */
struct guard_means {
    struct guard_case *c;
    struct guard_scan *scan;  /* of the text, of which this string may be a piece */
    struct json_edits *edits; /* of the document */
    struct arena *arena;
    struct guard_manner manner;
};

struct guard_text {
    struct guard_means by;
    struct span inside;      /* the string between its quotes */
    uint32_t offset;         /* of that in the document */
    bool is_escaped, is_cut; /* cut: a value in it was blocked, and what follows is gone */
    bool is_last;            /* nothing of its text follows */
    bool is_empty;           /* once it is done: nothing stands there */
    bool is_done;
    uint64_t base;     /* of the text, where this string begins */
    size_t raw;        /* of `inside`, what stands */
    uint64_t said;     /* at this place of the text */
    uint64_t kept;     /* of the text, up to where its bytes stay or were dealt with */
    struct buf before; /* what goes in before the string: of what was held back */
    struct json_reader reader;
};

/* Begins with the string or key `row`, which goes on with the text of `by->scan`. */
void guard_text_begin(struct guard_text *t, const struct guard_means *by, uint32_t row,
                      bool is_last);

/*
 * Goes on by a piece; `*bytes` is less by what was read.
 *   ERR_OVERLOADED, ERR_NO_MEMORY
 */
MUST_USE enum err guard_text_step(struct guard_text *t, struct guard_scratch *w, size_t *bytes);

/* Frees what it holds. */
void guard_text_fini(struct guard_text *t);

/*
 * Puts `value` in place of `len` bytes of a document's string from `offset` on; `is_bare`: what
 * stood there was no string of a text that is JSON itself.
 *   ERR_OVERLOADED, ERR_NO_MEMORY
 */
MUST_USE enum err guard_text_replace(const struct guard_means *by, uint32_t offset, uint32_t len,
                                     struct span value, bool is_bare);

/* Whether what begins at `start` is a number, or the like, of a text that is JSON: no string. Asked
 * for in order. */
bool guard_text_is_bare(struct guard_syntax *s, const struct guard_manner *m,
                        const struct guard_out *out, uint64_t start);

/*
 * What a scan held back, with what is done about it, as text behind what `out` has: its text has
 * ended. `*is_cut`: a value in it was blocked.
 *   ERR_OVERLOADED, ERR_NO_MEMORY
 */
MUST_USE enum err guard_text_end(const struct guard_means *by, struct guard_scratch *w,
                                 struct buf *out, bool *is_cut);

#endif
