/* SPDX-License-Identifier: Apache-2.0 */
/*
 * directory.h — who there is: organisations, their teams, the teams' users, the plans they have,
 * and tags of keys that are limited.
 *
 * A *subject* has a number of its kind, its slot, that it keeps for as long as the directory is
 * open. What is said of it is an *entry*, published whole and replaced whole: a call reads it
 * without a lock. The store's rows are where it comes from; what changes a row calls
 * directory_apply() with it, and every reader has it at its next look.
 *
 * A team names its organisation and a user a team by slot, so an entry is taken in after those that
 * it names. One that names nothing there is stands alone: SLOTS_NONE, and it is counted.
 *
 * Ownership  directory_open() hands the directory to the caller, who gives it back to
 *            directory_close(). An entry that was found is good until the thread's loop turns.
 * Limits     SLOTS_MAX of a kind. A subject costs its names and about 150 bytes.
 * Threads    directory_find(), directory_count(): any, at any time. The others: one thread at a
 *            time.
 * Sources    docs/formats/schema.md.
 */
#ifndef DIRECTORY_DIRECTORY_H
#define DIRECTORY_DIRECTORY_H

#include "base/clock.h"
#include "base/err.h"
#include "base/retired.h"
#include "base/slots.h"
#include "base/span.h"

#define DIRECTORY_ID_BYTES 25 /* with its NUL */

enum directory_kind {
    DIRECTORY_ORGANISATION,
    DIRECTORY_TEAM,
    DIRECTORY_USER,
    DIRECTORY_PLAN,
    DIRECTORY_TAG,
    DIRECTORY_KINDS
};

struct guard_policy;

/* What is said of a subject. Never changes. */
struct directory_entry {
    struct retired retired;
    char id[DIRECTORY_ID_BYTES];
    enum directory_kind kind;
    uint32_t slot;
    uint32_t organisation, team, plan; /* slots; SLOTS_NONE: none */
    uint8_t role;                      /* a user's, as in the store */
    uint8_t max_class, default_class;  /* a team's, as in the store */
    bool is_local;                     /* a team's: its calls stay in the home zone */
    bool is_trial;                     /* a team that is an evaluation */
    wall_us expires, ended;            /* 0: it does not, was not */
    struct span name, models;          /* of `text`; models a line each, none: all */
    struct guard_policy *guard;        /* a team's, counted; NULL: it says nothing */
    struct span regions;               /* that its calls may go to, a line each; none: not said */
    char text[];
};

struct directory;
struct store;

/* What directory_load() found. */
struct directory_report {
    uint64_t damaged; /* rows that cannot be what Atlas wrote: they are not taken in */
    uint64_t alone;   /* that name what is not there */
};

MUST_USE enum err directory_open(struct directory **out);

/* Closes `*d` and sets it to NULL. Does nothing if it is NULL already. No reader may be left. */
void directory_close(struct directory **d);

/* Takes all rows of the store in. Any error of the store; ERR_NO_MEMORY. */
MUST_USE enum err directory_load(struct directory *d, struct store *s,
                                 struct directory_report *report);

/*
 * Takes in a row, or what it is from now on: of the store's tables organisation, team, user, plan
 * or tag.
 * `*out` is its entry, if that is asked for.
 *
 *   ERR_NO_MEMORY  what was said of it stays
 */
MUST_USE enum err directory_apply(struct directory *d, enum directory_kind kind, const void *row,
                                  const struct directory_entry **out);

/* What is said of a slot; NULL: there is no such. */
const struct directory_entry *directory_find(const struct directory *d, enum directory_kind kind,
                                             uint32_t slot);

/* The slot of an id, or SLOTS_NONE; and that of the one of this name that has not ended, a user's
 * in `team` (SLOTS_NONE: in any). For the thread that applies. */
uint32_t directory_slot(const struct directory *d, enum directory_kind kind, struct span id);
uint32_t directory_slot_of_name(const struct directory *d, enum directory_kind kind,
                                struct span name, uint32_t team);

/* How many subjects of a kind there are, ended ones too: slots are numbered from 0. */
uint32_t directory_count(const struct directory *d, enum directory_kind kind);

/* Frees what was replaced before `turned`, a moment since when every reader's loop has turned. */
void directory_tidy(struct directory *d, mono_us turned);

/* Whether a subject ends at `now`, or did before. */
static inline bool directory_has_ended(const struct directory_entry *e, wall_us now)
{
    return (e->ended.us != 0 && e->ended.us <= now.us) ||
           (e->expires.us != 0 && e->expires.us <= now.us);
}

/* Whether a model is among `models`, names a line each; of none at all every model is. */
bool directory_may_use(struct span models, struct span model);

#endif
