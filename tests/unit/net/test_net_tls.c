/* SPDX-License-Identifier: Apache-2.0 */
/* test_net_tls.c — TLS over net's sockets: whom it believes, what it moves, what it bears. */
#include "net/agreeing.h"

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
            in += r == NET_OK ? moved : 0;
            (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* one turn reads only so much */
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
    while (net_read(client.socket, text, 2, &got) == NET_AGAIN) { /* tickets come first */
    }
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

/* Says `count` times that its keys change, in one go: records without data. */
static void update_keys(struct net_socket *s, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(SSL_key_update(s->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(s->ssl), 1);
    }
}

/* Two ends that agreed; `of` reads and counts. */
static void agree_and_read(struct net_loop *loop, const struct certificate *c, struct side *client,
                           struct side *server, struct side *of, struct reader *reader)
{
    struct net_tls *shows = open_server(c), *believes = open_client(c->cert);
    agree(loop, client, server, believes, shows, "gateway.example");
    assert_true(client->agreed && server->agreed);
    *reader = (struct reader){.side = *of, .last = NET_AGAIN};
    net_socket_attach(of->socket, on_reading, reader);
    net_want(of->socket, true, false);
    turn_settle(loop);
    assert_int_equal(reader->last, NET_AGAIN);
    net_tls_unref(&shows);
    net_tls_unref(&believes);
}

static void a_tls_peer_that_sends_33_records_without_data_is_ended(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) { /* the client, then the server floods */
        struct net_loop *loop = turn_open();
        struct certificate ours;
        certificate_make(&ours, "ours", "DNS:gateway.example");
        struct side client, server;
        struct side *flooder = round == 0 ? &client : &server;
        struct side *victim = round == 0 ? &server : &client;
        struct reader reader;
        agree_and_read(loop, &ours, &client, &server, victim, &reader);
        update_keys(flooder->socket, 20);
        (void)write_text(flooder, "data"); /* all of it, checked elsewhere */
        TURN_UNTIL(loop, reader.got == 4); /* also where it stands behind what is none */
        update_keys(flooder->socket, 32);
        (void)write_text(flooder, "more");
        TURN_UNTIL(loop, reader.got == 8);
        assert_int_equal(reader.last, NET_AGAIN);
        update_keys(flooder->socket, 33);
        TURN_UNTIL(loop, reader.last == NET_FAILED);
        net_socket_close(&client.socket);
        net_socket_close(&server.socket);
        net_loop_close(&loop);
        certificate_remove(&ours);
    }
}

static void a_read_ends_at_each_tls_record_without_data_and_misses_none_behind_it(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct certificate ours;
    certificate_make(&ours, "ours", "DNS:gateway.example");
    struct side client, server;
    struct reader reader;
    agree_and_read(loop, &ours, &client, &server, &server, &reader);
    net_want(server.socket, false, false);
    update_keys(client.socket, 3);
    (void)write_text(&client, "data");
    char text[8];
    size_t got = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(net_read(server.socket, text, sizeof(text), &got), NET_AGAIN);
    }
    assert_int_equal(net_read(server.socket, text, sizeof(text), &got), NET_OK);
    assert_int_equal(got, 4);
    net_socket_close(&client.socket);
    net_socket_close(&server.socket);
    net_loop_close(&loop);
    certificate_remove(&ours);
}

