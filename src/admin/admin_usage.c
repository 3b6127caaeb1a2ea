/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage: the store's rows are by day, key, model, currency and upstream, in this order; an answer's
 * are by day, key, model and currency. So rows that differ in the upstream alone come one after the
 * other and are summed until another comes.
 */
#include "admin/admin_internal.h"
#include "base/sum.h"
#include "store/store_change.h"
#include "store/store_usage.h"

struct usage_writer {
    struct json_writer w;
    bool is_filled;          /* `sums` waits to be written */
    struct admin_usage sums; /* its spans lie in `room` */
    uint8_t room[4][STORE_TEXT_MAX];
};

static void write_sums(struct usage_writer *u)
{
    if (u->is_filled) {
        admin_object_write(&u->w, ADMIN_OBJECT_usage, &u->sums);
        u->is_filled = false;
    }
}

static struct span keep(uint8_t room[STORE_TEXT_MAX], struct span text)
{
    struct span kept = span_make(room, text.len < STORE_TEXT_MAX ? text.len : STORE_TEXT_MAX);
    if (kept.len > 0) {
        memcpy(room, text.at, kept.len);
    }
    return kept;
}

static bool is_same(const struct admin_usage *sums, const struct store_usage *row)
{
    return sums->day == row->day && span_equal(sums->key_id, row->key_id) &&
           span_equal(sums->model, row->model) && span_equal(sums->currency, row->currency);
}

static enum err on_usage(void *context, const struct store_usage *row, struct span key_name)
{
    struct usage_writer *u = context;
    struct admin_usage *sums = &u->sums;
    if (!u->is_filled || !is_same(sums, row)) {
        write_sums(u);
        *sums = (struct admin_usage){.day = row->day,
                                     .key_id = keep(u->room[0], row->key_id),
                                     .model = keep(u->room[1], row->model),
                                     .key_name = keep(u->room[2], key_name),
                                     .currency = keep(u->room[3], row->currency)};
        u->is_filled = true;
    }
    sums->calls = sum_of(sums->calls, row->calls);
    sums->interrupted = sum_of(sums->interrupted, row->interrupted);
    sums->failed = sum_of(sums->failed, row->failed);
    sums->refused = sum_of(sums->refused, row->refused);
    sums->estimated = sum_of(sums->estimated, row->estimated);
    sums->tokens_in = sum_of(sums->tokens_in, row->tokens_in);
    sums->tokens_out = sum_of(sums->tokens_out, row->tokens_out);
    sums->tokens_cached = sum_of(sums->tokens_cached, row->tokens_cached);
    sums->tokens_reasoning = sum_of(sums->tokens_reasoning, row->tokens_reasoning);
    sums->bytes_in = sum_of(sums->bytes_in, row->bytes_in);
    sums->bytes_out = sum_of(sums->bytes_out, row->bytes_out);
    sums->cost_nano = sum_of(sums->cost_nano, row->cost_nano);
    return buf_failed(u->w.out) ? ERR_NO_MEMORY : ERR_OK;
}

/* Of a key without calls: whether it is there at all. */
static enum err check_key(const struct admin_operation *op, struct span id)
{
    struct store_key key = {.id = id};
    enum err e = store_change_get(op->store, STORE_TABLE_KEY, &key);
    return e == ERR_NOT_FOUND_ROW
               ? admin_refuse(op, e, "there is no key of this id; `atlas key list` shows them")
               : e;
}

/* Who sees one team's things alone asks for one of its keys: the sums do not say whose they are. */
static enum err check_team(const struct admin_operation *op, struct span id)
{
    struct store_key key = {.id = id};
    if (op->caller_team.len == 0) {
        return ERR_OK;
    }
    if (id.len == 0) {
        return admin_fault_say(&op->answer->fault, ERR_SCOPE_DENIED, SPAN("key"),
                               "'key' must name one of your team's keys");
    }
    enum err e = store_change_get(op->store, STORE_TABLE_KEY, &key);
    return e == ERR_NOT_FOUND_ROW || (e == ERR_OK && !admin_sees(op, key.team))
               ? admin_refuse(op, ERR_NOT_FOUND_ROW, "there is no key of this id")
               : e;
}

static int32_t day_of(const struct admin_operation *op, const char *name, int32_t fallback)
{
    const struct admin_value *day = admin_param(op, name);
    return day == NULL ? fallback : (int32_t)day->number;
}

static struct span text_of(const struct admin_operation *op, const char *name)
{
    const struct admin_value *text = admin_param(op, name);
    return text == NULL ? (struct span){NULL, 0} : text->text;
}

enum err admin_usage_list(const struct admin_operation *op)
{
    const struct store_usage_filter filter = {day_of(op, "from", INT32_MIN),
                                              day_of(op, "to", INT32_MAX), text_of(op, "key"),
                                              text_of(op, "model")};
    if (filter.last_day < filter.first_day) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("to"),
                               "'to' is before 'from'");
    }
    enum err e = check_team(op, filter.key_id);
    if (e != ERR_OK) {
        return e;
    }
    struct usage_writer u = {.is_filled = false};
    admin_list_begin(&u.w, op->out);
    e = store_usage_list(op->store, &filter, on_usage, &u);
    if (e == ERR_OK && filter.key_id.len > 0 && !u.is_filled) {
        e = check_key(op, filter.key_id);
    }
    if (e == ERR_OK) {
        write_sums(&u);
    }
    return admin_list_end(&u.w, e);
}
