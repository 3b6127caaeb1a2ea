/* SPDX-License-Identifier: Apache-2.0 */
#include "access/access_internal.h"

#include <string.h>

#include "base/memory.h"

#define BUDGET_PREFIX SPAN("budget_")

struct access_zone {
    struct access_zone *next;
    struct limits_zone *zone;
    char name[65];
};

enum err access_book_init(struct access_book *b)
{
    *b = (struct access_book){0};
    map_init(&b->subjects);
    map_init(&b->budgets);
    enum err e = limits_zone_open("UTC", &b->utc);
    return e == ERR_VALUE_INVALID ? ERR_FILE : e;
}

void access_book_fini(struct access_book *b)
{
    while (b->first != NULL) {
        struct access_rows *rows = b->first;
        b->first = rows->next;
        while (rows->budgets != NULL) {
            struct access_budget *budget = rows->budgets;
            rows->budgets = budget->next;
            memory_free(budget);
        }
        memory_free(rows);
    }
    while (b->zones != NULL) {
        struct access_zone *zone = b->zones;
        b->zones = zone->next;
        limits_zone_close(&zone->zone);
        memory_free(zone);
    }
    limits_zone_close(&b->utc);
    map_fini(&b->subjects);
    map_fini(&b->budgets);
}

const struct access_rows *access_book_find(const struct access_book *b, struct span id)
{
    return id.len == 0 ? NULL : map_find(&b->subjects, id);
}

const struct access_budget *access_book_budget(const struct access_book *b, struct span id)
{
    return map_find(&b->budgets, id);
}

/* The rows of a subject, which are made if they are not there; NULL: out of memory. */
static struct access_rows *rows_of(struct access_book *b, struct span id)
{
    struct access_rows *rows = map_find(&b->subjects, id);
    if (rows != NULL) {
        return rows;
    }
    rows = memory_new(sizeof(*rows));
    if (rows == NULL) {
        return NULL;
    }
    span_copy_text(id, rows->id, sizeof(rows->id));
    if (map_put_borrow(&b->subjects, span_of(rows->id), rows) != ERR_OK) {
        memory_free(rows);
        return NULL;
    }
    rows->next = b->first;
    b->first = rows;
    return rows;
}

/* What a row says, whoever wrote it. */
static enum limits_priority priority_of(uint8_t said)
{
    return said <= LIMITS_HIGH ? (enum limits_priority)said : LIMITS_LOW;
}

enum err access_book_put_limit(struct access_book *b, const struct store_limit *row)
{
    struct access_rows *rows = rows_of(b, row->id);
    if (rows == NULL) {
        return ERR_NO_MEMORY;
    }
    rows->numbers = (struct limits_terms){.requests_per_minute = row->requests_per_minute,
                                          .burst = row->burst,
                                          .tokens_per_minute = row->tokens_per_minute,
                                          .concurrent = row->concurrent,
                                          .answer_tokens = row->max_tokens,
                                          .priority = priority_of(row->priority)};
    rows->tokens_per_day = row->tokens_per_day;
    return ERR_OK;
}

/* The zone of this name, opened once; NULL: this machine does not know it, or is out of memory. */
static const struct limits_zone *zone_of(struct access_book *b, struct span name)
{
    for (struct access_zone *z = b->zones; z != NULL; z = z->next) {
        if (span_is(name, z->name)) {
            return z->zone;
        }
    }
    struct access_zone *made = memory_new(sizeof(*made));
    if (made == NULL) {
        return NULL;
    }
    span_copy_text(name, made->name, sizeof(made->name));
    if (limits_zone_open(made->name, &made->zone) != ERR_OK) {
        memory_free(made);
        return NULL;
    }
    made->next = b->zones;
    b->zones = made;
    return made->zone;
}

static void take_out(struct access_book *b, struct access_budget *budget)
{
    struct access_rows *rows = map_find(&b->subjects, span_of(budget->subject));
    struct access_budget **at = &rows->budgets;
    while (*at != budget) {
        at = &(*at)->next;
    }
    *at = budget->next;
    map_take(&b->budgets, span_of(budget->wish.id));
    memory_free(budget);
}

static struct access_budget *budget_new(const struct store_budget *row, struct span id,
                                        const struct limits_zone *zone)
{
    struct access_budget *budget = memory_new(sizeof(*budget));
    if (budget == NULL) {
        return NULL;
    }
    struct limits_wish *wish = &budget->wish;
    span_copy_text(row->subject, budget->subject, sizeof(budget->subject));
    span_copy_text(id, wish->id, sizeof(wish->id));
    span_copy_text(row->currency, wish->currency, sizeof(wish->currency));
    span_copy_text(row->model, wish->model, sizeof(wish->model));
    wish->kind = row->currency.len > 0 ? LIMITS_MONEY_BUDGET : LIMITS_TOKEN_BUDGET;
    wish->limit = row->amount;
    wish->span = (enum limits_span)(row->window <= LIMITS_TOTAL ? row->window : LIMITS_TOTAL);
    wish->zone = zone;
    wish->week_start = row->week_start % 7;
    return budget;
}

/* Puts a budget among its subject's, whose rows are there, before it is found by its id. */
static enum err put_in(struct access_book *b, struct access_budget *budget)
{
    struct access_rows *rows = rows_of(b, span_of(budget->subject));
    enum err e = rows == NULL ? ERR_NO_MEMORY
                              : map_put_borrow(&b->budgets, span_of(budget->wish.id), budget);
    if (e == ERR_OK) {
        budget->next = rows->budgets;
        rows->budgets = budget;
    }
    return e;
}

enum err access_book_put_budget(struct access_book *b, const struct store_budget *row,
                                bool *zone_is_known)
{
    struct span id = row->id;
    *zone_is_known = true;
    if (span_starts(id, BUDGET_PREFIX)) {
        id = span_cut(id, BUDGET_PREFIX.len, id.len);
    }
    struct access_budget *before = map_find(&b->budgets, id);
    struct access_budget *made = NULL;
    if (row->ended.us == 0) {
        const struct limits_zone *zone = zone_of(b, row->zone);
        *zone_is_known = zone != NULL;
        made = budget_new(row, id, zone != NULL ? zone : b->utc);
        if (made == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    if (before != NULL) {
        take_out(b, before); /* which leaves room in the map */
    }
    if (made != NULL && put_in(b, made) != ERR_OK) {
        memory_free(made);
        return ERR_NO_MEMORY;
    }
    return ERR_OK;
}
