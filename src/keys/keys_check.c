/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in: by an Atlas key's id and MAC, or by the digest of a secret that was taken over. */
#include "crypto/random.h"
#include "keys/keys_find.h"
#include "keys/keys_internal.h"

static bool is_for(uint8_t kind, enum key_use use)
{
    return (kind == KEY_ADMIN) == (use == KEY_USE_ADMIN);
}

/* Whether the key of a slot is good, by the secret that the handle says, and what it is now: the
 * words that may change. */
static enum err look_at_slot(const struct key_slot *slot, wall_us now, struct key_handle *out)
{
    /* Before the words it counts: a change in between makes the next recheck look again. */
    uint32_t generation = atomic_load_explicit(&slot->generation, memory_order_acquire);
    int64_t expires = atomic_load_explicit(&slot->expires_us, memory_order_acquire);
    int64_t ends =
        key_secret_ends(atomic_load_explicit(&slot->secrets, memory_order_acquire), out->secret);
    /* Whenever it was: a clock that is set back must not bring a key back. */
    if (atomic_load_explicit(&slot->revoked_us, memory_order_acquire) != KEY_NEVER_US) {
        return ERR_KEY_REVOKED;
    }
    if (expires <= now.us) {
        return ERR_KEY_EXPIRED;
    }
    if (ends <= now.us) {
        return ERR_KEY_REPLACED;
    }
    out->generation = generation;
    out->scopes = atomic_load_explicit(&slot->scopes, memory_order_acquire);
    out->expires.us = expires < ends ? expires : ends;
    out->is_previous = ends != KEY_NEVER_US;
    out->team = atomic_load_explicit(&slot->team, memory_order_acquire);
    out->user = atomic_load_explicit(&slot->user, memory_order_acquire);
    return ERR_OK;
}

/* A token that is tried, and its MAC by the pepper that it was tried with last. */
struct trial {
    const struct keys *keys;
    struct span token;
    uint8_t pepper; /* KEY_PEPPER_NONE: none yet */
    uint8_t mac[CRYPTO_SHA256_BYTES];
};

/* Whether the token is the secret of this proof. A pepper that the file lacks proves nothing. */
static bool is_proven(struct trial *t, const struct key_proof *proof)
{
    const struct crypto_hmac_key *hmac = key_pepper_find(&t->keys->peppers, proof->pepper);
    if (hmac == NULL) {
        return false;
    }
    if (t->pepper != proof->pepper) {
        crypto_hmac(hmac, t->token, t->mac);
        t->pepper = proof->pepper;
    }
    return crypto_equal(t->mac, proof->mac, sizeof(t->mac));
}

/* Whether the token is a secret of the slot's key, and which. */
static bool is_secret_of(struct trial *t, const struct key_slot *slot, uint32_t *secret)
{
    const struct key_secrets *s = atomic_load_explicit(&slot->secrets, memory_order_acquire);
    *secret = s == NULL ? 0 : s->number;
    if (is_proven(t, s == NULL ? &slot->proof : &s->now)) {
        return true;
    }
    if (s == NULL || !is_proven(t, &s->before)) {
        return false;
    }
    *secret = s->number - 1;
    return true;
}

/*
 * Finds the slot of a key whose secret is right. An unknown id costs what a wrong secret does; only
 * of a key that was rotated from another pepper a wrong secret costs twice that, which tells of it
 * no more than its id does: lists and logs say both.
 */
static enum err find_proven(const struct keys *k, struct span token, struct span id,
                            struct key_handle *out)
{
    static const uint8_t nothing[CRYPTO_SHA256_BYTES];
    struct trial trial = {.keys = k, .token = token, .pepper = KEY_PEPPER_NONE};
    bool is_equal = key_table_find(k->table, id, &out->slot) &&
                    is_secret_of(&trial, key_table_slot(k->table, out->slot), &out->secret);
    if (trial.pepper == KEY_PEPPER_NONE) {
        crypto_hmac(&k->peppers.row[k->peppers.count - 1].hmac, token, trial.mac);
        is_equal &= crypto_equal(trial.mac, nothing, sizeof(nothing));
    }
    return is_equal ? ERR_OK : ERR_KEY_INVALID;
}

/* Whether it can be another gateway's key. What begins as ours is ours, though mistyped. */
static bool is_foreign(struct span token)
{
    if (token.len > KEY_FOREIGN_MOST || span_starts(token, SPAN("mx4_"))) {
        return false;
    }
    for (size_t i = 0; i < token.len; i++) {
        if (token.at[i] <= ' ' || token.at[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

/*
 * Finds a key that was taken over. What the time tells of its index is about digests of what the
 * caller sends himself: to get nearer to one he would have to find secrets with digests of his
 * choice, and a digest is not what opens anything.
 */
static enum err find_foreign(const struct keys *k, struct span token, struct key_handle *out)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (!key_table_has_digests(k->table) || !is_foreign(token)) {
        return ERR_KEY_INVALID;
    }
    crypto_sha256(token, digest);
    return key_table_find_digest(k->table, digest, &out->slot, &out->secret) ? ERR_OK
                                                                             : ERR_KEY_INVALID;
}

enum err keys_check(const struct keys *k, struct span token, enum key_use use, wall_us now,
                    struct key_handle *out)
{
    struct key_parts parts;
    struct key_handle found = {.slot = 0};
    enum err e = key_string_parse(token, &parts) == ERR_OK ? find_proven(k, token, parts.id, &found)
                                                           : find_foreign(k, token, &found);
    if (e != ERR_OK) {
        return e;
    }
    const struct key_slot *slot = key_table_slot(k->table, found.slot);
    if (!is_for(slot->kind, use)) {
        return ERR_KEY_WRONG_KIND;
    }
    found.kind = slot->kind;
    memcpy(found.id, slot->id, KEY_ID_CHARS);
    e = look_at_slot(slot, now, &found);
    if (e == ERR_OK) {
        *out = found;
    }
    return e;
}

enum err keys_recheck(const struct keys *k, struct key_handle *handle, wall_us now)
{
    const struct key_slot *slot = key_table_slot(k->table, handle->slot);
    if (LIKELY(atomic_load_explicit(&slot->generation, memory_order_acquire) ==
                   handle->generation &&
               now.us < handle->expires.us)) {
        return ERR_OK;
    }
    return look_at_slot(slot, now, handle);
}

enum err keys_find(const struct keys *k, struct span id, wall_us now, struct key_handle *out)
{
    struct key_handle found = {.slot = 0};
    if (!key_table_find(k->table, id, &found.slot)) {
        return ERR_NOT_FOUND_ROW;
    }
    const struct key_slot *slot = key_table_slot(k->table, found.slot);
    const struct key_secrets *s = atomic_load_explicit(&slot->secrets, memory_order_acquire);
    found.secret = s == NULL ? 0 : s->number;
    found.kind = slot->kind;
    memcpy(found.id, slot->id, KEY_ID_CHARS);
    enum err e = look_at_slot(slot, now, &found);
    if (e == ERR_OK) {
        *out = found;
    }
    return e;
}

wall_us keys_revoked(const struct keys *k, struct span id)
{
    uint32_t number;
    if (!key_table_find(k->table, id, &number)) {
        return (wall_us){0};
    }
    int64_t at =
        atomic_load_explicit(&key_table_slot(k->table, number)->revoked_us, memory_order_acquire);
    return (wall_us){at == KEY_NEVER_US ? 0 : at};
}
