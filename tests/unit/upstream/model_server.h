/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_server.h — a model server that plays a script, and a caller that notes what it got; both on
 * the loop of the test, so nothing races and nothing sleeps.
 *
 * Nothing depends on how fast the machine is: a test that hangs is ended after so many ticks, not
 * at a time, for a process that was not run for a while has waited no longer; and no timeout of an
 * attempt is so short that this could set it off.
 *
 * Each connection plays the script of its number (the last one if there are more). Between two acts
 * the loop turns twice: what was said before has been read.
 */
#ifndef TESTS_MODEL_SERVER_H
#define TESTS_MODEL_SERVER_H

#include "unit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/net_listen.h"
#include "net/net_loop.h"
#include "net/net_resolve.h"
#include "net/net_socket.h"
#include "net/net_timer.h"
#include "net/net_tls.h"
#include "upstream/attempt.h"
#include "upstream/deployment.h"
#include "upstream/upstream_pool.h"
#include "upstream/upstream_trust.h"

#include "http/http_response.h"

#define SERVER_CONNECTIONS_MAX 64
#define PATIENCE_MS            600000 /* a timeout that is not to happen */
#define GUARD_TICK_MS          100
#define GUARD_TICKS            50
#define BODY_MAX               (1 << 20)

enum act_kind {
    ACT_END,     /* close; also behind the last act */
    ACT_REQUEST, /* wait for a whole request */
    ACT_SAY,     /* text */
    ACT_RESET,
    ACT_SHUT,  /* no more will be said; go on reading */
    ACT_STAY,  /* do nothing until the client closes */
    ACT_PAUSE, /* for `ms` */
    ACT_DEAF,  /* read no more */
    ACT_AGAIN, /* from the first act on */
    ACT_CUT,   /* end the stream below TLS, without its farewell */
};

struct act {
    enum act_kind kind;
    const char *text;
    size_t len; /* of text; 0: strlen */
    int64_t ms;
};

/* clang-format off */
#define REQUEST   {ACT_REQUEST, NULL, 0, 0}
#define SAY(text) {ACT_SAY, text, 0, 0}
#define RESET     {ACT_RESET, NULL, 0, 0}
#define SHUT      {ACT_SHUT, NULL, 0, 0}
#define STAY      {ACT_STAY, NULL, 0, 0}
#define END       {ACT_END, NULL, 0, 0}
#define PAUSE(ms) {ACT_PAUSE, NULL, 0, ms}
#define DEAF      {ACT_DEAF, NULL, 0, 0}
#define CUT       {ACT_CUT, NULL, 0, 0}
#define AGAIN     {ACT_AGAIN, NULL, 0, 0}
/* clang-format on */
#define OK_HI  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define SAY_HI REQUEST, SAY(OK_HI)

struct model_server;

struct server_connection {
    struct model_server *server;
    struct net_socket *socket;
    int fd; /* the socket's */
    const struct act *act, *first;
    struct net_task task;
    struct net_timer timer;
    int turns;       /* still to wait before the act */
    bool deaf, over; /* over: the client has closed */
    size_t said;     /* of the act's text; more than none: the client has yet to make room */
    size_t len;
    char *request; /* all that came since the last whole request was seen */
};

struct model_server {
    struct net_loop *loop;
    struct net_listener *listener;
    struct net_tls *tls;
    uint16_t port;
    const struct act *const *scripts;
    size_t script_count, count;
    int open, requests, closed_by_client;
    char last[8192]; /* the last whole request's beginning */
    struct server_connection connections[SERVER_CONNECTIONS_MAX];
};

/* ------------------------------------------------------------------------------- the server --- */

static void server_play(struct server_connection *c);

static inline void server_drop(struct server_connection *c, bool reset)
{
    if (c->socket == NULL) {
        return;
    }
    if (reset) {
        net_socket_reset(&c->socket);
    } else {
        net_socket_close(&c->socket);
    }
    net_loop_undefer(&c->task);
    net_timer_fini(&c->timer);
    memory_free(c->request);
    c->request = NULL;
    c->server->open--;
}

