/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_write.h — heads of responses and requests, written onto a buffer.
 *
 * Sticky, as struct buf is: a field that would break the head (a name that is no token; CR, LF, NUL
 * or another control byte in a value) marks the buffer failed instead of being written.
 *
 *     http_write_status(&b, 200);
 *     http_write_field(&b, SPAN("content-type"), SPAN("application/json"));
 *     http_write_number(&b, SPAN("content-length"), body.len);
 *     http_write_end(&b);
 *
 * Ownership  the buffer's bytes are the caller's.
 * Threads    one at a time.
 * Sources    RFC 9112 sections 3 to 5; dates: RFC 9110 section 5.6.7.
 */
#ifndef HTTP_HTTP_WRITE_H
#define HTTP_HTTP_WRITE_H

#include "base/buf.h"
#include "base/clock.h"
#include "http/http_request.h"

#define HTTP_DATE_BYTES 30 /* "Tue, 24 Nov 2026 03:00:00 GMT" and its NUL */

/* The reason phrase of `status`; "Unknown" for one without. */
const char *http_reason(int status);

/* "HTTP/1.1 200 OK". `status` is 100 to 599. */
void http_write_status(struct buf *b, int status);

/* "POST /v1/x HTTP/1.1". A target that is empty or holds blanks or controls fails the buffer. */
void http_write_request(struct buf *b, enum http_method method, struct span target);

/* One field. `value` may be empty. */
void http_write_field(struct buf *b, struct span name, struct span value);

/* One field whose value is a number. */
void http_write_number(struct buf *b, struct span name, uint64_t value);

/* The empty line that ends a head. */
void http_write_end(struct buf *b);

/* The text of a Date field and a NUL. Callers keep it for a second. */
void http_date(wall_us at, char out[HTTP_DATE_BYTES]);

#endif
