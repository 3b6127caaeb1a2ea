/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/cors.h"

#define LINES_MAX 8192
#define NAMES_MAX 2048 /* bytes of the names that a page asks for */

#define EXPOSED                                                                                  \
    "Access-Control-Expose-Headers: x-request-id, retry-after, retry-after-ms, x-should-retry, " \
    "x-ratelimit-limit-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, "     \
    "x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, x-ratelimit-reset-tokens, "       \
    "x-sovereign-id, x-audit-trace-id, x-route-policy, x-data-residency\r\n"

#define METHODS "Access-Control-Allow-Methods: GET, POST, DELETE, OPTIONS\r\n"

/* For who asks without a list of its own. A "*" would not cover Authorization, so all that SDKs
 * send is named. */
#define ALLOWED                                                                                \
    "Access-Control-Allow-Headers: authorization, content-type, accept, user-agent, "          \
    "openai-organization, openai-project, openai-beta, idempotency-key, x-client-request-id, " \
    "x-requested-with, x-route-policy, x-data-classification, x-request-timeout, "             \
    "traceparent, tracestate, "                                                                \
    "x-stainless-arch, "                                                                       \
    "x-stainless-async, x-stainless-custom-poll-interval, x-stainless-helper-method, "         \
    "x-stainless-lang, x-stainless-os, x-stainless-package-version, x-stainless-poll-helper, " \
    "x-stainless-raw-response, x-stainless-read-timeout, x-stainless-retry-count, "            \
    "x-stainless-runtime, x-stainless-runtime-version, x-stainless-timeout\r\n"

static bool is_allowed(const struct policy *p, struct span origin)
{
    for (size_t i = 0; origin.len > 0 && i < p->cors_origin_count; i++) {
        if (span_is(origin, p->cors_origins[i]) || span_is(SPAN("*"), p->cors_origins[i])) {
            return true;
        }
    }
    return false;
}

static bool is_any(const struct policy *p)
{
    return p->cors_origin_count == 1 && span_is(SPAN("*"), p->cors_origins[0]);
}

static void write_origin(const struct policy *p, struct span origin, struct buf *b)
{
    bool any = is_any(p);
    buf_put_text(b, "Access-Control-Allow-Origin: ");
    buf_put(b, any ? SPAN("*") : origin);
    buf_put_text(b, any ? "\r\n" : "\r\nVary: Origin\r\n");
}

/* A token of RFC 9110 5.6.2. */
static bool is_name(struct span name)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && memchr(marks, c, sizeof(marks) - 1) == NULL) {
            return false;
        }
    }
    return name.len > 0;
}

static struct span keep(struct buf *b, struct arena *arena)
{
    struct span lines = buf_failed(b) ? SPAN("") : arena_copy(arena, buf_span(b));
    buf_fini(b);
    return lines.at == NULL ? SPAN("") : lines;
}

struct span cors_fields(const struct policy *p, const struct http_request *head,
                        struct arena *arena)
{
    if (p->cors_origin_count == 0) {
        return SPAN("");
    }
    struct span origin = http_fields_find(&head->fields, HTTP_NAME_ORIGIN);
    if (!is_allowed(p, origin)) {
        return is_any(p) ? SPAN("") : SPAN("Vary: Origin\r\n"); /* others see more */
    }
    struct buf b;
    buf_init(&b, LINES_MAX);
    write_origin(p, origin, &b);
    buf_put_text(&b, EXPOSED);
    return keep(&b, arena);
}

bool cors_is_preflight(const struct policy *p, const struct http_request *head)
{
    return head->method == HTTP_OPTIONS &&
           http_fields_has(&head->fields, HTTP_NAME_ACCESS_CONTROL_REQUEST_METHOD) &&
           is_allowed(p, http_fields_find(&head->fields, HTTP_NAME_ORIGIN));
}

/* The names that the page asks for, those that are names, as far as there is room: a page that may
 * call may send what it likes, and we pass nothing on that we do not know. False: there are none.
 */
static bool put_asked_names(const struct http_request *head, struct buf *b)
{
    struct span list = http_fields_find(&head->fields, HTTP_NAME_ACCESS_CONTROL_REQUEST_HEADERS);
    size_t room = NAMES_MAX;
    while (list.len > 0) {
        size_t comma = span_find(list, ',', 0);
        struct span name = span_trim(span_cut(list, 0, comma));
        list = span_cut(list, comma + 1, list.len);
        if (!is_name(name) || name.len > room) {
            continue;
        }
        buf_put_text(b, room == NAMES_MAX ? "Access-Control-Allow-Headers: " : ", ");
        buf_put(b, name);
        room -= name.len + 2 < room ? name.len + 2 : room;
    }
    buf_put_text(b, room == NAMES_MAX ? "" : "\r\n");
    return room < NAMES_MAX;
}

struct span cors_preflight_fields(const struct policy *p, const struct http_request *head,
                                  struct arena *arena)
{
    struct buf b;
    buf_init(&b, LINES_MAX);
    buf_put_text(&b, METHODS "Vary: Access-Control-Request-Headers\r\n");
    if (!put_asked_names(head, &b)) {
        buf_put_text(&b, ALLOWED);
    }
    buf_printf(&b, "Access-Control-Max-Age: %lld\r\n", (long long)p->cors_max_age_s);
    return keep(&b, arena);
}