/* Bytes of the first whole request in `text`, or 0. */
static inline size_t whole_request(const char *text, size_t len)
{
    const char *end = memmem(text, len, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    size_t head = (size_t)(end - text) + 4;
    const char *field = memmem(text, head, "Content-Length: ", 16);
    size_t body = field == NULL ? 0 : strtoul(field + 16, NULL, 10);
    return len >= head + body ? head + body : 0;
}

static inline void server_next_act(struct server_connection *c)
{
    c->act++;
    c->turns = 2;
    net_loop_defer(c->server->loop, &c->task);
}

static inline bool take_request(struct server_connection *c)
{
    size_t size = whole_request(c->request, c->len);
    if (size == 0) {
        return false;
    }
    span_copy_text(span_make(c->request, size), c->server->last, sizeof(c->server->last));
    memmove(c->request, c->request + size, c->len - size);
    c->len -= size;
    c->server->requests++;
    return true;
}

static inline void on_server_task(struct net_task *task)
{
    struct server_connection *c =
        (struct server_connection *)(void *)((char *)task -
                                             offsetof(struct server_connection, task));
    if (c->turns > 0) {
        c->turns--;
        net_loop_defer(c->server->loop, &c->task);
        return;
    }
    server_play(c);
}

static inline void on_server_timer(struct net_timer *timer)
{
    struct server_connection *c =
        (struct server_connection *)(void *)((char *)timer -
                                             offsetof(struct server_connection, timer));
    server_next_act(c);
}

static inline void server_say(struct server_connection *c)
{
    size_t len = c->act->len == 0 ? strlen(c->act->text) : c->act->len;
    while (c->said < len) {
        struct iovec piece = {(void *)(uintptr_t)(c->act->text + c->said), len - c->said};
        size_t sent = 0;
        enum net_result r = net_writev(c->socket, &piece, 1, &sent);
        if (r == NET_AGAIN) {
            net_want(c->socket, !c->deaf, true);
            return;
        }
        if (r != NET_OK) {
            break; /* the client is gone, and the next read will say so */
        }
        c->said += sent;
    }
    c->said = 0;
    server_next_act(c);
}

static inline void server_play(struct server_connection *c)
{
    switch (c->act->kind) {
    case ACT_END:
        server_drop(c, false);
        break;
    case ACT_REQUEST:
        if (take_request(c)) {
            server_next_act(c);
        } else if (c->over) {
            server_drop(c, false);
        }
        break;
    case ACT_SAY:
        server_say(c);
        break;
    case ACT_RESET:
        server_drop(c, true);
        break;
    case ACT_SHUT:
        net_finish(c->socket);
        server_next_act(c);
        break;
    case ACT_PAUSE:
        assert_int_equal(net_timer_set_ms(&c->timer, c->act->ms), ERR_OK);
        break;
    case ACT_DEAF:
        c->deaf = true;
        net_want(c->socket, false, false);
        server_next_act(c);
        break;
    case ACT_AGAIN:
        c->act = c->first;
        server_play(c);
        break;
    case ACT_CUT:
        assert_int_equal(shutdown(c->fd, SHUT_WR), 0);
        server_next_act(c);
        break;
    case ACT_STAY:
        if (c->over) {
            server_drop(c, false);
        }
        break;
    }
}

static inline void on_server_ready(void *ctx, unsigned events)
{
    (void)events;
    struct server_connection *c = ctx;
    for (;;) {
        size_t got;
        if (c->deaf) {
            break;
        }
        if (net_handshake(c->socket) == NET_AGAIN) {
            return;
        }
        enum net_result r = net_read(c->socket, c->request + c->len, BODY_MAX * 2 - c->len, &got);
        if (r == NET_AGAIN) {
            net_want(c->socket, true, false);
            break;
        }
        if (r != NET_OK) {
            c->over = true;
            c->server->closed_by_client++;
            net_want(c->socket, false, false);
            break;
        }
        c->len += got;
    }
    if (c->act->kind == ACT_REQUEST || c->act->kind == ACT_STAY || c->said > 0) {
        server_play(c);
    }
}

static inline void on_server_accept(void *ctx, int fd)
{
    struct model_server *server = ctx;
    assert_true(server->count < SERVER_CONNECTIONS_MAX);
    struct server_connection *c = &server->connections[server->count];
    size_t script = server->count < server->script_count ? server->count : server->script_count - 1;
    server->count++;
    server->open++;
    *c = (struct server_connection){.server = server, .act = server->scripts[script]};
    c->first = c->act;
    c->fd = fd;
    c->request = memory_raw(BODY_MAX * 2);
    net_task_init(&c->task, on_server_task);
    net_timer_init(&c->timer, server->loop, on_server_timer);
    assert_int_equal(net_socket_open(server->loop, fd, on_server_ready, c, &c->socket), ERR_OK);
    if (server->tls != NULL) {
        assert_int_equal(net_socket_start_tls(c->socket, server->tls, NULL), ERR_OK);
    }
    net_want(c->socket, true, false);
    net_loop_defer(server->loop, &c->task);
}

static inline void server_open(struct model_server *server, struct net_loop *loop,
                               const struct act *const *scripts, size_t count)
{
    *server = (struct model_server){.loop = loop, .scripts = scripts, .script_count = count};
    struct net_address address;
    assert_int_equal(net_address_parse("127.0.0.1:0", &address), ERR_OK);
    int fd;
    assert_int_equal(net_listen_fd(&address, false, &fd), ERR_OK);
    struct sockaddr_in bound;
    socklen_t len = sizeof(bound);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &len), 0);
    server->port = ntohs(bound.sin_port);
    assert_int_equal(net_listener_open(loop, fd, on_server_accept, server, &server->listener),
                     ERR_OK);
}

