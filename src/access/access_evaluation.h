/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_evaluation.h — the end of evaluations: teams that end by themselves, and their keys with
 * them, for good.
 *
 * Threads  the store's thread.
 * Sources  docs/formats/schema.md (`team`).
 */
#ifndef ACCESS_ACCESS_EVALUATION_H
#define ACCESS_ACCESS_EVALUATION_H

#include "access/access.h"

/*
 * Ends an evaluation: revokes its keys, and marks its team's row, which its reader has as it was
 * changed last, as ended. One that was ended before keeps its time.
 *
 *   as access_change(), and as keys_revoke()
 */
MUST_USE enum err access_end_evaluation(struct access *a, struct store *s, struct store_team *team,
                                        const char *verb, struct span actor, wall_us now);

/* Looks at teams from slot `*from` on for an evaluation that is over and not marked as ended, and
 * ends one at most: `*from` is where the next look begins, 0 when all were looked at. As
 * access_end_evaluation(). */
MUST_USE enum err access_end_over(struct access *a, struct store *s, wall_us now, uint32_t *from);

#endif
