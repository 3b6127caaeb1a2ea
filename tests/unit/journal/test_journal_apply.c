/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal_apply.c — the store says what the journal says, each record once. */
#include "unit.h"

#include "folder.h"

#include <sched.h>
#include <semaphore.h>

#include "journal/journal_apply.h"
#include "journal/journal_batch.h"
#include "journal/journal_reader.h"
#include "store/store_thread.h"
#include "store/store_usage.h"

struct sums {
    size_t rows, open;
    int64_t calls, interrupted, failed, refused, estimated, tokens_in, tokens_out, cost;
};

static enum err add_usage(void *context, const struct store_usage *u)
{
    struct sums *s = context;
    s->rows++;
    s->calls += u->calls;
    s->interrupted += u->interrupted;
    s->failed += u->failed;
    s->refused += u->refused;
    s->estimated += u->estimated;
    s->tokens_in += u->tokens_in;
    s->tokens_out += u->tokens_out;
    s->cost += u->cost_nano;
    return ERR_OK;
}

static enum err add_open(void *context, const void *row)
{
    const struct store_open_call *call = row;
    struct sums *s = context;
    assert_true(call->sequence > 0);
    s->open++;
    return ERR_OK;
}

static struct sums sums_of(struct store *s)
{
    struct sums sums = {0};
    const struct store_usage_filter all = {.from = INT32_MIN, .to = INT32_MAX};
    assert_int_equal(store_usage_list(s, &all, add_usage, &sums), ERR_OK);
    const struct store_page calls = {.limit = INT64_MAX};
    assert_int_equal(
        store_open_call_page(s, STORE_INDEX_OPEN_CALL_BY_SEQUENCE, &calls, add_open, &sums),
        ERR_OK);
    return sums;
}

static struct store *store_new(void)
{
    struct store *s;
    const struct store_settings settings = {.driver = "memory"};
    assert_int_equal(store_open(&settings, &s), ERR_OK);
    return s;
}

static uint64_t sequence_of(struct store *s)
{
    uint64_t sequence;
    assert_int_equal(store_sequence(s, &sequence), ERR_OK);
    return sequence;
}

/* The record of that number, from its segment. */
static struct journal_record record_at(const struct folder *f, uint64_t sequence)
{
    static struct journal_group group;
    struct journal_place place;
    struct journal_reader *r;
    struct journal_record record = {0};
    uint64_t at;
    assert_int_equal(journal_reader_open(f->journal, sequence, &place, &r), ERR_OK);
    while (journal_reader_next(r, &group, &at) == ERR_OK) {
        for (struct span line; journal_frame_next(&group.frames, &line); at++) {
            if (at == sequence) {
                assert_int_equal(journal_record_parse(line, &record, NULL), ERR_OK);
            }
        }
    }
    journal_reader_close(&r);
    assert_int_equal(record.sequence, sequence);
    return record;
}

static struct journal_record numbered(enum journal_kind kind, uint64_t call, int64_t sequence)
{
    struct journal_record r = record_of(kind, call);
    r.sequence = sequence;
    r.tokens_in = 10;
    r.tokens_reserved = 110;
    r.tokens_out = kind == JOURNAL_COMPLETION ? 20 : 0;
    r.cost_nano = kind == JOURNAL_COMPLETION ? 7 : 0;
    r.attempts_sent = kind == JOURNAL_COMPLETION;
    r.reserved_nano = 70;
    return r;
}

static void add(struct journal_batch *b, struct journal_record r)
{
    r.sequence = (int64_t)b->last + 1;
    assert_int_equal(journal_batch_add(b, &(struct journal_told){.record = &r}), ERR_OK);
}

