/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_state.c — which step may follow which, and the steps up to the answer.
 *
 *   QUEUE → RESOLVE → DIAL ⇄ CONNECT → TLS ┐
 *     │                         └──────────┴→ SEND → WAIT → HEAD → BODY → END
 *     └────── a pooled connection ────────────↑  └───────────↑ an answer before all was sent
 *
 * From every step but END a failure leads to FAILED. Time: the whole has total_at, each step
 * limit_at; the timer is for the earlier of the two and finds out when it rings.
 */
#include "upstream/upstream_error.h"
#include "upstream/upstream_internal.h"

#include "base/counter.h"

#define PIECES_AT_ONCE 64
#define WAITER_LOOK_MS 50

static attempt_do do_queue, do_resolve, do_dial, do_connect, do_tls, do_send, do_wait, do_nothing;

#define TO(step) (1u << STEP_##step)

static const struct {
    const char *name;
    attempt_do *step;
    uint32_t next; /* the steps it may be followed by */
    enum attempt_state shown;
    bool leased; /* a connection is held in this step and in no other */
} rows[STEP_COUNT] = {
    /* clang-format off */
    [STEP_QUEUE]   = {"attempt queue", do_queue, TO(RESOLVE) | TO(DIAL) | TO(SEND) | TO(FAILED),
                      ATTEMPT_CONNECTING, false},
    [STEP_RESOLVE] = {"attempt resolve", do_resolve, TO(DIAL) | TO(FAILED),
                      ATTEMPT_CONNECTING, true},
    [STEP_DIAL]    = {"attempt dial", do_dial, TO(CONNECT) | TO(FAILED), ATTEMPT_CONNECTING, true},
    [STEP_CONNECT] = {"attempt connect", do_connect, TO(DIAL) | TO(TLS) | TO(SEND) | TO(FAILED),
                      ATTEMPT_CONNECTING, true},
    [STEP_TLS]     = {"attempt tls", do_tls, TO(SEND) | TO(FAILED), ATTEMPT_CONNECTING, true},
    [STEP_SEND]    = {"attempt send", do_send, TO(WAIT) | TO(HEAD) | TO(FAILED),
                      ATTEMPT_SENDING, true},
    [STEP_WAIT]    = {"attempt wait", do_wait, TO(HEAD) | TO(FAILED), ATTEMPT_WAITING, true},
    [STEP_HEAD]    = {"attempt head", attempt_notice, TO(BODY) | TO(FAILED), ATTEMPT_HEAD, true},
    [STEP_BODY]    = {"attempt body", attempt_notice, TO(END) | TO(FAILED), ATTEMPT_BODY, true},
    [STEP_END]     = {"attempt end", do_nothing, 0, ATTEMPT_END, false},
    [STEP_FAILED]  = {"attempt failed", do_nothing, 0, ATTEMPT_FAILED, false},
    /* clang-format on */
};

enum attempt_state attempt_state(const struct attempt *a)
{
    return rows[a->step].shown;
}

static void attempt_check(const struct attempt *a)
{
    CHECK_OBJ(a, UPSTREAM_ATTEMPT_MAGIC);
    CHECK((a->connection != NULL) == rows[a->step].leased);
    CHECK(a->connection == NULL || a->connection->attempt == a);
    CHECK(a->sent <= a->to_send);
}

void attempt_leave_lists(struct attempt *a)
{
    if (list_is_empty(&a->link)) {
        return;
    }
    list_remove(&a->link);
    if (a->step == STEP_QUEUE) {
        upstream_queue_leave(a);
    }
}

/* How long it took to begin an answer; a refusal says nothing of that. */
static void note_latency(const struct attempt *a)
{
    mono_us now = net_loop_now(a->site->pool->loop);
    if (a->response.status < 300) {
        deployment_health_note_latency(&a->site->deployment->health,
                                       clock_since(a->sending_at, now), now);
    }
}

