/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exchange is a part of its connection. Its functions are called by the handler, from within the
 * connection's run or from anywhere else; in the second case the run that they start calls nobody.
 */
#include "server/exchange.h"

#include "server/exchange_client.h"
#include "server/server_internal.h"

#define PIECES_AT_ONCE 64
#define SKIP_LEFT_MOST                                                         \
    (64 * 1024) /* a longer rest of a body is not worth keeping the connection \
                 */

static struct server_connection *of(const struct exchange *x)
{
    struct server_connection *c =
        LIST_OF((struct exchange *)(uintptr_t)x, struct server_connection, exchange);
    CHECK_OBJ(c, SERVER_CONNECTION_MAGIC);
    CHECK(x->head != NULL && x->end == EXCHANGE_OPEN);
    return c;
}

/* Makes the connection see what the handler changed. */
static void changed(struct server_connection *c)
{
    server_connection_run(c, false);
}

void exchange_attach(struct exchange *x, exchange_on_event *on_event, void *ctx)
{
    (void)of(x); /* only checks it */
    x->on_event = on_event;
    x->ctx = ctx;
}

const struct http_request *exchange_head(const struct exchange *x)
{
    (void)of(x); /* only checks it */
    return &x->head->request;
}

uint64_t exchange_body_length(const struct exchange *x)
{
    (void)of(x); /* only checks it */
    const struct http_body *body = &x->head->request.body;
    return body->kind == HTTP_BODY_CHUNKED ? UINT64_MAX : body->length;
}

mono_us exchange_started(const struct exchange *x)
{
    return x->started;
}

struct net_loop *exchange_loop(const struct exchange *x)
{
    return of(x)->server->loop;
}

const char *exchange_peer(struct exchange *x)
{
    struct server_connection *c = of(x);
    if (!c->has_peer) {
        net_peer_text(c->socket, c->peer, sizeof(c->peer));
        c->has_peer = true;
    }
    return c->peer;
}

bool exchange_address(struct exchange *x, struct net_ip *out)
{
    if (!x->has_client) {
        x->client = server_client_of(of(x));
        x->has_client = true;
    }
    *out = x->client.address;
    return x->client.is_derived;
}

const char *exchange_client(struct exchange *x, char room[NET_IP_TEXT])
{
    struct net_ip address;
    if (!exchange_address(x, &address)) {
        return exchange_peer(x);
    }
    net_ip_text(&address, room);
    return room;
}

unsigned exchange_listener(const struct exchange *x)
{
    return of(x)->listener;
}

void exchange_continue(struct exchange *x)
{
    struct server_connection *c = of(x);
    if (!x->expects) {
        return;
    }
    x->expects = false;
    if (x->head_put || c->body.ended || server_input_held(c).len > 0) {
        return; /* RFC 9110 10.1.1: needless once some of the body has come */
    }
    static const struct span interim = {(const uint8_t *)"HTTP/1.1 100 Continue\r\n\r\n", 25};
    struct iovec slots[2] = {
        [1] = {.iov_base = (void *)(uintptr_t)interim.at, .iov_len = interim.len}};
    server_output_put(c, slots, 2);
    x->sent -= (int64_t)interim.len; /* it is not part of the reply */
    if (server_output_waiting(c) > 0) {
        changed(c);
    }
}

/* Whether the body came too slowly so far, not counting what nobody waited for. */
static bool is_too_slow(const struct server_connection *c)
{
    const struct server_settings *set = &c->server->settings;
    return set->body_rate_min_bytes > 0 && c->body.waited_us > set->body_timeout_ms * 1000 &&
           (int64_t)c->body.received < c->body.waited_us / 1000 * set->body_rate_min_bytes / 1000;
}

