/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/policy.h"

#include <stdlib.h>

#include "base/memory.h"
#include "json/json_write.h"

#define ARENA_BYTES_MAX (256u << 20)
#define LIST_BYTES_MAX  (64u << 20)

static struct span keep_text(struct policy *p, const char *text)
{
    return text == NULL ? SPAN("") : arena_copy(&p->arena, span_of(text));
}

/* ---- deployments ---- */

static struct deployment *find_unchanged(const struct policy *previous,
                                         const struct upstream_definition *definition)
{
    for (size_t i = 0; previous != NULL && i < previous->deployment_count; i++) {
        if (deployment_is_made_from(previous->deployments[i], definition)) {
            return previous->deployments[i];
        }
    }
    return NULL;
}

static enum err add_deployments(struct policy *p, const struct upstream_settings *upstreams,
                                const struct policy *previous, char *reason)
{
    p->deployments = arena_new(&p->arena, upstreams->definitions_count * sizeof(*p->deployments));
    if (p->deployments == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < upstreams->definitions_count; i++) {
        const struct upstream_definition *definition = &upstreams->definitions[i];
        struct deployment *d = find_unchanged(previous, definition);
        if (d != NULL) {
            d = deployment_ref(d);
        } else {
            enum err e = deployment_open(definition, reason, &d);
            if (e != ERR_OK) {
                return e;
            }
        }
        p->deployments[p->deployment_count++] = d;
    }
    return ERR_OK;
}

/* ---- models ---- */

static bool is_home(const struct policy *p, const struct deployment *d)
{
    return d->definition.region != NULL && p->region.len > 0 &&
           span_equal(span_of(d->definition.region), p->region);
}

static struct span reply_lines(struct policy *p, const struct deployment *d)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_put(&b, p->common_lines);
    buf_put_text(&b, "X-Route-Policy: direct\r\nX-Data-Residency: ");
    buf_put_text(&b, d->definition.region == NULL ? "unknown" : d->definition.region);
    buf_put_text(&b, "\r\n");
    struct span kept =
        buf_failed(&b) ? (struct span){NULL, 0} : arena_copy(&p->arena, buf_span(&b));
    buf_fini(&b);
    return kept;
}

/* Texts are checked and cut here, once, and not for each call. */
static void fill_record(const struct policy *p, struct policy_model *model)
{
    const struct upstream_definition *to = &model->deployment->definition;
    struct journal_record *r = &model->record;
    *r = p->record;
    journal_set_text(r->upstream, span_of(to->name));
    journal_set_text(r->region, span_of(to->region == NULL ? "" : to->region));
    journal_set_text(r->zone, span_of(to->zone == NULL ? "" : to->zone));
    journal_set_text(r->policy, SPAN("direct"));
    if (!model->is_pattern) {
        journal_set_text(r->model, model->name);
        journal_set_text(r->upstream_model,
                         model->upstream_name.len > 0 ? model->upstream_name : model->name);
    }
}

static enum err add_names(struct policy *p, const struct gateway_model *settings,
                          struct policy_model *model)
{
    enum err e = ERR_OK;
    if (model->is_pattern) {
        p->patterns[p->pattern_count++] = model;
    } else {
        e = map_put_borrow(&p->names, model->name, model);
    }
    for (size_t i = 0; e == ERR_OK && i < settings->aliases.count; i++) {
        struct span alias = keep_text(p, settings->aliases.at[i]);
        e = alias.at == NULL ? ERR_NO_MEMORY : map_put_borrow(&p->names, alias, model);
    }
    return e;
}

