/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse_parser.h — server-sent events, taken one by one from bytes that come in pieces.
 *
 *     while ((e = sse_parser_next(&p, &in, &event)) == ERR_OK && event.raw.len > 0) {
 *         ...                                        event's spans hold until the next call
 *     }                                              now `in` is empty
 *
 * What the stream says does not depend on where it was cut. An event that lies whole in the bytes
 * given is handed out in place; only one that does not is copied, into a buffer that is freed when
 * the event has been handed out, so a stream at rest between events holds no memory.
 *
 * Always true between two calls:
 *   1. `carry` holds the bytes of the one event that has begun, or nothing.
 *   2. No line end lies in carry[line, scanned).
 *
 * Ownership  spans of an event belong to the bytes given or to the parser: valid until the next
 *            call or until the bytes given are gone. sse_parser_fini() frees what is held.
 * Limits     an event, from its first line to its blank line, has at most the `event_bytes_max`
 *            given at birth; if several of its lines are data, 65,536 lines and 512 KiB. What is
 *            held is counted (base/buf.h).
 * Threads    one at a time.
 * Sources    WHATWG HTML, section 9.2 (Server-sent events). Beyond it, a line that begins with "{"
 *            is data, and a field `error` is data of an event of that name: Ollama and llama.cpp
 *            tell so of failures.
 */
#ifndef SSE_SSE_PARSER_H
#define SSE_SSE_PARSER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct sse_event {
    struct span raw;  /* its lines and the blank line, as they came; empty: there is no event */
    struct span data; /* the data lines, joined by LF */
    struct span name; /* the last `event` line's value */
    bool has_data;    /* there is a data line, if only an empty one */
    bool is_comment;  /* every line is a comment */
};

struct sse_parser {
    struct buf carry;     /* the event that has begun, if it did not come whole */
    struct buf joined;    /* the data of an event with several data lines */
    size_t line, scanned; /* offsets from the event's start: its unread line; what was searched */
    size_t data_at, data_len; /* the first data line's value */
    size_t name_at, name_len; /* the last event line's value */
    uint32_t data_lines, lines, comment_lines;
    size_t event_bytes_max;
    bool is_started; /* the first line was read: a byte order mark can come no more */
    bool is_given;   /* carry was handed out and is freed in the next call */
    bool is_broken;
    uint8_t skip; /* bytes of a byte order mark at the event's start */
};

/* Takes no memory yet. */
void sse_parser_init(struct sse_parser *p, size_t event_bytes_max);

/* Frees what is held. */
void sse_parser_fini(struct sse_parser *p);

/*
 * Takes bytes from the front of `*in` up to the end of the next event. `out->raw` is empty if there
 * is none yet; then `*in` is empty. Blank lines between events are dropped.
 *
 *   ERR_UPSTREAM_STREAM  the event is larger than may be; it stays so
 *   ERR_OVERLOADED, ERR_NO_MEMORY  the same
 */
MUST_USE enum err sse_parser_next(struct sse_parser *p, struct span *in, struct sse_event *out);

/*
 * Says that the stream has ended. An event whose last CR could have been half a CRLF is handed out
 * now; one without its blank line is dropped, as every client does.
 */
MUST_USE enum err sse_parser_finish(struct sse_parser *p, struct sse_event *out);

/* Bytes held of an event that has begun. */
size_t sse_parser_held(const struct sse_parser *p);

#endif
