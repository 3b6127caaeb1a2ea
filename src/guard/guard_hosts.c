/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of hosts: IPv4, IPv6, MAC. */
#include "guard/guard_addresses.h"

#include "guard/guard_bytes.h"

#define OCTETS       4
#define OCTET_MAX    255
#define OCTET_DIGITS 3
#define IPV4_MAX     15 /* bytes */
#define HEX_GROUPS   8  /* of IPv6 */
#define HEX_DIGITS   4
#define FEW_GROUPS   3 /* of one with "::" that is no name of a program's */
#define MAC_BYTES    6
#define MAC_LEN      17 /* xx:xx:xx:xx:xx:xx */
#define CISCO_LEN    14 /* xxxx.xxxx.xxxx */
#define CISCO_GROUP  4
#define USUAL        90
#define KEYED        97
#define PLAIN        45 /* like a number of a chapter, or a name */
#define RESERVED     40 /* that is nobody's */
#define DENIED       30
#define RELEASE_NEAR 32 /* bytes to the word */
#define SMALL        10 /* octets of what may count chapters are below */
#define TEN          10

/* How many hex digits end before `at`, of HEX_DIGITS + 1 at most. */
static size_t hex_before(const struct guard_window *w, size_t at)
{
    size_t count = 0, from = guard_before(w, at);
    while (count <= HEX_DIGITS && at - count > from && guard_is_hex(w->text.at[at - 1 - count])) {
        count++;
    }
    return count;
}

/* Whether a value may begin at `at`: nothing that belongs to it stands before. */
static bool is_free_before(const struct guard_window *w, size_t at)
{
    size_t from = guard_before(w, at), count;
    if (at <= from) {
        return true;
    }
    uint8_t c = w->text.at[at - 1], second = at - 1 > from ? w->text.at[at - 2] : ' ';
    switch (c) {
    case '.':
    case '-':
    case '/': /* of a product, not of a URL */
        return !guard_is_alnum(second) && (second != c || c == '/');
    case ':': /* of a word, not of a group of its */
        count = hex_before(w, at - 1);
        return second != ':' &&
               (count == 0 || count > HEX_DIGITS ||
                (at - 1 - count > from && guard_is_alnum(w->text.at[at - 2 - count])));
    default:
        return !guard_is_alnum(c) && c != '_';
    }
}

/* A prefix of an address that is nobody's. */
static bool is_reserved(const uint8_t o[OCTETS])
{
    return o[0] == 0 || o[0] == 127 || (o[0] == 255 && o[3] == 255) ||
           (o[0] == 192 && o[1] == 0 && o[2] == 2) || (o[0] == 198 && o[1] == 51 && o[2] == 100) ||
           (o[0] == 203 && o[1] == 0 && o[2] == 113);
}

/* Reads an IPv4 address from `at` on; 0: it is none; `to`: it may go on there. */
static size_t read_ipv4(struct span s, size_t at, size_t to, uint8_t octets[OCTETS])
{
    for (size_t i = 0; i < OCTETS; i++) {
        unsigned value = 0, digits = 0;
        for (; at < to && guard_is_digit(s.at[at]) && digits < OCTET_DIGITS; at++, digits++) {
            value = value * TEN + (unsigned)(s.at[at] - '0');
        }
        if (at == to) {
            octets[i] = (uint8_t)value;
            return i + 1 == OCTETS && digits > 0 && value <= OCTET_MAX ? at : SIZE_MAX;
        }
        if (digits == 0 || value > OCTET_MAX || (i + 1 < OCTETS && s.at[at] != '.')) {
            return 0;
        }
        octets[i] = (uint8_t)value;
        at += i + 1 < OCTETS;
    }
    return at;
}

/* Whether a number or a word goes on at `end`; *is_cut: who knows. */
static bool is_free_behind(struct span s, size_t end, size_t to, bool *is_cut)
{
    bool is_sign = end < to && (s.at[end] == '.' || s.at[end] == ':' || s.at[end] == '-');
    *is_cut = end >= to || (is_sign && end + 1 >= to);
    if (*is_cut) {
        return true;
    }
    return !guard_is_alnum(s.at[end]) && s.at[end] != '_' &&
           !(s.at[end] == '.' && guard_is_digit(s.at[end + 1]));
}

