/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway_usage.h"

#include <pthread.h>

#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/slots.h"
#include "http/http_request.h"

#define ACCEPT SPAN("accept")
#define CSV    SPAN("Content-Type: text/csv; charset=utf-8\r\nCache-Control: no-store\r\n")

struct gateway_asks {
    struct net_loop *loop;
    struct gateway_answerer answerer;
    struct list open; /* struct ask */
    size_t count;
};

/* One question under way. */
struct ask {
    struct gateway_question q; /* its first member */
    struct list link;
    struct net_task task;
    struct gateway_asks *asks;
    struct call_shared *shared;
    struct exchange *x;
    struct key_handle key;
    struct limits_subjects who;
    bool is_posted, is_orphan; /* its answer is on its way; its worker is gone: under `lock` */
    uint8_t room[];            /* of the question's texts */
};

/* Between who answers and a worker that ends: seldom and for a moment, so one for all. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

enum err gateway_asks_open(struct net_loop *loop, const struct gateway_answerer *answerer,
                           struct gateway_asks **out)
{
    struct gateway_asks *asks = memory_new(sizeof(*asks));
    if (asks == NULL) {
        return ERR_NO_MEMORY;
    }
    asks->loop = loop;
    asks->answerer = *answerer;
    list_init(&asks->open);
    *out = asks;
    return ERR_OK;
}

static void free_ask(struct ask *ask)
{
    buf_fini(&ask->q.out);
    memory_free(ask);
}

static void take_out(struct ask *ask)
{
    list_remove(&ask->link);
    ask->asks->count--;
}

void gateway_asks_close(struct gateway_asks **asks)
{
    struct list *link;
    if (*asks == NULL) {
        return;
    }
    CHECK(pthread_mutex_lock(&lock) == 0);
    while ((link = list_pop_front(&(*asks)->open)) != NULL) {
        struct ask *ask = LIST_OF(link, struct ask, link);
        ask->shared->ports->client->cancel(ask->x);
        ask->is_orphan = true;
        if (ask->is_posted) {
            net_loop_undefer(&ask->task);
            free_ask(ask);
        }
    }
    CHECK(pthread_mutex_unlock(&lock) == 0);
    memory_free(*asks);
    *asks = NULL;
}

/* ---- the answer ---- */

/* Some errors are the operator's alone, who hears of them. */
static enum err tellable(enum err e)
{
    if (err_row(e)->type[0] != '\0') {
        return e;
    }
    log_error("usage", "a key's question was not answered: %s", err_sentence(e));
    return ERR_STORE;
}

static void put_answer(struct ask *ask)
{
    struct gateway_answer a;
    gateway_answer_begin(&a, ask->shared, ask->x);
    a.key = ask->key;
    a.who = ask->who;
    a.is_known = true;
    if (ask->q.result == ERR_OK) {
        gateway_answer_put(&a, 200, ask->q.is_csv ? CSV : GATEWAY_JSON_NOW, buf_span(&ask->q.out));
    } else {
        gateway_answer_refuse(&a, tellable(ask->q.result), span_of(ask->q.message),
                              span_of(ask->q.param), SPAN(""));
    }
    gateway_answer_end(&a);
}

static void on_answered(struct net_task *task)
{
    struct ask *ask = (struct ask *)(void *)((char *)task - offsetof(struct ask, task));
    const struct call_client *client = ask->shared->ports->client;
    take_out(ask);
    if (client->is_gone(ask->x)) {
        client->cancel(ask->x);
    } else {
        put_answer(ask);
    }
    free_ask(ask);
}

/* Not on the worker's thread. */
static void on_done(struct gateway_question *q)
{
    struct ask *ask = (struct ask *)q; /* its first member */
    CHECK(pthread_mutex_lock(&lock) == 0);
    bool is_orphan = ask->is_orphan;
    if (!is_orphan) {
        ask->is_posted = true;
        net_loop_post(ask->asks->loop, &ask->task);
    }
    CHECK(pthread_mutex_unlock(&lock) == 0);
    if (is_orphan) {
        free_ask(ask);
    }
}

/* ---- the question ---- */

static void on_event(void *ctx)
{
    (void)ctx; /* the answer is on its way; who has left is seen then */
}

static struct span accept_of(const struct http_request *head)
{
    for (uint32_t i = 0; i < head->fields.count; i++) {
        if (span_equal_nocase(http_field_name(&head->fields, i), ACCEPT)) {
            return http_field_value(&head->fields, i);
        }
    }
    return SPAN("");
}

static struct ask *ask_new(const struct gateway_answer *a)
{
    struct span query = http_request_query(a->head), accept = accept_of(a->head);
    struct ask *ask = memory_new(sizeof(*ask) + query.len + accept.len);
    if (ask == NULL) {
        return NULL;
    }
    ask->asks = a->shared->asks;
    ask->shared = a->shared;
    ask->x = a->x;
    ask->key = a->key;
    ask->who = a->who;
    ask->q.has_team = a->key.team != SLOTS_NONE;
    ask->q.done = on_done;
    memcpy(ask->q.key_id, a->key.id, sizeof(ask->q.key_id));
    if (query.len > 0) {
        memcpy(ask->room, query.at, query.len);
    }
    if (accept.len > 0) {
        memcpy(ask->room + query.len, accept.at, accept.len);
    }
    ask->q.query = span_make(ask->room, query.len);
    ask->q.accept = span_make(ask->room + query.len, accept.len);
    buf_init(&ask->q.out, GATEWAY_USAGE_BYTES_MAX);
    net_task_init(&ask->task, on_answered);
    list_init(&ask->link);
    return ask;
}

/* A key has no more than half of the places, so that another gets its answer. */
static bool has_place(struct gateway_asks *asks, uint32_t slot)
{
    size_t of_key = 0;
    for (struct list *l = asks->open.next; l != &asks->open; l = l->next) {
        of_key += LIST_OF(l, struct ask, link)->key.slot == slot;
    }
    return asks->count < GATEWAY_ASKS_MAX && of_key < GATEWAY_ASKS_MAX / 2;
}

static enum err post(const struct gateway_answer *a)
{
    struct gateway_asks *asks = a->shared->asks;
    if (asks == NULL || !has_place(asks, a->key.slot)) {
        return ERR_OVERLOADED;
    }
    struct ask *ask = ask_new(a);
    if (ask == NULL) {
        return ERR_NO_MEMORY;
    }
    list_push_back(&asks->open, &ask->link); /* before: the answer may be there at once */
    asks->count++;
    a->shared->ports->client->attach(a->x, on_event, NULL);
    enum err e = asks->answerer.ask(asks->answerer.ctx, &ask->q);
    if (e != ERR_OK) {
        take_out(ask);
        free_ask(ask);
    }
    return e;
}

void gateway_usage_ask(struct gateway_answer *a)
{
    enum err e = post(a);
    if (e != ERR_OK) {
        gateway_answer_refuse(a, e, SPAN(""), SPAN(""), SPAN(""));
    }
}