/* What the answer's head says of the server. */
static void note_head(struct attempt *a)
{
    struct deployment_health *h = &a->site->deployment->health;
    mono_us now = net_loop_now(a->site->pool->loop);
    int status = a->response.status;
    if (a->is_unjudged) {
        return;
    }
    if (status >= 500) {
        deployment_health_failed(h, ERR_UPSTREAM_STATUS, a->trial, now);
        a->trial = 0;
    } else { /* a trial it is to its end: the answer may break off, or be none */
        deployment_health_answered(h, a->trial, now);
        note_latency(a);
    }
    if (status == 429 || status == 503) {
        struct span wait = http_fields_find(&a->response.fields, HTTP_NAME_RETRY_AFTER);
        deployment_health_pause(h, upstream_retry_after(wait, clock_wall()), now);
    }
}

/* One that was refused here was not asked of the server. */
static void note_end(struct attempt *a)
{
    struct deployment *d = a->site->deployment;
    if (!a->is_unjudged && a->error != ERR_UPSTREAM_STALE && err_row(a->error)->status != 503) {
        deployment_health_failed(&d->health, a->error, a->trial, net_loop_now(a->site->pool->loop));
    } else if (a->trial != 0) {
        deployment_health_untried(&d->health, a->trial);
    }
    a->trial = 0;
    (void)atomic_fetch_add_explicit(&d->failures, 1, memory_order_relaxed); /* only counts */
}

void attempt_enter(struct attempt *a, enum attempt_step next)
{
    CHECK((rows[a->step].next & (1u << next)) != 0);
    attempt_leave_lists(a);
    a->step = (uint8_t)next;
    check_note(rows[next].name, (uintptr_t)a);
    if (next == STEP_HEAD || next == STEP_FAILED) {
        a->must_tell = true;
    }
    if (next == STEP_SEND) { /* from a pooled connection that was dead, once more */
        a->sending_at = net_loop_now(a->site->pool->loop);
    }
    if (next == STEP_END || next == STEP_FAILED) {
        net_timer_stop(&a->timer);
        a->ended_at = net_loop_now(a->site->pool->loop);
    }
    if (next == STEP_HEAD) {
        note_head(a);
    } else if (next == STEP_FAILED) {
        note_end(a);
    }
    attempt_check(a);
}

void attempt_run(struct attempt *a)
{
    attempt_check(a);
    for (enum attempt_step next; (next = rows[a->step].step(a)) != a->step;) {
        attempt_enter(a, next);
    }
}

void attempt_tell(struct attempt *a)
{
    if (a->must_tell) {
        a->must_tell = false;
        a->on_event(a->ctx);
    }
}

enum attempt_step attempt_fail(struct attempt *a, enum err why)
{
    a->error = why;
    upstream_connection_close(&a->connection);
    return STEP_FAILED;
}

/* Sets the timer for whichever comes first. */
static void arm(struct attempt *a)
{
    mono_us due = a->limit_at.us < a->total_at.us ? a->limit_at : a->total_at;
    /* A timer that was set once has its place; one that just rang has left it free. */
    CHECK(net_timer_set(&a->timer, due) == ERR_OK);
}

void attempt_limit(struct attempt *a, mono_us limit_at)
{
    a->limit_at = limit_at;
    arm(a);
}

void attempt_await_bytes(struct attempt *a)
{
    a->connection->readable = false;
    net_want(a->connection->socket, true, a->step == STEP_SEND);
}

static const struct upstream_definition *definition(const struct attempt *a)
{
    return &a->site->deployment->definition;
}

/* A request that came whole may run for all we know: to send it again may run it twice. */
static bool was_sent_whole(const struct attempt *a)
{
    return a->to_send > 0 && a->sent == a->to_send;
}

/* Whoever asks does not wait any longer. That is not the server's fault, but one that answers
 * nobody would be taken for quick by all who wait less long than its time limits say. */
static void note_outwaited(struct attempt *a, mono_us now)
{
    struct deployment_health *h = &a->site->deployment->health;
    int64_t waited = 0;
    if (a->step == STEP_WAIT && was_sent_whole(a)) {
        waited = clock_since(a->sending_at, now);
    } else if (a->step == STEP_CONNECT) { /* no caller can make this slow */
        waited =
            clock_since(clock_after_ms(a->connect_at, -definition(a)->connect_timeout_ms), now);
    }
    if (!a->is_unjudged) {
        deployment_health_outwaited(h, waited, a->trial, now);
        a->trial = 0;
    }
    a->is_unjudged = true;
}

