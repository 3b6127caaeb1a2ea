/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_balance.h"

#include "store/store_tables.h"

#define ROWS_ONCE   256
#define BUDGET_SIZE 32 /* bytes of a balance's `budget` */

struct old {
    wall_us before;
    size_t count;
    struct store_balance rows[ROWS_ONCE]; /* their texts lie in `text` */
    uint8_t text[ROWS_ONCE][BUDGET_SIZE];
};

/* What ends a page without having failed. */
#define ENOUGH ERR_NOT_FOUND_ROW

static enum err on_balance(void *context, const void *given)
{
    struct old *old = context;
    const struct store_balance *row = given;
    if (row->begins.us >= old->before.us || old->count == ROWS_ONCE) {
        return ENOUGH;
    }
    size_t len = row->budget.len < BUDGET_SIZE ? row->budget.len : BUDGET_SIZE;
    memcpy(old->text[old->count], row->budget.at, len);
    old->rows[old->count] = (struct store_balance){.budget = span_make(old->text[old->count], len),
                                                   .begins = row->begins};
    old->count++;
    return ERR_OK;
}

static enum err forget(struct store *s, const struct old *old)
{
    enum err e = store_begin(s, STORE_SYNC_LATER);
    if (e != ERR_OK) {
        return e;
    }
    for (size_t i = 0; e == ERR_OK && i < old->count; i++) {
        e = store_balance_delete(s, &old->rows[i]);
    }
    if (e != ERR_OK) {
        store_rollback(s);
        return e;
    }
    return store_commit(s);
}

enum err store_balance_forget(struct store *s, wall_us before, bool *is_done)
{
    struct old old = {.before = before};
    const struct store_balance first = {.budget = SPAN("!"), .begins = {1}};
    const struct store_page page = {.from = &first, .limit = INT64_MAX};
    enum err e = store_balance_page(s, STORE_INDEX_BALANCE_BY_TIME, &page, on_balance, &old);
    *is_done = old.count < ROWS_ONCE;
    e = e == ENOUGH ? ERR_OK : e;
    return e == ERR_OK && old.count > 0 ? forget(s, &old) : e;
}
