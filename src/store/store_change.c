/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as JSON, and changes with or without a recorder. Bytes are written as hexadecimal digits,
 * times in microseconds, as the column is named.
 */
#include "store/store_change.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/memory.h"
#include "store/store_ahead.h"
#include "store/store_driver.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define GONE        SPAN("{}")
#define STATE_ROWS  128 /* values in a state */
#define STATE_DEPTH 2
#define BYTES_MAX   64                        /* of one column of bytes */
#define EXACT_MAX   INT64_C(9007199254740991) /* RFC 8785: what is beyond differs by who reads it */

void store_set_recorder(struct store *s, const struct store_recorder *recorder)
{
    CHECK(!s->in_batch);
    s->recorder = recorder;
}

/* ---- rows as JSON ---- */

static bool is_in_state(const struct store_column *c)
{
    return c->role != STORE_NUMBER && c->role != STORE_REVISION;
}

/* The column whose name comes next after `last` (NULL: the first); NULL: there is none. */
static const struct store_column *next_name(const struct store_table *t, const char *last)
{
    const struct store_column *best = NULL;
    for (size_t i = 0; i < t->count; i++) {
        const struct store_column *c = &t->columns[i];
        if (is_in_state(c) && (last == NULL || strcmp(c->name, last) > 0) &&
            (best == NULL || strcmp(c->name, best->name) < 0)) {
            best = c;
        }
    }
    return best;
}

/* A number that JSON's readers do not agree on is a text of its digits. */
static void write_int(struct json_writer *w, int64_t number)
{
    char text[24];
    if (number <= EXACT_MAX && number >= -EXACT_MAX) {
        json_write_int(w, number);
    } else {
        (void)snprintf(text, sizeof(text), "%lld", (long long)number); /* fits */
        json_write_text(w, text);
    }
}

static void write_field(struct json_writer *w, const struct store_column *c, const void *row)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * BYTES_MAX];
    json_write_key(w, c->name);
    if (c->type == STORE_INT) {
        write_int(w, store_field_int(c, row));
        return;
    }
    struct span bytes = store_field_bytes(c, row);
    if (c->type == STORE_TEXT) {
        json_write_string(w, bytes);
        return;
    }
    CHECK(c->type == STORE_BYTES && bytes.len <= BYTES_MAX);
    for (size_t i = 0; i < bytes.len; i++) {
        hex[2 * i] = digits[bytes.at[i] >> 4];
        hex[2 * i + 1] = digits[bytes.at[i] & 15];
    }
    json_write_string(w, span_make(hex, 2 * bytes.len));
}

void store_state_write(const struct store_table *t, const void *row, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    for (const struct store_column *c = next_name(t, NULL); c != NULL; c = next_name(t, c->name)) {
        write_field(&w, c, row);
    }
    json_write_end(&w);
    enum err e = json_write_finish(&w);
    (void)e; /* the buffer says it, too */
}

