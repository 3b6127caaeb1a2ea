/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_http_connection.c — all that one side sends over a connection, read by us and by
 * http-parser: what we take for a message it takes for the same one, with the same head and body,
 * and the next begins where it says. It may take more than we do; while we wait for bytes it does
 * not say that a message is whole.
 *
 * The first byte says which side sends. Differences that are allowed:
 *   lists     in a Connection field it knows only spaces, no tabs, and loses its way at a member
 *             that is empty, begins with what no token has or is the beginning of a word that it
 *             knows; we read the list as RFC 9110 5.6.1 and 5.6.3 say. It takes Proxy-Connection
 *             for Connection (RFC 9112 C.2.2 names that a mistake)
 *   hosts     it refuses "~" in the host of a target, which RFC 3986 3.2.2 allows
 *   1.0       with both "close" and "keep-alive" we close (RFC 9112 9.3), it does not
 *   trailers  it reads their Content-Length and Transfer-Encoding, and may refuse them; we pass
 *             over trailers whatever they are called (RFC 9110 6.5.1)
 *   bodiless  that a 1xx, a 204, a 304 and an answer to HEAD have no body (RFC 9112 6.3) is its
 *             caller's affair; if a 204 announces one all the same, we close
 *   names     it takes a name that only begins with Transfer-Encoding for that (its own mistake)
 *   upgrades  it stops at a 101 and where an Upgrade is asked for; we never switch
 *             (RFC 9110 7.8)
 *
 * Debian builds it without its strict checks of the bytes of targets and names, and of what follows
 * a CR: those are judged here.
 */
#include "fuzz.h"

#include "http/http_chunked.h"
#include "http/http_request.h"
#include "http/http_response.h"
#include "http_oracle.h"

#define ROWS_MAX     32
#define HEAD_MAX     4096
#define MESSAGES_MAX 16

/* What we make of the bytes behind a head. */
struct body {
    bool whole, bad;
    size_t used;
    struct buf bytes;
};

static void read_chunks(struct body *body, struct span in)
{
    struct http_chunked c;
    http_chunked_init(&c);
    while (in.len > 0 && !body->bad && !http_chunked_is_done(&c)) {
        size_t used = 0;
        struct span piece = {NULL, 0};
        body->bad = http_chunked_feed(&c, in, &used, &piece) != ERR_OK;
        buf_put(&body->bytes, piece);
        body->used += used;
        in = span_cut(in, used, in.len);
    }
    body->whole = http_chunked_is_done(&c);
}

static void read_body(struct body *body, const struct http_body *announced, struct span in)
{
    *body = (struct body){.whole = true};
    buf_init(&body->bytes, SIZE_MAX / 2);
    switch (announced->kind) {
    case HTTP_BODY_NONE:
        break;
    case HTTP_BODY_LENGTH:
        body->used = in.len < announced->length ? in.len : (size_t)announced->length;
        body->whole = body->used == announced->length;
        buf_put(&body->bytes, span_cut(in, 0, body->used));
        break;
    case HTTP_BODY_CHUNKED:
        read_chunks(body, in);
        break;
    case HTTP_BODY_UNTIL_CLOSE:
        body->used = in.len;
        body->whole = false;
        buf_put(&body->bytes, in);
        break;
    }
}

/* Compares what was found behind the head; returns where the next message begins, or 0. */
static size_t agree_on_body(const struct http_body *announced, const struct http_oracle *o,
                            struct span in, size_t head_len)
{
    struct body body;
    size_t next = 0;
    read_body(&body, announced, span_cut(in, head_len, in.len));
    CHECK(o->chunked == (announced->kind == HTTP_BODY_CHUNKED) ||
          announced->kind == HTTP_BODY_NONE);
    if (announced->kind == HTTP_BODY_LENGTH) {
        CHECK(o->has_length && o->length == announced->length);
    }
    bool odd_trailer = o->verdict == HTTP_ORACLE_REFUSED && o->in_trailers;
    if (!body.bad && !odd_trailer) {
        CHECK(o->verdict == (body.whole ? HTTP_ORACLE_WHOLE : HTTP_ORACLE_CUT));
        CHECK(span_equal(buf_span(&body.bytes), buf_span(&o->body)));
        CHECK(!body.whole || o->used == head_len + body.used);
        next = body.whole ? o->used : 0;
    }
    buf_fini(&body.bytes);
    return next;
}

