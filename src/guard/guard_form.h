/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_form.h — a policy as it is written, be it in atlas.yaml or in a team's row, and what makes
 * a policy of it.
 *
 * Both have one form: the settings fill a form from YAML (settings_guard.c), guard_form_read() from
 * JSON. guard_compile() checks all that is said in it, in the same words for both.
 *
 * Ownership  a form borrows its texts; a policy has its own.
 * Limits     GUARD_PAIRS_MAX names a mapping; else those of guard_rules.h. GUARD_FORM_BYTES of
 * JSON. Threads    any; no state. Sources    docs/guard.md.
 */
#ifndef GUARD_GUARD_FORM_H
#define GUARD_GUARD_FORM_H

#include "base/arena.h"
#include "base/value.h"
#include "guard/guard_policy.h"

#define GUARD_PAIRS_MAX    256         /* GUARD_TYPES_MAX */
#define GUARD_FORM_BYTES   65536       /* of a team's, as JSON */
#define GUARD_WORDS_BYTES  (16u << 20) /* of a word list's file */
#define GUARD_MEMBER_BYTES 160
#define GUARD_SENTENCE     400

/* What is left of a blocked reply. */
enum guard_blocked_reply { GUARD_BLOCKED_PARTIAL, GUARD_BLOCKED_EMPTY };

#define GUARD_BLOCKED_REPLIES "partial|empty"

/* A rule of the operator's. */
struct guard_rule_form {
    const char *name;
    const char *regex;  /* of a pattern */
    const char *file;   /* of a list: a word a line */
    struct texts words; /* of a list, if not in a file */
    struct span text;   /* of `file`, by whoever read it */
    enum guard_action action;
};

/* A scanner that is asked over HTTP. */
enum guard_clearance {
    GUARD_CLEARED_PUBLIC,
    GUARD_CLEARED_TOP_SECRET = DATA_TOP_SECRET - DATA_PUBLIC
};

struct guard_external_form {
    const char *name, *url, *region, *zone;
    enum guard_clearance clearance; /* the highest class of data that may go there */
    const char *ca_file, *language;
    struct texts types; /* that it finds and are not built in */
    enum guard_external_kind kind;
    int64_t timeout_ms;
    enum guard_on_failure on_failure;
    int64_t score_nano; /* the least that counts, in billionths */
};

struct guard_form {
    bool is_given; /* there is one at all */
    enum guard_mode mode;
    bool says_mode;
    struct pairs actions[GUARD_DIRECTIONS]; /* type, or `default`, to action */
    bool restores, says_restore;
    enum guard_blocked_reply blocked_reply;
    bool says_blocked_reply;
    struct pairs min_confidence; /* type to a number */
    struct pairs classes;        /* type to a class of data */
    const struct guard_rule_form *patterns;
    size_t patterns_count;
    const struct guard_rule_form *wordlists;
    size_t wordlists_count;
    const struct guard_rule_form *dictionary;
    size_t dictionary_count;
    enum guard_action injection_action;
    bool says_injection;
    int64_t threshold_nano; /* in billionths; 0: not said */
    const struct guard_external_form *external;
    size_t external_count;
};

/*
 * Told what is wrong. `member`: where in the form, "prompts.saudi_id" or "patterns[2].regex", empty
 * for the whole; `is_name`: what is wrong there is the name, not the value. What is quoted in the
 * sentence may hold control characters.
 */
typedef void guard_problem(void *ctx, const char *member, bool is_name, const char *sentence);

/*
 * Makes a policy. Types of its own rules are numbered from `first` on: GUARD_BUILTINS, or of a team
 * GUARD_TEAM_FIRST.
 *
 *   ERR_CONFIG     something is wrong, and was told
 *   ERR_NO_MEMORY
 */
MUST_USE enum err guard_compile(const struct guard_form *form, unsigned first,
                                guard_problem *problem, void *ctx, struct guard_policy **out);

/*
 * Reads a team's form from JSON, whose texts go to the arena. Errors as of guard_compile(); what is
 * told has members as there.
 */
MUST_USE enum err guard_form_read(struct span json, struct arena *arena, guard_problem *problem,
                                  void *ctx, struct guard_form *out);

/* Both, for a team whose row holds `json`, which was checked: ERR_CONFIG, if it is damaged. */
MUST_USE enum err guard_policy_of_team(struct span json, struct guard_policy **out);

/*
 * Whether nothing in a team's form is milder than the gateway's policy; what is, is told. NULL: the
 * gateway has none.
 */
MUST_USE bool guard_is_stricter(const struct guard_form *form, const struct guard_policy *team,
                                const struct guard_policy *gateway, guard_problem *problem,
                                void *ctx);

#endif
