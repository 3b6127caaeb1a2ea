/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotation: another secret under the same id, while the one before works on for a while. Whoever
 * looks meanwhile has either block of secrets, and both let in who has a secret that is good.
 */
#include "base/memory.h"
#include "crypto/random.h"
#include "keys/keys_internal.h"

/* The store's threads look at secrets, too, and have no loop that turns: what they do with what
 * they found takes them less than this. */
#define LOOK_US (INT64_C(60) * 1000000)

static bool free_secrets(struct retired *block)
{
    memory_free(block);
    return true;
}

void keys_tidy_secrets(struct keys *k)
{
    mono_us turned = {atomic_load_explicit(&k->turned_us, memory_order_relaxed) - LOOK_US};
    retired_tidy(&k->secrets, turned, free_secrets);
}

enum err keys_secrets_of(const struct store_key *row, uint32_t number, struct key_secrets **out)
{
    *out = NULL;
    if (row->before_ends.us == 0) {
        return ERR_OK;
    }
    struct key_secrets *s = memory_new(sizeof(*s));
    if (s == NULL) {
        return ERR_NO_MEMORY;
    }
    s->number = number;
    s->now.pepper = row->pepper;
    s->before.pepper = row->before_pepper;
    memcpy(s->now.mac, row->mac, sizeof(s->now.mac));
    memcpy(s->before.mac, row->before_mac, sizeof(s->before.mac));
    s->before_ends_us = row->before_ends.us;
    *out = s;
    return ERR_OK;
}

void keys_prove_text(const struct keys *k, const struct key_text *text, struct store_key *row)
{
    size_t newest = k->peppers.count - 1;
    row->pepper = k->peppers.row[newest].version;
    crypto_hmac(&k->peppers.row[newest].hmac, span_of(text->text), row->mac);
}

/* Whether the row has this text already: the same request was sent before. */
static bool has_text(const struct keys *k, const struct store_key *row, const struct key_text *text)
{
    uint8_t mac[CRYPTO_SHA256_BYTES];
    const struct crypto_hmac_key *hmac = key_pepper_find(&k->peppers, row->pepper);
    if (hmac == NULL) {
        return false;
    }
    crypto_hmac(hmac, span_of(text->text), mac);
    return crypto_equal(mac, row->mac, sizeof(mac));
}

/* When the secret before ends: at once, or at a whole second, which is what is told. */
static wall_us end_of(wall_us now, int64_t grace_s)
{
    int64_t whole = (now.us + 999999) / 1000000 + grace_s;
    return (wall_us){grace_s == 0 ? now.us : whole * 1000000};
}

static bool works(const struct keys *k, const struct store_key *row, wall_us now)
{
    return !row->is_damaged && row->kind >= KEY_LIVE && row->kind <= KEY_ADMIN &&
           row->revoked.us == 0 && keys_revoked(k, row->id).us == 0 &&
           (row->expires.us == 0 || row->expires.us > now.us);
}

/* Makes the row that of the key with another secret, and the secret's text. */
static enum err rotate_row(const struct keys *k, const struct key_rotation *rotation,
                           struct store_key *row, struct key_text *text)
{
    wall_us now = rotation->now;
    if (!works(k, row, now)) {
        return ERR_VALUE_INVALID;
    }
    key_string_make_again((enum key_kind)row->kind, row->id, rotation->seed, text);
    if (rotation->seed != NULL && has_text(k, row, text)) {
        return ERR_EXISTS;
    }
    if (row->before_ends.us > now.us) {
        return ERR_ROTATION;
    }
    row->before_pepper = row->pepper;
    memcpy(row->before_mac, row->mac, sizeof(row->before_mac));
    row->before_ends = end_of(now, rotation->grace_s);
    row->rotated = now;
    keys_prove_text(k, text, row);
    return ERR_OK;
}

static enum err change_row(struct keys *k, struct store *s, const struct key_rotation *rotation,
                           struct store_key *row, struct key_text *text)
{
    enum err e = store_change_get(s, STORE_TABLE_KEY, row);
    if (e == ERR_OK) {
        e = rotate_row(k, rotation, row, text);
    }
    return e == ERR_OK ? store_change(s, STORE_TABLE_KEY, row, false, "key.rotate", rotation->actor)
                       : e;
}

/* Makes room for the key's secrets in memory before anything is recorded; nothing if it was not
 * loaded. */
