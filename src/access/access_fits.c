/* SPDX-License-Identifier: Apache-2.0 */
#include "access/access_fits.h"
#include "limits/limits_names.h"

#include <stdio.h>
#include <string.h>

#include "access/access_internal.h"

#define DAY       SPAN("day")
#define MORE_MAX  (2 * ACCESS_WISHES_MAX) /* of one key: a plan's is its team's and its own */
#define NEW_CHILD SPAN("000000000000")    /* the id of a key that is not made yet */

/* Who the calls of a key are of, whatever has ended; but for its tags. */
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

static bool has_day(const struct access *a, struct span id)
{
    const struct access_rows *rows = access_book_find(&a->book, id);
    return rows != NULL && rows->tokens_per_day != 0;
}

/* ---- budgets more ---- */

/* Whose calls would count in one. */
struct wanted {
    const struct access_wish *wish;
    enum limits_level level; /* LIMITS_LEVELS: of a plan */
    uint32_t slot;           /* of the subject, of the template's team, or of the plan */
    bool is_template;
};

static struct wanted find_wanted(const struct access *a, const struct access_wish *wish)
{
    struct span subject = wish->subject;
    struct wanted w = {.wish = wish, .slot = SLOTS_NONE, .level = LIMITS_TAG};
    if (wish->tag.len > 0) {
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

/* What one key would count in besides. */
struct more {
    struct limits_wish wishes[MORE_MAX];
    size_t count;
};

/* Adds a wish as one of `child` has it, or the subject itself where it is no template. */
static void add(struct more *m, const struct wanted *w, struct span child)
{
    struct limits_wish *wish = &m->wishes[m->count++];
    struct span base = w->wish->id.len > 0 ? w->wish->id : DAY;
    bool is_plain = w->wish->id.len > 0 && !w->is_template;
    *wish = (struct limits_wish){.kind = LIMITS_TOKEN_BUDGET};
    int len = is_plain ? snprintf(wish->id, sizeof(wish->id), "%.*s", SPAN_ARGS(base))
                       : snprintf(wish->id, sizeof(wish->id), "%.*s/%.*s", SPAN_ARGS(base),
                                  SPAN_ARGS(child));
    CHECK(len < (int)sizeof(wish->id)); /* ids have one length */
    span_copy_text(w->wish->model, wish->model, sizeof(wish->model));
}

static struct span id_at(const struct access *a, enum directory_kind kind, uint32_t slot)
{
    return span_of(directory_find(a->directory, kind, slot)->id);
}

static void add_of_plan(const struct access *a, struct more *m, const struct wanted *w,
                        const struct key_slot *key, uint32_t team)
{
    if (team != SLOTS_NONE && directory_find(a->directory, DIRECTORY_TEAM, team)->plan == w->slot) {
        add(m, w, id_at(a, DIRECTORY_TEAM, team));
    }
    if (atomic_load(&key->plan) == w->slot) {
        add(m, w, span_make(key->id, KEY_ID_CHARS));
    }
}

/* Adds what a key would count in; of a subject that is not there nobody does. */
static void add_wanted(const struct access *a, struct more *m, const struct wanted *w,
                       const struct key_slot *key, uint32_t slot)
{
    uint32_t team = atomic_load(&key->team), user = atomic_load(&key->user);
    const struct limits_subjects who = who_of(a, team, user);
    const struct key_grant *grant = atomic_load(&key->grant);
    if (w->wish->tag.len > 0) {
        if (grant != NULL && access_has_tag(grant->says.tags, w->wish->tag)) {
            add(m, w, w->wish->subject);
        }
    } else if (w->slot == SLOTS_NONE) {
        return;
    } else if (w->level == LIMITS_LEVELS) {
        add_of_plan(a, m, w, key, team);
    } else if (w->is_template && team == w->slot && w->level == LIMITS_KEY) {
        add(m, w, span_make(key->id, KEY_ID_CHARS));
    } else if (w->is_template && team == w->slot && user != SLOTS_NONE) {
        add(m, w, id_at(a, DIRECTORY_USER, user));
    } else if (!w->is_template && (w->level == LIMITS_KEY ? slot : who.slot[w->level]) == w->slot) {
        add(m, w, w->wish->subject);
    }
}

static bool key_fits(const struct access *a, const struct wanted *wanted, size_t count,
                     uint32_t slot, char of[KEY_ID_CHARS + 1])
{
    const struct key_slot *key = key_table_slot(keys_table(a->keys), slot);
    struct more m = {.count = 0};
    if (atomic_load(&key->revoked_us) != KEY_NEVER_US) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        add_wanted(a, &m, &wanted[i], key, slot);
    }
    if (m.count == 0) {
        return true;
    }
    struct limits_subjects who = who_of(a, atomic_load(&key->team), atomic_load(&key->user));
    who.slot[LIMITS_KEY] = slot;
    access_put_tags(a, slot, &who);
    bool fits = limits_names_fit(a->limits, &who, m.wishes, m.count);
    span_copy_text(span_make(key->id, fits ? 0 : KEY_ID_CHARS), of, KEY_ID_CHARS + 1);
    return fits;
}

/* Whether anybody can count in it: of who is made just now nobody does. */
static bool is_of_nobody(const struct wanted *w)
{
    return w->wish->tag.len == 0 && w->slot == SLOTS_NONE;
}

bool access_wishes_fit(const struct access *a, const struct access_wish *wishes, size_t count,
                       char of[KEY_ID_CHARS + 1])
{
    struct wanted wanted[ACCESS_WISHES_MAX];
    uint32_t slots = a->keys == NULL ? 0 : (uint32_t)key_table_count(keys_table(a->keys));
    size_t kept = 0;
    of[0] = '\0';
    CHECK(count <= ACCESS_WISHES_MAX);
    for (size_t i = 0; i < count; i++) {
        wanted[kept] = find_wanted(a, &wishes[i]);
        kept += is_of_nobody(&wanted[kept]) ? 0 : 1;
    }
    if (kept == 1 && wanted[0].level == LIMITS_KEY && !wanted[0].is_template && slots > 0) {
        return key_fits(a, wanted, 1, wanted[0].slot, of);
    }
    bool fits = true;
    for (uint32_t slot = 0; fits && kept > 0 && slot < slots; slot++) {
        fits = key_fits(a, wanted, kept, slot, of);
    }
    return fits;
}

bool access_counts_day(const struct access *a, struct span subject)
{
    enum limits_level level;
    uint32_t slot;
    struct limits_standing_budget found;
    if (!access_find_subject(a, subject, &level, &slot)) {
        return has_day(a, subject); /* a template, or a plan */
    }
    bool counts = false;
    for (size_t i = 0; !counts && limits_budget_at(a->limits, level, slot, i, (wall_us){0}, &found);
         i++) {
        counts = span_starts(span_of(found.is->id), SPAN("day/"));
    }
    return counts;
}

/* ---- a key as it shall be ---- */

/* The budgets that a key gets by its team's template, if it is new; and its day. */
static size_t find_own(const struct access *a, struct span id, const struct access_owners *owners,
                       struct limits_wish out[LIMITS_BUDGETS_MAX])
{
    char template[ACCESS_ID_BYTES];
    size_t count = 0;
    (void)snprintf(template, sizeof(template), "%.*s/key", SPAN_ARGS(owners->team)); /* fits */
    const struct access_rows *each = access_book_find(&a->book, span_of(template));
    for (const struct access_budget *b = each == NULL ? NULL : each->budgets;
         id.len == 0 && b != NULL && count + 1 < LIMITS_BUDGETS_MAX; b = b->next) {
        out[count] = b->wish;
        int len = snprintf(out[count].id, sizeof(out[count].id), "%s/%.*s", b->wish.id,
                           SPAN_ARGS(NEW_CHILD));
        CHECK(len < (int)sizeof(out[count].id)); /* ids have one length */
        count++;
    }
    if (owners->has_day || has_day(a, owners->plan) || has_day(a, span_of(template))) {
        out[count] = (struct limits_wish){.kind = LIMITS_TOKEN_BUDGET};
        (void)snprintf(out[count].id, sizeof(out[count].id), "day/%.*s",
                       SPAN_ARGS(id.len > 0 ? id : NEW_CHILD)); /* fits */
        count++;
    }
    return count;
}

bool access_key_fits(const struct access *a, struct span id, const struct access_owners *owners)
{
    struct limits_wish own[LIMITS_BUDGETS_MAX];
    uint32_t tags[ACCESS_TAGS_MAX], slot;
    size_t count = access_limited_tags(a, owners->tags, false, tags);
    struct limits_subjects who =
        who_of(a, directory_slot(a->directory, DIRECTORY_TEAM, owners->team),
               directory_slot(a->directory, DIRECTORY_USER, owners->user));
    for (size_t i = 0; i < count && i < LIMITS_TAGS_MAX; i++) {
        who.slot[LIMITS_TAG + i] = tags[i];
    }
    if (a->keys != NULL && id.len > 0 && key_table_find(keys_table(a->keys), id, &slot)) {
        who.slot[LIMITS_KEY] = slot;
    }
    return limits_names_fit(a->limits, &who, own, find_own(a, id, owners, own));
}
