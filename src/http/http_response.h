/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_response.h — the head of an upstream's HTTP/1.x response, read strictly.
 *
 * Used as http_request.h is. A 1xx head is a head like any other: the caller drops it and starts
 * anew behind it.
 *
 * Ownership  none: pieces and fields are offsets into the bytes held (fields.base).
 * Limits     `head_bytes` and the number of rows; the head is at most 1 MiB.
 * Threads    one at a time.
 * Sources    RFC 9112 sections 4 and 6.3.
 */
#ifndef HTTP_HTTP_RESPONSE_H
#define HTTP_HTTP_RESPONSE_H

#include "http/http_fields.h"

struct http_response {
    /* True once http_response_parse() said that the head is whole. */
    uint16_t status;          /* 100 to 599 */
    uint8_t minor;            /* 0 or 1, of HTTP/1.x */
    bool keep_alive;          /* the connection may be used again when the body has ended */
    bool is_coded;            /* the body has a Content-Encoding */
    struct http_body body;    /* what follows the head */
    struct http_piece reason; /* may be empty */
    struct http_fields fields;

    /* The parser's own. */
    uint32_t head_bytes, line, scanned;
    bool has_line, to_head;
};

/*
 * Starts anew with room for `rows_max` fields at `rows` and for a head of `head_bytes`. `to_head`:
 * it answers a HEAD request, so no body follows whatever its fields say.
 */
void http_response_init(struct http_response *r, uint32_t head_bytes, bool to_head,
                        struct http_field *rows, uint32_t rows_max);

/*
 * Reads on. `held` is all that has come since the head's first byte.
 *
 * ERR_OK with `*used` > 0: the head is whole and that long; the body follows.
 * ERR_OK with `*used` == 0: bytes are missing.
 * ERR_UPSTREAM_PROTOCOL: not valid, ambiguous or too large; close the connection.
 */
MUST_USE enum err http_response_parse(struct http_response *r, struct span held, size_t *used);

/* Says that the head's bytes are at `base` now. */
static inline void http_response_moved(struct http_response *r, const uint8_t *base)
{
    r->fields.base = base;
}

#endif
