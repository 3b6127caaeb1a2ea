/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_incoming.c — connections go to the worker with room, and past the maximum to none. */
#include "server/served.h"

#include <netinet/in.h>
#include <pthread.h>

#include "net/net_listen.h"

static void a_worker_far_ahead_hands_new_connections_over(void **state)
{
    (void)state;
    struct served one, two;
    served_open(&one, &served_settings);
    served_open(&two, &served_settings);
    struct server *const siblings[] = {two.server};
    server_set_siblings(one.server, siblings, 1);
    int fds[30];
    for (size_t i = 0; i < ROWS(fds); i++) {
        fds[i] = served_connect(&one);
    }
    /* Nine more than the other, then by turns. */
    assert_int_equal(server_connection_count(one.server), 19);
    assert_int_equal(server_connection_count(two.server), 11);
    served_settle(&two);
    say(&two, fds[29], "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    struct heard heard;
    hear(&two, fds[29], &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 200 OK\r\n", 17);
    assert_int_equal(two.answers_count, 1);
    for (size_t i = 0; i < ROWS(fds); i++) {
        (void)close(fds[i]);
    }
    served_settle(&two);
    served_close(&one);
    served_close(&two);
}

static void connections_on_their_way_when_a_server_closes_are_closed(void **state)
{
    (void)state;
    struct served one, two;
    served_open(&one, &served_settings);
    served_open(&two, &served_settings);
    struct server *const siblings[] = {two.server};
    server_set_siblings(one.server, siblings, 1);
    int fds[12];
    for (size_t i = 0; i < ROWS(fds); i++) {
        fds[i] = served_connect(&one);
    }
    assert_true(server_connection_count(two.server) > 0);
    server_set_siblings(one.server, NULL, 0);
    server_close(&two.server); /* its loop never turned */
    net_loop_close(&two.loop);
    char byte;
    assert_int_equal(recv(fds[11], &byte, 1, 0), 0);
    for (size_t i = 0; i < ROWS(fds); i++) {
        (void)close(fds[i]);
    }
    served_settle(&one);
    served_close(&one);
}

static void past_the_maximum_a_client_is_told_to_come_back(void **state)
{
    (void)state;
    struct server_settings settings = served_settings;
    settings.connections_max = 2;
    struct served w;
    served_open(&w, &settings);
    int first = served_connect(&w);
    int second = served_connect(&w);
    int third = served_connect(&w);
    struct heard heard;
    say(&w, third, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    hear(&w, third, &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 503 Service Unavailable\r\n", 34);
    assert_non_null(strstr(heard.text, "\r\nRetry-After: 1\r\n"));
    assert_non_null(strstr(heard.text, "\"code\":\"overloaded\""));
    assert_true(heard.ended);
    assert_int_equal(w.answers_count, 0);
    (void)close(third);
    (void)close(first);
    served_settle(&w);
    assert_int_equal(served_connections, 1);
    ask(&w, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 200 OK\r\n", 17);
    (void)close(second);
    served_close(&w);
}

static void of_those_only_so_many_are_told(void **state)
{
    (void)state;
    struct server_settings settings = served_settings;
    settings.connections_max = 0;
    struct served w;
    served_open(&w, &settings);
    int fds[SERVER_REFUSED_MAX + 5];
    for (size_t i = 0; i < ROWS(fds); i++) {
        fds[i] = served_connect(&w);
    }
    assert_int_equal(served_connections, SERVER_REFUSED_MAX);
    char byte;
    assert_int_equal(recv(fds[SERVER_REFUSED_MAX], &byte, 1, 0), 0); /* just closed */
    for (size_t i = 0; i < ROWS(fds); i++) {
        (void)close(fds[i]);
    }
    served_settle(&w);
    served_close(&w);
}

/* A worker as in the program: a thread of its own. */
struct worker {
    pthread_t thread;
    struct net_loop *loop;
    struct server *server;
    struct net_task drain, look;
    unsigned answered; /* on its thread, read when that has ended */
};

static void on_worker_request(void *ctx, struct exchange *x)
{
    struct worker *w = ctx;
    struct span none = {NULL, 0};
    w->answered++;
    exchange_refuse(x, ERR_ROUTE_UNKNOWN, none, none, none);
}

static void on_look(struct net_task *task)
{
    struct worker *w = LIST_OF(task, struct worker, look);
    if (server_is_idle(w->server)) {
        net_loop_stop(w->loop);
    } else {
        net_loop_defer(w->loop, &w->look);
    }
}

static void on_drain(struct net_task *task)
{
    struct worker *w = LIST_OF(task, struct worker, drain);
    server_drain(w->server);
    CHECK(server_stop_accepting(w->server));
    net_loop_defer(w->loop, &w->look);
}

static void *run_worker(void *arg)
{
    struct worker *w = arg;
    counter_thread_start();
    net_loop_run(w->loop);
    return NULL;
}

static void worker_open(struct worker *w)
{
    struct server_options options = {.settings = &served_settings,
                                     .on_request = on_worker_request,
                                     .ctx = w,
                                     .connections = &served_connections};
    assert_int_equal(net_loop_open(&w->loop), ERR_OK);
    assert_int_equal(server_open(w->loop, &options, &w->server), ERR_OK);
    net_task_init(&w->drain, on_drain);
    net_task_init(&w->look, on_look);
}

/* Connects to `at` and hears the reply's first bytes. */
static int ask_worker(const struct net_address *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at->storage, at->len), 0);
    struct span text = SPAN("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(send(fd, text.at, text.len, MSG_NOSIGNAL), text.len);
    char start[13];
    assert_int_equal(recv(fd, start, sizeof(start), MSG_WAITALL), sizeof(start));
    assert_memory_equal(start, "HTTP/1.1 404 ", sizeof(start));
    return fd;
}

static void two_threads_share_what_one_accepts(void **state)
{
    (void)state;
    static struct worker workers[2];
    struct net_address at;
    int listening;
    assert_int_equal(net_address_parse("127.0.0.1:0", &at), ERR_OK);
    assert_int_equal(net_listen_fd(&at, false, &listening), ERR_OK);
    at.len = sizeof(at.storage);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at.storage, &at.len), 0);
    worker_open(&workers[0]);
    worker_open(&workers[1]);
    struct server *const siblings[] = {workers[1].server};
    server_set_siblings(workers[0].server, siblings, 1);
    assert_int_equal(server_listen(workers[0].server, listening, 0, NULL), ERR_OK);
    for (size_t i = 0; i < ROWS(workers); i++) {
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]), 0);
    }
    int fds[60];
    for (size_t i = 0; i < ROWS(fds); i++) {
        fds[i] = ask_worker(&at);
    }
    assert_int_equal(server_connection_count(workers[0].server), 34);
    assert_int_equal(server_connection_count(workers[1].server), 26);
    net_loop_post(workers[0].loop, &workers[0].drain);
    net_loop_post(workers[1].loop, &workers[1].drain);
    for (size_t i = 0; i < ROWS(workers); i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    }
    assert_int_equal(workers[0].answered + workers[1].answered, ROWS(fds));
    assert_true(workers[1].answered >= 20);
    for (size_t i = 0; i < ROWS(workers); i++) {
        server_close(&workers[i].server);
        net_loop_close(&workers[i].loop);
    }
    for (size_t i = 0; i < ROWS(fds); i++) {
        (void)close(fds[i]);
    }
    assert_int_equal(served_connections, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_far_ahead_hands_new_connections_over),
        cmocka_unit_test(connections_on_their_way_when_a_server_closes_are_closed),
        cmocka_unit_test(past_the_maximum_a_client_is_told_to_come_back),
        cmocka_unit_test(of_those_only_so_many_are_told),
        cmocka_unit_test(two_threads_share_what_one_accepts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
