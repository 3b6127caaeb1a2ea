/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uv_poll_start() costs an epoll_ctl() or two, so the flags that are set are remembered and a call
 * that changes nothing does nothing. libuv frees a handle at the end of the loop's turn: the memory
 * of a closed socket stays that long, and a late event finds `on_ready` gone.
 */
#include "net/net_socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/net_internal.h"
#include "net/net_ip.h"
#include "net/net_listen.h"
#include "net/net_transport.h"

/* The kernel would take up to 4 MiB for a peer that reads nothing, and its memory for all of TCP is
 * small: it takes this much, the rest is ours to count. */
#define UNSENT_BYTES (128 * 1024)

/* Routers and load balancers forget a connection after four to six minutes, some after one. */
#define KEEP_IDLE_S     45
#define KEEP_INTERVAL_S 15
#define KEEP_PROBES     4

/* So many late sockets are polled on: to stop and begin again costs more than to be told twice. */
#define LATE_POLLED 128

static void on_poll(uv_poll_t *handle, int status, int events);

static int flags_wanted(const struct net_socket *s)
{
    int flags = 0;
    if (s->postponed) {
        return s->told_hangup ? 0 : UV_DISCONNECT;
    }
    if (s->want_read || s->tls_wants_read) {
        flags |= UV_READABLE;
    }
    if (s->want_write || s->tls_wants_write) {
        flags |= UV_WRITABLE;
    }
    if (!s->told_hangup) {
        flags |= UV_DISCONNECT;
    }
    return flags;
}

static void set_flags(struct net_socket *s)
{
    int flags = flags_wanted(s);
    if (flags == s->flags || s->muted) {
        return;
    }
    s->flags = flags;
    CHECK(uv_poll_start(&s->poll, flags, on_poll) == 0);
}

/* Past libuv, which for any change takes a socket out and puts it in anew, and looks for it among
 * all that it is told of just then: of thousands that is most of a turn. */
static bool poll_for(const struct net_socket *s, uint32_t events)
{
    struct epoll_event wanted = {.events = events, .data.fd = s->fd};
    return epoll_ctl(uv_backend_fd(&s->loop->uv), EPOLL_CTL_MOD, s->fd, &wanted) == 0;
}

/* What cannot be left out, an error or an end of both sides, is told of once more and then not. */
static void mute(struct net_socket *s)
{
    s->muted = s->flags > 0 && poll_for(s, EPOLLONESHOT);
}

static void unmute(struct net_socket *s)
{
    uint32_t events = (s->flags & UV_READABLE) != 0 ? EPOLLIN : 0;
    events |= (s->flags & UV_WRITABLE) != 0 ? EPOLLOUT : 0;
    events |= (s->flags & UV_DISCONNECT) != 0 ? EPOLLRDHUP : 0;
    if (s->muted && s->flags > 0 && !poll_for(s, events)) {
        s->flags = -1; /* it is put in anew */
    }
    s->muted = false;
    set_flags(s);
}

/* Calls the handler, of what is still wanted. */
static void tell(struct net_socket *s, unsigned events)
{
    if ((events & NET_HANGUP) != 0 && !s->told_hangup) {
        s->told_hangup = true;
        set_flags(s); /* or the loop would be woken for it again and again */
    }
    if (s->on_ready != NULL) {
        net_loop_handle(s->loop, s->on_ready, s->ctx, events);
    }
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct net_socket *s = handle->data;
    struct net_loop *loop = s->loop;
    unsigned told = 0;
    if (status < 0) {
        s->flags = -1; /* libuv stopped the handle */
        told = NET_HANGUP | NET_READABLE | NET_WRITABLE;
    } else {
        told |= (events & UV_READABLE) != 0 ? NET_READABLE : 0;
        told |= (events & UV_WRITABLE) != 0 ? NET_WRITABLE : 0;
        told |= (events & UV_DISCONNECT) != 0 ? NET_HANGUP : 0;
    }
    bool is_late = !list_is_empty(&s->late);
    if (!is_late && !net_loop_is_full(loop)) {
        tell(s, told);
        return;
    }
    s->late_for |= told;
    if (!is_late) {
        list_push_back(s->is_ours ? &loop->late_ours : &loop->late, &s->late);
        loop->late_count++;
        net_loop_defer(loop, &loop->late_task);
    }
    if (loop->late_count > LATE_POLLED && !s->muted) {
        mute(s); /* thousands that are told of in each turn take the whole of it */
    }
}

