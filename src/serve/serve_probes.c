/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model servers whose `probe:` says how often are asked for their /models, by the very client that
 * calls use: two probes in a row that reach none take a server out, and one that does puts it back
 * in. What calls find out for themselves is the breaker's (upstream/deployment_health.h). Their
 * work is asked for by the same connections (serve_loads.c).
 */
#include "base/list.h"
#include "base/memory.h"
#include "http/http_response.h"
#include "policy/policy.h"
#include "serve/serve_internal.h"
#include "serve/serve_loads.h"
#include "upstream/attempt.h"
#include "upstream/upstream_pool.h"

#define AT_ONCE       16
#define TIMEOUT_US    INT64_C(5000000)
#define FAILED_ENOUGH 2

struct probe {
    struct list link;
    struct serve_probes *all;
    struct deployment *deployment;
    struct attempt *attempt; /* NULL: none is under way */
    mono_us due, began;
    unsigned failed; /* in a row */
};

struct serve_probes {
    struct upstream_pool *pool;
    struct policy *policy; /* whose servers are probed */
    struct list probes;
    size_t under_way;
    struct serve_loads *loads;
};

enum err serve_probes_open(struct serve_gateway *g)
{
    struct serve_probes *p = memory_new(sizeof(*p));
    if (p == NULL) {
        return ERR_NO_MEMORY;
    }
    list_init(&p->probes);
    g->probes = p;
    enum err e = upstream_pool_open(g->loop, g->resolver, &p->pool);
    return e == ERR_OK ? serve_loads_open(p->pool, &p->loads) : e;
}

static void end(struct probe *probe, bool is_reached, mono_us now)
{
    struct deployment_health *h = &probe->deployment->health;
    if (is_reached) {
        attempt_finish(&probe->attempt);
    } else {
        attempt_close(&probe->attempt);
    }
    probe->all->under_way--;
    probe->failed = is_reached ? 0 : probe->failed + 1;
    if (is_reached || probe->failed >= FAILED_ENOUGH) {
        deployment_health_probed(h, is_reached, now);
    }
    probe->due = clock_after_ms(now, probe->deployment->definition.probe_ms);
}

static void on_attempt(void *ctx)
{
    struct probe *probe = ctx;
    enum attempt_state state = attempt_state(probe->attempt);
    if (state == ATTEMPT_FAILED && err_row(attempt_error(probe->attempt))->status == 503) {
        attempt_close(
            &probe->attempt); /* we have no room for it: that says nothing of the server */
        probe->all->under_way--;
    } else if (state == ATTEMPT_FAILED) {
        end(probe, false, clock_mono());
    } else if (state >= ATTEMPT_HEAD) { /* whatever it says of its models, it answers */
        end(probe, attempt_head(probe->attempt)->status < 500, clock_mono());
    }
}

static void begin(struct probe *probe, mono_us now)
{
    const struct attempt_request request = {.path = SPAN("/models"),
                                            .fields = SPAN(""),
                                            .id = SPAN(""),
                                            .owner = SPAN("probe"),
                                            .probe = true,
                                            .unjudged = true};
    enum err e = attempt_prepare(probe->all->pool, probe->deployment, &request, on_attempt, probe,
                                 &probe->attempt);
    probe->due = clock_after_ms(now, probe->deployment->definition.probe_ms);
    if (e == ERR_OK) { /* else we have no room for it just now: that says nothing of the server */
        probe->began = now;
        probe->all->under_way++;
        attempt_start(probe->attempt);
    }
}

static void drop(struct probe *probe)
{
    probe->all->under_way -= probe->attempt != NULL;
    attempt_close(&probe->attempt);
    list_remove(&probe->link);
    deployment_unref(&probe->deployment);
    memory_free(probe);
}

/* The servers of a policy that is new: those that were probed before begin anew. */
static void take_over(struct serve_probes *p, struct policy *policy, mono_us now)
{
    while (!list_is_empty(&p->probes)) {
        drop(LIST_OF(p->probes.next, struct probe, link));
    }
    serve_loads_take_over(p->loads, policy, now);
    policy_unref(&p->policy);
    p->policy = policy_ref(policy);
    upstream_pool_sweep(p->pool);
    for (size_t i = 0; i < policy->deployment_count; i++) {
        struct deployment *d = policy->deployments[i];
        struct probe *probe =
            d->definition.probe_ms == 0 ? NULL : memory_new(sizeof(*probe)); /* without: later */
        if (probe == NULL) {
            deployment_health_probed(&d->health, true, now);
            continue;
        }
        probe->all = p;
        probe->deployment = deployment_ref(d);
        probe->due = clock_after_ms(now, d->definition.probe_ms);
        list_add_before(&p->probes, &probe->link);
    }
}

void serve_probes_step(struct serve_gateway *g, mono_us now)
{
    struct serve_probes *p = g->probes;
    if (p->policy != g->policy) {
        take_over(p, g->policy, now);
    }
    for (struct list *l = p->probes.next, *next; l != &p->probes; l = next) {
        struct probe *probe = LIST_OF(l, struct probe, link);
        next = l->next;
        if (probe->attempt != NULL && clock_since(probe->began, now) > TIMEOUT_US) {
            end(probe, false, now);
        } else if (probe->attempt == NULL && clock_since(probe->due, now) >= 0 &&
                   p->under_way < AT_ONCE && !g->stopping) {
            begin(probe, now);
        }
    }
    serve_loads_step(p->loads, g->stopping, now);
}

void serve_probes_close(struct serve_gateway *g)
{
    struct serve_probes *p = g->probes;
    if (p == NULL) {
        return;
    }
    while (!list_is_empty(&p->probes)) {
        drop(LIST_OF(p->probes.next, struct probe, link));
    }
    serve_loads_close(&p->loads);
    policy_unref(&p->policy);
    if (p->pool != NULL) {
        upstream_pool_close(&p->pool);
    }
    memory_free(p);
    g->probes = NULL;
}
