/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A try that began and ended in a batch never gets a row in the store:
 *
 *   of a try there is   in the store there was   so the store
 *   an intent alone     no row                   puts one
 *   an intent, its end  no row                   does nothing
 *   its end alone       a row                    deletes it
 *
 * A completion ends all tries of its call, those that other batches know of too.
 */
#include "journal/journal_batch.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/sum.h"
#include "store/store_change.h"
#include "store/store_usage.h"

#define HOUR_MS INT64_C(3600000)

/* What names a row of usage beside its hour: texts of a record, and where they stand in the row. In
 * the order of the table, which has the hour behind the team. */
static const struct {
    enum journal_text text;
    size_t offset;
} names[] = {
    {JOURNAL_TEXT_TEAM, offsetof(struct store_usage, team)},
    {JOURNAL_TEXT_KEY, offsetof(struct store_usage, key_id)},
    {JOURNAL_TEXT_MODEL, offsetof(struct store_usage, model)},
    {JOURNAL_TEXT_CURRENCY, offsetof(struct store_usage, currency)},
    {JOURNAL_TEXT_UPSTREAM, offsetof(struct store_usage, upstream)},
    {JOURNAL_TEXT_POLICY, offsetof(struct store_usage, route)},
    {JOURNAL_TEXT_USER, offsetof(struct store_usage, user)},
    {JOURNAL_TEXT_ORGANISATION, offsetof(struct store_usage, organisation)},
};
#define NAMES (sizeof(names) / sizeof(names[0]))

struct usage_row {
    struct list node;
    struct store_usage sums; /* its spans are those of `name` */
    struct span name[NAMES]; /* in the arena */
    int64_t hour_from_ms;
};

struct try_row {
    struct list node;
    uint32_t attempt;
    uint64_t sequence; /* of its intent; 0: that is in another batch */
    bool ended;
};

struct call_row {
    struct list node;
    uint8_t id[JOURNAL_ID_BYTES];
    struct list tries; /* that the batch has something of */
    uint32_t attempts; /* all of them, once the call has ended; 0: it has not */
    struct try_row first;
};

void journal_batch_init(struct journal_batch *b, size_t bytes)
{
    *b = (struct journal_batch){0};
    arena_init(&b->memory, bytes);
    map_init(&b->usage);
    map_init(&b->calls);
    list_init(&b->usage_rows);
    list_init(&b->call_rows);
    list_init(&b->changes);
    journal_balances_init(&b->balances);
}

void journal_batch_fini(struct journal_batch *b)
{
    map_fini(&b->usage);
    map_fini(&b->calls);
    journal_balances_fini(&b->balances);
    arena_fini(&b->memory);
    journal_batch_init(b, b->memory.max);
}

/* The rows, the texts that name them twice over, and what aligning each of eight pieces costs. */
_Static_assert(sizeof(struct usage_row) + sizeof(struct call_row) + sizeof(struct try_row) +
                       (size_t)2 * JOURNAL_ROOM_BYTES + (size_t)8 * 16 +
                       (size_t)JOURNAL_BUDGETS_MAX * JOURNAL_BALANCE_BYTES <=
                   JOURNAL_BATCH_RECORD_MAX,
               "whatever a record brings");

bool journal_batch_has_room(const struct journal_batch *b)
{
    return b->memory.max - b->memory.used >= JOURNAL_BATCH_RECORD_MAX;
}

/* ---- usage ---- */

/* All names as one text, for the map: the hour, and each with its length. */
struct usage_key {
    int32_t hour;
    uint16_t len[NAMES];
    char text[JOURNAL_ROOM_BYTES];
};

_Static_assert(offsetof(struct usage_key, text) == sizeof(int32_t) + NAMES * sizeof(uint16_t),
               "no byte of it is left unset");

static struct span key_of(const struct journal_record *r, struct usage_key *out)
{
    size_t len = 0;
    out->hour = store_hour((wall_us){r->started_ms * 1000});
    for (size_t i = 0; i < NAMES; i++) {
        struct span name = journal_record_text(r, names[i].text);
        out->len[i] = (uint16_t)name.len;
        memcpy(out->text + len, name.at, name.len);
        len += name.len;
    }
    return span_make(out, offsetof(struct usage_key, text) + len);
}

