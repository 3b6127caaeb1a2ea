/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where every path ends. The completion is in the journal's hands before the client gets the last
 * byte, so a call whose end the client saw is never found open.
 */
#include <stdio.h>

#include "base/counter.h"
#include "base/histogram.h"
#include "base/log.h"
#include "base/memory.h"
#include "call/call_internal.h"
#include "server/server.h"
#include "telemetry/call_series.h"

#define EVENT_BYTES_MAX 32768
#define EVENT_BEGIN     "data: "
#define EVENT_END       "\n\ndata: [DONE]\n\n"

static enum journal_outcome outcome_of(const struct call *call)
{
    if (call->error == ERR_OK) {
        return JOURNAL_OUTCOME_OK;
    }
    if (call->error == ERR_CLIENT_GONE) {
        return JOURNAL_OUTCOME_CLIENT_GONE;
    }
    return call->tries_begun == 0 ? JOURNAL_OUTCOME_REFUSED : JOURNAL_OUTCOME_FAILED;
}

static enum call_class class_of(const struct call *call)
{
    if (call->error == ERR_CLIENT_GONE) {
        return CALL_CLASS_GONE;
    }
    if (call->answer.head_put || call->error == ERR_OK) {
        return call->error == ERR_OK ? CALL_CLASS_2XX : CALL_CLASS_CUT;
    }
    return err_row(call->error)->status < 500 ? CALL_CLASS_4XX : CALL_CLASS_5XX;
}

static void count_in_series(const struct call *call, mono_us now)
{
    const struct call_series_facts facts = {
        .class = class_of(call),
        .duration_us = call->tries_begun > 0 ? clock_since(call->started, now) : -1,
    };
    call_series_count(call_series_of(call_candidate_of(call)), &facts);
}

/* What the error will be on the wire. */
static int64_t error_bytes(const struct call *call)
{
    struct buf out;
    buf_init(&out, EVENT_BYTES_MAX);
    enum err e = server_error_write(call->error, &call->words, &out);
    int64_t len = e == ERR_OK ? (int64_t)buf_span(&out).len : 0;
    buf_fini(&out);
    if (!call->answer.head_put) {
        return len;
    }
    return call->request.stream && !call->answer.is_inside
               ? len + (int64_t)(sizeof(EVENT_BEGIN EVENT_END) - 1)
               : 0;
}

/* What is left of a complete answer, to be put last. */
static uint64_t last_bytes(const struct call *call)
{
    const struct call_try *t = call->answering;
    struct iovec pieces[2];
    if (call->moderation != NULL) {
        return call_moderation_rest(call).len;
    }
    if (!t->streaming) {
        return t->made.bytes - call->answer.bytes;
    }
    int count = call_answer_gathered(call, pieces);
    return (count > 0 ? pieces[0].iov_len : 0) + (count > 1 ? pieces[1].iov_len : 0);
}

/* Of the reply's body: what the kernel took from a call that failed, and the error that follows. Of
 * one that is complete the server sends the rest. */
static int64_t bytes_out_of(const struct call *call)
{
    if (call->error == ERR_OK) {
        return (int64_t)(call->answer.bytes + last_bytes(call));
    }
    uint64_t waits = call->by->waiting(call->client);
    uint64_t taken = call->answer.bytes > waits ? call->answer.bytes - waits : 0;
    uint64_t sent = call->by->sent(call->client); /* where a write broke, nothing waits */
    taken = sent < taken ? sent : taken;
    return (int64_t)taken + (call->error == ERR_CLIENT_GONE ? 0 : error_bytes(call));
}

/* It is put together apart: the slot is armed, and valid at every moment, should the process die.
 */
static void write_completion(struct call *call, mono_us now)
{
    const struct call_ports *ports = call->shared->ports;
    struct journal_record made, *r = &made;
    const struct call_try *t = call->answering;
    call_fill_record(call, t, r);
    r->attempt_ms = t == NULL ? 0 : t->began.us / 1000;
    r->kind = JOURNAL_COMPLETION;
    if (call->tries_recorded == 0) { /* no intent has them */
        journal_record_set(r, JOURNAL_TEXT_FACTS, call->facts);
    }
    r->outcome = (uint8_t)outcome_of(call);
    r->ended_ms = r->started_ms + clock_since(call->started, now) / 1000;
    call_fill_answer(call, r);
    r->bytes_out = bytes_out_of(call);
    r->attempts_sent = (uint8_t)call->tries_sent;
    journal_record_set(r, JOURNAL_TEXT_FINDINGS, call_guard_found(call));
    if (call->error != ERR_OK) {
        journal_record_set(r, JOURNAL_TEXT_ERROR, span_of(err_name(call->error)));
    }
    if (t != NULL) {
        call_fill_peer(&t->peer, r);
    }
    call_fill_used(t, r);
    journal_record_bound(r); /* what is counted and logged is what will be written */
    call_count_used(call_candidate_of(call), r);
    call_note_used(call, r);
    if (call->shadow == NULL) {
        count_in_series(call, now);
        call_access_put(call, r);
    }
    journal_record_update(ports->journal.record(call->completion), r);
    (void)ports->journal.publish(call->shared->lane, call->completion); /* nobody waits for it */
    call->completion = NULL;
}