static void end_lateness(struct net_socket *s)
{
    if (!list_is_empty(&s->late)) {
        list_remove(&s->late);
        s->loop->late_count--;
    }
}

/* What was told may have changed since: a handler is not called for what it wants no more. */
static unsigned still_wanted(const struct net_socket *s)
{
    int flags = flags_wanted(s);
    unsigned events = NET_HANGUP;
    events |= (flags & UV_READABLE) != 0 ? NET_READABLE : 0;
    events |= (flags & UV_WRITABLE) != 0 ? NET_WRITABLE : 0;
    return events;
}

/* As with handshakes, a call's connection to its server does not stand behind thousands. */
static struct net_socket *next_late(struct net_loop *loop)
{
    bool others =
        list_is_empty(&loop->late_ours) || (loop->is_lates_turn && !list_is_empty(&loop->late));
    loop->is_lates_turn = !others;
    return LIST_OF((others ? &loop->late : &loop->late_ours)->next, struct net_socket, late);
}

void net_late_run(struct net_task *task)
{
    struct net_loop *loop =
        (struct net_loop *)(void *)((char *)task - offsetof(struct net_loop, late_task));
    struct net_slice slice = {0};
    while (loop->late_count > 0 && !net_slice_is_over(loop, &slice)) {
        struct net_socket *s = next_late(loop);
        end_lateness(s);
        unsigned events = s->late_for & still_wanted(s);
        s->late_for = 0;
        unmute(s);
        if (events != 0) {
            tell(s, events);
        }
    }
    if (loop->late_count > 0) {
        net_loop_defer(loop, task);
    }
}

/* Tells of bytes that TLS has decrypted already: no poll would. */
static void on_held_bytes(struct net_task *task)
{
    struct net_socket *s =
        (struct net_socket *)(void *)((char *)task - offsetof(struct net_socket, held));
    if (s->on_ready != NULL && s->want_read) {
        net_loop_handle(s->loop, s->on_ready, s->ctx, NET_READABLE);
    }
}

void net_socket_postpone(struct net_socket *s, bool is_dialled)
{
    if (!s->postponed) {
        s->postponed = true;
        list_push_back(is_dialled ? &s->loop->dialled : &s->loop->crowd, &s->crowd);
        net_loop_defer(s->loop, &s->loop->crowd_task);
    }
}

/* Strangers may be thousands: a call's connection to its server does not stand behind them. */
static struct net_socket *next_to_shake_hands(struct net_loop *loop)
{
    bool crowds =
        list_is_empty(&loop->dialled) || (loop->is_crowds_turn && !list_is_empty(&loop->crowd));
    struct list *link = list_pop_front(crowds ? &loop->crowd : &loop->dialled);
    loop->is_crowds_turn = !crowds;
    return link == NULL ? NULL : LIST_OF(link, struct net_socket, crowd);
}

void net_crowd_run(struct net_task *task)
{
    struct net_loop *loop =
        (struct net_loop *)(void *)((char *)task - offsetof(struct net_loop, crowd_task));
    struct net_socket *s;
    while (loop->handshakes_us < NET_HANDSHAKES_A_TURN_US &&
           (s = next_to_shake_hands(loop)) != NULL) {
        s->postponed = false;
        set_flags(s);
        s->on_ready(s->ctx, NET_READABLE | NET_WRITABLE);
    }
    if (!list_is_empty(&loop->crowd) || !list_is_empty(&loop->dialled)) {
        net_loop_defer(loop, &loop->crowd_task);
    }
}

