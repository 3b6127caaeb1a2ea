/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_once.h — a POST that is sent twice with one Idempotency-Key is done once.
 *
 * Before a POST is done its row is written: whose it is, a digest of the request, and a *seed*.
 * What it makes takes its ids and secrets from the seed, so that after a kill in the middle the
 * same request makes the same thing, or finds that it is there. Once it is done, its reply is kept,
 * too. Neither says a secret at rest: seed and reply are of use with the pepper and the
 * Idempotency-Key alone, and the row has only a digest of this one.
 *
 * Limits   24 hours; ADMIN_ONCE_ROWS_MAX of them at once; replies of ADMIN_ONCE_REPLY_MAX bytes,
 *          what is longer is answered anew from what is there.
 * Threads  the store's thread.
 * Sources  docs/formats/admin-api.md; docs/decisions/0095-a-post-is-done-once.md.
 */
#ifndef ADMIN_ADMIN_ONCE_H
#define ADMIN_ADMIN_ONCE_H

#include "admin/admin_operations.h"
#include "store/store_tables.h"

#define ADMIN_ONCE_ROWS_MAX  10000
#define ADMIN_ONCE_OWN_MAX   1000 /* of one caller */
#define ADMIN_ONCE_REPLY_MAX 8192

struct admin_once {
    struct keys *keys;
    struct store *store;
    const struct admin_request *request;
    wall_us now;
    struct store_idempotency row; /* its spans lie in the two rooms */
    char id[ADMIN_ONCE_ID_BYTES];
    uint8_t reply[ADMIN_ONCE_REPLY_MAX + 64];
    char tag[ADMIN_TAG_BYTES];
    uint8_t seed[32]; /* of what the request makes */
};

/*
 * Begins a request that has an Idempotency-Key. `*is_done`: it was done before, and its reply is
 * behind what `out` holds.
 *
 *   ERR_IDEMPOTENCY_OTHER  the key was another request's
 *   ERR_OVERLOADED         there are too many
 *   any error of the store
 */
MUST_USE enum err admin_once_begin(struct admin_once *once, struct buf *out,
                                   struct admin_answer *answer, bool *is_done);

/* Ends it with what came of it: a reply is kept, a refusal forgotten. What failed stays begun. */
void admin_once_end(struct admin_once *once, enum err result, struct span reply, const char *tag);

#endif
