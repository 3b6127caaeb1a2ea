/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse_write.h — server-sent events, written onto a buffer.
 *
 * Ownership  the buffer's bytes are the caller's. Sticky, as struct buf is.
 * Threads    one at a time.
 * Sources    WHATWG HTML, section 9.2 (Server-sent events).
 */
#ifndef SSE_SSE_WRITE_H
#define SSE_SSE_WRITE_H

#include "base/buf.h"

/* What ends a stream of OpenAI's API. */
#define SSE_DONE "data: [DONE]\n\n"

/*
 * One event: `event: name` unless `name` is empty, then a data line for each line of `data` (CR, LF
 * or CRLF end one). A name that holds a CR or LF fails the buffer.
 */
void sse_write_event(struct buf *b, struct span name, struct span data);

/* A comment that no client shows: keeps a quiet stream open. `text` as `name` above. */
void sse_write_comment(struct buf *b, struct span text);

/* JSON has line ends only where it may have any blank, and an event's data line must not have one:
 * text of several data lines becomes one of one. */
void sse_one_line(uint8_t *text, size_t len);

#endif