static void a_batch_sums_and_keeps_what_is_open(void **state)
{
    (void)state;
    struct store *s = store_new();
    struct journal_batch b;
    struct journal_record r;
    journal_batch_init(&b, 1 << 20);
    add(&b, numbered(JOURNAL_INTENT, 1, 0));
    add(&b, numbered(JOURNAL_INTENT, 2, 0));
    add(&b, numbered(JOURNAL_INTENT, 3, 0));
    add(&b, numbered(JOURNAL_COMPLETION, 1, 0));
    r = numbered(JOURNAL_COMPLETION, 4, 0); /* refused before any attempt */
    r.attempt = 0;
    r.attempts_sent = 0;
    r.tokens_in = r.tokens_out = r.cost_nano = 0;
    journal_record_set(&r, JOURNAL_TEXT_MODEL, SPAN(""));
    r.outcome = JOURNAL_OUTCOME_REFUSED;
    add(&b, r);
    assert_int_equal(journal_batch_apply(&b, s), ERR_OK);
    struct sums sums = sums_of(s);
    assert_int_equal(sums.calls, 1);
    assert_int_equal(sums.failed, 0);
    assert_int_equal(sums.refused, 1);
    assert_int_equal(sums.open, 2);
    assert_int_equal(sequence_of(s), 5);

    uint64_t last = b.last;
    journal_batch_fini(&b);
    b.last = last; /* the next batch follows */
    r = numbered(JOURNAL_INTENT, 2, 0);
    r.attempt = 2;
    add(&b, r);
    r = numbered(JOURNAL_COMPLETION, 2, 0);
    r.attempt = 2;
    r.outcome = JOURNAL_OUTCOME_CLIENT_GONE;
    r.tokens_out_estimated = 1;
    add(&b, r);
    r = numbered(JOURNAL_COMPLETION, 3, 0);
    r.outcome = JOURNAL_OUTCOME_FAILED;
    journal_record_set(&r, JOURNAL_TEXT_MODEL, SPAN("another"));
    add(&b, r);
    assert_int_equal(journal_batch_apply(&b, s), ERR_OK);
    sums = sums_of(s);
    assert_int_equal(sums.rows, 3);
    assert_int_equal(sums.calls, 3);
    assert_int_equal(sums.interrupted, 1);
    assert_int_equal(sums.failed, 1);
    assert_int_equal(sums.refused, 1);
    assert_int_equal(sums.estimated, 1);
    assert_int_equal(sums.tokens_in, 30);
    assert_int_equal(sums.tokens_out, 60);
    assert_int_equal(sums.cost, 21);
    assert_int_equal(sums.open, 0);
    assert_int_equal(sequence_of(s), 8);
    journal_batch_fini(&b);
    store_close(&s);
}

/* The loser's end may come in another batch than its intent, and before or after the completion. */
static void tries_are_open_until_they_or_their_call_have_ended(void **state)
{
    (void)state;
    struct store *s = store_new();
    struct journal_batch b;
    for (int cut = 0; cut <= 6; cut++) { /* the first batch has so many of the records */
        struct journal_record r[6] = {
            numbered(JOURNAL_INTENT, 9, 0),  numbered(JOURNAL_INTENT, 9, 0),
            numbered(JOURNAL_TRY_END, 9, 0), numbered(JOURNAL_COMPLETION, 9, 0),
            numbered(JOURNAL_INTENT, 8, 0),  numbered(JOURNAL_TRY_END, 8, 0)};
        r[1].attempt = r[3].attempt = 2;
        r[2].tokens_out = 5;
        r[2].cost_nano = 3;
        struct sums before = sums_of(s);
        journal_batch_init(&b, 1 << 20);
        for (int i = 0; i < 6; i++) {
            if (i == cut) {
                uint64_t last = b.last;
                assert_int_equal(journal_batch_apply(&b, s), ERR_OK);
                assert_int_equal(sums_of(s).open, i == 1 || i == 5 ? 1 : i == 2 ? 2 : i == 3);
                journal_batch_fini(&b);
                b.last = last;
            }
            memcpy(r[i].call_id, &(uint64_t){i < 4 ? 9 : 8}, 8);
            add(&b, r[i]);
        }
        assert_int_equal(journal_batch_apply(&b, s), ERR_OK);
        journal_batch_fini(&b);
        struct sums after = sums_of(s);
        assert_int_equal(after.open, 0);
        assert_int_equal(after.calls - before.calls, 1);
        assert_int_equal(after.cost - before.cost, 3 + 7);
        assert_int_equal(after.tokens_out - before.tokens_out, 5 + 20);
    }
    store_close(&s);
}

