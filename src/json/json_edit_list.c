/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first block grows from a few edits to a whole block, for most lists hold no more than that.
 * A full block in the middle is split in two; behind the last one, where nearly all edits go, a new
 * one is begun, so a list that was made in order has full blocks.
 */
#include "json/json_edit_list.h"

#define FIRST_EDITS  8
#define BLOCK_EDITS  128
#define FIRST_BLOCKS 1

bool json_edit_goes_before(const struct json_edit *edit, const struct json_edit *other)
{
    if (edit->offset != other->offset) {
        return edit->offset < other->offset;
    }
    if (other->len != 0) {
        return true;
    }
    return edit->len == 0 && edit->role < other->role;
}

/* The last block whose first edit `edit` does not go before; the first if there is none. */
static size_t find_block(const struct json_edit_list *list, const struct json_edit *edit)
{
    size_t low = 0, high = list->count;
    while (high - low > 1) {
        /* The usual one goes last: look there first. */
        size_t middle = high == list->count ? high - 1 : low + (high - low) / 2;
        if (json_edit_goes_before(edit, &list->blocks[middle].edits[0])) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return low;
}

struct json_edit_place json_edit_list_find(const struct json_edit_list *list,
                                           const struct json_edit *edit)
{
    if (list->count == 0) {
        return (struct json_edit_place){0, 0};
    }
    size_t b = find_block(list, edit);
    const struct json_edit_block *block = &list->blocks[b];
    uint32_t low = 0, high = block->count;
    while (low < high) {
        uint32_t middle = high == block->count ? high - 1 : low + (high - low) / 2;
        if (json_edit_goes_before(edit, &block->edits[middle])) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return (struct json_edit_place){b, low};
}

struct json_edit *json_edit_list_get(const struct json_edit_list *list,
                                     struct json_edit_place *place)
{
    if (place->block < list->count && place->at == list->blocks[place->block].count) {
        *place = (struct json_edit_place){place->block + 1, 0};
    }
    return place->block < list->count ? &list->blocks[place->block].edits[place->at] : NULL;
}

const struct json_edit *json_edit_list_before(const struct json_edit_list *list,
                                              struct json_edit_place place)
{
    if (place.at > 0) {
        return &list->blocks[place.block].edits[place.at - 1];
    }
    if (place.block == 0) {
        return NULL;
    }
    const struct json_edit_block *block = &list->blocks[place.block - 1];
    return &block->edits[block->count - 1];
}

static bool make_block(struct arena *arena, uint32_t cap, struct json_edit_block *out)
{
    *out = (struct json_edit_block){.edits = arena_alloc(arena, cap * sizeof(*out->edits)),
                                    .cap = cap};
    return out->edits != NULL;
}

/* Puts `block` behind the first `at` blocks. */
static bool insert_block(struct json_edit_list *list, struct arena *arena, size_t at,
                         const struct json_edit_block *block)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? FIRST_BLOCKS : list->cap * 2;
        struct json_edit_block *more = arena_alloc(arena, cap * sizeof(*more));
        if (more == NULL) {
            return false;
        }
        if (list->count > 0) {
            memcpy(more, list->blocks, list->count * sizeof(*more));
        }
        list->blocks = more;
        list->cap = cap;
    }
    memmove(&list->blocks[at + 1], &list->blocks[at], (list->count - at) * sizeof(*block));
    list->blocks[at] = *block;
    list->count++;
    return true;
}

static bool grow_block(struct json_edit_block *block, struct arena *arena)
{
    struct json_edit_block more;
    if (!make_block(arena, block->cap * 2, &more)) {
        return false;
    }
    memcpy(more.edits, block->edits, block->count * sizeof(*more.edits));
    more.count = block->count;
    *block = more;
    return true;
}

/* Begins a block at `*place`, which is in the full block before it: an empty one behind the last,
 * else one with that block's second half. */
static bool split_block(struct json_edit_list *list, struct arena *arena,
                        struct json_edit_place *place)
{
    struct json_edit_block more;
    struct json_edit_block *block = &list->blocks[place->block];
    uint32_t kept = place->at == block->count && place->block + 1 == list->count ? block->count
                                                                                 : block->count / 2;
    if (!make_block(arena, BLOCK_EDITS, &more)) {
        return false;
    }
    more.count = block->count - kept;
    memcpy(more.edits, block->edits + kept, more.count * sizeof(*more.edits));
    if (!insert_block(list, arena, place->block + 1, &more)) {
        return false;
    }
    list->blocks[place->block].count = kept;
    if (place->at > kept || (place->at == kept && more.count == 0)) {
        *place = (struct json_edit_place){place->block + 1, place->at - kept};
    }
    return true;
}

/* Makes room for one more edit at `*place`, which moves with what stands there. */
static bool make_room(struct json_edit_list *list, struct arena *arena,
                      struct json_edit_place *place)
{
    if (list->count == 0) {
        struct json_edit_block first;
        return make_block(arena, FIRST_EDITS, &first) && insert_block(list, arena, 0, &first);
    }
    struct json_edit_block *block = &list->blocks[place->block];
    if (block->count < block->cap) {
        return true;
    }
    return block->cap < BLOCK_EDITS ? grow_block(block, arena) : split_block(list, arena, place);
}

bool json_edit_list_insert(struct json_edit_list *list, struct arena *arena,
                           struct json_edit_place place, const struct json_edit *edit)
{
    if (!make_room(list, arena, &place)) {
        return false;
    }
    struct json_edit_block *block = &list->blocks[place.block];
    memmove(&block->edits[place.at + 1], &block->edits[place.at],
            (block->count - place.at) * sizeof(*edit));
    block->edits[place.at] = *edit;
    block->count++;
    return true;
}

/* Takes `count` blocks out. */
static void remove_blocks(struct json_edit_list *list, size_t at, size_t count)
{
    memmove(&list->blocks[at], &list->blocks[at + count],
            (list->count - at - count) * sizeof(*list->blocks));
    list->count -= count;
}

/* How many edits of `block` from `at` on begin before `end`. */
static uint32_t count_before(const struct json_edit_block *block, uint32_t at, uint32_t end)
{
    uint32_t count = 0;
    while (at + count < block->count && block->edits[at + count].offset < end) {
        count++;
    }
    return count;
}

/* Takes edits out of one block, which may leave it empty. */
static void remove_edits(struct json_edit_block *block, uint32_t at, uint32_t count)
{
    memmove(&block->edits[at], &block->edits[at + count],
            (block->count - at - count) * sizeof(*block->edits));
    block->count -= count;
}

void json_edit_list_remove(struct json_edit_list *list, struct json_edit_place place, uint32_t end)
{
    size_t b = place.block;
    if (b < list->count) {
        remove_edits(&list->blocks[b], place.at, count_before(&list->blocks[b], place.at, end));
        b += list->blocks[b].count > 0 ? 1 : 0;
    }
    size_t last = b; /* blocks from b to last hold nothing but what goes */
    while (last < list->count &&
           (list->blocks[last].count == 0 ||
            list->blocks[last].edits[list->blocks[last].count - 1].offset < end)) {
        last++;
    }
    if (last < list->count) {
        remove_edits(&list->blocks[last], 0, count_before(&list->blocks[last], 0, end));
    }
    if (last > b) {
        remove_blocks(list, b, last - b);
    }
}
