/* SPDX-License-Identifier: Apache-2.0 */
/* The guard in a call: its request, the events of its answer, and what is told of both. */
#include "call/call_guard_internal.h"

#include <stdio.h>

#include "base/log.h"
#include "crypto/random.h"
#include "keys/keys.h"
#include "sse/sse_write.h"
#include "json/json_scan.h"

#define SLICE_TEXT    ((size_t)4 * 1024) /* looked at between two looks at the clock */
#define CHOICES_MAX   ((size_t)4 << 20)  /* of an event that says what was held back */
#define TEAM_MAX      64                 /* bytes of its id */
#define DETAILS_MAX   4096
#define FOUND_MAX     400
#define FINDINGS_TOLD 20 /* to the log, a second and worker */

/* The team's own secret for hashes: the same until the first pepper is taken out. */
static void make_key(const struct call *call, struct call_guard *g)
{
    static const char what[] = "atlas guard hash ";
    const struct call_shared *shared = call->shared;
    uint8_t message[sizeof(what) + TEAM_MAX], secret[CRYPTO_SHA256_BYTES];
    struct span team = shared->rights == NULL
                           ? SPAN("")
                           : access_id(shared->rights, LIMITS_TEAM, call->who.slot[LIMITS_TEAM]);
    team = span_cut(team, 0, TEAM_MAX);
    memcpy(message, what, sizeof(what));
    if (team.len > 0) {
        memcpy(message + sizeof(what), team.at, team.len);
    }
    bool is_made = false;
    for (unsigned version = 1; version <= UINT8_MAX && !is_made; version++) {
        is_made = keys_derive(shared->keys, (uint8_t)version,
                              span_make(message, sizeof(what) + team.len), secret);
    }
    if (is_made) {
        crypto_hmac_key_init(&g->key, span_make(secret, sizeof(secret)));
        g->found.key = &g->key;
        crypto_wipe(secret, sizeof(secret));
    }
}

static enum err begin(struct call *call, struct guard_policy *team, bool is_anyhow)
{
    struct guard_policy *gateway = call->policy->guard;
    const struct guard_rule_of of = {.gateway = gateway, .team = team};
    if (!is_anyhow && ((gateway == NULL && team == NULL) || guard_mode_of(&of) == GUARD_OFF)) {
        return ERR_OK;
    }
    struct call_guard *g = arena_new(&call->arena, sizeof(*g));
    if (g == NULL) {
        return ERR_NO_MEMORY;
    }
    g->gateway = gateway == NULL ? NULL : guard_policy_ref(gateway);
    g->team = team == NULL ? NULL : guard_policy_ref(team);
    guard_case_init(&g->found, &of, &call->arena);
    const struct routing *rules = call->policy->routing;
    g->found.wants_all = rules != NULL && (routing_uses(rules) >> ROUTING_PII & 1) != 0;
    if (guard_hashes(&of)) {
        make_key(call, g);
    }
    call->guard = g;
    return ERR_OK;
}

static enum err begin_of(struct call *call, bool is_anyhow)
{
    const struct call_shared *shared = call->shared;
    if (call->shadow != NULL && call->shadow->is_clean) {
        return ERR_OK; /* and nobody reads what is answered */
    }
    struct guard_policy *team =
        shared->rights == NULL ? NULL : shared->ports->access.guard(shared->rights, &call->who);
    enum err e = begin(call, team, is_anyhow);
    guard_policy_unref(&team);
    return e;
}

enum err call_guard_begin(struct call *call)
{
    return begin_of(call, false);
}

enum err call_guard_begin_anyhow(struct call *call)
{
    return begin_of(call, true);
}

