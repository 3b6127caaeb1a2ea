/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two servers on one loop, and one table of routes. Where a request came in says how its sender is
 * known; the route's row says whether it may, and who answers:
 *
 *   a page       here, at once, from memory
 *   a revocation admin_revoke.h, before all that the store has to do
 *   else         admin_job.h, on the store's thread
 */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin_internal.h"
#include "admin/admin_job.h"
#include "admin/admin_revoke.h"
#include "base/memory.h"
#include "http/http_bearer.h"
#include "http/http_target.h"
#include "keys/key_string.h"
#include "limits/limits_gate.h"
#include "net/net_loop.h"
#include "net/net_timer.h"
#include "server/exchange_client.h"
#include "server/server.h"
#include "telemetry/prometheus.h"
#include "telemetry/strangers.h"

#define IDLE_TIMEOUT_MS 30000 /* a scraper that comes more seldom connects anew */
#define RETRY_BYTES     40
#define TELL_MS         1000

/* Where requests come in. */
struct door {
    struct admin *admin;
    struct server *server;
    bool is_private; /* the Unix socket */
    _Atomic int64_t connections;
};

struct admin {
    struct admin_options options;
    struct door open_door, private_door;
    struct admin_revoker revoker;
    struct admin_jobs jobs;
    struct strangers strangers;
    struct limits_gate_terms gate_terms;
    struct net_timer tell; /* of strangers, while some were refused */
    bool is_telling;
};

/* ---- pages ---- */

