/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy_digest.h"

#include <stdio.h>

#include "base/buf.h"
#include "routing/routing.h"
#include "json/json_write.h"

static void put_text(struct json_writer *w, const char *name, const char *text)
{
    json_write_key(w, name);
    json_write_text(w, text == NULL ? "" : text);
}

static void put_number(struct json_writer *w, const char *name, int64_t number)
{
    json_write_key(w, name);
    json_write_int(w, number);
}

static void put_price(struct json_writer *w, const struct policy_price *p)
{
    json_write_object(w);
    put_number(w, "cached_input", p->cached_nano);
    put_text(w, "currency", p->currency);
    put_number(w, "from", p->from.us);
    put_number(w, "gpu_second", p->gpu_second_nano);
    put_number(w, "input", p->input_nano);
    put_number(w, "output", p->output_nano);
    put_number(w, "per", p->per_tokens);
    put_number(w, "request", p->request_nano);
    json_write_end(w);
}

static void put_deployment(struct json_writer *w, const struct deployment_settings *d)
{
    json_write_object(w);
    if (d->has_price) {
        json_write_key(w, "price");
        put_price(w, &d->price);
    }
    put_text(w, "upstream", d->upstream);
    put_text(w, "upstream_name", d->upstream_name);
    put_number(w, "weight", d->weight);
    json_write_end(w);
}

static void put_texts(struct json_writer *w, const char *name, const struct texts *texts)
{
    json_write_key(w, name);
    json_write_array(w);
    for (size_t i = 0; i < texts->count; i++) {
        json_write_text(w, texts->at[i]);
    }
    json_write_end(w);
}

static void put_model(struct json_writer *w, const struct model_settings *m)
{
    json_write_object(w);
    put_texts(w, "aliases", &m->aliases);
    put_number(w, "context", m->context_tokens);
    put_number(w, "endpoints", m->endpoints);
    put_number(w, "energy", m->energy_nano);
    put_number(w, "inputs", m->inputs);
    put_texts(w, "languages", &m->languages);
    put_number(w, "max_output", m->max_output);
    put_text(w, "name", m->name);
    json_write_key(w, "prices");
    json_write_array(w);
    for (size_t i = 0; i < m->prices_count; i++) {
        put_price(w, &m->prices[i]);
    }
    json_write_end(w);
    json_write_key(w, "deployments");
    json_write_array(w);
    for (size_t i = 0; i < m->deployments_count; i++) {
        put_deployment(w, &m->deployments[i]);
    }
    json_write_end(w);
    put_number(w, "tier", m->tier);
    put_number(w, "tools", m->tools);
    put_text(w, "upstream", m->upstream);
    put_text(w, "upstream_name", m->upstream_name);
    json_write_end(w);
}

static void put_upstream(struct json_writer *w, const struct upstream_definition *u)
{
    json_write_object(w);
    put_text(w, "ca_file", u->ca_file);
    put_number(w, "clearance", u->clearance);
    put_number(w, "kind", u->kind);
    put_text(w, "name", u->name);
    put_text(w, "region", u->region);
    put_text(w, "url", u->url);
    put_text(w, "zone", u->zone);
    json_write_end(w);
}

/* That of the examples that models are chosen by, where there are any. */
static void put_examples(struct json_writer *w, const struct routing *r)
{
    const struct routing_learned *learned = routing_learned_of(r);
    char hex[2 * ROUTING_DIGEST_BYTES + 1] = "";
    if (learned == NULL || learned->examples == NULL) {
        return;
    }
    for (size_t i = 0; i < ROUTING_DIGEST_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x",
                       routing_examples_digest(learned->examples)[i]); /* fits */
    }
    put_text(w, "examples", hex);
}

/* That of the guard's policy and its word lists, where there is one. */
static void put_guard(struct json_writer *w, const struct guard_policy *guard)
{
    char hex[2 * GUARD_DIGEST_BYTES + 1] = "";
    for (size_t i = 0; guard != NULL && i < GUARD_DIGEST_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", guard->digest[i]); /* fits */
    }
    if (guard != NULL) {
        put_text(w, "guard", hex);
    }
}

/* The digest of the rules' file. */
static void put_routing(struct json_writer *w, const struct routing *r)
{
    char hex[2 * ROUTING_DIGEST_BYTES + 1] = "";
    for (size_t i = 0; r != NULL && i < ROUTING_DIGEST_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", routing_digest(r)[i]); /* fits */
    }
    put_text(w, "routing", hex);
}

enum err policy_digest_text(const struct policy_settings *settings,
                            const struct upstream_settings *upstreams, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    put_examples(&w, settings->routing);
    put_number(&w, "grid", settings->grid_nano);
    put_guard(&w, settings->guard_policy);
    json_write_key(&w, "models");
    json_write_array(&w);
    for (size_t i = 0; i < settings->models_count; i++) {
        put_model(&w, &settings->models[i]);
    }
    json_write_end(&w);
    put_text(&w, "region", settings->region);
    json_write_key(&w, "regions");
    json_write_array(&w);
    for (size_t i = 0; i < settings->regions.count; i++) {
        json_write_text(&w, settings->regions.at[i]);
    }
    json_write_end(&w);
    put_routing(&w, settings->routing);
    json_write_key(&w, "upstreams");
    json_write_array(&w);
    for (size_t i = 0; i < upstreams->definitions_count; i++) {
        put_upstream(&w, &upstreams->definitions[i]);
    }
    json_write_end(&w);
    put_text(&w, "zone", settings->zone);
    json_write_end(&w);
    return json_write_finish(&w) == ERR_OK ? ERR_OK : ERR_NO_MEMORY;
}

enum err policy_digest(const struct policy_settings *settings,
                       const struct upstream_settings *upstreams, uint8_t out[CRYPTO_SHA256_BYTES])
{
    struct buf text;
    buf_init(&text, POLICY_DIGEST_TEXT_MAX);
    enum err e = policy_digest_text(settings, upstreams, &text);
    if (e == ERR_OK) {
        crypto_sha256(buf_span(&text), out);
    }
    buf_fini(&text);
    return e;
}
