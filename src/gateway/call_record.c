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

/* Takes both slots, writes the intent, and leaves a completion that says "interrupted" should the
 * process die. */
static enum err write_intent(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    struct journal_slot *intent;
    if (call->completion == NULL) {
        enum err e = ports->journal.take(call->shared->lane, &call->completion);
        if (e != ERR_OK) {
            return e;
        }
    }
    enum err e = ports->journal.take(call->shared->lane, &intent);
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
    ports->journal.record(call->completion)->attempts_sent = (uint8_t)(call->sent + 1);
    ports->attempt.start(call->attempt);
    return CALL_ATTEMPT;
}

enum call_state call_step_record(struct call *call)
{
    const struct call_shared *shared = call->shared;
    list_remove(&call->undurable);
    if (call_is_lost(call)) {
        return CALL_SETTLE;
    }
    if (call->intent_ticket == 0) {
        enum err e = call_prepare_attempt(call);
        if (e == ERR_OK) {
            e = write_intent(call);
        }
        if (e != ERR_OK) {
            return call_fail(call, e);
        }
    }
    if (call->match.model->is_abroad &&
        !shared->ports->journal.await(shared->lane, call->intent_ticket)) {
        enum err trouble = shared->ports->journal.trouble(shared->lane);
        if (trouble != ERR_OK) { /* it would wait for as long as the disk is full */
            return call_fail(call, trouble);
        }
        list_push_back(&call->shared->undurable, &call->undurable);
        return CALL_RECORD;
    }
    return begin(call);
}
