/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenario start: from the configuration to a gateway that serves. Whatever failed, it works all
 * the same or it does not start and the log says why; nothing is held after that, nothing that was
 * written down is lost, and the next start succeeds.
 */
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_data.h"
#include "crypto/call_id.h"
#include "journal/journal.h"
#include "journal/journal_slots.h"

/* What a case starts from: its `what`. */
enum { CRASHED, NEW };

#define FOUND 4 /* calls that a crash left behind */

static enum err result;
static bool is_new;          /* no key is in the data folder yet */
static char crashed_key[96]; /* the key of the folder that a crash left */

static void run_in_folder(const struct world *w, const char *what)
{
    char command[8 * WORLD_PATH];
    (void)snprintf(command, sizeof(command), "cd '%s' && %s", w->folder, what);
    if (system(command) != 0) {
        (void)fprintf(stderr, "fault: %s\n", command);
        abort();
    }
}

/* ---- what a crash leaves ---- */

/* A record of the call `number`, which the model server has seen. */
static struct journal_record record_of(enum journal_kind kind, size_t number)
{
    struct crypto_call_id id;
    struct journal_record r = {.kind = (uint8_t)kind, .started_ms = 1, .attempt = 1};
    if (number == peer_seen_count()) {
        crypto_call_id_make(clock_wall(), &id);
        memcpy(peer_seen[number], id.text, sizeof(peer_seen[number]));
        peer_forget(number + 1);
    }
    if (crypto_call_id_parse(span_of(peer_seen[number]), r.call_id) != ERR_OK) {
        abort();
    }
    if (kind == JOURNAL_COMPLETION) {
        r.outcome = JOURNAL_OUTCOME_OK;
        r.status = 200;
        r.ended_ms = 2;
    }
    journal_record_set(&r, JOURNAL_TEXT_KEY, SPAN("abcdefghijkl"));
    journal_record_set(&r, JOURNAL_TEXT_MODEL, SPAN("close"));
    journal_record_set(&r, JOURNAL_TEXT_UPSTREAM, SPAN("near"));
    return r;
}

static const struct journal_seen nothing_seen = {.sequence = 0};

static void write_records(struct journal *j)
{
    struct journal_lane *lane = journal_lane(j, 0);
    struct journal_slot *slots[4];
    /* On the disk, but not in the store: a call, and one that is open. */
    struct journal_record records[] = {record_of(JOURNAL_INTENT, 0),
                                       record_of(JOURNAL_COMPLETION, 0),
                                       record_of(JOURNAL_INTENT, 1)};
    if (journal_append(j, records, 3) != ERR_OK) {
        abort();
    }
    /* Not on the disk yet: a call, and one that is open. */
    for (size_t i = 0; i < 4; i++) {
        if (journal_take(lane, &slots[i]) != ERR_OK) {
            abort();
        }
        *journal_slot_record(slots[i]) =
            record_of(i % 2 == 0 ? JOURNAL_INTENT : JOURNAL_COMPLETION, 2 + i / 2);
    }
    for (size_t i = 0; i < 4; i += 2) {
        journal_arm(lane, slots[i + 1]);
        (void)journal_publish(lane, slots[i]);
    }
    (void)journal_publish(lane, slots[1]);
}

/* Makes the folder `crashed` beside the data: what a gateway leaves that was killed. */
static void make_crashed(struct world *w)
{
    const struct journal_settings settings = {1, 1 << 20, 64, 1 << 20};
    struct journal_report report;
    struct journal *j;
    if (journal_open(w->data, &settings, 1, &nothing_seen, &report, &j) != ERR_OK) {
        abort();
    }
    write_records(j);
    journal_close(&j); /* never started: what was not written stays in the lane */
    run_in_folder(w, "for f in data/journal/*.seg; do echo a torn tail >>$f; done && "
                     "mv data crashed");
    (void)snprintf(crashed_key, sizeof(crashed_key), "%s", w->key);
}

/* ---- the runs ---- */

static void prepare(struct world *w, const struct fault_case *c)
{
    world_remove_data(w);
    is_new = c->what == NEW;
    peer_forget(is_new ? 0 : FOUND);
    if (!is_new) {
        run_in_folder(w, "cp -a crashed data");
        (void)snprintf(w->key, sizeof(w->key), "%s", crashed_key);
    }
    world_count_before(w);
}

static enum err make_data(const struct world *w)
{
    struct cli_data_made made;
    enum err e = cli_data_make(w->data, &made);
    if (e != ERR_OK) {
        log_error("init", "%s", made.problem); /* as `atlas init` says */
    }
    return e;
}

