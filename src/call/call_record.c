/* SPDX-License-Identifier: Apache-2.0 */
/* What is written down of a call: the members that its records share, and what is noted as it goes.
 */
#include "base/counter.h"
#include "call/call_internal.h"
#include "policy/policy_energy.h"
#include "policy/policy_price.h"
#include "telemetry/call_series.h"
#include "text/text_tokens.h"

static const char *const endpoints[ROUTE_READY + 1] = {
    [ROUTE_CHAT] = "chat",
    [ROUTE_COMPLETIONS] = "completions",
    [ROUTE_EMBEDDINGS] = "embeddings",
    [ROUTE_MODERATIONS] = "moderations",
};

static const struct openai_usage *usage_of(const struct call_try *t)
{
    return t->streaming ? &t->stream.usage : &t->usage;
}

/* Eighths of a token of what was generated so far. */
static uint64_t written_of(const struct call_try *t)
{
    return t->streaming ? t->stream.answer.written : t->written;
}

/* The try that answers; before there is one, one that lives; NULL: there is none. */
static const struct call_try *try_of(const struct call *call)
{
    const struct call_try *t = call->answering;
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE && t == NULL; i++) {
        t = call->tries[i];
    }
    return t;
}

const struct decision_candidate *call_candidate_of(const struct call *call)
{
    const struct call_try *t = try_of(call);
    return t != NULL                   ? t->candidate
           : call->decision.count == 0 ? NULL
                                       : &call->decision.candidates[0];
}

/* The model's name, which is never cut unless the caller has made it up. */
static void set_model(struct journal_record *r, const struct decision_candidate *candidate)
{
    if (candidate->match.model->is_pattern) {
        journal_record_set_invented(r, JOURNAL_TEXT_MODEL, candidate->match.shown);
    } else {
        journal_record_set(r, JOURNAL_TEXT_MODEL, candidate->match.shown);
    }
}

/* Whether it was not let out to where it would have gone. */
static bool is_kept_in(const struct call *call)
{
    return call->error == ERR_RESIDENCY || call->error == ERR_CLASSIFICATION;
}

/* What its model's records say alike, and the names that a pattern leaves open. */
static void fill_destination(const struct call *call, const struct decision_candidate *candidate,
                             struct journal_record *r)
{
    if (candidate == NULL || is_kept_in(call)) {
        journal_record_copy(r, &call->policy->record);
        if (candidate != NULL) {
            set_model(r, candidate);
            journal_record_set(r, JOURNAL_TEXT_POLICY, span_of(call->decision.policy));
        }
        return;
    }
    const struct policy_model *model = candidate->match.model;
    journal_record_copy(r, &candidate->match.place->record);
    if (call->decision.policy[0] != '\0') {
        journal_record_set(r, JOURNAL_TEXT_POLICY, span_of(call->decision.policy));
    }
    if (candidate->match.model != call->decision.candidates[0].match.model) {
        journal_record_set_invented(r, JOURNAL_TEXT_FALLBACK_FROM,
                                    call->decision.candidates[0].match.shown);
    }
    if (candidate->price != NULL) {
        policy_price_record(candidate->price, r);
    }
    if (model->is_pattern) {
        journal_record_set_invented(r, JOURNAL_TEXT_MODEL, candidate->match.shown);
        journal_record_set_invented(r, JOURNAL_TEXT_UPSTREAM_MODEL, candidate->match.upstream_name);
    }
}

static int64_t total_ms(const struct decision_candidate *candidate)
{
    return candidate->match.place->deployment->definition.total_timeout_ms;
}

/* What is held for it. */
static void fill_reserved(const struct call *call, const struct call_try *t,
                          const struct decision_candidate *candidate, struct journal_record *r)
{
    r->tokens_reserved = call->input_estimate;
    r->reserved_nano = 0;
    if (candidate != NULL && !is_kept_in(call) && call->shadow == NULL) {
        const struct policy_model *model = candidate->match.model;
        struct call_most most = call_most_of(
            call, candidate, t == NULL ? call_answer_bound(call, model) : call_try_bound(t));
        r->tokens_reserved = most.tokens;
        r->reserved_nano = most.nano;
    }
}

static void set_who(const struct call *call, enum limits_level level, enum journal_text text,
                    struct journal_record *r)
{
    journal_record_set(r, text, access_id(call->shared->rights, level, call->who.slot[level]));
}

