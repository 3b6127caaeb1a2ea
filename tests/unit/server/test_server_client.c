/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_client.c — who a client is: what is believed of proxies, and of nobody else. */
#include "server/served.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include "server/exchange_client.h"

static void trust(struct server_settings *settings, const char *const *networks)
{
    settings->trust.proxies_count = 0;
    for (; *networks != NULL; networks++) {
        assert_int_equal(
            net_network_parse(span_of(*networks),
                              &settings->trust.proxies[settings->trust.proxies_count++]),
            NET_NETWORK_GOOD);
    }
}

static const char *const proxies[] = {"10.0.0.0/8", "2001:db8::/32", "127.0.0.1", NULL};

static struct server_client walk(const char *from, const char *fields)
{
    static struct http_field rows[64];
    struct http_request request;
    struct http_limits limits = {.head_bytes = 65536, .target_bytes = 256};
    static char head[65536];
    struct server_settings settings = served_settings;
    struct server_client client = {.has_address = from != NULL};
    size_t used;
    trust(&settings, proxies);
    assert_true(from == NULL || net_ip_parse(span_of(from), &client.address));
    (void)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", fields); /* it fits */
    http_request_init(&request, &limits, rows, ROWS(rows));
    assert_int_equal(http_request_parse(&request, span_of(head), &used), ERR_OK);
    assert_int_equal(used, strlen(head));
    return server_client_behind(client, &request.fields, &settings.trust);
}

static void the_client_is_the_first_from_the_right_that_is_no_listed_proxy(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *fields, *client;
    } rows[] = {
        {"10.0.0.1", "", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"},
        {"10.0.0.1", "x-forwarded-for: 1.1.1.1, 192.0.2.7\r\n", "192.0.2.7"},
        {"10.0.0.1", "X-Forwarded-For: 1.1.1.1, 192.0.2.7, 10.9.9.9\r\n", "192.0.2.7"},
        {"10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"},
        {"10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"},
        {"10.0.0.1", "X-Forwarded-For: 192.0.2.7\r\nA: b\r\nX-Forwarded-For: 10.0.0.2\r\n",
         "192.0.2.7"},
        /* Who is not listed is not believed. */
        {"192.0.2.9", "X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.9"},
        {"192.0.2.9", "X-Forwarded-For: 10.0.0.1\r\n", "192.0.2.9"},
        {"::ffff:10.0.0.1", "X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"},
        /* Nor are other fields. */
        {"10.0.0.1", "X-Real-IP: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\n", "10.0.0.1"},
        {"10.0.0.1", "X_Forwarded_For: 192.0.2.7\r\n", "10.0.0.1"},
        /* What is no address ends the way at the last one. */
        {"10.0.0.1", "X-Forwarded-For: unknown\r\n", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For: 192.0.2.7, unknown\r\n", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For: 192.0.2.7, <b>, 10.0.0.2\r\n", "10.0.0.2"},
        {"10.0.0.1", "X-Forwarded-For: 192.0.2.7 10.0.0.2\r\n", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For: 192.0.2.7;10.0.0.2\r\n", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For: \"192.0.2.7\"\r\n", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For: 192.0.2.07\r\n", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: _x\r\n", "10.0.0.1"},
        /* Empty members are none (RFC 9110 5.6.1.2). */
        {"10.0.0.1", "X-Forwarded-For: 192.0.2.7, , ,\r\n", "192.0.2.7"},
        {"10.0.0.1", "X-Forwarded-For:\r\n", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For: ,\r\nX-Forwarded-For:\r\n", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For: ,192.0.2.7\r\n", "192.0.2.7"},
        /* Ports and brackets. */
        {"10.0.0.1", "X-Forwarded-For: 192.0.2.7:4711\r\n", "192.0.2.7"},
        {"10.0.0.1", "X-Forwarded-For: [2001:db9::7]:4711, [2001:db8::1]\r\n", "2001:db9::7"},
        {"2001:db8::1", "X-Forwarded-For: 2001:DB9:0::7,2001:db8::1\r\n", "2001:db9::7"},
        {"10.0.0.1", "X-Forwarded-For: [::ffff:192.0.2.7]:1\r\n", "192.0.2.7"},
        {"10.0.0.1", "X-Forwarded-For: [2001:db9::7\r\n", "10.0.0.1"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct server_client client = walk(rows[r].peer, rows[r].fields);
        char text[NET_IP_TEXT], peer[NET_IP_TEXT];
        struct net_ip from;
        net_ip_text(&client.address, text);
        assert_true(net_ip_parse(span_of(rows[r].peer), &from));
        net_ip_text(&from, peer);
        if (strcmp(text, rows[r].client) != 0 || client.is_derived != (strcmp(text, peer) != 0)) {
            fail_msg("row %zu, %s: %s", r, rows[r].fields, text);
        }
    }
}

static void a_peer_without_an_address_is_not_believed(void **state)
{
    (void)state;
    struct server_client client = walk(NULL, "X-Forwarded-For: 192.0.2.7\r\n");
    assert_false(client.has_address || client.is_derived);
}

static void the_way_back_is_bounded(void **state)
{
    (void)state;
    static char fields[32768];
    struct net_ip listed;
    size_t len = (size_t)snprintf(fields, sizeof(fields), "X-Forwarded-For: 192.0.2.7");
    for (int i = 0; i < SERVER_HOPS_MAX - 1; i++) {
        len += (size_t)snprintf(fields + len, sizeof(fields) - len, ",10.0.0.2");
    }
    (void)snprintf(fields + len, sizeof(fields) - len, "\r\n"); /* it fits */
    struct server_client client = walk("10.0.0.1", fields);
    char text[NET_IP_TEXT];
    net_ip_text(&client.address, text);
    assert_string_equal(text, "192.0.2.7");
    (void)snprintf(fields + len, sizeof(fields) - len, ",10.0.0.2\r\n"); /* it fits */
    client = walk("10.0.0.1", fields);
    assert_true(net_ip_parse(SPAN("10.0.0.2"), &listed));
    assert_true(net_ip_equal(&client.address, &listed));
}

/* ---- over connections ---- */

/* A client's end of a new connection over TCP, from 127.0.0.1. */
static int tcp_connect(struct served *w)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, len), 0);
    int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    (void)close(listener);
    int flags = 1;
    assert_int_equal(ioctl(fd, FIONBIO, &flags), 0);
    server_incoming_accept(w->server, 0, accepted);
    return fd;
}