static unsigned ipv4_percent(struct guard_addresses *a, size_t start, const uint8_t o[OCTETS])
{
    size_t distance;
    uint32_t hint =
        guard_hint_before(&a->hints, start, HINT_BIT(RELEASE) | HINT_BIT(HOST), &distance);
    bool is_small = o[0] < SMALL && o[1] < SMALL && o[2] < SMALL && o[3] < SMALL;
    if (is_reserved(o)) {
        return RESERVED;
    }
    if ((hint & HINT_BIT(HOST)) != 0) {
        return KEYED;
    }
    return hint != 0 && distance <= RELEASE_NEAR ? DENIED : is_small ? PLAIN : USUAL;
}

void guard_find_ipv4(struct guard_addresses *a, size_t at)
{
    const struct guard_window *w = a->window;
    uint8_t octets[OCTETS];
    size_t start = at, from = guard_before(w, at);
    bool is_cut;
    while (start > from && at - start <= OCTET_DIGITS && guard_is_digit(w->text.at[start - 1])) {
        start--;
    }
    if (at - start > OCTET_DIGITS || !is_free_before(w, start)) {
        return;
    }
    size_t to = guard_behind(w, start), end = read_ipv4(w->text, start, to, octets);
    if (end == SIZE_MAX) {
        (void)guard_waits_at(a, start, to);
        return;
    }
    bool is_free = end != 0 && is_free_behind(w->text, end, to, &is_cut);
    if (!is_free || (is_cut && guard_waits_at(a, start, to))) {
        return;
    }
    guard_sink_add(a->sink, start, end, GUARD_IP_ADDRESS, ipv4_percent(a, start, octets), false);
}

/* ---- IPv6 ---- */

struct ipv6 {
    size_t end;
    unsigned groups;
    bool has_gap, has_digit, is_cut, is_wrong;
};

/* One group of hex digits, or the IPv4 address at the end. */
static void read_group(struct span s, size_t to, struct ipv6 *v)
{
    size_t at = v->end;
    uint8_t octets[OCTETS];
    while (at < to && guard_is_hex(s.at[at]) && at - v->end <= HEX_DIGITS) {
        v->has_digit = v->has_digit || guard_is_digit(s.at[at]);
        at++;
    }
    v->is_cut = at == to;
    if (at < to && s.at[at] == '.') {
        size_t end = read_ipv4(s, v->end, to, octets);
        v->is_cut = end == SIZE_MAX || end == to;
        if (end != 0 && end != SIZE_MAX) {
            v->end = end;
            v->groups += 2;
            return;
        }
    }
    v->is_wrong = at - v->end > HEX_DIGITS;
    v->groups += at > v->end;
    v->end = at;
}

static struct ipv6 read_ipv6(struct span s, size_t at, size_t to)
{
    struct ipv6 v = {.end = at};
    while (!v.is_wrong && !v.is_cut && v.groups <= HEX_GROUPS) {
        size_t before = v.end;
        read_group(s, to, &v);
        if (v.is_wrong || v.is_cut || s.at[v.end] != ':') {
            break;
        }
        if (v.end + 1 >= to) {
            v.is_cut = true;
            break;
        }
        bool is_gap = s.at[v.end + 1] == ':';
        bool is_hex = guard_is_hex(s.at[v.end + 1]);
        if (is_gap && (v.has_gap || (v.end > at && v.end == before))) {
            v.is_wrong = true;
            break;
        }
        if (!is_gap && (!is_hex || v.end == before)) {
            break;
        }
        v.has_gap = v.has_gap || is_gap;
        v.end += is_gap ? 2 : 1;
        if (is_gap && v.end >= to) {
            v.is_cut = true;
        }
        if (is_gap && v.end < to && !guard_is_hex(s.at[v.end])) {
            break;
        }
    }
    return v;
}

