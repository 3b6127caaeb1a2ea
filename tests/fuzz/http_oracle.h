/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_oracle.h — what http-parser (the one that Node.js had) says of a message, for comparing with
 * http_request.h, http_response.h and http_chunked.h.
 *
 * Ownership  http_oracle_read() makes `body`, http_oracle_fini() frees it; all spans are bytes of
 *            the message that was read.
 * Threads    one at a time.
 */
#ifndef TESTS_FUZZ_HTTP_ORACLE_H
#define TESTS_FUZZ_HTTP_ORACLE_H

#include "base/buf.h"
#include "base/span.h"

#define HTTP_ORACLE_FIELDS_MAX 64 /* those behind them are counted only */

enum http_oracle_kind {
    HTTP_ORACLE_REQUEST,
    HTTP_ORACLE_RESPONSE,
    HTTP_ORACLE_BODILESS /* a response that has no body whatever its fields say */
};

enum http_oracle_verdict {
    HTTP_ORACLE_WHOLE,
    HTTP_ORACLE_CUT,    /* right so far */
    HTTP_ORACLE_REFUSED /* wrong; `in_trailers` says whether a trailer is */
};

struct http_oracle_field {
    struct span name, value; /* the value with the blanks behind it */
};

struct http_oracle {
    enum http_oracle_verdict verdict;
    size_t used;   /* of WHOLE: where the next message begins */
    bool has_head; /* what follows is known */
    bool in_trailers;
    bool keep_alive, chunked, has_length;
    uint64_t length; /* if has_length */
    unsigned minor, status;
    const char *method;
    struct span target;
    size_t field_count;
    struct http_oracle_field fields[HTTP_ORACLE_FIELDS_MAX];
    struct buf body; /* without chunks' framing, as far as it is there */
};

/* Reads the first message of `in`. */
void http_oracle_read(struct http_oracle *out, enum http_oracle_kind kind, struct span in);

void http_oracle_fini(struct http_oracle *o);

struct http_oracle_target {
    struct span host, port, path, query; /* empty where there is none */
};

/* Takes a request target apart; false when it is wrong. */
bool http_oracle_target(struct span target, struct http_oracle_target *out);

#endif
