/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h — everything around a call, pretended: one client, model servers that follow a script,
 * keys, a journal of a few slots, and a clock that stands still until it is moved.
 *
 *     world_open(&w);  w.… = …;  world_request(&w, …);  world_…(&w);  world_close(&w);
 *
 * world_close() says what holds after every call, however it went: what was prepared was recorded
 * before it was started, the completion counts the attempts of which something was sent, each
 * recorded call has one completion, which was written before the client saw the end; the exchange
 * was ended once; no attempt is open, no slot is held, no buffered memory is taken.
 * And whenever the journal is spoken to: of a process that died there each intent would have an
 * end.
 *
 * In texts ' stands for ".
 */
#ifndef TESTS_CALL_WORLD_H
#define TESTS_CALL_WORLD_H

#include "unit.h"

#include "base/memory.h"
#include "call/call.h"
#include "http/http_request.h"
#include "http/http_response.h"
#include "upstream/deployment.h"

#define WORLD_ATTEMPTS 4
#define WORLD_SLOTS    8
#define WORLD_TIMERS   4
#define WORLD_TASKS    2
#define WORLD_OTHERS   3
#define WORLD_PIECE    4096 /* most that one pull gives */
#define ALL_OF_IT      SIZE_MAX

enum world_end { STILL_OPEN, FINISHED, CANCELLED, REFUSED };

/* What a model server does with one attempt. */
struct script {
    enum err prepare;  /* attempt.prepare()'s result */
    bool unsent;       /* it fails before a byte of the request was sent */
    enum err fail;     /* before any answer: the attempt fails so */
    enum err broken;   /* behind the body's last byte; ERR_OK: it is complete */
    int status;        /* 0: 200 */
    const char *lines; /* more header lines */
    const char *type;  /* NULL: application/json, or text/event-stream for a stream */
    const char *body;
};

struct world;

struct attempt {
    struct world *world;
    struct script script;
    enum attempt_state state;
    attempt_on_event *on_event;
    void *ctx;
    struct http_response head;
    struct http_field rows[32];
    struct span head_text, body;
    size_t arrived, pulled; /* of the body */
    char *sent, *fields;    /* the request */
    char *id, *owner;
    bool fresh, lean, is_open, is_started;
};

struct journal_slot {
    struct journal_record record;
    bool is_taken, is_armed;
    uint64_t intent; /* the ticket that it is armed for */
};

struct exchange {
    exchange_on_event *on_event;
    void *ctx;
    struct http_request head;
    struct http_field rows[64];
    struct span head_text, body;
    size_t arrived, pulled;
    bool is_chunked;
    enum err body_error; /* behind what arrived */
    unsigned pulls, continued;
    uint64_t taken_most; /* of the allowance, when something was put */
    bool is_gone, is_slow;
    size_t waiting;

    /* The reply. */
    enum world_end end;
    int status;
    uint64_t length;
    struct buf fields, reply;
    enum err error;
    struct buf message, param;
};

struct world {
    struct arena arena;
    struct call_shared shared;
    struct policy *policy;
    _Atomic int64_t calls_open;
    int64_t now_us, tick_us; /* the clock; what each look at it takes */
    int64_t served_us;       /* what each attempt says */
    unsigned calls;          /* that the test makes; 0: one */

    const char *others[WORLD_OTHERS]; /* names of models that are candidates too, */
    int64_t hedge_after_ms;           /* and when they are asked while the first is slow */

    struct exchange client;
    struct script scripts[WORLD_ATTEMPTS];
    struct attempt attempts[WORLD_ATTEMPTS];
    unsigned prepared, started, sent, attempts_open;

    struct net_timer *timers[WORLD_TIMERS]; /* those that are set */
    struct net_task *deferred[WORLD_TASKS]; /* to the loop's next turn */
    bool holds_turns;                       /* that comes when the test says so only */
    unsigned turns;

    enum err key_error, recheck_error;
    unsigned rechecks; /* of keys */
    uint32_t scopes;
    wall_us key_expires; /* 0: never */
    bool key_known, is_call;

    struct journal_slot slots[WORLD_SLOTS];
    unsigned slots_max, slots_held;
    enum err journal_error; /* of take(), from the slot `slots_max` on */
    uint64_t ticket, durable;
    enum err trouble; /* the journal's */
    unsigned intents, completions, arms;
    struct journal_record intent, completion;
    struct journal_record lost[WORLD_ATTEMPTS]; /* the ends of tries, */
    unsigned try_ends;                          /* and how many */
};

static struct world *world_now; /* the one that the ports talk to */

/* A copy with " for '. */
static inline struct span world_text(struct world *w, const char *text)
{
    struct span copy = arena_copy(&w->arena, span_of(text));
    assert_non_null(copy.at);
    for (char *at = (char *)(uintptr_t)copy.at; *at != '\0'; at++) {
        if (*at == '\'') {
            *at = '"';
        }
    }
    return copy;
}

