/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_admin.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto/random.h"
#include "http/http_chunked.h"
#include "http/http_response.h"
#include "http/http_write.h"

#define HEAD_BYTES_MAX   16384
#define TARGET_BYTES_MAX (HEAD_BYTES_MAX - 512) /* the rest is for the fields */
#define READ_BYTES       16384
#define FIELDS_MAX       64

/* An answer while it is read. */
struct reading {
    int fd;
    mono_us deadline;
    struct buf held; /* what was received and not yet taken */
    struct buf *answer;
};

static enum err open_socket(const char *path, int *out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return ERR_ADDRESS;
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return ERR_NET;
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd); /* nothing was sent */
        return ERR_NET_REFUSED;
    }
    *out = fd;
    return ERR_OK;
}

/* Waits until the socket is ready for `events`, or past the deadline. */
static enum err wait_for(const struct reading *r, short events)
{
    for (;;) {
        int64_t left_us = clock_since(clock_mono(), r->deadline);
        struct pollfd p = {r->fd, events, 0};
        int ready = left_us <= 0 ? 0 : poll(&p, 1, (int)(left_us / 1000) + 1);
        if (ready > 0) {
            return ERR_OK;
        }
        if (ready == 0) {
            return ERR_NET_TIMEOUT;
        }
        if (errno != EINTR) {
            return ERR_NET;
        }
    }
}

static enum err send_all(const struct reading *r, struct span bytes)
{
    while (bytes.len > 0) {
        enum err e = wait_for(r, POLLOUT);
        if (e != ERR_OK) {
            return e;
        }
        ssize_t n = send(r->fd, bytes.at, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return ERR_NET_CLOSED;
        }
        bytes = span_cut(bytes, n > 0 ? (size_t)n : 0, bytes.len);
    }
    return ERR_OK;
}

static enum err send_request(const struct reading *r, const struct admin_request *request)
{
    struct buf target, head;
    buf_init(&target, HEAD_BYTES_MAX);
    buf_init(&head, HEAD_BYTES_MAX);
    buf_put(&target, request->path);
    if (request->query.len > 0) {
        buf_put_byte(&target, '?');
        buf_put(&target, request->query);
    }
    http_write_request(&head, request->method, buf_span(&target));
    http_write_field(&head, SPAN("Host"), SPAN("localhost"));
    http_write_field(&head, SPAN("Connection"), SPAN("close"));
    if (request->if_match.len > 0) {
        http_write_field(&head, SPAN("If-Match"), request->if_match);
    }
    if (request->body.len > 0) {
        http_write_field(&head, SPAN("Content-Type"), SPAN("application/json"));
        http_write_number(&head, SPAN("Content-Length"), request->body.len);
    }
    http_write_end(&head);
    bool is_long = request->path.len + request->query.len > TARGET_BYTES_MAX;
    enum err e = is_long                                    ? ERR_ADDRESS
                 : buf_failed(&head) || buf_failed(&target) ? ERR_NO_MEMORY
                                                            : ERR_OK;
    if (e == ERR_OK) {
        e = send_all(r, buf_span(&head));
    }
    if (e == ERR_OK) {
        e = send_all(r, request->body);
    }
    buf_fini(&head);
    buf_fini(&target);
    return e;
}

/* Receives some bytes behind those held; `*got` is 0 at the end of the connection. */
static enum err receive(struct reading *r, size_t *got)
{
    for (;;) {
        enum err e = wait_for(r, POLLIN);
        if (e != ERR_OK) {
            return e;
        }
        uint8_t *room = buf_reserve(&r->held, READ_BYTES);
        if (room == NULL) {
            return ERR_NO_MEMORY;
        }
        ssize_t n = recv(r->fd, room, READ_BYTES, MSG_DONTWAIT);
        if (n >= 0) {
            buf_added(&r->held, (size_t)n);
            *got = (size_t)n;
            return ERR_OK;
        }
        if (errno != EINTR && errno != EAGAIN) {
            return ERR_NET_CLOSED;
        }
    }
}

/* Receives more; the connection may not have ended. */
static enum err receive_more(struct reading *r)
{
    size_t got = 0;
    enum err e = receive(r, &got);
    return e == ERR_OK && got == 0 ? ERR_NET_CLOSED : e;
}

