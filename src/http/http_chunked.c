/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   SIZE ─digit→ SIZE_MORE ─CR→ SIZE_LF ─LF→ DATA → DATA_CR → DATA_LF → SIZE
 *                    │            │
 *                    └;→ EXT ─CR──┘     size 0: SIZE_LF ─LF→ TRAILER ─CR→ END_LF → DONE
 *                                                              ↑  └name→ TRAILER_NAME ─:→
 * TRAILER_VALUE └──LF── TRAILER_LF ←CR──────────┘
 */
#include "http/http_chunked.h"

#include "http/http_internal.h"

enum state {
    SIZE,
    SIZE_MORE,
    EXT,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    DONE,
    BROKEN
};

#define SIZE_MOST ((uint64_t)1 << 60)

void http_chunked_init(struct http_chunked *c)
{
    *c = (struct http_chunked){.state = SIZE};
}

bool http_chunked_is_done(const struct http_chunked *c)
{
    return c->state == DONE;
}

static bool is_text(uint8_t byte)
{
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

static unsigned hex_value(uint8_t byte)
{
    return byte <= '9' ? (unsigned)(byte - '0') : (unsigned)((byte | 0x20) - 'a' + 10);
}

/* One byte of a size line: the state it leads to. */
static enum state size_step(struct http_chunked *c, uint8_t byte)
{
    c->line_bytes++;
    if (c->line_bytes > HTTP_CHUNK_LINE_MAX) {
        return BROKEN;
    }
    if (http_is(byte, HTTP_IS_HEX)) {
        if (c->line_bytes > 16) {
            return BROKEN;
        }
        c->left = c->left << 4 | hex_value(byte);
        return c->left < SIZE_MOST ? SIZE_MORE : BROKEN;
    }
    if (c->state == SIZE) {
        return BROKEN;
    }
    return byte == '\r' ? SIZE_LF : byte == ';' ? EXT : BROKEN;
}

static enum state extension_step(struct http_chunked *c, uint8_t byte)
{
    c->line_bytes++;
    c->extension_bytes++;
    if (c->line_bytes > HTTP_CHUNK_LINE_MAX || c->extension_bytes > HTTP_CHUNK_EXTENSIONS_MAX) {
        return BROKEN;
    }
    return byte == '\r' ? SIZE_LF : is_text(byte) ? EXT : BROKEN;
}

static enum state trailer_step(struct http_chunked *c, uint8_t byte)
{
    c->trailer_bytes++;
    if (c->trailer_bytes > HTTP_CHUNK_TRAILERS_MAX) {
        return BROKEN;
    }
    if (c->state == TRAILER_VALUE) {
        return byte == '\r' ? TRAILER_LF : is_text(byte) ? TRAILER_VALUE : BROKEN;
    }
    if (c->state == TRAILER_NAME && byte == ':') {
        return TRAILER_VALUE;
    }
    if (c->state == TRAILER && byte == '\r') {
        return END_LF;
    }
    return http_is(byte, HTTP_IS_TOKEN) ? TRAILER_NAME : BROKEN;
}

/* What the LF of a size line leads to. */
static enum state after_size(struct http_chunked *c)
{
    c->line_bytes = 0;
    return c->left > 0 ? DATA : TRAILER;
}

/* One byte that is not of the body: the state it leads to. */
static enum state step(struct http_chunked *c, uint8_t byte)
{
    switch ((enum state)c->state) {
    case SIZE:
    case SIZE_MORE:
        return size_step(c, byte);
    case EXT:
        return extension_step(c, byte);
    case SIZE_LF:
        return byte == '\n' ? after_size(c) : BROKEN;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : BROKEN;
    case DATA_LF:
        return byte == '\n' ? SIZE : BROKEN;
    case TRAILER:
    case TRAILER_NAME:
    case TRAILER_VALUE:
        return trailer_step(c, byte);
    case TRAILER_LF:
        return byte == '\n' ? TRAILER : BROKEN;
    case END_LF:
        return byte == '\n' ? DONE : BROKEN;
    case DATA:
    case DONE:
    case BROKEN:
        break;
    }
    return BROKEN;
}

enum err http_chunked_feed(struct http_chunked *c, struct span in, size_t *used, struct span *data)
{
    size_t i = 0;
    while (i < in.len && c->state != DATA && c->state != DONE) {
        c->state = (uint8_t)step(c, in.at[i++]);
        if (c->state == BROKEN) {
            return ERR_HTTP_CHUNK;
        }
    }
    *data = (struct span){NULL, 0};
    if (c->state == DATA && i < in.len) {
        *data = span_cut(in, i, c->left < SIZE_MAX ? (size_t)c->left : SIZE_MAX);
        i += data->len;
        c->left -= data->len;
        c->state = c->left > 0 ? DATA : DATA_CR;
    }
    *used = i;
    return ERR_OK;
}

size_t http_chunk_write(uint64_t size, char out[HTTP_CHUNK_SIZE_BYTES])
{
    CHECK(size > 0);
    size_t digits = (size_t)(67 - __builtin_clzll(size)) / 4;
    for (size_t i = digits; i > 0; i--) {
        out[i - 1] = "0123456789abcdef"[size & 15];
        size >>= 4;
    }
    memcpy(out + digits, "\r\n", 3);
    return digits + 2;
}
