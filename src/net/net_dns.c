/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One c-ares channel, driven by the loop: a poll handle for each of its sockets, one timer for its
 * next time-out. A channel reads the system's files when it is made, so a change makes another one.
 */
#include "net/net_dns.h"

#include <ares.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/memory.h"
#include "net/net_internal.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define TRY_MS      1000 /* the first try of each server; the next ones double it */
#define TRIES       3
#define LOOK_MS     1000 /* between two looks at resolv.conf and at the addresses of this machine */
#define SERVERS_MAX 32
#define ALONE_MS    250 /* then IPv4 is asked for by itself too; less than who asks has patience */

struct net_dns {
    struct net_loop *loop;
    ares_channel channel; /* NULL: it could not be made, or must be anew */
    struct net_timer tick;
    struct list sockets;
    const struct texts *servers;
    mono_us looked;
    struct stat file; /* resolv.conf as the channel read it */
    int family;       /* what to ask for */
};

/* A socket of the channel. */
struct dns_socket {
    uv_poll_t poll;
    struct list link;
    struct net_dns *dns;
    int fd;
};

/*
 * What c-ares is asked, which answers when it has heard of both families. Some name servers never
 * answer for IPv6, and a model server would be unknown until all tries for that are over: so IPv4
 * is soon asked for by itself too, and the first that finds something is told.
 */
struct dns_question {
    net_dns_on_answer *on_answer; /* NULL: it was told */
    void *ctx;
    struct net_dns *dns;
    const char *host;
    struct net_timer alone;
    unsigned pending; /* of the two */
};

/* ---- the channel's sockets and time ---- */

static void arm(struct net_dns *dns)
{
    struct timeval room;
    const struct timeval *left =
        dns->channel == NULL ? NULL : ares_timeout(dns->channel, NULL, &room);
    if (left == NULL) {
        net_timer_stop(&dns->tick);
        return;
    }
    int64_t ms = (int64_t)left->tv_sec * 1000 + left->tv_usec / 1000 + 1;
    /* It has had its place in the heap since net_dns_open(). */
    CHECK(net_timer_set_ms(&dns->tick, ms) == ERR_OK);
}

static void on_tick(struct net_timer *timer)
{
    struct net_dns *dns = LIST_OF(timer, struct net_dns, tick);
    if (dns->channel != NULL) {
        ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    arm(dns);
}

static void on_socket_closed(uv_handle_t *handle)
{
    memory_free(LIST_OF(handle, struct dns_socket, poll));
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct dns_socket *s = LIST_OF(handle, struct dns_socket, poll);
    struct net_dns *dns = s->dns;
    int fd = s->fd;
    bool reads = status < 0 || (events & UV_READABLE) != 0;
    bool writes = status < 0 || (events & UV_WRITABLE) != 0;
    ares_process_fd(dns->channel, reads ? fd : ARES_SOCKET_BAD, writes ? fd : ARES_SOCKET_BAD);
    arm(dns);
}

static struct dns_socket *socket_find(struct net_dns *dns, int fd)
{
    for (struct list *l = dns->sockets.next; l != &dns->sockets; l = l->next) {
        struct dns_socket *s = LIST_OF(l, struct dns_socket, link);
        if (s->fd == fd) {
            return s;
        }
    }
    return NULL;
}

/* Without memory the socket is not listened to: the question times out. */
static struct dns_socket *socket_new(struct net_dns *dns, int fd)
{
    struct dns_socket *s = memory_new(sizeof(*s));
    if (s == NULL || uv_poll_init(&dns->loop->uv, &s->poll, fd) != 0) {
        memory_free(s);
        return NULL;
    }
    s->dns = dns;
    s->fd = fd;
    list_init(&s->link);
    list_push_back(&dns->sockets, &s->link);
    return s;
}

/* c-ares tells what it wants of a socket; neither: it is about to close it. */
static void on_socket_state(void *ctx, ares_socket_t fd, int reads, int writes)
{
    struct net_dns *dns = ctx;
    struct dns_socket *s = socket_find(dns, fd);
    int events = (reads ? UV_READABLE : 0) | (writes ? UV_WRITABLE : 0);
    if (events == 0) {
        if (s != NULL) {
            list_remove(&s->link);
            uv_close((uv_handle_t *)&s->poll, on_socket_closed);
        }
        return;
    }
    if (s == NULL) {
        s = socket_new(dns, fd);
    }
    if (s != NULL) {
        CHECK(uv_poll_start(&s->poll, events, on_poll) == 0);
    }
}

/* ---- the channel ---- */

static enum err set_servers(struct net_dns *dns)
{
    struct ares_addr_port_node nodes[SERVERS_MAX] = {0};
    size_t count = dns->servers->count < SERVERS_MAX ? dns->servers->count : SERVERS_MAX;
    for (size_t i = 0; i < count; i++) {
        struct net_address address;
        CHECK(net_dns_server_parse(dns->servers->at[i], &address) == ERR_OK);
        struct ares_addr_port_node *node = &nodes[i];
        const struct sockaddr_in *four = (const struct sockaddr_in *)(void *)&address.storage;
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(void *)&address.storage;
        node->family = address.storage.ss_family;
        if (node->family == AF_INET) {
            node->addr.addr4 = four->sin_addr;
        } else {
            memcpy(&node->addr.addr6, &six->sin6_addr, sizeof(node->addr.addr6));
        }
        node->udp_port = node->tcp_port =
            ntohs(node->family == AF_INET ? four->sin_port : six->sin6_port);
        node->next = i + 1 < count ? &nodes[i + 1] : NULL;
    }
    return ares_set_servers_ports(dns->channel, nodes) == ARES_SUCCESS ? ERR_OK : ERR_NO_MEMORY;
}

static void channel_close(struct net_dns *dns)
{
    ares_channel channel = dns->channel;
    dns->channel = NULL; /* first: its questions may be asked again from within */
    if (channel != NULL) {
        ares_destroy(channel);
    }
}

static void channel_open(struct net_dns *dns)
{
    struct ares_options options = {.timeout = TRY_MS,
                                   .tries = TRIES,
                                   .sock_state_cb = on_socket_state,
                                   .sock_state_cb_data = dns};
    int wanted = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (ares_init_options(&dns->channel, &options, wanted) != ARES_SUCCESS) {
        dns->channel = NULL;
    } else if (dns->servers != NULL && dns->servers->count > 0 && set_servers(dns) != ERR_OK) {
        channel_close(dns);
    }
}

static bool is_own_six(const struct sockaddr *address)
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
    return address->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr);
}

