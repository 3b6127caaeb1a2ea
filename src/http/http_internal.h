/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_internal.h — what the parsers of this part share: classes of bytes, and lines of a head.
 *
 * Threads  any; one head is parsed by one thread at a time.
 * Sources  RFC 9110 section 5.6.2 (token), RFC 3986 (path, query, host), RFC 9112 section 5.
 */
#ifndef HTTP_HTTP_INTERNAL_H
#define HTTP_HTTP_INTERNAL_H

#include "http/http_fields.h"

enum http_class {
    HTTP_IS_TOKEN = 1,
    HTTP_IS_PATH = 2,  /* pchar and "/" */
    HTTP_IS_QUERY = 4, /* the path's, "?", and []{}|^ that browsers leave as they are */
    HTTP_IS_HOST = 8,  /* unreserved: what names in use are made of */
    HTTP_IS_HEX = 16
};

extern const uint8_t http_classes[256];

static inline bool http_is(uint8_t byte, enum http_class class)
{
    return (http_classes[byte] & class) != 0;
}

/* Index of the first byte of `s` that is not of `class`, or s.len. */
size_t http_class_end(struct span s, enum http_class class);

/*
 * Index in [from, len) of the first control byte that a field value may not hold (so also of its
 * CR), or `len`.
 */
size_t http_text_end(const uint8_t *at, size_t from, size_t len);

/* How far a head was read; the same for requests and responses. */
struct http_progress {
    uint32_t line;    /* where the first line that was not read starts */
    uint32_t scanned; /* no LF lies in [line, scanned) */
};

/*
 * Reads field lines from p->line on. ERR_OK with `*last` true when the empty line was read (p->line
 * is then behind it), false when bytes are missing. ERR_HTTP_SYNTAX, ERR_HTTP_HEAD_LARGE.
 *
 * A line is judged when its LF is there, so what is said does not depend on where it was cut.
 */
MUST_USE enum err http_fields_read(struct http_fields *f, struct http_progress *p, uint32_t len,
                                   bool *last);

/* Whether the line at p->line has its LF within `len` bytes; if not, they are not looked at again.
 */
MUST_USE bool http_line_is_whole(const uint8_t *base, struct http_progress *p, uint32_t len,
                                 uint32_t *lf);

/*
 * What Transfer-Encoding and Content-Length say, HTTP_BODY_NONE if neither is there. Anything odd
 * is ERR_HTTP_FRAMING or ERR_HTTP_TRANSFER_CODING.
 */
MUST_USE enum err http_fields_body(const struct http_fields *f, unsigned minor,
                                   struct http_body *out);

/* What HTTP/1.`minor` and the Connection fields say. */
bool http_fields_keep_alive(const struct http_fields *f, unsigned minor);

/* Whether the fields hold a Content-Encoding other than identity. */
bool http_fields_coded(const struct http_fields *f);

/* Whether `s` is host [":" port] as we accept it: RFC 3986 without userinfo and escapes. */
bool http_is_authority(struct span s);

#endif
