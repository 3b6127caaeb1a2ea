/* SPDX-License-Identifier: Apache-2.0 */
/* Scanners of the guard: what they are shown, and what becomes of their answers. */
#include "call/call_scan.h"

#include <stdio.h>

#include "base/counter.h"
#include "base/health.h"
#include "base/log.h"
#include "base/memory.h"
#include "call/call_guard_internal.h"
#include "call/call_internal.h"
#include "guard/guard_external.h"
#include "net/net_timer.h"

#define GATHERED_BYTES ((size_t)128 * 1024) /* of text, in a turn of the loop */
#define ASK_BYTES_MAX  ((size_t)16 << 20)   /* GUARD_GATHERED_MAX, escaped, and what is around it */
#define FAILURES_TOLD  5                    /* to the log, a second and worker */
#define SECOND_US      1000000
#define SENTENCE_BYTES 200

enum phase { IDLE, GATHER, ASKED };

/* What a call has of its scanners. */
struct call_scan {
    struct call *call;
    const struct guard_scanner *scanners;
    size_t count, at; /* the one that is asked, or comes next */
    enum phase phase;
    struct decision_candidate to;
    struct scan_question *question; /* NULL: it has ended */
    struct net_timer timer;
    struct guard_gathered texts;
    struct buf answer;
    enum err error; /* of the question, once it has ended */
    bool is_late, has_changed;
};

/* The question itself. */
struct scan_question {
    struct call_shadow shadow;
    struct call_scan *asker; /* NULL: nobody waits any more */
    struct buf answer;
};

static _Atomic int64_t open_count; /* of all workers */

/* ---- the question's life ---- */

static void on_bytes(struct call_local *local, struct span bytes)
{
    struct scan_question *q = local->ctx;
    buf_put(&q->answer, bytes); /* what is too long fails, and is no answer */
}

/* Whoever asked goes on in the loop's next turn: this is another call's step. */
static void on_end(struct call_local *local, enum err e, struct span message)
{
    struct scan_question *q = local->ctx;
    struct call_scan *asker = q->asker;
    (void)message;
    if (asker != NULL) {
        asker->question = NULL;
        asker->error = e == ERR_OK && buf_failed(&q->answer) ? ERR_UPSTREAM_TOO_LARGE : e;
        asker->answer = q->answer; /* is taken over */
        buf_init(&q->answer, 0);
        call_yield(asker->call);
    }
    list_remove(&q->shadow.link);
    policy_unref(&q->shadow.policy);
    buf_fini(&q->answer);
    (void)atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed); /* only counts */
    memory_free(q);
}

static const struct call_local_events events = {NULL, on_bytes, on_end};

static bool take_place(const struct policy *policy)
{
    int64_t most = policy->calls_max < CALL_SCANS_MOST ? policy->calls_max : CALL_SCANS_MOST;
    if (atomic_fetch_add_explicit(&open_count, 1, memory_order_relaxed) < most) {
        return true;
    }
    (void)atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed); /* only counts */
    return false;
}

static enum err make_body(const struct call_scan *l, struct call_body **out)
{
    struct buf text;
    buf_init_counted(&text, ASK_BYTES_MAX, BUF_UNCOUNTED);
    enum err e =
        guard_external_ask(&l->scanners[l->at], &l->texts, span_of(l->call->id.text), &text);
    e = e == ERR_OK ? call_body_new(buf_span(&text), out) : e;
    buf_fini(&text);
    return e;
}

/* As embeddings are asked for: by nothing that its scopes would have to allow. */
static const struct route *route_of(void)
{
    const struct route *route = NULL;
    struct span rest, allow;
    enum err e = route_find(HTTP_POST, SPAN("/v1/embeddings"), &route, &rest, &allow);
    CHECK(e == ERR_OK);
    return route;
}

static enum err ask(struct call_scan *l)
{
    struct call *call = l->call;
    struct call_body *body = NULL;
    struct scan_question *q = memory_new(sizeof(*q));
    enum err e = q == NULL ? ERR_NO_MEMORY : make_body(l, &body);
    if (e != ERR_OK) {
        memory_free(q);
        (void)atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed); /* only counts */
        return e;
    }
    buf_init_counted(&q->answer, CALL_SCAN_BYTES_MOST, BUF_UNCOUNTED);
    q->asker = l;
    q->shadow.is_question = true;
    q->shadow.scanner = &l->scanners[l->at];
    q->shadow.policy = policy_ref(call->policy);
    q->shadow.decision = call->decision;
    q->shadow.decision.candidates[0] = l->to;
    q->shadow.decision.count = 1;
    q->shadow.data_class = call->data_class;
    q->shadow.local.events = &events;
    q->shadow.local.ctx = q;
    q->shadow.local.shadow = &q->shadow;
    l->question = q;
    list_push_back(&call->shared->shadows, &q->shadow.link);
    call_local_start_body(&q->shadow.local, call->shared, route_of(), &call->key, body);
    return ERR_OK;
}

