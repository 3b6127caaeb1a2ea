/* SPDX-License-Identifier: Apache-2.0 */
/* test_net_socket.c — who is told what of a socket, and what moves through it. */
#include "net/sides.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net_listen.h"

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

static void one_handler_reads_256_kib_of_a_socket_and_then_another_turn_goes_on(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct side sender, unused;
    struct reader reader = {.feeder = &sender};
    pair_open(loop, &sender, &unused, on_ready);
    reader.side = unused;
    net_socket_attach(reader.side.socket, on_reading, &reader);
    feed(&sender);
    net_want(reader.side.socket, true, false);
    TURN_UNTIL(loop,
               reader.got > 2 * 256 * 1024); /* each turn goes on where the last one stopped */
    assert_in_range(reader.turn_most, 1, 256 * 1024 + 64 * 1024 - 1); /* the last read is whole */
    net_socket_close(&sender.socket);
    net_socket_close(&reader.side.socket);
    net_loop_close(&loop);
}

/* Writes a large body to a peer that reads beside it. */
static void on_writing(void *ctx, unsigned events)
{
    struct reader *w = ctx;
    static uint8_t body[1024 * 1024], trash[1024 * 1024];
    size_t in_turn = 0, sent;
    (void)events;
    for (;;) {
        struct iovec pieces[2] = {{.iov_base = body, .iov_len = sizeof(body)},
                                  {.iov_base = body, .iov_len = sizeof(body)}};
        w->last = net_writev(w->side.socket, pieces, 2, &sent);
        if (w->last != NET_OK) {
            break;
        }
        in_turn += sent;
        (void)!read(w->feeder->socket->fd, trash, sizeof(trash));
    }
    w->got += in_turn;
    w->turn_most = in_turn > w->turn_most ? in_turn : w->turn_most;
    net_want(w->side.socket, false, w->last == NET_AGAIN);
}

static void one_handler_writes_256_kib_to_a_peer_that_takes_all(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct side taker, unused;
    struct reader writer = {.feeder = &taker};
    pair_open(loop, &taker, &unused, on_ready);
    writer.side = unused;
    net_socket_attach(writer.side.socket, on_writing, &writer);
    net_want(writer.side.socket, false, true);
    TURN_UNTIL(loop, writer.got > 4 * 1024 * 1024);
    assert_in_range(writer.turn_most, 1, 2 * 256 * 1024 - 1); /* the last write is whole */
    net_socket_close(&taker.socket);
    net_socket_close(&writer.side.socket);
    net_loop_close(&loop);
}

#define CROWD  50
#define ROUNDS 50

/* A side whose handler takes an eighth of what sockets have of a turn, and reads a byte. */
static void on_slow(void *ctx, unsigned events)
{
    struct side *s = ctx;
    char byte;
    size_t got;
    on_ready(s, events);
    for (mono_us begun = clock_mono(); clock_since(begun, clock_mono()) < NET_BUDGET_US / 8;) {
    }
    assert_int_equal(net_read(s->socket, &byte, 1, &got), NET_OK);
}

static struct crowd {
    struct side in[CROWD], out[CROWD];
} crowd;

/* All are readable; when the first handlers have run, another becomes so. Says whether that one was
 * waited for by the end of the crowd. */
static bool newcomer_is_before_the_last(struct net_loop *loop, struct side *newcomer,
                                        struct side *its_peer)
{
    for (size_t i = 0; i < CROWD; i++) {
        crowd.in[i].events = 0;
        (void)!write(crowd.out[i].socket->fd, "x", 1);
    }
    newcomer->events = 0;
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    assert_int_equal(crowd.in[CROWD - 1].events, 0);
    (void)!write(its_peer->socket->fd, "x", 1);
    TURN_UNTIL(loop, newcomer->events > 0);
    bool is_before = crowd.in[CROWD - 1].events == 0;
    turn_settle(loop);
    TURN_UNTIL(loop, crowd.in[CROWD - 1].events > 0);
    for (size_t i = 0; i < CROWD; i++) {
        assert_int_equal(crowd.in[i].events, 1); /* in several turns, and each once */
    }
    return is_before;
}

static void a_crowd_of_sockets_has_a_part_of_a_turn_and_newcomers_come_before_its_rest(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct side newcomer, its_peer;
    bool is_before = false;
    pair_open(loop, &newcomer, &its_peer, on_slow);
    net_want(newcomer.socket, true, false);
    for (size_t i = 0; i < CROWD; i++) {
        pair_open(loop, &crowd.in[i], &crowd.out[i], on_slow);
        net_want(crowd.in[i].socket, true, false);
    }
    turn_settle(loop);
    for (int i = 0; i < ROUNDS && !is_before; i++) { /* the machine may stop for a turn or two */
        is_before = newcomer_is_before_the_last(loop, &newcomer, &its_peer);
    }
    assert_true(is_before);
    for (size_t i = 0; i < CROWD; i++) {
        net_socket_close(&crowd.in[i].socket);
        net_socket_close(&crowd.out[i].socket);
    }
    net_socket_close(&newcomer.socket);
    net_socket_close(&its_peer.socket);
    net_loop_close(&loop);
}

