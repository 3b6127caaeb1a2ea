/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/serve_key_jobs.h"

#include "base/counter.h"
#include "base/log.h"
#include "keys/keys.h"
#include "store/store_change.h"
#include "store/store_tables.h"
#include "store/store_thread.h"

#define SAVE_MS    2000
#define ROUND_MS   60000
#define LINES_MAX  1000 /* of a round; the rest is counted */
#define END_STEPS  64
#define ROUNDED_US 1000000 /* an end is told in whole seconds */

/* ---- uses ---- */

static enum err run_save(struct store *s, void *context)
{
    struct serve_key_jobs *j = context;
    return keys_save_uses(j->keys, s);
}

static void on_saved(void *context, enum err result)
{
    struct serve_key_jobs *j = context;
    if (result != ERR_OK) { /* it is written the next time */
        log_debug("keys", "when keys were used last was not written: %s", err_sentence(result));
    }
    atomic_store(&j->saves, false);
}

static enum err run_last_save(struct store *s, void *context)
{
    enum err e = ERR_OK;
    struct serve_key_jobs *j = context;
    for (int i = 0; e == ERR_OK && keys_has_uses(j->keys) && i < END_STEPS; i++) {
        e = keys_save_uses(j->keys, s);
    }
    return e;
}

static void step_save(struct serve_key_jobs *j, struct store_thread *store, mono_us now)
{
    const struct store_job job = {run_save, on_saved, j};
    if (atomic_load(&j->saves) || clock_since(j->save_at, now) < 0 || !keys_has_uses(j->keys)) {
        return;
    }
    atomic_store(&j->saves, true);
    if (store_thread_post(store, &job) != ERR_OK) {
        atomic_store(&j->saves, false); /* the next step tries again */
        return;
    }
    j->save_at = clock_after_ms(now, SAVE_MS);
}

/* ---- dates ---- */

/* Tells of one key. Its name is in the store alone; without that the id has to do. */
static void tell(struct store *s, const struct key_warning *w)
{
    char when[CLOCK_TEXT_BYTES];
    struct store_key row = {.id = span_of(w->id)};
    bool is_there = store_change_get(s, STORE_TABLE_KEY, &row) == ERR_OK;
    struct span name = is_there ? row.name : SPAN("?");
    if (is_there && w->since.us <= row.created.us + ROUNDED_US) {
        return; /* whoever made it made it so */
    }
    clock_text(w->at, when);
    if (!w->is_rotation) {
        log_warn("key_expiring", "key %s (%.*s) ends within %d day%s, at %s", w->id,
                 SPAN_ARGS(name), w->days, w->days == 1 ? "" : "s", when);
    } else if (w->days > 0) {
        log_warn("key_rotation_due", "key %s (%.*s) is to be rotated within %d day%s, by %s", w->id,
                 SPAN_ARGS(name), w->days, w->days == 1 ? "" : "s", when);
    } else {
        log_warn("key_rotation_due",
                 "key %s (%.*s) should have been rotated by %s; it works on: `atlas key rotate %s`",
                 w->id, SPAN_ARGS(name), when, w->id);
    }
}

static void tell_rest(const struct serve_key_jobs *j)
{
    if (j->untold > 0) {
        log_warn("key_expiring",
                 "%zu more keys end or are to be rotated soon than are named here; `atlas key "
                 "list` shows all",
                 j->untold);
    }
}

static enum err run_look(struct store *s, void *context)
{
    struct serve_key_jobs *j = context;
    struct key_warning warnings[KEY_ROUND_WARNINGS];
    size_t count = key_round_step(&j->round, keys_table(j->keys), warnings);
    for (size_t i = 0; i < count; i++) {
        if (j->told < LINES_MAX) {
            tell(s, &warnings[i]);
            j->told++;
        } else {
            j->untold++;
        }
    }
    if (j->round.is_over) {
        tell_rest(j);
    }
    return ERR_OK;
}

static void on_looked(void *context, enum err result)
{
    struct serve_key_jobs *j = context;
    (void)result; /* it cannot fail */
    atomic_store(&j->looks, false);
}

/* The gauges say what the round has found. */
static void end_round(struct serve_key_jobs *j, mono_us now)
{
    counter_add(COUNT_KEYS_EXPIRING, (int64_t)j->round.expiring - (int64_t)j->said_expiring);
    counter_add(COUNT_KEYS_DUE, (int64_t)j->round.due - (int64_t)j->said_due);
    j->said_expiring = j->round.expiring;
    j->said_due = j->round.due;
    j->told = j->untold = 0;
    j->round_at = clock_after_ms(now, ROUND_MS);
    j->round.is_over = j->is_round = false;
}

static void step_look(struct serve_key_jobs *j, struct store_thread *store, mono_us now)
{
    const struct store_job job = {run_look, on_looked, j};
    if (atomic_load(&j->looks)) {
        return;
    }
    if (j->round.is_over) {
        end_round(j, now);
    }
    if (!j->is_round && clock_since(j->round_at, now) < 0) {
        return;
    }
    if (!j->is_round) {
        key_round_begin(&j->round, clock_wall());
        j->is_round = true;
    }
    atomic_store(&j->looks, true);
    if (store_thread_post_read(store, &job) != ERR_OK) {
        atomic_store(&j->looks, false); /* the next step tries again */
    }
}

/* Once: jobs under way read it. */
static void note_keys(struct serve_key_jobs *j, struct keys *keys)
{
    if (j->keys == NULL) {
        j->keys = keys;
    }
}

void serve_key_jobs_step(struct serve_key_jobs *j, struct keys *keys, struct store_thread *store)
{
    mono_us now = clock_mono();
    note_keys(j, keys);
    step_save(j, store, now);
    step_look(j, store, now);
}

void serve_key_jobs_end(struct serve_key_jobs *j, struct keys *keys, struct store_thread *store)
{
    const struct store_job job = {run_last_save, NULL, j};
    note_keys(j, keys);
    if (keys != NULL && keys_has_uses(keys)) {
        enum err e = store_thread_post(store, &job);
        (void)e; /* a few seconds of them are lost */
    }
}
