/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all drivers have in common: arguments are checked here, a change outside a batch gets a
 * batch of its own, and a batch in which something failed is undone at once and stays failed.
 */
#include "store/store.h"

#include "base/memory.h"
#include "store/store_ahead.h"
#include "store/store_driver.h"

#define REVISION "revision" /* the name of the last revision given */

static const struct store_driver *const drivers[] = {&store_sqlite_driver, &store_memory_driver};

static const struct store_driver *find_driver(const struct store_settings *settings)
{
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        if (strcmp(settings->driver, drivers[i]->name) == 0) {
            return drivers[i];
        }
    }
    return NULL;
}

enum err store_open(const struct store_settings *settings, struct store **out)
{
    const struct store_driver *driver = find_driver(settings);
    if (driver == NULL) {
        return ERR_CONFIG;
    }
    struct store_ahead *ahead;
    enum err e = store_ahead_open(&ahead);
    if (e != ERR_OK) {
        return e;
    }
    e = driver->open(settings, out);
    if (e != ERR_OK) {
        store_ahead_close(&ahead);
        return e;
    }
    (*out)->ahead = ahead;
    return ERR_OK;
}

enum err store_look(const struct store_settings *settings, uint64_t *sequence)
{
    const struct store_driver *driver = find_driver(settings);
    return driver == NULL ? ERR_CONFIG : driver->look(settings, sequence);
}

enum err store_open_reader(struct store *s, struct store **out)
{
    enum err e = s->driver->open_reader(s, out);
    if (e == ERR_OK) {
        (*out)->only_reads = true;
        (*out)->ahead = s->ahead;
    }
    return e;
}

void store_set_busy(struct store *s, int64_t busy_ms)
{
    s->driver->set_busy(s, busy_ms);
}

void store_close(struct store **s)
{
    if (*s == NULL) {
        return;
    }
    store_rollback(*s);
    if (!(*s)->only_reads) {
        store_ahead_close(&(*s)->ahead);
    }
    memory_free((*s)->given);
    (*s)->driver->close(*s);
    *s = NULL;
}

const char *store_complaint(const struct store *s)
{
    return s->complaint;
}

enum err store_begin(struct store *s, enum store_sync sync)
{
    CHECK(!s->in_batch);
    if (s->only_reads) {
        return ERR_FILE;
    }
    enum err e = s->driver->begin(s, sync);
    s->in_batch = e == ERR_OK;
    s->failed = ERR_OK;
    return e;
}

enum err store_commit(struct store *s)
{
    CHECK(s->in_batch);
    s->in_batch = false;
    return s->failed != ERR_OK ? s->failed : s->driver->commit(s);
}

void store_rollback(struct store *s)
{
    if (s->in_batch && s->failed == ERR_OK) {
        s->driver->rollback(s);
    }
    s->in_batch = false;
}

/* Whether `e` says that nothing was changed, rather than that the driver failed. */
static bool is_answer(enum err e)
{
    return e == ERR_OK || e == ERR_EXISTS || e == ERR_NOT_FOUND_ROW || e == ERR_REVISION ||
           e == ERR_VALUE_INVALID;
}

/* Begins a batch for one change, unless one is open. */
static enum err change_start(struct store *s, bool *is_own)
{
    *is_own = !s->in_batch;
    return s->in_batch ? s->failed : store_begin(s, STORE_SYNC_NOW);
}

/* Ends what change_start() began; a batch in which something failed is undone at once. */
static enum err change_end(struct store *s, bool is_own, enum err e)
{
    if (!is_answer(e)) {
        s->driver->rollback(s);
        s->failed = e;
    }
    if (!is_own) {
        return e;
    }
    if (e != ERR_OK) {
        store_rollback(s);
        return e;
    }
    return store_commit(s);
}

enum err store_keep(struct store *s, const struct store_table *t, void *row)
{
    size_t bytes = store_row_bytes(t, row);
    if (bytes > s->given_bytes) {
        uint8_t *room = memory_raw(bytes);
        if (room == NULL) {
            return ERR_NO_MEMORY;
        }
        memory_free(s->given);
        s->given = room;
        s->given_bytes = bytes;
    }
    store_row_move(t, row, s->given);
    return ERR_OK;
}

