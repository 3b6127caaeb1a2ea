/* SPDX-License-Identifier: Apache-2.0 */
/*
 * condition.h — the conditions of routing rules: a typed subset of CEL, made into a short program.
 *
 *   language == 'ar' && (prompt_tokens < 100 || !has_tools) && team in ['ministry', 'bank']
 *
 * What there is: `==` `!=` `<` `<=` `>` `>=` `&&` `||` `!` `-` `in` `? :`, brackets, startsWith(),
 * endsWith(), contains(), matches(), size(), map['key'] and map.key, texts, raw texts (r'\d+'),
 * numbers, true, false, lists of constants. The facts and their types are the caller's. Types are
 * checked as it is compiled: what runs cannot fail but for a fact that nobody finds, and a regular
 * expression that takes too long.
 *
 * What cannot be decided is as in CEL: it is of no account where the other side of `&&` is false,
 * or that of `||` true; else the whole is not decided.
 *
 * matches() finds its pattern anywhere in the text, as CEL's does; patterns are PCRE2's, compiled
 * with the condition. size() of a text counts characters. What a map lacks is ''.
 *
 * Ownership  condition_compile() hands the condition to the caller, who gives it back to
 *            condition_free(). The facts' table must outlive it.
 * Limits     CONDITION_BYTES_MAX of text, CONDITION_STEPS_MAX steps, CONDITION_DEPTH_MAX values at
 *            once. Functions look at texts of CONDITION_SUBJECT_MAX bytes at most, and all patterns
 *            of a call together have CONDITION_MATCH_STEPS steps: what would need more is not
 *            decided. Nothing is allocated while a condition is.
 * Threads    a condition may be decided by many at once, each with its own facts and scratch.
 * Sources    CEL's language definition (github.com/google/cel-spec, doc/langdef.md),
 *            docs/decisions/0101-conditions-are-a-subset-of-cel.md.
 */
#ifndef CONDITION_CONDITION_H
#define CONDITION_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define CONDITION_BYTES_MAX      4096
#define CONDITION_STEPS_MAX      512
#define CONDITION_DEPTH_MAX      32
#define CONDITION_FACTS_MAX      40
#define CONDITION_MATCH_STEPS    20000
#define CONDITION_SUBJECT_MAX    1024
#define CONDITION_SENTENCE_BYTES 240

enum condition_type {
    CONDITION_BOOL,
    CONDITION_INT,
    CONDITION_REAL,
    CONDITION_TEXT,
    CONDITION_TEXTS, /* a list of them */
    CONDITION_MAP    /* of texts, by texts */
};

/* What a condition may ask for. */
struct condition_fact {
    const char *name;
    enum condition_type type;
    const char *values;  /* of a text, all that it may be: "chat|completions"; NULL: anything */
    const char *missing; /* why it may not be used: "personal data is not looked for"; or NULL */
};

struct condition_value {
    union {
        bool truth;
        int64_t number;
        double real;
        struct span text;
        struct {
            const struct span *at;
            size_t count;
        } texts;
    };
};

/* Of one call: what was found so far, and who finds the rest when it is first asked for. */
struct condition_facts {
    uint64_t known, missing; /* a bit a fact: it was found; it was looked for in vain, or of a map
                                nobody knows what it holds */
    struct condition_value values[CONDITION_FACTS_MAX];
    struct condition_value stack[CONDITION_DEPTH_MAX + 1]; /* for deciding */
    bool (*find)(void *ctx, unsigned fact, struct condition_value *out);
    bool (*find_member)(void *ctx, unsigned fact, struct span key, struct span *out);
    void *ctx;
    uint64_t failed;     /* a bit each of what lies on the stack and could not be found */
    int64_t match_steps; /* that the call's patterns have taken */
};

enum condition_outcome {
    CONDITION_NO,
    CONDITION_YES,
    CONDITION_FAILED /* a fact could not be found, a text is too long, a pattern took too long */
};

struct condition;         /* compiled */
struct condition_scratch; /* what deciding needs: one a thread */

/* What is wrong with a text, and where in it. */
struct condition_problem {
    size_t at, len;
    char sentence[CONDITION_SENTENCE_BYTES]; /* says what to write instead, where that is known */
};

/*
 * Compiles `text`, which is copied. `facts` has CONDITION_FACTS_MAX rows at most.
 *
 *   ERR_CONFIG     it is none, or its types do not fit; *problem says what and where
 *   ERR_NO_MEMORY
 */
MUST_USE enum err condition_compile(struct span text, const struct condition_fact *facts,
                                    size_t count, struct condition_problem *problem,
                                    struct condition **out);

/* Frees `*c` and sets it to NULL. Does nothing if it is NULL already. */
void condition_free(struct condition **c);

/* The text that it was compiled from. */
struct span condition_text(const struct condition *c);

/* Whether some fact is asked for, whatever comes of it: a bit each. */
uint64_t condition_uses(const struct condition *c);

/* Decides. `scratch` may be NULL: then what has a pattern fails. */
enum condition_outcome condition_decide(const struct condition *c, struct condition_facts *facts,
                                        struct condition_scratch *scratch);

/* The value of a fact, which is looked for where that was not done yet; NULL: it is not found. */
const struct condition_value *condition_fact(struct condition_facts *facts, unsigned fact);

/* ---- what must hold ---- */

#define CONDITION_TERMS_MAX 16

enum condition_term_kind {
    CONDITION_TERM_OTHER,  /* nothing of the following */
    CONDITION_TERM_TEXT,   /* a fact is one of `values` */
    CONDITION_TERM_MEMBER, /* what a map has under `key` is */
    CONDITION_TERM_INT,    /* condition_term_allows() says which numbers */
    CONDITION_TERM_BOOL    /* it is `truth` */
};

/* One side of a condition's outermost `&&`: where it is false, so is the whole, whether the others
 * can be decided or not. */
struct condition_term {
    enum condition_term_kind kind;
    unsigned fact;
    struct span key;
    const struct condition_value *values;
    size_t count; /* of values */
    uint8_t how;
    bool truth;
};

/* Writes the sides, in their order, to CONDITION_TERMS_MAX places; how many there are: one, where
 * there is no `&&`; 0, where there are more. They borrow from the condition. */
size_t condition_terms(const struct condition *c, struct condition_term *out);

/* Whether a number is one that the term holds for. */
bool condition_term_allows(const struct condition_term *term, int64_t number);

/* NULL without memory. */
struct condition_scratch *condition_scratch_new(void);
void condition_scratch_free(struct condition_scratch **s);

#endif
