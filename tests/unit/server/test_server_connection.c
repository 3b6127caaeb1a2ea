/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_connection.c — what a connection does with requests, in pieces and in rows, and with
 * clients that are slow, rude or gone. */
#include "server/served.h"

#include <fcntl.h>
#include <netinet/in.h>

#include "net/net_listen.h"

#define OK(body, length) "HTTP/1.1 200 OK\r\nX-Id: 1\r\nContent-Length: " length "\r\n\r\n" body

static const struct {
    const char *why;
    const char *say;
    const char *expect;
} answered[] = {
    {"one request", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", OK("/a", "2")},
    {"two requests, pipelined",
     "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /bc HTTP/1.1\r\nHost: h\r\n\r\n",
     OK("/a", "2") OK("/bc", "3")},
    {"a body of known length, read",
     "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nHello, world"
     "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
     OK("Hello, world", "12") OK("/a", "2")},
    {"a chunked body, read",
     "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5;x=y\r\nHello\r\n7\r\n, world\r\n0\r\nT: v\r\n\r\n"
     "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
     OK("Hello, world", "12") OK("/a", "2")},
    {"bodies that nobody reads are dropped",
     "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nHello"
     "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
     "GET /c HTTP/1.1\r\nHost: h\r\n\r\n",
     OK("/a", "2") OK("/b", "2") OK("/c", "2")},
    {"a chunked reply", "GET /stream HTTP/1.1\r\nHost: h\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
     "chunked\r\n\r\n6\r\nonetwo\r\n3\r\none\r\n0\r\n\r\n" OK("/a", "2")},
    {"HEAD has the head of GET and no body",
     "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n"
     "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
     "HTTP/1.1 200 OK\r\nX-Id: 1\r\nContent-Length: 2\r\n\r\n"
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" OK("/a", "2")},
};

/* A client says the row's bytes in two parts. */
static void say_cut_at(struct served *w, size_t row, size_t cut)
{
    struct span all = span_of(answered[row].say);
    struct heard heard;
    int fd = served_connect(w);
    say_span(w, fd, span_cut(all, 0, cut));
    say_span(w, fd, span_cut(all, cut, all.len));
    hear(w, fd, &heard);
    if (strcmp(heard.text, answered[row].expect) != 0 || heard.ended) {
        fail_msg("%s, cut at %zu: heard \"%s\"", answered[row].why, cut, heard.text);
    }
    (void)close(fd);
    served_settle(w);
    served_forget_answers(w);
}

static void requests_are_answered_in_order_wherever_they_are_cut(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    for (size_t r = 0; r < ROWS(answered); r++) {
        for (size_t cut = 0; cut <= strlen(answered[r].say); cut++) {
            say_cut_at(&w, r, cut);
        }
    }
    served_close(&w);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    struct span all = SPAN("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "3\r\nabc\r\n0\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    int fd = served_connect(&w);
    for (size_t i = 0; i < all.len; i++) {
        say_span(&w, fd, span_cut(all, i, 1));
    }
    struct heard heard;
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, OK("abc", "3") OK("/a", "2"));
    (void)close(fd);
    served_close(&w);
}

static void the_connection_closes_when_the_client_wants_it_or_http_1_0_does_not_ask(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *say;
        const char *expect;
        bool ended;
    } rows[] = {
        {"Connection: close", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
         "HTTP/1.1 200 OK\r\nX-Id: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n/a", true},
        {"HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n",
         "HTTP/1.1 200 OK\r\nX-Id: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n/a", true},
        {"HTTP/1.0 that asks to be kept", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "HTTP/1.1 200 OK\r\nX-Id: 1\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n/a",
         false},
        {"a stream to HTTP/1.0 lasts until close",
         "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonetwoone", true},
        {"nothing is answered behind a close",
         "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: "
         "h\r\n\r\n",
         "HTTP/1.1 200 OK\r\nX-Id: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n/a", true},
    };
    struct served w;
    served_open(&w, &served_settings);
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct heard heard;
        ask(&w, rows[r].say, &heard);
        if (strcmp(heard.text, rows[r].expect) != 0 || heard.ended != rows[r].ended) {
            fail_msg("%s: heard \"%s\"%s", rows[r].why, heard.text, heard.ended ? ", closed" : "");
        }
    }
    assert_int_equal(served_connections, 0);
    served_close(&w);
}

