/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/journal_recorder.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/memory.h"
#include "journal/journal_apply.h"
#include "store/store_change.h"

struct journal_recorder {
    struct store_recorder recorder;
    pthread_mutex_t lock; /* held while the journal is used */
    bool stopped;
    struct journal *journal;
    struct journal_lane *lane;
    struct journal_apply *apply;
};

static void fill(struct journal_lane *lane, struct journal_slot *slot,
                 const struct store_change *change)
{
    struct journal_record *r = journal_slot_record(slot);
    r->kind = JOURNAL_ADMIN;
    r->started_ms = clock_wall().us / 1000;
    journal_record_set(r, JOURNAL_TEXT_ACTION, change->action);
    journal_record_set(r, JOURNAL_TEXT_ACTOR, change->actor);
    journal_record_set(r, JOURNAL_TEXT_OBJECT, change->object);
    memcpy(journal_slot_state(lane, slot), change->state.at, change->state.len);
    r->state_bytes = (uint32_t)change->state.len;
}

static enum err publish(struct journal_recorder *r, const struct store_change *change)
{
    struct journal_slot *slot;
    enum err e = journal_take(r->lane, &slot);
    if (e == ERR_JOURNAL_FULL) { /* many at once: the slots of those before come free */
        e = journal_settle(r->journal);
        e = e == ERR_OK ? journal_take(r->lane, &slot) : e;
    }
    if (e == ERR_OK) {
        fill(r->lane, slot, change);
        (void)journal_publish(r->lane, slot); /* journal_settle() waits for all of them */
    }
    return e;
}

/* Takes the journal for as long as it is used; false: it is being closed. */
static bool enter(struct journal_recorder *r)
{
    CHECK(pthread_mutex_lock(&r->lock) == 0);
    if (r->stopped) {
        CHECK(pthread_mutex_unlock(&r->lock) == 0);
        return false;
    }
    return true;
}

static enum err leave(struct journal_recorder *r, enum err e)
{
    CHECK(pthread_mutex_unlock(&r->lock) == 0);
    return e;
}

static enum err on_publish(void *ctx, const struct store_change *change)
{
    struct journal_recorder *r = ctx;
    if (change->state.len > JOURNAL_STATE_MAX || !journal_state_is_valid(change->state)) {
        return ERR_VALUE_INVALID;
    }
    return enter(r) ? leave(r, publish(r, change)) : ERR_DRAINING;
}

static enum err on_settle(void *ctx)
{
    struct journal_recorder *r = ctx;
    return enter(r) ? leave(r, journal_settle(r->journal)) : ERR_DRAINING;
}

static enum err on_apply(void *ctx, struct store *s)
{
    struct journal_recorder *r = ctx;
    return enter(r) ? leave(r, journal_apply_change(r->apply, s)) : ERR_DRAINING;
}

enum err journal_recorder_open(struct journal *j, struct journal_lane *lane,
                               struct journal_apply *a, struct store *s,
                               struct journal_recorder **out)
{
    struct journal_recorder *r = memory_new(sizeof(*r));
    if (r == NULL) {
        return ERR_NO_MEMORY;
    }
    r->recorder = (struct store_recorder){on_publish, on_settle, on_apply, r};
    r->journal = j;
    r->lane = lane;
    r->apply = a;
    CHECK(pthread_mutex_init(&r->lock, NULL) == 0);
    store_set_recorder(s, &r->recorder);
    *out = r;
    return ERR_OK;
}

void journal_recorder_stop(struct journal_recorder *r)
{
    if (r != NULL) {
        CHECK(pthread_mutex_lock(&r->lock) == 0);
        r->stopped = true;
        CHECK(pthread_mutex_unlock(&r->lock) == 0);
    }
}

void journal_recorder_close(struct journal_recorder **r)
{
    if (*r != NULL) {
        (void)pthread_mutex_destroy(&(*r)->lock); /* nobody holds it */
        memory_free(*r);
        *r = NULL;
    }
}
