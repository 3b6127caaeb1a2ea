/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes of the tries: which is begun, which has won, and what follows when one lost. Until the
 * first content of an answer went to the client another may follow; what was sent to a model server
 * may have run there, so that server is not asked again, but for a refusal of what we added.
 */
#include "base/counter.h"
#include "base/log.h"
#include "call/call_internal.h"
#include "upstream/upstream_tries.h"

#define DENIED_MS 1000 /* until a hedge that might not be made is thought of again */

/* Whether another candidate may do better: what the caller did wrong is wrong everywhere, and what
 * we lack we lack for all. */
static bool is_its_servers_fault(enum err e)
{
    return err_row(e)->status >= 500 && !err_is_memory(e) && e != ERR_JOURNAL_FULL &&
           e != ERR_DISK_FULL && e != ERR_DISK && e != ERR_DEADLINE;
}

/* How many live besides `but`. */
static size_t count_tries(const struct call *call, const struct call_try *but)
{
    size_t count = 0;
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        count += call->tries[i] != NULL && call->tries[i] != but;
    }
    return count;
}

/* Whether its answer may stand behind the head that the client has, if it has one. */
static bool fits(const struct call *call, const struct decision_candidate *candidate)
{
    return !call->answer.head_put ||
           span_equal(call->answer.lines, candidate->match.place->reply_lines);
}

/* A team may have been kept in more since the call began: that holds for what was not asked yet. */
static bool may_be_asked(const struct call *call, const struct decision_candidate *candidate)
{
    const struct call_shared *shared = call->shared;
    if (!fits(call, candidate) || shared->rights == NULL) {
        return fits(call, candidate);
    }
    struct access_place place = shared->ports->access.place(shared->rights, &call->key, &call->who);
    return decision_may_stand(call->policy, &place, call->data_class, candidate->match.place);
}

/* How many candidates to pass over until the next that may be tried; all that are left: none. */
static size_t count_misfits(const struct call *call)
{
    size_t count = 0;
    while (call->candidate_next + count < call->decision.count &&
           !may_be_asked(call, &call->decision.candidates[call->candidate_next + count])) {
        count++;
    }
    return count;
}

static bool has_next(const struct call *call)
{
    return call->candidate_next + count_misfits(call) < call->decision.count;
}

/* Whether all calls together may make one more try. */
static bool may_try_more(const struct call *call)
{
    const struct call_shared *shared = call->shared;
    bool may = shared->tries == NULL || upstream_tries_take(shared->tries, shared->ports->mono());
    counter_add(COUNT_TRIES_DENIED, !may);
    return may;
}

/* Whether the call may run elsewhere, too. */
static bool may_repeat(const struct call_try *t)
{
    return !t->candidate->match.model->runs_once || !t->is_started ||
           !t->call->shared->ports->attempt.has_sent(t->attempt);
}

static enum err begin_next(struct call *call)
{
    struct call_try *t;
    call->candidate_next += count_misfits(call);
    return call_try_begin(call, &call->decision.candidates[call->candidate_next++], &t);
}

/* The head went out for one that lives: another, of which it is not true, cannot answer. */
static void drop_misfits(struct call *call)
{
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        if (call->tries[i] != NULL && !fits(call, call->tries[i]->candidate)) {
            call_settle_try(call->tries[i]);
        }
    }
}

/* The same candidate once more, in the way that the lost try found. */
static enum err begin_again(struct call *call, struct call_try *lost)
{
    const struct decision_candidate *candidate = lost->candidate;
    bool is_fresh = lost->is_fresh || lost->again == CALL_TRY_FRESH;
    uint32_t omitted = lost->omitted | lost->refused, passing = lost->passing;
    struct call_try *t;
    call_settle_try(lost);
    enum err e = call_try_begin(call, candidate, &t);
    if (e == ERR_OK) {
        t->is_fresh = is_fresh;
        t->omitted = omitted;
        t->passing = passing;
    }
    return e;
}

/* Another candidate follows one that lost: of models the log is told of so many a second, the
 * metrics of all. */
static void tell_fallback(const struct call *call, const struct call_try *lost)
{
    struct call_shared *shared = call->shared;
    const struct policy_model *from = lost->candidate->match.model;
    size_t next = call->candidate_next + count_misfits(call);
    int64_t second = shared->ports->mono().us / 1000000;
    if (call->decision.candidates[next].match.model == from) {
        counter_add(COUNT_RETRIES, 1);
        return;
    }
    counter_add(COUNT_FALLBACKS, 1);
    if (second != shared->fallback_second) {
        shared->fallback_second = second;
        shared->fallbacks_told = 0;
    }
    if (shared->fallbacks_told++ < CALL_FAILURES_TOLD) {
        log_info("model_fallback", "%s: %.*s at %s failed (%s), %.*s is asked", call->id.text,
                 SPAN_ARGS(from->name), lost->candidate->match.place->deployment->definition.name,
                 err_name(lost->error),
                 SPAN_ARGS(call->decision.candidates[next].match.model->name));
    }
}

