/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection does next.
 *
 *   PROXY → HANDSHAKE → IDLE → HEAD → ANSWER → SEND → IDLE …
 *                                │       │       ├──→ SKIP ──→ IDLE   the rest of a body nobody
 * read │       │       │      ↓ └───────┼───────┴──→ LINGER          said all; hears the client out
 *                                        └──────────→ CLOSED          from every state
 *
 * Events note what happened and run the machine; a step looks at the facts only. One exchange at a
 * time: what a client pipelines behind it is read, for else nobody would see that it leaves, and
 * kept up to a bound; a client that sends more is cut off.
 *
 * A connection that is closed with bytes unread resets it, and the client may lose the reply. So a
 * server that closes first says so (FIN) and reads on for a while: LINGER.
 */
#include "base/counter.h"
#include "base/memory.h"
#include "net/net_tls.h"
#include "server/server_internal.h"

#define SKIP_BYTES (64 * 1024)
#define LINGER_BYTES \
    (64 * 1024 * 1024) /* a client that sends first and reads later must get there */

#define REQUESTS_A_RUN 16 /* pipelined ones that are answered before others get their turn */

typedef enum connection_state connection_step(struct server_connection *c);
static connection_step step_proxy, step_handshake, step_idle, step_head, step_answer, step_send,
    step_skip, step_linger, step_closed;

enum reads { READS_ALWAYS, READS_WANTED, READS_NEVER };

#define TO(state) (1u << CONNECTION_##state)

/* clang-format off */
static const struct {
    const char *name;
    connection_step *step; /* does what it can; returns the next state, or its own to wait */
    uint32_t next;         /* the states it may return besides its own */
    enum reads reads;      /* whether it polls for the client's bytes */
    bool exchange;         /* there is an exchange in this state and in no other */
} rows[CONNECTION_STATE_COUNT] = {
    [CONNECTION_PROXY]     = {"proxy", step_proxy, TO(HANDSHAKE) | TO(IDLE) | TO(CLOSED),
                              READS_ALWAYS, false},
    [CONNECTION_HANDSHAKE] = {"handshake", step_handshake, TO(IDLE) | TO(CLOSED),
                              READS_ALWAYS, false},
    [CONNECTION_IDLE]      = {"idle", step_idle, TO(HEAD) | TO(CLOSED),
                              READS_ALWAYS, false},
    [CONNECTION_HEAD]      = {"head", step_head, TO(ANSWER) | TO(SEND) | TO(CLOSED),
                              READS_ALWAYS, false},
    [CONNECTION_ANSWER]    = {"answer", step_answer, TO(SEND) | TO(CLOSED),
                              READS_WANTED, true},
    [CONNECTION_SEND]      = {"send", step_send, TO(IDLE) | TO(SKIP) | TO(LINGER) | TO(CLOSED),
                              READS_WANTED, false},
    [CONNECTION_SKIP]      = {"skip", step_skip, TO(IDLE) | TO(LINGER) | TO(CLOSED),
                              READS_ALWAYS, false},
    [CONNECTION_LINGER]    = {"linger", step_linger, TO(CLOSED),
                              READS_ALWAYS, false},
    [CONNECTION_CLOSED]    = {"closed", step_closed, 0,
                              READS_NEVER, false},
};
/* clang-format on */

static void connection_check(const struct server_connection *c)
{
    CHECK_OBJ(c, SERVER_CONNECTION_MAGIC);
    CHECK((c->exchange.head != NULL) == rows[c->state].exchange);
    CHECK((c->socket != NULL) || c->state == CONNECTION_CLOSED);
    CHECK(c->fresh.len == 0 || buf_span(&c->in).len == 0);
    CHECK(c->fresh.len == 0 || c->may_call);
}

static enum connection_state step_proxy(struct server_connection *c)
{
    enum net_result r = c->due || c->broken ? NET_FAILED : server_client_read(c);
    if (r == NET_AGAIN) {
        return CONNECTION_PROXY;
    }
    struct net_tls *tls = c->tls;
    bool ok = r == NET_OK && (tls == NULL || net_socket_start_tls(c->socket, tls, NULL) == ERR_OK);
    enum connection_state next = tls == NULL ? CONNECTION_IDLE : CONNECTION_HANDSHAKE;
    server_client_forget(c);
    counter_add(COUNT_PROXY_FAILED,
                r == NET_FAILED ? 1 : 0); /* a look at our health says nothing */
    return ok ? next : CONNECTION_CLOSED;
}