static void what_is_not_http_is_refused_and_closed(void **state)
{
    (void)state;
    static const struct {
        const char *say;
        const char *status;
    } rows[] = {
        {"\x16\x03\x01\x02\n", "400 Bad Request"},
        {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request"},
        {"GET / HTTP/1.1\nHost: h\n\n", "400 Bad Request"},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         "400 Bad Request"},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505 HTTP Version Not Supported"},
        {"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "501 Not Implemented"},
    };
    struct served w;
    served_open(&w, &served_settings);
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct heard heard;
        ask(&w, rows[r].say, &heard);
        if (strncmp(heard.text + 9, rows[r].status, strlen(rows[r].status)) != 0 ||
            strstr(heard.text, "\r\nConnection: close\r\n") == NULL ||
            strstr(heard.text, "\r\nx-request-id: ") == NULL ||
            strstr(heard.text, "\r\n\r\n{\"error\":{\"message\":\"") == NULL || !heard.ended) {
            fail_msg("\"%s\": heard \"%s\"", rows[r].say, heard.text);
        }
    }
    assert_int_equal(w.answers_count, 0);
    served_close(&w);
}

static void a_head_request_that_is_refused_gets_no_body(void **state)
{
    (void)state;
    static const char *const says[] = {"HEAD / HTTP/1.1\r\nHost: h g\r\n\r\n", /* parsed whole */
                                       "HEAD /a#b HTTP/1.1\r\n" /* and not */};
    struct served w;
    served_open(&w, &served_settings);
    for (size_t r = 0; r < ROWS(says); r++) {
        struct heard heard;
        ask(&w, says[r], &heard);
        const char *end = strstr(heard.text, "\r\n\r\n");
        if (end == NULL || end[4] != '\0' || !heard.ended ||
            strstr(heard.text, "\r\nContent-Length: ") == NULL) {
            fail_msg("\"%s\": heard \"%s\"", says[r], heard.text);
        }
    }
    served_close(&w);
}