static bool is_token(struct span s)
{
    static const char others[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 5.6.2 */
    for (size_t i = 0; i < s.len; i++) {
        uint8_t letter = s.at[i] | 0x20;
        if (!(letter >= 'a' && letter <= 'z') && !(s.at[i] >= '0' && s.at[i] <= '9') &&
            (s.at[i] == '\0' || strchr(others, s.at[i]) == NULL)) {
            return false;
        }
    }
    return s.len > 0;
}

static void agree_on_fields(const struct http_fields *f, const struct http_oracle *o)
{
    CHECK(f->count == o->field_count);
    for (uint32_t i = 0; i < f->count; i++) {
        struct span value = o->fields[i].value;
        while (value.len > 0 &&
               (value.at[value.len - 1] == ' ' || value.at[value.len - 1] == '\t')) {
            value.len--;
        }
        CHECK(is_token(http_field_name(f, i)));
        CHECK(span_equal(http_field_name(f, i), o->fields[i].name));
        CHECK(span_equal(http_field_value(f, i), value));
    }
}

/* Whether http-parser does not find the end of this member of a Connection field: it begins with
 * what no token has, or ends while more of a word is expected. */
static bool is_confusing(struct span member)
{
    if (!is_token(span_cut(member, 0, 1))) {
        return true;
    }
    static const char *const words[] = {"close", "keep-alive", "upgrade"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct span word = span_of(words[i]);
        if (member.len < word.len && span_equal_nocase(member, span_cut(word, 0, member.len))) {
            return true;
        }
    }
    return false;
}

/* Whether the Connection field is one that http-parser reads as a list should be. */
static bool is_plain_list(struct span list)
{
    for (size_t at = 0; at < list.len;) {
        size_t comma = span_find(list, ',', at);
        if (is_confusing(span_trim(span_cut(list, at, comma - at)))) {
            return false;
        }
        at = comma + 1;
    }
    return span_find(list, '\t', 0) == list.len;
}

static void agree_on_keep_alive(const struct http_fields *f, bool keep_alive,
                                const struct http_oracle *o)
{
    struct span close = SPAN("close"), keep = SPAN("keep-alive");
    bool both = http_fields_list_has(f, HTTP_NAME_CONNECTION, close) &&
                http_fields_list_has(f, HTTP_NAME_CONNECTION, keep);
    bool compare = !http_fields_has(f, HTTP_NAME_PROXY_CONNECTION) && !(o->minor == 0 && both);
    for (uint32_t i = 0; i < f->count; i++) {
        compare =
            compare && (f->rows[i].id != HTTP_NAME_CONNECTION || is_plain_list(o->fields[i].value));
    }
    CHECK(!compare || keep_alive == o->keep_alive);
}

static void agree_on_target(const struct http_request *r, const struct http_oracle *o)
{
    struct http_oracle_target t;
    for (size_t i = 0; i < o->target.len; i++) {
        CHECK(o->target.at[i] > ' ' && o->target.at[i] < 0x7f);
    }
    if (!http_oracle_target(o->target, &t)) {
        struct span host = http_request_host(r);
        CHECK(o->target.at[0] != '/' && span_find(host, '~', 0) < host.len);
        return;
    }
    CHECK(span_equal(http_request_path(r), t.path.len > 0 ? t.path : SPAN("/")));
    CHECK(span_equal(http_request_query(r), t.query));
    if (t.host.len > 0) { /* an absolute target */
        struct span ours = http_request_host(r);
        size_t bracket = ours.at[0] == '[' ? 1 : 0;
        CHECK(span_equal(span_cut(ours, bracket, t.host.len), t.host));
        size_t rest = t.host.len + 2 * bracket;
        CHECK(t.port.len == 0 ? rest == ours.len
                              : span_equal(span_cut(ours, rest + 1, ours.len), t.port));
    }
}

/* Whether some CR has no LF behind it, though there is something: no message with it is taken. */
static bool has_bare_cr(struct span s)
{
    for (size_t cr = span_find(s, '\r', 0); cr + 1 < s.len; cr = span_find(s, '\r', cr + 1)) {
        if (s.at[cr + 1] != '\n') {
            return true;
        }
    }
    return false;
}

/* Whether a field has a name that http-parser takes for Transfer-Encoding. */
static bool is_misleading(const struct http_fields *f)
{
    struct span known = SPAN("transfer-encoding");
    for (uint32_t i = 0; i < f->count; i++) {
        struct span name = http_field_name(f, i);
        if (name.len > known.len && span_equal_nocase(span_cut(name, 0, known.len), known)) {
            return true;
        }
    }
    return false;
}

/* Reads the request at the beginning of `in`; returns where the next begins, or 0. */
static size_t compare_request(struct span in)
{
    static const struct http_limits limits = {.head_bytes = HEAD_MAX, .target_bytes = HEAD_MAX};
    struct http_field rows[ROWS_MAX];
    struct http_request r;
    struct http_oracle o;
    size_t used = 0;
    size_t next = 0;
    http_request_init(&r, &limits, rows, ROWS_MAX);
    enum err e = http_request_parse(&r, in, &used);
    http_oracle_read(&o, HTTP_ORACLE_REQUEST, in);
    if (e == ERR_OK && used == 0) {
        CHECK(!o.has_head || has_bare_cr(in));
    } else if (e == ERR_OK && !is_misleading(&r.fields)) {
        CHECK(o.has_head && o.minor == r.minor);
        CHECK(span_is(http_method_text(r.method), o.method));
        agree_on_target(&r, &o);
        agree_on_fields(&r.fields, &o);
        agree_on_keep_alive(&r.fields, r.keep_alive, &o);
        CHECK(r.body.kind != HTTP_BODY_NONE || (!o.has_length && !o.chunked));
        next = agree_on_body(&r.body, &o, in, used);
    }
    http_oracle_fini(&o);
    return next;
}

static bool has_no_body(const struct http_response *r, bool to_head)
{
    return to_head || r->status < 200 || r->status == 204 || r->status == 304;
}

/* The same for a response. */
static size_t compare_response(struct span in, bool to_head)
{
    struct http_field rows[ROWS_MAX];
    struct http_response r;
    struct http_oracle o;
    size_t used = 0;
    size_t next = 0;
    http_response_init(&r, HEAD_MAX, to_head, rows, ROWS_MAX);
    enum err e = http_response_parse(&r, in, &used);
    bool bodiless = e == ERR_OK && used > 0 && has_no_body(&r, to_head);
    http_oracle_read(&o, bodiless ? HTTP_ORACLE_BODILESS : HTTP_ORACLE_RESPONSE, in);
    if (e == ERR_OK && used == 0) {
        CHECK(!o.has_head || has_bare_cr(in));
    } else if (e == ERR_OK && !is_misleading(&r.fields)) {
        CHECK(o.has_head && o.minor == r.minor && o.status == r.status);
        agree_on_fields(&r.fields, &o);
        bool announced = o.chunked || (o.has_length && o.length > 0);
        if (!announced || r.status != 204) {
            agree_on_keep_alive(&r.fields, r.keep_alive, &o);
        }
        next = agree_on_body(&r.body, &o, in, used);
    }
    http_oracle_fini(&o);
    return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct span in = {data + 1, size - 1};
    bool requests = data[0] == 'q';
    bool to_head = data[0] == 'h';
    size_t next = 1;
    for (int i = 0; i < MESSAGES_MAX && next > 0 && in.len > 0; i++) {
        next = requests ? compare_request(in) : compare_response(in, to_head);
        in = span_cut(in, next, in.len);
    }
    return 0;
}
