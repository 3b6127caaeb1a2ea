/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h — what the configuration decides about calls, as one immutable whole.
 *
 * Model names, aliases and patterns lead to deployments; the reply lines that a deployment implies
 * are made once. A reload makes a second policy, which takes over the deployments whose settings
 * did not change, and every worker swaps its pointer. A call keeps the policy that it began with.
 *
 * Ownership  counted: main holds one reference, each worker one for itself and its calls. Strings
 *            are the policy's own copies.
 * Threads    any; only the count changes.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"
#include "guard/guard_policy.h"
#include "journal/journal_record.h"
#include "policy/policy_prefixes.h"
#include "policy/policy_settings.h"
#include "text/text_tokenizer.h"
#include "upstream/deployment.h"

/* A model on one of its model servers. */
struct policy_place {
    struct deployment *deployment;
    struct span upstream_name; /* empty: the name that was asked for, or the model's for an alias */
    struct span reply_lines;   /* "X-Sovereign-ID: …\r\nX-Data-Residency: …\r\n" */
    uint32_t weight;           /* at least 1 */
    const struct policy_price *price; /* of its own; NULL: the model's hold */
    uint32_t series;                  /* of its calls in the metrics */
    uint16_t tag;                     /* in the table of beginnings */
    bool is_abroad; /* there is a home region, and the deployment is not known to be in it */
    /* What all records of its calls say alike. The two model names only where they do not depend
     * on what was asked for: not for a pattern. Nor the price, which is that of a moment. */
    struct journal_record record;
};

struct policy_model {
    struct span name; /* as configured; a pattern ends in '*' */
    const struct policy_place *places;
    size_t place_count; /* POLICY_PLACES_MAX at most */
    uint32_t endpoints; /* enum policy_endpoint bits */
    int64_t context_tokens, max_output;
    int64_t energy_nano;               /* billionths of a Wh that 1,000 tokens take; 0: not known */
    const struct policy_price *prices; /* the earliest first; see policy_price_at() */
    size_t price_count;                /* 0: what it costs is not known */
    enum policy_reasoning reasoning;
    bool is_pattern, token_arrays;
    bool runs_once; /* a call that was sent to one of its servers goes to no other */
    bool lacks_images, lacks_tools; /* it is known not to take them */
    bool refuses_tools;             /* the operator says so himself */
    uint8_t tier;                   /* POLICY_TIER_MIDDLE where it is not known */
    const struct span *languages;   /* that it is made for; none: not known */
    size_t language_count;
    const struct text_tokenizer *tokenizer; /* NULL: its family is not known, or was not measured */
};

struct policy {
    _Atomic int refs;
    struct arena arena;
    struct map names;               /* names and aliases to policy_model */
    const struct map_slot **listed; /* the same in the order of their names */
    size_t listed_count;
    struct policy_model *models;
    size_t model_count;
    struct policy_model **patterns; /* longest first */
    size_t pattern_count;
    bool is_choosy; /* some model is known not to take images, or not to call tools */
    struct deployment **deployments;
    size_t deployment_count;
    struct upstream_trust *trust;  /* what its https deployments believe */
    struct routing *routing;       /* its rules; NULL: there are none */
    struct guard_policy *guard;    /* NULL: the configuration says nothing of it */
    struct policy_model *scanners; /* its scanners, in its order: of no name for callers */
    size_t scanner_count;
    struct policy_prefixes *prefixes; /* what was read where; NULL: each model has one place */
    struct span zone, region;
    struct span regions; /* that calls may go to whose team says none, a line each; none: any */
    struct span common_lines; /* of every reply: X-Sovereign-ID */
    struct span models_json;  /* the reply to GET /v1/models */
    const char *const *cors_origins;
    size_t cors_origin_count;
    int64_t cors_max_age_s;
    int64_t grid_nano; /* billionths of a gram of CO2e a kWh; 0: not known */
    int64_t calls_max;
    int64_t stream_head_hold_ms, ping_interval_ms;
    int64_t created_s;
    struct journal_record record; /* what records of calls that found no model say alike */
};

/* A model that was found by a name. */
struct policy_match {
    const struct policy_model *model;
    const struct policy_place *place; /* the first, until one is chosen: policy_place_match() */
    struct span shown;                /* the name that replies and records show */
    struct span upstream_name;        /* what its model server calls it */
};

/*
 * Makes a policy. `previous` (or NULL) lends deployments that did not change. `reason` has 256
 * bytes and names the upstream at fault.
 * Reads CA files: not for a loop that others wait for.
 *   ERR_NO_MEMORY, or what deployment_open() and upstream_trust_open() say
 */
MUST_USE enum err policy_open(const struct policy_settings *settings,
                              const struct upstream_settings *upstreams,
                              const struct policy *previous, wall_us now, char *reason,
                              struct policy **out);

struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy **p);

/* The model that `name` (a name, an alias, or matched by a pattern) leads to; false if none.
 * `name` must outlive the match. */
MUST_USE bool policy_find(const struct policy *p, struct span name, struct policy_match *out);

/* The same model at one of its places. */
void policy_place_match(struct policy_match *match, const struct policy_place *place);

#define POLICY_UNKNOWN_BYTES 384

/* Says that there is no model `name`, and perhaps which was meant; returns the sentence's length.
 * It looks at the first thousand names, and closely at a few of these: the caller chooses how
 * often.
 */
size_t policy_say_unknown(const struct policy *p, struct span name, char out[POLICY_UNKNOWN_BYTES]);

#define POLICY_LIST_BYTES_MAX (64u << 20)

/* Whether a model is to be listed under this name or alias. */
typedef bool policy_may(void *ctx, struct span name, const struct policy_model *model);

/* Writes the reply to GET /v1/models as one hears it who may use some of them; `may` NULL: all.
 * ERR_NO_MEMORY. */
MUST_USE enum err policy_write_models(const struct policy *p, policy_may *may, void *ctx,
                                      struct buf *out);

/* Writes the reply to GET /v1/models/{id} for a name that policy_find() found. */
void policy_write_model(const struct policy *p, struct span id, const struct policy_model *model,
                        struct buf *out);

#endif
