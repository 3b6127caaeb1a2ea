/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_rules.h — the operator's own rules, compiled: patterns, word lists, dictionaries.
 *
 * Ownership  counted; immutable once made.
 * Limits     GUARD_RULES_MAX rules; GUARD_WORDS_MAX words of all lists together, GUARD_VALUE_BYTES
 *            each; a pattern of GUARD_PATTERN_BYTES, that matches GUARD_VALUE_BYTES at most.
 * Threads    any; only the count changes.
 * Sources    docs/guard.md; PCRE2's and Vectorscan's manuals.
 */
#ifndef GUARD_GUARD_RULES_H
#define GUARD_GUARD_RULES_H

#include "base/err.h"
#include "guard/guard.h"

#define GUARD_RULES_MAX     100
#define GUARD_PATTERN_BYTES 1024
#define GUARD_WORDS_MAX     200000
#define GUARD_RULES_FAULT   256 /* bytes of a sentence */

struct guard_rules;

enum guard_rule_kind {
    GUARD_RULE_PATTERN,   /* `text` is a regular expression */
    GUARD_RULE_WORDLIST,  /* `text` has a word or phrase a line: found as words, in any case */
    GUARD_RULE_DICTIONARY /* the same, but in this case only */
};

/* A rule as the operator says it. Spans are borrowed during guard_rules_new(). */
struct guard_rule_source {
    enum guard_rule_kind kind;
    struct span name; /* of its type; not one of the built-in ones, nor another rule's */
    struct span text;
};

/*
 * Compiles rules, whose types are numbered from `first` on in their order: GUARD_BUILTINS, or of a
 * team GUARD_TEAM_FIRST.
 *
 *   ERR_CONFIG     `fault` says which rule is wrong, and what with it; `*which` is its place
 *   ERR_NO_MEMORY
 */
MUST_USE enum err guard_rules_new(const struct guard_rule_source *sources, size_t count,
                                  unsigned first, char fault[GUARD_RULES_FAULT], size_t *which,
                                  struct guard_rules **out);

struct guard_rules *guard_rules_ref(struct guard_rules *r);
void guard_rules_unref(struct guard_rules **r);

/* The type of a name; GUARD_TYPES_MAX: none of these rules has it. */
unsigned guard_rules_find(const struct guard_rules *r, struct span name);

/* Of the type of one of these rules: its name, and what kind of rule it is. */
struct span guard_rules_name(const struct guard_rules *r, unsigned type);
enum guard_rule_kind guard_rules_kind(const struct guard_rules *r, unsigned type);

unsigned guard_rules_first(const struct guard_rules *r);
size_t guard_rules_count(const struct guard_rules *r);

#endif
