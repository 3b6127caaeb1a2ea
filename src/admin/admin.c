/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two servers on one loop: what may be asked depends on where it was asked. A store operation is a
 * job of its own: the exchange waits, the loop does not.
 */
#include "admin/admin.h"

#include <unistd.h>

#include "admin/admin_operations.h"
#include "base/memory.h"
#include "crypto/random.h"
#include "journal/journal_apply.h"
#include "net/net_loop.h"
#include "server/exchange.h"
#include "server/server.h"
#include "store/store_thread.h"
#include "telemetry/prometheus.h"

#define ANSWER_BYTES_MAX (256u << 20)
#define JSON_FIELDS      "Content-Type: application/json\r\nCache-Control: no-store\r\n"

/* Where requests come in. */
struct door {
    struct admin *admin;
    struct server *server;
    bool is_private; /* the Unix socket */
};

struct admin {
    struct admin_options options;
    struct door open_door, private_door;
    struct list jobs; /* that the store thread has or has ended, and that are not answered yet */
};

/* One operation under way. */
struct job {
    struct list link; /* admin->jobs, once it is posted */
    struct admin *admin;
    struct exchange *x;
    struct net_task done;
    struct buf body, out;
    wall_us now;
    enum err result;
    struct span fault;
    bool posted;
};

static void answer(struct exchange *x, int status, struct span fields, struct span body)
{
    struct iovec piece = {(void *)(uintptr_t)body.at, body.len};
    exchange_put_head(x, status, fields, body.len);
    if (body.len > 0) {
        exchange_put(x, &piece, 1);
    }
    exchange_finish(x);
}

/* ---- store operations ---- */

static void free_job(struct job *job)
{
    list_remove(&job->link);
    if (job->out.at != NULL) {
        crypto_wipe(job->out.at, job->out.len); /* it may hold a new key */
    }
    buf_fini(&job->out);
    buf_fini(&job->body);
    memory_free(job);
}

static enum err run_job(struct store *store, void *context)
{
    struct job *job = context;
    const struct http_request *head = exchange_head(job->x); /* the exchange waits for us */
    const struct admin_request request = {head->method, http_request_path(head),
                                          http_request_query(head), buf_span(&job->body)};
    if (span_is(request.path, "/admin/v1/usage")) {
        enum err e = journal_apply_now(job->admin->options.apply, store);
        if (e != ERR_OK) {
            return e;
        }
    }
    return admin_operate(job->admin->options.keys, store, &request, job->now, &job->out,
                         &job->fault);
}

static void on_answered(struct net_task *task)
{
    struct job *job = (struct job *)(void *)((char *)task - offsetof(struct job, done));
    if (exchange_is_gone(job->x)) {
        exchange_cancel(job->x);
    } else if (job->result == ERR_OK) {
        answer(job->x, 200, SPAN(JSON_FIELDS), buf_span(&job->out));
    } else {
        exchange_refuse(job->x, job->result, job->fault, SPAN(""),
                        job->result == ERR_METHOD_NOT_ALLOWED ? SPAN("Allow: GET, POST, DELETE\r\n")
                                                              : SPAN(""));
    }
    free_job(job);
}

static void on_job_done(void *context, enum err result)
{
    struct job *job = context;
    job->result = result;
    net_loop_post(job->admin->options.loop, &job->done);
}

static void end_job(struct job *job, enum err e)
{
    exchange_refuse(job->x, e, SPAN(""), SPAN(""), SPAN(""));
    free_job(job);
}

static void post_job(struct job *job)
{
    struct store_job work = {run_job, on_job_done, job};
    enum err e = store_thread_post(job->admin->options.store, &work);
    if (e != ERR_OK) {
        end_job(job, e);
    } else {
        job->posted = true;
        list_push_back(&job->admin->jobs, &job->link);
    }
}

static void on_job_event(void *ctx)
{
    struct job *job = ctx;
    uint8_t *room;
    size_t got = 0;
    if (job->posted) {
        return; /* the answer is on its way; who has left is seen then */
    }
    do {
        room = buf_reserve(&job->body, 4096);
        if (room == NULL) {
            end_job(job, ERR_BODY_TOO_LARGE);
            return;
        }
        got = 0;
        enum exchange_pulled pulled = exchange_pull(job->x, room, 4096, &got);
        if (pulled == EXCHANGE_FAILED) {
            end_job(job, exchange_error(job->x));
            return;
        }
        buf_added(&job->body, got);
        if (pulled == EXCHANGE_END) {
            post_job(job);
            return;
        }
    } while (got > 0);
}

