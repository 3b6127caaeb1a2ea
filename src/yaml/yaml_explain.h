/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml_explain.h — why a text is no YAML, in the words of who wrote it.
 *
 * libyaml says what it met ("did not find expected key"); what was done is nearly always one of
 * four things: a tab, a line with too much indent, one whose indent is that of no line above, a
 * name without its colon.
 *
 * Threads  any; no state.
 */
#ifndef YAML_YAML_EXPLAIN_H
#define YAML_YAML_EXPLAIN_H

#include "yaml/yaml_tree.h"

/* What the parser said: where it met it, and where what it was reading began (line 0: nowhere). */
struct yaml_complaint {
    struct ytree_place place, context;
    const char *problem;
};

/* Fills `out` with the cause; false if none of the usual ones is found. */
bool yaml_explain(struct span text, const struct yaml_complaint *c, struct ytree_problem *out);

#endif
