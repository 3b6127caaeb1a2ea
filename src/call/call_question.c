/* SPDX-License-Identifier: Apache-2.0 */
#include "call/call_question.h"

#include "base/counter.h"
#include "base/health.h"
#include "base/log.h"
#include "base/memory.h"
#include "call/call_internal.h"
#include "crypto/base64.h"
#include "net/net_timer.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define FAILED_ENOUGH  5
#define REST_MS        5000
#define TOLD_MS        60000
#define SLICE_NUMBERS  (1u << 18) /* some 60 µs */
#define ANSWER_ROWS    1024
#define ANSWER_DEPTH   8
#define BODY_BYTES_MAX (16u << 10) /* OPENAI_GIST_BYTES, each escaped, and a model's name */

/* What a call has of its question. */
struct call_learning {
    struct call *call;
    struct call_question *question; /* NULL: it has ended */
    struct net_timer timer;
    struct buf answer;
    enum err error; /* of the question, once it has ended */
    bool is_late, is_searching, is_over;
    const char *why; /* there is no vector; NULL while nothing is known */
    struct routing_search search;
};

/* The question itself. */
struct call_question {
    struct call_shadow shadow;
    struct call_learning *asker; /* NULL: nobody waits any more */
    struct buf answer;
};

static _Atomic int64_t open_count; /* of all workers */

/* ---- the question's life ---- */

static void on_head(struct call_local *local, int status)
{
    (void)local;
    (void)status;
}

static void on_bytes(struct call_local *local, struct span bytes)
{
    struct call_question *q = local->ctx;
    buf_put(&q->answer, bytes); /* what is too long fails, and is no vector */
}

static void free_question(struct call_question *q)
{
    list_remove(&q->shadow.link);
    policy_unref(&q->shadow.policy);
    buf_fini(&q->answer);
    (void)atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed); /* only counts */
    memory_free(q);
}

/* Whoever asked goes on in the loop's next turn: this is another call's step. */
static void on_end(struct call_local *local, enum err e, struct span message)
{
    struct call_question *q = local->ctx;
    struct call_learning *asker = q->asker;
    (void)message;
    if (asker != NULL) {
        asker->question = NULL;
        asker->error = e == ERR_OK && buf_failed(&q->answer) ? ERR_UPSTREAM_JSON : e;
        buf_put(&asker->answer, buf_span(&q->answer));
        call_yield(asker->call);
    }
    free_question(q);
}

static const struct call_local_events events = {on_head, on_bytes, on_end};

static bool take(const struct policy *policy)
{
    int64_t most =
        policy->calls_max < CALL_QUESTIONS_MOST ? policy->calls_max : CALL_QUESTIONS_MOST;
    if (atomic_fetch_add_explicit(&open_count, 1, memory_order_relaxed) < most) {
        return true;
    }
    (void)atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed); /* only counts */
    return false;
}

/* {"model":"e5-small","input":"…","encoding_format":"base64"} */
static enum err make_body(const struct decision_ask *ask, const struct decision_candidate *to,
                          struct call_body **out)
{
    struct buf text;
    struct json_writer w;
    buf_init(&text, BODY_BYTES_MAX);
    json_write_init(&w, &text);
    json_write_object(&w);
    json_write_key(&w, "model");
    json_write_string(&w, to->match.shown);
    json_write_key(&w, "input");
    json_write_string(&w, ask->gist->asked);
    json_write_key(&w, "encoding_format");
    json_write_text(&w, "base64");
    json_write_end(&w);
    enum err e = json_write_finish(&w);
    e = e == ERR_OK ? call_body_new(buf_span(&text), out) : e;
    buf_fini(&text);
    return e;
}

static const struct route *embeddings_route(void)
{
    const struct route *route = NULL;
    struct span rest, allow;
    enum err e = route_find(HTTP_POST, SPAN("/v1/embeddings"), &route, &rest, &allow);
    CHECK(e == ERR_OK);
    return route;
}

