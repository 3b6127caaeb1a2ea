/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_proxy.c — PROXY headers, however they are cut, and to their last byte only. */
#include "unit.h"

#include "server/server_proxy.h"

#define V2_FIRST "\r\n\r\n\0\r\nQUIT\n"
#define BEHIND   "\x16\x03\x01" /* of TLS */
#define BYTES(literal)                                     \
    {                                                      \
        (const uint8_t *)("" literal), sizeof(literal) - 1 \
    }

/* Feeds `bytes` as a socket would that has them in pieces of `piece` at most; how many were read.
 */
static size_t feed(struct server_proxy_header *h, struct span bytes, size_t piece)
{
    size_t at = 0;
    uint8_t *to;
    *h = (struct server_proxy_header){0};
    for (size_t room; (room = server_proxy_room(h, &to)) > 0 && at < bytes.len;) {
        struct span next = span_cut(bytes, at, room < piece ? room : piece);
        assert_true(to >= h->bytes && to + room <= h->bytes + sizeof(h->bytes));
        memcpy(to, next.at, next.len);
        server_proxy_took(h, next.len);
        at += next.len;
    }
    return at;
}

static const struct {
    const char *why;
    struct span bytes;
    const char *client; /* NULL: none is named */
} good[] = {
    {"TCP4", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n"), "192.0.2.7"},
    {"the shortest TCP4", BYTES("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n"), "1.1.1.1"},
    {"TCP6", BYTES("PROXY TCP6 2001:db8::7 ::1 65535 0\r\n"), "2001:db8::7"},
    {"the longest TCP6",
     BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"TCP6 of an IPv4 client", BYTES("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), "192.0.2.7"},
    {"UNKNOWN", BYTES("PROXY UNKNOWN\r\n"), NULL},
    {"UNKNOWN of 107 bytes",
     BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     NULL},
    {"version 2, TCP4", BYTES(V2_FIRST "\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x12\x67\x01\xbb"),
     "192.0.2.7"},
    {"version 2, TCP6",
     BYTES(V2_FIRST "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x67\x01\xbb"),
     "2001:db8::7"},
    {"version 2, TCP4 with a TLV",
     BYTES(V2_FIRST "\x21\x11\0\x13\xc0\0\x02\x07\x0a\0\0\x01\x12\x67\x01\xbb\x04\0\x04"
                    "abcd"),
     "192.0.2.7"},
    {"version 2, LOCAL", BYTES(V2_FIRST "\x20\0\0\0"), NULL},
    {"version 2, LOCAL with addresses that count for nothing",
     BYTES(V2_FIRST "\x20\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x12\x67\x01\xbb"), NULL},
    {"version 2, no family", BYTES(V2_FIRST "\x21\0\0\x03xyz"), NULL},
    {"version 2, a Unix socket without its names", BYTES(V2_FIRST "\x21\x31\0\0"), NULL},
};

static void a_good_header_is_read_to_its_last_byte_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t r = 0; r < ROWS(good); r++) {
        uint8_t bytes[256];
        size_t len = good[r].bytes.len;
        memcpy(bytes, good[r].bytes.at, len);
        memcpy(bytes + len, BEHIND, 3);
        for (size_t piece = 1; piece <= len + 3; piece++) {
            struct server_proxy_header h;
            size_t used = feed(&h, span_make(bytes, len + 3), piece);
            if (used != len || !h.is_whole || h.is_bad ||
                h.has_client != (good[r].client != NULL)) {
                fail_msg("%s, by %zu: %zu of %zu", good[r].why, piece, used, len);
            }
            char text[NET_IP_TEXT];
            net_ip_text(&h.client, text);
            if (h.has_client) {
                assert_string_equal(text, good[r].client);
            }
        }
    }
}

static void a_header_that_is_cut_short_is_neither_whole_nor_bad(void **state)
{
    (void)state;
    for (size_t r = 0; r < ROWS(good); r++) {
        for (size_t cut = 0; cut < good[r].bytes.len; cut++) {
            struct server_proxy_header h;
            assert_int_equal(feed(&h, span_cut(good[r].bytes, 0, cut), cut + 1), cut);
            if (h.is_whole || h.is_bad || h.has_client) {
                fail_msg("%s, cut at %zu", good[r].why, cut);
            }
        }
    }
}

static void what_is_no_header_is_bad(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct span bytes;
    } rows[] = {
        {"HTTP", BYTES("GET / HTTP/1.1\r\nHost: h\r\n\r\n")},
        {"TLS", BYTES("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"
                      "abcdefgh")},
        {"small letters", BYTES("proxy TCP4 192.0.2.7 10.0.0.1 1 2\r\n")},
        {"no family", BYTES("PROXY  192.0.2.7 10.0.0.1 1 2\r\n")},
        {"another family", BYTES("PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n")},
        {"an IPv6 address as TCP4", BYTES("PROXY TCP4 ::1 ::1 1 2\r\n")},
        {"an IPv4 address as TCP6", BYTES("PROXY TCP6 192.0.2.7 10.0.0.1 1 2\r\n")},
        {"no address", BYTES("PROXY TCP4 192.0.2 10.0.0.1 1 2\r\n")},
        {"a name", BYTES("PROXY TCP4 localhost 10.0.0.1 1 2\r\n")},
        {"a bad address of ours", BYTES("PROXY TCP4 192.0.2.7 10.0.0 1 2\r\n")},
        {"a port too many", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n")},
        {"a port too few", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n")},
        {"a port too large", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 65536 2\r\n")},
        {"a port below nothing", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 -1 2\r\n")},
        {"two spaces", BYTES("PROXY TCP4 192.0.2.7  10.0.0.1 1 2\r\n")},
        {"a space at the end", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 1 2 \r\n")},
        {"a line's end without \\r", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n\r\n")},
        {"a \\r in the line", BYTES("PROXY TCP4 192.0.2.7\r10.0.0.1 1 2\r\n")},
        {"108 bytes", BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 655350\r\n")},
        {"version 2, torn", BYTES("\r\n\r\n\0\r\nQUIT\r\x21\x11\0\x0c"
                                  "abcdefghijkl")},
        {"version 1 as 2", BYTES(V2_FIRST "\x11\x11\0\x0c"
                                          "abcdefghijkl")},
        {"version 2, another command", BYTES(V2_FIRST "\x22\x11\0\x0c"
                                                      "abcdefghijkl")},
        {"version 2, UDP", BYTES(V2_FIRST "\x21\x12\0\x0c"
                                          "abcdefghijkl")},
        {"version 2, no such family", BYTES(V2_FIRST "\x21\x41\0\x0c"
                                                     "abcdefghijkl")},
        {"version 2, too short for IPv4", BYTES(V2_FIRST "\x21\x11\0\x0b"
                                                         "abcdefghijk")},
        {"version 2, too short for IPv6", BYTES(V2_FIRST "\x21\x21\0\x0c"
                                                         "abcdefghijkl")},
        {"version 2, a byte longer than may be", BYTES(V2_FIRST "\x21\x11\x0f\xf1")},
        {"version 2, 64 KiB", BYTES(V2_FIRST "\x21\x11\xff\xff")},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        for (size_t piece = 1; piece <= rows[r].bytes.len; piece++) {
            struct server_proxy_header h;
            (void)feed(&h, rows[r].bytes, piece); /* how much does not matter */
            if (!h.is_bad || h.is_whole) {
                fail_msg("%s, by %zu", rows[r].why, piece);
            }
        }
    }
}

static void what_stands_behind_the_addresses_is_dropped_up_to_a_bound(void **state)
{
    (void)state;
    static uint8_t bytes[SERVER_PROXY_MOST + 1];
    struct span first = SPAN(V2_FIRST "\x21\x11\x0f\xf0\xc0\0\x02\x07\x0a\0\0\x01\x12\x67\x01\xbb");
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, first.at, first.len);
    for (size_t piece = 1; piece < 200; piece++) {
        struct server_proxy_header h;
        char text[NET_IP_TEXT];
        assert_int_equal(feed(&h, span_make(bytes, sizeof(bytes)), piece), SERVER_PROXY_MOST);
        assert_true(h.is_whole && h.has_client);
        net_ip_text(&h.client, text);
        assert_string_equal(text, "192.0.2.7");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_header_is_read_to_its_last_byte_however_it_is_cut),
        cmocka_unit_test(a_header_that_is_cut_short_is_neither_whole_nor_bad),
        cmocka_unit_test(what_is_no_header_is_bad),
        cmocka_unit_test(what_stands_behind_the_addresses_is_dropped_up_to_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