void attempt_on_due(struct net_timer *timer)
{
    struct attempt *a = (struct attempt *)(void *)((char *)timer - offsetof(struct attempt, timer));
    mono_us now = net_loop_now(a->site->pool->loop);
    if (now.us < a->limit_at.us && now.us < a->total_at.us) {
        arm(a);
        return;
    }
    enum attempt_step next = STEP_FAILED;
    if (a->step == STEP_CONNECT && now.us < a->connect_at.us && now.us < a->total_at.us) {
        net_socket_close(&a->connection->socket); /* this address had its share of the time */
        a->error = ERR_UPSTREAM_UNREACHED;
        next = STEP_DIAL;
    } else if (a->until.us != 0 && now.us >= a->until.us) {
        note_outwaited(a, now);
        next = attempt_fail(a, ERR_DEADLINE);
    } else {
        enum err late = was_sent_whole(a) ? ERR_UPSTREAM_TIMEOUT : ERR_UPSTREAM_UNREACHED;
        /* Who was not asked yet, or whose reader takes nothing, is not at fault. */
        bool is_read = (a->step == STEP_HEAD || a->step == STEP_BODY) && !a->reader_waits;
        a->is_unjudged = a->is_unjudged || a->step == STEP_QUEUE || is_read;
        next = attempt_fail(a, a->step == STEP_RESOLVE ? ERR_UPSTREAM_DNS : late);
    }
    attempt_enter(a, next);
    attempt_run(a);
    attempt_tell(a);
}

static enum attempt_step use_connection(struct attempt *a, struct upstream_connection *c)
{
    struct upstream_site *site = a->site;
    mono_us now = net_loop_now(a->site->pool->loop);
    a->connection = c;
    c->attempt = a;
    memcpy(c->owner, a->owner, sizeof(c->owner));
    if (c->socket != NULL) {
        a->reused = true;
        counter_add(COUNT_UPSTREAM_REUSED, 1);
        a->peer = c->peer;
        attempt_limit(a, clock_after_ms(now, definition(a)->first_byte_timeout_ms));
        return STEP_SEND;
    }
    a->connect_at = clock_after_ms(now, definition(a)->connect_timeout_ms);
    attempt_limit(a, a->connect_at);
    return upstream_site_has_addresses(site) ? STEP_DIAL : STEP_RESOLVE;
}

static enum attempt_step do_queue(struct attempt *a)
{
    struct upstream_site *site = a->site;
    bool waits = !list_is_empty(&a->link);
    bool is_first = waits ? site->waiting.next == &a->link : list_is_empty(&site->waiting);
    if (is_first) {
        struct upstream_connection *c;
        enum err e = upstream_connection_take(a, &c);
        if (e != ERR_OK) {
            return attempt_fail(a, e);
        }
        if (c != NULL) {
            upstream_queue_note_served(a);
            return use_connection(a, c);
        }
    }
    if (!waits && a->is_unjudged) {
        return attempt_fail(a, ERR_UPSTREAM_BUSY); /* callers come before it */
    }
    if (!waits) {
        enum err e = upstream_queue_put(a);
        if (e != ERR_OK) {
            return attempt_fail(a, e);
        }
        upstream_pool_tick_by(site->pool,
                              clock_after_ms(net_loop_now(site->pool->loop), WAITER_LOOK_MS));
    }
    if (upstream_site_rests(site)) {
        upstream_site_wake(site); /* in the next turn it may be lent */
    }
    return STEP_QUEUE;
}

static enum attempt_step do_resolve(struct attempt *a)
{
    if (a->unresolved != ERR_OK) {
        bool is_ours = a->unresolved == ERR_NO_MEMORY;
        return attempt_fail(a, is_ours ? ERR_NO_MEMORY : ERR_UPSTREAM_DNS);
    }
    if (upstream_site_has_addresses(a->site)) {
        return STEP_DIAL;
    }
    if (list_is_empty(&a->link)) {
        enum err e = upstream_site_resolve(a->site, a);
        if (e != ERR_OK) {
            return attempt_fail(a, e);
        }
    }
    return STEP_RESOLVE;
}

