/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Budgets: made, listed, shown, changed (their amounts), ended. An amount is in billionths of the
 * currency in the store, or in tokens.
 */
#include "admin/admin_internal.h"
#include "base/arena.h"
#include "base/money.h"
#include "journal/journal_record.h"
#include "store/store_change.h"

#define IN_USD      SPAN("USD")
#define IN_UTC      SPAN("UTC")
#define MONEY_UNITS 0
#define TOKEN_UNITS 1
#define MONDAY      1
#define PREFIX      (sizeof("budget_") - 1)
#define AMOUNT_MAX  (INT64_MAX / 2) /* what is taken of it may be added to it */

_Static_assert(LIMITS_STEPS == 3, "ADMIN_THRESHOLDS says them");

static struct admin_amount shown_amount(bool is_money, int64_t amount)
{
    return is_money ? (struct admin_amount){amount, -1} : (struct admin_amount){-1, amount};
}

static struct admin_budget show(const struct admin_operation *op, const struct store_budget *row)
{
    struct limits_balance balance = {.range = {.to = {LIMITS_NEVER_US}}};
    bool is_money = row->currency.len > 0;
    struct admin_whose whose = admin_whose_of(op, row->subject);
    bool is_known = access_balance(op->rights, row->id, op->now, &balance);
    struct admin_amount none = shown_amount(is_money, 0);
    struct admin_budget shown = {.id = row->id,
                                 .spent = none,
                                 .held = none,
                                 .beyond = none,
                                 .organisation = whose.organisation,
                                 .team = whose.team,
                                 .user = whose.user,
                                 .key = whose.key,
                                 .tag = whose.tag,
                                 .each = whose.each,
                                 .model = row->model,
                                 .unit = is_money ? MONEY_UNITS : TOKEN_UNITS,
                                 .currency = row->currency,
                                 .amount = shown_amount(is_money, row->amount),
                                 .window = row->window,
                                 .time_zone = row->zone,
                                 .week_starts = row->week_start,
                                 .status = row->ended.us != 0,
                                 .created_at = row->created,
                                 .ended_at = row->ended};
    if (row->ended.us != 0) {
        shown.spent = shown_amount(is_money, row->spent);
        shown.thresholds_passed = limits_steps_of(row->spent, row->amount);
    } else if (is_known) {
        shown.spent = shown_amount(is_money, balance.spent);
        shown.held = shown_amount(is_money, balance.held);
        shown.beyond = shown_amount(is_money, balance.beyond);
        shown.thresholds_passed = limits_steps_of(balance.spent, row->amount);
        shown.resets_at.us = balance.range.to.us == LIMITS_NEVER_US ? 0 : balance.range.to.us;
    }
    return shown;
}

static enum err answer(const struct admin_operation *op, const struct store_budget *row)
{
    const struct admin_budget shown = show(op, row);
    return admin_answer_object(op, ADMIN_OBJECT_budget, &shown);
}

static enum err refuse(const struct admin_operation *op, const char *member, const char *what)
{
    return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, span_of(member),
                           "'%s' must be %s", member, what);
}

static enum err read_amount(const struct admin_operation *op, const struct admin_budget *asked,
                            int64_t *out)
{
    bool is_money = asked->unit == MONEY_UNITS;
    *out = is_money ? asked->amount.nano : asked->amount.tokens;
    return *out >= 0 && *out <= AMOUNT_MAX
               ? ERR_OK
               : refuse(op, "amount",
                        is_money ? "at most 4611686018.427387903, with at most 9 places"
                                 : "a whole number of tokens, at most 4611686018427387903");
}

static enum err check_zone(const struct admin_operation *op, struct span name)
{
    char text[65];
    struct limits_zone *zone = NULL;
    span_copy_text(name, text, sizeof(text));
    enum err e = limits_zone_open(text, &zone);
    limits_zone_close(&zone);
    return e == ERR_VALUE_INVALID
               ? refuse(op, "time_zone", "a time zone that this machine knows, such as Asia/Riyadh")
               : e;
}