enum err net_socket_open(struct net_loop *loop, int fd, net_on_ready *on_ready, void *ctx,
                         struct net_socket **out)
{
    struct net_socket *s = memory_new(sizeof(*s));
    if (s == NULL) {
        (void)close(fd); /* nothing was written */
        return ERR_NO_MEMORY;
    }
    if (uv_poll_init(&loop->uv, &s->poll, fd) != 0) {
        (void)close(fd); /* nothing was written */
        memory_free(s);
        return ERR_NET;
    }
    int on = 1, unsent = UNSENT_BYTES;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* no such thing on Unix */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)); /* as above */
    s->loop = loop;
    s->fd = fd;
    s->on_ready = on_ready;
    s->ctx = ctx;
    s->poll.data = s;
    s->transport = &net_transport_plain;
    list_init(&s->crowd);
    list_init(&s->late);
    net_task_init(&s->held, on_held_bytes);
    *out = s;
    return ERR_OK;
}

void net_socket_attach(struct net_socket *s, net_on_ready *on_ready, void *ctx)
{
    s->on_ready = on_ready;
    s->ctx = ctx;
}

static enum net_result plain_handshake(struct net_socket *s)
{
    (void)s;
    return NET_OK;
}

static enum net_result of_errno(void)
{
    return errno == EAGAIN ? NET_AGAIN : NET_FAILED;
}

static enum net_result plain_read(struct net_socket *s, void *to, size_t size, size_t *got)
{
    ssize_t n;
    do {
        n = recv(s->fd, to, size, 0);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return n == 0 ? NET_EOF : of_errno();
    }
    *got = (size_t)n;
    return NET_OK;
}

/* The kernel copies all that it is given while the peer's machine takes it: it gets no more than a
 * budget at once. True: of the first piece only what is in `first`. */
static bool cut(const struct iovec *pieces, int *count, struct iovec *first)
{
    size_t sum = 0;
    for (int i = 0; i < *count; i++) {
        sum += pieces[i].iov_len;
        if (sum > NET_BUDGET_BYTES) {
            *count = i > 0 ? i : 1;
            *first = (struct iovec){pieces[0].iov_base, NET_BUDGET_BYTES};
            return i == 0;
        }
    }
    return false;
}

static enum net_result plain_writev(struct net_socket *s, const struct iovec *pieces, int count,
                                    size_t *sent)
{
    struct iovec first;
    if (cut(pieces, &count, &first)) {
        pieces = &first;
    }
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces,
                             .msg_iovlen = (size_t)count};
    ssize_t n;
    do {
        n = sendmsg(s->fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return of_errno();
    }
    *sent = (size_t)n;
    return NET_OK;
}

static bool plain_holds_bytes(const struct net_socket *s)
{
    (void)s;
    return false;
}

static bool plain_is_quiet(struct net_socket *s)
{
    uint8_t byte;
    return recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void plain_finish(struct net_socket *s)
{
    (void)shutdown(s->fd, SHUT_WR); /* a peer that has gone needs no farewell */
}

static void plain_end(struct net_socket *s)
{
    (void)s;
}

const struct net_transport net_transport_plain = {plain_handshake,   plain_read,     plain_writev,
                                                  plain_holds_bytes, plain_is_quiet, plain_finish,
                                                  plain_end};

enum net_result net_handshake(struct net_socket *s)
{
    enum net_result r = s->transport->handshake(s);
    set_flags(s);
    return r;
}

enum net_result net_read(struct net_socket *s, void *to, size_t size, size_t *got)
{
    if (net_loop_is_spent(s->loop)) {
        return NET_AGAIN; /* the poll reports a level: another turn goes on */
    }
    size_t most = size < NET_BUDGET_BYTES ? size : NET_BUDGET_BYTES;
    enum net_result r = s->transport->read(s, to, most, got);
    net_loop_spend(s->loop, r == NET_OK ? *got : 0);
    return r;
}

bool net_is_quiet(struct net_socket *s)
{
    return s->transport->is_quiet(s);
}

bool net_is_acknowledged(const struct net_socket *s)
{
    int left = 0;
    return ioctl(s->fd, SIOCOUTQ, &left) != 0 || left == 0;
}

enum net_result net_writev(struct net_socket *s, const struct iovec *pieces, int count,
                           size_t *sent)
{
    if (net_loop_is_spent(s->loop)) {
        return NET_AGAIN;
    }
    enum net_result r = s->transport->writev(s, pieces, count, sent);
    net_loop_spend(s->loop, r == NET_OK ? *sent : 0);
    return r;
}

void net_want(struct net_socket *s, bool readable, bool writable)
{
    s->want_read = readable;
    s->want_write = writable;
    set_flags(s);
    if (readable && s->transport->holds_bytes(s)) {
        if (net_loop_is_spent(s->loop)) {
            net_loop_yield(s->loop, &s->held);
        } else {
            net_loop_defer(s->loop, &s->held);
        }
    }
}

void net_finish(struct net_socket *s)
{
    s->transport->finish(s);
}

enum err net_connect_result(const struct net_socket *s)
{
    int why = 0;
    socklen_t len = sizeof(why);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0) {
        return ERR_NET;
    }
    errno = why;
    return why == 0 ? ERR_OK : why == ECONNREFUSED ? ERR_NET_REFUSED : ERR_NET;
}

