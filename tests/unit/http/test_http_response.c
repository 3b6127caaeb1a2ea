/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_response.c — an upstream's head is read strictly, and alike wherever it is cut. */
#include "unit.h"

#include <stdio.h>

#include "http/http_response.h"

#define ROWS_MAX  4
#define HEAD_MOST 200

struct read {
    enum err e;
    size_t used; /* 0: bytes are missing */
    struct http_response r;
    struct http_field rows[ROWS_MAX];
};

/* Gives `first` bytes, then `step` more each time. */
static void read_in_steps(struct span head, bool to_head, size_t first, size_t step,
                          struct read *out)
{
    http_response_init(&out->r, HEAD_MOST, to_head, out->rows, ROWS_MAX);
    out->used = 0;
    out->e = ERR_OK;
    size_t len = first;
    for (;;) {
        out->e = http_response_parse(&out->r, span_cut(head, 0, len), &out->used);
        if (out->e != ERR_OK || out->used > 0 || len >= head.len) {
            return;
        }
        len += step;
    }
}

static void describe(const struct read *read, char *out, size_t size)
{
    static const char *const kinds[] = {"none", "length", "chunked", "close"};
    if (read->e != ERR_OK || read->used == 0) {
        (void)snprintf(out, size, "%s", read->e == ERR_OK ? "MORE" : err_name(read->e));
        return;
    }
    const struct http_response *r = &read->r;
    struct span reason = http_piece_span(&r->fields, r->reason);
    (void)snprintf(out, size, "%d 1.%d \"%.*s\" %s:%llu fields=%u%s%s", r->status, r->minor,
                   SPAN_ARGS(reason), kinds[r->body.kind], (unsigned long long)r->body.length,
                   r->fields.count, r->keep_alive ? " keep" : "", r->is_coded ? " coded" : "");
}

static void read_every_way(const char *text, bool to_head, char *says, size_t size)
{
    struct span head = span_of(text);
    struct read read;
    read_in_steps(head, to_head, head.len, 1, &read);
    describe(&read, says, size);
    for (size_t cut = 0; cut <= head.len; cut++) {
        for (size_t step = 1; step <= head.len; step += head.len) {
            struct read again;
            char other[256];
            read_in_steps(head, to_head, cut, step, &again);
            describe(&again, other, sizeof(other));
            assert_string_equal(other, says);
            assert_int_equal(again.used, read.used);
        }
    }
}

static void a_good_head_says_what_follows_it(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        const char *says;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
         "200 1.1 \"OK\" length:5 fields=1 keep"},
        {"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 1.1 \"\" length:0 fields=1 keep"},
        {"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n",
         "200 1.1 \"\" chunked:0 fields=1 keep"},
        {"HTTP/1.1 503 Try \xe9\tlater\r\nConnection: close\r\nContent-Length: 1\r\n\r\n",
         "503 1.1 \"Try \xe9\tlater\" length:1 fields=2"},
        {"HTTP/1.1 200 OK\r\n\r\n", "200 1.1 \"OK\" close:0 fields=0"},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", "200 1.0 \"OK\" close:0 fields=1"},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n", "200 1.0 \"OK\" length:2 fields=1"},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\n",
         "200 1.0 \"OK\" length:2 fields=2 keep"},
        {"HTTP/1.1 100 Continue\r\n\r\n", "100 1.1 \"Continue\" none:0 fields=0 keep"},
        {"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
         "100 1.1 \"Continue\" none:0 fields=1 keep"},
        {"HTTP/1.1 204 No Content\r\n\r\n", "204 1.1 \"No Content\" none:0 fields=0 keep"},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
         "204 1.1 \"No Content\" none:0 fields=1 keep"},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
         "204 1.1 \"No Content\" none:0 fields=1"},
        {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
         "204 1.1 \"No Content\" none:0 fields=1"},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
         "304 1.1 \"Not Modified\" none:0 fields=1 keep"},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n",
         "200 1.1 \"OK\" length:9 fields=2 keep coded"},
        {"HTTP/1.1 200 OK\r\nContent-Length", "MORE"},
        {"HTTP/1.1 200 OK\r", "MORE"},
        {"", "MORE"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char says[256];
        read_every_way(rows[r].head, false, says, sizeof(says));
        assert_string_equal(says, rows[r].says);
    }
    char says[256];
    read_every_way("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, says, sizeof(says));
    assert_string_equal(says, "200 1.1 \"OK\" none:0 fields=1 keep");
}

static void a_head_with_any_doubt_is_refused(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "x",
        "\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/2 200 OK\r\n",
        "HTTP/1.2 200 OK\r\n",
        "http/1.1 200 OK\r\n",
        "HTTP/1.1 20 OK\r\n",
        "HTTP/1.1 099 OK\r\n",
        "HTTP/1.1 600 OK\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "HTTP/1.1 2x0 OK\r\n",
        "HTTP/1.1  200 OK\r\n",
        "HTTP/1.1\t200 OK\r\n",
        "HTTP/1.1 200\tOK\r\n",
        "HTTP/1.1\r\n",
        "HTTP/1.1 200 O\x01K\r\n",
        "HTTP/1.1 200 OK\n",
        "HTTP/1.1 200 OK\r\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n",
        "HTTP/1.1 200 OK\r\n A: b\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n",
        "HTTP/1.1 200 OK\r\nA: b\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 204 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\t\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n", /* too many */
    };
    for (size_t r = 0; r < ROWS(heads); r++) {
        char says[256];
        read_every_way(heads[r], false, says, sizeof(says));
        if (strcmp(says, "UPSTREAM_PROTOCOL") != 0) {
            fail_msg("\"%s\" is %s", heads[r], says);
        }
    }
}

static void a_head_past_its_maximum_is_refused(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        char head[HEAD_MOST + 2];
        size_t len = HEAD_MOST + (size_t)over;
        memset(head, 'a', sizeof(head));
        memcpy(head, "HTTP/1.1 200 OK\r\nA: ", 20);
        memcpy(head + len - 4, "\r\n\r\n", 4);
        head[len] = '\0';
        char says[256];
        read_every_way(head, false, says, sizeof(says));
        assert_string_equal(says,
                            over == 0 ? "200 1.1 \"OK\" close:0 fields=1" : "UPSTREAM_PROTOCOL");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_head_says_what_follows_it),
        cmocka_unit_test(a_head_with_any_doubt_is_refused),
        cmocka_unit_test(a_head_past_its_maximum_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