/* Whose it is, and which budgets it counts in. */
static void fill_who(const struct call *call, struct journal_record *r)
{
    if (call->shared->rights != NULL) {
        set_who(call, LIMITS_ORGANISATION, JOURNAL_TEXT_ORGANISATION, r);
        set_who(call, LIMITS_TEAM, JOURNAL_TEXT_TEAM, r);
        set_who(call, LIMITS_USER, JOURNAL_TEXT_USER, r);
        journal_record_set(r, JOURNAL_TEXT_BUDGETS, call->budgets);
    }
}

void call_fill_record(const struct call *call, const struct call_try *t, struct journal_record *r)
{
    t = t != NULL ? t : try_of(call);
    const struct decision_candidate *candidate = t != NULL ? t->candidate : call_candidate_of(call);
    fill_destination(call, candidate, r);
    if (call_is_moderation(call)) {
        journal_record_set(r, JOURNAL_TEXT_MODEL, SPAN(MODERATION_MODEL));
    }
    memcpy(r->call_id, call->id.bytes, sizeof(r->call_id));
    journal_record_set(r, JOURNAL_TEXT_KEY, span_of(call->key.id));
    journal_record_set(r, JOURNAL_TEXT_ENDPOINT,
                       span_of(call_is_scan(call) ? "guard" : endpoints[call->route->handler]));
    fill_who(call, r);
    r->shadow = call->shadow != NULL;
    if (call->data_class > DATA_PUBLIC) {
        journal_record_set(r, JOURNAL_TEXT_CLASS, span_of(data_class_name(call->data_class)));
    }
    r->started_ms = call->started_wall.us / 1000;
    r->attempt = (uint8_t)(call->tries_recorded < UINT8_MAX ? call->tries_recorded : UINT8_MAX);
    r->stream = call->request.stream;
    r->bytes_in = (int64_t)call->body_bytes;
    r->tokens_in = call->input_estimate;
    r->tokens_in_estimated = call->request.input_tokens < 0;
    fill_reserved(call, t, candidate, r);
}

/* What the record's amounts and so many requests cost where the try went, and what they took. */
static void fill_cost(const struct call_try *t, int requests, struct journal_record *r)
{
    const struct policy_amounts used = {
        .input = r->tokens_in,
        .cached = r->tokens_cached,
        .output = r->tokens_out,
        .requests = requests,
        .server_us = r->server_us,
    };
    if (t->candidate->price != NULL) {
        r->cost_nano = policy_price_cost(t->candidate->price, &used);
    }
    r->energy_nano =
        policy_energy_of(r->tokens_in + r->tokens_out, t->candidate->match.model->energy_nano);
    r->co2e_nano = policy_energy_co2e(r->energy_nano, t->call->policy->grid_nano);
}

/* How long the model server worked at it, where that costs something: not longer than was held.
 * Nobody pays for a server that failed. */
static int64_t server_us_of(const struct call_try *t, bool is_answered)
{
    const struct policy_price *price = t->candidate->price;
    int64_t most = total_ms(t->candidate) * 1000;
    if (price == NULL || price->gpu_second_nano == 0 || (!is_answered && t->error != ERR_OK)) {
        return 0;
    }
    return t->server_us < most ? t->server_us : most;
}

/* Of a call that holds tokens or money as much is counted as was asked for where the server said
 * nothing, as our own count may be far too high, or where we cut it. A server that ignored the
 * bound and says so said more, and that is what was used (0093). */
static void bound_output(const struct call_try *t, bool is_said, struct journal_record *r)
{
    int64_t asked = t->plan.asked;
    if (t->call->input_held > 0 && asked > 0 && r->tokens_out > asked && (t->is_cut || !is_said)) {
        r->tokens_out = asked;
        r->tokens_out_estimated = true;
    }
}

/* A client that left before the answer began: the server has read the request, and what it made of
 * an answer that comes whole nobody knows. Of a call that holds something that is held to be used.
 */
static void fill_abandoned(const struct call_try *t, struct journal_record *r)
{
    const struct call *call = t->call;
    bool is_whole = !call->request.stream && call->request.endpoint != OPENAI_EMBEDDINGS;
    r->tokens_in = call->input_estimate;
    r->tokens_in_estimated = call->request.input_tokens < 0;
    if (is_whole && call->input_held > 0 && t->plan.asked > 0) {
        r->tokens_out = t->plan.asked;
        r->tokens_out_estimated = true;
    }
}

/* What a try used: as the model server said, if that can be, or estimated, or nothing when it never
 * answered. */