static inline void server_close(struct model_server *server)
{
    net_listener_close(&server->listener);
    for (size_t i = 0; i < server->count; i++) {
        server_drop(&server->connections[i], false);
    }
}

/* -------------------------------------------------------------------------------- the scene --- */

struct scene {
    struct net_loop *loop;
    struct net_resolver *resolver;
    struct upstream_pool *pool;
    struct deployment *deployment;
    struct model_server server;
    struct upstream_definition definition;
    char url[128];
    struct net_timer guard;
    int ticks; /* left before it is late */
    bool late;
};

struct caller {
    struct scene *scene;
    struct attempt *attempt;
    size_t pull_size;       /* 0: all that there is room for */
    const char *id, *owner; /* of the request; NULL: none */
    bool holds;             /* does not pull */
    bool closes;            /* closes the attempt in the first event */
    bool done;              /* ended, failed or closed */
    int events, status;
    enum err error;
    size_t len;
    char body[BODY_MAX];
};

static inline void on_guard(struct net_timer *timer)
{
    struct scene *scene = (struct scene *)(void *)((char *)timer - offsetof(struct scene, guard));
    if (--scene->ticks > 0) {
        assert_int_equal(net_timer_set_ms(&scene->guard, GUARD_TICK_MS), ERR_OK);
        return;
    }
    scene->late = true;
    net_loop_stop(scene->loop);
}

/* From now on the test may hang no longer than the ticks last. */
static inline void scene_guard(struct scene *scene)
{
    scene->ticks = GUARD_TICKS;
    assert_int_equal(net_timer_set_ms(&scene->guard, GUARD_TICK_MS), ERR_OK);
}

/* A loop and a server; `count` scripts. Call scene_ready() when the definition is as it should be.
 */
static inline void scene_open(struct scene *scene, const struct act *const *scripts, size_t count)
{
    *scene = (struct scene){.late = false};
    assert_int_equal(net_loop_open(&scene->loop), ERR_OK);
    net_timer_init(&scene->guard, scene->loop, on_guard);
    server_open(&scene->server, scene->loop, scripts, count);
    (void)snprintf(scene->url, sizeof(scene->url), "http://127.0.0.1:%u/v1", scene->server.port);
    scene->definition = (struct upstream_definition){.name = "test",
                                                     .kind = UPSTREAM_VLLM,
                                                     .url = scene->url,
                                                     .connect_timeout_ms = PATIENCE_MS,
                                                     .first_byte_timeout_ms = PATIENCE_MS,
                                                     .idle_timeout_ms = PATIENCE_MS,
                                                     .total_timeout_ms = PATIENCE_MS,
                                                     .idle_connections_max = 16,
                                                     .idle_keep_ms = PATIENCE_MS,
                                                     .queue_max = 1024};
}

static inline void scene_ready(struct scene *scene)
{
    char reason[DEPLOYMENT_REASON_BYTES];
    const struct upstream_settings one = {&scene->definition, 1};
    struct upstream_trust *trust;
    assert_int_equal(upstream_trust_open(&one, NULL, reason, &trust), ERR_OK);
    assert_int_equal(deployment_open(&scene->definition,
                                     upstream_trust_find(trust, &scene->definition), reason,
                                     &scene->deployment),
                     ERR_OK);
    upstream_trust_close(&trust); /* the deployment holds its own */
    const struct net_dns_settings system = {{NULL, 0}};
    assert_int_equal(net_resolver_open(&system, &scene->resolver), ERR_OK);
    assert_int_equal(upstream_pool_open(scene->loop, scene->resolver, &scene->pool), ERR_OK);
}

