/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model costs: `price:` is one more of `prices:`. That a price says nothing but zeros is as
 * good as any; that none is given is not the same, and only the YAML tells the two apart.
 */
#include "settings/settings_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy/policy_price.h"

#define NAMES_SHOWN 5
#define NAME_SHOWN  64 /* bytes of each */

static const char *const amounts[] = {"input", "output", "cached_input", "request", "gpu_second"};

#define AMOUNTS_COUNT (sizeof(amounts) / sizeof(amounts[0]))

static bool is_given(const struct ytree_node *node)
{
    return node != NULL && !ytree_is_null(node);
}

bool settings_complete_price(struct settings_loader *l, struct policy_price *price,
                             const struct ytree_node *node, const char *shown)
{
    bool is_any = false;
    if (node->kind != YTREE_MAP) {
        return false; /* that was said */
    }
    for (size_t i = 0; i < AMOUNTS_COUNT; i++) {
        is_any = is_any || ytree_find(node, amounts[i]) != NULL;
    }
    if (!is_any) {
        settings_problem(l, node->key.len > 0 ? node->key_place : node->place,
                         "%s says no amount: give it `input` and `output`, `request` or "
                         "`gpu_second`, were it 0",
                         shown);
        return false;
    }
    if (ytree_find(node, "cached_input") == NULL) {
        price->cached_nano = price->input_nano;
    }
    return true;
}

/* A price, and where it stands. */
struct placed {
    struct policy_price price;
    const struct ytree_node *node;
};

static int earliest_first(const void *a, const void *b)
{
    const struct placed *x = a;
    const struct placed *y = b;
    return x->price.from.us < y->price.from.us ? -1 : x->price.from.us > y->price.from.us;
}

/* Two that begin at once: which of them holds nobody could say. */
static void check_times(struct settings_loader *l, const struct placed *sorted, size_t count,
                        const char *shown)
{
    for (size_t i = 1; i < count; i++) {
        if (sorted[i].price.from.us != sorted[i - 1].price.from.us) {
            continue;
        }
        const struct ytree_node *a = sorted[i - 1].node;
        const struct ytree_node *b = sorted[i].node;
        bool is_later = b->place.line > a->place.line ||
                        (b->place.line == a->place.line && b->place.column > a->place.column);
        settings_problem(l, is_later ? b->place : a->place,
                         "%s has two prices from the same moment; line %u has the other one: give "
                         "each its `from`",
                         shown, is_later ? a->place.line : b->place.line);
    }
}

void settings_check_prices(struct settings_loader *l, struct model_settings *model,
                           const struct ytree_node *node, const char *shown)
{
    struct placed sorted[POLICY_PRICES_MAX + 1];
    char path[SETTINGS_PATH_MAX];
    size_t count = 0;
    const struct ytree_node *one = ytree_find(node, "price");
    const struct ytree_node *list = ytree_find(node, "prices");
    const struct ytree_node *item = is_given(list) && list->kind == YTREE_LIST ? list->first : NULL;
    snprintf(path, sizeof(path), "%s.price", shown);
    if (is_given(one) && settings_complete_price(l, &model->price, one, path)) {
        sorted[count++] = (struct placed){model->price, one};
    }
    for (size_t i = 0; i < model->prices_count && item != NULL; i++, item = item->next) {
        struct policy_price price = model->prices[i];
        snprintf(path, sizeof(path), "%s.prices[%zu]", shown, i);
        if (settings_complete_price(l, &price, item, path)) {
            sorted[count++] = (struct placed){price, item};
        }
    }
    qsort(sorted, count, sizeof(sorted[0]), earliest_first);
    check_times(l, sorted, count, shown);
    struct policy_price *prices = count == 0 ? NULL : arena_new(l->arena, count * sizeof(*prices));
    l->out_of_memory = l->out_of_memory || (count > 0 && prices == NULL);
    for (size_t i = 0; i < count && prices != NULL; i++) {
        prices[i] = sorted[i].price;
    }
    model->prices = prices;
    model->prices_count = prices == NULL ? 0 : count;
}

/* ---- what may be an accident ---- */

/* Names of models, the first ones in words. */
struct named {
    struct buf words;
    size_t count;
};

static void name_it(struct named *list, const struct model_settings *model)
{
    if (list->count < NAMES_SHOWN) {
        buf_printf(&list->words, "%s%.*s", list->count == 0 ? "" : ", ",
                   SPAN_ARGS(span_cut_text(span_of(model->name), NAME_SHOWN)));
    }
    list->count++;
}

static void put_names(struct named *list, struct buf *out)
{
    buf_put(out, buf_span(&list->words));
    if (list->count > NAMES_SHOWN) {
        buf_printf(out, " and %zu more", list->count - NAMES_SHOWN);
    }
}

static bool is_zero(const struct policy_price *p)
{
    return p->input_nano == 0 && p->cached_nano == 0 && p->output_nano == 0 &&
           p->request_nano == 0 && p->gpu_second_nano == 0;
}

void settings_warn_prices(const struct settings *s, const struct settings_money *known, wall_us now,
                          struct buf *out)
{
    struct named unpriced = {.count = 0};
    struct named zeros = {.count = 0};
    size_t count = s->gateway.models_count;
    buf_init(&unpriced.words, 8192);
    buf_init(&zeros.words, 8192);
    for (size_t i = 0; i < count; i++) {
        const struct model_settings *m = &s->gateway.models[i];
        const struct policy_price *price = policy_price_at(m->prices, m->prices_count, now);
        if (known->is_priced != NULL && known->is_priced(known->context, span_of(m->name))) {
            continue;
        }
        if (price == NULL) {
            name_it(&unpriced, m);
        } else if (is_zero(price)) {
            name_it(&zeros, m);
        }
    }
    if (unpriced.count > 0 && (known->is_limited || unpriced.count < count)) {
        put_names(&unpriced, out);
        buf_printf(out,
                   " %s no price now: budgets of money refuse such calls, and usage counts them "
                   "at no cost; give each a `price:`, were it 0\n",
                   unpriced.count == 1 ? "has" : "have");
    }
    if (zeros.count > 0) {
        buf_put_text(out, "the price of ");
        put_names(&zeros, out);
        buf_put_text(out, " is 0 in all it says: no budget of money stops such calls; leave it so "
                          "if that is meant\n");
    }
    buf_fini(&unpriced.words);
    buf_fini(&zeros.words);
}