/* Reads the head of the final answer and takes it off what is held. */
static enum err read_head(struct reading *r, struct http_body *body, int *status)
{
    struct http_field rows[FIELDS_MAX];
    struct http_response head;
    size_t used = 0;
    enum err e = ERR_OK;
    http_response_init(&head, HEAD_BYTES_MAX, false, rows, FIELDS_MAX);
    while (e == ERR_OK && used == 0) {
        if (http_response_parse(&head, buf_span(&r->held), &used) != ERR_OK) {
            return ERR_NET;
        }
        if (used == 0) {
            e = receive_more(r);
        } else if (head.status < 200) { /* a step on the way */
            buf_consume(&r->held, used);
            http_response_init(&head, HEAD_BYTES_MAX, false, rows, FIELDS_MAX);
            used = 0;
        }
    }
    if (e == ERR_OK) {
        *status = head.status;
        *body = head.body;
        buf_consume(&r->held, used);
    }
    return e;
}

/* Moves up to `most` of the bytes held to the answer; returns how many it were. */
static uint64_t take_held(struct reading *r, uint64_t most)
{
    struct span piece = buf_span(&r->held);
    piece.len = piece.len < most ? piece.len : (size_t)most;
    buf_put(r->answer, piece);
    buf_consume(&r->held, piece.len);
    return piece.len;
}

static enum err read_length(struct reading *r, uint64_t left)
{
    enum err e = ERR_OK;
    for (;;) {
        left -= take_held(r, left);
        if (e != ERR_OK || left == 0 || buf_failed(r->answer)) {
            return e;
        }
        e = receive_more(r);
    }
}

static enum err read_chunks(struct reading *r)
{
    struct http_chunked chunks;
    enum err e = ERR_OK;
    http_chunked_init(&chunks);
    while (e == ERR_OK && !buf_failed(r->answer)) {
        struct span in = buf_span(&r->held), data;
        size_t used;
        if (in.len == 0) {
            e = receive_more(r);
            continue;
        }
        if (http_chunked_feed(&chunks, in, &used, &data) != ERR_OK) {
            return ERR_NET;
        }
        buf_put(r->answer, data);
        buf_consume(&r->held, used);
        if (http_chunked_is_done(&chunks)) {
            break;
        }
    }
    return e;
}

static enum err read_until_close(struct reading *r)
{
    enum err e = ERR_OK;
    size_t got = 1;
    while (e == ERR_OK && got > 0 && !buf_failed(r->answer)) {
        (void)take_held(r, UINT64_MAX);
        e = receive(r, &got);
    }
    return e;
}

static enum err read_body(struct reading *r, struct http_body body)
{
    enum err e = ERR_OK;
    switch (body.kind) {
    case HTTP_BODY_NONE:
        break;
    case HTTP_BODY_LENGTH:
        e = read_length(r, body.length);
        break;
    case HTTP_BODY_CHUNKED:
        e = read_chunks(r);
        break;
    case HTTP_BODY_UNTIL_CLOSE:
        e = read_until_close(r);
        break;
    }
    return e == ERR_OK && buf_failed(r->answer) ? ERR_NO_MEMORY : e;
}

enum err cli_admin_call(const char *path, const struct admin_request *request, int64_t timeout_ms,
                        struct buf *answer, struct cli_admin_reply *reply)
{
    struct reading r = {.fd = -1, .answer = answer};
    struct http_body body = {HTTP_BODY_NONE, 0};
    r.deadline = clock_after_ms(clock_mono(), timeout_ms);
    *reply = (struct cli_admin_reply){0};
    enum err e = open_socket(path, &r.fd);
    if (e != ERR_OK) {
        return e;
    }
    buf_init(&r.held, HEAD_BYTES_MAX + 2 * (size_t)READ_BYTES);
    int status = 0;
    e = send_request(&r, request);
    reply->was_sent = e == ERR_OK;
    if (e == ERR_OK) {
        e = read_head(&r, &body, &status);
    }
    if (e == ERR_OK) {
        e = read_body(&r, body);
    }
    reply->status = e == ERR_OK ? status : 0;
    if (r.held.at != NULL) {
        crypto_wipe(r.held.at, r.held.cap); /* it may have held a new key */
    }
    buf_fini(&r.held);
    (void)close(r.fd); /* all that counts was received */
    return e;
}
