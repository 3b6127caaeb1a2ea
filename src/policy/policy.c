/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "net/net_tls.h"
#include "policy/policy_digest.h"
#include "policy/policy_price.h"
#include "policy/policy_scanner.h"
#include "routing/routing.h"
#include "telemetry/call_series.h"
#include "text/text_near.h"
#include "upstream/upstream_trust.h"
#include "json/json_write.h"

#define ARENA_BYTES_MAX (256u << 20)
#define NEAR_LOOKED_AT  1000 /* names, when one is looked for that does not exist; */
#define NEAR_CLOSELY    32   /* and those of them for which the edits are counted */

_Static_assert(DEPLOYMENT_REASON_BYTES >= NET_TLS_REASON_BYTES, "a reason of net's fits");

static struct span keep_text(struct policy *p, const char *text)
{
    return text == NULL ? SPAN("") : arena_copy(&p->arena, span_of(text));
}

/* ---- deployments ---- */

static struct deployment *find_unchanged(const struct policy *previous,
                                         const struct upstream_definition *definition,
                                         const struct net_tls *tls)
{
    for (size_t i = 0; previous != NULL && i < previous->deployment_count; i++) {
        if (deployment_is_made_from(previous->deployments[i], definition, tls)) {
            return previous->deployments[i];
        }
    }
    return NULL;
}

static void inherit(struct deployment *d, const struct policy *previous)
{
    for (size_t i = 0; previous != NULL && i < previous->deployment_count; i++) {
        deployment_inherit(d, previous->deployments[i]);
    }
}

static enum err add_deployments(struct policy *p, const struct upstream_settings *upstreams,
                                const struct policy *previous, char *reason)
{
    p->deployments = arena_new(&p->arena, upstreams->definitions_count * sizeof(*p->deployments));
    if (p->deployments == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = upstream_trust_open(upstreams, previous == NULL ? NULL : previous->trust, reason,
                                     &p->trust);
    for (size_t i = 0; e == ERR_OK && i < upstreams->definitions_count; i++) {
        const struct upstream_definition *definition = &upstreams->definitions[i];
        struct net_tls *tls = upstream_trust_find(p->trust, definition);
        struct deployment *d = find_unchanged(previous, definition, tls);
        if (d != NULL) {
            d = deployment_ref(d);
        } else {
            e = deployment_open(definition, tls, reason, &d);
            if (e == ERR_OK) {
                inherit(d, previous);
            }
        }
        if (e == ERR_OK) {
            p->deployments[p->deployment_count++] = d;
        }
    }
    return e;
}

/* ---- models ---- */

/* Whether calls to it leave the home region, as far as is known. Without one no border is watched.
 */
static bool is_abroad(const struct policy *p, const struct deployment *d)
{
    bool is_home =
        d->definition.region != NULL && span_equal(span_of(d->definition.region), p->region);
    return p->region.len > 0 && !is_home;
}

static struct span reply_lines(struct policy *p, const struct deployment *d)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_put(&b, p->common_lines);
    buf_put_text(&b, "X-Data-Residency: ");
    buf_put_text(&b, d->definition.region == NULL ? "unknown" : d->definition.region);
    buf_put_text(&b, "\r\n");
    struct span kept =
        buf_failed(&b) ? (struct span){NULL, 0} : arena_copy(&p->arena, buf_span(&b));
    buf_fini(&b);
    return kept;
}

/* Texts are checked here, once, and not for each call. The settings were: they fit. */
static void fill_record(const struct policy *p, const struct policy_model *model,
                        struct policy_place *place)
{
    const struct upstream_definition *to = &place->deployment->definition;
    struct journal_record *r = &place->record;
    *r = p->record;
    journal_record_set(r, JOURNAL_TEXT_UPSTREAM, span_of(to->name));
    journal_record_set(r, JOURNAL_TEXT_REGION, span_of(to->region));
    journal_record_set(r, JOURNAL_TEXT_ZONE, span_of(to->zone));
    journal_record_set(r, JOURNAL_TEXT_POLICY, SPAN("direct"));
    if (!model->is_pattern) {
        journal_record_set(r, JOURNAL_TEXT_MODEL, model->name);
        journal_record_set(r, JOURNAL_TEXT_UPSTREAM_MODEL,
                           place->upstream_name.len > 0 ? place->upstream_name : model->name);
    }
}

