/* SPDX-License-Identifier: Apache-2.0 */
/*
 * directory.c — an entry is one block with its texts behind it. The map from ids to slots is of the
 * writer's thread alone; its keys are the ids that the slots' first entries had, kept apart, as
 * entries come and go.
 */
#include "directory/directory.h"

#include <string.h>

#include "base/map.h"
#include "base/memory.h"
#include "guard/guard_form.h"
#include "store/store_tables.h"

struct subject_id {
    struct subject_id *next;
    enum directory_kind kind;
    uint32_t slot;
    char id[DIRECTORY_ID_BYTES];
};

struct directory {
    struct slots entries[DIRECTORY_KINDS]; /* struct directory_entry */
    _Atomic uint32_t count[DIRECTORY_KINDS];
    struct map ids; /* to struct subject_id */
    struct subject_id *first_id;
    struct retired_list retired;
};

/* What a row says, whichever table it is of. */
struct facts {
    struct span id, name, organisation, team, plan, models, regions, guard;
    uint8_t role, max_class, default_class;
    bool is_trial, is_local;
    wall_us expires, ended;
};

enum err directory_open(struct directory **out)
{
    struct directory *d = memory_new(sizeof(*d));
    if (d == NULL) {
        return ERR_NO_MEMORY;
    }
    map_init(&d->ids);
    *out = d;
    return ERR_OK;
}

static void entry_free(void *entry)
{
    guard_policy_unref(&((struct directory_entry *)entry)->guard);
    memory_free(entry);
}

static bool free_entry(struct retired *block)
{
    entry_free(block); /* its first member */
    return true;
}

void directory_tidy(struct directory *d, mono_us turned)
{
    retired_tidy(&d->retired, turned, free_entry);
}

void directory_close(struct directory **d)
{
    if (*d == NULL) {
        return;
    }
    directory_tidy(*d, (mono_us){INT64_MAX});
    for (size_t kind = 0; kind < DIRECTORY_KINDS; kind++) {
        slots_fini(&(*d)->entries[kind], entry_free);
    }
    while ((*d)->first_id != NULL) {
        struct subject_id *id = (*d)->first_id;
        (*d)->first_id = id->next;
        memory_free(id);
    }
    map_fini(&(*d)->ids);
    memory_free(*d);
    *d = NULL;
}

/* ---- looking ---- */

const struct directory_entry *directory_find(const struct directory *d, enum directory_kind kind,
                                             uint32_t slot)
{
    return slots_find(&d->entries[kind], slot);
}

uint32_t directory_count(const struct directory *d, enum directory_kind kind)
{
    return d->count[kind];
}

uint32_t directory_slot(const struct directory *d, enum directory_kind kind, struct span id)
{
    const struct subject_id *found = map_find(&d->ids, id);
    return found == NULL || found->kind != kind ? SLOTS_NONE : found->slot;
}

uint32_t directory_slot_of_name(const struct directory *d, enum directory_kind kind,
                                struct span name, uint32_t team)
{
    for (uint32_t slot = 0; slot < d->count[kind]; slot++) {
        const struct directory_entry *e = directory_find(d, kind, slot);
        if (e != NULL && e->ended.us == 0 && span_equal(e->name, name) &&
            (team == SLOTS_NONE || e->team == team)) {
            return slot;
        }
    }
    return SLOTS_NONE;
}

bool directory_may_use(struct span models, struct span model)
{
    struct span rest = models;
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.at, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.at);
        if (span_equal(span_make(rest.at, len), model)) {
            return true;
        }
        rest = span_cut(rest, end == NULL ? len : len + 1, rest.len - len - (end != NULL));
    }
    return models.len == 0;
}

/* ---- taking in ---- */

static struct facts facts_of(enum directory_kind kind, const void *row)
{
    switch (kind) {
    case DIRECTORY_ORGANISATION: {
        const struct store_organisation *o = row;
        return (struct facts){.id = o->id, .name = o->name, .ended = o->ended};
    }
    case DIRECTORY_TEAM: {
        const struct store_team *t = row;
        return (struct facts){.id = t->id,
                              .name = t->name,
                              .organisation = t->organisation,
                              .plan = t->plan,
                              .models = t->models,
                              .regions = t->regions.len > 0 ? t->regions : t->region,
                              .max_class = t->max_class,
                              .default_class = t->default_class,
                              .is_local = t->local_only != 0,
                              .guard = t->guard,
                              .is_trial = t->trial.len > 0,
                              .expires = t->expires,
                              .ended = t->ended};
    }
    case DIRECTORY_USER: {
        const struct store_user *u = row;
        return (struct facts){
            .id = u->id, .name = u->name, .team = u->team, .role = u->role, .ended = u->ended};
    }
    case DIRECTORY_PLAN: {
        const struct store_plan *p = row;
        return (struct facts){.id = p->id, .name = p->name, .ended = p->ended};
    }
    case DIRECTORY_TAG: {
        const struct store_tag *t = row;
        return (struct facts){.id = t->id, .name = t->name};
    }
    case DIRECTORY_KINDS:
        break;
    }
    NEVER("a kind that is none");
}

/* The subject of this id, which is made if it is not there; NULL: out of memory. */
static struct subject_id *subject_of(struct directory *d, enum directory_kind kind, struct span id)
{
    struct subject_id *found = map_find(&d->ids, id);
    if (found != NULL) {
        return found;
    }
    found = memory_new(sizeof(*found));
    if (found == NULL) {
        return NULL;
    }
    found->kind = kind;
    found->slot = d->count[kind];
    span_copy_text(id, found->id, sizeof(found->id));
    if (map_put_borrow(&d->ids, span_of(found->id), found) != ERR_OK) {
        memory_free(found);
        return NULL;
    }
    found->next = d->first_id;
    d->first_id = found;
    d->count[kind]++;
    return found;
}

