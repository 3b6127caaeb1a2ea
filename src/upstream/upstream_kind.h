/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_kind.h — in what the kinds of model servers differ.
 *
 * A table; the rows are what their sources and manuals say, and what was seen on the wire.
 *
 * Threads  any; all of it is constant.
 * Sources  the servers' own documentation of their OpenAI-compatible endpoints.
 */
#ifndef UPSTREAM_UPSTREAM_KIND_H
#define UPSTREAM_UPSTREAM_KIND_H

#include <stdbool.h>

#include "upstream/upstream_settings.h"

/* How an error's body looks. All are read whatever the kind says: proxies stand in between. */
enum upstream_error_shape {
    UPSTREAM_ERROR_NESTED, /* {"error":{"message":…,"type":…,"code":…}} */
    UPSTREAM_ERROR_FLAT,   /* {"object":"error","message":…,"type":…,"code":…} */
    UPSTREAM_ERROR_STRING, /* {"error":"…","error_type":"…"} */
};

struct upstream_kind_row {
    const char *name; /* what the configuration calls it */
    enum upstream_error_shape error_shape;
    bool
        renames_max_completion_tokens; /* it ignores max_completion_tokens: send it as max_tokens */
    bool refuses_both_max_tokens;      /* max_tokens and max_completion_tokens: send one of them */
    bool lacks_stop_text;              /* `stop` must be an array */
    bool lifts_extra_body;    /* members of a literal "extra_body" belong at the top level */
    bool takes_token_arrays;  /* input and prompt as arrays of token numbers */
    bool makes_base64;        /* embeddings with encoding_format base64 */
    bool opens_stream_first;  /* 200 goes out before admission: a refusal is the first event */
    bool hides_stream_errors; /* a stream that failed ends without finish_reason and [DONE] */
};

/* The row of `kind`. */
const struct upstream_kind_row *upstream_kind_row(enum upstream_kind kind);

#endif
