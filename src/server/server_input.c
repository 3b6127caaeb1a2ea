/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read goes into the server's inbox, which is large, shared, and empty again when the run of the
 * connection ends: a usual request is parsed and its body handed out right there, and only its
 * head's bytes are copied, once, behind the fields of the exchange. What is left at the end of the
 * run is kept in the connection's own buffer, which is freed as soon as it is empty.
 */
#include "base/counter.h"
#include "base/memory.h"
#include "server/server_internal.h"

#define HEAD_READ_BYTES 2048 /* read at once behind the part of a head that is kept */

static void consume(struct server_connection *c, size_t count)
{
    if (c->fresh.len > 0) {
        c->fresh = span_cut(c->fresh, count, c->fresh.len);
        return;
    }
    buf_consume(&c->in, count);
    if (buf_span(&c->in).len == 0) {
        memory_give(c->in.cap);
        buf_fini(&c->in);
    }
}

/* Makes room for `more` bytes in the connection's own buffer. */
static uint8_t *reserve(struct server_connection *c, size_t more)
{
    size_t had = c->in.cap;
    uint8_t *to = buf_reserve(&c->in, more);
    if (c->in.cap > had && !memory_take(c->in.cap - had)) {
        memory_give(had);
        buf_fini(&c->in);
        c->in.failed = true;
        return NULL;
    }
    return to;
}

/* Keeps bytes for later. Without memory the connection cannot go on. */
static void keep(struct server_connection *c, struct span bytes)
{
    uint8_t *to = bytes.len == 0 ? NULL : reserve(c, bytes.len);
    if (to != NULL) {
        memcpy(to, bytes.at, bytes.len);
        buf_added(&c->in, bytes.len);
    } else if (bytes.len > 0) {
        c->broken = true;
        net_loop_defer(c->server->loop, &c->task);
    }
}

void server_input_stash(struct server_connection *c)
{
    struct span fresh = c->fresh;
    c->fresh = (struct span){NULL, 0};
    keep(c, fresh);
}

/* One read; notes whether another may find more. */
static enum net_result read_raw(struct server_connection *c, void *to, size_t size, size_t *got)
{
    enum net_result r = net_read(c->socket, to, size, got);
    c->readable = r == NET_OK && *got == size;
    if (r == NET_OK) {
        c->unwanted = false;
        counter_add(COUNT_BYTES_IN, (int64_t)*got);
    } else if (r != NET_AGAIN) {
        c->hung_up = true;
    }
    return r;
}

enum net_result server_input_fill(struct server_connection *c)
{
    CHECK(c->may_call);
    server_input_stash(c);
    size_t got;
    if (buf_span(&c->in).len == 0) {
        enum net_result r = read_raw(c, c->server->inbox, SERVER_INBOX_BYTES, &got);
        if (r == NET_OK) {
            c->fresh = span_make(c->server->inbox, got);
        }
        return r;
    }
    uint8_t *to = reserve(c, HEAD_READ_BYTES);
    if (to == NULL) {
        return NET_FAILED;
    }
    enum net_result r = read_raw(c, to, HEAD_READ_BYTES, &got);
    if (r == NET_OK) {
        buf_added(&c->in, got);
    }
    return r;
}

static size_t head_size(size_t fields)
{
    return sizeof(struct server_head) + fields * sizeof(struct http_field);
}

/* Copies what was parsed, with room for `fields` rows and `bytes` behind them. */
static struct server_head *copy_head(const struct server_head *h, size_t fields, size_t bytes)
{
    struct server_head *copy = memory_raw(head_size(fields) + bytes);
    if (copy != NULL) {
        memcpy(copy, h, head_size(h->request.fields.count));
        copy->request.fields.rows = copy->rows;
    }
    return copy;
}

/* The head of `used` bytes is whole: the exchange gets its own copy. */
static enum err begin_exchange(struct server_connection *c, const struct server_head *parsed,
                               size_t used)
{
    size_t count = parsed->request.fields.count;
    struct server_head *head = copy_head(parsed, count, used);
    if (head == NULL) {
        return ERR_NO_MEMORY;
    }
    uint8_t *bytes = (uint8_t *)head + head_size(count);
    memcpy(bytes, server_input_held(c).at, used);
    http_request_moved(&head->request, bytes);
    consume(c, used);
    const struct http_request *r = &head->request;
    c->exchange = (struct exchange){.head = head,
                                    .started = net_loop_now(c->server->loop),
                                    .expects = r->expect_continue && r->minor > 0};
    c->body.kind = r->body.kind;
    c->body.left = r->body.length;
    c->body.ended =
        r->body.kind == HTTP_BODY_NONE || (r->body.kind == HTTP_BODY_LENGTH && r->body.length == 0);
    c->body.pulled = false;
    c->body.decoded = c->body.received = 0;
    c->body.waited_us = 0;
    http_chunked_init(&c->body.chunked);
    return ERR_OK;
}

