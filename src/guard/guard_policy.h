/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_policy.h — what is done about what is found: the gateway's policy, and a team's upon it.
 *
 * A team can only be stricter: of the two actions the stricter one counts, of the two modes the
 * higher, of the two confidences the lower. So neither has to know the other when it is made, and a
 * reload of one leaves the other as it is.
 *
 * Ownership  counted; immutable once made.
 * Threads    any; only the count changes.
 * Sources    docs/guard.md.
 */
#ifndef GUARD_GUARD_POLICY_H
#define GUARD_GUARD_POLICY_H

#include <stdatomic.h>

#include "base/data_class.h"
#include "base/err.h"
#include "guard/guard.h"
#include "guard/guard_rules.h"
#include "guard/guard_scan.h"

#define GUARD_PERCENT_MIN       50 /* the confidence at which a finding acts, if no other is said */
#define GUARD_INJECTION_PERCENT 80 /* the same of an attempt to talk a model out of its rules */

#define GUARD_DIGEST_BYTES 32

#define GUARD_EXTERNAL_MAX 8  /* scanners that are asked over HTTP */
#define GUARD_LANGUAGE_MAX 16 /* bytes of a language's name, with its NUL */

enum guard_external_kind { GUARD_EXTERNAL_PRESIDIO, GUARD_EXTERNAL_ATLAS };

#define GUARD_EXTERNAL_KINDS "presidio|atlas"

enum guard_on_failure { GUARD_FAILURE_BLOCKS, GUARD_FAILURE_ALLOWS };

#define GUARD_ON_FAILURES "block|allow"

/* A scanner that is asked over HTTP: guard_external.h. */
struct guard_scanner {
    char name[GUARD_NAME_BYTES];
    char language[GUARD_LANGUAGE_MAX];
    enum guard_external_kind kind;
    enum guard_on_failure on_failure;
    int64_t timeout_ms;
    uint8_t percent; /* the least confidence that counts */
    uint16_t type;   /* of what it finds and nobody has named; it has the scanner's name */
};

/* The types of one owner: the built-in ones, then those of its own rules. */
struct guard_policy {
    _Atomic int refs;
    enum guard_mode mode;
    bool restores;             /* placeholders are put back in replies */
    bool says_restore;         /* it says whether or not; the gateway's false binds teams */
    bool empties_blocked;      /* a blocked reply has no text; else that before the value */
    struct guard_rules *rules; /* NULL: none */
    uint8_t digest[GUARD_DIGEST_BYTES]; /* SHA-256 of all that it was made of */
    uint8_t injection_percent;          /* from which score on it acts; 0: not said */
    uint8_t percents[GUARD_TYPES_MAX];  /* from which confidence on it acts; 0: not said */
    uint8_t actions[GUARD_DIRECTIONS][GUARD_TYPES_MAX]; /* enum guard_action */
    uint8_t defaults[GUARD_DIRECTIONS]; /* of the built-in ones that are not named */
    uint8_t classes[GUARD_TYPES_MAX]; /* the class that a prompt with it has at least; unsaid: 0 */
    struct guard_scanner scanners[GUARD_EXTERNAL_MAX];
    size_t scanner_count;
    char (*named)[GUARD_NAME_BYTES]; /* types that only scanners find; NULL: none */
    unsigned named_first;            /* their numbers */
    size_t named_count;
};

/* What holds for a call. Borrowed, or counted by its owner. */
struct guard_rule_of {
    const struct guard_policy *gateway; /* NULL: there is no guard */
    const struct guard_policy *team;    /* NULL: it says nothing */
};

/* An empty policy that allows all and does nothing: `mode` off. ERR_NO_MEMORY. */
MUST_USE enum err guard_policy_new(struct guard_policy **out);

/* One that blocks all that is built in: in place of one that cannot be read. ERR_NO_MEMORY. */
MUST_USE enum err guard_policy_closed(struct guard_policy **out);

struct guard_policy *guard_policy_ref(struct guard_policy *p);
void guard_policy_unref(struct guard_policy **p);

enum guard_mode guard_mode_of(const struct guard_rule_of *of);

/* What is done about a finding: ALLOW also where its confidence does not suffice. The mode is not
 * asked. */
enum guard_action guard_action_of(const struct guard_rule_of *of, enum guard_direction direction,
                                  const struct guard_finding *f);

/* The class that a prompt has at least in which it was found; DATA_UNSAID: any. */
enum data_class guard_class_of(const struct guard_rule_of *of, const struct guard_finding *f);

/* Whether placeholders are put back: the team decides, unless the gateway says that they are not.
 */
bool guard_restores(const struct guard_rule_of *of);

/* Whether a blocked reply has no text at all. */
bool guard_empties_blocked(const struct guard_rule_of *of);

/* Whether some value may be masked, hashed, redacted or blocked. */
bool guard_may_change(const struct guard_rule_of *of, enum guard_direction direction);

/* Whether some value may be hashed. */
bool guard_hashes(const struct guard_rule_of *of);

/* The scanners to be asked of a prompt, and how many there are: they are the gateway's. */
size_t guard_scanners_of(const struct guard_rule_of *of, const struct guard_scanner **out);

/* The number of a type that only scanners find; GUARD_TYPES_MAX: it is none. */
unsigned guard_named_find(const struct guard_policy *p, struct span name);

/* What to look for: what something is done about, or `all` types. */
void guard_wanted_of(const struct guard_rule_of *of, enum guard_direction direction, bool all,
                     struct guard_wanted *out);

/* A type's name, placeholder and violation, whoever's it is. The placeholder of an operator's type
 * is its name in capitals, in `room`. */
struct span guard_name_of(const struct guard_rule_of *of, unsigned type);
struct span guard_placeholder_of(const struct guard_rule_of *of, unsigned type,
                                 char room[GUARD_NAME_BYTES]);
enum guard_violation guard_violation_of(const struct guard_rule_of *of, unsigned type);

#endif
