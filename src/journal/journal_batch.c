/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call's row in a batch says what becomes of its row in the store:
 *
 *   first seen as     then            in the store there was   so the store
 *   first intent      –               no row                   puts one
 *   first intent      completion      no row                   does nothing
 *   later intent      –               a row                    puts one, replacing it
 *   later intent      completion      a row                    takes it
 *   completion        –               a row                    takes it
 */
#include "journal/journal_batch.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "store/store_usage.h"

struct usage_row {
    struct list node;
    struct store_usage sums; /* its spans lie in the arena */
};

struct call_row {
    struct list node;
    struct store_open_call call;
    bool known; /* the store has a row, as far as the batch tells */
    bool ended;
};

void journal_batch_init(struct journal_batch *b, size_t bytes)
{
    *b = (struct journal_batch){0};
    arena_init(&b->memory, bytes);
    map_init(&b->usage);
    map_init(&b->calls);
    list_init(&b->usage_rows);
    list_init(&b->call_rows);
}

void journal_batch_fini(struct journal_batch *b)
{
    map_fini(&b->usage);
    map_fini(&b->calls);
    arena_fini(&b->memory);
    journal_batch_init(b, b->memory.max);
}

/* Two rows, the texts that name them, and what aligning each of the six pieces may cost. */
_Static_assert(sizeof(struct usage_row) + sizeof(struct call_row) +
                       2 * sizeof(struct journal_record) + (size_t)6 * 16 <=
                   JOURNAL_BATCH_RECORD_MAX,
               "whatever a record brings");

bool journal_batch_has_room(const struct journal_batch *b)
{
    return b->memory.max - b->memory.used >= JOURNAL_BATCH_RECORD_MAX;
}

static struct span text_of(const char *text, size_t size)
{
    return span_make(text, strnlen(text, size));
}

#define TEXT(field) text_of(field, sizeof(field))

/* ---- usage ---- */

/* What names a row of usage, as one text. */
struct usage_name {
    int32_t day;
    uint8_t key_len, model_len;
    char text[sizeof(((struct journal_record *)NULL)->key_id) +
              sizeof(((struct journal_record *)NULL)->model) +
              sizeof(((struct journal_record *)NULL)->upstream)];
};

static struct span name_of(const struct journal_record *r, struct usage_name *out)
{
    struct span key = TEXT(r->key_id);
    struct span model = TEXT(r->model);
    struct span upstream = TEXT(r->upstream);
    out->day = store_day((wall_us){r->started_ms * 1000});
    out->key_len = (uint8_t)key.len;
    out->model_len = (uint8_t)model.len;
    memcpy(out->text, key.at, key.len);
    memcpy(out->text + key.len, model.at, model.len);
    memcpy(out->text + key.len + model.len, upstream.at, upstream.len);
    return span_make(out, offsetof(struct usage_name, text) + key.len + model.len + upstream.len);
}

static struct usage_row *usage_row(struct journal_batch *b, const struct journal_record *r)
{
    struct usage_name name = {0};
    struct span bytes = name_of(r, &name);
    struct usage_row *row = map_find(&b->usage, bytes);
    if (row != NULL) {
        return row;
    }
    bytes = arena_copy(&b->memory, bytes);
    row = arena_new(&b->memory, sizeof(*row));
    if (row == NULL || bytes.at == NULL || map_put_borrow(&b->usage, bytes, row) != ERR_OK) {
        return NULL;
    }
    struct span text = span_cut(bytes, offsetof(struct usage_name, text), bytes.len);
    row->sums.day = name.day;
    row->sums.key_id = span_cut(text, 0, name.key_len);
    row->sums.model = span_cut(text, name.key_len, name.model_len);
    row->sums.upstream = span_cut(text, (size_t)name.key_len + name.model_len, text.len);
    list_push_back(&b->usage_rows, &row->node);
    return row;
}

static enum err add_usage(struct journal_batch *b, const struct journal_record *r)
{
    struct usage_row *row = usage_row(b, r);
    if (row == NULL) {
        return ERR_NO_MEMORY;
    }
    struct store_usage *sums = &row->sums;
    sums->calls++;
    sums->interrupted +=
        r->outcome == JOURNAL_OUTCOME_INTERRUPTED || r->outcome == JOURNAL_OUTCOME_CLIENT_GONE;
    sums->failed += r->outcome == JOURNAL_OUTCOME_FAILED || r->outcome == JOURNAL_OUTCOME_REFUSED;
    sums->estimated += r->tokens_in_estimated != 0 || r->tokens_out_estimated != 0;
    sums->tokens_in += r->tokens_in;
    sums->tokens_out += r->tokens_out;
    sums->bytes_in += r->bytes_in;
    sums->bytes_out += r->bytes_out;
    sums->cost_microusd += r->cost_micro;
    return ERR_OK;
}

