/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SO_REUSEPORT socket a worker, so that the kernel spreads connections and no worker waits for
 * another. Port 0 asks the kernel for a port; the other workers' sockets then take the same one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/holder.h"
#include "base/memory.h"
#include "net/net_listen.h"
#include "serve/serve.h"

#define DESCRIPTION_BYTES (SERVE_LISTENERS_MAX * 64 * 8)

/* A socket's file that nobody listens at could not be removed: the folder is another user's. */
static void refuse_dead_socket(const char *path)
{
    struct stat st;
    char owner[64] = "another user";
    char us[64];
    if (lstat(path, &st) == 0) {
        holder_user(st.st_uid, owner, sizeof(owner));
    }
    holder_user(geteuid(), us, sizeof(us));
    log_error("address_in_use",
              "%s was left behind by %s and %s may not remove it; give the folder back: "
              "sudo chown -R %s %.*s",
              path, owner, us, us, (int)(strrchr(path, '/') - path), path);
}

static void refuse_address(const char *address)
{
    int why = errno;
    struct net_address parsed;
    char holder[HOLDER_BYTES];
    bool is_file = strncmp(address, "unix:/", 6) == 0;
    if (why == EADDRINUSE && is_file && !holder_listens_at(address + 5)) {
        refuse_dead_socket(address + 5);
    } else if (why == EADDRINUSE && net_address_parse(address, &parsed) == ERR_OK) {
        (void)holder_of_port(net_address_port(&parsed), holder, sizeof(holder));
        log_error("address_in_use", "%s is in use by %s; stop it, or choose another address",
                  address, holder);
    } else if (why == EACCES && !is_file) {
        log_error("address_denied",
                  "%s may not be listened on by this user; choose a port above 1023", address);
    } else {
        log_error("address_failed", "%s cannot be listened on: %s", address, strerrordesc_np(why));
    }
}

/* Sockets that share an address would share it with another Atlas, too, and each get half of the
 * connections: one that does not share finds out whether it is free. */
static enum err try_alone(const struct net_address *address)
{
    int fd;
    enum err e = net_listen_fd(address, false, &fd);
    if (e == ERR_OK) {
        (void)close(fd); /* nothing was written */
    }
    return e;
}

static enum err bind_first(const char *address, bool shared, struct net_address *bound, int *out)
{
    errno = 0;
    if (net_address_parse(address, bound) != ERR_OK) {
        log_error("address_invalid", "%s is not an address to listen on", address);
        return ERR_ADDRESS;
    }
    enum err e = shared ? try_alone(bound) : ERR_OK;
    if (e == ERR_OK) {
        e = net_listen_fd(bound, shared, out);
    }
    if (e != ERR_OK) {
        refuse_address(address);
        return e;
    }
    bound->len = sizeof(bound->storage);
    CHECK(getsockname(*out, (struct sockaddr *)&bound->storage, &bound->len) == 0);
    return ERR_OK;
}

static const char *scheme_of(const struct server_listen *listen)
{
    return listen->tls_certificate == NULL ? "http" : "https";
}

static enum err open_listener(const struct server_listen *listen, struct serve_inherited *out,
                              int listener)
{
    struct net_address bound;
    int *fds = out->fds + listener * out->workers;
    enum err e = bind_first(listen->address, true, &bound, &fds[0]);
    for (int w = 1; e == ERR_OK && w < out->workers; w++) {
        e = net_listen_fd(&bound, true, &fds[w]);
        if (e != ERR_OK) {
            refuse_address(listen->address);
        }
    }
    if (e == ERR_OK) {
        char text[80];
        net_address_text(&bound, text, sizeof(text));
        log_info("listening", "%s://%s", scheme_of(listen), text);
    }
    return e;
}

static enum err open_admin(const struct settings *settings, struct serve_inherited *out)
{
    struct net_address bound;
    char text[4200];
    const struct server_listen *listen = &settings->admin.listen;
    enum err e = bind_first(listen->address, false, &bound, &out->admin_fd);
    if (e != ERR_OK) {
        return e;
    }
    net_address_text(&bound, text, sizeof(text));
    log_info("listening_admin", "%s://%s", scheme_of(listen), text);
    (void)snprintf(text, sizeof(text), "unix:%s/admin.sock",
                   settings->data); /* parse refuses a cut */
    return bind_first(text, false, &bound, &out->socket_fd);
}