/* ---- one scanner ---- */

static void on_due(struct net_timer *timer)
{
    struct call_scan *l =
        (struct call_scan *)(void *)((char *)timer - offsetof(struct call_scan, timer));
    l->is_late = true;
    call_on_event(l->call);
}

/* It is over, however: the next one is the next. */
static void finish(struct call_scan *l)
{
    if (l->phase == IDLE) {
        return;
    }
    if (l->question != NULL) {
        l->question->asker = NULL;
        call_local_cancel(&l->question->shadow.local);
        l->question = NULL;
    }
    l->call->shared->ports->timer.fini(&l->timer);
    guard_gather_end(&l->texts);
    buf_fini(&l->answer);
    l->phase = IDLE;
    l->at++;
}

static void tell(const struct call_scan *l, const char *why)
{
    struct call_shared *shared = l->call->shared;
    int64_t second = shared->ports->mono().us / SECOND_US;
    if (second != shared->scans_second) {
        shared->scans_second = second;
        shared->scans_told = 0;
    }
    if (shared->scans_told++ < FAILURES_TOLD) {
        log_warn("guard_scanner", "%s: scanner %s did not look at the request: %s",
                 l->call->id.text, l->scanners[l->at].name, why);
    }
}

/* How long it is left in peace, in seconds. */
static int64_t rest_of(const struct call_scan *l)
{
    const struct call_shared *shared = l->call->shared;
    mono_us until = shared->scans[l->at].rests_until;
    int64_t us = until.us == 0 ? 0 : clock_since(shared->ports->mono(), until);
    return us <= 0 ? 0 : (us + SECOND_US - 1) / SECOND_US;
}

static void note_failed(const struct call_scan *l)
{
    struct call_shared *shared = l->call->shared;
    if (++shared->scans[l->at].failed >= CALL_SCAN_FAILURES) {
        shared->scans[l->at].failed = 0;
        shared->scans[l->at].rests_until = clock_after_ms(shared->ports->mono(), CALL_SCAN_REST_MS);
    }
}

/* What becomes of the call. `is_lasting`: the same request will fare no better. */
static enum err miss(struct call_scan *l, enum counter counter, const char *why, bool is_lasting)
{
    const struct guard_scanner *s = &l->scanners[l->at];
    struct call *call = l->call;
    bool blocks = s->on_failure == GUARD_FAILURE_BLOCKS && call->guard->found.acts;
    char sentence[SENTENCE_BYTES];
    counter_add(counter, 1);
    counter_add(COUNT_SCANS_MISSED, !blocks);
    if (counter != COUNT_SCANS_RESTING) { /* that was told when it began to fail */
        tell(l, why);
    }
    if (blocks) {
        (void)snprintf(sentence, sizeof(sentence),
                       "scanner '%s' of the guard did not look at the request (%s), and nothing "
                       "goes on unscanned%s",
                       s->name, why, is_lasting ? "" : "; try again shortly"); /* fits */
        call->words = call_copy_words(call, &(struct server_words){.message = span_of(sentence)});
        call->retry_after_s = rest_of(l) > 1 ? rest_of(l) : 1;
    }
    finish(l);
    return !blocks ? ERR_OK : is_lasting ? ERR_GUARD_CANNOT : ERR_GUARD_UNAVAILABLE;
}

/* The same, and it is the scanner's fault. */
static enum err fail(struct call_scan *l, enum counter counter, const char *why)
{
    note_failed(l);
    return miss(l, counter, why, false);
}

/* ---- its steps ---- */

static enum err new_scan(struct call *call)
{
    struct call_scan *l = arena_new(&call->arena, sizeof(*l));
    if (l == NULL) {
        return ERR_NO_MEMORY;
    }
    l->call = call;
    l->count = guard_scanners_of(&call->guard->found.of, &l->scanners);
    call->scan = l;
    return ERR_OK;
}

enum err call_scan_begin(struct call *call, const struct decision_ask *ask)
{
    enum err e = call->scan == NULL ? new_scan(call) : ERR_OK;
    struct call_scan *l = call->scan;
    struct call_guard *g = call->guard;
    if (e != ERR_OK) {
        return e;
    }
    l->is_late = false;
    net_timer_init(&l->timer, call->shared->loop, on_due);
    buf_init(&l->answer, 0);
    guard_gather_begin(&l->texts, (struct guard_part *)(void *)g->parts.at,
                       buf_span(&g->parts).len / sizeof(struct guard_part));
    l->phase = GATHER;
    if (decision_scanner(ask, &call->decision, l->at, &l->to) != ERR_OK) {
        e = miss(l, COUNT_SCANS_EXCLUDED, "it stands where this call may not go", true);
    } else if (buf_failed(&g->parts)) {
        e = miss(l, COUNT_SCANS_LARGE, "the request has too many texts", true);
    } else if (rest_of(l) > 0) {
        e = miss(l, COUNT_SCANS_RESTING, "it has failed and is left in peace", false);
    } else if (call->shared->draining || health_refusal() != ERR_OK) {
        e = miss(l, COUNT_SCANS_CROWDED, "the gateway asks nobody now", false);
    }
    call_yield(call);
    return e;
}

