/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway_replies.h"

#include "gateway/cors.h"
#include "http/http_request.h"
#include "http/http_target.h"
#include "json/json_scan.h"

#define FIELDS_MAX   8192
#define MODEL_ID_MAX 512

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
    ports->client.put_head(a->x, status, common_fields(a, more), body.len);
    if (body.len > 0) {
        ports->client.put(a->x, &piece, 1);
    }
    ports->client.finish(a->x);
}

static void refuse(struct answer *a, enum err e, struct span param, struct span more)
{
    a->shared->ports->client.refuse(a->x, e, SPAN(""), param, common_fields(a, more));
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

static enum err check_key(const struct answer *a, uint32_t scope)
{
    const struct call_shared *shared = a->shared;
    struct span token;
    struct key_handle key;
    enum err e = call_bearer(http_fields_find(&a->head->fields, HTTP_NAME_AUTHORIZATION), &token);
    if (e == ERR_OK) {
        e = shared->ports->keys.check(shared->keys, token, KEY_USE_INFERENCE, shared->ports->wall(),
                                      &key);
    }
    return e != ERR_OK ? e : (key.scopes & scope) == 0 ? ERR_SCOPE_DENIED : ERR_OK;
}

static void answer_models(struct answer *a, const struct route *route, struct span rest)
{
    enum err e = check_key(a, route->scope);
    if (e != ERR_OK) {
        refuse(a, e, SPAN(""), SPAN(""));
    } else if (route->handler == ROUTE_MODELS) {
        answer(a, 200, SPAN("Content-Type: application/json\r\n"), a->shared->policy->models_json);
    } else {
        answer_model(a, rest);
    }
}

static void answer_health(struct answer *a, bool ready)
{
    answer(a, ready ? 200 : 503,
           SPAN("Content-Type: application/json\r\nCache-Control: no-store\r\n"),
           ready ? SPAN("{\"status\":\"ok\"}") : SPAN("{\"status\":\"starting or stopping\"}"));
}

/* Everything that is not a call. */
static void answer_at_once(struct call_shared *shared, struct exchange *x,
                           const struct route *route, struct span rest, bool ready)
{
    struct answer a = {.shared = shared, .x = x, .head = shared->ports->client.head(x)};
    arena_init(&a.arena, FIELDS_MAX * 4);
    shared->ports->call_id(shared->ports->wall(), &a.id);
    if (route == NULL) { /* OPTIONS */
        answer(&a, 204, cors_preflight_fields(shared->policy, &a.arena), SPAN(""));
    } else if (route->handler == ROUTE_HEALTH || route->handler == ROUTE_READY) {
        answer_health(&a, route->handler == ROUTE_HEALTH || (ready && !shared->draining));
    } else {
        answer_models(&a, route, rest);
    }
    arena_fini(&a.arena);
}

/* No endpoint for this method and path: says so, or which methods there are to who asks just that.
 */
static void answer_no_route(struct call_shared *shared, struct exchange *x, enum err e,
                            struct span allow)
{
    struct answer a = {.shared = shared, .x = x, .head = shared->ports->client.head(x)};
    arena_init(&a.arena, FIELDS_MAX * 4);
    shared->ports->call_id(shared->ports->wall(), &a.id);
    if (e == ERR_METHOD_NOT_ALLOWED && a.head->method == HTTP_OPTIONS) {
        answer(&a, 204, allow, SPAN(""));
    } else {
        refuse(&a, e, SPAN(""), allow);
    }
    arena_fini(&a.arena);
}

void gateway_reply(struct call_shared *shared, bool ready, struct exchange *x)
{
    const struct http_request *head = shared->ports->client.head(x);
    const struct route *route = NULL;
    struct span rest = SPAN(""), allow = SPAN("");
    if (cors_is_preflight(shared->policy, head)) {
        answer_at_once(shared, x, NULL, rest, ready);
        return;
    }
    enum err e = route_find(head->method, http_request_path(head), &route, &rest, &allow);
    if (e != ERR_OK) {
        answer_no_route(shared, x, e, allow);
    } else if (route->body == ROUTE_BODY_JSON) {
        call_start(shared, x, route);
    } else {
        answer_at_once(shared, x, route, rest, ready);
    }
}
