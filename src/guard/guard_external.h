/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_external.h — the texts of a request as scanners are asked about them over HTTP, and what
 * they answer as edits.
 *
 * All texts go in one request, as they stand after the edits that were made so far: a scanner never
 * sees what was taken out before. They are gathered into one text with blank lines between them;
 * what is found is told by places in that.
 *
 *     guard_gather()          "call Sara\n\nother text"       parts [0,9) [11,21)
 *     guard_external_ask()    {"text":"call Sara\n\nother text","language":"en"}
 *     guard_external_read()   [{"entity_type":"PERSON","start":5,"end":9,…}] → a finding at [5,9)
 *     guard_apply()           the edit "Sara" → "[PERSON_1]"
 *
 * Answers are not believed: places that are none in the text, or inside a character, make the whole
 * answer nonsense. Findings that overlap are one, of the strictest action among them.
 *
 * Ownership  all is borrowed; what is inserted lies in the edits' arena.
 * Limits     GUARD_GATHERED_MAX bytes of text, GUARD_PARTS_MAX texts, GUARD_EXTERNAL_FINDINGS
 *            findings of an answer.
 * Threads    any; no state.
 * Sources    docs/guard-scanners.md; Presidio's analyzer API.
 */
#ifndef GUARD_GUARD_EXTERNAL_H
#define GUARD_GUARD_EXTERNAL_H

#include "guard/guard_document.h"

#define GUARD_GATHERED_MAX      ((size_t)1 << 20)
#define GUARD_EXTERNAL_FINDINGS 4096

/* Texts of a request, and how far they were gathered. */
struct guard_gathered {
    struct guard_part *parts;
    size_t count, next;
    struct buf text;
};

/* Begins with texts that a document noted; no more than GUARD_PARTS_MAX. */
void guard_gather_begin(struct guard_gathered *g, struct guard_part *parts, size_t count);

/*
 * Goes on by about so many bytes; `*is_done` says whether that was all.
 *   ERR_VALUE_INVALID  they are more than are shown to a scanner
 *   ERR_OVERLOADED, ERR_NO_MEMORY
 */
MUST_USE enum err guard_gather(struct guard_gathered *g, const struct json_edits *edits,
                               size_t bytes, bool *is_done);

void guard_gather_end(struct guard_gathered *g);

/* Writes what the scanner is asked, of the call `id`. ERR_NO_MEMORY. */
MUST_USE enum err guard_external_ask(const struct guard_scanner *s, const struct guard_gathered *g,
                                     struct span id, struct buf *out);

/*
 * Reads an answer: `out` gets findings, by the places of all texts together, in no order.
 *   ERR_VALUE_INVALID  it is none
 *   ERR_OVERLOADED, ERR_NO_MEMORY
 */
MUST_USE enum err guard_external_read(const struct guard_policy *p, const struct guard_scanner *s,
                                      const struct guard_gathered *g, struct span answer,
                                      struct buf *out);

/*
 * Judges findings, `count` of them, and makes the edits that follow. The edits are those that the
 * texts were gathered with. `*changes`: something was put in another's place.
 *   ERR_OVERLOADED, ERR_NO_MEMORY
 */
MUST_USE enum err guard_apply(struct guard_case *c, const struct guard_gathered *g,
                              struct guard_finding *findings, size_t count,
                              struct json_edits *edits, bool *changes);

#endif
