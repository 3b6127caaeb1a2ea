/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define V4_BITS  96 /* that all IPv4-mapped addresses begin with */
#define ALL_BITS 128

static const uint8_t v4_prefix[V4_BITS / 8] = {[10] = 0xff, [11] = 0xff};

struct net_ip net_ip_of_v4(const void *four)
{
    struct net_ip ip;
    memcpy(ip.bytes, v4_prefix, sizeof(v4_prefix));
    memcpy(ip.bytes + sizeof(v4_prefix), four, 4);
    return ip;
}

bool net_ip_parse(struct span text, struct net_ip *out)
{
    char copy[NET_IP_TEXT];
    if (text.len == 0 || text.len >= sizeof(copy) || span_find(text, '\0', 0) < text.len) {
        return false;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    struct in_addr four;
    if (inet_pton(AF_INET, copy, &four) == 1) {
        *out = net_ip_of_v4(&four);
        return true;
    }
    return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

static bool is_port(struct span text)
{
    uint64_t port;
    return text.len <= 5 && span_to_u64(text, UINT16_MAX, &port);
}

bool net_ip_parse_any(struct span text, struct net_ip *out)
{
    if (text.len > 0 && text.at[0] == '[') {
        size_t end = span_find(text, ']', 1);
        struct span inner = span_cut(text, 1, end - 1);
        struct span rest = span_cut(text, end + 1, text.len);
        bool is_port_fine = rest.len == 0 || (rest.at[0] == ':' && is_port(span_cut(rest, 1, 6)));
        return end < text.len && is_port_fine && span_find(inner, ':', 0) < inner.len &&
               net_ip_parse(inner, out);
    }
    size_t colon = span_find(text, ':', 0);
    if (colon < text.len && span_find(text, ':', colon + 1) == text.len) {
        return is_port(span_cut(text, colon + 1, text.len)) &&
               net_ip_parse(span_cut(text, 0, colon), out);
    }
    return net_ip_parse(text, out);
}

bool net_ip_of_sockaddr(const struct sockaddr *address, struct net_ip *out)
{
    if (address->sa_family == AF_INET) {
        *out = net_ip_of_v4(&((const struct sockaddr_in *)(const void *)address)->sin_addr);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        memcpy(out->bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
               sizeof(out->bytes));
        return true;
    }
    return false;
}

bool net_ip_is_v4(const struct net_ip *ip)
{
    return memcmp(ip->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool net_ip_equal(const struct net_ip *a, const struct net_ip *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void net_ip_text(const struct net_ip *ip, char out[NET_IP_TEXT])
{
    bool is_v4 = net_ip_is_v4(ip);
    CHECK(inet_ntop(is_v4 ? AF_INET : AF_INET6, ip->bytes + (is_v4 ? sizeof(v4_prefix) : 0), out,
                    NET_IP_TEXT) != NULL);
}

struct net_ip net_ip_cut(const struct net_ip *ip, unsigned bits)
{
    struct net_ip cut = {{0}};
    unsigned whole = bits / 8;
    memcpy(cut.bytes, ip->bytes, whole);
    if (bits % 8 != 0) {
        cut.bytes[whole] = (uint8_t)(ip->bytes[whole] & (0xff00u >> bits % 8));
    }
    return cut;
}

/* "0" to "32" or "128", as one writes a number. */
static enum net_network_text parse_bits(struct span text, bool is_v4_text, uint8_t *out)
{
    uint64_t bits;
    if (!span_to_u64(text, UINT32_MAX, &bits) || (text.len > 1 && text.at[0] == '0')) {
        return NET_NETWORK_MALFORMED;
    }
    bits += is_v4_text ? V4_BITS : 0;
    if (bits > ALL_BITS) {
        return NET_NETWORK_LONG;
    }
    *out = (uint8_t)bits;
    return NET_NETWORK_GOOD;
}

enum net_network_text net_network_parse(struct span text, struct net_network *out)
{
    size_t slash = span_find(text, '/', 0);
    struct span address = span_cut(text, 0, slash);
    struct net_network parsed = {.bits = ALL_BITS};
    if (!net_ip_parse(address, &parsed.ip)) {
        return NET_NETWORK_MALFORMED;
    }
    if (slash < text.len) {
        bool is_v4_text = span_find(address, ':', 0) == address.len;
        enum net_network_text bits =
            parse_bits(span_cut(text, slash + 1, text.len), is_v4_text, &parsed.bits);
        if (bits != NET_NETWORK_GOOD) {
            return bits;
        }
    }
    out->bits = parsed.bits;
    out->ip = net_ip_cut(&parsed.ip, parsed.bits);
    return net_ip_equal(&out->ip, &parsed.ip) ? NET_NETWORK_GOOD : NET_NETWORK_HOST_BITS;
}

const char *net_network_problem(enum net_network_text parsed)
{
    static const char *const problems[] = {
        [NET_NETWORK_GOOD] = "",
        [NET_NETWORK_MALFORMED] =
            "is no IP address or network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32",
        [NET_NETWORK_LONG] = "has more bits behind the / than such an address has",
        [NET_NETWORK_HOST_BITS] = "has bits set beyond those that the number behind the / keeps",
    };
    return problems[parsed];
}

void net_network_write(const struct net_network *network, char out[NET_NETWORK_TEXT])
{
    bool is_v4 = network->bits >= V4_BITS && net_ip_is_v4(&network->ip);
    char text[NET_IP_TEXT];
    net_ip_text(&network->ip, text);
    if (network->bits == ALL_BITS) {
        (void)snprintf(out, NET_NETWORK_TEXT, "%s", text); /* it fits */
        return;
    }
    (void)snprintf(out, NET_NETWORK_TEXT, "%s/%u", text, /* it fits */
                   network->bits - (is_v4 ? V4_BITS : 0u));
}

bool net_network_has(const struct net_network *network, const struct net_ip *ip)
{
    if (network->bits < V4_BITS && net_ip_is_v4(ip)) {
        return false;
    }
    unsigned whole = network->bits / 8;
    if (memcmp(network->ip.bytes, ip->bytes, whole) != 0) {
        return false;
    }
    unsigned differ = whole < sizeof(ip->bytes) ? network->ip.bytes[whole] ^ ip->bytes[whole] : 0u;
    return (differ & (0xff00u >> network->bits % 8) & 0xffu) == 0;
}

bool net_networks_have(const struct net_network *networks, size_t count, const struct net_ip *ip)
{
    for (size_t i = 0; i < count; i++) {
        if (net_network_has(&networks[i], ip)) {
            return true;
        }
    }
    return false;
}
