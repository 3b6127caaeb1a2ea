/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_server.h — a DNS server on 127.0.0.1 whose answers a test scripts. What it says of a name
 * depends on the name's first label; anything else does not exist.
 *
 * Sources  RFC 1035 4.
 */
#ifndef TESTS_NET_NAME_SERVER_H
#define TESTS_NET_NAME_SERVER_H

#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME_SERVER_PACKET 1500

struct name_server {
    int fd;
    char address[32]; /* for dns.servers */
    pthread_t thread;
    _Atomic uint32_t live;                  /* what `live` is at, in host order */
    _Atomic uint32_t ttl_s;                 /* of `live` */
    _Atomic bool is_mute;                   /* nobody is answered */
    _Atomic bool is_failing;                /* everybody is told SERVFAIL */
    _Atomic unsigned asked_four, asked_six; /* for A and for AAAA records */
    _Atomic bool is_ending;
};

struct name_server_reply {
    uint8_t bytes[NAME_SERVER_PACKET];
    size_t len;
};

static inline void put16(struct name_server_reply *r, unsigned value)
{
    r->bytes[r->len++] = (uint8_t)(value >> 8);
    r->bytes[r->len++] = (uint8_t)value;
}

static inline void put32(struct name_server_reply *r, uint32_t value)
{
    put16(r, value >> 16);
    put16(r, value & 0xFFFF);
}

/* A record of the question's own name. */
static inline void put_record(struct name_server_reply *r, unsigned type, uint32_t ttl_s)
{
    put16(r, 0xC00C);
    put16(r, type);
    put16(r, 1);
    put32(r, ttl_s);
    r->bytes[7]++; /* answers */
}

static inline void put_a(struct name_server_reply *r, uint32_t address, uint32_t ttl_s)
{
    put_record(r, 1, ttl_s);
    put16(r, 4);
    put32(r, address);
}

/* False: say nothing. */
static inline bool name_server_answer(struct name_server *s, const char *label, bool is_a,
                                      struct name_server_reply *r)
{
    if (atomic_load(&s->is_mute) || strncmp(label, "dead", 4) == 0) {
        return false;
    }
    if (atomic_load(&s->is_failing)) {
        r->bytes[3] = 2; /* SERVFAIL */
    } else if (strcmp(label, "four") == 0 && !is_a) {
        return false;
    } else if (strcmp(label, "four") == 0 || strcmp(label, "live") == 0 ||
               strcmp(label, "good") == 0) {
        if (is_a) {
            put_a(r, atomic_load(&s->live), atomic_load(&s->ttl_s));
        }
    } else if (strcmp(label, "many") == 0) {
        for (uint32_t i = 1; is_a && i <= 24; i++) {
            put_a(r, 0x0A000000 + i, 60);
        }
    } else if (strcmp(label, "nowhere") == 0) {
        if (is_a) {
            put_a(r, 0, 60);
            put_a(r, 0xE0000001, 60);
            put_a(r, 0xFFFFFFFF, 60);
        }
    } else if (strcmp(label, "loop") == 0) {
        put_record(r, 5, 60);
        put16(r, 2);
        put16(r, 0xC00C);
    } else if (strcmp(label, "torn") == 0) {
        put_record(r, 1, 60);
        put16(r, 400); /* beyond the packet */
    } else {
        r->bytes[3] = 3; /* no such name */
    }
    return true;
}

static inline void name_server_serve(struct name_server *s, const uint8_t *asked, size_t len,
                                     struct sockaddr_in *from)
{
    struct name_server_reply r = {.len = len};
    char label[64] = "";
    size_t end = 12;
    while (end < len && asked[end] != 0) {
        end += 1u + asked[end];
    }
    if (end + 5 > len || asked[12] > 63) {
        return;
    }
    memcpy(label, asked + 13, asked[12]);
    memcpy(r.bytes, asked, len);
    r.len = end + 5; /* without what may follow the question */
    r.bytes[2] = 0x81;
    r.bytes[3] = 0;
    r.bytes[10] = r.bytes[11] = 0;
    bool is_a = asked[end + 2] == 1;
    atomic_fetch_add(is_a ? &s->asked_four : &s->asked_six, 1);
    if (name_server_answer(s, label, is_a, &r)) {
        (void)sendto(s->fd, r.bytes, r.len, 0, (struct sockaddr *)from, sizeof(*from));
    }
}

static inline void *name_server_run(void *arg)
{
    struct name_server *s = arg;
    while (!atomic_load(&s->is_ending)) {
        uint8_t asked[NAME_SERVER_PACKET];
        struct sockaddr_in from;
        socklen_t from_len = sizeof(from);
        ssize_t n = recvfrom(s->fd, asked, sizeof(asked), 0, (struct sockaddr *)&from, &from_len);
        if (n >= 17) {
            name_server_serve(s, asked, (size_t)n, &from);
        }
    }
    return NULL;
}

static inline void name_server_open(struct name_server *s)
{
    *s = (struct name_server){.live = 0x7F000001, .ttl_s = 60};
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(here);
    struct timeval look = {.tv_usec = 20000};
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(s->fd >= 0);
    assert_int_equal(setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof(look)), 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&here, sizeof(here)), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&here, &len), 0);
    (void)snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", ntohs(here.sin_port));
    assert_int_equal(pthread_create(&s->thread, NULL, name_server_run, s), 0);
}

/* How often a name was asked for: for IPv4 alone, or for both. Where the answer for both takes its
 * time, IPv4 is asked for once more. */
static inline unsigned name_server_questions(struct name_server *s)
{
    unsigned six = atomic_load(&s->asked_six);
    return six > 0 ? six : atomic_load(&s->asked_four);
}

static inline void name_server_close(struct name_server *s)
{
    atomic_store(&s->is_ending, true);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    assert_int_equal(close(s->fd), 0);
}

#endif
