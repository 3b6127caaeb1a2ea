/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no single setting can be asked: that names are unique, that what one names the other has,
 * that what belongs together comes together. Items of a collection and the children of its YAML
 * node stand in the same order.
 */
#include "settings/settings_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "journal/journal_record.h"
#include "text/text_near.h"

#define MODEL_NAME_BYTES_MAX 255 /* what the store takes */
#define SLOTS_LEAST          64
#define SLOTS_BESIDE_MOST    16384 /* a second's, at 16,000 calls/s */
#define BURST_MINUTES        1440  /* LIMITS_BURST_MINUTES */

/* The place of the setting `key` of the item `node`, or of the item where it is not given. */
static struct ytree_place place_of(const struct ytree_node *node, const char *key)
{
    const struct ytree_node *child = ytree_find(node, key);
    if (child != NULL) {
        return child->place;
    }
    return node->key.len > 0 ? node->key_place : node->place;
}

void settings_check_required(struct settings_loader *l, const char *path, const char *shown,
                             const struct ytree_node *node)
{
    size_t len = strlen(path);
    if (node->kind != YTREE_MAP && !ytree_is_null(node)) {
        return; /* that was said */
    }
    for (size_t i = 0; i < settings_main.rows_count; i++) {
        const struct settings_row *row = &settings_main.rows[i];
        if (row->fallback != NULL || strncmp(row->path, path, len) != 0) {
            continue;
        }
        const char *key = row->path + len + 1;    /* required settings stand in the item itself, */
        bool is_own = strpbrk(key, ".[") == NULL; /* and not in one that it holds */
        if (is_own && ytree_find(node, key) == NULL) {
            settings_problem(l, place_of(node, key), "%s needs `%s: …`, such as %s", shown, key,
                             row->least);
        }
    }
}

static void use_default_listen(struct settings_loader *l)
{
    static const struct server_listen fallback = {.address = "127.0.0.1:8080"};
    if (l->settings->server.listens_count == 0) {
        l->settings->server.listens = &fallback;
        l->settings->server.listens_count = 1;
    }
}

/* Two listeners of one address, but for port 0, which is another one each time. */
static bool is_same_address(const char *a, const char *b)
{
    const char *port = strrchr(a, ':');
    return strcmp(a, b) == 0 && port != NULL && strcmp(port, ":0") != 0;
}

/* `tls` is the mapping of the listener `shown`; `path`: of its further certificates. */
static void check_sni(struct settings_loader *l, const struct server_listen *listen,
                      const struct ytree_node *tls, const char *shown, const char *path)
{
    const struct ytree_node *list = tls == NULL ? NULL : ytree_find(tls, "sni");
    const struct ytree_node *node = list == NULL ? NULL : list->first;
    if (listen->tls_sni_count > 0 && listen->tls_certificate == NULL) {
        settings_problem(l, list->place,
                         "%s.tls.sni needs %s.tls.certificate, for who asks for no name", shown,
                         shown);
    }
    for (size_t i = 0; i < listen->tls_sni_count && node != NULL; i++, node = node->next) {
        char item[64];
        snprintf(item, sizeof(item), "%s.tls.sni[%zu]", shown, i);
        settings_check_required(l, path, item, node);
    }
}

/* `node` is the listener's, or NULL where the file does not have it. */
static void check_tls(struct settings_loader *l, const struct server_listen *listen,
                      const char *shown, const struct ytree_node *node, const char *sni_path)
{
    if (node == NULL) {
        return;
    }
    if ((listen->tls_certificate == NULL) != (listen->tls_key == NULL)) {
        settings_problem(l, place_of(node, "tls"),
                         "%s.tls needs both `certificate` and `key`, or neither", shown);
    }
    check_sni(l, listen, ytree_find(node, "tls"), shown, sni_path);
}

