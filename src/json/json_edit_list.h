/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_edit_list.h — the edits of one layer, sorted. For json_edit.c, which says what they mean.
 *
 * Blocks of edits in order: a peer can make a list long, and whoever edits need not go through the
 * text in order, so no edit may cost a move of all that stand behind it.
 *
 * Ownership  the blocks are in the arena given.
 * Limits     the arena's; 128 edits a block, so an insertion moves 5 KiB at most, and 8 bytes for
 *            each 64 edits when a block is split.
 * Threads    one at a time.
 */
#ifndef JSON_JSON_EDIT_LIST_H
#define JSON_JSON_EDIT_LIST_H

#include "base/arena.h"

/* What an edit is, in the order in which insertions at one offset stand. */
enum json_edit_role {
    JSON_EDIT_FIND,        /* none: before all at its offset, to look for a place */
    JSON_EDIT_ADDED_FIRST, /* members at the beginning of an object */
    JSON_EDIT_ADDED_LAST,  /* members at its end */
    JSON_EDIT_PLAIN,       /* a replacement or insertion of any kind */
    JSON_EDIT_REMOVED      /* a member that goes */
};

struct json_edit {
    uint32_t offset, len; /* the bytes that go; of a member, without its comma */
    struct span text;     /* what stands there instead */
    uint32_t object, key; /* rows; the object of members, the key of a removed one */
    enum json_edit_role role;
};

struct json_edit_block {
    struct json_edit *edits;
    uint32_t count, cap;
};

/* All zero: empty. No block is empty. */
struct json_edit_list {
    struct json_edit_block *blocks;
    size_t count, cap;  /* of blocks */
    size_t most_pieces; /* of the edited text, at most, for these edits */
};

/* A place between two edits. */
struct json_edit_place {
    size_t block;
    uint32_t at;
};

static inline uint32_t json_edit_end(const struct json_edit *edit)
{
    return edit->offset + edit->len;
}

/*
 * Whether `edit` goes before `other`: by offset; insertions before what takes bytes; insertions by
 * role, then the older first. What takes bytes goes before what takes bytes from the same offset
 * on, so that one finds it.
 */
bool json_edit_goes_before(const struct json_edit *edit, const struct json_edit *other);

/* The place where `edit` goes. */
struct json_edit_place json_edit_list_find(const struct json_edit_list *list,
                                           const struct json_edit *edit);

/* The edit behind a place, or NULL. It may be changed, but for what orders it. */
struct json_edit *json_edit_list_get(const struct json_edit_list *list,
                                     struct json_edit_place *place);

/* The edit before a place, or NULL. */
const struct json_edit *json_edit_list_before(const struct json_edit_list *list,
                                              struct json_edit_place place);

/* Puts an edit at the place where it goes; false without memory. */
MUST_USE bool json_edit_list_insert(struct json_edit_list *list, struct arena *arena,
                                    struct json_edit_place place, const struct json_edit *edit);

/* Takes out the edits from `place` on whose offset is below `end`. */
void json_edit_list_remove(struct json_edit_list *list, struct json_edit_place place, uint32_t end);

#endif
