/* SPDX-License-Identifier: Apache-2.0 */
/* test_server.c — listeners, plain and TLS: the same exchanges, the right certificate. */
#include <netinet/in.h>

#include "net/certificate.h"
#include "server/served.h"

#include "net/net_listen.h"
#include "net/net_tls.h"

/* A client on the same loop. */
struct client {
    struct net_socket *socket;
    struct buf says, hears;
    bool agreed, failed, ended;
};

static void client_write(struct client *c)
{
    while (buf_span(&c->says).len > 0) {
        struct span s = buf_span(&c->says);
        struct iovec piece = {.iov_base = (void *)(uintptr_t)s.at, .iov_len = s.len};
        size_t sent;
        if (net_writev(c->socket, &piece, 1, &sent) != NET_OK) {
            return;
        }
        buf_consume(&c->says, sent);
    }
}

static void on_client_ready(void *ctx, unsigned events)
{
    (void)events;
    struct client *c = ctx;
    if (!c->agreed && !c->failed) {
        enum net_result r = net_handshake(c->socket);
        c->agreed = r == NET_OK;
        c->failed = r == NET_FAILED || r == NET_EOF;
    }
    enum net_result r = NET_AGAIN;
    if (c->agreed) {
        client_write(c);
        size_t got;
        do {
            uint8_t *to = buf_reserve(&c->hears, 20000);
            assert_non_null(to);
            r = net_read(c->socket, to, 20000, &got);
            buf_added(&c->hears, r == NET_OK ? got : 0);
        } while (r == NET_OK);
        c->ended = r == NET_EOF || r == NET_FAILED;
    }
    bool over = c->failed || c->ended;
    net_want(c->socket, !over, !over && c->agreed && buf_span(&c->says).len > 0);
}

static void client_open(struct served *w, struct client *c, const struct net_address *to,
                        struct net_tls *tls, const char *host)
{
    memset(c, 0, sizeof(*c));
    buf_init(&c->says, 1 << 22);
    buf_init(&c->hears, 1 << 22);
    assert_int_equal(net_connect(w->loop, (const struct sockaddr *)&to->storage, to->len,
                                 on_client_ready, c, &c->socket),
                     ERR_OK);
    if (tls != NULL) {
        assert_int_equal(net_socket_start_tls(c->socket, tls, host), ERR_OK);
    }
    net_want(c->socket, true, true);
}

static void client_close(struct client *c)
{
    net_socket_close(&c->socket);
    buf_fini(&c->says);
    buf_fini(&c->hears);
}

static bool client_heard(struct client *c, const char *text)
{
    struct span s = buf_span(&c->hears);
    return s.len > 0 && memmem(s.at, s.len, text, strlen(text)) != NULL;
}

static void client_ask(struct served *w, struct client *c, const char *text, const char *reply)
{
    buf_put_text(&c->says, text);
    if (c->agreed) {
        net_want(c->socket, true, true);
    }
    SERVED_UNTIL(w, client_heard(c, reply) || c->failed || c->ended);
}

/* Listens on a free port. */
static void listen_anywhere(struct served *w, struct net_tls *tls, struct net_address *at)
{
    int fd;
    assert_int_equal(net_address_parse("127.0.0.1:0", at), ERR_OK);
    assert_int_equal(net_listen_fd(at, false, &fd), ERR_OK);
    at->len = sizeof(at->storage);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at->storage, &at->len), 0);
    assert_int_equal(server_listen(w->server, fd, 0, tls), ERR_OK);
}

static struct net_tls *server_tls(const struct certificate *certs, size_t count)
{
    struct net_tls_pair pairs[2];
    for (size_t i = 0; i < count; i++) {
        pairs[i] = (struct net_tls_pair){certs[i].cert, certs[i].key};
    }
    char reason[NET_TLS_REASON_BYTES];
    struct net_tls *tls = NULL;
    assert_int_equal(net_tls_open_server(pairs, count, reason, &tls), ERR_OK);
    return tls;
}