static inline void scene_close(struct scene *scene)
{
    upstream_pool_close(&scene->pool);
    net_resolver_close(&scene->resolver);
    if (scene->deployment != NULL) {
        assert_int_equal(atomic_load(&scene->deployment->in_flight), 0);
        assert_int_equal(atomic_load(&scene->deployment->connections), 0);
        assert_int_equal(atomic_load(&scene->deployment->waiting), 0);
        assert_int_equal(atomic_load(&scene->deployment->refs), 1);
    }
    deployment_unref(&scene->deployment);
    server_close(&scene->server);
    net_timer_fini(&scene->guard);
    net_tls_unref(&scene->server.tls);
    net_loop_close(&scene->loop);
}

/* ------------------------------------------------------------------------------- the caller --- */

static inline void caller_finish(struct caller *caller)
{
    caller->done = true;
    caller->error = caller->attempt == NULL ? ERR_OK : attempt_error(caller->attempt);
    net_loop_stop(caller->scene->loop);
}

static inline void caller_pull(struct caller *caller)
{
    enum attempt_pulled pulled;
    do {
        size_t got = 0;
        size_t size = sizeof(caller->body) - caller->len;
        if (caller->pull_size > 0 && caller->pull_size < size) {
            size = caller->pull_size;
        }
        assert_true(size > 0);
        pulled = attempt_pull(caller->attempt, caller->body + caller->len, size, &got);
        caller->len += got;
    } while (pulled == ATTEMPT_SOME);
    if (pulled != ATTEMPT_LATER) {
        caller_finish(caller);
    }
}

static inline void on_caller_event(void *ctx)
{
    struct caller *caller = ctx;
    caller->events++;
    enum attempt_state state = attempt_state(caller->attempt);
    assert_true(state == ATTEMPT_HEAD || state == ATTEMPT_BODY || state == ATTEMPT_FAILED);
    if (caller->closes) {
        attempt_close(&caller->attempt);
        caller_finish(caller);
    } else if (state == ATTEMPT_FAILED) {
        caller_finish(caller);
    } else {
        caller->status = attempt_head(caller->attempt)->status;
        if (caller->holds) {
            net_loop_stop(caller->scene->loop);
        } else {
            caller_pull(caller);
        }
    }
}

/* Starts a POST of `body` (NULL: a GET). */
static inline enum err caller_start(struct caller *caller, struct scene *scene, struct iovec *body,
                                    bool fresh)
{
    size_t pull_size = caller->pull_size;
    bool holds = caller->holds;
    bool closes = caller->closes;
    const char *id = caller->id, *owner = caller->owner;
    memset(caller, 0, offsetof(struct caller, body));
    caller->scene = scene;
    caller->pull_size = pull_size;
    caller->holds = holds;
    caller->closes = closes;
    caller->id = id;
    caller->owner = owner;
    struct attempt_request request = {.path = SPAN("/chat/completions"),
                                      .fields = SPAN("Content-Type: application/json\r\n"),
                                      .pieces = body,
                                      .piece_count = body == NULL ? 0 : 1,
                                      .post = body != NULL,
                                      .id = span_of(id == NULL ? "" : id),
                                      .owner = span_of(owner == NULL ? "" : owner),
                                      .fresh = fresh};
    enum err e = attempt_prepare(scene->pool, scene->deployment, &request, on_caller_event, caller,
                                 &caller->attempt);
    if (e == ERR_OK) {
        attempt_start(caller->attempt);
    }
    assert_int_equal(caller->events, 0);
    return e;
}

/* Runs the loop until `*what` is true. */
static inline void run_until(struct scene *scene, const bool *what)
{
    scene_guard(scene);
    while (!*what && !scene->late) {
        net_loop_run(scene->loop);
    }
    net_timer_stop(&scene->guard);
    if (scene->late) {
        fail_msg("nothing happened for %d ticks", GUARD_TICKS);
    }
}

/* Runs the loop for some turns. */
struct turns {
    struct net_task task;
    struct net_loop *loop;
    int left;
};

static inline void on_turn(struct net_task *task)
{
    struct turns *t = (struct turns *)(void *)((char *)task - offsetof(struct turns, task));
    if (--t->left > 0) {
        net_loop_defer(t->loop, task);
    } else {
        net_loop_stop(t->loop);
    }
}

static inline void run_turns(struct scene *scene, int count)
{
    struct turns t = {.loop = scene->loop, .left = count};
    net_task_init(&t.task, on_turn);
    net_loop_defer(scene->loop, &t.task);
    while (t.left > 0) {
        net_loop_run(scene->loop);
    }
}

/* A whole call: POST of {}. */
static inline void call(struct caller *caller, struct scene *scene, bool fresh)
{
    static char text[] = "{}";
    static struct iovec body = {text, 2};
    assert_int_equal(caller_start(caller, scene, &body, fresh), ERR_OK);
    run_until(scene, &caller->done);
}

#endif