static enum err begin(struct call *call, const struct decision_ask *ask,
                      const struct decision_candidate *to)
{
    struct call_shared *shared = call->shared;
    struct call_body *body = NULL;
    struct call_question *q = memory_new(sizeof(*q));
    enum err e = q == NULL ? ERR_NO_MEMORY : make_body(ask, to, &body);
    if (e != ERR_OK) {
        memory_free(q);
        (void)atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed); /* only counts */
        return e;
    }
    buf_init_counted(&q->answer, CALL_QUESTION_BYTES_MOST, 0);
    q->asker = call->learning;
    q->shadow.is_question = true;
    q->shadow.policy = policy_ref(call->policy);
    q->shadow.decision = call->decision;
    q->shadow.decision.candidates[0] = *to;
    q->shadow.decision.count = 1;
    q->shadow.data_class = call->data_class;
    q->shadow.local.events = &events;
    q->shadow.local.ctx = q;
    q->shadow.local.shadow = &q->shadow;
    call->learning->question = q;
    list_push_back(&shared->shadows, &q->shadow.link);
    call_local_start_body(&q->shadow.local, shared, embeddings_route(), &call->key, body);
    return ERR_OK;
}

/* ---- whoever asks ---- */

static void on_due(struct net_timer *timer)
{
    struct call_learning *l =
        (struct call_learning *)(void *)((char *)timer - offsetof(struct call_learning, timer));
    l->is_late = true;
    call_on_event(l->call);
}

static void forget_question(struct call_learning *l)
{
    if (l->question != NULL) {
        l->question->asker = NULL;
        call_local_cancel(&l->question->shadow.local);
        l->question = NULL;
    }
}

/* It is over: with a search that is done, or why there is none. */
static void finish(struct call_learning *l, const char *why)
{
    forget_question(l);
    l->call->shared->ports->timer.fini(&l->timer);
    buf_fini(&l->answer);
    l->is_over = true;
    l->why = why;
}

/* ---- what is counted ---- */

static void note_failed(struct call_shared *shared)
{
    if (++shared->learned.failed >= FAILED_ENOUGH) {
        shared->learned.failed = 0;
        shared->learned.rests_until = clock_after_ms(shared->ports->mono(), REST_MS);
    }
}

static void fail(struct call_learning *l, enum counter counter, const char *why)
{
    counter_add(counter, 1);
    note_failed(l->call->shared);
    finish(l, why);
}

/* The operator's mistake, and no caller's: told once a minute. */
static void say_dimensions(struct call *call, size_t here, size_t wanted)
{
    struct call_shared *shared = call->shared;
    mono_us now = shared->ports->mono();
    if (shared->learned.told.us == 0 ||
        clock_since(shared->learned.told, now) >= INT64_C(1000) * TOLD_MS) {
        const struct routing_learned *learned = routing_learned_of(call->policy->routing);
        shared->learned.told = now;
        log_warn("learned_dimensions",
                 "%.*s answers with vectors of %zu numbers, and the examples have %zu: rules with "
                 "`profile: learned` go by another profile; make the examples anew with `atlas "
                 "route learn`",
                 SPAN_ARGS(learned->embeddings), here, wanted);
    }
}

/* ---- its steps ---- */

/* Why the worker asks nobody now; NULL: it does. */
static const char *why_not(struct call *call)
{
    struct call_shared *shared = call->shared;
    if (clock_since(shared->ports->mono(), shared->learned.rests_until) > 0) {
        counter_add(COUNT_LEARNED_RESTING, 1);
        return "resting";
    }
    if (shared->draining || health_refusal() != ERR_OK || !take(call->policy)) {
        counter_add(COUNT_LEARNED_CROWDED, 1);
        return "crowded";
    }
    return NULL;
}

static void ask_for(struct call *call, const struct decision_ask *ask)
{
    const struct call_ports *ports = call->shared->ports;
    const struct routing_learned *learned = routing_learned_of(call->policy->routing);
    struct call_learning *l = call->learning;
    struct decision_candidate to;
    if (decision_embedder(ask, &call->decision, &to) != ERR_OK) {
        counter_add(COUNT_LEARNED_EXCLUDED, 1);
        finish(l, "excluded");
        return;
    }
    const char *why = why_not(call);
    if (why != NULL) {
        finish(l, why);
        return;
    }
    enum err e = begin(call, ask, &to);
    e = e == ERR_OK
            ? ports->timer.set(&l->timer, clock_after_ms(ports->mono(), learned->deadline_ms))
            : e;
    if (e != ERR_OK) {
        fail(l, COUNT_LEARNED_FAILED, "failed");
    }
}

