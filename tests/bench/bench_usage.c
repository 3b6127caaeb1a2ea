/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_usage.c — how large a month of calls is in the store, and how long reports of it take.
 *
 * usage: bench_usage [FOLDER [CALLS]]    /tmp and ten million if not given
 *
 * A month of calls of 1,000 keys in 100 teams, evenly spread: each key asks three of twelve models,
 * each of which two model servers serve. They go the way of the journal's records, an hour a batch.
 *
 *   apply    summing the records and writing the rows
 *   report   GET /admin/v1/usage, its answer in JSON; cold: the file is read from the disk
 *   keep     summing up the month's hours into days
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "admin/admin_operations.h"
#include "journal/journal_batch.h"
#include "store/store_usage.h"

#define KEYS       1000
#define TEAMS      100
#define MODELS     12
#define DAYS       30
#define FIRST_HOUR ((int64_t)20758 * 24) /* 2026-11-01 */
#define HOURS      (DAYS * 24)

struct bench {
    struct store *store;
    char path[256];
    int64_t calls;
    uint64_t chance;
};

static double now_s(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t); /* these clocks exist */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(enum err e, const char *what)
{
    if (e != ERR_OK) {
        fprintf(stderr, "%s: %s\n", what, err_sentence(e));
        exit(1);
    }
}

/* xorshift64: the same calls in every run. */
static uint32_t chance(struct bench *b, uint32_t below)
{
    b->chance ^= b->chance << 13;
    b->chance ^= b->chance >> 7;
    b->chance ^= b->chance << 17;
    return (uint32_t)(b->chance >> 33) % below;
}

/* Sets a text to a name and a number of so many digits. */
static void set(struct journal_record *r, enum journal_text which, const char *name, int digits,
                uint32_t number)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%s%0*u", name, digits, number);
    journal_record_set(r, which, span_of(text));
}

static void make_call(struct bench *b, int64_t hour, struct journal_record *r)
{
    uint32_t key = chance(b, KEYS);
    uint32_t model = (key + chance(b, 3) * 5) % MODELS;
    *r = (struct journal_record){.kind = JOURNAL_COMPLETION,
                                 .outcome = JOURNAL_OUTCOME_OK,
                                 .attempts_sent = 1,
                                 .tokens_in = 100 + chance(b, 2000),
                                 .tokens_out = chance(b, 800),
                                 .bytes_in = 400 + chance(b, 8000),
                                 .bytes_out = chance(b, 4000),
                                 .cost_nano = chance(b, 5000000)};
    r->started_ms = hour * 3600000 + chance(b, 3600000);
    set(r, JOURNAL_TEXT_KEY, "Key", 9, key);
    set(r, JOURNAL_TEXT_TEAM, "team_SampleTeam", 2, key % TEAMS);
    set(r, JOURNAL_TEXT_USER, "user_Sample", 6, key / 2);
    set(r, JOURNAL_TEXT_ORGANISATION, "org_SampleOrg", 3, 1);
    set(r, JOURNAL_TEXT_MODEL, "model-of-number-", 2, model);
    set(r, JOURNAL_TEXT_UPSTREAM, "gpu-server-", 2, model * 2 + chance(b, 2));
    journal_record_set(r, JOURNAL_TEXT_POLICY, SPAN("direct"));
    journal_record_set(r, JOURNAL_TEXT_CURRENCY, SPAN("USD"));
}

static void apply(struct bench *b)
{
    struct journal_batch batch;
    journal_batch_init(&batch, (size_t)256 << 20);
    int64_t sequence = 0;
    for (int64_t hour = 0; hour < HOURS; hour++) {
        int64_t end = b->calls * (hour + 1) / HOURS;
        while (sequence < end) {
            struct journal_record r;
            make_call(b, FIRST_HOUR + hour, &r);
            r.sequence = ++sequence;
            must(journal_batch_add(&batch, &(struct journal_told){.record = &r}), "adding");
        }
        must(journal_batch_apply(&batch, b->store), "applying");
        uint64_t last = batch.last;
        journal_batch_fini(&batch);
        batch.last = last; /* the next one follows */
    }
    journal_batch_fini(&batch);
}