static void run(struct world *w, const struct fault_case *c)
{
    (void)c;
    (void)inject_exempt(false);
    result = is_new ? make_data(w) : ERR_OK;
    if (result == ERR_OK) {
        result = world_open(w);
    }
    (void)inject_exempt(true);
}

/* ---- what must hold ---- */

/* Which error may be told for what was injected. */
static bool is_right(enum err e)
{
    static const struct {
        unsigned kinds;
        enum err e;
    } rows[] = {
        {FAULT_KIND(MALLOC) | FAULT_KIND(SQL) | FAULT_KIND(SYSTEM), ERR_NO_MEMORY},
        {FAULT_KIND(READ) | FAULT_KIND(SYSTEM), ERR_CONFIG},
        {FAULT_KIND(READ) | FAULT_KIND(WRITE) | FAULT_KIND(SYNC) | FAULT_KIND(SQL) |
             FAULT_KIND(SYSTEM),
         ERR_DISK},
        {FAULT_KIND(SPACE), ERR_DISK_FULL},
        {FAULT_KIND(SQL), ERR_STORE_UNSURE},
        {FAULT_KIND(SQL) | FAULT_KIND(SYSTEM), ERR_FILE},
        {FAULT_KIND(SYSTEM), ERR_ADDRESS},
        {FAULT_KIND(SYSTEM), ERR_LOCKED},
        {FAULT_KIND(SYSTEM), ERR_NET},
        {FAULT_KIND(SYSTEM), ERR_NO_FILES},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if ((rows[i].kinds & (1u << fault_kind())) != 0 && rows[i].e == e) {
            return true;
        }
    }
    return false;
}

/* Whether a line says that something failed, and what. */
static bool is_told(void)
{
    const char *error = strstr(fault_log(), " error ");
    const char *sentence = error == NULL ? NULL : strstr(error + 7, "  ");
    return sentence != NULL && sentence[2] >= ' ' && strstr(error, ": \n") == NULL;
}

static void check_failure(void)
{
    bool log_failed = fault_hits() > 1 && (fault_kind() == INJECT_WRITE ||
                                           fault_kind() == INJECT_SPACE); /* it is written, too */
    if (fault_hits() == 0 || fault_kind() == INJECT_SHORT || fault_kind() == INJECT_CONNECT) {
        fault_wrong("it should have started: %s", err_name(result));
    } else if (!is_right(result)) {
        fault_wrong("%s is not what this failure is", err_name(result));
    } else if (!is_told() && !log_failed) {
        fault_wrong("%s is not told", err_name(result));
    }
}

/* The gateway runs and has a key: a call succeeds. */
static void check_gateway(struct world *w)
{
    world_run(w);
    if (!world_until(world_has_recorded, w)) {
        fault_wrong("what is in force is not recorded");
    }
    world_recover(w); /* where the record failed, as the one before the first call */
    if (w->key[0] != '\0') {
        fault_check_call(w);
    }
    world_stop(w);
    world_close(w);
}

static void check(struct world *w, const struct fault_case *c)
{
    (void)c;
    if (is_new) {
        w->key[0] = '\0';
    }
    if (result == ERR_OK) {
        check_gateway(w);
    } else {
        check_failure();
    }
    world_check_counts(w);
    if (is_new) {
        world_make_data(w);
    }
    if (is_new || result != ERR_OK) {
        if (world_open(w) != ERR_OK) {
            fault_wrong("the next start fails: %s", fault_log());
            return;
        }
        check_gateway(w);
        world_check_counts(w);
    }
    books_check_closed(w);
}

/* ---- the scenario ---- */

static void open_world(struct world *w)
{
    world_start(w); /* once before: libraries keep what they make first */
    fault_check_call(w);
    world_stop(w);
    world_close(w);
    world_remove_data(w);
    world_make_data(w);
    peer_forget(0);
    make_crashed(w);
}

static void close_world(struct world *w)
{
    (void)w; /* each run has ended it */
}

#define CASE(name, kinds, what)                \
    {                                          \
        name, kinds, what, prepare, run, check \
    }

static const struct fault_case start[] = {
    CASE("after a crash", FAULT_ALL, CRASHED),
    CASE("a new data folder", FAULT_ALL & ~FAULT_KIND(MALLOC), NEW), /* which takes none more */
    {0},
};

const struct fault_scenario fault_start = {"start", open_world, start, close_world};
