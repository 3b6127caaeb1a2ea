/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reply's head is held until its first body bytes come, so that both travel in one system call.
 * Else nothing is held that the socket takes: only what it does not take is copied to `out`,
 * counted against the memory that all calls together may buffer, and freed when it has been sent.
 */
#include "base/counter.h"
#include "http/http_write.h"
#include "server/server_internal.h"

#define HEAD_EXTRA_BYTES 192 /* the lines that are added to the caller's */

/* Frees the buffer once all of it is sent. */
static void release(struct server_connection *c)
{
    if (c->out.len == c->out.from && c->out.at != NULL) {
        buf_fini(&c->out);
    }
}

static void count_sent(struct server_connection *c, size_t sent)
{
    c->exchange.sent += (int64_t)sent;
    counter_add(COUNT_BYTES_OUT, (int64_t)sent);
}

/* Writes as much as the socket takes, and moves `pieces` on to what it did not. */
static void write_all(struct server_connection *c, struct iovec **pieces, int *count)
{
    while (*count > 0 && !c->blocked && !c->broken) {
        size_t sent;
        enum net_result r = net_writev(c->socket, *pieces, *count, &sent);
        c->blocked = r == NET_AGAIN;
        c->broken = r == NET_EOF || r == NET_FAILED;
        if (r != NET_OK) {
            return;
        }
        count_sent(c, sent);
        while (*count > 0 && sent >= (*pieces)[0].iov_len) {
            sent -= (*pieces)[0].iov_len;
            (*pieces)++;
            (*count)--;
        }
        if (*count > 0) {
            (*pieces)[0].iov_base = (uint8_t *)(*pieces)[0].iov_base + sent;
            (*pieces)[0].iov_len -= sent;
        }
    }
}

/* Keeps what was not sent. */
static void keep(struct server_connection *c, const struct iovec *pieces, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += pieces[i].iov_len;
    }
    if (total == 0 || c->broken) {
        return;
    }
    if (buf_span(&c->out).len == 0) {
        c->write_since = net_loop_now(c->server->loop);
    }
    if (buf_reserve(&c->out, total) == NULL) {
        c->broken = true;
        return;
    }
    for (int i = 0; i < count; i++) {
        buf_put(&c->out, span_make(pieces[i].iov_base, pieces[i].iov_len));
    }
}

void server_output_flush(struct server_connection *c)
{
    struct span waits = buf_span(&c->out);
    struct iovec piece = {.iov_base = (void *)(uintptr_t)waits.at, .iov_len = waits.len};
    struct iovec *pieces = &piece;
    int count = waits.len > 0 ? 1 : 0;
    write_all(c, &pieces, &count);
    size_t sent = waits.len - (count > 0 ? piece.iov_len : 0);
    if (sent > 0) {
        buf_consume(&c->out, sent);
        c->write_since = net_loop_now(c->server->loop);
    }
    release(c);
}

void server_output_put(struct server_connection *c, struct iovec *slots, int count)
{
    struct span waits = buf_span(&c->out);
    struct iovec *at = slots + 1;
    count--;
    if (waits.len > 0 && !c->blocked) {
        slots[0] = (struct iovec){.iov_base = c->out.at + c->out.from, .iov_len = waits.len};
        at = slots;
        count++;
        write_all(c, &at, &count);
        size_t left = at == slots ? slots[0].iov_len : 0;
        buf_consume(&c->out, waits.len - left);
        c->write_since = left > 0 ? net_loop_now(c->server->loop) : c->write_since;
        at += left > 0 ? 1 : 0;
        count -= left > 0 ? 1 : 0;
    } else if (!c->blocked) {
        write_all(c, &at, &count);
    }
    keep(c, at, count);
    c->holds = false;
    release(c);
}

static void put_framing(struct server_connection *c, uint64_t length)
{
    const struct exchange *x = &c->exchange;
    if (length != UINT64_MAX) {
        buf_put(&c->out, SPAN("Content-Length: "));
        buf_put_u64(&c->out, length);
        buf_put(&c->out, SPAN("\r\n"));
    } else if (x->chunked) {
        buf_put(&c->out, SPAN("Transfer-Encoding: chunked\r\n"));
    }
}

void server_output_head(struct server_connection *c, int status, struct span fields,
                        uint64_t length)
{
    const struct exchange *x = &c->exchange;
    if (buf_reserve(&c->out, fields.len + HEAD_EXTRA_BYTES) == NULL) {
        c->broken = true;
        return;
    }
    c->holds = buf_span(&c->out).len == 0; /* not when 100 Continue still waits */
    http_write_status(&c->out, status);
    buf_put(&c->out, fields);
    buf_put(&c->out, server_date(c->server));
    if (status != 204 && status != 304) {
        put_framing(c, length);
    }
    if (!c->keep) {
        buf_put(&c->out, SPAN("Connection: close\r\n"));
    } else if (x->head != NULL && x->head->request.minor == 0) {
        buf_put(&c->out, SPAN("Connection: keep-alive\r\n"));
    }
    buf_put(&c->out, SPAN("\r\n"));
}

void server_output_fini(struct server_connection *c)
{
    c->holds = false;
    buf_fini(&c->out);
}
