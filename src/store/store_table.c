/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of store_tables.def as data, and what can be said of a row by them alone. The digest
 * is FNV-1a over all names, types and bounds: a file whose tables are others is never taken for
 * one of ours, whatever version it says.
 */
#include "store/store_table.h"

#include "base/arena.h"
#include "store/store_tables.h"

#define IS_SIGNED(type)      ((type)-1 < (type)1)
#define FIELD(name, field)   offsetof(struct store_##name, field)
#define F(name, field)       FIELD(name, field)
#define SIZE_OF(name, field) sizeof(((struct store_##name *)NULL)->field)
#define NAMED(row, in_sql, field, about) \
    .name = (in_sql), .meaning = (about), .offset = FIELD(row, field)
#define NUMBERED(name, in_sql, field, c_type, use, about)                                \
    {NAMED(name, in_sql, field, about), .size = SIZE_OF(name, field), .type = STORE_INT, \
     .role = (use), .is_signed = IS_SIGNED(c_type)},

// clang-format off
#define TABLE(name, ...) static const struct store_column columns_of_##name[] = {
#define TEXT(name, field, min, max, about) \
    {NAMED(name, #field, field, about), .least = (min), .most = (max), .type = STORE_TEXT},
#define BLOB(name, field, max, about) \
    {NAMED(name, #field, field, about), .most = (max), .type = STORE_BLOB},
#define BYTES(name, field, bytes, about) \
    {NAMED(name, #field, field, about), .size = (bytes), .type = STORE_BYTES},
#define INT(name, field, c_type, about) NUMBERED(name, #field, field, c_type, STORE_PLAIN, about)
#define TIME(name, field, about) \
    NUMBERED(name, #field "_us", field, int64_t, STORE_PLAIN, about)
#define SUM(name, field, about) NUMBERED(name, #field, field, int64_t, STORE_SUM, about)
#define NUMBER(name, about)     NUMBERED(name, "number", number, int64_t, STORE_NUMBER, about)
#define REVISION(name)                                        \
    NUMBERED(name, "revision", revision, uint64_t, STORE_REVISION, \
             "another after each change of the row, higher than any before")
#define END(name) };
#include "store/store_tables.def"

#define TABLE(name, ...) static const struct store_index indexes_of_##name[] = {
#define COUNT_OF(...)    (sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t))
#define INDEX(table, id, ...) \
    {.name = #id, .fields = {__VA_ARGS__}, .count = COUNT_OF(__VA_ARGS__)},
#define END(name) };
#include "store/store_tables.def"

static const struct store_table all[] = {
#define TABLE(row, id, in_sql, about)                                                    \
    [STORE_TABLE_##id] = {.name = (in_sql), .meaning = (about), .columns = columns_of_##row, \
        .count = sizeof(columns_of_##row) / sizeof(columns_of_##row[0]),                 \
        .indexes = indexes_of_##row,                                                     \
        .index_count = sizeof(indexes_of_##row) / sizeof(indexes_of_##row[0]),           \
        .row_size = sizeof(struct store_##row), .damaged = FIELD(row, is_damaged)},
#include "store/store_tables.def"
};
// clang-format on

const struct store_tables store_tables = {all, STORE_TABLE_COUNT};

const struct store_column *store_table_column(const struct store_table *t, size_t offset)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->columns[i].offset == offset) {
            return &t->columns[i];
        }
    }
    NEVER("an index names fields of its own table");
}

const struct store_column *store_table_find_role(const struct store_table *t, enum store_role role)
{
    size_t i = 0;
    while (i < t->count && t->columns[i].role != role) {
        i++;
    }
    return i < t->count ? &t->columns[i] : NULL;
}

bool store_table_is_key(const struct store_table *t, const struct store_column *c)
{
    for (size_t i = 0; i < t->indexes[0].count; i++) {
        if (t->indexes[0].fields[i] == c->offset) {
            return true;
        }
    }
    return false;
}

static uint64_t mix(uint64_t digest, struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        digest = (digest ^ s.at[i]) * UINT64_C(0x100000001b3);
    }
    return (digest ^ 0xff) * UINT64_C(0x100000001b3); /* a byte that is in no text of ours */
}

static uint64_t mix_number(uint64_t digest, uint64_t number)
{
    uint8_t bytes[8];
    memcpy(bytes, &number, sizeof(bytes));
    return mix(digest, span_make(bytes, sizeof(bytes)));
}

static uint64_t mix_table(uint64_t digest, const struct store_table *t)
{
    digest = mix(digest, span_of(t->name));
    for (size_t i = 0; i < t->count; i++) {
        const struct store_column *c = &t->columns[i];
        digest = mix(digest, span_of(c->name));
        digest = mix_number(digest, (uint64_t)c->type * 8 + (uint64_t)c->role);
        digest = mix_number(digest, c->size);
    }
    for (size_t i = 0; i < t->index_count; i++) {
        for (size_t f = 0; f < t->indexes[i].count; f++) {
            digest = mix(digest, span_of(store_table_column(t, t->indexes[i].fields[f])->name));
        }
        digest = mix_number(digest, i);
    }
    return digest;
}

uint64_t store_tables_digest(const struct store_tables *tables)
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < tables->count; i++) {
        digest = mix_table(digest, &tables->at[i]);
    }
    digest &= INT64_MAX;
    return digest == 0 ? 1 : digest;
}

/* ---- fields ---- */

static const uint8_t *field_of(const struct store_column *c, const void *row)
{
    return (const uint8_t *)row + c->offset;
}

int64_t store_field_int(const struct store_column *c, const void *row)
{
    const uint8_t *at = field_of(c, row);
    uint64_t bits = 0;
    memcpy(&bits, at, c->size); /* the least byte is first */
    unsigned shift = 64 - 8 * (unsigned)c->size;
    return c->is_signed ? (int64_t)(bits << shift) >> shift : (int64_t)bits;
}

/* The largest number that a field of so many bytes holds, by its size. */
static const int64_t largest[] = {
    [1] = UINT8_MAX, [2] = UINT16_MAX, [4] = UINT32_MAX, [8] = INT64_MAX};

bool store_field_put_int(const struct store_column *c, void *row, int64_t value)
{
    uint8_t *at = (uint8_t *)row + c->offset;
    if (LIKELY(c->size == 8)) { /* a million rows are read at a start */
        memcpy(at, &value, 8);
    } else {
        memcpy(at, &value, c->size); /* as above */
    }
    return c->is_signed ? c->size == 8 || store_field_int(c, row) == value
                        : value >= 0 && value <= largest[c->size];
}

struct span store_field_bytes(const struct store_column *c, const void *row)
{
    struct span bytes;
    if (c->type == STORE_BYTES) {
        return span_make(field_of(c, row), c->size);
    }
    memcpy(&bytes, field_of(c, row), sizeof(bytes));
    return bytes;
}

bool store_field_put_bytes_borrow(const struct store_column *c, void *row, struct span bytes)
{
    uint8_t *at = (uint8_t *)row + c->offset;
    if (c->type == STORE_BYTES) {
        bool fits = bytes.len == c->size;
        memset(at, 0, c->size);
        if (fits) {
            memcpy(at, bytes.at, c->size);
        }
        return fits;
    }
    struct span kept = span_cut(bytes, 0, c->most);
    memcpy(at, &kept, sizeof(kept));
    return bytes.len >= c->least && bytes.len <= c->most;
}

/* ---- rows ---- */

static bool is_valid(const struct store_column *c, const void *row)
{
    if (c->type == STORE_INT) {
        return c->is_signed || store_field_int(c, row) >= 0;
    }
    struct span bytes = store_field_bytes(c, row);
    if (c->type == STORE_BYTES) {
        return true;
    }
    return bytes.len >= c->least && bytes.len <= c->most &&
           (c->type == STORE_BLOB || bytes.len == 0 || memchr(bytes.at, '\0', bytes.len) == NULL);
}

enum err store_row_check(const struct store_table *t, const void *row, bool key_only)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct store_column *c = &t->columns[i];
        if ((!key_only || store_table_is_key(t, c)) && !is_valid(c, row)) {
            return ERR_VALUE_INVALID;
        }
    }
    return ERR_OK;
}

static int compare_bytes(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_field(const struct store_column *c, const void *a, const void *b)
{
    if (c->type != STORE_INT) {
        return compare_bytes(store_field_bytes(c, a), store_field_bytes(c, b));
    }
    int64_t x = store_field_int(c, a);
    int64_t y = store_field_int(c, b);
    return (x > y) - (x < y);
}

int store_row_compare(const struct store_index *x, const struct store_table *t, const void *a,
                      const void *b)
{
    int order = 0;
    for (size_t i = 0; order == 0 && i < x->count; i++) {
        order = compare_field(store_table_column(t, x->fields[i]), a, b);
    }
    return order;
}

static bool is_apart(const struct store_column *c)
{
    return c->type == STORE_TEXT || c->type == STORE_BLOB;
}

size_t store_row_bytes(const struct store_table *t, const void *row)
{
    size_t bytes = 0;
    for (size_t i = 0; i < t->count; i++) {
        bytes += is_apart(&t->columns[i]) ? store_field_bytes(&t->columns[i], row).len : 0;
    }
    return bytes;
}

void store_row_move(const struct store_table *t, void *row, uint8_t *room)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct store_column *c = &t->columns[i];
        struct span bytes = is_apart(c) ? store_field_bytes(c, row) : (struct span){NULL, 0};
        if (bytes.len > 0) {
            memcpy(room, bytes.at, bytes.len);
            bytes.at = room;
            memcpy((uint8_t *)row + c->offset, &bytes, sizeof(bytes));
            room += bytes.len;
        }
    }
}

enum err store_row_keep(enum store_table_id table, void *row, struct arena *arena)
{
    const struct store_table *t = &store_tables.at[table];
    uint8_t *room = arena_alloc(arena, store_row_bytes(t, row) + 1);
    if (room == NULL) {
        return arena_error(arena);
    }
    store_row_move(t, row, room);
    return ERR_OK;
}

size_t store_row_size(enum store_table_id table)
{
    return store_tables.at[table].row_size;
}
