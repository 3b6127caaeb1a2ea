/* SPDX-License-Identifier: Apache-2.0 */
/* condition_compile_internal.h — a condition on its way to a program. For the part's own files. */
#ifndef CONDITION_CONDITION_COMPILE_INTERNAL_H
#define CONDITION_CONDITION_COMPILE_INTERNAL_H

#include "condition/condition_internal.h"

#define CONDITION_PENDING_MAX 64
#define CONDITION_NO_FACT     (-1)

/* What an operand may be beside a condition_type: lists that are written out are known as it is
 * compiled, and never values. */
enum condition_kind {
    KIND_BOOL = CONDITION_BOOL,
    KIND_INT = CONDITION_INT,
    KIND_REAL = CONDITION_REAL,
    KIND_TEXT = CONDITION_TEXT,
    KIND_TEXTS = CONDITION_TEXTS,
    KIND_MAP = CONDITION_MAP, /* no value either: its members are */
    KIND_LIST_OF_TEXTS,
    KIND_LIST_OF_INTS
};

/* A part of the expression that is read whole. */
struct condition_operand {
    enum condition_kind kind;
    size_t at, end;   /* in the text */
    int fact;         /* it is this one; or CONDITION_NO_FACT */
    bool is_constant; /* it is constants[first]; of a list, `count` from there on */
    uint16_t first, count;
};

/* What waits for its right side, or its end. */
enum condition_pending_kind {
    PENDING_GROUP, /* the first four hold back what stands before them */
    PENDING_CALL,
    PENDING_INDEX,
    PENDING_THEN, /* after a ? */
    PENDING_ELSE, /* after its : */
    PENDING_OR,
    PENDING_AND,
    PENDING_RELATION,
    PENDING_NOT,
    PENDING_NEGATE
};

enum condition_call { CALL_STARTS, CALL_ENDS, CALL_CONTAINS, CALL_MATCHES, CALL_SIZE };

struct condition_pending {
    enum condition_pending_kind kind;
    size_t at;                /* where its sign stands */
    uint16_t then;            /* of ELSE: the step that chose */
    uint16_t jump;            /* of THEN, ELSE, AND, OR: the step whose target is not known yet */
    enum condition_word word; /* of RELATION */
    enum condition_call call; /* of CALL */
};

/* The program as it grows. */
struct condition_draft {
    struct span text;
    const struct condition_fact *facts;
    size_t fact_count;
    struct condition_step steps[CONDITION_STEPS_MAX];
    struct condition_value constants[CONDITION_STEPS_MAX];
    bool is_text[CONDITION_STEPS_MAX]; /* of constants */
    pcre2_code *patterns[CONDITION_STEPS_MAX];
    size_t step_count, constant_count, pattern_count;
    uint64_t uses;
};

struct condition_compiler {
    struct arena arena; /* texts of constants, until they have their place */
    struct condition_draft draft;
    struct condition_draft *c; /* that one */
    struct condition_problem *problem;
    struct condition_token token; /* the next one */
    size_t at;                    /* behind it */
    struct condition_operand operands[CONDITION_DEPTH_MAX];
    size_t operand_count;
    struct condition_pending pendings[CONDITION_PENDING_MAX];
    size_t pending_count;
};

/* Reads the next word into c->token. */
MUST_USE enum err condition_next(struct condition_compiler *k);

/* Says what is wrong with that word. */
enum err condition_refuse_here(struct condition_compiler *k, const char *sentence);

/* ---- where a value is wanted: condition_values.c. Each reads the word behind it, too. ---- */

MUST_USE enum err condition_push_constant(struct condition_compiler *k, enum condition_kind kind,
                                          struct condition_value value);
MUST_USE enum err condition_push_number(struct condition_compiler *k);
MUST_USE enum err condition_push_fact(struct condition_compiler *k);
MUST_USE enum err condition_push_list(struct condition_compiler *k);

/* ---- what is emitted: condition_emit.c ---- */

MUST_USE enum err condition_emit(struct condition_compiler *k, struct condition_step step);

/* Adds a constant; its place is *out. */
MUST_USE enum err condition_add_constant(struct condition_compiler *k, struct condition_value value,
                                         bool is_text, uint16_t *out);

/* Adds the pattern that is `text` and stands at `at`; its place is *out. */
MUST_USE enum err condition_add_pattern(struct condition_compiler *k, struct span text,
                                        const struct condition_operand *where, uint16_t *out);

/* Pushes an operand; what makes it a value while the program runs was emitted. */
MUST_USE enum err condition_push(struct condition_compiler *k, struct condition_operand operand);

/* The operand `back` below the newest. */
struct condition_operand *condition_top(struct condition_compiler *k, size_t back);

/* Puts `result` in the place of the newest `count` operands. */
void condition_replace(struct condition_compiler *k, size_t count, struct condition_operand result);

/* Takes back the step that pushes the newest operand, a constant. */
void condition_unemit_constant(struct condition_compiler *k);

/* ---- what fits with what: condition_types.c ---- */

/* "a text" */
const char *condition_kind_name(enum condition_kind kind);

/* Emits what compares the two newest operands, or looks for the one in the other. */
MUST_USE enum err condition_relate(struct condition_compiler *k, enum condition_word word);

/* Emits the call of what is newest. */
MUST_USE enum err condition_call(struct condition_compiler *k,
                                 const struct condition_pending *pending);

/* Emits the member of the map below the newest operand. */
MUST_USE enum err condition_member(struct condition_compiler *k, size_t end);

/* Emits `!` or `-` of the newest operand. */
MUST_USE enum err condition_prefix(struct condition_compiler *k,
                                   const struct condition_pending *pending);

/* The newest operand is true or false, as `what` wants it. */
MUST_USE enum err condition_want_bool(struct condition_compiler *k, const char *what);

#endif
