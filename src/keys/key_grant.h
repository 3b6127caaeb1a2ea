/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_grant.h — what a key may be used for and from where, beyond its scopes: models, networks,
 * tags. Keys that say the same share one grant.
 *
 * Ownership  key_grants_init() makes the grants, key_grants_fini() frees all. A grant is counted
 *            by the keys that have it (take, drop); one that nobody has any more is freed when
 *            every reader's loop has turned.
 * Limits     KEY_NETWORKS_MAX networks.
 * Threads    reading a grant, marks by atomics: any, within a turn of its loop. The others: one at
 *            a time.
 * Sources    RFC 4632 and RFC 4291 (networks).
 */
#ifndef KEYS_KEY_GRANT_H
#define KEYS_KEY_GRANT_H

#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"
#include "base/retired.h"
#include "base/slots.h"
#include "base/span.h"
#include "net/net_ip.h"

#define KEY_NETWORKS_MAX 64
#define KEY_MARKS        4
#define KEY_HOME         SPAN("home") /* the key's calls stay in the home zone */

/* What a row says of it: a line each; empty: no bound. */
struct key_grant_texts {
    struct span models, networks, tags;
    struct span place; /* KEY_HOME, or nothing */
};

/* Never changes, but for who counts it, and its marks. */
struct key_grant {
    struct retired retired;
    /* Numbers that another part gives it for what it says, where it likes; SLOTS_NONE: none. One
     * that stays has its place, so that a reader misses none. */
    _Atomic uint32_t mark[KEY_MARKS];
    struct span whole; /* the texts, in `text`: what it is found by */
    uint64_t keys;     /* that have it */
    struct key_grant_texts says;
    size_t network_count;
    const struct net_network *networks;
    uint8_t text[];
};

struct key_grants {
    struct map map; /* by `whole` */
    struct retired_list retired;
};

void key_grants_init(struct key_grants *g);
void key_grants_fini(struct key_grants *g);

/*
 * The grant of these texts, counted once more; NULL in `*out`: they say nothing.
 *
 *   ERR_VALUE_INVALID  a network is none, or there are too many
 *   ERR_NO_MEMORY
 */
MUST_USE enum err key_grants_take(struct key_grants *g, const struct key_grant_texts *texts,
                                  struct key_grant **out);

/* Calls this with each grant that somebody has. */
typedef void key_grants_on_one(void *context, struct key_grant *grant);
void key_grants_each(const struct key_grants *g, key_grants_on_one *on_one, void *context);

/* Counts it once less; NULL: nothing. */
void key_grants_drop(struct key_grants *g, const struct key_grant *grant);

/* Frees those that nobody has since before `turned`. */
void key_grants_tidy(struct key_grants *g, mono_us turned);

/* Whether a key of this grant (NULL: none) may be used from `address`. */
bool key_grant_admits(const struct key_grant *grant, const struct net_ip *address);

#endif
