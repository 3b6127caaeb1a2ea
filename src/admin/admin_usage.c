/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage: the store's rows are by day, key, model and upstream, in this order; an answer's are by
 * day, key and model. So rows that differ in the upstream alone come one after the other and are
 * summed until another comes.
 */
#include "admin/admin_internal.h"
#include "http/http_target.h"
#include "store/store_usage.h"

#define DAY_US INT64_C(86400000000)

struct usage_writer {
    struct json_writer w;
    bool is_filled;          /* `sums` waits to be written */
    struct store_usage sums; /* its spans lie in `room` */
    uint8_t room[3][STORE_TEXT_MAX];
};

static void write_number(struct json_writer *w, const char *key, int64_t number)
{
    json_write_key(w, key);
    json_write_int(w, number);
}

static void write_sums(struct usage_writer *u)
{
    const struct store_usage *sums = &u->sums;
    char day[11];
    if (!u->is_filled) {
        return;
    }
    clock_day((wall_us){sums->day * DAY_US}, day);
    json_write_object(&u->w);
    json_write_key(&u->w, "day");
    json_write_text(&u->w, day);
    json_write_key(&u->w, "key_id");
    json_write_string(&u->w, sums->key_id);
    json_write_key(&u->w, "key_name");
    json_write_string(&u->w, sums->key_name);
    json_write_key(&u->w, "model");
    json_write_string(&u->w, sums->model);
    write_number(&u->w, "calls", sums->calls);
    write_number(&u->w, "interrupted", sums->interrupted);
    write_number(&u->w, "failed", sums->failed);
    write_number(&u->w, "estimated", sums->estimated);
    write_number(&u->w, "tokens_in", sums->tokens_in);
    write_number(&u->w, "tokens_out", sums->tokens_out);
    write_number(&u->w, "bytes_in", sums->bytes_in);
    write_number(&u->w, "bytes_out", sums->bytes_out);
    write_number(&u->w, "cost_micro", sums->cost_microusd);
    json_write_end(&u->w);
    u->is_filled = false;
}

static struct span keep(uint8_t room[STORE_TEXT_MAX], struct span text)
{
    struct span kept = span_make(room, text.len < STORE_TEXT_MAX ? text.len : STORE_TEXT_MAX);
    if (kept.len > 0) {
        memcpy(room, text.at, kept.len);
    }
    return kept;
}

static bool is_same(const struct store_usage *a, const struct store_usage *b)
{
    return a->day == b->day && span_equal(a->key_id, b->key_id) && span_equal(a->model, b->model);
}

static enum err on_usage(void *context, const struct store_usage *row)
{
    struct usage_writer *u = context;
    struct store_usage *sums = &u->sums;
    if (!u->is_filled || !is_same(sums, row)) {
        write_sums(u);
        *sums = (struct store_usage){.day = row->day,
                                     .key_id = keep(u->room[0], row->key_id),
                                     .model = keep(u->room[1], row->model),
                                     .key_name = keep(u->room[2], row->key_name)};
        u->is_filled = true;
    }
    sums->calls += row->calls;
    sums->interrupted += row->interrupted;
    sums->failed += row->failed;
    sums->estimated += row->estimated;
    sums->tokens_in += row->tokens_in;
    sums->tokens_out += row->tokens_out;
    sums->bytes_in += row->bytes_in;
    sums->bytes_out += row->bytes_out;
    sums->cost_microusd += row->cost_microusd;
    return buf_failed(u->w.out) ? ERR_NO_MEMORY : ERR_OK;
}

/* The number of a day such as "2026-11-24" (Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms"): years begin in March, so that the leap day is a year's last. */
static enum err read_day(struct span text, int32_t *out)
{
    uint64_t year, month, day;
    if (text.len != 10 || text.at[4] != '-' || text.at[7] != '-' ||
        !span_to_u64(span_cut(text, 0, 4), 9999, &year) ||
        !span_to_u64(span_cut(text, 5, 2), 12, &month) ||
        !span_to_u64(span_cut(text, 8, 2), 31, &day) || year < 1970 || month < 1 || day < 1) {
        return ERR_VALUE_INVALID;
    }
    uint64_t y = month <= 2 ? year - 1 : year;
    uint64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int32_t number =
        (int32_t)(y * 365 + y / 4 - y / 100 + y / 400 + day_of_year) - 719468; /* 1970-01-01 */
    char again[11];
    clock_day((wall_us){number * DAY_US}, again);
    if (!span_is(text, again)) { /* February 30 is March 1 or 2 by now */
        return ERR_VALUE_INVALID;
    }
    *out = number;
    return ERR_OK;
}

/* Reads a parameter into `room`; absent ones stay as they are. */
static enum err read_param(const struct admin_operation *op, const char *name,
                           uint8_t room[STORE_TEXT_MAX], struct span *out)
{
    uint8_t decoded[3 * STORE_TEXT_MAX];
    struct span raw, value;
    if (!http_target_param(op->request->query, span_of(name), &raw)) {
        return ERR_OK;
    }
    if (raw.len > sizeof(decoded) || http_target_decode_param(raw, decoded, &value) != ERR_OK ||
        value.len > STORE_TEXT_MAX) {
        return admin_refuse(op, ERR_VALUE_INVALID, SPAN("a parameter of the query is not valid"));
    }
    *out = keep(room, value);
    return ERR_OK;
}

static enum err read_day_param(const struct admin_operation *op, const char *name, int32_t *out)
{
    uint8_t room[STORE_TEXT_MAX];
    struct span day = {NULL, 0};
    enum err e = read_param(op, name, room, &day);
    if (e == ERR_OK && day.len > 0 && read_day(day, out) != ERR_OK) {
        e = admin_refuse(op, ERR_VALUE_INVALID,
                         SPAN("'from' and 'to' are days, such as 2026-11-24"));
    }
    return e;
}

enum err admin_usage_list(const struct admin_operation *op)
{
    struct store_usage_filter filter = {INT32_MIN, INT32_MAX, {NULL, 0}, {NULL, 0}};
    uint8_t room[2][STORE_TEXT_MAX];
    enum err e = read_day_param(op, "from", &filter.first_day);
    if (e == ERR_OK) {
        e = read_day_param(op, "to", &filter.last_day);
    }
    if (e == ERR_OK) {
        e = read_param(op, "key", room[0], &filter.key_id);
    }
    if (e == ERR_OK) {
        e = read_param(op, "model", room[1], &filter.model);
    }
    if (e != ERR_OK) {
        return e;
    }
    struct usage_writer u = {.is_filled = false};
    admin_list_begin(&u.w, op->out);
    e = store_usage_list(op->store, &filter, on_usage, &u);
    if (e == ERR_OK) {
        write_sums(&u);
    }
    return admin_list_end(&u.w, e);
}