static enum err pull(struct server_connection *c, void *to, size_t size, size_t *got)
{
    uint64_t most = (uint64_t)c->server->settings.body_bytes_max;
    if (c->body.kind == HTTP_BODY_LENGTH && !c->body.pulled && c->body.left > most) {
        return ERR_BODY_TOO_LARGE;
    }
    c->body.pulled = true;
    enum err e = server_input_body(c, to, size, got);
    if (e != ERR_OK) {
        return e;
    }
    if (c->body.decoded > most) {
        return ERR_BODY_TOO_LARGE;
    }
    return !c->body.ended && is_too_slow(c) ? ERR_HTTP_BODY_TIMEOUT : ERR_OK;
}

enum exchange_pulled exchange_pull(struct exchange *x, void *to, size_t size, size_t *got)
{
    struct server_connection *c = of(x);
    CHECK(size > 0);
    if (x->error != ERR_OK) {
        return EXCHANGE_FAILED;
    }
    size_t had = 0;
    if (!c->body.ended) {
        exchange_continue(x);
        x->error = pull(c, to, size, &had);
    }
    if (x->error != ERR_OK) {
        x->wants_body = false;
        return EXCHANGE_FAILED;
    }
    if (c->body.ended) {
        *got = had;
        if (c->hung_up && !x->gone) {
            changed(c);
        }
        return EXCHANGE_END;
    }
    if (had > 0) {
        *got = had;
        return EXCHANGE_SOME;
    }
    x->wants_body = true;
    c->body.waits_since = net_loop_now(c->server->loop);
    changed(c);
    return EXCHANGE_LATER;
}

enum err exchange_error(const struct exchange *x)
{
    (void)of(x); /* only checks it */
    return x->error != ERR_OK ? x->error : exchange_is_gone(x) ? ERR_CLIENT_GONE : ERR_OK;
}

/* Whether the connection can serve another request after this one, as far as is known. */
static bool may_keep(const struct server_connection *c)
{
    const struct exchange *x = &c->exchange;
    bool rest_is_short =
        c->body.ended || c->body.kind == HTTP_BODY_CHUNKED || c->body.left <= SKIP_LEFT_MOST;
    return x->head->request.keep_alive && x->error == ERR_OK && !c->server->draining &&
           !c->starved && rest_is_short &&
           (c->body.ended || !x->head->request.expect_continue || !x->expects);
}

void exchange_put_head(struct exchange *x, int status, struct span fields, uint64_t length)
{
    struct server_connection *c = of(x);
    CHECK(!x->head_put);
    const struct http_request *r = &x->head->request;
    bool stream = length == UINT64_MAX;
    x->head_put = true;
    x->bodiless = r->method == HTTP_HEAD || status == 204 || status == 304;
    x->chunked = stream && r->minor > 0;
    x->put_left = length;
    c->keep = may_keep(c) && (!stream || x->chunked || x->bodiless);
    server_output_head(c, status, fields, length);
}

/* Sends at most PIECES_AT_ONCE pieces with what frames them. */
static void put_some(struct server_connection *c, struct span before, const struct iovec *pieces,
                     int count, struct span after)
{
    struct iovec slots[PIECES_AT_ONCE + 3];
    int used = 1; /* the first is server_output_put()'s */
    if (before.len > 0) {
        slots[used++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)before.at, .iov_len = before.len};
    }
    for (int i = 0; i < count; i++) {
        slots[used++] = pieces[i];
    }
    if (after.len > 0) {
        slots[used++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)after.at, .iov_len = after.len};
    }
    server_output_put(c, slots, used);
}

static bool is_put_in_vain(const struct server_connection *c)
{
    return c->broken || c->exchange.gone;
}

/* After something was put: poll for room, or tell that the client is gone. */
static void after_put(struct server_connection *c)
{
    if (c->broken || server_output_waiting(c) > 0) {
        changed(c);
    }
}

/* Counts the pieces' bytes against the announced length. */
static size_t count_put(struct exchange *x, const struct iovec *pieces, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += pieces[i].iov_len;
    }
    if (x->put_left != UINT64_MAX && !x->bodiless) {
        CHECK(total <= x->put_left);
        x->put_left -= total;
    }
    return x->bodiless ? 0 : total;
}

