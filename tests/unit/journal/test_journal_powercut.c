/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_journal_powercut.c — before each thing that a journal does to its disk, it is killed and the
 * power is cut, in its work and in its recovery: what was promised is there, each try has one end,
 * and the store says what the journal says.
 *
 * A script of calls (some with two tries), streams in progress and changes of keys goes on between
 * any two things that the journal does, also within its thread: so each of its moments is met.
 */
#include "unit.h"

#include "script.h"

#include "journal/journal_apply.h"
#include "journal/journal_internal.h"
#include "journal/journal_reader.h"

#define LIVES       2
#define STEPS       40 /* a life, at least */
#define DEEP_ONE_OF 60

/* ---- what was promised ---- */

static void promise(uint64_t sequence, struct span line)
{
    assert_true(sequence == run.promised + 1 && sequence < LINES_MAX);
    char *kept = calloc(1, line.len + 1);
    assert_non_null(kept);
    memcpy(kept, line.at, line.len);
    run.lines[sequence] = kept;
    run.promised = sequence;
}

static size_t key_of(const struct journal_record *r)
{
    uint64_t k = 0;
    struct span id = journal_record_text(r, JOURNAL_TEXT_OBJECT);
    assert_true(span_to_u64(span_cut(id, 8, 4), KEYS, &k));
    return (size_t)k;
}

static void on_record(void *ctx, const struct journal_told *told)
{
    (void)ctx;
    disk_enter();
    promise((uint64_t)told->record->sequence, told->line);
    if (told->record->kind == JOURNAL_ADMIN) {
        run.keys_told[key_of(told->record)]++;
    }
    disk_leave();
}

/* ---- what is there after a death ---- */

struct found {
    int intents[CALLS + 1], try_ends[CALLS + 1], completions[CALLS + 1];
    int64_t calls, tokens_out, cost, cut_bytes;
    int keys[KEYS];
    uint64_t last;
};

static void look_at_end(const struct journal_record *r, uint64_t call, struct found *f)
{
    bool was_sent = r->kind == JOURNAL_TRY_END ? r->sent != 0 : r->attempts_sent != 0;
    f->calls += r->kind == JOURNAL_COMPLETION;
    f->completions[call] += r->kind == JOURNAL_COMPLETION;
    f->try_ends[call] += r->kind == JOURNAL_TRY_END;
    f->tokens_out += r->tokens_out;
    f->cost += r->cost_nano;
    if (r->outcome == JOURNAL_OUTCOME_INTERRUPTED) {
        assert_int_equal(r->cost_nano, was_sent ? RESERVED : 0);
        assert_true(says(r, JOURNAL_TEXT_ERROR, err_name(ERR_INTERRUPTED)));
    } else {
        assert_int_equal(r->cost_nano, 7);
    }
}

static void look_at(const struct journal_record *r, struct found *f)
{
    uint64_t call = call_of(r);
    if (r->outcome == JOURNAL_OUTCOME_REFUSED) {
        f->calls++; /* it was what a recovery went on with */
    } else if (r->kind == JOURNAL_ADMIN) {
        f->keys[key_of(r)]++;
    } else if (r->kind == JOURNAL_RECOVERY) {
        f->cut_bytes = r->cut_bytes;
    } else if (r->kind != JOURNAL_ORIGIN) {
        assert_true(call >= 1 && call <= CALLS && r->attempt >= 1 && r->attempt <= 2);
        if (r->kind == JOURNAL_INTENT) {
            f->intents[call]++;
        } else {
            look_at_end(r, call, f);
        }
    }
}

/* Reads all of a journal: its chain is whole, and what was promised stands where it stood. */
static void read_all(const struct folder *at, struct found *f)
{
    static struct journal_group group;
    struct journal_place where;
    struct journal_reader *r;
    struct journal_record record;
    uint8_t head[JOURNAL_HASH_BYTES] = {0};
    uint64_t first;
    enum err e;
    *f = (struct found){.last = 0};
    assert_int_equal(journal_reader_open(at->journal, 0, &where, &r), ERR_OK);
    while ((e = journal_reader_next(r, &group, &first)) == ERR_OK) {
        for (struct span line; journal_frame_next(&group.frames, &line); first++) {
            assert_int_equal(journal_record_parse(line, &record, NULL), ERR_OK);
            assert_int_equal(record.sequence, ++f->last);
            assert_memory_equal(record.prev, head, sizeof(head));
            journal_leaf(line, head);
            if (f->last <= run.promised && !span_is(line, run.lines[f->last])) {
                fail_msg("record %llu is %.*s", (unsigned long long)f->last, SPAN_ARGS(line));
            }
            look_at(&record, f);
        }
    }
    assert_int_equal(e, ERR_NOT_FOUND_ROW);
    assert_int_equal(journal_reader_tail(r), 0);
    assert_true(f->last >= run.promised);
    journal_reader_close(&r);
}

