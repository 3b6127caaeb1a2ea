/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing.h — the rules of routing_config.yaml: which model answers a call that leaves it open.
 *
 *   routes:
 *     - name: arabic-native
 *       condition: "language == 'ar'"
 *       model: arabic-large
 *       fallbacks: [general-large]
 *
 * The first rule that holds decides. A rule holds when its condition does, its teams name the
 * call's team, and the moment is in its hours and weekdays. What it then allows is not passed over:
 * where none of its models may be asked, no other rule is.
 *
 * Ownership  counted: routing_read() hands the first reference to the caller. It never changes.
 * Limits     YTREE_BYTES_MAX of text; ROUTING_RULES_MAX rules, ROUTING_TARGETS_MAX targets and
 *            fallbacks each.
 * Threads    any, at any time.
 * Sources    docs/routing.md; conditions: condition/condition.h.
 */
#ifndef ROUTING_ROUTING_H
#define ROUTING_ROUTING_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/data_class.h"
#include "base/err.h"
#include "condition/condition.h"
#include "routing/routing_examples.h"

#define ROUTING_RULES_MAX    1000
#define ROUTING_TARGETS_MAX  8
#define ROUTING_TIER_MAX     5  /* POLICY_TIER_MOST */
#define ROUTING_LIST_MAX     64 /* teams, regions of a rule */
#define ROUTING_NAME_MAX     48 /* bytes of a rule's name: a record and a header name it */
#define ROUTING_WEIGHT_MAX   10000
#define ROUTING_DIGEST_BYTES 32
#define ROUTING_HEDGE_SLOW   (-1) /* when it is later than nineteen of twenty of its answers */

/* What a condition may ask of a call. */
enum routing_fact {
    ROUTING_LANGUAGE,
    ROUTING_LANGUAGE_CONFIDENCE,
    ROUTING_SCRIPT,
    ROUTING_DIALECT,
    ROUTING_PROMPT_TOKENS,
    ROUTING_MAX_TOKENS,
    ROUTING_STREAM,
    ROUTING_MODEL,
    ROUTING_ENDPOINT,
    ROUTING_ORGANISATION,
    ROUTING_TEAM,
    ROUTING_USER,
    ROUTING_KEY,
    ROUTING_TAGS,
    ROUTING_PROFILE,
    ROUTING_HAS_TOOLS,
    ROUTING_HAS_IMAGES,
    ROUTING_TURNS,
    ROUTING_HEADERS,
    ROUTING_HOUR,
    ROUTING_WEEKDAY,
    ROUTING_CLASSIFICATION,
    ROUTING_PII,
    ROUTING_CODE_SHARE,
    ROUTING_SESSION,
    ROUTING_BUDGET_USED,
    ROUTING_PROMPT_TOKENS_BY,
    ROUTING_FACTS,
    ROUTING_MINUTE = ROUTING_FACTS, /* of the hour; no condition can name it */
    ROUTING_TEAM_ID
};

extern const struct condition_fact routing_facts[ROUTING_FACTS];

enum routing_profile {
    ROUTING_NO_PROFILE,
    ROUTING_COST,
    ROUTING_PERFORMANCE,
    ROUTING_BALANCED,
    ROUTING_PROFILES,                  /* that a caller may name */
    ROUTING_LEARNED = ROUTING_PROFILES /* by examples: only rules say so */
};

struct routing_target {
    struct span model;
    uint32_t weight; /* 1 if nothing is said; of canary and shadow: of 1,000 calls so many */
};

struct routing_rule {
    struct span name;
    const struct condition *condition; /* NULL: it always holds */
    const struct routing_target *targets;
    const struct span *fallbacks, *teams, *regions;
    uint16_t target_count, fallback_count, team_count, region_count; /* 0 teams, regions: any */
    uint32_t weights;                                                /* of all targets */
    struct routing_target canary;                                    /* weight 0: there is none */
    struct routing_target shadow; /* gets copies, and answers nobody; the same */
    int64_t hedge_ms; /* another is asked beside one that has not answered by then; 0: none is */
    enum routing_profile profile;
    enum data_class max_class; /* of data that calls may bear; unsaid: any */
    bool is_local;             /* the home zone alone */
    bool binds_named;          /* calls that name their model, too */
    uint8_t min_tier;          /* models of a lower one are not asked; 0: any */
    uint8_t weekdays;          /* bit 1: Monday, to 7; 0: any */
    int16_t from, until; /* minutes of the day; equal: all day. `until` may be the next day's */
};

