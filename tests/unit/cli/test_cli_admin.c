/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_admin.c — an answer is read whole, however it is framed and cut, or not at all. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli_admin.h"

#define TIMEOUT_MS 20000

/* A gateway that answers one request with what it was given. */
struct gateway {
    char folder[32], path[64];
    int fd;
    pthread_t thread;
    const char *answer;
    size_t piece; /* bytes a send */
    bool hangs;   /* keeps the connection open until the client closes it */
    char heard[4096];
};

static void hear(struct gateway *g, int fd)
{
    size_t len = 0;
    while (strstr(g->heard, "\r\n\r\n") == NULL ||
           (strstr(g->heard, "Content-Length") != NULL && strchr(g->heard, '}') == NULL)) {
        ssize_t n = recv(fd, g->heard + len, sizeof(g->heard) - 1 - len, 0);
        if (n <= 0) {
            return;
        }
        len += (size_t)n;
        g->heard[len] = '\0';
    }
}

static void *serve(void *context)
{
    struct gateway *g = context;
    int fd = accept(g->fd, NULL, NULL);
    hear(g, fd);
    size_t len = strlen(g->answer);
    for (size_t at = 0; at < len; at += g->piece) {
        size_t n = len - at < g->piece ? len - at : g->piece;
        if (send(fd, g->answer + at, n, MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    char end;
    if (g->hangs) {
        (void)!recv(fd, &end, 1, 0); /* returns when the client closes */
    }
    (void)close(fd);
    return NULL;
}

static void start(struct gateway *g, const char *answer, size_t piece)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memset(g, 0, sizeof(*g));
    g->answer = answer;
    g->piece = piece;
    (void)snprintf(g->folder, sizeof(g->folder), "/tmp/atlas-unit-XXXXXX");
    assert_non_null(mkdtemp(g->folder));
    (void)snprintf(g->path, sizeof(g->path), "%s/admin.sock", g->folder);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", g->path);
    g->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(g->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(g->fd, 1), 0);
}

static void answer_one(struct gateway *g)
{
    assert_int_equal(pthread_create(&g->thread, NULL, serve, g), 0);
}

static void stop(struct gateway *g)
{
    (void)pthread_join(g->thread, NULL);
    (void)close(g->fd);
    (void)unlink(g->path);
    assert_int_equal(rmdir(g->folder), 0);
}

static const struct admin_request list = {.method = HTTP_GET,
                                          .path = {(const uint8_t *)"/admin/v1/keys", 14}};

static void answers_of_every_framing_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *why, *answer;
        enum err expect;
        int status;
        const char *body;
    } rows[] = {
        {"a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ERR_OK, 200, "hello"},
        {"no bytes", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ERR_OK, 200, ""},
        {"chunks",
         "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: "
         "chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
         ERR_OK, 404, "hello"},
        {"until it closes", "HTTP/1.1 200 OK\r\n\r\nhello", ERR_OK, 200, "hello"},
        {"a step before",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", ERR_OK,
         201, "x"},
        {"more than the length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", ERR_OK, 200,
         "he"},
        {"cut in the body", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", ERR_NET_CLOSED, 0,
         NULL},
        {"cut in the chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
         ERR_NET_CLOSED, 0, NULL},
        {"cut in the head", "HTTP/1.1 200 OK\r\nContent-", ERR_NET_CLOSED, 0, NULL},
        {"nothing", "", ERR_NET_CLOSED, 0, NULL},
        {"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", ERR_NET, 0, NULL},
        {"bad chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", ERR_NET, 0,
         NULL},
        {"longer than its room",
         "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"
         "0123456789012345678901234567890123456789",
         ERR_NO_MEMORY, 0, NULL},
    };
    static const size_t pieces[] = {1, 7, 65536};
    for (size_t r = 0; r < ROWS(rows); r++) {
        for (size_t p = 0; p < ROWS(pieces); p++) {
            struct gateway g;
            struct buf answer;
            struct cli_admin_reply reply;
            start(&g, rows[r].answer, pieces[p]);
            answer_one(&g);
            buf_init(&answer, 32);
            enum err e = cli_admin_call(g.path, &list, TIMEOUT_MS, &answer, &reply);
            stop(&g);
            if (e != rows[r].expect || !reply.was_sent ||
                (e == ERR_OK &&
                 (reply.status != rows[r].status || !span_is(buf_span(&answer), rows[r].body)))) {
                fail_msg("%s, in pieces of %zu: %s, %d", rows[r].why, pieces[p], err_name(e),
                         reply.status);
            }
            buf_fini(&answer);
        }
    }
}

static void the_request_is_sent_whole(void **state)
{
    (void)state;
    struct gateway g;
    struct buf answer;
    struct cli_admin_reply reply;
    const struct admin_request request = {.method = HTTP_POST,
                                          .path = SPAN("/admin/v1/keys"),
                                          .query = SPAN("a=b%20c"),
                                          .body = SPAN("{\"name\":\"n\"}"),
                                          .if_match = SPAN("\"7\"")};
    start(&g, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 100);
    answer_one(&g);
    buf_init(&answer, 32);
    assert_int_equal(cli_admin_call(g.path, &request, TIMEOUT_MS, &answer, &reply), ERR_OK);
    stop(&g);
    buf_fini(&answer);
    assert_string_equal(
        g.heard, "POST /admin/v1/keys?a=b%20c HTTP/1.1\r\nHost: localhost\r\n"
                 "Connection: close\r\nIf-Match: \"7\"\r\n"
                 "Content-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"name\":\"n\"}");
}

static void who_does_not_answer_is_given_up(void **state)
{
    (void)state;
    struct gateway g;
    struct buf answer;
    struct cli_admin_reply reply;
    start(&g, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", 100);
    g.hangs = true;
    answer_one(&g);
    buf_init(&answer, 32);
    assert_int_equal(cli_admin_call(g.path, &list, 50, &answer, &reply), ERR_NET_TIMEOUT);
    stop(&g);
    buf_fini(&answer);
}

static void a_socket_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct buf answer;
    struct cli_admin_reply reply;
    char path[200];
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    buf_init(&answer, 32);
    assert_int_equal(cli_admin_call("/nonexistent/admin.sock", &list, 50, &answer, &reply),
                     ERR_NET_REFUSED);
    assert_false(reply.was_sent);
    assert_int_equal(cli_admin_call(path, &list, 50, &answer, &reply), ERR_ADDRESS);
    assert_false(reply.was_sent);
    buf_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_every_framing_are_read),
        cmocka_unit_test(the_request_is_sent_whole),
        cmocka_unit_test(who_does_not_answer_is_given_up),
        cmocka_unit_test(a_socket_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
