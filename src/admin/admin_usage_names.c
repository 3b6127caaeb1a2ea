/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids and names of those whose usage is asked for. They are looked up in the tables: the directory
 * in memory is another thread's.
 */
#include "admin/admin_internal.h"
#include "admin/admin_usage.h"
#include "store/store_change.h"

/* Tables of those that have a name; each has the order of its numbers second. */
static const struct table {
    const char *word;
    enum store_table_id table;
    unsigned by_number;
    size_t id, name, ended;
} tables[] = {
    [ADMIN_BY_ORGANISATION] = {"organisation", STORE_TABLE_ORGANISATION,
                               STORE_INDEX_ORGANISATION_BY_NUMBER,
                               offsetof(struct store_organisation, id),
                               offsetof(struct store_organisation, name),
                               offsetof(struct store_organisation, ended)},
    [ADMIN_BY_TEAM] = {"team", STORE_TABLE_TEAM, STORE_INDEX_TEAM_BY_NUMBER,
                       offsetof(struct store_team, id), offsetof(struct store_team, name),
                       offsetof(struct store_team, ended)},
    [ADMIN_BY_USER] = {"user", STORE_TABLE_USER, STORE_INDEX_USER_BY_NUMBER,
                       offsetof(struct store_user, id), offsetof(struct store_user, name),
                       offsetof(struct store_user, ended)},
};

union row {
    struct store_organisation organisation;
    struct store_team team;
    struct store_user user;
};

struct search {
    const struct table *table;
    struct span name;
    uint8_t *room; /* for the id */
    struct span id;
    size_t count; /* of those called so */
};

static struct span text_at(const void *row, size_t offset)
{
    return *(const struct span *)(const void *)((const char *)row + offset);
}

static enum err on_row(void *context, const void *row)
{
    struct search *s = context;
    const wall_us *ended = (const void *)((const char *)row + s->table->ended);
    if (ended->us == 0 && span_equal(text_at(row, s->table->name), s->name)) {
        struct span id = text_at(row, s->table->id);
        memcpy(s->room, id.at, id.len);
        s->id = span_make(s->room, id.len);
        s->count++;
    }
    return ERR_OK;
}

/* Whether there is one of this id. */
static enum err find_id(struct store *store, const struct table *t, struct span id)
{
    union row row = {.team = {.number = 0}};
    memcpy((char *)&row + t->id, &id, sizeof(id));
    return store_row_get(store, t->table, &row);
}

enum err admin_usage_resolve(const struct admin_operation *op, enum admin_by by, struct span given,
                             uint8_t room[STORE_TEXT_MAX], struct span *id)
{
    const struct table *t = &tables[by];
    const struct store_page all = {.limit = INT64_MAX};
    struct search s = {.table = t, .name = given, .room = room};
    *id = given;
    enum err e = given.len == 0 ? ERR_OK : find_id(op->store, t, given);
    if (e != ERR_NOT_FOUND_ROW) {
        return e;
    }
    e = store_row_page(op->store, t->table, t->by_number, &all, on_row, &s);
    if (e == ERR_OK && s.count > 1) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, span_of(t->word),
                               "several have this name: give the id of one");
    }
    *id = s.count == 1 ? s.id : given;
    return e;
}

/* The same, also where its row lags. */
static enum err find_new(struct store *store, const struct table *t, struct span id)
{
    union row row = {.team = {.number = 0}};
    memcpy((char *)&row + t->id, &id, sizeof(id));
    return store_change_get(store, t->table, &row);
}

enum err admin_usage_check(const struct admin_operation *op, enum admin_by by, struct span id)
{
    const struct table *t = &tables[by];
    enum err e = id.len == 0 || !admin_right_sees_all(&op->request->right)
                     ? ERR_OK
                     : find_new(op->store, t, id);
    return e == ERR_NOT_FOUND_ROW ? admin_fault_say(&op->answer->fault, e, span_of(t->word),
                                                    "there is no %s of this id or name", t->word)
                                  : e;
}

/* Keeps what a get gave out; empty where there was no such row. */
static enum err keep_name(enum err e, struct span name, uint8_t room[STORE_TEXT_MAX],
                          struct span *out)
{
    if (e != ERR_OK) {
        return e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
    }
    size_t len = name.len < STORE_TEXT_MAX ? name.len : STORE_TEXT_MAX;
    memmove(room, len == 0 ? room : name.at, len);
    *out = span_make(room, len);
    return ERR_OK;
}

static enum err find_name(struct store *store, enum admin_by by, struct span id,
                          uint8_t room[STORE_TEXT_MAX], struct span *out)
{
    const struct table *t = &tables[by];
    union row row = {.team = {.number = 0}};
    memcpy((char *)&row + t->id, &id, sizeof(id));
    enum err e = store_row_get(store, t->table, &row);
    return keep_name(e, text_at(&row, t->name), room, out);
}

enum err admin_usage_name(struct store *s, struct admin_usage *row, struct admin_usage_names *room)
{
    struct store_key key = {.id = row->key};
    enum err e = find_name(s, ADMIN_BY_ORGANISATION, row->organisation, room->organisation,
                           &row->organisation_name);
    if (e == ERR_OK) {
        e = find_name(s, ADMIN_BY_TEAM, row->team, room->team, &row->team_name);
    }
    if (e == ERR_OK) {
        e = find_name(s, ADMIN_BY_USER, row->user, room->user, &row->user_name);
    }
    if (e == ERR_OK) {
        e = keep_name(store_key_get(s, &key), key.name, room->key, &row->key_name);
    }
    return e;
}