static void one_of_a_crowd_that_is_closed_or_wants_no_more_before_its_turn_is_not_told(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    for (size_t i = 0; i < CROWD; i++) {
        pair_open(loop, &crowd.in[i], &crowd.out[i], on_slow);
        net_want(crowd.in[i].socket, true, false);
        (void)!write(crowd.out[i].socket->fd, "x", 1);
    }
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    struct side *closed = &crowd.in[CROWD - 1], *unwilling = &crowd.in[CROWD - 2];
    net_socket_close(&closed->socket);
    net_want(unwilling->socket, false, false);
    TURN_UNTIL(loop, crowd.in[CROWD - 3].events > 0);
    turn_settle(loop);
    assert_int_equal(closed->events, 0);
    assert_int_equal(unwilling->events, 0);
    net_want(unwilling->socket, true, false);
    TURN_UNTIL(loop, unwilling->events > 0);
    for (size_t i = 0; i < CROWD; i++) {
        net_socket_close(&crowd.in[i].socket);
        net_socket_close(&crowd.out[i].socket);
    }
    net_loop_close(&loop);
}

#define MANY 300 /* more than are polled while they are late */

/* A side whose handler takes its time and reads all that is there. */
static void on_slow_reading(void *ctx, unsigned events)
{
    struct reader *r = ctx;
    r->side.told |= events;
    r->side.events++;
    for (mono_us begun = clock_mono(); clock_since(begun, clock_mono()) < NET_BUDGET_US / 16;) {
    }
    on_reading(r, events);
}

static struct reader many[MANY];
static int many_out[MANY];

static void many_open(struct net_loop *loop)
{
    for (size_t i = 0; i < MANY; i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
                         0);
        many[i] = (struct reader){.last = NET_AGAIN};
        side_open(loop, &many[i].side, fds[0], on_slow_reading);
        net_want(many[i].side.socket, true, false);
        many_out[i] = fds[1];
    }
    turn_settle(loop);
}

static void write_to_all(void)
{
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(many_out[i] < 0 ? 1 : write(many_out[i], "x", 1), 1);
    }
}

static size_t count_muted(void)
{
    size_t count = 0;
    for (size_t i = 0; i < MANY; i++) {
        count += many[i].side.socket != NULL && many[i].side.socket->muted;
    }
    return count;
}

/* All that are open have read so much, and those whose peer left its end. */
static bool have_all(size_t most)
{
    for (size_t i = 0; i < MANY; i++) {
        const struct reader *r = &many[i];
        bool is_left = many_out[i] < 0;
        if (r->side.socket != NULL && (is_left ? r->last != NET_EOF : r->got < most)) {
            return false;
        }
    }
    return true;
}

static void many_close(void)
{
    for (size_t i = 0; i < MANY; i++) {
        net_socket_close(&many[i].side.socket);
        (void)close(many_out[i]); /* one that left already is none */
    }
}

static void what_comes_while_a_late_socket_is_not_polled_is_told_in_its_turn(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    many_open(loop);
    write_to_all();
    TURN_UNTIL(loop, count_muted() > 0);
    write_to_all();
    for (size_t i = 0; i < MANY; i += 3) { /* what they wrote last is there, and then their end */
        (void)close(many_out[i]);
        many_out[i] = -1;
    }
    TURN_UNTIL(loop, have_all(2));
    turn_settle(loop);
    assert_int_equal(count_muted(), 0);
    assert_int_equal(loop->late_count, 0);
    for (size_t i = 0; i < MANY; i += 3) {
        assert_int_equal(many[i].got, 2);
        assert_true((many[i].side.told & NET_HANGUP) != 0);
    }
    write_to_all(); /* each is polled again */
    TURN_UNTIL(loop, have_all(3));
    many_close();
    net_loop_close(&loop);
}

static void a_late_socket_that_is_not_polled_may_be_closed_or_want_something_else(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    many_open(loop);
    write_to_all();
    TURN_UNTIL(loop, count_muted() > 0);
    for (size_t i = MANY / 2; i < MANY; i++) {
        if (i % 4 == 0) {
            net_socket_close(&many[i].side.socket);
        } else if (i % 4 == 1) {
            net_want(many[i].side.socket, false, false);
        } else if (i % 4 == 2) {
            net_want(many[i].side.socket, false, true);
        }
    }
    for (size_t i = MANY / 2; i < MANY; i++) {
        many[i].side.events = 0;
        many[i].side.told = 0;
    }
    TURN_UNTIL(loop, loop->late_count == 0);
    turn_settle(loop);
    for (size_t i = MANY / 2; i < MANY; i++) {
        assert_true(i % 4 > 1 || many[i].side.events == 0);
        if (many[i].side.socket != NULL) {
            net_want(many[i].side.socket, true, false);
        }
    }
    TURN_UNTIL(loop, have_all(1));
    assert_int_equal(count_muted(), 0);
    many_close();
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
        cmocka_unit_test(one_handler_reads_256_kib_of_a_socket_and_then_another_turn_goes_on),
        cmocka_unit_test(one_handler_writes_256_kib_to_a_peer_that_takes_all),
        cmocka_unit_test(
            a_crowd_of_sockets_has_a_part_of_a_turn_and_newcomers_come_before_its_rest),
        cmocka_unit_test(
            one_of_a_crowd_that_is_closed_or_wants_no_more_before_its_turn_is_not_told),
        cmocka_unit_test(what_comes_while_a_late_socket_is_not_polled_is_told_in_its_turn),
        cmocka_unit_test(a_late_socket_that_is_not_polled_may_be_closed_or_want_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
