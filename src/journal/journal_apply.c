/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two batches: the journal thread fills one, the store thread applies the other. When the one that
 * is filled is full, or applying failed, what is in memory no longer joins on to what the store
 * has: then `behind` is set, memory is dropped, and the next job reads the segments up to what was
 * told.
 */
#include "journal/journal_apply.h"

#include <pthread.h>
#include <stdlib.h>

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
    struct store_thread *thread;

    pthread_mutex_t use;     /* held while the journal is used; taken before `lock` */
    struct journal *journal; /* NULL: it is being closed */

    pthread_mutex_t lock; /* for the rest */
    struct journal_batch batches[2];
    uint32_t filling; /* which of them takes records; the other is applied, or empty */
    uint64_t told;    /* the last record that was listened to */
    bool behind;      /* the batches do not follow on what the store has */
    bool posted;      /* a job waits */
    struct journal_apply_state state; /* but for `told` */
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

static void on_record(void *ctx, const struct journal_told *told)
{
    struct journal_apply *a = ctx;
    lock(a);
    a->told = (uint64_t)told->record->sequence;
    if (!a->behind && journal_batch_add(&a->batches[a->filling], told) != ERR_OK) {
        fall_behind(a);
    }
    unlock(a);
}

/* ---- replay ---- */

struct replay {
    struct store *store;
    struct journal_batch batch;
    uint64_t next;                    /* the sequence that is applied next */
    uint8_t head[JOURNAL_HASH_BYTES]; /* leaf hash of the record before it */
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
    struct journal_told told = {.record = &record, .line = line};
    if (journal_record_parse(line, &record, &told.state) != ERR_OK ||
        record.sequence != (int64_t)p->next || memcmp(record.prev, p->head, sizeof(p->head)) != 0) {
        return ERR_JOURNAL_BROKEN;
    }
    journal_leaf(line, told.leaf);
    memcpy(p->head, told.leaf, sizeof(p->head));
    p->next++;
    p->count++;
    enum err e = journal_batch_has_room(&p->batch) ? ERR_OK : flush(p);
    return e == ERR_OK ? journal_batch_add(&p->batch, &told) : e;
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
    e = store_journal_head(s, p.head);
    if (e != ERR_OK) {
        return e;
    }
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

/* How long to leave a store alone that failed so often: it may have to read all that it lacks. */
static int64_t wait_ms(enum err e, unsigned failures)
{
    int64_t wait = (int64_t)JOURNAL_APPLY_WAIT_MS << (failures < 16 ? failures - 1 : 15);
    int64_t most = e == ERR_STORE_BUSY ? JOURNAL_APPLY_BUSY_MAX_MS : JOURNAL_APPLY_WAIT_MAX_MS;
    return wait < most ? wait : most;
}

/* Notes how applying the records up to `last` went. */
static void note(struct journal_apply *a, enum err e, uint64_t last)
{
    lock(a);
    struct journal_apply_state *state = &a->state;
    state->error = e;
    if (e == ERR_OK) {
        state->failures = 0;
        state->applied = last > state->applied ? last : state->applied;
    } else {
        fall_behind(a);
        state->failures++;
        state->retry = clock_after_ms(clock_mono(), wait_ms(e, state->failures));
    }
    unlock(a);
}

/* Whether the store takes anything at all just now: before what it lacks is read. */
static enum err probe(struct store *s)
{
    enum err e = store_begin(s, STORE_SYNC_LATER);
    store_rollback(s);
    return e;
}

static enum err catch_up(struct journal_apply *a, struct store *s, uint64_t told)
{
    struct journal_apply_report report = {0};
    enum err e = probe(s);
    return e == ERR_OK ? replay(a->folder, s, told, &report) : e;
}

/* Applies what was told so far. */
static enum err apply(struct journal_apply *a, struct store *s)
{
    lock(a);
    struct journal_batch *batch = &a->batches[a->filling];
    a->filling ^= 1; /* the other one is empty: only this function, on one thread, turns them */
    bool behind = a->behind;
    uint64_t told = a->told;
    a->behind = false;
    unlock(a);
    enum err e = behind ? catch_up(a, s, told) : journal_batch_apply(batch, s);
    journal_batch_fini(batch);
    note(a, e, told);
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

/* Whether the store failed so lately that it is left alone. */
static bool rests(const struct journal_apply *a)
{
    return a->state.failures > 0 && clock_since(a->state.retry, clock_mono()) < 0;
}

void journal_apply_step(struct journal_apply *a)
{
    CHECK(a->thread != NULL);
    lock(a);
    bool post = !a->posted && !rests(a) && (a->behind || a->batches[a->filling].last != 0);
    a->posted |= post;
    unlock(a);
    const struct store_job job = {.run = run_job, .context = a};
    if (post && store_thread_post(a->thread, &job) != ERR_OK) {
        lock(a);
        a->posted = false; /* the next step tries again */
        unlock(a);
    }
}

void journal_apply_state(struct journal_apply *a, struct journal_apply_state *out)
{
    lock(a);
    *out = a->state;
    out->told = a->told;
    unlock(a);
}

/* Waits until what was published is on the disk. ERR_DRAINING: the journal is being closed. */
static enum err settle(struct journal_apply *a)
{
    CHECK(pthread_mutex_lock(&a->use) == 0);
    enum err e = a->journal != NULL ? journal_settle(a->journal) : ERR_DRAINING;
    CHECK(pthread_mutex_unlock(&a->use) == 0);
    return e;
}

enum err journal_apply_now(struct journal_apply *a, struct store *s)
{
    enum err trouble = settle(a);
    (void)trouble; /* then what is on the disk is all there is to apply */
    return apply(a, s);
}

enum err journal_apply_change(struct journal_apply *a, struct store *s)
{
    lock(a);
    enum err e = rests(a) ? a->state.error : ERR_OK;
    unlock(a);
    if (e != ERR_OK) {
        return e;
    }
    enum err trouble = settle(a);
    e = apply(a, s); /* as much as is on the disk */
    return e == ERR_OK ? trouble : e;
}

void journal_apply_stop(struct journal_apply *a)
{
    if (a != NULL) {
        CHECK(pthread_mutex_lock(&a->use) == 0);
        a->journal = NULL;
        CHECK(pthread_mutex_unlock(&a->use) == 0);
    }
}

/* ---- tries that a power cut left open ---- */

struct open_try {
    uint8_t id[JOURNAL_ID_BYTES];
    uint64_t sequence; /* of its intent */
    bool is_last;      /* of its call's open ones: it stands for the call, */
    uint8_t intents;   /* which has so many */
};

struct settle {
    struct open_try *tries;
    struct open_try **calls; /* those that stand for one, by its id */
    size_t call_count;
    struct journal_record *records; /* their intents; then, how they ended */
    size_t count, room;
};

/* They come by call and attempt. */
static enum err on_open_try(void *context, const void *row)
{
    const struct store_open_call *call = row;
    struct settle *s = context;
    if (s->count == s->room) {
        size_t room = s->room == 0 ? 64 : s->room * 2;
        struct open_try *grown = memory_resize(s->tries, room * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NO_MEMORY;
        }
        s->tries = grown;
        s->room = room;
    }
    struct open_try *t = &s->tries[s->count++];
    *t = (struct open_try){.sequence = call->sequence, .is_last = true};
    memcpy(t->id, call->id, sizeof(t->id));
    if (s->count > 1 && memcmp(t[-1].id, t->id, sizeof(t->id)) == 0) {
        t[-1].is_last = false;
    }
    return ERR_OK;
}

static int by_sequence(const void *a, const void *b)
{
    uint64_t x = ((const struct open_try *)a)->sequence;
    uint64_t y = ((const struct open_try *)b)->sequence;
    return (x > y) - (x < y);
}

static int by_id(const void *a, const void *b)
{
    return memcmp((*(struct open_try *const *)a)->id, (*(struct open_try *const *)b)->id,
                  JOURNAL_ID_BYTES);
}

/* Finds those that stand for their calls. */
static enum err find_calls(struct settle *s)
{
    s->calls = memory_new_array(s->count, sizeof(*s->calls));
    if (s->calls == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < s->count; i++) {
        if (s->tries[i].is_last) {
            s->calls[s->call_count++] = &s->tries[i];
        }
    }
    qsort(s->calls, s->call_count, sizeof(*s->calls), by_id);
    return ERR_OK;
}

/* Another intent of a call that is open: its try may have ended, and is no open one. */
static void count_intent(const struct settle *s, struct span line)
{
    struct journal_record r;
    if (span_starts(line, SPAN("{\"attempt\":1,")) || /* as nearly all */
        journal_record_parse(line, &r, NULL) != ERR_OK || r.kind != JOURNAL_INTENT) {
        return;
    }
    struct open_try key = {.sequence = 0}, *sought = &key;
    memcpy(key.id, r.call_id, sizeof(key.id));
    struct open_try **found = bsearch(&sought, s->calls, s->call_count, sizeof(*s->calls), by_id);
    if (found != NULL && (*found)->intents < r.attempt) {
        (*found)->intents = r.attempt;
    }
}

/* Reads the intents of s->tries[*at] and on that are in the group, whose first record is `first`.
 * ERR_JOURNAL_BROKEN: there is another record in the place of one. */
static enum err take_intents(struct settle *s, size_t *at, struct span frames, uint64_t first)
{
    struct span line;
    for (; journal_frame_next(&frames, &line); first++) {
        count_intent(s, line);
        if (*at == s->count || first != s->tries[*at].sequence) {
            continue;
        }
        const struct open_try *t = &s->tries[*at];
        struct journal_record *intent = &s->records[*at];
        if (journal_record_parse(line, intent, NULL) != ERR_OK || intent->kind != JOURNAL_INTENT ||
            memcmp(intent->call_id, t->id, sizeof(t->id)) != 0) {
            return ERR_JOURNAL_BROKEN;
        }
        (*at)++;
    }
    return ERR_OK;
}

/* Where the tries went, under which policy, and what is held for them, only the intents say. */
static enum err find_intents(const char *folder, struct settle *s, struct journal_place *place)
{
    struct journal_reader *r = NULL;
    uint64_t first;
    size_t at = 0;
    struct journal_group *group = memory_new(sizeof(*group));
    s->records = memory_new_array(s->count, sizeof(*s->records));
    if (group == NULL || s->records == NULL || find_calls(s) != ERR_OK) {
        memory_free(group);
        return ERR_NO_MEMORY;
    }
    enum err e = journal_reader_open(folder, s->tries[0].sequence, place, &r);
    while (e == ERR_OK) { /* to the end: later tries may be over, and count */
        e = journal_reader_next(r, group, &first);
        e = e == ERR_OK ? take_intents(s, &at, group->frames, first) : e;
    }
    if (r != NULL) {
        *place = journal_reader_place(r);
    }
    journal_reader_close(&r);
    memory_free(group);
    if (e == ERR_NOT_FOUND_ROW) {
        e = at == s->count ? ERR_OK : ERR_JOURNAL_BROKEN; /* they were there */
    }
    return e;
}

/* Makes of an intent the end of its try, at its reservation: nobody knows what was sent and used,
 * and this is the most that it can be. The last one stands for its call. */
static void end_try(struct journal_record *r, const struct open_try *t, int64_t now_ms)
{
    r->kind = t->is_last ? JOURNAL_COMPLETION : JOURNAL_TRY_END;
    r->attempt = r->attempt < t->intents ? t->intents : r->attempt;
    r->outcome = JOURNAL_OUTCOME_INTERRUPTED;
    r->ended_ms = now_ms;
    r->attempts_sent = r->attempt;
    r->sent = 1;
    r->tokens_out = r->tokens_reserved > r->tokens_in ? r->tokens_reserved - r->tokens_in : 0;
    r->tokens_in_estimated = r->tokens_out_estimated = 1;
    r->cost_nano = r->reserved_nano;
    journal_record_set(r, JOURNAL_TEXT_ERROR, span_of(err_name(ERR_INTERRUPTED)));
}

/* Settles the tries that are open in the store, which has seen all of the journal. */
static enum err settle_open_tries(struct journal_apply *a, struct store *store,
                                  struct journal_apply_report *report)
{
    struct settle s = {.count = 0};
    const struct store_page all = {.limit = INT64_MAX};
    enum err e = store_open_call_page(store, STORE_INDEX_OPEN_CALL_BY_ID, &all, on_open_try, &s);
    if (e == ERR_OK && s.count > 0) {
        qsort(s.tries, s.count, sizeof(*s.tries), by_sequence);
        e = find_intents(a->folder, &s, &report->place);
    }
    int64_t now_ms = clock_wall().us / 1000;
    for (size_t i = 0; e == ERR_OK && i < s.count; i++) {
        end_try(&s.records[i], &s.tries[i], now_ms);
        report->settled += s.tries[i].is_last;
    }
    if (e == ERR_OK && s.count > 0) {
        e = journal_append(a->journal, s.records, s.count); /* on_record() hears of them */
        e = e == ERR_OK ? apply(a, store) : e;
    }
    memory_free(s.tries);
    memory_free(s.calls);
    memory_free(s.records);
    return e;
}

/* ---- opening and closing ---- */

enum err journal_apply_seen(struct store *s, struct journal_seen *out)
{
    char origin[STORE_TEXT_MAX + 1];
    *out = (struct journal_seen){0};
    enum err e = store_sequence(s, &out->sequence);
    if (e == ERR_OK) {
        e = store_journal_head(s, out->head);
    }
    if (e == ERR_OK) {
        e = store_origin(s, origin);
    }
    if (e == ERR_OK && strlen(origin) == JOURNAL_ORIGIN_CHARS) {
        memcpy(out->origin, origin, sizeof(out->origin));
    }
    return e;
}

/* Notes in a store that knows no journal that it knows this one, before any record of it. */
static enum err introduce(const struct journal *j, struct store *s)
{
    struct journal_seen seen;
    enum err e = journal_apply_seen(s, &seen);
    if (e != ERR_OK || seen.origin[0] != '\0') {
        return e;
    }
    e = store_begin(s, STORE_SYNC_NOW);
    if (e != ERR_OK) {
        return e;
    }
    e = store_origin_set(s, span_of(journal_origin(j)));
    if (e != ERR_OK) {
        store_rollback(s);
        return e;
    }
    return store_commit(s);
}

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
    CHECK(pthread_mutex_init(&a->lock, NULL) == 0 && pthread_mutex_init(&a->use, NULL) == 0);
    journal_batch_init(&a->batches[0], BATCH_BYTES);
    journal_batch_init(&a->batches[1], BATCH_BYTES);
    a->folder = memory_text(journal_folder(j));
    enum err e = a->folder == NULL ? ERR_NO_MEMORY : introduce(j, s);
    if (e == ERR_OK) {
        e = replay(a->folder, s, a->told, report);
    }
    a->state.applied = a->told;
    if (e == ERR_OK) {
        journal_listen(j, &(struct journal_listener){.on_record = on_record, .ctx = a});
        e = settle_open_tries(a, s, report);
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
    (void)pthread_mutex_destroy(&ended->lock); /* nobody holds these */
    (void)pthread_mutex_destroy(&ended->use);
    memory_free(ended->folder);
    memory_free(ended);
    *a = NULL;
}
