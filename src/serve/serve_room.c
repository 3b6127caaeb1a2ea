/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway that comes back on a full disk cannot open its journal or its store. It neither dies
 * again and again, nor lets its callers hang in the backlog: it answers 503 on every listener until
 * there is room, and then opens what it could not.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "http/http_request.h"
#include "serve/serve_internal.h"
#include "server/exchange.h"
#include "server/server.h"

#define LOOK_MS    1000
#define ROOM_BYTES (1 << 20) /* beyond what it needs: less would be taken by the first records */

struct room {
    struct serve_gateway *gateway;
    struct server *servers[SERVE_WORKERS_MAX + 2]; /* a worker's listeners each; the admin's two */
    size_t count;
    struct net_timer look;
};

bool serve_has_room(const struct serve_gateway *g)
{
    int fd = open(g->settings->data, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno != ENOSPC && errno != EDQUOT; /* a disk that cannot be asked is just tried */
    }
    int number = posix_fallocate(fd, 0, (off_t)g->room_bytes + ROOM_BYTES);
    (void)close(fd); /* it has no name and holds nothing */
    return number != ENOSPC && number != EDQUOT;
}

static void on_look(struct net_timer *timer)
{
    struct room *room = (struct room *)(void *)((char *)timer - offsetof(struct room, look));
    if (serve_has_room(room->gateway)) {
        net_loop_stop(room->gateway->loop);
        return;
    }
    CHECK(net_timer_set_ms(timer, LOOK_MS) == ERR_OK); /* its place in the heap was just freed */
}

/* It lives, and to start it anew would help nobody: /healthz says so. */
static void on_request(void *ctx, struct exchange *x)
{
    (void)ctx;
    struct span body = SPAN("{\"status\":\"ok\"}");
    struct iovec piece = {(void *)(uintptr_t)body.at, body.len};
    if (!span_is(http_request_path(exchange_head(x)), "/healthz")) {
        exchange_refuse(x, ERR_DISK_FULL, SPAN(""), SPAN(""), SPAN(""));
        return;
    }
    exchange_put_head(x, 200, SPAN("Content-Type: application/json\r\n"), body.len);
    exchange_put(x, &piece, 1);
    exchange_finish(x);
}

/* Serves the `count` listeners, every `step`-th of `fds`; the descriptors stay the caller's. */
static MUST_USE enum err serve_all(struct room *room, const int *fds, int count, int step,
                                   struct net_tls *const *tls)
{
    struct serve_gateway *g = room->gateway;
    const struct server_options options = {
        .settings = &g->settings->server,
        .on_request = on_request,
        .connections = &g->connections,
        .evicts = true,
    };
    struct server **s = &room->servers[room->count];
    enum err e = server_open(g->loop, &options, s);
    if (e != ERR_OK) {
        return e;
    }
    room->count++;
    for (int i = 0; e == ERR_OK && i < count; i++) {
        int copy = fcntl(fds[i * step], F_DUPFD_CLOEXEC, 0);
        e = copy < 0 ? ERR_NO_FILES
                     : server_listen(*s, copy, (unsigned)i, tls == NULL ? NULL : tls[i]);
    }
    return e;
}

static MUST_USE enum err open_doors(struct room *room)
{
    struct serve_gateway *g = room->gateway;
    enum err e = ERR_OK;
    for (int w = 0; e == ERR_OK && w < g->in.workers; w++) {
        e = serve_all(room, &g->in.fds[w], g->in.listeners, g->in.workers, g->tls);
    }
    if (e == ERR_OK && g->in.admin_fd >= 0) {
        e = serve_all(room, &g->in.admin_fd, 1, 1, &g->tls[g->in.listeners]);
    }
    if (e == ERR_OK && g->in.socket_fd >= 0) {
        e = serve_all(room, &g->in.socket_fd, 1, 1, NULL);
    }
    return e;
}

enum err serve_room_wait(struct serve_gateway *g)
{
    struct room room = {.gateway = g};
    log_error("disk_full", "%s has no room: every call is answered 503 until there is some",
              g->settings->data);
    net_timer_init(&room.look, g->loop, on_look);
    enum err e = net_timer_set_ms(&room.look, LOOK_MS);
    if (e == ERR_OK) {
        e = open_doors(&room);
    }
    if (e == ERR_OK) {
        net_loop_run(g->loop);
        log_info("disk_full", "there is room again: the gateway starts");
    }
    while (room.count > 0) {
        server_close(&room.servers[--room.count]);
    }
    net_timer_fini(&room.look);
    return e;
}