static void start_job(struct admin *admin, struct exchange *x)
{
    struct job *job = memory_new(sizeof(*job));
    if (job == NULL) {
        exchange_refuse(x, ERR_NO_MEMORY, SPAN(""), SPAN(""), SPAN(""));
        return;
    }
    list_init(&job->link);
    job->admin = admin;
    job->x = x;
    job->now = clock_wall();
    buf_init(&job->body, ADMIN_BODY_BYTES_MAX);
    buf_init(&job->out, ANSWER_BYTES_MAX);
    net_task_init(&job->done, on_answered);
    exchange_attach(x, on_job_event, job);
    exchange_continue(x);
    on_job_event(job);
}

/* ---- the rest ---- */

static void answer_metrics(struct exchange *x)
{
    struct buf out;
    buf_init(&out, ANSWER_BYTES_MAX);
    prometheus_write(&out);
    if (buf_failed(&out)) {
        exchange_refuse(x, ERR_NO_MEMORY, SPAN(""), SPAN(""), SPAN(""));
    } else {
        answer(x, 200, SPAN("Content-Type: " PROMETHEUS_CONTENT_TYPE "\r\n"), buf_span(&out));
    }
    buf_fini(&out);
}

static void on_request(void *ctx, struct exchange *x)
{
    struct door *door = ctx;
    const struct http_request *head = exchange_head(x);
    struct span path = http_request_path(head);
    bool reads = head->method == HTTP_GET || head->method == HTTP_HEAD;
    bool ready = atomic_load(door->admin->options.ready);
    if (door->is_private && span_starts(path, SPAN("/admin/"))) {
        start_job(door->admin, x);
    } else if (reads && span_is(path, "/metrics")) {
        answer_metrics(x);
    } else if (reads && span_is(path, "/healthz")) {
        answer(x, 200, SPAN(JSON_FIELDS), SPAN("{\"status\":\"ok\"}"));
    } else if (reads && span_is(path, "/readyz")) {
        answer(x, ready ? 200 : 503, SPAN(JSON_FIELDS),
               ready ? SPAN("{\"status\":\"ok\"}") : SPAN("{\"status\":\"starting or stopping\"}"));
    } else {
        exchange_refuse(x, ERR_ROUTE_UNKNOWN, SPAN(""), SPAN(""), SPAN(""));
    }
}

static enum err open_door(struct admin *a, struct door *door, int fd, bool is_private)
{
    door->admin = a;
    door->is_private = is_private;
    struct server_options options = {a->options.server, on_request, door, a->options.connections};
    enum err e = server_open(a->options.loop, &options, &door->server);
    if (e != ERR_OK) {
        (void)close(fd); /* a listening socket holds no data */
        return e;
    }
    return server_listen(door->server, fd, 0, NULL);
}

enum err admin_open(const struct admin_options *options, struct admin **out)
{
    struct admin *a = memory_new(sizeof(*a));
    if (a == NULL) {
        (void)close(options->listen_fd); /* listening sockets hold no data */
        (void)close(options->socket_fd);
        return ERR_NO_MEMORY;
    }
    a->options = *options;
    list_init(&a->jobs);
    enum err e = open_door(a, &a->open_door, options->listen_fd, false);
    if (e == ERR_OK) {
        e = open_door(a, &a->private_door, options->socket_fd, true);
    } else {
        (void)close(options->socket_fd); /* a listening socket holds no data */
    }
    if (e != ERR_OK) {
        admin_close(&a);
        return e;
    }
    *out = a;
    return ERR_OK;
}

void admin_close(struct admin **a)
{
    if (*a == NULL) {
        return;
    }
    struct list *link;
    while ((link = list_pop_front(&(*a)->jobs)) != NULL) {
        struct job *job = LIST_OF(link, struct job, link);
        net_loop_undefer(&job->done); /* posted, and the loop does not run any more */
        exchange_cancel(job->x);
        free_job(job);
    }
    server_close(&(*a)->open_door.server);
    server_close(&(*a)->private_door.server);
    memory_free(*a);
    *a = NULL;
}
