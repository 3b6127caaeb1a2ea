/* SPDX-License-Identifier: Apache-2.0 */
#include "keys/key_grant.h"

#include <stddef.h>

#include "base/memory.h"

#define TEXTS 4

void key_grants_init(struct key_grants *g)
{
    *g = (struct key_grants){0};
    map_init(&g->map);
}

static bool free_grant(struct retired *block)
{
    memory_free(block);
    return true;
}

void key_grants_tidy(struct key_grants *g, mono_us turned)
{
    retired_tidy(&g->retired, turned, free_grant);
}

void key_grants_fini(struct key_grants *g)
{
    key_grants_tidy(g, (mono_us){INT64_MAX});
    for (size_t i = 0; i < g->map.cap; i++) {
        memory_free(g->map.slots[i].value);
    }
    map_fini(&g->map);
}

/* ---- networks ---- */

/* The first line of `rest`, which is cut off it. */
static struct span take_line(struct span *rest)
{
    struct span line = span_cut(*rest, 0, span_find(*rest, '\n', 0));
    *rest = span_cut(*rest, line.len + 1, rest->len);
    return line;
}

static size_t count_lines(struct span lines)
{
    size_t count = 0;
    while (lines.len > 0) {
        (void)take_line(&lines);
        count++;
    }
    return count;
}

static enum err parse_networks(struct span lines, struct net_network *out)
{
    bool are_good = true;
    for (size_t i = 0; are_good && lines.len > 0; i++) {
        are_good = net_network_parse(take_line(&lines), &out[i]) == NET_NETWORK_GOOD;
    }
    return are_good ? ERR_OK : ERR_VALUE_INVALID;
}

bool key_grant_admits(const struct key_grant *grant, const struct net_ip *address)
{
    return grant == NULL || grant->network_count == 0 ||
           net_networks_have(grant->networks, grant->network_count, address);
}

/* ---- grants ---- */

static struct span *text_of(struct key_grant_texts *texts, size_t i)
{
    struct span *all[TEXTS] = {&texts->models, &texts->networks, &texts->tags, &texts->place};
    return all[i];
}

/* A grant with its texts, a NUL behind each, and room for its networks in front of them. */
static struct key_grant *grant_new(const struct key_grant_texts *texts, size_t networks)
{
    struct key_grant_texts from = *texts;
    size_t room = networks * sizeof(struct net_network);
    size_t len = from.models.len + from.networks.len + from.tags.len + from.place.len + TEXTS;
    struct key_grant *grant = memory_new(sizeof(*grant) + room + len);
    if (grant == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < KEY_MARKS; i++) {
        atomic_store(&grant->mark[i], SLOTS_NONE);
    }
    uint8_t *at = grant->text + room;
    grant->whole = span_make(at, len);
    for (size_t i = 0; i < TEXTS; i++) {
        struct span text = *text_of(&from, i);
        if (text.len > 0) {
            memcpy(at, text.at, text.len);
        }
        *text_of(&grant->says, i) = span_make(at, text.len);
        at += text.len + 1;
    }
    return grant;
}

_Static_assert(_Alignof(struct net_network) == 1, "networks lie among bytes");

enum err key_grants_take(struct key_grants *g, const struct key_grant_texts *texts,
                         struct key_grant **out)
{
    size_t networks = count_lines(texts->networks);
    *out = NULL;
    if (texts->models.len + texts->networks.len + texts->tags.len + texts->place.len == 0) {
        return ERR_OK;
    }
    if (networks > KEY_NETWORKS_MAX) {
        return ERR_VALUE_INVALID;
    }
    struct key_grant *made = grant_new(texts, networks);
    if (made == NULL) {
        return ERR_NO_MEMORY;
    }
    struct key_grant *found = map_find(&g->map, made->whole);
    if (found != NULL) {
        found->keys++;
        *out = found;
        memory_free(made);
        return ERR_OK;
    }
    struct net_network *parsed = (struct net_network *)(void *)made->text;
    enum err e = parse_networks(texts->networks, parsed);
    e = e == ERR_OK ? map_put_borrow(&g->map, made->whole, made) : e;
    if (e != ERR_OK) {
        memory_free(made);
        return e;
    }
    made->networks = parsed;
    made->network_count = networks;
    made->keys = 1;
    *out = made;
    return ERR_OK;
}

void key_grants_drop(struct key_grants *g, const struct key_grant *grant)
{
    struct key_grant *found = grant == NULL ? NULL : map_find(&g->map, grant->whole);
    if (found != NULL && --found->keys == 0) {
        map_take(&g->map, found->whole);
        retired_add(&g->retired, &found->retired);
    }
}

void key_grants_each(const struct key_grants *g, key_grants_on_one *on_one, void *context)
{
    for (size_t i = 0; i < g->map.cap; i++) {
        if (g->map.slots[i].value != NULL) {
            on_one(context, g->map.slots[i].value);
        }
    }
}