static bool is_of(const struct usage_row *row, const struct journal_record *r)
{
    bool is_same = (uint64_t)(r->started_ms - row->hour_from_ms) < (uint64_t)HOUR_MS;
    for (size_t i = 0; is_same && i < NAMES; i++) {
        is_same = span_equal(row->name[i], journal_record_text(r, names[i].text));
    }
    return is_same;
}

static struct usage_row *new_usage_row(struct journal_batch *b, const struct usage_key *key,
                                       struct span bytes)
{
    struct usage_row *row = arena_new(&b->memory, sizeof(*row));
    bytes = arena_copy(&b->memory, bytes);
    if (row == NULL || bytes.at == NULL || map_put_borrow(&b->usage, bytes, row) != ERR_OK) {
        return NULL;
    }
    struct span text = span_cut(bytes, offsetof(struct usage_key, text), bytes.len);
    for (size_t i = 0; i < NAMES; i++) {
        row->name[i] = span_cut(text, 0, key->len[i]);
        memcpy((char *)&row->sums + names[i].offset, &row->name[i], sizeof(row->name[i]));
        text = span_cut(text, key->len[i], text.len);
    }
    row->hour_from_ms = key->hour * HOUR_MS;
    row->sums.hour = key->hour;
    list_push_back(&b->usage_rows, &row->node);
    return row;
}

static struct usage_row *usage_row(struct journal_batch *b, const struct journal_record *r)
{
    struct usage_key key; /* all that is looked at is set by key_of() */
    if (b->last_usage != NULL && is_of(b->last_usage, r)) {
        return b->last_usage;
    }
    struct span bytes = key_of(r, &key);
    struct usage_row *row = map_find(&b->usage, bytes);
    if (row == NULL) {
        row = new_usage_row(b, &key, bytes);
    }
    b->last_usage = row;
    return row;
}

/* Whether something of the completion's own try was sent, the last of its call. */
static bool is_last_sent(const struct journal_record *r)
{
    return r->attempts_sent > 0 &&
           (r->attempts_sent >= r->attempt || journal_record_text(r, JOURNAL_TEXT_PEER).len > 0);
}

/* A call reached a model server, and then it counts with how it ended; or it was refused. */
static void count_call(struct store_usage *sums, const struct journal_record *r)
{
    if (r->attempts_sent == 0) {
        sums->refused++;
        return;
    }
    sums->calls++;
    sums->interrupted +=
        r->outcome == JOURNAL_OUTCOME_INTERRUPTED || r->outcome == JOURNAL_OUTCOME_CLIENT_GONE;
    sums->failed += r->outcome == JOURNAL_OUTCOME_FAILED;
    sums->estimated += r->tokens_in_estimated != 0 || r->tokens_out_estimated != 0;
    sums->requests += is_last_sent(r);
}

static enum err add_usage(struct journal_batch *b, const struct journal_record *r)
{
    if (r->shadow) { /* nobody asked for it, and nobody pays */
        return ERR_OK;
    }
    struct usage_row *row = usage_row(b, r);
    if (row == NULL) {
        return ERR_NO_MEMORY;
    }
    struct store_usage *sums = &row->sums;
    sums->tokens_in = sum_of(sums->tokens_in, r->tokens_in);
    sums->tokens_out = sum_of(sums->tokens_out, r->tokens_out);
    sums->tokens_cached = sum_of(sums->tokens_cached, r->tokens_cached);
    sums->tokens_reasoning = sum_of(sums->tokens_reasoning, r->tokens_reasoning);
    sums->cost_nano = sum_of(sums->cost_nano, r->cost_nano);
    sums->energy_nano = sum_of(sums->energy_nano, r->energy_nano);
    sums->co2e_nano = sum_of(sums->co2e_nano, r->co2e_nano);
    if (journal_balances_add(&b->balances, &b->memory, r) != ERR_OK) {
        return ERR_NO_MEMORY;
    }
    if (r->kind == JOURNAL_TRY_END) { /* its call is counted by the completion */
        sums->requests += r->sent != 0;
        return ERR_OK;
    }
    count_call(sums, r);
    sums->bytes_in = sum_of(sums->bytes_in, r->bytes_in);
    sums->bytes_out = sum_of(sums->bytes_out, r->bytes_out);
    return ERR_OK;
}

/* ---- open calls ---- */