static void on_socket_closed(uv_handle_t *handle)
{
    memory_free(handle->data);
}

void net_socket_close(struct net_socket **socket)
{
    struct net_socket *s = *socket;
    if (s == NULL) {
        return;
    }
    *socket = NULL;
    s->on_ready = NULL;
    net_loop_undefer(&s->held);
    list_remove(&s->crowd);
    end_lateness(s);
    s->transport->end(s);
    uv_close((uv_handle_t *)&s->poll, on_socket_closed);
    (void)close(s->fd); /* what was not sent is lost by intent */
}

void net_socket_reset(struct net_socket **socket)
{
    if (*socket == NULL) {
        return;
    }
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt((*socket)->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)); /* then a FIN */
    net_socket_close(socket);
}

void net_peer_text(const struct net_socket *s, char *out, size_t size)
{
    struct net_address peer = {.len = sizeof(peer.storage)};
    out[0] = '\0';
    if (getpeername(s->fd, (struct sockaddr *)&peer.storage, &peer.len) != 0) {
        return;
    }
    if (peer.storage.ss_family == AF_UNIX) {
        struct ucred who;
        socklen_t len = sizeof(who);
        if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0) {
            (void)snprintf(out, size, "uid:%u", who.uid); /* it fits */
        }
        return;
    }
    char text[80];
    net_address_text(&peer, text, sizeof(text));
    char *colon = strrchr(text, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
    char *from = text;
    if (text[0] == '[') {
        text[strlen(text) - 1] = '\0';
        from++;
    }
    span_copy_text(span_of(from), out, size);
}

bool net_peer_ip(const struct net_socket *s, struct net_ip *out)
{
    struct net_address peer = {.len = sizeof(peer.storage)};
    return getpeername(s->fd, (struct sockaddr *)&peer.storage, &peer.len) == 0 &&
           net_ip_of_sockaddr((const struct sockaddr *)&peer.storage, out);
}

void net_socket_keep_alive(int fd)
{
    static const struct {
        int level, option, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEP_PROBES},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        (void)setsockopt(fd, options[i].level, options[i].option, &options[i].value,
                         sizeof(options[i].value)); /* it is an aid only */
    }
}

enum err net_connect(struct net_loop *loop, const struct sockaddr *address, socklen_t address_len,
                     net_on_ready *on_ready, void *ctx, struct net_socket **out)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno == EMFILE || errno == ENFILE ? ERR_NO_FILES : ERR_NET;
    }
    net_socket_keep_alive(fd);
    int r;
    do {
        r = connect(fd, address, address_len);
    } while (r != 0 && errno == EINTR);
    if (r != 0 && errno != EINPROGRESS) {
        int why = errno;
        (void)close(fd); /* nothing was written */
        errno = why;
        return why == ECONNREFUSED ? ERR_NET_REFUSED : ERR_NET;
    }
    enum err e = net_socket_open(loop, fd, on_ready, ctx, out);
    if (e == ERR_OK) {
        (*out)->is_ours = true;
        net_want(*out, false, true);
    }
    return e;
}