enum err server_input_head(struct server_connection *c, bool *whole)
{
    struct server *s = c->server;
    struct server_head *h = c->partial;
    uint32_t rows = s->settings.fields_max < SERVER_FIELDS_MOST ? (uint32_t)s->settings.fields_max
                                                                : SERVER_FIELDS_MOST;
    if (h == NULL) {
        struct http_limits limits = {.head_bytes = (uint32_t)s->settings.head_bytes_max,
                                     .target_bytes = (uint32_t)s->settings.target_bytes_max};
        h = s->head;
        http_request_init(&h->request, &limits, h->rows, rows);
    }
    size_t used;
    enum err e = http_request_parse(&h->request, server_input_held(c), &used);
    c->to_head = h->request.method == HTTP_HEAD;
    *whole = e == ERR_OK && used > 0;
    if (*whole) {
        e = begin_exchange(c, h, used);
    } else if (e == ERR_OK && c->partial == NULL) {
        c->partial = copy_head(h, rows, 0);
        return c->partial == NULL ? ERR_NO_MEMORY : ERR_OK;
    }
    if (*whole || e != ERR_OK) {
        memory_free(c->partial);
        c->partial = NULL;
    }
    return e;
}

static enum err err_of_read(enum net_result r)
{
    return r == NET_OK || r == NET_AGAIN ? ERR_OK
           : r == NET_EOF                ? ERR_HTTP_BODY_CUT
                                         : ERR_CLIENT_GONE;
}

static enum err body_by_length(struct server_connection *c, uint8_t *to, size_t size, size_t *got)
{
    size_t want = size < c->body.left ? size : (size_t)c->body.left;
    struct span held = span_cut(server_input_held(c), 0, want);
    if (held.len > 0) {
        memcpy(to, held.at, held.len);
        consume(c, held.len);
    }
    size_t more = 0;
    if (held.len < want && c->readable) {
        enum err e = err_of_read(read_raw(c, to + held.len, want - held.len, &more));
        if (e != ERR_OK) {
            return e;
        }
    }
    *got = held.len + more;
    c->body.left -= *got;
    c->body.received += *got;
    c->body.ended = c->body.left == 0;
    return ERR_OK;
}

/* Decodes `in` to `to`, which has room for as much and may be the same bytes. */
static enum err decode(struct server_connection *c, struct span in, uint8_t *to, size_t *used,
                       size_t *got)
{
    struct http_chunked *chunked = &c->body.chunked;
    *used = *got = 0;
    while (*used < in.len && !http_chunked_is_done(chunked)) {
        size_t read;
        struct span data;
        enum err e = http_chunked_feed(chunked, span_cut(in, *used, in.len), &read, &data);
        if (e != ERR_OK) {
            return e;
        }
        if (data.len > 0) {
            memmove(to + *got, data.at, data.len);
        }
        *got += data.len;
        *used += read;
    }
    c->body.received += *used;
    c->body.ended = http_chunked_is_done(chunked);
    return ERR_OK;
}

static enum err body_by_chunks(struct server_connection *c, uint8_t *to, size_t size, size_t *got)
{
    size_t used;
    *got = 0;
    for (struct span held; *got < size && !c->body.ended;) {
        held = span_cut(server_input_held(c), 0, size - *got); /* never decodes to more */
        if (held.len == 0) {
            break;
        }
        size_t more;
        enum err e = decode(c, held, to + *got, &used, &more);
        if (e != ERR_OK) {
            return e;
        }
        consume(c, used);
        *got += more;
    }
    while (*got == 0 && !c->body.ended && c->readable && server_input_held(c).len == 0) {
        size_t raw = 0; /* what is behind the body has to fit into `in` */
        enum net_result r =
            read_raw(c, to, size < SERVER_INBOX_BYTES ? size : SERVER_INBOX_BYTES, &raw);
        if (r != NET_OK) {
            return err_of_read(r);
        }
        enum err e = decode(c, span_make(to, raw), to, &used, got);
        if (e != ERR_OK) {
            return e;
        }
        if (used < raw) {
            keep(c, span_make(to + used, raw - used));
        }
    }
    return ERR_OK;
}

enum err server_input_body(struct server_connection *c, void *to, size_t size, size_t *got)
{
    enum err e = c->body.kind == HTTP_BODY_CHUNKED ? body_by_chunks(c, to, size, got)
                                                   : body_by_length(c, to, size, got);
    if (e == ERR_OK) {
        c->body.decoded += *got;
    }
    return e;
}

enum net_result server_input_skip(struct server_connection *c, uint64_t most)
{
    uint8_t *trash = net_loop_scratch(c->server->loop);
    while (!c->body.ended) {
        uint64_t before = c->body.received;
        size_t got;
        if (c->dropped >= most || server_input_body(c, trash, SERVER_INBOX_BYTES, &got) != ERR_OK) {
            return NET_FAILED;
        }
        c->dropped += c->body.received - before;
        if (c->body.received == before) {
            return NET_AGAIN;
        }
    }
    return NET_OK;
}

enum net_result server_input_drop(struct server_connection *c, uint64_t most)
{
    size_t held = server_input_held(c).len;
    if (held > 0) {
        consume(c, held);
    }
    size_t got = 0;
    enum net_result r = NET_AGAIN;
    if (c->readable) {
        r = read_raw(c, net_loop_scratch(c->server->loop), NET_SCRATCH_BYTES, &got);
    }
    c->dropped += got;
    return r == NET_OK && c->dropped < most ? NET_AGAIN : r;
}

void server_input_fini(struct server_connection *c)
{
    c->fresh = (struct span){NULL, 0};
    memory_give(c->in.cap);
    buf_fini(&c->in);
    memory_free(c->partial);
    c->partial = NULL;
}
