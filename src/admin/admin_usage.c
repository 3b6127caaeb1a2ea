/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /admin/v1/usage. All sums are made before the first is written: the store's rows come by team
 * and hour, the answer's in the order that is asked for.
 */
#include "admin/admin_usage.h"

#include <stdio.h>

#include "admin/admin_internal.h"
#include "store/store_change.h"

/* A question, and its answer as it is made. */
struct usage {
    const struct admin_operation *op;
    struct admin_bys bys;
    struct store_usage_filter filter;
    uint8_t ids[3][STORE_TEXT_MAX]; /* of those that were given by name */
    uint64_t asked;                 /* ADMIN_GAVE() of the members that are */
    bool with_names, is_csv;
    size_t first, limit;
    struct admin_sums sums;
};

static struct span text_of(const struct admin_operation *op, const char *name)
{
    const struct admin_value *text = admin_param(op, name);
    return text == NULL ? (struct span){NULL, 0} : text->text;
}

static int64_t number_of(const struct admin_operation *op, const char *name, int64_t fallback)
{
    const struct admin_value *number = admin_param(op, name);
    return number == NULL ? fallback : number->number;
}

/* ---- what is asked ---- */

/* Whether Accept names CSV before JSON and anything else; what it likes how much is not weighed. */
static bool accepts_csv(struct span accept)
{
    for (size_t at = 0; at < accept.len;) {
        size_t end = span_find(accept, ',', at);
        struct span type = span_cut(accept, at, end - at);
        type = span_trim(span_cut(type, 0, span_find(type, ';', 0)));
        if (span_equal_nocase(type, SPAN("text/csv"))) {
            return true;
        }
        if (span_equal_nocase(type, SPAN("application/json")) || span_is(type, "*/*")) {
            return false;
        }
        at = end + 1;
    }
    return false;
}

static enum err read_format(struct usage *u)
{
    struct span format = text_of(u->op, "format");
    u->is_csv = format.len == 0 ? accepts_csv(u->op->request->accept) : span_is(format, "csv");
    if (format.len > 0 && !u->is_csv && !span_is(format, "json")) {
        return admin_fault_say(&u->op->answer->fault, ERR_VALUE_INVALID, SPAN("format"),
                               "'format' must be json or csv");
    }
    u->first = (size_t)number_of(u->op, "after", 0);
    u->limit = (size_t)number_of(u->op, "limit", u->is_csv ? ADMIN_USAGE_ROWS_MAX : ADMIN_PAGE_MAX);
    return ERR_OK;
}

#define GAVE(member) ADMIN_GAVE(usage, member)

/* The members of an answer, by enum admin_by; and those of names. */
static const struct {
    uint64_t id, name;
} members[] = {
    [ADMIN_BY_ORGANISATION] = {GAVE(organisation), GAVE(organisation_name)},
    [ADMIN_BY_TEAM] = {GAVE(team), GAVE(team_name)},
    [ADMIN_BY_USER] = {GAVE(user), GAVE(user_name)},
    [ADMIN_BY_KEY] = {GAVE(key), GAVE(key_name)},
    [ADMIN_BY_MODEL] = {GAVE(model), 0},
    [ADMIN_BY_UPSTREAM] = {GAVE(upstream), 0},
    [ADMIN_BY_ROUTE] = {GAVE(route), 0},
    [ADMIN_BY_DAY] = {GAVE(day), 0},
    [ADMIN_BY_HOUR] = {GAVE(hour), 0},
};

static enum err read_bys(struct usage *u)
{
    enum err e = admin_bys_read(text_of(u->op, "by"), &u->bys, &u->op->answer->fault);
    u->with_names = number_of(u->op, "names", 0) != 0;
    for (size_t i = 0; e == ERR_OK && i < u->bys.count; i++) {
        u->asked |= members[u->bys.at[i]].id;
        u->asked |= u->with_names ? members[u->bys.at[i]].name : 0;
    }
    return e;
}

/* Whether the hour lies within a day, where only days are kept. */
static bool is_lost(int32_t hour, int32_t days_before)
{
    return hour < days_before && store_day_hour(hour) != hour;
}

