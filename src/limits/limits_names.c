/* SPDX-License-Identifier: Apache-2.0 */
/* Which budgets count a call, before there is one. */
#include "limits/limits_names.h"

#include <string.h>

#include "limits/limits_internal.h"

bool limits_count_alike(const struct limits *l, const struct limits_subjects *who,
                        struct span asked, struct span a, struct span b)
{
    bool are_alike = true;
    for (size_t place = 0; are_alike && place < LIMITS_SLOTS; place++) {
        const struct limits_set *set = limits_set_at(l, who, place);
        for (size_t i = 0; are_alike && set != NULL && i < set->budget_count; i++) {
            are_alike = limits_counts(set->budgets[i], a, asked) ==
                        limits_counts(set->budgets[i], b, asked);
        }
    }
    return are_alike;
}

/* ---- how many windows there may be ---- */

struct names {
    size_t count, bytes;
};

/* What a call of `model` names; NULL: as if it were of all models at once. */
static void add_name(struct names *n, const struct limits_wish *wish, const char *model)
{
    if (model == NULL || wish->model[0] == '\0' || strcmp(wish->model, model) == 0) {
        n->count++;
        n->bytes += strlen(wish->id) + sizeof("$1796000000 ") - 1;
    }
}

/* Whether a budget of this id counts already. */
static bool is_there(const struct limits *l, const struct limits_subjects *who,
                     const struct limits_wish *wish)
{
    bool is = false;
    for (size_t place = 0; !is && place < LIMITS_SLOTS; place++) {
        const struct limits_set *set = limits_set_at(l, who, place);
        for (size_t i = 0; !is && set != NULL && i < set->budget_count; i++) {
            is = strcmp(set->budgets[i]->is.id, wish->id) == 0;
        }
    }
    return is;
}

static bool has_room(const struct limits *l, const struct limits_subjects *who,
                     const struct limits_wish *more, size_t count, const char *model)
{
    struct names n = {0, 0};
    for (size_t place = 0; place < LIMITS_SLOTS; place++) {
        const struct limits_set *set = limits_set_at(l, who, place);
        for (size_t i = 0; set != NULL && i < set->budget_count; i++) {
            add_name(&n, &set->budgets[i]->is, model);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_there(l, who, &more[i])) {
            add_name(&n, &more[i], model);
        }
    }
    return n.count <= LIMITS_NAMED_MAX && n.bytes <= LIMITS_NAMES_MAX;
}

bool limits_names_fit(const struct limits *l, const struct limits_subjects *who,
                      const struct limits_wish *more, size_t count)
{
    if (has_room(l, who, more, count, NULL)) {
        return true;
    }
    bool fits = has_room(l, who, more, count, "");
    for (size_t place = 0; fits && place < LIMITS_SLOTS; place++) {
        const struct limits_set *set = limits_set_at(l, who, place);
        for (size_t i = 0; fits && set != NULL && i < set->budget_count; i++) {
            fits = has_room(l, who, more, count, set->budgets[i]->is.model);
        }
    }
    for (size_t i = 0; fits && i < count; i++) {
        fits = has_room(l, who, more, count, more[i].model);
    }
    return fits;
}
