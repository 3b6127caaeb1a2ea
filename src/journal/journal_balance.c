/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/journal_balance.h"

#include <string.h>

#include "base/sum.h"
#include "store/store_tables.h"

#define SECOND_US INT64_C(1000000)

struct balance_row {
    struct list node;
    struct store_balance sums; /* its text lies in the arena */
};

/* A row, its text, and what aligning the two costs. */
_Static_assert(sizeof(struct balance_row) + 64 + 2 * 16 <= JOURNAL_BALANCE_BYTES,
               "what a window takes");

void journal_balances_init(struct journal_balances *b)
{
    map_init(&b->map);
    list_init(&b->rows);
}

void journal_balances_fini(struct journal_balances *b)
{
    map_fini(&b->map);
}

/* "BUDGET$1764536400" or "BUDGET#…"; false: it is none. */
static bool read_window(struct span text, struct store_balance *out, bool *is_money)
{
    size_t cut = span_find(text, '$', 0);
    *is_money = cut < text.len;
    cut = *is_money ? cut : span_find(text, '#', 0);
    struct span digits = span_cut(text, cut + 1, text.len);
    int64_t seconds = 0;
    for (size_t i = 0; i < digits.len; i++) {
        uint8_t digit = (uint8_t)(digits.at[i] - '0');
        if (digit > 9 || i > 10) {
            return false;
        }
        seconds = seconds * 10 + digit;
    }
    out->budget = span_cut(text, 0, cut);
    out->begins.us = seconds * SECOND_US;
    return digits.len > 0 && cut > 0 && cut <= 32;
}

static struct balance_row *row_of(struct journal_balances *b, struct arena *arena,
                                  struct span window)
{
    struct balance_row *row = map_find(&b->map, window);
    if (row != NULL) {
        return row;
    }
    row = arena_new(arena, sizeof(*row));
    struct span name = arena_copy(arena, window);
    bool is_money;
    if (row == NULL || name.at == NULL || !read_window(name, &row->sums, &is_money) ||
        map_put_borrow(&b->map, name, row) != ERR_OK) {
        return NULL;
    }
    list_push_back(&b->rows, &row->node);
    return row;
}

enum err journal_balances_add(struct journal_balances *b, struct arena *arena,
                              const struct journal_record *r)
{
    struct span rest = journal_record_text(r, JOURNAL_TEXT_BUDGETS);
    int64_t tokens = sum_of(r->tokens_in, r->tokens_out);
    for (int i = 0; rest.len > 0 && i < JOURNAL_BUDGETS_MAX; i++) {
        struct store_balance read;
        bool is_money;
        struct span window = span_cut(rest, 0, span_find(rest, ' ', 0));
        rest = span_cut(rest, window.len + 1, rest.len);
        if (!read_window(window, &read, &is_money) || (is_money ? r->cost_nano : tokens) == 0) {
            continue;
        }
        struct balance_row *row = row_of(b, arena, window);
        if (row == NULL) {
            return ERR_NO_MEMORY;
        }
        row->sums.spent = sum_of(row->sums.spent, is_money ? r->cost_nano : tokens);
    }
    return ERR_OK;
}

enum err journal_balances_apply(const struct journal_balances *b, struct store *s)
{
    enum err e = ERR_OK;
    for (struct list *at = b->rows.next; e == ERR_OK && at != &b->rows; at = at->next) {
        e = store_row_add(s, STORE_TABLE_BALANCE, &LIST_OF(at, struct balance_row, node)->sums);
    }
    return e;
}