/* Each record is of a call, a key and a model of its own, with the longest texts there are. */
static void a_batch_that_has_room_takes_whatever_comes(void **state)
{
    (void)state;
    struct store *s = store_new();
    struct journal_batch b;
    char text[255];
    int64_t added = 0;
    memset(text, 'x', sizeof(text));
    journal_batch_init(&b, 1 << 20);
    for (uint64_t call = 1; journal_batch_has_room(&b); call++) {
        struct journal_record r =
            numbered(call % 3 == 0 ? JOURNAL_INTENT : JOURNAL_COMPLETION, call, 0);
        (void)snprintf(text, sizeof(text), "%06u", (unsigned)call);
        text[6] = 'x';
        journal_record_set(&r, JOURNAL_TEXT_MODEL, span_make(text, 255));
        journal_record_set(&r, JOURNAL_TEXT_UPSTREAM, span_make(text, 255));
        journal_record_set(&r, JOURNAL_TEXT_KEY, span_make(text, 255));
        add(&b, r);
        added += r.kind == JOURNAL_COMPLETION;
    }
    assert_int_equal(journal_batch_apply(&b, s), ERR_OK);
    assert_int_equal(sums_of(s).calls, added);
    assert_true(added > 500);
    journal_batch_fini(&b);
    assert_true(journal_batch_has_room(&b));
    store_close(&s);
}

static struct journal *open_journal(const struct folder *f)
{
    struct journal *j;
    struct journal_report report;
    assert_int_equal(journal_open(f->path, &journal_quick, 1, &nothing_seen, &report, &j), ERR_OK);
    return j;
}

static void one_call(struct journal_lane *lane, uint64_t call)
{
    struct journal_slot *intent;
    struct journal_slot *completion;
    while (journal_take(lane, &intent) != ERR_OK) {
        (void)sched_yield();
    }
    while (journal_take(lane, &completion) != ERR_OK) {
        (void)sched_yield();
    }
    *journal_slot_record(intent) = numbered(JOURNAL_INTENT, call, 0);
    *journal_slot_record(completion) = numbered(JOURNAL_COMPLETION, call, 0);
    journal_arm(lane, completion);
    (void)journal_publish(lane, intent);
    (void)journal_publish(lane, completion);
}

/* What a job of the store thread reports to the test. */
struct asked {
    struct journal_apply *apply;
    struct sums sums;
    uint64_t sequence;
    sem_t done;
};

static enum err ask(struct store *s, void *context)
{
    struct asked *a = context;
    enum err e = journal_apply_now(a->apply, s);
    a->sums = sums_of(s);
    a->sequence = sequence_of(s);
    return e;
}

static void answer(void *context, enum err result)
{
    struct asked *a = context;
    assert_int_equal(result, ERR_OK);
    assert_int_equal(sem_post(&a->done), 0);
}

static void a_running_journal_is_applied_up_to_the_last_record_published(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct store *s = store_new();
    struct store_thread *t;
    struct journal_apply_report report;
    struct asked asked;
    struct journal *j = open_journal(&f);
    assert_int_equal(sem_init(&asked.done, 0, 0), 0);
    assert_int_equal(journal_apply_open(j, s, &report, &asked.apply), ERR_OK);
    assert_int_equal(report.replayed, 1); /* the origin */
    assert_int_equal(journal_start(j), ERR_OK);
    assert_int_equal(store_thread_open(&s, 8, &t), ERR_OK);
    journal_apply_attach(asked.apply, t);
    const struct store_job job = {.run = ask, .done = answer, .context = &asked};
    for (uint64_t call = 1; call <= 300; call++) {
        one_call(journal_lane(j, 0), call);
        if (call % 7 == 0) {
            journal_apply_step(asked.apply);
        }
        if (call % 100 == 0) {
            assert_int_equal(store_thread_post(t, &job), ERR_OK);
            while (sem_wait(&asked.done) != 0) {
            }
            assert_int_equal(asked.sums.calls, call);
            assert_int_equal(asked.sums.open, 0);
            assert_int_equal(asked.sequence, 1 + 2 * call);
        }
    }
    one_call(journal_lane(j, 0), 301);
    journal_close(&j);
    journal_apply_step(asked.apply);
    store_thread_close(&t);
    journal_apply_close(&asked.apply);
    (void)sem_destroy(&asked.done);
    folder_remove(&f);
}