/* Of days that were summed up nothing is told by the hour: it would all seem to be their first. */
static enum err check_hours(const struct usage *u)
{
    char text[ADMIN_HOUR_BYTES];
    int32_t days;
    struct admin_fault *fault = &u->op->answer->fault;
    enum err e = store_usage_days(u->op->store, &days);
    if (e != ERR_OK) {
        return e;
    }
    admin_hour_write(days, text);
    if (is_lost(u->filter.from, days) || is_lost(u->filter.to, days)) {
        return admin_fault_say(fault, ERR_VALUE_INVALID,
                               is_lost(u->filter.from, days) ? SPAN("from") : SPAN("to"),
                               "before %s only days are kept: give days", text);
    }
    if (admin_bys_has(&u->bys, ADMIN_BY_HOUR) && u->filter.from < days) {
        return admin_fault_say(fault, ERR_VALUE_INVALID, SPAN("from"),
                               "before %s only days are kept: by hour 'from' must be that or later",
                               text);
    }
    return ERR_OK;
}

/* Whoever may be given by name. */
static enum err resolve_filter(struct usage *u)
{
    const struct {
        enum admin_by by;
        struct span *id;
    } rows[] = {{ADMIN_BY_ORGANISATION, &u->filter.organisation},
                {ADMIN_BY_TEAM, &u->filter.team},
                {ADMIN_BY_USER, &u->filter.user}};
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < sizeof(rows) / sizeof(rows[0]); i++) {
        e = admin_usage_resolve(u->op, rows[i].by, *rows[i].id, u->ids[i], rows[i].id);
    }
    return e;
}

static enum err read_filter(struct usage *u)
{
    const struct admin_operation *op = u->op;
    u->filter = (struct store_usage_filter){
        .from = (int32_t)number_of(op, "from", 0),
        .to = (int32_t)number_of(op, "to", INT32_MAX),
        .organisation = text_of(op, "organisation"),
        .team = text_of(op, "team"),
        .user = text_of(op, "user"),
        .key_id = text_of(op, "key"),
        .model = text_of(op, "model"),
        .upstream = text_of(op, "upstream"),
        .route = text_of(op, "route"),
    };
    enum err e = resolve_filter(u);
    if (e != ERR_OK) {
        return e;
    }
    if (u->filter.team.len > 0 && !admin_sees(op, u->filter.team)) {
        return admin_refuse(op, ERR_NOT_FOUND_ROW, "there is no team of this id");
    }
    if (op->caller_team.len > 0) { /* who sees one team's things alone sees its sums alone */
        u->filter.team = op->caller_team;
    }
    return u->filter.to < u->filter.from ? admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID,
                                                           SPAN("to"), "'to' is before 'from'")
                                         : check_hours(u);
}

/* ---- sums ---- */

static enum err on_usage(void *context, const struct store_usage *row)
{
    return admin_sums_add(context, row);
}

/* Of a key without calls: whether it is there at all, for the caller. */
static enum err check_key(const struct admin_operation *op, struct span id)
{
    struct store_key key = {.id = id};
    enum err e = store_change_get(op->store, STORE_TABLE_KEY, &key);
    return e == ERR_NOT_FOUND_ROW || (e == ERR_OK && !admin_sees(op, key.team))
               ? admin_refuse(op, ERR_NOT_FOUND_ROW,
                              "there is no key of this id; `atlas key list` shows them")
               : e;
}

/* Of sums without a call: whether who is asked for is there at all. Who sees one team's things is
 * not told of others. */
static enum err check_filter(const struct usage *u)
{
    enum err e = admin_usage_check(u->op, ADMIN_BY_ORGANISATION, u->filter.organisation);
    e = e == ERR_OK ? admin_usage_check(u->op, ADMIN_BY_TEAM, u->filter.team) : e;
    e = e == ERR_OK ? admin_usage_check(u->op, ADMIN_BY_USER, u->filter.user) : e;
    return e == ERR_OK && u->filter.key_id.len > 0 ? check_key(u->op, u->filter.key_id) : e;
}

