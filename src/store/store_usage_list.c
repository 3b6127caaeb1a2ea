/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage in the order of its key: team, hour, key, the rest. A walk reads on while rows are wanted;
 * when some in a row are not, it begins anew at the next place that may hold one. So a month of a
 * team costs the rows of that month, and a month of all teams one look into each beside them.
 */
#include "store/store_usage_walk.h"

/* Reading so many rows that nobody wants costs no more than beginning anew. */
#define PASSED_MAX 3

enum err store_usage_walk_to(struct store_usage_walk *w, struct span team, int32_t hour,
                             struct span key_id)
{
    if (++w->passed < PASSED_MAX) {
        return ERR_OK;
    }
    memmove(w->team, team.len == 0 ? w->team : team.at, team.len);
    w->from =
        (struct store_usage){.team = span_make(w->team, team.len), .hour = hour, .key_id = key_id};
    w->is_again = true;
    return STORE_USAGE_ENOUGH;
}

enum err store_usage_walk(struct store *s, struct store_usage_walk *w, store_on_row *on_row)
{
    enum err e = ERR_OK;
    do {
        const struct store_usage from = w->from; /* it is written while this page ends */
        const struct store_page page = {.from = &from, .limit = INT64_MAX};
        w->is_again = false;
        w->passed = 0;
        e = store_usage_page(s, STORE_INDEX_USAGE_BY_TEAM, &page, on_row, w);
    } while (e == STORE_USAGE_ENOUGH && w->is_again);
    return e == STORE_USAGE_ENOUGH ? ERR_OK : e;
}

struct lister {
    struct store_usage_walk walk; /* first: it is the rows' context */
    const struct store_usage_filter *filter;
    store_on_usage *on_usage;
    void *context;
};

static bool is_any_or(struct span wanted, struct span is)
{
    return wanted.len == 0 || span_equal(wanted, is);
}

static bool is_wanted(const struct store_usage *row, const struct store_usage_filter *f)
{
    return is_any_or(f->key_id, row->key_id) && is_any_or(f->model, row->model) &&
           is_any_or(f->upstream, row->upstream) && is_any_or(f->route, row->route) &&
           is_any_or(f->user, row->user) && is_any_or(f->organisation, row->organisation);
}

/* As the index orders texts. */
static bool is_before(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);
    return order != 0 ? order < 0 : a.len < b.len;
}

/* The next place that may hold what is asked for, behind a row of the time that is not. */
static enum err pass(struct lister *l, const struct store_usage *row)
{
    const struct store_usage_filter *f = l->filter;
    if (f->key_id.len == 0 || span_equal(row->key_id, f->key_id)) {
        return ERR_OK;
    }
    return is_before(row->key_id, f->key_id)
               ? store_usage_walk_to(&l->walk, row->team, row->hour, f->key_id)
               : store_usage_walk_to(&l->walk, row->team, row->hour + 1, f->key_id);
}

static enum err on_sums(void *context, const void *given)
{
    struct lister *l = context;
    const struct store_usage *row = given;
    const struct store_usage_filter *f = l->filter;
    if (f->team.len > 0 && (!span_equal(f->team, row->team) || row->hour >= f->to)) {
        return STORE_USAGE_ENOUGH;
    }
    if (row->hour < f->from) {
        return store_usage_walk_to(&l->walk, row->team, f->from, SPAN(""));
    }
    if (row->hour >= f->to) {
        return store_usage_walk_to(&l->walk, row->team, INT32_MAX, SPAN(""));
    }
    if (!is_wanted(row, f)) {
        return pass(l, row);
    }
    l->walk.passed = 0;
    return l->on_usage(l->context, row);
}

enum err store_usage_list(struct store *s, const struct store_usage_filter *filter,
                          store_on_usage *on_usage, void *context)
{
    struct lister lister = {.filter = filter, .on_usage = on_usage, .context = context};
    lister.walk.from = (struct store_usage){.team = filter->team, .hour = filter->from};
    return store_usage_walk(s, &lister.walk, on_sums);
}