/* Whom the server takes the client of the newest request for. */
static const char *client_of(struct served *w, char room[NET_IP_TEXT])
{
    assert_true(w->answers_count > 0);
    struct answer *a = &w->answers[w->answers_count - 1];
    assert_non_null(a->x);
    return exchange_client(a->x, room);
}

static void finish(struct served *w, int fd)
{
    struct heard heard;
    answer_with(&w->answers[w->answers_count - 1], "ok");
    hear(w, fd, &heard);
    assert_non_null(strstr(heard.text, "200 OK"));
}

static void each_request_of_a_connection_has_the_client_of_its_own_fields(void **state)
{
    (void)state;
    struct served w;
    char room[NET_IP_TEXT];
    struct server_settings settings = served_settings;
    trust(&settings, proxies);
    served_open(&w, &settings);
    int fd = tcp_connect(&w);
    say(&w, fd, "GET /hold HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
    assert_string_equal(client_of(&w, room), "192.0.2.7");
    assert_string_equal(exchange_peer(w.answers[0].x), "127.0.0.1");
    finish(&w, fd);
    say(&w, fd, "GET /hold HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.8\r\n\r\n");
    assert_string_equal(client_of(&w, room), "192.0.2.8");
    finish(&w, fd);
    say(&w, fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_string_equal(client_of(&w, room), "127.0.0.1");
    finish(&w, fd);
    settings.trust.proxies_count = 0; /* a reload: nobody is believed any more */
    server_set_settings(w.server, &settings);
    say(&w, fd, "GET /hold HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.8\r\n\r\n");
    assert_string_equal(client_of(&w, room), "127.0.0.1");
    finish(&w, fd);
    (void)close(fd);
    served_settle(&w);
    served_close(&w);
}

#define REQUEST "GET /hold HTTP/1.1\r\nHost: h\r\n"

static void a_proxy_header_names_the_client_wherever_it_is_cut(void **state)
{
    (void)state;
    static const char all[] = "PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n" REQUEST "\r\n";
    struct served w;
    char room[NET_IP_TEXT];
    struct server_settings settings = served_settings;
    trust(&settings, proxies);
    settings.trust.proxy_protocol[0] = true;
    served_open(&w, &settings);
    for (size_t cut = 0; cut < sizeof(all); cut++) {
        int fd = tcp_connect(&w);
        say_span(&w, fd, span_make(all, cut));
        say_span(&w, fd, span_make(all + cut, sizeof(all) - 1 - cut));
        served_settle(&w);
        assert_string_equal(client_of(&w, room), "192.0.2.7");
        assert_string_equal(exchange_peer(w.answers[0].x), "127.0.0.1");
        finish(&w, fd);
        (void)close(fd);
        served_settle(&w);
        served_forget_answers(&w);
    }
    served_close(&w);
}

static void what_a_header_and_the_request_say_is_one_way(void **state)
{
    (void)state;
    static const struct {
        const char *say, *client;
    } rows[] = {
        {"PROXY UNKNOWN\r\n" REQUEST "\r\n", "127.0.0.1"},
        {"PROXY TCP4 10.0.0.2 10.0.0.1 1 2\r\n" REQUEST "\r\n", "10.0.0.2"},
        {"PROXY TCP4 10.0.0.2 10.0.0.1 1 2\r\n" REQUEST "X-Forwarded-For: 192.0.2.7\r\n\r\n",
         "192.0.2.7"},
        {"PROXY TCP4 192.0.2.8 10.0.0.1 1 2\r\n" REQUEST "X-Forwarded-For: 192.0.2.7\r\n\r\n",
         "192.0.2.8"},
        {"PROXY UNKNOWN\r\n" REQUEST "X-Forwarded-For: 192.0.2.7\r\n\r\n", "192.0.2.7"},
    };
    struct served w;
    char room[NET_IP_TEXT];
    struct server_settings settings = served_settings;
    trust(&settings, proxies);
    settings.trust.proxy_protocol[0] = true;
    served_open(&w, &settings);
    for (size_t r = 0; r < ROWS(rows); r++) {
        int fd = tcp_connect(&w);
        say(&w, fd, rows[r].say);
        assert_string_equal(client_of(&w, room), rows[r].client);
        finish(&w, fd);
        (void)close(fd);
        served_settle(&w);
    }
    served_close(&w);
}

static void a_connection_without_its_header_is_closed_without_a_word(void **state)
{
    (void)state;
    struct served w;
    struct heard heard;
    struct server_settings settings = served_settings;
    trust(&settings, proxies);
    settings.trust.proxy_protocol[0] = true;
    served_open(&w, &settings);
    int fd = tcp_connect(&w);
    say(&w, fd, REQUEST "\r\n");
    hear(&w, fd, &heard);
    assert_true(heard.len == 0 && (heard.ended || heard.reset));
    (void)close(fd);
    settings.trust.proxies_count = 1; /* 10.0.0.0/8: not who connects */
    server_set_settings(w.server, &settings);
    fd = tcp_connect(&w);
    say(&w, fd, "PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n" REQUEST "\r\n");
    hear(&w, fd, &heard);
    assert_true(heard.len == 0 && (heard.ended || heard.reset));
    (void)close(fd);
    assert_int_equal(w.answers_count, 0);
    fd = tcp_connect(&w); /* one that is still at it when the server ends */
    settings.trust.proxies_count = 3;
    server_set_settings(w.server, &settings);
    (void)close(fd);
    fd = tcp_connect(&w);
    say(&w, fd, "PROXY TC");
    served_close(&w);
    (void)close(fd);
}

static void without_proxy_protocol_a_header_is_a_bad_request(void **state)
{
    (void)state;
    struct served w;
    struct heard heard;
    struct server_settings settings = served_settings;
    trust(&settings, proxies);
    served_open(&w, &settings);
    int fd = tcp_connect(&w);
    say(&w, fd, "PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n" REQUEST "\r\n");
    hear(&w, fd, &heard);
    assert_non_null(strstr(heard.text, "HTTP/1.1 400"));
    (void)close(fd);
    served_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_is_the_first_from_the_right_that_is_no_listed_proxy),
        cmocka_unit_test(a_peer_without_an_address_is_not_believed),
        cmocka_unit_test(the_way_back_is_bounded),
        cmocka_unit_test(each_request_of_a_connection_has_the_client_of_its_own_fields),
        cmocka_unit_test(a_proxy_header_names_the_client_wherever_it_is_cut),
        cmocka_unit_test(what_a_header_and_the_request_say_is_one_way),
        cmocka_unit_test(a_connection_without_its_header_is_closed_without_a_word),
        cmocka_unit_test(without_proxy_protocol_a_header_is_a_bad_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