static enum err sum_up(struct usage *u)
{
    enum err e = store_usage_list(u->op->store, &u->filter, on_usage, &u->sums);
    if (e == ERR_VALUE_INVALID) {
        return admin_fault_say(&u->op->answer->fault, e, SPAN("by"),
                               "these are more than %d sums: ask for a shorter time, or by less",
                               ADMIN_USAGE_ROWS_MAX);
    }
    if (e == ERR_OK && u->sums.count == 0) {
        e = check_filter(u);
    }
    return e == ERR_OK ? admin_sums_finish(&u->sums) : e;
}

/* ---- writing ---- */

static struct admin_usage show(const struct store_usage *s)
{
    return (struct admin_usage){
        .organisation = s->organisation,
        .team = s->team,
        .user = s->user,
        .key = s->key_id,
        .model = s->model,
        .upstream = s->upstream,
        .route = s->route,
        .currency = s->currency,
        .day = store_day_hour(s->hour) / STORE_DAY_HOURS,
        .hour = s->hour,
        .calls = s->calls,
        .failed = s->failed,
        .interrupted = s->interrupted,
        .refused = s->refused,
        .requests = s->requests,
        .estimated = s->estimated,
        .tokens_in = s->tokens_in,
        .tokens_cached = s->tokens_cached,
        .tokens_out = s->tokens_out,
        .tokens_reasoning = s->tokens_reasoning,
        .bytes_in = s->bytes_in,
        .bytes_out = s->bytes_out,
        .cost = s->cost_nano,
        .energy_wh = s->energy_nano,
        .gco2e = s->co2e_nano,
    };
}

static enum err write_row(const struct usage *u, struct json_writer *w,
                          const struct store_usage *sums)
{
    struct admin_usage_names room; /* what is pointed at is set */
    struct admin_usage row = show(sums);
    enum err e = u->with_names ? admin_usage_name(u->op->store, &row, &room) : ERR_OK;
    if (e != ERR_OK) {
        return e;
    }
    if (u->is_csv) {
        admin_csv_write(u->op->out, ADMIN_OBJECT_usage, &row, u->asked);
    } else {
        admin_object_write_asked(w, ADMIN_OBJECT_usage, &row, u->asked);
    }
    return buf_failed(u->op->out) ? ERR_NO_MEMORY : ERR_OK;
}

static enum err write_rows(const struct usage *u, struct json_writer *w, size_t end)
{
    enum err e = ERR_OK;
    for (size_t i = u->first; e == ERR_OK && i < end; i++) {
        e = write_row(u, w, &u->sums.rows[i]->sums);
    }
    return e;
}

static enum err write_json(const struct usage *u, size_t end)
{
    struct json_writer w;
    char cursor[24];
    bool has_more = end < u->sums.count;
    admin_list_begin(&w, u->op->out);
    enum err e = write_rows(u, &w, end);
    if (e != ERR_OK) {
        return e;
    }
    json_write_end(&w);
    json_write_key(&w, "has_more");
    json_write_bool(&w, has_more);
    json_write_key(&w, "next_cursor");
    if (has_more) {
        (void)snprintf(cursor, sizeof(cursor), "%zu", end); /* it fits */
        json_write_text(&w, cursor);
    } else {
        json_write_null(&w);
    }
    json_write_end(&w);
    return json_write_finish(&w);
}

static enum err write_csv(const struct usage *u, size_t end)
{
    u->op->answer->is_csv = true;
    admin_csv_write_names(u->op->out, ADMIN_OBJECT_usage, u->asked);
    return write_rows(u, NULL, end);
}

static enum err write_answer(const struct usage *u)
{
    size_t left = u->first < u->sums.count ? u->sums.count - u->first : 0;
    size_t end = u->first + (u->limit < left ? u->limit : left);
    return u->is_csv ? write_csv(u, end) : write_json(u, end);
}

enum err admin_usage_list(const struct admin_operation *op)
{
    static enum err (*const steps[])(struct usage *) = {read_format, read_bys, read_filter, sum_up};
    struct usage u = {.op = op};
    enum err e = ERR_OK;
    admin_sums_init(&u.sums, &u.bys);
    for (size_t i = 0; e == ERR_OK && i < sizeof(steps) / sizeof(steps[0]); i++) {
        e = steps[i](&u);
    }
    if (e == ERR_OK) {
        e = write_answer(&u);
    }
    admin_sums_fini(&u.sums);
    return e;
}