/* Puts a chunk, or bytes; with `last` also what ends a chunked body. */
static void put(struct exchange *x, const struct iovec *pieces, int count, bool last)
{
    struct server_connection *c = of(x);
    CHECK(x->head_put);
    size_t total = count_put(x, pieces, count);
    count = total > 0 ? count : 0;
    if (is_put_in_vain(c)) {
        return;
    }
    char line[HTTP_CHUNK_SIZE_BYTES];
    struct span before = {NULL, 0}, after = {NULL, 0};
    if (x->chunked && total > 0) {
        before = span_make(line, http_chunk_write(total, line));
        after = last ? SPAN("\r\n" HTTP_CHUNKED_END) : SPAN("\r\n");
    } else if (x->chunked && last && !x->bodiless) {
        after = SPAN(HTTP_CHUNKED_END);
    }
    while (count > PIECES_AT_ONCE) {
        put_some(c, before, pieces, PIECES_AT_ONCE, (struct span){NULL, 0});
        before = (struct span){NULL, 0};
        pieces += PIECES_AT_ONCE;
        count -= PIECES_AT_ONCE;
    }
    put_some(c, before, pieces, count, after);
}

void exchange_put(struct exchange *x, const struct iovec *pieces, int count)
{
    put(x, pieces, count, false);
    after_put(of(x));
}

size_t exchange_waiting(const struct exchange *x)
{
    return server_output_waiting(of(x));
}

bool exchange_is_gone(const struct exchange *x)
{
    const struct server_connection *c = of(x);
    return x->gone || c->broken || (c->hung_up && c->body.ended);
}

uint64_t exchange_sent(const struct exchange *x)
{
    return x->sent > 0 ? (uint64_t)x->sent : 0;
}

static void end(struct exchange *x, enum exchange_end how)
{
    struct server_connection *c = of(x);
    x->end = how;
    x->on_event = NULL;
    changed(c);
}

void exchange_put_last(struct exchange *x, const struct iovec *pieces, int count)
{
    put(x, pieces, count, true);
    if (!x->bodiless && x->put_left > 0 && x->put_left != UINT64_MAX) {
        of(x)->keep = false; /* the client sees that its body is short */
    }
    end(x, EXCHANGE_FINISHED);
}

void exchange_finish(struct exchange *x)
{
    exchange_put_last(x, NULL, 0);
}

void exchange_cancel(struct exchange *x)
{
    /* A body that lasts until close is broken by a reset only. */
    bool until_close = x->head_put && x->put_left == UINT64_MAX && !x->chunked;
    end(x, until_close && !x->bodiless ? EXCHANGE_RESET : EXCHANGE_CANCELLED);
}

void exchange_reset(struct exchange *x)
{
    end(x, EXCHANGE_RESET);
}

void exchange_put_raw(struct exchange *x, struct span bytes)
{
    struct server_connection *c = of(x);
    c->keep = false;
    if (!is_put_in_vain(c)) {
        put_some(c, bytes, NULL, 0, (struct span){NULL, 0});
    }
    after_put(c);
}

void exchange_refuse(struct exchange *x, enum err e, struct span message, struct span param,
                     struct span more_fields)
{
    (void)of(x); /* only checks it */
    struct server_refusal r;
    if (server_refusal_write(&r, e, message, param, more_fields) != ERR_OK) {
        exchange_cancel(x); /* no memory even for that */
        return;
    }
    struct span body = buf_span(&r.body);
    struct iovec piece = {.iov_base = (void *)(uintptr_t)body.at, .iov_len = body.len};
    exchange_put_head(x, r.status, buf_span(&r.fields), body.len);
    exchange_put_last(x, &piece, 1); /* copies what the client does not take */
    server_refusal_fini(&r);
}
