/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model costs: `price:` is one more of `prices:`. That a price says nothing but zeros is as
 * good as any; that none is given is not the same, and only the YAML tells the two apart.
 */
#include "settings/settings_internal.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const amounts[] = {"input", "output", "cached_input", "request", "gpu_second"};

#define AMOUNTS_COUNT (sizeof(amounts) / sizeof(amounts[0]))

static bool is_given(const struct ytree_node *node)
{
    return node != NULL && !ytree_is_null(node);
}

/* What follows from what is left out. False: it is no price, and that was said. */
static bool complete(struct settings_loader *l, struct policy_price *price,
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
    if (is_given(one) && complete(l, &model->price, one, path)) {
        sorted[count++] = (struct placed){model->price, one};
    }
    for (size_t i = 0; i < model->prices_count && item != NULL; i++, item = item->next) {
        struct policy_price price = model->prices[i];
        snprintf(path, sizeof(path), "%s.prices[%zu]", shown, i);
        if (complete(l, &price, item, path)) {
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