/* How models are chosen by labelled prompts. */
struct routing_learned {
    struct span embeddings;                  /* the model that makes vectors of prompts */
    struct span file;                        /* of the examples, as it is written */
    uint32_t neighbours;                     /* that are looked at, the nearest */
    double target;                           /* the quality that the cheapest model must reach */
    int64_t deadline_ms;                     /* for a vector; then another profile decides */
    const struct routing_examples *examples; /* NULL: nobody has read them */
};

struct routing;

/* What there is beside the rules: which models, and in which regions. */
struct routing_world {
    bool (*has_model)(const void *ctx, struct span name);
    const char *(*near_model)(const void *ctx, struct span name); /* NULL: none is near */
    bool (*has_region)(const void *ctx, struct span region);
    const void *ctx;
    bool (*embeds)(const void *ctx, struct span name); /* it serves embeddings; NULL: any may */
};

/*
 * Reads the text of a file that is called `name`. What is wrong goes to `problems`, one line each,
 * "name:line:column: sentence".
 *
 *   ERR_CONFIG     something is wrong: all that could be found in one pass is told
 *   ERR_NO_MEMORY
 */
MUST_USE enum err routing_read(struct span text, const char *name,
                               const struct routing_world *world, struct buf *problems,
                               struct routing **out);

struct routing *routing_ref(struct routing *r);
void routing_unref(struct routing **r);

size_t routing_count(const struct routing *r);
const struct routing_rule *routing_rule(const struct routing *r, size_t i);

/* Whether some rule binds calls that name their model, too. */
bool routing_binds_named(const struct routing *r);

/* Which profile holds where neither the call nor a rule says one. */
enum routing_profile routing_default_profile(const struct routing *r);

/* Its `learned:`; NULL: it has none, or there is no file. */
const struct routing_learned *routing_learned_of(const struct routing *r);

/* Gives it the examples that `learned:` names, before anybody else has it. */
void routing_take_examples(struct routing *r, struct routing_examples **examples);

/* What the file calls itself: `version`; "" where it says nothing. */
struct span routing_version(const struct routing *r);

/* SHA-256 of the file's text. */
const uint8_t *routing_digest(const struct routing *r);

/* The facts that some rule asks for: a bit each. */
uint64_t routing_uses(const struct routing *r);

/* Whether rule `i` holds for a call of these facts. */
enum condition_outcome routing_decide(const struct routing *r, size_t i,
                                      struct condition_facts *facts,
                                      struct condition_scratch *scratch);

/* Which rules may still hold for a call. */
struct routing_sieve {
    uint64_t left[(ROUTING_RULES_MAX + 63) / 64];
    uint64_t asked; /* what was looked at: a bit each */
};

/* Begins with all rules, or with those alone that bind calls that name their model. */
void routing_sieve_begin(const struct routing *r, bool only_named, struct routing_sieve *s);

/* The first rule at or behind `from` that may hold, which routing_decide() then says; the count of
 * rules: there is none. Those between do not hold: some fact rules them out, many at once. Asks for
 * no fact that those rules do not ask for first. */
size_t routing_next(const struct routing *r, size_t from, struct condition_facts *facts,
                    struct routing_sieve *s);

/* The time of day, of the week, in the file's time zone. */
struct routing_moment {
    int hour, minute, weekday; /* 1: Monday */
};
struct routing_moment routing_moment_of(const struct routing *r, wall_us at);

/* "cost"; "" for none. */
const char *routing_profile_name(enum routing_profile profile);

/* The profile of a name: "cost" or "cost-optimized", and so on. False: there is none of it. */
MUST_USE bool routing_profile_find(struct span name, enum routing_profile *out);

#endif