/* Each call that is there has one completion, each try but one an end: but a second one that died
 * between its intent and its end, before it was sent. After a kill all that was published is there.
 */
static void check_tries(const struct found *f, bool was_cut)
{
    for (uint64_t call = 1; call <= CALLS; call++) {
        const enum came *came = run.came[call];
        int published = (came[1] != NOT_BEGUN) + (came[2] != NOT_BEGUN);
        int intents = f->intents[call], ends = f->try_ends[call];
        bool is_right = ends == intents - 1 || (ends == intents - 2 && came[2] == BEGUN);
        if (f->completions[call] != (intents > 0) || intents > published ||
            (!was_cut && intents < published) || (intents > 0 && !is_right)) {
            fail_msg("call %llu: %d intents of %d, %d ends, %d completions",
                     (unsigned long long)call, intents, published, ends, f->completions[call]);
        }
    }
}

static enum err add_usage(void *context, const struct store_usage *u)
{
    struct found *f = context;
    f->calls -= u->calls + u->refused;
    f->tokens_out -= u->tokens_out;
    f->cost -= u->cost_nano;
    return ERR_OK;
}

/* The store says what the journal does: sums, and keys. */
static void check_store(struct store *s, struct found *f, bool was_cut)
{
    uint64_t open;
    const struct store_usage_filter all = {.from = INT32_MIN, .to = INT32_MAX};
    assert_int_equal(store_usage_list(s, &all, add_usage, f), ERR_OK);
    assert_true(f->calls == 0 && f->tokens_out == 0 && f->cost == 0);
    assert_int_equal(store_open_call_count(s, &open), ERR_OK);
    assert_int_equal(open, 0);
    for (size_t k = 0; k < KEYS; k++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "AAAAaaaa%04u", (unsigned)k);
        struct store_key key = {.id = span_of(id)};
        enum err e = store_key_get(s, &key);
        int is = e == ERR_NOT_FOUND_ROW ? 0 : key.revoked.us == 0 ? 1 : 2;
        assert_true(is == f->keys[k] && is >= run.keys_told[k] && is <= run.keys[k]);
        assert_true(was_cut || is == run.keys[k]);
    }
}

static struct journal_seen seen_now(void)
{
    struct journal_seen seen = {.sequence = run.promised};
    if (run.promised > 0) {
        memcpy(seen.origin, run.origin, sizeof(seen.origin));
        journal_leaf(span_of(run.lines[run.promised]), seen.head);
    }
    return seen;
}

/* A recovery in which it may die again: what went before, and what a store has of it by then. */
static struct {
    bool was_cut;
    struct journal_seen seen;
} watched;

/* The image is opened, and all of it looked at. */
static void recover(const struct folder *at, bool was_cut)
{
    struct journal_report report;
    struct journal_apply_report applied;
    struct journal_apply *a;
    struct journal *j;
    struct store *s;
    struct found f;
    struct journal_seen seen = watched.seen; /* a store that has all, or, as often, none of it */
    const struct store_settings settings = {.driver = "memory"};
    enum err e =
        journal_open(at->path, &small, 1, disk_any(2) == 0 ? &seen : &nothing_seen, &report, &j);
    if (e != ERR_OK) {
        fail_msg("%s, flaw %d, at %s %llu", err_name(e), (int)report.flaw, report.place.file,
                 (unsigned long long)report.place.offset);
    }
    assert_int_equal(report.discarded, 0);
    int64_t torn = (int64_t)report.torn_bytes;
    assert_int_equal(store_open(&settings, &s), ERR_OK);
    assert_int_equal(journal_apply_open(j, s, &applied, &a), ERR_OK);
    if (at == &run.images[0]) { /* from here on that is promised, too */
        assert_int_equal(journal_apply_seen(s, &watched.seen), ERR_OK);
        seen = watched.seen;
    }
    struct journal_record more = numbered(JOURNAL_COMPLETION, 1, 0); /* and on it goes */
    more.attempt = 0;
    more.outcome = JOURNAL_OUTCOME_REFUSED;
    journal_apply_close(&a);
    journal_close(&j);
    read_all(at, &f);
    assert_true(torn == 0 || f.cut_bytes == torn); /* what was cut off is told */
    check_tries(&f, was_cut);
    check_store(s, &f, was_cut);
    store_close(&s);
    if (at != &run.images[0] && disk_any(4) != 0) {
        return;
    }
    assert_int_equal(journal_open(at->path, &small, 1, &seen, &report, &j), ERR_OK);
    assert_true(report.torn_bytes == 0 && report.recovered == 0 && report.last_sequence == f.last);
    assert_int_equal(journal_append(j, &more, 1), ERR_OK);
    journal_close(&j);
}

