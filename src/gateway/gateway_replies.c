/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway_replies.h"

#include <stdio.h>

#include "base/counter.h"
#include "base/health.h"
#include "call/call_key.h"
#include "http/http_request.h"
#include "http/http_target.h"
#include "policy/cors.h"
#include "json/json_scan.h"

#define FIELDS_MAX   8192
#define MODEL_ID_MAX 512
#define RETRY_BYTES  40
#define PATH_SHOWN   128 /* bytes of a path that an error names */

/* An answer in the making: all that is needed to end the exchange. */
struct answer {
    struct call_shared *shared;
    struct exchange *x;
    const struct http_request *head;
    struct crypto_call_id id;
    struct arena arena;
};

static struct span common_fields(struct answer *a, struct span more)
{
    const struct policy *p = a->shared->policy;
    struct buf b;
    buf_init(&b, FIELDS_MAX);
    buf_put_text(&b, "x-request-id: ");
    buf_put_text(&b, a->id.text);
    buf_put_text(&b, "\r\n");
    buf_put(&b, p->common_lines);
    buf_put(&b, cors_fields(p, a->head, &a->arena));
    buf_put(&b, more);
    struct span lines = buf_failed(&b) ? SPAN("") : arena_copy(&a->arena, buf_span(&b));
    buf_fini(&b);
    return lines;
}

static void answer(struct answer *a, int status, struct span more, struct span body)
{
    const struct call_ports *ports = a->shared->ports;
    struct iovec piece = {(void *)(uintptr_t)body.at, body.len};
    ports->client->put_head(a->x, status, common_fields(a, more), body.len);
    if (body.len > 0) {
        ports->client->put(a->x, &piece, 1);
    }
    ports->client->finish(a->x);
}

static void refuse(struct answer *a, enum err e, struct span param, struct span more)
{
    a->shared->ports->client->refuse(a->x, e, SPAN(""), param, common_fields(a, more));
}

static struct span retry_line(int64_t seconds, char out[RETRY_BYTES])
{
    int len = snprintf(out, RETRY_BYTES, "Retry-After: %lld\r\n",
                       (long long)(seconds > 0 ? seconds : 1)); /* it fits */
    return span_make(out, (size_t)len);
}

static void answer_model(struct answer *a, struct span rest)
{
    uint8_t room[MODEL_ID_MAX];
    struct span id;
    struct policy_match match;
    if (rest.len > sizeof(room) || http_target_decode(rest, room, &id) != ERR_OK ||
        json_scan_utf8(id) != id.len || !policy_find(a->shared->policy, id, &match)) {
        refuse(a, ERR_MODEL_UNKNOWN, SPAN("model"), SPAN(""));
        return;
    }
    struct buf b;
    buf_init(&b, FIELDS_MAX);
    policy_write_model(a->shared->policy, id, match.model, &b);
    if (buf_failed(&b)) {
        refuse(a, ERR_NO_MEMORY, SPAN(""), SPAN(""));
    } else {
        answer(a, 200, SPAN("Content-Type: application/json\r\n"), buf_span(&b));
    }
    buf_fini(&b);
}

static void answer_models(struct answer *a, const struct route *route, struct span rest)
{
    struct call_shared *shared = a->shared;
    struct key_handle key;
    int64_t retry_s = 0;
    enum err e =
        call_key_check(shared, shared->ports->client, a->x, shared->ports->wall(), &key, &retry_s);
    if (e == ERR_OK && (key.scopes & route->scope) == 0) {
        char text[CALL_SCOPE_BYTES];
        size_t len = call_say_scope(route->scope, text);
        shared->ports->client->refuse(a->x, ERR_SCOPE_DENIED, span_make(text, len), SPAN(""),
                                      common_fields(a, SPAN("")));
    } else if (e != ERR_OK) {
        char line[RETRY_BYTES];
        refuse(a, e, SPAN(""), e == ERR_KEYS_GUESSED ? retry_line(retry_s, line) : SPAN(""));
    } else if (route->handler == ROUTE_MODELS) {
        answer(a, 200, SPAN("Content-Type: application/json\r\n"), a->shared->policy->models_json);
    } else {
        answer_model(a, rest);
    }
}

