/* SPDX-License-Identifier: Apache-2.0 */
/* test_net_socket.c — who is told what of a socket, plain and TLS, and what moves through it. */
#include "net/certificate.h"
#include "net/turned.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/net_listen.h"
#include "net/net_resolve.h"
#include "net/net_socket.h"
#include "net/net_tls.h"

#define MUCH 1000000

/* One end of a stream. */
struct side {
    struct net_socket *socket;
    unsigned told;   /* all events so far */
    unsigned events; /* how many times */
    bool agreed, failed, closes;
};

static void on_ready(void *ctx, unsigned events)
{
    struct side *s = ctx;
    s->told |= events;
    s->events++;
    if (s->closes) {
        net_socket_close(&s->socket);
    }
}

static void on_agreeing(void *ctx, unsigned events)
{
    struct side *s = ctx;
    (void)events;
    if (!s->agreed && !s->failed) {
        enum net_result r = net_handshake(s->socket);
        s->agreed = r == NET_OK;
        s->failed = r == NET_FAILED || r == NET_EOF;
    }
}

static void side_open(struct net_loop *loop, struct side *s, int fd, net_on_ready *handler)
{
    memset(s, 0, sizeof(*s));
    assert_int_equal(net_socket_open(loop, fd, handler, s, &s->socket), ERR_OK);
}

static void pair_open(struct net_loop *loop, struct side *a, struct side *b, net_on_ready *handler)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    side_open(loop, a, fds[0], handler);
    side_open(loop, b, fds[1], handler);
}

static size_t write_text(struct side *s, const char *text)
{
    struct iovec pieces[2] = {
        {.iov_base = (void *)(uintptr_t)text, .iov_len = 1},
        {.iov_base = (void *)(uintptr_t)(text + 1), .iov_len = strlen(text) - 1}};
    size_t sent = 0;
    assert_int_equal(net_writev(s->socket, pieces, 2, &sent), NET_OK);
    return sent;
}

static void only_what_is_wanted_is_told_but_a_hangup_always(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct side a, b;
    pair_open(loop, &a, &b, on_ready);
    net_want(a.socket, false, false);
    assert_int_equal(write_text(&b, "hello"), 5);
    turn_settle(loop);
    assert_int_equal(a.told, 0);
    net_want(a.socket, true, false);
    turn_settle(loop);
    assert_int_equal(a.told, NET_READABLE);
    net_want(a.socket, false, true);
    turn_settle(loop);
    assert_int_equal(a.told, NET_READABLE | NET_WRITABLE);
    net_want(a.socket, false, false);
    a.events = 0;
    net_finish(b.socket);
    turn_settle(loop);
    assert_int_equal(a.events, 1); /* once, though it lasts */
    assert_true((a.told & NET_HANGUP) != 0);
    char text[16];
    size_t got;
    assert_int_equal(net_read(a.socket, text, sizeof(text), &got), NET_OK);
    assert_int_equal(got, 5);
    assert_int_equal(net_read(a.socket, text, sizeof(text), &got), NET_EOF);
    assert_int_equal(net_handshake(a.socket), NET_OK); /* nothing to agree on */
    net_socket_close(&a.socket);
    net_socket_close(&b.socket);
    net_loop_close(&loop);
}

static void a_full_peer_is_again_and_then_writable(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct side a, b;
    pair_open(loop, &a, &b, on_ready);
    static char block[MUCH];
    struct iovec piece = {.iov_base = block, .iov_len = sizeof(block)};
    size_t sent = 0, total = 0;
    while (net_writev(a.socket, &piece, 1, &sent) == NET_OK) {
        total += sent;
        assert_true(total < 100 * sizeof(block));
    }
    net_want(a.socket, false, true);
    turn_settle(loop);
    assert_int_equal(a.told, 0);
    size_t got;
    while (total > 0) {
        assert_int_equal(net_read(b.socket, block, sizeof(block), &got), NET_OK);
        total -= got;
    }
    turn_settle(loop);
    assert_int_equal(a.told, NET_WRITABLE);
    net_socket_close(&a.socket);
    net_socket_close(&b.socket);
    net_loop_close(&loop);
}

