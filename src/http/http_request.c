/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request line is judged when its LF is there, the fields in http_fields.c, and what they mean
 * together when the empty line is there. Only two verdicts come earlier, both from positions alone:
 * a first byte that starts no method, and a line or head past its maximum.
 */
#include "http/http_request.h"

#include "http/http_internal.h"

#define HEAD_BYTES_MOST (1u << 20)
#define AROUND_TARGET   64 /* bytes of a request line that are not its target: method, version */

static const struct {
    struct span text;
} methods[HTTP_METHOD_COUNT] = {
    [HTTP_GET] = {{(const uint8_t *)"GET", 3}},
    [HTTP_HEAD] = {{(const uint8_t *)"HEAD", 4}},
    [HTTP_POST] = {{(const uint8_t *)"POST", 4}},
    [HTTP_PUT] = {{(const uint8_t *)"PUT", 3}},
    [HTTP_DELETE] = {{(const uint8_t *)"DELETE", 6}},
    [HTTP_PATCH] = {{(const uint8_t *)"PATCH", 5}},
    [HTTP_OPTIONS] = {{(const uint8_t *)"OPTIONS", 7}},
};

struct span http_method_text(enum http_method method)
{
    CHECK(method < HTTP_METHOD_COUNT);
    return methods[method].text;
}

void http_request_init(struct http_request *r, const struct http_limits *limits,
                       struct http_field *rows, uint32_t rows_max)
{
    CHECK(limits->head_bytes <= HEAD_BYTES_MOST && limits->target_bytes <= HEAD_BYTES_MOST);
    *r = (struct http_request){.limits = *limits, .fields = {.rows = rows, .max = rows_max}};
}

/* HTTP_METHOD_COUNT for a method that we do not serve. */
static enum http_method method_find(struct span text)
{
    for (enum http_method m = HTTP_GET; m < HTTP_METHOD_COUNT; m++) {
        if (span_equal(text, methods[m].text)) {
            return m;
        }
    }
    return HTTP_METHOD_COUNT;
}

static MUST_USE enum err version_parse(struct span text, uint8_t *minor)
{
    if (text.len != 8 || !span_starts(text, SPAN("HTTP/")) || text.at[6] != '.') {
        return ERR_HTTP_SYNTAX;
    }
    unsigned major = text.at[5] - '0';
    unsigned low = text.at[7] - '0';
    if (major > 9 || low > 9) {
        return ERR_HTTP_SYNTAX;
    }
    if (major != 1 || low > 1) {
        return ERR_HTTP_VERSION;
    }
    *minor = (uint8_t)low;
    return ERR_OK;
}

/* Splits `rest`, which starts at `at` of the head, into path and query. */
static MUST_USE enum err path_parse(struct http_request *r, struct span rest, uint32_t at)
{
    uint32_t path = (uint32_t)http_class_end(rest, HTTP_IS_PATH);
    r->path = (struct http_piece){at, path};
    if (path == rest.len) {
        return ERR_OK;
    }
    struct span query = span_cut(rest, path + 1, rest.len);
    if (rest.at[path] != '?' || http_class_end(query, HTTP_IS_QUERY) != query.len) {
        return ERR_HTTP_SYNTAX;
    }
    r->query = (struct http_piece){at + path + 1, (uint32_t)query.len};
    return ERR_OK;
}

/* http://host:port/path?query: the authority takes the place of Host. */
static MUST_USE enum err absolute_parse(struct http_request *r, struct span target, uint32_t at)
{
    uint32_t scheme = 0;
    if (span_equal_nocase(span_cut(target, 0, 7), SPAN("http://"))) {
        scheme = 7;
    } else if (span_equal_nocase(span_cut(target, 0, 8), SPAN("https://"))) {
        scheme = 8;
    } else {
        return ERR_HTTP_SYNTAX;
    }
    uint32_t end = scheme;
    while (end < target.len && target.at[end] != '/' && target.at[end] != '?') {
        end++;
    }
    if (!http_is_authority(span_cut(target, scheme, end - scheme))) {
        return ERR_HTTP_SYNTAX;
    }
    r->host = (struct http_piece){at + scheme, end - scheme};
    return path_parse(r, span_cut(target, end, target.len), at + end);
}

static MUST_USE enum err target_parse(struct http_request *r, struct span target, uint32_t at)
{
    if (target.at[0] == '/') {
        return path_parse(r, target, at);
    }
    if (span_is(target, "*")) {
        r->is_asterisk = true;
        r->path = (struct http_piece){at, 1};
        return r->method == HTTP_OPTIONS ? ERR_OK : ERR_HTTP_SYNTAX;
    }
    return absolute_parse(r, target, at);
}