static const struct policy_price *keep_prices(struct policy *p,
                                              const struct model_settings *settings)
{
    struct policy_price *kept = arena_new(&p->arena, settings->prices_count * sizeof(*kept));
    for (size_t i = 0; kept != NULL && i < settings->prices_count; i++) {
        kept[i] = settings->prices[i];
        policy_price_name(&kept[i]);
    }
    return kept; /* NULL: the arena says so */
}

static const struct span *keep_languages(struct policy *p, const struct model_settings *settings)
{
    struct span *kept = arena_new(&p->arena, settings->languages.count * sizeof(*kept));
    for (size_t i = 0; kept != NULL && i < settings->languages.count; i++) {
        kept[i] = keep_text(p, settings->languages.at[i]);
    }
    return kept; /* NULL: the arena says so */
}

/* What it is known to take and to be good for. */
static void fill_abilities(struct policy *p, const struct model_settings *settings,
                           struct policy_model *model)
{
    model->lacks_images = settings->inputs != 0 && (settings->inputs & POLICY_IMAGE) == 0;
    model->lacks_tools = settings->tools == POLICY_CANNOT;
    model->refuses_tools = model->lacks_tools && !settings->has_guessed_tools;
    model->tier = (uint8_t)(settings->tier == 0 ? POLICY_TIER_MIDDLE : settings->tier);
    model->languages = keep_languages(p, settings);
    model->language_count = settings->languages.count;
    model->tokenizer =
        settings->tokenizer == NULL ? NULL : text_tokenizer_find(span_of(settings->tokenizer));
    p->is_choosy = p->is_choosy || model->lacks_images || model->lacks_tools;
}

static enum err add_names(struct policy *p, const struct model_settings *settings,
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

/* What a deployment asks for itself; NULL: nothing, or the arena says that it has no room. */
static const struct policy_price *keep_price(struct policy *p,
                                             const struct deployment_settings *settings)
{
    struct policy_price *kept = settings->has_price ? arena_new(&p->arena, sizeof(*kept)) : NULL;
    if (kept != NULL) {
        *kept = settings->price;
        policy_price_name(kept);
    }
    return kept;
}

static bool add_place(struct policy *p, const struct deployment_settings *settings,
                      const struct policy_model *model, struct policy_place *place)
{
    CHECK(settings->upstream_index < p->deployment_count);
    place->deployment = p->deployments[settings->upstream_index];
    place->upstream_name = keep_text(p, settings->upstream_name);
    place->weight = (uint32_t)settings->weight;
    place->price = keep_price(p, settings);
    place->is_abroad = is_abroad(p, place->deployment);
    place->reply_lines = reply_lines(p, place->deployment);
    if (arena_failed(&p->arena) || place->reply_lines.at == NULL) {
        return false;
    }
    place->tag = policy_prefixes_tag(span_of(place->deployment->definition.name));
    place->series = call_series_find(model->name, place->deployment->definition.name);
    fill_record(p, model, place);
    return true;
}

/* The upstreams that a model names, be it one. */
static bool add_places(struct policy *p, const struct model_settings *settings,
                       struct policy_model *model)
{
    const struct deployment_settings one = {.upstream_index = settings->upstream_index,
                                            .upstream_name = settings->upstream_name,
                                            .weight = 1};
    size_t count = settings->deployments_count == 0 ? 1 : settings->deployments_count;
    struct policy_place *places = arena_new(&p->arena, count * sizeof(*places));
    bool is_good = places != NULL;
    for (size_t i = 0; is_good && i < count; i++) {
        is_good = add_place(p, settings->deployments_count == 0 ? &one : &settings->deployments[i],
                            model, &places[i]);
    }
    model->places = places;
    model->place_count = count;
    return is_good;
}

static enum err add_model(struct policy *p, const struct model_settings *settings)
{
    struct policy_model *model = &p->models[p->model_count++];
    model->name = keep_text(p, settings->name);
    model->endpoints = settings->endpoints;
    model->context_tokens = settings->context_tokens;
    model->max_output = settings->max_output;
    model->energy_nano = settings->energy_nano;
    model->prices = keep_prices(p, settings);
    model->price_count = settings->prices_count;
    model->is_pattern = settings->is_pattern;
    model->reasoning = settings->reasoning;
    model->token_arrays = settings->token_arrays;
    model->runs_once = settings->repeat == POLICY_REPEAT_NEVER;
    fill_abilities(p, settings, model);
    if (arena_failed(&p->arena) || !add_places(p, settings, model)) {
        return ERR_NO_MEMORY;
    }
    return add_names(p, settings, model);
}

/* The guard's scanners: models of one place, which no name leads to. */
static enum err add_scanners(struct policy *p, const struct policy_settings *settings, size_t first)
{
    const struct guard_form *guard = &settings->guard;
    p->scanners = arena_new(&p->arena, guard->external_count * sizeof(*p->scanners));
    for (size_t i = 0; p->scanners != NULL && i < guard->external_count; i++) {
        struct policy_model *model = &p->scanners[p->scanner_count++];
        const struct model_settings own = {.upstream_index = first + i};
        model->name = keep_text(p, guard->external[i].name);
        model->endpoints = POLICY_EMBEDDINGS; /* as which it is asked */
        if (arena_failed(&p->arena) || !add_places(p, &own, model)) {
            return ERR_NO_MEMORY;
        }
    }
    return arena_failed(&p->arena) ? ERR_NO_MEMORY : ERR_OK;
}

/* Those of the policy before, if it had any; else new ones, if some model has a choice. */
static enum err add_prefixes(struct policy *p, const struct policy *previous)
{
    bool has_choice = false;
    for (size_t i = 0; i < p->model_count; i++) {
        has_choice = has_choice || p->models[i].place_count > 1;
    }
    if (has_choice && previous != NULL) {
        p->prefixes = policy_prefixes_ref(previous->prefixes);
    }
    return has_choice && p->prefixes == NULL ? policy_prefixes_open(&p->prefixes) : ERR_OK;
}

static int longest_first(const void *a, const void *b)
{
    const struct policy_model *const *left = a;
    const struct policy_model *const *right = b;
    return (*left)->name.len < (*right)->name.len   ? 1
           : (*left)->name.len > (*right)->name.len ? -1
                                                    : 0;
}

static enum err add_models(struct policy *p, const struct policy_settings *settings)
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

enum err policy_write_models(const struct policy *p, policy_may *may, void *ctx, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "object");
    json_write_text(&w, "list");
    json_write_key(&w, "data");
    json_write_array(&w);
    for (size_t i = 0; i < p->listed_count; i++) {
        const struct policy_model *model = p->listed[i]->value;
        if (may == NULL || may(ctx, p->listed[i]->key, model)) {
            write_model(p, p->listed[i]->key, model, &w);
        }
    }
    json_write_end(&w);
    json_write_end(&w);
    return json_write_finish(&w);
}

