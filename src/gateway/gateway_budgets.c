/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway_budgets.h"

#include <stdio.h>

#include "base/money.h"
#include "json/json_write.h"

#define SECOND_US      1000000
#define LIST_BYTES_MAX (256u << 10) /* LIMITS_BUDGETS_MAX of each level */
#define TOKENS_A_DAY   SPAN("day/") /* begins the id of a limit that is no budget's row */

static const char *const levels[LIMITS_LEVELS] = {
    [LIMITS_KEY] = "key",   [LIMITS_USER] = "user",
    [LIMITS_TEAM] = "team", [LIMITS_ORGANISATION] = "organisation",
    [LIMITS_TAG] = "tag",
};

static const char *const windows[] = {[LIMITS_DAY] = "day",
                                      [LIMITS_WEEK] = "week",
                                      [LIMITS_MONTH] = "month",
                                      [LIMITS_TOTAL] = "total"};

/* A text, or null where it is empty. */
static void write_maybe(struct json_writer *w, const char *key, const char *text)
{
    json_write_member_text(w, key, text[0] == '\0' ? NULL : text);
}

/* Money and tokens alike are texts, as in the admin API; below 0: it is not told. */
static void write_amount(struct json_writer *w, const char *key, bool is_money, int64_t amount)
{
    char text[MONEY_TEXT_BYTES];
    if (amount < 0) {
        json_write_member_text(w, key, NULL);
        return;
    }
    if (is_money) {
        money_write(amount, MONEY_PLACES, text);
    } else {
        (void)snprintf(text, sizeof(text), "%lld", (long long)amount); /* it fits */
    }
    json_write_member_text(w, key, text);
}

/* As the admin API names it: one that each key or user has goes by its team's. */
static void write_id(struct json_writer *w, const char *given)
{
    char text[sizeof("budget_") + LIMITS_ID_BYTES];
    struct span id = span_of(given);
    id = span_cut(id, 0, span_find(id, '/', 0));
    json_write_key(w, "id");
    if (span_starts(span_of(given), TOKENS_A_DAY)) {
        json_write_null(w);
        return;
    }
    int len = snprintf(text, sizeof(text), "budget_%.*s", SPAN_ARGS(id)); /* it fits */
    json_write_string(w, span_make(text, (size_t)len));
}

static int64_t left_of(const struct limits_standing_budget *b)
{
    int64_t left = b->limit - b->balance.spent - b->balance.held;
    return left > 0 ? left : 0;
}

/* Of what other teams use, too, a key is told what is left alone: that is what binds it. */
static bool is_of_others(enum limits_level level)
{
    return level == LIMITS_ORGANISATION || level == LIMITS_TAG;
}

static void write_budget(struct json_writer *w, enum limits_level level,
                         const struct limits_standing_budget *b)
{
    bool is_money = b->is->kind == LIMITS_MONEY_BUDGET, is_told = !is_of_others(level);
    json_write_object(w);
    write_id(w, b->is->id);
    json_write_member_text(w, "object", "budget");
    json_write_member_text(w, "level", levels[level]);
    write_maybe(w, "model", b->is->model);
    json_write_member_text(w, "unit", is_money ? "money" : "tokens");
    write_maybe(w, "currency", is_money ? b->is->currency : "");
    write_amount(w, "amount", is_money, is_told ? b->limit : -1);
    write_amount(w, "spent", is_money, is_told ? b->balance.spent : -1);
    write_amount(w, "held", is_money, is_told ? b->balance.held : -1);
    write_amount(w, "left", is_money, left_of(b));
    json_write_member_text(w, "window", windows[b->is->span]);
    json_write_key(w, "resets_at");
    if (b->balance.range.to.us == LIMITS_NEVER_US) {
        json_write_null(w);
    } else {
        json_write_int(w, b->balance.range.to.us / SECOND_US);
    }
    json_write_end(w);
}

static void write_place(const struct gateway_answer *a, size_t place, struct json_writer *w)
{
    enum limits_level level = limits_level_at(place);
    const struct limits *limits = access_limits(a->shared->rights);
    wall_us now = a->shared->ports->wall();
    struct limits_standing_budget budget;
    uint32_t slot = a->who.slot[place];
    for (size_t i = 0;
         slot != LIMITS_NOBODY && limits_budget_at(limits, level, slot, i, now, &budget); i++) {
        write_budget(w, level, &budget);
    }
}

void gateway_budgets_list(struct gateway_answer *a)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, LIST_BYTES_MAX);
    json_write_init(&w, &b);
    json_write_object(&w);
    json_write_member_text(&w, "object", "list");
    json_write_key(&w, "data");
    json_write_array(&w);
    for (size_t i = 0; a->shared->rights != NULL && i < LIMITS_SLOTS; i++) {
        write_place(a, i, &w);
    }
    json_write_end(&w);
    json_write_end(&w);
    if (json_write_finish(&w) == ERR_OK) {
        gateway_answer_put(a, 200, GATEWAY_JSON_NOW, buf_span(&b));
    } else {
        gateway_answer_refuse(a, ERR_NO_MEMORY, SPAN(""), SPAN(""), SPAN(""));
    }
    buf_fini(&b);
}