static struct call_row *call_row(struct journal_batch *b, const struct journal_record *r)
{
    struct span id = span_make(r->call_id, JOURNAL_ID_BYTES);
    uint64_t half[2]; /* of an id of ours: no stranger chooses it */
    memcpy(half, r->call_id, sizeof(half));
    uint64_t hash =
        (half[0] ^ half[1]) * UINT64_C(0x9e3779b97f4a7c15); /* 2^64 by the golden mean */
    hash ^= hash >> 32;
    struct call_row *row = map_find_hashed(&b->calls, id, hash);
    if (row != NULL) {
        return row;
    }
    row = arena_new(&b->memory, sizeof(*row));
    if (row == NULL) {
        return NULL;
    }
    memcpy(row->id, r->call_id, JOURNAL_ID_BYTES);
    list_init(&row->tries);
    id = span_make(row->id, JOURNAL_ID_BYTES);
    if (map_put_hashed_borrow(&b->calls, id, hash, row) != ERR_OK) {
        return NULL;
    }
    list_push_back(&b->call_rows, &row->node);
    return row;
}

static struct try_row *find_try(struct call_row *call, uint32_t attempt)
{
    for (struct list *at = call->tries.next; at != &call->tries; at = at->next) {
        struct try_row *row = LIST_OF(at, struct try_row, node);
        if (row->attempt == attempt) {
            return row;
        }
    }
    return NULL;
}

static struct try_row *try_row(struct journal_batch *b, const struct journal_record *r)
{
    struct call_row *call = call_row(b, r);
    struct try_row *row = call == NULL ? NULL : find_try(call, r->attempt);
    if (call == NULL || row != NULL) {
        return row;
    }
    bool is_first = call->tries.next == &call->tries;
    row = is_first ? &call->first : arena_new(&b->memory, sizeof(*row));
    if (row != NULL) {
        row->attempt = r->attempt;
        list_push_back(&call->tries, &row->node);
    }
    return row;
}

static enum err add_intent(struct journal_batch *b, const struct journal_record *r)
{
    struct try_row *row = try_row(b, r);
    if (row == NULL) {
        return ERR_NO_MEMORY;
    }
    row->sequence = (uint64_t)r->sequence;
    return ERR_OK;
}

static enum err add_try_end(struct journal_batch *b, const struct journal_record *r)
{
    enum err e = add_usage(b, r);
    struct try_row *row = e == ERR_OK ? try_row(b, r) : NULL;
    if (row == NULL) {
        return ERR_NO_MEMORY;
    }
    row->ended = true;
    return ERR_OK;
}

static enum err add_completion(struct journal_batch *b, const struct journal_record *r)
{
    enum err e = add_usage(b, r);
    if (e != ERR_OK || r->attempt == 0) {
        return e; /* without a try there was no intent */
    }
    struct call_row *row = call_row(b, r);
    if (row == NULL) {
        return ERR_NO_MEMORY;
    }
    row->attempts = r->attempt;
    return ERR_OK;
}

/* ---- changes by administrators ---- */

struct change_row {
    struct list node;
    struct store_change change; /* its spans lie in the arena */
};

static enum err add_change(struct journal_batch *b, const struct journal_told *told)
{
    const struct journal_record *r = told->record;
    struct change_row *row = arena_new(&b->memory, sizeof(*row));
    if (row == NULL) {
        return ERR_NO_MEMORY;
    }
    row->change.action = arena_copy(&b->memory, journal_record_text(r, JOURNAL_TEXT_ACTION));
    row->change.actor = arena_copy(&b->memory, journal_record_text(r, JOURNAL_TEXT_ACTOR));
    row->change.object = arena_copy(&b->memory, journal_record_text(r, JOURNAL_TEXT_OBJECT));
    row->change.state = arena_copy(&b->memory, told->state);
    list_push_back(&b->changes, &row->node);
    return arena_failed(&b->memory) ? ERR_NO_MEMORY : ERR_OK;
}

enum err journal_batch_add(struct journal_batch *b, const struct journal_told *told)
{
    const struct journal_record *r = told->record;
    CHECK(b->last == 0 || b->last + 1 == (uint64_t)r->sequence);
    b->last = (uint64_t)r->sequence;
    b->first = b->first == 0 ? b->last : b->first;
    memcpy(b->head, told->leaf, sizeof(b->head));
    switch ((enum journal_kind)r->kind) {
    case JOURNAL_INTENT:
        return add_intent(b, r);
    case JOURNAL_TRY_END:
        return add_try_end(b, r);
    case JOURNAL_COMPLETION:
        return add_completion(b, r);
    case JOURNAL_ADMIN:
        return add_change(b, told);
    case JOURNAL_RECOVERY:
    case JOURNAL_ORIGIN:
    case JOURNAL_NO_KIND:
    case JOURNAL_KIND_COUNT:
        break;
    }
    return ERR_OK;
}