static void heads_beyond_their_limits_are_refused(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    struct heard heard;
    char text[4096];
    (void)snprintf(text, sizeof(text), "GET /%0300d HTTP/1.1\r\nHost: h\r\n\r\n", 1);
    ask(&w, text, &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 414 ", 13);
    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\nX: %02500d\r\n\r\n", 1);
    ask(&w, text, &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 431 ", 13);
    struct buf many;
    buf_init(&many, 4096);
    buf_put_text(&many, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 16; i++) {
        buf_put_text(&many, "A: b\r\n");
    }
    buf_put(&many, span_make("\r\n", 3));
    ask(&w, (const char *)many.at, &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 431 ", 13);
    buf_fini(&many);
    served_close(&w);
}

static void a_slow_head_is_408_and_a_silent_client_is_closed(void **state)
{
    (void)state;
    struct server_settings settings = served_settings;
    settings.head_timeout_ms = 30;
    settings.idle_timeout_ms = 30;
    struct served w;
    served_open(&w, &settings);
    static const struct {
        const char *say;
        const char *expect; /* the status line's beginning */
    } rows[] = {{"GET / HT", "HTTP/1.1 408 "},
                {"", ""},
                {"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 "}};
    for (size_t r = 0; r < ROWS(rows); r++) {
        int fd = served_connect(&w);
        say(&w, fd, rows[r].say);
        struct heard heard = {.len = 0};
        char first[16] = "";
        while (!heard.ended) {
            (void)uv_run(&w.loop->uv, UV_RUN_ONCE);
            hear(&w, fd, &heard);
            span_copy_text(span_make(heard.text, heard.len), first,
                           heard.len > 0 ? 14 : sizeof(first[0]));
            if (heard.len > 0) {
                assert_string_equal(first, rows[r].expect);
            }
        }
        (void)close(fd);
        served_settle(&w);
    }
    served_close(&w);
}

static void one_byte_at_a_time_does_not_stretch_the_time_for_a_head(void **state)
{
    (void)state;
    struct server_settings settings = served_settings;
    settings.head_timeout_ms = 60;
    struct served w;
    served_open(&w, &settings);
    int fd = served_connect(&w);
    mono_us begin = clock_mono();
    int64_t bytes = 0;
    struct heard heard = {.len = 0};
    while (heard.len == 0) {
        int64_t passed_us = clock_since(begin, clock_mono());
        assert_true(passed_us < 5000000);
        if (passed_us > bytes * 1000) {
            say(&w, fd, "G");
            bytes++;
        }
        hear(&w, fd, &heard);
    }
    assert_memory_equal(heard.text, "HTTP/1.1 408 ", 13);
    assert_true(clock_since(begin, clock_mono()) >= 55000);
    (void)close(fd);
    served_close(&w);
}

static void an_early_reply_reaches_a_client_that_is_still_sending(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    say(&w, fd, "POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n");
    char block[10000];
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 90; i++) {
        say_span(&w, fd, span_make(block, sizeof(block)));
    }
    struct heard heard;
    hear(&w, fd, &heard);
    assert_memory_equal(heard.text, "HTTP/1.1 401 Unauthorized\r\n", 27);
    assert_non_null(strstr(heard.text, "\r\nWWW-Authenticate: Bearer\r\n"));
    assert_non_null(strstr(heard.text, "\r\nConnection: close\r\n"));
    assert_true(heard.ended);
    assert_int_equal(served_connections, 1); /* it still listens, and drops what it hears */
    (void)close(fd);
    served_settle(&w);
    assert_int_equal(served_connections, 0);
    served_close(&w);
}

static void a_fin_after_a_whole_request_means_that_the_client_is_gone(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    say(&w, fd, "POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(w.answers_count, 1);
    assert_int_equal(w.answers[0].events, 0);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    served_settle(&w);
    assert_true(w.answers[0].was_gone);
    assert_int_equal(w.answers[0].events, 1);
    assert_int_equal(served_connections, 0);
    (void)close(fd);
    served_close(&w);
}

static void a_fin_within_a_body_is_a_body_cut_off(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    say(&w, fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    struct heard heard;
    hear(&w, fd, &heard);
    assert_int_equal(w.answers[0].failed, ERR_HTTP_BODY_CUT);
    assert_memory_equal(heard.text, "HTTP/1.1 400 ", 13);
    assert_true(heard.ended);
    (void)close(fd);
    served_close(&w);
}

static void what_is_pipelined_behind_a_call_is_held_and_counted_until_its_turn(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    say(&w, fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    say(&w, fd, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(w.answers_count, 1);
    assert_int_equal(memory_taken(), 28);
    struct heard heard;
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, "");
    answer_with(&w.answers[0], "first");
    assert_int_equal(w.answers_count, 1); /* the next one is not begun within exchange_finish() */
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, OK("first", "5") OK("/b", "2"));
    (void)close(fd);
    served_close(&w);
}

/* As much as the client's socket takes of `total` bytes; those that it took. */
static size_t say_some(struct served *w, int fd, size_t total)
{
    static char junk[32 * 1024];
    memset(junk, 'j', sizeof(junk));
    size_t sent = 0;
    while (sent < total) {
        size_t len = total - sent < sizeof(junk) ? total - sent : sizeof(junk);
        ssize_t n = send(fd, junk, len, MSG_NOSIGNAL);
        if (n <= 0) {
            break;
        }
        sent += (size_t)n;
        served_settle(w);
    }
    return sent;
}

static void a_client_that_pipelines_much_and_leaves_is_seen_to_leave(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    say(&w, fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(say_some(&w, fd, 120 * 1024), 120 * 1024);
    assert_false(w.answers[0].was_gone);
    assert_int_equal(memory_taken(), 120 * 1024);
    (void)close(fd);
    served_settle(&w);
    assert_true(w.answers[0].was_gone);
    assert_int_equal(memory_taken(), 0);
    served_close(&w);
}

static void a_client_that_pipelines_more_than_128_kib_behind_a_call_is_cut(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    say(&w, fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(say_some(&w, fd, 1024 * 1024) < 1024 * 1024);
    assert_true(w.answers[0].was_gone);
    (void)close(fd);
    served_close(&w);
}

static void a_head_in_pieces_is_counted_by_its_length_and_not_among_calls(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    say(&w, fd, "GET /a HTTP/1.1\r\n");
    uint64_t first = memory_taken_for_strangers();
    assert_in_range(first, 17, 1024); /* and what was parsed of it */
    say(&w, fd, "Host: h\r\n");
    assert_int_equal(memory_taken_for_strangers(), first + 9);
    assert_int_equal(memory_taken(), 0);
    say(&w, fd, "\r\n");
    assert_int_equal(memory_taken_for_strangers(), 0);
    struct heard heard;
    hear(&w, fd, &heard);
    assert_string_equal(heard.text, OK("/a", "2"));
    (void)close(fd);
    served_close(&w);
}

static void strangers_who_hold_their_share_get_503_and_whole_heads_are_served(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    memory_set_allowance(8 * 10000); /* 10,000 for them */
    int fds[64], count = 0;
    char piece[1100];
    (void)snprintf(piece, sizeof(piece), "GET /a HTTP/1.1\r\nX: %01000d", 0);
    struct heard heard = {.len = 0};
    while (heard.len == 0 && count < 64) {
        fds[count] = served_connect(&w);
        say(&w, fds[count], piece);
        hear(&w, fds[count++], &heard);
    }
    assert_in_range(count, 5, 11);
    assert_non_null(strstr(heard.text, "HTTP/1.1 503 "));
    assert_non_null(strstr(heard.text, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(heard.text, "\"code\":\"overloaded\""));
    assert_true(heard.ended && !heard.reset);
    ask(&w, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n", &heard);
    assert_string_equal(heard.text, OK("/b", "2"));
    assert_int_equal(memory_taken(), 0);
    for (int i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
    served_settle(&w);
    memory_set_allowance(0);
    served_close(&w);
}

static void draining_answers_what_is_in_flight_and_closes_the_rest(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int idle = served_connect(&w);
    int busy = served_connect(&w);
    int late = served_connect(&w);
    say(&w, idle, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    say(&w, busy, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    struct heard heard;
    hear(&w, idle, &heard);
    assert_false(heard.ended);
    /* This one is in the kernel when the drain begins: it is answered. */
    assert_int_equal(send(late, "GET /l HTTP/1.1\r\nHost: h\r\n\r\n", 28, 0), 28);
    server_drain(w.server);
    hear(&w, idle, &heard);
    assert_true(heard.ended);
    hear(&w, late, &heard);
    assert_string_equal(
        heard.text,
        "HTTP/1.1 200 OK\r\nX-Id: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n/l");
    assert_true(heard.ended);
    assert_false(server_is_idle(w.server));
    answer_with(&w.answers[1], "done");
    hear(&w, busy, &heard);
    assert_non_null(strstr(heard.text, "\r\nConnection: close\r\n\r\ndone"));
    assert_true(heard.ended);
    assert_false(server_is_idle(w.server));
    assert_true(server_stop_accepting(w.server));
    assert_true(server_is_idle(w.server));
    (void)close(idle);
    (void)close(busy);
    (void)close(late);
    served_close(&w);
}

/* Says a request on a connection, which must be told 503 and closed. */
static void is_told_503(struct served *w, int fd)
{
    struct heard heard;
    say(w, fd, "POST /late HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    hear(w, fd, &heard);
    assert_non_null(strstr(heard.text, "HTTP/1.1 503 "));
    assert_non_null(strstr(heard.text, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(heard.text, "the gateway is stopping"));
    assert_true(heard.ended);
    (void)close(fd);
}

static void who_connects_while_the_server_drains_is_told_503_also_in_the_backlog(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int first = served_connect(&w); /* has said nothing yet */
    struct net_address at;
    int listening;
    assert_int_equal(net_address_parse("127.0.0.1:0", &at), ERR_OK);
    assert_int_equal(net_listen_fd(&at, false, &listening), ERR_OK);
    at.len = sizeof(at.storage);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at.storage, &at.len), 0);
    assert_int_equal(server_listen(w.server, listening, 0, NULL), ERR_OK);
    server_drain(w.server);
    is_told_503(&w, served_connect(&w));
    int waiting[3];
    for (int i = 0; i < 3; i++) { /* nobody accepts: the loop does not turn */
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(waiting[i], (struct sockaddr *)&at.storage, at.len), 0);
        assert_int_equal(fcntl(waiting[i], F_SETFL, O_NONBLOCK), 0);
    }
    assert_true(server_stop_accepting(w.server));
    int refused = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(refused, (struct sockaddr *)&at.storage, at.len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    (void)close(refused);
    for (int i = 0; i < 3; i++) {
        is_told_503(&w, waiting[i]);
    }
    assert_int_equal(w.answers_count, 0);
    assert_false(server_is_idle(w.server));
    struct heard heard;
    say(&w, first, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    hear(&w, first, &heard);
    assert_non_null(strstr(heard.text, "\r\nConnection: close\r\n\r\n/a"));
    (void)close(first);
    SERVED_UNTIL(&w, server_is_idle(w.server));
    served_close(&w);
}

static void a_connection_that_says_nothing_holds_a_drain_up_for_a_second(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int silent = served_connect(&w);
    served_settle(&w);
    server_drain(w.server);
    int late = served_connect(&w);
    assert_true(server_stop_accepting(w.server));
    mono_us begin = clock_mono();
    SERVED_UNTIL(&w, server_is_idle(w.server));
    assert_in_range(clock_since(begin, clock_mono()), 900000, 5000000);
    (void)close(silent);
    (void)close(late);
    served_close(&w);
}

static void closing_tells_open_exchanges_that_their_clients_are_gone(void **state)
{
    (void)state;
    struct served w;
    served_open(&w, &served_settings);
    int fd = served_connect(&w);
    say(&w, fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    server_close(&w.server);
    assert_true(w.answers[0].was_gone);
    assert_null(w.answers[0].x);
    (void)close(fd);
    served_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered_in_order_wherever_they_are_cut),
        cmocka_unit_test(a_request_may_come_byte_by_byte),
        cmocka_unit_test(the_connection_closes_when_the_client_wants_it_or_http_1_0_does_not_ask),
        cmocka_unit_test(what_is_not_http_is_refused_and_closed),
        cmocka_unit_test(a_head_request_that_is_refused_gets_no_body),
        cmocka_unit_test(heads_beyond_their_limits_are_refused),
        cmocka_unit_test(a_slow_head_is_408_and_a_silent_client_is_closed),
        cmocka_unit_test(one_byte_at_a_time_does_not_stretch_the_time_for_a_head),
        cmocka_unit_test(an_early_reply_reaches_a_client_that_is_still_sending),
        cmocka_unit_test(a_fin_after_a_whole_request_means_that_the_client_is_gone),
        cmocka_unit_test(a_fin_within_a_body_is_a_body_cut_off),
        cmocka_unit_test(what_is_pipelined_behind_a_call_is_held_and_counted_until_its_turn),
        cmocka_unit_test(a_client_that_pipelines_much_and_leaves_is_seen_to_leave),
        cmocka_unit_test(a_client_that_pipelines_more_than_128_kib_behind_a_call_is_cut),
        cmocka_unit_test(a_head_in_pieces_is_counted_by_its_length_and_not_among_calls),
        cmocka_unit_test(strangers_who_hold_their_share_get_503_and_whole_heads_are_served),
        cmocka_unit_test(draining_answers_what_is_in_flight_and_closes_the_rest),
        cmocka_unit_test(who_connects_while_the_server_drains_is_told_503_also_in_the_backlog),
        cmocka_unit_test(a_connection_that_says_nothing_holds_a_drain_up_for_a_second),
        cmocka_unit_test(closing_tells_open_exchanges_that_their_clients_are_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
