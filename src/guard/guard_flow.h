/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_flow.h — the texts of a stream, each with a scan of its own that goes on from event to
 * event: content, reasoning, refusal and the arguments of each tool call, by choice.
 *
 * What goes out of an event was looked at, and what is not decided is held back for a later one.
 * Where a choice ends, what its texts still hold back is said in an event before that end.
 *
 * Ownership  guard_flow_fini() frees what is held.
 * Limits     GUARD_FLOWS_MAX texts a stream, less than 1 KiB each, counted (base/memory.h).
 * Threads    one at a time.
 * Sources    docs/guard.md; OpenAI's API reference (chat completion chunk).
 */
#ifndef GUARD_GUARD_FLOW_H
#define GUARD_GUARD_FLOW_H

#include "guard/guard_document.h"

#define GUARD_FLOWS_MAX  256
#define GUARD_ENDING_MAX 128 /* choices that end with one event: more are not watched anyway */

struct guard_flow_text;

struct guard_flow {
    struct guard_case *c;
    struct guard_wanted wanted;
    struct guard_flow_text *first; /* the newest first */
    unsigned count;
    bool is_full; /* a stream of too many texts: nothing of it may go on */
    bool no_memory;
    bool is_cut;  /* a value was blocked: the stream is to end */
    bool is_chat; /* else texts are said in `text`, as completions are */
};

/* An event while it is looked at. */
struct guard_flow_look {
    struct guard_flow *f;
    const struct json_index *x;
    struct arena *arena;
    struct json_edits *edits;
    uint32_t choices;                 /* row of the array, or JSON_NONE */
    int64_t ending[GUARD_ENDING_MAX]; /* the choices that end with it */
    unsigned ending_count;
    bool is_late; /* some text of it does not go out as it came in */
    bool
        is_silent; /* once it is looked at: all that it says is held back, and it need not go out */
};

void guard_flow_init(struct guard_flow *f, struct guard_case *c, const struct guard_wanted *wanted,
                     bool is_chat);
void guard_flow_fini(struct guard_flow *f);

/*
 * An event as it would go out, of which `edits->index` is the index: `edits` become what is done
 * about it, and `out` gets the `choices` of an event that is to go out before it; empty: none is.
 * One that `is_silent` need not go out.
 *
 *   ERR_UPSTREAM_STREAM  there are too many texts
 *   ERR_OVERLOADED, ERR_NO_MEMORY
 */
MUST_USE enum err guard_flow_event(struct guard_flow *f, struct guard_scratch *w,
                                   struct json_edits *edits, struct arena *arena, struct buf *out,
                                   bool *is_silent);

/* The same of a large one: begins with it; `d` is to be stepped until it is done, then comes the
 * end. `look` is what edits and arena are. Errors as above. */
void guard_flow_look_begin(struct guard_flow_look *v, struct guard_flow *f,
                           const struct guard_look *look, struct guard_document *d);
MUST_USE enum err guard_flow_look_end(struct guard_flow_look *v, const struct guard_document *d,
                                      struct guard_scratch *w, struct buf *out);

/* The stream ends: `out` gets the `choices` of an event that says all that is held back. Errors as
 * above. */
MUST_USE enum err guard_flow_end(struct guard_flow *f, struct guard_scratch *w, struct arena *arena,
                                 struct buf *out);

/* How many bytes are held back of all texts. */
size_t guard_flow_held(const struct guard_flow *f);

#endif
