/* SPDX-License-Identifier: Apache-2.0 */
/* When keys were used last: noted in memory, written into the store every few seconds. */
#include "keys/keys_internal.h"

void keys_note_use(const struct keys *k, const struct key_handle *handle, const struct net_ip *from,
                   wall_us now)
{
    static const struct net_ip nowhere;
    const struct key_last_use use = {.at = now,
                                     .has_address = !net_ip_equal(from, &nowhere),
                                     .address = *from,
                                     .by_previous = handle->is_previous};
    key_uses_note(k->uses, handle->slot, &use);
}

bool keys_last_use(const struct keys *k, struct span id, struct key_last_use *out)
{
    uint32_t slot;
    return key_table_find(k->table, id, &slot) && key_uses_read(k->uses, slot, out);
}

bool keys_has_uses(const struct keys *k)
{
    return key_uses_are_new(k->uses);
}

static enum err on_use(void *context, const void *given)
{
    const struct keys *k = context;
    const struct store_key_use *row = given;
    uint32_t slot;
    if (!row->is_damaged && key_table_find(k->table, row->id, &slot)) {
        struct key_last_use use = {.at = row->at, .by_previous = row->secret != 0};
        use.has_address = net_ip_parse(row->address, &use.address);
        key_uses_put(k->uses, slot, &use);
    }
    return ERR_OK;
}

enum err keys_load_uses(struct keys *k, struct store *s)
{
    const struct store_page all = {.limit = INT64_MAX};
    return store_key_use_page(s, STORE_INDEX_KEY_USE_BY_ID, &all, on_use, k);
}

static enum err save_one(const struct keys *k, struct store *s, uint32_t slot)
{
    char address[NET_IP_TEXT] = "";
    struct key_last_use use;
    if (!key_uses_read(k->uses, slot, &use)) {
        return ERR_OK;
    }
    if (use.has_address) {
        net_ip_text(&use.address, address);
    }
    struct store_key_use row = {.id = span_make(key_table_slot(k->table, slot)->id, KEY_ID_CHARS),
                                .at = use.at,
                                .address = span_of(address),
                                .secret = use.by_previous};
    return store_key_use_put(s, &row);
}

static enum err save(const struct keys *k, struct store *s, const uint32_t *slots, size_t count)
{
    enum err e = store_begin(s, STORE_SYNC_LATER);
    if (e != ERR_OK) {
        return e;
    }
    for (size_t i = 0; e == ERR_OK && i < count; i++) {
        e = save_one(k, s, slots[i]);
    }
    if (e != ERR_OK) {
        store_rollback(s);
        return e;
    }
    return store_commit(s);
}

enum err keys_save_uses(struct keys *k, struct store *s)
{
    uint32_t slots[KEYS_USES_A_STEP];
    size_t count = key_uses_take(k->uses, slots, KEYS_USES_A_STEP);
    enum err e = count == 0 ? ERR_OK : save(k, s, slots, count);
    for (size_t i = 0; e != ERR_OK && i < count; i++) {
        key_uses_give_back(k->uses, slots[i]);
    }
    return e;
}
