/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_net.h — what the bench's model server and its load share.
 *
 * Both are as cheap as they can be, so that the gateway between them is what is measured: one
 * epoll, no allocation after the start, waits to the microsecond.
 */
#ifndef BENCH_BENCH_NET_H
#define BENCH_BENCH_NET_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* An event says when it was sent: this mark, then STAMP_DIGITS of microseconds. */
#define STAMP_MARK   "@@"
#define STAMP_DIGITS 16

#define READ_BYTES (512 * 1024)
#define READY_MOST 256

static inline void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "bench: %s: %s\n", what, strerrordesc_np(errno));
        exit(1);
    }
}

static inline struct sockaddr_in loopback(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    return a;
}

static inline void prepare_process(void)
{
    struct rlimit files;
    must(getrlimit(RLIMIT_NOFILE, &files) == 0, "open files");
    files.rlim_cur = files.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &files) == 0, "open files");
    must(prctl(PR_SET_TIMERSLACK, 1) == 0, "timer slack");
}

/* Waits for sockets, but no longer than until `until` (microseconds of clock_mono()). */
static inline int wait_until(int poll, struct epoll_event *ready, int64_t until)
{
    int64_t left = until - clock_mono().us;
    left = left < 0 ? 0 : left;
    struct timespec wait = {.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
    int count = epoll_pwait2(poll, ready, READY_MOST, &wait, NULL);
    must(count >= 0 || errno == EINTR, "epoll");
    return count < 0 ? 0 : count;
}

static inline void watch(int poll, int fd, uint32_t events, void *what)
{
    struct epoll_event e = {.events = events, .data.ptr = what};
    must(epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e) == 0, "epoll_ctl");
}

static inline void no_delay(int fd)
{
    int on = 1;
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0, "TCP_NODELAY");
}

#endif
