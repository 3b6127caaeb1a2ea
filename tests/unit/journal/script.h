/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.h — what goes on in a journal that dies: calls (some with two tries), streams in progress,
 * keys that are made and revoked, a step at a time; and what of it was published and promised.
 *
 * Threads  who holds the lock of forgetful.h.
 */
#ifndef TESTS_UNIT_JOURNAL_SCRIPT_H
#define TESTS_UNIT_JOURNAL_SCRIPT_H

#include "forgetful.h"

#include "folder.h"

#include "store/store_change.h"
#include "store/store_table.h"
#include "store/store_usage.h"

#define CALLS     60
#define KEYS      12
#define OPEN_MAX  5
#define LINES_MAX 600
#define RESERVED  70
#define KEYS_LANE 2 /* behind a worker's and housekeeping's: the store thread's */

/* How far a try has come: its intent is published, its end armed, published. */
enum came { NOT_BEGUN, BEGUN, ARMED, ENDED };

/* A try that is open. The first one's end is its call's completion, the second one's is that of
 * the try that loses. */
struct
try {
    uint64_t call; /* 0: this place is free */
    struct journal_slot *end;
    uint64_t ticket; /* of its intent */
    int number;
};

static struct {
    struct disk disk;
    struct folder folder, images[2]; /* of a death, and of a death in the recovery from it */
    struct journal *journal;
    bool is_over;
    struct try open[OPEN_MAX];
    uint64_t calls;
    enum came came[CALLS + 1][3]; /* by call and attempt */
    int keys[KEYS];               /* 1: made, 2: and revoked; as published */
    int keys_told[KEYS];          /* as promised */
    char *lines[LINES_MAX];       /* promised, by sequence */
    uint64_t promised;
    char origin[JOURNAL_ORIGIN_CHARS + 1];
    uint64_t points, deaths, boots;
} run;

static const struct journal_settings small = {
    .commit_interval_ms = 1, .segment_bytes = 10 << 10, .slots = 16};

/* ---- the script ---- */

static struct journal_record numbered(enum journal_kind kind, uint64_t call, int attempt)
{
    struct journal_record r = record_of(kind, call);
    r.attempt = (uint8_t)attempt;
    r.tokens_in = 10;
    r.tokens_reserved = 110;
    r.reserved_nano = RESERVED;
    if (call % 4 == 0) {
        journal_record_set(&r, JOURNAL_TEXT_POLICY,
                           SPAN("a policy of a name as long as some are, so "
                                "that records end in all places of a "
                                "sector"));
    }
    return r;
}

static struct try *find_open(uint64_t call, int number)
{
    for (size_t i = 0; i < OPEN_MAX; i++) {
        if (run.open[i].call == call && run.open[i].number == number) {
            return &run.open[i];
        }
    }
    return NULL;
}

/* Begins a try: its end is armed, and its intent is published. */
static void begin_try(struct try *t, uint64_t call, int number)
{
    struct journal_lane *lane = journal_lane(run.journal, 0);
    struct journal_slot *intent, *end;
    if (journal_slots_free(lane) < 2 || journal_take(lane, &intent) != ERR_OK ||
        journal_take(lane, &end) != ERR_OK) {
        return;
    }
    *journal_slot_record(intent) = numbered(JOURNAL_INTENT, call, number);
    *journal_slot_record(end) =
        numbered(number == 1 ? JOURNAL_COMPLETION : JOURNAL_TRY_END, call, number);
    struct try *other = number == 2 ? find_open(call, 1) : NULL;
    if (other != NULL) { /* the completion stands for both before there are two */
        journal_slot_record(other->end)->attempt = 2;
    }
    journal_arm(lane, end);
    *t = (struct try){call, end, journal_publish(lane, intent), number};
    run.came[call][number] = BEGUN;
    run.calls = call;
}

/* A second try ends before its call; either of the two may have lost. */
static void end_try(struct try *t)
{
    struct journal_record *r = journal_slot_record(t->end);
    if (t->number == 1 && find_open(t->call, 2) != NULL) {
        return;
    }
    r->outcome = t->number == 1 ? JOURNAL_OUTCOME_OK : JOURNAL_OUTCOME_LOST;
    if (t->number == 2 && disk_any(2) == 0) {
        r->attempt = 1;
    }
    r->cost_nano = 7;
    (void)journal_publish(journal_lane(run.journal, 0), t->end);
    run.came[t->call][t->number] = ENDED;
    t->call = 0;
}

/* One thing more of a try that is open: it is known to others, it is sent, goes on, ends. */
static void go_on(struct try *t)
{
    struct journal_record *r = journal_slot_record(t->end);
    if (run.came[t->call][t->number] == BEGUN) {
        run.came[t->call][t->number] = ARMED;
    } else if (r->kind == JOURNAL_COMPLETION ? r->attempts_sent == 0 : r->sent == 0) {
        r->attempts_sent = r->kind == JOURNAL_COMPLETION;
        r->sent = r->kind == JOURNAL_TRY_END;
    } else if (disk_any(2) == 0) {
        r->status = 200;
        r->tokens_out += 5;
        r->bytes_out += r->kind == JOURNAL_COMPLETION ? 100 : 0;
    } else {
        end_try(t);
    }
}

/* A key is made, or revoked. */
static void change_key(size_t k)
{
    struct journal_lane *lane = journal_lane(run.journal, KEYS_LANE);
    struct journal_slot *slot;
    char id[16];
    struct buf state;
    if (run.keys[k] == 2 || journal_take(lane, &slot) != ERR_OK) {
        return;
    }
    (void)snprintf(id, sizeof(id), "AAAAaaaa%04u", (unsigned)k);
    struct store_key key = {
        .id = span_of(id), .name = SPAN("a name"), .kind = 1, .pepper = 1, .created = {1}};
    key.revoked.us = run.keys[k] == 1 ? 9 : 0;
    buf_init(&state, JOURNAL_STATE_MAX);
    store_state_write(&store_tables.at[STORE_TABLE_KEY], &key, &state);
    struct journal_record *r = journal_slot_record(slot);
    r->kind = JOURNAL_ADMIN;
    r->started_ms = 1;
    journal_record_set(r, JOURNAL_TEXT_ACTION,
                       run.keys[k] == 1 ? SPAN("key.revoke") : SPAN("key.create"));
    journal_record_set(r, JOURNAL_TEXT_ACTOR, SPAN("uid:7"));
    journal_record_set(r, JOURNAL_TEXT_OBJECT, key.id);
    memcpy(journal_slot_state(lane, slot), buf_span(&state).at, buf_span(&state).len);
    r->state_bytes = (uint32_t)buf_span(&state).len;
    buf_fini(&state);
    (void)journal_publish(lane, slot);
    run.keys[k]++;
}

static void step(void)
{
    struct try *t = &run.open[disk_any(OPEN_MAX)];
    uint64_t last = run.calls;
    if (disk_any(5) == 0) {
        change_key(disk_any(KEYS));
    } else if (t->call != 0) {
        go_on(t);
    } else if (last > 0 && run.came[last][1] == ARMED && run.came[last][2] == NOT_BEGUN &&
               disk_any(2) == 0) {
        begin_try(t, last, 2);
    } else if (last < CALLS) {
        begin_try(t, last + 1, 1);
    }
}

#endif
