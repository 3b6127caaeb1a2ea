/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/serve_loads.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "http/http_response.h"
#include "policy/policy.h"
#include "upstream/attempt.h"

#define AT_ONCE       16
#define TIMEOUT_US    INT64_C(5000000)
#define RARELY_MS     INT64_C(60000)    /* between two questions to one that says nothing */
#define DOUBLINGS_MAX 10                /* of the time between questions, until then */
#define PATIENCE_US   INT64_C(10000000) /* in which it may find no connection free */
#define READ_BYTES    16384
#define WHY_BYTES     96

/* One model server that is asked. */
struct load_ask {
    struct list link;
    struct serve_loads *all;
    struct deployment *deployment;
    struct attempt *attempt; /* NULL: none is under way */
    struct buf page;
    int64_t own;               /* our calls that it had as it was asked */
    mono_us due, began, asked; /* the last one when it had a connection, or was first to be asked */
    unsigned failed;           /* in a row */
    bool is_told;              /* that it had none for long */
};

struct serve_loads {
    struct upstream_pool *pool;
    struct list asks;
    size_t under_way;
};

enum err serve_loads_open(struct upstream_pool *pool, struct serve_loads **out)
{
    struct serve_loads *all = memory_new(sizeof(*all));
    if (all == NULL) {
        return ERR_NO_MEMORY;
    }
    all->pool = pool;
    list_init(&all->asks);
    *out = all;
    return ERR_OK;
}

/* Our calls that are there: those that wait for a connection are not yet. */
static int64_t own_calls(const struct deployment *d)
{
    return atomic_load_explicit(&d->in_flight, memory_order_relaxed) -
           atomic_load_explicit(&d->waiting, memory_order_relaxed);
}

static void stop(struct load_ask *ask)
{
    ask->all->under_way -= ask->attempt != NULL;
    attempt_close(&ask->attempt);
    buf_fini(&ask->page);
}

static void succeed(struct load_ask *ask, const struct upstream_load *said, mono_us now)
{
    struct deployment *d = ask->deployment;
    ask->asked = now;
    ask->is_told = false;
    int64_t own = own_calls(d); /* one that ended meanwhile may be in what it said, or not: ours */
    deployment_load_note(&d->load, said, own > ask->own ? own : ask->own, now);
    if (ask->failed > 0) {
        log_info("load_read", "%s says again what work it has", d->definition.name);
    }
    ask->failed = 0;
    stop(ask);
}

static void fail(struct load_ask *ask, const char *why, mono_us now)
{
    const struct upstream_definition *u = &ask->deployment->definition;
    unsigned doublings = ask->failed < DOUBLINGS_MAX ? ask->failed : DOUBLINGS_MAX;
    int64_t wait_ms = u->load_ms << doublings;
    int64_t rarely_ms = u->load_ms > RARELY_MS ? u->load_ms : RARELY_MS;
    if (ask->failed++ == 0) {
        log_warn("load_unread",
                 "%s does not say what work it has (GET %s: %s); calls go there by what is known "
                 "of ours, and it is asked less often",
                 u->name, ask->deployment->load_target, why);
    }
    ask->due = clock_after_ms(now, wait_ms < rarely_ms ? wait_ms : rarely_ms);
    stop(ask);
}

/* All its connections are our calls', or idle ones of theirs: that says nothing of the server. */
static void wait_for_room(struct load_ask *ask, mono_us now)
{
    const struct upstream_definition *u = &ask->deployment->definition;
    int64_t most_us = 3 * u->load_ms * 1000;
    if (!ask->is_told && clock_since(ask->asked, now) > most_us &&
        clock_since(ask->asked, now) > PATIENCE_US) {
        ask->is_told = true;
        log_warn("load_unread",
                 "%s could not be asked for a while what work it has: none of its connections_max "
                 "is free for that; allow it one more",
                 u->name);
    }
    stop(ask);
}

/* The page is there whole. */
static void read_page(struct load_ask *ask, mono_us now)
{
    struct upstream_load said;
    const char *why = "";
    if (upstream_load_read(buf_span(&ask->page), span_of(ask->deployment->definition.load_model),
                           &why, &said) == ERR_OK) {
        succeed(ask, &said, now);
    } else {
        fail(ask, why, now);
    }
}