static void open_store(struct bench *b)
{
    const struct store_settings settings = {.driver = "sqlite", .path = b->path};
    must(store_open(&settings, &b->store), "opening");
}

/* The next one to read it finds nothing of it in memory. */
static void forget(struct bench *b)
{
    store_close(&b->store);
    int fd = open(b->path, O_RDONLY | O_CLOEXEC);
    (void)fsync(fd);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)close(fd);
    open_store(b);
}

static void report(struct bench *b, const char *query)
{
    static const char *const ways[] = {"cold", "warm"};
    for (int way = 0; way < 2; way++) {
        struct buf out;
        struct admin_answer answer;
        const struct admin_request request = {.method = HTTP_GET,
                                              .path = SPAN("/admin/v1/usage"),
                                              .query = span_of(query),
                                              .right = {.is_local = true}};
        buf_init(&out, (size_t)1 << 30);
        if (way == 0) {
            forget(b);
        }
        double began = now_s(CLOCK_MONOTONIC);
        must(admin_operate(&(const struct admin_means){0}, b->store, &request, (wall_us){0}, &out,
                           &answer),
             query);
        printf("report  %s  %7.1f ms, %zu bytes: %s\n", ways[way],
               (now_s(CLOCK_MONOTONIC) - began) * 1e3, buf_span(&out).len, query);
        buf_fini(&out);
    }
}

static void say_size(struct bench *b)
{
    struct stat file;
    uint64_t rows;
    must(store_usage_count(b->store, &rows), "counting");
    store_close(&b->store); /* the log goes into the file */
    if (stat(b->path, &file) != 0) {
        exit(1);
    }
    open_store(b);
    printf("size    %llu rows, %.1f MB: %.1f bytes a row, %.1f a call\n", (unsigned long long)rows,
           (double)file.st_size / 1e6, (double)file.st_size / (double)rows,
           (double)file.st_size / (double)b->calls);
}

static void keep(struct bench *b)
{
    struct store_usage_keeper k = {.is_done = false};
    double began = now_s(CLOCK_MONOTONIC), longest = 0;
    int steps = 0;
    for (; !k.is_done; steps++) {
        double step = now_s(CLOCK_MONOTONIC);
        must(store_usage_keep(b->store, &k, (int32_t)FIRST_HOUR + HOURS, INT32_MIN), "keeping");
        step = now_s(CLOCK_MONOTONIC) - step;
        longest = step > longest ? step : longest;
    }
    printf("keep    %.1f s in %d steps, the longest %.1f ms\n", now_s(CLOCK_MONOTONIC) - began,
           steps, longest * 1e3);
}

static void report_all(struct bench *b)
{
    static const char *const queries[] = {
        "team=team_SampleTeam07&by=model&from=2026-11-01&to=2026-12-01",
        "team=team_SampleTeam07&by=day,key,model&from=2026-11-01&to=2026-12-01&limit=250000",
        "by=key&key=Key000000007&from=2026-11-01&to=2026-12-01",
        "by=team&from=2026-11-14&to=2026-11-15",
        "by=team,model&from=2026-11-01&to=2026-12-01&limit=250000",
    };
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        report(b, queries[i]);
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.calls = argc > 2 ? atoll(argv[2]) : 10000000, .chance = 88172645463325252};
    (void)snprintf(b.path, sizeof(b.path), "%s/bench_usage.db", argc > 1 ? argv[1] : "/tmp");
    (void)unlink(b.path);
    open_store(&b);
    double began = now_s(CLOCK_MONOTONIC);
    apply(&b);
    printf("apply   %lld calls in %.1f s\n", (long long)b.calls, now_s(CLOCK_MONOTONIC) - began);
    say_size(&b);
    report_all(&b);
    keep(&b);
    say_size(&b);
    report_all(&b);
    store_close(&b.store);
    (void)unlink(b.path);
    return 0;
}
