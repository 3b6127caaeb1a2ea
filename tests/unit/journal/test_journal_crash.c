/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_journal_crash.c — a process that is killed at any moment, in its work or in its recovery,
 * loses no record that it published and journals none twice.
 *
 * The child's workers tell in shared memory how far they have come. Each publishes, for calls 1, 2,
 * 3, …: an intent, then (after it was armed) the call's completion.
 */
#include "unit.h"

#include "folder.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/memory.h"
#include "journal/journal_reader.h"

#define WORKERS 2
#define LIVES   30

struct told {
    _Atomic uint64_t intents[WORKERS];     /* calls whose intent was published */
    _Atomic uint64_t completions[WORKERS]; /* and whose completion was */
    _Atomic uint64_t begun[WORKERS];       /* calls that were begun */
    _Atomic uint32_t stop;
};

struct worker {
    struct journal_lane *lane;
    struct told *told;
    uint64_t number;
};

static uint64_t id_of(uint64_t worker, uint64_t call)
{
    return worker << 56 | call;
}

static void *work(void *ctx)
{
    const struct worker *w = ctx;
    for (uint64_t call = atomic_load(&w->told->begun[w->number]) + 1;; call++) {
        struct journal_slot *intent;
        struct journal_slot *completion;
        while (journal_take(w->lane, &intent) != ERR_OK) {
            (void)sched_yield();
        }
        while (journal_take(w->lane, &completion) != ERR_OK) {
            (void)sched_yield();
        }
        atomic_store(&w->told->begun[w->number], call);
        *journal_slot_record(intent) = record_of(JOURNAL_INTENT, id_of(w->number, call));
        *journal_slot_record(completion) = record_of(JOURNAL_COMPLETION, id_of(w->number, call));
        uint64_t ticket = journal_publish(w->lane, intent);
        atomic_store(&w->told->intents[w->number], call);
        journal_arm(completion, ticket);
        (void)journal_publish(w->lane, completion);
        atomic_store(&w->told->completions[w->number], call);
    }
    return NULL;
}

static void live(const struct folder *f, struct told *told)
{
    struct journal_report report;
    struct journal *j;
    pthread_t threads[WORKERS];
    struct worker workers[WORKERS];
    struct journal_settings settings = journal_quick;
    settings.segment_bytes = 1 << 20;
    if (journal_open(f->path, &settings, WORKERS, 0, &report, &j) != ERR_OK ||
        journal_start(j) != ERR_OK) {
        _exit(1);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){journal_lane(j, i), told, i};
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) {
            _exit(1);
        }
    }
    (void)pthread_join(threads[0], NULL); /* never: the parent kills us */
}

static void recover(const struct folder *f, struct told *told)
{
    (void)told;
    struct journal_report report;
    struct journal *j;
    _exit(journal_open(f->path, &journal_quick, 1, 0, &report, &j) == ERR_OK ? 0 : 1);
}

/* Runs `doing` in a child and kills it after some time of up to `most_us`. */
static void kill_one(void (*doing)(const struct folder *, struct told *), const struct folder *f,
                     struct told *told, long most_us)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        doing(f, told);
    }
    struct timespec until = {.tv_nsec = (lrand48() % most_us) * 1000};
    (void)nanosleep(&until, NULL); /* the moment of death is what is tested, not waited for */
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

/* What the journal says of one worker's calls. */
struct seen {
    uint8_t *intents, *completions; /* how often, by call */
    uint64_t most;
};

static void count_one(const struct journal_record *r, struct seen *seen)
{
    if (r->kind == JOURNAL_RECOVERY) {
        return; /* the death tore a group: its records are still in their slots */
    }
    uint64_t id = call_of(r);
    struct seen *s = &seen[id >> 56];
    uint64_t call = id & 0xffffff;
    if (call == 0 || call > s->most) {
        fail_msg("record %lld: worker %llu, call %llu of %llu", (long long)r->sequence,
                 (unsigned long long)(id >> 56), (unsigned long long)call,
                 (unsigned long long)s->most);
    }
    if (r->kind == JOURNAL_INTENT) {
        assert_int_equal(s->intents[call]++, 0);
    } else {
        assert_int_equal(s->intents[call], 1); /* the intent stands before it */
        assert_int_equal(s->completions[call]++, 0);
    }
}

static void count_all(const struct folder *f, struct seen *seen)
{
    struct journal_place where;
    struct journal_reader *r;
    struct journal_record record;
    static struct journal_group group;
    uint64_t first;
    enum err e;
    assert_int_equal(journal_reader_open(f->journal, 0, &where, &r), ERR_OK);
    while ((e = journal_reader_next(r, &group, &first)) == ERR_OK) {
        for (struct span line; journal_frame_next(&group.frames, &line); first++) {
            assert_int_equal(journal_record_parse(line, &record), ERR_OK);
            assert_int_equal(record.sequence, first);
            count_one(&record, seen);
        }
    }
    assert_int_equal(e, ERR_NOT_FOUND_ROW);
    journal_reader_close(&r);
}

static void check(const struct folder *f, struct told *told, uint64_t lives)
{
    struct seen seen[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) {
        seen[i].most = atomic_load(&told->begun[i]);
        seen[i].intents = memory_new(seen[i].most + 1);
        seen[i].completions = memory_new(seen[i].most + 1);
    }
    count_all(f, seen);
    for (size_t i = 0; i < WORKERS; i++) {
        uint64_t intents = 0;
        uint64_t open = 0;
        for (uint64_t call = 1; call <= seen[i].most; call++) {
            intents += seen[i].intents[call];
            open += seen[i].intents[call] > seen[i].completions[call];
        }
        /* A death leaves out at most the one call that was being begun, and leaves at most one
         * whose intent was published and whose completion was not yet armed. */
        assert_true(intents + lives >= seen[i].most);
        assert_true(open <= lives);
        uint64_t last = atomic_load(&told->completions[i]);
        assert_true(last == 0 || seen[i].completions[last] == 1);
        last = atomic_load(&told->intents[i]);
        assert_true(last == 0 || seen[i].intents[last] == 1);
        memory_free(seen[i].intents);
        memory_free(seen[i].completions);
    }
}

static void killed_thirty_times_nothing_is_lost_and_nothing_enters_twice(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct told *told =
        mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    for (uint64_t life = 1; life <= LIVES; life++) {
        struct journal_report report;
        struct journal *j;
        kill_one(live, &f, told, 30000);
        if (life % 3 == 0) {
            kill_one(recover, &f, told, 3000);
        }
        assert_int_equal(journal_open(f.path, &journal_quick, 1, 0, &report, &j), ERR_OK);
        assert_int_equal(report.discarded, 0);
        journal_close(&j);
        if (life % 10 == 0) {
            check(&f, told, life);
        }
    }
    uint64_t calls = atomic_load(&told->begun[0]) + atomic_load(&told->begun[1]);
    print_message("%llu calls\n", (unsigned long long)calls);
    assert_true(calls > LIVES);
    (void)munmap(told, sizeof(*told));
    folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_thirty_times_nothing_is_lost_and_nothing_enters_twice),
    };
    srand48(getpid());
    disk.no_waits = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