/* Who is over its limits may ask as often as the network takes it, and must not fill the disk. */
static bool is_refused_often(struct call *call)
{
    struct call_shared *shared = call->shared;
    size_t at = call->key.slot % CALL_REFUSERS;
    int64_t second = call->started.us / 1000000;
    bool is_limit = err_row(call->error)->status == 429 || call->error == ERR_TEAM_ENDED ||
                    call->error == ERR_USER_ENDED || call->error == ERR_ADDRESS_NOT_ALLOWED;
    if (!is_limit || call->tries_begun > 0) {
        return false;
    }
    int64_t passed = second - shared->refusals[at].second; /* less than none: it began earlier */
    passed = passed > 0 ? passed : 0;
    int64_t count = shared->refusals[at].count - passed * CALL_REFUSALS_A_S;
    count = count > 0 ? count : 0;
    bool is_often = count >= CALL_REFUSALS_MOST;
    shared->refusals[at].second += passed;
    shared->refusals[at].count = (uint32_t)(count + !is_often);
    return is_often;
}

/* A refusal is recorded too, when the key is known and there is room. */
static void record(struct call *call, mono_us now)
{
    if (call->completion == NULL &&
        (!call->known || is_refused_often(call) ||
         call->shared->ports->journal.take(call->shared->lane, &call->completion) != ERR_OK)) {
        counter_add(COUNT_CALLS_UNRECORDED, 1);
        if (call->shadow == NULL) {
            count_in_series(call, now);
        }
        return;
    }
    write_completion(call, now);
}

/* The error as an event, for a client that has its 200 already. False: there is no memory for it.
 */
static bool put_error_event(struct call *call)
{
    struct buf out;
    buf_init(&out, EVENT_BYTES_MAX);
    buf_put(&out, SPAN(EVENT_BEGIN));
    enum err e = server_error_write(call->error, &call->words, &out);
    buf_put(&out, SPAN(EVENT_END));
    bool is_made = e == ERR_OK && !buf_failed(&out);
    if (is_made) {
        struct span bytes = buf_span(&out);
        struct iovec piece = {(void *)(uintptr_t)bytes.at, bytes.len};
        call->by->put(call->client, &piece, 1);
    }
    buf_fini(&out);
    return is_made;
}

/* Whether refuse() has no room for what is to be said. */
static bool has_own_words(const struct server_words *words)
{
    return words->type.len > 0 || words->code.len > 0 || words->journal_id.len > 0 ||
           words->details.len > 0;
}

/* A model server's error with its own `type` or `code`, or one that says what held the call in.
 * Such an error is the caller's fault: none of the lines that go with other statuses belong to it.
 * False: there is no memory for it. */
static bool put_relayed_error(struct call *call)
{
    struct span fields = call_reply_fields(call, SPAN("Content-Type: application/json\r\n"));
    struct buf out;
    buf_init(&out, EVENT_BYTES_MAX);
    enum err e = server_error_write(call->error, &call->words, &out);
    bool is_made = e == ERR_OK && fields.at != NULL;
    if (is_made) {
        struct span body = buf_span(&out);
        struct iovec piece = {(void *)(uintptr_t)body.at, body.len};
        call->by->put_head(call->client, err_row(call->error)->status, fields, body.len);
        call->by->put(call->client, &piece, 1);
    }
    buf_fini(&out);
    return is_made;
}

static struct span retry_field(const struct call *call, char text[40])
{
    if (call->retry_after_s <= 0) {
        return SPAN("");
    }
    (void)snprintf(text, 40, "Retry-After: %lld\r\n", (long long)call->retry_after_s); /* fits */
    return span_of(text);
}

/* The last bytes of a complete answer. */
static void put_last(struct call *call)
{
    struct iovec pieces[2];
    if (call->moderation != NULL) {
        struct span rest = call_moderation_rest(call);
        pieces[0] = (struct iovec){(void *)(uintptr_t)rest.at, rest.len};
        call->by->put(call->client, pieces, 1);
    } else if (!call->answering->streaming) {
        call_answer_put_rest(call, &call->answering->made);
    } else {
        int count = call_answer_gathered(call, pieces);
        if (count > 0) {
            call->by->put(call->client, pieces, count);
        }
        buf_clear(&call->shared->out);
    }
    call->by->finish(call->client);
}

