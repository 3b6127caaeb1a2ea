/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What calls cost: by the configuration and by what was set through the admin API. Whom a budget
 * refuses for want of a price learns it here, and not from his callers.
 */
#include <string.h>

#include "cli/cli_data.h"
#include "doctor/doctor_internal.h"
#include "policy/policy_book.h"
#include "store/store_tables.h"

#define CURRENCIES_MAX 16

/* What the store says of money. */
struct money {
    const struct settings *settings;
    struct policy_book *book; /* NULL: nothing is known */
    wall_us now;
    bool is_limited;
    char currencies[CURRENCIES_MAX][4]; /* of budgets, each once */
    bool is_whole[CURRENCIES_MAX];      /* one of them is of all models */
    size_t count;
};

static enum err on_budget(void *context, const void *row)
{
    struct money *m = context;
    const struct store_budget *b = row;
    char currency[4];
    if (b->is_damaged || b->currency.len != 3 || (b->ended.us != 0 && b->ended.us <= m->now.us)) {
        return ERR_OK; /* of tokens, or over */
    }
    m->is_limited = true;
    span_copy_text(b->currency, currency, sizeof(currency));
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->currencies[i], currency) == 0) {
            m->is_whole[i] = m->is_whole[i] || b->model.len == 0;
            return ERR_OK;
        }
    }
    if (m->count < CURRENCIES_MAX) {
        m->is_whole[m->count] = b->model.len == 0;
        memcpy(m->currencies[m->count++], currency, sizeof(currency));
    }
    return ERR_OK;
}

/* Where there is no store yet nothing was set, and of one that cannot be read it was said. */
static void ask_store(struct doctor *d, struct money *m)
{
    const struct store_page all = {.limit = INT64_MAX};
    struct policy_book_report report;
    struct store *store = NULL;
    if (cli_data_open_to_look(d->settings->data, &store) != ERR_OK) {
        return;
    }
    enum err e = store_budget_page(store, STORE_INDEX_BUDGET_BY_NUMBER, &all, on_budget, m);
    e = e == ERR_OK ? policy_book_open(&m->book) : e;
    e = e == ERR_OK ? policy_book_load(m->book, store, m->now, &report) : e;
    if (e != ERR_OK) {
        doctor_say(d, DOCTOR_WARN, "prices", "those of the admin API were not looked at: %s",
                   err_sentence(e));
    } else if (report.damaged > 0) {
        doctor_say(d, DOCTOR_FAIL, "prices",
                   "%llu price%s with a damaged row do%s not hold — set them again",
                   (unsigned long long)report.damaged, SPAN_PLURAL(report.damaged),
                   report.damaged == 1 ? "es" : "");
    }
    store_close(&store);
}

static bool is_set(const void *context, struct span model)
{
    const struct money *m = context;
    return m->book != NULL && policy_book_has(m->book, model, m->now);
}

/* The price of a model that holds now; false: there is none. */
static bool find_price(const struct money *m, const struct model_settings *model,
                       struct policy_price *out)
{
    if (m->book != NULL && policy_book_find(m->book, span_of(model->name), m->now, out)) {
        return true;
    }
    const struct policy_price *found = policy_price_at(model->prices, model->prices_count, m->now);
    if (found != NULL) {
        *out = *found;
    }
    return found != NULL;
}

/* How many models have a price now; of a currency, if one is given. */
static size_t count_priced(const struct money *m, const char *currency)
{
    size_t count = 0;
    for (size_t i = 0; i < m->settings->gateway.models_count; i++) {
        struct policy_price price;
        count += find_price(m, &m->settings->gateway.models[i], &price) &&
                 (currency == NULL || strcmp(price.currency, currency) == 0);
    }
    return count;
}

static size_t say_warnings(struct doctor *d, const struct money *m)
{
    const struct settings_money known = {m->is_limited, is_set, m};
    struct buf sentences;
    size_t said = 0;
    buf_init(&sentences, 32768);
    settings_warn_prices(d->settings, &known, m->now, &sentences);
    for (struct span rest = buf_span(&sentences); rest.len > 0; said++) {
        size_t line = span_find(rest, '\n', 0);
        doctor_say(d, DOCTOR_WARN, "prices", "%.*s", SPAN_ARGS(span_cut(rest, 0, line)));
        rest = span_cut(rest, line + 1, rest.len);
    }
    buf_fini(&sentences);
    for (size_t i = 0; i < m->count; i++) {
        size_t priced = count_priced(m, m->currencies[i]), all = count_priced(m, NULL);
        if (m->is_whole[i] && priced > 0 && priced < all) {
            doctor_say(d, DOCTOR_WARN, "prices",
                       "a budget is in %s, and %zu model%s %s a price in another currency alone: "
                       "it refuses their calls — give them prices in %s, or bind the budget to "
                       "other models",
                       m->currencies[i], all - priced, SPAN_PLURAL(all - priced),
                       all - priced == 1 ? "has" : "have", m->currencies[i]);
            said++;
        }
        if (priced == 0) {
            doctor_say(d, DOCTOR_WARN, "prices",
                       "a budget is in %s, and no model has a price in it: it refuses every call — "
                       "give prices in %s, or end the budget",
                       m->currencies[i], m->currencies[i]);
            said++;
        }
    }
    return said;
}

void doctor_check_prices(struct doctor *d)
{
    struct money m = {.settings = d->settings, .now = clock_wall()};
    ask_store(d, &m);
    size_t priced = count_priced(&m, NULL);
    if (say_warnings(d, &m) == 0 && priced > 0) {
        doctor_say(d, DOCTOR_OK, "prices", "every model has one");
    }
    policy_book_close(&m.book);
}