static unsigned ipv6_percent(struct guard_addresses *a, size_t start, const struct ipv6 *v)
{
    struct span value = span_cut(a->window->text, start, v->end - start);
    size_t distance;
    if (span_is(value, "::1") || span_equal_nocase(span_cut(value, 0, 9), SPAN("2001:db8:"))) {
        return RESERVED;
    }
    if (guard_hint_before(&a->hints, start, HINT_BIT(HOST), &distance) != 0) {
        return KEYED;
    }
    return v->has_gap && (v->groups < FEW_GROUPS || !v->has_digit) &&
                   !span_equal_nocase(span_cut(value, 0, 4), SPAN("fe80"))
               ? PLAIN
               : USUAL;
}

void guard_find_ipv6(struct guard_addresses *a, size_t at)
{
    const struct guard_window *w = a->window;
    size_t start = at - hex_before(w, at);
    if (at - start > HEX_DIGITS || !is_free_before(w, start)) {
        return;
    }
    size_t to = guard_behind(w, start);
    struct ipv6 v = read_ipv6(w->text, start, to);
    bool is_cut = v.is_cut;
    if (is_cut && guard_waits_at(a, start, to)) {
        return;
    }
    bool is_whole = v.has_gap ? v.groups > 0 && v.groups < HEX_GROUPS : v.groups == HEX_GROUPS;
    if (v.is_wrong || !is_whole || !is_free_behind(w->text, v.end, to, &is_cut)) {
        return;
    }
    if (is_cut && guard_waits_at(a, start, to)) {
        return;
    }
    if (v.end > start && w->text.at[v.end - 1] == ':' && !v.has_gap) {
        return;
    }
    guard_sink_add(a->sink, start, v.end, GUARD_IP_ADDRESS, ipv6_percent(a, start, &v), false);
}

/* ---- MAC ---- */

/* Hex digits in groups of `size`, with `sign` between; returns how much of it is there. */
static size_t read_groups(struct span s, size_t at, size_t to, size_t size, size_t len)
{
    uint8_t sign = at + size < to ? s.at[at + size] : 0;
    for (size_t i = 0; i < len; i++) {
        bool is_sign = i % (size + 1) == size;
        if (at + i == to) {
            return i;
        }
        if (is_sign ? s.at[at + i] != sign : !guard_is_hex(s.at[at + i])) {
            return 0;
        }
    }
    return len;
}

static unsigned mac_percent(struct guard_addresses *a, struct span value, size_t start)
{
    size_t distance;
    bool has_letter = false, is_one = true;
    for (size_t i = 0; i < value.len; i++) {
        has_letter = has_letter || guard_is_letter(value.at[i]);
        is_one = is_one && (value.at[i] == value.at[0] || !guard_is_hex(value.at[i]));
    }
    if (is_one) {
        return RESERVED; /* no address, or all of them */
    }
    if (guard_hint_before(&a->hints, start, HINT_BIT(MAC), &distance) != 0) {
        return KEYED;
    }
    return has_letter || value.at[2] == ':' ? USUAL : PLAIN;
}

void guard_find_mac(struct guard_addresses *a, size_t at)
{
    const struct guard_window *w = a->window;
    size_t size = w->text.at[at] == '.' ? CISCO_GROUP : 2;
    size_t len = size == 2 ? MAC_LEN : CISCO_LEN, start = at - size;
    bool is_cut;
    if (at < size || (a->types >> GUARD_MAC_ADDRESS & 1) == 0 || !guard_is_hex(w->text.at[start]) ||
        !is_free_before(w, start)) {
        return;
    }
    size_t to = guard_behind(w, start), there = read_groups(w->text, start, to, size, len);
    if (there < len) {
        if (there > 0) {
            (void)guard_waits_at(a, start, to);
        }
        return;
    }
    bool is_free = is_free_behind(w->text, start + len, to, &is_cut);
    if (is_cut && guard_waits_at(a, start, to)) {
        return;
    }
    bool goes_on = start + len + 1 < to && w->text.at[start + len] == w->text.at[at] &&
                   guard_is_hex(w->text.at[start + len + 1]);
    if (is_free && !goes_on) {
        guard_sink_add(a->sink, start, start + len, GUARD_MAC_ADDRESS,
                       mac_percent(a, span_cut(w->text, start, len), start), false);
    }
}
