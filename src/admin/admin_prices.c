/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prices that go before the configuration's: made, listed, shown, ended. What one says is never
 * changed, for records name it: another one takes its place.
 *
 * The configuration's are listed behind them, to be read only. In the order of a list their numbers
 * lie beyond all that rows have.
 */
#include "admin/admin_internal.h"
#include "base/arena.h"
#include "base/money.h"
#include "policy/policy.h"
#include "policy/policy_book.h"
#include "store/store_change.h"

#define IN_USD     SPAN("USD")
#define PER_TOKENS 1000000

/* The number of the configuration's first price, in a list. */
#define CONFIGURED (INT64_MAX / 2)

enum state { ACTIVE, TO_COME, ENDED }; /* ADMIN_PRICE_STATES */
enum source { SET, OF_CONFIGURATION }; /* ADMIN_PRICE_SOURCES */

static int state_of(wall_us from, wall_us ended, wall_us now)
{
    return ended.us != 0 && ended.us <= now.us ? ENDED : from.us > now.us ? TO_COME : ACTIVE;
}

static struct admin_price show(const struct admin_operation *op, const struct store_price *row)
{
    return (struct admin_price){.id = row->id,
                                .model = row->model,
                                .from = row->from,
                                .input = row->input,
                                .cached_input = row->cached_input,
                                .output = row->output,
                                .per = row->per,
                                .request = row->request,
                                .gpu_second = row->gpu_second,
                                .currency = row->currency,
                                .source = SET,
                                .status = state_of(row->from, row->ended, op->now),
                                .created_at = row->created,
                                .ended_at = row->ended};
}

static struct admin_price show_configured(const struct admin_operation *op, struct span model,
                                          const struct policy_price *price)
{
    return (struct admin_price){.model = model,
                                .from = price->from,
                                .input = price->input_nano,
                                .cached_input = price->cached_nano,
                                .output = price->output_nano,
                                .per = price->per_tokens,
                                .request = price->request_nano,
                                .gpu_second = price->gpu_second_nano,
                                .currency = span_of(price->currency),
                                .source = OF_CONFIGURATION,
                                .status = state_of(price->from, (wall_us){0}, op->now)};
}

static enum err answer(const struct admin_operation *op, const struct store_price *row)
{
    const struct admin_price shown = show(op, row);
    return admin_answer_object(op, ADMIN_OBJECT_price, &shown);
}

/* ---- making ---- */

static enum err check_amounts(const struct admin_operation *op, uint64_t given)
{
    const uint64_t amounts = ADMIN_GAVE(price, input) | ADMIN_GAVE(price, output) |
                             ADMIN_GAVE(price, request) | ADMIN_GAVE(price, gpu_second);
    return (given & amounts) != 0
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_VALUE_MISSING, SPAN("input"),
                                 "say what it costs: input, output, request or gpu_second; 0 is "
                                 "for nothing");
}

/* A record says whole numbers that JSON's readers keep. */
static enum err check_from(const struct admin_operation *op, wall_us from)
{
    return from.us <= JOURNAL_NUMBER_MAX
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("from"),
                                 "'from' must be before the year 2255");
}

static enum err check_room(const struct admin_operation *op)
{
    return op->book == NULL || policy_book_room(op->book, op->now) > 0
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN(""),
                                 "there are %d prices already, as many as may be: end those that "
                                 "others have replaced",
                                 POLICY_BOOK_MAX);
}

static enum err fill(const struct admin_operation *op, const struct admin_price *asked,
                     uint64_t given, struct store_price *row)
{
    bool has_cached = (given & ADMIN_GAVE(price, cached_input)) != 0;
    row->model = asked->model;
    row->from = asked->from.us == 0 ? op->now : asked->from;
    row->input = asked->input;
    row->cached_input = has_cached ? asked->cached_input : asked->input;
    row->output = asked->output;
    row->per = asked->per;
    row->request = asked->request;
    row->gpu_second = asked->gpu_second;
    row->currency = asked->currency.len == 0 ? IN_USD : asked->currency;
    row->created = op->now;
    if (!money_is_currency(row->currency)) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("currency"),
                               "'currency' must be three capital letters, such as USD");
    }
    enum err e = check_amounts(op, given);
    e = e == ERR_OK ? check_from(op, row->from) : e;
    e = e == ERR_OK ? admin_check_model(op, row->model) : e;
    return e == ERR_OK ? check_room(op) : e;
}

/* Has it recorded, then in force, then in the store. */
static enum err put(const struct admin_operation *op, const struct store_price *row)
{
    enum err e = store_change(op->store, STORE_TABLE_PRICE, row, false, op->route->action,
                              op->request->actor);
    if (e != ERR_OK) {
        return e;
    }
    /* When the disk did not take it it may be all the same: then it holds at once. */
    enum err on_disk = store_settle(op->store);
    enum err taken = op->book == NULL ? ERR_OK : policy_book_apply(op->book, row, op->now);
    if (on_disk != ERR_OK || taken != ERR_OK) {
        return on_disk != ERR_OK ? on_disk : taken;
    }
    enum err follows = store_catch_up(op->store);
    (void)follows; /* the journal's health tells of it (journal_apply.h) */
    admin_note(op, op->route->action, row->id);
    return answer(op, row);
}

