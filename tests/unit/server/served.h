/* SPDX-License-Identifier: Apache-2.0 */
/*
 * served.h — a server and its clients in one thread, turned by hand: no test here waits for luck.
 *
 * What the handler does stands in the request's path (on_request()). Clients are non-blocking
 * sockets; served_settle() turns the loop until nothing moves, so a test decides which bytes the
 * server sees at once.
 */
#ifndef TESTS_SERVER_SERVED_H
#define TESTS_SERVER_SERVED_H

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/counter.h"
#include "base/memory.h"
#include "http/http_request.h"
#include "net/net_internal.h"
#include "server/server_internal.h"

#define SERVED_ANSWERS_MAX 16

/* One exchange as the handler sees it. */
struct answer {
    struct served *served;
    struct exchange *x; /* NULL: ended */
    char path[64];
    struct buf body;
    enum err failed;
    unsigned events;
    bool pulls;  /* until the body ends, then answers with it */
    bool holds;  /* does nothing; the test does */
    size_t left; /* bytes of a long reply still to put */
    size_t put;  /* the most that waited at once */
    bool was_gone;
};

struct served {
    struct net_loop *loop;
    struct server *server;
    struct server_settings settings;
    struct answer answers[SERVED_ANSWERS_MAX]; /* in the order of their requests */
    size_t answers_count;
};

/* Of all servers of a test. */
static _Atomic int64_t served_connections;

static const struct server_settings served_settings = {
    .head_bytes_max = 2048,
    .fields_max = 16,
    .target_bytes_max = 256,
    .body_bytes_max = 1 << 20,
    .handshake_timeout_ms = 60000,
    .head_timeout_ms = 60000,
    .body_timeout_ms = 60000,
    .body_rate_min_bytes = 0,
    .idle_timeout_ms = 60000,
    .write_timeout_ms = 60000,
    .connections_max = 100,
    .output_bytes_max = 64 * 1024,
};

static inline void answer_end(struct answer *a)
{
    a->x = NULL;
}

static inline void answer_with(struct answer *a, const char *text)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    exchange_put_head(a->x, 200, SPAN("X-Id: 1\r\n"), piece.iov_len);
    exchange_put(a->x, &piece, 1);
    exchange_finish(a->x);
    answer_end(a);
}

static inline void answer_refuse(struct answer *a, enum err e)
{
    struct span none = {NULL, 0};
    exchange_refuse(a->x, e, none, none, SPAN("x-request-id: 1\r\n"));
    answer_end(a);
}

static inline void answer_put_more(struct answer *a)
{
    static char block[16 * 1024];
    while (a->left > 0 && exchange_waiting(a->x) == 0 && !exchange_is_gone(a->x)) {
        size_t len = a->left < sizeof(block) ? a->left : sizeof(block);
        struct iovec piece = {.iov_base = block, .iov_len = len};
        exchange_put(a->x, &piece, 1);
        a->left -= len;
        a->put = exchange_waiting(a->x) > a->put ? exchange_waiting(a->x) : a->put;
    }
    if (a->left == 0) {
        exchange_finish(a->x);
        answer_end(a);
    }
}

static inline void answer_pull(struct answer *a)
{
    char some[7]; /* small, so that a body takes many */
    for (;;) {
        size_t got = 0;
        switch (exchange_pull(a->x, some, sizeof(some), &got)) {
        case EXCHANGE_LATER:
            return;
        case EXCHANGE_FAILED:
            a->failed = exchange_error(a->x);
            answer_refuse(a, a->failed == ERR_CLIENT_GONE ? ERR_HTTP_BODY_CUT : a->failed);
            return;
        case EXCHANGE_SOME:
            buf_put(&a->body, span_make(some, got));
            break;
        case EXCHANGE_END:
            buf_put(&a->body, span_make(some, got));
            buf_put_byte(&a->body, '\0');
            answer_with(a, (const char *)a->body.at);
            return;
        default:
            fail();
        }
    }
}

static void on_answer_event(void *ctx)
{
    struct answer *a = ctx;
    a->events++;
    if (exchange_is_gone(a->x)) {
        a->was_gone = true;
        if (!a->holds) {
            exchange_cancel(a->x);
            answer_end(a);
        }
    } else if (a->pulls) {
        answer_pull(a);
    } else if (a->left > 0) {
        answer_put_more(a);
    }
}

static inline void answer_stream(struct answer *a)
{
    struct iovec pieces[2] = {{.iov_base = (void *)(uintptr_t) "one", .iov_len = 3},
                              {.iov_base = (void *)(uintptr_t) "two", .iov_len = 3}};
    exchange_put_head(a->x, 200, (struct span){NULL, 0}, UINT64_MAX);
    exchange_put(a->x, pieces, 2);
    exchange_put(a->x, pieces, 1);
    exchange_finish(a->x);
    answer_end(a);
}

