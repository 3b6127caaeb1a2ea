/* SPDX-License-Identifier: Apache-2.0 */
#include "keys/keys.h"

#include <sys/mman.h>

#include "crypto/random.h"
#include "keys/key_pepper.h"
#include "store/store_keys.h"
#include "json/json_scan.h"

_Static_assert(KEY_ID_CHARS == STORE_KEY_ID_CHARS, "the store keeps whole ids");
_Static_assert(CRYPTO_SHA256_BYTES == STORE_KEY_MAC_BYTES, "the store keeps whole MACs");

/* Lies in pages of its own that are neither swapped out nor dumped: it holds the peppers. */
struct keys {
    struct key_peppers peppers;
    struct key_table *table;
};

enum err keys_open(const char *pepper_path, struct keys **out)
{
    struct keys *k =
        mmap(NULL, sizeof(*k), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (k == MAP_FAILED) {
        return ERR_NO_MEMORY;
    }
    (void)mlock(k, sizeof(*k));                  /* a limit of 0 locked bytes is no reason to */
    (void)madvise(k, sizeof(*k), MADV_DONTDUMP); /* refuse service, nor is an old kernel */
    enum err e = key_peppers_read(pepper_path, &k->peppers);
    if (e == ERR_OK) {
        e = key_table_open(&k->table);
    }
    if (e != ERR_OK) {
        keys_close(&k);
        return e;
    }
    *out = k;
    return ERR_OK;
}

void keys_close(struct keys **k)
{
    if (*k == NULL) {
        return;
    }
    key_table_close(&(*k)->table);
    crypto_wipe(*k, sizeof(**k));
    (void)munmap(*k, sizeof(**k)); /* its arguments are those of mmap() */
    *k = NULL;
}

static enum err take_in(void *context, const struct store_key *row)
{
    struct keys *k = context;
    if (row->id.len != KEY_ID_CHARS) {
        return ERR_STORE_CORRUPT;
    }
    if (key_pepper_find(&k->peppers, row->pepper) == NULL) {
        return ERR_PEPPER;
    }
    struct key_facts facts = {.kind = row->kind,
                              .pepper = row->pepper,
                              .scopes = row->scopes,
                              .expires = row->expires,
                              .revoked = row->revoked};
    memcpy(facts.id, row->id.at, sizeof(facts.id));
    memcpy(facts.mac, row->mac, sizeof(facts.mac));
    return key_table_insert(k->table, &facts);
}

enum err keys_load(struct keys *k, struct store *s)
{
    enum err e = store_key_list(s, take_in, k);
    key_table_tidy(k->table);
    return e;
}

static bool is_name(struct span name)
{
    if (name.len < 1 || name.len > KEYS_NAME_MAX || json_scan_utf8(name) != name.len) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        bool is_c1 = name.at[i] == 0xc2 && name.at[i + 1] < 0xa0; /* UTF-8: one follows */
        if (name.at[i] < ' ' || name.at[i] == 0x7f || is_c1) {
            return false;
        }
    }
    return true;
}

uint32_t keys_scopes(const struct key_wish *wish)
{
    uint32_t all = wish->kind == KEY_ADMIN ? (uint32_t)KEY_SCOPE_ADMIN : KEY_SCOPES_INFERENCE;
    uint32_t wished = wish->scopes == 0 ? all : wish->scopes;
    return (wished & ~all) == 0 ? wished : 0;
}

enum err keys_create(struct keys *k, struct store *s, const struct key_wish *wish, wall_us now,
                     struct key_text *out, char id[KEY_ID_CHARS + 1])
{
    uint32_t scopes = keys_scopes(wish);
    if (!is_name(wish->name) || scopes == 0 ||
        (wish->expires.us != 0 && wish->expires.us <= now.us)) {
        return ERR_VALUE_INVALID;
    }
    size_t newest = k->peppers.count - 1;
    struct key_text key = {{0}};
    struct key_parts parts;
    key_string_make(wish->kind, &key);
    CHECK(key_string_parse(span_of(key.text), &parts) == ERR_OK);
    struct store_key row = {.id = parts.id,
                            .name = wish->name,
                            .kind = (uint8_t)wish->kind,
                            .pepper = k->peppers.row[newest].version,
                            .scopes = scopes,
                            .created = now,
                            .expires = wish->expires};
    crypto_hmac(&k->peppers.row[newest].hmac, span_of(key.text), row.mac);

