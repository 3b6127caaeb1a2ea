/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all drivers have in common: arguments are checked here, a change outside a batch gets a
 * batch of its own, and a batch in which something failed is undone at once and stays failed.
 */
#include "store/store.h"

#include "store/store_driver.h"

static const struct store_driver *const drivers[] = {&store_sqlite_driver, &store_memory_driver};

static const struct store_driver *find_driver(const struct store_settings *settings)
{
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        if (strcmp(settings->driver, drivers[i]->name) == 0) {
            return drivers[i];
        }
    }
    return NULL;
}

enum err store_open(const struct store_settings *settings, struct store **out)
{
    const struct store_driver *driver = find_driver(settings);
    return driver == NULL ? ERR_CONFIG : driver->open(settings, out);
}

enum err store_look(const struct store_settings *settings, uint64_t *sequence)
{
    const struct store_driver *driver = find_driver(settings);
    return driver == NULL ? ERR_CONFIG : driver->look(settings, sequence);
}

void store_close(struct store **s)
{
    if (*s == NULL) {
        return;
    }
    store_rollback(*s);
    (*s)->driver->close(*s);
    *s = NULL;
}

const char *store_complaint(const struct store *s)
{
    return s->complaint;
}

enum err store_begin(struct store *s, enum store_sync sync)
{
    CHECK(!s->in_batch);
    enum err e = s->driver->begin(s, sync);
    s->in_batch = e == ERR_OK;
    s->failed = ERR_OK;
    return e;
}

enum err store_commit(struct store *s)
{
    CHECK(s->in_batch);
    s->in_batch = false;
    return s->failed != ERR_OK ? s->failed : s->driver->commit(s);
}

void store_rollback(struct store *s)
{
    if (s->in_batch && s->failed == ERR_OK) {
        s->driver->rollback(s);
    }
    s->in_batch = false;
}

/* Whether `e` says that nothing was changed, rather than that the driver failed. */
static bool is_answer(enum err e)
{
    return e == ERR_OK || e == ERR_EXISTS || e == ERR_NOT_FOUND_ROW || e == ERR_VALUE_INVALID;
}

/* A change in a batch has failed or not: undoes the batch at the first that failed. */
static enum err changed(struct store *s, enum err e)
{
    if (!is_answer(e)) {
        s->driver->rollback(s);
        s->failed = e;
    }
    return e;
}

/* Begins a batch for one change, unless one is open. */
static enum err change_start(struct store *s, bool *is_own)
{
    *is_own = !s->in_batch;
    return s->in_batch ? s->failed : store_begin(s, STORE_SYNC_NOW);
}

static enum err change_end(struct store *s, bool is_own, enum err e)
{
    e = changed(s, e);
    if (!is_own) {
        return e;
    }
    if (e != ERR_OK) {
        store_rollback(s);
        return e;
    }
    return store_commit(s);
}

static bool is_text(struct span s)
{
    return s.len <= STORE_TEXT_MAX && (s.len == 0 || memchr(s.at, '\0', s.len) == NULL);
}

enum err store_key_insert(struct store *s, const struct store_key *key)
{
    if (key->id.len != STORE_KEY_ID_CHARS || !is_text(key->id) || !is_text(key->name)) {
        return ERR_VALUE_INVALID;
    }
    bool is_own;
    enum err e = change_start(s, &is_own);
    if (e != ERR_OK) {
        return e;
    }
    return change_end(s, is_own, s->driver->key_insert(s, key));
}

enum err store_key_revoke(struct store *s, struct span id, wall_us when)
{
    CHECK(when.us != 0);
    if (id.len != STORE_KEY_ID_CHARS) {
        return ERR_NOT_FOUND_ROW;
    }
    bool is_own;
    enum err e = change_start(s, &is_own);
    if (e != ERR_OK) {
        return e;
    }
    return change_end(s, is_own, s->driver->key_revoke(s, id, when));
}

enum err store_key_find(struct store *s, struct span id, struct store_key *out)
{
    return id.len == STORE_KEY_ID_CHARS ? s->driver->key_find(s, id, out) : ERR_NOT_FOUND_ROW;
}

enum err store_key_list(struct store *s, store_on_key *on_key, void *context)
{
    return s->driver->key_list(s, on_key, context);
}

enum err store_key_revision(struct store *s, uint64_t *out)
{
    return s->driver->key_revision(s, out);
}

int32_t store_day(wall_us at)
{
    const int64_t day_us = 86400 * (int64_t)1000000;
    int64_t day = at.us / day_us;
    return (int32_t)(at.us % day_us < 0 ? day - 1 : day);
}

enum err store_usage_add(struct store *s, const struct store_usage *more)
{
    CHECK(s->in_batch);
    if (!is_text(more->key_id) || !is_text(more->model) || !is_text(more->upstream)) {
        return ERR_VALUE_INVALID;
    }
    return s->failed != ERR_OK ? s->failed : changed(s, s->driver->usage_add(s, more));
}

enum err store_open_call_put(struct store *s, const struct store_open_call *call)
{
    CHECK(s->in_batch);
    if (!is_text(call->key_id) || !is_text(call->model) || !is_text(call->upstream)) {
        return ERR_VALUE_INVALID;
    }
    return s->failed != ERR_OK ? s->failed : changed(s, s->driver->open_call_put(s, call));
}

enum err store_open_call_take(struct store *s, const uint8_t id[STORE_CALL_ID_BYTES],
                              struct store_open_call *out)
{
    CHECK(s->in_batch);
    return s->failed != ERR_OK ? s->failed : changed(s, s->driver->open_call_take(s, id, out));
}

enum err store_sequence_set(struct store *s, uint64_t sequence)
{
    CHECK(s->in_batch);
    return s->failed != ERR_OK ? s->failed : changed(s, s->driver->sequence_set(s, sequence));
}

enum err store_sequence(struct store *s, uint64_t *out)
{
    return s->driver->sequence(s, out);
}

enum err store_usage_list(struct store *s, const struct store_usage_filter *filter,
                          store_on_usage *on_usage, void *context)
{
    return s->driver->usage_list(s, filter, on_usage, context);
}

enum err store_open_call_list(struct store *s, store_on_open_call *on_open_call, void *context)
{
    return s->driver->open_call_list(s, on_open_call, context);
}
