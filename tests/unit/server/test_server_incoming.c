/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_incoming.c — connections go to the worker with room, and past the maximum to none. */
#include "server/served.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_far_ahead_hands_new_connections_over),
        cmocka_unit_test(connections_on_their_way_when_a_server_closes_are_closed),
        cmocka_unit_test(past_the_maximum_a_client_is_told_to_come_back),
        cmocka_unit_test(of_those_only_so_many_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
