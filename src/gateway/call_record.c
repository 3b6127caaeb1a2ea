/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intent before egress: no attempt starts before its intent is in the journal's hands, and one that
 * leaves the home region not before the intent is on the disk. The completion's slot is taken
 * first, so that what was begun can always be ended in writing; the attempt is prepared first, so
 * that only a call that ends while it waits for the disk has an intent and no attempt. The
 * completion says so: it counts the attempts that were sent.
 */
#include "base/histogram.h"
#include "gateway/call_internal.h"

#define WAIT_MAX_MS 10000 /* for the journal; a client waits longer for most answers */

/* As long as the record's field, so that it is copied as it stands. */
typedef char endpoint_text[sizeof(((struct journal_record *)NULL)->endpoint)];

static const endpoint_text endpoints[ROUTE_READY + 1] = {
    [ROUTE_CHAT] = "chat",
    [ROUTE_COMPLETIONS] = "completions",
    [ROUTE_EMBEDDINGS] = "embeddings",
};

/* What its model's records say alike, and the names that a pattern leaves open. */
static void fill_destination(const struct call *call, struct journal_record *r)
{
    const struct policy_model *model = call->match.model;
    if (model == NULL) {
        *r = call->policy->record;
        return;
    }
    *r = model->record;
    if (model->is_pattern) {
        journal_set_text(r->model, call->match.shown);
        journal_set_text(r->upstream_model, call->match.upstream_name);
    }
}

void call_fill_record(const struct call *call, struct journal_record *r)
{
    fill_destination(call, r);
    memcpy(r->call_id, call->id.bytes, sizeof(r->call_id));
    memcpy(r->key_id, call->key.id, sizeof(call->key.id));
    memcpy(r->endpoint, endpoints[call->route->handler], sizeof(r->endpoint));
    r->started_ms = call->started_wall.us / 1000;
    r->attempt_ms = call->attempt_wall.us / 1000;
    r->attempt = (uint8_t)(call->attempts < UINT8_MAX ? call->attempts : UINT8_MAX);
    r->stream = call->request.stream;
    r->bytes_in = (int64_t)call->body_bytes;
    r->tokens_in = call->input_estimate;
    r->tokens_in_estimated = call->request.input_tokens < 0;
    r->tokens_reserved =
        call->input_estimate +
        (call->request.output_tokens_max > 0 ? call->request.output_tokens_max : 0);
}

/* Takes both slots or none: calls that each held one and waited for the other would wait for ever.
 * A second attempt has the completion's. */
static enum err take_slots(struct call *call, struct journal_slot **intent)
{
    const struct call_ports *ports = call->shared->ports;
    struct journal_lane *lane = call->shared->lane;
    bool is_first = call->completion == NULL;
    enum err e = is_first ? ports->journal.take(lane, &call->completion) : ERR_OK;
    if (e != ERR_OK) {
        return e;
    }
    e = ports->journal.take(lane, intent);
    if (e != ERR_OK && is_first) {
        ports->journal.give_back(lane, call->completion);
        call->completion = NULL;
    }
    return e;
}

/* Writes the intent, and leaves a completion that says "interrupted" should the process die. */
static enum err write_intent(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    struct journal_slot *intent;
    enum err e = take_slots(call, &intent);
    if (e != ERR_OK) {
        return e;
    }
    call->attempts++;
    call->attempt_wall = ports->wall();
    struct journal_record *r = ports->journal.record(intent);
    call_fill_record(call, r);
    r->kind = JOURNAL_INTENT;
    call->intent_ticket = ports->journal.publish(call->shared->lane, intent);

    struct journal_record *end = ports->journal.record(call->completion);
    if (call->attempts > 1) { /* it is armed: valid at every moment, should the process die */
        end->attempt_ms = call->attempt_wall.us / 1000;
        end->attempt++;
        end->attempts_sent = (uint8_t)call->sent;
        return ERR_OK;
    }
    call_fill_record(call, end);
    end->kind = JOURNAL_COMPLETION;
    end->outcome = JOURNAL_OUTCOME_INTERRUPTED;
    end->tokens_out_estimated = call->request.endpoint != OPENAI_EMBEDDINGS;
    call_fill_cost(call, end);
    ports->journal.arm(call->completion, call->intent_ticket);
    return ERR_OK;
}

/* A process that dies from here on may have sent it. */
static enum call_state begin(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    if (call->begun == 0) {
        histogram_add(HISTOGRAM_OVERHEAD, clock_since(call->started, ports->mono()));
    }
    call->begun++;
    call->waits_since = (mono_us){0}; /* another attempt waits anew */
    ports->journal.record(call->completion)->attempts_sent = (uint8_t)(call->sent + 1);
    ports->attempt.start(call->attempt);
    return CALL_ATTEMPT;
}

/* Waits for the journal: no call ends because the disk was busy for a moment. */
static enum call_state wait(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    enum err trouble = ports->journal.trouble(call->shared->lane);
    if (trouble != ERR_OK) { /* it would wait for as long as the disk is full */
        return call_fail(call, trouble);
    }
    mono_us now = ports->mono();
    if (call->waits_since.us == 0) {
        call->waits_since = now;
    } else if (clock_since(call->waits_since, now) >= WAIT_MAX_MS * 1000) {
        return call_fail(call, ERR_JOURNAL_FULL);
    }
    list_push_back(&call->shared->undurable, &call->undurable);
    return CALL_RECORD;
}

/* What must not fail once the intent is written, and the intent. */
static enum err prepare(struct call *call)
{
    enum err e = call->attempt == NULL ? call_prepare_attempt(call) : ERR_OK;
    return e == ERR_OK ? write_intent(call) : e;
}

enum call_state call_step_record(struct call *call)
{
    const struct call_shared *shared = call->shared;
    const struct call_ports *ports = shared->ports;
    list_remove(&call->undurable);
    if (call_is_lost(call)) {
        return CALL_SETTLE;
    }
    while (call->intent_ticket == 0) {
        enum err e = prepare(call);
        if (e == ERR_JOURNAL_FULL && !ports->journal.await_slots(shared->lane)) {
            return wait(call);
        }
        if (e != ERR_OK && e != ERR_JOURNAL_FULL) {
            return call_fail(call, e);
        }
    }
    if (call->match.model->is_abroad && !ports->journal.await(shared->lane, call->intent_ticket)) {
        return wait(call);
    }
    return begin(call);
}