static enum err ask_for(struct call_scan *l)
{
    const struct call_ports *ports = l->call->shared->ports;
    int64_t ms = l->scanners[l->at].timeout_ms;
    if (buf_span(&l->texts.text).len == 0) {
        finish(l); /* there is nothing to look at */
        return ERR_OK;
    }
    if (!take_place(l->call->policy)) {
        return miss(l, COUNT_SCANS_CROWDED, "too many calls ask", false);
    }
    enum err e = ask(l);
    e = e == ERR_OK ? ports->timer.set(&l->timer, clock_after_ms(ports->mono(), ms)) : e;
    if (e != ERR_OK) {
        return e;
    }
    l->phase = ASKED;
    return ERR_OK;
}

static enum err gather(struct call_scan *l)
{
    const struct json_index *x = NULL;
    bool is_done = false;
    enum err e = call_index_body(l->call, &x);
    if (e == ERR_OK && x != NULL) {
        e = guard_gather(&l->texts, l->call->edits, GATHERED_BYTES, &is_done);
    }
    if (e == ERR_VALUE_INVALID) {
        return miss(l, COUNT_SCANS_LARGE, "its texts are more than are shown to a scanner", true);
    }
    if (e == ERR_OK && is_done) {
        return ask_for(l);
    }
    if (e == ERR_OK) {
        call_yield(l->call);
    }
    return e;
}

static enum err apply(struct call_scan *l, struct buf *found)
{
    struct call *call = l->call;
    bool changes = false;
    enum err e =
        guard_apply(&call->guard->found, &l->texts, (struct guard_finding *)(void *)found->at,
                    buf_span(found).len / sizeof(struct guard_finding), call->edits, &changes);
    l->has_changed = l->has_changed || changes;
    return e == ERR_OK && call->guard->found.is_blocked[GUARD_PROMPT] ? ERR_CONTENT_FILTER : e;
}

static enum err read_answer(struct call_scan *l)
{
    struct call *call = l->call;
    const struct json_index *x = NULL;
    struct buf found;
    enum err e = call_index_body(call, &x);
    if (e != ERR_OK || x == NULL) {
        call_yield(call);
        return e;
    }
    buf_init(&found, GUARD_EXTERNAL_FINDINGS * sizeof(struct guard_finding));
    e = guard_external_read(call->policy->guard, &l->scanners[l->at], &l->texts,
                            buf_span(&l->answer), &found);
    if (e == ERR_VALUE_INVALID) {
        buf_fini(&found);
        return fail(l, COUNT_SCANS_NONSENSE, "its answer is none");
    }
    e = e == ERR_OK ? apply(l, &found) : e;
    buf_fini(&found);
    counter_add(COUNT_SCANS_OK, 1);
    call->shared->scans[l->at].failed = 0;
    finish(l);
    return e;
}

static enum err step(struct call_scan *l)
{
    if (l->phase == GATHER) {
        return gather(l);
    }
    if (l->is_late) {
        return fail(l, COUNT_SCANS_LATE, "it took too long");
    }
    if (l->question != NULL) {
        return ERR_OK;
    }
    return l->error == ERR_OK ? read_answer(l) : fail(l, COUNT_SCANS_FAILED, err_name(l->error));
}

enum err call_scan_step(struct call *call, bool *is_done)
{
    struct call_scan *l = call->scan;
    enum err e = step(l);
    *is_done = e == ERR_OK && l->phase == IDLE;
    return e;
}

/* ---- what others ask ---- */

bool call_scan_is_due(const struct call *call)
{
    const struct call_guard *g = call->guard;
    size_t at = call->scan == NULL ? 0 : call->scan->at;
    return g != NULL && at < guard_scanners_of(&g->found.of, NULL);
}

bool call_scan_is_open(const struct call *call)
{
    return call->scan != NULL && call->scan->phase != IDLE;
}

bool call_scan_has_changed(const struct call *call)
{
    return call->scan != NULL && call->scan->has_changed;
}

void call_scan_end(struct call *call)
{
    if (call->scan != NULL) {
        finish(call->scan);
    }
}

enum call_state call_scan_fail(struct call *call, enum err e)
{
    if (e == ERR_CONTENT_FILTER) {
        call_guard_tell(call);
    }
    return call_fail(call, e);
}
