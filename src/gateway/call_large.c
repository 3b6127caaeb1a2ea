/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large reply takes longer than the worker's other calls may wait: a batch of embeddings has
 * millions of floats to convert, and megabytes to put. So it is made and put in slices, one in a
 * turn of the loop, and put no faster than the client takes it. What is made of it lies in an arena
 * of its own, and the index is its own too, from the first slice that was not the last; both are
 * counted.
 */
#include "base/memory.h"
#include "gateway/call_internal.h"

#define SLICE_FLOATS 2048 /* converted in a turn: one to two tenths of a millisecond */
#define SLICE_BYTES  (128 * 1024)
#define SLICE_PIECES 64

struct call_large {
    struct json_index index; /* empty once it is made */
    size_t index_bytes;      /* taken from the allowance for it */
    struct arena arena;
    struct openai_reply reply;
    struct iovec *pieces;
    size_t count, at; /* of the pieces; the one that is put next, */
    size_t offset;    /* and how much of it was */
};

static void free_index(struct call_large *large)
{
    memory_give(large->index_bytes);
    large->index_bytes = 0;
    json_index_fini(&large->index);
}

void call_free_large(struct call *call)
{
    struct call_large *large = call->large;
    if (large != NULL) {
        free_index(large);
        arena_fini(&large->arena);
        memory_free(large);
        call->large = NULL;
    }
}

static enum call_state fail(struct call *call, enum err e)
{
    const struct arena *arena = &call->large->arena;
    return call_fail(call, e == ERR_NO_MEMORY && arena_failed(arena) ? arena_error(arena) : e);
}

/* Reads the reply and makes the first slice of it. */
static enum err begin(struct call *call, struct span text)
{
    struct call_large *large = call->large;
    struct openai_reply *reply = &large->reply;
    enum err e = json_index_parse_borrow(&large->index, text);
    if (e != ERR_OK) {
        return e == ERR_NO_MEMORY ? e : ERR_UPSTREAM_JSON;
    }
    e = openai_reply_begin(reply, &large->index, &call->plan, &large->arena);
    call->usage = reply->usage;
    call->text_bytes = reply->text_bytes;
    return e == ERR_OK ? openai_reply_convert(reply, SLICE_FLOATS) : e;
}

/* All is made: from here on the client gets it. */
static enum call_state begin_put(struct call *call)
{
    struct call_large *large = call->large;
    const struct json_edits *edits = &large->reply.edits;
    large->pieces =
        arena_alloc(&large->arena, json_edits_most_pieces(edits) * sizeof(*large->pieces));
    if (large->pieces == NULL) {
        return fail(call, ERR_NO_MEMORY);
    }
    large->count = json_edits_pieces(edits, large->pieces);
    enum err e = call_put_reply_head(call, json_edits_total(edits));
    return e == ERR_OK ? CALL_STREAM : call_fail(call, e);
}

/* The index becomes the call's own: there is more to make. */
static enum call_state keep_index(struct call *call)
{
    struct call_large *large = call->large;
    size_t bytes = json_index_fit(&large->index);
    if (!memory_take(bytes)) {
        return call_fail(call, ERR_OVERLOADED);
    }
    large->index_bytes = bytes;
    call_yield(call);
    return CALL_ATTEMPT;
}

enum call_state call_begin_large(struct call *call, struct span text)
{
    struct json_index *index = &call->shared->index;
    struct call_large *large = memory_new(sizeof(*large));
    if (large == NULL) {
        return call_fail(call, ERR_NO_MEMORY);
    }
    call->large = large;
    arena_init_counted(&large->arena, CALL_TURN_BYTES_MAX);
    json_index_move(index, &large->index); /* the worker's has memory already */
    enum err e = begin(call, text);
    if (e == ERR_OK && !large->reply.is_made) {
        return keep_index(call);
    }
    enum call_state next = CALL_SETTLE;
    if (e == ERR_UPSTREAM_STATUS) {
        next = call_fail_upstream(call, 0, text);
    } else {
        next = e == ERR_OK ? begin_put(call) : fail(call, e);
    }
    json_index_move(&large->index, index);
    return next;
}

enum call_state call_make_large(struct call *call)
{
    struct call_large *large = call->large;
    enum err e = openai_reply_convert(&large->reply, SLICE_FLOATS);
    if (e != ERR_OK) {
        return fail(call, e);
    }
    if (!large->reply.is_made) {
        call_yield(call);
        return CALL_ATTEMPT;
    }
    enum call_state next = begin_put(call);
    free_index(large);
    return next;
}

/* Puts the next pieces, or a part of one. */
static void put_slice(struct call *call)
{
    struct call_large *large = call->large;
    struct iovec slice[SLICE_PIECES];
    size_t left = SLICE_BYTES;
    int count = 0;
    while (left > 0 && count < SLICE_PIECES && large->at < large->count) {
        const struct iovec *piece = &large->pieces[large->at];
        size_t some = piece->iov_len - large->offset;
        some = some < left ? some : left;
        slice[count++] = (struct iovec){(uint8_t *)piece->iov_base + large->offset, some};
        left -= some;
        large->offset += some;
        if (large->offset == piece->iov_len) {
            large->at++;
            large->offset = 0;
        }
    }
    call->client_bytes += SLICE_BYTES - left;
    call->shared->ports->client.put(call->client, slice, count);
}

enum call_state call_put_large(struct call *call)
{
    const struct call_shared *shared = call->shared;
    struct call_large *large = call->large;
    if (call_is_lost(call)) {
        return CALL_SETTLE;
    }
    if (shared->ports->client.waiting(call->client) > (size_t)shared->output_bytes_max) {
        return CALL_STREAM; /* the client takes some, and that is an event */
    }
    put_slice(call);
    call_note_progress(call);
    if (large->at < large->count) {
        call_yield(call);
        return CALL_STREAM;
    }
    call->reply_done = true;
    return CALL_SETTLE;
}