/* As an admin job that runs while the gateway ends: the journal is gone, what it said is not. */
static void who_asks_once_the_journal_is_closed_gets_what_it_said(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct store *s = store_new();
    struct journal_apply_report report;
    struct journal_apply *a;
    struct journal *j = open_journal(&f);
    assert_int_equal(journal_apply_open(j, s, &report, &a), ERR_OK);
    assert_int_equal(journal_start(j), ERR_OK);
    for (uint64_t call = 1; call <= 5; call++) {
        one_call(journal_lane(j, 0), call);
    }
    journal_apply_stop(a);
    journal_close(&j);
    assert_int_equal(journal_apply_now(a, s), ERR_OK);
    assert_int_equal(sums_of(s).calls, 5);
    assert_int_equal(sequence_of(s), 11);
    journal_apply_close(&a);
    store_close(&s);
    folder_remove(&f);
}

static void start_up_replays_what_the_store_has_not_seen_and_settles_open_calls(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct store *s = store_new();
    struct journal_apply_report report;
    struct journal_apply *a;
    struct journal_record r[5] = {numbered(JOURNAL_INTENT, 1, 0), numbered(JOURNAL_INTENT, 2, 0),
                                  numbered(JOURNAL_COMPLETION, 1, 0),
                                  numbered(JOURNAL_INTENT, 3, 0),
                                  numbered(JOURNAL_COMPLETION, 3, 0)};
    journal_record_set(&r[1], JOURNAL_TEXT_UPSTREAM_MODEL, SPAN("told by the intent only"));
    struct journal *j = open_journal(&f);
    assert_int_equal(journal_append(j, r, 3), ERR_OK);
    assert_int_equal(journal_append(j, r + 3, 2), ERR_OK);
    assert_int_equal(journal_apply_open(j, s, &report, &a), ERR_OK);
    assert_int_equal(report.replayed, 6);
    assert_int_equal(report.settled, 1);
    assert_int_equal(journal_last(j), 7);
    struct sums sums = sums_of(s);
    assert_int_equal(sums.calls, 3);
    assert_int_equal(sums.interrupted, 1);
    assert_int_equal(sums.open, 0);
    assert_int_equal(sums.tokens_out, 20 + 20 + 100); /* the open one at its reservation */
    assert_int_equal(sums.cost, 7 + 7 + 70);
    assert_int_equal(sequence_of(s), 7);
    journal_apply_close(&a);
    journal_close(&j);
    struct journal_record settled = record_at(&f, 7);
    assert_int_equal(settled.outcome, JOURNAL_OUTCOME_INTERRUPTED);
    assert_int_equal(settled.attempts_sent, 1); /* at most: the intent may be all there was */

    /* Again: nothing is left to do. */
    j = open_journal(&f);
    assert_int_equal(journal_apply_open(j, s, &report, &a), ERR_OK);
    assert_int_equal(report.replayed, 0);
    assert_int_equal(report.settled, 0);
    assert_int_equal(sums_of(s).calls, 3);
    journal_apply_close(&a);
    journal_close(&j);
    store_close(&s);

    /* A new store sees all of it. */
    s = store_new();
    j = open_journal(&f);
    assert_int_equal(journal_apply_open(j, s, &report, &a), ERR_OK);
    assert_int_equal(report.replayed, 7);
    assert_int_equal(sums_of(s).cost, 84);
    journal_apply_close(&a);
    journal_close(&j);
    store_close(&s);
    folder_remove(&f);
}

/* A power cut between the intents of a call's two tries and the rest: each is settled, the last one
 * stands for the call, and says how many it had. */
