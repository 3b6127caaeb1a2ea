/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>

#include "base/memory.h"
#include "base/slots.h"
#include "crypto/random.h"
#include "keys/keys_internal.h"
#include "json/json_scan.h"

#define PROOF_BYTES sizeof(((struct store_pepper *)NULL)->proof)

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
    if (e == ERR_OK) {
        e = key_uses_open(&k->uses);
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
    key_uses_close(&(*k)->uses);
    atomic_store_explicit(&(*k)->turned_us, INT64_MAX, memory_order_relaxed);
    keys_tidy_secrets(*k);
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
    const struct key_grant_texts texts = {row->models, row->networks, row->tags, row->place};
    *out = (struct key_terms){.scopes = scopes_of(row),
                              .expires = row->expires,
                              .due = keys_due(row),
                              .bonds = {SLOTS_NONE, SLOTS_NONE, SLOTS_NONE}};
    mono_us turned = {atomic_load_explicit(&k->turned_us, memory_order_acquire)};
    key_grants_tidy(&k->grants, turned);
    struct key_grant *grant;
    enum err e = key_grants_take(&k->grants, &texts, &grant);
    out->grant = e == ERR_OK ? grant : NULL;
    if (e == ERR_OK && k->bind != NULL) {
        e = k->bind(k->bind_ctx, slot, row, grant, &out->bonds);
    }
    if (e != ERR_OK) {
        key_grants_drop(&k->grants, out->grant);
    }
    return e;
}

/* The key's slot is the next one: this thread alone inserts. */
static enum err prepare(struct keys *k, const struct store_key *row, struct key_terms *out)
{
    size_t count = key_table_count(k->table) + 1;
    enum err e = key_table_reserve(k->table, count);
    e = e == ERR_OK ? key_table_reserve_digests(k->table, 1) : e;
    e = e == ERR_OK ? key_uses_reserve(k->uses, count) : e;
    return e == ERR_OK ? terms_of(k, (uint32_t)key_table_count(k->table), row, out) : e;
}