static enum err (*const pages[])(struct admin_page *) = {
#define PAGE(name, method, path, scope, gives, help) [ADMIN_ROUTE_##name] = admin_page_##name,
#define ROUTE(name, method, path, scope, queue, action, takes, gives, rules, help) \
    [ADMIN_ROUTE_##name] = NULL,
#define PARAM(route, name, kind, least, most, help)
#include "admin/admin_routes.def"
#undef PAGE
#undef ROUTE
#undef PARAM
};

static struct span fields_of(const struct admin_route *route)
{
    return route->gives == ADMIN_OBJECT_text ? SPAN("Content-Type: " PROMETHEUS_CONTENT_TYPE "\r\n")
                                             : SPAN(ADMIN_JSON_FIELDS);
}

static void answer_page(const struct admin *a, struct exchange *x, const struct admin_route *route)
{
    struct buf out;
    struct admin_page page = {&a->options.source, atomic_load(a->options.ready), &out, 200};
    buf_init(&out, ADMIN_ANSWER_BYTES_MAX);
    enum err e = pages[route->number](&page);
    if (e != ERR_OK) {
        exchange_refuse(x, e, SPAN(""), SPAN(""), SPAN(""));
    } else {
        admin_put_reply(x, page.status, fields_of(route), buf_span(&out));
    }
    buf_fini(&out);
}

/* ---- who may ---- */

static void on_tell(struct net_timer *timer)
{
    struct admin *a = (struct admin *)(void *)((char *)timer - offsetof(struct admin, tell));
    bool is_left = strangers_tell(&a->strangers, clock_mono());
    a->is_telling = is_left && net_timer_set_ms(timer, TELL_MS) == ERR_OK;
}

/* A key that is none: tells the log of an address that tries many, and says what it is answered.
 * `*retry_s` is after how many seconds it may have another 401, if that is all it may not. */
static enum err judge_guess(struct admin *a, struct exchange *x, const char *who, struct span token,
                            int64_t *retry_s)
{
    mono_us now = clock_mono();
    struct net_ip address;
    struct limits_tightest standing;
    (void)exchange_address(x, &address); /* whoever says so */
    uint64_t source = limits_source_of(address.bytes);
    struct span key = span_make(&source, sizeof(source));
    if (strangers_try(&a->strangers, who, token, now) &&
        limits_gate_is_news(a->options.gate, LIMITS_NEWS_GUESSING, key, now)) {
        strangers_tell_guesses(who);
    }
    if (limits_gate_guess(a->options.gate, &a->gate_terms, source, now, &standing)) {
        return ERR_KEY_INVALID;
    }
    *retry_s = (standing.standing.one_more_us + 999999) / 1000000;
    return ERR_KEYS_GUESSED;
}

static void tell_revoked(struct admin *a, const char *who, struct span token)
{
    struct key_parts parts;
    if (key_string_parse(token, &parts) == ERR_OK &&
        limits_gate_is_news(a->options.gate, LIMITS_NEWS_REVOKED, parts.id, clock_mono())) {
        strangers_tell_revoked(who, parts.id);
    }
}

/* Notes who has tried without a good key, and says what it is answered; a timer runs while there is
 * something left to tell. */
static enum err note_stranger(struct admin *a, struct exchange *x, enum err e, int64_t *retry_s)
{
    char room[NET_IP_TEXT];
    const char *who = exchange_client(x, room);
    struct span token = SPAN(""),
                sent = http_fields_find(&exchange_head(x)->fields, HTTP_NAME_AUTHORIZATION);
    strangers_note(&a->strangers, who, e, clock_mono());
    if (!a->is_telling && net_timer_set_ms(&a->tell, TELL_MS) == ERR_OK) {
        a->is_telling = true;
    }
    if (a->options.gate == NULL || http_bearer(sent, &token) != ERR_OK) {
        return e;
    }
    if (e == ERR_KEY_REVOKED) {
        tell_revoked(a, who, token);
    }
    return e == ERR_KEY_INVALID ? judge_guess(a, x, who, token, retry_s) : e;
}

/* Whether whose key it is has not ended, and it may be used from there: as for calls. */
static enum err judge_who(const struct access *rights, const struct key_handle *key,
                          const struct net_ip *from)
{
    struct limits_subjects who;
    if (rights == NULL) {
        return ERR_OK;
    }
    enum err e = access_look(rights, key, clock_wall(), &who);
    return e == ERR_OK && !access_admits(rights, key, from) ? ERR_ADDRESS_NOT_ALLOWED : e;
}

/* Finds who asks, and whether it may. */
static enum err admit(struct door *door, struct exchange *x, const struct admin_route *route,
                      struct admin_caller *caller, struct admin_fault *fault, int64_t *retry_s)
{
    if (route->scope == ADMIN_SCOPE_NONE) {
        return ERR_OK;
    }
    if (door->is_private) {
        span_copy_text(span_of(exchange_peer(x)), caller->name, sizeof(caller->name));
        caller->right.is_local = true;
        return ERR_OK;
    }
    enum err e = admin_caller_of_key(door->admin->options.keys, exchange_head(x), route,
                                     clock_wall(), caller, fault);
    if (e != ERR_OK && e != ERR_SCOPE_DENIED) {
        return note_stranger(door->admin, x, e, retry_s);
    }
    struct net_ip from;
    (void)exchange_address(x, &from); /* who knows it does not matter */
    enum err who = judge_who(door->admin->options.rights, &caller->key, &from);
    if (who != ERR_OK) {
        *fault = (struct admin_fault){.param = ""}; /* its own sentence says it */
        return who;
    }
    keys_note_use(door->admin->options.keys, &caller->key, &from, clock_wall());
    return e; /* a key that may not is used, too */
}

/* ---- requests ---- */

/* Whether a request to end a key only revokes it, whatever it is now, and says nothing wrong. */
static bool is_revocation(const struct admin_route *route, const struct http_request *head)
{
    struct admin_params params;
    struct admin_fault unused;
    bool ends = route->number == ADMIN_ROUTE_key_end || route->number == ADMIN_ROUTE_key_revoke;
    return ends && !admin_has_condition(&head->fields) &&
           admin_params_read(route, http_request_query(head), &params, &unused) == ERR_OK &&
           params.at[0].number == 0; /* forget */
}

/* Whether the caller may revoke the key whatever its row says: else the store is asked whose it
 * is. */
static bool may_revoke(const struct admin *a, const struct admin_caller *caller, struct span id)
{
    uint32_t number;
    const struct admin_right *right = &caller->right;
    const struct key_table *table = keys_table(a->options.keys);
    return admin_right_gives(right, KEY_ROLE_OWNER)
               ? !right->has_team
               : !right->has_team && key_table_find(table, id, &number) &&
                     key_table_slot(table, number)->kind != KEY_ADMIN;
}

static void refuse_guess(struct exchange *x, int64_t retry_s)
{
    char line[RETRY_BYTES];
    int len = snprintf(line, sizeof(line), "Retry-After: %lld\r\n", (long long)retry_s); /* fits */
    exchange_refuse(x, ERR_KEYS_GUESSED, SPAN(""), SPAN(""), span_make(line, (size_t)len));
}

static void on_request(void *ctx, struct exchange *x)
{
    struct door *door = ctx;
    struct admin *a = door->admin;
    const struct http_request *head = exchange_head(x);
    const struct admin_route *route;
    struct admin_caller caller = {.has_key = false};
    struct admin_fault fault = {.param = ""};
    struct span id;
    int64_t retry_s = 1;
    enum err e = admin_route_find(head->method, http_request_path(head), &route, &id);
    if (e == ERR_OK) {
        e = admit(door, x, route, &caller, &fault, &retry_s);
    }
    if (e == ERR_KEYS_GUESSED) {
        refuse_guess(x, retry_s);
    } else if (e != ERR_OK) {
        admin_put_refusal(x, e, &fault);
    } else if (pages[route->number] != NULL) {
        answer_page(a, x, route);
    } else if (!is_revocation(route, head) || !may_revoke(a, &caller, id) ||
               !admin_revoke(&a->revoker, x, id, &caller)) {
        admin_job_start(&a->jobs, x, route, &caller);
    }
}

/* ---- open and close ---- */

/* A door has few connections, and keeps none for long that asks for nothing. */
static struct server_settings door_settings(const struct server_settings *server)
{
    struct server_settings settings = *server;
    settings.connections_max = ADMIN_CONNECTIONS_MAX;
    memset(settings.trust.proxy_protocol, 0, sizeof(settings.trust.proxy_protocol));
    settings.idle_timeout_ms =
        settings.idle_timeout_ms < IDLE_TIMEOUT_MS ? settings.idle_timeout_ms : IDLE_TIMEOUT_MS;
    return settings;
}

static enum err open_door(struct admin *a, struct door *door, int fd, struct net_tls *tls)
{
    door->admin = a;
    const struct server_settings settings = door_settings(a->options.server);
    struct server_options options = {.settings = &settings,
                                     .on_request = on_request,
                                     .ctx = door,
                                     .connections = &door->connections,
                                     .evicts = true};
    enum err e = server_open(a->options.loop, &options, &door->server);
    if (e != ERR_OK) {
        (void)close(fd); /* a listening socket holds no data */
        return e;
    }
    return server_listen(door->server, fd, 0, tls);
}

void admin_reload(struct admin *a, const struct server_settings *server, struct net_tls *tls)
{
    const struct server_settings settings = door_settings(server);
    a->gate_terms.guesses = limits_gate_rate_of(server->guesses_per_minute, 0);
    server_set_settings(a->open_door.server, &settings);
    server_set_settings(a->private_door.server, &settings);
    server_set_tls(a->open_door.server, 0, tls);
}

enum err admin_open(const struct admin_options *options, struct admin **out)
{
    struct admin *a = memory_new(sizeof(*a));
    if (a == NULL) {
        (void)close(options->listen_fd); /* listening sockets hold no data */
        (void)close(options->socket_fd);
        return ERR_NO_MEMORY;
    }
    a->options = *options;
    a->gate_terms.guesses = limits_gate_rate_of(options->server->guesses_per_minute, 0);
    a->revoker = (struct admin_revoker){
        options->loop, options->keys, options->watch, options->store, {NULL, NULL}};
    a->jobs = (struct admin_jobs){options->loop,  options->keys,      options->rights,
                                  options->book,  &a->options.source, options->store,
                                  options->apply, {NULL, NULL},       {NULL, NULL}};
    list_init(&a->revoker.open);
    list_init(&a->jobs.posted);
    list_init(&a->jobs.once);
    net_timer_init(&a->tell, options->loop, on_tell);
    a->private_door.is_private = true;
    enum err e = open_door(a, &a->open_door, options->listen_fd, options->tls);
    if (e == ERR_OK) {
        e = open_door(a, &a->private_door, options->socket_fd, NULL);
    } else {
        (void)close(options->socket_fd); /* a listening socket holds no data */
    }
    if (e != ERR_OK) {
        admin_close(&a);
        return e;
    }
    *out = a;
    return ERR_OK;
}

void admin_close(struct admin **a)
{
    if (*a == NULL) {
        return;
    }
    admin_jobs_end(&(*a)->jobs);
    admin_revoke_end(&(*a)->revoker);
    server_close(&(*a)->open_door.server);
    server_close(&(*a)->private_door.server);
    net_timer_fini(&(*a)->tell);
    memory_free(*a);
    *a = NULL;
}
