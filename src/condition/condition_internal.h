/* SPDX-License-Identifier: Apache-2.0 */
/* condition_internal.h — a condition's program, and its words. For the part's own files. */
#ifndef CONDITION_CONDITION_INTERNAL_H
#define CONDITION_CONDITION_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/arena.h"
#include "condition/condition.h"

enum condition_word {
    WORD_END,
    WORD_NAME,
    WORD_TEXT,
    WORD_INT,
    WORD_REAL,
    WORD_TRUE,
    WORD_FALSE,
    WORD_OPEN,    /* ( */
    WORD_CLOSE,   /* ) */
    WORD_LIST,    /* [ */
    WORD_UNLIST,  /* ] */
    WORD_COMMA,   /* , */
    WORD_DOT,     /* . */
    WORD_NOT,     /* ! */
    WORD_MINUS,   /* - */
    WORD_IF,      /* ? */
    WORD_ELSE,    /* : */
    WORD_AND,     /* && */
    WORD_OR,      /* || */
    WORD_IN,      /* in */
    WORD_EQUAL,   /* ==, and the five below in the order of condition_compare */
    WORD_UNEQUAL, /* != */
    WORD_LESS,
    WORD_AT_MOST,
    WORD_MORE,
    WORD_AT_LEAST
};

enum condition_compare { EQUAL, UNEQUAL, LESS, AT_MOST, MORE, AT_LEAST };

/* Whether an order below, at or above 0 is one. */
bool condition_holds(enum condition_compare how, int order);

/* A word of a condition's text. */
struct condition_token {
    enum condition_word word;
    size_t at, len;    /* in the text */
    struct span value; /* of a name, a text (its escapes undone) or a number */
};

/*
 * Reads the word at or behind `*at`, which is then behind it. A text's value lies in the arena.
 *   ERR_CONFIG  *problem says why; ERR_NO_MEMORY
 */
MUST_USE enum err condition_read_word(struct span text, size_t *at, struct arena *arena,
                                      struct condition_token *out,
                                      struct condition_problem *problem);

/* Says what is wrong with `len` bytes at `at`; ERR_CONFIG. */
enum err condition_refuse(struct condition_problem *problem, size_t at, size_t len,
                          const char *format, ...) PRINTF_LIKE(4, 5);

/* Has PCRE2 take its memory where all is taken; NULL without any. */
pcre2_general_context *condition_memory(void);

enum condition_op {
    OP_CONSTANT, /* pushes constants[a] */
    OP_FACT,     /* pushes fact a */
    OP_MEMBER,   /* pushes what fact a has under constants[b] */
    OP_NOT,
    OP_NEGATE,
    OP_NEGATE_REAL,
    OP_COMPARE_BOOL, /* how */
    OP_COMPARE_INT,
    OP_COMPARE_REAL, /* a: bit 0 the left, bit 1 the right is a whole number */
    OP_COMPARE_TEXT,
    OP_FACT_IS_TEXT, /* fact a, how (EQUAL, UNEQUAL), constants[b] */
    OP_FACT_IS_INT,  /* fact a, how, constants[b] */
    OP_IN_TEXTS,     /* in b constants from a on */
    OP_IN_INTS,
    OP_IN_FACT, /* a text in a list that was pushed */
    OP_IN_MAP,  /* a text in the map that is fact a */
    OP_STARTS,
    OP_ENDS,
    OP_CONTAINS,
    OP_MATCHES, /* patterns[a] */
    OP_SIZE_TEXT,
    OP_SIZE_TEXTS,
    OP_AND_END, /* of two truths one; the left stayed below the right */
    OP_OR_END,
    OP_JUMP,        /* to a */
    OP_JUMP_UNLESS, /* pops; to a if it was false; to b, and it stays, if it is none */
    OP_AND,         /* to a if it is false, which stays */
    OP_OR           /* to a if it is true, which stays */
};

struct condition_step {
    uint8_t op, how;
    uint16_t a, b;
};

/* One block of memory, so that a decision waits for few lines of it: all but the patterns lies in
 * `room`. */
struct condition {
    struct condition_step *steps;
    struct condition_value *constants;
    pcre2_code **patterns;
    uint16_t step_count, constant_count, pattern_count;
    uint64_t uses;
    struct span text;
    uint8_t room[];
};

#endif
