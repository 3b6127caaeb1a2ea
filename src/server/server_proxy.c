/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A header of version 1 is at least 15 bytes long, one of version 2 at least 16: so many are read
 * at first. Version 1 then ends with "\r\n" and is read by two bytes, the fewest that it can go on
 * for; version 2 says its length.
 */
#include "server/server_proxy.h"

#include <string.h>

#define V1_LEAST 15 /* "PROXY UNKNOWN\r\n" */
#define V2_LEAST 16

#define V2_AT_COMMAND 12
#define V2_AT_FAMILY  13
#define V2_AT_LENGTH  14
#define V2_ADDRESSES  36 /* two of IPv6, two ports: all that is kept behind the first 16 bytes */

enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { FAMILY_NONE = 0x00, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21, FAMILY_UNIX = 0x31 };

static const uint8_t v1_first[] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t v2_first[] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static bool begins(const struct server_proxy_header *h, const uint8_t *first, size_t len)
{
    return memcmp(h->bytes, first, h->have < len ? h->have : len) == 0;
}

static bool is_v2(const struct server_proxy_header *h)
{
    return h->bytes[0] == v2_first[0];
}

/* Bytes of a header of version 2 whose first 16 came. */
static size_t v2_size(const struct server_proxy_header *h)
{
    return V2_LEAST + (size_t)(h->bytes[V2_AT_LENGTH] << 8 | h->bytes[V2_AT_LENGTH + 1]);
}

static size_t v2_wants(const struct server_proxy_header *h)
{
    size_t size = h->have < V2_LEAST ? V2_LEAST : v2_size(h);
    return size - h->have;
}

static size_t v1_wants(const struct server_proxy_header *h)
{
    if (h->have < V1_LEAST) {
        return V1_LEAST - h->have;
    }
    return h->bytes[h->have - 1] == '\r' ? 1 : 2;
}

size_t server_proxy_room(struct server_proxy_header *h, uint8_t **to)
{
    if (h->is_bad || h->is_whole) {
        return 0;
    }
    size_t wants = h->have > 0 && is_v2(h) ? v2_wants(h) : v1_wants(h);
    size_t at = h->have < V2_LEAST + V2_ADDRESSES || !is_v2(h) ? h->have : V2_LEAST + V2_ADDRESSES;
    size_t room = SERVER_PROXY_KEPT - at;
    *to = h->bytes + at;
    if (h->have > 0 && is_v2(h) && at < V2_LEAST + V2_ADDRESSES) {
        room = V2_LEAST + V2_ADDRESSES - at; /* what follows is dropped */
    }
    return wants < room ? wants : room;
}

/* ---- version 2 ---- */

static bool v2_read(struct server_proxy_header *h)
{
    uint8_t command = h->bytes[V2_AT_COMMAND], family = h->bytes[V2_AT_FAMILY];
    size_t length = v2_size(h) - V2_LEAST;
    if (command == COMMAND_LOCAL || family == FAMILY_NONE || family == FAMILY_UNIX) {
        return true; /* the proxy itself, or somebody on its machine */
    }
    if (family == FAMILY_TCP4 && length >= 12) {
        h->client = net_ip_of_v4(h->bytes + V2_LEAST);
        h->has_client = true;
    } else if (family == FAMILY_TCP6 && length >= V2_ADDRESSES) {
        memcpy(h->client.bytes, h->bytes + V2_LEAST, sizeof(h->client.bytes));
        h->has_client = true;
    }
    return h->has_client;
}

static void v2_look(struct server_proxy_header *h)
{
    uint8_t command = h->bytes[V2_AT_COMMAND];
    h->is_bad = !begins(h, v2_first, sizeof(v2_first)) ||
                (h->have > V2_AT_COMMAND && command != COMMAND_LOCAL && command != COMMAND_PROXY) ||
                (h->have >= V2_LEAST && v2_size(h) > SERVER_PROXY_MOST);
    if (!h->is_bad && h->have >= V2_LEAST && h->have == v2_size(h)) {
        h->is_bad = !v2_read(h);
        h->is_whole = !h->is_bad;
    }
}

/* ---- version 1 ---- */

/* Cuts the next word off; words have one space between them. */
static struct span next_word(struct span *line)
{
    size_t end = span_find(*line, ' ', 0);
    struct span word = span_cut(*line, 0, end);
    *line = span_cut(*line, end + 1, line->len);
    return word;
}

static bool is_port(struct span text)
{
    uint64_t port;
    return text.len <= 5 && span_to_u64(text, UINT16_MAX, &port);
}

static bool read_address(struct span text, bool is_v6, struct net_ip *out)
{
    return (span_find(text, ':', 0) < text.len) == is_v6 && net_ip_parse(text, out);
}

static bool v1_read(struct server_proxy_header *h)
{
    struct span line = span_make(h->bytes + sizeof(v1_first), h->have - sizeof(v1_first) - 2u);
    struct span family = next_word(&line);
    if (span_is(family, "UNKNOWN")) {
        return true; /* what follows says nothing */
    }
    bool is_v6 = span_is(family, "TCP6");
    if (!is_v6 && !span_is(family, "TCP4")) {
        return false;
    }
    struct net_ip to;
    bool ok = read_address(next_word(&line), is_v6, &h->client);
    ok = read_address(next_word(&line), is_v6, &to) && ok;
    ok = is_port(next_word(&line)) && ok;
    h->has_client = ok && is_port(line);
    return h->has_client;
}

static void v1_look(struct server_proxy_header *h)
{
    struct span all = span_make(h->bytes, h->have);
    size_t cr = span_find(all, '\r', 0), lf = span_find(all, '\n', 0);
    bool is_end = cr + 2 == h->have && lf + 1 == h->have;
    bool may_end = cr + 1 >= h->have && lf == h->have; /* no line's end, or its first half */
    h->is_bad = !begins(h, v1_first, sizeof(v1_first)) || (!is_end && !may_end) ||
                (!is_end && h->have == SERVER_PROXY_KEPT);
    if (!h->is_bad && is_end) {
        h->is_bad = !v1_read(h);
        h->is_whole = !h->is_bad;
    }
}

void server_proxy_took(struct server_proxy_header *h, size_t count)
{
    h->have = (uint16_t)(h->have + count);
    if (h->have == 0) {
        return;
    }
    if (is_v2(h)) {
        v2_look(h);
    } else {
        v1_look(h);
    }
}
