/* SPDX-License-Identifier: Apache-2.0 */
/* A whole reply made what the client gets: at once, or, if it is large, in slices
 * (call_try_large.c). */
#include "base/memory.h"
#include "call/call_internal.h"
#include "call/call_try_large.h"

/* Memory that may not be taken is no memory that is not there. */
static enum call_try_state fail(struct call_try *t, const struct openai_reply *reply,
                                const struct arena *arena, enum err e)
{
    if (e == ERR_UPSTREAM_STATUS) {
        return call_try_fail_upstream(t, 0, reply->failure);
    }
    return call_try_fail(t, e == ERR_NO_MEMORY && arena_failed(arena) ? arena_error(arena) : e);
}

static void take_used(struct call_try *t, const struct openai_reply *reply)
{
    t->usage = reply->usage;
    t->written = reply->written;
}

static void take_facts(struct call_try *t, const struct openai_reply *reply)
{
    take_used(t, reply);
    t->is_done = true;
}

static enum call_try_state begin_large(struct call_try *t, struct span text)
{
    enum err e = call_try_begin_large(t, text);
    return e == ERR_OK ? call_try_make_large(t) : call_try_fail(t, e);
}

/* All is made. */
static enum call_try_state take_pieces(struct call_try *t, const struct openai_reply *reply,
                                       struct arena *arena)
{
    const struct json_edits *edits = &reply->edits;
    struct iovec *pieces = arena_alloc(arena, json_edits_most_pieces(edits) * sizeof(*pieces));
    if (pieces == NULL) {
        return fail(t, reply, arena, ERR_NO_MEMORY);
    }
    size_t count = json_edits_pieces(edits, pieces);
    t->made =
        (struct call_made){.pieces = pieces, .count = count, .bytes = json_edits_total(edits)};
    take_facts(t, reply);
    return CALL_TRY_WON;
}

/* An answer that is not for clients: as it is. */
static enum call_try_state take_answer(struct call_try *t, struct span text)
{
    struct iovec *pieces = arena_alloc(&t->call->arena, sizeof(*pieces));
    if (pieces == NULL) {
        return call_try_fail(t, ERR_NO_MEMORY);
    }
    pieces[0] = (struct iovec){(void *)(uintptr_t)text.at, text.len};
    t->made = (struct call_made){.pieces = pieces, .count = 1, .bytes = text.len};
    t->is_done = true;
    return CALL_TRY_WON;
}

enum call_try_state call_try_make_reply(struct call_try *t, struct span text)
{
    struct call_shared *shared = t->call->shared;
    struct openai_reply reply = {.is_made = false};
    if (call_is_scan(t->call)) {
        return take_answer(t, text);
    }
    if (text.len > CALL_LARGE_BYTES) {
        return begin_large(t, text);
    }
    enum err e = call_try_index_reply(t, &shared->index, &text);
    if (e == ERR_OK && shared->index.count > CALL_LARGE_ROWS) {
        return begin_large(t, text);
    }
    if (e == ERR_OK) {
        e = openai_reply_begin(&reply, &shared->index, &t->plan, &shared->turn);
    }
    if (e == ERR_OK) {
        e = openai_reply_convert(&reply, INT64_MAX);
    }
    return e == ERR_OK ? take_pieces(t, &reply, &shared->turn) : fail(t, &reply, &shared->turn, e);
}

enum call_try_state call_try_make_large(struct call_try *t)
{
    bool is_made = false;
    enum err e = call_try_step_large(t, &is_made);
    if (e != ERR_OK) {
        return e == ERR_UPSTREAM_STATUS
                   ? call_try_fail_upstream(t, 0, call_try_large_reply(t)->failure)
                   : call_try_fail(t, e);
    }
    if (is_made) {
        take_facts(t, call_try_large_reply(t));
        return CALL_TRY_WON;
    }
    take_used(t, call_try_large_reply(t)); /* its client may not wait for all of it */
    call_yield(t->call);
    return CALL_TRY_HEAD;
}
