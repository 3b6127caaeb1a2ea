/* SPDX-License-Identifier: Apache-2.0 */
/* Model servers that the operator has taken out: the store's rows say it at the start, and who
 * drains one while the gateway runs; deployments of whichever policy is in force follow. */
#include "policy/policy.h"
#include "serve/serve_internal.h"
#include "store/store_tables.h"
#include "upstream/upstream_drains.h"

static enum err on_row(void *context, const void *given)
{
    const struct store_upstream *row = given;
    (void)context;
    return row->is_damaged || row->is_drained == 0 ? ERR_OK : upstream_drains_set(row->id, true);
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

void serve_drains_tell(const struct serve_gateway *g)
{
    for (size_t i = 0; g->policy != NULL && i < g->policy->deployment_count; i++) {
        const char *name = g->policy->deployments[i]->definition.name;
        if (upstream_drains_has(span_of(name))) {
            log_info("upstream_drained", "%s: no call is sent there, since it was taken out", name);
        }
    }
}

void serve_drains_step(struct serve_gateway *g)
{
    uint64_t revision = upstream_drains_revision();
    if (revision == g->drains_seen && g->drains_policy == g->policy) {
        return;
    }
    g->drains_seen = revision;
    g->drains_policy = g->policy; /* compared, and nothing else */
    for (size_t i = 0; i < g->policy->deployment_count; i++) {
        struct deployment *d = g->policy->deployments[i];
        deployment_health_drain(&d->health, upstream_drains_has(span_of(d->definition.name)),
                                clock_mono());
    }
}