static enum connection_state step_handshake(struct server_connection *c)
{
    if (c->due || c->broken || c->hung_up) { /* for one that left nothing is signed */
        counter_add(COUNT_TLS_FAILED, c->due ? 1 : 0);
        return CONNECTION_CLOSED;
    }
    switch (net_handshake(c->socket)) {
    case NET_OK:
        return CONNECTION_IDLE;
    case NET_AGAIN:
        return CONNECTION_HANDSHAKE;
    case NET_EOF:
    case NET_FAILED:
    default:
        counter_add(COUNT_TLS_FAILED, 1);
        return CONNECTION_CLOSED;
    }
}

/* Goes on when the others have had their turn. */
static enum connection_state next_turn(struct server_connection *c)
{
    net_loop_yield(c->server->loop, &c->task);
    return c->state;
}

/* Goes on at the end of the loop's turn, when the handler may be called. */
static enum connection_state later(struct server_connection *c)
{
    net_loop_defer(c->server->loop, &c->task);
    return c->state;
}

/* Nothing is held: reads the beginning of the next request. */
static enum connection_state read_request(struct server_connection *c)
{
    enum net_result r = NET_AGAIN;
    if (c->readable && c->may_call) {
        r = server_input_fill(c);
    }
    if (r == NET_OK) {
        return CONNECTION_HEAD;
    }
    bool may_wait = !c->server->draining || (c->hurried && !c->served);
    return r == NET_AGAIN && may_wait ? CONNECTION_IDLE : CONNECTION_CLOSED;
}

static enum connection_state step_idle(struct server_connection *c)
{
    if (c->due || c->broken) {
        return CONNECTION_CLOSED;
    }
    bool held = server_input_held(c).len > 0;
    if (!c->starved &&
        (c->requests >= REQUESTS_A_RUN || (held && net_loop_is_spent(c->server->loop)))) {
        return next_turn(c);
    }
    if (!c->starved && held && !c->may_call) {
        return later(c);
    }
    if (held || c->starved) { /* one that is starved says so */
        return CONNECTION_HEAD;
    }
    return read_request(c);
}

/* Answers what cannot be an exchange, and closes after that. */
static enum connection_state refuse(struct server_connection *c, enum err e)
{
    counter_add(COUNT_REQUESTS_REFUSED, 1);
    server_input_forget(c);
    server_refusal_send(c, e);
    return CONNECTION_SEND;
}

static enum connection_state step_head(struct server_connection *c)
{
    if (c->broken) {
        return CONNECTION_CLOSED;
    }
    if (c->due) {
        return refuse(c, ERR_HTTP_HEAD_TIMEOUT);
    }
    for (;;) {
        bool whole;
        if (c->starved) {
            return refuse(c, ERR_OVERLOADED);
        }
        enum err e = server_input_head(c, &whole);
        if (e != ERR_OK) {
            return refuse(c, e);
        }
        if (whole) {
            c->requests++;
            counter_add(COUNT_REQUESTS, 1);
            return CONNECTION_ANSWER;
        }
        if (!c->readable || !c->may_call) {
            return CONNECTION_HEAD;
        }
        enum net_result r = server_input_fill(c);
        if (r != NET_OK) {
            return r == NET_AGAIN ? CONNECTION_HEAD : CONNECTION_CLOSED;
        }
    }
}

/* Looks at what came of the request's body, and of what is behind it. */
static void note_input(struct server_connection *c)
{
    struct exchange *x = &c->exchange;
    if (c->starved && !c->body.ended && x->error == ERR_OK) {
        x->error = ERR_OVERLOADED; /* a part of the body is lost */
        x->wants_body = false;
        x->event_due = true;
    }
    if (x->told && c->body.ended && c->readable && c->may_call && !x->gone) {
        server_input_ahead(c);
    }
    if (x->wants_body && c->readable) {
        c->body.waited_us += clock_since(c->body.waits_since, net_loop_now(c->server->loop));
        x->wants_body = false;
        x->event_due = true;
    }
}

/* Turns what happened into what the handler is to see. */
static void note_facts(struct server_connection *c)
{
    struct exchange *x = &c->exchange;
    if (c->due) {
        mono_us now = net_loop_now(c->server->loop);
        if (server_time_body_is_late(c, now)) {
            x->error = ERR_HTTP_BODY_TIMEOUT;
            x->wants_body = false;
            x->event_due = true;
        }
        c->broken = c->broken || server_time_output_is_stuck(c, now);
        c->due = false;
    }
    if (!c->blocked && server_output_waiting(c) > 0) {
        server_output_flush(c);
        x->event_due = x->event_due || server_output_waiting(c) == 0;
    }
    note_input(c);
    if (!x->gone && (c->broken || (c->hung_up && c->body.ended))) {
        x->gone = true;
        x->event_due = true;
    }
}

