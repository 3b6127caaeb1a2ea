/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intent before egress: no attempt starts before its intent is in the journal's hands, and one that
 * leaves the home region not before the intent is on the disk. The completion's slot is taken
 * first, so that what was begun can always be ended in writing.
 */
#include "base/histogram.h"
#include "gateway/call_internal.h"

static const char *endpoint_name(const struct call *call)
{
    switch (call->route->handler) {
    case ROUTE_CHAT:
        return "chat";
    case ROUTE_COMPLETIONS:
        return "completions";
    case ROUTE_EMBEDDINGS:
        return "embeddings";
    case ROUTE_MODELS:
    case ROUTE_MODEL:
    case ROUTE_HEALTH:
    case ROUTE_READY:
        break;
    }
    return "";
}

static void set_text(const char *text, char *out, size_t size)
{
    journal_copy_text(text == NULL ? SPAN("") : span_of(text), out, size);
}

static void fill_destination(const struct call *call, struct journal_record *r)
{
    const struct policy_model *model = call->match.model;
    if (model == NULL) {
        return;
    }
    const struct upstream_definition *to = &model->deployment->definition;
    journal_set_text(r->model, call->match.shown);
    journal_set_text(r->upstream_model, call->match.upstream_name);
    set_text(to->name, r->upstream, sizeof(r->upstream));
    set_text(to->region, r->region, sizeof(r->region));
    set_text(to->zone, r->zone, sizeof(r->zone));
    journal_set_text(r->policy, SPAN("direct"));
}

void call_fill_record(const struct call *call, struct journal_record *r)
{
    memset(r, 0, sizeof(*r));
    memcpy(r->call_id, call->id.bytes, sizeof(r->call_id));
    memcpy(r->key_id, call->key.id, sizeof(call->key.id));
    set_text(endpoint_name(call), r->endpoint, sizeof(r->endpoint));
    journal_set_text(r->home_region, call->policy->region);
    fill_destination(call, r);
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
        return ERR_OK;
    }
    call_fill_record(call, end);
    end->kind = JOURNAL_COMPLETION;
    end->outcome = JOURNAL_OUTCOME_INTERRUPTED;
    ports->journal.arm(call->completion, call->intent_ticket);
    return ERR_OK;
}

enum call_state call_step_record(struct call *call)
{
    const struct call_shared *shared = call->shared;
    list_remove(&call->undurable);
    if (call_is_lost(call)) {
        return CALL_SETTLE;
    }
    if (call->intent_ticket == 0) {
        enum err e = write_intent(call);
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
    if (call->attempts == 1) {
        histogram_add(HISTOGRAM_OVERHEAD, clock_since(call->started, shared->ports->mono()));
    }
    enum err e = call_start_attempt(call);
    return e == ERR_OK ? CALL_ATTEMPT : call_fail(call, e);
}