/* ---- open calls ---- */

static struct call_row *call_row(struct journal_batch *b, const struct journal_record *r)
{
    struct call_row *row = map_find(&b->calls, span_make(r->call_id, JOURNAL_ID_BYTES));
    if (row != NULL) {
        return row;
    }
    row = arena_new(&b->memory, sizeof(*row));
    if (row == NULL) {
        return NULL;
    }
    memcpy(row->call.id, r->call_id, JOURNAL_ID_BYTES);
    row->known = r->kind != JOURNAL_INTENT || r->attempt > 1;
    if (map_put_borrow(&b->calls, span_make(row->call.id, JOURNAL_ID_BYTES), row) != ERR_OK) {
        return NULL;
    }
    list_push_back(&b->call_rows, &row->node);
    return row;
}

static enum err add_intent(struct journal_batch *b, const struct journal_record *r)
{
    struct call_row *row = call_row(b, r);
    if (row == NULL) {
        return ERR_NO_MEMORY;
    }
    struct store_open_call *call = &row->call;
    call->key_id = arena_copy(&b->memory, TEXT(r->key_id));
    call->model = arena_copy(&b->memory, TEXT(r->model));
    call->upstream = arena_copy(&b->memory, TEXT(r->upstream));
    call->started = (wall_us){r->started_ms * 1000};
    call->sequence = (uint64_t)r->sequence;
    call->attempt = r->attempt;
    call->bytes_in = r->bytes_in;
    call->reserved_tokens_in = r->tokens_in;
    call->reserved_tokens_out =
        r->tokens_reserved > r->tokens_in ? r->tokens_reserved - r->tokens_in : 0;
    call->reserved_microusd = r->cost_micro;
    row->ended = false;
    return arena_failed(&b->memory) ? ERR_NO_MEMORY : ERR_OK;
}

static enum err add_completion(struct journal_batch *b, const struct journal_record *r)
{
    enum err e = add_usage(b, r);
    if (e != ERR_OK || r->attempt == 0) {
        return e; /* without an attempt there was no intent */
    }
    struct call_row *row = call_row(b, r);
    if (row == NULL) {
        return ERR_NO_MEMORY;
    }
    row->ended = true;
    return ERR_OK;
}

enum err journal_batch_add(struct journal_batch *b, const struct journal_record *r)
{
    CHECK(b->last == 0 || b->last + 1 == (uint64_t)r->sequence);
    b->last = (uint64_t)r->sequence;
    b->first = b->first == 0 ? b->last : b->first;
    switch ((enum journal_kind)r->kind) {
    case JOURNAL_INTENT:
        return add_intent(b, r);
    case JOURNAL_COMPLETION:
        return add_completion(b, r);
    case JOURNAL_RECOVERY:
    case JOURNAL_KIND_COUNT:
        break;
    }
    return ERR_OK;
}

/* As SQLite orders texts: by bytes, and a beginning before the whole. */
static int compare_texts(struct span x, struct span y)
{
    int order = memcmp(x.at, y.at, x.len < y.len ? x.len : y.len);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static int compare(const void *a, const void *b)
{
    const struct store_usage *x = &(*(const struct usage_row *const *)a)->sums;
    const struct store_usage *y = &(*(const struct usage_row *const *)b)->sums;
    int order = (x->day > y->day) - (x->day < y->day);
    order = order != 0 ? order : compare_texts(x->key_id, y->key_id);
    order = order != 0 ? order : compare_texts(x->model, y->model);
    return order != 0 ? order : compare_texts(x->upstream, y->upstream);
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

static enum err apply_call(const struct call_row *row, struct store *s)
{
    struct store_open_call taken;
    if (!row->ended) {
        return store_open_call_put(s, &row->call);
    }
    if (!row->known) {
        return ERR_OK;
    }
    enum err e = store_open_call_take(s, row->call.id, &taken);
    return e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
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
    for (struct list *at = b->call_rows.next; e == ERR_OK && at != &b->call_rows; at = at->next) {
        e = apply_call(LIST_OF(at, struct call_row, node), s);
    }
    if (e == ERR_OK) {
        e = store_sequence_set(s, b->last);
    }
    if (e != ERR_OK) {
        store_rollback(s);
        return e;
    }
    return store_commit(s);
}
