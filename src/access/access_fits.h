/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_fits.h — what may be set: whether calls can count in a budget more, and keys bear a tag
 * more that is limited.
 *
 * A call's records name each budget's window that it counts in, and have room for so many. What
 * would be one too many is refused when it is set: not each call afterwards. Keys that were revoked
 * are not asked.
 *
 * Ownership  what is given is borrowed for the call.
 * Threads    the store's thread: nothing else changes what these look at.
 * Sources    docs/decisions/0092, 0098.
 */
#ifndef ACCESS_ACCESS_FITS_H
#define ACCESS_ACCESS_FITS_H

#include "access/access.h"

/* ---- tags ---- */

/* The id of a tag that has, or had, limits; empty: it never had. */
struct span access_tag_id(const struct access *a, struct span name);

/* Which of a key's tags, lines of `name=value`, have limits; with `once`, or had some: their slots.
 * How many. */
#define ACCESS_TAGS_MAX 16 /* of a key */
size_t access_limited_tags(const struct access *a, struct span lines, bool once,
                           uint32_t out[ACCESS_TAGS_MAX]);

/* Whether every key that bears the tag has room for it among those that its calls count in. The id
 * of one that has none is written to `of`. It looks at all keys. */
bool access_tag_fits(const struct access *a, struct span name, char of[KEY_ID_CHARS + 1]);

/* How many keys bear the tag. */
size_t access_count_bearers(const struct access *a, struct span name);

/* ---- budgets ---- */

/* One more of a subject: with a plan's id one for each team and key of it, with a team's template
 * one for each child. */
struct access_wish {
    struct span subject;   /* an id; of a template with its end */
    struct span tag;       /* its name, if it is a tag, which may have had no limits yet */
    struct span id, model; /* of the budget, as a struct limits_wish has them; no id: the tokens of
                              a day, which each counts once, whoever says so */
};
#define ACCESS_WISHES_MAX 4

/*
 * Whether the calls of all keys can name the windows that they would count in
 * (limits_names_fit()), if these were made together. The id of a key whose calls cannot is written
 * to `of`. It looks at the keys that may count in them.
 */
MUST_USE bool access_wishes_fit(const struct access *a, const struct access_wish *wishes,
                                size_t count, char of[KEY_ID_CHARS + 1]);

/* Whether the tokens of a day of a subject, or of a template's children by it, count now. */
bool access_counts_day(const struct access *a, struct span subject);

/* The same of a key of this id (empty: a new one) that shall be so. */
struct access_owners {
    struct span team, user, plan, tags;
    bool has_day; /* it has tokens a day of its own */
};
MUST_USE bool access_key_fits(const struct access *a, struct span id,
                              const struct access_owners *owners);

#endif
