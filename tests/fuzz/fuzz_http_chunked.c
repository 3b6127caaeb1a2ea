/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_http_chunked.c — a chunked body decoded whole and in pieces is the same, and what is decoded
 * and chunked anew decodes to itself.
 *
 * The first byte chooses the size of the pieces.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "fuzz.h"
#include "http/http_chunked.h"

struct body {
    struct http_chunked c;
    enum err e;
    struct buf bytes;
    size_t used;
};

static void begin(struct body *body)
{
    http_chunked_init(&body->c);
    buf_init(&body->bytes, SIZE_MAX / 2);
    body->e = ERR_OK;
    body->used = 0;
}

static void feed(struct body *body, struct span in)
{
    while (in.len > 0 && body->e == ERR_OK && !http_chunked_is_done(&body->c)) {
        size_t used = 0;
        struct span piece;
        body->e = http_chunked_feed(&body->c, in, &used, &piece);
        if (body->e == ERR_OK) {
            CHECK(used > 0 && used <= in.len && piece.len <= used);
            CHECK(piece.len == 0 || piece.at + piece.len == in.at + used);
            buf_put(&body->bytes, piece);
            body->used += used;
            in = span_cut(in, used, in.len);
        }
    }
}

static void feed_in_pieces(struct body *body, struct span in, size_t size)
{
    for (size_t at = 0; at < in.len; at += size) {
        struct span piece = span_cut(in, at, size);
        uint8_t *copy = malloc(piece.len); /* so that reading past it is found */
        memcpy(copy, piece.at, piece.len);
        feed(body, (struct span){copy, piece.len});
        free(copy);
    }
}

/* Chunks the body anew and decodes that. */
static void round_trip(struct span bytes, size_t size)
{
    struct buf chunked;
    struct body again;
    buf_init(&chunked, SIZE_MAX / 2);
    for (size_t at = 0; at < bytes.len; at += size) {
        char line[HTTP_CHUNK_SIZE_BYTES];
        struct span piece = span_cut(bytes, at, size);
        buf_put(&chunked, span_make(line, http_chunk_write(piece.len, line)));
        buf_put(&chunked, piece);
        buf_put(&chunked, SPAN("\r\n"));
    }
    buf_put(&chunked, SPAN(HTTP_CHUNKED_END));
    begin(&again);
    feed(&again, buf_span(&chunked));
    CHECK(again.e == ERR_OK && http_chunked_is_done(&again.c));
    CHECK(again.used == buf_span(&chunked).len);
    CHECK(span_equal(buf_span(&again.bytes), bytes));
    buf_fini(&again.bytes);
    buf_fini(&chunked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct span in = {data + 1, size - 1};
    struct body whole, pieces;
    begin(&whole);
    feed(&whole, in);
    begin(&pieces);
    feed_in_pieces(&pieces, in, 1 + data[0] % 32u);
    CHECK(whole.e == pieces.e);
    CHECK(http_chunked_is_done(&whole.c) == http_chunked_is_done(&pieces.c));
    if (whole.e == ERR_OK) {
        CHECK(whole.used == pieces.used);
        CHECK(span_equal(buf_span(&whole.bytes), buf_span(&pieces.bytes)));
        round_trip(buf_span(&whole.bytes), 1 + data[0]);
    }
    buf_fini(&whole.bytes);
    buf_fini(&pieces.bytes);
    return 0;
}