/* The handler has ended the exchange. */
static enum connection_state after_answer(struct server_connection *c)
{
    struct exchange ended = c->exchange;
    server_input_head_free(&ended);
    c->exchange = (struct exchange){0};
    c->served = true;
    c->keep = c->keep && !c->starved;
    if (ended.end == EXCHANGE_RESET) {
        net_socket_reset(&c->socket);
        return CONNECTION_CLOSED;
    }
    if (c->broken || ended.gone) {
        return CONNECTION_CLOSED;
    }
    if (ended.end == EXCHANGE_CANCELLED) {
        c->keep = false;
        if (c->holds) {
            server_output_fini(c);
        }
        return CONNECTION_SEND;
    }
    return CONNECTION_SEND;
}

static void tell_of_request(struct server_connection *c)
{
    static const struct span none = {NULL, 0};
    if (c->late) {
        counter_add(COUNT_REQUESTS_REFUSED, 1);
        exchange_refuse(&c->exchange, ERR_DRAINING, none, none, none);
    } else {
        c->server->on_request(c->server->ctx, &c->exchange);
    }
}

static enum connection_state step_answer(struct server_connection *c)
{
    struct exchange *x = &c->exchange;
    for (;;) {
        if (x->end != EXCHANGE_OPEN || (c->broken && !x->told)) {
            return after_answer(c);
        }
        note_facts(c);
        bool tell = x->event_due && x->on_event != NULL;
        if (x->told && !tell) {
            return CONNECTION_ANSWER;
        }
        if (!c->may_call) {
            return later(c);
        }
        if (!x->told) {
            x->told = true;
            tell_of_request(c);
        } else {
            x->event_due = false;
            x->on_event(x->ctx);
        }
    }
}

static enum connection_state linger(struct server_connection *c)
{
    c->dropped = 0;
    net_finish(c->socket);
    return CONNECTION_LINGER;
}

static enum connection_state step_send(struct server_connection *c)
{
    if (c->due && server_time_output_is_stuck(c, net_loop_now(c->server->loop))) {
        c->broken = true;
    }
    if (!c->blocked && server_output_waiting(c) > 0 && !c->broken) {
        server_output_flush(c);
    }
    if (c->broken) {
        return CONNECTION_CLOSED;
    }
    if (server_output_waiting(c) > 0) {
        return CONNECTION_SEND;
    }
    if (c->keep) {
        c->dropped = 0;
        return c->body.ended ? CONNECTION_IDLE : CONNECTION_SKIP;
    }
    bool more = !c->body.ended || c->unwanted || server_input_held(c).len > 0;
    return more && !c->hung_up ? linger(c) : CONNECTION_CLOSED;
}

static enum connection_state step_skip(struct server_connection *c)
{
    if (c->broken) {
        return CONNECTION_CLOSED;
    }
    if (!c->may_call) {
        return later(c);
    }
    if (c->due) {
        return linger(c);
    }
    enum net_result r = server_input_skip(c, SKIP_BYTES);
    if (c->body.ended) {
        return CONNECTION_IDLE;
    }
    return r == NET_AGAIN ? CONNECTION_SKIP : linger(c);
}

static enum connection_state step_linger(struct server_connection *c)
{
    if (c->due || c->broken) {
        return CONNECTION_CLOSED;
    }
    if (!c->may_call) {
        return later(c);
    }
    return server_input_drop(c, LINGER_BYTES) == NET_AGAIN ? CONNECTION_LINGER : CONNECTION_CLOSED;
}

static enum connection_state step_closed(struct server_connection *c)
{
    return c->state;
}

static void poll_for(struct server_connection *c)
{
    bool read = rows[c->state].reads == READS_ALWAYS || c->exchange.wants_body || !c->unwanted;
    net_want(c->socket, read && !c->exchange.gone, c->blocked && !c->broken);
}

static void shut(struct server_connection *c)
{
    net_socket_close(&c->socket);
    net_timer_fini(&c->timer);
    server_client_forget(c);
    server_input_forget(c);
    server_output_fini(c);
    list_remove(&c->link);
    list_push_back(&c->server->closed, &c->link);
    net_loop_defer(c->server->loop, &c->task); /* frees it */
    server_forget(c->server, c);
}

static void enter(struct server_connection *c, enum connection_state next)
{
    CHECK((rows[c->state].next & (1u << next)) != 0);
    c->state = next;
    c->entered = true;
    c->due = false;
    if (next == CONNECTION_IDLE) {
        c->unwanted = false;
    }
    check_note(rows[next].name, (uintptr_t)c);
    connection_check(c);
}

void server_connection_run(struct server_connection *c, bool may_call)
{
    if (c->running || c->state == CONNECTION_CLOSED) {
        return; /* the run that is under way sees the new facts */
    }
    connection_check(c);
    c->running = true;
    c->may_call = may_call;
    c->requests = 0;
    for (enum connection_state next; (next = rows[c->state].step(c)) != c->state;) {
        enter(c, next);
    }
    c->running = false;
    c->due = false;
    if (c->state == CONNECTION_CLOSED) {
        shut(c);
        return;
    }
    server_input_stash(c);
    c->may_call = false;
    server_time_set(c);
    poll_for(c);
}