    /* Room first: once it is in the store, taking it in cannot fail. */
    enum err e = key_table_reserve(k->table, key_table_count(k->table) + 1);
    if (e == ERR_OK) {
        e = store_key_insert(s, &row);
    }
    if (e == ERR_OK) {
        e = take_in(k, &row);
    }
    if (e == ERR_OK) {
        span_copy_text(parts.id, id, KEY_ID_CHARS + 1);
        *out = key;
    }
    crypto_wipe(&key, sizeof(key));
    return e;
}

enum err keys_revoke(struct keys *k, struct store *s, struct span id, wall_us now)
{
    enum err e = store_key_revoke(s, id, now);
    if (e == ERR_OK || e == ERR_STORE_UNSURE) {
        enum err in_memory = key_table_revoke(k->table, id, now);
        (void)in_memory; /* not there when nothing was loaded */
    }
    return e;
}

static bool is_for(uint8_t kind, enum key_use use)
{
    return (kind == KEY_ADMIN) == (use == KEY_USE_ADMIN);
}

static enum err slot_state(const struct key_slot *slot, wall_us now)
{
    /* Whenever it was: a clock that is set back must not bring a key back. */
    if (atomic_load_explicit(&slot->revoked_us, memory_order_acquire) != KEY_NEVER_US) {
        return ERR_KEY_REVOKED;
    }
    if (atomic_load_explicit(&slot->expires_us, memory_order_acquire) <= now.us) {
        return ERR_KEY_EXPIRED;
    }
    return ERR_OK;
}

/* Finds the slot of a key whose secret is right. An unknown id costs what a wrong secret does. */
static enum err find_proven(const struct keys *k, struct span token, struct span id,
                            uint32_t *number)
{
    static const uint8_t nothing[CRYPTO_SHA256_BYTES];
    const struct crypto_hmac_key *hmac = NULL;
    const uint8_t *expected = nothing;
    if (key_table_find(k->table, id, number)) {
        const struct key_slot *slot = key_table_slot(k->table, *number);
        hmac = key_pepper_find(&k->peppers, slot->pepper);
        expected = slot->mac;
    }
    bool is_known = hmac != NULL;
    if (!is_known) {
        hmac = &k->peppers.row[k->peppers.count - 1].hmac;
        expected = nothing;
    }
    uint8_t mac[CRYPTO_SHA256_BYTES];
    crypto_hmac(hmac, token, mac);
    bool is_equal = crypto_equal(mac, expected, sizeof(mac));
    return is_equal && is_known ? ERR_OK : ERR_KEY_INVALID;
}

enum err keys_check(const struct keys *k, struct span token, enum key_use use, wall_us now,
                    struct key_handle *out)
{
    struct key_parts parts;
    enum err e = key_string_parse(token, &parts);
    if (e != ERR_OK) {
        return e;
    }
    uint32_t number = 0;
    e = find_proven(k, token, parts.id, &number);
    if (e != ERR_OK) {
        return e;
    }
    const struct key_slot *slot = key_table_slot(k->table, number);
    if (!is_for(slot->kind, use)) {
        return ERR_KEY_WRONG_KIND;
    }
    /* Before the words it counts: a change in between makes the first recheck look again. */
    uint32_t generation = atomic_load_explicit(&slot->generation, memory_order_acquire);
    e = slot_state(slot, now);
    if (e != ERR_OK) {
        return e;
    }
    *out = (struct key_handle){
        .slot = number,
        .generation = generation,
        .scopes = atomic_load_explicit(&slot->scopes, memory_order_acquire),
        .kind = slot->kind,
        .expires = {atomic_load_explicit(&slot->expires_us, memory_order_acquire)}};
    memcpy(out->id, slot->id, KEY_ID_CHARS);
    return ERR_OK;
}

enum err keys_recheck(const struct keys *k, const struct key_handle *handle, wall_us now)
{
    const struct key_slot *slot = key_table_slot(k->table, handle->slot);
    if (LIKELY(atomic_load_explicit(&slot->generation, memory_order_acquire) ==
                   handle->generation &&
               now.us < handle->expires.us)) {
        return ERR_OK;
    }
    return slot_state(slot, now);
}

uint64_t keys_revision(const struct keys *k)
{
    return key_table_revision(k->table);
}

const struct key_table *keys_table(const struct keys *k)
{
    return k->table;
}
