/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_duplicates.h"

#include "base/map.h"
#include "base/memory.h"
#include "json/json_value.h"

#define FEW_KEYS     16    /* up to so many keys are compared with one another … */
#define SHORT_KEY    64    /* … if none is longer than this or has escapes */
#define LONG_KEY     16384 /* from so many bytes on, a key is compared as it stands */
#define COUNT_COST   2     /* of a key that is counted, in bytes of a step */
#define COMPARE_COST 64    /* of one that is looked for in the table, besides its own bytes */
#define CLEAR_FASTER 16    /* so many bytes of the table cost one of a step */

/* A bit for a key: keys whose bits differ are different. */
static uint64_t sign_of(const struct json_index *x, const struct json_row *key)
{
    const uint8_t *source = x->text.at + key->offset;
    uint32_t mixed = key->len * 7 + source[1] + source[key->len - 2] * 3u;
    return UINT64_C(1) << (mixed & 63);
}

/* Whether one of the keys in `seen` has the bytes of `key`. */
static bool is_among(const struct json_index *x, const uint32_t *seen, uint32_t count, uint32_t key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (span_equal(json_source(x, seen[i]), json_source(x, key))) {
            return true;
        }
    }
    return false;
}

/* Looks for a key that repeats an earlier one among a few short ones, which is what nearly all
 * objects have. False: they are many, or long, or have escapes. */
static bool look_at_few(const struct json_index *x, uint32_t object, uint32_t *duplicate)
{
    uint32_t seen[FEW_KEYS];
    uint32_t count = 0, end = x->rows[object].next;
    uint64_t signs = 0;
    *duplicate = JSON_NONE;
    for (uint32_t key = object + 1; key < end; key = x->rows[key + 1].next) {
        const struct json_row *r = &x->rows[key];
        if (count == FEW_KEYS || r->len > SHORT_KEY || (r->flags & JSON_ESCAPED) != 0) {
            return false;
        }
        uint64_t sign = sign_of(x, r);
        if ((signs & sign) != 0 && is_among(x, seen, count, key)) {
            *duplicate = key;
            return true;
        }
        signs |= sign;
        seen[count++] = key;
    }
    return true;
}

/* A key in the table of keys seen. */
struct json_seen_key {
    uint32_t key; /* its row; 0: free */
    uint32_t hash;
};

void json_duplicates_begin(struct json_duplicates *d, const struct json_index *x, uint32_t object)
{
    *d = (struct json_duplicates){.x = x, .object = object, .key = JSON_NONE};
    d->is_done = json_kind(x, object) != JSON_OBJECT;
}

void json_duplicates_fini(struct json_duplicates *d)
{
    memory_free_counted(d->room);
    memory_free_counted(d->table);
    d->room = NULL;
    d->table = NULL;
}

/* Whether what a key says has to be found out. */
static bool is_escaped(const struct json_row *key)
{
    return (key->flags & JSON_ESCAPED) != 0 && key->len <= LONG_KEY;
}

/* Counts keys for `*left` bytes of work. */
static void count_keys(struct json_duplicates *d, size_t *left)
{
    for (; d->at != JSON_NONE && *left > 0; d->at = json_next(d->x, d->at)) {
        d->keys++;
        d->has_escapes = d->has_escapes || is_escaped(json_row(d->x, d->at));
        *left -= *left < COUNT_COST ? *left : COUNT_COST;
    }
}

static enum err make_table(struct json_duplicates *d)
{
    d->slots = FEW_KEYS;
    while (d->slots < (size_t)d->keys * 2) {
        d->slots *= 2;
    }
    d->table = memory_raw_counted(d->slots * sizeof(*d->table));
    d->room = d->has_escapes ? memory_raw_counted(2 * (size_t)LONG_KEY) : NULL;
    d->at = json_first(d->x, d->object);
    return d->table == NULL || (d->has_escapes && d->room == NULL) ? ERR_NO_MEMORY : ERR_OK;
}

static void clear_table(struct json_duplicates *d, size_t *left)
{
    size_t rest = d->slots - d->cleared;
    size_t most = *left / sizeof(*d->table) >= rest / CLEAR_FASTER
                      ? rest
                      : *left * CLEAR_FASTER / sizeof(*d->table);
    memset(d->table + d->cleared, 0, most * sizeof(*d->table));
    d->cleared += most;
    size_t cost = most * sizeof(*d->table) / CLEAR_FASTER;
    *left -= cost < *left ? cost : *left;
}