void call_guard_end(struct call *call)
{
    struct call_guard *g = call->guard;
    if (g == NULL) {
        return;
    }
    buf_fini(&g->parts);
    if (g->has_flow) {
        guard_flow_fini(&g->flow);
    }
    call_guard_free_vetted(g);
    guard_case_fini(&g->found);
    crypto_wipe(&g->key, sizeof(g->key));
    guard_policy_unref(&g->gateway);
    guard_policy_unref(&g->team);
    call->guard = NULL;
}

/* ---- the request ---- */

bool call_guard_begin_request(struct call *call, struct guard_document *d)
{
    struct call_guard *g = call->guard;
    struct guard_look look = {
        .scratch = call->shared->guard, .edits = call->edits, .arena = &call->arena};
    if (g == NULL || !guard_case_wants(&g->found, GUARD_PROMPT, &look.wanted)) {
        return false;
    }
    look.c = &g->found;
    if (call->shadow == NULL && guard_scanners_of(&g->found.of, NULL) > 0) {
        buf_init_counted(&g->parts, GUARD_PARTS_MAX * sizeof(struct guard_part), BUF_UNCOUNTED);
        look.parts = &g->parts;
    }
    guard_document_begin(d, &look, OPENAI_TEXTS_REQUEST);
    return true;
}

enum err call_guard_step_request(struct call *call, struct guard_document *d)
{
    const struct call_guard *g = call->guard;
    enum err e = guard_document_step(d, SLICE_TEXT);
    return e == ERR_OK && d->is_done && g->found.is_blocked[GUARD_PROMPT] ? ERR_CONTENT_FILTER : e;
}

void call_guard_tell(struct call *call)
{
    struct buf details;
    buf_init(&details, DETAILS_MAX);
    guard_case_write_details(&call->guard->found, GUARD_PROMPT, &details);
    call->words.details =
        buf_failed(&details) ? SPAN("{}") : arena_copy(&call->arena, buf_span(&details));
    buf_fini(&details);
}

enum data_class call_guard_class(const struct call *call)
{
    return call->guard == NULL ? DATA_UNSAID : (enum data_class)call->guard->found.data_class;
}

bool call_guard_is_local(const struct call *call)
{
    return call->guard != NULL && call->guard->found.is_local_only;
}

bool call_guard_types(struct call *call, const struct span **types, size_t *count)
{
    *types = NULL;
    *count = 0;
    if (call->guard == NULL || !call->guard->found.wants_all) {
        return false;
    }
    struct span *names = arena_alloc(&call->arena, GUARD_BUILTINS * sizeof(*names));
    for (unsigned type = 0; names != NULL && type < GUARD_BUILTINS; type++) {
        if ((call->guard->found.seen >> type & 1) != 0) {
            names[(*count)++] = guard_type_name(type);
        }
    }
    *types = names;
    return names != NULL;
}

/* ---- what a model server says went wrong ---- */

/* Every action but `allow` takes the value out: an error is told to people. */
static enum err clean(struct call_guard *g, struct call *call, const struct guard_wanted *wanted,
                      struct span *text)
{
    struct guard_scan scan;
    struct guard_out out;
    struct buf clean;
    size_t pos = 0;
    guard_scan_begin(&scan, wanted);
    enum err e = guard_scan_feed(&scan, call->shared->guard, *text, true, &out);
    if (e != ERR_OK || out.count == 0) {
        return e;
    }
    buf_init(&clean, text->len + out.count * GUARD_PLACEHOLDER_BYTES);
    for (size_t i = 0; i < out.count; i++) {
        const struct guard_finding *f = &out.findings[i];
        char room[GUARD_NAME_BYTES];
        if (f->type == GUARD_PLACEHOLDER || f->start < pos ||
            guard_case_judge(&g->found, GUARD_REPLY, f) == GUARD_ALLOW) {
            continue;
        }
        struct span label = guard_placeholder_of(&g->found.of, f->type, room);
        buf_put(&clean, span_cut(*text, pos, (size_t)f->start - pos));
        buf_printf(&clean, "[%.*s]", SPAN_ARGS(label));
        pos = (size_t)f->end;
    }
    buf_put(&clean, span_cut(*text, pos, text->len));
    struct span kept = arena_copy(&call->arena, buf_span(&clean));
    e = buf_failed(&clean) || kept.at == NULL ? ERR_NO_MEMORY : ERR_OK;
    *text = e == ERR_OK ? kept : *text;
    buf_fini(&clean);
    return e;
}

