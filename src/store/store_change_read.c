/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as they were changed last: what is ahead of the tables goes before what is in them.
 *
 * A page looks at what is ahead before it looks into the tables: what leaves there in between is in
 * the tables by then.
 */
#include "store/store_ahead.h"
#include "store/store_change.h"

enum err store_change_get(struct store *s, enum store_table_id table, void *row)
{
    const struct store_table *t = &s->tables->at[table];
    struct store_ahead_sight found;
    if (store_row_check(t, row, true) != ERR_OK) {
        return ERR_NOT_FOUND_ROW;
    }
    enum err e = store_ahead_get(s, t, row, !s->only_reads, &found);
    if (e != ERR_OK || found.is_here) {
        return e != ERR_OK ? e : found.is_gone ? ERR_NOT_FOUND_ROW : ERR_OK;
    }
    return store_row_get(s, table, row);
}

struct walk {
    const struct store_table *table;
    struct store_ahead_view ahead;
    int64_t left; /* rows that may be given still */
    store_on_row *on_row;
    void *context;
    enum err failed; /* on_row() */
};

static enum err give(struct walk *w, const void *row)
{
    w->failed = w->on_row(w->context, row);
    w->left--;
    return w->failed != ERR_OK || w->left == 0 ? ERR_NOT_FOUND_ROW : ERR_OK; /* enough */
}

static enum err on_row_of_table(void *context, const void *row)
{
    struct walk *w = context;
    const struct store_column *number = store_table_find_role(w->table, STORE_NUMBER);
    struct store_ahead_view_row *newer = store_ahead_view_find(&w->ahead, w->table, row);
    if (newer == NULL) {
        return give(w, row);
    }
    newer->was_seen = true;
    if (newer->is_gone) {
        return ERR_OK;
    }
    if (number != NULL) { /* the tables know it alone */
        CHECK(store_field_put_int(number, newer->row, store_field_int(number, row)));
    }
    return give(w, newer->row);
}

static enum err on_there(void *context, const void *row)
{
    struct walk *w = context;
    struct store_ahead_view_row *newer = store_ahead_view_find(&w->ahead, w->table, row);
    if (newer != NULL) {
        newer->was_seen = true;
    }
    return ERR_OK;
}

/* Whether the tables lack a row that was made: it belongs to the end of every order of theirs. */
static enum err check_made(struct store *s, enum store_table_id table, struct walk *w)
{
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < w->ahead.count; i++) {
        struct store_ahead_view_row *r = &w->ahead.rows[i];
        const struct store_page page = {.from = r->row, .limit = 1};
        if (r->was_seen || r->is_gone || !r->lags) {
            continue; /* `lags`: else who made it waits still for his answer */
        }
        e = store_row_page(s, table, 0, &page, on_there, w);
        if (e == ERR_OK && !r->was_seen) {
            e = ERR_STORE_BEHIND;
        }
    }
    return e;
}

enum err store_change_page(struct store *s, enum store_table_id table, unsigned index,
                           const struct store_page *page, store_on_row *on_row, void *context)
{
    struct walk w = {
        .table = &s->tables->at[table], .left = page->limit, .on_row = on_row, .context = context};
    enum err e = store_ahead_view_open(s->ahead, w.table, &w.ahead);
    if (e != ERR_OK || w.ahead.count == 0) {
        store_ahead_view_close(&w.ahead);
        return e != ERR_OK ? e : store_row_page(s, table, index, page, on_row, context);
    }
    const struct store_page all = {.from = page->from, .after = page->after, .limit = INT64_MAX};
    e = store_row_page(s, table, index, &all, on_row_of_table, &w);
    if (e == ERR_NOT_FOUND_ROW) {
        e = w.failed;
    } else if (e == ERR_OK) {
        e = check_made(s, table, &w);
    }
    store_ahead_view_close(&w.ahead);
    return e;
}
