/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of routing_config.yaml, which name models and regions of the settings. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/map.h"
#include "routing/routing.h"
#include "settings/settings_internal.h"
#include "text/text_near.h"

#define NEAR_MAX 1000

/* What the rules may name. */
struct names {
    const struct settings *settings;
    struct map models; /* names and aliases, to anything */
};

static bool has_model(const void *ctx, struct span name)
{
    const struct names *n = ctx;
    const struct policy_settings *p = &n->settings->gateway;
    if (span_equal_nocase(name, SPAN("auto")) || span_equal_nocase(name, SPAN("auto-router"))) {
        return false; /* they ask for routing */
    }
    if (map_find(&n->models, name) != NULL) {
        return true;
    }
    for (size_t i = 0; i < p->models_count; i++) {
        struct span pattern = span_of(p->models[i].name);
        if (p->models[i].is_pattern && span_starts(name, span_cut(pattern, 0, pattern.len - 1))) {
            return true;
        }
    }
    return false;
}

static bool embeds(const void *ctx, struct span name)
{
    const struct policy_settings *p = &((const struct names *)ctx)->settings->gateway;
    for (size_t i = 0; i < p->models_count; i++) {
        if (!p->models[i].is_pattern && span_is(name, p->models[i].name)) {
            return (p->models[i].endpoints & POLICY_EMBEDDINGS) != 0;
        }
    }
    return true; /* by an alias or a pattern: a call finds out */
}

static const char *near_model(const void *ctx, struct span name)
{
    const struct policy_settings *p = &((const struct names *)ctx)->settings->gateway;
    const char *near[NEAR_MAX];
    size_t count = p->models_count < NEAR_MAX ? p->models_count : NEAR_MAX;
    for (size_t i = 0; i < count; i++) {
        near[i] = p->models[i].name;
    }
    return text_nearest(name, near, count);
}

static bool has_region(const void *ctx, struct span region)
{
    const struct upstream_settings *u = &((const struct names *)ctx)->settings->upstream;
    for (size_t i = 0; i < u->definitions_count; i++) {
        if (u->definitions[i].region != NULL && span_is(region, u->definitions[i].region)) {
            return true;
        }
    }
    return false;
}

static bool put_name(struct names *n, const char *name)
{
    return map_put_borrow(&n->models, span_of(name), (void *)(uintptr_t)name) == ERR_OK;
}

static bool put_models(struct names *n)
{
    const struct policy_settings *p = &n->settings->gateway;
    bool is_put = true;
    for (size_t i = 0; is_put && i < p->models_count; i++) {
        is_put = p->models[i].is_pattern || put_name(n, p->models[i].name);
        for (size_t a = 0; is_put && a < p->models[i].aliases.count; a++) {
            is_put = put_name(n, p->models[i].aliases.at[a]);
        }
    }
    return is_put;
}

static void read_rules(struct settings_loader *l, struct span text)
{
    struct names names = {.settings = l->settings};
    const struct routing_world world = {has_model, near_model, has_region, &names, embeds};
    map_init(&names.models);
    enum err e = put_models(&names)
                     ? routing_read(text, l->settings->routing_file, &world, l->routing_problems,
                                    &l->settings->gateway.routing)
                     : ERR_NO_MEMORY;
    l->out_of_memory = l->out_of_memory || e == ERR_NO_MEMORY;
    bool is_wrong = e == ERR_OK && !settings_read_examples(l, l->settings->gateway.routing);
    l->routing_is_wrong = e == ERR_CONFIG || is_wrong;
    map_fini(&names.models);
}

/* Reads all of a file; false: the reason is noted. */
static bool read_all(struct settings_loader *l, int fd, struct buf *out)
{
    ssize_t got = 1;
    while (got > 0 && buf_span(out).len <= YTREE_BYTES_MAX) {
        uint8_t *at = buf_reserve(out, 65536);
        if (at == NULL) {
            l->out_of_memory = true;
            return false;
        }
        got = read(fd, at, 65536);
        buf_added(out, got > 0 ? (size_t)got : 0);
    }
    if (got < 0) {
        settings_problem(l, (struct ytree_place){0, 0}, "%s: cannot be read: %s",
                         l->settings->routing_file, strerrordesc_np(errno));
    }
    return got >= 0;
}

void settings_read_routing(struct settings_loader *l)
{
    struct settings *s = l->settings;
    const struct ytree_node *said = ytree_find(l->main.root, "routing");
    const char *why;
    int fd = -1;
    if (l->rules != NULL) {
        s->routing_file = (const char *)arena_copy(l->arena, span_of(l->rules)).at;
        l->out_of_memory = l->out_of_memory || s->routing_file == NULL;
    } else if (s->routing_file == NULL) {
        s->routing_file = settings_join(l->arena, l->main.folder, SETTINGS_ROUTING_FILE);
        l->out_of_memory = l->out_of_memory || s->routing_file == NULL;
    }
    if (l->out_of_memory) {
        return;
    }
    enum err e = file_open(s->routing_file, &fd, &why);
    if (e != ERR_OK && errno == ENOENT && said == NULL && l->rules == NULL) {
        return; /* there are no rules */
    }
    if (e != ERR_OK) {
        settings_note_unread(l);
        settings_problem(l, said == NULL ? (struct ytree_place){0, 0} : said->place,
                         "%s: cannot be read: %s", s->routing_file, why);
        return;
    }
    struct buf text;
    buf_init(&text, YTREE_BYTES_MAX + 131072);
    if (read_all(l, fd, &text)) {
        read_rules(l, buf_span(&text));
        s->gateway.texts.rules = arena_copy(l->arena, buf_span(&text));
        l->out_of_memory = l->out_of_memory || s->gateway.texts.rules.at == NULL;
    }
    buf_fini(&text);
    (void)close(fd); /* only read from */
}