static enum err add_model(struct policy *p, const struct gateway_model *settings)
{
    struct policy_model *model = &p->models[p->model_count++];
    CHECK(settings->upstream_index < p->deployment_count);
    model->name = keep_text(p, settings->name);
    model->upstream_name = keep_text(p, settings->upstream_name);
    model->deployment = p->deployments[settings->upstream_index];
    model->endpoints = settings->endpoints;
    model->context_tokens = settings->context_tokens;
    model->price = settings->price;
    model->price.currency = (const char *)keep_text(p, settings->price.currency).at;
    model->is_pattern = settings->is_pattern;
    model->token_arrays = settings->token_arrays;
    model->is_abroad = !is_home(p, model->deployment);
    model->reply_lines = reply_lines(p, model->deployment);
    if (arena_failed(&p->arena) || model->reply_lines.at == NULL) {
        return ERR_NO_MEMORY;
    }
    fill_record(p, model);
    return add_names(p, settings, model);
}

static int longest_first(const void *a, const void *b)
{
    const struct policy_model *const *left = a;
    const struct policy_model *const *right = b;
    return (*left)->name.len < (*right)->name.len   ? 1
           : (*left)->name.len > (*right)->name.len ? -1
                                                    : 0;
}

static enum err add_models(struct policy *p, const struct gateway_settings *settings)
{
    p->models = arena_new(&p->arena, settings->models_count * sizeof(*p->models));
    p->patterns = arena_new(&p->arena, settings->models_count * sizeof(struct policy_model *));
    if (p->models == NULL || p->patterns == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < settings->models_count; i++) {
        enum err e = add_model(p, &settings->models[i]);
        if (e != ERR_OK) {
            return e;
        }
    }
    qsort(p->patterns, p->pattern_count, sizeof(struct policy_model *), longest_first);
    return ERR_OK;
}

/* ---- what is said about models ---- */

static void write_model(const struct policy *p, struct span id, const struct policy_model *model,
                        struct json_writer *w)
{
    json_write_object(w);
    json_write_key(w, "id");
    json_write_string(w, id);
    json_write_key(w, "object");
    json_write_text(w, "model");
    json_write_key(w, "created");
    json_write_int(w, p->created_s);
    json_write_key(w, "owned_by");
    json_write_text(w, "atlas");
    if (model->context_tokens > 0) {
        json_write_key(w, "max_model_len");
        json_write_int(w, model->context_tokens);
    }
    json_write_end(w);
}

void policy_write_model(const struct policy *p, struct span id, const struct policy_model *model,
                        struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    write_model(p, id, model, &w);
    if (json_write_finish(&w) != ERR_OK) {
        out->failed = true;
    }
}

static int by_name(const void *a, const void *b)
{
    const struct map_slot *const *left = a;
    const struct map_slot *const *right = b;
    size_t len = (*left)->key.len < (*right)->key.len ? (*left)->key.len : (*right)->key.len;
    int order = memcmp((*left)->key.at, (*right)->key.at, len);
    return order != 0 ? order : (int)(*left)->key.len - (int)(*right)->key.len;
}

static enum err make_list(struct policy *p)
{
    const struct map_slot **sorted =
        arena_alloc(&p->arena, (p->names.count + 1) * sizeof(struct map_slot *));
    if (sorted == NULL) {
        return ERR_NO_MEMORY;
    }
    size_t count = 0;
    for (size_t i = 0; i < p->names.cap; i++) {
        if (p->names.slots[i].key.at != NULL) {
            sorted[count++] = &p->names.slots[i];
        }
    }
    qsort(sorted, count, sizeof(struct map_slot *), by_name);

