/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_yaml.c — any bytes are a tree within the limits or a problem at a place of the text.
 */
#include "fuzz.h"
#include "yaml/yaml_tree.h"

/* The node after `node` in the order of the file; `path` holds those that it lies in. */
static const struct ytree_node *next_of(const struct ytree_node *node,
                                        const struct ytree_node **path, size_t *depth)
{
    if (node->first != NULL) {
        CHECK(*depth < YTREE_DEPTH_MAX);
        path[(*depth)++] = node;
        return node->first;
    }
    while (node->next == NULL && *depth > 0) {
        node = path[--*depth];
    }
    return *depth == 0 ? NULL : node->next;
}

/* Walks the tree and checks each node. */
static void check_tree(const struct ytree_node *root)
{
    const struct ytree_node *path[YTREE_DEPTH_MAX];
    size_t depth = 0;
    uint32_t nodes = 0;
    uint32_t children = 0;
    for (const struct ytree_node *n = root; n != NULL; n = next_of(n, path, &depth)) {
        nodes++;
        children += n->count;
        CHECK(n->place.line >= 1 && n->place.column >= 1);
        CHECK(n->text.at == NULL || strlen((const char *)n->text.at) == n->text.len);
        CHECK(n->kind != YTREE_SCALAR || (n->first == NULL && n->count == 0));
    }
    CHECK(children == nodes - 1 && nodes <= YTREE_NODES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct ytree_problem problem = {0};
    const struct ytree_node *root = NULL;
    arena_init(&arena, 64u << 20);
    enum err e = ytree_parse(span_make(data, size), &arena, &problem, &root);
    if (e == ERR_OK) {
        check_tree(root);
    } else {
        CHECK(e == ERR_CONFIG && problem.place.line >= 1 && problem.place.column >= 1);
        CHECK(problem.sentence[0] != '\0');
    }
    arena_fini(&arena);
    return 0;
}
