/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that end: in memory, in the file of revoked keys, in journal and store. */
#include "keys/keys_internal.h"

#define HEARD "keys_denied" /* the name of the count of lines that the store has heard of */

enum err keys_deny(struct keys *k, struct span id, wall_us when)
{
    return key_table_revoke(k->table, id, key_deny_moment(when));
}

/* Has the revocation recorded, unless the row says it already. */
static enum err record_revocation(struct store *s, struct span id, struct span actor, wall_us when)
{
    enum err e = ERR_REVISION;
    for (int i = 0; e == ERR_REVISION && i < KEYS_TRIES; i++) {
        struct store_key row = {.id = id};
        e = store_change_get(s, STORE_TABLE_KEY, &row);
        if (e != ERR_OK || row.revoked.us != 0) {
            return e;
        }
        row.revoked = key_deny_moment(when);
        e = store_change(s, STORE_TABLE_KEY, &row, false, "key.revoke", actor);
    }
    return e;
}

enum err keys_revoke_row(struct store *s, struct span id, struct span actor, wall_us when)
{
    enum err behind = store_change_begin(s);
    (void)behind; /* who revoked it is worth more than a change of its name that the row lacks */
    enum err e = record_revocation(s, id, actor, when);
    if (e == ERR_OK) {
        e = store_settle(s);
        keys_follow(s);
    }
    return e;
}

enum err keys_revoke(struct keys *k, struct store *s, struct span id, struct span actor,
                     wall_us now)
{
    enum err in_memory = keys_deny(k, id, now);
    (void)in_memory; /* not there when nothing was loaded */
    enum err in_file = k->deny == NULL ? ERR_FILE : key_deny_add(k->deny, id, now);
    enum err e = keys_revoke_row(s, id, actor, now);
    return in_file == ERR_OK && e != ERR_NOT_FOUND_ROW ? ERR_OK : e;
}

/* Who wrote into the file is not known; that it was the file is. */
#define BY_FILE SPAN("file:" KEY_DENY_FILE)

struct telling {
    struct store *store;
    struct key_deny_place place;
    uint64_t end; /* the first line that is not told of now */
    enum err failed;
};

static void on_told(void *context, const struct key_denial *denial)
{
    struct telling *t = context;
    if (t->failed != ERR_OK || t->place.line >= t->end) {
        return;
    }
    struct span id = span_make(denial->id, KEY_ID_CHARS);
    enum err e = record_revocation(t->store, id, BY_FILE, denial->when);
    t->failed = e == ERR_NOT_FOUND_ROW ? ERR_OK : e; /* it was deleted, or never was one */
}

/* Tells of the lines from its place on. Those that were told and not counted are revoked by then,
 * so that telling them again changes nothing. */
static enum err tell(struct key_deny *deny, struct telling *t)
{
    uint64_t from = t->place.line, end = t->end > from ? t->end : from;
    enum err e = key_deny_read(deny, &t->place, on_told, t);
    e = e == ERR_OK ? t->failed : e;
    if (e == ERR_OK) {
        e = store_catch_up(t->store);
    }
    return e == ERR_OK
               ? store_number_set(t->store, HEARD, t->place.line < end ? t->place.line : end)
               : e;
}

static void on_line(void *context, const struct key_denial *denial)
{
    (void)denial;
    *(uint64_t *)context += 1;
}

enum err keys_tell_store(struct key_deny *deny, struct store *s, uint64_t end)
{
    uint64_t heard = 0;
    uint64_t lines = 0;
    enum err e = store_change_record_rest(s);
    if (e == ERR_OK) {
        e = store_number(s, HEARD, &heard);
    }
    if (e != ERR_OK) {
        return e;
    }
    /* The last line that it has heard of must be there: else the file is another, and all is told.
     */
    struct key_deny_place place = {.line = heard == 0 ? 0 : heard - 1};
    e = key_deny_read(deny, &place, on_line, &lines);
    if (e != ERR_OK || (heard > 0 && lines == 1 && place.line == heard) || (heard | lines) == 0) {
        return e;
    }
    e = store_catch_up(s); /* what is recorded already need not be told */
    if (e != ERR_OK) {
        return e;
    }
    struct telling t = {.store = s, .place = {.line = lines == 0 ? 0 : heard}, .end = end};
    return tell(deny, &t);
}

/* What is left of a key that was deleted is of no use; nor does it harm. */
static void forget_use(struct keys *k, struct store *s, struct span id)
{
    const struct store_key_use row = {.id = id};
    uint32_t slot;
    if (key_table_find(k->table, id, &slot)) {
        key_uses_forget(k->uses, slot);
    }
    enum err e = store_key_use_delete(s, &row);
    (void)e;
}

enum err keys_delete(struct keys *k, struct store *s, struct span id, struct span actor,
                     wall_us now)
{
    struct store_key row = {.id = id};
    enum err e = store_change_begin(s);
    e = e == ERR_OK ? store_change_get(s, STORE_TABLE_KEY, &row) : e;
    if (e != ERR_OK) {
        return e;
    }
    bool is_revoked = row.revoked.us != 0 || keys_revoked(k, id).us != 0;
    bool is_expired = row.expires.us != 0 && row.expires.us <= now.us;
    if (!is_revoked && !is_expired && !row.is_damaged) {
        return ERR_VALUE_INVALID;
    }
    row = (struct store_key){.id = id, .revision = row.revision};
    e = store_change(s, STORE_TABLE_KEY, &row, true, "key.delete", actor);
    if (e == ERR_OK) {
        e = store_settle(s);
    }
    if (e != ERR_OK) {
        return e;
    }
    enum err in_memory = keys_deny(k, id, now);
    (void)in_memory; /* not there when nothing was loaded */
    key_table_forget(k->table, id);
    forget_use(k, s, id);
    keys_follow(s);
    return ERR_OK;
}
