/* SPDX-License-Identifier: Apache-2.0 */
/* What usage needs beyond its table: hours, a bound on invented names, how far the journal came. */
#include "store/store_usage.h"

#include "base/memory.h"

#define JOURNAL_SEQUENCE "journal_sequence"
#define JOURNAL_ORIGIN   "journal_origin"
#define HOUR_US          INT64_C(3600000000)

int32_t store_hour(wall_us at)
{
    int64_t hour = at.us / HOUR_US;
    return (int32_t)(at.us < 0 ? 0 : hour < STORE_HOUR_MAX ? hour : STORE_HOUR_MAX);
}

int32_t store_day_hour(int32_t hour)
{
    int32_t over = hour % STORE_DAY_HOURS;
    return hour - (over < 0 ? over + STORE_DAY_HOURS : over);
}

/* ---- sums ---- */

struct names {
    const struct store_usage *sums;
    size_t count; /* models of the team, hour and key of `sums` that have rows */
    uint8_t last[STORE_TEXT_MAX];
    size_t last_len; /* of the row before: rows of a model follow one another */
};

static enum err on_name(void *context, const void *given)
{
    struct names *n = context;
    const struct store_usage *row = given;
    if (row->hour != n->sums->hour || !span_equal(row->team, n->sums->team) ||
        !span_equal(row->key_id, n->sums->key_id)) {
        return ERR_NOT_FOUND_ROW; /* no more of them */
    }
    bool is_again = n->count > 0 && span_equal(row->model, span_make(n->last, n->last_len));
    if (!is_again && !span_is(row->model, STORE_USAGE_OTHER_NAMES)) {
        n->count++;
        n->last_len = row->model.len;
        memmove(n->last, row->model.len == 0 ? n->last : row->model.at, row->model.len);
    }
    return n->count < STORE_USAGE_NAMES_MAX ? ERR_OK : ERR_NOT_FOUND_ROW;
}

/* Puts the sums under the model that they go to: their own if it has a row or may get one. */
static enum err choose_model(struct store *s, struct store_usage *sums)
{
    const struct store_usage first = {
        .hour = sums->hour, .team = sums->team, .key_id = sums->key_id};
    const struct store_page page = {.from = &first, .limit = INT64_MAX};
    struct store_usage there = *sums;
    struct names names = {.sums = sums};
    enum err e = store_usage_get(s, &there);
    if (e != ERR_NOT_FOUND_ROW) {
        return e;
    }
    e = store_usage_page(s, STORE_INDEX_USAGE_BY_TEAM, &page, on_name, &names);
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