void call_fill_used(const struct call_try *t, struct journal_record *r)
{
    r->tokens_in_estimated = r->tokens_out_estimated = false;
    r->tokens_in = r->tokens_out = 0;
    if (t == NULL) {
        return;
    }
    const struct call *call = t->call;
    const struct openai_usage *usage = usage_of(t);
    bool is_answered = (t->status >= 200 && t->status <= 299) || openai_usage_is_known(usage);
    if (is_answered) {
        const struct openai_seen seen = {
            .body_bytes = call->body_bytes,
            .input_estimate = call->input_estimate,
            .input_is_exact = call->request.input_tokens >= 0,
            .written = written_of(t),
            .asked = t->plan.asked,
            .has_output = call->request.endpoint != OPENAI_EMBEDDINGS,
        };
        struct openai_settled used = openai_usage_settle(usage, &seen);
        r->tokens_in = used.input;
        r->tokens_out = used.output;
        r->tokens_cached = used.cached;
        r->tokens_reasoning = used.reasoning;
        r->tokens_in_estimated = used.input_estimated;
        r->tokens_out_estimated = used.output_estimated;
        bound_output(t, usage->has_output, r);
    }
    bool is_gone = t->error == ERR_OK && call->error == ERR_CLIENT_GONE;
    bool is_left = !is_answered && t->is_sent && (is_gone || t->error == ERR_DEADLINE);
    if (is_left) {
        fill_abandoned(t, r);
    }
    r->server_us = server_us_of(t, is_answered);
    fill_cost(t, is_answered || is_left, r);
}

uint32_t call_series_of(const struct decision_candidate *candidate)
{
    return candidate == NULL ? CALL_SERIES_NONE : candidate->match.place->series;
}

void call_count_used(const struct decision_candidate *candidate, const struct journal_record *r)
{
    if (r->shadow) {
        return;
    }
    counter_add(COUNT_TOKENS_IN, r->tokens_in);
    counter_add(COUNT_TOKENS_OUT, r->tokens_out);
    call_series_add_tokens(call_series_of(candidate), r->tokens_in, r->tokens_out);
}

uint8_t call_count_sent_at_most(const struct call *call)
{
    unsigned sent = call->tries_sent;
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        sent += call->tries[i] != NULL && call->tries[i]->is_started;
    }
    return (uint8_t)sent;
}

void call_fill_held(const struct call_try *t, enum journal_kind kind, struct journal_record *r)
{
    const struct call *call = t->call;
    call_fill_record(call, t, r);
    r->kind = (uint8_t)kind;
    r->outcome = JOURNAL_OUTCOME_INTERRUPTED;
    r->attempt_ms = t->began.us / 1000;
    r->attempts_sent = call_count_sent_at_most(call);
    r->sent = t->is_started;
    r->tokens_out_estimated = call->request.endpoint != OPENAI_EMBEDDINGS;
    if (call->input_held > 0) { /* as it is held, so that tokens and money say the same */
        r->tokens_in = call->input_held;
        r->tokens_in_estimated = true;
    }
    fill_cost(t, 1, r);
}

void call_fill_peer(const struct attempt_peer *peer, struct journal_record *r)
{
    size_t len = peer->has_certificate ? sizeof(peer->certificate) : 0;
    journal_record_set(r, JOURNAL_TEXT_PEER, span_of(peer->address));
    journal_record_set(r, JOURNAL_TEXT_CERTIFICATE, span_make(peer->certificate, len));
}

void call_fill_answer(const struct call *call, struct journal_record *r)
{
    mono_us first = {0};
    if (call->answering != NULL) {
        first = call->answering->first_byte;
    }
    r->first_byte_ms = first.us == 0 ? 0 : r->started_ms + clock_since(call->started, first) / 1000;
    r->status = (uint16_t)(call->answer.head_put ? 200 : err_row(call->error)->status);
}

/* The process may die between any two of these: the status comes last, and says that the rest is
 * there. Before there is an answer only a silent stream's head is put: nobody said anything. */
void call_note_progress(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    const struct call_try *t = call->answering;
    struct journal_record *r = ports->journal.record(call->completion);
    r->bytes_out = (int64_t)call->answer.bytes;
    if (t != NULL) {
        r->tokens_out = (int64_t)text_tokens_of(written_of(t));
        fill_cost(t, 1, r);
    }
    if ((r->status == 0 || r->first_byte_ms == 0) && call->answer.head_put) {
        if (t != NULL) {
            call_fill_peer(ports->attempt.peer(t->attempt), r);
        }
        atomic_signal_fence(memory_order_seq_cst); /* the processor keeps the order of stores */
        call_fill_answer(call, r);
    }
}
