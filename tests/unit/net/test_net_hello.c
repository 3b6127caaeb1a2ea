/* SPDX-License-Identifier: Apache-2.0 */
/* test_net_hello.c — what a stranger says before TLS is agreed on, and how much of it is borne. */
#include "net/agreeing.h"

static void a_handshake_in_a_thousand_pieces_is_ended_a_few_at_a_turn(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct certificate ours;
    certificate_make(&ours, "ours", "DNS:gateway.example");
    struct net_tls *shows = open_server(&ours);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct side server;
    side_open(loop, &server, fds[0], on_agreeing);
    assert_int_equal(net_socket_start_tls(server.socket, shows, NULL), ERR_OK);
    net_want(server.socket, true, false);
    /* A ClientHello of 16,000 bytes, a byte in each record. */
    static const uint8_t start[4] = {1, 0, 0x3e, 0x80};
    int sent = 0;
    for (unsigned turn = 0; !server.failed && turn < 1000; turn++) {
        uint8_t record[6] = {22, 3, 1, 0, 1, 0};
        for (; sent < 16000; sent++) {
            record[5] = sent < 4 ? start[sent] : sent < 6 ? 3 : 0;
            if (send(fds[1], record, sizeof(record), MSG_NOSIGNAL) != (ssize_t)sizeof(record)) {
                break;
            }
        }
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* says only that handles are left */
        assert_true(server.socket->tls_reads <= 64);
    }
    assert_true(server.failed);
    net_socket_close(&server.socket);
    (void)close(fds[1]);
    net_tls_unref(&shows);
    net_loop_close(&loop);
    certificate_remove(&ours);
}

/* Whether the server ends one who says these bytes first, the whole of what he says. */
static bool ends(struct net_loop *loop, struct net_tls *shows, const uint8_t *said, size_t len)
{
    int fds[2];
    struct side server;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    side_open(loop, &server, fds[0], on_agreeing);
    assert_int_equal(net_socket_start_tls(server.socket, shows, NULL), ERR_OK);
    net_want(server.socket, true, false);
    for (size_t i = 0; i < len; i++) {                 /* in the smallest pieces */
        (void)send(fds[1], said + i, 1, MSG_NOSIGNAL); /* the server may have gone */
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);        /* says only that handles are left */
    }
    net_socket_close(&server.socket);
    (void)close(fds[1]);
    return server.failed;
}

static void who_announces_a_first_message_beyond_all_clients_is_ended_at_once(void **state)
{
    (void)state;
    static const uint8_t large[] = {22, 3, 1, 0x40, 0, 1, 1, 0xfb, 0xd0};
    static const uint8_t torn[] = {22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 2, 0, 0x40, 22, 3, 1, 0, 1, 1};
    static const uint8_t usual[] = {22, 3, 1, 0x40, 0, 1, 0, 0x40, 0, 3, 3};
    struct net_loop *loop = turn_open();
    struct certificate ours;
    certificate_make(&ours, "ours", "DNS:gateway.example");
    struct net_tls *shows = open_server(&ours);
    assert_true(ends(loop, shows, large, sizeof(large)));
    assert_true(ends(loop, shows, torn, sizeof(torn)));
    assert_false(ends(loop, shows, usual, sizeof(usual)));
    net_tls_unref(&shows);
    net_loop_close(&loop);
    certificate_remove(&ours);
}

/* What a client says first who believes `ca`; its length. */
static size_t first_hello(const struct certificate *c, uint8_t *out, size_t size)
{
    struct net_tls *believes = open_client(c->cert);
    SSL *ssl = SSL_new(net_tls_native(believes));
    assert_non_null(ssl);
    BIO *says = BIO_new(BIO_s_mem()), *hears = BIO_new(BIO_s_mem());
    assert_true(says != NULL && hears != NULL);
    SSL_set_bio(ssl, hears, says); /* takes both */
    SSL_set_connect_state(ssl);
    assert_int_equal(SSL_do_handshake(ssl), -1);
    int len = BIO_read(says, out, (int)size);
    assert_true(len > 0);
    SSL_free(ssl);
    net_tls_unref(&believes);
    return (size_t)len;
}

/* A server that takes none of the keys that clients offer unasked. */
static struct net_tls *open_asking_again(const struct certificate *c)
{
    struct net_tls *tls = open_server(c);
    static int groups[] = {NID_secp384r1};
    assert_int_equal(SSL_CTX_set1_groups(net_tls_native(tls), groups, 1), 1);
    return tls;
}

static void a_second_hello_is_no_larger_than_the_first(void **state)
{
    (void)state;
    static const struct {
        uint8_t
            said[18]; /* as a client does that expects old machines between: a ChangeCipherSpec */
        bool ended;
    } rows[] = {{{20, 3, 3, 0, 1, 1, 22, 3, 3, 0x40, 0, 1, 1, 0xfb, 0xd0}, true},
                {{20, 3, 3, 0, 1, 1, 22, 3, 3, 0x40, 0, 1, 0, 0x40, 0x01}, true},
                {{20, 3, 3, 0, 1, 1, 22, 3, 3, 0x40, 0, 1, 0, 0x40, 0x00, 3, 3}, false}};
    struct net_loop *loop = turn_open();
    struct certificate ours;
    certificate_make(&ours, "ours", "DNS:gateway.example");
    struct net_tls *shows = open_asking_again(&ours);
    for (size_t r = 0; r < ROWS(rows); r++) {
        uint8_t said[4096];
        size_t len = first_hello(&ours, said, sizeof(said) - sizeof(rows[r].said));
        memcpy(said + len, rows[r].said, sizeof(rows[r].said));
        assert_int_equal(ends(loop, shows, said, len + 15), rows[r].ended);
    }
    net_tls_unref(&shows);
    net_loop_close(&loop);
    certificate_remove(&ours);
}

static void who_is_asked_again_may_agree(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct certificate ours;
    certificate_make(&ours, "ours", "DNS:gateway.example");
    struct net_tls *shows = open_asking_again(&ours), *believes = open_client(ours.cert);
    struct side client, server;
    agree(loop, &client, &server, believes, shows, "gateway.example");
    assert_true(client.agreed && server.agreed);
    assert_true(server.socket->tls_hello.is_over);
    assert_int_equal(write_text(&client, "hello"), 5);
    net_socket_close(&client.socket);
    net_socket_close(&server.socket);
    net_tls_unref(&believes);
    net_tls_unref(&shows);
    net_loop_close(&loop);
    certificate_remove(&ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_in_a_thousand_pieces_is_ended_a_few_at_a_turn),
        cmocka_unit_test(who_announces_a_first_message_beyond_all_clients_is_ended_at_once),
        cmocka_unit_test(a_second_hello_is_no_larger_than_the_first),
        cmocka_unit_test(who_is_asked_again_may_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
