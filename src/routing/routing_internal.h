/* SPDX-License-Identifier: Apache-2.0 */
/* routing_internal.h — the rules as they are read. For the part's own files. */
#ifndef ROUTING_ROUTING_INTERNAL_H
#define ROUTING_ROUTING_INTERNAL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "routing/routing.h"
#include "yaml/yaml_tree.h"

#define ROUTING_PROBLEMS_MAX 50 /* are told; the rest is counted */

struct routing_index; /* which rules a fact's value leaves: routing_sieve.c */

struct routing {
    _Atomic int refs;
    struct arena arena;
    struct routing_rule *rules;
    size_t rule_count;
    bool binds_named;
    enum routing_profile profile;
    struct span version;
    uint64_t uses;
    void *zone; /* a GTimeZone; NULL: UTC */
    bool has_learned;
    struct routing_learned learned;
    struct routing_examples *examples; /* those of `learned` */
    uint8_t digest[ROUTING_DIGEST_BYTES];
    struct routing_index *index;
};

/* Makes the index of all rules, in their arena. False: there is no memory. */
MUST_USE bool routing_index_make(struct routing *r);
void routing_index_fini(struct routing *r);

/* What reads a file. */
struct routing_reader {
    struct routing *r;
    struct span text;
    const char *name; /* of the file */
    const struct routing_world *world;
    struct arena scratch;
    struct buf *problems;
    size_t problem_count;
    bool out_of_memory;
};

/* Notes what is wrong at a place. */
void routing_problem(struct routing_reader *in, struct ytree_place place, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Reads the rule at `node` into `rule`. */
void routing_read_rule(struct routing_reader *in, const struct ytree_node *node,
                       struct routing_rule *rule);

/* Reads `learned:`; before the rules, which may ask for it. */
void routing_read_learned(struct routing_reader *in, const struct ytree_node *node);

/* "250ms" or "2s", a minute at most; 0: it is none. */
int64_t routing_read_duration(struct span text);

/* Says that the mapping has a key that is none of `names`, NULL behind the last. */
void routing_check_keys(struct routing_reader *in, const struct ytree_node *map, const char *what,
                        const char *const *names);

/* Reads a profile's name. */
enum routing_profile routing_read_profile(struct routing_reader *in, const struct ytree_node *node);

#endif
