/* SPDX-License-Identifier: Apache-2.0 */
/* test_exchange.c — what a handler may do with an exchange, and what its client then hears. */
#include "server/served.h"

#define HOLD "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"

static const struct span none = {NULL, 0};

/* A client whose request is with the test. */
static struct exchange *hold(struct served *w, int *fd)
{
    *fd = served_connect(w);
    say(w, *fd, HOLD);
    return w->answers[w->answers_count - 1].x;
}

static void put_text(struct exchange *x, const char *text)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    exchange_put(x, &piece, 1);
}

static void the_head_of_a_request_is_there_as_long_as_the_exchange(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    say(&w, fd, "POST /hold?q=1 HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\n\r\n");
    int other = served_connect(&w);
    say(&w, other, "GET /something HTTP/1.1\r\nHost: another.example\r\n\r\n");
    struct exchange *x = w.answers[0].x;
    const struct http_request *r = exchange_head(x);
    assert_true(span_is(http_request_path(r), "/hold"));
    assert_true(span_is(http_request_query(r), "q=1"));
    assert_true(span_is(http_request_host(r), "example.org"));
    assert_int_equal(exchange_body_length(x), 3);
    assert_ptr_equal(exchange_loop(x), w.loop);
    char us[32];
    (void)snprintf(us, sizeof(us), "uid:%u", geteuid()); /* of a Unix socket */
    assert_string_equal(exchange_peer(x), us);
    assert_true(clock_since(exchange_started(x), clock_mono()) >= 0);
    exchange_cancel(x);
    (void)close(fd);
    (void)close(other);
    served_close(&w);
}

static void the_head_travels_with_the_first_body_bytes(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd;
    struct exchange *x = hold(&w, &fd);
    struct heard heard;
    exchange_put_head(x, 200, SPAN("A: b\r\n"), UINT64_MAX);
    assert_int_equal(exchange_waiting(x), 0);
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, "");
    put_text(x, "data");
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    "4\r\ndata\r\n");
    assert_int_equal(exchange_sent(x), strlen(heard.text) + 37); /* and its Date line */
    put_text(x, ""); /* not a chunk: that would be the last */
    exchange_finish(x);
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, "0\r\n\r\n");
    (void)close(fd);
    served_close(&w);
}

static void nothing_put_sends_the_head_alone(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd;
    struct exchange *x = hold(&w, &fd);
    struct heard heard;
    exchange_put_head(x, 200, none, UINT64_MAX);
    exchange_put(x, NULL, 0);
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    exchange_finish(x);
    x = NULL;
    say(&w, fd, HOLD);
    exchange_put_head(w.answers[1].x, 204, none, 0);
    exchange_finish(w.answers[1].x);
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, "0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    (void)close(fd);
    served_close(&w);
}

static void the_last_bytes_travel_with_the_end(void **state)
{
    (void)state;
    static const struct {
        const char *ask;
        uint64_t length;
        const char *put;
        const char *body;
    } rows[] = {
        {HOLD, UINT64_MAX, "data", "4\r\ndata\r\n0\r\n\r\n"},
        {HOLD, UINT64_MAX, "", "0\r\n\r\n"},
        {HOLD, 4, "data", "data"},
        {"HEAD /hold HTTP/1.1\r\nHost: h\r\n\r\n", UINT64_MAX, "data", ""},
        {"HEAD /hold HTTP/1.1\r\nHost: h\r\n\r\n", 4, "data", ""},
    };
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    for (size_t r = 0; r < ROWS(rows); r++) {
        say(&w, fd, rows[r].ask);
        struct iovec piece = {.iov_base = (void *)(uintptr_t)rows[r].put,
                              .iov_len = strlen(rows[r].put)};
        exchange_put_head(w.answers[r].x, 200, none, rows[r].length);
        exchange_put_last(w.answers[r].x, &piece, 1);
        struct heard heard;
        hear(&w, fd, &heard);
        assert_string_equal(strstr(heard.text, "\r\n\r\n") + 4, rows[r].body);
        assert_false(heard.ended);
    }
    (void)close(fd);
    served_close(&w);
}

static void a_hundred_pieces_are_one_chunk(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd;
    struct exchange *x = hold(&w, &fd);
    struct iovec pieces[150];
    for (size_t i = 0; i < ROWS(pieces); i++) {
        pieces[i] = (struct iovec){.iov_base = (void *)(uintptr_t) "ab", .iov_len = 2};
    }
    exchange_put_head(x, 200, none, UINT64_MAX);
    exchange_put(x, pieces, ROWS(pieces));
    exchange_finish(x);
    struct heard heard;
    hear(&w, fd, &heard);
    const char *body = strstr(heard.text, "\r\n\r\n") + 4;
    assert_memory_equal(body, "12c\r\nabab", 9);
    assert_int_equal(strlen(body), 5 + 300 + 2 + 5);
    (void)close(fd);
    served_close(&w);
}