static void on_ready(void *ctx, unsigned events)
{
    struct server_connection *c = ctx;
    CHECK_OBJ(c, SERVER_CONNECTION_MAGIC);
    if ((events & NET_READABLE) != 0) {
        c->readable = true;
        c->unwanted = rows[c->state].reads == READS_WANTED && !c->exchange.wants_body;
    }
    c->blocked = c->blocked && (events & NET_WRITABLE) == 0;
    c->hung_up = c->hung_up || (events & NET_HANGUP) != 0;
    server_connection_run(c, true);
}

static void on_due(struct net_timer *timer)
{
    struct server_connection *c = LIST_OF(timer, struct server_connection, timer);
    c->due = true;
    server_connection_run(c, true);
}

static void on_task(struct net_task *task)
{
    struct server_connection *c = LIST_OF(task, struct server_connection, task);
    if (c->state == CONNECTION_CLOSED) {
        server_connection_free(c);
    } else {
        server_connection_run(c, true);
    }
}

void server_connection_free(struct server_connection *c)
{
    CHECK_OBJ(c, SERVER_CONNECTION_MAGIC);
    CHECK(c->state == CONNECTION_CLOSED && !c->running);
    net_loop_undefer(&c->task);
    list_remove(&c->link);
    c->magic = 0;
    memory_free(c);
}

void server_connection_abort(struct server_connection *c)
{
    c->broken = true;
    server_connection_run(c, true);
    CHECK(c->state == CONNECTION_CLOSED); /* a handler ends its exchange when told it is gone */
}

void server_connection_drain(struct server_connection *c)
{
    if (c->state != CONNECTION_IDLE && c->state != CONNECTION_HANDSHAKE &&
        c->state != CONNECTION_PROXY) {
        return;
    }
    c->entered = !c->hurried; /* its time begins anew, and is shorter */
    c->hurried = true;
    c->readable = true; /* a request may have come just now: it is still answered */
    net_loop_defer(c->server->loop, &c->task);
}

bool server_connection_evict(struct server *s)
{
    for (struct list *link = s->all.next; link != &s->all; link = link->next) {
        struct server_connection *c = LIST_OF(link, struct server_connection, link);
        if (!rows[c->state].exchange && !c->running) {
            server_connection_abort(c);
            return true;
        }
    }
    return false;
}

/* Where it begins, and with TLS, unless that begins behind a PROXY header. */
static enum err begin(struct server_connection *c, struct net_tls *tls)
{
    if (!c->refused && c->server->settings.trust.proxy_protocol[c->listener]) {
        c->state = CONNECTION_PROXY;
        c->tls = tls == NULL ? NULL : net_tls_ref(tls);
        return ERR_OK;
    }
    c->state = tls == NULL ? CONNECTION_IDLE : CONNECTION_HANDSHAKE;
    return tls == NULL ? ERR_OK : net_socket_start_tls(c->socket, tls, NULL);
}

void server_connection_open(struct server *s, int fd, unsigned listener, bool refuse)
{
    struct server_connection *c = memory_new(sizeof(*c));
    struct net_socket *socket = NULL;
    enum err e = net_socket_open(s->loop, fd, on_ready, c, &socket);
    if (e == ERR_OK && c != NULL) {
        c->server = s;
        c->socket = socket;
        c->listener = listener;
        c->refused = refuse;
        e = begin(c, s->listeners[listener].tls);
    }
    if (e != ERR_OK || c == NULL) {
        net_socket_close(&socket);
        memory_free(c);
        s->refused -= refuse ? 1 : 0;
        server_forget(s, NULL);
        return;
    }
    c->magic = SERVER_CONNECTION_MAGIC;
    c->late = c->hurried = s->draining;
    c->entered = true;
    list_push_back(&s->all, &c->link);
    net_timer_init(&c->timer, s->loop, on_due);
    net_task_init(&c->task, on_task);
    buf_init(&c->in, (size_t)s->settings.head_bytes_max + SERVER_AHEAD_BYTES + SERVER_INBOX_BYTES);
    buf_init_counted(&c->out, SIZE_MAX / 2, BUF_UNCOUNTED);
    counter_add(COUNT_CONNECTIONS, 1);
    counter_add(COUNT_CONNECTIONS_OPEN, 1);
    if (refuse) {
        server_refusal_send(c, ERR_OVERLOADED);
        c->state = CONNECTION_SEND;
    }
    server_connection_run(c, false);
}