enum err call_guard_words(struct call *call, struct server_words *words)
{
    struct guard_wanted wanted;
    struct call_guard *g = call->guard;
    if (g == NULL || !guard_case_wants(&g->found, GUARD_REPLY, &wanted)) {
        return ERR_OK;
    }
    struct span *texts[] = {&words->message, &words->param, &words->type, &words->code};
    bool was_blocked = g->found.is_blocked[GUARD_REPLY];
    wanted.placeholders = false;
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < sizeof(texts) / sizeof(texts[0]); i++) {
        e = clean(g, call, &wanted, texts[i]);
    }
    g->found.is_blocked[GUARD_REPLY] = was_blocked; /* the value is out, the error is told */
    return e;
}

/* ---- the answer ---- */

bool call_guard_looks(const struct call *call)
{
    struct guard_wanted wanted;
    return call->guard != NULL && call->request.endpoint != OPENAI_EMBEDDINGS &&
           guard_case_wants(&call->guard->found, GUARD_REPLY, &wanted);
}

/* ---- what is written down ---- */

struct span call_guard_found(struct call *call)
{
    struct span none = {NULL, 0};
    char text[FOUND_MAX];
    if (call->guard == NULL || call->guard->found.found_count == 0) {
        return none;
    }
    size_t len = guard_case_write_found(&call->guard->found, text, sizeof(text));
    return arena_copy(&call->arena, span_make(text, len));
}

static enum counter counter_of(const struct guard_found *f)
{
    static const enum counter by_action[GUARD_DIRECTIONS][GUARD_ACTIONS] = {
        {COUNT_CALLS_OPEN, COUNT_GUARD_PROMPT_FLAG, COUNT_GUARD_PROMPT_MASK,
         COUNT_GUARD_PROMPT_HASH, COUNT_GUARD_PROMPT_REDACT, COUNT_GUARD_PROMPT_LOCAL_ONLY,
         COUNT_GUARD_PROMPT_BLOCK},
        {COUNT_CALLS_OPEN, COUNT_GUARD_REPLY_FLAG, COUNT_GUARD_REPLY_MASK, COUNT_GUARD_REPLY_HASH,
         COUNT_GUARD_REPLY_REDACT, COUNT_GUARD_REPLY_FLAG, COUNT_GUARD_REPLY_BLOCK}};
    return by_action[f->direction][f->action];
}

/* One caller must not fill the disk with what he is told not to say. */
static void tell(const struct call *call, struct span found)
{
    struct call_shared *shared = call->shared;
    int64_t second = shared->ports->mono().us / 1000000;
    if (second != shared->found_second) {
        shared->found_second = second;
        shared->found_told = 0;
    }
    if (shared->found_told++ < FINDINGS_TOLD) {
        log_info("guardrail_violation", "%s: %.*s%s", call->id.text, SPAN_ARGS(found),
                 call->guard->found.acts ? "" : " (dry run: nothing was done)");
    }
}

void call_guard_count(const struct call *call)
{
    const struct call_guard *g = call->guard;
    char text[FOUND_MAX];
    if (g == NULL || g->found.found_count == 0 || call->shadow != NULL ||
        call_is_moderation(call)) { /* who asks whether he may has not done it */
        return;
    }
    for (unsigned i = 0; i < g->found.found_count; i++) {
        const struct guard_found *f = &g->found.found[i];
        counter_add(counter_of(f), f->count);
    }
    tell(call, span_make(text, guard_case_write_found(&g->found, text, sizeof(text))));
}