static void a_client_that_waits_for_100_gets_it_once_when_the_body_is_wanted(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    struct heard heard;
    int fd = served_connect(&w);
    const char *head = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
                       "Expect: 100-continue\r\n\r\n";
    say(&w, fd, head);
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(exchange_sent(w.answers[0].x), 0); /* it is not part of the reply */
    say(&w, fd, "ab");
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, "HTTP/1.1 200 OK\r\nX-Id: 1\r\nContent-Length: 2\r\n\r\nab");
    assert_false(heard.ended);
    say_span(&w, fd, span_make(head, strlen(head)));
    hear(&w, fd, &heard);
    (void)close(fd);
    served_settle(&w);

    /* Who sends the body at once does not wait. */
    ask(&w, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab",
        &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 200 OK\r\n", 17);

    /* Nor is the body of a refused request called for. */
    ask(&w, "POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 401 ", 13);
    assert_non_null(strstr(heard.text, "\r\nConnection: close\r\n"));
    assert_true(heard.ended);
    served_close(&w);
}

static void a_body_past_its_limit_is_413_however_it_is_framed(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n",
    };
    struct server_settings settings = served_settings;
    settings.body_bytes_max = 10;
    struct served w;
    served_open(&w, &settings);
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct heard heard;
        ask(&w, rows[r], &heard);
        assert_memory_equal(heard.text, "HTTP/1.1 413 ", 13);
        assert_int_equal(w.answers[r].failed, ERR_BODY_TOO_LARGE);
        assert_true(heard.ended);
    }
    served_close(&w);
}

