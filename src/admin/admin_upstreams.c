/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model servers as calls see them; taking them out, and putting them back in. That is recorded, and
 * a row holds it over restarts.
 */
#include "admin/admin_internal.h"
#include "base/arena.h"
#include "policy/policy.h"
#include "store/store_change.h"
#include "upstream/upstream_drains.h"
#include "upstream/upstream_kind.h"

_Static_assert(DEPLOYMENT_DRAINING == 5, "ADMIN_SERVER_STATES are in this order");

/* Milliseconds, 1 at least; 0: not known. */
static int64_t ms_of(const _Atomic int64_t *us)
{
    int64_t now = atomic_load_explicit(us, memory_order_relaxed);
    return now == 0 ? 0 : (now + 999) / 1000;
}

static struct admin_model_server show(const struct deployment *d, mono_us now)
{
    const struct upstream_definition *own = &d->definition;
    const struct deployment_health *h = &d->health;
    int64_t calls = atomic_load_explicit(&d->in_flight, memory_order_relaxed);
    uint32_t failed = atomic_load_explicit(&h->failed_in_row, memory_order_relaxed);
    enum err e = (enum err)atomic_load_explicit(&h->last_error, memory_order_relaxed);
    struct upstream_load said = {.kv_permille = -1};
    int64_t age_us = 0;
    bool has_said = deployment_load_said(&d->load, now, &said, &age_us);
    return (struct admin_model_server){
        .name = span_of(own->name),
        .kind = span_of(upstream_kind_row(own->kind)->name),
        .region = span_of(own->region),
        .zone = span_of(own->zone),
        .clearance = (int)own->clearance,
        .state = (int)deployment_health_state(h, now),
        .in_flight = calls > 0 ? calls : 0,
        .waiting = atomic_load_explicit(&d->waiting, memory_order_relaxed),
        .p50_ms = ms_of(&h->latency_us),
        .p95_ms = ms_of(&h->slow_us),
        .load_running = said.running,
        .load_waiting = said.waiting,
        .load_kv_percent = said.kv_permille < 0 ? 0 : (said.kv_permille + 9) / 10,
        .load_age_ms = has_said ? age_us / 1000 + 1 : 0, /* 0 is null */
        .attempts = (int64_t)atomic_load_explicit(&d->attempts, memory_order_relaxed),
        .errors = failed,
        .error = span_of(failed == 0 ? NULL : err_sentence(e)),
        .retry_in_s = (deployment_health_again(h, now).us - now.us + 999999) / 1000000};
}

static enum err refuse_stopped(const struct admin_operation *op)
{
    return admin_refuse(op, ERR_DRAINING, "only a running gateway can say it");
}

static enum err find(const struct admin_operation *op, struct deployment **out)
{
    const struct policy *p = op->policy;
    if (p == NULL) {
        return refuse_stopped(op);
    }
    for (size_t i = 0; i < p->deployment_count; i++) {
        if (span_is(op->id, p->deployments[i]->definition.name)) {
            *out = p->deployments[i];
            return ERR_OK;
        }
    }
    return admin_refuse(op, ERR_NOT_FOUND_ROW, "the configuration has no upstream of this name");
}

static enum err answer(const struct admin_operation *op, const struct deployment *d)
{
    const struct admin_model_server shown = show(d, clock_mono());
    return admin_answer_object(op, ADMIN_OBJECT_model_server, &shown);
}

enum err admin_upstream_show(const struct admin_operation *op)
{
    struct deployment *d;
    enum err e = find(op, &d);
    return e == ERR_OK ? answer(op, d) : e;
}

enum err admin_upstream_list(const struct admin_operation *op)
{
    const struct admin_value *after = admin_param(op, "after");
    const struct policy *p = op->policy;
    struct admin_pager pager;
    enum err e = ERR_OK;
    if (p == NULL) {
        return refuse_stopped(op);
    }
    admin_pager_begin(&pager, op);
    for (size_t i = after == NULL ? 0 : (size_t)after->number;
         e == ERR_OK && i < p->deployment_count; i++) {
        const struct admin_model_server shown = show(p->deployments[i], clock_mono());
        e = admin_pager_next(&pager, (int64_t)i + 1);
        if (e == ERR_OK) {
            admin_object_write(&pager.w, ADMIN_OBJECT_model_server, &shown);
        }
    }
    return e == ERR_OK || e == ERR_NOT_FOUND_ROW ? admin_pager_end(&pager) : e;
}

/* Has it recorded, then in force, then in the store. */
static enum err put(const struct admin_operation *op, struct deployment *d,
                    struct store_upstream *row)
{
    row->since = op->now;
    enum err e = store_change(op->store, STORE_TABLE_UPSTREAM, row, false, op->route->action,
                              op->request->actor);
    if (e != ERR_OK) {
        return e;
    }
    enum err on_disk = store_settle(op->store);
    enum err noted = upstream_drains_set(op->id, row->is_drained != 0);
    deployment_health_drain(&d->health, row->is_drained != 0, clock_mono());
    if (on_disk != ERR_OK || noted != ERR_OK) {
        return on_disk != ERR_OK ? on_disk : noted;
    }
    enum err follows = store_catch_up(op->store);
    (void)follows; /* the journal's health tells of it (journal_apply.h) */
    admin_note(op, op->route->action, op->id);
    return answer(op, d);
}

/* Its row as it was changed last; none: as one that nobody ever took out. */
static enum err get(const struct admin_operation *op, struct arena *arena,
                    struct store_upstream *row)
{
    *row = (struct store_upstream){.id = op->id};
    enum err e = store_change_begin(op->store);
    e = e == ERR_OK ? store_change_get(op->store, STORE_TABLE_UPSTREAM, row) : e;
    if (e == ERR_NOT_FOUND_ROW) {
        *row = (struct store_upstream){.id = op->id};
        return ERR_OK;
    }
    return e == ERR_OK ? store_row_keep(STORE_TABLE_UPSTREAM, row, arena) : e;
}

/* One that is so already stays so, since when it was. */
static enum err set(const struct admin_operation *op, bool is_drained)
{
    struct arena arena;
    struct deployment *d = NULL;
    struct store_upstream row;
    enum err e = find(op, &d);
    if (e != ERR_OK) {
        return e;
    }
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    e = get(op, &arena, &row);
    if (e == ERR_OK && (row.is_drained != 0) == is_drained) {
        e = answer(op, d);
    } else if (e == ERR_OK) {
        row.is_drained = is_drained;
        e = put(op, d, &row);
    }
    arena_fini(&arena);
    return e;
}

enum err admin_upstream_drain(const struct admin_operation *op)
{
    return set(op, true);
}

enum err admin_upstream_undrain(const struct admin_operation *op)
{
    return set(op, false);
}
