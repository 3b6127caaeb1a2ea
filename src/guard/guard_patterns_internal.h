/* SPDX-License-Identifier: Apache-2.0 */
/* guard_patterns_internal.h — what a set of patterns is made of. For guard_pattern*.c. */
#ifndef GUARD_GUARD_PATTERNS_INTERNAL_H
#define GUARD_GUARD_PATTERNS_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <hs.h>
#include <pcre2.h>

#include "base/buf.h"
#include "guard/guard_patterns.h"

#define GUARD_PATTERN_OPTIONS                                                    \
    (PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | \
     PCRE2_DOLLAR_ENDONLY)
#define GUARD_BYTE_VALUES 256
#define GUARD_MASK_WORDS  2 /* of 64 patterns each */

_Static_assert(GUARD_RULES_MAX <= 64 * GUARD_MASK_WORDS, "a bit each");

struct guard_pattern {
    pcre2_code *code;
    char *first; /* what Vectorscan is given; NULL: it does not take it */
    uint16_t type;
    uint16_t before; /* bytes that it looks back at most, and a character more */
    uint16_t width;  /* the longest match with what it looks at behind it, in bytes */
};

struct guard_patterns {
    uint64_t serial; /* no other set has had it */
    size_t count;
    struct guard_pattern at[GUARD_RULES_MAX];
    hs_database_t *database; /* of those that Vectorscan takes; NULL: it takes none */
    pcre2_general_context *general;
    pcre2_compile_context *compile;
    uint64_t starts[GUARD_BYTE_VALUES][GUARD_MASK_WORDS]; /* that may begin with this byte */
    uint64_t slow[GUARD_MASK_WORDS];                      /* that Vectorscan does not take */
};

/* A pattern as read: what it may not have is not in it. NUL-terminated, both. */
struct guard_pattern_text {
    bool is_caseless; /* a part of it is */
    struct buf first; /* the same or more, in words that Vectorscan knows */
    struct buf wide;  /* also what it looks at is part of the match */
};

/* ERR_CONFIG: `fault` says what it may not have. */
MUST_USE enum err guard_pattern_read(struct span text, struct guard_pattern_text *out,
                                     char fault[GUARD_RULES_FAULT]);

/* Whether a text was found over which a part of the pattern takes very long. */
MUST_USE enum err guard_pattern_try(const struct guard_patterns *p, struct span text,
                                    char fault[GUARD_RULES_FAULT]);

/* A memory for PCRE2; NULL without. */
pcre2_general_context *guard_pattern_memory(void);

#endif