static void both_tries_of_a_call_that_a_power_cut_left_are_settled(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct store *s = store_new();
    struct journal_apply_report report;
    struct journal_apply *a;
    struct journal_record r[6] = {numbered(JOURNAL_INTENT, 1, 0), numbered(JOURNAL_INTENT, 2, 0),
                                  numbered(JOURNAL_INTENT, 1, 0), numbered(JOURNAL_INTENT, 3, 0),
                                  numbered(JOURNAL_INTENT, 3, 0), numbered(JOURNAL_TRY_END, 3, 0)};
    r[2].attempt = r[4].attempt = r[5].attempt = 2;
    journal_record_set(&r[2], JOURNAL_TEXT_UPSTREAM, SPAN("second"));
    journal_record_set(&r[2], JOURNAL_TEXT_CURRENCY, SPAN("SAR"));
    struct journal *j = open_journal(&f);
    assert_int_equal(journal_append(j, r, 6), ERR_OK);
    assert_int_equal(journal_apply_open(j, s, &report, &a), ERR_OK);
    assert_int_equal(report.settled, 3);
    struct sums sums = sums_of(s);
    assert_int_equal(sums.calls, 3);
    assert_int_equal(sums.interrupted, 3);
    assert_int_equal(sums.cost, 4 * 70 + r[5].cost_nano);
    assert_int_equal(sums.open, 0);
    journal_apply_close(&a);
    journal_close(&j);
    struct journal_record first = record_at(&f, 8), last = record_at(&f, 10);
    assert_int_equal(first.kind, JOURNAL_TRY_END);
    assert_true(first.attempt == 1 && first.sent == 1 && first.cost_nano == 70);
    assert_int_equal(last.kind, JOURNAL_COMPLETION);
    assert_true(last.attempt == 2 && last.attempts_sent == 2 && last.cost_nano == 70);
    assert_true(says(&last, JOURNAL_TEXT_UPSTREAM, "second"));
    assert_true(says(&last, JOURNAL_TEXT_CURRENCY, "SAR"));
    last = record_at(&f, 11); /* its second try is over, the first is what was open */
    assert_int_equal(last.kind, JOURNAL_COMPLETION);
    assert_true(last.attempt == 2 && last.attempts_sent == 2);
    store_close(&s);
    folder_remove(&f);
}

/* The store knows the last record that it has seen by its hash: what comes then must follow it. */
static void a_journal_that_does_not_go_on_where_the_store_is_is_not_replayed(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct store *s = store_new();
    struct journal_apply_report report;
    struct journal_apply *a;
    static const uint8_t other[STORE_HEAD_BYTES] = {1};
    struct journal_record r[2] = {numbered(JOURNAL_INTENT, 1, 0),
                                  numbered(JOURNAL_COMPLETION, 1, 0)};
    struct journal *j = open_journal(&f);
    assert_int_equal(journal_append(j, r, 2), ERR_OK);
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_journal_set(s, 2, other), ERR_OK);
    assert_int_equal(store_commit(s), ERR_OK);
    assert_int_equal(journal_apply_open(j, s, &report, &a), ERR_JOURNAL_BROKEN);
    journal_close(&j);
    store_close(&s);
    folder_remove(&f);
}

static void a_store_that_has_seen_more_than_there_is_says_that_the_journal_is_broken(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct store *s = store_new();
    struct journal_apply_report report;
    struct journal_apply *a;
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    static const uint8_t head[STORE_HEAD_BYTES];
    assert_int_equal(store_journal_set(s, 5, head), ERR_OK);
    assert_int_equal(store_commit(s), ERR_OK);
    struct journal *j = open_journal(&f);
    assert_int_equal(journal_apply_open(j, s, &report, &a), ERR_JOURNAL_BROKEN);
    journal_close(&j);
    store_close(&s);
    folder_remove(&f);
}

/* More records than a batch may hold: what is dropped from memory is read from the segments. */
static void a_store_that_falls_behind_reads_the_segments(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct store *s = store_new();
    struct journal_apply_report report;
    struct journal_apply *a;
    struct journal *j = open_journal(&f);
    assert_int_equal(journal_apply_open(j, s, &report, &a), ERR_OK);
    static struct journal_record r[1000];
    uint64_t call = 0;
    for (int round = 0; round < 30; round++) {
        for (size_t i = 0; i < 1000; i++) {
            r[i] = numbered(JOURNAL_INTENT, ++call, 0);
        }
        assert_int_equal(journal_append(j, r, 1000), ERR_OK);
    }
    assert_int_equal(journal_apply_now(a, s), ERR_OK);
    assert_int_equal(sums_of(s).open, 30000);
    assert_int_equal(sequence_of(s), 30001);
    r[0] = numbered(JOURNAL_COMPLETION, 30000, 0);
    assert_int_equal(journal_append(j, r, 1), ERR_OK);
    assert_int_equal(journal_apply_now(a, s), ERR_OK);
    assert_int_equal(sums_of(s).open, 29999);
    journal_apply_close(&a);
    journal_close(&j);
    store_close(&s);
    folder_remove(&f);
}