enum err admin_price_create(const struct admin_operation *op)
{
    struct arena arena;
    struct store_price row = {.per = 0}, made = {.per = 0};
    struct admin_price asked = {.per = PER_TOKENS};
    struct admin_reading reading = admin_reading_of(op, ADMIN_OBJECT_price, ADMIN_MAKES, &arena);
    char id[ADMIN_ID_BYTES];
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    row.id = made.id = admin_make_id(op, "price_", id);
    enum err e = admin_object_read(&reading, &asked);
    e = e == ERR_OK ? store_change_begin(op->store) : e;
    enum err found = e == ERR_OK ? store_change_get(op->store, STORE_TABLE_PRICE, &made) : e;
    if (found == ERR_OK) { /* by the same request, before the gateway was killed */
        e = answer(op, &made);
    } else {
        e = found == ERR_NOT_FOUND_ROW ? fill(op, &asked, reading.given, &row) : found;
        e = e == ERR_OK ? put(op, &row) : e;
    }
    arena_fini(&arena);
    return e;
}

/* ---- one ---- */

static enum err find(const struct admin_operation *op, struct arena *arena, struct store_price *row)
{
    *row = (struct store_price){.id = op->id};
    enum err e = store_change_get(op->store, STORE_TABLE_PRICE, row);
    e = e == ERR_OK ? store_row_keep(STORE_TABLE_PRICE, row, arena) : e;
    return e == ERR_NOT_FOUND_ROW ? admin_refuse(op, e, "there is no price of this id") : e;
}

enum err admin_price_show(const struct admin_operation *op)
{
    struct arena arena;
    struct store_price row;
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = find(op, &arena, &row);
    e = e == ERR_OK ? answer(op, &row) : e;
    arena_fini(&arena);
    return e;
}

/* One that was ended before keeps its time. */
static enum err end(const struct admin_operation *op, struct store_price *row)
{
    const struct admin_price shown = show(op, row);
    enum err e = admin_judge(op, ADMIN_OBJECT_price, &shown);
    if (e != ERR_OK || row->ended.us != 0) {
        return e == ERR_OK ? answer(op, row) : e;
    }
    row->ended = op->now;
    return put(op, row);
}

enum err admin_price_end(const struct admin_operation *op)
{
    struct arena arena;
    struct store_price row;
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = store_change_begin(op->store);
    e = e == ERR_OK ? find(op, &arena, &row) : e;
    e = e == ERR_OK ? end(op, &row) : e;
    arena_fini(&arena);
    return e;
}

/* ---- all ---- */

static enum err write(struct admin_lister *l, int64_t number, const struct admin_price *shown)
{
    enum err e = admin_pager_next(&l->pager, number);
    if (e == ERR_OK) {
        admin_object_write(&l->pager.w, ADMIN_OBJECT_price, shown);
    }
    return e == ERR_OK && buf_failed(l->pager.w.out) ? ERR_NO_MEMORY : e;
}

static enum err on_price(void *context, const void *given)
{
    struct admin_lister *l = context;
    const struct store_price *row = given;
    if (row->ended.us != 0 && !l->has_ended) {
        return ERR_OK;
    }
    const struct admin_price shown = show(l->op, row);
    return write(l, row->number, &shown);
}

/* Lists the configuration's, beyond the number `after`. */
static enum err list_configured(struct admin_lister *l, int64_t after)
{
    const struct policy *p = l->op->policy;
    int64_t number = CONFIGURED;
    enum err e = ERR_OK;
    for (size_t i = 0; p != NULL && i < p->model_count; i++) {
        const struct policy_model *model = &p->models[i];
        for (size_t k = 0; e == ERR_OK && k < model->price_count; k++) {
            const struct admin_price shown = show_configured(l->op, model->name, &model->prices[k]);
            number++;
            e = number > after ? write(l, number, &shown) : ERR_OK;
        }
    }
    return e;
}

enum err admin_price_list(const struct admin_operation *op)
{
    const struct admin_value *after = admin_param(op, "after");
    const struct store_price from = {.number = after == NULL ? 0 : after->number};
    struct admin_lister l = {.op = op};
    enum err e = admin_include(op, &l.has_ended);
    if (e != ERR_OK) {
        return e;
    }
    e = admin_pager_rows(&l.pager, op, STORE_TABLE_PRICE, STORE_INDEX_PRICE_BY_NUMBER, &from,
                         on_price);
    e = e == ERR_OK ? list_configured(&l, from.number) : e;
    return e == ERR_OK || e == ERR_NOT_FOUND_ROW ? admin_pager_end(&l.pager) : e;
}
