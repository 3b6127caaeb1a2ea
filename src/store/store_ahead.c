/* SPDX-License-Identifier: Apache-2.0 */
/* A list: it is empty but for moments, and in trouble as long as STORE_AHEAD_MAX. */
#include "store/store_ahead.h"

#include <pthread.h>

#include "base/list.h"
#include "base/memory.h"

#define FIRST_REVISION ((int64_t)1 << 62) /* no table gets there */

struct store_ahead_row {
    struct list link;
    const struct store_table *table;
    bool is_settled, is_gone, lags;
    _Alignas(max_align_t) uint8_t row[]; /* the table's struct, then its texts */
};

struct store_ahead {
    pthread_mutex_t lock; /* for the rest */
    struct list rows;     /* struct store_ahead_row, the oldest first */
    size_t count;
    int64_t revision; /* the last one given */
};

static void lock(struct store_ahead *a)
{
    CHECK(pthread_mutex_lock(&a->lock) == 0);
}

static void unlock(struct store_ahead *a)
{
    CHECK(pthread_mutex_unlock(&a->lock) == 0);
}

enum err store_ahead_open(struct store_ahead **out)
{
    struct store_ahead *a = memory_new(sizeof(*a));
    if (a == NULL) {
        return ERR_NO_MEMORY;
    }
    CHECK(pthread_mutex_init(&a->lock, NULL) == 0);
    list_init(&a->rows);
    a->revision = FIRST_REVISION;
    *out = a;
    return ERR_OK;
}

void store_ahead_close(struct store_ahead **a)
{
    if (*a == NULL) {
        return;
    }
    store_ahead_clear(*a);
    (void)pthread_mutex_destroy(&(*a)->lock); /* nobody holds it */
    memory_free(*a);
    *a = NULL;
}

/* Copies a row to `to`, its texts behind it; of which row_bytes() are needed. */
static size_t row_bytes(const struct store_table *t, const void *row)
{
    return t->row_size + store_row_bytes(t, row);
}

static void copy_row(const struct store_table *t, const void *row, uint8_t *to)
{
    memcpy(to, row, t->row_size);
    store_row_move(t, to, to + t->row_size);
}

static void drop(struct store_ahead *a, struct store_ahead_row *r)
{
    list_remove(&r->link);
    a->count--;
    memory_free(r);
}

static bool is_of(const struct store_ahead_row *r, const struct store_table *t, const void *row)
{
    return r->table == t && store_row_compare(&t->indexes[0], t, r->row, row) == 0;
}

/* The row of a key that is settled, or the one that is not. */
static struct store_ahead_row *find(const struct store_ahead *a, const struct store_table *t,
                                    const void *row, bool is_settled)
{
    for (struct list *at = a->rows.next; at != &a->rows; at = at->next) {
        struct store_ahead_row *r = LIST_OF(at, struct store_ahead_row, link);
        if (r->is_settled == is_settled && is_of(r, t, row)) {
            return r;
        }
    }
    return NULL;
}

/* The newest row of a key. */
static struct store_ahead_row *find_newest(const struct store_ahead *a, const struct store_table *t,
                                           const void *row, bool all)
{
    struct store_ahead_row *r = all ? find(a, t, row, false) : NULL;
    return r != NULL ? r : find(a, t, row, true);
}

enum err store_ahead_reserve(struct store_ahead *a, const struct store_table *t, const void *row,
                             bool is_gone, struct store_ahead_row **out)
{
    lock(a);
    bool is_full = a->count >= STORE_AHEAD_MAX && find_newest(a, t, row, true) == NULL;
    unlock(a);
    if (is_full) {
        return ERR_STORE_BEHIND;
    }
    struct store_ahead_row *made = memory_new(sizeof(*made) + row_bytes(t, row));
    if (made == NULL) {
        return ERR_NO_MEMORY;
    }
    list_init(&made->link);
    made->table = t;
    made->is_gone = is_gone;
    copy_row(t, row, made->row);
    *out = made;
    return ERR_OK;
}

void store_ahead_publish(struct store_ahead *a, struct store_ahead_row **made)
{
    struct store_ahead_row *r = *made;
    const struct store_column *revision = store_table_find_role(r->table, STORE_REVISION);
    *made = NULL;
    lock(a);
    struct store_ahead_row *before = find(a, r->table, r->row, false);
    if (before != NULL) {
        drop(a, before);
    }
    a->revision++;
    CHECK(store_field_put_int(revision, r->row, a->revision));
    list_push_back(&a->rows, &r->link);
    a->count++;
    unlock(a);
}

