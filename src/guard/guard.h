/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h — what the guard finds, and what is done about it: types, actions, findings.
 *
 * A type is a number: the built-in ones of guard_types.def first, then those of the operator's
 * rules (patterns, word lists, dictionaries): the gateway's from GUARD_BUILTINS on, a team's from
 * GUARD_TEAM_FIRST on.
 *
 * Threads  any; constants and values.
 * Sources  docs/guard.md.
 */
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum guard_type {
#define GUARD_TYPE(id, name, placeholder, violation, help) GUARD_##id,
#include "guard/guard_types.def"
#undef GUARD_TYPE
    GUARD_BUILTINS
};

#define GUARD_TYPES_MAX   256 /* built-in ones, the gateway's, and from GUARD_TEAM_FIRST a team's */
#define GUARD_TEAM_FIRST  128
#define GUARD_PLACEHOLDER (GUARD_TYPES_MAX - 1) /* what looks like one: no type of anybody's */
#define GUARD_NAME_BYTES  32 /* of an operator's type: [a-z][a-z0-9_]*, without a NUL */
#define GUARD_VALUE_BYTES                                                    \
    256 /* the longest value that is found, but for private keys: the cap of \
           what a stream holds back */

/* From the mildest to the strictest; MASK and HASH are equally strict. */
enum guard_action {
    GUARD_ALLOW,
    GUARD_FLAG,
    GUARD_MASK,
    GUARD_HASH,
    GUARD_REDACT,
    GUARD_LOCAL_ONLY,
    GUARD_BLOCK,
    GUARD_ACTIONS
};

/* What the configuration calls them, in that order. */
#define GUARD_ACTION_NAMES "allow|flag|mask|hash|redact|local_only|block"

enum guard_mode { GUARD_OFF, GUARD_DRY_RUN, GUARD_ENFORCE };

#define GUARD_MODE_NAMES "off|dry-run|enforce"

enum guard_direction { GUARD_PROMPT, GUARD_REPLY, GUARD_DIRECTIONS };

/* What kind of wrong a finding is, the gravest first. */
enum guard_violation {
    GUARD_VIOLATION_SECRET,
    GUARD_VIOLATION_PII,
    GUARD_VIOLATION_INJECTION,
    GUARD_VIOLATION_PATTERN,
    GUARD_VIOLATION_WORD
};

/* A value that was found in a text. */
struct guard_finding {
    uint64_t start, end; /* bytes of the text as it came, from its beginning; start < end */
    uint16_t type;
    uint8_t percent;   /* confidence */
    bool is_validated; /* a checksum or the like agreed */
};

/* How strict an action is: MASK and HASH alike. */
static inline int guard_strictness(enum guard_action a)
{
    return a == GUARD_HASH ? (int)GUARD_MASK : (int)a;
}

/* Whether the text does not stay as it was. */
static inline bool guard_changes(enum guard_action a)
{
    return a == GUARD_MASK || a == GUARD_HASH || a == GUARD_REDACT;
}

/* Of built-in types; "" for others. */
struct span guard_type_name(unsigned type);
struct span guard_type_placeholder(unsigned type);
enum guard_violation guard_type_violation(unsigned type);

/* The built-in type of that name; GUARD_BUILTINS: there is none. */
unsigned guard_type_find(struct span name);

struct span guard_action_name(enum guard_action action);
struct span guard_mode_name(enum guard_mode mode);
struct span guard_violation_name(enum guard_violation violation); /* "pii_detected" */

#endif
