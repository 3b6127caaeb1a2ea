/* SPDX-License-Identifier: Apache-2.0 */
/* Where a call may go, and what it may cost. What decides is decision/decision.h; here it is asked,
 * and what it says is told. */
#include <stdio.h>

#include "call/call_internal.h"
#include "decision/decision_record.h"
#include "policy/policy_book.h"

#define LINES_BYTES 512

/* ---- what a refusal says ---- */

static enum call_state fail_unknown_model(struct call *call)
{
    char text[POLICY_UNKNOWN_BYTES];
    if (decision_is_auto(call->request.model)) {
        return call_fail_at(call, ERR_MODEL_UNKNOWN, SPAN("model"),
                            SPAN("no model is configured that serves this endpoint; GET /v1/models "
                                 "lists those that there are"));
    }
    size_t len = policy_say_unknown(call->policy, call->request.model, text);
    return call_fail_at(call, ERR_MODEL_UNKNOWN, SPAN("model"), span_make(text, len));
}

static enum call_state fail_token_arrays(struct call *call)
{
    bool embeds = call->request.endpoint == OPENAI_EMBEDDINGS;
    return call_fail_at(call, ERR_VALUE_INVALID, embeds ? SPAN("input") : SPAN("prompt"),
                        embeds
                            ? SPAN("this model takes text, not token numbers; with LangChain set "
                                   "check_embedding_ctx_length=False")
                            : SPAN("this model takes text, not token numbers"));
}

/* "; region sa, ae of its team" */
static void say_regions(struct span lines, const char *whose, struct buf *out)
{
    for (bool is_first = true; lines.len > 0; is_first = false) {
        size_t end = span_find(lines, '\n', 0);
        buf_printf(out, "%s%.*s", is_first ? "; region " : ", ",
                   SPAN_ARGS(span_cut(lines, 0, end)));
        lines = span_cut(lines, end + 1, lines.len);
    }
    buf_put_text(out, whose);
}

/* "…stands where this call may go; region sa, ae by rule 'x'; the home zone riyadh-dc1" */
static void say_where(const struct call *call, const struct decision_ask *ask, struct buf *out)
{
    const struct decision *d = &call->decision;
    buf_put_text(out, err_sentence(ERR_RESIDENCY));
    for (size_t i = 0; d->rule != NULL && i < d->rule->region_count; i++) {
        buf_printf(out, "%s%.*s", i == 0 ? "; region " : ", ", SPAN_ARGS(d->rule->regions[i]));
    }
    if (d->rule != NULL && d->rule->region_count > 0) {
        buf_printf(out, " by rule '%.*s'", SPAN_ARGS(d->rule->name));
    }
    if (ask->place.regions.len > 0) {
        say_regions(ask->place.regions, " by its team", out);
    } else if (call->policy->regions.len > 0) {
        say_regions(call->policy->regions, " by `regions` of the configuration", out);
    }
    if (d->is_local) {
        buf_printf(out, "; the home zone%s%.*s",
                   call->policy->zone.len == 0 ? ", and none is configured" : " ",
                   SPAN_ARGS(call->policy->zone));
    }
}

static void say_class(const struct decision_ask *ask, const struct decision *d, struct buf *out)
{
    buf_printf(out, "no model server is left that is cleared for data of class '%s'",
               data_class_name(ask->class));
    if (d->rule != NULL && d->rule->max_class != DATA_UNSAID && ask->class > d->rule->max_class) {
        buf_printf(out, "; rule '%.*s' takes '%s' at most", SPAN_ARGS(d->rule->name),
                   data_class_name(d->rule->max_class));
    }
}