static enum err make_list(struct policy *p)
{
    const struct map_slot **sorted =
        arena_alloc(&p->arena, (p->names.count + 1) * sizeof(struct map_slot *));
    if (sorted == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < p->names.cap; i++) {
        if (p->names.slots[i].key.at != NULL) {
            sorted[p->listed_count++] = &p->names.slots[i];
        }
    }
    qsort(sorted, p->listed_count, sizeof(struct map_slot *), by_name);
    p->listed = sorted;

    struct buf b;
    buf_init(&b, POLICY_LIST_BYTES_MAX);
    bool written = policy_write_models(p, NULL, NULL, &b) == ERR_OK;
    p->models_json = written ? arena_copy(&p->arena, buf_span(&b)) : (struct span){NULL, 0};
    buf_fini(&b);
    return p->models_json.at == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* ---- the whole ---- */

static struct span keep_lines(struct policy *p, const struct texts *texts)
{
    struct buf b;
    buf_init(&b, 65536);
    for (size_t i = 0; i < texts->count; i++) {
        buf_put_text(&b, i == 0 ? "" : "\n");
        buf_put_text(&b, texts->at[i]);
    }
    struct span kept =
        buf_failed(&b) ? (struct span){NULL, 0} : arena_copy(&p->arena, buf_span(&b));
    buf_fini(&b);
    return kept;
}

static enum err add_zone(struct policy *p, const struct policy_settings *settings)
{
    p->zone = keep_text(p, settings->zone);
    p->region = keep_text(p, settings->region);
    p->regions = keep_lines(p, &settings->regions);
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
    p->grid_nano = settings->grid_nano;
    p->stream_head_hold_ms = settings->stream_head_hold_ms;
    p->ping_interval_ms = settings->ping_interval_ms;
    journal_record_set(&p->record, JOURNAL_TEXT_HOME_REGION, p->region);
    failed = failed || p->regions.at == NULL;
    return failed || arena_failed(&p->arena) ? ERR_NO_MEMORY : ERR_OK;
}

static enum err note_digest(struct policy *p, const struct policy_settings *settings,
                            const struct upstream_settings *upstreams)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    enum err e = policy_digest(settings, upstreams, digest);
    if (e == ERR_OK) {
        journal_record_set(&p->record, JOURNAL_TEXT_POLICY_DIGEST,
                           span_make(digest, sizeof(digest)));
    }
    return e;
}

