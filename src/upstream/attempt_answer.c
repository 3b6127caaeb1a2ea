/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_answer.c — reading the answer: its head, then the body into the caller's memory.
 *
 * The head is read into the loop's scratch and parsed there; what must live is copied once. Only a
 * head that comes in pieces takes memory of its own. Body bytes that came with it are carried to
 * the first pulls; all others are read, and the chunks taken off, where the caller wants them.
 *
 * A read that gives less than was asked for has emptied a plain socket: the poll, which reports a
 * level and not an edge, says when there is more. That saves the read that would find nothing. TLS
 * may hold decrypted bytes, so there one reads until nothing comes.
 */
#include "upstream/upstream_internal.h"

#include "base/memory.h"

#define READ_BYTES  8192 /* of a head at once; so also the most that is carried */
#define INTERIM_MAX 16   /* 1xx heads before the real one */
#define ROWS_BYTES  (UPSTREAM_FIELDS_MAX * sizeof(struct http_field))

_Static_assert(ROWS_BYTES + READ_BYTES <= NET_SCRATCH_BYTES, "rows and bytes fit the scratch");

void attempt_free_blocks(struct attempt *a)
{
    memory_free_counted(a->block);
    memory_free_counted(a->carry_block);
    memory_free_counted(a->partial);
    a->block = a->carry_block = NULL;
    a->carry = NULL;
    a->carry_len = 0;
    a->partial = NULL;
}

/* One read; notes when the socket is empty. */
static enum net_result read_some(struct attempt *a, void *to, size_t size, size_t *got)
{
    struct upstream_connection *c = a->connection;
    enum net_result r = net_read(c->socket, to, size, got);
    if (r == NET_AGAIN) {
        c->readable = false;
    } else if (r == NET_OK) {
        c->readable = *got == size || *got == NET_BUDGET_BYTES || a->site->deployment->https;
    }
    return r;
}

