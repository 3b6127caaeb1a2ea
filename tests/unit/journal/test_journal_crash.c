/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_journal_crash.c — a process that is killed at any moment, in its work or in its recovery,
 * loses no record that it published and journals none twice.
 *
 * The child's workers tell in shared memory how far they have come. Each publishes, for calls 1, 2,
 * 3, …: an intent, then the call's completion, which was armed before; of every third call a second
 * try, too.
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
    _Atomic uint64_t changes;              /* admin records that were published */
    _Atomic uint64_t alive;                /* children whose workers run */
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

static struct journal_slot *take(struct journal_lane *lane)
{
    struct journal_slot *slot;
    while (journal_take(lane, &slot) != ERR_OK) {
        (void)sched_yield();
    }
    return slot;
}

/* Whether a call has a second try, which loses. */
static bool is_tried_twice(uint64_t call)
{
    return call % 3 == 0;
}

/* One of them loses: the second, or the first, whose place as the completion the second takes. */
static struct journal_slot *try_again(const struct worker *w, uint64_t call,
                                      struct journal_slot *completion)
{
    struct journal_slot *intent = take(w->lane), *end = take(w->lane);
    struct journal_record made = record_of(JOURNAL_TRY_END, id_of(w->number, call));
    *journal_slot_record(intent) = record_of(JOURNAL_INTENT, id_of(w->number, call));
    *journal_slot_record(end) = made;
    journal_slot_record(intent)->attempt = journal_slot_record(end)->attempt = 2;
    journal_arm(w->lane, end);
    (void)journal_publish(w->lane, intent);
    journal_slot_record(completion)->attempt = 2;
    if (call % 2 == 0) {
        (void)journal_publish(w->lane, end);
        return completion;
    }
    journal_record_update(journal_slot_record(completion), &made); /* made.attempt is 1 */
    (void)journal_publish(w->lane, completion);
    made = record_of(JOURNAL_COMPLETION, id_of(w->number, call));
    made.attempt = 2;
    journal_record_update(journal_slot_record(end), &made);
    return end;
}

static void *work(void *ctx)
{
    const struct worker *w = ctx;
    for (uint64_t call = atomic_load(&w->told->begun[w->number]) + 1;; call++) {
        struct journal_slot *intent = take(w->lane), *completion = take(w->lane);
        atomic_store(&w->told->begun[w->number], call);
        *journal_slot_record(intent) = record_of(JOURNAL_INTENT, id_of(w->number, call));
        *journal_slot_record(completion) = record_of(JOURNAL_COMPLETION, id_of(w->number, call));
        journal_arm(w->lane, completion);
        (void)journal_publish(w->lane, intent);
        atomic_store(&w->told->intents[w->number], call);
        if (is_tried_twice(call)) {
            completion = try_again(w, call, completion);
        }
        (void)journal_publish(w->lane, completion);
        atomic_store(&w->told->completions[w->number], call);
    }
    return NULL;
}

/* What an administrator does, one thing after the other, each once the one before is on the disk.
 */
static void *change(void *ctx)
{
    const struct worker *w = ctx;
    for (uint64_t n = atomic_load(&w->told->changes) + 1;; n++) {
        char object[24];
        struct journal_slot *slot = take(w->lane);
        struct journal_record *r = journal_slot_record(slot);
        char *state = journal_slot_state(w->lane, slot);
        r->kind = JOURNAL_ADMIN;
        (void)snprintf(object, sizeof(object), "%llu", (unsigned long long)n);
        journal_record_set(r, JOURNAL_TEXT_ACTION, SPAN("key.create"));
        journal_record_set(r, JOURNAL_TEXT_OBJECT, span_of(object));
        r->state_bytes = (uint32_t)snprintf(state, JOURNAL_STATE_MAX, "{\"n\":%s}", object);
        uint64_t ticket = journal_publish(w->lane, slot);
        while (!journal_await(w->lane, ticket)) {
            (void)sched_yield();
        }
        atomic_store(&w->told->changes, n);
    }
    return NULL;
}

static void live(const struct folder *f, struct told *told)
{
    struct journal_report report;
    struct journal *j;
    pthread_t threads[WORKERS + 1];
    struct worker workers[WORKERS + 1];
    struct journal_settings settings = journal_quick;
    settings.segment_bytes = 1 << 20;
    enum err e = journal_open(f->path, &settings, WORKERS, &nothing_seen, &report, &j);
    e = e == ERR_OK ? journal_start(j) : e;
    if (e != ERR_OK) {
        _exit((int)e);
    }
    for (size_t i = 0; i <= WORKERS; i++) { /* the last lane is housekeeping's */
        workers[i] = (struct worker){journal_lane(j, i), told, i};
        if (pthread_create(&threads[i], NULL, i < WORKERS ? work : change, &workers[i]) != 0) {
            _exit(ERR_NO_MEMORY);
        }
    }
    (void)atomic_fetch_add(&told->alive, 1); /* told when it changes */
    (void)pthread_join(threads[0], NULL);    /* never: the parent kills us */
}

