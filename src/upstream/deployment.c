/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header lines that never change are written once, here: an attempt copies them in one piece.
 */
#include "upstream/deployment.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/memory.h"
#include "http/http_url.h"
#include "http/http_write.h"
#include "net/net_tls.h"
#include "upstream/upstream_drains.h"

#define FIELDS_MOST (64 * 1024)
#define FIELDS_ROOM 256 /* for all but the host and the key */
#define KEY_FAULT   "the key is too long or holds a byte that no header may hold"

/* A copy of `text` that the deployment owns; NULL stays NULL. */
static bool keep_text(const char **at, const char *text)
{
    *at = text == NULL ? NULL : memory_text(text);
    return text == NULL || *at != NULL;
}

static bool keep_definition(struct upstream_definition *own, const struct upstream_definition *from)
{
    *own = *from;
    own->name = own->url = own->region = own->zone = own->ca_file = own->api_key.text = NULL;
    own->load_path = own->load_model = NULL;
    return keep_text(&own->name, from->name) && keep_text(&own->url, from->url) &&
           keep_text(&own->region, from->region) && keep_text(&own->zone, from->zone) &&
           keep_text(&own->ca_file, from->ca_file) && keep_text(&own->load_path, from->load_path) &&
           keep_text(&own->load_model, from->load_model) &&
           keep_text(&own->api_key.text, from->api_key.text);
}

static void free_text(const char **at)
{
    memory_free((void *)(uintptr_t)*at);
    *at = NULL;
}

static void free_secret(const char **at)
{
    if (*at != NULL) {
        explicit_bzero((void *)(uintptr_t)*at, strlen(*at));
    }
    free_text(at);
}

static void free_deployment(struct deployment *d)
{
    struct upstream_definition *own = &d->definition;
    free_text(&own->name);
    free_text(&own->url);
    free_text(&own->region);
    free_text(&own->zone);
    free_text(&own->ca_file);
    free_text(&own->load_path);
    free_text(&own->load_model);
    free_secret(&own->api_key.text);
    if (d->fixed_fields.at != NULL) {
        explicit_bzero((void *)(uintptr_t)d->fixed_fields.at, d->fixed_fields.len);
        memory_free((void *)(uintptr_t)d->fixed_fields.at);
    }
    memory_free(d->host);
    memory_free(d->load_target);
    net_tls_unref(&d->tls);
    memory_free(d);
}

static MUST_USE enum err say(char *reason, const char *why)
{
    (void)snprintf(reason, DEPLOYMENT_REASON_BYTES, "%s", why); /* cut if long */
    return ERR_CONFIG;
}

/* All memory is taken first: a buffer that fails after that holds a byte that no header may hold.
 */
static MUST_USE enum err write_fields(struct deployment *d, struct span authority, char *reason)
{
    const char *key = d->definition.api_key.text;
    size_t key_len = key == NULL ? 0 : strlen(key);
    struct buf b, value;
    if (key_len > FIELDS_MOST - FIELDS_ROOM) {
        return say(reason, KEY_FAULT);
    }
    buf_init(&b, FIELDS_MOST);
    buf_init(&value, FIELDS_MOST);
    if (buf_reserve(&b, FIELDS_ROOM + authority.len + key_len) == NULL ||
        buf_reserve(&value, FIELDS_ROOM + key_len) == NULL) {
        buf_fini(&b);
        buf_fini(&value);
        return ERR_NO_MEMORY;
    }
    http_write_field(&b, SPAN("Host"), authority);
    http_write_field(&b, SPAN("User-Agent"), SPAN("atlas/" ATLAS_VERSION));
    if (d->definition.reuse == UPSTREAM_REUSE_NEVER) {
        http_write_field(&b, SPAN("Connection"), SPAN("close"));
    }
    if (key != NULL) {
        buf_put(&value, SPAN("Bearer "));
        buf_put_text(&value, key);
        http_write_field(&b, SPAN("Authorization"), buf_span(&value));
    }
    d->lean_fields = buf_span(&b).len;
    http_write_field(&b, SPAN("Via"), SPAN("1.1 atlas"));
    http_write_field(&b, SPAN("Accept-Encoding"), SPAN("identity"));
    explicit_bzero(value.at, value.cap);
    buf_fini(&value);
    if (buf_failed(&b)) {
        buf_fini(&b);
        return say(reason, KEY_FAULT);
    }
    d->fixed_fields = buf_span(&b); /* the deployment owns these bytes from here on */
    return ERR_OK;
}

/* Where its page of metrics is: beside its API, not below it. */
static MUST_USE enum err write_load_target(struct deployment *d)
{
    const char *path = d->definition.load_path == NULL ? "/metrics" : d->definition.load_path;
    struct span base = d->path_prefix;
    struct buf b;
    if (span_ends(base, SPAN("/v1"))) {
        base.len -= SPAN("/v1").len;
    }
    buf_init(&b, FIELDS_MOST);
    buf_put(&b, base);
    buf_put_text(&b, path[0] == '/' ? "" : "/");
    buf_put_text(&b, path);
    buf_put_byte(&b, '\0');
    if (buf_failed(&b)) {
        buf_fini(&b);
        return ERR_NO_MEMORY;
    }
    d->load_target = (char *)b.at; /* the deployment owns these bytes from here on */
    d->load.counts_us = d->definition.load_ms * 1000 * DEPLOYMENT_LOAD_PERIODS;
    return ERR_OK;
}

