/* SPDX-License-Identifier: Apache-2.0 */
/* Model servers that were drained before the gateway was started anew: their names are read while
 * the store is at hand, and looked for when the policy is there. */
#include "base/memory.h"
#include "policy/policy.h"
#include "serve/serve_internal.h"
#include "store/store_tables.h"

struct serve_drain {
    struct serve_drain *next;
    char name[];
};

static enum err on_row(void *context, const void *given)
{
    struct serve_gateway *g = context;
    const struct store_upstream *row = given;
    if (row->is_damaged || row->is_drained == 0) {
        return ERR_OK;
    }
    struct serve_drain *drain = memory_new(sizeof(*drain) + row->id.len + 1);
    if (drain == NULL) {
        return ERR_NO_MEMORY;
    }
    span_copy_text(row->id, drain->name, row->id.len + 1);
    drain->next = g->drains;
    g->drains = drain;
    return ERR_OK;
}

enum err serve_drains_read(struct serve_gateway *g)
{
    const struct store_page all = {.limit = INT64_MAX};
    enum err e = store_upstream_page(g->store, STORE_INDEX_UPSTREAM_BY_NUMBER, &all, on_row, g);
    if (e != ERR_OK) {
        log_error("upstreams", "%s/atlas.db: which model servers are drained cannot be read: %s",
                  g->settings->data, err_sentence(e));
    }
    return e;
}

void serve_drains_take_out(struct serve_gateway *g)
{
    while (g->drains != NULL) {
        struct serve_drain *drain = g->drains;
        for (size_t i = 0; g->policy != NULL && i < g->policy->deployment_count; i++) {
            struct deployment *d = g->policy->deployments[i];
            if (strcmp(drain->name, d->definition.name) == 0) {
                atomic_store(&d->health.is_drained, true);
                log_info("upstream_drained", "%s: no call is sent there, since it was taken out",
                         drain->name);
            }
        }
        g->drains = drain->next;
        memory_free(drain);
    }
}