enum err serve_open_listeners(const struct settings *settings, struct serve_inherited *out)
{
    *out = (struct serve_inherited){.workers = settings_workers(settings),
                                    .listeners = (int)settings->server.listens_count,
                                    .admin_fd = -1,
                                    .socket_fd = -1,
                                    .lock_fd = -1,
                                    .says_fd = -1,
                                    .life_fd = -1,
                                    .place = serve_place(settings)};
    size_t count = (size_t)out->listeners * (size_t)out->workers;
    out->fds = memory_new_array(count, sizeof(int));
    if (out->fds == NULL) {
        log_error("listen", "%s", err_sentence(ERR_NO_MEMORY));
        return ERR_NO_MEMORY;
    }
    memset(out->fds, 0xff, count * sizeof(int)); /* -1 each */
    enum err e = ERR_OK;
    for (int l = 0; e == ERR_OK && l < out->listeners; l++) {
        e = open_listener(&settings->server.listens[l], out, l);
    }
    if (e == ERR_OK) {
        e = open_admin(settings, out);
    }
    if (e != ERR_OK) {
        serve_close_listeners(out);
    }
    return e;
}

/* FNV-1a; the NUL at the end keeps two texts apart. */
static uint32_t add_text(uint32_t sum, const char *text)
{
    do {
        sum = (sum ^ (uint8_t)*text) * 16777619u;
    } while (*text++ != '\0');
    return sum;
}

int serve_place(const struct settings *settings)
{
    uint32_t sum = add_text(2166136261u, settings->data);
    const struct server_listen *listen;
    for (size_t i = 0; (listen = settings_listen(settings, i)) != NULL; i++) {
        sum = add_text(sum, scheme_of(listen));
    }
    return (int)(sum >> 1 | 1); /* never 0 */
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* a listening socket holds no data */
        *fd = -1;
    }
}

void serve_close_listeners(struct serve_inherited *in)
{
    for (int i = 0; in->fds != NULL && i < in->listeners * in->workers; i++) {
        close_fd(&in->fds[i]);
    }
    close_fd(&in->admin_fd);
    close_fd(&in->socket_fd);
    memory_free(in->fds);
    in->fds = NULL;
}

enum err serve_export(const struct serve_inherited *in)
{
    struct buf b;
    buf_init(&b, DESCRIPTION_BYTES);
    buf_printf(&b, "%d %d %d %d %d %d %d %d %d", in->workers, in->listeners, in->admin_fd,
               in->socket_fd, in->lock_fd, in->says_fd, in->life_fd, in->again, in->place);
    for (int i = 0; i < in->listeners * in->workers; i++) {
        buf_printf(&b, " %d", in->fds[i]);
    }
    buf_put_byte(&b, '\0');
    bool ok = !buf_failed(&b) && setenv(SERVE_INHERITED_ENV, (const char *)buf_span(&b).at, 1) == 0;
    buf_fini(&b);
    return ok ? ERR_OK : ERR_NO_MEMORY;
}

static bool next_number(const char **at, int *out)
{
    char *end;
    errno = 0;
    long value = strtol(*at, &end, 10);
    if (end == *at || errno != 0 || value < -1 || value > INT32_MAX) {
        return false;
    }
    *at = end;
    *out = (int)value;
    return true;
}

static bool next_numbers(const char **at, int *const out[], size_t count)
{
    bool all = *at != NULL;
    for (size_t i = 0; all && i < count; i++) {
        all = next_number(at, out[i]);
    }
    return all;
}

enum err serve_import(struct serve_inherited *out)
{
    struct serve_inherited in = {0};
    const char *at = getenv(SERVE_INHERITED_ENV); /* no other thread runs yet */
    int *const numbers[] = {&in.workers, &in.listeners, &in.admin_fd, &in.socket_fd, &in.lock_fd,
                            &in.says_fd, &in.life_fd,   &in.again,    &in.place};
    if (!next_numbers(&at, numbers, sizeof(numbers) / sizeof(numbers[0])) || in.workers < 1 ||
        in.workers > SERVE_WORKERS_MAX || in.listeners < 1 || in.listeners > SERVE_LISTENERS_MAX) {
        return ERR_USAGE;
    }
    int count = in.workers * in.listeners;
    in.fds = memory_new_array((size_t)count, sizeof(int));
    if (in.fds == NULL) {
        return ERR_NO_MEMORY;
    }
    for (int i = 0; i < count; i++) {
        if (!next_number(&at, &in.fds[i])) {
            memory_free(in.fds);
            return ERR_USAGE;
        }
    }
    *out = in;
    return ERR_OK;
}