/* ---- deaths ---- */

/* Of a lane what was used, as it is; after a power cut any pages of it. */
static void copy_lane(const char *from, int to, bool was_cut)
{
    static uint8_t bytes[3 << 19];
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t len = read(fd, bytes, sizeof(bytes));
    assert_true(len >= 0 && (size_t)len < sizeof(bytes));
    const struct journal_lane_file *file = (const void *)bytes;
    size_t used = len < JOURNAL_LANE_PAGE
                      ? (size_t)len
                      : JOURNAL_LANE_PAGE + (size_t)file->slot_bytes * atomic_load(&file->touched);
    for (size_t page = 0; was_cut && page + 4096 <= used; page += 4096) {
        memset(bytes + page, 0, disk_any(3) == 0 ? 4096 : 0);
    }
    assert_int_equal(write(to, bytes, used), used);
    assert_int_equal(ftruncate(to, len), 0);
    assert_int_equal(close(fd), 0);
}

/* Makes the folder of `d`, which death left of the one at `from`. */
static void make_folder(struct disk *d, const struct folder *at, const struct folder *from,
                        bool was_cut)
{
    (void)snprintf(d->path, sizeof(d->path), "%s", at->path);
    folder_empty(at->journal);
    (void)rmdir(at->journal);
    assert_true(!d->is_named || mkdir(at->journal, 0700) == 0);
    for (size_t i = 0; d->is_named && i < d->live.count; i++) {
        char path[128], lane[128];
        const struct file *f = d->live.at[i].file;
        (void)snprintf(path, sizeof(path), "%s/%s", at->journal, d->live.at[i].name);
        (void)snprintf(lane, sizeof(lane), "%s/%s", from->journal, d->live.at[i].name);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        if (f->is_lane && strcmp(d->live.at[i].name, JOURNAL_RESERVE_NAME) != 0) {
            copy_lane(lane, fd, was_cut);
        } else if (!f->is_lane) {
            assert_int_equal(write(fd, f->live, f->size), f->size);
        }
        assert_int_equal(close(fd), 0);
    }
    if (!d->is_named) {
        d->live.count = d->kept.count = d->since_count = 0;
    }
}

static void on_deep_point(struct disk *d, const char *what);

/* Lets `d` die, whose folder is `from`, and recovers. */
static void die(struct disk *d, enum death death, const struct folder *from, bool was_cut,
                bool is_watched)
{
    struct disk left;
    const struct folder *at = &run.images[from == &run.folder ? 0 : 1];
    bool is_cut = was_cut || death != KILLED;
    char boot[sizeof(disk_boot)];
    memcpy(boot, disk_boot, sizeof(boot));
    disk_die(d, death, &left);
    make_folder(&left, at, from, death != KILLED);
    if (death != KILLED) {
        (void)snprintf(disk_boot, sizeof(disk_boot), "00000000-0000-0000-0001-%012llu",
                       (unsigned long long)++run.boots);
    }
    run.deaths++;
    if (from == &run.folder) {
        watched.was_cut = is_cut;
        watched.seen = seen_now();
    }
    if (is_watched) {
        left.on_point = on_deep_point;
        disk_begin(&left);
    }
    recover(at, is_cut);
    disk_end(&left);
    disk_free(&left);
    memcpy(disk_boot, boot, sizeof(boot));
}

static void on_deep_point(struct disk *d, const char *what)
{
    (void)what;
    die(d, disk_any(2) == 0 ? KILLED : CUT_ANY, &run.images[0], watched.was_cut, false);
}

