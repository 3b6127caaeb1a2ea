/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Old usage is kept by days, and at last forgotten. A pass goes through all teams; a step of it
 * takes some rows and in one batch adds each to the row of its day's first hour and deletes it. So
 * nothing is counted twice, and a pass that was broken off is simply begun anew: what it has done
 * is not there any more.
 */
#include "base/arena.h"
#include "base/memory.h"
#include "store/store_usage_walk.h"

#define USAGE_DAYS "usage_days" /* the name of the hour before which only days are kept */
#define STEP_ROWS  256          /* of a batch: some milliseconds */
#define STEP_LOOKS 2048         /* rows that are read for it */
#define ROW_BYTES  (sizeof(struct store_usage) + (size_t)8 * (STORE_TEXT_MAX + 17))

struct step {
    struct store_usage_walk walk; /* first: it is the rows' context */
    struct store_usage_keeper *keeper;
    struct arena arena;
    struct store_usage *rows;
    size_t count, looks;
};

static struct span copy(struct arena *a, struct span text)
{
    return text.len == 0 ? text : arena_copy(a, text);
}

/* Keeps a copy of a row that is to go. */
static enum err take(struct step *step, const struct store_usage *row)
{
    struct store_usage *kept = &step->rows[step->count];
    struct arena *a = &step->arena;
    *kept = *row;
    kept->organisation = copy(a, row->organisation);
    kept->team = copy(a, row->team);
    kept->user = copy(a, row->user);
    kept->key_id = copy(a, row->key_id);
    kept->model = copy(a, row->model);
    kept->currency = copy(a, row->currency);
    kept->upstream = copy(a, row->upstream);
    kept->route = copy(a, row->route);
    step->count++;
    return arena_failed(a) ? ERR_NO_MEMORY : ERR_OK;
}

/* Notes where the next step begins. */
static void note_place(struct store_usage_keeper *k, struct span team, int32_t hour)
{
    memmove(k->team, team.len == 0 ? k->team : team.at, team.len);
    k->place = (struct store_usage){.team = span_make(k->team, team.len), .hour = hour};
}

static enum err on_old(void *context, const void *given)
{
    struct step *step = context;
    const struct store_usage *row = given;
    struct store_usage_keeper *k = step->keeper;
    bool is_day = store_day_hour(row->hour) == row->hour;
    if (step->count == STEP_ROWS || step->looks++ == STEP_LOOKS) {
        note_place(k, row->team, row->hour);
        k->is_done = false;
        return STORE_USAGE_ENOUGH;
    }
    if (row->hour < k->gone_before || (row->hour < k->days_before && !is_day)) {
        step->walk.passed = 0;
        return take(step, row);
    }
    int32_t next = row->hour >= k->days_before  ? INT32_MAX
                   : row->hour < k->done_before ? k->done_before
                                                : row->hour + 1;
    return store_usage_walk_to(&step->walk, row->team, next, SPAN(""));
}

static enum err settle(struct store *s, const struct store_usage_keeper *k, struct store_usage *row)
{
    enum err e = ERR_OK;
    if (row->hour >= k->gone_before) {
        struct store_usage day = *row;
        day.hour = store_day_hour(row->hour);
        e = store_usage_add(s, &day);
    }
    return e == ERR_OK ? store_usage_delete(s, row) : e;
}

/* From the first row on it is said that hours are missing. */
static enum err note_days(struct store *s, const struct store_usage_keeper *k)
{
    int32_t days;
    enum err e = store_usage_days(s, &days);
    return e == ERR_OK && k->days_before > days
               ? store_number_set(s, USAGE_DAYS, (uint64_t)k->days_before)
               : e;
}

static enum err apply(struct store *s, struct step *step)
{
    enum err e = store_begin(s, STORE_SYNC_LATER);
    if (e != ERR_OK) {
        return e;
    }
    e = note_days(s, step->keeper);
    for (size_t i = 0; e == ERR_OK && i < step->count; i++) {
        e = settle(s, step->keeper, &step->rows[i]);
    }
    if (e != ERR_OK) {
        store_rollback(s);
        return e;
    }
    return store_commit(s);
}

/* Begins a pass, unless one is under way or there is none to begin. */
static void begin(struct store_usage_keeper *k, int32_t days_before, int32_t gone_before)
{
    bool is_news = !k->is_begun || days_before > k->days_before || gone_before > k->gone_before;
    if ((k->is_begun && !k->is_done) || !is_news) {
        return;
    }
    k->done_before = k->is_begun ? k->days_before : INT32_MIN;
    k->days_before = days_before;
    k->gone_before = gone_before;
    note_place(k, SPAN(""), INT32_MIN);
    k->is_begun = true;
    k->is_done = false;
}

enum err store_usage_keep(struct store *s, struct store_usage_keeper *k, int32_t days_before,
                          int32_t gone_before)
{
    begin(k, days_before, gone_before);
    if (k->is_done) {
        return ERR_OK;
    }
    struct step step = {.keeper = k};
    arena_init(&step.arena, STEP_ROWS * ROW_BYTES);
    step.rows = arena_alloc(&step.arena, STEP_ROWS * sizeof(*step.rows));
    enum err e = step.rows == NULL ? ERR_NO_MEMORY : ERR_OK;
    if (e == ERR_OK) {
        k->is_done = true; /* unless the walk is broken off */
        step.walk.from = k->place;
        e = store_usage_walk(s, &step.walk, on_old);
    }
    if (e == ERR_OK && step.count > 0) {
        e = apply(s, &step);
    }
    if (e != ERR_OK) {
        k->is_done = false;
        note_place(k, SPAN(""), INT32_MIN); /* the pass begins anew */
    }
    arena_fini(&step.arena);
    return e;
}

enum err store_usage_days(struct store *s, int32_t *out)
{
    uint64_t hour;
    enum err e = store_number(s, USAGE_DAYS, &hour);
    if (e == ERR_OK) {
        *out = hour > INT32_MAX ? INT32_MAX : (int32_t)hour;
    }
    return e;
}
