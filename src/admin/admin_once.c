/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_once.h"

#include "base/log.h"
#include "crypto/hmac.h"
#include "crypto/random.h"
#include "keys/keys.h"

#define KEPT_US      (INT64_C(24) * 3600 * 1000000)
#define PURGED_MAX   32 /* of the oldest, with each new one */
#define BLOCK        CRYPTO_SHA256_BYTES
#define SECRET_BYTES 512 /* what a secret is made of: a purpose, a seed, a key */
#define DONE         1

void admin_once_id(struct span caller, struct span key, char out[ADMIN_ONCE_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t caller_hash[BLOCK], hash[BLOCK];
    crypto_sha256(caller, caller_hash);
    crypto_sha256_two(span_make(caller_hash, BLOCK), key, hash);
    for (size_t i = 0; i < BLOCK; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[ADMIN_ONCE_ID_BYTES - 1] = '\0';
}

/* A digest of what is asked for: method and target and body, each by its own digest. */
static void digest(const struct admin_request *request, uint8_t out[BLOCK])
{
    uint8_t parts[4 * BLOCK];
    const uint8_t method = (uint8_t)request->method;
    crypto_sha256(span_make(&method, 1), parts);
    crypto_sha256(request->path, parts + BLOCK);
    crypto_sha256(request->query, parts + 2 * (size_t)BLOCK);
    crypto_sha256(request->body, parts + 3 * (size_t)BLOCK);
    crypto_sha256(span_make(parts, sizeof(parts)), out);
}

/* A secret for one purpose, of the row's seed and the request's Idempotency-Key. False: the pepper
 * file lacks the row's pepper. */
static bool secret(const struct admin_once *once, const char *purpose, uint8_t out[BLOCK])
{
    uint8_t room[SECRET_BYTES];
    struct span key = once->request->idempotency_key;
    size_t len = strlen(purpose) + 1;
    CHECK(len + BLOCK + key.len <= sizeof(room));
    memcpy(room, purpose, len);
    memcpy(room + len, once->row.seed, BLOCK);
    memcpy(room + len + BLOCK, key.at, key.len);
    bool is_known =
        keys_derive(once->keys, once->row.pepper, span_make(room, len + BLOCK + key.len), out);
    crypto_wipe(room, sizeof(room));
    return is_known;
}

/* Hides `text`, or shows it again, in place: a stream of blocks that is used for this alone. */
static bool turn(const struct admin_once *once, uint8_t *text, size_t len)
{
    uint8_t key[BLOCK], block[BLOCK];
    struct crypto_hmac_key hmac;
    if (!secret(once, "reply", key)) {
        return false;
    }
    crypto_hmac_key_init(&hmac, span_make(key, BLOCK));
    for (uint32_t at = 0; at < len; at++) {
        if (at % BLOCK == 0) {
            crypto_hmac(&hmac, span_make(&at, sizeof(at)), block);
        }
        text[at] ^= block[at % BLOCK];
    }
    crypto_wipe(&hmac, sizeof(hmac));
    crypto_wipe(key, sizeof(key));
    crypto_wipe(block, sizeof(block));
    return true;
}

/* The mark of a hidden reply: who changes the row is found out. */
static bool mark(const struct admin_once *once, struct span hidden, uint8_t out[BLOCK])
{
    uint8_t key[BLOCK];
    struct crypto_hmac_key hmac;
    if (!secret(once, "mark", key)) {
        return false;
    }
    crypto_hmac_key_init(&hmac, span_make(key, BLOCK));
    crypto_hmac(&hmac, hidden, out);
    crypto_wipe(&hmac, sizeof(hmac));
    crypto_wipe(key, sizeof(key));
    return true;
}

struct purge {
    wall_us before;
    size_t count;
    char ids[PURGED_MAX][ADMIN_ONCE_ID_BYTES];
};

static enum err on_old(void *context, const void *given)
{
    struct purge *purge = context;
    const struct store_idempotency *row = given;
    if (row->at.us < purge->before.us && purge->count < PURGED_MAX) {
        span_copy_text(row->id, purge->ids[purge->count++], ADMIN_ONCE_ID_BYTES);
    }
    return ERR_OK;
}

static enum err forget(struct store *store, struct span id)
{
    struct store_idempotency row = {.id = id};
    enum err e = store_idempotency_get(store, &row);
    row.id = id;
    if (e == ERR_OK) {
        e = store_idempotency_delete(store, &row);
    }
    return e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
}

struct own {
    struct span caller;
    size_t count;
};

static enum err on_own(void *context, const void *given)
{
    struct own *own = context;
    const struct store_idempotency *row = given;
    bool is_own = span_equal(row->caller, own->caller) && own->count < ADMIN_ONCE_OWN_MAX;
    own->count += is_own;
    return is_own ? ERR_OK : ERR_NOT_FOUND_ROW;
}

/* One caller cannot take the places of all. ERR_OVERLOADED: he has as many as he may. */
static enum err count_own(const struct admin_once *once, struct admin_fault *fault)
{
    struct own own = {.caller = once->request->actor};
    const struct store_idempotency from = {.caller = own.caller};
    const struct store_page page = {.from = &from, .limit = ADMIN_ONCE_OWN_MAX + 1};
    enum err e =
        store_idempotency_page(once->store, STORE_INDEX_IDEMPOTENCY_BY_CALLER, &page, on_own, &own);
    e = e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
    return e == ERR_OK && own.count >= ADMIN_ONCE_OWN_MAX && !once->request->right.is_local
               ? admin_fault_say(fault, ERR_BUDGET_SPENT, SPAN(""),
                                 "%d requests of yours of the last 24 hours had an "
                                 "Idempotency-Key, as many as may: send this one without, or later",
                                 ADMIN_ONCE_OWN_MAX)
               : e;
}

/* Takes out what is over. ERR_OVERLOADED: there are too many still. */
static enum err purge_old(const struct admin_once *once, struct admin_fault *fault)
{
    struct purge purge = {.before = {once->now.us - KEPT_US}};
    const struct store_page oldest = {.limit = PURGED_MAX};
    uint64_t count = 0;
    enum err e = store_idempotency_page(once->store, STORE_INDEX_IDEMPOTENCY_BY_NUMBER, &oldest,
                                        on_old, &purge);
    for (size_t i = 0; e == ERR_OK && i < purge.count; i++) {
        e = forget(once->store, span_of(purge.ids[i]));
    }
    if (e == ERR_OK) {
        e = store_idempotency_count(once->store, &count);
    }
    return e == ERR_OK && count >= ADMIN_ONCE_ROWS_MAX
               ? admin_fault_say(fault, ERR_OVERLOADED, SPAN(""),
                                 "too many requests of the last 24 hours had an Idempotency-Key; "
                                 "send this one without, or later")
               : e;
}

/* Writes the row of a request that begins: it is on the disk before anything is done. */
static enum err write_new(struct admin_once *once, const uint8_t request[BLOCK],
                          struct admin_fault *fault)
{
    enum err e = purge_old(once, fault);
    e = e == ERR_OK ? count_own(once, fault) : e;
    if (e != ERR_OK) {
        return e;
    }
    once->row = (struct store_idempotency){.id = span_of(once->id),
                                           .caller = once->request->actor,
                                           .pepper = keys_newest_pepper(once->keys),
                                           .at = once->now};
    memcpy(once->row.request, request, BLOCK);
    crypto_random(once->row.seed, BLOCK);
    e = store_begin(once->store, STORE_SYNC_NOW);
    if (e == ERR_OK) {
        enum err inserted = store_idempotency_insert(once->store, &once->row);
        e = store_commit(once->store);
        e = e == ERR_OK ? inserted : e;
    }
    return e;
}

/* Keeps what a row's spans point at: they are good until the next operation. */
static void keep_texts(struct admin_once *once)
{
    struct span reply = once->row.reply;
    CHECK(reply.len <= sizeof(once->reply));
    if (reply.len > 0) {
        memcpy(once->reply, reply.at, reply.len);
    }
    once->row.reply = span_make(once->reply, reply.len);
    span_copy_text(once->row.tag, once->tag, sizeof(once->tag));
    once->row.tag = span_of(once->tag);
    once->row.id = span_of(once->id);
    once->row.caller = once->request->actor;
}

/* The reply that was kept. False: there is none, or it cannot be read any more. */
static bool show_reply(struct admin_once *once, struct buf *out, struct admin_answer *answer)
{
    uint8_t expected[BLOCK];
    struct span kept = once->row.reply;
    if (once->row.status != DONE || kept.len <= BLOCK) {
        return false;
    }
    size_t len = kept.len - BLOCK;
    if (!mark(once, span_cut(kept, BLOCK, len), expected) ||
        !crypto_equal(expected, kept.at, BLOCK) || !turn(once, once->reply + BLOCK, len)) {
        return false;
    }
    buf_put(out, span_make(once->reply + BLOCK, len));
    span_copy_text(once->row.tag, answer->tag, sizeof(answer->tag));
    crypto_wipe(once->reply, sizeof(once->reply));
    return !buf_failed(out);
}

enum err admin_once_begin(struct admin_once *once, struct buf *out, struct admin_answer *answer,
                          bool *is_done)
{
    uint8_t request[BLOCK];
    digest(once->request, request);
    admin_once_id(once->request->actor, once->request->idempotency_key, once->id);
    once->row = (struct store_idempotency){.id = span_of(once->id)};
    *is_done = false;
    enum err e = store_idempotency_get(once->store, &once->row);
    if (e == ERR_OK) {
        keep_texts(once);
    }
    if (e == ERR_OK && once->row.at.us < once->now.us - KEPT_US) {
        e = forget(once->store, span_of(once->id));
        e = e == ERR_OK ? ERR_NOT_FOUND_ROW : e;
    }
    if (e == ERR_NOT_FOUND_ROW) {
        e = write_new(once, request, &answer->fault);
    } else if (e == ERR_OK && memcmp(once->row.request, request, BLOCK) != 0) {
        e = ERR_IDEMPOTENCY_OTHER;
    } else if (e == ERR_OK) {
        *is_done = show_reply(once, out, answer);
    }
    if (e == ERR_OK && !*is_done && !secret(once, "made", once->seed)) {
        e = ERR_PEPPER_WRONG;
    }
    return e;
}

/* Hides the reply in the row's room; false: it is too long, and is made anew if it is asked for. */
static bool hide(struct admin_once *once, struct span reply)
{
    if (reply.len == 0 || reply.len > ADMIN_ONCE_REPLY_MAX) {
        return false;
    }
    memcpy(once->reply + BLOCK, reply.at, reply.len);
    if (!turn(once, once->reply + BLOCK, reply.len) ||
        !mark(once, span_make(once->reply + BLOCK, reply.len), once->reply)) {
        return false;
    }
    once->row.reply = span_make(once->reply, BLOCK + reply.len);
    return true;
}

void admin_once_end(struct admin_once *once, enum err result, struct span reply, const char *tag)
{
    enum err e = ERR_OK;
    int status = err_row(result)->status;
    if (result == ERR_OK && hide(once, reply)) {
        span_copy_text(span_of(tag), once->tag, sizeof(once->tag));
        once->row.tag = span_of(once->tag);
        once->row.id = span_of(once->id);
        once->row.status = DONE;
        e = store_idempotency_put(once->store, &once->row);
    } else if (result != ERR_OK && status >= 400 && status < 500) {
        e = forget(once->store, span_of(once->id));
    }
    if (e != ERR_OK) { /* it stays begun, and is found done by what it made */
        log_warn("admin", "the reply to an Idempotency-Key was not kept: %s", err_sentence(e));
    }
    crypto_wipe(once->seed, sizeof(once->seed));
}
