/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two batches: the journal thread fills one, the store thread applies the other. When the one that
 * is filled is full, or applying failed, what is in memory no longer joins on to what the store
 * has: then `behind` is set, memory is dropped, and the next job reads the segments up to what was
 * told.
 */
#include "journal/journal_apply.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/memory.h"
#include "journal/journal_batch.h"
#include "journal/journal_reader.h"
#include "store/store_thread.h"
#include "store/store_usage.h"

#define BATCH_BYTES  ((size_t)4 << 20)  /* of what waits for the store thread */
#define REPLAY_BYTES ((size_t)64 << 20) /* the larger, the fewer times a row is written */

struct journal_apply {
    char *folder;
    struct journal *journal;
    struct store_thread *thread;

    pthread_mutex_t lock; /* for the rest */
    struct journal_batch batches[2];
    uint32_t filling; /* which of them takes records; the other is applied, or empty */
    uint64_t told;    /* the last record that was listened to */
    bool behind;      /* the batches do not follow on what the store has */
    bool posted;      /* a job waits */
};

static void lock(struct journal_apply *a)
{
    CHECK(pthread_mutex_lock(&a->lock) == 0);
}

static void unlock(struct journal_apply *a)
{
    CHECK(pthread_mutex_unlock(&a->lock) == 0);
}

/* From here on only the segments say what the store has not seen. */
static void fall_behind(struct journal_apply *a)
{
    journal_batch_fini(&a->batches[a->filling]);
    a->behind = true;
}

static void on_record(void *ctx, const struct journal_record *record, struct span line)
{
    struct journal_apply *a = ctx;
    (void)line; /* the record says it all */
    lock(a);
    a->told = (uint64_t)record->sequence;
    if (!a->behind && journal_batch_add(&a->batches[a->filling], record) != ERR_OK) {
        fall_behind(a);
    }
    unlock(a);
}

/* ---- replay ---- */

struct replay {
    struct store *store;
    struct journal_batch batch;
    uint64_t next; /* the sequence that is applied next */
    uint64_t count;
};

static enum err flush(struct replay *p)
{
    enum err e = journal_batch_apply(&p->batch, p->store);
    journal_batch_fini(&p->batch);
    return e;
}

static enum err replay_record(struct replay *p, struct span line)
{
    struct journal_record record;
    if (journal_record_parse(line, &record) != ERR_OK || record.sequence != (int64_t)p->next) {
        return ERR_JOURNAL_BROKEN;
    }
    p->next++;
    p->count++;
    enum err e = journal_batch_has_room(&p->batch) ? ERR_OK : flush(p);
    return e == ERR_OK ? journal_batch_add(&p->batch, &record) : e;
}

static enum err replay_group(struct replay *p, struct span frames, uint64_t first, uint64_t last)
{
    enum err e = ERR_OK;
    for (struct span line; e == ERR_OK && first <= last && journal_frame_next(&frames, &line);
         first++) {
        e = first < p->next ? ERR_OK : replay_record(p, line);
    }
    return e;
}

/* Applies the records from p->next to `last`, which are in the segments. */
static enum err replay_to(struct replay *p, struct journal_reader *r, uint64_t last)
{
    struct journal_group *group = memory_new(sizeof(*group));
    enum err e = group == NULL ? ERR_NO_MEMORY : ERR_OK;
    while (e == ERR_OK && p->next <= last) {
        uint64_t first;
        e = journal_reader_next(r, group, &first);
        if (e == ERR_OK) {
            e = replay_group(p, group->frames, first, last);
        }
    }
    memory_free(group);
    if (e == ERR_OK) {
        e = flush(p);
    }
    return e == ERR_NOT_FOUND_ROW ? ERR_JOURNAL_BROKEN : e; /* it is there, or was */
}