static struct span put_text(struct directory_entry *e, size_t *used, struct span text)
{
    struct span copy = span_make(e->text + *used, text.len);
    if (text.len > 0) {
        memcpy(e->text + *used, text.at, text.len);
    }
    *used += text.len;
    return copy;
}

/* False: there is no memory. What cannot be read, though it was checked, must not let anything
 * through. */
static bool make_guard(struct span guard, struct directory_entry *e)
{
    enum err made = guard.len == 0 ? ERR_OK : guard_policy_of_team(guard, &e->guard);
    made = made == ERR_CONFIG ? guard_policy_closed(&e->guard) : made;
    return made == ERR_OK;
}

static struct directory_entry *entry_new(const struct directory *d, const struct facts *f,
                                         const struct subject_id *subject)
{
    size_t used = 0;
    struct directory_entry *e =
        memory_new(sizeof(*e) + f->name.len + f->regions.len + f->models.len);
    if (e == NULL || !make_guard(f->guard, e)) {
        memory_free(e);
        return NULL;
    }
    memcpy(e->id, subject->id, sizeof(e->id));
    e->kind = subject->kind;
    e->slot = subject->slot;
    e->organisation = directory_slot(d, DIRECTORY_ORGANISATION, f->organisation);
    e->team = directory_slot(d, DIRECTORY_TEAM, f->team);
    e->plan = directory_slot(d, DIRECTORY_PLAN, f->plan);
    e->role = f->role;
    e->max_class = f->max_class;
    e->default_class = f->default_class;
    e->is_local = f->is_local;
    e->is_trial = f->is_trial;
    e->expires = f->expires;
    e->ended = f->ended;
    e->name = put_text(e, &used, f->name);
    e->regions = put_text(e, &used, f->regions);
    e->models = put_text(e, &used, f->models);
    return e;
}

enum err directory_apply(struct directory *d, enum directory_kind kind, const void *row,
                         const struct directory_entry **out)
{
    struct facts facts = facts_of(kind, row);
    struct subject_id *subject = subject_of(d, kind, facts.id);
    slots_place *place = subject == NULL ? NULL : slots_make(&d->entries[kind], subject->slot);
    struct directory_entry *e = place == NULL ? NULL : entry_new(d, &facts, subject);
    if (e == NULL) {
        return ERR_NO_MEMORY;
    }
    struct directory_entry *before = atomic_exchange(place, e);
    if (before != NULL) {
        retired_add(&d->retired, &before->retired);
    }
    if (out != NULL) {
        *out = e;
    }
    return ERR_OK;
}

/* ---- loading ---- */

struct loading {
    struct directory *d;
    enum directory_kind kind;
    struct directory_report *report;
};

static bool is_named(struct span id, uint32_t slot)
{
    return id.len == 0 || slot != SLOTS_NONE;
}

static enum err take_in(struct loading *l, const void *row, bool is_damaged)
{
    const struct directory_entry *e;
    struct facts f = facts_of(l->kind, row);
    if (is_damaged) {
        l->report->damaged++;
        return ERR_OK;
    }
    enum err failed = directory_apply(l->d, l->kind, row, &e);
    if (failed == ERR_OK) {
        l->report->alone += is_named(f.organisation, e->organisation) &&
                                    is_named(f.team, e->team) && is_named(f.plan, e->plan)
                                ? 0
                                : 1;
    }
    return failed;
}

static enum err on_organisation(void *context, const void *row)
{
    return take_in(context, row, ((const struct store_organisation *)row)->is_damaged);
}

static enum err on_plan(void *context, const void *row)
{
    return take_in(context, row, ((const struct store_plan *)row)->is_damaged);
}

static enum err on_tag(void *context, const void *row)
{
    return take_in(context, row, ((const struct store_tag *)row)->is_damaged);
}

static enum err on_team(void *context, const void *row)
{
    return take_in(context, row, ((const struct store_team *)row)->is_damaged);
}

static enum err on_user(void *context, const void *row)
{
    return take_in(context, row, ((const struct store_user *)row)->is_damaged);
}

enum err directory_load(struct directory *d, struct store *s, struct directory_report *report)
{
    static const struct {
        enum directory_kind kind;
        enum store_table_id table;
        unsigned index;
        store_on_row *on_row;
    } rows[] = {
        /* what is named comes before what names it */
        {DIRECTORY_ORGANISATION, STORE_TABLE_ORGANISATION, STORE_INDEX_ORGANISATION_BY_NUMBER,
         on_organisation},
        {DIRECTORY_PLAN, STORE_TABLE_PLAN, STORE_INDEX_PLAN_BY_NUMBER, on_plan},
        {DIRECTORY_TAG, STORE_TABLE_TAG, STORE_INDEX_TAG_BY_NUMBER, on_tag},
        {DIRECTORY_TEAM, STORE_TABLE_TEAM, STORE_INDEX_TEAM_BY_NUMBER, on_team},
        {DIRECTORY_USER, STORE_TABLE_USER, STORE_INDEX_USER_BY_NUMBER, on_user},
    };
    const struct store_page all = {.limit = INT64_MAX};
    enum err e = ERR_OK;
    *report = (struct directory_report){0};
    for (size_t i = 0; e == ERR_OK && i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loading loading = {d, rows[i].kind, report};
        e = store_row_page(s, rows[i].table, rows[i].index, &all, rows[i].on_row, &loading);
    }
    return e;
}
