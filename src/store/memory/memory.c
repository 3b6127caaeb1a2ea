/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver for tests: three arrays in order. A batch keeps a copy of all of them, and undoing it
 * is going back to the copy, so it is right before it is quick.
 */
#include "base/memory.h"
#include "store/store_driver.h"

struct text {
    uint8_t len;
    char at[STORE_TEXT_MAX];
};

struct key_row {
    struct store_key key; /* its spans are set when it is given out */
    struct text name;
    char id[STORE_KEY_ID_CHARS];
};

struct usage_row {
    struct store_usage sums;
    struct text key_id, model, upstream;
};

struct call_row {
    struct store_open_call call;
    struct text key_id, model, upstream;
};

struct rows {
    uint8_t *at;
    size_t count, cap;
};

struct tables {
    struct rows keys;  /* struct key_row, in the order of insertion */
    struct rows usage; /* struct usage_row, by day, key, model, upstream */
    struct rows calls; /* struct call_row, by sequence */
    uint64_t revision, sequence;
};

struct memory_store {
    struct store store;
    struct tables now, before; /* `before` while a batch is open */
    struct call_row taken;     /* what open_call_take() gave out last */
};

static struct memory_store *of(struct store *s)
{
    return (struct memory_store *)s;
}

static struct text text_of(struct span s)
{
    struct text t = {.len = (uint8_t)s.len};
    if (s.len > 0) {
        memcpy(t.at, s.at, s.len);
    }
    return t;
}

static struct span text_span(const struct text *t)
{
    return span_make(t->at, t->len);
}

static int text_order(struct span a, const struct text *b)
{
    int order =
        memcmp(a.at == NULL ? (const uint8_t *)"" : a.at, b->at, a.len < b->len ? a.len : b->len);
    return order != 0 ? order : (int)a.len - (int)b->len;
}

/* Makes room for a row of `size` bytes at `index`; NULL without memory. */
static void *rows_insert(struct rows *r, size_t index, size_t size)
{
    if (r->count == r->cap) {
        size_t cap = r->cap == 0 ? 16 : r->cap * 2;
        uint8_t *grown = memory_resize(r->at, cap * size);
        if (grown == NULL) {
            return NULL;
        }
        r->at = grown;
        r->cap = cap;
    }
    uint8_t *row = r->at + index * size;
    memmove(row + size, row, (r->count - index) * size);
    r->count++;
    return row;
}

static void rows_remove(struct rows *r, size_t index, size_t size)
{
    r->count--;
    memmove(r->at + index * size, r->at + (index + 1) * size, (r->count - index) * size);
}

