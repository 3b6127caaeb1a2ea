/* SPDX-License-Identifier: Apache-2.0 */
/* What usage needs beyond its table: a bound on invented names, days, and the keys' names. */
#include "store/store_usage.h"

#include "base/memory.h"

#define JOURNAL_SEQUENCE "journal_sequence"
#define JOURNAL_ORIGIN   "journal_origin"

int32_t store_day(wall_us at)
{
    const int64_t day_us = 86400 * (int64_t)1000000;
    int64_t day = at.us / day_us;
    return (int32_t)(at.us % day_us < 0 ? day - 1 : day);
}

/* ---- sums ---- */

struct names {
    const struct store_usage *sums;
    size_t count; /* models of the day, key and upstream of `sums` that have rows */
};

static enum err on_name(void *context, const void *given)
{
    struct names *n = context;
    const struct store_usage *row = given;
    if (row->day != n->sums->day || !span_equal(row->key_id, n->sums->key_id)) {
        return ERR_NOT_FOUND_ROW; /* no more of them */
    }
    n->count += span_equal(row->upstream, n->sums->upstream) &&
                !span_is(row->model, STORE_USAGE_OTHER_NAMES);
    return n->count < STORE_USAGE_NAMES_MAX ? ERR_OK : ERR_NOT_FOUND_ROW;
}

/* Puts the sums under the model that they go to: their own if it has a row or may get one. */
static enum err choose_model(struct store *s, struct store_usage *sums)
{
    const struct store_usage first = {.day = sums->day, .key_id = sums->key_id};
    const struct store_page page = {.from = &first, .limit = INT64_MAX};
    struct store_usage there = *sums;
    struct names names = {.sums = sums};
    enum err e = store_usage_get(s, &there);
    if (e != ERR_NOT_FOUND_ROW) {
        return e;
    }
    e = store_usage_page(s, STORE_INDEX_USAGE_BY_DAY, &page, on_name, &names);
    if (names.count >= STORE_USAGE_NAMES_MAX) {
        sums->model = SPAN(STORE_USAGE_OTHER_NAMES);
    }
    return e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
}

enum err store_usage_add(struct store *s, const struct store_usage *more)
{
    struct store_usage sums = *more;
    enum err e = choose_model(s, &sums);
    return e == ERR_OK ? store_row_add(s, STORE_TABLE_USAGE, &sums) : e;
}

struct lister {
    struct store *store;
    const struct store_usage_filter *filter;
    store_on_usage *on_usage;
    void *context;
    bool has_key; /* `key` is of the row before */
    struct store_key key;
    char id[STORE_TEXT_MAX];
};

/* The name of the key of this id; empty if there is none. Rows of one key follow one another. */
static enum err find_name(struct lister *l, struct span id, struct span *out)
{
    if (!l->has_key || !span_equal(l->key.id, id)) {
        CHECK(id.len <= sizeof(l->id));
        memcpy(l->id, id.len == 0 ? "" : (const char *)id.at, id.len);
        l->key = (struct store_key){.id = span_make(l->id, id.len)};
        enum err e = store_key_get(l->store, &l->key);
        l->key.id = span_make(l->id, id.len);
        if (e != ERR_OK && e != ERR_NOT_FOUND_ROW) {
            return e;
        }
        l->has_key = true;
    }
    *out = l->key.name;
    return ERR_OK;
}

static bool is_wanted(const struct store_usage *sums, const struct store_usage_filter *f)
{
    return (f->key_id.len == 0 || span_equal(f->key_id, sums->key_id)) &&
           (f->model.len == 0 || span_equal(f->model, sums->model));
}

/* What ends a page without having failed. */
#define ENOUGH ERR_NOT_FOUND_ROW

static enum err on_sums(void *context, const void *row)
{
    struct lister *l = context;
    const struct store_usage *sums = row;
    struct span name;
    if (sums->day > l->filter->last_day) {
        return ENOUGH;
    }
    if (!is_wanted(sums, l->filter)) {
        return ERR_OK;
    }
    enum err e = find_name(l, sums->key_id, &name);
    return e == ERR_OK ? l->on_usage(l->context, sums, name) : e;
}

enum err store_usage_list(struct store *s, const struct store_usage_filter *filter,
                          store_on_usage *on_usage, void *context)
{
    const struct store_usage first = {.day = filter->first_day};
    const struct store_page page = {.from = &first, .limit = INT64_MAX};
    struct lister lister = {.store = s, .filter = filter, .on_usage = on_usage, .context = context};
    enum err e = store_usage_page(s, STORE_INDEX_USAGE_BY_DAY, &page, on_sums, &lister);
    return e == ENOUGH ? ERR_OK : e;
}

/* ---- how far the journal has come ---- */

enum err store_journal_set(struct store *s, uint64_t sequence, const uint8_t head[STORE_HEAD_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * STORE_HEAD_BYTES];
    for (size_t i = 0; i < STORE_HEAD_BYTES; i++) {
        hex[2 * i] = digits[head[i] >> 4];
        hex[2 * i + 1] = digits[head[i] & 15];
    }
    struct store_meta row = {.name = SPAN(JOURNAL_SEQUENCE),
                             .number = (int64_t)sequence,
                             .text = span_make(hex, sizeof(hex))};
    return store_meta_put(s, &row);
}

enum err store_sequence(struct store *s, uint64_t *out)
{
    return store_number(s, JOURNAL_SEQUENCE, out);
}

/* What a hexadecimal digit is worth; 16 for what is none. */
static uint8_t value_of(char digit)
{
    bool is_letter = digit >= 'a' && digit <= 'f';
    if (!is_letter && (digit < '0' || digit > '9')) {
        return 16;
    }
    return (uint8_t)(is_letter ? digit - 'a' + 10 : digit - '0');
}

enum err store_journal_head(struct store *s, uint8_t out[STORE_HEAD_BYTES])
{
    char hex[STORE_TEXT_MAX + 1];
    enum err e = store_text(s, JOURNAL_SEQUENCE, hex);
    size_t len = e == ERR_OK ? strlen(hex) : 0;
    memset(out, 0, STORE_HEAD_BYTES);
    for (size_t i = 0; e == ERR_OK && i < len; i++) {
        uint8_t value = value_of(hex[i]);
        if (len != (size_t)2 * STORE_HEAD_BYTES || value > 15) {
            return ERR_STORE_CORRUPT;
        }
        out[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : out[i / 2] | value);
    }
    return e;
}

enum err store_origin(struct store *s, char out[STORE_TEXT_MAX + 1])
{
    return store_text(s, JOURNAL_ORIGIN, out);
}

enum err store_origin_set(struct store *s, struct span origin)
{
    return store_text_set(s, JOURNAL_ORIGIN, origin);
}
