/* SPDX-License-Identifier: Apache-2.0 */
/* Where a model is served: at one upstream, or at several. */
#include <stdio.h>

#include "journal/journal_record.h"
#include "settings/settings_internal.h"
#include "text/text_near.h"

#define NEAR_MAX 256 /* upstreams that "did you mean" looks at */

static struct ytree_place place_of(const struct ytree_node *node, const char *key)
{
    const struct ytree_node *child = ytree_find(node, key);
    return child == NULL ? node->key_place : child->place;
}

/* The place in the list of the upstream that is named. A problem shows what stands in the file:
 * what a variable there held may be a secret in the wrong place. */
static void find_upstream(struct settings_loader *l, const char *name,
                          const struct ytree_node *node, const struct map *upstreams, size_t *out)
{
    struct ytree_place place = place_of(node, "upstream");
    const struct ytree_node *written = ytree_find(node, "upstream");
    struct span shown = span_cut(written == NULL ? SPAN("") : written->text, 0, 200);
    const struct upstream_settings *all = &l->settings->upstream;
    const struct upstream_definition *found = map_find(upstreams, span_of(name));
    if (found != NULL) {
        *out = (size_t)(found - all->definitions);
        return;
    }
    const char *names[NEAR_MAX];
    size_t count = all->definitions_count < NEAR_MAX ? all->definitions_count : NEAR_MAX;
    for (size_t i = 0; i < count; i++) {
        names[i] = all->definitions[i].name;
    }
    const char *meant = text_nearest(span_of(name), names, count);
    if (meant != NULL) {
        settings_problem(l, place, "there is no upstream '%.*s' — did you mean '%s'?",
                         SPAN_ARGS(shown), meant);
    } else {
        settings_problem(l, place, "there is no upstream '%.*s'; add it below `upstreams:`",
                         SPAN_ARGS(shown));
    }
}

static size_t length_of(const char *text)
{
    return text == NULL ? 0 : strlen(text);
}

/* Records and sums name a call's model and where it went, and what is cut there is another's. */
static void check_names_fit(struct settings_loader *l, const struct model_settings *model,
                            size_t upstream, const char *upstream_name,
                            const struct ytree_node *node)
{
    const struct upstream_definition *to = &l->settings->upstream.definitions[upstream];
    size_t sent = length_of(upstream_name == NULL ? model->name : upstream_name);
    size_t names =
        model->is_pattern ? (size_t)2 * JOURNAL_INVENTED_MAX : length_of(model->name) + sent;
    size_t all = names + length_of(to->name) + length_of(to->region) + length_of(to->zone) +
                 length_of(l->settings->gateway.region);
    if (all > JOURNAL_NAMES_MAX) {
        settings_problem(l, node->key.len > 0 ? node->key_place : node->place,
                         "the names of this model, what its upstream calls it, the upstream, its "
                         "region and zone, and the home region have %zu bytes together; a record "
                         "holds %d",
                         all, JOURNAL_NAMES_MAX);
    }
}

static bool is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* One that is listed before it. */
static const struct deployment_settings *find_twin(const struct model_settings *model, size_t i)
{
    const struct deployment_settings *d = model->deployments;
    for (size_t j = 0; j < i; j++) {
        if (is_same_text(d[j].upstream, d[i].upstream) &&
            is_same_text(d[j].upstream_name, d[i].upstream_name)) {
            return &d[j];
        }
    }
    return NULL;
}

static void check_deployment(struct settings_loader *l, const struct model_settings *model,
                             size_t i, const struct ytree_node *item, const struct map *upstreams)
{
    /* Not handed out yet: the loader made it and may still write to it. */
    struct deployment_settings *d = (struct deployment_settings *)(uintptr_t)&model->deployments[i];
    const struct ytree_node *price = ytree_find(item, "price");
    char shown[SETTINGS_PATH_MAX];
    if (item->kind != YTREE_MAP) {
        return; /* that was said */
    }
    snprintf(shown, sizeof(shown), "models.%.*s.deployments[%zu]",
             SPAN_ARGS(span_cut(span_of(model->name), 0, 200)), i);
    if (d->upstream == NULL) {
        settings_problem(l, item->place, "%s needs `upstream: …`, such as gpu-1", shown);
        return;
    }
    find_upstream(l, d->upstream, item, upstreams, &d->upstream_index);
    if (find_twin(model, i) != NULL) {
        settings_problem(l, item->place,
                         "%s names an upstream that stands here already; a "
                         "`weight:` gives it more calls",
                         shown);
    }
    if (model->is_pattern && d->upstream_name != NULL) {
        settings_problem(l, place_of(item, "upstream_name"),
                         "a pattern passes the caller's name on; leave upstream_name out");
    }
    if (price != NULL && !ytree_is_null(price)) {
        d->has_price = settings_complete_price(l, &d->price, price, shown);
    }
    if (l->settings->upstream.definitions_count > 0) {
        check_names_fit(l, model, d->upstream_index, d->upstream_name, item);
    }
}

void settings_check_places(struct settings_loader *l, struct model_settings *model,
                           const struct ytree_node *node, const struct map *upstreams)
{
    const struct ytree_node *list = ytree_find(node, "deployments");
    const struct ytree_node *item = list == NULL ? NULL : list->first;
    bool is_short = model->upstream != NULL;
    if (is_short && list != NULL) {
        settings_problem(l, list->key_place, "a model has an upstream or deployments, not both");
    } else if (!is_short && model->deployments_count == 0 && node->kind == YTREE_MAP) {
        settings_problem(l, place_of(node, "upstream"),
                         "models.%.*s needs `upstream: …`, such as falcon-gpu, or `deployments:`",
                         SPAN_ARGS(span_cut(node->key, 0, 200)));
    }
    if (model->upstream_name != NULL && !is_short) {
        settings_problem(l, place_of(node, "upstream_name"),
                         "what upstreams call the model stands with each of the deployments");
    }
    if (is_short) {
        find_upstream(l, model->upstream, node, upstreams, &model->upstream_index);
    }
    if (is_short && l->settings->upstream.definitions_count > 0) {
        check_names_fit(l, model, model->upstream_index, model->upstream_name, node);
    }
    for (size_t i = 0; i < model->deployments_count && item != NULL; i++, item = item->next) {
        check_deployment(l, model, i, item, upstreams);
    }
}