static inline void world_expect(const char *why, struct span found, const char *wanted)
{
    struct span text = world_text(world_now, wanted);
    if (!span_equal(found, text)) {
        fail_msg("%s:\n  is   %.*s\n  not  %.*s", why, SPAN_ARGS(found), SPAN_ARGS(text));
    }
}

static inline bool world_holds(struct span text, const char *part)
{
    return memmem(text.at == NULL ? (const void *)"" : text.at, text.len, part, strlen(part)) !=
           NULL;
}

/* ---- time and keys ---- */

static inline mono_us world_mono(void)
{
    world_now->now_us += world_now->tick_us;
    return (mono_us){world_now->now_us};
}

static inline wall_us world_wall(void)
{
    return (wall_us){1790000000000000 + world_now->now_us};
}

static inline void world_call_id(wall_us now, struct crypto_call_id *out)
{
    (void)now;
    memset(out->bytes, 7, sizeof(out->bytes));
    memcpy(out->text, "01ABCDEFGHJKMNPQRSTVWXYZ00", sizeof(out->text));
}

/* The model of that name, and behind it those that the test wants. */
static inline size_t world_route(const struct policy *policy, struct span name,
                                 struct decision_candidate out[DECISION_CANDIDATES])
{
    size_t count = policy_find(policy, name, &out[0].match) ? 1 : 0;
    for (size_t i = 0; count > 0 && i < WORLD_OTHERS && world_now->others[i] != NULL; i++) {
        assert_true(policy_find(policy, span_of(world_now->others[i]), &out[count].match));
        out[count].hedge_after_ms = world_now->hedge_after_ms;
        count++;
    }
    return count;
}

/* What may change of the key, as it is now. */
static inline void world_write_handle(struct key_handle *out)
{
    out->scopes = world_now->scopes;
    out->expires.us = world_now->key_expires.us == 0 ? KEY_NEVER_US : world_now->key_expires.us;
}

static inline void world_key_note(const struct keys *k, const struct key_handle *handle,
                                  const struct net_ip *from, wall_us now)
{
    (void)k;
    (void)from;
    (void)now;
    world_expect("the key that is used", span_of(handle->id), "key000000001");
}

static inline enum err world_key_check(const struct keys *k, struct span token, enum key_use use,
                                       wall_us now, struct key_handle *out)
{
    (void)k;
    (void)now;
    assert_int_equal(use, KEY_USE_INFERENCE);
    if (world_now->key_error != ERR_OK) {
        return world_now->key_error;
    }
    world_expect("the token", token, "k1");
    *out = (struct key_handle){.id = "key000000001"};
    world_write_handle(out);
    world_now->key_known = true;
    return ERR_OK;
}

static inline enum err world_key_recheck(const struct keys *k, struct key_handle *handle,
                                         wall_us now)
{
    (void)k;
    (void)now;
    assert_string_equal(handle->id, "key000000001");
    world_write_handle(handle);
    world_now->rechecks++;
    return world_now->recheck_error;
}

/* ---- the loop ---- */

static inline void loop_defer(struct net_loop *loop, struct net_task *task)
{
    struct net_task **queue = world_now->deferred;
    (void)loop;
    for (size_t i = 0; i < WORLD_TASKS; i++) {
        if (queue[i] == NULL || queue[i] == task) {
            queue[i] = task;
            return;
        }
    }
    fail_msg("more is deferred than a test has");
}

static inline void loop_undefer(struct net_task *task)
{
    struct net_task **queue = world_now->deferred;
    for (size_t i = 0; i < WORLD_TASKS; i++) {
        queue[i] = queue[i] == task ? NULL : queue[i];
    }
}

static inline int64_t loop_share(struct net_loop *loop)
{
    (void)loop;
    return NET_BUDGET_US;
}

static inline bool loop_turn(struct world *w)
{
    struct net_task *now[WORLD_TASKS]; /* one that runs may defer another */
    bool any = false;
    memcpy(now, w->deferred, sizeof(now));
    for (size_t i = 0; i < WORLD_TASKS; i++) {
        if (now[i] != NULL && w->deferred[i] == now[i]) {
            w->deferred[i] = NULL;
            w->turns++;
            any = true;
            now[i]->run(now[i]);
        }
    }
    return any;
}

/* Turns until nothing is left to do, unless the test turns it. */
static inline void loop_run(struct world *w)
{
    while (!w->holds_turns && loop_turn(w)) {
    }
}

static inline void loop_timer_fini(struct net_timer *timer)
{
    for (size_t i = 0; i < WORLD_TIMERS; i++) {
        world_now->timers[i] = world_now->timers[i] == timer ? NULL : world_now->timers[i];
    }
}

static inline enum err loop_timer_set(struct net_timer *timer, mono_us due)
{
    assert_true(timer->on_due != NULL && due.us > world_now->now_us);
    loop_timer_fini(timer);
    size_t place = 0;
    while (world_now->timers[place] != NULL) {
        place++;
        assert_true(place < WORLD_TIMERS);
    }
    world_now->timers[place] = timer;
    timer->due = due;
    return ERR_OK;
}