static void a_crowd_of_handshakes_takes_many_turns_and_all_agree(void **state)
{
    (void)state;
    enum { CROWD = 100 };
    struct net_loop *loop = turn_open();
    struct certificate ours;
    certificate_make(&ours, "ours", "DNS:gateway.example");
    struct net_tls *shows = open_server(&ours), *believes = open_client(ours.cert);
    static struct side clients[CROWD], servers[CROWD];
    for (int i = 0; i < CROWD; i++) {
        pair_open(loop, &clients[i], &servers[i], on_agreeing);
        assert_int_equal(net_socket_start_tls(servers[i].socket, shows, NULL), ERR_OK);
        assert_int_equal(net_socket_start_tls(clients[i].socket, believes, "gateway.example"),
                         ERR_OK);
        net_want(servers[i].socket, true, false);
        net_want(clients[i].socket, true, true);
    }
    int agreed = 0, most = 0; /* in one turn */
    for (int turn = 0; agreed < 2 * CROWD && turn < 100000; turn++) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* says only that handles are left */
        int before = agreed;
        agreed = 0;
        for (int i = 0; i < CROWD; i++) {
            agreed += (clients[i].agreed ? 1 : 0) + (servers[i].agreed ? 1 : 0);
        }
        most = agreed - before > most ? agreed - before : most;
    }
    assert_int_equal(agreed, 2 * CROWD);
    assert_true(most < CROWD / 2);
    for (int i = 0; i < CROWD; i++) {
        net_socket_close(&clients[i].socket);
        net_socket_close(&servers[i].socket);
    }
    net_tls_unref(&believes);
    net_tls_unref(&shows);
    net_loop_close(&loop);
    certificate_remove(&ours);
}

static void a_handshake_of_ours_does_not_stand_behind_a_crowd_of_strangers(void **state)
{
    (void)state;
    enum { CROWD = 100, OURS = CROWD };
    struct net_loop *loop = turn_open(), *others = turn_open();
    struct certificate ours;
    certificate_make(&ours, "ours", "DNS:gateway.example");
    struct net_tls *shows = open_server(&ours), *believes = open_client(ours.cert);
    static struct side clients[CROWD + 1], servers[CROWD + 1];
    for (int i = 0; i <= OURS; i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
                         0);
        side_open(i == OURS ? loop : others, &clients[i], fds[0], on_agreeing);
        side_open(i == OURS ? others : loop, &servers[i], fds[1], on_agreeing);
        assert_int_equal(net_socket_start_tls(servers[i].socket, shows, NULL), ERR_OK);
        assert_int_equal(net_socket_start_tls(clients[i].socket, believes, "gateway.example"),
                         ERR_OK);
        net_want(servers[i].socket, true, false);
        net_want(clients[i].socket, true, true);
    }
    for (int turn = 0; turn < 1000; turn++) {     /* all strangers say hello */
        (void)uv_run(&others->uv, UV_RUN_NOWAIT); /* says only that handles are left */
    }
    for (int turn = 0; !clients[OURS].agreed && turn < 1000; turn++) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);   /* as above */
        (void)uv_run(&others->uv, UV_RUN_NOWAIT); /* as above */
    }
    assert_true(clients[OURS].agreed);
    int waiting = 0;
    for (int i = 0; i < CROWD; i++) {
        waiting += servers[i].agreed ? 0 : 1;
    }
    assert_true(waiting > 0); /* how many is the machine's matter */
    for (int i = 0; i <= OURS; i++) {
        net_socket_close(&clients[i].socket);
        net_socket_close(&servers[i].socket);
    }
    net_tls_unref(&believes);
    net_tls_unref(&shows);
    net_loop_close(&loop);
    net_loop_close(&others);
    certificate_remove(&ours);
}

static void a_socket_is_quiet_until_data_comes_or_the_end(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct certificate ours;
    certificate_make(&ours, "ours", "DNS:gateway.example");
    struct side client, server;
    struct reader reader;
    agree_and_read(loop, &ours, &client, &server, &client, &reader);
    net_want(client.socket, false, false);
    assert_true(net_is_quiet(client.socket));
    update_keys(server.socket, 2);
    assert_true(net_is_quiet(client.socket)); /* that is between the two TLS */
    update_keys(server.socket, 1);
    (void)write_text(&server, "late");
    assert_false(net_is_quiet(client.socket));
    char text[8];
    size_t got;
    assert_int_equal(net_read(client.socket, text, sizeof(text), &got), NET_OK);
    assert_int_equal(got, 4); /* a look takes nothing */
    assert_true(net_is_quiet(client.socket));
    net_finish(server.socket);
    assert_false(net_is_quiet(client.socket));
    net_socket_close(&client.socket);
    net_socket_close(&server.socket);
    struct side a, b;
    pair_open(loop, &a, &b, on_ready);
    assert_true(net_is_quiet(a.socket));
    (void)write_text(&b, "late");
    assert_false(net_is_quiet(a.socket));
    net_socket_close(&b.socket);
    assert_int_equal(net_read(a.socket, text, sizeof(text), &got), NET_OK);
    assert_false(net_is_quiet(a.socket));
    net_socket_close(&a.socket);
    net_loop_close(&loop);
    certificate_remove(&ours);
}