/* `line` is what stands before CRLF at `at` of the head. */
static MUST_USE enum err line_parse(struct http_request *r, struct span line, uint32_t at)
{
    size_t method_len = http_class_end(line, HTTP_IS_TOKEN);
    if (method_len == 0 || method_len == line.len || line.at[method_len] != ' ') {
        return ERR_HTTP_SYNTAX;
    }
    size_t target_at = method_len + 1;
    size_t target_end = span_find(line, ' ', target_at);
    struct span target = span_cut(line, target_at, target_end - target_at);
    if (target.len > r->limits.target_bytes) {
        return ERR_HTTP_TARGET_LONG;
    }
    if (target.len == 0 || target_end == line.len) {
        return ERR_HTTP_SYNTAX;
    }
    enum err e = version_parse(span_cut(line, target_end + 1, line.len), &r->minor);
    if (e != ERR_OK) {
        return e;
    }
    r->method = method_find(span_cut(line, 0, method_len));
    if (r->method == HTTP_METHOD_COUNT) {
        return ERR_HTTP_METHOD_UNKNOWN;
    }
    return target_parse(r, target, at + (uint32_t)target_at);
}

/* Reads the request line if it is whole: sets r->has_line. */
static MUST_USE enum err first_line_read(struct http_request *r, struct http_progress *p,
                                         uint32_t len)
{
    const uint8_t *b = r->fields.base;
    if (p->line == 0 && len >= 1 && b[0] == '\r') {
        if (len < 2) {
            return ERR_OK;
        }
        if (b[1] != '\n') {
            return ERR_HTTP_SYNTAX;
        }
        p->line = p->scanned = 2;
    }
    if (p->line >= len) {
        return ERR_OK;
    }
    if (!http_is(b[p->line], HTTP_IS_TOKEN)) {
        return ERR_HTTP_SYNTAX;
    }
    uint32_t end = len;
    bool whole = http_line_is_whole(b, p, len, &end);
    if (end - p->line > r->limits.target_bytes + AROUND_TARGET) {
        return ERR_HTTP_TARGET_LONG;
    }
    if (!whole) {
        return ERR_OK;
    }
    if (b[end - 1] != '\r') {
        return ERR_HTTP_SYNTAX;
    }
    r->has_line = true;
    struct span line = {b + p->line, end - 1 - p->line};
    enum err e = line_parse(r, line, p->line);
    p->line = p->scanned = end + 1;
    return e;
}

static MUST_USE enum err host_check(struct http_request *r)
{
    const struct http_fields *f = &r->fields;
    if (!http_fields_has(f, HTTP_NAME_HOST)) {
        return r->minor == 0 ? ERR_OK : ERR_HTTP_HOST;
    }
    struct span host = http_fields_find(f, HTTP_NAME_HOST);
    if ((f->repeated & HTTP_NAME_BIT(HTTP_NAME_HOST)) != 0 || !http_is_authority(host)) {
        return ERR_HTTP_HOST;
    }
    if (r->host.len == 0) {
        r->host = (struct http_piece){(uint32_t)(host.at - f->base), (uint32_t)host.len};
    }
    return ERR_OK;
}

/* The whole head is there: what do its fields mean together? */
static MUST_USE enum err finish(struct http_request *r)
{
    const struct http_fields *f = &r->fields;
    enum err e = http_fields_body(f, r->minor, &r->body);
    if (e == ERR_OK) {
        e = host_check(r);
    }
    if (e != ERR_OK) {
        return e;
    }
    if ((f->repeated & http_name_singles) != 0) {
        return ERR_HTTP_SYNTAX;
    }
    if (http_fields_has(f, HTTP_NAME_EXPECT) && r->minor == 1) {
        if (!span_equal_nocase(http_fields_find(f, HTTP_NAME_EXPECT), SPAN("100-continue"))) {
            return ERR_HTTP_EXPECTATION;
        }
        r->expect_continue = r->body.kind == HTTP_BODY_CHUNKED || r->body.length > 0;
    }
    r->keep_alive = http_fields_keep_alive(f, r->minor);
    r->is_coded = http_fields_coded(f);
    return ERR_OK;
}

enum err http_request_parse(struct http_request *r, struct span held, size_t *used)
{
    uint32_t most = r->limits.head_bytes;
    uint32_t len = held.len < most ? (uint32_t)held.len : most;
    struct http_progress p = {r->line, r->scanned};
    bool last = false;
    enum err e = ERR_OK;
    r->fields.base = held.at;
    if (!r->has_line) {
        e = first_line_read(r, &p, len);
    }
    if (e == ERR_OK && r->has_line) {
        e = http_fields_read(&r->fields, &p, len, &last);
    }
    r->line = p.line;
    r->scanned = p.scanned;
    if (e == ERR_OK && last) {
        e = finish(r);
    } else if (e == ERR_OK && len == most) {
        e = ERR_HTTP_HEAD_LARGE;
    }
    if (e == ERR_OK) {
        *used = last ? p.line : 0;
    }
    return e;
}
