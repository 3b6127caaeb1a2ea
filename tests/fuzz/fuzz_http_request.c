/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_http_request.c — a head read whole and in pieces says the same, and what it says lies in it.
 *
 * The first byte chooses where the head is cut in two.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "fuzz_http.h"
#include "http/http_request.h"
#include "http/http_target.h"

#define ROWS_MAX 16

struct read {
    enum err e;
    size_t used;
    struct http_request r;
    struct http_field rows[ROWS_MAX];
};

static const struct http_limits limits = {.head_bytes = 2048, .target_bytes = 256};

static void begin(struct read *read)
{
    http_request_init(&read->r, &limits, read->rows, ROWS_MAX);
    read->e = ERR_OK;
    read->used = 0;
}

/* Gives the first `len` bytes from memory of their own, moved each time. */
static void give(struct read *read, struct span head, size_t len)
{
    if (read->e != ERR_OK || read->used > 0) {
        return;
    }
    uint8_t *copy = malloc(len);
    if (len > 0) {
        memcpy(copy, head.at, len);
    }
    read->e = http_request_parse(&read->r, (struct span){copy, len}, &read->used);
    http_request_moved(&read->r, head.at);
    free(copy);
}

static void same(const struct read *a, const struct read *b)
{
    CHECK(a->e == b->e && a->used == b->used);
    if (a->e != ERR_OK || a->used == 0) {
        return;
    }
    const struct http_request *x = &a->r, *y = &b->r;
    CHECK(x->method == y->method && x->minor == y->minor && x->keep_alive == y->keep_alive);
    CHECK(x->expect_continue == y->expect_continue && x->is_coded == y->is_coded);
    CHECK(x->body.kind == y->body.kind && x->body.length == y->body.length);
    CHECK(span_equal(http_request_path(x), http_request_path(y)));
    CHECK(span_equal(http_request_query(x), http_request_query(y)));
    CHECK(span_equal(http_request_host(x), http_request_host(y)));
    check_same_fields(&x->fields, &y->fields);
}

/* What must be true of every head that is taken. */
static void judge(const struct read *read)
{
    const struct http_request *r = &read->r;
    struct span head = {r->fields.base, read->used};
    CHECK(memcmp(head.at + head.len - 4, "\r\n\r\n", 4) == 0);
    CHECK(span_find(head, 0, 0) == head.len);
    for (size_t lf = span_find(head, '\n', 0); lf < head.len; lf = span_find(head, '\n', lf + 1)) {
        CHECK(head.at[lf - 1] == '\r');
    }
    CHECK(r->body.kind != HTTP_BODY_UNTIL_CLOSE);
    CHECK(r->minor == 0 || http_request_host(r).len > 0);
    for (uint32_t i = 0; i < r->fields.count; i++) {
        struct span name = http_field_name(&r->fields, i);
        struct span value = http_field_value(&r->fields, i);
        CHECK(name.len > 0 && name.at >= head.at && name.at + name.len < value.at);
        CHECK(value.at + value.len < head.at + head.len);
        CHECK(span_find(value, '\r', 0) == value.len);
        (void)http_field_may_pass(&r->fields, i); /* reads within bounds */
    }
}

static void decode_target(const struct http_request *r)
{
    struct span path = http_request_path(r);
    struct span query = http_request_query(r);
    struct span name;
    uint8_t *room = malloc(path.len + query.len + 1);
    if (http_target_decode(span_cut(path, 1, path.len), room, &name) == ERR_OK) {
        CHECK(name.len > 0 && span_find(name, 0, 0) == name.len);
    }
    if (http_target_param(query, SPAN("a"), &name) &&
        http_target_decode_param(name, room, &name) == ERR_OK) {
        CHECK(name.len <= query.len);
    }
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct span head = {data + 1, size - 1};
    size_t cut = head.len * data[0] / 255;
    struct read whole, halves, bytes;
    begin(&whole);
    give(&whole, head, head.len);
    begin(&halves);
    give(&halves, head, cut);
    give(&halves, head, head.len);
    same(&whole, &halves);
    begin(&bytes);
    for (size_t len = 0; len <= head.len; len++) {
        give(&bytes, head, len);
    }
    same(&whole, &bytes);
    if (whole.e == ERR_OK && whole.used > 0) {
        judge(&whole);
        decode_target(&whole.r);
    }
    return 0;
}
