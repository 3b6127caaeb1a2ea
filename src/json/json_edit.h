/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_edit.h — changes to a JSON text that leave its bytes where they are.
 *
 * A sorted list of (offset, length, replacement). What is sent is the unchanged stretches and the
 * replacements in turn, with writev(); nothing is copied and nothing is written anew.
 *
 *   {"model":"m","routing":{"profile":"cost"},"n":1}
 *            ~~~ → "real-name"                              json_edits_replace_borrow()
 *               ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~  → nothing    json_edits_remove_member()
 *                                                ↑ ,"x":2   json_edits_add_member_borrow()
 *
 * There may be two layers: a call's, made once (routing hints, what the guard takes out), and upon
 * it a try's (the model server's own name, its quirks), which leaves the call's as it is. What is
 * asked for later wins:
 *
 *   the same bytes again          the later edit stands; a member that was removed stays removed
 *   a value or member around      the later edit covers all that was edited inside it
 *   inside what is gone           (a removed member, a value that was set): no effect
 *   half inside, half outside     a mistake of ours: the list fails with ERR_INTERNAL
 *   insertions at one place       all stand, in the order in which they were asked for
 *
 * A value has one owner at a time. Whoever moves, copies or compares a value reads
 * json_edits_value(), never the source: else what the guard took out comes back.
 *
 * Always true:
 *   1. The edits of a layer are in the order of their offsets and do not overlap; those of a try do
 *      not lie inside one of its call's.
 *   2. Of an object with removed and added members, the commas are right, whichever members were
 *      removed or added, in whatever layer and order that was asked for.
 *
 * Sticky: a list that failed ignores later calls, and one asks once, at the end, with
 * json_edits_error().
 *
 * Ownership  a list's storage is in its arena. Index, text and replacements are borrowed for as
 *            long as the list is used, and a try's list borrows the call's, which takes no edit
 *            meanwhile.
 * Limits     the arena's. An edit takes 40 bytes and, wherever it goes, about the same short time
 *            (the logarithm of their number). Commas are looked for over white space that is in
 *            their way.
 * Threads    one at a time.
 */
#ifndef JSON_JSON_EDIT_H
#define JSON_JSON_EDIT_H

#include <sys/uio.h>

#include "base/arena.h"
#include "json/json_edit_list.h"
#include "json/json_index.h"

enum json_place { JSON_AT_BEGIN, JSON_AT_END };

struct json_edits {
    const struct json_index *index;
    struct arena *arena;
    const struct json_edits *below; /* the call's edits, under a try's; or NULL */
    struct json_edit_list list;
    enum err error;
};

/* No edits yet to the text of `x`: a call's layer. */
void json_edits_init(struct json_edits *e, const struct json_index *x, struct arena *arena);

/* A try's layer upon the edits of its call. `x` is an index of the same text: the call's, or one
 * made anew. Costs nothing, however many edits the call has; if those failed, so has this. */
void json_edits_init_upon(struct json_edits *e, const struct json_edits *call,
                          const struct json_index *x, struct arena *arena);

/* Puts `text` in place of `len` bytes from `offset`, which must lie in the text. */
void json_edits_replace_borrow(struct json_edits *e, uint32_t offset, uint32_t len,
                               struct span text);

/* Puts `text`, which is JSON, in place of a value. */
void json_edits_set_value_borrow(struct json_edits *e, uint32_t row, struct span text);

/* Removes the member of `object` whose key is row `key`, and one comma if need be. Removing it
 * twice is the same as once. */
void json_edits_remove_member(struct json_edits *e, uint32_t object, uint32_t key);

/* Adds members, `text` being `"key":value` or several of these with commas between them, before
 * the first or behind the last member of `object`. */
void json_edits_add_member_borrow(struct json_edits *e, uint32_t object, enum json_place place,
                                  struct span text);

/*
 * What stands in place of a row's bytes as edited so far, in both layers: the source itself if
 * nothing was, a replacement, or a copy in the arena. {NULL, 0}: the row is gone (it, or something
 * around it, was removed or has a new value), or the list has failed, as it does without memory.
 */
struct span json_edits_value(struct json_edits *e, uint32_t row);

/* The list fails with `error`, unless it has already: for one who prepares edits and cannot. */
void json_edits_fail(struct json_edits *e, enum err error);

/* ---- the edited text ---- */

#define JSON_EDITS_PIECES_MIN 8 /* the least room for one call of json_edits_read() */

/* How far the edited text was read. */
struct json_edits_reader {
    const struct json_edits *edits;
    struct json_edit_place own, below; /* the next edit of either layer */
    uint32_t done, end, last;          /* bytes that were passed; where to stop; the last edit's */
    uint32_t run;       /* the key that would go on a run of removals from its object's beginning */
    uint32_t emptied;   /* the object that lost all its members */
    uint32_t begun;     /* the object to whose beginning something was added, */
    uint32_t comma_key; /* and the key before which its comma stands, if that key stays */
    uint32_t ended;     /* the object to whose end something was added last */
    bool is_done;
};

/* Begins to read. The list must not change until all is read. */
void json_edits_read_begin(struct json_edits_reader *r, const struct json_edits *e);

/* Fills `pieces` with what comes next, none of it empty; `room` is at least JSON_EDITS_PIECES_MIN.
 * Returns how many; 0 when all was read. Takes time in proportion to them and to the edits that
 * others cover. */
size_t json_edits_read(struct json_edits_reader *r, struct iovec *pieces, size_t room);

/* How many bytes the text has with all edits done. This and the next three take time in proportion
 * to the edits: for a list that a peer can make long, read it in steps. */
uint64_t json_edits_total(const struct json_edits *e);

/* At most how many pieces json_edits_pieces() gives. */
size_t json_edits_most_pieces(const struct json_edits *e);

/* Fills `pieces`, which has room for json_edits_most_pieces(), and returns how many there are. None
 * is empty. They may be read as long as text and replacements stay. */
size_t json_edits_pieces(const struct json_edits *e, struct iovec *pieces);

/* Writes the edited text to `out`, which has room for json_edits_total() bytes. */
void json_edits_copy(const struct json_edits *e, uint8_t *out);

static inline bool json_edits_failed(const struct json_edits *e)
{
    return e->error != ERR_OK;
}

/* ERR_OK, ERR_NO_MEMORY, ERR_OVERLOADED (the allowance), ERR_INTERNAL (half-overlapping edits). */
static inline enum err json_edits_error(const struct json_edits *e)
{
    return e->error;
}

#endif