enum err policy_open(const struct policy_settings *settings,
                     const struct upstream_settings *upstreams, const struct policy *previous,
                     wall_us now, char *reason, struct policy **out)
{
    reason[0] = '\0';
    struct upstream_settings all;
    struct policy *p = memory_new(sizeof(*p));
    if (p == NULL) {
        return ERR_NO_MEMORY;
    }
    atomic_store(&p->refs, 1);
    arena_init(&p->arena, ARENA_BYTES_MAX);
    map_init(&p->names);
    p->created_s = now.us / 1000000;
    p->routing = routing_ref(settings->routing);
    p->guard = guard_policy_ref(settings->guard_policy);
    enum err e = add_zone(p, settings);
    if (e == ERR_OK) {
        e = note_digest(p, settings, upstreams);
    }
    if (e == ERR_OK) {
        e = policy_scanner_join(settings, upstreams, &p->arena, &all);
    }
    if (e == ERR_OK) {
        e = add_deployments(p, &all, previous, reason);
    }
    if (e == ERR_OK) {
        e = add_models(p, settings);
    }
    if (e == ERR_OK) {
        e = add_scanners(p, settings, upstreams->definitions_count);
    }
    if (e == ERR_OK) {
        e = add_prefixes(p, previous);
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
    upstream_trust_close(&p->trust);
    routing_unref(&p->routing);
    guard_policy_unref(&p->guard);
    policy_prefixes_unref(&p->prefixes);
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
        *out = (struct policy_match){.model = model, .shown = model->name};
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
        *out = (struct policy_match){.model = model, .shown = name};
    }
    policy_place_match(out, model->places);
    return true;
}

void policy_place_match(struct policy_match *match, const struct policy_place *place)
{
    match->place = place;
    match->upstream_name = place->upstream_name.len > 0 ? place->upstream_name : match->shown;
}

/* Which bytes a name holds, in 32 kinds: names that differ in many are not near. */
static uint32_t kinds_of(struct span name)
{
    uint32_t kinds = 0;
    for (size_t i = 0; i < name.len; i++) {
        kinds |= 1u << (name.at[i] & 31); /* capitals and small letters alike */
    }
    return kinds;
}

/* Whether so few edits could lie between the two: each brings or takes a byte or two. */
static bool may_be_near(struct span a, struct span b, uint32_t a_kinds)
{
    size_t most = a.len / 3 > 1 ? a.len / 3 : 1;
    size_t differ = a.len > b.len ? a.len - b.len : b.len - a.len;
    return differ <= most && (size_t)__builtin_popcount(a_kinds ^ kinds_of(b)) <= 2 * most;
}

static struct span nearest(const struct policy *p, struct span name)
{
    const char *near[NEAR_CLOSELY];
    size_t count = 0;
    if (name.len == 0 || name.len > TEXT_NEAR_BYTES_MAX) {
        return SPAN("");
    }
    uint32_t kinds = kinds_of(name);
    for (size_t i = 0; i < p->model_count && i < NEAR_LOOKED_AT && count < NEAR_CLOSELY; i++) {
        const struct policy_model *model = &p->models[i];
        if (!model->is_pattern && model->name.len <= TEXT_NEAR_BYTES_MAX &&
            may_be_near(name, model->name, kinds)) {
            near[count++] = (const char *)model->name.at;
        }
    }
    const char *meant = text_nearest(name, near, count);
    return meant == NULL ? SPAN("") : span_of(meant);
}

size_t policy_say_unknown(const struct policy *p, struct span name, char out[POLICY_UNKNOWN_BYTES])
{
    struct span meant = nearest(p, name);
    name = span_cut(name, 0, 128);
    (void)snprintf(out, POLICY_UNKNOWN_BYTES, "the model '%.*s' does not exist%s%.*s%s",
                   SPAN_ARGS(name), meant.len > 0 ? "; did you mean '" : "", SPAN_ARGS(meant),
                   meant.len > 0 ? "'? GET /v1/models lists all"
                                 : "; GET /v1/models lists those that do"); /* names are cut */
    return strlen(out);
}