static void recover(const struct folder *f, struct told *told)
{
    (void)told;
    struct journal_report report;
    struct journal *j;
    enum err e = journal_open(f->path, &journal_quick, 1, &nothing_seen, &report, &j);
    if (e != ERR_OK) {
        _exit((int)e);
    }
    for (;;) {
        (void)pause(); /* until the parent kills us */
    }
}

/* The child has ended, which it does not by itself: says how. */
static void fail_of(int status)
{
    if (WIFEXITED(status)) {
        fail_msg("the child gave up: %s", err_name((enum err)WEXITSTATUS(status)));
    }
    fail_msg("the child was ended by signal %d", WTERMSIG(status));
}

/* Waits until the child lives: how long it takes to get there is the machine's affair, for as long
 * as it is on its way. */
static void await_life(pid_t child, struct told *told, uint64_t before)
{
    struct timespec step = {.tv_nsec = 100000};
    int status;
    while (atomic_load(&told->alive) == before) {
        if (waitpid(child, &status, WNOHANG) == child) {
            fail_of(status);
        }
        (void)nanosleep(&step, NULL); /* between two looks; meson ends a test that hangs */
    }
}

/* Runs `doing` in a child and kills it after some time of up to `most_us`. */
static void kill_one(void (*doing)(const struct folder *, struct told *), const struct folder *f,
                     struct told *told, long most_us)
{
    uint64_t before = atomic_load(&told->alive);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        doing(f, told);
    }
    if (doing != recover) {
        await_life(child, told, before);
    }
    struct timespec until = {.tv_nsec = (lrand48() % most_us) * 1000};
    (void)nanosleep(&until, NULL); /* the moment of death is what is tested, not waited for */
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        fail_of(status);
    }
}

/* What the journal says of one worker's calls. */
struct seen {
    uint8_t *intents, *completions, *ends; /* how often, by call */
    uint64_t most;
};

static void count_one(const struct journal_record *r, struct seen *seen)
{
    if (r->kind == JOURNAL_RECOVERY || r->kind == JOURNAL_ORIGIN) {
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
        assert_int_equal(++s->intents[call], r->attempt);
    } else if (r->kind == JOURNAL_TRY_END) {
        /* Of a death before one had lost, the completion is the first one's. */
        bool is_open = r->outcome == JOURNAL_OUTCOME_INTERRUPTED && r->attempt == 2;
        assert_true(is_open || r->attempt == (call % 2 == 0 ? 2 : 1));
        assert_int_equal(s->intents[call], 2); /* both stand before it */
        assert_int_equal(s->ends[call]++, 0);
    } else {
        assert_int_equal(s->intents[call], r->attempt);
        assert_int_equal(s->completions[call]++, 0);
    }
}

/* Each was done once, in order; one whose writer was not told may be done again. */
static void count_change(const struct journal_record *r, struct span state, uint64_t *last)
{
    char expect[32];
    uint64_t n = 0;
    assert_true(span_to_u64(journal_record_text(r, JOURNAL_TEXT_OBJECT), UINT64_MAX, &n));
    (void)snprintf(expect, sizeof(expect), "{\"n\":%llu}", (unsigned long long)n);
    assert_true(span_is(state, expect));
    assert_true(n == *last + 1 || n == *last);
    *last = n;
}

/* The last change that is there. */
static uint64_t count_all(const struct folder *f, struct seen *seen)
{
    struct journal_place where;
    struct journal_reader *r;
    struct journal_record record;
    static struct journal_group group;
    uint8_t head[JOURNAL_HASH_BYTES] = {0};
    uint64_t first, change = 0;
    enum err e;
    assert_int_equal(journal_reader_open(f->journal, 0, &where, &r), ERR_OK);
    while ((e = journal_reader_next(r, &group, &first)) == ERR_OK) {
        struct span state;
        for (struct span line; journal_frame_next(&group.frames, &line); first++) {
            assert_int_equal(journal_record_parse(line, &record, &state), ERR_OK);
            assert_int_equal(record.sequence, first);
            assert_memory_equal(record.prev, head, sizeof(head));
            journal_leaf(line, head);
            if (record.kind == JOURNAL_ADMIN) {
                count_change(&record, state, &change);
            } else {
                count_one(&record, seen);
            }
        }
    }
    assert_int_equal(e, ERR_NOT_FOUND_ROW);
    journal_reader_close(&r);
    return change;
}

