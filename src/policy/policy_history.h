/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_history.h — which policies came in force, when and by whom: rows of the store, each with a
 * record of the journal before it, and a file of its texts.
 *
 * The file is on the disk before the row is recorded. A database that is restored has its rows from
 * the journal; a full disk takes neither, and whoever records asks again.
 *
 * Ownership  nothing is kept.
 * Limits     POLICY_VERSIONS_MAX versions, and POLICY_VERSIONS_BYTES_MAX of all files together; the
 *            oldest go, the newest stays in any case.
 * Threads    the store's.
 * Sources    docs/formats/policies.md.
 */
#ifndef POLICY_POLICY_HISTORY_H
#define POLICY_POLICY_HISTORY_H

#include "base/clock.h"
#include "policy/policy_archive.h"
#include "store/store.h"

#define POLICY_VERSIONS_MAX       1000
#define POLICY_VERSIONS_BYTES_MAX (INT64_C(64) << 20)
#define POLICY_ACTOR_BYTES        65

/* One that came in force. */
struct policy_version {
    int64_t version; /* 1, 2, 3, …; 0: none */
    uint8_t digest[CRYPTO_SHA256_BYTES];
    uint8_t text[CRYPTO_SHA256_BYTES]; /* of its file */
    wall_us since;
    char actor[POLICY_ACTOR_BYTES];
};

/*
 * Records that a policy came in force, whose file is `text`. `*v` says its digest, since when, and
 * who saw to it; afterwards it is the newest version: this one, or the one before, if that has the
 * very same texts. `*dropped` counts old ones that went for it.
 *
 *   as policy_archive_put(), store_change(), store_settle() and store_change_page(): what was
 *   written of it is written again when it is asked for once more
 */
MUST_USE enum err policy_history_record(struct store *s, const char *data, struct span text,
                                        struct policy_version *v, unsigned *dropped);

#endif
