/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_journal.c — what a record costs the worker and the journal thread, and how many a second
 * are on the disk.
 *
 * usage: bench_journal [FOLDER]    the disk that is measured; /tmp if not given
 *
 *   worker     take, fill, publish of an intent and a completion: the median of blocks of 32
 *              calls, and the longest that one block took
 *   thread     CPU of the journal thread: rendering, checksums, writing, summing for the store
 *   durable    records that were on the disk when the clock stopped
 *   replay     reading, checking, parsing and summing all of it into an empty store
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "journal/journal_apply.h"
#include "store/store.h"

#define BLOCK      32 /* calls */
#define BLOCKS_MAX 100000

struct load {
    struct journal_lane *lane;
    int64_t calls_a_second; /* 0: as many as slots allow */
    int64_t seconds;
    uint64_t calls, full;
    int64_t longest_ns;
    size_t blocks;
    int64_t block_ns[BLOCKS_MAX];
};

static int64_t now_ns(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t); /* these clocks exist */
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fill(struct journal_record *r, enum journal_kind kind, uint64_t call)
{
    memcpy(r->call_id, &call, sizeof(call));
    r->kind = (uint8_t)kind;
    r->outcome = kind == JOURNAL_COMPLETION ? JOURNAL_OUTCOME_OK : JOURNAL_OUTCOME_NONE;
    r->attempt = 1;
    r->started_ms = r->attempt_ms = 1790000000000;
    r->tokens_in = 420;
    r->bytes_in = 1700;
    journal_record_set(r, JOURNAL_TEXT_KEY, SPAN("0123456789ab"));
    journal_record_set(r, JOURNAL_TEXT_ENDPOINT, SPAN("chat"));
    journal_record_set(r, JOURNAL_TEXT_MODEL, SPAN("arabic-large"));
    journal_record_set(r, JOURNAL_TEXT_UPSTREAM, SPAN("falcon-gpu"));
    journal_record_set(r, JOURNAL_TEXT_UPSTREAM_MODEL, SPAN("tiiuae/Falcon-H1-34B-Instruct"));
    journal_record_set(r, JOURNAL_TEXT_REGION, SPAN("sa"));
    journal_record_set(r, JOURNAL_TEXT_POLICY, SPAN("direct"));
}

static bool one_call(struct load *l)
{
    struct journal_slot *intent;
    struct journal_slot *completion;
    if (journal_take(l->lane, &intent) != ERR_OK) {
        return false;
    }
    if (journal_take(l->lane, &completion) != ERR_OK) {
        journal_give_back(l->lane, intent);
        return false;
    }
    fill(journal_slot_record(intent), JOURNAL_INTENT, ++l->calls);
    fill(journal_slot_record(completion), JOURNAL_COMPLETION, l->calls);
    journal_arm(l->lane, completion);
    (void)journal_publish(l->lane, intent);
    struct journal_record *r = journal_slot_record(completion);
    r->ended_ms = r->first_byte_ms = 1790000000500;
    r->status = 200;
    r->tokens_out = 130;
    r->bytes_out = 600;
    (void)journal_publish(l->lane, completion);
    return true;
}

static void *run_load(void *ctx)
{
    struct load *l = ctx;
    int64_t start = now_ns(CLOCK_MONOTONIC);
    int64_t now = start;
    while (now < start + l->seconds * 1000000000 && l->blocks < BLOCKS_MAX) {
        int64_t due = start;
        if (l->calls_a_second != 0) {
            due += (int64_t)(l->calls * 1000000000 / (uint64_t)l->calls_a_second);
        }
        if (due > now) {
            struct timespec until = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
            (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        }
        int64_t from = now_ns(CLOCK_MONOTONIC);
        int done = 0;
        while (done < BLOCK && one_call(l)) {
            done++;
        }
        now = now_ns(CLOCK_MONOTONIC);
        if (done < BLOCK) {
            l->full++; /* every slot waits for the disk: the worker would answer 503 */
            (void)sched_yield();
            continue;
        }
        l->block_ns[l->blocks++] = now - from;
        l->longest_ns = now - from > l->longest_ns ? now - from : l->longest_ns;
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void on_record(void *ctx, const struct journal_told *told)
{
    (void)ctx;
    (void)told;
}

/* On the journal thread: how much CPU it has used. */
static void on_commit(void *ctx, uint64_t last_sequence)
{
    (void)last_sequence;
    atomic_store((_Atomic int64_t *)ctx, now_ns(CLOCK_THREAD_CPUTIME_ID));
}

static void die(const char *what, enum err e)
{
    fprintf(stderr, "bench_journal: %s: %s\n", what, err_sentence(e));
    exit(1);
}

static void measure(const char *folder, const char *name, int64_t calls_a_second, int64_t seconds)
{
    static const struct journal_settings settings = {
        .commit_interval_ms = 5, .segment_bytes = 64 << 20, .slots = 32768};
    static const struct store_settings memory = {.driver = "memory"};
    struct journal_report report;
    struct journal_apply_report applied;
    struct journal *j;
    struct journal_apply *a;
    struct store *s = NULL;
    enum err e = journal_open(folder, &settings, 1, &(struct journal_seen){0}, &report, &j);
    e = e == ERR_OK ? store_open(&memory, &s) : e;
    if (e != ERR_OK) {
        die("opening", e);
    }
    int64_t from = now_ns(CLOCK_MONOTONIC);
    e = journal_apply_open(j, s, &applied, &a);
    int64_t replay_ns = now_ns(CLOCK_MONOTONIC) - from;
    uint64_t first = journal_last(j);
    static struct load l;
    static _Atomic int64_t thread_ns;
    l = (struct load){.calls_a_second = calls_a_second, .seconds = seconds};
    l.lane = journal_lane(j, 0);
    journal_listen(j, &(struct journal_listener){on_record, on_commit, &thread_ns});
    e = e == ERR_OK ? journal_start(j) : e;
    if (e != ERR_OK) {
        die("starting", e);
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_load, &l) != 0) {
        die("starting", ERR_NO_MEMORY);
    }
    (void)pthread_join(thread, NULL);
    uint64_t records = journal_last(j) - first;
    if ((e = journal_settle(j)) != ERR_OK) {
        die("writing", e);
    }
    qsort(l.block_ns, l.blocks, sizeof(l.block_ns[0]), compare);
    int64_t median = l.block_ns[l.blocks / 2];
    printf("%-9s %8.0f durable/s  worker %5.0f ns/call, longest block %8.1f us, full %llu  ", name,
           (double)records / (double)seconds, (double)median / BLOCK, (double)l.longest_ns / 1000,
           (unsigned long long)l.full);
    printf("thread %6.2f us/record",
           (double)atomic_load(&thread_ns) / 1000 / (double)(journal_last(j) - first));
    if (applied.replayed > 0) {
        printf("  replay %.0f/s", (double)applied.replayed * 1e9 / (double)replay_ns);
    }
    printf("\n");
    journal_close(&j);
    journal_apply_close(&a);
    store_close(&s);
}

int main(int argc, char **argv)
{
    char folder[256];
    (void)snprintf(folder, sizeof(folder), "%s/atlas-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (mkdtemp(folder) == NULL) {
        die(folder, ERR_FILE);
    }
    measure(folder, "200/s", 200, 3);
    measure(folder, "3000/s", 3000, 5);
    measure(folder, "10000/s", 10000, 5);
    measure(folder, "flood", 0, 5);
    measure(folder, "replay", 200, 1);
    printf("the records are in %s: remove it\n", folder);
    return 0;
}
