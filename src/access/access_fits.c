/* SPDX-License-Identifier: Apache-2.0 */
#include "access/access_fits.h"

#include <stdio.h>
#include <string.h>

#include "access/access_internal.h"

/* Who the calls of a key are of, whatever has ended. */
static struct limits_subjects who_of(const struct access *a, uint32_t team, uint32_t user)
{
    struct limits_subjects who = LIMITS_SUBJECTS_NONE;
    who.slot[LIMITS_USER] = user;
    who.slot[LIMITS_TEAM] = team;
    if (team != SLOTS_NONE) {
        who.slot[LIMITS_ORGANISATION] =
            directory_find(a->directory, DIRECTORY_TEAM, team)->organisation;
    }
    return who;
}

/* ---- a budget more ---- */

/* Whose calls would count in it. */
struct wanted {
    enum limits_level level; /* LIMITS_LEVELS: of a plan */
    uint32_t slot;           /* of the subject, of the template's team, or of the plan */
    struct span tag;         /* its name, if it is one */
    bool is_template;
};

static struct wanted find_wanted(const struct access *a, const struct access_wish *wish)
{
    struct span subject = wish->subject;
    struct wanted w = {.slot = SLOTS_NONE, .level = LIMITS_TAG, .tag = wish->tag};
    if (w.tag.len > 0) {
        return w;
    }
    size_t cut = span_find(subject, '/', 0);
    w.is_template = cut < subject.len;
    if (w.is_template) {
        w.level = span_ends(subject, SPAN("/key")) ? LIMITS_KEY : LIMITS_USER;
        w.slot = directory_slot(a->directory, DIRECTORY_TEAM, span_cut(subject, 0, cut));
    } else if (!access_find_subject(a, subject, &w.level, &w.slot)) {
        w.level = LIMITS_LEVELS;
        w.slot = directory_slot(a->directory, DIRECTORY_PLAN, subject);
    }
    return w;
}

static bool is_among(const struct limits_subjects *who, enum limits_level level, uint32_t slot)
{
    bool is = false;
    for (size_t place = 0; place < LIMITS_SLOTS; place++) {
        is = is || (limits_level_at(place) == level && who->slot[place] == slot);
    }
    return is && slot != SLOTS_NONE;
}

/* How many of it a call would count in. */
static size_t count_wanted(const struct access *a, const struct wanted *w,
                           const struct key_slot *key, const struct limits_subjects *who)
{
    uint32_t team = who->slot[LIMITS_TEAM];
    if (w->tag.len > 0) {
        const struct key_grant *grant = atomic_load(&key->grant);
        return grant != NULL && access_has_tag(grant->says.tags, w->tag);
    }
    if (w->slot == SLOTS_NONE) {
        return 0;
    }
    if (w->level == LIMITS_LEVELS) {
        size_t of_team = team != SLOTS_NONE &&
                         directory_find(a->directory, DIRECTORY_TEAM, team)->plan == w->slot;
        return of_team + (atomic_load(&key->plan) == w->slot);
    }
    if (w->is_template) {
        return team == w->slot && (w->level == LIMITS_KEY || who->slot[LIMITS_USER] != SLOTS_NONE);
    }
    return is_among(who, w->level, w->slot);
}

/* The budget as each of these has it. */
static struct limits_wish wish_of(const struct wanted *w, const struct access_wish *given)
{
    const char *child = !w->is_template          ? ""
                        : w->level == LIMITS_KEY ? "/000000000000"
                                                 : "/user_000000000000";
    struct limits_wish wish = {.kind = LIMITS_TOKEN_BUDGET};
    (void)snprintf(wish.id, sizeof(wish.id), "%.*s%s", SPAN_ARGS(given->id), child); /* fits */
    span_copy_text(given->model, wish.model, sizeof(wish.model));
    return wish;
}

bool access_budget_fits(const struct access *a, const struct access_wish *given,
                        char of[KEY_ID_CHARS + 1])
{
    const struct wanted w = find_wanted(a, given);
    const struct limits_wish wish = wish_of(&w, given);
    const struct limits_wish more[2] = {wish, wish};
    uint32_t count = a->keys == NULL ? 0 : (uint32_t)key_table_count(keys_table(a->keys));
    bool fits = true;
    for (uint32_t slot = 0; fits && slot < count; slot++) {
        const struct key_slot *key = key_table_slot(keys_table(a->keys), slot);
        struct limits_subjects who = who_of(a, atomic_load(&key->team), atomic_load(&key->user));
        who.slot[LIMITS_KEY] = slot;
        access_put_tags(a, slot, &who);
        size_t wanted = count_wanted(a, &w, key, &who);
        fits = wanted == 0 || limits_names_fit(a->limits, &who, more, wanted);
        span_copy_text(span_make(key->id, fits ? 0 : KEY_ID_CHARS), of, KEY_ID_CHARS + 1);
    }
    return fits;
}

/* ---- a key more ---- */

static void put_name(struct limits_wish *wish, const char *id)
{
    int len = snprintf(wish->id, sizeof(wish->id), "%s/000000000000", id);
    CHECK(len < (int)sizeof(wish->id)); /* ids have one length */
}

/* The budgets that a new key gets by its team's template. */
static size_t find_own(const struct access *a, struct span team,
                       struct limits_wish out[LIMITS_BUDGETS_MAX])
{
    char template[ACCESS_ID_BYTES];
    size_t count = 0;
    (void)snprintf(template, sizeof(template), "%.*s/key", SPAN_ARGS(team)); /* fits */
    const struct access_rows *each = access_book_find(&a->book, span_of(template));
    for (const struct access_budget *b = each == NULL ? NULL : each->budgets;
         b != NULL && count < LIMITS_BUDGETS_MAX; b = b->next) {
        out[count] = b->wish;
        put_name(&out[count++], b->wish.id);
    }
    if (each != NULL && each->tokens_per_day != 0 && count < LIMITS_BUDGETS_MAX) {
        out[count] = (struct limits_wish){.kind = LIMITS_TOKEN_BUDGET};
        put_name(&out[count++], "day");
    }
    return count;
}

bool access_key_fits(const struct access *a, struct span id, const struct access_owners *owners)
{
    struct limits_wish own[LIMITS_BUDGETS_MAX];
    uint32_t tags[ACCESS_TAGS_MAX], slot;
    size_t count = access_limited_tags(a, owners->tags, tags);
    struct limits_subjects who =
        who_of(a, directory_slot(a->directory, DIRECTORY_TEAM, owners->team),
               directory_slot(a->directory, DIRECTORY_USER, owners->user));
    for (size_t i = 0; i < count && i < LIMITS_TAGS_MAX; i++) {
        who.slot[LIMITS_TAG + i] = tags[i];
    }
    if (a->keys != NULL && id.len > 0 && key_table_find(keys_table(a->keys), id, &slot)) {
        who.slot[LIMITS_KEY] = slot;
        return limits_names_fit(a->limits, &who, NULL, 0);
    }
    return limits_names_fit(a->limits, &who, own, find_own(a, owners->team, own));
}
