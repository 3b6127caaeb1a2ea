/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/holder.h"
#include "base/memory.h"
#include "base/span.h"
#include "net/net_internal.h"
#include "net/net_resolve.h"

#define BACKLOG  4096
#define RETRY_MS 100 /* after the process ran out of descriptors */

struct net_listener {
    uv_poll_t poll;
    struct net_loop *loop;
    int fd;
    struct net_timer retry;
    net_on_accept *on_accept;
    void *ctx;
};

static enum err parse_unix(const char *path, struct net_address *out)
{
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&out->storage;
    if (*path == '\0' || strlen(path) >= sizeof(un->sun_path)) {
        return ERR_ADDRESS;
    }
    memset(out, 0, sizeof(*out));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, strlen(path) + 1);
    out->len = sizeof(*un);
    return ERR_OK;
}

enum err net_address_parse(const char *text, struct net_address *out)
{
    if (strncmp(text, "unix:", 5) == 0) {
        return parse_unix(text + 5, out);
    }
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || !span_to_u64(span_of(colon + 1), UINT16_MAX, &port)) {
        return ERR_ADDRESS;
    }
    struct span host = span_make(text, (size_t)(colon - text));
    if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']') {
        host = span_cut(host, 1, host.len - 2);
    } else if (span_find(host, ':', 0) < host.len) {
        return ERR_ADDRESS; /* an IPv6 address needs its brackets */
    }
    if (span_is(host, "*")) {
        host = SPAN("0.0.0.0");
    } else if (span_is(host, "localhost")) {
        host = SPAN("127.0.0.1");
    }
    char name[64];
    if (host.len == 0 || host.len >= sizeof(name)) {
        return ERR_ADDRESS;
    }
    span_copy_text(host, name, sizeof(name));
    return net_resolve_numeric(name, (uint16_t)port, out) ? ERR_OK : ERR_ADDRESS;
}

void net_address_text(const struct net_address *address, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";
    const struct sockaddr *a = (const struct sockaddr *)&address->storage;
    if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)a;
        (void)inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host)); /* has room */
        (void)snprintf(out, size, "[%s]:%u", host, ntohs(six->sin6_port));
    } else if (a->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)a;
        (void)inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host)); /* has room */
        (void)snprintf(out, size, "%s:%u", host, ntohs(four->sin_port));
    } else {
        const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)a;
        (void)snprintf(out, size, "unix:%s", un->sun_path); /* cut if the caller's room is small */
    }
}

bool net_address_is_loopback(const struct net_address *address)
{
    const struct sockaddr *a = (const struct sockaddr *)&address->storage;
    if (a->sa_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(six);
    }
    return a->sa_family != AF_INET ||
           ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
}

unsigned net_address_port(const struct net_address *address)
{
    const struct sockaddr *a = (const struct sockaddr *)&address->storage;
    if (a->sa_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)(const void *)a)->sin6_port);
    }
    return a->sa_family == AF_INET ? ntohs(((const struct sockaddr_in *)(const void *)a)->sin_port)
                                   : 0;
}

/* A Unix socket's file stays when its maker is killed: remove one that nobody answers on. */
static void remove_dead_unix_socket(const struct net_address *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&address->storage;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    /* One that another user made, root say, may not be tried: the kernel's table knows. */
    if (connect(fd, (const struct sockaddr *)&address->storage, address->len) != 0 &&
        (errno == ECONNREFUSED || (errno == EACCES && !holder_listens_at(un->sun_path)))) {
        (void)unlink(un->sun_path); /* bind() says it if this failed */
    }
    (void)close(fd); /* nothing was written */
}

static int set_options(int fd, int family, bool shared)
{
    int on = 1;
    if (family == AF_UNIX) {
        return 0;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
        return -1;
    }
    net_socket_keep_alive(fd);
    if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) {
        return -1;
    }
    return 0;
}

enum err net_listen_fd(const struct net_address *address, bool shared, int *out)
{
    int family = address->storage.ss_family;
    if (family == AF_UNIX) {
        remove_dead_unix_socket(address);
    }
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return ERR_ADDRESS;
    }
    mode_t mask = umask(0077); /* a Unix socket is its owner's only */
    bool ok = set_options(fd, family, shared) == 0 &&
              bind(fd, (const struct sockaddr *)&address->storage, address->len) == 0 &&
              listen(fd, BACKLOG) == 0;
    int why = errno;
    (void)umask(mask); /* always succeeds */
    if (!ok) {
        (void)close(fd); /* nothing was written */
        errno = why;
        return ERR_ADDRESS;
    }
    *out = fd;
    return ERR_OK;
}

enum accepted { ACCEPTED_ALL, ACCEPTED_SOME, ACCEPT_STARVED };

/* Accepts as many connections as the handler has time for: the kernel keeps the others. */
static enum accepted accept_some(struct net_listener *l)
{
    while (l->fd >= 0 && !net_loop_is_spent(l->loop)) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        net_loop_spend(l->loop, 0);
        if (fd >= 0) {
            l->on_accept(l->ctx, fd); /* may close the listener */
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            return ACCEPT_STARVED;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return ACCEPTED_ALL; /* EAGAIN */
        }
    }
    return ACCEPTED_SOME;
}

static void on_listener_ready(uv_poll_t *handle, int status, int events)
{
    struct net_listener *l = handle->data;
    (void)status;
    (void)events;
    net_loop_begin(l->loop);
    enum accepted accepted = accept_some(l);
    net_loop_end(l->loop);
    if (accepted == ACCEPT_STARVED) {
        (void)uv_poll_stop(&l->poll); /* never fails */
        if (net_timer_set_ms(&l->retry, RETRY_MS) != ERR_OK) {
            CHECK(uv_poll_start(&l->poll, UV_READABLE, on_listener_ready) == 0);
        }
    }
}

bool net_listener_accept_all(struct net_listener *l)
{
    return accept_some(l) != ACCEPTED_SOME;
}

static void on_retry(struct net_timer *timer)
{
    struct net_listener *l =
        (struct net_listener *)(void *)((char *)timer - offsetof(struct net_listener, retry));
    CHECK(uv_poll_start(&l->poll, UV_READABLE, on_listener_ready) == 0);
}

enum err net_listener_open(struct net_loop *loop, int fd, net_on_accept *on_accept, void *ctx,
                           struct net_listener **out)
{
    struct net_listener *l = memory_new(sizeof(*l));
    if (l == NULL) {
        return ERR_NO_MEMORY;
    }
    if (uv_poll_init(&loop->uv, &l->poll, fd) != 0) {
        memory_free(l);
        return ERR_NET;
    }
    l->loop = loop;
    l->fd = fd;
    l->on_accept = on_accept;
    l->ctx = ctx;
    l->poll.data = l;
    net_timer_init(&l->retry, loop, on_retry);
    CHECK(uv_poll_start(&l->poll, UV_READABLE, on_listener_ready) == 0);
    *out = l;
    return ERR_OK;
}

static void on_listener_closed(uv_handle_t *handle)
{
    memory_free(handle->data);
}

void net_listener_close(struct net_listener **l)
{
    if (*l == NULL) {
        return;
    }
    net_timer_fini(&(*l)->retry);
    uv_close((uv_handle_t *)&(*l)->poll, on_listener_closed);
    (void)close((*l)->fd); /* a listening socket holds no data */
    (*l)->fd = -1;
    *l = NULL;
}
