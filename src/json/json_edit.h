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
 * Always true:
 *   1. Edits are in the order of their offsets and do not overlap.
 *   2. Of an object with removed and added members, the commas are right, whichever members were
 *      removed or added and in whatever order that was asked for.
 *
 * Sticky: without memory the list is marked failed, later calls do nothing, and one asks once, at
 * the end, with json_edits_failed().
 *
 * Ownership  the list's storage is in the arena. Index, text and replacements are borrowed for as
 *            long as the list is used.
 * Limits     the arena's. Overlapping edits are a mistake of ours and fail a CHECK: do not edit
 *            inside a member that is removed, nor the white space or comma beside it. Edits in the
 *            order of the text, and members added one after another, cost the same short time
 *            each; a removal walks over its object.
 * Threads    one at a time.
 */
#ifndef JSON_JSON_EDIT_H
#define JSON_JSON_EDIT_H

#include <sys/uio.h>

#include "base/arena.h"
#include "json/json_index.h"

enum json_place { JSON_AT_BEGIN, JSON_AT_END };

struct json_edit; /* one change */

struct json_edits {
    const struct json_index *index;
    struct arena *arena;
    struct json_edit *list;
    size_t count, cap;
    uint32_t end_object, end_offset; /* the object last added to, and where its members end */
    bool failed;
};

/* No edits yet to the text of `x`. */
void json_edits_init(struct json_edits *e, const struct json_index *x, struct arena *arena);

/* The edits of `from`, to which more can be added without changing `from`: an attempt's edits are
 * those of the call and its own. */
void json_edits_init_from(struct json_edits *e, const struct json_edits *from, struct arena *arena);

/* Puts `text` in place of `len` bytes from `offset`. Where several insertions (`len` 0) meet, they
 * appear in the order in which they were asked for. */
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

/* How many bytes the text has with all edits done. */
uint64_t json_edits_total(const struct json_edits *e);

/* At most how many pieces json_edits_pieces() gives. */
size_t json_edits_most_pieces(const struct json_edits *e);

/* Fills `pieces`, which has room for json_edits_most_pieces(), and returns how many there are. None
 * is empty. They may be read until the next edit. */
size_t json_edits_pieces(const struct json_edits *e, struct iovec *pieces);

/* Writes the edited text to `out`, which has room for json_edits_total() bytes. */
void json_edits_copy(const struct json_edits *e, uint8_t *out);

static inline bool json_edits_failed(const struct json_edits *e)
{
    return e->failed;
}

#endif