    struct buf b;
    struct json_writer w;
    buf_init(&b, LIST_BYTES_MAX);
    json_write_init(&w, &b);
    json_write_object(&w);
    json_write_key(&w, "object");
    json_write_text(&w, "list");
    json_write_key(&w, "data");
    json_write_array(&w);
    for (size_t i = 0; i < count; i++) {
        write_model(p, sorted[i]->key, sorted[i]->value, &w);
    }
    json_write_end(&w);
    json_write_end(&w);
    bool written = json_write_finish(&w) == ERR_OK;
    p->models_json = written ? arena_copy(&p->arena, buf_span(&b)) : (struct span){NULL, 0};
    buf_fini(&b);
    return p->models_json.at == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* ---- the whole ---- */

static enum err add_place(struct policy *p, const struct gateway_settings *settings)
{
    p->zone = keep_text(p, settings->zone);
    p->region = keep_text(p, settings->region);
    struct buf b;
    buf_init(&b, 4096);
    if (p->zone.len > 0) {
        buf_put_text(&b, "X-Sovereign-ID: ");
        buf_put(&b, p->zone);
        buf_put_text(&b, "\r\n");
    }
    p->common_lines = arena_copy(&p->arena, buf_span(&b));
    bool failed = buf_failed(&b);
    buf_fini(&b);
    const char **origins =
        arena_new(&p->arena, (settings->cors.origins.count + 1) * sizeof(char *));
    for (size_t i = 0; origins != NULL && i < settings->cors.origins.count; i++) {
        origins[i] = (const char *)keep_text(p, settings->cors.origins.at[i]).at;
    }
    p->cors_origins = origins;
    p->cors_origin_count = settings->cors.origins.count;
    p->cors_max_age_s = settings->cors.max_age_s;
    p->calls_max = settings->calls_max;
    journal_set_text(p->record.home_region, p->region);
    return failed || arena_failed(&p->arena) ? ERR_NO_MEMORY : ERR_OK;
}

enum err policy_open(const struct gateway_settings *settings,
                     const struct upstream_settings *upstreams, const struct policy *previous,
                     wall_us now, char *reason, struct policy **out)
{
    reason[0] = '\0';
    struct policy *p = memory_new(sizeof(*p));
    if (p == NULL) {
        return ERR_NO_MEMORY;
    }
    atomic_store(&p->refs, 1);
    arena_init(&p->arena, ARENA_BYTES_MAX);
    map_init(&p->names);
    p->created_s = now.us / 1000000;
    enum err e = add_place(p, settings);
    if (e == ERR_OK) {
        e = add_deployments(p, upstreams, previous, reason);
    }
    if (e == ERR_OK) {
        e = add_models(p, settings);
    }
    if (e == ERR_OK) {
        e = make_list(p);
    }
    if (e != ERR_OK) {
        policy_unref(&p);
        return e;
    }
    *out = p;
    return ERR_OK;
}

struct policy *policy_ref(struct policy *p)
{
    (void)atomic_fetch_add(&p->refs, 1); /* the old count is of no use */
    return p;
}

void policy_unref(struct policy **policy)
{
    struct policy *p = *policy;
    *policy = NULL;
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) > 1) {
        return;
    }
    for (size_t i = 0; i < p->deployment_count; i++) {
        deployment_unref(&p->deployments[i]);
    }
    map_fini(&p->names);
    arena_fini(&p->arena);
    memory_free(p);
}

/* "openai/" of "openai/ *": what a matching name starts with. */
static bool matches(const struct policy_model *pattern, struct span name)
{
    return name.len >= pattern->name.len &&
           span_starts(name, span_cut(pattern->name, 0, pattern->name.len - 1));
}

/* Names that ask for routing, which no configuration may give to a model. */
static bool is_reserved(struct span name)
{
    return span_equal_nocase(name, SPAN("auto")) || span_equal_nocase(name, SPAN("auto-router"));
}

bool policy_find(const struct policy *p, struct span name, struct policy_match *out)
{
    struct policy_model *model = map_find(&p->names, name);
    if (model != NULL) {
        *out = (struct policy_match){model, model->name, model->upstream_name};
        if (model->is_pattern) { /* an alias of a pattern names one model */
            out->shown = name;
        }
    } else {
        for (size_t i = 0; model == NULL && !is_reserved(name) && i < p->pattern_count; i++) {
            model = matches(p->patterns[i], name) ? p->patterns[i] : NULL;
        }
        if (model == NULL) {
            return false;
        }
        *out = (struct policy_match){model, name, model->upstream_name};
    }
    if (out->upstream_name.len == 0) {
        out->upstream_name = out->shown;
    }
    return true;
}
