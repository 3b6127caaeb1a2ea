/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_prefixes.h — which model server has lately read what begins like this: a table of words
 * that all workers read and write, where the newest displaces what stood there.
 *
 * A place is known by a tag of its upstream's name, so that the table outlives reloads. It is a
 * hint: one that is lost, or was made of another text, sends a call to a server that has to read
 * what another had read.
 *
 * Ownership  counted: each policy that has a model with several places holds the same one.
 * Limits     POLICY_PREFIXES beginnings, 1 MiB; a chat of eight turns has some twenty.
 * Threads    any.
 */
#ifndef POLICY_POLICY_PREFIXES_H
#define POLICY_POLICY_PREFIXES_H

#include "base/err.h"
#include "base/span.h"

#define POLICY_PREFIXES (1u << 17)

struct policy_prefixes;

/* ERR_NO_MEMORY. */
MUST_USE enum err policy_prefixes_open(struct policy_prefixes **out);

struct policy_prefixes *policy_prefixes_ref(struct policy_prefixes *p); /* NULL: NULL */
void policy_prefixes_unref(struct policy_prefixes **p);

/* The tag of the place at an upstream of this name; never 0. */
uint16_t policy_prefixes_tag(struct span upstream);

/* Notes that the place has read what has this hash, which all bits must be mixed in. */
void policy_prefixes_note(struct policy_prefixes *p, uint64_t hash, uint16_t tag);

/* The tag of the place that has read it last; 0: nobody knows. */
uint16_t policy_prefixes_find(const struct policy_prefixes *p, uint64_t hash);

#endif
