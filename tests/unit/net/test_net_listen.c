/* SPDX-License-Identifier: Apache-2.0 */
/* test_net_listen.c — addresses in text, and listeners on them. */
#include "net/turned.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/net_listen.h"

static void addresses_are_read_and_written_alike(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *written; /* NULL: refused */
    } rows[] = {
        {"127.0.0.1:8080", "127.0.0.1:8080"},
        {"*:0", "0.0.0.0:0"},
        {"localhost:1", "127.0.0.1:1"},
        {"[::1]:8443", "[::1]:8443"},
        {"[2001:DB8::0:1]:65535", "[2001:db8::1]:65535"},
        {"unix:/run/a.sock", "unix:/run/a.sock"},
        {"", NULL},
        {":80", NULL},
        {"127.0.0.1", NULL},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:-1", NULL},
        {"127.0.0.1:0x50", NULL},
        {"127.0.0.256:80", NULL},
        {"127.1:80", NULL},
        {"::1:80", NULL},
        {"[::1:80", NULL},
        {"[]:80", NULL},
        {"example.org:80", NULL}, /* names are not looked up here */
        {"unix:", NULL},
        {"unix:/a/path/that/is/longer/than/the/hundred/and/seven/bytes/that/a/unix/socket/may/"
         "have/in/its/name/at/most/whatever/the/file/system/says",
         NULL},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct net_address address;
        enum err e = net_address_parse(rows[r].text, &address);
        if ((e == ERR_OK) != (rows[r].written != NULL)) {
            fail_msg("\"%s\": %s", rows[r].text, err_name(e));
        }
        char text[160];
        if (e == ERR_OK) {
            net_address_text(&address, text, sizeof(text));
            assert_string_equal(text, rows[r].written);
        }
    }
}

struct accepted {
    int count, last;
    struct net_listener *closes; /* when the first has come */
};

static void on_accept(void *ctx, int fd)
{
    struct accepted *a = ctx;
    a->count++;
    (void)close(a->last);
    a->last = fd;
    net_listener_close(&a->closes);
}

static int connect_to(const struct net_address *at)
{
    int fd = socket(at->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&at->storage, at->len) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void connections_are_accepted_until_the_listener_closes(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct net_address at;
    struct net_listener *listener = NULL;
    int fd;
    assert_int_equal(net_address_parse("127.0.0.1:0", &at), ERR_OK);
    assert_int_equal(net_listen_fd(&at, true, &fd), ERR_OK);
    at.len = sizeof(at.storage);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at.storage, &at.len), 0);
    int second; /* another worker's socket on the same address */
    assert_int_equal(net_listen_fd(&at, true, &second), ERR_OK);
    (void)close(second);
    assert_int_equal(net_listen_fd(&at, false, &second), ERR_ADDRESS);
    struct accepted got = {.last = -1};
    assert_int_equal(net_listener_open(loop, fd, on_accept, &got, &listener), ERR_OK);
    int clients[3];
    for (size_t i = 0; i < ROWS(clients); i++) {
        clients[i] = connect_to(&at);
        assert_true(clients[i] >= 0);
    }
    TURN_UNTIL(loop, got.count == 3);
    assert_true((fcntl(got.last, F_GETFL) & O_NONBLOCK) != 0);
    assert_true(option_of(got.last, SOL_SOCKET, SO_KEEPALIVE) == 1 &&
                option_of(got.last, IPPROTO_TCP, TCP_KEEPIDLE) <= 60);
    got.closes = listener; /* from within the handler */
    int last = connect_to(&at);
    TURN_UNTIL(loop, got.count == 4);
    assert_int_equal(connect_to(&at), -1);
    for (size_t i = 0; i < ROWS(clients); i++) {
        (void)close(clients[i]);
    }
    (void)close(last);
    (void)close(got.last);
    net_loop_close(&loop);
}

static void the_file_of_a_dead_unix_socket_is_replaced_and_of_a_live_one_not(void **state)
{
    (void)state;
    char text[64];
    (void)snprintf(text, sizeof(text), "unix:/tmp/atlas_test_%d.sock", (int)getpid());
    struct net_address at;
    assert_int_equal(net_address_parse(text, &at), ERR_OK);
    int dead, live, second;
    assert_int_equal(net_listen_fd(&at, false, &dead), ERR_OK);
    struct stat info;
    assert_int_equal(stat(text + 5, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700); /* its owner's only */
    (void)close(dead);
    assert_int_equal(net_listen_fd(&at, false, &live), ERR_OK);
    assert_int_equal(net_listen_fd(&at, false, &second), ERR_ADDRESS);
    (void)close(live);
    (void)unlink(text + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written_alike),
        cmocka_unit_test(connections_are_accepted_until_the_listener_closes),
        cmocka_unit_test(the_file_of_a_dead_unix_socket_is_replaced_and_of_a_live_one_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
