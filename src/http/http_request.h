/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_request.h — the head of an HTTP/1.x request, read strictly: on any doubt an error.
 *
 * Bytes in, values out. What it says never depends on where the bytes were cut.
 *
 *     struct http_field rows[64];
 *     http_request_init(&r, &limits, rows, 64);
 *     for each time that bytes were added behind those held (from the head's first byte on):
 *         e = http_request_parse(&r, held, &used);     used == 0: not all of it is there yet
 *
 * After any error the connection is closed: nothing behind it may be taken for a request.
 *
 * Ownership  none: pieces and fields are offsets into the bytes held, whose address is
 *            fields.base; when they are moved or copied, http_request_moved() says where to.
 * Limits     struct http_limits and the number of rows; the head is at most 1 MiB.
 * Threads    one at a time.
 * Sources    RFC 9112, RFC 9110, RFC 3986.
 */
#ifndef HTTP_HTTP_REQUEST_H
#define HTTP_HTTP_REQUEST_H

#include "http/http_fields.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_PATCH,
    HTTP_OPTIONS,
    HTTP_METHOD_COUNT
};

struct http_request {
    /* True once http_request_parse() said that the head is whole. */
    enum http_method method;
    uint8_t minor;           /* 0 or 1, of HTTP/1.x */
    bool keep_alive;         /* the connection may serve another request */
    bool expect_continue;    /* a body is announced and waits for "100 Continue" */
    bool is_asterisk;        /* OPTIONS * */
    bool is_coded;           /* the body has a Content-Encoding */
    struct http_body body;   /* never HTTP_BODY_UNTIL_CLOSE */
    struct http_piece path;  /* as sent, not decoded; see http_request_path() */
    struct http_piece query; /* behind the "?", without it */
    struct http_piece host;  /* host and port: of an absolute target, else of Host; HTTP/1.0: maybe
                                empty */
    struct http_fields fields;

    /* The parser's own. */
    struct http_limits limits;
    uint32_t line, scanned;
    bool has_line;
};

/* Starts anew with room for `rows_max` fields at `rows`. */
void http_request_init(struct http_request *r, const struct http_limits *limits,
                       struct http_field *rows, uint32_t rows_max);

/*
 * Reads on. `held` is all that has come since the head's first byte; of what an earlier call has
 * read nothing is read again. One empty line before the request line is skipped.
 *
 * ERR_OK with `*used` > 0: the head is whole and that long; the body or next request follows.
 * ERR_OK with `*used` == 0: bytes are missing.
 * Else HTTP_SYNTAX, HTTP_FRAMING, HTTP_HOST, HTTP_TARGET_LONG, HTTP_HEAD_LARGE, HTTP_VERSION,
 * HTTP_METHOD_UNKNOWN, HTTP_TRANSFER_CODING or HTTP_EXPECTATION: close after the reply.
 */
MUST_USE enum err http_request_parse(struct http_request *r, struct span held, size_t *used);

/* Says that the head's bytes are at `base` now. */
static inline void http_request_moved(struct http_request *r, const uint8_t *base)
{
    r->fields.base = base;
}

/* The path, "/" where an absolute target has none, "*" for OPTIONS *. */
static inline struct span http_request_path(const struct http_request *r)
{
    return r->path.len == 0 ? SPAN("/") : http_piece_span(&r->fields, r->path);
}

static inline struct span http_request_query(const struct http_request *r)
{
    return http_piece_span(&r->fields, r->query);
}

static inline struct span http_request_host(const struct http_request *r)
{
    return http_piece_span(&r->fields, r->host);
}

/* "GET" and so on. */
struct span http_method_text(enum http_method method);

#endif
