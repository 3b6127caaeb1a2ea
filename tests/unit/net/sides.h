/* SPDX-License-Identifier: Apache-2.0 */
/* sides.h — the two ends of a stream, in one thread, and what each was told. */
#ifndef TESTS_NET_SIDES_H
#define TESTS_NET_SIDES_H

#include "net/turned.h"

#include <sys/socket.h>

#include "net/net_socket.h"
#include "net/net_transport.h"

#define MUCH 1000000

/* One end of a stream. */
struct side {
    struct net_socket *socket;
    unsigned told;   /* all events so far */
    unsigned events; /* how many times */
    bool agreed, failed, closes;
};

static inline void on_ready(void *ctx, unsigned events)
{
    struct side *s = ctx;
    s->told |= events;
    s->events++;
    if (s->closes) {
        net_socket_close(&s->socket);
    }
}

static inline void on_agreeing(void *ctx, unsigned events)
{
    struct side *s = ctx;
    (void)events;
    if (!s->agreed && !s->failed) {
        enum net_result r = net_handshake(s->socket);
        s->agreed = r == NET_OK;
        s->failed = r == NET_FAILED || r == NET_EOF;
    }
}

static inline void side_open(struct net_loop *loop, struct side *s, int fd, net_on_ready *handler)
{
    memset(s, 0, sizeof(*s));
    assert_int_equal(net_socket_open(loop, fd, handler, s, &s->socket), ERR_OK);
}

static inline void pair_open(struct net_loop *loop, struct side *a, struct side *b,
                             net_on_ready *handler)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    side_open(loop, a, fds[0], handler);
    side_open(loop, b, fds[1], handler);
}

static inline size_t write_text(struct side *s, const char *text)
{
    struct iovec pieces[2] = {
        {.iov_base = (void *)(uintptr_t)text, .iov_len = 1},
        {.iov_base = (void *)(uintptr_t)(text + 1), .iov_len = strlen(text) - 1}};
    size_t sent = 0;
    assert_int_equal(net_writev(s->socket, pieces, 2, &sent), NET_OK);
    return sent;
}

/* A side that reads whenever it is told to, and counts. */
struct reader {
    struct side side;
    struct side *feeder; /* writes before each read, if there is one */
    size_t got, turn_most;
    enum net_result last;
};

static inline void feed(struct side *s)
{
    static char block[64 * 1024];
    struct iovec piece = {.iov_base = block, .iov_len = sizeof(block)};
    size_t sent;
    /* What there is room for, and not out of a handler's budget. */
    (void)s->socket->transport->writev(s->socket, &piece, 1, &sent);
}

static inline void on_reading(void *ctx, unsigned events)
{
    struct reader *r = ctx;
    static uint8_t trash[64 * 1024];
    size_t in_turn = 0, got;
    (void)events;
    for (;;) {
        if (r->feeder != NULL) {
            feed(r->feeder);
        }
        r->last = net_read(r->side.socket, trash, sizeof(trash), &got);
        if (r->last != NET_OK) {
            break;
        }
        in_turn += got;
    }
    r->got += in_turn;
    r->turn_most = in_turn > r->turn_most ? in_turn : r->turn_most;
    net_want(r->side.socket, r->last == NET_AGAIN, false);
}

#endif