static void a_handler_may_close_its_socket_and_is_not_called_again(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct side a, b;
    pair_open(loop, &a, &b, on_ready);
    a.closes = true;
    net_want(a.socket, true, true);
    (void)write_text(&b, "hello"); /* all of it, checked elsewhere */
    turn_settle(loop);
    assert_int_equal(a.events, 1);
    assert_null(a.socket);
    net_socket_close(&a.socket); /* nothing */
    struct iovec piece = {.iov_base = (char[]){"x"}, .iov_len = 1};
    size_t sent;
    assert_int_equal(net_writev(b.socket, &piece, 1, &sent), NET_FAILED);
    net_socket_close(&b.socket);
    net_loop_close(&loop);
}

/* A listening socket of the test's, and the address it has. */
static int listen_anywhere(struct net_address *at)
{
    int fd;
    assert_int_equal(net_address_parse("127.0.0.1:0", at), ERR_OK);
    assert_int_equal(net_listen_fd(at, false, &fd), ERR_OK);
    at->len = sizeof(at->storage);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at->storage, &at->len), 0);
    return fd;
}

static void connecting_succeeds_or_is_refused(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct net_address at;
    int fd = listen_anywhere(&at);
    struct side s = {.socket = NULL};
    const struct sockaddr *address = (const struct sockaddr *)&at.storage;
    assert_int_equal(net_connect(loop, address, at.len, on_ready, &s, &s.socket), ERR_OK);
    TURN_UNTIL(loop, (s.told & NET_WRITABLE) != 0);
    assert_int_equal(net_connect_result(s.socket), ERR_OK);
    char peer[64];
    net_peer_text(s.socket, peer, sizeof(peer));
    assert_string_equal(peer, "127.0.0.1");
    net_socket_close(&s.socket);
    (void)close(fd);
    enum err e = net_connect(loop, address, at.len, on_ready, &s, &s.socket);
    if (e == ERR_OK) {
        s.told = 0;
        TURN_UNTIL(loop, s.told != 0);
        e = net_connect_result(s.socket);
    }
    assert_int_equal(e, ERR_NET_REFUSED);
    net_socket_close(&s.socket);
    net_loop_close(&loop);
}

static void a_reset_fails_the_peers_read(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct net_address at;
    int listening = listen_anywhere(&at);
    struct side a = {.socket = NULL}, b;
    assert_int_equal(
        net_connect(loop, (const struct sockaddr *)&at.storage, at.len, on_ready, &a, &a.socket),
        ERR_OK);
    TURN_UNTIL(loop, (a.told & NET_WRITABLE) != 0);
    net_want(a.socket, false, false);
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    side_open(loop, &b, fd, on_ready);
    net_socket_reset(&b.socket);
    a.told = 0;
    TURN_UNTIL(loop, (a.told & NET_HANGUP) != 0);
    char byte;
    size_t got;
    assert_int_equal(net_read(a.socket, &byte, 1, &got), NET_FAILED);
    net_socket_close(&a.socket);
    (void)close(listening);
    net_loop_close(&loop);
}

/* Two ends that agree on TLS, or do not. */
static void agree(struct net_loop *loop, struct side *client, struct side *server,
                  struct net_tls *believes, struct net_tls *shows, const char *host)
{
    pair_open(loop, client, server, on_agreeing);
    assert_int_equal(net_socket_start_tls(server->socket, shows, NULL), ERR_OK);
    assert_int_equal(net_socket_start_tls(client->socket, believes, host), ERR_OK);
    net_want(server->socket, true, false);
    net_want(client->socket, true, true); /* it speaks first */
    for (int i = 0; i < 100 && !client->failed && !(client->agreed && server->agreed); i++) {
        turn_settle(loop);
    }
}

static struct net_tls *open_client(const char *ca)
{
    struct net_tls *tls = NULL;
    char reason[NET_TLS_REASON_BYTES];
    assert_int_equal(net_tls_open_client(ca, reason, &tls), ERR_OK);
    return tls;
}

