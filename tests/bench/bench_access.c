/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_access.c — what a call pays for limits and budgets, and what a million keys of many teams
 * cost in memory and at the start.
 *
 * usage: bench_access [KEYS [FOLDER]]    a million keys if not given, with a team for each hundred
 *                                        and a user for each ten of them
 *
 * Nanoseconds are the processor's, of the fastest of many rounds: what the code costs when nothing
 * else disturbs it.
 * Callers come in an order that the processor's caches cannot guess. `admission` is all that is
 * asked before something is sent and settled behind it: the address, then a request, a place,
 * tokens and money of the key, its user, their team, its organisation and a tag that it bears, and
 * the windows' names.
 *
 *   nothing is limited   rows of people alone
 *   teams                each team has a plan, and a budget of money; the tag and the
 *                        organisation have both, too
 *   everybody's rates    each key and each user has requests, tokens and a number of calls at once,
 *                        by what their team gives them
 *   everybody's budgets  and a budget of money each
 *
 * With FOLDER, a data folder that `atlas init` made, its store is filled (teams) and nothing else
 * is done: so that a whole gateway can be started on it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_recorder.h"

#include "access/access.h"
#include "base/memory.h"
#include "keys/key_pepper.h"
#include "keys/keys_change.h"
#include "limits/limits_gate.h"

#define ROUNDS     15
#define SAMPLE     20000
#define MANY       1000000
#define KEYS_TEAM  100 /* keys a team */
#define KEYS_USER  10  /* of these a user */
#define PARTS_MOST 32
#define MIB        (1024.0 * 1024.0)
#define MUST(e)    must((e), #e)
#define NOW        ((wall_us){INT64_C(1795489200000000)})

struct place {
    char folder[32], pepper[256], path[256];
    struct store *store;
    struct keys *keys;
    struct access *access;
    size_t keys_wanted;
    struct key_handle *sample;
    struct limits_subjects *who;
};

static uint64_t sink; /* what was computed is used, or the compiler would not compute it */

static void must(enum err e, const char *what)
{
    if (e != ERR_OK) {
        (void)fprintf(stderr, "%s: %s\n", what, err_name(e));
        exit(1);
    }
}

static void must_be(bool is, const char *what)
{
    if (!is) {
        (void)fprintf(stderr, "%s is not so\n", what);
        exit(1);
    }
}

/* What the process has in memory. */
static double resident_mib(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    must_be(f != NULL && fscanf(f, "%ld %ld", &pages, &resident) == 2, "/proc/self/statm");
    (void)fclose(f); /* it was only read */
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / MIB;
}

static struct span name_of(const char *prefix, size_t number, char out[32])
{
    int len = snprintf(out, 32, "%s%012zu", prefix, number); /* fits */
    return span_make(out, (size_t)len);
}

/* ---- the rows ---- */

static void make_people(struct place *p)
{
    char id[32], other[32];
    struct store_organisation org = {.id = SPAN("org_000000000000"), .name = SPAN("ministry")};
    struct store_plan plan = {.id = SPAN("plan_00000000000"), .name = SPAN("professional")};
    MUST(store_organisation_insert(p->store, &org));
    MUST(store_plan_insert(p->store, &plan));
    for (size_t i = 0; i < p->keys_wanted / KEYS_TEAM; i++) {
        struct store_team team = {.id = name_of("team_", i, id),
                                  .name = name_of("team ", i, other),
                                  .organisation = org.id,
                                  .plan = plan.id};
        MUST(store_team_insert(p->store, &team));
    }
    for (size_t i = 0; i < p->keys_wanted / KEYS_USER; i++) {
        struct store_user user = {.id = name_of("user_", i, id),
                                  .name = SPAN("somebody"),
                                  .team = name_of("team_", i * KEYS_USER / KEYS_TEAM, other)};
        MUST(store_user_insert(p->store, &user));
    }
}

static void make_keys(struct place *p)
{
    char team[32], user[32], id[KEY_ID_CHARS + 1];
    struct key_text text;
    MUST(keys_open(p->pepper, &p->keys));
    for (size_t i = 0; i < p->keys_wanted; i++) {
        const struct key_wish wish = {.kind = KEY_LIVE,
                                      .name = SPAN("a service of some team"),
                                      .team = name_of("team_", i / KEYS_TEAM, team),
                                      .user = name_of("user_", i / KEYS_USER, user),
                                      .grant.tags = SPAN("env=prod")};
        MUST(keys_create(p->keys, p->store, &wish, NOW, &text, id));
    }
    keys_close(&p->keys);
}

static void limit(struct place *p, struct span id)
{
    struct store_limit row = {.id = id,
                              .requests_per_minute = 1000000000,
                              .burst = 1000000000,
                              .tokens_per_minute = 1000000000,
                              .concurrent = 1000000};
    MUST(store_limit_insert(p->store, &row));
}

