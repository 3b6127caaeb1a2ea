/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver for tests: each table an array of rows, in the order of its key. A row never changes:
 * another takes its place, and it is freed with its last user. So a batch keeps what was there
 * before it as arrays of pointers, and undoing it is going back to them: it is right before it is
 * quick. Readers see the rows before the batch that is open.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/sum.h"
#include "store/store_driver.h"

/* A row and, behind it, its texts and blobs. */
struct kept_row {
    size_t users;
    max_align_t row[];
};

struct rows {
    struct kept_row **at;
    size_t count, cap;
};

/* What all handles on one store share. */
struct shared {
    pthread_mutex_t lock; /* for the rest, and the users of rows */
    size_t handles;
    bool in_batch;
    struct rows *now, *before; /* one a table; `before` while a batch is open */
};

struct memory_store {
    struct store store;
    struct shared *shared;
};

static struct shared *shared_of(struct store *s)
{
    return ((struct memory_store *)s)->shared;
}

static void lock(struct shared *m)
{
    CHECK(pthread_mutex_lock(&m->lock) == 0);
}

static void unlock(struct shared *m)
{
    CHECK(pthread_mutex_unlock(&m->lock) == 0);
}

/* ---- rows ---- */

static struct kept_row *row_new(const struct store_table *t, const void *row)
{
    size_t size = (t->row_size + 15) / 16 * 16; /* what comes behind it is bytes */
    struct kept_row *kept = memory_raw(sizeof(*kept) + size + store_row_bytes(t, row));
    if (kept != NULL) {
        bool is_damaged = false;
        kept->users = 1;
        memcpy(kept->row, row, t->row_size);
        memcpy((uint8_t *)kept->row + t->damaged, &is_damaged, sizeof(is_damaged));
        store_row_move(t, kept->row, (uint8_t *)kept->row + size);
    }
    return kept;
}

static void row_unref(struct kept_row *row)
{
    if (--row->users == 0) {
        memory_free(row);
    }
}

static void rows_free(struct rows *r)
{
    for (size_t i = 0; i < r->count; i++) {
        row_unref(r->at[i]);
    }
    memory_free(r->at);
    *r = (struct rows){0};
}

static enum err rows_copy(const struct rows *r, struct rows *out)
{
    *out = (struct rows){0};
    if (r->count == 0) {
        return ERR_OK;
    }
    out->at = memory_new_array(r->count, sizeof(out->at[0]));
    if (out->at == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < r->count; i++) {
        out->at[i] = r->at[i];
        out->at[i]->users++;
    }
    out->count = out->cap = r->count;
    return ERR_OK;
}

/* Makes room for a row at `place`. */
static enum err rows_open(struct rows *r, size_t place)
{
    if (r->count == r->cap) {
        size_t cap = r->cap == 0 ? 16 : r->cap * 2;
        struct kept_row **grown = memory_resize(r->at, cap * sizeof(grown[0]));
        if (grown == NULL) {
            return ERR_NO_MEMORY;
        }
        r->at = grown;
        r->cap = cap;
    }
    memmove(r->at + place + 1, r->at + place, (r->count - place) * sizeof(r->at[0]));
    r->count++;
    return ERR_OK;
}