/* ---- rows ---- */

static const struct store_table *table_of(const struct store *s, enum store_table_id table)
{
    CHECK((size_t)table < s->tables->count);
    return &s->tables->at[table];
}

static uint64_t revision_of(const struct store_table *t, const void *row)
{
    const struct store_column *c = store_table_find_role(t, STORE_REVISION);
    return c == NULL ? 0 : (uint64_t)store_field_int(c, row);
}

/* Writes the revision that a change will have into its row, and into a new row its number. */
static enum err number_row(struct store *s, const struct store_table *t, void *row, bool is_new)
{
    const struct store_column *revision = store_table_find_role(t, STORE_REVISION);
    const struct store_column *number = store_table_find_role(t, STORE_NUMBER);
    uint64_t last;
    if (revision == NULL) {
        CHECK(number == NULL); /* it comes from the same count */
        return ERR_OK;
    }
    enum err e = store_number(s, REVISION, &last);
    if (e == ERR_OK) {
        CHECK(store_field_put_int(revision, row, (int64_t)last + 1));
    }
    if (e == ERR_OK && number != NULL && is_new) {
        CHECK(store_field_put_int(number, row, (int64_t)last + 1));
    }
    return e;
}

/* Notes that a change was done which number_row() has numbered. */
static enum err count_change(struct store *s, const struct store_table *t, enum err e,
                             const void *row)
{
    bool is_counted = e == ERR_OK && store_table_find_role(t, STORE_REVISION) != NULL;
    return is_counted ? store_number_set(s, REVISION, revision_of(t, row)) : e;
}

enum err store_row_get(struct store *s, enum store_table_id table, void *row)
{
    const struct store_table *t = table_of(s, table);
    return store_row_check(t, row, true) == ERR_OK ? s->driver->get(s, t, row) : ERR_NOT_FOUND_ROW;
}

static enum err insert(struct store *s, const struct store_table *t, void *row)
{
    enum err e = number_row(s, t, row, true);
    return e == ERR_OK ? count_change(s, t, s->driver->insert(s, t, row), row) : e;
}