static void check(const struct folder *f, struct told *told, uint64_t lives)
{
    struct seen seen[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) {
        seen[i].most = atomic_load(&told->begun[i]);
        seen[i].intents = memory_new(seen[i].most + 1);
        seen[i].completions = memory_new(seen[i].most + 1);
        seen[i].ends = memory_new(seen[i].most + 1);
    }
    assert_true(count_all(f, seen) >= atomic_load(&told->changes));
    for (size_t i = 0; i < WORKERS; i++) {
        uint64_t begun = 0;
        for (uint64_t call = 1; call <= seen[i].most; call++) {
            begun += seen[i].intents[call] > 0;
            assert_int_equal(seen[i].intents[call], seen[i].completions[call] + seen[i].ends[call]);
            assert_int_equal(seen[i].completions[call], seen[i].intents[call] > 0);
        }
        /* A death leaves out at most the one call that was being begun. */
        assert_true(begun + lives >= seen[i].most);
        uint64_t last = atomic_load(&told->completions[i]);
        assert_true(last == 0 || seen[i].completions[last] == 1);
        for (uint64_t call = 1; call <= last; call++) { /* a death may come before a second try */
            assert_true(seen[i].ends[call] <= is_tried_twice(call));
        }
        assert_true(last == 0 || seen[i].ends[last] == is_tried_twice(last));
        last = atomic_load(&told->intents[i]);
        assert_true(last == 0 || seen[i].intents[last] >= 1);
        memory_free(seen[i].intents);
        memory_free(seen[i].completions);
        memory_free(seen[i].ends);
    }
}

/* The end of a call's try, armed for an intent that may be published or not. */
static struct journal_record *arm(struct journal_lane *lane, enum journal_kind kind, uint64_t call,
                                  uint8_t attempt)
{
    struct journal_slot *slot = take(lane);
    struct journal_record *r = journal_slot_record(slot);
    *r = record_of(kind, call);
    r->attempt = attempt;
    journal_arm(lane, slot);
    return r;
}

static void publish_intent(struct journal_lane *lane, uint64_t call, uint8_t attempt)
{
    struct journal_slot *slot = take(lane);
    *journal_slot_record(slot) = record_of(JOURNAL_INTENT, call);
    journal_slot_record(slot)->attempt = attempt;
    (void)journal_publish(lane, slot);
}

/* Calls that the death meets where they are noting something. */
static void stop_in_the_middle(const struct folder *f, struct told *told)
{
    struct journal_report report;
    struct journal *j;
    if (journal_open(f->path, &journal_quick, 1, &nothing_seen, &report, &j) != ERR_OK) {
        _exit(1);
    }
    struct journal_lane *lane = journal_lane(j, 0);
    for (uint64_t call = 1; call <= 3; call++) {
        struct journal_record *r = arm(lane, JOURNAL_COMPLETION, call, 1);
        publish_intent(lane, call, 1);
        if (call > 1) { /* a second try, of which call 2's completion does not know yet */
            (void)arm(lane, JOURNAL_TRY_END, call, 2);
            publish_intent(lane, call, 2);
        }
        r->kind = call == 3 ? JOURNAL_TRY_END : r->kind; /* that goes over to the second */
    }
    (void)arm(lane, JOURNAL_TRY_END, 1, 2); /* no intent of these comes */
    (void)arm(lane, JOURNAL_COMPLETION, 4, 1);
    (void)atomic_fetch_add(&told->alive, 1); /* told when it changes */
    for (;;) {
        (void)pause(); /* until the parent kills us */
    }
}

static void what_a_death_met_half_noted_is_exact(void **state)
{
    (void)state;
    struct told *told;
    static uint8_t intents[5], completions[5], ends[5];
    struct seen seen[WORKERS] = {{intents, completions, ends, 4}};
    struct folder f = folder_new();
    struct journal_report report;
    struct journal *j;
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    kill_one(stop_in_the_middle, &f, told, 1);
    assert_int_equal(journal_open(f.path, &journal_quick, 1, &nothing_seen, &report, &j), ERR_OK);
    journal_close(&j);
    assert_true(report.recovered == 10 && report.interrupted == 5 && report.discarded == 0);
    (void)count_all(&f, seen); /* whose end is whose is looked at there */
    assert_memory_equal(intents, "\0\1\2\2\0", 5);
    assert_memory_equal(completions, "\0\1\1\1\0", 5);
    assert_memory_equal(ends, "\0\0\1\1\0", 5);
    (void)munmap(told, sizeof(*told));
    folder_remove(&f);
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
        assert_int_equal(journal_open(f.path, &journal_quick, 1, &nothing_seen, &report, &j),
                         ERR_OK);
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
        cmocka_unit_test(what_a_death_met_half_noted_is_exact),
        cmocka_unit_test(killed_thirty_times_nothing_is_lost_and_nothing_enters_twice),
    };
    srand48(getpid());
    disk.no_waits = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
