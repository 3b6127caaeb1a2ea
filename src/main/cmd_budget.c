/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas budget`. `set` looks whether there is one of the same kind: its amount changes then. */
#include <stdio.h>
#include <string.h>

#include "cli/cli_ask.h"
#include "cli/cli_list.h"
#include "main/commands.h"
#include "main/main_subject.h"
#include "json/json_value.h"

#define VALUES_MAX (1u << 26)
#define DEPTH_MAX  8

static const struct main_noun budgets = {
    ADMIN_BUDGETS_PATH, ADMIN_OBJECT_budget,
    "there are no budgets; make one with: atlas budget set --team T --amount 100.00"};

#define AMOUNT(...)                                                                    \
    CLI_TEXT(struct main_given, amount, "amount", "A",                                 \
             "How much may be used in a window: 100.00; with --tokens a whole number", \
             .member = "amount", __VA_ARGS__)
#define A_BUDGET MAIN_ID("The budget's id, as `atlas budget list` shows it")

const struct cli_option main_budget_set_options[] = {
    MAIN_WHOSE,
    MAIN_EACH,
    AMOUNT(.is_needed = true),
    CLI_TEXT(struct main_given, window, "window", "WINDOW", "Since when all is added up",
             .member = "window", .words = ADMIN_WINDOWS, .fallback = "month"),
    CLI_TEXT(struct main_given, time_zone, "time_zone", "ZONE",
             "Whose midnight begins a window, such as Asia/Riyadh; UTC if not given",
             .member = "time_zone"),
    CLI_TEXT(struct main_given, week_starts, "week_starts", "DAY",
             "First day of a week; monday if not given", .member = "week_starts",
             .words = ADMIN_WEEK_DAYS),
    CLI_TEXT(struct main_given, model, "model", "MODEL", "Only calls of this model count",
             .member = "model"),
    CLI_FLAG(struct main_given, tokens, "tokens", "The amount is of tokens, not of money",
             .member = "unit", .says = "tokens"),
    CLI_TEXT(struct main_given, currency, "currency", "CUR",
             "Of the amount, and of the models' prices; USD if not given", .member = "currency"),
    MAIN_JSON,
    MAIN_CONFIG,
    MAIN_END,
};
const struct cli_option main_budget_list_options[] = {MAIN_ENDED, MAIN_JSON, MAIN_CONFIG, MAIN_END};
const struct cli_option main_budget_show_options[] = {A_BUDGET, MAIN_JSON, MAIN_CONFIG, MAIN_END};
const struct cli_option main_budget_edit_options[] = {A_BUDGET, AMOUNT(.is_needed = true),
                                                      MAIN_JSON, MAIN_CONFIG, MAIN_END};
const struct cli_option main_budget_end_options[] = {A_BUDGET, MAIN_JSON, MAIN_CONFIG, MAIN_END};

MAIN_ACT(main_budget_list, "budget list", budgets, list)
MAIN_ACT(main_budget_show, "budget show", budgets, show)
MAIN_ACT(main_budget_edit, "budget edit", budgets, edit)
MAIN_ACT(main_budget_end, "budget end", budgets, end)

/* ---- set ---- */

/* Whether a member is this text; NULL: it is null. */
static bool is_text(const struct json_index *x, uint32_t object, const char *member,
                    const char *text)
{
    uint32_t row = json_find(x, object, span_of(member));
    return row != JSON_NONE &&
           (text == NULL ? json_kind(x, row) == JSON_NULL : json_text_is(x, row, span_of(text)));
}

static bool is_same(const struct json_index *x, uint32_t object, const struct main_given *g,
                    const struct main_subject *subject)
{
    return is_text(x, object, subject->kind, subject->id) &&
           is_text(x, object, "each", subject->each) && is_text(x, object, "model", g->model) &&
           is_text(x, object, "window", g->window) &&
           is_text(x, object, "unit", g->tokens ? "tokens" : "money");
}

/* What only a new budget takes is as it was, where it is said. */
static int check_fixed(const struct json_index *x, uint32_t object, const struct main_given *g,
                       const char *id)
{
    const struct {
        const char *member, *option, *given;
    } rows[] = {{"time_zone", "--time-zone", g->time_zone},
                {"week_starts", "--week-starts", g->week_starts},
                {"currency", "--currency", g->currency}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].given == NULL || is_text(x, object, rows[i].member, rows[i].given)) {
            continue;
        }
        uint32_t row = json_find(x, object, span_of(rows[i].member));
        fprintf(stderr,
                "atlas budget set: %s has %s %.*s, which stays as it was made: leave it out, or "
                "end that one first with: atlas budget end %s\n",
                id, rows[i].option, row == JSON_NONE ? 0 : (int)json_source(x, row).len,
                row == JSON_NONE ? "" : (const char *)json_source(x, row).at, id);
        return CLI_FAILED;
    }
    return CLI_GO_ON;
}

/* The next of the same kind, from `object` on; JSON_NONE: there is none. */
static uint32_t next_same(const struct json_index *x, uint32_t object, const struct main_given *g,
                          const struct main_subject *subject)
{
    while (object != JSON_NONE && !is_same(x, object, g, subject)) {
        object = json_next(x, object);
    }
    return object;
}

/* What the budget that was found lets be done with it. */
static int check(const struct json_index *x, uint32_t object, const struct main_given *g,
                 const struct main_subject *subject, char id[MAIN_SUBJECT_BYTES])
{
    uint32_t row = json_find(x, object, SPAN("id"));
    span_copy_text(row == JSON_NONE ? SPAN("") : json_inside(x, row), id, MAIN_SUBJECT_BYTES);
    if (next_same(x, json_next(x, object), g, subject) != JSON_NONE) {
        fprintf(stderr,
                "atlas budget set: there are several of this kind, %s is the first: change or end "
                "them by their ids; `atlas budget list` shows them\n",
                id);
        return CLI_FAILED;
    }
    return check_fixed(x, object, g, id);
}

/* Finds the budget of the same kind in the list; an empty `id`: there is none. */
static int pick(const struct main_act *act, struct span list, const struct main_subject *subject,
                char id[MAIN_SUBJECT_BYTES])
{
    struct json_index x;
    int status = CLI_GO_ON;
    id[0] = '\0';
    json_index_init(&x, VALUES_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, list);
    uint32_t data = e == ERR_OK ? json_find(&x, 0, SPAN("data")) : JSON_NONE;
    uint32_t first = data == JSON_NONE ? JSON_NONE : json_first(&x, data);
    uint32_t object = next_same(&x, first, act->given, subject);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas budget set: %s\n", err_sentence(e));
        status = CLI_FAILED;
    } else if (object != JSON_NONE) {
        status = check(&x, object, act->given, subject, id);
    }
    json_index_fini(&x);
    return status;
}

/* Finds the budget that is there already. */
static int find(const struct main_act *act, struct main_subject *subject,
                char id[MAIN_SUBJECT_BYTES])
{
    struct buf all;
    int status = main_subject_find(act, false, subject);
    if (status != CLI_GO_ON) {
        return status;
    }
    buf_init(&all, CLI_ANSWER_MAX);
    status =
        cli_list_all(act->command, act->given->config, SPAN(ADMIN_BUDGETS_PATH), SPAN(""), &all);
    if (status == CLI_GO_ON) {
        status = pick(act, buf_span(&all), subject, id);
    }
    buf_fini(&all);
    return status;
}

int main_budget_set(const void *given)
{
    struct main_act act = {"budget set", &budgets, main_budget_set_options, given};
    struct main_given meant = *act.given;
    struct main_subject subject;
    char id[MAIN_SUBJECT_BYTES];
    int status = find(&act, &subject, id);
    if (status != CLI_GO_ON) {
        return status;
    }
    act.given = &meant;
    if (id[0] == '\0') {
        meant.key = meant.key == NULL ? NULL : subject.id; /* the whole key means its id */
        return main_noun_create(&act);
    }
    meant.id = id;
    act.options = main_budget_edit_options;
    return main_noun_edit(&act);
}
