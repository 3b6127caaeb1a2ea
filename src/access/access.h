/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access.h — who may call, and how much: directory, keys and limits as one.
 *
 * The store's rows say who there is, what each may, and what plans and budgets allow; here they
 * become what a call looks at without a lock: a key's subjects, and each subject's terms. A
 * subject's terms are its own row's, where that says nothing its plan's, and where that says
 * nothing either those that its team gives to each of its keys or users.
 *
 * What changes a row is recorded first (store/store_change.h) and taken in here then: calls see it
 * at their next look, open streams within a second (access_revision()).
 *
 * Ownership  access_open() hands it to the caller, who gives it back to access_close() after the
 *            workers and before the keys. Entries that were found are good until the thread's loop
 *            turns.
 * Threads    look, permits and revision: any, at any time. The others: the store's thread, or the
 *            one that opens.
 * Sources    design.md 4 (admission); docs/decisions/0088, 0089, 0091.
 */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include "directory/directory.h"
#include "keys/keys.h"
#include "limits/limits.h"
#include "store/store_tables.h"

struct access;

/* What access_load() found that cannot be taken in. */
struct access_report {
    struct directory_report directory;
    uint64_t damaged; /* rows of limits and budgets */
    uint64_t zones;   /* budgets whose time zone this machine does not know: they count in UTC */
};

/* `keys` may be NULL: then there are no keys to bind. */
MUST_USE enum err access_open(struct keys *keys, struct access **out);

/* Closes `*a` and sets it to NULL. Does nothing if it is NULL already. No reader may be left. */
void access_close(struct access **a);

/* Takes in all but keys, which keys_load() brings afterwards. Any error of the store;
 * ERR_NO_MEMORY.
 */
MUST_USE enum err access_load(struct access *a, struct store *s, struct access_report *report);

/* Takes in what was spent of budgets, when keys are loaded, too. As access_load(). */
MUST_USE enum err access_restore(struct access *a, struct store *s);

/*
 * Changes a row of organisation, team, user, plan, tag, limit or budget, or makes it (revision 0):
 * in the journal, in memory then, in the store last.
 *
 *   as store_change() and store_settle()
 *   ERR_STORE_UNSURE  it holds in memory, and is shown
 *   ERR_NO_MEMORY     also: it is recorded, and not taken in before the next start
 */
MUST_USE enum err access_change(struct access *a, struct store *s, enum store_table_id table,
                                const void *row, const char *verb, struct span actor);

/* Who there is. */
const struct directory *access_directory(const struct access *a);
const struct limits *access_limits(const struct access *a);

/* Counts the revision up when a team's time is over: nobody else says so. One thread, now and then;
 * it looks at all teams where one ends, or something has changed. */
void access_look_for_ends(struct access *a, wall_us now);

/* Every reader's loop has turned since: what was replaced before is freed at the next change. */
void access_set_turned(struct access *a, mono_us turned);

/* Counts up with each change that may end a call; 0 of NULL. */
uint64_t access_revision(const struct access *a);

/* Tells the log of budgets of which 50, 80 or 100 percent were spent, once each and window; nothing
 * is done where there is nothing new since the last time. */
void access_tell_budgets(struct access *a, wall_us now);

/* ---- a call's looks ---- */

/*
 * Who a key's calls are of.
 *
 *   ERR_TEAM_ENDED  its team, or that one's organisation, was ended or is over
 *   ERR_USER_ENDED
 */
MUST_USE enum err access_look(const struct access *a, const struct key_handle *key, wall_us now,
                              struct limits_subjects *out);

/* The id of a level's subject that is no key; empty: there is none. */
struct span access_id(const struct access *a, enum limits_level level, uint32_t slot);

/* What people call it; a key has its id. */
struct span access_name(const struct access *a, enum limits_level level, uint32_t slot);

/* Whether the key may be used from an address. */
bool access_admits(const struct access *a, const struct key_handle *key, const struct net_ip *from);

/* Whether the key and its team may use a model, which goes by these two names. */
bool access_permits(const struct access *a, const struct key_handle *key,
                    const struct limits_subjects *who, struct span asked, struct span name);

/* The models that a key is bound to, by itself and by its team, names a line each; empty: it is
 * not. What both let it use, it may. */
struct access_models {
    struct span key, team;
};
struct access_models access_models_of(const struct access *a, const struct key_handle *key,
                                      const struct limits_subjects *who);

/* ---- what is told ---- */

/* What the rows say of a subject, a plan, or a team's template; 0: nothing. */
struct access_numbers {
    int64_t requests_per_minute, burst, tokens_per_minute, tokens_per_day, concurrent, max_tokens;
    enum limits_priority priority;
};
struct access_numbers access_numbers(const struct access *a, struct span id);

/* How many budgets in force a subject has, or a team's template. */
size_t access_count_budgets(const struct access *a, struct span id);

/* How a budget of this id (`budget_…`, a team's child's: with `/` and the child's id) stands now.
 * False: there is none in force. */
MUST_USE bool access_balance(const struct access *a, struct span id, wall_us now,
                             struct limits_balance *out);

#endif
