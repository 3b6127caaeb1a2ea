/* SPDX-License-Identifier: Apache-2.0 */
/* world_attempt.h — the model servers of world.h, which follow their scripts. */
#ifndef TESTS_CALL_WORLD_ATTEMPT_H
#define TESTS_CALL_WORLD_ATTEMPT_H

#include "world.h"

static inline enum err attempt_make(struct upstream_pool *pool, struct deployment *deployment,
                                    const struct attempt_request *request,
                                    attempt_on_event *on_event, void *ctx, struct attempt **out)
{
    (void)pool;
    struct world *w = world_now;
    assert_true(deployment != NULL && w->prepared < WORLD_ATTEMPTS);
    assert_int_equal(w->intents, w->prepared); /* its own comes when there is no way back */
    if (w->scripts[w->prepared].prepare != ERR_OK) {
        return w->scripts[w->prepared].prepare;
    }
    struct attempt *a = &w->attempts[w->prepared];
    struct buf text;
    *a = (struct attempt){.world = w,
                          .script = w->scripts[w->prepared],
                          .on_event = on_event,
                          .ctx = ctx,
                          .fresh = request->fresh,
                          .lean = request->lean,
                          .is_open = true};
    assert_true(request->post);
    buf_init(&text, 64 << 20);
    buf_put(&text, request->path);
    buf_put_byte(&text, '\n');
    for (int i = 0; i < request->piece_count; i++) {
        buf_put(&text, span_make(request->pieces[i].iov_base, request->pieces[i].iov_len));
    }
    assert_false(buf_failed(&text));
    a->sent = (char *)(uintptr_t)arena_copy(&w->arena, buf_span(&text)).at;
    a->fields = (char *)(uintptr_t)arena_copy(&w->arena, request->fields).at;
    a->id = (char *)(uintptr_t)arena_copy(&w->arena, request->id).at;
    a->owner = (char *)(uintptr_t)arena_copy(&w->arena, request->owner).at;
    buf_fini(&text);
    w->prepared++;
    w->attempts_open++;
    *out = a;
    return ERR_OK;
}

/* A connection that was stale took nothing. */
static inline bool is_sent_by(const struct script *script)
{
    return !script->unsent && script->fail != ERR_UPSTREAM_STALE;
}

static inline void attempt_begin(struct attempt *a)
{
    struct world *w = a->world;
    assert_true(a->is_open && !a->is_started && a == &w->attempts[w->prepared - 1]);
    assert_int_equal(w->intents, w->prepared);
    a->script = w->scripts[a - w->attempts]; /* as it is by now */
    a->is_started = true;
    w->started++;
    w->sent += is_sent_by(&a->script);
}

static inline bool attempt_was_sent(const struct attempt *a)
{
    assert_true(a->is_open);
    return a->is_started && is_sent_by(&a->script);
}

static inline enum attempt_state attempt_state_now(const struct attempt *a)
{
    return a->state;
}

static inline enum err attempt_error_now(const struct attempt *a)
{
    return a->script.fail != ERR_OK ? a->script.fail : a->script.broken;
}

static inline const struct http_response *attempt_head_now(const struct attempt *a)
{
    assert_true(a->state >= ATTEMPT_HEAD && a->is_open);
    return &a->head;
}

static inline enum attempt_pulled attempt_pull_now(struct attempt *a, void *to, size_t size,
                                                   size_t *got)
{
    assert_true(a->state >= ATTEMPT_HEAD && a->state < ATTEMPT_END && a->is_open);
    size_t some = a->arrived - a->pulled;
    some = some < size ? some : size;
    some = some < WORLD_PIECE ? some : WORLD_PIECE;
    memcpy(to, a->body.at + a->pulled, some);
    a->pulled += some;
    *got = some;
    a->state = ATTEMPT_BODY;
    if (a->pulled == a->body.len && a->script.broken == ERR_OK) {
        a->state = ATTEMPT_END;
        return ATTEMPT_DONE;
    }
    if (some > 0) {
        return ATTEMPT_SOME;
    }
    if (a->pulled == a->body.len) {
        a->state = ATTEMPT_FAILED;
        return ATTEMPT_BROKEN;
    }
    return ATTEMPT_LATER;
}

static inline mono_us attempt_first_byte_now(const struct attempt *a)
{
    return (mono_us){a->world->now_us};
}

static inline void attempt_blame_now(struct attempt *a, enum err e)
{
    (void)a;
    assert_true(e != ERR_OK);
}

static inline int64_t attempt_served_us_now(const struct attempt *a)
{
    return a->world->served_us;
}

static inline const char *attempt_problem_now(const struct attempt *a)
{
    (void)a;
    return NULL;
}

static inline void attempt_end(struct attempt **a)
{
    if (*a != NULL) {
        assert_true((*a)->is_open);
        (*a)->is_open = false;
        world_now->attempts_open--;
        *a = NULL;
    }
}

#endif
