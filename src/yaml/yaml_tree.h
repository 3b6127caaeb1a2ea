/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml_tree.h — one YAML document as a tree of nodes that know where they stood.
 *
 * A subset, on purpose: mappings with scalar keys, sequences, scalars. Anchors, aliases, tags and a
 * second document are refused, so a small file cannot grow into a large tree. A key that a mapping
 * holds twice is refused too. Scalars stay text: what `yes` or `1.0` means is the reader's matter.
 * The prefix is ytree_ because libyaml owns yaml_.
 *
 * Ownership  nodes and their texts live in the arena that the caller passes.
 * Limits     YTREE_BYTES_MAX of text, YTREE_NODES_MAX nodes, YTREE_DEPTH_MAX levels.
 * Threads    any; no state.
 * Sources    YAML 1.1, as libyaml reads it.
 */
#ifndef YAML_YAML_TREE_H
#define YAML_YAML_TREE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

#define YTREE_BYTES_MAX (1u << 20)
#define YTREE_NODES_MAX 100000u
#define YTREE_DEPTH_MAX 32u

enum ytree_kind { YTREE_SCALAR, YTREE_LIST, YTREE_MAP };

/* A place in the file; both count from 1, columns in characters. */
struct ytree_place {
    uint32_t line, column;
};

struct ytree_node {
    enum ytree_kind kind;
    bool plain;               /* a scalar without quotes: `null` and `""` differ by it */
    struct ytree_place place; /* where the value starts */
    uint32_t from, until;     /* of a scalar: the characters of the file that it is written with */
    struct ytree_place key_place;
    struct span key;               /* of a mapping's child, NUL behind it; else empty */
    struct span text;              /* of a scalar, NUL behind it */
    const struct ytree_node *next; /* of the same parent, in the order of the file */
    const struct ytree_node *first;
    uint32_t count; /* children */
};

/* What is wrong and where. */
struct ytree_problem {
    struct ytree_place place;
    char sentence[200];
};

/*
 * Reads `text`. An empty document is an empty mapping.
 *
 *   ERR_CONFIG     not YAML, or outside the subset or the limits; *problem says what and where
 *   ERR_NO_MEMORY  the arena is at its maximum
 */
MUST_USE enum err ytree_parse(struct span text, struct arena *arena, struct ytree_problem *problem,
                              const struct ytree_node **out);

/* The child of the mapping `node` that is called `key`; NULL also when `node` is NULL or no map. */
const struct ytree_node *ytree_find(const struct ytree_node *node, const char *key);

/* Whether `node` is a scalar that says nothing: empty, `~` or `null` without quotes. */
bool ytree_is_null(const struct ytree_node *node);

#endif
