/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_request.c — a head is read strictly, and alike wherever it is cut. */
#include "unit.h"

#include <stdio.h>

#include "http/http_request.h"

#define ROWS_MAX 8

static const struct http_limits limits = {.head_bytes = 512, .target_bytes = 64};

struct read {
    enum err e;
    size_t used; /* 0: bytes are missing */
    struct http_request r;
    struct http_field rows[ROWS_MAX];
};

/* Gives the first `cut` bytes, then all, as a connection would. */
static void read_cut_at(struct span head, size_t cut, struct read *out)
{
    http_request_init(&out->r, &limits, out->rows, ROWS_MAX);
    out->used = 0;
    out->e = http_request_parse(&out->r, span_cut(head, 0, cut), &out->used);
    if (out->e == ERR_OK && out->used == 0) {
        out->e = http_request_parse(&out->r, head, &out->used);
    }
}

/* Gives one byte more each time. */
static void read_by_bytes(struct span head, struct read *out)
{
    http_request_init(&out->r, &limits, out->rows, ROWS_MAX);
    out->used = 0;
    out->e = ERR_OK;
    for (size_t len = 0; len <= head.len && out->e == ERR_OK && out->used == 0; len++) {
        out->e = http_request_parse(&out->r, span_cut(head, 0, len), &out->used);
    }
}

/* What a read says, as one line. */
static void describe(const struct read *read, char *out, size_t size)
{
    if (read->e != ERR_OK || read->used == 0) {
        (void)snprintf(out, size, "%s", read->e == ERR_OK ? "MORE" : err_name(read->e));
        return;
    }
    const struct http_request *r = &read->r;
    struct span method = http_method_text(r->method);
    struct span path = http_request_path(r);
    struct span query = http_request_query(r);
    struct span host = http_request_host(r);
    static const char *const kinds[] = {"none", "length", "chunked", "close"};
    int at =
        snprintf(out, size, "%.*s %.*s?%.*s 1.%d host=%.*s body=%s:%llu%s%s%s", SPAN_ARGS(method),
                 SPAN_ARGS(path), SPAN_ARGS(query), r->minor, SPAN_ARGS(host), kinds[r->body.kind],
                 (unsigned long long)r->body.length, r->keep_alive ? " keep" : "",
                 r->expect_continue ? " continue" : "", r->is_coded ? " coded" : "");
    for (uint32_t i = 0; i < r->fields.count; i++) {
        struct span name = http_field_name(&r->fields, i);
        struct span value = http_field_value(&r->fields, i);
        at += snprintf(out + at, size - (size_t)at, " [%.*s=%.*s]", SPAN_ARGS(name),
                       SPAN_ARGS(value));
    }
}

/* Reads `head` whole, cut at every byte and byte by byte; fails if they differ. */
static void read_every_way(struct span head, struct read *out)
{
    char whole[2048];
    char other[2048];
    read_cut_at(head, head.len, out);
    describe(out, whole, sizeof(whole));
    for (size_t cut = 0; cut < head.len; cut++) {
        struct read again;
        read_cut_at(head, cut, &again);
        describe(&again, other, sizeof(other));
        if (strcmp(whole, other) != 0 || again.used != out->used) {
            fail_msg("\"%.*s\" cut at %zu: \"%s\", whole: \"%s\"", SPAN_ARGS(head), cut, other,
                     whole);
        }
    }
    struct read again;
    read_by_bytes(head, &again);
    describe(&again, other, sizeof(other));
    assert_string_equal(whole, other);
    assert_int_equal(again.used, out->used);
}

#define LINE "POST /v1/x HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