static struct net_tls *client_tls(const struct certificate *ca)
{
    char reason[NET_TLS_REASON_BYTES];
    struct net_tls *tls = NULL;
    assert_int_equal(net_tls_open_client(ca->cert, reason, &tls), ERR_OK);
    return tls;
}

static void a_plain_listener_serves_and_names_its_clients(void **state)
{
    (void)state;
    struct served w;
    struct net_address at;
    struct client c;
    served_open(&w, &served_settings);
    listen_anywhere(&w, NULL, &at);
    client_open(&w, &c, &at, NULL, NULL);
    buf_put_text(&c.says, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    SERVED_UNTIL(&w, w.answers_count == 1);
    assert_string_equal(exchange_peer(w.answers[0].x), "127.0.0.1");
    answer_with(&w.answers[0], "hello");
    SERVED_UNTIL(&w, client_heard(&c, "\r\n\r\nhello"));
    client_close(&c);
    served_close(&w);
}

static void a_reset_is_seen_as_one(void **state)
{
    (void)state;
    struct served w;
    struct net_address at;
    struct client c;
    served_open(&w, &served_settings);
    listen_anywhere(&w, NULL, &at);
    client_open(&w, &c, &at, NULL, NULL);
    buf_put_text(&c.says, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    SERVED_UNTIL(&w, w.answers_count == 1);
    exchange_reset(w.answers[0].x);
    SERVED_UNTIL(&w, c.ended);
    assert_false(client_heard(&c, "HTTP"));
    client_close(&c);
    served_close(&w);
}

static void tls_carries_the_same_exchanges(void **state)
{
    (void)state;
    struct served w;
    struct net_address at;
    struct certificate cert;
    struct client c;
    certificate_make(&cert, "ours", "DNS:gateway.example,IP:127.0.0.1");
    served_open(&w, &served_settings);
    struct net_tls *ours = server_tls(&cert, 1), *theirs = client_tls(&cert);
    listen_anywhere(&w, ours, &at);
    client_open(&w, &c, &at, theirs, "gateway.example");
    client_ask(&w, &c, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\n/a");
    assert_true(client_heard(&c, "HTTP/1.1 200 OK\r\n"));
    client_ask(&w, &c, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n0\r\n\r\n");
    assert_true(client_heard(&c, "6\r\nonetwo\r\n3\r\none\r\n0\r\n\r\n"));

    /* Long bodies both ways. */
    struct span head = SPAN("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n");
    buf_put(&c.says, head);
    for (int i = 0; i < 30000; i++) {
        buf_put_text(&c.says, i == 29999 ? "the finish" : "0123456789");
    }
    client_ask(&w, &c, "", "the finish");
    assert_true(client_heard(&c, "the finish"));
    buf_clear(&c.hears);
    client_ask(&w, &c, "GET /big/2000000 HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\n");
    SERVED_UNTIL(&w, buf_span(&c.hears).len > 2000000);
    client_ask(&w, &c, "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "/last");
    SERVED_UNTIL(&w, c.ended);
    client_close(&c);
    served_close(&w);
    net_tls_unref(&ours);
    net_tls_unref(&theirs);
    certificate_remove(&cert);
}

static void an_early_reply_over_tls_reaches_a_client_that_is_still_sending(void **state)
{
    (void)state;
    struct served w;
    struct net_address at;
    struct certificate cert;
    struct client c;
    certificate_make(&cert, "ours", "DNS:gateway.example");
    served_open(&w, &served_settings);
    struct net_tls *ours = server_tls(&cert, 1), *theirs = client_tls(&cert);
    listen_anywhere(&w, ours, &at);
    client_open(&w, &c, &at, theirs, "gateway.example");
    buf_put_text(&c.says, "POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n");
    for (int i = 0; i < 300000; i++) {
        buf_put_text(&c.says, "0123456789");
    }
    SERVED_UNTIL(&w, c.ended);
    assert_true(client_heard(&c, "HTTP/1.1 401 "));
    assert_true(client_heard(&c, "\"code\":\"missing_api_key\""));
    client_close(&c);
    SERVED_UNTIL(&w, served_connections == 0);
    served_close(&w);
    net_tls_unref(&ours);
    net_tls_unref(&theirs);
    certificate_remove(&cert);
}

static void the_name_asked_for_chooses_the_certificate(void **state)
{
    (void)state;
    static const struct {
        size_t ca; /* whom the client believes */
        const char *host;
        bool agreed;
    } rows[] = {
        {0, "one.example", true},  {1, "two.example", true}, {1, "one.example", false},
        {0, "two.example", false}, {0, "127.0.0.1", true}, /* no name: the first */
    };
    struct served w;
    struct net_address at;
    struct certificate certs[2];
    certificate_make(&certs[0], "one", "DNS:one.example,IP:127.0.0.1");
    certificate_make(&certs[1], "two", "DNS:*.other,DNS:two.example");
    served_open(&w, &served_settings);
    struct net_tls *ours = server_tls(certs, 2);
    listen_anywhere(&w, ours, &at);
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct client c;
        struct net_tls *theirs = client_tls(&certs[rows[r].ca]);
        client_open(&w, &c, &at, theirs, rows[r].host);
        client_ask(&w, &c, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\n/a");
        if (c.agreed != rows[r].agreed) {
            fail_msg("row %zu: agreed %d", r, c.agreed);
        }
        client_close(&c);
        net_tls_unref(&theirs);
    }
    SERVED_UNTIL(&w, served_connections == 0);
    served_close(&w);
    net_tls_unref(&ours);
    certificate_remove(&certs[0]);
    certificate_remove(&certs[1]);
}

static void a_new_certificate_is_for_new_connections(void **state)
{
    (void)state;
    struct served w;
    struct net_address at;
    struct certificate old, new;
    struct client before, after;
    certificate_make(&old, "old", "DNS:gateway.example");
    certificate_make(&new, "new", "DNS:gateway.example");
    served_open(&w, &served_settings);
    struct net_tls *first = server_tls(&old, 1), *second = server_tls(&new, 1);
    struct net_tls *believes_old = client_tls(&old), *believes_new = client_tls(&new);
    listen_anywhere(&w, first, &at);
    net_tls_unref(&first); /* the listener has its own */
    client_open(&w, &before, &at, believes_old, "gateway.example");
    client_ask(&w, &before, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\n/a");
    server_set_tls(w.server, 0, second);
    net_tls_unref(&second);
    client_open(&w, &after, &at, believes_new, "gateway.example");
    client_ask(&w, &after, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\n/b");
    assert_true(after.agreed);
    client_ask(&w, &before, "GET /c HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\n/c");
    assert_true(client_heard(&before, "\r\n\r\n/c"));
    client_close(&before);
    client_close(&after);
    served_close(&w);
    net_tls_unref(&believes_old);
    net_tls_unref(&believes_new);
    certificate_remove(&old);
    certificate_remove(&new);
}

static void who_does_not_speak_tls_is_closed(void **state)
{
    (void)state;
    struct server_settings settings = served_settings;
    settings.handshake_timeout_ms = 20;
    struct served w;
    struct net_address at;
    struct certificate cert;
    struct client plain, silent;
    certificate_make(&cert, "ours", "DNS:gateway.example");
    served_open(&w, &settings);
    struct net_tls *ours = server_tls(&cert, 1);
    listen_anywhere(&w, ours, &at);
    int64_t failed = counter_sum(COUNT_TLS_FAILED);
    client_open(&w, &plain, &at, NULL, NULL);
    buf_put_text(&plain.says, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    SERVED_UNTIL(&w, plain.ended);
    assert_int_equal(counter_sum(COUNT_TLS_FAILED), failed + 1);
    client_open(&w, &silent, &at, NULL, NULL);
    SERVED_UNTIL(&w, silent.ended); /* by the handshake's timeout */
    assert_int_equal(counter_sum(COUNT_TLS_FAILED), failed + 2);
    assert_int_equal(w.answers_count, 0);
    client_close(&plain);
    client_close(&silent);
    served_close(&w);
    net_tls_unref(&ours);
    certificate_remove(&cert);
}

static void a_client_of_tls_that_leaves_is_gone(void **state)
{
    (void)state;
    struct served w;
    struct net_address at;
    struct certificate cert;
    struct client c;
    certificate_make(&cert, "ours", "DNS:gateway.example");
    served_open(&w, &served_settings);
    struct net_tls *ours = server_tls(&cert, 1), *theirs = client_tls(&cert);
    listen_anywhere(&w, ours, &at);
    client_open(&w, &c, &at, theirs, "gateway.example");
    buf_put_text(&c.says, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    SERVED_UNTIL(&w, w.answers_count == 1);
    client_close(&c);
    SERVED_UNTIL(&w, w.answers[0].was_gone);
    served_close(&w);
    net_tls_unref(&ours);
    net_tls_unref(&theirs);
    certificate_remove(&cert);
}

static void a_drained_server_takes_no_new_connection(void **state)
{
    (void)state;
    struct served w;
    struct net_address at;
    served_open(&w, &served_settings);
    listen_anywhere(&w, NULL, &at);
    server_drain(w.server);
    assert_false(server_is_idle(w.server));
    assert_true(server_stop_accepting(w.server));
    assert_true(server_is_idle(w.server));
    struct net_socket *socket = NULL;
    enum err e = net_connect(w.loop, (const struct sockaddr *)&at.storage, at.len, on_client_ready,
                             NULL, &socket);
    if (e == ERR_OK) {
        assert_int_equal(net_connect_result(socket), ERR_NET_REFUSED);
    }
    net_socket_close(&socket);
    served_close(&w);
}

static void new_settings_are_for_the_next_request(void **state)
{
    (void)state;
    struct server_settings settings = served_settings;
    struct served w;
    served_open(&w, &settings);
    int fd = served_connect(&w);
    struct heard heard;
    say(&w, fd, "GET /long/target HTTP/1.1\r\nHost: h\r\n\r\n");
    hear(&w, fd, &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 200 ", 13);
    settings.target_bytes_max = 5;
    server_set_settings(w.server, &settings);
    say(&w, fd, "GET /long/target HTTP/1.1\r\nHost: h\r\n\r\n");
    hear(&w, fd, &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 414 ", 13);
    (void)close(fd);
    served_close(&w);
}

static void the_date_is_that_of_rfc_9110(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    struct span line = server_date(w.server);
    assert_int_equal(line.len, SERVER_DATE_BYTES - 1);
    assert_memory_equal(line.at, "Date: ", 6);
    assert_memory_equal(line.at + line.len - 6, " GMT\r\n", 6);
    served_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_listener_serves_and_names_its_clients),
        cmocka_unit_test(a_reset_is_seen_as_one),
        cmocka_unit_test(tls_carries_the_same_exchanges),
        cmocka_unit_test(an_early_reply_over_tls_reaches_a_client_that_is_still_sending),
        cmocka_unit_test(the_name_asked_for_chooses_the_certificate),
        cmocka_unit_test(a_new_certificate_is_for_new_connections),
        cmocka_unit_test(who_does_not_speak_tls_is_closed),
        cmocka_unit_test(a_client_of_tls_that_leaves_is_gone),
        cmocka_unit_test(a_drained_server_takes_no_new_connection),
        cmocka_unit_test(new_settings_are_for_the_next_request),
        cmocka_unit_test(the_date_is_that_of_rfc_9110),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
