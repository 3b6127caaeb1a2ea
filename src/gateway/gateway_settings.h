/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_settings.h — the models that callers may ask for, and the bounds on all calls together.
 *
 * Filled by main from the settings table (src/settings/settings.def), where each field's default,
 * range and explanation stand. Main has checked: every model's upstream exists; names and aliases
 * are unique; none is `auto` or `auto-router`; `*` stands at the end of a name only, and a pattern
 * has no aliases.
 *
 * Ownership  borrowed: all of it, strings too, lives as long as the struct settings it is part of.
 * Threads    any; read only.
 */
#ifndef GATEWAY_GATEWAY_SETTINGS_H
#define GATEWAY_GATEWAY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/value.h"

/* Bits of gateway_model.endpoints. */
enum gateway_endpoint {
    GATEWAY_CHAT = 1 << 0,
    GATEWAY_COMPLETIONS = 1 << 1,
    GATEWAY_EMBEDDINGS = 1 << 2
};

/* What the configuration calls them, from bit 0. */
#define GATEWAY_ENDPOINTS "chat|completions|embeddings"

/* What a model costs: so many micro-units of the currency for `per_tokens` tokens. */
struct gateway_price {
    int64_t input_micro;
    int64_t output_micro;
    int64_t per_tokens;   /* at least 1 */
    const char *currency; /* three letters, "USD" */
};

struct gateway_model {
    const char *name;          /* its key in the configuration; a pattern ends in '*' */
    bool is_pattern;           /* the longest matching pattern wins, after all names and aliases */
    const char *upstream;      /* the name of an upstream_definition */
    size_t upstream_index;     /* its place in upstream_settings.definitions */
    const char *upstream_name; /* what the upstream calls the model; NULL: as the caller did, or
                                  `name` where the caller used an alias */
    struct texts aliases;
    uint32_t endpoints;     /* enum gateway_endpoint bits, at least one */
    int64_t context_tokens; /* 0: unknown, not checked */
    struct gateway_price price;
    bool token_arrays; /* whether input and prompt may be token numbers */
};

/* Which web pages may call from a browser. */
struct gateway_cors {
    struct texts origins; /* "https://app.example", or the one "*"; none: no CORS headers */
    int64_t max_age_s;    /* how long a browser may remember the answer */
};

struct gateway_settings {
    const char *zone;   /* X-Sovereign-ID */
    const char *region; /* home region; NULL: not given */
    const struct gateway_model *models;
    size_t models_count;
    struct gateway_cors cors;
    int64_t buffered_bytes_max; /* of all calls together, for memory_set_allowance() */
    int64_t calls_max;          /* in progress at once in the process; then 503 */
    int64_t workers;            /* threads that serve calls; 0: one a core */
    int64_t drain_timeout_ms;   /* what calls in flight get to finish in when stopping */
};

#endif