static void a_good_head_says_what_was_sent(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        const char *says;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /? 1.1 host=a body=none:0 keep [Host=a]"},
        {"\r\nGET / HTTP/1.1\r\nhost:a\r\n\r\nmore", "GET /? 1.1 host=a body=none:0 keep [host=a]"},
        {"GET /a/b?c=d&e HTTP/1.1\r\nHOST: \t a:80 \t\r\n\r\n",
         "GET /a/b?c=d&e 1.1 host=a:80 body=none:0 keep [HOST=a:80]"},
        {"POST /v1/x HTTP/1.1\r\nHost: [::1]:8080\r\nContent-Length: 12\r\n\r\n",
         "POST /v1/x? 1.1 host=[::1]:8080 body=length:12 keep [Host=[::1]:8080] "
         "[Content-Length=12]"},
        {"POST / HTTP/1.0\r\nConnection: \xcb, keep-alive\r\nContent-Length: 0\r\n\r\n",
         "POST /? 1.0 host= body=length:0 keep [Connection=\xcb, keep-alive] [Content-Length=0]"},
        {LINE HOST "Transfer-Encoding: Chunked\r\nConnection: x, CLOSE\r\n\r\n",
         "POST /v1/x? 1.1 host=a body=chunked:0 [Host=a] [Transfer-Encoding=Chunked] "
         "[Connection=x, CLOSE]"},
        {LINE HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
         "POST /v1/x? 1.1 host=a body=length:1 keep continue [Host=a] "
         "[Expect=100-Continue] [Content-Length=1]"},
        {LINE HOST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
         "POST /v1/x? 1.1 host=a body=length:0 keep [Host=a] [Expect=100-continue] "
         "[Content-Length=0]"},
        {"GET http://b.example:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET /p?q 1.1 host=b.example:81 body=none:0 keep [Host=a]"},
        {"GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET /? 1.1 host=b body=none:0 keep [Host=a]"},
        {"GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET /?q 1.1 host=b body=none:0 keep [Host=a]"},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
         "OPTIONS *? 1.1 host=a body=none:0 keep [Host=a]"},
        {"GET / HTTP/1.0\r\n\r\n", "GET /? 1.0 host= body=none:0"},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nExpect: x\r\n\r\n",
         "GET /? 1.0 host= body=none:0 keep [Connection=Keep-Alive] [Expect=x]"},
        {"PUT / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\t\xff\r\nY:\r\nContent-Encoding: gzip\r\n\r\n",
         "PUT /? 1.1 host=a body=none:0 keep coded [Host=a] [X=\xc3\xa9\t\xff] [Y=] "
         "[Content-Encoding=gzip]"},
        {"PATCH / HTTP/1.1\r\nHost: a\r\nContent-Encoding: identity\r\n\r\n",
         "PATCH /? 1.1 host=a body=none:0 keep [Host=a] [Content-Encoding=identity]"},
        {"HEAD / HTTP/1.1\r\nHost: a\r\nAccept: x\r\nAccept: y\r\n\r\n",
         "HEAD /? 1.1 host=a body=none:0 keep [Host=a] [Accept=x] [Accept=y]"},
        {"DELETE /%2F..//.?{}|^[]%zz HTTP/1.1\r\nHost: a\r\n\r\n",
         "DELETE /%2F..//.?{}|^[]%zz 1.1 host=a body=none:0 keep [Host=a]"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct read read;
        char says[2048];
        read_every_way(span_of(rows[r].head), &read);
        describe(&read, says, sizeof(says));
        assert_string_equal(says, rows[r].says);
        assert_ptr_equal(rows[r].head + read.used, strstr(rows[r].head, "\r\n\r\n") + 4);
    }
}

