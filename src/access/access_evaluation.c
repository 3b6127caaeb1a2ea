/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of an evaluation. Its keys go first: who dies in between finds the team as it was, and
 * does it again. A key that was revoked before keeps its time.
 */
#include "access/access_evaluation.h"

#include <string.h>

#include "access/access_internal.h"
#include "base/arena.h"
#include "keys/keys_change.h"
#include "store/store_change.h"

#define KEYS_MAX  64 /* revoked with it; what else there may be is refused, as its team is over */
#define ROW_BYTES 16384
#define BY        SPAN("gateway") /* who ends what is over */

/* The ids of a team's keys that are not revoked; how many. */
static size_t find_keys(const struct access *a, uint32_t team, char ids[KEYS_MAX][KEY_ID_CHARS])
{
    const struct key_table *t = a->keys == NULL ? NULL : keys_table(a->keys);
    size_t all = t == NULL ? 0 : key_table_count(t), found = 0;
    for (uint32_t i = 0; i < all && found < KEYS_MAX; i++) {
        const struct key_slot *slot = key_table_slot(t, i);
        if (atomic_load_explicit(&slot->team, memory_order_relaxed) == team &&
            atomic_load_explicit(&slot->revoked_us, memory_order_relaxed) == KEY_NEVER_US) {
            memcpy(ids[found++], slot->id, KEY_ID_CHARS);
        }
    }
    return found;
}

/* One that was deleted, or never made, is revoked well enough. */
static enum err revoke(struct access *a, struct store *s, struct span id, struct span actor,
                       wall_us now)
{
    enum err e = a->keys == NULL || id.len == 0 ? ERR_OK : keys_revoke(a->keys, s, id, actor, now);
    return e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
}

enum err access_end_evaluation(struct access *a, struct store *s, struct store_team *team,
                               const char *verb, struct span actor, wall_us now)
{
    char ids[KEYS_MAX][KEY_ID_CHARS];
    uint32_t slot = directory_slot(a->directory, DIRECTORY_TEAM, team->id);
    size_t count = find_keys(a, slot, ids);
    enum err e = revoke(a, s, team->trial, actor, now); /* it may not be loaded */
    for (size_t i = 0; e == ERR_OK && i < count; i++) {
        struct span id = span_make(ids[i], KEY_ID_CHARS);
        e = span_equal(id, team->trial) ? ERR_OK : revoke(a, s, id, actor, now);
    }
    if (e != ERR_OK || team->ended.us != 0) {
        return e;
    }
    team->ended = now;
    return access_change(a, s, STORE_TABLE_TEAM, team, verb, actor);
}

/* Reads the row of a team as it was changed last, and keeps it. */
static enum err read_team(struct store *s, const char *id, struct arena *arena,
                          struct store_team *out)
{
    *out = (struct store_team){.id = span_of(id)};
    enum err e = store_change_begin(s);
    if (e == ERR_OK) {
        e = store_change_get(s, STORE_TABLE_TEAM, out);
    }
    return e == ERR_OK ? store_row_keep(STORE_TABLE_TEAM, out, arena) : e;
}

/* Whether an evaluation has passed its time and is not marked as ended. */
static bool is_over(const struct directory_entry *e, wall_us now)
{
    return e != NULL && e->is_trial && e->ended.us == 0 && e->expires.us != 0 &&
           e->expires.us <= now.us;
}

static enum err end_if_evaluation(struct access *a, struct store *s, const char *id, wall_us now,
                                  bool *has_ended)
{
    struct arena arena;
    struct store_team team;
    arena_init(&arena, ROW_BYTES);
    enum err e = read_team(s, id, &arena, &team);
    *has_ended = e == ERR_OK && team.trial.len > 0;
    if (*has_ended) {
        e = access_end_evaluation(a, s, &team, "team.end", BY, now);
    }
    arena_fini(&arena);
    return e;
}

enum err access_end_over(struct access *a, struct store *s, wall_us now, uint32_t *from)
{
    uint32_t count = directory_count(a->directory, DIRECTORY_TEAM);
    bool has_ended = false;
    enum err e = ERR_OK;
    while (e == ERR_OK && !has_ended && *from < count) {
        const struct directory_entry *team = directory_find(a->directory, DIRECTORY_TEAM, *from);
        (*from)++;
        if (is_over(team, now)) {
            e = end_if_evaluation(a, s, team->id, now, &has_ended);
        }
    }
    *from = *from < count ? *from : 0;
    return e;
}