static void check_listens(struct settings_loader *l)
{
    const struct ytree_node *list = ytree_find(l->file->root, "listen");
    const struct ytree_node *node = list == NULL ? NULL : list->first;
    const struct server_settings *s = &l->settings->server;
    for (size_t i = 0; i < s->listens_count && node != NULL; i++, node = node->next) {
        const struct server_listen *listen = &s->listens[i];
        char shown[32];
        snprintf(shown, sizeof(shown), "listen[%zu]", i);
        settings_check_required(l, "listen[]", shown, node);
        check_tls(l, listen, shown, node, "listen[].tls.sni[]");
        for (size_t j = 0; j < i && listen->address != NULL; j++) {
            if (s->listens[j].address != NULL &&
                is_same_address(s->listens[j].address, listen->address)) {
                settings_problem(l, place_of(node, "address"),
                                 "%s.address is the same as that of listen[%zu]", shown, j);
            }
        }
    }
}

/* A proxy in the list, as bytes. */
static void check_proxy(struct settings_loader *l, const char *text, struct ytree_place place)
{
    struct server_trust *trust = &l->settings->server.trust;
    struct net_network network;
    enum net_network_text parsed = net_network_parse(span_of(text), &network);
    if (parsed == NET_NETWORK_HOST_BITS) {
        char meant[NET_NETWORK_TEXT];
        net_network_write(&network, meant);
        settings_problem(l, place, "'%.64s' %s; did you mean %s?", text,
                         net_network_problem(parsed), meant);
    } else if (parsed != NET_NETWORK_GOOD) {
        settings_problem(l, place, "'%.64s' %s", text, net_network_problem(parsed));
    } else if (trust->proxies_count == SERVER_PROXIES_MAX) {
        settings_problem(l, place, "client.proxies has %d members at most", SERVER_PROXIES_MAX);
    } else {
        trust->proxies[trust->proxies_count++] = network;
    }
}

/* Who is believed about who the clients are. */
static void check_trust(struct settings_loader *l)
{
    struct server_settings *s = &l->settings->server;
    const struct ytree_node *list = ytree_find(ytree_find(l->file->root, "client"), "proxies");
    const struct ytree_node *item = list == NULL ? NULL : list->first;
    const struct ytree_node *listens = ytree_find(l->file->root, "listen");
    const struct ytree_node *node = listens == NULL ? NULL : listens->first;
    for (size_t i = 0; i < s->proxies.count && item != NULL; i++, item = item->next) {
        check_proxy(l, s->proxies.at[i], item->place);
    }
    for (size_t i = 0; i < s->listens_count && node != NULL; i++, node = node->next) {
        s->trust.proxy_protocol[i] = s->listens[i].proxy_protocol;
        if (s->listens[i].proxy_protocol && s->proxies.count == 0) {
            settings_problem(l, place_of(node, "proxy_protocol"),
                             "listen[%zu].proxy_protocol needs client.proxies: who may say whose "
                             "connection it is",
                             i);
        }
    }
}

/* A burst is part of a rate, and comes back within a day. `node` holds it; `shown` is its path. */
static void check_burst(struct settings_loader *l, int64_t per_minute, int64_t burst,
                        const struct ytree_node *node, const char *shown)
{
    if (burst > 0 && per_minute == 0) {
        settings_problem(l, place_of(node, "burst"), "%s.burst needs %s.requests_per_minute", shown,
                         shown);
    } else if (burst > per_minute * BURST_MINUTES) {
        settings_problem(l, place_of(node, "burst"),
                         "%s.burst is more than comes back in a day: %lld at most", shown,
                         (long long)per_minute * BURST_MINUTES);
    }
}