void store_ahead_give_back(struct store_ahead_row **made)
{
    memory_free(*made);
    *made = NULL;
}

void store_ahead_settle(struct store_ahead *a)
{
    lock(a);
    for (struct list *at = a->rows.next; at != &a->rows; at = at->next) {
        struct store_ahead_row *r = LIST_OF(at, struct store_ahead_row, link);
        struct store_ahead_row *before = r->is_settled ? NULL : find(a, r->table, r->row, true);
        if (before != NULL) {
            r->lags = before->lags; /* the row is older than this change of it */
            drop(a, before);
        }
        r->is_settled = true;
    }
    unlock(a);
}

void store_ahead_clear(struct store_ahead *a)
{
    struct list *link;
    lock(a);
    while ((link = list_pop_front(&a->rows)) != NULL) {
        memory_free(LIST_OF(link, struct store_ahead_row, link));
    }
    a->count = 0;
    unlock(a);
}

void store_ahead_lag(struct store_ahead *a)
{
    lock(a);
    for (struct list *at = a->rows.next; at != &a->rows; at = at->next) {
        struct store_ahead_row *r = LIST_OF(at, struct store_ahead_row, link);
        r->lags |= r->is_settled;
    }
    unlock(a);
}

static struct store_ahead_sight sight_of(const struct store_ahead_row *r)
{
    struct store_ahead_sight sight = {.is_here = r != NULL};
    if (r != NULL) {
        const struct store_column *revision = store_table_find_role(r->table, STORE_REVISION);
        sight.is_gone = r->is_gone;
        sight.revision = (uint64_t)store_field_int(revision, r->row);
    }
    return sight;
}

struct store_ahead_sight store_ahead_look(struct store_ahead *a, const struct store_table *t,
                                          const void *row, bool all)
{
    lock(a);
    struct store_ahead_sight sight = sight_of(find_newest(a, t, row, all));
    unlock(a);
    return sight;
}

enum err store_ahead_get(struct store *s, const struct store_table *t, void *row, bool all,
                         struct store_ahead_sight *found)
{
    enum err e = ERR_OK;
    lock(s->ahead);
    struct store_ahead_row *r = find_newest(s->ahead, t, row, all);
    *found = sight_of(r);
    if (found->is_here && !found->is_gone) {
        memcpy(row, r->row, t->row_size);
        e = store_keep(s, t, row);
    }
    unlock(s->ahead);
    return e;
}

/* ---- a view ---- */

static enum err copy_settled(struct store_ahead *a, const struct store_table *t,
                             struct store_ahead_view *v)
{
    for (struct list *at = a->rows.next; at != &a->rows; at = at->next) {
        struct store_ahead_row *r = LIST_OF(at, struct store_ahead_row, link);
        if (r->table != t || !r->is_settled) {
            continue;
        }
        uint8_t *row = memory_new(row_bytes(t, r->row));
        if (row == NULL) {
            return ERR_NO_MEMORY;
        }
        copy_row(t, r->row, row);
        v->rows[v->count++] =
            (struct store_ahead_view_row){.row = row, .is_gone = r->is_gone, .lags = r->lags};
    }
    return ERR_OK;
}

enum err store_ahead_view_open(struct store_ahead *a, const struct store_table *t,
                               struct store_ahead_view *out)
{
    enum err e = ERR_OK;
    *out = (struct store_ahead_view){.rows = NULL};
    lock(a);
    if (a->count > 0) {
        out->rows = memory_new_array(a->count, sizeof(*out->rows));
        e = out->rows == NULL ? ERR_NO_MEMORY : copy_settled(a, t, out);
    }
    unlock(a);
    if (e != ERR_OK) {
        store_ahead_view_close(out);
    }
    return e;
}

void store_ahead_view_close(struct store_ahead_view *v)
{
    for (size_t i = 0; i < v->count; i++) {
        memory_free(v->rows[i].row);
    }
    memory_free(v->rows);
    *v = (struct store_ahead_view){.rows = NULL};
}

struct store_ahead_view_row *store_ahead_view_find(struct store_ahead_view *v,
                                                   const struct store_table *t, const void *row)
{
    for (size_t i = 0; i < v->count; i++) {
        if (store_row_compare(&t->indexes[0], t, v->rows[i].row, row) == 0) {
            return &v->rows[i];
        }
    }
    return NULL;
}
