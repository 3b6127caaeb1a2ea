/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_client.c — who a client is. The same PROXY header gives the same client however it is cut,
 * and takes the same bytes; X-Forwarded-For names a member of its list, and never one that stands
 * left of somebody who is no listed proxy.
 */
#include "http/http_request.h"
#include "server/server_client.h"
#include "server/server_proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the header in pieces of `piece` at most; how many bytes it took. */
static size_t feed(struct server_proxy_header *h, struct span bytes, size_t piece)
{
    size_t at = 0;
    uint8_t *to;
    *h = (struct server_proxy_header){0};
    for (size_t room; (room = server_proxy_room(h, &to)) > 0 && at < bytes.len;) {
        struct span next = span_cut(bytes, at, room < piece ? room : piece);
        CHECK(to >= h->bytes && to + room <= h->bytes + sizeof(h->bytes));
        memcpy(to, next.at, next.len);
        server_proxy_took(h, next.len);
        at += next.len;
    }
    return at;
}

static void read_proxy(struct span bytes)
{
    struct server_proxy_header whole, cut;
    size_t used = feed(&whole, bytes, SIZE_MAX);
    CHECK(!(whole.is_whole && whole.is_bad));
    CHECK(!whole.has_client || whole.is_whole);
    CHECK(used <= SERVER_PROXY_MOST);
    for (size_t piece = 1; piece <= 17; piece += 4) {
        size_t same = feed(&cut, bytes, piece);
        CHECK(cut.is_whole == whole.is_whole && cut.is_bad == whole.is_bad);
        CHECK(!whole.is_whole || same == used); /* one that is bad may be known as that sooner */
        CHECK(cut.has_client == whole.has_client);
        CHECK(!whole.has_client || net_ip_equal(&cut.client, &whole.client));
    }
}

/* From the right: the members that the way may pass, each a listed proxy, and the one it ends at.
 */
static bool may_end_at(struct span list, const struct server_trust *trust, const struct net_ip *at)
{
    while (list.len > 0) {
        size_t from = list.len;
        while (from > 0 && list.at[from - 1] != ',') {
            from--;
        }
        struct net_ip member;
        struct span text = span_trim(span_cut(list, from, list.len));
        list.len = from > 0 ? from - 1 : 0;
        if (text.len == 0) {
            continue;
        }
        if (!net_ip_parse_any(text, &member)) {
            return false;
        }
        if (net_ip_equal(&member, at)) {
            return true;
        }
        if (!net_networks_have(trust->proxies, trust->proxies_count, &member)) {
            return false;
        }
    }
    return false;
}

static void walk(struct span value)
{
    static struct server_trust trust;
    static struct http_field rows[16];
    static char head[70000];
    struct http_request request;
    struct http_limits limits = {.head_bytes = sizeof(head), .target_bytes = 64};
    struct server_client from = {.has_address = true};
    static const char before[] = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: ";
    size_t used, len = sizeof(before) - 1;
    trust.proxies_count = 2;
    CHECK(net_network_parse(SPAN("10.0.0.0/8"), &trust.proxies[0]) == NET_NETWORK_GOOD);
    CHECK(net_network_parse(SPAN("2001:db8::/32"), &trust.proxies[1]) == NET_NETWORK_GOOD);
    CHECK(net_ip_parse(SPAN("10.0.0.1"), &from.address));
    memcpy(head, before, len);
    memcpy(head + len, value.at, value.len);
    memcpy(head + len + value.len, "\r\n\r\n", 4);
    http_request_init(&request, &limits, rows, sizeof(rows) / sizeof(rows[0]));
    struct span bytes = span_make(head, len + value.len + 4);
    if (http_request_parse(&request, bytes, &used) != ERR_OK || used != bytes.len ||
        request.fields.count != 2) {
        return; /* the value is none, or more than one */
    }
    struct server_client client = server_client_behind(from, &request.fields, &trust);
    CHECK(client.is_derived || net_ip_equal(&client.address, &from.address));
    CHECK(!client.is_derived ||
          may_end_at(http_field_value(&request.fields, 1), &trust, &client.address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_make(data, size);
    read_proxy(bytes);
    if (size > 0 && size < 65536) {
        walk(bytes);
    }
    return 0;
}
