/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_case.h — what the guard has found in one call, and what it does about each value.
 *
 * Ownership  names and what values become lie in the arenas given; guard_case_fini() frees the
 *            rest.
 * Limits     GUARD_FOUND_MAX kinds of findings are told apart, further ones are counted together.
 * Threads    one at a time.
 * Sources    docs/guard.md.
 */
#ifndef GUARD_GUARD_CASE_H
#define GUARD_GUARD_CASE_H

#include "base/buf.h"
#include "crypto/hmac.h"
#include "guard/guard_names.h"
#include "guard/guard_policy.h"
#include "guard/guard_scan.h"

#define GUARD_FOUND_MAX  16
#define GUARD_HASH_BYTES 16 /* hex digits of a hashed value */

/* Findings of one type that were dealt with alike. */
struct guard_found {
    uint16_t type;
    uint8_t action;    /* enum guard_action, as the policy says: also where the mode does nothing */
    uint8_t direction; /* enum guard_direction */
    uint32_t count;
    uint64_t at; /* of the first, in its text */
};

struct guard_case {
    struct guard_rule_of of;
    const struct crypto_hmac_key *key; /* for hashes: the team's */
    struct guard_names names;
    struct guard_found found[GUARD_FOUND_MAX];
    unsigned found_count;
    uint32_t found_more; /* findings of further kinds */
    uint32_t seen;       /* built-in types that prompts have, whatever is done about them: bits */
    bool wants_all;      /* what is allowed is to be seen too */
    bool acts;           /* the mode is `enforce` */
    bool is_blocked[GUARD_DIRECTIONS];
    bool is_local_only;
    uint8_t data_class; /* enum data_class that the prompt has at least */
};

/* A value with what was found of it. */
struct guard_value {
    const struct guard_finding *f;
    struct span text;
    bool is_callers; /* what stands in its place may be put back for the caller */
};

void guard_case_init(struct guard_case *c, const struct guard_rule_of *of, struct arena *arena);
void guard_case_fini(struct guard_case *c);

/* What is looked for in that direction: what is allowed is not. False: nothing at all. */
bool guard_case_wants(const struct guard_case *c, enum guard_direction direction,
                      struct guard_wanted *out);

/* Whether anything may come of it but that it is told: else what is looked at goes on as it came.
 */
bool guard_case_may_change(const struct guard_case *c, enum guard_direction direction);

/* Notes a finding, and says what is to be done about it: ALLOW in a dry run. */
enum guard_action guard_case_judge(struct guard_case *c, enum guard_direction direction,
                                   const struct guard_finding *f);

/* The same, where a value cannot be put in another's place: it is blocked instead. */
enum guard_action guard_case_judge_firm(struct guard_case *c, enum guard_direction direction,
                                        const struct guard_finding *f);

/*
 * What stands in place of a value that is masked, hashed or redacted; fit for a JSON string as it
 * is.
 *   ERR_NO_MEMORY
 */
MUST_USE enum err guard_case_replace(struct guard_case *c, enum guard_action action,
                                     const struct guard_value *value, struct arena *arena,
                                     struct span *out);

/*
 * What stands in place of something that looks like a placeholder: in a prompt one that stands for
 * it, in a reply what it stands for, under the rules of replies. `.at` NULL: it stays as it is.
 *   ERR_NO_MEMORY
 */
MUST_USE enum err guard_case_exchange(struct guard_case *c, enum guard_direction direction,
                                      struct span placeholder, struct arena *arena,
                                      struct span *out);

/* Writes {"violation_type":…,"entities":[…],"action_taken":…} of it. */
void guard_case_write_details(const struct guard_case *c, enum guard_direction direction,
                              struct buf *out);

/*
 * Writes what was found as records and the log keep it, words with blanks between, and returns the
 * length; of what does not fit there are no words:
 *
 *   saudi_id:prompt:redact:2@9      type, direction, action, how many, and where the first stands
 */
size_t guard_case_write_found(const struct guard_case *c, char *out, size_t most);

#endif