enum err call_learning_begin(struct call *call, const struct decision_ask *ask)
{
    struct call_learning *l = arena_alloc(&call->arena, sizeof(*l));
    if (l == NULL) {
        return ERR_NO_MEMORY;
    }
    memset(l, 0, sizeof(*l));
    l->call = call;
    buf_init_counted(&l->answer, CALL_QUESTION_BYTES_MOST, 0);
    net_timer_init(&l->timer, call->shared->loop, on_due);
    call->learning = l;
    ask_for(call, ask);
    if (l->is_over) {
        call_yield(call);
    }
    return ERR_OK;
}

/* Finds the one embedding of an answer; empty: there is none. */
static struct span find_vector(struct json_index *x, struct span answer)
{
    if (json_index_parse_borrow(x, answer) != ERR_OK) {
        return SPAN("");
    }
    uint32_t data = json_find(x, 0, SPAN("data"));
    uint32_t first = data == JSON_NONE ? JSON_NONE : json_first(x, data);
    uint32_t vector = first == JSON_NONE ? JSON_NONE : json_find(x, first, SPAN("embedding"));
    return vector == JSON_NONE || json_kind(x, vector) != JSON_STRING ? SPAN("")
                                                                      : json_inside(x, vector);
}

/* Begins to search with the vector that came. */
static void read_vector(struct call_learning *l, struct span base64)
{
    struct call *call = l->call;
    const struct routing_learned *learned = routing_learned_of(call->policy->routing);
    size_t wanted = routing_examples_dimensions(learned->examples), len = 0;
    size_t room = base64.len / 4 * 3;
    float *vector = room == 0 ? NULL : arena_alloc(&call->arena, room);
    if (vector == NULL || crypto_base64_parse(base64, (uint8_t *)vector, room, &len) != ERR_OK ||
        len % sizeof(float) != 0) {
        fail(l, COUNT_LEARNED_FAILED, "failed");
    } else if (len != wanted * sizeof(float)) {
        say_dimensions(call, len / sizeof(float), wanted);
        fail(l, COUNT_LEARNED_DIMENSIONS, "dimensions");
    } else if (!routing_examples_place(learned->examples, vector)) {
        fail(l, COUNT_LEARNED_FAILED, "failed");
    } else {
        routing_search_begin(&l->search, learned->examples, vector, learned->neighbours);
        call->shared->learned.failed = 0;
        l->is_searching = true;
        buf_fini(&l->answer);
    }
}

static void read_answer(struct call_learning *l)
{
    struct json_index x;
    if (l->error != ERR_OK || buf_failed(&l->answer)) {
        fail(l, COUNT_LEARNED_FAILED, "failed");
        return;
    }
    json_index_init_counted(&x, ANSWER_ROWS, ANSWER_DEPTH, 0);
    read_vector(l, find_vector(&x, buf_span(&l->answer)));
    json_index_fini(&x);
}

bool call_learning_step(struct call *call)
{
    struct call_learning *l = call->learning;
    if (l->is_over) {
        return true;
    }
    if (l->is_late) {
        fail(l, COUNT_LEARNED_LATE, "late");
        return true;
    }
    if (l->question != NULL) {
        return false;
    }
    if (!l->is_searching) {
        read_answer(l);
    }
    if (!l->is_over && routing_search_step(&l->search, SLICE_NUMBERS)) {
        counter_add(COUNT_LEARNED_OK, 1);
        finish(l, NULL);
    }
    if (!l->is_over) {
        call_yield(call);
    }
    return l->is_over;
}

void call_learning_end(struct call *call)
{
    if (call->learning != NULL && !call->learning->is_over) {
        finish(call->learning, "gone");
    }
}

void call_learning_tell(const struct call *call, struct decision_ask *ask)
{
    const struct call_learning *l = call->learning;
    if (l != NULL) {
        ask->search = l->why == NULL ? &l->search : NULL;
        ask->unlearned = l->why;
    }
}