static MUST_USE enum err fill(struct deployment *d, char *reason)
{
    struct http_url url;
    const char *why = "";
    if (http_url_parse(span_of(d->definition.url), &url, &why) != ERR_OK) {
        return say(reason, why);
    }
    d->host = memory_raw(url.host.len + 1);
    if (d->host == NULL) {
        return ERR_NO_MEMORY;
    }
    span_copy_text(url.host, d->host, url.host.len + 1);
    d->port = url.port;
    d->https = url.is_https;
    d->path_prefix = url.path;
    d->health.is_never_left = !d->definition.breaker;
    atomic_store(&d->health.is_drained, upstream_drains_has(span_of(d->definition.name)));
    enum err e = write_load_target(d);
    return e == ERR_OK ? write_fields(d, url.authority, reason) : e;
}

enum err deployment_open(const struct upstream_definition *definition, struct net_tls *tls,
                         char *reason, struct deployment **out)
{
    struct deployment *d = memory_new(sizeof(*d));
    if (d == NULL) {
        return ERR_NO_MEMORY;
    }
    atomic_store(&d->refs, 1);
    d->tls = tls == NULL ? NULL : net_tls_ref(tls);
    enum err e = ERR_NO_MEMORY;
    if (keep_definition(&d->definition, definition)) {
        e = fill(d, reason);
    }
    if (e != ERR_OK) {
        free_deployment(d);
        return e;
    }
    CHECK(d->https == (tls != NULL));
    *out = d;
    return ERR_OK;
}

enum data_class deployment_clearance(const struct deployment *d)
{
    return (enum data_class)(DATA_PUBLIC + d->definition.clearance);
}

struct deployment *deployment_ref(struct deployment *d)
{
    (void)atomic_fetch_add(&d->refs, 1); /* the old count is of no use */
    return d;
}

void deployment_unref(struct deployment **deployment)
{
    struct deployment *d = *deployment;
    *deployment = NULL;
    if (d != NULL && atomic_fetch_sub(&d->refs, 1) == 1) {
        free_deployment(d);
    }
}

int64_t deployment_calls(const struct deployment *d, mono_us now)
{
    int64_t own = atomic_load_explicit(&d->in_flight, memory_order_relaxed);
    return (own > 0 ? own : 0) + deployment_load_others(&d->load, now);
}

uint32_t deployment_omits(const struct deployment *d)
{
    return d->definition.omit | atomic_load_explicit(&d->refuses, memory_order_relaxed);
}

const char *deployment_omits_text(uint32_t additions)
{
    static const char *const texts[] = {"",
                                        "stream_options",
                                        "headers",
                                        "stream_options, headers",
                                        "max_tokens",
                                        "stream_options, max_tokens",
                                        "headers, max_tokens",
                                        "stream_options, headers, max_tokens"};
    CHECK(additions < sizeof(texts) / sizeof(texts[0]));
    return texts[additions];
}

bool deployment_learn(struct deployment *d, uint32_t refused)
{
    uint32_t known = atomic_fetch_or(&d->refuses, refused) | d->definition.omit;
    return (refused & ~known) != 0;
}

static bool is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_same_number(const struct upstream_definition *a, const struct upstream_definition *b)
{
    return a->connect_timeout_ms == b->connect_timeout_ms &&
           a->first_byte_timeout_ms == b->first_byte_timeout_ms &&
           a->idle_timeout_ms == b->idle_timeout_ms && a->total_timeout_ms == b->total_timeout_ms &&
           a->connections_max == b->connections_max &&
           a->idle_connections_max == b->idle_connections_max &&
           a->idle_keep_ms == b->idle_keep_ms && a->reuse == b->reuse &&
           a->queue_max == b->queue_max && a->reply_bytes_max == b->reply_bytes_max &&
           a->omit == b->omit && a->clearance == b->clearance && a->breaker == b->breaker &&
           a->probe_ms == b->probe_ms && a->load_ms == b->load_ms;
}

void deployment_inherit(struct deployment *d, const struct deployment *before)
{
    if (d->definition.kind == before->definition.kind &&
        is_same_text(d->definition.url, before->definition.url)) {
        (void)atomic_fetch_or(&d->refuses, atomic_load(&before->refuses)); /* what it knew stays */
    }
}

bool deployment_is_made_from(const struct deployment *d,
                             const struct upstream_definition *definition,
                             const struct net_tls *tls)
{
    const struct upstream_definition *own = &d->definition;
    return own->kind == definition->kind && is_same_text(own->name, definition->name) &&
           is_same_text(own->url, definition->url) &&
           is_same_text(own->api_key.text, definition->api_key.text) &&
           is_same_text(own->region, definition->region) &&
           is_same_text(own->zone, definition->zone) &&
           is_same_text(own->ca_file, definition->ca_file) &&
           is_same_text(own->load_path, definition->load_path) &&
           is_same_text(own->load_model, definition->load_model) && d->tls == tls &&
           is_same_number(own, definition);
}