/* An address cannot be reached. What we lack ourselves says more than what the others said. */
static void note_failure(struct attempt *a, enum err e)
{
    if (a->error != ERR_NO_MEMORY && a->error != ERR_NO_FILES) {
        a->error = e == ERR_NO_MEMORY || e == ERR_NO_FILES ? e : ERR_UPSTREAM_CONNECT;
    }
}

static enum attempt_step do_dial(struct attempt *a)
{
    struct upstream_site *site = a->site;
    struct upstream_connection *c = a->connection;
    if (a->dialled == 0) {
        a->dial_first = (uint8_t)site->address_first;
    }
    while (a->dialled < site->address_count) {
        uint32_t index = (a->dial_first + (uint32_t)a->dialled++) % site->address_count;
        const struct net_address *address = &site->addresses[index];
        c->readable = c->writable = false;
        enum err e = net_connect(site->pool->loop, (const struct sockaddr *)&address->storage,
                                 address->len, upstream_connection_on_ready, c, &c->socket);
        if (e == ERR_OK) {
            int64_t left = clock_since(net_loop_now(a->site->pool->loop), a->connect_at);
            int64_t share = left / (int64_t)(site->address_count - a->dialled + 1);
            attempt_limit(a, (mono_us){a->connect_at.us - left + share});
            return STEP_CONNECT;
        }
        note_failure(a, e);
    }
    upstream_site_forget_addresses(site);
    return attempt_fail(a, a->error);
}

static enum attempt_step connected(struct attempt *a)
{
    struct upstream_site *site = a->site;
    struct upstream_connection *c = a->connection;
    site->address_first = (a->dial_first + (uint32_t)a->dialled - 1) % site->address_count;
    net_peer_text(c->socket, c->peer.address, sizeof(c->peer.address));
    a->peer = c->peer;
    net_want(c->socket, true, false);
    if (site->deployment->https) {
        attempt_limit(a, a->connect_at);
        enum err e = net_socket_start_tls(c->socket, site->deployment->tls, site->deployment->host);
        if (e != ERR_OK) {
            return attempt_fail(a, e == ERR_NO_MEMORY ? e : ERR_UPSTREAM_TLS);
        }
        return STEP_TLS;
    }
    attempt_limit(
        a, clock_after_ms(net_loop_now(a->site->pool->loop), definition(a)->first_byte_timeout_ms));
    return STEP_SEND;
}

static enum attempt_step do_connect(struct attempt *a)
{
    struct upstream_connection *c = a->connection;
    if (!c->writable) {
        return STEP_CONNECT;
    }
    if (net_connect_result(c->socket) != ERR_OK) {
        net_socket_close(&c->socket);
        note_failure(a, ERR_UPSTREAM_CONNECT);
        return STEP_DIAL;
    }
    return connected(a);
}

static enum attempt_step do_tls(struct attempt *a)
{
    struct upstream_connection *c = a->connection;
    enum net_result r = net_handshake(c->socket);
    if (r == NET_AGAIN) {
        return STEP_TLS;
    }
    if (r != NET_OK) {
        a->problem = net_certificate_problem(c->socket);
        return attempt_fail(a, a->problem != NULL ? ERR_UPSTREAM_TLS : ERR_UPSTREAM_CONNECT);
    }
    if (!net_certificate_digest(c->socket, c->peer.certificate)) {
        return attempt_fail(a, ERR_NO_MEMORY);
    }
    c->peer.has_certificate = true;
    a->peer = c->peer;
    c->readable = false;
    attempt_limit(
        a, clock_after_ms(net_loop_now(a->site->pool->loop), definition(a)->first_byte_timeout_ms));
    return STEP_SEND;
}

