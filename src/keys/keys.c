/* SPDX-License-Identifier: Apache-2.0 */
#include "keys/keys.h"

#include <sys/mman.h>

#include "base/slots.h"
#include "crypto/random.h"
#include "keys/key_pepper.h"
#include "store/store_change.h"
#include "store/store_tables.h"
#include "json/json_scan.h"

_Static_assert(CRYPTO_SHA256_BYTES == sizeof(((struct store_key *)NULL)->mac),
               "the store keeps whole MACs");

#define PROOF_BYTES sizeof(((struct store_pepper *)NULL)->proof)
#define HEARD       "keys_denied" /* the name of the count of lines that the store has heard of */
#define TRIES       8             /* of a change that another program crosses */

/* Lies in pages of its own that are neither swapped out nor dumped: it holds the peppers. */
struct keys {
    struct key_peppers peppers;
    struct key_table *table;
    struct key_deny *deny; /* NULL before keys_load() */
    struct key_grants grants;
    keys_bind *bind; /* NULL: keys are nobody's */
    void *bind_ctx;
    _Atomic int64_t turned_us;
};

/* What a pepper's proof is the MAC of. Never changes. */
#define PROVED SPAN("atlas pepper proof 1")

enum err keys_open(const char *pepper_path, struct keys **out)
{
    struct keys *k =
        mmap(NULL, sizeof(*k), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (k == MAP_FAILED) {
        return ERR_NO_MEMORY;
    }
    (void)mlock(k, sizeof(*k));                  /* a limit of 0 locked bytes is no reason to */
    (void)madvise(k, sizeof(*k), MADV_DONTDUMP); /* refuse service, nor is an old kernel */
    key_grants_init(&k->grants);
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
    key_grants_fini(&(*k)->grants);
    crypto_wipe(*k, sizeof(**k));
    (void)munmap(*k, sizeof(**k)); /* its arguments are those of mmap() */
    *k = NULL;
}

void keys_set_bind(struct keys *k, keys_bind *bind, void *ctx)
{
    k->bind = bind;
    k->bind_ctx = ctx;
}

void keys_set_turned(struct keys *k, mono_us turned)
{
    atomic_store_explicit(&k->turned_us, turned.us, memory_order_release);
}

/* What memory says that a key may do. */
static uint32_t scopes_of(const struct store_key *row)
{
    return row->kind == KEY_ADMIN ? key_scope_of_role(row->role, row->team.len > 0) : row->scopes;
}

/* What a row's key is from now on, in this slot; its grant is counted. */
static enum err terms_of(struct keys *k, uint32_t slot, const struct store_key *row,
                         struct key_terms *out)
{
    const struct key_grant_texts texts = {row->models, row->networks, row->tags};
    *out = (struct key_terms){.scopes = scopes_of(row),
                              .expires = row->expires,
                              .bonds = {SLOTS_NONE, SLOTS_NONE, SLOTS_NONE}};
    mono_us turned = {atomic_load_explicit(&k->turned_us, memory_order_acquire)};
    key_grants_tidy(&k->grants, turned);
    enum err e = key_grants_take(&k->grants, &texts, &out->grant);
    if (e == ERR_OK && k->bind != NULL) {
        e = k->bind(k->bind_ctx, slot, row, &out->bonds);
    }
    if (e != ERR_OK) {
        key_grants_drop(&k->grants, out->grant);
    }
    return e;
}

/* The key's slot is the next one: this thread alone inserts. */
static enum err prepare(struct keys *k, const struct store_key *row, struct key_terms *out)
{
    enum err e = key_table_reserve(k->table, key_table_count(k->table) + 1);
    return e == ERR_OK ? terms_of(k, (uint32_t)key_table_count(k->table), row, out) : e;
}

static enum err insert(struct keys *k, const struct store_key *row, const struct key_terms *terms)
{
    struct key_facts facts = {
        .kind = row->kind, .pepper = row->pepper, .terms = *terms, .revoked = row->revoked};
    memcpy(facts.id, row->id.at, sizeof(facts.id));
    memcpy(facts.mac, row->mac, sizeof(facts.mac));
    return key_table_insert(k->table, &facts);
}

struct loading {
    struct keys *keys;
    struct keys_report *report;
};

static enum err on_row(void *context, const void *given)
{
    struct loading *l = context;
    const struct store_key *row = given;
    if (row->is_damaged || row->kind < KEY_LIVE || row->kind > KEY_ADMIN) {
        l->report->damaged++;
        return ERR_OK;
    }
    struct key_terms terms;
    enum err e = prepare(l->keys, row, &terms);
    if (e != ERR_OK) {
        l->report->unbound++;
        return e == ERR_NO_MEMORY ? e : ERR_OK;
    }
    l->report->no_pepper += keys_has_pepper(l->keys, row->pepper) ? 0 : 1;
    return insert(l->keys, row, &terms);
}

static void on_denial(void *context, const struct key_denial *denial)
{
    struct loading *l = context;
    struct span id = span_make(denial->id, KEY_ID_CHARS);
    l->report->denied +=
        keys_revoked(l->keys, id).us == 0 && keys_deny(l->keys, id, denial->when) == ERR_OK;
}

enum err keys_load(struct keys *k, struct store *s, struct key_deny *deny,
                   struct keys_report *report)
{
    const struct store_page all = {.limit = INT64_MAX};
    struct loading loading = {k, report};
    struct key_deny_place place = {0};
    *report = (struct keys_report){0};
    enum err e = keys_prove(k, s);
    if (e == ERR_OK) {
        e = store_key_page(s, STORE_INDEX_KEY_BY_NUMBER, &all, on_row, &loading);
    }
    if (e == ERR_OK && deny != NULL) {
        e = key_deny_read(deny, &place, on_denial, &loading);
        report->damaged_lines = place.damaged;
        k->deny = deny;
    }
    key_table_tidy(k->table);
    return e;
}

static enum err prove(const struct keys *k, size_t row, struct store *s)
{
    struct store_pepper ours = {.version = k->peppers.row[row].version};
    struct store_pepper kept = ours;
    crypto_hmac(&k->peppers.row[row].hmac, PROVED, ours.proof);
    enum err e = store_pepper_get(s, &kept);
    if (e == ERR_NOT_FOUND_ROW || (e == ERR_OK && kept.is_damaged)) {
        enum err kept_now = store_pepper_put(s, &ours);
        (void)kept_now; /* the next time will do */
        return ERR_OK;
    }
    if (e == ERR_OK && !crypto_equal(kept.proof, ours.proof, PROOF_BYTES)) {
        return ERR_PEPPER_WRONG;
    }
    return e;
}

enum err keys_prove(const struct keys *k, struct store *s)
{
    enum err e = ERR_OK;
    for (size_t row = 0; e == ERR_OK && row < k->peppers.count; row++) {
        e = prove(k, row, s);
    }
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
    uint32_t wished = wish->scopes == 0 ? KEY_SCOPES_INFERENCE : wish->scopes;
    if (wish->kind == KEY_ADMIN) {
        return wish->scopes == 0 ? key_scope_of_role(wish->role, wish->team.len > 0) : 0;
    }
    return (wished & ~KEY_SCOPES_INFERENCE) == 0 && wish->role == 0 ? wished : 0;
}

/* Has the rows follow what was recorded. When they cannot now, they do as soon as they can. */
static void follow(struct store *s)
{
    enum err e = store_catch_up(s);
    (void)e; /* the journal's health tells of it (journal_apply.h) */
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
    if (wish->seed == NULL) {
        key_string_make(wish->kind, &key);
    } else {
        key_string_make_of(wish->kind, wish->seed, &key);
    }
    CHECK(key_string_parse(span_of(key.text), &parts) == ERR_OK);
    struct store_key row = {.id = parts.id,
                            .name = wish->name,
                            .kind = (uint8_t)wish->kind,
                            .pepper = k->peppers.row[newest].version,
                            .scopes = wish->kind == KEY_ADMIN ? 0 : scopes,
                            .role = wish->role,
                            .team = wish->team,
                            .user = wish->user,
                            .plan = wish->plan,
                            .models = wish->grant.models,
                            .networks = wish->grant.networks,
                            .tags = wish->grant.tags,
                            .created = now,
                            .expires = wish->expires};
    crypto_hmac(&k->peppers.row[newest].hmac, span_of(key.text), row.mac);

    /* All that can fail first: once it is recorded, taking it in cannot. */
    struct key_terms terms;
    enum err e = prepare(k, &row, &terms);
    if (e == ERR_OK) {
        e = store_change(s, STORE_TABLE_KEY, &row, false, "key.create", wish->actor);
        e = e == ERR_OK ? store_settle(s) : e;
        if (e != ERR_OK) {
            key_grants_drop(&k->grants, terms.grant);
        }
    }
    if (e == ERR_OK) {
        e = insert(k, &row, &terms);
        follow(s);
    }
    if (e == ERR_OK || (e == ERR_EXISTS && wish->seed != NULL)) {
        span_copy_text(parts.id, id, KEY_ID_CHARS + 1);
        *out = key;
    }
    crypto_wipe(&key, sizeof(key));
    return e;
}

static bool is_change(const struct store_key *row, const struct key_change *change, wall_us now)
{
    const struct key_wish wish = {.kind = (enum key_kind)row->kind, .scopes = change->scopes};
    return !row->is_damaged && (!change->has_name || is_name(change->name)) &&
           (!change->has_scopes || (change->scopes != 0 && keys_scopes(&wish) != 0)) &&
           (!change->has_role || (row->kind == KEY_ADMIN && change->role < KEY_ROLES)) &&
           (!change->has_expires || change->expires.us == 0 || change->expires.us > now.us);
}

/* Reads the row, changes it and has that recorded, unless another program changed it meanwhile. */
static enum err change_row(struct store *s, const struct key_change *change, wall_us now,
                           struct store_key *row)
{
    enum err e = store_change_get(s, STORE_TABLE_KEY, row);
    if (e != ERR_OK) {
        return e;
    }
    if (!is_change(row, change, now)) {
        return ERR_VALUE_INVALID;
    }
    row->name = change->has_name ? change->name : row->name;
    row->expires = change->has_expires ? change->expires : row->expires;
    row->scopes = change->has_scopes ? change->scopes : row->scopes;
    row->role = change->has_role ? change->role : row->role;
    row->plan = change->has_plan ? change->plan : row->plan;
    row->models = change->has_models ? change->grant.models : row->models;
    row->networks = change->has_networks ? change->grant.networks : row->networks;
    row->tags = change->has_tags ? change->grant.tags : row->tags;
    return store_change(s, STORE_TABLE_KEY, row, false, "key.change", change->actor);
}

/* The key of the row is what it says from now on; nothing if it was not loaded. */
static enum err change_in_memory(struct keys *k, const struct store_key *row)
{
    const struct key_grant *before;
    struct key_terms terms;
    uint32_t slot;
    if (!key_table_find(k->table, row->id, &slot)) {
        return ERR_OK;
    }
    enum err e = terms_of(k, slot, row, &terms);
    if (e == ERR_OK) {
        e = key_table_change(k->table, row->id, &terms, &before);
        key_grants_drop(&k->grants, before);
    }
    return e;
}

enum err keys_change(struct keys *k, struct store *s, struct span id,
                     const struct key_change *change, wall_us now, struct store_key *out)
{
    enum err e = store_change_begin(s);
    if (e != ERR_OK) {
        return e;
    }
    e = ERR_REVISION;
    for (int i = 0; e == ERR_REVISION && i < TRIES; i++) {
        *out = (struct store_key){.id = id};
        e = change_row(s, change, now, out);
    }
    if (e == ERR_OK) {
        e = store_settle(s);
    }
    if (e != ERR_OK) {
        return e;
    }
    e = change_in_memory(k, out);
    if (e != ERR_OK) {
        return e;
    }
    follow(s);
    *out = (struct store_key){.id = id};
    return store_change_get(s, STORE_TABLE_KEY, out);
}

enum err keys_deny(struct keys *k, struct span id, wall_us when)
{
    return key_table_revoke(k->table, id, key_deny_moment(when));
}

/* Has the revocation recorded, unless the row says it already. */
static enum err record_revocation(struct store *s, struct span id, struct span actor, wall_us when)
{
    enum err e = ERR_REVISION;
    for (int i = 0; e == ERR_REVISION && i < TRIES; i++) {
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
        follow(s);
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
    enum err failed;
};

static void on_told(void *context, const struct key_denial *denial)
{
    struct telling *t = context;
    if (t->failed != ERR_OK) {
        return;
    }
    struct span id = span_make(denial->id, KEY_ID_CHARS);
    enum err e = record_revocation(t->store, id, BY_FILE, denial->when);
    t->failed = e == ERR_NOT_FOUND_ROW ? ERR_OK : e; /* it was deleted, or never was one */
}

/* Tells of the lines from `place` on. Those that were told and not counted are revoked by then, so
 * that telling them again changes nothing. */
static enum err tell(struct key_deny *deny, struct telling *t, struct key_deny_place *place)
{
    enum err e = key_deny_read(deny, place, on_told, t);
    e = e == ERR_OK ? t->failed : e;
    if (e == ERR_OK) {
        e = store_catch_up(t->store);
    }
    return e == ERR_OK ? store_number_set(t->store, HEARD, place->line) : e;
}

static void on_line(void *context, const struct key_denial *denial)
{
    (void)denial;
    *(uint64_t *)context += 1;
}

enum err keys_tell_store(struct key_deny *deny, struct store *s)
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
    struct telling t = {.store = s};
    place = (struct key_deny_place){.line = lines == 0 ? 0 : heard};
    return tell(deny, &t, &place);
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
    follow(s);
    return ERR_OK;
}

const struct key_grant *keys_grant(const struct keys *k, uint32_t slot)
{
    return atomic_load_explicit(&key_table_slot(k->table, slot)->grant, memory_order_acquire);
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

bool keys_derive(const struct keys *k, uint8_t version, struct span message,
                 uint8_t out[CRYPTO_SHA256_BYTES])
{
    static const char label[] = "derive"; /* no key's text begins so */
    uint8_t digest[CRYPTO_SHA256_BYTES], labelled[sizeof(label) + CRYPTO_SHA256_BYTES];
    const struct crypto_hmac_key *hmac = key_pepper_find(&k->peppers, version);
    if (hmac == NULL) {
        return false;
    }
    crypto_sha256(message, digest);
    memcpy(labelled, label, sizeof(label));
    memcpy(labelled + sizeof(label), digest, sizeof(digest));
    crypto_hmac(hmac, span_make(labelled, sizeof(labelled)), out);
    return true;
}

bool keys_has_pepper(const struct keys *k, uint8_t version)
{
    return key_pepper_find(&k->peppers, version) != NULL;
}

uint8_t keys_newest_pepper(const struct keys *k)
{
    return k->peppers.row[k->peppers.count - 1].version;
}

static bool is_for(uint8_t kind, enum key_use use)
{
    return (kind == KEY_ADMIN) == (use == KEY_USE_ADMIN);
}

/* Whether the key of a slot is good, and what it is now: the words that may change. */
static enum err look_at_slot(const struct key_slot *slot, wall_us now, struct key_handle *out)
{
    /* Before the words it counts: a change in between makes the next recheck look again. */
    uint32_t generation = atomic_load_explicit(&slot->generation, memory_order_acquire);
    int64_t expires = atomic_load_explicit(&slot->expires_us, memory_order_acquire);
    /* Whenever it was: a clock that is set back must not bring a key back. */
    if (atomic_load_explicit(&slot->revoked_us, memory_order_acquire) != KEY_NEVER_US) {
        return ERR_KEY_REVOKED;
    }
    if (expires <= now.us) {
        return ERR_KEY_EXPIRED;
    }
    out->generation = generation;
    out->scopes = atomic_load_explicit(&slot->scopes, memory_order_acquire);
    out->expires.us = expires;
    out->team = atomic_load_explicit(&slot->team, memory_order_acquire);
    out->user = atomic_load_explicit(&slot->user, memory_order_acquire);
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
    struct key_handle found = {.slot = number, .kind = slot->kind};
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

uint64_t keys_revision(const struct keys *k)
{
    return key_table_revision(k->table);
}

const struct key_table *keys_table(const struct keys *k)
{
    return k->table;
}
