/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_settings.h — the model servers that the operator named.
 *
 * Filled by main from the settings table (src/settings/settings.def), where each field's default,
 * range and explanation stand. Timeouts are milliseconds, never 0.
 *
 * Ownership  borrowed: all of it, strings too, lives as long as the struct settings it is part of.
 * Threads    any; read only.
 */
#ifndef UPSTREAM_UPSTREAM_SETTINGS_H
#define UPSTREAM_UPSTREAM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/data_class.h"
#include "base/value.h"

enum upstream_kind {
    UPSTREAM_VLLM,
    UPSTREAM_SGLANG,
    UPSTREAM_LLAMA_CPP,
    UPSTREAM_OLLAMA,
    UPSTREAM_TGI,
    UPSTREAM_OPENAI,
    UPSTREAM_SCANNER /* serves no model: the guard asks it; no kind that `upstreams:` may name */
};

/* What the configuration calls them, in the order of the enum. */
#define UPSTREAM_KINDS "vllm|sglang|llama.cpp|ollama|tgi|openai"

/* What Atlas adds to a request and the caller did not send. */
enum upstream_addition {
    UPSTREAM_ADDS_STREAM_OPTIONS = 1 << 0, /* include_usage, to a stream's body: for the accounts */
    UPSTREAM_ADDS_HEADERS = 1 << 1,        /* Via, X-Request-Id, Accept, Accept-Encoding */
    UPSTREAM_ADDS_MAX_TOKENS = 1 << 2      /* a model's max_output, where the caller says none */
};

/* What the configuration calls them, from bit 0. */
#define UPSTREAM_ADDITIONS "stream_options|headers|max_tokens"

/* Whose call a connection may serve that has served one before. */
enum upstream_reuse {
    UPSTREAM_REUSE_ANY,
    UPSTREAM_REUSE_TEAM, /* calls of the same owner: the key, until there are teams */
    UPSTREAM_REUSE_NEVER
};

#define UPSTREAM_REUSES "any|team|never"

/* Classes of data, as a choice: from 0 on. */
enum upstream_clearance {
    UPSTREAM_CLEARED_PUBLIC,
    UPSTREAM_CLEARED_TOP_SECRET = DATA_TOP_SECRET - DATA_PUBLIC
};

struct upstream_definition {
    const char *name; /* its key in the configuration */
    enum upstream_kind kind;
    const char *url; /* http or https, as one would give it to an OpenAI SDK; valid, no final '/' */
    struct secret api_key; /* sent as Authorization: Bearer; .text NULL: none is sent */
    const char *region;    /* NULL: unknown */
    const char *zone;      /* NULL: unknown */
    bool breaker;          /* it is left in peace when it fails again and again, or asks for it */
    enum upstream_clearance clearance; /* the highest class of data that may go there */
    const char *ca_file; /* PEM file to trust instead of the system's; NULL: the system's */

    int64_t connect_timeout_ms;    /* DNS, TCP and TLS together */
    int64_t first_byte_timeout_ms; /* request sent to first byte of the reply */
    int64_t idle_timeout_ms;       /* between two reads of a reply */
    int64_t total_timeout_ms;      /* the whole attempt */

    int64_t probe_ms;             /* how often it is asked whether it answers; 0: never */
    int64_t load_ms;              /* how often it is asked what work it has; 0: never */
    const char *load_path;        /* of its page of metrics, below the URL without "/v1" */
    const char *load_model;       /* only rows with this model_name count; NULL: all */
    int64_t connections_max;      /* at once in the process; 0: no bound */
    int64_t idle_connections_max; /* kept open by each worker */
    int64_t idle_keep_ms;         /* how long such a one is kept */
    enum upstream_reuse reuse;
    int64_t queue_max;       /* calls that wait for a connection in each worker; then 503 */
    int64_t reply_bytes_max; /* a reply that is read whole, or an event; then 502 */
    uint32_t omit;           /* enum upstream_addition bits: it refuses these */
};

struct upstream_settings {
    const struct upstream_definition *definitions;
    size_t definitions_count;
};

#endif