static inline void answer_start(struct answer *a)
{
    if (strcmp(a->path, "/echo") == 0) {
        a->pulls = true;
        answer_pull(a);
    } else if (strcmp(a->path, "/stream") == 0) {
        answer_stream(a);
    } else if (strcmp(a->path, "/refuse") == 0) {
        answer_refuse(a, ERR_KEY_MISSING);
    } else if (strncmp(a->path, "/big/", 5) == 0) {
        a->left = (size_t)strtoul(a->path + 5, NULL, 10);
        exchange_put_head(a->x, 200, (struct span){NULL, 0}, a->left);
        answer_put_more(a);
    } else if (strcmp(a->path, "/hold") == 0) {
        a->holds = true;
    } else if (strcmp(a->path, "/wait") != 0) {
        answer_with(a, a->path);
    }
}

static void on_answer_request(void *ctx, struct exchange *x)
{
    struct served *w = ctx;
    assert_true(w->answers_count < SERVED_ANSWERS_MAX);
    struct answer *a = &w->answers[w->answers_count++];
    a->served = w;
    a->x = x;
    buf_init(&a->body, 1 << 20);
    span_copy_text(http_request_path(exchange_head(x)), a->path, sizeof(a->path));
    exchange_attach(x, on_answer_event, a);
    answer_start(a);
}

static inline void served_open(struct served *w, const struct server_settings *settings)
{
    memset(w, 0, sizeof(*w));
    counter_thread_start();
    w->settings = *settings;
    struct server_options options = {.settings = &w->settings,
                                     .on_request = on_answer_request,
                                     .ctx = w,
                                     .connections = &served_connections};
    assert_int_equal(net_loop_open(&w->loop), ERR_OK);
    assert_int_equal(server_open(w->loop, &options, &w->server), ERR_OK);
}

static inline void served_forget_answers(struct served *w)
{
    for (size_t i = 0; i < w->answers_count; i++) {
        buf_fini(&w->answers[i].body);
    }
    memset(w->answers, 0, sizeof(w->answers));
    w->answers_count = 0;
}

static inline void served_close(struct served *w)
{
    for (size_t i = 0; i < w->answers_count; i++) {
        w->answers[i].holds = false; /* or it would not end what is told to be gone */
    }
    server_close(&w->server);
    net_loop_close(&w->loop);
    served_forget_answers(w);
    assert_int_equal(served_connections, 0);
    assert_int_equal(memory_taken(), 0);
    assert_int_equal(memory_taken_for_strangers(), 0);
}

/* Turns the loop until nothing more is to be done at once. */
static inline void served_settle(struct served *w)
{
    for (int i = 0; i < 20; i++) {
        (void)uv_run(&w->loop->uv, UV_RUN_NOWAIT); /* says only that handles are left */
    }
}

/* Turns the loop until `*flag` is not 0, which must not take long. */
#define SERVED_UNTIL(w, cond)                                          \
    do {                                                               \
        mono_us begin_ = clock_mono();                                 \
        while (!(cond)) {                                              \
            (void)uv_run(&(w)->loop->uv, UV_RUN_ONCE);                 \
            assert_true(clock_since(begin_, clock_mono()) < 10000000); \
        }                                                              \
    } while (0)

/* A client's end of a new connection. */
static inline int served_connect(struct served *w)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    server_incoming_accept(w->server, 0, ends[1]);
    return ends[0];
}

static inline void say_span(struct served *w, int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t n = send(fd, text.at, text.len, MSG_NOSIGNAL);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
        } else {
            text = span_cut(text, (size_t)n, text.len);
        }
        served_settle(w);
    }
}

static inline void say(struct served *w, int fd, const char *text)
{
    say_span(w, fd, span_of(text));
}

struct heard {
    char text[64 * 1024]; /* without Date lines */
    size_t len;
    bool ended; /* the server sent its last byte */
    bool reset;
};

static inline void drop_lines(struct heard *h, const char *start)
{
    char *at;
    while ((at = strstr(h->text, start)) != NULL) {
        char *end = strchr(at, '\n') + 1;
        memmove(at, end, strlen(end) + 1);
    }
    h->len = strlen(h->text);
}

/* All that came and was not heard before. Binary zeros do not occur here. */
static inline void hear(struct served *w, int fd, struct heard *h)
{
    h->len = 0;
    h->ended = h->reset = false;
    served_settle(w);
    for (;;) {
        assert_true(h->len < sizeof(h->text) - 1);
        ssize_t n = recv(fd, h->text + h->len, sizeof(h->text) - 1 - h->len, 0);
        if (n <= 0) {
            h->ended = n == 0;
            h->reset = n < 0 && errno == ECONNRESET;
            break;
        }
        h->len += (size_t)n;
    }
    h->text[h->len] = '\0';
    drop_lines(h, "Date: ");
}

/* What a client hears that says `text` on a connection of its own and then looks. */
static inline void ask(struct served *w, const char *text, struct heard *h)
{
    int fd = served_connect(w);
    say(w, fd, text);
    hear(w, fd, h);
    (void)close(fd);
    served_settle(w);
}

#endif
