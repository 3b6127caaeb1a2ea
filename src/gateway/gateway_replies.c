/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway_replies.h"

#include <stdio.h>

#include "base/counter.h"
#include "base/health.h"
#include "gateway/gateway_budgets.h"
#include "gateway/gateway_models.h"
#include "gateway/gateway_usage.h"
#include "http/http_request.h"
#include "policy/cors.h"

#define PATH_SHOWN 128 /* bytes of a path that an error names */

/* Strangers may ask: which kinds of trouble there are, and no names. */
static void answer_health(struct gateway_answer *a, const char *status, bool is_ok)
{
    struct buf b;
    const char *before = ",\"problems\":[";
    buf_init(&b, GATEWAY_FIELDS_MAX);
    buf_printf(&b, "{\"status\":\"%s\"", status);
    for (enum health kind = 0; kind < HEALTH_COUNT; kind++) {
        if (health_count(kind) > 0) {
            buf_printf(&b, "%s\"%s\"", before, health_row(kind)->word);
            before = ",";
        }
    }
    buf_put_text(&b, before[1] == '\0' ? "]}" : "}");
    gateway_answer_put(a, is_ok ? 200 : 503, GATEWAY_JSON_NOW,
                       buf_failed(&b) ? SPAN("{}") : buf_span(&b));
    buf_fini(&b);
}

static void answer_ready(struct gateway_answer *a, bool ready)
{
    bool is_ok = ready && health_is_ready();
    answer_health(a, is_ok ? "ok" : ready ? "not ready" : "starting or stopping", is_ok);
}

/* What needs a key. */
static void answer_known(struct gateway_answer *a, const struct route *route, struct span rest)
{
    if (!gateway_answer_authenticate(a, route->scope)) {
        return;
    }
    if (route->handler == ROUTE_BUDGET) {
        gateway_budgets_list(a);
    } else if (route->handler == ROUTE_USAGE) {
        gateway_usage_ask(a);
    } else if (route->handler == ROUTE_MODELS) {
        gateway_models_list(a);
    } else {
        gateway_models_show(a, rest);
    }
}

/* Everything that is not a call. */
static void answer_at_once(struct call_shared *shared, struct exchange *x,
                           const struct route *route, struct span rest, bool ready)
{
    struct gateway_answer a;
    gateway_answer_begin(&a, shared, x);
    if (route == NULL) { /* OPTIONS */
        gateway_answer_put(&a, 204, cors_preflight_fields(shared->policy, a.head, &a.arena),
                           SPAN(""));
    } else if (route->handler == ROUTE_HEALTH) {
        answer_health(&a, "ok", true);
    } else if (route->handler == ROUTE_READY) {
        answer_ready(&a, ready && !shared->draining);
    } else {
        answer_known(&a, route, rest);
    }
    gateway_answer_end(&a);
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
static void refuse_path(struct gateway_answer *a, struct span more)
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
    gateway_answer_refuse(a, ERR_ROUTE_UNKNOWN, span_of(text), SPAN(""), more);
}

/* No endpoint for this method and path: says so, or which methods there are to who asks just that.
 */
static void answer_no_route(struct call_shared *shared, struct exchange *x, enum err e,
                            struct span allow)
{
    struct gateway_answer a;
    gateway_answer_begin(&a, shared, x);
    if (e == ERR_METHOD_NOT_ALLOWED && a.head->method == HTTP_OPTIONS) {
        gateway_answer_put(&a, 204, allow, SPAN(""));
        gateway_answer_end(&a);
        return;
    }
    gateway_answer_recognise(&a);
    if (e == ERR_ROUTE_UNKNOWN) {
        refuse_path(&a, allow);
    } else {
        gateway_answer_refuse(&a, e, SPAN(""), SPAN(""), allow);
    }
    gateway_answer_end(&a);
}

/* ---- more than may be asked ---- */

static void refuse_limited(struct call_shared *shared, struct exchange *x,
                           const struct limits_tightest *requests)
{
    static const struct limits_tightest none = {.limit = 0};
    struct gateway_answer a;
    char lines[CALL_LIMITS_BYTES + GATEWAY_RETRY_BYTES];
    wall_us now = shared->ports->wall();
    size_t len = call_limits_write(requests, &none, now, lines);
    int64_t wait_s = (requests->standing.one_more_us + 999999) / 1000000;
    len += gateway_retry_line(wait_s, lines + len).len;
    gateway_answer_begin(&a, shared, x);
    gateway_answer_refuse(&a, ERR_REQUESTS_LIMITED, SPAN(""), SPAN(""), span_make(lines, len));
    gateway_answer_end(&a);
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