/* Brings the store from what it has seen up to `last`. */
static enum err replay(const char *folder, struct store *s, uint64_t last,
                       struct journal_apply_report *report)
{
    struct replay p = {.store = s};
    struct journal_reader *r;
    uint64_t seen;
    enum err e = store_sequence(s, &seen);
    if (e != ERR_OK || seen == last) {
        return e;
    }
    if (seen > last) {
        return ERR_JOURNAL_BROKEN; /* journal_open() was not told of what the store had seen */
    }
    p.next = seen + 1;
    e = journal_reader_open(folder, p.next, &report->place, &r);
    if (e != ERR_OK) {
        return e == ERR_NOT_FOUND_ROW ? ERR_JOURNAL_BROKEN : e;
    }
    journal_batch_init(&p.batch, REPLAY_BYTES);
    e = replay_to(&p, r, last);
    report->place = journal_reader_place(r);
    report->replayed += p.count;
    journal_reader_close(&r);
    journal_batch_fini(&p.batch);
    memory_trim(); /* of what a million records took */
    return e;
}

/* ---- applying ---- */

/* Applies what was told so far. */
static enum err apply(struct journal_apply *a, struct store *s)
{
    struct journal_apply_report report = {0};
    lock(a);
    struct journal_batch *batch = &a->batches[a->filling];
    a->filling ^= 1; /* the other one is empty: only this function, on one thread, turns them */
    bool behind = a->behind;
    uint64_t told = a->told;
    a->behind = false;
    unlock(a);
    enum err e = behind ? replay(a->folder, s, told, &report) : journal_batch_apply(batch, s);
    journal_batch_fini(batch);
    if (e != ERR_OK) {
        lock(a);
        fall_behind(a);
        unlock(a);
    }
    return e;
}

static enum err run_job(struct store *s, void *context)
{
    struct journal_apply *a = context;
    lock(a);
    a->posted = false;
    unlock(a);
    return apply(a, s);
}

void journal_apply_attach(struct journal_apply *a, struct store_thread *t)
{
    a->thread = t;
}

void journal_apply_step(struct journal_apply *a)
{
    CHECK(a->thread != NULL);
    lock(a);
    bool post = !a->posted && (a->behind || a->batches[a->filling].last != 0);
    a->posted |= post;
    unlock(a);
    const struct store_job job = {.run = run_job, .context = a};
    if (post && store_thread_post(a->thread, &job) != ERR_OK) {
        lock(a);
        a->posted = false; /* the next step tries again */
        unlock(a);
    }
}

enum err journal_apply_now(struct journal_apply *a, struct store *s)
{
    enum err trouble = journal_settle(a->journal);
    (void)trouble; /* then what is on the disk is all there is to apply */
    return apply(a, s);
}

/* ---- calls that a power cut left open ---- */

struct settle {
    struct journal *journal;
    struct journal_record *calls; /* completions, by their intents' sequence */
    size_t count, room;
};

static enum err on_open_call(void *context, const struct store_open_call *call)
{
    struct settle *s = context;
    if (s->count == s->room) {
        size_t room = s->room == 0 ? 64 : s->room * 2;
        struct journal_record *grown = memory_resize(s->calls, room * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NO_MEMORY;
        }
        s->calls = grown;
        s->room = room;
    }
    struct journal_record *r = &s->calls[s->count++];
    *r = (struct journal_record){.sequence = (int64_t)call->sequence};
    memcpy(r->call_id, call->id, sizeof(r->call_id));
    r->attempt = (uint8_t)(call->attempt < UINT8_MAX ? call->attempt : UINT8_MAX);
    r->started_ms = call->started.us / 1000;
    r->bytes_in = call->bytes_in;
    r->tokens_in = call->reserved_tokens_in;
    r->tokens_reserved = call->reserved_tokens_in + call->reserved_tokens_out;
    r->cost_micro = call->reserved_microusd;
    journal_set_text(r->key_id, call->key_id);
    journal_set_text(r->model, call->model);
    journal_set_text(r->upstream, call->upstream);
    return ERR_OK;
}