/* Strangers may ask: which kinds of trouble there are, and no names. */
static void answer_health(struct answer *a, const char *status, bool is_ok)
{
    struct buf b;
    const char *before = ",\"problems\":[";
    buf_init(&b, FIELDS_MAX);
    buf_printf(&b, "{\"status\":\"%s\"", status);
    for (enum health kind = 0; kind < HEALTH_COUNT; kind++) {
        if (health_count(kind) > 0) {
            buf_printf(&b, "%s\"%s\"", before, health_row(kind)->word);
            before = ",";
        }
    }
    buf_put_text(&b, before[1] == '\0' ? "]}" : "}");
    answer(a, is_ok ? 200 : 503,
           SPAN("Content-Type: application/json\r\nCache-Control: no-store\r\n"),
           buf_failed(&b) ? SPAN("{}") : buf_span(&b));
    buf_fini(&b);
}

static void answer_ready(struct answer *a, bool ready)
{
    bool is_ok = ready && health_is_ready();
    answer_health(a, is_ok ? "ok" : ready ? "not ready" : "starting or stopping", is_ok);
}

/* Everything that is not a call. */
static void answer_at_once(struct call_shared *shared, struct exchange *x,
                           const struct route *route, struct span rest, bool ready)
{
    struct answer a = {.shared = shared, .x = x, .head = shared->ports->client->head(x)};
    arena_init(&a.arena, FIELDS_MAX * 4);
    shared->ports->call_id(shared->ports->wall(), &a.id);
    if (route == NULL) { /* OPTIONS */
        answer(&a, 204, cors_preflight_fields(shared->policy, a.head, &a.arena), SPAN(""));
    } else if (route->handler == ROUTE_HEALTH) {
        answer_health(&a, "ok", true);
    } else if (route->handler == ROUTE_READY) {
        answer_ready(&a, ready && !shared->draining);
    } else {
        answer_models(&a, route, rest);
    }
    arena_fini(&a.arena);
}

/* Part of a request's target, fit to be read: visible ASCII, cut where it is long. */
static const char *show_path(struct span path, char out[PATH_SHOWN + 4])
{
    size_t len = path.len < PATH_SHOWN ? path.len : PATH_SHOWN;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = path.at[i];
        out[i] = (char)(c > ' ' && c < 0x7f && c != '"' && c != '\\' ? c : '?');
    }
    memcpy(out + len, len < path.len ? "..." : "", len < path.len ? 4 : 1);
    return out;
}

/* Whether there is an endpoint of that path, for any method. */
static bool has_route(struct span path)
{
    const struct route *route;
    struct span rest, allow;
    enum err e = route_find(HTTP_GET, path, &route, &rest, &allow);
    return e == ERR_OK || e == ERR_METHOD_NOT_ALLOWED;
}

/* Says which path is not there, and what most of those who ask for such a one have wrong: an SDK's
 * base URL has /v1 once. */
static void refuse_path(struct answer *a, struct span more)
{
    struct span path = http_request_path(a->head);
    char shown[PATH_SHOWN + 4], text[PATH_SHOWN + 256], with[PATH_SHOWN + 4];
    const char *mend = "";
    (void)snprintf(with, sizeof(with), "/v1%.*s", (int)(path.len < PATH_SHOWN ? path.len : 0),
                   (const char *)path.at); /* fits */
    if (span_starts(path, SPAN("/v1/v1/"))) {
        mend = ": the client's base_url already ends with /v1, and /v1 was added once more";
    } else if (has_route(span_of(with))) {
        mend = ": the client's base_url must end with /v1";
    }
    (void)snprintf(text, sizeof(text), "there is no endpoint %s on this gateway%s",
                   show_path(path, shown), mend); /* fits */
    a->shared->ports->client->refuse(a->x, ERR_ROUTE_UNKNOWN, span_of(text), SPAN(""),
                                     common_fields(a, more));
}

