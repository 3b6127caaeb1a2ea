/* SPDX-License-Identifier: Apache-2.0 */
/* access_internal.h — what the store says of limits and budgets, by subject, for access's files. */
#ifndef ACCESS_ACCESS_INTERNAL_H
#define ACCESS_ACCESS_INTERNAL_H

#include <stdatomic.h>

#include "access/access.h"
#include "base/map.h"

#define ACCESS_ID_BYTES 41 /* of a subject, or one of its templates, with its NUL */

/* A budget that has not ended. */
struct access_budget {
    struct access_budget *next; /* of its subject */
    char subject[ACCESS_ID_BYTES];
    struct limits_wish wish; /* its id without `budget_` */
};

/* What is said of a subject, a plan, or each key or user of a team. */
struct access_rows {
    struct access_rows *next;
    char id[ACCESS_ID_BYTES];
    struct limits_terms numbers; /* without budgets */
    int64_t tokens_per_day;
    struct access_budget *budgets;
};

struct access_book {
    struct map subjects; /* to struct access_rows */
    struct map budgets;  /* by wish.id, to struct access_budget */
    struct access_rows *first;
    struct access_zone *zones;
    struct limits_zone *utc;
};

/* A tag that has, or had, limits. */
struct access_tag {
    struct access_tag *next;
    uint32_t slot;
    bool is_limited;
    size_t name_len;
    char name[]; /* "env=prod" */
};

struct access_tags {
    struct map by_name;
    struct access_tag *first;
    _Atomic uint32_t limited; /* how many are: of none, no call looks for tags */
};

struct access {
    struct keys *keys;
    struct directory *directory;
    struct limits *limits;
    struct access_book book;
    struct access_tags tags;
    _Atomic uint64_t revision;
    struct {
        uint64_t revision;
        int64_t looked_us, next_us;
    } ends; /* access_look_for_ends(): up to where it has looked, and when the next team ends */
    _Atomic int64_t turned_us;
    uint64_t news_told; /* limits_news() when it was told last */
};

MUST_USE enum err access_book_init(struct access_book *b);
void access_book_fini(struct access_book *b);

/* Takes a row in. `*zone_is_known`: whether the budget's time zone is. ERR_NO_MEMORY. */
MUST_USE enum err access_book_put_limit(struct access_book *b, const struct store_limit *row);
MUST_USE enum err access_book_put_budget(struct access_book *b, const struct store_budget *row,
                                         bool *zone_is_known);

/* What is said of a subject; NULL: nothing. */
const struct access_rows *access_book_find(const struct access_book *b, struct span id);
const struct access_budget *access_book_budget(const struct access_book *b, struct span id);

/* ---- terms: access_terms.c ---- */

/* Puts the terms of a subject in force anew; and of all whose terms come from the rows of `id`: a
 * subject, a plan, or a team's template. ERR_NO_MEMORY, ERR_VALUE_INVALID. */
MUST_USE enum err access_put_terms(struct access *a, enum directory_kind kind, uint32_t slot);
MUST_USE enum err access_put_key_terms(struct access *a, uint32_t slot, struct span id,
                                       const struct key_bonds *bonds);
MUST_USE enum err access_refresh(struct access *a, struct span id);

/* Of which kind the subjects of a level are, which is not LIMITS_KEY. */
enum directory_kind access_kind_of(enum limits_level level);

/* The level and slot that an id is of; false: it is nobody's. */
bool access_find_subject(const struct access *a, struct span id, enum limits_level *level,
                         uint32_t *slot);

/* ---- tags: access_tags.c ---- */

void access_tags_init(struct access_tags *t);
void access_tags_fini(struct access_tags *t);

/* Takes in a tag of the directory; and all of them, before keys are bound. ERR_NO_MEMORY. */
MUST_USE enum err access_tags_add(struct access *a, const struct directory_entry *tag);
MUST_USE enum err access_tags_load(struct access *a);

/* Whether a tag is limited is as its rows say from now on, to all keys that bear it. */
void access_tags_refresh(struct access *a, uint32_t slot);

/* Marks a grant (NULL: none) with those of its tags that are limited. ERR_VALUE_INVALID: they are
 * more than a call can count in. */
MUST_USE enum err access_tags_mark(const struct access *a, struct key_grant *grant);

/* Whether a tag is among these lines. */
bool access_has_tag(struct span lines, struct span name);

/* Puts the tags of a key among its call's subjects. */
void access_put_tags(const struct access *a, uint32_t key, struct limits_subjects *out);

#endif