/* A subject that has not ended may have so many; the day's tokens need one more place. */
static enum err check_count(const struct admin_operation *op, struct span subject)
{
    enum err e = admin_check_lives(op, subject);
    if (e == ERR_OK && access_count_budgets(op->rights, subject) >= LIMITS_BUDGETS_MAX / 2 - 1) {
        e = admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN(""),
                            "it has %d budgets already, as many as may be: end one first",
                            LIMITS_BUDGETS_MAX / 2 - 1);
    }
    return e;
}

static enum err fill(const struct admin_operation *op, const struct admin_budget *asked,
                     char subject[ADMIN_SUBJECT_BYTES], struct store_budget *row)
{
    const struct admin_whose whose = {.organisation = asked->organisation,
                                      .team = asked->team,
                                      .user = asked->user,
                                      .key = asked->key,
                                      .tag = asked->tag,
                                      .each = asked->each};
    bool is_money = asked->unit == MONEY_UNITS;
    row->currency = is_money && asked->currency.len == 0 ? IN_USD : asked->currency;
    row->zone = asked->time_zone.len == 0 ? IN_UTC : asked->time_zone;
    row->model = asked->model;
    row->window = (uint8_t)asked->window;
    row->week_start = (uint8_t)asked->week_starts;
    row->created = op->now;
    if (is_money ? !money_is_currency(row->currency) : row->currency.len > 0) {
        return refuse(op, "currency",
                      is_money ? "three capital letters, such as USD" : "left out with tokens");
    }
    enum err e = read_amount(op, asked, &row->amount);
    e = e == ERR_OK ? check_zone(op, row->zone) : e;
    e = e == ERR_OK && row->model.len > 0 ? admin_check_model(op, row->model) : e;
    e = e == ERR_OK ? admin_resolve_whose(op, &whose, false, subject) : e;
    row->subject = span_of(subject);
    e = e == ERR_OK ? check_count(op, row->subject) : e;
    e = e == ERR_OK ? admin_budget_judge(op, row->subject, asked->tag,
                                         span_cut(row->id, PREFIX, row->id.len), row->model)
                    : e;
    return e == ERR_OK && asked->tag.len > 0 ? admin_tag_make(op, asked->tag, row->subject) : e;
}

static enum err read_body(const struct admin_operation *op, enum admin_use use, struct arena *arena,
                          struct admin_budget *budget)
{
    struct admin_reading reading = admin_reading_of(op, ADMIN_OBJECT_budget, use, arena);
    return admin_object_read(&reading, budget);
}

static enum err put(const struct admin_operation *op, const struct store_budget *row)
{
    enum err e = access_change(op->rights, op->store, STORE_TABLE_BUDGET, row, op->route->action,
                               op->request->actor);
    if (e == ERR_OK) {
        admin_note(op, op->route->action, row->id);
        e = answer(op, row);
    }
    return e;
}

enum err admin_budget_create(const struct admin_operation *op)
{
    struct arena arena;
    struct store_budget row = {.amount = 0};
    struct admin_budget asked = {.window = LIMITS_MONTH, .week_starts = MONDAY};
    struct store_budget made = {.amount = 0};
    char id[ADMIN_ID_BYTES], subject[ADMIN_SUBJECT_BYTES];
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    row.id = made.id = admin_make_id(op, "budget_", id);
    enum err e = read_body(op, ADMIN_MAKES, &arena, &asked);
    e = e == ERR_OK ? store_change_begin(op->store) : e;
    enum err found = e == ERR_OK ? store_change_get(op->store, STORE_TABLE_BUDGET, &made) : e;
    if (found == ERR_OK) { /* by the same request, before the gateway was killed */
        e = answer(op, &made);
    } else {
        e = found == ERR_NOT_FOUND_ROW ? fill(op, &asked, subject, &row) : found;
        e = e == ERR_OK ? put(op, &row) : e;
    }
    arena_fini(&arena);
    return e;
}

/* Finds the one that the path names, as it was changed last. */
static enum err find(const struct admin_operation *op, struct arena *arena,
                     struct store_budget *row)
{
    *row = (struct store_budget){.id = op->id};
    enum err e = store_change_get(op->store, STORE_TABLE_BUDGET, row);
    e = e == ERR_OK ? store_row_keep(STORE_TABLE_BUDGET, row, arena) : e;
    e = e == ERR_OK && !admin_sees(op, admin_team_of(op, row->subject)) ? ERR_NOT_FOUND_ROW : e;
    return e == ERR_NOT_FOUND_ROW ? admin_refuse(op, e, "there is no budget of this id") : e;
}