/* As AI_ADDRCONFIG has it, no question for IPv6 where this machine has only IPv4 itself: some name
 * servers never answer it. */
static int own_family(void)
{
    struct ifaddrs *all;
    bool four = false, six = false;
    if (getifaddrs(&all) != 0) {
        return AF_UNSPEC;
    }
    for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        if (i->ifa_addr != NULL && (i->ifa_flags & IFF_LOOPBACK) == 0) {
            four = four || i->ifa_addr->sa_family == AF_INET;
            six = six || is_own_six(i->ifa_addr);
        }
    }
    freeifaddrs(all);
    return four && !six ? AF_INET : AF_UNSPEC;
}

/* Makes the channel where there is none, or where what it was made from has changed. */
static void look_at_system(struct net_dns *dns)
{
    mono_us now = clock_mono();
    if (dns->channel != NULL && clock_since(dns->looked, now) < LOOK_MS * 1000) {
        return;
    }
    struct stat file = {0};
    dns->looked = now;
    dns->family = own_family();
    (void)stat(RESOLV_CONF, &file); /* not there: all zero, which is as good a state as any */
    bool is_same = file.st_ino == dns->file.st_ino && file.st_dev == dns->file.st_dev &&
                   file.st_size == dns->file.st_size &&
                   file.st_mtim.tv_sec == dns->file.st_mtim.tv_sec &&
                   file.st_mtim.tv_nsec == dns->file.st_mtim.tv_nsec;
    if (dns->channel != NULL && is_same) {
        return;
    }
    dns->file = file;
    channel_close(dns);
    channel_open(dns);
}

/* ---- questions ---- */

/* Whether a server can be there. */
static bool is_usable(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)address;
        uint32_t host = ntohl(four->sin_addr.s_addr);
        return host >> 24 != 0 && !IN_MULTICAST(host) && host != INADDR_BROADCAST;
    }
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
    return address->sa_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr) &&
           !IN6_IS_ADDR_MULTICAST(&six->sin6_addr);
}

static uint32_t shorter(uint32_t ttl_s, int other)
{
    uint32_t seconds = other < 0 ? 0 : (uint32_t)other;
    return seconds < ttl_s ? seconds : ttl_s;
}

static void take_addresses(struct net_dns_answer *answer, const struct ares_addrinfo *info)
{
    answer->ttl_s = UINT32_MAX;
    for (const struct ares_addrinfo_cname *c = info->cnames; c != NULL; c = c->next) {
        answer->ttl_s = shorter(answer->ttl_s, c->ttl);
    }
    for (const struct ares_addrinfo_node *n = info->nodes; n != NULL; n = n->ai_next) {
        if (answer->count == NET_ADDRESSES_MAX || !is_usable(n->ai_addr)) {
            continue;
        }
        struct net_address *to = &answer->addresses[answer->count++];
        answer->ttl_s = shorter(answer->ttl_s, n->ai_ttl);
        to->len =
            n->ai_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        memcpy(&to->storage, n->ai_addr, to->len);
    }
}