static int digit_of(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_bytes(const struct store_column *c, struct span hex, void *row)
{
    uint8_t bytes[BYTES_MAX];
    if (hex.len != 2 * c->size || c->size > sizeof(bytes)) {
        return false;
    }
    for (size_t i = 0; i < c->size; i++) {
        int high = digit_of(hex.at[2 * i]);
        int low = digit_of(hex.at[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return store_field_put_bytes_borrow(c, row, span_make(bytes, c->size));
}

static bool read_number(const struct json_index *x, uint32_t row, int64_t *out)
{
    uint64_t large;
    if (json_kind(x, row) != JSON_STRING) {
        return json_int64(x, row, out) == ERR_OK;
    }
    bool is = span_to_u64(json_inside(x, row), INT64_MAX, &large) && large > EXACT_MAX;
    *out = is ? (int64_t)large : 0;
    return is;
}

static enum err read_field(const struct json_index *x, const struct store_column *c,
                           struct arena *arena, void *row)
{
    uint32_t value = json_find(x, 0, span_of(c->name));
    struct span text;
    int64_t number;
    if (value == JSON_NONE) {
        return ERR_JOURNAL_BROKEN;
    }
    if (c->type == STORE_INT) {
        bool fits = read_number(x, value, &number) && store_field_put_int(c, row, number);
        return fits ? ERR_OK : ERR_JOURNAL_BROKEN;
    }
    enum err e = json_text(x, value, arena, &text);
    if (e != ERR_OK) {
        return e == ERR_NO_MEMORY ? e : ERR_JOURNAL_BROKEN;
    }
    bool fits = c->type == STORE_BYTES ? read_bytes(c, text, row)
                                       : store_field_put_bytes_borrow(c, row, text);
    return fits ? ERR_OK : ERR_JOURNAL_BROKEN;
}

/* Reads a state into a row that is all zero; its texts lie in the arena. */
static enum err read_state(const struct store_table *t, struct span state, struct arena *arena,
                           void *row)
{
    struct json_index x;
    json_index_init(&x, STATE_ROWS, STATE_DEPTH);
    enum err e = json_index_parse_borrow(&x, state);
    e = e == ERR_OK || e == ERR_NO_MEMORY ? e : ERR_JOURNAL_BROKEN;
    for (size_t i = 0; e == ERR_OK && i < t->count; i++) {
        e = is_in_state(&t->columns[i]) ? read_field(&x, &t->columns[i], arena, row) : ERR_OK;
    }
    json_index_fini(&x);
    return e == ERR_OK && store_row_check(t, row, false) != ERR_OK ? ERR_JOURNAL_BROKEN : e;
}

/* ---- applying ---- */

/* The table that an action is about: "key" of "key.create"; false: none of ours. */
static bool find_table(struct span action, enum store_table_id *out)
{
    static const char *const nouns[] = {
#define TABLE(name, id, ...) [STORE_TABLE_##id] = #name,
#include "store/store_tables.def"
    };
    struct span noun = span_cut(action, 0, span_find(action, '.', 0));
    for (size_t i = 0; i < STORE_TABLE_COUNT; i++) {
        if (span_is(noun, nouns[i])) {
            *out = (enum store_table_id)i;
            return true;
        }
    }
    return false;
}

static const struct store_column *id_of(const struct store_table *t)
{
    const struct store_column *c = store_table_column(t, t->indexes[0].fields[0]);
    CHECK(t->indexes[0].count == 1 && c->type == STORE_TEXT);
    return c;
}

static bool is_same(const struct store_table *t, const void *a, const void *b)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct store_column *c = &t->columns[i];
        bool same =
            !is_in_state(c) ||
            (c->type == STORE_INT ? store_field_int(c, a) == store_field_int(c, b)
                                  : span_equal(store_field_bytes(c, a), store_field_bytes(c, b)));
        if (!same) {
            return false;
        }
    }
    return true;
}

/* Makes the row what the state says, whatever is there. */
static enum err put_state(struct store *s, enum store_table_id table, void *row, void *there)
{
    const struct store_table *t = &s->tables->at[table];
    const struct store_column *revision = store_table_find_role(t, STORE_REVISION);
    memcpy(there, row, t->row_size);
    enum err e = store_row_get(s, table, there);
    if (e == ERR_NOT_FOUND_ROW) {
        return store_row_insert(s, table, row);
    }
    if (e != ERR_OK || is_same(t, row, there)) {
        return e;
    }
    if (revision != NULL) {
        CHECK(store_field_put_int(revision, row, store_field_int(revision, there)));
    }
    return store_row_put(s, table, row);
}

static enum err apply(struct store *s, enum store_table_id table, const struct store_change *change)
{
    const struct store_table *t = &s->tables->at[table];
    struct arena arena;
    uint8_t *rows = memory_new_array(2, t->row_size);
    if (rows == NULL) {
        return ERR_NO_MEMORY;
    }
    arena_init(&arena, 2 * STORE_STATE_MAX);
    enum err e = ERR_OK;
    if (span_equal(change->state, GONE)) {
        bool fits = store_field_put_bytes_borrow(id_of(t), rows, change->object);
        e = fits ? store_row_delete(s, table, rows) : ERR_JOURNAL_BROKEN;
        e = e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
    } else {
        e = read_state(t, change->state, &arena, rows);
        e = e == ERR_OK ? put_state(s, table, rows, rows + t->row_size) : e;
    }
    arena_fini(&arena);
    memory_free(rows);
    return e;
}

/* ---- what no record was made of yet ---- */

struct rest {
    const struct store_change *change; /* that is looked for; NULL: any */
    struct store_unrecorded found;     /* its texts lie in `room` */
    bool is_found;
    uint8_t room[STORE_STATE_MAX + 1024];
};

static enum err on_unrecorded(void *context, const void *given)
{
    struct rest *r = context;
    const struct store_unrecorded *row = given;
    if (r->change != NULL &&
        !(span_equal(row->action, r->change->action) &&
          span_equal(row->object, r->change->object) && span_equal(row->state, r->change->state))) {
        return ERR_OK;
    }
    const struct store_table *t = &store_tables.at[STORE_TABLE_UNRECORDED];
    CHECK(store_row_bytes(t, row) <= sizeof(r->room));
    r->found = *row;
    store_row_move(t, &r->found, r->room);
    r->is_found = true;
    return ERR_NOT_FOUND_ROW; /* enough */
}

/* Finds the first change that has no record; one that is like `change`, if that is not NULL. */
static enum err find_rest(struct store *s, const struct store_change *change, struct rest *r)
{
    const struct store_page all = {.limit = INT64_MAX};
    r->change = change;
    r->is_found = false;
    enum err e = store_unrecorded_page(s, STORE_INDEX_UNRECORDED_BY_NUMBER, &all, on_unrecorded, r);
    return e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
}

/* Takes away the note of a change that has its record now; `*was_noted` says whether there was one.
 */
static enum err forget_rest(struct store *s, const struct store_change *change, bool *was_noted)
{
    uint64_t count;
    *was_noted = false;
    enum err e = store_unrecorded_count(s, &count);
    if (e != ERR_OK || count == 0) {
        return e;
    }
    struct rest *r = memory_new(sizeof(*r));
    if (r == NULL) {
        return ERR_NO_MEMORY;
    }
    e = find_rest(s, change, r);
    *was_noted = e == ERR_OK && r->is_found;
    if (*was_noted) {
        e = store_unrecorded_delete(s, &r->found);
    }
    memory_free(r);
    return e;
}

/* A change that was noted is in its row already, which may be further by now. */
enum err store_change_apply(struct store *s, const struct store_change *change)
{
    enum store_table_id table;
    bool was_noted;
    CHECK(s->in_batch);
    enum err e = forget_rest(s, change, &was_noted);
    bool is_new = e == ERR_OK && !was_noted && find_table(change->action, &table);
    return is_new ? apply(s, table, change) : e;
}

/* What was recorded before is applied first: a note that has its record gets no second one. */
static enum err record_rest(struct store *s, struct rest *r)
{
    enum err e = store_catch_up(s);
    e = e == ERR_OK ? find_rest(s, NULL, r) : e;
    while (e == ERR_OK && r->is_found) {
        const struct store_change change = {r->found.action, r->found.actor, r->found.object,
                                            r->found.state};
        int64_t number = r->found.number;
        e = s->recorder->publish(s->recorder->ctx, &change);
        e = e == ERR_OK ? store_catch_up(s) : e;
        e = e == ERR_OK ? find_rest(s, NULL, r) : e;
        CHECK(e != ERR_OK || !r->is_found || r->found.number > number); /* applying took it away */
    }
    return e;
}

enum err store_change_record_rest(struct store *s)
{
    uint64_t count;
    enum err e = store_unrecorded_count(s, &count);
    if (e != ERR_OK || count == 0 || s->recorder == NULL) {
        return e;
    }
    struct rest *r = memory_new(sizeof(*r));
    e = r == NULL ? ERR_NO_MEMORY : record_rest(s, r);
    memory_free(r);
    return e;
}

/* ---- changing ---- */

enum err store_change_begin(struct store *s)
{
    enum err e = store_change_record_rest(s);
    if (e == ERR_OK) {
        enum err lags = store_catch_up(s);
        (void)lags; /* what the rows lack is known (store_ahead.h) */
    }
    return e;
}

/* What is there of a row, read without touching what a get has given out: `row` may lie there. */
struct sight {
    const struct store_table *table;
    const void *row;
    const struct store_column *revision;
    bool is_there;
    int64_t found;
};

static enum err on_sight(void *context, const void *given)
{
    struct sight *sight = context;
    if (store_row_compare(&sight->table->indexes[0], sight->table, given, sight->row) == 0) {
        sight->is_there = true;
        sight->found = store_field_int(sight->revision, given);
    }
    return ERR_OK;
}

/* Looks for the row as it was changed last, in the tables where nothing newer is known. */
static enum err see(struct store *s, enum store_table_id table, struct sight *sight)
{
    const struct store_page page = {.from = sight->row, .limit = 1};
    const struct store_ahead_sight ahead =
        store_ahead_look(s->ahead, sight->table, sight->row, true);
    if (ahead.is_here) {
        sight->is_there = !ahead.is_gone;
        sight->found = (int64_t)ahead.revision;
        return ERR_OK;
    }
    return store_row_page(s, table, 0, &page, on_sight, sight);
}

/* Whether the row is what its changer saw, before anything is recorded. */
static enum err check_seen(struct store *s, enum store_table_id table, const void *row,
                           bool is_gone)
{
    const struct store_table *t = &s->tables->at[table];
    const struct store_column *revision = store_table_find_role(t, STORE_REVISION);
    CHECK(revision != NULL);
    int64_t seen = store_field_int(revision, row);
    struct sight sight = {.table = t, .row = row, .revision = revision};
    enum err e = see(s, table, &sight);
    if (e != ERR_OK) {
        return e;
    }
    if (!sight.is_there) {
        return seen == 0 && !is_gone ? ERR_OK : ERR_NOT_FOUND_ROW;
    }
    if (seen == 0) {
        return is_gone ? ERR_OK : ERR_EXISTS;
    }
    return sight.found == seen ? ERR_OK : ERR_REVISION;
}

/* Puts the change into the row and notes that it has no record, in one batch. */
static enum err change_alone(struct store *s, const struct store_change *change)
{
    struct store_unrecorded note = {.at = clock_wall(),
                                    .action = change->action,
                                    .actor = change->actor,
                                    .object = change->object,
                                    .state = change->state};
    enum store_table_id table;
    CHECK(find_table(change->action, &table));
    enum err e = store_begin(s, STORE_SYNC_NOW);
    if (e != ERR_OK) {
        return e;
    }
    e = apply(s, table, change); /* earlier notes stay: what they say happened, too */
    if (e == ERR_OK) {
        e = store_unrecorded_insert(s, &note);
    }
    if (e != ERR_OK) {
        store_rollback(s);
        return e;
    }
    return store_commit(s);
}

/* Hands the change over, and keeps what it makes of the row until the tables have it. */
static enum err publish(struct store *s, const struct store_table *t, const void *row,
                        const struct store_change *change)
{
    struct store_ahead_row *ahead;
    enum err e = store_ahead_reserve(s->ahead, t, row, span_equal(change->state, GONE), &ahead);
    if (e != ERR_OK) {
        return e;
    }
    e = s->recorder->publish(s->recorder->ctx, change);
    if (e == ERR_OK) {
        store_ahead_publish(s->ahead, &ahead);
    } else {
        store_ahead_give_back(&ahead);
    }
    return e;
}

enum err store_change(struct store *s, enum store_table_id table, const void *row, bool is_gone,
                      const char *verb, struct span actor)
{
    const struct store_table *t = &s->tables->at[table];
    struct buf state;
    buf_init(&state, STORE_STATE_MAX);
    enum err e = store_row_check(t, row, is_gone);
    if (e == ERR_OK) {
        e = check_seen(s, table, row, is_gone);
    }
    if (e == ERR_OK && !is_gone) {
        store_state_write(t, row, &state);
        e = buf_failed(&state) ? ERR_NO_MEMORY : ERR_OK;
    }
    if (e == ERR_OK) {
        const struct store_change change = {.action = span_of(verb),
                                            .actor = actor,
                                            .object = store_field_bytes(id_of(t), row),
                                            .state = is_gone ? GONE : buf_span(&state)};
        e = s->recorder == NULL ? change_alone(s, &change) : publish(s, t, row, &change);
    }
    buf_fini(&state);
    return e;
}

enum err store_settle(struct store *s)
{
    if (s->recorder == NULL) {
        return ERR_OK;
    }
    if (s->recorder->settle(s->recorder->ctx) != ERR_OK) {
        return ERR_STORE_UNSURE;
    }
    store_ahead_settle(s->ahead);
    return ERR_OK;
}

enum err store_catch_up(struct store *s)
{
    if (s->recorder == NULL) {
        return ERR_OK;
    }
    enum err e = s->recorder->apply(s->recorder->ctx, s);
    if (e == ERR_OK) {
        store_ahead_clear(s->ahead); /* all of it was handed over before, on this thread */
    } else {
        store_ahead_lag(s->ahead);
    }
    return e;
}