static struct net_tls *open_server(const struct certificate *c)
{
    struct net_tls *tls = NULL;
    char reason[NET_TLS_REASON_BYTES];
    struct net_tls_pair pair = {c->cert, c->key};
    assert_int_equal(net_tls_open_server(&pair, 1, reason, &tls), ERR_OK);
    return tls;
}

static void a_client_believes_only_its_ca_and_the_name_it_asked_for(void **state)
{
    (void)state;
    static const struct {
        bool right_ca;
        const char *host;
        bool agreed;
    } rows[] = {
        {true, "gateway.example", true},   {true, "other.example", false},
        {false, "gateway.example", false}, {true, "127.0.0.1", true},
        {true, "127.0.0.2", false},        {true, "a.wild.example", true},
        {true, "a.b.wild.example", false}, {true, "::1", false},
    };
    struct net_loop *loop = turn_open();
    struct certificate ours, foreign;
    certificate_make(&ours, "ours", "DNS:gateway.example,DNS:*.wild.example,IP:127.0.0.1");
    certificate_make(&foreign, "ours", "DNS:gateway.example");
    struct net_tls *shows = open_server(&ours);
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct net_tls *believes = open_client(rows[r].right_ca ? ours.cert : foreign.cert);
        struct side client, server;
        agree(loop, &client, &server, believes, shows, rows[r].host);
        if (client.agreed != rows[r].agreed || client.failed == rows[r].agreed) {
            fail_msg("row %zu: agreed %d", r, client.agreed);
        }
        net_socket_close(&client.socket);
        net_socket_close(&server.socket);
        net_tls_unref(&believes);
    }
    net_tls_unref(&shows);
    net_loop_close(&loop);
    certificate_remove(&ours);
    certificate_remove(&foreign);
}

static void tls_moves_bytes_in_pieces_of_any_size(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct certificate ours;
    certificate_make(&ours, "ours", "DNS:gateway.example");
    struct net_tls *shows = open_server(&ours), *believes = open_client(ours.cert);
    struct side client, server;
    agree(loop, &client, &server, believes, shows, "gateway.example");
    assert_true(client.agreed && server.agreed);
    static uint8_t sends[MUCH], gets[MUCH];
    for (size_t i = 0; i < MUCH; i++) {
        sends[i] = (uint8_t)(i * 7 + i / 251);
    }
    size_t out = 0, in = 0, size = 1;
    while (in < MUCH) {
        struct iovec pieces[3];
        size_t from = out, count = 0;
        for (; count < 3 && from < MUCH; count++) {
            size_t len = size * (count + 1) < MUCH - from ? size * (count + 1) : MUCH - from;
            pieces[count] = (struct iovec){.iov_base = sends + from, .iov_len = len};
            from += len;
        }
        size_t moved = 0;
        if (count > 0 && net_writev(server.socket, pieces, (int)count, &moved) == NET_OK) {
            out += moved;
            size = size * 3 % 20011 + 1; /* not before: after NET_AGAIN the same is offered again */
        } else {
            size_t room = MUCH - in < 5000 ? MUCH - in : 5000;
            enum net_result r = net_read(client.socket, gets + in, room, &moved);
            assert_true(r == NET_OK || r == NET_AGAIN);
            in += moved;
        }
    }
    assert_memory_equal(sends, gets, MUCH);
    net_finish(server.socket);
    char byte;
    size_t got;
    assert_int_equal(net_read(client.socket, &byte, 1, &got), NET_EOF);
    net_socket_close(&client.socket);
    net_socket_close(&server.socket);
    net_tls_unref(&shows);
    net_tls_unref(&believes);
    net_loop_close(&loop);
    certificate_remove(&ours);
}