enum err admin_budget_show(const struct admin_operation *op)
{
    struct arena arena;
    struct store_budget row;
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = find(op, &arena, &row);
    e = e == ERR_OK ? answer(op, &row) : e;
    arena_fini(&arena);
    return e;
}

static enum err find_to_change(const struct admin_operation *op, struct arena *arena,
                               struct store_budget *row, struct admin_budget *shown)
{
    enum err e = store_change_begin(op->store);
    e = e == ERR_OK ? find(op, arena, row) : e;
    if (e != ERR_OK) {
        return e;
    }
    *shown = show(op, row);
    return admin_judge(op, ADMIN_OBJECT_budget, shown);
}

enum err admin_budget_change(const struct admin_operation *op)
{
    struct arena arena;
    struct store_budget row;
    struct admin_budget shown;
    arena_init(&arena, 2 * ADMIN_BODY_BYTES_MAX);
    enum err e = find_to_change(op, &arena, &row, &shown);
    if (e == ERR_OK && row.ended.us != 0) {
        e = admin_refuse(op, ERR_EXISTS, "this budget was ended: it cannot be changed");
    }
    e = e == ERR_OK ? admin_check_lives(op, row.subject) : e;
    e = e == ERR_OK ? read_body(op, ADMIN_CHANGES, &arena, &shown) : e;
    e = e == ERR_OK ? read_amount(op, &shown, &row.amount) : e;
    e = e == ERR_OK ? put(op, &row) : e;
    arena_fini(&arena);
    return e;
}

/* What calls under way hold is counted as used: nobody looks at the budget any more when they end.
 */
static int64_t spent_of(const struct admin_operation *op, struct span id)
{
    struct limits_balance balance;
    return access_balance(op->rights, id, op->now, &balance) ? balance.spent + balance.held : 0;
}

enum err admin_budget_end(const struct admin_operation *op)
{
    struct arena arena;
    struct store_budget row;
    struct admin_budget shown;
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = find_to_change(op, &arena, &row, &shown);
    if (e == ERR_OK && row.ended.us == 0) {
        row.spent = spent_of(op, row.id);
        row.ended = op->now;
        e = put(op, &row);
    } else if (e == ERR_OK) {
        e = answer(op, &row);
    }
    arena_fini(&arena);
    return e;
}

struct lister {
    struct admin_pager pager;
    const struct admin_operation *op;
    bool has_ended;
};

static enum err on_budget(void *context, const void *given)
{
    struct lister *l = context;
    const struct store_budget *row = given;
    if ((row->ended.us != 0 && !l->has_ended) ||
        !admin_sees(l->op, admin_team_of(l->op, row->subject))) {
        return admin_pager_skip(&l->pager, row->number);
    }
    const struct admin_budget shown = show(l->op, row);
    enum err e = admin_pager_next(&l->pager, row->number);
    if (e == ERR_OK) {
        admin_object_write(&l->pager.w, ADMIN_OBJECT_budget, &shown);
    }
    return e == ERR_OK && buf_failed(l->pager.w.out) ? ERR_NO_MEMORY : e;
}

enum err admin_budget_list(const struct admin_operation *op)
{
    const struct admin_value *after = admin_param(op, "after");
    const struct admin_value *include = admin_param(op, "include");
    const struct store_budget from = {.number = after == NULL ? 0 : after->number};
    const struct store_page page = {.from = &from, .after = true, .limit = INT64_MAX};
    struct lister l = {.op = op, .has_ended = include != NULL};
    if (include != NULL && !span_is(include->text, "ended")) {
        return refuse(op, "include", "'ended' alone");
    }
    admin_pager_begin(&l.pager, op);
    enum err e = store_change_page(op->store, STORE_TABLE_BUDGET, STORE_INDEX_BUDGET_BY_NUMBER,
                                   &page, on_budget, &l);
    return e == ERR_OK || e == ERR_NOT_FOUND_ROW ? admin_pager_end(&l.pager) : e;
}
