/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_http_response.c — a head read whole and in pieces says the same, and what it says lies in
 * it.
 *
 * The first byte chooses where the head is cut in two, and whether it answers a HEAD request.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "fuzz_http.h"
#include "http/http_response.h"

#define ROWS_MAX 16

struct read {
    enum err e;
    size_t used;
    struct http_response r;
    struct http_field rows[ROWS_MAX];
};

static void begin(struct read *read, bool to_head)
{
    http_response_init(&read->r, 2048, to_head, read->rows, ROWS_MAX);
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
    read->e = http_response_parse(&read->r, (struct span){copy, len}, &read->used);
    http_response_moved(&read->r, head.at);
    free(copy);
}

static void same(const struct read *a, const struct read *b)
{
    CHECK(a->e == b->e && a->used == b->used);
    if (a->e != ERR_OK || a->used == 0) {
        return;
    }
    const struct http_response *x = &a->r, *y = &b->r;
    CHECK(x->status == y->status && x->minor == y->minor && x->keep_alive == y->keep_alive);
    CHECK(x->body.kind == y->body.kind && x->body.length == y->body.length);
    CHECK(x->reason.at == y->reason.at && x->reason.len == y->reason.len);
    CHECK(x->is_coded == y->is_coded);
    check_same_fields(&x->fields, &y->fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct span head = {data + 1, size - 1};
    bool to_head = (data[0] & 1) != 0;
    struct read whole, halves, bytes;
    begin(&whole, to_head);
    give(&whole, head, head.len);
    begin(&halves, to_head);
    give(&halves, head, head.len * data[0] / 255);
    give(&halves, head, head.len);
    same(&whole, &halves);
    begin(&bytes, to_head);
    for (size_t len = 0; len <= head.len; len++) {
        give(&bytes, head, len);
    }
    same(&whole, &bytes);
    if (whole.e == ERR_OK && whole.used > 0) {
        CHECK(whole.r.status >= 100 && whole.r.status <= 599);
        CHECK(memcmp(head.at + whole.used - 4, "\r\n\r\n", 4) == 0);
        CHECK(!to_head || whole.r.body.kind == HTTP_BODY_NONE);
        CHECK(whole.r.body.kind != HTTP_BODY_UNTIL_CLOSE || !whole.r.keep_alive);
    }
    return 0;
}