static void a_name_in_a_certificates_subject_or_a_part_of_a_label_is_no_name(void **state)
{
    (void)state;
    static const struct {
        const char *common, *names;
        bool agreed;
    } rows[] = {
        {"a.gateway.example", "DNS:a.gateway.example", true},
        {"a.gateway.example", "IP:127.0.0.1", false},
        {"a.gateway.example", "email:a@b.example", false},
        {"other", "DNS:a*.gateway.example", false},
        {"other", "DNS:*a.gateway.example", false},
        {"other", "DNS:*.gateway.example", true},
    };
    struct net_loop *loop = turn_open();
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct certificate c;
        certificate_make(&c, rows[r].common, rows[r].names);
        struct net_tls *believes = open_client(c.cert), *shows = open_server(&c);
        struct side client, server;
        agree(loop, &client, &server, believes, shows, "a.gateway.example");
        if (client.agreed != rows[r].agreed) {
            fail_msg("row %zu: agreed %d", r, client.agreed);
        }
        net_socket_close(&client.socket);
        net_socket_close(&server.socket);
        net_tls_unref(&believes);
        net_tls_unref(&shows);
        certificate_remove(&c);
    }
    net_loop_close(&loop);
}

static void a_client_is_not_shown_a_certificate_for_the_name_in_its_subject(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct certificate first, second;
    certificate_make(&first, "first", "DNS:gateway.example");
    certificate_make(&second, "gateway.example", "DNS:second.example");
    struct net_tls_pair pairs[] = {{second.cert, second.key}, {first.cert, first.key}};
    char reason[NET_TLS_REASON_BYTES];
    struct net_tls *shows = NULL;
    assert_int_equal(net_tls_open_server(pairs, 2, reason, &shows), ERR_OK);
    struct net_tls *believes = open_client(first.cert);
    struct side client, server;
    agree(loop, &client, &server, believes, shows, "gateway.example");
    assert_true(client.agreed); /* it was shown the one that has the name */
    net_socket_close(&client.socket);
    net_socket_close(&server.socket);
    net_tls_unref(&believes);
    net_tls_unref(&shows);
    net_loop_close(&loop);
    certificate_remove(&first);
    certificate_remove(&second);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_believes_only_its_ca_and_the_name_it_asked_for),
        cmocka_unit_test(tls_moves_bytes_in_pieces_of_any_size),
        cmocka_unit_test(bytes_that_tls_holds_are_told_like_others),
        cmocka_unit_test(a_tls_peer_that_sends_33_records_without_data_is_ended),
        cmocka_unit_test(a_read_ends_at_each_tls_record_without_data_and_misses_none_behind_it),
        cmocka_unit_test(a_crowd_of_handshakes_takes_many_turns_and_all_agree),
        cmocka_unit_test(a_handshake_of_ours_does_not_stand_behind_a_crowd_of_strangers),
        cmocka_unit_test(a_socket_is_quiet_until_data_comes_or_the_end),
        cmocka_unit_test(a_name_in_a_certificates_subject_or_a_part_of_a_label_is_no_name),
        cmocka_unit_test(a_client_is_not_shown_a_certificate_for_the_name_in_its_subject),
        cmocka_unit_test(files_that_are_no_certificate_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