/* What a key says, in the text or in one half of the room. */
static struct span name_of(const struct json_duplicates *d, uint32_t key, int half)
{
    if (!is_escaped(json_row(d->x, key))) {
        return json_inside(d->x, key);
    }
    uint8_t *out = d->room + (size_t)half * LONG_KEY;
    return span_make(out, json_unescape(d->x, key, out, NULL));
}

/* Puts a key into the table; false if its name is there already. */
static bool add_seen(struct json_duplicates *d, uint32_t key)
{
    struct span name = name_of(d, key, 0);
    uint64_t hash = map_hash(span_cut(name, 0, LONG_KEY));
    struct json_seen_key *slot = &d->table[hash & (d->slots - 1)];
    while (slot->key != 0) {
        if (slot->hash == (uint32_t)(hash >> 32) && span_equal(name_of(d, slot->key, 1), name)) {
            return false;
        }
        slot = slot + 1 < d->table + d->slots ? slot + 1 : d->table;
    }
    *slot = (struct json_seen_key){key, (uint32_t)(hash >> 32)};
    return true;
}

static void compare_keys(struct json_duplicates *d, size_t *left)
{
    for (; d->at != JSON_NONE && *left > 0; d->at = json_next(d->x, d->at)) {
        if (!add_seen(d, d->at)) {
            d->key = d->at;
            d->at = JSON_NONE;
            break;
        }
        size_t len = json_row(d->x, d->at)->len;
        size_t cost = COMPARE_COST + (len < LONG_KEY ? len : LONG_KEY);
        *left -= *left < cost ? *left : cost;
    }
}

static enum err go_on(struct json_duplicates *d, size_t *left)
{
    enum err e = ERR_OK;
    switch (d->phase) {
    case JSON_KEYS_FEW:
        d->is_done = look_at_few(d->x, d->object, &d->key);
        d->at = json_first(d->x, d->object);
        d->phase = JSON_KEYS_COUNT;
        break;
    case JSON_KEYS_COUNT:
        count_keys(d, left);
        if (d->at == JSON_NONE) {
            e = make_table(d);
            d->phase = JSON_KEYS_CLEAR;
        }
        break;
    case JSON_KEYS_CLEAR:
        clear_table(d, left);
        d->phase = d->cleared == d->slots ? JSON_KEYS_COMPARE : JSON_KEYS_CLEAR;
        break;
    case JSON_KEYS_COMPARE:
        compare_keys(d, left);
        d->is_done = d->at == JSON_NONE;
        break;
    }
    return e;
}

enum err json_duplicates_step(struct json_duplicates *d, size_t bytes)
{
    enum err e = ERR_OK;
    CHECK(bytes > 0);
    while (e == ERR_OK && !d->is_done && bytes > 0) {
        e = go_on(d, &bytes);
    }
    return e;
}

/* Whether the keys of an object differ in length already, as those of a message do: one look at
 * each. False: they may differ all the same. */
static bool differ_in_length(const struct json_index *x, uint32_t object)
{
    const struct json_row *rows = x->rows;
    uint32_t end = rows[object].next;
    uint64_t lengths = 0;
    for (uint32_t key = object + 1; key < end; key = rows[key + 1].next) {
        uint64_t bit = UINT64_C(1) << (rows[key].len & 63);
        if (UNLIKELY((lengths & bit) != 0 || rows[key].len > 63 ||
                     (rows[key].flags & JSON_ESCAPED) != 0)) {
            return false;
        }
        lengths |= bit;
    }
    return true;
}

enum err json_first_duplicate(const struct json_index *x, uint32_t object, uint32_t *key)
{
    *key = JSON_NONE;
    if (json_kind(x, object) != JSON_OBJECT || differ_in_length(x, object) ||
        look_at_few(x, object, key)) {
        return ERR_OK;
    }
    struct json_duplicates d;
    enum err e = ERR_OK;
    json_duplicates_begin(&d, x, object);
    while (e == ERR_OK && !d.is_done) {
        e = json_duplicates_step(&d, SIZE_MAX);
    }
    *key = d.key;
    json_duplicates_fini(&d);
    return e;
}