static void give(struct place *p, struct span id, struct span subject)
{
    struct store_budget row = {.id = id,
                               .subject = subject,
                               .currency = SPAN("USD"),
                               .amount = INT64_MAX / 4,
                               .window = LIMITS_MONTH,
                               .zone = SPAN("Asia/Riyadh")};
    MUST(store_budget_insert(p->store, &row));
}

static void limit_teams(struct place *p)
{
    char id[32], team[32];
    limit(p, SPAN("plan_00000000000"));
    limit(p, SPAN("org_000000000000"));
    give(p, SPAN("budget_org000000000"), SPAN("org_000000000000"));
    struct store_tag tag = {.id = SPAN("tag_000000000000"), .name = SPAN("env=prod")};
    MUST(store_tag_insert(p->store, &tag));
    limit(p, tag.id);
    give(p, SPAN("budget_tag000000000"), tag.id);
    for (size_t i = 0; i < p->keys_wanted / KEYS_TEAM; i++) {
        give(p, name_of("budget_", i, id), name_of("team_", i, team));
    }
}

static const char *const ends[] = {"/key", "/user"};

/* What a team gives each of its keys, or users. */
static struct span each_of(size_t team, size_t end, char out[64])
{
    int len = snprintf(out, 64, "team_%012zu%s", team, ends[end]); /* fits */
    return span_make(out, (size_t)len);
}

static void limit_everybody(struct place *p)
{
    char subject[64];
    for (size_t i = 0; i < p->keys_wanted / KEYS_TEAM * 2; i++) {
        limit(p, each_of(i / 2, i % 2, subject));
    }
}

static void give_everybody(struct place *p)
{
    char id[32], subject[64];
    for (size_t i = 0; i < p->keys_wanted / KEYS_TEAM * 2; i++) {
        give(p, name_of(i % 2 == 0 ? "budget_k" : "budget_u", i / 2, id),
             each_of(i / 2, i % 2, subject));
    }
}

/* ---- figures ---- */

static void take_sample(struct place *p)
{
    const struct key_table *table = keys_table(p->keys);
    size_t count = key_table_count(table);
    for (size_t i = 0; i < SAMPLE; i++) {
        uint32_t slot = (uint32_t)(i * UINT64_C(2654435761) % count);
        const struct key_slot *key = key_table_slot(table, slot);
        p->sample[i] = (struct key_handle){
            .slot = slot, .team = atomic_load(&key->team), .user = atomic_load(&key->user)};
        MUST(access_look(p->access, &p->sample[i], NOW, &p->who[i]));
    }
}

struct bench {
    struct place *p;
    struct limits_gate *gate;
    struct limits_gate_terms terms;
    struct limits_hold hold;
    struct limits_times now;
};

/* The processor's time of this thread, in nanoseconds: others run beside it. */
static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* this clock exists */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void at_the_gate(struct bench *b, size_t i)
{
    struct limits_tightest standing;
    must_be(limits_gate_enter(b->gate, &b->terms, 0, 1 + i % 1000, b->now.mono, &standing),
            "the gate");
}

/* A request and a place, tokens and money, which are given back. */
static void hold(struct bench *b, size_t i)
{
    const struct limits *l = access_limits(b->p->access);
    struct limits_subjects who;
    struct limits_refusal why;
    const struct limits_ask ask = {
        .tokens = 1000, .nano = 5000, .currency = "USD", .model = SPAN("m"), .asked = SPAN("m")};
    MUST(access_look(b->p->access, &b->p->sample[i], NOW, &who));
    must_be(limits_parts_most(l, &who) <= PARTS_MOST, "the room");
    must_be(limits_admit(l, &who, &b->hold, b->now.mono, &why) == LIMITS_TAKEN, "admission");
    must_be(limits_reserve(l, &who, &ask, &b->hold, &b->now, &why) == LIMITS_TAKEN, "a hold");
    limits_settle(&b->hold, 900, 4500, b->now.mono);
}

static void name_windows(struct bench *b, size_t i)
{
    (void)i; /* those of the last one */
    char names[LIMITS_NAMES_MAX];
    sink += limits_hold_names(&b->hold, names);
}

static double time_of(struct bench *b, void (*step)(struct bench *b, size_t i), const char *what)
{
    int64_t best = INT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t began = now_ns();
        for (size_t i = 0; i < SAMPLE; i++) {
            step(b, i);
        }
        int64_t took = now_ns() - began;
        best = took < best ? took : best;
    }
    double each = (double)best / SAMPLE;
    printf("%-44s %9.1f ns\n", what, each);
    return each;
}