static enum err rows_copy(const struct rows *r, size_t size, struct rows *out)
{
    *out = (struct rows){NULL, r->count, r->count};
    if (r->count == 0) {
        return ERR_OK;
    }
    out->at = memory_raw(r->count * size);
    if (out->at == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(out->at, r->at, r->count * size);
    return ERR_OK;
}

static void tables_free(struct tables *t)
{
    memory_free(t->keys.at);
    memory_free(t->usage.at);
    memory_free(t->calls.at);
    *t = (struct tables){0};
}

static enum err memory_look(const struct store_settings *settings, uint64_t *sequence)
{
    (void)settings;
    *sequence = 0; /* nothing outlives it */
    return ERR_OK;
}

static enum err memory_open(const struct store_settings *settings, struct store **out)
{
    (void)settings; /* there is nothing to set */
    struct memory_store *m = memory_new(sizeof(*m));
    if (m == NULL) {
        return ERR_NO_MEMORY;
    }
    m->store.driver = &store_memory_driver;
    *out = &m->store;
    return ERR_OK;
}

static void memory_close(struct store *s)
{
    tables_free(&of(s)->now);
    tables_free(&of(s)->before);
    memory_free(s);
}

static enum err memory_begin(struct store *s, enum store_sync sync)
{
    (void)sync; /* there is no disk */
    struct memory_store *m = of(s);
    struct tables copy = {.revision = m->now.revision, .sequence = m->now.sequence};
    enum err e = rows_copy(&m->now.keys, sizeof(struct key_row), &copy.keys);
    if (e == ERR_OK) {
        e = rows_copy(&m->now.usage, sizeof(struct usage_row), &copy.usage);
    }
    if (e == ERR_OK) {
        e = rows_copy(&m->now.calls, sizeof(struct call_row), &copy.calls);
    }
    if (e != ERR_OK) {
        tables_free(&copy);
        return e;
    }
    m->before = copy;
    return ERR_OK;
}

static enum err memory_commit(struct store *s)
{
    tables_free(&of(s)->before);
    return ERR_OK;
}

static void memory_rollback(struct store *s)
{
    tables_free(&of(s)->now);
    of(s)->now = of(s)->before;
    of(s)->before = (struct tables){0};
}

static struct key_row *key_at(struct store *s, size_t i)
{
    return (struct key_row *)(void *)of(s)->now.keys.at + i;
}

static struct key_row *key_of_id(struct store *s, struct span id)
{
    for (size_t i = 0; i < of(s)->now.keys.count; i++) {
        if (memcmp(key_at(s, i)->id, id.at, STORE_KEY_ID_CHARS) == 0) {
            return key_at(s, i);
        }
    }
    return NULL;
}

static struct store_key key_out(const struct key_row *row)
{
    struct store_key key = row->key;
    key.id = span_make(row->id, sizeof(row->id));
    key.name = text_span(&row->name);
    return key;
}

static enum err memory_key_insert(struct store *s, const struct store_key *key)
{
    if (key_of_id(s, key->id) != NULL) {
        return ERR_EXISTS;
    }
    struct rows *keys = &of(s)->now.keys;
    struct key_row *row = rows_insert(keys, keys->count, sizeof(*row));
    if (row == NULL) {
        return ERR_NO_MEMORY;
    }
    *row = (struct key_row){.key = *key, .name = text_of(key->name)};
    memcpy(row->id, key->id.at, sizeof(row->id));
    of(s)->now.revision++;
    return ERR_OK;
}

static enum err memory_key_revoke(struct store *s, struct span id, wall_us when)
{
    struct key_row *row = key_of_id(s, id);
    if (row == NULL) {
        return ERR_NOT_FOUND_ROW;
    }
    if (row->key.revoked.us == 0) {
        row->key.revoked = when;
        of(s)->now.revision++;
    }
    return ERR_OK;
}

static enum err memory_key_find(struct store *s, struct span id, struct store_key *out)
{
    const struct key_row *row = key_of_id(s, id);
    if (row == NULL) {
        return ERR_NOT_FOUND_ROW;
    }
    *out = key_out(row);
    return ERR_OK;
}

static enum err memory_key_list(struct store *s, store_on_key *on_key, void *context)
{
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < of(s)->now.keys.count; i++) {
        struct store_key key = key_out(key_at(s, i));
        e = on_key(context, &key);
    }
    return e;
}

static enum err memory_key_revision(struct store *s, uint64_t *out)
{
    *out = of(s)->now.revision;
    return ERR_OK;
}

static struct usage_row *usage_at(struct store *s, size_t i)
{
    return (struct usage_row *)(void *)of(s)->now.usage.at + i;
}

static int usage_order(const struct store_usage *a, const struct usage_row *b)
{
    if (a->day != b->sums.day) {
        return a->day < b->sums.day ? -1 : 1;
    }
    int order = text_order(a->key_id, &b->key_id);
    order = order != 0 ? order : text_order(a->model, &b->model);
    return order != 0 ? order : text_order(a->upstream, &b->upstream);
}

static enum err memory_usage_add(struct store *s, const struct store_usage *more)
{
    struct rows *usage = &of(s)->now.usage;
    size_t i = 0;
    while (i < usage->count && usage_order(more, usage_at(s, i)) > 0) {
        i++;
    }
    if (i == usage->count || usage_order(more, usage_at(s, i)) != 0) {
        struct usage_row *row = rows_insert(usage, i, sizeof(*row));
        if (row == NULL) {
            return ERR_NO_MEMORY;
        }
        *row = (struct usage_row){.sums = {.day = more->day},
                                  .key_id = text_of(more->key_id),
                                  .model = text_of(more->model),
                                  .upstream = text_of(more->upstream)};
    }
    struct store_usage *sums = &usage_at(s, i)->sums;
    sums->calls += more->calls;
    sums->interrupted += more->interrupted;
    sums->failed += more->failed;
    sums->estimated += more->estimated;
    sums->tokens_in += more->tokens_in;
    sums->tokens_out += more->tokens_out;
    sums->bytes_in += more->bytes_in;
    sums->bytes_out += more->bytes_out;
    sums->cost_microusd += more->cost_microusd;
    return ERR_OK;
}