static void pull(struct load_ask *ask)
{
    size_t got = 0;
    enum attempt_pulled pulled = ATTEMPT_SOME;
    while (pulled == ATTEMPT_SOME) {
        uint8_t *room = buf_reserve(&ask->page, READ_BYTES);
        if (room == NULL) {
            fail(ask, "its page is longer than a MiB", clock_mono());
            return;
        }
        pulled = attempt_pull(ask->attempt, room, READ_BYTES, &got);
        buf_added(&ask->page, pulled == ATTEMPT_BROKEN ? 0 : got);
    }
    if (pulled == ATTEMPT_DONE) {
        read_page(ask, clock_mono());
    } else if (pulled == ATTEMPT_BROKEN) {
        fail(ask, err_sentence(attempt_error(ask->attempt)), clock_mono());
    }
}

static void on_attempt(void *ctx)
{
    struct load_ask *ask = ctx;
    enum attempt_state state = attempt_state(ask->attempt);
    if (state == ATTEMPT_FAILED && err_row(attempt_error(ask->attempt))->status == 503) {
        wait_for_room(ask, clock_mono());
    } else if (state == ATTEMPT_FAILED) {
        fail(ask, err_sentence(attempt_error(ask->attempt)), clock_mono());
    } else if (state >= ATTEMPT_HEAD && attempt_head(ask->attempt)->status != 200) {
        char why[WHY_BYTES];
        (void)snprintf(why, sizeof(why), "it answers %d", attempt_head(ask->attempt)->status);
        fail(ask, why, clock_mono());
    } else if (state >= ATTEMPT_HEAD) {
        pull(ask);
    }
}

static void begin(struct load_ask *ask, mono_us now)
{
    struct deployment *d = ask->deployment;
    const struct attempt_request request = {.path = span_of(d->load_target),
                                            .fields = SPAN("Accept: text/plain\r\n"),
                                            .id = SPAN(""),
                                            .owner = SPAN("load"),
                                            .probe = true,
                                            .unjudged = true,
                                            .at_root = true};
    ask->due = clock_after_ms(now, d->definition.load_ms);
    enum err e = attempt_prepare(ask->all->pool, d, &request, on_attempt, ask, &ask->attempt);
    if (e != ERR_OK) {
        wait_for_room(ask, now);
        return;
    }
    buf_init(&ask->page, UPSTREAM_LOAD_PAGE_BYTES);
    ask->own = own_calls(d);
    ask->began = now;
    ask->all->under_way++;
    attempt_start(ask->attempt);
}

static void drop_all(struct list *asks)
{
    while (!list_is_empty(asks)) {
        struct load_ask *ask = LIST_OF(asks->next, struct load_ask, link);
        stop(ask);
        list_remove(&ask->link);
        deployment_unref(&ask->deployment);
        memory_free(ask);
    }
}

/* The one for a server, of those that there were, or a new one; NULL: without memory. */
static struct load_ask *ask_for(struct serve_loads *all, struct list *before, struct deployment *d,
                                mono_us now)
{
    for (struct list *l = before->next; l != before; l = l->next) {
        struct load_ask *ask = LIST_OF(l, struct load_ask, link);
        if (ask->deployment == d) {
            list_remove(l);
            return ask;
        }
    }
    struct load_ask *ask = memory_new(sizeof(*ask));
    if (ask != NULL) {
        ask->all = all;
        ask->deployment = deployment_ref(d);
        ask->due = ask->asked = now;
    }
    return ask;
}

void serve_loads_take_over(struct serve_loads *all, const struct policy *policy, mono_us now)
{
    struct list before;
    list_init(&before);
    list_move_all(&before, &all->asks);
    for (size_t i = 0; i < policy->deployment_count; i++) {
        struct deployment *d = policy->deployments[i];
        struct load_ask *ask =
            d->definition.load_ms == 0 ? NULL : ask_for(all, &before, d, now); /* NULL: later */
        if (ask != NULL) {
            list_push_back(&all->asks, &ask->link);
        }
    }
    drop_all(&before);
}

void serve_loads_step(struct serve_loads *all, bool is_stopping, mono_us now)
{
    for (struct list *l = all->asks.next; l != &all->asks; l = l->next) {
        struct load_ask *ask = LIST_OF(l, struct load_ask, link);
        if (ask->attempt != NULL && clock_since(ask->began, now) > TIMEOUT_US) {
            fail(ask, "it takes longer than 5 s", now);
        } else if (ask->attempt == NULL && clock_since(ask->due, now) >= 0 &&
                   all->under_way < AT_ONCE && !is_stopping) {
            begin(ask, now);
        }
    }
}

void serve_loads_close(struct serve_loads **loads)
{
    struct serve_loads *all = *loads;
    if (all == NULL) {
        return;
    }
    *loads = NULL;
    drop_all(&all->asks);
    memory_free(all);
}
