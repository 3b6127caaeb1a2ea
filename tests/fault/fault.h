/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h — runs a case again and again: the 1st, 2nd, 3rd … call of a kind fails, until a run in
 * which none did.
 */
#ifndef TESTS_FAULT_FAULT_H
#define TESTS_FAULT_FAULT_H

#include "inject.h"
#include "world.h"

#define FAULT_KIND(kind) (1u << INJECT_##kind)
#define FAULT_ALL        (~1u)

struct fault_case {
    const char *name;
    unsigned kinds;                                               /* a set of FAULT_KIND() */
    int what;                                                     /* the scenario's own */
    void (*prepare)(struct world *w, const struct fault_case *c); /* may be NULL */
    void (*run)(struct world *w, const struct fault_case *c);     /* calls fail */
    void (*check)(struct world *w, const struct fault_case *c);   /* they do not any more */
};

struct fault_scenario {
    const char *name;
    void (*open)(struct world *w);
    const struct fault_case *cases; /* ends in one without a name */
    void (*close)(struct world *w);
};

extern const struct fault_scenario fault_start, fault_chat, fault_stream, fault_embeddings,
    fault_reload, fault_key;

/* What is injected now. */
enum inject_kind fault_kind(void);
long fault_at(void);

/* How many calls failed in the run; for `check`. */
long fault_hits(void);

/* What the log said since the run began; for `check`. */
const char *fault_log(void);

/* Says that something is wrong: the case has failed. */
void fault_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A reply other than success: whether it is a right one for what was injected. */
void fault_check_error(struct peer_reply *r);

/* Makes one call, which must succeed. */
void fault_check_call(struct world *w);

#endif