/* A zone's name in a URN (RFC 8141): what may not stand there is left out. */
static void put_zone(struct buf *out, struct span zone)
{
    for (size_t i = 0; i < zone.len; i++) {
        uint8_t c = zone.at[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (is_plain || c == '-' || c == '.' || c == '_') {
            buf_put_byte(out, c);
        }
    }
}

/* Whether the rule itself holds the call in, and not who calls, or a server's clearance. */
static bool is_by_rule(const struct decision *d, const struct decision_ask *ask, enum err e)
{
    const struct routing_rule *rule = d->rule;
    if (rule == NULL) {
        return false;
    }
    return e == ERR_RESIDENCY ? rule->region_count > 0 || rule->is_local
                              : rule->max_class != DATA_UNSAID && ask->class > rule->max_class;
}

/* Which rule and which zone hold the call in, and under which id the journal has it (RFC 7725). */
static enum call_state fail_residency(struct call *call, const struct decision_ask *ask, enum err e)
{
    struct buf text, lines;
    const struct routing_rule *rule = call->decision.rule;
    buf_init(&text, 8192);
    buf_init(&lines, 4096);
    if (e == ERR_RESIDENCY) {
        say_where(call, ask, &text);
    } else {
        say_class(ask, &call->decision, &text);
    }
    buf_put(&lines, call->policy_lines);
    if (call->policy->zone.len > 0) {
        buf_put_text(&lines, "Link: <urn:atlas:zone:");
        put_zone(&lines, call->policy->zone);
        buf_put_text(&lines, ">; rel=\"blocked-by\"\r\n");
    }
    struct span kept = arena_copy(&call->arena, buf_span(&lines));
    call->policy_lines = kept.at == NULL ? call->policy_lines : kept;
    enum call_state next = call_fail_at(call, e, SPAN(""), buf_span(&text));
    bool is_rules = is_by_rule(&call->decision, ask, e);
    call->words.rule = is_rules                     ? rule->name
                       : e == ERR_CLASSIFICATION    ? SPAN("clearance")
                       : call->decision.is_local    ? SPAN("local-only")
                       : ask->place.regions.len > 0 ? SPAN("team-regions")
                                                    : SPAN("regions");
    call->words.zone = call->policy->zone;
    call->words.journal_id = span_of(call->id.text);
    buf_fini(&text);
    buf_fini(&lines);
    return next;
}

/* What the model that got furthest is not up to. */
static enum call_state fail_ability(struct call *call)
{
    const struct policy_model *model = call->decision.candidates[0].match.model;
    const struct routing_rule *rule = call->decision.rule;
    char text[256];
    bool is_auto = decision_is_auto(call->request.model);
    if (rule != NULL && model->tier < rule->min_tier) {
        (void)snprintf(text, sizeof(text),
                       "no model is left of tier %d or higher, which rule '%.*s' asks for",
                       rule->min_tier, SPAN_ARGS(rule->name)); /* a rule's name is short: it fits */
        return call_fail_at(call, ERR_CAPABILITY, SPAN("model"), span_of(text));
    }
    if (call->gist->has_pictures && model->lacks_images) {
        return call_fail_at(call, ERR_CAPABILITY, SPAN("messages"),
                            is_auto ? SPAN("no model is left that takes images")
                                    : SPAN("this model takes no images"));
    }
    return call_fail_at(call, ERR_CAPABILITY, SPAN("tools"),
                        is_auto ? SPAN("no model is left that calls tools")
                                : SPAN("this model calls no tools"));
}

/* When the first of them may be asked again is known, or a second is as good as any. */
static enum call_state fail_health(struct call *call, const struct decision_ask *ask)
{
    const struct decision_candidate *c = &call->decision.candidates[0];
    int64_t soonest = INT64_MAX;
    for (uint32_t rest = c->places; rest != 0; rest &= rest - 1) {
        const struct policy_place *place = &c->match.model->places[__builtin_ctz(rest)];
        const struct deployment_health *h = &place->deployment->health;
        int64_t again = deployment_health_again(h, ask->mono).us;
        soonest = again < soonest ? again : soonest;
    }
    int64_t seconds = (soonest - ask->mono.us + 999999) / 1000000;
    call->retry_after_s = seconds > 1 ? seconds : 1;
    return call_fail(call, ERR_NO_UPSTREAM);
}

static enum call_state fail(struct call *call, const struct decision_ask *ask, enum err e)
{
    switch ((unsigned)e) {
    case ERR_MODEL_UNKNOWN:
        return fail_unknown_model(call);
    case ERR_MODEL_NOT_ALLOWED:
    case ERR_MODEL_ENDPOINT:
        return call_fail_at(call, e, SPAN("model"), SPAN(""));
    case ERR_VALUE_INVALID:
        return fail_token_arrays(call);
    case ERR_CAPABILITY:
        return fail_ability(call);
    case ERR_NO_UPSTREAM:
        return fail_health(call, ask);
    case ERR_RESIDENCY:
    case ERR_CLASSIFICATION:
        return fail_residency(call, ask, e);
    default:
        return call_fail(call, e);
    }
}

/* ---- deciding ---- */

/* The last bytes of a call's id are by chance. */
static uint32_t chance_of(const struct call *call)
{
    uint32_t chance;
    memcpy(&chance, call->id.bytes + sizeof(call->id.bytes) - sizeof(chance), sizeof(chance));
    return chance;
}

/* Who the call is of, what it asks; of its hints nothing yet. */
static struct decision_ask ask_of(const struct call *call, struct span name)
{
    const struct call_shared *shared = call->shared;
    struct access_place place = {.regions = SPAN("")};
    if (shared->rights != NULL) {
        place = shared->ports->access.place(shared->rights, &call->key, &call->who);
    }
    return (struct decision_ask){.policy = call->policy,
                                 .book = shared->book,
                                 .rights = shared->rights,
                                 .keys = shared->keys,
                                 .key = &call->key,
                                 .who = &call->who,
                                 .permits = shared->ports->access.permits,
                                 .request = &call->request,
                                 .model = name,
                                 .prompt_tokens = call->input_estimate,
                                 .gist = call->gist,
                                 .prefixes = call->prefixes,
                                 .headers = &call->by->head(call->client)->fields,
                                 .hints = {.class_from = SPAN("")},
                                 .place = place,
                                 .now = call->started_wall,
                                 .mono = shared->ports->mono(),
                                 .chance = chance_of(call),
                                 .scratch = shared->scratch};
}

/* Reads the hints, if there are any. */
static enum err read_hints(const struct call *call, struct decision_ask *ask,
                           struct openai_wishes *wishes)
{
    if (call->wishes == NULL && !http_fields_has(ask->headers, HTTP_NAME_X_ROUTE_POLICY) &&
        !http_fields_has(ask->headers, HTTP_NAME_X_DATA_CLASSIFICATION)) {
        return ERR_OK;
    }
    *wishes = call->wishes != NULL ? *call->wishes : (struct openai_wishes){.count = 0};
    return decision_read_hints(wishes, ask->headers, &ask->hints);
}

/* The one model of its name, which no rule is asked about. */
static enum err find_direct(struct call *call, struct decision_ask *ask)
{
    ask->is_direct = true;
    struct decision *d = &call->decision;
    d->count = call->shared->ports->route(call->policy, ask->model, d->candidates);
    call->policy_lines = SPAN("X-Route-Policy: direct\r\n");
    return decision_filter(ask, d);
}

/* A call that asks others before it goes anywhere is decided again when they have answered. */
static bool is_first(const struct call *call)
{
    return call->learning == NULL && call->scan == NULL;
}

static enum err decide(struct call *call, const struct decision_ask *ask)
{
    struct decision_work work;
    char facts[DECISION_FACTS_BYTES];
    char line[DECISION_POLICY_BYTES + sizeof("X-Route-Policy: \r\n")];
    decision_find(ask, &work, NULL, &call->decision);
    enum err e = decision_choose(ask, &work, &call->decision); /* the facts name who is first */
    (void)snprintf(line, sizeof(line), "X-Route-Policy: %s\r\n", call->decision.policy); /* fits */
    call->policy_lines = arena_copy(&call->arena, span_of(line));
    size_t len = decision_facts_write(ask, &work, facts);
    call->facts = arena_copy(&call->arena, span_make(facts, len));
    counter_add(COUNT_CONDITIONS_FAILED, is_first(call) ? call->decision.failed : 0);
    return call->policy_lines.at == NULL || call->facts.at == NULL ? ERR_NO_MEMORY : e;
}

/* What each would cost: by the prices that held when the call began. Those of the book stay as they
 * were while it runs. False: there is no memory for that. */
static bool find_prices(struct call *call)
{
    const struct policy_book *book = call->shared->book;
    for (size_t i = 0; i < call->decision.count; i++) {
        struct decision_candidate *c = &call->decision.candidates[i];
        const struct policy_model *model = c->match.model;
        struct policy_price found;
        c->price = c->match.place->price;
        if (c->price != NULL) {
            continue;
        }
        c->price = policy_price_at(model->prices, model->price_count, call->started_wall);
        if (book != NULL && policy_book_find(book, model->name, call->started_wall, &found)) {
            struct policy_price *kept = arena_alloc(&call->arena, sizeof(*kept));
            if (kept == NULL) {
                return false;
            }
            *kept = found;
            c->price = kept;
        }
    }
    return true;
}

/* Whether the vector of what is asked is waited for, or the call was lost meanwhile. */
static bool is_learning(struct call *call)
{
    if (call->learning == NULL) {
        return false;
    }
    if (call_is_lost(call)) {
        call_learning_end(call);
        return true;
    }
    return !call_learning_step(call);
}

/* What was decided, or that nothing could be. */
static enum call_state take_over(struct call *call, const struct decision_ask *ask, enum err e)
{
    counter_add(COUNT_KNOWN_PLACES, e == ERR_OK && call->decision.candidates[0].is_known);
    if (call->decision.count > 0 && !find_prices(call)) {
        return call_fail(call, ERR_NO_MEMORY);
    }
    if (e != ERR_OK) {
        return fail(call, ask, e);
    }
    call_shadow_plan(call, ask);
    return CALL_RESERVE;
}

/* What was found in the prompt holds it in further: at home, or by a higher class. False: its team
 * may not send data of that class. */
static bool take_guard(struct call *call, struct decision_ask *ask)
{
    enum data_class class = call_guard_class(call);
    ask->hints.is_local = ask->hints.is_local || call_guard_is_local(call);
    if (class > ask->class) {
        ask->class = class;
        call->data_class = class;
    }
    return ask->place.most == DATA_UNSAID || ask->class <= ask->place.most;
}

/* It is bound to what its key and team may: where examples decide, it is decided twice, before
 * there is a vector and then. */
static enum call_state route(struct call *call, struct decision_ask *ask)
{
    char why[DECISION_WHY_BYTES];
    enum err e = decision_bind(ask, why);
    call->data_class = ask->class;
    if (e != ERR_OK) {
        return call_fail_at(call, e, ask->hints.class_from, span_of(why));
    }
    if (!take_guard(call, ask)) {
        return fail_residency(call, ask, ERR_CLASSIFICATION);
    }
    if (call->prefixes != NULL && is_first(call)) {
        decision_add_session(ask, call->prefixes);
    }
    e = decision_is_open(ask) ? decide(call, ask) : find_direct(call, ask);
    if (e == ERR_OK && call_scan_is_due(call)) {
        e = call_scan_begin(call, ask);
        return e == ERR_OK ? CALL_ROUTE : call_scan_fail(call, e);
    }
    if (e == ERR_OK && call->learning == NULL && !call_scan_has_changed(call) &&
        decision_wants_vector(ask, &call->decision)) {
        e = call_learning_begin(call, ask);
        return e == ERR_OK ? CALL_ROUTE : call_fail(call, e);
    }
    return take_over(call, ask, e);
}

enum call_state call_step_route(struct call *call)
{
    if (call->shadow != NULL) {
        call_shadow_route(call);
        return find_prices(call) ? CALL_RESERVE : call_fail(call, ERR_NO_MEMORY);
    }
    if (call_scan_is_open(call)) {
        bool is_done = false;
        enum err e = call_is_lost(call) ? call->error : call_scan_step(call, &is_done);
        if (e != ERR_OK) {
            call_scan_end(call);
            return call_scan_fail(call, e);
        }
        if (!is_done) {
            return CALL_ROUTE;
        }
    }
    if (is_learning(call)) {
        return call->error != ERR_OK ? CALL_SETTLE : CALL_ROUTE;
    }
    /* A pattern's match shows the caller's name, and the completion is written without the body. */
    struct span name = arena_copy(&call->arena, call->request.model);
    if (name.at == NULL) {
        return call_fail(call, ERR_NO_MEMORY);
    }
    struct decision_ask ask = ask_of(call, name);
    struct openai_wishes wishes;
    ask.has_pii = call_guard_types(call, &ask.pii, &ask.pii_count);
    call_learning_tell(call, &ask);
    enum err e = read_hints(call, &ask, &wishes);
    return e == ERR_OK ? route(call, &ask) : call_fail_at(call, e, wishes.param, wishes.message);
}
