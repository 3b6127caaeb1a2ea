/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_document.h — every text of a request, of a whole reply or of an event goes through the
 * guard; what it does about them are edits.
 *
 * Of a request all is looked at that some model server may put before a model: the texts of
 * openai_texts.h, and what that walk passes over as words from a list, keys and numbers. Where
 * nothing can stand in place of a value (a name, an enum, a grammar, a number) it is blocked.
 *
 * Each text of a request or reply is one by itself. Those of an event are pieces: whoever walks
 * over events says of which text (guard_flow.h).
 *
 * Ownership  all is borrowed; what is inserted lies in the arena. guard_document_end() frees the
 *            rest.
 * Limits     a step reads about as many bytes as it is told.
 * Threads    one at a time.
 */
#ifndef GUARD_GUARD_DOCUMENT_H
#define GUARD_GUARD_DOCUMENT_H

#include "guard/guard_string.h"
#include "openai/openai_texts.h"

/* Of which text a string of an event is a piece; NULL: it is a text by itself. `*is_last`: nothing
 * of it follows. */
typedef struct guard_scan *guard_piece_of(void *ctx, const struct openai_text *text, bool *is_last);

/* A text of a request, as scanners that are asked over HTTP are shown it. */
struct guard_part {
    uint32_t row;
    uint32_t start, end; /* once it was gathered: of all texts together */
    uint8_t channel;     /* enum openai_channel */
    struct guard_manner manner;
};

#define GUARD_PARTS_MAX ((size_t)1 << 14)

/* What a document is looked at with. */
struct guard_look {
    struct guard_case *c;
    struct guard_scratch *scratch;
    struct json_edits *edits;
    struct arena *arena;
    struct guard_wanted wanted;
    struct buf *parts;        /* gets a struct guard_part a text; NULL: nobody wants them */
    guard_piece_of *piece_of; /* of an event; else NULL */
    void *ctx;
};

struct guard_document {
    struct guard_look look;
    const struct json_index *x;
    struct openai_texts texts;
    struct openai_text next;  /* that the walk has found */
    bool has_next, is_at_end; /* of the walk */
    uint32_t row;             /* the next one to look at */
    uint32_t top, top_next;   /* keys of the document: that `row` is below, and the one behind it */
    bool is_inside;           /* `text` goes on */
    bool is_done;
    bool is_cut;         /* a value of a reply was blocked */
    bool says_something; /* some text has something left */
    struct guard_text text;
    struct guard_scan own; /* of a text by itself */
};

/* Begins with the document that `look.edits` is for. */
void guard_document_begin(struct guard_document *d, const struct guard_look *look,
                          enum openai_texts_kind kind);

/*
 * Goes on by about so many bytes; `is_done` says whether that was all.
 *   ERR_OVERLOADED, ERR_NO_MEMORY
 */
MUST_USE enum err guard_document_step(struct guard_document *d, size_t bytes);

void guard_document_end(struct guard_document *d);

/* What is done about an answer besides its texts, a choice after the other. */
struct guard_mend {
    struct json_edits *edits;
    uint32_t choice; /* the next one, or JSON_NONE */
    bool is_cut; /* a value was blocked: choices end by `content_filter`, without calls of tools, */
    bool empties; /* and without texts */
};

/* Begins with an answer in which some text is not as it came: probabilities of tokens, which say it
 * again, go in any case. */
void guard_mend_begin(struct guard_mend *m, struct json_edits *edits);

/* Goes on by so many choices. True: that was all. */
bool guard_mend_step(struct guard_mend *m, unsigned choices);

#endif
