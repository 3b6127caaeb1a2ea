/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_settings.h — the models that callers may ask for, and the bounds on all calls together.
 *
 * Filled by main from the settings table (src/settings/settings.def), where each field's default,
 * range and explanation stand. Main has checked: every model's upstream exists; names and aliases
 * are unique; none is `auto` or `auto-router`; `*` stands at the end of a name only, and a pattern
 * has no aliases.
 *
 * Ownership  borrowed: all of it, strings too, lives as long as the struct settings it is part of.
 * Threads    any; read only.
 */
#ifndef POLICY_POLICY_SETTINGS_H
#define POLICY_POLICY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/span.h"
#include "base/value.h"
#include "guard/guard_form.h"

struct routing;

/* Bits of model_settings.endpoints. */
enum policy_endpoint {
    POLICY_CHAT = 1 << 0,
    POLICY_COMPLETIONS = 1 << 1,
    POLICY_EMBEDDINGS = 1 << 2
};

/* What the configuration calls them, from bit 0. */
#define POLICY_ENDPOINTS "chat|completions|embeddings"

/* Whether a call may go to another model server when one that had it whole failed: it may run
 * twice then. */
enum policy_repeat { POLICY_REPEAT_ALLOWED, POLICY_REPEAT_NEVER };

#define POLICY_REPEATS "allowed|never"

/* Under which name reasoning is told. */
enum policy_reasoning {
    POLICY_REASONING_AS_IS,
    POLICY_REASONING_NEWER, /* reasoning */
    POLICY_REASONING_OLDER  /* reasoning_content */
};

/* What the configuration calls them, in that order. */
#define POLICY_REASONINGS "as-is|reasoning|reasoning_content"

/* Bits of model_settings.inputs: what a message may hold. */
enum policy_input { POLICY_TEXT = 1 << 0, POLICY_IMAGE = 1 << 1, POLICY_AUDIO = 1 << 2 };

/* What the configuration calls them, from bit 0. */
#define POLICY_INPUTS "text|image|audio"

/* Whether a model can do something, where that is known. */
enum policy_ability { POLICY_MAY, POLICY_CANNOT, POLICY_CAN };

/* What the configuration calls them, in that order. */
#define POLICY_ABILITIES "unknown|false|true"

#define POLICY_TIER_MOST   5
#define POLICY_TIER_MIDDLE 3 /* where it is not known */

#define POLICY_PRICES_MAX     64  /* of a model */
#define POLICY_PRICE_ID_BYTES 112 /* with its NUL: six numbers, and what stands between them */

/* What a model costs from a moment on, in billionths of the currency. All of it is added up. */
struct policy_price {
    int64_t input_nano, cached_nano, output_nano; /* `per_tokens` tokens */
    int64_t per_tokens;                           /* at least 1 */
    int64_t request_nano;                         /* a request that was answered */
    int64_t gpu_second_nano;                      /* a second at the model server */
    char currency[4];                             /* three letters, "USD" */
    wall_us from;                                 /* 0: it always was */
    char id[POLICY_PRICE_ID_BYTES];               /* by policy_price_name(); "": not yet */
};

#define POLICY_PLACES_MAX 32 /* of a model */

/* A model server that serves a model, one of several. */
struct deployment_settings {
    const char *upstream; /* as in model_settings, and so are the next two */
    size_t upstream_index;
    const char *upstream_name;
    int64_t weight; /* of the calls it has so many as another has one */
    struct policy_price price;
    bool has_price; /* of its own; else its model's hold */
};

struct model_settings {
    const char *name;          /* its key in the configuration; a pattern ends in '*' */
    bool is_pattern;           /* the longest matching pattern wins, after all names and aliases */
    const char *upstream;      /* the name of an upstream_definition; NULL: `deployments` say it */
    size_t upstream_index;     /* its place in upstream_settings.definitions */
    const char *upstream_name; /* what the upstream calls the model; NULL: as the caller did, or
                                  `name` where the caller used an alias */
    const struct deployment_settings *deployments;
    size_t deployments_count; /* 0: it is at `upstream` alone */
    struct texts aliases;
    uint32_t endpoints;        /* enum policy_endpoint bits, at least one */
    int64_t context_tokens;    /* 0: unknown, not checked */
    int64_t energy_nano;       /* billionths of a Wh that 1,000 tokens take; 0: not known */
    int64_t max_output;        /* tokens of an answer whose caller says no bound; 0: none is set */
    struct policy_price price; /* what `price:` says: one of `prices`, if it is given */
    const struct policy_price *prices; /* the earliest first */
    size_t prices_count;               /* 0: what it costs is not known */
    enum policy_reasoning reasoning;
    bool token_arrays; /* whether input and prompt may be token numbers */
    enum policy_repeat repeat;
    int64_t tier;              /* of its answers' quality, 1 to POLICY_TIER_MOST; 0: not known */
    uint32_t inputs;           /* enum policy_input bits; 0: not known */
    enum policy_ability tools; /* whether it calls tools */
    struct texts languages;    /* by ISO 639-1, that it is made for; none: not known */
    const char *catalogue;     /* the entry to take from; "none"; NULL: that of its name */
    const char *known_as;      /* the entry that was taken from; NULL: none */
    const char *tokenizer;     /* by the catalogue; NULL: not known */
    uint32_t taken;            /* which settings are the catalogue's: settings_catalogue.h */
    bool has_guessed_tools;    /* `tools` is the catalogue's word and not the operator's */
};

/* The files that a policy was read from, as they were written, but for secrets. .at NULL: there is
 * no such file. */
struct policy_texts {
    struct span settings, models, rules;
};

/* Which web pages may call from a browser. */
struct cors_settings {
    struct texts origins; /* "https://app.example", or the one "*"; none: no CORS headers */
    int64_t max_age_s;    /* how long a browser may remember the answer */
};

struct policy_settings {
    const char *zone;     /* X-Sovereign-ID */
    const char *region;   /* home region; NULL: not given */
    struct texts regions; /* that calls may go to whose team says none; none: any */
    const struct model_settings *models;
    size_t models_count;
    struct routing *routing; /* the rules, which struct settings has counted; NULL: none */
    struct guard_form guard; /* as it is written */
    struct guard_policy
        *guard_policy; /* made of it, which struct settings has counted; NULL: none */
    struct policy_texts texts;
    struct cors_settings cors;
    int64_t grid_nano;           /* billionths of a gram of CO2e a kWh; 0: not known */
    int64_t buffered_bytes_max;  /* of all calls together, for memory_set_allowance() */
    int64_t calls_max;           /* in progress at once in the process; then 503 */
    int64_t stream_head_hold_ms; /* how long an error of a stream keeps its real status, at most */
    int64_t ping_interval_ms;    /* the longest silence of a stream after its head */
    int64_t workers;             /* threads that serve calls; 0: one a core */
    int64_t drain_notice_ms;     /* how long new connections are told 503 before none is accepted */
    int64_t worker_still_max_ms; /* a gateway one of whose workers stands still longer is ended; 0:
                                    never */
    int64_t drain_timeout_ms;    /* what calls in flight get to finish in when stopping */
};

#endif