static const struct {
    const char *head;
    enum err e;
} bad[] = {
    /* the request line */
    {"\r\n\r\n", ERR_HTTP_SYNTAX},
    {"\n", ERR_HTTP_SYNTAX},
    {"\rG", ERR_HTTP_SYNTAX},
    {" GET / HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"\x16\x03\x01", ERR_HTTP_SYNTAX},
    {"GET\r\n", ERR_HTTP_SYNTAX},
    {"GET /\r\n", ERR_HTTP_SYNTAX},
    {"GET / \r\n", ERR_HTTP_SYNTAX},
    {"GET  / HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET\t/ HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET /  HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET / HTTP/1.1 \r\n", ERR_HTTP_SYNTAX},
    {"GET / HTTP/1.1\n", ERR_HTTP_SYNTAX},
    {"GET / HTTP/1.1\r\r\n", ERR_HTTP_SYNTAX},
    {"GET / http/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET / HTTP/1.10\r\n", ERR_HTTP_SYNTAX},
    {"GET / HTTP/1.\r\n", ERR_HTTP_SYNTAX},
    {"GET / HTTP/1.x\r\n", ERR_HTTP_SYNTAX},
    {"GET / HTTP/1,1\r\n", ERR_HTTP_SYNTAX},
    {"GET / HTTP/1.2\r\n", ERR_HTTP_VERSION},
    {"GET / HTTP/0.9\r\n", ERR_HTTP_VERSION},
    {"PRI * HTTP/2.0\r\n", ERR_HTTP_VERSION},
    {"get / HTTP/1.1\r\n", ERR_HTTP_METHOD_UNKNOWN},
    {"CONNECT a:1 HTTP/1.1\r\n", ERR_HTTP_METHOD_UNKNOWN},
    {"TRACE / HTTP/1.1\r\n", ERR_HTTP_METHOD_UNKNOWN},
    {"GE\x01T / HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"G(T / HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET /a#b HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET /a?b#c HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET /a\\b HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET /\xc3\xa9 HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET /a\tb HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET /?\x7f HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET a HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET * HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"OPTIONS ** HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET ftp://a/ HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET http:///a HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET http://u@a/ HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET http://a:b/ HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET http://a:65536/ HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    {"GET http://a:/ HTTP/1.1\r\n", ERR_HTTP_SYNTAX},
    /* the form of fields */
    {LINE " Host: a\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST " folded\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "\tfolded\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE "Host : a\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST ": a\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "no colon\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "no-colon\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "A: b\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "A: b\rc\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "A: b\r\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "A: \x01\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "A: \x7f\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "A: 0123456789abcdef\x1f\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "\xc3\xa9: b\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "A(b: c\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "\n", ERR_HTTP_SYNTAX},
    {LINE HOST "\rx\n", ERR_HTTP_SYNTAX},
    {LINE HOST "A: b\n", ERR_HTTP_SYNTAX},
    /* Host */
    {LINE "\r\n", ERR_HTTP_HOST},
    {LINE HOST HOST "\r\n", ERR_HTTP_HOST},
    {LINE "Host:\r\n\r\n", ERR_HTTP_HOST},
    {LINE "Host: a b\r\n\r\n", ERR_HTTP_HOST},
    {LINE "Host: a,b\r\n\r\n", ERR_HTTP_HOST},
    {LINE "Host: u@a\r\n\r\n", ERR_HTTP_HOST},
    {LINE "Host: a/b\r\n\r\n", ERR_HTTP_HOST},
    {LINE "Host: a:\r\n\r\n", ERR_HTTP_HOST},
    {LINE "Host: a:x\r\n\r\n", ERR_HTTP_HOST},
    {LINE "Host: a:99999\r\n\r\n", ERR_HTTP_HOST},
    {LINE "Host: [::1\r\n\r\n", ERR_HTTP_HOST},
    {LINE "Host: []\r\n\r\n", ERR_HTTP_HOST},
    {LINE "Host: [::1]x\r\n\r\n", ERR_HTTP_HOST},
    {"GET http://a/ HTTP/1.1\r\n\r\n", ERR_HTTP_HOST},
    {"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", ERR_HTTP_HOST},
    /* where the body ends */
    {LINE HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length: 1, 1\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length: +1\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length: -1\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length: 1 1\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length: 0x1\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length: 1.0\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length:\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length: 9223372036854775808\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length: 18446744073709551617\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length: 00000000000000000001\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Transfer-Encoding:\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Transfer-Encoding: identity\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Transfer-Encoding: xchunked\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Transfer-Encoding: chunked;a=b\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Transfer-Encoding: chunked, chunked\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Transfer-Encoding: chunked, gzip\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     ERR_HTTP_FRAMING},
    {LINE HOST "Transfer-Encoding: chunked\t\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Transfer-Encoding:\tchunked\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Transfer-Encoding: \t chunked\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length: 1 \t \r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Content-Length:\t1\r\n\r\n", ERR_HTTP_FRAMING},
    {LINE HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", ERR_HTTP_TRANSFER_CODING},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_HTTP_FRAMING},
    /* the rest */
    {LINE HOST "Expect: 200-ok\r\n\r\n", ERR_HTTP_EXPECTATION},
    {LINE HOST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "Authorization: a\r\nAuthorization: b\r\n\r\n", ERR_HTTP_SYNTAX},
    {LINE HOST "Content-Type: a\r\nContent-Type: b\r\n\r\n", ERR_HTTP_SYNTAX},
};

static void a_head_with_any_doubt_is_refused(void **state)
{
    (void)state;
    for (size_t r = 0; r < ROWS(bad); r++) {
        struct read read;
        read_every_way(span_of(bad[r].head), &read);
        if (read.e != bad[r].e) {
            fail_msg("\"%s\" is %s, not %s", bad[r].head, err_name(read.e), err_name(bad[r].e));
        }
    }
    struct read read;
    read_every_way(SPAN("GET /\0 HTTP/1.1\r\n"), &read);
    assert_int_equal(read.e, ERR_HTTP_SYNTAX);
    read_every_way(SPAN(LINE HOST "A: \0\r\n\r\n"), &read);
    assert_int_equal(read.e, ERR_HTTP_SYNTAX);
}

/* `count` times `text`, between `before` and `after`. */
static struct span repeated(const char *before, const char *text, size_t count, const char *after)
{
    static char room[4096];
    size_t at = (size_t)snprintf(room, sizeof(room), "%s", before);
    for (size_t i = 0; i < count; i++) {
        at += (size_t)snprintf(room + at, sizeof(room) - at, "%s", text);
    }
    at += (size_t)snprintf(room + at, sizeof(room) - at, "%s", after);
    return span_make(room, at);
}

static void every_length_has_a_limit(void **state)
{
    (void)state;
    struct read read;
    const char *end = " HTTP/1.1\r\n" HOST "\r\n";
    read_every_way(repeated("GET /", "a", 63, end), &read);
    assert_int_equal(read.e, ERR_OK);
    read_every_way(repeated("GET /", "a", 64, end), &read);
    assert_int_equal(read.e, ERR_HTTP_TARGET_LONG);
    read_every_way(repeated("GET /", "a", 125, ""), &read);
    assert_int_equal(read.e, ERR_HTTP_TARGET_LONG);
    read_every_way(repeated("", "A", 129, ""), &read);
    assert_int_equal(read.e, ERR_HTTP_TARGET_LONG);

    read_every_way(repeated(LINE HOST, "A: b\r\n", ROWS_MAX - 1, "\r\n"), &read);
    assert_int_equal(read.e, ERR_OK);
    read_every_way(repeated(LINE HOST, "A: b\r\n", ROWS_MAX, "\r\n"), &read);
    assert_int_equal(read.e, ERR_HTTP_HEAD_LARGE);
    read_every_way(repeated(LINE HOST, "a", HTTP_FIELD_NAME_MAX, ": b\r\n\r\n"), &read);
    assert_int_equal(read.e, ERR_OK);
    read_every_way(repeated(LINE HOST, "a", HTTP_FIELD_NAME_MAX + 1, ": b\r\n\r\n"), &read);
    assert_int_equal(read.e, ERR_HTTP_HEAD_LARGE);

    size_t rest = strlen(LINE HOST "A: \r\n\r\n");
    read_every_way(repeated(LINE HOST "A: ", "b", limits.head_bytes - rest, "\r\n\r\n"), &read);
    assert_int_equal(read.e, ERR_OK);
    assert_int_equal(read.used, limits.head_bytes);
    read_every_way(repeated(LINE HOST "A: ", "b", limits.head_bytes - rest + 1, "\r\n\r\n"), &read);
    assert_int_equal(read.e, ERR_HTTP_HEAD_LARGE);
    read_every_way(repeated(LINE HOST "A: ", "b", 1000, ""), &read);
    assert_int_equal(read.e, ERR_HTTP_HEAD_LARGE);
}

static void pieces_are_found_where_the_head_was_moved_to(void **state)
{
    (void)state;
    struct span head = SPAN("GET /v1/models?x=1 HTTP/1.1\r\nHost: a\r\nX-Route-Policy: p\r\n\r\n");
    struct read read;
    read_cut_at(head, 5, &read);
    uint8_t copy[128];
    memcpy(copy, head.at, head.len);
    http_request_moved(&read.r, copy);
    struct span policy = http_fields_find(&read.r.fields, HTTP_NAME_X_ROUTE_POLICY);
    assert_true(span_is(policy, "p"));
    assert_true(policy.at > copy && policy.at < copy + sizeof(copy));
    assert_true(span_is(http_request_query(&read.r), "x=1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_head_says_what_was_sent),
        cmocka_unit_test(a_head_with_any_doubt_is_refused),
        cmocka_unit_test(every_length_has_a_limit),
        cmocka_unit_test(pieces_are_found_where_the_head_was_moved_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