static void bench_admission(struct place *p)
{
    struct bench b = {.p = p, .now = {clock_mono(), NOW}};
    struct limits_refusal why;
    struct limits_part *parts = memory_new_array(PARTS_MOST, limits_part_bytes());
    must_be(parts != NULL, "memory for parts");
    b.hold = (struct limits_hold){.parts = parts, .room = PARTS_MOST};
    b.terms.address = limits_gate_rate_of(1000000000, 1000000000);
    MUST(limits_gate_open(&b.gate));
    double all = time_of(&b, at_the_gate, "the address");
    all += time_of(&b, hold, "held and settled at five levels");
    const struct limits_ask ask = {.currency = "USD", .model = SPAN("m"), .asked = SPAN("m")};
    must_be(limits_reserve(access_limits(p->access), &p->who[0], &ask, &b.hold, &b.now, &why) ==
                LIMITS_TAKEN,
            "a hold");
    all += time_of(&b, name_windows, "windows named for the record");
    limits_settle(&b.hold, 0, 0, b.now.mono);
    printf("%-44s %9.1f ns\n", "admission in all", all);
    limits_gate_close(&b.gate);
    memory_free(parts);
}

static void bench_scene(struct place *p, const char *what)
{
    struct access_report people;
    struct keys_report keys;
    double before = resident_mib();
    mono_us began = clock_mono();
    const struct store_settings settings = {.driver = "sqlite", .path = p->path, .busy_ms = 1000};
    printf("\n%s\n", what);
    MUST(store_open(&settings, &p->store));
    MUST(keys_open(p->pepper, &p->keys));
    MUST(access_open(p->keys, &p->access));
    MUST(access_load(p->access, p->store, &people));
    MUST(keys_load(p->keys, p->store, NULL, &keys));
    MUST(access_restore(p->access, p->store));
    printf("%-44s %9.1f ms\n", "loaded in", (double)clock_since(began, clock_mono()) / 1e3);
    printf("%-44s %9.1f MiB\n", "in memory", resident_mib() - before);
    must_be(keys.unbound == 0 && key_table_count(keys_table(p->keys)) == p->keys_wanted,
            "all keys");
    take_sample(p);
    bench_admission(p);
    access_close(&p->access);
    keys_close(&p->keys);
    store_close(&p->store);
}

/* Each scene is a process of its own, as what one had in memory would be another's. */
static void run_scene(struct place *p, const char *what)
{
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        bench_scene(p, what);
        (void)fflush(stdout);
        _exit(sink == 1);
    }
    int status = 0;
    must_be(child > 0 && waitpid(child, &status, 0) == child && status == 0, what);
}

static void fill(struct place *p, void (*rows)(struct place *p))
{
    const struct store_settings settings = {.driver = "sqlite", .path = p->path, .busy_ms = 1000};
    MUST(store_open(&settings, &p->store));
    const struct store_recorder recorder = bench_recorder(p->store);
    store_set_recorder(p->store, &recorder);
    MUST(store_begin(p->store, STORE_SYNC_LATER));
    rows(p);
    MUST(store_commit(p->store));
    store_set_recorder(p->store, NULL);
    store_close(&p->store);
}

/* Fills the store of a data folder that `atlas init` made: for the start of a whole gateway. */
static int fill_folder(struct place *p, const char *folder)
{
    (void)snprintf(p->pepper, sizeof(p->pepper), "%s/pepper", folder);
    (void)snprintf(p->path, sizeof(p->path), "%s/atlas.db", folder);
    fill(p, make_people);
    fill(p, make_keys);
    fill(p, limit_teams);
    return 0;
}

static void bench_all(struct place *p)
{
    fill(p, make_people);
    fill(p, make_keys);
    run_scene(p, "nothing is limited");
    fill(p, limit_teams);
    run_scene(p, "teams");
    fill(p, limit_everybody);
    run_scene(p, "everybody's rates");
    fill(p, give_everybody);
    run_scene(p, "everybody's budgets");
}

int main(int argc, char **argv)
{
    struct place p = {.folder = "/tmp/atlas-bench-XXXXXX"};
    p.keys_wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : MANY;
    p.sample = memory_new_array(SAMPLE, sizeof(*p.sample));
    p.who = memory_new_array(SAMPLE, sizeof(*p.who));
    if (p.sample == NULL || p.who == NULL || p.keys_wanted < KEYS_TEAM) {
        return 1;
    }
    printf("%zu keys, %zu teams, %zu users\n", p.keys_wanted, p.keys_wanted / KEYS_TEAM,
           p.keys_wanted / KEYS_USER);
    if (argc > 2) {
        return fill_folder(&p, argv[2]);
    }
    must_be(mkdtemp(p.folder) != NULL, "a folder");
    (void)snprintf(p.pepper, sizeof(p.pepper), "%s/pepper", p.folder);
    (void)snprintf(p.path, sizeof(p.path), "%s/sqlite", p.folder);
    MUST(key_pepper_make(p.pepper));
    bench_all(&p);
    memory_free(p.sample);
    memory_free(p.who);
    (void)unlink(p.pepper);
    (void)unlink(p.path);
    return rmdir(p.folder) == 0 ? 0 : 1;
}