/* Copies rows, head and what came behind it to memory of the attempt's own. */
static MUST_USE enum err keep_head(struct attempt *a, struct span held, size_t used)
{
    struct http_response *head = &a->response;
    size_t rows = head->fields.count * sizeof(struct http_field);
    size_t rest = held.len - used;
    memory_free_counted(a->block); /* the request's head, which is of no more use */
    a->block = NULL;
    uint8_t *to = a->store;
    if (rows + used > sizeof(a->store)) {
        to = a->block = memory_raw_counted(rows + used);
        if (to == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    if (rows > 0) {
        memcpy(to, head->fields.rows, rows);
    }
    memcpy(to + rows, held.at, used);
    head->fields.rows = (struct http_field *)(void *)to;
    head->fields.max = head->fields.count;
    http_response_moved(head, to + rows);
    if (rest == 0) {
        return ERR_OK;
    }
    size_t taken = a->block == NULL ? rows + used : 0;
    uint8_t *carry = a->store + taken;
    if (rest > sizeof(a->store) - taken) {
        carry = a->carry_block = memory_raw_counted(rest);
        if (carry == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    memcpy(carry, held.at + used, rest);
    a->carry = carry;
    a->carry_len = rest;
    return ERR_OK;
}

/* Whether `value` is an id as our own are, and so one that we gave to some attempt. */
static bool is_like_ours(struct span value, struct span ours)
{
    bool is_like = value.len == ours.len;
    for (size_t i = 0; is_like && i < value.len; i++) {
        is_like = (value.at[i] >= '0' && value.at[i] <= '9') ||
                  (value.at[i] >= 'a' && value.at[i] <= 'z');
    }
    return is_like;
}

/* Whether the answer says that it is another attempt's. Servers that make ids of their own do not
 * send ours back, so nothing is read into theirs. The request's head must be there still. */
static bool is_anothers(struct attempt *a)
{
    struct span id = http_fields_find(&a->response.fields, HTTP_NAME_X_REQUEST_ID);
    if (a->id.len == 0 || id.len == 0) {
        return false;
    }
    if (span_equal(id, a->id)) {
        a->site->echoes = true;
        return false;
    }
    return a->site->echoes && is_like_ours(id, a->id);
}

/* The head is whole and final. */
static enum attempt_head accept_head(struct attempt *a, struct span held, size_t used)
{
    bool is_bad = a->response.is_coded || is_anothers(a);
    enum err e = is_bad ? ERR_UPSTREAM_PROTOCOL : keep_head(a, held, used);
    memory_free_counted(a->partial);
    a->partial = NULL;
    if (e != ERR_OK) {
        a->error = e;
        return ATTEMPT_HEAD_BAD;
    }
    a->may_keep = a->response.keep_alive && a->sent == a->to_send &&
                  a->site->deployment->definition.reuse != UPSTREAM_REUSE_NEVER;
    a->body_left = a->response.body.length;
    http_chunked_init(&a->chunked);
    a->limit_at = NET_NEVER; /* nobody waits before the first pull */
    return ATTEMPT_HEAD_WHOLE;
}

/* Keeps the beginning of a head until the rest comes. */
static enum attempt_head keep_partial(struct attempt *a, struct span held)
{
    struct attempt_partial *p = a->partial;
    if (held.len == 0) {
        memory_free_counted(p); /* only interim heads have come */
        a->partial = NULL;
        return ATTEMPT_HEAD_MORE;
    }
    mono_us now = net_loop_now(a->site->pool->loop);
    if (a->first_byte.us == 0) {
        a->first_byte = now;
    }
    attempt_limit(a, clock_after_ms(now, a->site->deployment->definition.idle_timeout_ms));
    if (p == NULL) {
        p = memory_raw_counted(sizeof(*p) + UPSTREAM_HEAD_MAX + READ_BYTES);
        if (p == NULL) {
            a->error = ERR_NO_MEMORY;
            return ATTEMPT_HEAD_BAD;
        }
        a->partial = p;
        memcpy(p->rows, a->response.fields.rows,
               a->response.fields.count * sizeof(struct http_field));
        a->response.fields.rows = p->rows;
    }
    memmove(p->bytes, held.at, held.len);
    p->len = (uint32_t)held.len;
    return ATTEMPT_HEAD_MORE;
}

/* `held` is all that has come since the head's first byte. */
static enum attempt_head parse(struct attempt *a, struct span held)
{
    struct http_response *head = &a->response;
    while (held.len > 0) {
        size_t used = 0;
        a->error = http_response_parse(head, held, &used);
        if (a->error != ERR_OK) {
            return ATTEMPT_HEAD_BAD;
        }
        if (used == 0) {
            break;
        }
        if (head->status >= 200) {
            if (a->first_byte.us == 0) {
                a->first_byte = net_loop_now(a->site->pool->loop);
            }
            return accept_head(a, held, used);
        }
        if (head->status == 101 || ++a->interim > INTERIM_MAX) {
            a->error = ERR_UPSTREAM_PROTOCOL; /* nothing was asked to be switched to */
            return ATTEMPT_HEAD_BAD;
        }
        held = span_cut(held, used, held.len);
        http_response_init(head, UPSTREAM_HEAD_MAX, false, head->fields.rows, UPSTREAM_FIELDS_MAX);
    }
    return keep_partial(a, held);
}

static enum net_result read_and_parse(struct attempt *a, enum attempt_head *out)
{
    struct attempt_partial *p = a->partial;
    uint8_t *scratch = net_loop_scratch(a->site->pool->loop);
    uint8_t *bytes = p == NULL ? scratch + ROWS_BYTES : p->bytes;
    size_t len = p == NULL ? 0 : p->len;
    size_t got;
    enum net_result r = read_some(a, bytes + len, READ_BYTES, &got);
    if (r == NET_OK) {
        if (p == NULL) {
            http_response_init(&a->response, UPSTREAM_HEAD_MAX, false,
                               (struct http_field *)(void *)scratch, UPSTREAM_FIELDS_MAX);
        }
        *out = parse(a, span_make(bytes, len + got));
    }
    return r;
}

enum attempt_head attempt_read_head(struct attempt *a)
{
    do {
        enum attempt_head head = ATTEMPT_HEAD_MORE;
        enum net_result r = read_and_parse(a, &head);
        if (r == NET_EOF || r == NET_FAILED) {
            a->error = ERR_UPSTREAM_CLOSED;
            return ATTEMPT_HEAD_BAD;
        }
        if (head != ATTEMPT_HEAD_MORE) {
            return head;
        }
    } while (a->connection->readable);
    attempt_await_bytes(a);
    return ATTEMPT_HEAD_MORE;
}

enum attempt_step attempt_notice(struct attempt *a)
{
    struct upstream_connection *c = a->connection;
    if (!c->readable) {
        return a->step;
    }
    if (a->reader_waits) {
        a->reader_waits = false;
        a->limit_at = NET_NEVER;
        a->must_tell = true;
    } else {
        net_want(c->socket, false, false); /* until the next pull */
    }
    return a->step;
}

/* Some bytes of the body as they are on the wire. */
static enum net_result next_bytes(struct attempt *a, void *to, size_t size, size_t *got)
{
    if (a->carry_len > 0) {
        *got = a->carry_len < size ? a->carry_len : size;
        memcpy(to, a->carry, *got);
        a->carry += *got;
        a->carry_len -= *got;
        if (a->carry_len == 0) {
            memory_free_counted(a->carry_block);
            a->carry_block = NULL;
        }
        return NET_OK;
    }
    return a->connection->readable ? read_some(a, to, size, got) : NET_AGAIN;
}

/* Takes the chunks' framing off `len` bytes at `to`, in place. */
static MUST_USE enum err take_off_chunks(struct attempt *a, uint8_t *to, size_t len, size_t *got)
{
    struct span in = span_make(to, len);
    size_t out = 0;
    while (in.len > 0 && !http_chunked_is_done(&a->chunked)) {
        size_t used = 0;
        struct span data;
        if (http_chunked_feed(&a->chunked, in, &used, &data) != ERR_OK) {
            return ERR_UPSTREAM_PROTOCOL;
        }
        if (data.len > 0 && data.at != to + out) {
            memmove(to + out, data.at, data.len);
        }
        out += data.len;
        in = span_cut(in, used, in.len);
    }
    a->may_keep = a->may_keep && in.len == 0;
    *got = out;
    return ERR_OK;
}

/* Makes body of `len` bytes off the wire; `*done` when it is complete. */
static MUST_USE enum err decode(struct attempt *a, void *to, size_t len, size_t *got, bool *done)
{
    enum err e = ERR_OK;
    switch (a->response.body.kind) {
    case HTTP_BODY_CHUNKED:
        e = take_off_chunks(a, to, len, got);
        *done = http_chunked_is_done(&a->chunked);
        break;
    case HTTP_BODY_LENGTH:
        *got = len < a->body_left ? len : (size_t)a->body_left;
        a->may_keep = a->may_keep && *got == len;
        a->body_left -= *got;
        *done = a->body_left == 0;
        break;
    case HTTP_BODY_UNTIL_CLOSE:
        *got = len;
        *done = false;
        break;
    case HTTP_BODY_NONE:
    default:
        NEVER("a body that is none was read");
    }
    return e;
}

/* Whether nothing stands behind the answer that the next one would be taken for. */
static bool is_clean(struct attempt *a)
{
    return a->carry_len == 0 && (!a->connection->readable || net_is_quiet(a->connection->socket));
}

static enum attempt_pulled end(struct attempt *a)
{
    if (a->may_keep && a->response.body.kind != HTTP_BODY_UNTIL_CLOSE && is_clean(a)) {
        upstream_connection_give_back(&a->connection);
    } else {
        upstream_connection_close(&a->connection);
    }
    attempt_enter(a, STEP_END);
    return ATTEMPT_DONE;
}

static enum attempt_pulled broken(struct attempt *a, enum err why)
{
    attempt_enter(a, attempt_fail(a, why));
    a->must_tell = false; /* the return value says it */
    return ATTEMPT_BROKEN;
}

static enum attempt_pulled later(struct attempt *a)
{
    attempt_await_bytes(a);
    a->reader_waits = true;
    int64_t idle_ms = a->site->deployment->definition.idle_timeout_ms;
    attempt_limit(a, clock_after_ms(net_loop_now(a->site->pool->loop), idle_ms));
    return ATTEMPT_LATER;
}

static enum attempt_pulled pull(struct attempt *a, void *to, size_t size, size_t *got)
{
    enum http_body_kind kind = a->response.body.kind;
    if (kind == HTTP_BODY_NONE || (kind == HTTP_BODY_LENGTH && a->body_left == 0)) {
        return end(a);
    }
    for (;;) {
        size_t len = 0;
        bool done = false;
        switch (next_bytes(a, to, size, &len)) {
        case NET_OK:
            break;
        case NET_AGAIN:
            return later(a);
        case NET_EOF:
            return kind == HTTP_BODY_UNTIL_CLOSE ? end(a) : broken(a, ERR_UPSTREAM_CLOSED);
        case NET_FAILED:
        default:
            return broken(a, ERR_UPSTREAM_CLOSED);
        }
        enum err e = decode(a, to, len, got, &done);
        if (e != ERR_OK) {
            return broken(a, e);
        }
        if (done) {
            return end(a);
        }
        if (*got > 0) {
            return ATTEMPT_SOME;
        }
    }
}

enum attempt_pulled attempt_pull(struct attempt *a, void *to, size_t size, size_t *got)
{
    CHECK_OBJ(a, UPSTREAM_ATTEMPT_MAGIC);
    CHECK(size > 0);
    *got = 0;
    switch (attempt_state(a)) {
    case ATTEMPT_HEAD:
        attempt_enter(a, STEP_BODY);
        return pull(a, to, size, got);
    case ATTEMPT_BODY:
        return pull(a, to, size, got);
    case ATTEMPT_END:
        return ATTEMPT_DONE;
    case ATTEMPT_FAILED:
        return ATTEMPT_BROKEN;
    case ATTEMPT_CONNECTING:
    case ATTEMPT_SENDING:
    case ATTEMPT_WAITING:
    default:
        return ATTEMPT_LATER; /* HEAD's event follows */
    }
}