static enum err make_room(const struct keys *k, struct span id, struct key_secrets **out)
{
    uint32_t slot;
    *out = NULL;
    if (!key_table_find(k->table, id, &slot)) {
        return ERR_OK;
    }
    *out = memory_new(sizeof(**out));
    return *out == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* The key has the row's secrets from now on. */
static void rotate_in_memory(struct keys *k, const struct store_key *row,
                             struct key_secrets *secrets)
{
    struct key_secrets *before = NULL;
    uint32_t slot;
    if (secrets == NULL || !key_table_find(k->table, row->id, &slot)) {
        return;
    }
    before = atomic_load_explicit(&key_table_slot(k->table, slot)->secrets, memory_order_relaxed);
    *secrets = (struct key_secrets){.number = before == NULL ? 1 : before->number + 1,
                                    .now.pepper = row->pepper,
                                    .before.pepper = row->before_pepper,
                                    .before_ends_us = row->before_ends.us};
    memcpy(secrets->now.mac, row->mac, sizeof(row->mac));
    memcpy(secrets->before.mac, row->before_mac, sizeof(row->before_mac));
    CHECK(key_table_rotate(k->table, row->id, secrets, &before) == ERR_OK); /* it was there */
    if (before != NULL) {
        retired_add(&k->secrets, &before->retired);
    }
}

/* Whether memory has the row's secret, or does not know the key. */
static bool has_secret(const struct keys *k, const struct store_key *row)
{
    uint32_t slot;
    if (!key_table_find(k->table, row->id, &slot)) {
        return true;
    }
    const struct key_secrets *s =
        atomic_load_explicit(&key_table_slot(k->table, slot)->secrets, memory_order_relaxed);
    return s != NULL && crypto_equal(s->now.mac, row->mac, sizeof(row->mac));
}

/* Has the rotation recorded; `row` is what the key is then. */
static enum err record(struct keys *k, struct store *s, const struct key_rotation *rotation,
                       struct store_key *row, struct key_text *text)
{
    struct span id = row->id;
    enum err e = ERR_REVISION;
    for (int i = 0; e == ERR_REVISION && i < KEYS_TRIES; i++) {
        *row = (struct store_key){.id = id};
        e = change_row(k, s, rotation, row, text);
    }
    return e == ERR_OK ? store_settle(s) : e;
}

enum err keys_rotate(struct keys *k, struct store *s, struct span id,
                     const struct key_rotation *rotation, struct store_key *out,
                     struct key_text *text)
{
    struct key_secrets *secrets;
    if (rotation->grace_s < 0 || rotation->grace_s > KEY_GRACE_MOST_S) {
        return ERR_VALUE_INVALID;
    }
    keys_tidy_secrets(k);
    enum err e = store_change_begin(s);
    e = e == ERR_OK ? make_room(k, id, &secrets) : e;
    if (e != ERR_OK) {
        return e;
    }
    *out = (struct store_key){.id = id};
    e = record(k, s, rotation, out, text);
    bool is_here = e == ERR_EXISTS && has_secret(k, out);
    if (e == ERR_EXISTS && !is_here) { /* the disk had not said that it took it: memory waited */
        enum err on_disk = store_settle(s);
        e = on_disk == ERR_OK ? ERR_EXISTS : on_disk;
    }
    if (e == ERR_OK || (e == ERR_EXISTS && !is_here)) {
        rotate_in_memory(k, out, secrets);
        keys_follow(s);
    } else {
        memory_free(secrets);
    }
    if (e == ERR_OK || e == ERR_EXISTS) {
        *out = (struct store_key){.id = id};
        enum err shown = store_change_get(s, STORE_TABLE_KEY, out);
        return shown == ERR_OK ? e : shown;
    }
    crypto_wipe(text, sizeof(*text));
    return e;
}

wall_us keys_due(const struct store_key *row)
{
    wall_us last = row->rotated.us == 0 ? row->created : row->rotated;
    return (wall_us){keys_is_rhythm(row->rotate_every_s) && row->rotate_every_s > 0
                         ? last.us + row->rotate_every_s * 1000000
                         : 0};
}

bool keys_is_rhythm(int64_t rotate_every_s)
{
    return rotate_every_s == 0 ||
           (rotate_every_s >= KEY_RHYTHM_LEAST_S && rotate_every_s <= KEY_RHYTHM_MOST_S);
}