static bool is_wanted(const struct store_usage *sums, const struct store_usage_filter *f)
{
    return sums->day >= f->first_day && sums->day <= f->last_day &&
           (f->key_id.len == 0 || span_equal(f->key_id, sums->key_id)) &&
           (f->model.len == 0 || span_equal(f->model, sums->model));
}

static struct span name_of_key(struct store *s, struct span id)
{
    const struct key_row *row = id.len == STORE_KEY_ID_CHARS ? key_of_id(s, id) : NULL;
    return row == NULL ? (struct span){NULL, 0} : text_span(&row->name);
}

static enum err memory_usage_list(struct store *s, const struct store_usage_filter *filter,
                                  store_on_usage *on_usage, void *context)
{
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < of(s)->now.usage.count; i++) {
        const struct usage_row *row = usage_at(s, i);
        struct store_usage sums = row->sums;
        sums.key_id = text_span(&row->key_id);
        sums.model = text_span(&row->model);
        sums.upstream = text_span(&row->upstream);
        sums.key_name = name_of_key(s, sums.key_id);
        e = is_wanted(&sums, filter) ? on_usage(context, &sums) : ERR_OK;
    }
    return e;
}

static struct call_row *call_at(struct store *s, size_t i)
{
    return (struct call_row *)(void *)of(s)->now.calls.at + i;
}

/* Index of the open call of this id, or the count if there is none. */
static size_t call_index(struct store *s, const uint8_t id[STORE_CALL_ID_BYTES])
{
    size_t i = 0;
    while (i < of(s)->now.calls.count &&
           memcmp(call_at(s, i)->call.id, id, STORE_CALL_ID_BYTES) != 0) {
        i++;
    }
    return i;
}

static enum err memory_open_call_put(struct store *s, const struct store_open_call *call)
{
    struct rows *calls = &of(s)->now.calls;
    size_t i = call_index(s, call->id);
    if (i < calls->count) {
        rows_remove(calls, i, sizeof(struct call_row));
    }
    for (i = calls->count; i > 0 && call_at(s, i - 1)->call.sequence > call->sequence; i--) {
    }
    struct call_row *row = rows_insert(calls, i, sizeof(*row));
    if (row == NULL) {
        return ERR_NO_MEMORY;
    }
    *row = (struct call_row){.call = *call,
                             .key_id = text_of(call->key_id),
                             .model = text_of(call->model),
                             .upstream = text_of(call->upstream)};
    return ERR_OK;
}

static struct store_open_call call_out(const struct call_row *row)
{
    struct store_open_call call = row->call;
    call.key_id = text_span(&row->key_id);
    call.model = text_span(&row->model);
    call.upstream = text_span(&row->upstream);
    return call;
}

static enum err memory_open_call_take(struct store *s, const uint8_t id[STORE_CALL_ID_BYTES],
                                      struct store_open_call *out)
{
    size_t i = call_index(s, id);
    if (i == of(s)->now.calls.count) {
        return ERR_NOT_FOUND_ROW;
    }
    of(s)->taken = *call_at(s, i);
    rows_remove(&of(s)->now.calls, i, sizeof(struct call_row));
    *out = call_out(&of(s)->taken);
    return ERR_OK;
}

static enum err memory_open_call_list(struct store *s, store_on_open_call *on_open_call,
                                      void *context)
{
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < of(s)->now.calls.count; i++) {
        struct store_open_call call = call_out(call_at(s, i));
        e = on_open_call(context, &call);
    }
    return e;
}

static enum err memory_sequence_set(struct store *s, uint64_t sequence)
{
    of(s)->now.sequence = sequence;
    return ERR_OK;
}

static enum err memory_sequence(struct store *s, uint64_t *out)
{
    *out = of(s)->now.sequence;
    return ERR_OK;
}

const struct store_driver store_memory_driver = {
    .name = "memory",
    .open = memory_open,
    .look = memory_look,
    .close = memory_close,
    .begin = memory_begin,
    .commit = memory_commit,
    .rollback = memory_rollback,
    .key_insert = memory_key_insert,
    .key_revoke = memory_key_revoke,
    .key_find = memory_key_find,
    .key_list = memory_key_list,
    .key_revision = memory_key_revision,
    .usage_add = memory_usage_add,
    .usage_list = memory_usage_list,
    .open_call_put = memory_open_call_put,
    .open_call_take = memory_open_call_take,
    .open_call_list = memory_open_call_list,
    .sequence_set = memory_sequence_set,
    .sequence = memory_sequence,
};
