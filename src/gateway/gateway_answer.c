/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway_answer.h"

#include <stdio.h>

#include "call/call_key.h"
#include "http/http_request.h"
#include "policy/cors.h"

void gateway_answer_begin(struct gateway_answer *a, struct call_shared *shared, struct exchange *x)
{
    *a = (struct gateway_answer){.shared = shared, .x = x, .head = shared->ports->client->head(x)};
    arena_init(&a->arena, GATEWAY_FIELDS_MAX * 4);
    shared->ports->call_id(shared->ports->wall(), &a->id);
}

void gateway_answer_end(struct gateway_answer *a)
{
    arena_fini(&a->arena);
}

/* How the limits of who asks stand: of a look nothing is taken. */
static void put_limits(const struct gateway_answer *a, struct buf *out)
{
    const struct call_shared *shared = a->shared;
    struct limits_tightest requests, tokens;
    char lines[CALL_LIMITS_BYTES];
    if (!a->is_known || shared->rights == NULL) {
        return;
    }
    limits_look(access_limits(shared->rights), &a->who, shared->ports->mono(), &requests, &tokens);
    size_t len = call_limits_write(&requests, &tokens, shared->ports->wall(), lines);
    buf_put(out, span_make(lines, len));
}

static struct span common_fields(struct gateway_answer *a, struct span more)
{
    const struct policy *p = a->shared->policy;
    struct buf b;
    buf_init(&b, GATEWAY_FIELDS_MAX);
    buf_put_text(&b, "x-request-id: ");
    buf_put_text(&b, a->id.text);
    buf_put_text(&b, "\r\n");
    buf_put(&b, p->common_lines);
    buf_put(&b, cors_fields(p, a->head, &a->arena));
    put_limits(a, &b);
    buf_put(&b, more);
    struct span lines = buf_failed(&b) ? SPAN("") : arena_copy(&a->arena, buf_span(&b));
    buf_fini(&b);
    return lines;
}

void gateway_answer_put(struct gateway_answer *a, int status, struct span more, struct span body)
{
    const struct call_ports *ports = a->shared->ports;
    struct iovec piece = {(void *)(uintptr_t)body.at, body.len};
    ports->client->put_head(a->x, status, common_fields(a, more), body.len);
    if (body.len > 0) {
        ports->client->put(a->x, &piece, 1);
    }
    ports->client->finish(a->x);
}

void gateway_answer_refuse(struct gateway_answer *a, enum err e, struct span message,
                           struct span param, struct span more)
{
    a->shared->ports->client->refuse(a->x, e, message, param, common_fields(a, more));
}

/* Whether the key's team and user are there still, and it may be used from where the client is. */
static enum err look_at_who(struct gateway_answer *a)
{
    const struct call_shared *shared = a->shared;
    const struct call_ports *ports = shared->ports;
    struct net_ip from;
    if (shared->rights == NULL) {
        return ERR_OK;
    }
    enum err e = ports->access.look(shared->rights, &a->key, ports->wall(), &a->who);
    a->is_known = e == ERR_OK;                 /* wherever he is */
    (void)ports->client->address(a->x, &from); /* whoever says so */
    return e == ERR_OK && !ports->access.admits(shared->rights, &a->key, &from)
               ? ERR_ADDRESS_NOT_ALLOWED
               : e;
}

void gateway_answer_recognise(struct gateway_answer *a)
{
    const struct call_ports *ports = a->shared->ports;
    int64_t retry_s;
    if (http_fields_has(&a->head->fields, HTTP_NAME_AUTHORIZATION) &&
        call_key_check(a->shared, ports->client, a->x, ports->wall(), &a->key, &retry_s) ==
            ERR_OK) {
        (void)look_at_who(a); /* notes whether it is known */
    }
}

struct span gateway_retry_line(int64_t seconds, char out[GATEWAY_RETRY_BYTES])
{
    int len = snprintf(out, GATEWAY_RETRY_BYTES, "Retry-After: %lld\r\n",
                       (long long)(seconds > 0 ? seconds : 1)); /* it fits */
    return span_make(out, (size_t)len);
}

bool gateway_answer_authenticate(struct gateway_answer *a, uint32_t scope)
{
    char text[CALL_SCOPE_BYTES], line[GATEWAY_RETRY_BYTES];
    size_t len = 0;
    int64_t retry_s = 0;
    const struct call_ports *ports = a->shared->ports;
    enum err e = call_key_check(a->shared, ports->client, a->x, ports->wall(), &a->key, &retry_s);
    struct span more = e == ERR_KEYS_GUESSED ? gateway_retry_line(retry_s, line) : SPAN("");
    if (e == ERR_OK) {
        e = look_at_who(a);
    }
    if (e == ERR_OK) {
        call_key_note(a->shared, ports->client, a->x, &a->key, ports->wall());
    }
    if (e == ERR_OK && scope != 0 && (a->key.scopes & scope) == 0) {
        e = ERR_SCOPE_DENIED;
        len = call_say_scope(scope, text);
    }
    if (e != ERR_OK) {
        gateway_answer_refuse(a, e, span_make(text, len), SPAN(""), more);
    }
    return e == ERR_OK;
}