static void check_rates(struct settings_loader *l)
{
    const struct server_settings *s = &l->settings->server;
    const struct ytree_node *client = ytree_find(l->file->root, "client");
    const struct ytree_node *list = ytree_find(l->file->root, "listen");
    const struct ytree_node *node = list == NULL ? NULL : list->first;
    if (client != NULL) {
        check_burst(l, s->requests_per_minute, s->burst, client, "client");
    }
    for (size_t i = 0; i < s->listens_count && node != NULL; i++, node = node->next) {
        char shown[32];
        snprintf(shown, sizeof(shown), "listen[%zu]", i);
        check_burst(l, s->listens[i].requests_per_minute, s->listens[i].burst, node, shown);
    }
}

static void check_admin(struct settings_loader *l)
{
    const struct server_settings *s = &l->settings->server;
    const struct ytree_node *admin = ytree_find(l->file->root, "admin");
    const struct ytree_node *list = ytree_find(l->file->root, "listen");
    const struct ytree_node *listen = list == NULL ? NULL : list->first;
    check_tls(l, &l->settings->admin.listen, "admin", admin, "admin.tls.sni[]");
    for (size_t i = 0; i < s->listens_count; i++) {
        const char *address = s->listens[i].address;
        const struct ytree_node *node = admin != NULL ? admin : listen;
        listen = listen == NULL ? NULL : listen->next;
        if (address != NULL && is_same_address(address, l->settings->admin.listen.address)) {
            settings_problem(l, place_of(node, "address"),
                             "listen[%zu].address is the same as admin.address; give one of them "
                             "another port",
                             i);
        }
    }
}

static bool is_label(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] <= ' ' || name.at[i] >= 0x7F) {
            return false;
        }
    }
    return name.len > 0 && name.len <= SETTINGS_LABEL_BYTES_MAX;
}

static void check_upstreams(struct settings_loader *l)
{
    const struct ytree_node *map = ytree_find(l->file->root, "upstreams");
    const struct ytree_node *node = map == NULL || map->kind != YTREE_MAP ? NULL : map->first;
    for (; node != NULL; node = node->next) {
        char shown[SETTINGS_PATH_MAX];
        snprintf(shown, sizeof(shown), "upstreams.%.*s", SPAN_ARGS(span_cut(node->key, 0, 200)));
        if (!is_label(node->key)) {
            settings_problem(l, node->key_place,
                             "the name of an upstream is 1 to %d visible ASCII characters "
                             "without spaces",
                             SETTINGS_LABEL_BYTES_MAX);
        }
        settings_check_required(l, "upstreams.*", shown, node);
    }
}

static bool has_control(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] < ' ' || name.at[i] == 0x7F) {
            return true;
        }
    }
    return false;
}

/* What callers may ask for: a model's name, which `node` has as its key, or the alias that the text
 * of `node` means. A problem shows what stands in the file. */
static void check_name(struct settings_loader *l, struct map *names, struct span name,
                       const struct ytree_node *node, bool is_alias)
{
    struct ytree_place place = is_alias ? node->place : node->key_place;
    size_t star = span_find(name, '*', 0);
    if (name.len == 0 || name.len > MODEL_NAME_BYTES_MAX) {
        settings_problem(l, place, "the name of a model has 1 to %d bytes", MODEL_NAME_BYTES_MAX);
        return;
    }
    struct span shown = span_cut(is_alias ? node->text : node->key, 0, 64);
    if (span_equal_nocase(name, SPAN("auto")) || span_equal_nocase(name, SPAN("auto-router"))) {
        settings_problem(l, place, "'%.*s' asks for routing and cannot be a model's name",
                         SPAN_ARGS(shown));
    }
    if (is_alias && star < name.len) {
        settings_problem(l, place, "an alias cannot hold a *; make '%.*s' a model of its own",
                         SPAN_ARGS(shown));
    } else if (star < name.len - 1) {
        settings_problem(l, place, "a * may stand at the end of a name only, not as in '%.*s'",
                         SPAN_ARGS(shown));
    }
    if (has_control(name)) {
        settings_problem(l, place, "the name of a model cannot hold control characters");
        return;
    }
    const struct ytree_place *before = map_find(names, name);
    if (before != NULL) {
        settings_problem(l, place, "'%.*s' names a model twice; line %u has it already",
                         SPAN_ARGS(shown), before->line);
        return;
    }
    struct ytree_place *kept = arena_new(l->scratch, sizeof(*kept));
    if (kept == NULL || map_put_borrow(names, name, kept) != ERR_OK) {
        l->out_of_memory = true;
        return;
    }
    *kept = place;
}