static struct store *sqlite_new(const char *path)
{
    struct store *s;
    const struct store_settings settings = {.driver = "sqlite", .path = path, .busy_ms = 1};
    assert_int_equal(store_open(&settings, &s), ERR_OK);
    return s;
}

static void a_store_that_fails_is_asked_ever_less_often_and_then_has_all(void **state)
{
    (void)state;
    struct folder f = folder_new();
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/atlas.db", f.path);
    struct store *s = sqlite_new(path), *other = sqlite_new(path);
    struct journal_apply_report report;
    struct journal_apply_state told;
    struct journal_apply *a;
    struct journal *j = open_journal(&f);
    assert_int_equal(journal_apply_open(j, s, &report, &a), ERR_OK);
    struct journal_record r = numbered(JOURNAL_INTENT, 1, 0);
    assert_int_equal(journal_append(j, &r, 1), ERR_OK);
    assert_int_equal(store_begin(other, STORE_SYNC_LATER), ERR_OK); /* it has the lock */
    int64_t last_ms = 0;
    for (unsigned i = 1; i <= 12; i++) {
        mono_us before = clock_mono();
        assert_int_equal(journal_apply_now(a, s), ERR_STORE_BUSY);
        journal_apply_state(a, &told);
        int64_t wait_ms = clock_since(before, told.retry) / 1000;
        assert_int_equal(told.failures, i);
        assert_int_equal(told.error, ERR_STORE_BUSY);
        assert_int_equal(told.told - told.applied, 1);
        assert_true(wait_ms >= last_ms / 2 && wait_ms >= JOURNAL_APPLY_WAIT_MS);
        assert_true(i > 2 || wait_ms >= JOURNAL_APPLY_WAIT_MS << (i - 1));
        assert_int_equal(journal_apply_change(a, s), ERR_STORE_BUSY); /* it is not asked */
        journal_apply_state(a, &told);
        assert_int_equal(told.failures, i);
        last_ms = wait_ms;
    }
    assert_true(last_ms >= JOURNAL_APPLY_BUSY_MAX_MS && last_ms < JOURNAL_APPLY_BUSY_MAX_MS * 2);
    store_rollback(other);
    assert_int_equal(journal_apply_now(a, s), ERR_OK);
    journal_apply_state(a, &told);
    assert_int_equal(told.failures, 0);
    assert_int_equal(told.applied, 2);
    assert_int_equal(journal_apply_change(a, s), ERR_OK);
    assert_int_equal(sums_of(s).open, 1);
    journal_apply_close(&a);
    journal_close(&j);
    store_close(&s);
    store_close(&other);
    folder_empty(f.path); /* of the store's files */
    folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_sums_and_keeps_what_is_open),
        cmocka_unit_test(tries_are_open_until_they_or_their_call_have_ended),
        cmocka_unit_test(both_tries_of_a_call_that_a_power_cut_left_are_settled),
        cmocka_unit_test(a_journal_that_does_not_go_on_where_the_store_is_is_not_replayed),
        cmocka_unit_test(a_batch_that_has_room_takes_whatever_comes),
        cmocka_unit_test(a_running_journal_is_applied_up_to_the_last_record_published),
        cmocka_unit_test(who_asks_once_the_journal_is_closed_gets_what_it_said),
        cmocka_unit_test(start_up_replays_what_the_store_has_not_seen_and_settles_open_calls),
        cmocka_unit_test(a_store_that_has_seen_more_than_there_is_says_that_the_journal_is_broken),
        cmocka_unit_test(a_store_that_falls_behind_reads_the_segments),
        cmocka_unit_test(a_store_that_fails_is_asked_ever_less_often_and_then_has_all),
    };
    disk.no_waits = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
