/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse_look.h — whether an answer is an event stream, judged by its first bytes.
 *
 * Servers and proxies send streams as text/plain, application/json, application/x-ndjson or without
 * a type, and whole replies as text/event-stream: the bytes do not lie.
 *
 * Threads  any; pure.
 * Sources  WHATWG HTML, section 9.2.5 (Parsing an event stream).
 */
#ifndef SSE_SSE_LOOK_H
#define SSE_SSE_LOOK_H

#include "base/span.h"

enum sse_look {
    SSE_LOOK_MORE,   /* too few bytes to tell */
    SSE_LOOK_STREAM, /* a field's name, or a comment */
    SSE_LOOK_JSON,   /* an object or array */
    SSE_LOOK_OTHER
};

/* `first`: the answer from its first byte on. A byte order mark and blank lines before are skipped.
 */
enum sse_look sse_look(struct span first);

#endif