static void check_aliases(struct settings_loader *l, const struct model_settings *model,
                          const struct ytree_node *node, struct map *names)
{
    const struct ytree_node *list = ytree_find(node, "aliases");
    const struct ytree_node *item = list == NULL ? NULL : list->first;
    if (model->is_pattern && model->aliases.count > 0) {
        settings_problem(l, list != NULL ? list->place : node->place,
                         "a pattern has no aliases; it is every name that begins so");
        return;
    }
    for (size_t i = 0; list != NULL && i < model->aliases.count; i++) {
        check_name(l, names, span_of(model->aliases.at[i]), item != NULL ? item : list, true);
        item = item == NULL ? NULL : item->next;
    }
}

static void check_model(struct settings_loader *l, struct model_settings *model,
                        const struct ytree_node *node, const struct map *upstreams,
                        struct map *names)
{
    char shown[SETTINGS_PATH_MAX];
    snprintf(shown, sizeof(shown), "models.%.*s", SPAN_ARGS(span_cut(node->key, 0, 200)));
    settings_check_required(l, "models.*", shown, node);
    check_name(l, names, node->key, node, false);
    model->is_pattern = node->key.len > 0 && node->key.at[node->key.len - 1] == '*';
    check_aliases(l, model, node, names);
    if (model->is_pattern && model->upstream_name != NULL) {
        settings_problem(l, place_of(node, "upstream_name"),
                         "a pattern passes the caller's name on; leave upstream_name out");
    }
    const struct ytree_node *endpoints = ytree_find(node, "endpoints");
    bool is_empty =
        endpoints == NULL || (endpoints->kind == YTREE_LIST && endpoints->first == NULL);
    if (model->endpoints == 0 && is_empty) { /* of other wrong ones it was said what is wrong */
        settings_problem(l, place_of(node, "endpoints"), "%s.endpoints needs at least one of %s",
                         shown, "chat, completions, embeddings");
    }
    settings_check_prices(l, model, node, shown);
    settings_check_places(l, model, node, upstreams);
}

static void check_models(struct settings_loader *l)
{
    if (l->models.root != NULL) {
        l->file = &l->models;
    }
    const struct ytree_node *map = ytree_find(l->file->root, "models");
    const struct ytree_node *node = map == NULL ? NULL : map->first;
    const struct upstream_settings *upstream = &l->settings->upstream;
    /* Not handed out yet: the loader made these structs and may still write to them. */
    struct model_settings *models = (struct model_settings *)(uintptr_t)l->settings->gateway.models;
    struct map upstreams;
    struct map names;
    map_init(&upstreams);
    map_init(&names);
    for (size_t i = 0; i < upstream->definitions_count && !l->out_of_memory; i++) {
        const struct upstream_definition *d = &upstream->definitions[i];
        l->out_of_memory =
            map_put_borrow(&upstreams, span_of(d->name), (void *)(uintptr_t)d) != ERR_OK;
    }
    for (size_t i = 0; i < l->settings->gateway.models_count && node != NULL; i++) {
        if (!l->out_of_memory) {
            check_model(l, &models[i], node, &upstreams, &names);
        }
        node = node->next;
    }
    map_fini(&upstreams);
    map_fini(&names);
    l->file = &l->main;
}

/* "https://app.example": a scheme and what follows it, without a path. */
static bool is_origin(const char *origin)
{
    const char *authority = strstr(origin, "://");
    return authority != NULL && authority != origin && authority[3] != '\0' &&
           strpbrk(authority + 3, "/?# *\",") == NULL;
}

