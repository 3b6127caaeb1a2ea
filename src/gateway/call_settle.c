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
#include "gateway/call_internal.h"
#include "server/server.h"
#include "text/text_tokens.h"

#define BYTES_A_TOKEN   3 /* of generated text nobody counted; Arabic has about 2.9 */
#define EVENT_BYTES_MAX 32768

__extension__ typedef __int128 wide; /* tokens times price may pass 64 bits */

void call_estimate_input(struct call *call)
{
    if (call->request.input_tokens < 0 && call->body != NULL) {
        call->input_estimate = (int64_t)text_estimate_tokens(span_make(call->body, call->body_len));
    }
}

int64_t call_estimate_output(const struct call *call)
{
    uint64_t bytes = call->streaming ? call->stream.text_bytes : call->text_bytes;
    return (int64_t)((bytes + BYTES_A_TOKEN - 1) / BYTES_A_TOKEN);
}

static enum journal_outcome outcome_of(const struct call *call)
{
    if (call->error == ERR_OK) {
        return JOURNAL_OUTCOME_OK;
    }
    if (call->error == ERR_CLIENT_GONE) {
        return JOURNAL_OUTCOME_CLIENT_GONE;
    }
    return call->begun == 0 ? JOURNAL_OUTCOME_REFUSED : JOURNAL_OUTCOME_FAILED;
}

void call_fill_cost(const struct call *call, struct journal_record *r)
{
    if (call->match.model != NULL) {
        const struct gateway_price *price = &call->match.model->price;
        wide cost =
            ((wide)r->tokens_in * price->input_micro + (wide)r->tokens_out * price->output_micro) /
            price->per_tokens;
        r->cost_micro = cost < JOURNAL_NUMBER_MAX ? (int64_t)cost : JOURNAL_NUMBER_MAX;
    }
}

void call_fill_answer(const struct call *call, struct journal_record *r)
{
    r->first_byte_ms = call->first_byte.us == 0
                           ? 0
                           : r->started_ms + clock_since(call->started, call->first_byte) / 1000;
    r->status = (uint16_t)(call->head_put ? 200 : err_row(call->error)->status);
}

/* What was used: as the model server said, or estimated, or nothing when it never answered. */
static void fill_tokens(const struct call *call, struct journal_record *r)
{
    const struct openai_usage *usage = call->streaming ? &call->stream.usage : &call->usage;
    bool answered = call->upstream_status >= 200 && call->upstream_status <= 299;
    r->tokens_in_estimated = r->tokens_out_estimated = false;
    r->tokens_in = r->tokens_out = 0;
    if (usage->is_known) {
        r->tokens_in = usage->input_tokens;
        r->tokens_out = usage->output_tokens;
        r->tokens_cached = usage->cached_tokens;
    } else if (answered) {
        r->tokens_in = call->input_estimate;
        r->tokens_in_estimated = call->request.input_tokens < 0;
        r->tokens_out = call_estimate_output(call);
        r->tokens_out_estimated = call->request.endpoint != OPENAI_EMBEDDINGS;
    }
    call_fill_cost(call, r);
}

/* It is put together apart: the slot is armed, and valid at every moment, should the process die.
 */
static void write_completion(struct call *call, mono_us now)
{
    const struct call_ports *ports = call->shared->ports;
    struct journal_record made, *r = &made;
    call_fill_record(call, r);
    r->kind = JOURNAL_COMPLETION;
    r->outcome = (uint8_t)outcome_of(call);
    r->ended_ms = r->started_ms + clock_since(call->started, now) / 1000;
    call_fill_answer(call, r);
    r->bytes_out = (int64_t)call->client_bytes;
    r->attempts_sent = (uint8_t)call->sent;
    if (call->error != ERR_OK) {
        journal_set_text(r->error, span_of(err_name(call->error)));
    }
    journal_set_text(r->peer, span_of(call->attempt_peer));
    fill_tokens(call, r);
    counter_add(COUNT_TOKENS_IN, r->tokens_in);
    counter_add(COUNT_TOKENS_OUT, r->tokens_out);
    *ports->journal.record(call->completion) = made;
    (void)ports->journal.publish(call->shared->lane, call->completion); /* nobody waits for it */
    call->completion = NULL;
}

/* A refusal is recorded too, when the key is known and there is room. */
static void record(struct call *call, mono_us now)
{
    if (call->completion == NULL &&
        (!call->known ||
         call->shared->ports->journal.take(call->shared->lane, &call->completion) != ERR_OK)) {
        counter_add(COUNT_CALLS_UNRECORDED, 1);
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
    buf_put(&out, SPAN("data: "));
    enum err e = server_error_write(call->error, call->message, SPAN(""), &out);
    buf_put(&out, SPAN("\n\ndata: [DONE]\n\n"));
    bool is_made = e == ERR_OK && !buf_failed(&out);
    if (is_made) {
        struct span bytes = buf_span(&out);
        struct iovec piece = {(void *)(uintptr_t)bytes.at, bytes.len};
        call->shared->ports->client.put(call->client, &piece, 1);
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

/* Ends the exchange; the last thing that is done to it. */
static void tell_client(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    struct exchange *client = call->client;
    char retry[40];
    if (call->error == ERR_OK) {
        ports->client.finish(client);
    } else if (call->error == ERR_CLIENT_GONE) {
        ports->client.cancel(client);
    } else if (!call->head_put) {
        struct span fields = call_reply_fields(call, retry_field(call, retry));
        ports->client.refuse(client, call->error, call->message, call->param, fields);
    } else if (call->streaming && put_error_event(call)) {
        ports->client.finish(client);
    } else {
        ports->client.cancel(client); /* one that just ended would look whole */
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
    log_warn("call_failed", "%s: %s (upstream %s, status %d)", call->id.text, err_name(call->error),
             call->match.model->deployment->definition.name, call->upstream_status);
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
    counter_add(COUNT_ATTEMPTS, call->begun);
    if (call->begun > 0) {
        histogram_add(HISTOGRAM_CALL, clock_since(call->started, now));
    }
    if (call->first_byte.us != 0) {
        histogram_add(HISTOGRAM_FIRST_BYTE, clock_since(call->started, call->first_byte));
    }
    if (outcome_of(call) == JOURNAL_OUTCOME_FAILED) {
        tell_failure(call, now);
    }
}

enum call_state call_step_settle(struct call *call)
{
    list_remove(&call->undurable);
    list_remove(&call->yielding);
    if (call->body != NULL && call->upstream_status != 0 && !call->usage.is_known) {
        call_estimate_input(call);
    }
    call_note_sent(call);
    mono_us now = call->shared->ports->mono();
    record(call, now);
    count(call, now);
    if (call->reply_done && call->error == ERR_OK) {
        call->shared->ports->attempt.finish(&call->attempt);
    } else {
        call->shared->ports->attempt.close(&call->attempt);
    }
    call_release_body(call);
    tell_client(call);
    return CALL_DONE;
}

enum call_state call_step_done(struct call *call)
{
    struct call_shared *shared = call->shared;
    call_free_large(call);
    if (call->reply != NULL) {
        memory_give(call->reply_cap);
        memory_free(call->reply);
    }
    if (call->admitted) {
        (void)atomic_fetch_sub_explicit(shared->calls_open, 1, memory_order_relaxed); /* count */
    }
    counter_add(COUNT_CALLS_OPEN, -1);
    sse_parser_fini(&call->events);
    openai_stream_fini(&call->stream);
    list_remove(&call->link);
    policy_unref(&call->policy);
    arena_fini(&call->arena);
    call->magic = 0;
    memory_free(call);
    return CALL_DONE;
}
