/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_json.c — json_index.h and json_value.h against simdjson's DOM: both accept or both reject,
 * and both read the same values.
 *
 * Differences that are allowed, each because simdjson makes values where the index only finds them:
 *   numbers   simdjson refuses whole numbers beyond 64 bits and doubles beyond the largest
 *   strings   simdjson refuses some halves of surrogate pairs and lets others through as bytes
 *             that are no UTF-8; the index accepts them and counts them
 *   depth     simdjson stops at 1,024 containers, the index at what it was given
 */
#include "fuzz.h"

#include <stdlib.h>

#include "base/buf.h"
#include "json_oracle.h"
#include "json/json_value.h"

#define MAX_DEPTH 1024

/* What our side saw that may explain a difference. */
struct seen {
    bool odd_number;
    bool half_pair;
};

static void put(void *ctx, char kind, const void *at, size_t len)
{
    struct buf *out = ctx;
    uint32_t size = (uint32_t)len;
    buf_put_byte(out, (uint8_t)kind);
    buf_put(out, span_make(&size, sizeof(size)));
    buf_put(out, span_make(at, len));
}

static void put_number(const struct json_index *x, uint32_t row, struct buf *out, struct seen *seen)
{
    int64_t whole;
    uint64_t large;
    double number;
    bool fraction = (json_row(x, row)->flags & JSON_FRACTION) != 0;
    if (!fraction && json_int64(x, row, &whole) == ERR_OK) {
        put(out, 'I', &whole, sizeof(whole));
    } else if (!fraction && span_to_u64(json_source(x, row), UINT64_MAX, &large)) {
        put(out, 'U', &large, sizeof(large));
    } else if (fraction && json_double(x, row, &number) == ERR_OK) {
        put(out, 'D', &number, sizeof(number));
    } else {
        seen->odd_number = true;
    }
}

static void put_text(const struct json_index *x, uint32_t row, struct buf *out, struct seen *seen)
{
    size_t most = json_inside(x, row).len;
    uint8_t *text = malloc(most);
    size_t halves;
    size_t len = json_unescape(x, row, text, &halves);
    CHECK(len <= most);
    CHECK(json_text_is(x, row, span_make(text, len)) == (halves == 0));
    seen->half_pair |= halves != 0;
    put(out, json_kind(x, row) == JSON_KEY ? 'K' : 'S', text, len);
    free(text);
}

static void put_value(const struct json_index *x, uint32_t row, struct buf *out, struct seen *seen)
{
    switch (json_kind(x, row)) {
    case JSON_NUMBER:
        put_number(x, row, out, seen);
        break;
    case JSON_KEY:
    case JSON_STRING:
        put_text(x, row, out, seen);
        break;
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
    case JSON_ARRAY:
    case JSON_OBJECT:
        put(out, "nft   AO"[json_kind(x, row)], NULL, 0);
        break;
    }
}

/* Puts all values as the oracle tells them. */
static void draw(const struct json_index *x, struct buf *out, struct seen *seen)
{
    uint32_t open[MAX_DEPTH];
    uint32_t depth = 0;
    for (uint32_t row = 0; row <= x->count; row++) {
        while (depth > 0 && json_row(x, open[depth - 1])->next == row) {
            depth--;
            put(out, json_kind(x, open[depth]) == JSON_ARRAY ? 'a' : 'o', NULL, 0);
        }
        if (row == x->count) {
            break;
        }
        CHECK(json_row(x, row)->depth == depth);
        put_value(x, row, out, seen);
        if (json_kind(x, row) >= JSON_ARRAY) {
            open[depth++] = row;
        }
    }
    CHECK(depth == 0);
}

/* Every pair of keys compared: slow and plain. */
static bool has_duplicate(const struct json_index *x, uint32_t object)
{
    uint8_t one[64], two[64];
    for (uint32_t a = json_first(x, object); a != JSON_NONE; a = json_next(x, a)) {
        for (uint32_t b = json_next(x, a); b != JSON_NONE; b = json_next(x, b)) {
            if (json_row(x, a)->len > sizeof(one) || json_row(x, b)->len > sizeof(two)) {
                continue;
            }
            if (span_equal(span_make(one, json_unescape(x, a, one, NULL)),
                           span_make(two, json_unescape(x, b, two, NULL)))) {
                return true;
            }
        }
    }
    return false;
}

static void compare_duplicates(const struct json_index *x)
{
    for (uint32_t row = 0; row < x->count && row < 64; row++) {
        uint32_t key;
        CHECK(json_first_duplicate(x, row, &key) == ERR_OK);
        if (json_kind(x, row) == JSON_OBJECT && json_count(x, row) < 64) {
            CHECK(key != JSON_NONE || !has_duplicate(x, row));
        } else if (json_kind(x, row) != JSON_OBJECT) {
            CHECK(key == JSON_NONE);
        }
    }
}

static void compare(enum oracle_verdict verdict, enum err e, struct seen seen, struct span theirs,
                    struct span ours)
{
    switch (verdict) {
    case ORACLE_ACCEPTS:
        CHECK(e == ERR_OK);
        CHECK(seen.half_pair || seen.odd_number || span_equal(theirs, ours));
        break;
    case ORACLE_REJECTS:
        CHECK(e != ERR_OK);
        break;
    case ORACLE_NUMBER:
        CHECK(e != ERR_OK || seen.odd_number);
        break;
    case ORACLE_STRING:
        CHECK(e != ERR_OK || seen.half_pair);
        break;
    case ORACLE_DEPTH:
        CHECK(e != ERR_OK);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_index x;
    struct buf theirs, ours;
    struct seen seen = {false, false};
    json_index_init(&x, UINT32_MAX, MAX_DEPTH);
    buf_init(&theirs, SIZE_MAX / 2);
    buf_init(&ours, SIZE_MAX / 2);
    enum oracle_verdict verdict = json_oracle(data, size, put, &theirs);
    enum err e = json_index_parse_borrow(&x, span_make(data, size));
    if (e == ERR_OK) {
        draw(&x, &ours, &seen);
        compare_duplicates(&x);
    } else {
        CHECK(x.count == 0 && x.error_at <= size);
    }
    compare(verdict, e, seen, buf_span(&theirs), buf_span(&ours));
    buf_fini(&theirs);
    buf_fini(&ours);
    json_index_fini(&x);
    return 0;
}