/* The timer that is due first, or NULL. */
static inline struct net_timer *world_timer(const struct world *w)
{
    struct net_timer *first = NULL;
    for (size_t i = 0; i < WORLD_TIMERS; i++) {
        struct net_timer *timer = w->timers[i];
        first = timer != NULL && (first == NULL || timer->due.us < first->due.us) ? timer : first;
    }
    return first;
}

/* Moves the clock, and rings when it is time. */
static inline void time_passes(struct world *w, int64_t ms)
{
    int64_t until = w->now_us + ms * 1000;
    struct net_timer *timer;
    while ((timer = world_timer(w)) != NULL && timer->due.us <= until) {
        w->now_us = timer->due.us;
        loop_timer_fini(timer);
        timer->on_due(timer);
        loop_run(w);
    }
    w->now_us = until;
}

/* ---- the client ---- */

static inline void client_attach(void *client, exchange_on_event *on_event, void *ctx)
{
    struct exchange *x = client;
    x->on_event = on_event;
    x->ctx = ctx;
}

static inline const struct http_request *client_head(const void *client)
{
    const struct exchange *x = client;
    assert_int_equal(x->end, STILL_OPEN);
    return &x->head;
}

static inline uint64_t client_body_length(const void *client)
{
    const struct exchange *x = client;
    return x->is_chunked ? UINT64_MAX : x->body.len;
}

static inline const char *client_peer(void *client)
{
    struct exchange *x = client;
    (void)x;
    return "192.0.2.7";
}

static inline void client_continue(void *client)
{
    struct exchange *x = client;
    assert_int_equal(x->pulls, 0);
    x->continued++;
}

static inline enum exchange_pulled client_pull(void *client, void *to, size_t size, size_t *got)
{
    struct exchange *x = client;
    assert_int_equal(x->end, STILL_OPEN);
    assert_true(size > 0);
    size_t some = x->arrived - x->pulled;
    some = some < size ? some : size;
    some = some < WORLD_PIECE ? some : WORLD_PIECE;
    x->pulls++;
    *got = some;
    if (some > 0) {
        memcpy(to, x->body.at + x->pulled, some);
        x->pulled += some;
        return x->pulled == x->body.len ? EXCHANGE_END : EXCHANGE_SOME;
    }
    if (x->body_error != ERR_OK) {
        return EXCHANGE_FAILED;
    }
    return x->pulled == x->body.len ? EXCHANGE_END : EXCHANGE_LATER;
}

static inline enum err client_error(const void *client)
{
    const struct exchange *x = client;
    return x->body_error;
}

static inline void client_put_head(void *client, int status, struct span fields, uint64_t length)
{
    struct exchange *x = client;
    assert_true(x->end == STILL_OPEN && x->status == 0);
    x->status = status;
    x->length = length;
    buf_put(&x->fields, fields);
}

static inline void client_put(void *client, const struct iovec *pieces, int count)
{
    struct exchange *x = client;
    assert_true(x->end == STILL_OPEN && x->status != 0);
    x->taken_most = memory_taken() > x->taken_most ? memory_taken() : x->taken_most;
    for (int i = 0; i < count; i++) {
        buf_put(&x->reply, span_make(pieces[i].iov_base, pieces[i].iov_len));
        x->waiting += x->is_slow ? pieces[i].iov_len : 0;
    }
}

static inline size_t client_waiting(const void *client)
{
    const struct exchange *x = client;
    return x->waiting;
}

static inline bool client_is_gone(const void *client)
{
    const struct exchange *x = client;
    return x->is_gone;
}

static inline uint64_t client_sent(const void *client)
{
    const struct exchange *x = client;
    return buf_span(&x->reply).len - x->waiting;
}

/* The end of the exchange: whoever is known has its completion by then. */
static inline void client_end(struct exchange *x, enum world_end end)
{
    assert_int_equal(x->end, STILL_OPEN);
    x->end = end;
    if (world_now->is_call && world_now->key_known && world_now->journal_error == ERR_OK) {
        assert_int_equal(world_now->completions, 1);
    }
}

static inline void client_finish(void *client)
{
    struct exchange *x = client;
    assert_true(x->status != 0);
    if (x->length != UINT64_MAX) {
        assert_int_equal(x->length, buf_span(&x->reply).len);
    }
    client_end(x, FINISHED);
}

static inline void client_cancel(void *client)
{
    struct exchange *x = client;
    client_end(x, CANCELLED);
}

static inline void client_refuse(void *client, enum err e, struct span message, struct span param,
                                 struct span more_fields)
{
    struct exchange *x = client;
    assert_int_equal(x->status, 0);
    x->status = err_row(e)->status;
    x->error = e;
    buf_put(&x->message, message);
    buf_put(&x->param, param);
    buf_put(&x->fields, more_fields);
    client_end(x, REFUSED);
}

#endif