static void read_info(int status, struct ares_addrinfo *info, struct net_dns_answer *answer)
{
    answer->end = NET_DNS_FAILED;
    if (status == ARES_SUCCESS) {
        take_addresses(answer, info);
        answer->end = answer->count > 0 ? NET_DNS_FOUND : NET_DNS_FAILED;
    } else if (status == ARES_ENOTFOUND || status == ARES_EBADNAME) {
        answer->end = NET_DNS_NO_NAME;
    } else if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) {
        answer->end = NET_DNS_AGAIN;
    }
    if (info != NULL) {
        ares_freeaddrinfo(info);
    }
}

static void question_unref(struct dns_question *question)
{
    if (--question->pending == 0) {
        net_timer_fini(&question->alone);
        memory_free(question);
    }
}

static void question_tell(struct dns_question *question, const struct net_dns_answer *answer)
{
    net_dns_on_answer *on_answer = question->on_answer;
    if (on_answer != NULL) {
        question->on_answer = NULL;
        net_timer_stop(&question->alone);
        on_answer(question->ctx, answer);
    }
}

static void on_info(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
    struct dns_question *question = ctx;
    struct net_dns_answer answer = {0};
    (void)timeouts; /* some tries of what came in the end */
    read_info(status, info, &answer);
    question_tell(question, &answer);
    question_unref(question);
}

/* That there is no IPv4 address says nothing of the name. */
static void on_four(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
    struct dns_question *question = ctx;
    struct net_dns_answer answer = {0};
    (void)timeouts;
    read_info(status, info, &answer);
    if (answer.end == NET_DNS_FOUND) {
        question_tell(question, &answer);
    }
    question_unref(question);
}

static void ask_family(struct dns_question *question, int family, ares_addrinfo_callback on_end)
{
    const struct ares_addrinfo_hints hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    question->pending++;
    ares_getaddrinfo(question->dns->channel, question->host, NULL, &hints, on_end, question);
}

static void on_alone(struct net_timer *timer)
{
    struct dns_question *question = LIST_OF(timer, struct dns_question, alone);
    struct net_dns *dns = question->dns;
    if (dns->channel != NULL) {
        ask_family(question, AF_INET, on_four);
        arm(dns);
    }
}

/* RFC 6761 6.3: this machine, whatever a server would say. */
static bool is_localhost(const char *host)
{
    static const char below[] = ".localhost";
    size_t len = strlen(host);
    return strcasecmp(host, below + 1) == 0 ||
           (len >= sizeof(below) && strcasecmp(host + len - strlen(below), below) == 0);
}

/* Localhost and addresses in text: c-ares 1.18 asks a server for some of them all the same. */
static bool answer_without_asking(const char *host, struct net_dns_answer *answer)
{
    if (net_resolve_numeric(host, 0, &answer->addresses[0])) {
        answer->count = 1;
    } else if (is_localhost(host)) {
        CHECK(net_resolve_numeric("127.0.0.1", 0, &answer->addresses[0]));
        CHECK(net_resolve_numeric("::1", 0, &answer->addresses[1]));
        answer->count = 2;
    } else {
        return false;
    }
    answer->end = NET_DNS_FOUND;
    answer->ttl_s = UINT32_MAX;
    return true;
}

void net_dns_ask(struct net_dns *dns, const char *host, net_dns_on_answer *on_answer, void *ctx)
{
    struct net_dns_answer known = {.end = NET_DNS_FAILED};
    if (answer_without_asking(host, &known)) {
        on_answer(ctx, &known);
        return;
    }
    look_at_system(dns);
    struct dns_question *question = memory_new(sizeof(*question));
    if (dns->channel == NULL || question == NULL) {
        memory_free(question);
        on_answer(ctx, &known);
        return;
    }
    *question = (struct dns_question){on_answer, ctx, .dns = dns, .host = host};
    net_timer_init(&question->alone, dns->loop, on_alone);
    if (dns->family == AF_UNSPEC && net_timer_set_ms(&question->alone, ALONE_MS) != ERR_OK) {
        memory_free(question);
        on_answer(ctx, &known);
        return;
    }
    ask_family(question, dns->family, on_info);
    arm(dns);
}

enum err net_dns_open(struct net_loop *loop, struct net_dns **out)
{
    struct net_dns *dns = memory_new(sizeof(*dns));
    if (dns == NULL) {
        return ERR_NO_MEMORY;
    }
    dns->loop = loop;
    list_init(&dns->sockets);
    net_timer_init(&dns->tick, loop, on_tick);
    if (net_timer_set_ms(&dns->tick, LOOK_MS) != ERR_OK ||
        ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        net_timer_fini(&dns->tick);
        memory_free(dns);
        return ERR_NO_MEMORY;
    }
    *out = dns;
    return ERR_OK;
}

void net_dns_set_servers_borrow(struct net_dns *dns, const struct texts *servers)
{
    dns->servers = servers;
    channel_close(dns); /* the next question makes another */
}

void net_dns_close(struct net_dns **dns)
{
    struct net_dns *d = *dns;
    if (d == NULL) {
        return;
    }
    *dns = NULL;
    channel_close(d);
    net_timer_fini(&d->tick);
    ares_library_cleanup();
    memory_free(d);
}