/* Fills in the calls from s->calls[at] on whose intents are in the group; returns the next `at`. */
static size_t take_intents(struct settle *s, size_t at, struct span frames, uint64_t first)
{
    struct span line;
    for (; at < s->count && journal_frame_next(&frames, &line); first++) {
        struct journal_record *call = &s->calls[at];
        struct journal_record intent;
        if (first != (uint64_t)call->sequence) {
            continue;
        }
        at++;
        if (journal_record_parse(line, &intent) == ERR_OK &&
            memcmp(intent.call_id, call->call_id, JOURNAL_ID_BYTES) == 0) {
            *call = intent; /* otherwise what the store knows must do */
        }
    }
    return at;
}

/* Fills in what only the intents say: where the call went, under which policy. */
static enum err find_intents(const char *folder, struct settle *s, struct journal_place *place)
{
    struct journal_reader *r;
    uint64_t first;
    struct journal_group *group = memory_new(sizeof(*group));
    if (group == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = journal_reader_open(folder, (uint64_t)s->calls[0].sequence, place, &r);
    if (e != ERR_OK) {
        memory_free(group);
        return e;
    }
    for (size_t at = 0; at < s->count && (e = journal_reader_next(r, group, &first)) == ERR_OK;) {
        at = take_intents(s, at, group->frames, first);
    }
    *place = journal_reader_place(r);
    journal_reader_close(&r);
    memory_free(group);
    return e;
}

/* Settles the calls that are open in the store, which has seen all of the journal. */
static enum err settle_open_calls(struct journal_apply *a, struct store *store,
                                  struct journal_apply_report *report)
{
    struct settle s = {.journal = a->journal};
    enum err e = store_open_call_list(store, on_open_call, &s);
    if (e == ERR_OK && s.count > 0) {
        e = find_intents(a->folder, &s, &report->place);
    }
    int64_t now_ms = clock_wall().us / 1000;
    for (size_t i = 0; e == ERR_OK && i < s.count; i++) {
        struct journal_record *r = &s.calls[i];
        r->kind = JOURNAL_COMPLETION;
        r->outcome = JOURNAL_OUTCOME_INTERRUPTED;
        r->ended_ms = now_ms;
        r->attempts_sent = r->attempt; /* nobody knows: the most that it can be */
        r->tokens_out = r->tokens_reserved > r->tokens_in ? r->tokens_reserved - r->tokens_in : 0;
        r->tokens_in_estimated = r->tokens_out_estimated = 1;
        journal_set_text(r->error, span_of(err_name(ERR_INTERRUPTED)));
    }
    if (e == ERR_OK && s.count > 0) {
        e = journal_append(a->journal, s.calls, s.count); /* on_record() hears of them */
        e = e == ERR_OK ? apply(a, store) : e;
        report->settled = s.count;
    }
    memory_free(s.calls);
    return e;
}

/* ---- opening and closing ---- */

enum err journal_apply_open(struct journal *j, struct store *s, struct journal_apply_report *report,
                            struct journal_apply **out)
{
    *report = (struct journal_apply_report){0};
    struct journal_apply *a = memory_new(sizeof(*a));
    if (a == NULL) {
        return ERR_NO_MEMORY;
    }
    a->journal = j;
    a->told = journal_last(j);
    CHECK(pthread_mutex_init(&a->lock, NULL) == 0);
    journal_batch_init(&a->batches[0], BATCH_BYTES);
    journal_batch_init(&a->batches[1], BATCH_BYTES);
    a->folder = memory_text(journal_folder(j));
    enum err e = a->folder == NULL ? ERR_NO_MEMORY : replay(a->folder, s, a->told, report);
    if (e == ERR_OK) {
        journal_listen(j, &(struct journal_listener){.on_record = on_record, .ctx = a});
        e = settle_open_calls(a, s, report);
    }
    if (e != ERR_OK) {
        journal_apply_close(&a); /* the journal, not started, tells it nothing more */
        return e;
    }
    *out = a;
    return ERR_OK;
}

void journal_apply_close(struct journal_apply **a)
{
    struct journal_apply *ended = *a;
    if (ended == NULL) {
        return;
    }
    journal_batch_fini(&ended->batches[0]);
    journal_batch_fini(&ended->batches[1]);
    (void)pthread_mutex_destroy(&ended->lock); /* nobody holds it */
    memory_free(ended->folder);
    memory_free(ended);
    *a = NULL;
}