static void a_malformed_chunk_is_400(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    struct heard heard;
    ask(&w, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n",
        &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 400 ", 13);
    assert_int_equal(w.answers[0].failed, ERR_HTTP_CHUNK);
    assert_true(heard.ended);
    served_close(&w);
}

static void a_body_that_stops_coming_is_408(void **state)
{
    (void)state;
    struct server_settings settings = served_settings;
    settings.body_timeout_ms = 20;
    struct served w;
    served_open(&w, &settings);
    int fd = served_connect(&w);
    say(&w, fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na");
    SERVED_UNTIL(&w, w.answers[0].failed != ERR_OK);
    assert_int_equal(w.answers[0].failed, ERR_HTTP_BODY_TIMEOUT);
    struct heard heard;
    hear(&w, fd, &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 408 ", 13);
    (void)close(fd);
    served_close(&w);
}

static void a_body_slower_than_the_least_rate_is_408(void **state)
{
    (void)state;
    struct server_settings settings = served_settings;
    settings.body_timeout_ms = 20;
    settings.body_rate_min_bytes = 100000;
    struct served w;
    served_open(&w, &settings);
    int fd = served_connect(&w);
    mono_us begin = clock_mono();
    say(&w, fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    for (int64_t bytes = 0; w.answers[0].failed == ERR_OK;) {
        int64_t passed_us = clock_since(begin, clock_mono());
        assert_true(passed_us < 5000000);
        if (passed_us > bytes * 1000) { /* never silent for body_timeout_ms */
            say(&w, fd, "x");
            bytes++;
        }
        served_settle(&w);
    }
    assert_int_equal(w.answers[0].failed, ERR_HTTP_BODY_TIMEOUT);
    assert_true(clock_since(begin, clock_mono()) > 20000);
    (void)close(fd);
    served_close(&w);
}

static void a_reply_that_is_not_taken_stops_the_writer_and_waits_in_bounds(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    say(&w, fd, "GET /big/3000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    struct answer *a = &w.answers[0];
    assert_true(a->left > 0);
    assert_true(exchange_waiting(a->x) > 0);
    assert_true(memory_taken() + BUF_UNCOUNTED >= exchange_waiting(a->x));
    static char some[100000];
    size_t total = 0;
    while (total < 3000000) {
        ssize_t n = recv(fd, some, sizeof(some), 0);
        if (n < 0) {
            served_settle(&w);
            continue;
        }
        total += (size_t)n;
    }
    assert_true(a->put <= 16 * 1024);
    assert_null(a->x);
    served_settle(&w);
    assert_int_equal(memory_taken(), 0);
    (void)close(fd);
    served_close(&w);
}

static void what_is_put_beyond_waits_and_arrives(void **state)
{
    (void)state;
    enum { PUTS = 100 };
    struct served w;
    served_open(&w, &served_settings);
    int fd;
    struct exchange *x = hold(&w, &fd);
    static char block[32 * 1024];
    struct iovec piece = {.iov_base = block, .iov_len = sizeof(block)};
    exchange_put_head(x, 200, none, PUTS * sizeof(block));
    for (int i = 0; i < PUTS; i++) {
        exchange_put(x, &piece, 1);
    }
    assert_false(exchange_is_gone(x));
    assert_true(exchange_waiting(x) > (size_t)served_settings.output_bytes_max);
    exchange_finish(x);
    size_t total = 0;
    while (total < PUTS * sizeof(block)) {
        static char some[100000];
        ssize_t n = recv(fd, some, sizeof(some), 0);
        if (n < 0) {
            served_settle(&w);
            continue;
        }
        assert_true(n > 0);
        total += (size_t)n;
    }
    (void)close(fd);
    served_close(&w);
}

static void a_client_that_takes_nothing_for_too_long_is_gone(void **state)
{
    (void)state;
    struct server_settings settings = served_settings;
    settings.write_timeout_ms = 20;
    struct served w;
    served_open(&w, &settings);
    int fd = served_connect(&w);
    say(&w, fd, "GET /big/3000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    SERVED_UNTIL(&w, w.answers[0].was_gone);
    assert_int_equal(served_connections, 0);
    /* The same when the handler has finished long ago. */
    int second = served_connect(&w);
    say(&w, second, HOLD);
    static char block[1000000];
    struct iovec piece = {.iov_base = block, .iov_len = sizeof(block)};
    exchange_put_head(w.answers[1].x, 200, none, sizeof(block));
    exchange_put(w.answers[1].x, &piece, 1);
    exchange_finish(w.answers[1].x);
    assert_int_equal(served_connections, 1);
    SERVED_UNTIL(&w, served_connections == 0);
    (void)close(fd);
    (void)close(second);
    served_close(&w);
}

static void output_past_the_common_allowance_ends_the_reply(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    memory_set_allowance(1000);
    int fd = served_connect(&w);
    say(&w, fd, "GET /big/3000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(w.answers[0].was_gone);
    assert_int_equal(served_connections, 0);
    memory_set_allowance(0);
    (void)close(fd);
    served_close(&w);
}

static void broken_replies_look_broken(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint64_t length;
        const char *put;
        void (*end)(struct exchange *x);
        const char *body;
        bool reset;
    } rows[] = {
        {"cancelled in mid-stream", UINT64_MAX, "data", exchange_cancel, "4\r\ndata\r\n", false},
        {"cancelled before the body's end", 10, "data", exchange_cancel, "data", false},
        {"finished before the body's end", 10, "data", exchange_finish, "data", false},
        {"cancelled before the first byte", UINT64_MAX, NULL, exchange_cancel, NULL, false},
    };
    struct served w;
    served_open(&w, &served_settings);
    for (size_t r = 0; r < ROWS(rows); r++) {
        int fd;
        struct exchange *x = hold(&w, &fd);
        exchange_put_head(x, 200, none, rows[r].length);
        if (rows[r].put != NULL) {
            put_text(x, rows[r].put);
        }
        rows[r].end(x);
        struct heard heard;
        hear(&w, fd, &heard);
        const char *body = strstr(heard.text, "\r\n\r\n");
        body = body == NULL ? NULL : body + 4;
        if ((body == NULL) != (rows[r].body == NULL) ||
            (body != NULL && strcmp(body, rows[r].body) != 0) || !heard.ended) {
            fail_msg("%s: heard \"%s\"", rows[r].why, heard.text);
        }
        (void)close(fd);
    }
    served_close(&w);
}

static void raw_bytes_are_sent_as_they_are(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd;
    struct exchange *x = hold(&w, &fd);
    exchange_put_raw(x, SPAN("HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\nx"));
    exchange_cancel(x);
    struct heard heard;
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, "HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\nx");
    assert_true(heard.ended);
    (void)close(fd);
    served_close(&w);
}

static void a_client_that_resets_in_mid_reply_is_gone(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    say(&w, fd, "GET /big/3000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    (void)close(fd); /* with a reply unread: a reset */
    served_settle(&w);
    assert_true(w.answers[0].was_gone);
    assert_int_equal(served_connections, 0);
    served_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_of_a_request_is_there_as_long_as_the_exchange),
        cmocka_unit_test(the_head_travels_with_the_first_body_bytes),
        cmocka_unit_test(nothing_put_sends_the_head_alone),
        cmocka_unit_test(the_last_bytes_travel_with_the_end),
        cmocka_unit_test(a_hundred_pieces_are_one_chunk),
        cmocka_unit_test(a_client_that_waits_for_100_gets_it_once_when_the_body_is_wanted),
        cmocka_unit_test(a_body_past_its_limit_is_413_however_it_is_framed),
        cmocka_unit_test(a_malformed_chunk_is_400),
        cmocka_unit_test(a_body_that_stops_coming_is_408),
        cmocka_unit_test(a_body_slower_than_the_least_rate_is_408),
        cmocka_unit_test(a_reply_that_is_not_taken_stops_the_writer_and_waits_in_bounds),
        cmocka_unit_test(what_is_put_beyond_waits_and_arrives),
        cmocka_unit_test(a_client_that_takes_nothing_for_too_long_is_gone),
        cmocka_unit_test(output_past_the_common_allowance_ends_the_reply),
        cmocka_unit_test(broken_replies_look_broken),
        cmocka_unit_test(raw_bytes_are_sent_as_they_are),
        cmocka_unit_test(a_client_that_resets_in_mid_reply_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
