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

#define HEAD_READ_BYTES 8192 /* read at once behind the part of a head that is kept */
#define HEAD_UNCOUNTED  4096 /* a usual head touches no counter that threads share */
#define ROWS_STEP       8    /* of a head that is kept */

/* ---- the connection's own buffer, counted by the length that it holds ---- */

static void give(struct server_connection *c, uint64_t bytes)
{
    if (bytes == 0) {
        return;
    }
    c->in_taken -= bytes;
    if (c->in_known) {
        memory_give(bytes);
    } else {
        memory_give_for_stranger(bytes);
    }
}

/* Who has a call that runs is known: the gateway refuses strangers at once. */
static bool take(struct server_connection *c, uint64_t bytes)
{
    if (c->in_taken == 0) {
        c->in_known = c->exchange.head != NULL;
    }
    bool there = c->in_known ? memory_take(bytes) : memory_take_for_stranger(bytes);
    c->in_taken += there ? bytes : 0;
    return there;
}

static void drop_in(struct server_connection *c)
{
    give(c, c->in_taken);
    buf_fini(&c->in);
}

static void consume(struct server_connection *c, size_t count)
{
    if (c->fresh.len > 0) {
        c->fresh = span_cut(c->fresh, count, c->fresh.len);
        return;
    }
    buf_consume(&c->in, count);
    give(c, count);
    if (buf_span(&c->in).len == 0) {
        drop_in(c);
    }
}

/* Keeps bytes for later. Without memory they are lost, and the connection serves no further
 * request. */
static void keep(struct server_connection *c, struct span bytes)
{
    if (bytes.len == 0 || c->starved) {
        return;
    }
    if (take(c, bytes.len)) {
        buf_put(&c->in, bytes);
        c->starved = buf_failed(&c->in);
    } else {
        c->starved = true;
    }
    if (c->starved) {
        drop_in(c);
        net_loop_defer(c->server->loop, &c->task);
    }
}

void server_input_stash(struct server_connection *c)
{
    struct span fresh = c->fresh;
    c->fresh = (struct span){NULL, 0};
    keep(c, fresh);
}

/* ---- reading ---- */

enum net_result server_input_read(struct server_connection *c, void *to, size_t size, size_t *got)
{
    enum net_result r = net_read(c->socket, to, size, got);
    c->readable = r == NET_OK && (*got == size || *got == NET_BUDGET_BYTES);
    c->unwanted = false;
    if (r == NET_OK) {
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
    bool follows = buf_span(&c->in).len > 0;
    size_t most = follows ? HEAD_READ_BYTES : SERVER_INBOX_BYTES;
    enum net_result r = server_input_read(c, c->server->inbox, most, &got);
    if (r == NET_OK && follows) {
        keep(c, span_make(c->server->inbox, got));
    } else if (r == NET_OK) {
        c->fresh = span_make(c->server->inbox, got);
    }
    return r;
}

void server_input_ahead(struct server_connection *c)
{
    CHECK(c->may_call);
    server_input_stash(c);
    size_t got;
    if (server_input_read(c, c->server->inbox, SERVER_INBOX_BYTES, &got) != NET_OK) {
        return;
    }
    if (c->starved || buf_span(&c->in).len + got > SERVER_AHEAD_BYTES) {
        c->broken = true;
    } else {
        keep(c, span_make(c->server->inbox, got));
    }
}

/* ---- heads ---- */

static size_t head_size(size_t fields)
{
    return sizeof(struct server_head) + fields * sizeof(struct http_field);
}

static void copy_head(struct server_head *to, const struct server_head *h)
{
    memcpy(to, h, head_size(h->request.fields.count));
    to->request.fields.rows = to->rows;
}

static void drop_partial(struct server_connection *c)
{
    memory_free(c->partial);
    c->partial = NULL;
    if (c->partial_bytes > 0) {
        memory_give_for_stranger(c->partial_bytes);
        c->partial_bytes = 0;
    }
}

/* Keeps the parse until more of the head comes. */
static enum err keep_partial(struct server_connection *c, const struct server_head *h)
{
    size_t rows = (h->request.fields.count / ROWS_STEP + 1) * ROWS_STEP;
    size_t size = head_size(rows);
    if (size != c->partial_bytes) {
        drop_partial(c);
        if (!memory_take_for_stranger(size)) {
            return ERR_OVERLOADED;
        }
        c->partial_bytes = size;
        c->partial = memory_raw(size);
        if (c->partial == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    copy_head(c->partial, h);
    return ERR_OK;
}

void server_input_head_free(struct exchange *x)
{
    memory_free(x->head);
    if (x->head_taken > 0) {
        memory_give(x->head_taken);
    }
    x->head = NULL;
    x->head_taken = 0;
}

/* The head of `used` bytes is whole: the exchange gets its own copy. */
static enum err begin_exchange(struct server_connection *c, const struct server_head *parsed,
                               size_t used)
{
    size_t count = parsed->request.fields.count;
    size_t size = head_size(count) + used;
    size_t taken = size > HEAD_UNCOUNTED ? size : 0;
    if (taken > 0 && !memory_take(taken)) {
        return ERR_OVERLOADED;
    }
    struct server_head *head = memory_raw(size);
    if (head == NULL) {
        memory_give(taken);
        return ERR_NO_MEMORY;
    }
    copy_head(head, parsed);
    uint8_t *bytes = (uint8_t *)head + head_size(count);
    memcpy(bytes, server_input_held(c).at, used);
    http_request_moved(&head->request, bytes);
    consume(c, used);
    const struct http_request *r = &head->request;
    c->exchange = (struct exchange){.head = head,
                                    .head_taken = taken,
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
    struct server_head *h = s->head;
    if (c->partial != NULL) {
        copy_head(h, c->partial);
    } else {
        uint32_t rows = s->settings.fields_max < SERVER_FIELDS_MOST
                            ? (uint32_t)s->settings.fields_max
                            : SERVER_FIELDS_MOST;
        struct http_limits limits = {.head_bytes = (uint32_t)s->settings.head_bytes_max,
                                     .target_bytes = (uint32_t)s->settings.target_bytes_max};
        http_request_init(&h->request, &limits, h->rows, rows);
    }
    size_t used;
    enum err e = http_request_parse(&h->request, server_input_held(c), &used);
    c->to_head = h->request.method == HTTP_HEAD;
    *whole = e == ERR_OK && used > 0;
    if (*whole) {
        e = begin_exchange(c, h, used);
    } else if (e == ERR_OK) {
        e = keep_partial(c, h);
    }
    if (*whole || e != ERR_OK) {
        drop_partial(c);
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
        enum err e = err_of_read(server_input_read(c, to + held.len, want - held.len, &more));
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
            server_input_read(c, to, size < SERVER_INBOX_BYTES ? size : SERVER_INBOX_BYTES, &raw);
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
        r = server_input_read(c, net_loop_scratch(c->server->loop), NET_SCRATCH_BYTES, &got);
    }
    c->dropped += got;
    return r == NET_OK && c->dropped < most ? NET_AGAIN : r;
}

void server_input_forget(struct server_connection *c)
{
    c->fresh = (struct span){NULL, 0};
    drop_in(c);
    drop_partial(c);
}