static void check_cors(struct settings_loader *l)
{
    const struct texts *origins = &l->settings->gateway.cors.origins;
    const struct ytree_node *list = ytree_find(ytree_find(l->file->root, "cors"), "origins");
    const struct ytree_node *item = list == NULL ? NULL : list->first;
    for (size_t i = 0; i < origins->count && item != NULL; i++, item = item->next) {
        if (strcmp(origins->at[i], "*") == 0 && origins->count > 1) {
            settings_problem(l, item->place, "\"*\" means any origin; it stands alone");
        } else if (strcmp(origins->at[i], "*") != 0 && !is_origin(origins->at[i])) {
            settings_problem(l, item->place,
                             "an origin is a scheme and a host, such as https://app.example, "
                             "or \"*\"");
        }
    }
}

static void check_dns(struct settings_loader *l)
{
    const struct texts *servers = &l->settings->dns.servers;
    const struct ytree_node *list = ytree_find(ytree_find(l->file->root, "dns"), "servers");
    const struct ytree_node *item = list == NULL ? NULL : list->first;
    for (size_t i = 0; i < servers->count && item != NULL; i++, item = item->next) {
        struct net_address unused;
        if (net_dns_server_parse(servers->at[i], &unused) != ERR_OK) {
            settings_problem(l, item->place,
                             "a name server is given by its address, such as 10.0.0.2 or "
                             "10.0.0.2:5353");
        }
    }
}

/* Files in the data folder get their whole path; "" and "off" mean none. */
static void resolve_data_paths(struct settings_loader *l)
{
    char *base = (char *)l->settings;
    for (size_t i = 0; i < settings_main.rows_count && !l->out_of_memory; i++) {
        const struct settings_row *row = &settings_main.rows[i];
        const char *path;
        if (row->kind != SETTINGS_DATA_PATH) {
            continue;
        }
        memcpy(&path, base + row->offset, sizeof(path));
        if (path == NULL || strcmp(path, "-") == 0) {
            continue;
        }
        if (path[0] == '\0' || strcmp(path, "off") == 0) {
            path = NULL;
        } else {
            path = settings_join(l->arena, l->settings->data, path);
            l->out_of_memory = path == NULL;
        }
        memcpy(base + row->offset, &path, sizeof(path));
    }
    if (l->settings->log.file != NULL && strcmp(l->settings->log.file, "-") == 0) {
        l->settings->log.file = NULL;
    }
}

/* All calls may be one worker's, so that each has slots for all of them and for what is on its way
 * to the disk meanwhile. */
static void size_slots(struct settings_loader *l)
{
    struct journal_settings *journal = &l->settings->journal;
    int64_t calls = l->settings->gateway.calls_max;
    const struct ytree_node *node = ytree_find(ytree_find(l->file->root, "journal"), "slots");
    if (journal->slots == 0) {
        int64_t beside = calls < SLOTS_BESIDE_MOST ? calls : SLOTS_BESIDE_MOST;
        journal->slots = calls + beside < SLOTS_LEAST ? SLOTS_LEAST : calls + beside;
    } else if (journal->slots < calls + JOURNAL_SLOTS_A_CALL) {
        settings_problem(l, node == NULL ? l->file->root->place : node->place,
                         "%lld slots are too few for the %lld calls of calls.max: leave it out, or "
                         "lower calls.max to %lld",
                         (long long)journal->slots, (long long)calls,
                         (long long)(journal->slots - JOURNAL_SLOTS_A_CALL));
    }
    journal->slots += journal->slots & 1;
}

void settings_check(struct settings_loader *l)
{
    use_default_listen(l);
    check_listens(l);
    check_trust(l);
    check_rates(l);
    check_admin(l);
    check_upstreams(l);
    check_models(l);
    check_cors(l);
    check_dns(l);
    settings_check_guard(l);
    resolve_data_paths(l);
    size_slots(l);
}