/* No endpoint for this method and path: says so, or which methods there are to who asks just that.
 */
static void answer_no_route(struct call_shared *shared, struct exchange *x, enum err e,
                            struct span allow)
{
    struct answer a = {.shared = shared, .x = x, .head = shared->ports->client->head(x)};
    arena_init(&a.arena, FIELDS_MAX * 4);
    shared->ports->call_id(shared->ports->wall(), &a.id);
    if (e == ERR_METHOD_NOT_ALLOWED && a.head->method == HTTP_OPTIONS) {
        answer(&a, 204, allow, SPAN(""));
    } else if (e == ERR_ROUTE_UNKNOWN) {
        refuse_path(&a, allow);
    } else {
        refuse(&a, e, SPAN(""), allow);
    }
    arena_fini(&a.arena);
}

/* ---- more than may be asked ---- */

static void refuse_limited(struct call_shared *shared, struct exchange *x,
                           const struct limits_tightest *requests)
{
    static const struct limits_tightest none = {.limit = 0};
    struct answer a = {.shared = shared, .x = x, .head = shared->ports->client->head(x)};
    char lines[CALL_LIMITS_BYTES + RETRY_BYTES];
    wall_us now = shared->ports->wall();
    size_t len = call_limits_write(requests, &none, now, lines);
    len += retry_line((requests->standing.one_more_us + 999999) / 1000000, lines + len).len;
    arena_init(&a.arena, FIELDS_MAX * 4);
    shared->ports->call_id(now, &a.id);
    refuse(&a, ERR_REQUESTS_LIMITED, SPAN(""), span_make(lines, len));
    arena_fini(&a.arena);
}

/* Tells the log once a minute of an address that asks too often. */
static void tell_limited(struct call_shared *shared, struct exchange *x, uint64_t source,
                         mono_us now)
{
    char room[NET_IP_TEXT];
    const char *who = call_client_text(shared->ports->client, x, room);
    counter_add(COUNT_REQUESTS_LIMITED, 1);
    struct span key = span_make(&source, sizeof(source));
    if (limits_gate_is_news(shared->gate, LIMITS_NEWS_LIMITED, key, now)) {
        log_info("requests_limited",
                 "%s: more requests a minute than client.requests_per_minute, or the listener's, "
                 "allows; those beyond are answered 429",
                 who);
    }
}

/* Whether the request may come in; if not it was refused. */
static bool let_in(struct call_shared *shared, unsigned listener, struct exchange *x)
{
    const struct limits_gate_terms *terms = &shared->gate_terms;
    struct limits_tightest standing;
    struct net_ip address;
    if (shared->gate == NULL ||
        (terms->address.per_minute == 0 && terms->listener[listener].per_minute == 0)) {
        return true;
    }
    mono_us now = shared->ports->mono();
    (void)shared->ports->client->address(x, &address); /* whoever says so */
    uint64_t source = limits_source_of(address.bytes);
    if (limits_gate_enter(shared->gate, terms, listener, source, now, &standing)) {
        return true;
    }
    tell_limited(shared, x, source, now);
    refuse_limited(shared, x, &standing);
    return false;
}

static bool is_about_health(const struct route *route)
{
    return route != NULL && (route->handler == ROUTE_HEALTH || route->handler == ROUTE_READY);
}

void gateway_reply(struct call_shared *shared, bool ready, unsigned listener, struct exchange *x)
{
    const struct http_request *head = shared->ports->client->head(x);
    const struct route *route = NULL;
    struct span rest = SPAN(""), allow = SPAN("");
    enum err e = route_find(head->method, http_request_path(head), &route, &rest, &allow);
    if (!is_about_health(route) && !let_in(shared, listener, x)) {
        return;
    }
    if (cors_is_preflight(shared->policy, head)) {
        answer_at_once(shared, x, NULL, rest, ready);
    } else if (e != ERR_OK) {
        answer_no_route(shared, x, e, allow);
    } else if (route->body == ROUTE_BODY_JSON) {
        call_start(shared, x, route);
    } else {
        answer_at_once(shared, x, route, rest, ready);
    }
}