/* Whether a row of this key is there, to answer why none of a revision is. */
static enum err why_not(struct store *s, const struct store_table *t, const void *row)
{
    void *there = memory_raw(t->row_size);
    if (there == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(there, row, t->row_size);
    enum err e = s->driver->get(s, t, there);
    memory_free(there);
    return e == ERR_OK ? ERR_REVISION : e;
}

static enum err put(struct store *s, const struct store_table *t, void *row)
{
    uint64_t seen = revision_of(t, row);
    enum err e = number_row(s, t, row, false);
    if (e != ERR_OK) {
        return e;
    }
    if (store_table_find_role(t, STORE_REVISION) == NULL) {
        return s->driver->replace(s, t, row);
    }
    e = s->driver->update(s, t, row, seen);
    return e == ERR_NOT_FOUND_ROW ? why_not(s, t, row) : count_change(s, t, e, row);
}

/* Runs one change of a row; what it wrote into the row is taken back if it did nothing. */
static enum err change(struct store *s, const struct store_table *t, void *row,
                       enum err (*run)(struct store *s, const struct store_table *t, void *row))
{
    const struct store_column *revision = store_table_find_role(t, STORE_REVISION);
    int64_t seen = revision == NULL ? 0 : store_field_int(revision, row);
    bool is_own;
    enum err e = store_row_check(t, row, false);
    if (e == ERR_OK) {
        e = change_start(s, &is_own);
    }
    if (e != ERR_OK) {
        return e;
    }
    e = change_end(s, is_own, run(s, t, row));
    if (e != ERR_OK && revision != NULL) {
        CHECK(store_field_put_int(revision, row, seen));
    }
    return e;
}

enum err store_row_insert(struct store *s, enum store_table_id table, void *row)
{
    return change(s, table_of(s, table), row, insert);
}

enum err store_row_put(struct store *s, enum store_table_id table, void *row)
{
    return change(s, table_of(s, table), row, put);
}

enum err store_row_delete(struct store *s, enum store_table_id table, const void *row)
{
    const struct store_table *t = table_of(s, table);
    bool is_own;
    if (store_row_check(t, row, true) != ERR_OK) {
        return ERR_NOT_FOUND_ROW;
    }
    enum err e = change_start(s, &is_own);
    if (e != ERR_OK) {
        return e;
    }
    uint64_t last;
    bool has_revisions = store_table_find_role(t, STORE_REVISION) != NULL;
    e = s->driver->remove(s, t, row, revision_of(t, row));
    if (e == ERR_NOT_FOUND_ROW && has_revisions) {
        e = why_not(s, t, row);
    } else if (e == ERR_OK && has_revisions) {
        e = store_number(s, REVISION, &last);
        e = e == ERR_OK ? store_number_set(s, REVISION, last + 1) : e;
    }
    return change_end(s, is_own, e);
}

enum err store_row_add(struct store *s, enum store_table_id table, const void *row)
{
    const struct store_table *t = table_of(s, table);
    bool is_own;
    enum err e = store_row_check(t, row, false);
    if (e == ERR_OK) {
        e = change_start(s, &is_own);
    }
    return e == ERR_OK ? change_end(s, is_own, s->driver->add(s, t, row)) : e;
}

enum err store_row_page(struct store *s, enum store_table_id table, unsigned index,
                        const struct store_page *page, store_on_row *on_row, void *context)
{
    const struct store_table *t = table_of(s, table);
    CHECK(index < t->index_count);
    return s->driver->page(s, t, index, page, on_row, context);
}

enum err store_row_count(struct store *s, enum store_table_id table, uint64_t *out)
{
    return s->driver->count(s, table_of(s, table), out);
}

/* ---- what has a name ---- */

/* Reads a row of `meta` without touching what a get has given out. */
struct meta_reader {
    struct span name;
    uint64_t number;
    char *text; /* or NULL */
};

static enum err on_meta(void *context, const void *given)
{
    struct meta_reader *r = context;
    const struct store_meta *row = given;
    if (!span_equal(row->name, r->name)) {
        return ERR_OK; /* the next one: there is none of this name */
    }
    r->number = (uint64_t)row->number;
    if (r->text != NULL) {
        span_copy_text(row->text, r->text, STORE_TEXT_MAX + 1);
    }
    return ERR_OK;
}

static enum err read_meta(struct store *s, struct meta_reader *r)
{
    const struct store_meta from = {.name = r->name};
    const struct store_page page = {.from = &from, .limit = 1};
    return store_meta_page(s, STORE_INDEX_META_BY_NAME, &page, on_meta, r);
}

enum err store_number(struct store *s, const char *name, uint64_t *out)
{
    struct meta_reader r = {.name = span_of(name)};
    enum err e = read_meta(s, &r);
    if (e == ERR_OK) {
        *out = r.number;
    }
    return e;
}

enum err store_number_set(struct store *s, const char *name, uint64_t number)
{
    struct store_meta row = {.name = span_of(name), .number = (int64_t)number};
    return store_meta_put(s, &row);
}

enum err store_text(struct store *s, const char *name, char out[STORE_TEXT_MAX + 1])
{
    char text[STORE_TEXT_MAX + 1] = "";
    struct meta_reader r = {.name = span_of(name), .text = text};
    enum err e = read_meta(s, &r);
    if (e == ERR_OK) {
        memcpy(out, text, sizeof(text));
    }
    return e;
}

enum err store_text_set(struct store *s, const char *name, struct span text)
{
    struct store_meta row = {.name = span_of(name), .text = text};
    return store_meta_put(s, &row);
}

enum err store_revision(struct store *s, uint64_t *out)
{
    return store_number(s, REVISION, out);
}