/* What was answered well, as it seemed, and was no good: nobody else knows. */
static void note_bad_answer(const struct call_try *t)
{
    const struct call_ports *ports = t->call->shared->ports;
    bool is_good_head = t->status >= 200 && t->status <= 299 && t->attempt != NULL &&
                        ports->attempt.state(t->attempt) != ATTEMPT_FAILED;
    if (is_good_head && t->call->shadow == NULL && is_its_servers_fault(t->error)) {
        ports->attempt.blame(t->attempt, t->error);
    }
}

/* TRY to go on. */
static enum call_state lose(struct call *call, struct call_try *t)
{
    enum err e = ERR_OK;
    note_bad_answer(t);
    if (t->again != CALL_TRY_USUAL) {
        e = begin_again(call, t);
    } else if (has_next(call) && is_its_servers_fault(t->error) && may_repeat(t) &&
               (!t->is_started || may_try_more(call))) {
        tell_fallback(call, t);
        call_settle_try(t);
        e = begin_next(call);
    } else if (count_tries(call, t) > 0) {
        call_settle_try(t);
    } else {
        call->answering = t;
        return call_fail_as(call, t);
    }
    return e == ERR_OK ? CALL_TRY : call_fail(call, e);
}

/* Another was sooner: how long this one had no answer is how slow it is, at least. */
static void note_slow(const struct call_try *t)
{
    const struct call_ports *ports = t->call->shared->ports;
    int64_t us = t->is_started && t->status == 0 ? ports->attempt.served_us(t->attempt) : 0;
    if (us > 0) {
        deployment_health_note_latency(&t->candidate->match.place->deployment->health, us,
                                       ports->mono());
    }
}

static enum call_state win(struct call *call, struct call_try *t)
{
    call->answering = t;
    if (call->prefixes != NULL) {
        decision_note_read(call->policy, t->candidate, call->prefixes);
    }
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        if (call->tries[i] != NULL && call->tries[i] != t) {
            note_slow(call->tries[i]);
            call_settle_try(call->tries[i]);
        }
    }
    call_release_body(call);
    return CALL_STREAM;
}

/* Whether a try may still be made. */
static bool needs_body(const struct call *call)
{
    bool needs = has_next(call);
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        const struct call_try *t = call->tries[i];
        needs = needs || (t != NULL && (t->status < 200 || t->status > 299));
    }
    return needs;
}

/* A server that says that it lives keeps its client's connection alive, once there is a head. A
 * client that has not taken what it got is not kept alive by more. */
static void pass_beats(struct call *call)
{
    struct iovec beat = {(void *)(uintptr_t) ": keep-alive\n\n", sizeof(": keep-alive\n\n") - 1};
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        struct call_try *t = call->tries[i];
        if (t != NULL && t->has_beat) {
            t->has_beat = false;
            bool takes = call->answer.head_put && call->by->waiting(call->client) == 0;
            call_answer_put(call, &beat, takes ? 1 : 0);
        }
    }
}

/* All that live wait for something. */
static enum call_state wait(struct call *call)
{
    bool is_watched = call->answer.head_due.us != 0;
    pass_beats(call);
    if (!needs_body(call)) {
        call_release_body(call);
    }
    enum err e = call->request.stream && call->tries_begun > 0 && !is_watched
                     ? call_watch_silence(call)
                     : ERR_OK;
    return e == ERR_OK ? CALL_TRY : call_fail(call, e);
}

/* Whether another is to be tried beside it. */
static bool takes_long(const struct call *call, const struct call_try *t)
{
    return t->is_started && t->is_due && has_next(call) && count_tries(call, t) == 0 &&
           !t->candidate->match.model->runs_once;
}

static enum call_state next_after(struct call *call, struct call_try *t)
{
    if (t->state == CALL_TRY_LOST) {
        return lose(call, t);
    }
    t->is_due = false;
    if (!may_try_more(call)) { /* in a while calls may */
        enum err again = call_try_set_due(t, DENIED_MS);
        return again == ERR_OK ? CALL_TRY : call_fail(call, again);
    }
    counter_add(COUNT_HEDGES, 1);
    enum err e = begin_next(call);
    return e == ERR_OK ? CALL_TRY : call_fail(call, e);
}

static enum err begin_first(struct call *call)
{
    struct call_shared *shared = call->shared;
    if (shared->tries != NULL && call->shadow == NULL) {
        upstream_tries_note_call(shared->tries, shared->ports->mono());
    }
    return begin_next(call);
}

enum call_state call_step_try(struct call *call)
{
    if (call_is_lost(call)) {
        return CALL_SETTLE;
    }
    enum err e = call->candidate_next == 0 ? begin_first(call) : ERR_OK;
    if (e != ERR_OK) {
        return call_fail(call, e);
    }
    drop_misfits(call);
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        struct call_try *t = call->tries[i];
        if (t == NULL) {
            continue;
        }
        call_try_run(t);
        call_settle_unwritten(call);
        if (t->state == CALL_TRY_WON) {
            return win(call, t);
        }
        if (t->state != CALL_TRY_LOST && !takes_long(call, t)) {
            continue;
        }
        if (next_after(call, t) != CALL_TRY) {
            return CALL_SETTLE;
        }
        i = SIZE_MAX; /* one that follows may stand at any place */
    }
    return wait(call);
}