static void on_point(struct disk *d, const char *what)
{
    static const enum death deaths[] = {KILLED, CUT_NOTHING, CUT_ALL, CUT_ANY, CUT_ANY};
    bool is_rare = strcmp(what, "sync of a folder") == 0 && d->since_count > 0;
    run.points++;
    for (size_t i = 0; i < ROWS(deaths); i++) {
        die(d, deaths[i], &run.folder, false, (is_rare && i == 0) || disk_any(DEEP_ONE_OF) == 0);
    }
    for (uint64_t i = disk_any(4); i > 0 && run.journal != NULL && !run.is_over; i--) {
        step();
    }
}

/* ---- a life ---- */

static void open_journal(void)
{
    struct journal_report report;
    struct journal *j;
    struct journal_seen seen = seen_now();
    struct found f;
    assert_int_equal(journal_open(run.folder.path, &small, 1, &seen, &report, &j), ERR_OK);
    memcpy(run.origin, report.origin, sizeof(run.origin));
    if (run.promised == 0) { /* the origin, which listeners do not hear of */
        static struct journal_group group;
        struct journal_place where;
        struct journal_reader *r;
        struct span line;
        uint64_t first;
        assert_int_equal(journal_reader_open(run.folder.journal, 0, &where, &r), ERR_OK);
        do {
            assert_int_equal(journal_reader_next(r, &group, &first), ERR_OK);
        } while (!journal_frame_next(&group.frames, &line));
        promise(1, line);
        journal_reader_close(&r);
    }
    read_all(&run.folder, &f);
    assert_int_equal(f.last, run.promised);
    journal_listen(j, &(struct journal_listener){.on_record = on_record});
    run.journal = j;
    run.is_over = false;
    assert_int_equal(journal_start(j), ERR_OK);
}

static void end_all(void)
{
    disk_enter();
    run.is_over = true;
    for (int number = 2; number >= 1; number--) {
        for (size_t i = 0; i < OPEN_MAX; i++) {
            struct try *t = &run.open[i];
            if (t->call != 0 && t->number == number) {
                if (run.came[t->call][number] == BEGUN) {
                    go_on(t);
                }
                end_try(t);
            }
        }
    }
    disk_leave();
}

static void live(void)
{
    open_journal();
    for (int i = 0; i < STEPS; i++) {
        disk_enter();
        step();
        bool settles = disk_any(3) == 0;
        disk_leave();
        if (settles) {
            assert_int_equal(journal_settle(run.journal), ERR_OK);
        }
    }
    end_all();
    journal_close(&run.journal);
}

/* In memory where that can be: a real disk has nothing to say in this, and takes its time. */
static struct folder new_folder(void)
{
    struct folder f = {.path = "/dev/shm/atlas-journal-XXXXXX"};
    if (mkdtemp(f.path) == NULL) {
        return folder_new();
    }
    (void)snprintf(f.journal, sizeof(f.journal), "%s/journal", f.path);
    return f;
}

static void wherever_it_dies_what_was_promised_is_there_and_nothing_twice(void **state)
{
    (void)state;
    pthread_mutexattr_t how;
    assert_int_equal(pthread_mutexattr_init(&how), 0);
    assert_int_equal(pthread_mutexattr_settype(&how, PTHREAD_MUTEX_RECURSIVE), 0);
    assert_int_equal(pthread_mutex_init(&disk_lock, &how), 0);
    run.folder = new_folder();
    run.images[0] = new_folder();
    run.images[1] = new_folder();
    (void)snprintf(run.disk.path, sizeof(run.disk.path), "%s", run.folder.path);
    run.disk.on_point = on_point;
    disk_begin(&run.disk);
    for (int life = 0; life < LIVES; life++) {
        live();
    }
    disk_end(&run.disk);
    print_message("%llu points, %llu deaths, %llu records, %llu calls\n",
                  (unsigned long long)run.points, (unsigned long long)run.deaths,
                  (unsigned long long)run.promised, (unsigned long long)run.calls);
    assert_true(run.points > 80 && run.promised > 60);
    disk_free(&run.disk);
    folder_remove(&run.folder);
    folder_remove(&run.images[0]);
    folder_remove(&run.images[1]);
    for (uint64_t i = 1; i <= run.promised; i++) {
        free(run.lines[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wherever_it_dies_what_was_promised_is_there_and_nothing_twice),
    };
    disk_random ^= (uint64_t)getpid() << 20; /* every run dies otherwise */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