/* Where the row of this key is, or would be. */
static size_t find(const struct rows *r, const struct store_table *t, const void *row,
                   bool *is_there)
{
    size_t low = 0;
    size_t high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (store_row_compare(&t->indexes[0], t, r->at[middle]->row, row) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *is_there = low < r->count && store_row_compare(&t->indexes[0], t, r->at[low]->row, row) == 0;
    return low;
}

/* The rows that a handle sees. */
static struct rows *rows_of(struct store *s, const struct store_table *t)
{
    struct shared *m = shared_of(s);
    struct rows *tables = s->only_reads && m->in_batch ? m->before : m->now;
    return &tables[t - s->tables->at];
}

/* ---- opening, batches ---- */

static void memory_close(struct store *s)
{
    struct shared *m = shared_of(s);
    lock(m);
    bool is_last = --m->handles == 0;
    unlock(m);
    for (size_t i = 0; is_last && i < s->tables->count; i++) {
        rows_free(&m->now[i]);
    }
    if (is_last) {
        (void)pthread_mutex_destroy(&m->lock); /* nobody holds it */
        memory_free(m->now);
        memory_free(m->before);
        memory_free(m);
    }
    memory_free(s);
}

static enum err handle_new(struct shared *m, const struct store_tables *tables, struct store **out)
{
    struct memory_store *handle = memory_new(sizeof(*handle));
    if (handle == NULL) {
        return ERR_NO_MEMORY;
    }
    handle->store.driver = &store_memory_driver;
    handle->store.tables = tables;
    handle->shared = m;
    lock(m);
    m->handles++;
    unlock(m);
    *out = &handle->store;
    return ERR_OK;
}

static enum err memory_open(const struct store_settings *settings, struct store **out)
{
    const struct store_tables *tables = settings->tables == NULL ? &store_tables : settings->tables;
    struct shared *m = memory_new(sizeof(*m));
    if (m == NULL) {
        return ERR_NO_MEMORY;
    }
    CHECK(pthread_mutex_init(&m->lock, NULL) == 0);
    m->now = memory_new_array(tables->count, sizeof(m->now[0]));
    m->before = memory_new_array(tables->count, sizeof(m->before[0]));
    enum err e = m->now == NULL || m->before == NULL ? ERR_NO_MEMORY : handle_new(m, tables, out);
    if (e != ERR_OK) {
        memory_free(m->now);
        memory_free(m->before);
        memory_free(m);
    }
    return e;
}

static enum err memory_open_reader(struct store *s, struct store **out)
{
    return handle_new(shared_of(s), s->tables, out);
}

static enum err memory_look(const struct store_settings *settings, uint64_t *sequence)
{
    (void)settings;
    *sequence = 0; /* nothing outlives it */
    return ERR_OK;
}

static void free_before(struct store *s)
{
    for (size_t i = 0; i < s->tables->count; i++) {
        rows_free(&shared_of(s)->before[i]);
    }
}

static void memory_set_busy(struct store *s, int64_t busy_ms)
{
    (void)s;
    (void)busy_ms; /* no other program has it */
}

static enum err memory_begin(struct store *s, enum store_sync sync)
{
    (void)sync; /* there is no disk */
    struct shared *m = shared_of(s);
    enum err e = ERR_OK;
    lock(m);
    for (size_t i = 0; e == ERR_OK && i < s->tables->count; i++) {
        e = rows_copy(&m->now[i], &m->before[i]);
    }
    m->in_batch = e == ERR_OK;
    if (e != ERR_OK) {
        free_before(s);
    }
    unlock(m);
    return e;
}

static enum err memory_commit(struct store *s)
{
    struct shared *m = shared_of(s);
    lock(m);
    m->in_batch = false;
    free_before(s);
    unlock(m);
    return ERR_OK;
}

static void memory_rollback(struct store *s)
{
    struct shared *m = shared_of(s);
    lock(m);
    for (size_t i = 0; i < s->tables->count; i++) {
        rows_free(&m->now[i]);
        m->now[i] = m->before[i];
        m->before[i] = (struct rows){0};
    }
    m->in_batch = false;
    unlock(m);
}

/* ---- operations ---- */

static enum err memory_get(struct store *s, const struct store_table *t, void *row)
{
    bool is_there;
    enum err e = ERR_NOT_FOUND_ROW;
    lock(shared_of(s));
    const struct rows *r = rows_of(s, t);
    size_t place = find(r, t, row, &is_there);
    if (is_there) {
        memcpy(row, r->at[place]->row, t->row_size);
        e = store_keep(s, t, row);
    }
    unlock(shared_of(s));
    return e;
}

/* Puts a new row at `place`, in place of the one that is there or before it. */
static enum err put_at(struct rows *r, size_t place, bool is_there, const struct store_table *t,
                       const void *row)
{
    struct kept_row *kept = row_new(t, row);
    enum err e = kept == NULL ? ERR_NO_MEMORY : is_there ? ERR_OK : rows_open(r, place);
    if (e != ERR_OK) {
        memory_free(kept);
        return e;
    }
    if (is_there) {
        row_unref(r->at[place]);
    }
    r->at[place] = kept;
    return ERR_OK;
}

static enum err memory_insert(struct store *s, const struct store_table *t, const void *row)
{
    bool is_there;
    lock(shared_of(s));
    struct rows *r = rows_of(s, t);
    size_t place = find(r, t, row, &is_there);
    enum err e = is_there ? ERR_EXISTS : put_at(r, place, false, t, row);
    unlock(shared_of(s));
    return e;
}

static enum err memory_replace(struct store *s, const struct store_table *t, const void *row)
{
    bool is_there;
    lock(shared_of(s));
    struct rows *r = rows_of(s, t);
    size_t place = find(r, t, row, &is_there);
    enum err e = put_at(r, place, is_there, t, row);
    unlock(shared_of(s));
    return e;
}

static bool is_of_revision(const struct store_table *t, const struct kept_row *kept,
                           uint64_t revision)
{
    const struct store_column *c = store_table_find_role(t, STORE_REVISION);
    return c == NULL || revision == 0 || (uint64_t)store_field_int(c, kept->row) == revision;
}

/* A row keeps its number. */
static void keep_number(const struct store_table *t, const struct kept_row *old,
                        struct kept_row *row)
{
    const struct store_column *c = store_table_find_role(t, STORE_NUMBER);
    if (c != NULL) {
        memcpy((uint8_t *)row->row + c->offset, (const uint8_t *)old->row + c->offset, c->size);
    }
}

static enum err update_at(struct rows *r, size_t place, const struct store_table *t,
                          const void *row)
{
    struct kept_row *old = r->at[place];
    old->users++;
    enum err e = put_at(r, place, true, t, row);
    if (e == ERR_OK) {
        keep_number(t, old, r->at[place]);
    }
    row_unref(old);
    return e;
}

static enum err remove_at(struct rows *r, size_t place)
{
    row_unref(r->at[place]);
    r->count--;
    memmove(r->at + place, r->at + place + 1, (r->count - place) * sizeof(r->at[0]));
    return ERR_OK;
}

/* Changes the row of this key and revision: to `row`, or takes it out. */
static enum err change_one(struct store *s, const struct store_table *t, const void *row,
                           uint64_t revision, bool is_gone)
{
    bool is_there;
    enum err e = ERR_NOT_FOUND_ROW;
    lock(shared_of(s));
    struct rows *r = rows_of(s, t);
    size_t place = find(r, t, row, &is_there);
    if (is_there && is_of_revision(t, r->at[place], revision)) {
        e = is_gone ? remove_at(r, place) : update_at(r, place, t, row);
    }
    unlock(shared_of(s));
    return e;
}

static enum err memory_update(struct store *s, const struct store_table *t, const void *row,
                              uint64_t revision)
{
    return change_one(s, t, row, revision, false);
}

static enum err memory_remove(struct store *s, const struct store_table *t, const void *row,
                              uint64_t revision)
{
    return change_one(s, t, row, revision, true);
}

static enum err memory_add(struct store *s, const struct store_table *t, const void *row)
{
    bool is_there;
    lock(shared_of(s));
    struct rows *r = rows_of(s, t);
    size_t place = find(r, t, row, &is_there);
    const void *old = is_there ? r->at[place]->row : NULL;
    struct kept_row *kept = row_new(t, is_there ? old : row);
    for (size_t i = 0; kept != NULL && is_there && i < t->count; i++) {
        const struct store_column *c = &t->columns[i];
        if (c->role == STORE_SUM) {
            int64_t sum = sum_of(store_field_int(c, old), store_field_int(c, row));
            CHECK(store_field_put_int(c, kept->row, sum));
        }
    }
    enum err e = kept == NULL ? ERR_NO_MEMORY : put_at(r, place, is_there, t, kept->row);
    memory_free(kept);
    unlock(shared_of(s));
    return e;
}

/* What qsort() cannot be told otherwise; one thread sorts at a time. */
static _Thread_local const struct store_table *sorted_table;
static _Thread_local const struct store_index *sorted_index;

static int compare(const void *a, const void *b)
{
    const struct kept_row *const *x = a;
    const struct kept_row *const *y = b;
    return store_row_compare(sorted_index, sorted_table, (*x)->row, (*y)->row);
}

static bool is_in(const struct store_table *t, const struct store_index *x,
                  const struct store_page *page, const struct kept_row *row)
{
    int order = page->from == NULL ? 1 : store_row_compare(x, t, row->row, page->from);
    return page->after ? order > 0 : order >= 0;
}

/* A copy of all rows is read, so that who is given one may ask the store about others. */
static enum err memory_page(struct store *s, const struct store_table *t, unsigned index,
                            const struct store_page *page, store_on_row *on_row, void *context)
{
    const struct store_index *x = &t->indexes[index];
    struct rows copy;
    int64_t left = page->limit;
    lock(shared_of(s));
    enum err e = rows_copy(rows_of(s, t), &copy);
    unlock(shared_of(s));
    if (e == ERR_OK && copy.count > 0 && index > 0) {
        sorted_table = t;
        sorted_index = x;
        qsort(copy.at, copy.count, sizeof(copy.at[0]), compare);
    }
    for (size_t i = 0; e == ERR_OK && left > 0 && i < copy.count; i++) {
        if (is_in(t, x, page, copy.at[i])) {
            left--;
            e = on_row(context, copy.at[i]->row);
        }
    }
    lock(shared_of(s));
    rows_free(&copy);
    unlock(shared_of(s));
    return e;
}

static enum err memory_count(struct store *s, const struct store_table *t, uint64_t *out)
{
    lock(shared_of(s));
    *out = rows_of(s, t)->count;
    unlock(shared_of(s));
    return ERR_OK;
}

const struct store_driver store_memory_driver = {
    .name = "memory",
    .open = memory_open,
    .open_reader = memory_open_reader,
    .look = memory_look,
    .close = memory_close,
    .set_busy = memory_set_busy,
    .begin = memory_begin,
    .commit = memory_commit,
    .rollback = memory_rollback,
    .get = memory_get,
    .insert = memory_insert,
    .replace = memory_replace,
    .update = memory_update,
    .remove = memory_remove,
    .add = memory_add,
    .page = memory_page,
    .count = memory_count,
};