/* ---- applying ---- */

/* As SQLite orders texts: by bytes, and a beginning before the whole. */
static int compare_texts(struct span x, struct span y)
{
    int order = memcmp(x.at, y.at, x.len < y.len ? x.len : y.len);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static int compare(const void *a, const void *b)
{
    const struct usage_row *x = *(const struct usage_row *const *)a;
    const struct usage_row *y = *(const struct usage_row *const *)b;
    int order = compare_texts(x->sums.team, y->sums.team);
    if (order == 0) {
        order = (x->sums.hour > y->sums.hour) - (x->sums.hour < y->sums.hour);
    }
    for (size_t i = 1; order == 0 && i < NAMES; i++) { /* 0 is the team */
        order = compare_texts(x->name[i], y->name[i]);
    }
    return order;
}

/* In the order of the table a page of it is changed once a batch, however many rows there are. */
static enum err apply_usage(const struct journal_batch *b, struct store *s)
{
    enum err e = ERR_OK;
    size_t count = 0;
    const struct usage_row **rows = memory_new_array(b->usage.count + 1, sizeof(*rows));
    if (rows == NULL) {
        return ERR_NO_MEMORY;
    }
    for (struct list *at = b->usage_rows.next; at != &b->usage_rows; at = at->next) {
        rows[count++] = LIST_OF(at, struct usage_row, node);
    }
    qsort(rows, count, sizeof(*rows), compare);
    for (size_t i = 0; e == ERR_OK && i < count; i++) {
        e = store_usage_add(s, &rows[i]->sums);
    }
    memory_free(rows);
    return e;
}

static enum err delete_try(const struct call_row *call, uint32_t attempt, struct store *s)
{
    struct store_open_call row = {.attempt = attempt};
    memcpy(row.id, call->id, sizeof(row.id));
    enum err e = store_open_call_delete(s, &row);
    return e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
}

/* A call that has ended: what other batches put of it goes. */
static enum err apply_end(struct call_row *call, struct store *s)
{
    enum err e = ERR_OK;
    for (uint32_t attempt = 1; e == ERR_OK && attempt <= call->attempts; attempt++) {
        const struct try_row *row = find_try(call, attempt);
        e = row != NULL && row->sequence != 0 ? ERR_OK : delete_try(call, attempt, s);
    }
    return e;
}

static enum err apply_call(struct call_row *call, struct store *s)
{
    enum err e = ERR_OK;
    if (call->attempts > 0) {
        return apply_end(call, s);
    }
    for (struct list *at = call->tries.next; e == ERR_OK && at != &call->tries; at = at->next) {
        const struct try_row *row = LIST_OF(at, struct try_row, node);
        struct store_open_call open = {.attempt = row->attempt, .sequence = row->sequence};
        memcpy(open.id, call->id, sizeof(open.id));
        if (row->sequence != 0 && !row->ended) {
            e = store_open_call_put(s, &open);
        } else if (row->sequence == 0) {
            e = delete_try(call, row->attempt, s);
        }
    }
    return e;
}

enum err journal_batch_apply(struct journal_batch *b, struct store *s)
{
    if (b->last == 0) {
        return ERR_OK;
    }
    enum err e = store_begin(s, STORE_SYNC_LATER);
    if (e != ERR_OK) {
        return e;
    }
    e = apply_usage(b, s);
    e = e == ERR_OK ? journal_balances_apply(&b->balances, s) : e;
    for (struct list *at = b->call_rows.next; e == ERR_OK && at != &b->call_rows; at = at->next) {
        e = apply_call(LIST_OF(at, struct call_row, node), s);
    }
    for (struct list *at = b->changes.next; e == ERR_OK && at != &b->changes; at = at->next) {
        e = store_change_apply(s, &LIST_OF(at, struct change_row, node)->change);
    }
    if (e == ERR_OK) {
        e = store_journal_set(s, b->last, b->head);
    }
    if (e != ERR_OK) {
        store_rollback(s);
        return e;
    }
    return store_commit(s);
}