/* Ends the exchange; the last thing that is done to it. */
static void tell_client(struct call *call)
{
    void *client = call->client;
    char retry[40];
    if (call->error == ERR_OK) {
        put_last(call);
    } else if (call->error == ERR_CLIENT_GONE) {
        call->by->cancel(client);
    } else if (!call->answer.head_put && has_own_words(&call->words) && put_relayed_error(call)) {
        call->by->finish(client);
    } else if (!call->answer.head_put) {
        struct span fields = call_reply_fields(call, retry_field(call, retry));
        call->by->refuse(client, call->error, call->words.message, call->words.param, fields);
    } else if (call->request.stream && !call->answer.is_inside && put_error_event(call)) {
        call->by->finish(client);
    } else {
        call->by->cancel(client); /* one that just ended would look whole */
    }
    call->client = NULL;
}

void call_tell_failures(struct call_shared *shared, mono_us now)
{
    if (now.us / 1000000 == shared->failed_second) {
        return;
    }
    if (shared->failed_untold > 0) {
        log_warn("call_failed", "and %u more within a second; the journal names each",
                 shared->failed_untold);
    }
    shared->failed_second = now.us / 1000000;
    shared->failed_told = shared->failed_untold = 0;
}

/* A model server that is down must not fill the disk, nor keep the worker at write(). */
static void tell_failure(const struct call *call, mono_us now)
{
    struct call_shared *shared = call->shared;
    call_tell_failures(shared, now);
    if (shared->failed_told >= CALL_FAILURES_TOLD) {
        shared->failed_untold++;
        return;
    }
    shared->failed_told++;
    const struct call_try *t = call->answering;
    const char *problem =
        t == NULL || t->attempt == NULL ? NULL : shared->ports->attempt.problem(t->attempt);
    problem = problem == NULL && t != NULL ? t->reason : problem;
    log_warn("call_failed", "%s: %s (upstream %s, status %d): %s%s%s", call->id.text,
             err_name(call->error),
             call_candidate_of(call)->match.place->deployment->definition.name,
             t == NULL ? 0 : t->status, err_sentence(call->error), problem == NULL ? "" : ": ",
             problem == NULL ? "" : problem);
}

static void count(const struct call *call, mono_us now)
{
    static const enum counter by_outcome[JOURNAL_OUTCOME_COUNT] = {
        [JOURNAL_OUTCOME_NONE] = COUNT_CALLS_FAILED,
        [JOURNAL_OUTCOME_OK] = COUNT_CALLS_OK,
        [JOURNAL_OUTCOME_FAILED] = COUNT_CALLS_FAILED,
        [JOURNAL_OUTCOME_CLIENT_GONE] = COUNT_CALLS_CLIENT_GONE,
        [JOURNAL_OUTCOME_INTERRUPTED] = COUNT_CALLS_FAILED,
        [JOURNAL_OUTCOME_REFUSED] = COUNT_CALLS_REFUSED,
    };
    counter_add(by_outcome[outcome_of(call)], 1);
    counter_add(COUNT_ATTEMPTS, call->tries_sent);
    if (call->tries_begun > 0) {
        histogram_add(HISTOGRAM_CALL, clock_since(call->started, now));
    }
    if (call->answering != NULL && call->answering->first_byte.us != 0) {
        histogram_add(HISTOGRAM_FIRST_BYTE,
                      clock_since(call->started, call->answering->first_byte));
    }
    if (outcome_of(call) == JOURNAL_OUTCOME_FAILED) {
        tell_failure(call, now);
    }
}

/* A call that a server took only without something: the next ones go without from the start. */
static void learn(const struct call_try *t)
{
    uint32_t lasting = t->omitted & ~t->passing;
    const char *refused = deployment_omits_text(lasting);
    struct deployment *d = t->candidate->match.place->deployment;
    if (deployment_learn(d, lasting)) {
        log_info("upstream_refuses",
                 "upstream %s takes no %s: calls go without from now on; `omit: [%s]` says so from "
                 "the start",
                 d->definition.name, refused, refused);
    }
}

enum call_state call_step_settle(struct call *call)
{
    struct call_try *t = call_settle_tries(call);
    mono_us now = call->shared->ports->mono();
    record(call, now);
    if (call->shadow == NULL) {
        count(call, now);
        call_guard_count(call);
    } else {
        call_shadow_count(call);
    }
    if (t != NULL) {
        if (t->omitted != 0 && call->error == ERR_OK) {
            learn(t);
        }
        call_try_close(t, call->answer.is_done && call->error == ERR_OK && !t->is_cut);
    }
    call_settle_limits(call);
    call_release_body(call);
    tell_client(call);
    return CALL_DONE;
}

enum call_state call_step_done(struct call *call)
{
    struct call_shared *shared = call->shared;
    if (call->answering != NULL) {
        call_try_free(call->answering);
    }
    if (call->admitted) {
        (void)atomic_fetch_sub_explicit(shared->calls_open, 1, memory_order_relaxed); /* count */
    }
    shared->ports->timer.fini(&call->answer.silence);
    list_remove(&call->link);
    call_guard_end(call);
    call_moderation_end(call);
    policy_unref(&call->policy);
    arena_fini(&call->arena);
    counter_add(COUNT_CALLS_OPEN, -1); /* when nothing is held any more */
    call->magic = 0;
    memory_free(call);
    return CALL_DONE;
}