static void bytes_that_tls_holds_are_told_like_others(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct certificate ours;
    certificate_make(&ours, "ours", "DNS:gateway.example");
    struct net_tls *shows = open_server(&ours), *believes = open_client(ours.cert);
    struct side client, server;
    agree(loop, &client, &server, believes, shows, "gateway.example");
    assert_int_equal(write_text(&server, "hello"), 5);
    net_socket_attach(client.socket, on_ready, &client);
    client.told = client.events = 0;
    net_want(client.socket, true, false);
    TURN_UNTIL(loop, client.told == NET_READABLE);
    char text[5];
    size_t got;
    assert_int_equal(net_read(client.socket, text, 2, &got), NET_OK);
    client.told = 0;
    net_want(client.socket, true, false); /* nothing is left in the kernel */
    turn_settle(loop);
    assert_int_equal(client.told, NET_READABLE);
    assert_int_equal(net_read(client.socket, text, 5, &got), NET_OK);
    assert_int_equal(got, 3);
    net_socket_close(&client.socket);
    net_socket_close(&server.socket);
    net_tls_unref(&shows);
    net_tls_unref(&believes);
    net_loop_close(&loop);
    certificate_remove(&ours);
}

static void files_that_are_no_certificate_are_named(void **state)
{
    (void)state;
    struct certificate one, two;
    certificate_make(&one, "one", "DNS:one.example");
    certificate_make(&two, "two", "DNS:two.example");
    const struct {
        struct net_tls_pair pair;
        const char *says;
    } rows[] = {
        {{"/nowhere/tls.crt", one.key}, "/nowhere/tls.crt"},
        {{one.cert, "/nowhere/tls.key"}, "/nowhere/tls.key"},
        {{one.key, one.key}, one.key},
        {{one.cert, two.key}, two.key},
    };
    char reason[NET_TLS_REASON_BYTES];
    struct net_tls *tls = NULL;
    for (size_t r = 0; r < ROWS(rows); r++) {
        assert_int_equal(net_tls_open_server(&rows[r].pair, 1, reason, &tls), ERR_NET_TLS);
        if (strstr(reason, rows[r].says) == NULL) {
            fail_msg("row %zu: \"%s\"", r, reason);
        }
    }
    assert_int_equal(net_tls_open_client("/nowhere/ca.pem", reason, &tls), ERR_NET_TLS);
    assert_non_null(strstr(reason, "/nowhere/ca.pem"));
    assert_null(tls);
    net_tls_unref(&tls); /* nothing */
    certificate_remove(&one);
    certificate_remove(&two);
}

struct found {
    int calls;
    enum err e;
    size_t count;
};

static void on_resolved(void *ctx, enum err e, const struct net_address *addresses, size_t count)
{
    struct found *f = ctx;
    f->calls++;
    f->e = e;
    f->count = count;
    (void)addresses;
}

static void names_are_looked_up_and_may_be_forgotten(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct found local = {0}, forgotten = {0};
    struct net_lookup *lookup = NULL, *other = NULL;
    assert_int_equal(net_resolve(loop, "localhost", 80, on_resolved, &local, &lookup), ERR_OK);
    assert_int_equal(net_resolve(loop, "localhost", 80, on_resolved, &forgotten, &other), ERR_OK);
    assert_int_equal(local.calls, 0);
    net_resolve_cancel(&other);
    assert_null(other);
    TURN_UNTIL(loop, local.calls == 1);
    assert_int_equal(local.e, ERR_OK);
    assert_true(local.count > 0);
    turn_settle(loop);
    assert_int_equal(forgotten.calls, 0);
    net_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_wanted_is_told_but_a_hangup_always),
        cmocka_unit_test(a_full_peer_is_again_and_then_writable),
        cmocka_unit_test(a_handler_may_close_its_socket_and_is_not_called_again),
        cmocka_unit_test(connecting_succeeds_or_is_refused),
        cmocka_unit_test(a_reset_fails_the_peers_read),
        cmocka_unit_test(a_client_believes_only_its_ca_and_the_name_it_asked_for),
        cmocka_unit_test(tls_moves_bytes_in_pieces_of_any_size),
        cmocka_unit_test(bytes_that_tls_holds_are_told_like_others),
        cmocka_unit_test(files_that_are_no_certificate_are_named),
        cmocka_unit_test(names_are_looked_up_and_may_be_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