static enum err insert(struct keys *k, const struct store_key *row, const struct key_terms *terms)
{
    struct key_facts facts = {.kind = row->kind,
                              .proof = {.pepper = row->pepper},
                              .terms = *terms,
                              .revoked = row->revoked};
    memcpy(facts.id, row->id.at, sizeof(facts.id));
    memcpy(facts.proof.mac, row->mac, sizeof(facts.proof.mac));
    enum err e = keys_secrets_of(row, 1, &facts.secrets);
    if (e == ERR_OK) {
        e = key_table_insert(k->table, &facts);
    }
    if (e != ERR_OK) {
        memory_free(facts.secrets);
    }
    return e;
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
    if (e == ERR_OK) {
        e = keys_load_uses(k, s);
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
    return (wished & ~KEY_SCOPES_ALL) == 0 && wish->role == 0 ? wished : 0;
}

/* The text of a wish's key: of its seed, or new. */
static void make_text(const struct key_wish *wish, struct key_text *out, struct key_parts *parts)
{
    if (wish->seed == NULL) {
        key_string_make(wish->kind, out);
    } else {
        key_string_make_of(wish->kind, wish->seed, out);
    }
    CHECK(key_string_parse(span_of(out->text), parts) == ERR_OK);
}

struct store_key keys_row(const struct key_wish *wish, struct span id, wall_us now)
{
    return (struct store_key){.id = id,
                              .name = wish->name,
                              .kind = (uint8_t)wish->kind,
                              .scopes = wish->kind == KEY_ADMIN ? 0 : keys_scopes(wish),
                              .role = wish->role,
                              .team = wish->team,
                              .user = wish->user,
                              .plan = wish->plan,
                              .models = wish->grant.models,
                              .networks = wish->grant.networks,
                              .tags = wish->grant.tags,
                              .place = wish->grant.place,
                              .rotate_every_s = wish->rotate_every_s,
                              .created = now,
                              .expires = wish->expires};
}

/* Puts what is kept of the key's secret into its row: of a text of ours its MAC, of one that is
 * taken over its digest, which no other key may have. */
static enum err put_proof(const struct keys *k, const struct key_wish *wish,
                          const struct key_text *text, struct store_key *row)
{
    uint32_t slot, secret;
    if (wish->digest == NULL) {
        keys_prove_text(k, text, row);
        return ERR_OK;
    }
    row->pepper = KEY_PEPPER_NONE;
    memcpy(row->mac, wish->digest, sizeof(row->mac));
    if (!key_table_find_digest(k->table, wish->digest, &slot, &secret)) {
        return ERR_OK;
    }
    struct span there = span_make(key_table_slot(k->table, slot)->id, KEY_ID_CHARS);
    return wish->seed != NULL && span_equal(there, row->id) ? ERR_EXISTS : ERR_KEY_TAKEN;
}

/* All that can fail first: once it is recorded, taking it in cannot. */
static enum err record_new(struct keys *k, struct store *s, const struct key_wish *wish,
                           const struct store_key *row)
{
    struct key_terms terms;
    enum err e = prepare(k, row, &terms);
    if (e != ERR_OK) {
        return e;
    }
    e = store_change(s, STORE_TABLE_KEY, row, false, "key.create", wish->actor);
    e = e == ERR_OK ? store_settle(s) : e;
    if (e != ERR_OK) {
        key_grants_drop(&k->grants, terms.grant);
        return e;
    }
    e = insert(k, row, &terms);
    keys_follow(s);
    return e;
}

static bool is_wish(const struct key_wish *wish, wall_us now)
{
    return is_name(wish->name) && keys_scopes(wish) != 0 && keys_is_rhythm(wish->rotate_every_s) &&
           (wish->expires.us == 0 || wish->expires.us > now.us) &&
           (wish->digest == NULL || wish->kind != KEY_ADMIN);
}

enum err keys_create(struct keys *k, struct store *s, const struct key_wish *wish, wall_us now,
                     struct key_text *out, char id[KEY_ID_CHARS + 1])
{
    struct key_text key = {{0}};
    struct key_parts parts;
    if (!is_wish(wish, now)) {
        return ERR_VALUE_INVALID;
    }
    make_text(wish, &key, &parts);
    struct store_key row = keys_row(wish, parts.id, now);
    enum err e = put_proof(k, wish, &key, &row);
    e = e == ERR_OK ? record_new(k, s, wish, &row) : e;
    if (e == ERR_OK || (e == ERR_EXISTS && wish->seed != NULL)) {
        span_copy_text(parts.id, id, KEY_ID_CHARS + 1);
        *out = wish->digest == NULL ? key : (struct key_text){{0}};
    }
    crypto_wipe(&key, sizeof(key));
    return e;
}

static bool is_change(const struct store_key *row, const struct key_change *change, wall_us now)
{
    const struct key_wish wish = {.kind = (enum key_kind)row->kind, .scopes = change->scopes};
    return !row->is_damaged && (!change->has_name || is_name(change->name)) &&
           (!change->has_scopes || (change->scopes != 0 && keys_scopes(&wish) != 0)) &&
           (!change->has_rotate_every || keys_is_rhythm(change->rotate_every_s)) &&
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
    row->rotate_every_s = change->has_rotate_every ? change->rotate_every_s : row->rotate_every_s;
    row->plan = change->has_plan ? change->plan : row->plan;
    row->models = change->has_models ? change->grant.models : row->models;
    row->networks = change->has_networks ? change->grant.networks : row->networks;
    row->tags = change->has_tags ? change->grant.tags : row->tags;
    row->place = change->has_place ? change->grant.place : row->place;
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
    for (int i = 0; e == ERR_REVISION && i < KEYS_TRIES; i++) {
        *out = (struct store_key){.id = id};
        e = change_row(s, change, now, out);
    }
    if (e != ERR_OK) {
        return e;
    }
    /* When the disk did not take it it may be all the same: then it holds at once. */
    enum err on_disk = store_settle(s), taken = change_in_memory(k, out);
    if (on_disk != ERR_OK || taken != ERR_OK) {
        return on_disk != ERR_OK ? on_disk : taken;
    }
    keys_follow(s);
    *out = (struct store_key){.id = id};
    return store_change_get(s, STORE_TABLE_KEY, out);
}

const struct key_grant *keys_grant(const struct keys *k, uint32_t slot)
{
    return atomic_load_explicit(&key_table_slot(k->table, slot)->grant, memory_order_acquire);
}

const struct key_grants *keys_grants(const struct keys *k)
{
    return &k->grants;
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
    return version == KEY_PEPPER_NONE || key_pepper_find(&k->peppers, version) != NULL;
}

uint8_t keys_newest_pepper(const struct keys *k)
{
    return k->peppers.row[k->peppers.count - 1].version;
}

uint64_t keys_revision(const struct keys *k)
{
    return key_table_revision(k->table);
}

const struct key_table *keys_table(const struct keys *k)
{
    return k->table;
}
