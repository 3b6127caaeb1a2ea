/* SPDX-License-Identifier: Apache-2.0 */
/* What `atlas config check` looks at beside the file: the certificates that listeners show, those
 * that upstreams are believed by, and what upstreams' URLs say twice. */
#include <stdio.h>
#include <string.h>

#include "net/net_certificate.h"
#include "settings/settings_internal.h"

static void check_pair(struct settings_loader *l, const struct ytree_node *node,
                       struct net_tls_pair pair)
{
    char reason[NET_TLS_REASON_BYTES] = "";
    char warning[512];
    struct net_certificate c = {0};
    struct ytree_place place = node->place;
    if (pair.certificate == NULL || pair.key == NULL) {
        return; /* that was said */
    }
    if (net_certificate_look(&pair, reason, &c) != ERR_OK) {
        settings_problem(l, place,
                         "%s; `certificate:` takes a PEM file and `key:` that of its private key",
                         reason[0] == '\0' ? "the certificate cannot be read" : reason);
    } else if (net_certificate_warning(&pair, &c, 0, warning, sizeof(warning))) {
        settings_problem(l, place, "%s", warning);
    }
}

/* The value of `certificate` in the mapping, or the mapping where it is not given. */
static const struct ytree_node *node_of(const struct ytree_node *pair)
{
    const struct ytree_node *found = ytree_find(pair, "certificate");
    return found == NULL ? pair : found;
}

static void check_listen(struct settings_loader *l, const struct server_listen *listen,
                         const struct ytree_node *node)
{
    const struct ytree_node *tls = ytree_find(node, "tls");
    if (tls == NULL || tls->kind != YTREE_MAP) {
        return;
    }
    check_pair(l, node_of(tls), (struct net_tls_pair){listen->tls_certificate, listen->tls_key});
    const struct ytree_node *list = ytree_find(tls, "sni");
    const struct ytree_node *sni = list == NULL ? NULL : list->first;
    for (size_t p = 0; p < listen->tls_sni_count && sni != NULL; p++, sni = sni->next) {
        check_pair(l, node_of(sni),
                   (struct net_tls_pair){listen->tls_sni[p].certificate, listen->tls_sni[p].key});
    }
}

bool settings_url_is_too_long(const char *url, char out[SETTINGS_FAULT_BYTES])
{
    static const char *const endings[] = {"/chat/completions", "/completions", "/embeddings",
                                          "/models"};
    size_t len = strlen(url);
    if (strstr(url, "/v1/v1") != NULL) {
        (void)snprintf(out, SETTINGS_FAULT_BYTES, "has /v1 twice — once is enough in `url:`");
        return true;
    }
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t ending = strlen(endings[i]);
        if (len > ending && strcmp(url + len - ending, endings[i]) == 0) {
            (void)snprintf(out, SETTINGS_FAULT_BYTES,
                           "ends in %s, which Atlas adds itself — end `url:` before it",
                           endings[i]);
            return true;
        }
    }
    return false;
}

/* Whether an upstream before the i-th is believed by the same file: it is read once. */
static bool is_looked_at(const struct upstream_settings *s, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        const char *other = s->definitions[k].ca_file;
        if (other != NULL && strcmp(other, s->definitions[i].ca_file) == 0) {
            return true;
        }
    }
    return false;
}

/* `node` is the mapping of the i-th upstream. */
static void check_authorities(struct settings_loader *l, const struct upstream_settings *s,
                              size_t i, const struct ytree_node *node)
{
    char reason[NET_TLS_REASON_BYTES] = "";
    const struct ytree_node *written = ytree_find(node, "ca_file");
    struct net_tls *tls = NULL;
    if (written == NULL || s->definitions[i].ca_file == NULL || is_looked_at(s, i)) {
        return;
    }
    if (net_tls_open_client(s->definitions[i].ca_file, reason, &tls) != ERR_OK) {
        settings_problem(l, written->place,
                         "%s; `ca_file:` takes a PEM file with the certificates of authorities",
                         reason[0] == '\0' ? "the CA file cannot be read" : reason);
    }
    net_tls_unref(&tls);
}

static void check_upstreams(struct settings_loader *l)
{
    const struct ytree_node *map = ytree_find(l->main.root, "upstreams");
    const struct ytree_node *node = map == NULL || map->kind != YTREE_MAP ? NULL : map->first;
    const struct upstream_settings *s = &l->settings->upstream;
    char fault[SETTINGS_FAULT_BYTES];
    for (size_t i = 0; i < s->definitions_count && node != NULL; i++, node = node->next) {
        const char *url = s->definitions[i].url;
        const struct ytree_node *written = ytree_find(node, "url");
        if (url != NULL && written != NULL && settings_url_is_too_long(url, fault)) {
            settings_problem(l, written->place, "upstreams.%.*s.url %s",
                             SPAN_ARGS(span_cut(node->key, 0, 200)), fault);
        }
        check_authorities(l, s, i, node);
    }
}

void settings_check_files(struct settings_loader *l)
{
    const struct ytree_node *list = ytree_find(l->main.root, "listen");
    const struct ytree_node *node = list == NULL ? NULL : list->first;
    const struct server_settings *s = &l->settings->server;
    for (size_t i = 0; i < s->listens_count && node != NULL; i++, node = node->next) {
        check_listen(l, &s->listens[i], node);
    }
    check_listen(l, &l->settings->admin.listen, ytree_find(l->main.root, "admin"));
    check_upstreams(l);
}