/* Fills `pieces` with what is not sent yet; at most PIECES_AT_ONCE of them. */
static int left_to_send(const struct attempt *a, struct iovec *pieces)
{
    uint64_t skip = a->sent;
    int count = 0;
    for (int i = -1; i < a->piece_count && count < PIECES_AT_ONCE; i++) {
        struct iovec piece = {(void *)(uintptr_t)a->head, a->head_len};
        if (i >= 0) {
            piece = a->pieces[i];
        }
        if (skip >= piece.iov_len) {
            skip -= piece.iov_len;
            continue;
        }
        pieces[count].iov_base = (uint8_t *)piece.iov_base + skip;
        pieces[count++].iov_len = piece.iov_len - (size_t)skip;
        skip = 0;
    }
    return count;
}

/* Sends until all is sent (NET_OK) or nothing more can be now. */
static enum net_result send_more(struct attempt *a)
{
    while (a->sent < a->to_send) {
        struct iovec pieces[PIECES_AT_ONCE];
        size_t sent = 0;
        enum net_result r =
            net_writev(a->connection->socket, pieces, left_to_send(a, pieces), &sent);
        if (r != NET_OK) {
            return r;
        }
        a->sent += sent;
    }
    return NET_OK;
}

static enum attempt_step read_answer(struct attempt *a)
{
    switch (attempt_read_head(a)) {
    case ATTEMPT_HEAD_WHOLE:
        return STEP_HEAD;
    case ATTEMPT_HEAD_BAD:
        return attempt_fail(a, a->error);
    case ATTEMPT_HEAD_MORE:
        break;
    }
    return a->step;
}

static void limit_from_now(struct attempt *a)
{
    attempt_limit(
        a, clock_after_ms(net_loop_now(a->site->pool->loop), definition(a)->first_byte_timeout_ms));
}

/* The server takes no more. On a fresh connection its answer may be there; on a reused one that
 * would be another's. */
static enum attempt_step sending_failed(struct attempt *a)
{
    if (a->reused) {
        return attempt_fail(a, a->sent == 0 ? ERR_UPSTREAM_STALE : ERR_UPSTREAM_CLOSED);
    }
    enum attempt_step next = read_answer(a);
    return next != STEP_SEND ? next : attempt_fail(a, ERR_UPSTREAM_CLOSED);
}

/* What a server says on a reused connection before it has the whole request, it says to an earlier
 * one. ERR_OK: it is silent. */
static enum err early_word(struct attempt *a)
{
    struct net_socket *socket = a->connection->socket;
    if (net_is_quiet(socket)) {
        return ERR_OK;
    }
    uint8_t byte;
    size_t got;
    return net_read(socket, &byte, sizeof(byte), &got) == NET_OK ? ERR_UPSTREAM_PROTOCOL
           : a->sent == 0                                        ? ERR_UPSTREAM_STALE
                                                                 : ERR_UPSTREAM_CLOSED;
}

static enum attempt_step do_send(struct attempt *a)
{
    struct upstream_connection *c = a->connection;
    uint64_t before = a->sent;
    enum err early = a->reused && a->paused ? early_word(a) : ERR_OK;
    if (early != ERR_OK) {
        return attempt_fail(a, early);
    }
    enum net_result r = send_more(a);
    if (r == NET_OK) {
        net_want(c->socket, true, false);
        if (a->paused) {
            limit_from_now(a);
        }
        return STEP_WAIT;
    }
    if (r != NET_AGAIN) {
        return sending_failed(a);
    }
    a->paused = true;
    net_want(c->socket, true, true);
    if (a->sent > before) {
        limit_from_now(a);
    }
    return c->readable && !a->reused ? read_answer(a) : STEP_SEND; /* it may refuse the rest */
}

static enum attempt_step do_wait(struct attempt *a)
{
    if (!a->connection->readable) {
        return STEP_WAIT;
    }
    if (a->reused && a->partial == NULL && !net_is_acknowledged(a->connection->socket)) {
        enum err early = early_word(a);
        if (early != ERR_OK) {
            return attempt_fail(a, early);
        }
    }
    return read_answer(a);
}

static enum attempt_step do_nothing(struct attempt *a)
{
    return a->step;
}
