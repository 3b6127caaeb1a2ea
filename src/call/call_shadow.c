/* SPDX-License-Identifier: Apache-2.0 */
#include "call/call_shadow.h"

#include "base/counter.h"
#include "base/health.h"
#include "base/memory.h"
#include "call/call_internal.h"

static _Atomic int64_t open_count, open_bytes; /* of all workers */

/* ---- how many there may be ---- */

static void give(int64_t bytes)
{
    (void)atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed); /* only counts */
    (void)atomic_fetch_sub_explicit(&open_bytes, bytes, memory_order_relaxed);
}

/* A place among them. Too few are let in where two ask at once for the last one. */
static bool take(const struct policy *policy, int64_t bytes)
{
    int64_t most = policy->calls_max / 8 > 1 ? policy->calls_max / 8 : 1;
    int64_t count = atomic_fetch_add_explicit(&open_count, 1, memory_order_relaxed) + 1;
    int64_t all = atomic_fetch_add_explicit(&open_bytes, bytes, memory_order_relaxed) + bytes;
    most = most < CALL_SHADOWS_MOST ? most : CALL_SHADOWS_MOST;
    if (count <= most && all <= CALL_SHADOW_BYTES_MOST) {
        return true;
    }
    give(bytes);
    return false;
}

/* ---- its life ---- */

static void free_shadow(struct call_shadow *s)
{
    list_remove(&s->link);
    policy_unref(&s->policy);
    give(s->bytes);
    memory_free(s);
}

static void drop_head(struct call_local *local, int status)
{
    (void)local;
    (void)status;
}

static void drop_bytes(struct call_local *local, struct span bytes)
{
    (void)local;
    (void)bytes;
}

static void on_end(struct call_local *local, enum err e, struct span message)
{
    (void)e;
    (void)message;
    free_shadow(local->ctx);
}

static const struct call_local_events events = {drop_head, drop_bytes, on_end};

void call_shadow_plan(struct call *call, const struct decision_ask *ask)
{
    if (!decision_draws_shadow(ask, &call->decision)) {
        return;
    }
    call->has_mirror = decision_shadow(ask, &call->decision, &call->mirror) == ERR_OK;
    counter_add(COUNT_SHADOWS_EXCLUDED, !call->has_mirror);
}

static struct call_shadow *new_shadow(const struct call *call, int64_t bytes)
{
    if (call->shared->draining || !take(call->policy, bytes)) {
        return NULL;
    }
    struct call_shadow *s = memory_new(sizeof(*s));
    if (s == NULL) {
        give(bytes);
    } else {
        s->bytes = bytes;
        s->policy = policy_ref(call->policy);
        s->decision = call->decision;
        s->decision.candidates[0] = call->mirror;
        s->decision.count = 1;
        s->data_class = call->data_class;
        s->input_held = call->input_held;
        s->answer_most = call->answer_most;
        s->answer_else = call->answer_else;
    }
    return s;
}

/* The body with the call's edits in place, so that nobody has to ask a scanner twice. NULL: there
 * is no memory for it, or it takes too long. */
static struct call_body *clean_body(struct call *call)
{
    const struct json_index *x = NULL;
    struct call_body *made = NULL;
    struct buf text;
    if (call_index_body(call, &x) != ERR_OK || x == NULL) {
        return NULL;
    }
    size_t len = (size_t)json_edits_total(call->edits);
    buf_init_counted(&text, len + 1, BUF_UNCOUNTED);
    uint8_t *to = buf_reserve(&text, len);
    if (to != NULL) {
        json_edits_copy(call->edits, to);
        buf_added(&text, len);
        enum err e = call_body_new(buf_span(&text), &made);
        made = e == ERR_OK ? made : NULL;
    }
    buf_fini(&text);
    (void)call_release_index(call); /* what is left of it goes with the call */
    return made;
}

void call_shadow_begin(struct call *call, struct call_body *body)
{
    struct call_shared *shared = call->shared;
    struct call_shadow *s;
    if (!call->has_mirror) {
        return;
    }
    struct call_body *copy = call->scan == NULL ? call_body_ref(body) : clean_body(call);
    s = copy == NULL ? NULL : new_shadow(call, (int64_t)call_body_span(copy).len);
    if (s == NULL) {
        call_body_unref(&copy);
        counter_add(COUNT_SHADOWS_CROWDED, 1);
        return;
    }
    s->is_clean = call->scan != NULL;
    s->local.events = &events;
    s->local.ctx = s;
    s->local.shadow = s;
    list_push_back(&shared->shadows, &s->link);
    call_local_start_body(&s->local, shared, call->route, &call->key, copy);
}

void call_end_shadows(struct call_shared *shared)
{
    struct list *link = shared->shadows.next, *next;
    for (; link != &shared->shadows; link = next) { /* few */
        struct call_shadow *s = LIST_OF(link, struct call_shadow, link);
        next = link->next;
        if (s->local.call != NULL) {
            call_local_cancel(&s->local);
        } else { /* the loop may turn no more */
            call_local_forget(&s->local);
            s->local.events->on_end(&s->local, ERR_DRAINING, SPAN(""));
        }
    }
}

/* ---- its steps ---- */

enum err call_shadow_admit(struct call *call)
{
    enum err e = call_look_at_who(call, call->started_wall);
    e = e == ERR_OK ? health_refusal() : e;
    bool may = call->shadow->is_question || (call->key.scopes & call->route->scope) != 0;
    return e == ERR_OK && !may ? ERR_SCOPE_DENIED : e;
}

void call_shadow_route(struct call *call)
{
    const struct call_shadow *s = call->shadow;
    call->decision = s->decision;
    call->data_class = s->data_class;
    call->input_held = s->input_held;
    call->answer_most = s->answer_most;
    call->answer_else = s->answer_else;
    call->policy_lines = SPAN("");
}

void call_shadow_count(const struct call *call)
{
    if (!call->shadow->is_question) {
        counter_add(call->error == ERR_OK ? COUNT_SHADOWS_OK : COUNT_SHADOWS_FAILED, 1);
    }
}
