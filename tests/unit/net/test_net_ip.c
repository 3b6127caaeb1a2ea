/* SPDX-License-Identifier: Apache-2.0 */
/* test_net_ip.c — addresses and networks: one form, read strictly, compared in binary. */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/net_ip.h"

static struct net_ip ip(const char *text)
{
    struct net_ip parsed;
    if (!net_ip_parse(span_of(text), &parsed)) {
        fail_msg("%s", text);
    }
    return parsed;
}

static struct net_network network(const char *text)
{
    struct net_network parsed;
    assert_int_equal(net_network_parse(span_of(text), &parsed), NET_NETWORK_GOOD);
    return parsed;
}

static void an_address_is_read_and_written_in_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written;
        bool is_v4;
    } rows[] = {
        {"192.0.2.7", "192.0.2.7", true},
        {"0.0.0.0", "0.0.0.0", true},
        {"255.255.255.255", "255.255.255.255", true},
        {"::ffff:192.0.2.7", "192.0.2.7", true},
        {"::FFFF:c000:0207", "192.0.2.7", true},
        {"::1", "::1", false},
        {"::", "::", false},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", false},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         false},
        {"0000:0000:0000:0000:0000:ffff:255.255.255.255", "255.255.255.255", true},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct net_ip parsed = ip(rows[r].text);
        char text[NET_IP_TEXT];
        net_ip_text(&parsed, text);
        assert_string_equal(text, rows[r].written);
        assert_int_equal(net_ip_is_v4(&parsed), rows[r].is_v4);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        " 192.0.2.7",
        "192.0.2.7 ",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.07",
        "0x7f.0.0.1",
        "3221225991",
        "192.0.2.7.",
        "192.0.2.7.1",
        "::1%lo",
        "[::1]",
        "1::2::3",
        ":::",
        "2001:db8",
        "192.0.2.7:80",
        "localhost",
        "::ffff:192.0.2",
        "12345::",
        "192.0.2.7/32",
        "unknown",
        "-",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "1.2.3.4,5.6.7.8",
        "0000:0000:0000:0000:0000:ffff:255.255.255.2555",
    };
    struct net_ip parsed;
    for (size_t r = 0; r < ROWS(rows); r++) {
        if (net_ip_parse(span_of(rows[r]), &parsed)) {
            fail_msg("%s", rows[r]);
        }
    }
    assert_false(net_ip_parse(span_make("192.0.2.7\0x", 11), &parsed));
    assert_false(net_ip_parse(span_make("192.0.2.7\0", 10), &parsed));
}

static void a_port_behind_an_address_is_dropped(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written; /* NULL: it is refused */
    } rows[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"192.0.2.7:1", "192.0.2.7"},
        {"192.0.2.7:65535", "192.0.2.7"},
        {"2001:db8::1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]:443", "2001:db8::1"},
        {"[::ffff:192.0.2.7]:443", "192.0.2.7"},
        {"192.0.2.7:", NULL},
        {"192.0.2.7:65536", NULL},
        {"192.0.2.7:000080", NULL},
        {"192.0.2.7:http", NULL},
        {"192.0.2.7:-1", NULL},
        {":80", NULL},
        {"[192.0.2.7]", NULL},
        {"[192.0.2.7]:80", NULL},
        {"[2001:db8::1", NULL},
        {"[2001:db8::1]443", NULL},
        {"[2001:db8::1]:", NULL},
        {"[2001:db8::1]:443x", NULL},
        {"[]", NULL},
        {"[", NULL},
        {"]", NULL},
        {"", NULL},
        {"2001:db8::1]:443", NULL},
        {"_hidden", NULL},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct net_ip parsed;
        bool is_good = net_ip_parse_any(span_of(rows[r].text), &parsed);
        if (is_good != (rows[r].written != NULL)) {
            fail_msg("%s", rows[r].text);
        }
        if (is_good) {
            char text[NET_IP_TEXT];
            net_ip_text(&parsed, text);
            assert_string_equal(text, rows[r].written);
        }
    }
}

static void a_network_is_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum net_network_text parsed;
        const char *written; /* NULL: there is none */
    } rows[] = {
        {"10.0.0.0/8", NET_NETWORK_GOOD, "10.0.0.0/8"},
        {"0.0.0.0/0", NET_NETWORK_GOOD, "0.0.0.0/0"},
        {"192.0.2.7", NET_NETWORK_GOOD, "192.0.2.7"},
        {"192.0.2.7/32", NET_NETWORK_GOOD, "192.0.2.7"},
        {"192.0.2.6/31", NET_NETWORK_GOOD, "192.0.2.6/31"},
        {"2001:db8::/32", NET_NETWORK_GOOD, "2001:db8::/32"},
        {"::/0", NET_NETWORK_GOOD, "::/0"},
        {"::1", NET_NETWORK_GOOD, "::1"},
        {"::1/128", NET_NETWORK_GOOD, "::1"},
        {"::ffff:10.0.0.0/104", NET_NETWORK_GOOD, "10.0.0.0/8"},
        {"::ffff:0:0/96", NET_NETWORK_GOOD, "0.0.0.0/0"},
        {"::/96", NET_NETWORK_GOOD, "::/96"},
        {"10.0.0.1/8", NET_NETWORK_HOST_BITS, "10.0.0.0/8"},
        {"192.0.2.7/31", NET_NETWORK_HOST_BITS, "192.0.2.6/31"},
        {"2001:db8::1/64", NET_NETWORK_HOST_BITS, "2001:db8::/64"},
        {"2001:db8:8000::/32", NET_NETWORK_HOST_BITS, "2001:db8::/32"},
        {"::ffff:10.0.0.0/8", NET_NETWORK_HOST_BITS, "::/8"},
        {"10.0.0.0/33", NET_NETWORK_LONG, NULL},
        {"::/129", NET_NETWORK_LONG, NULL},
        {"10.0.0.0/4294967295", NET_NETWORK_LONG, NULL},
        {"10.0.0.0/4294967296", NET_NETWORK_MALFORMED, NULL},
        {"10.0.0.0/", NET_NETWORK_MALFORMED, NULL},
        {"10.0.0.0/08", NET_NETWORK_MALFORMED, NULL},
        {"10.0.0.0/00", NET_NETWORK_MALFORMED, NULL},
        {"10.0.0.0/-1", NET_NETWORK_MALFORMED, NULL},
        {"10.0.0.0/8/8", NET_NETWORK_MALFORMED, NULL},
        {"10.0.0.0/255.0.0.0", NET_NETWORK_MALFORMED, NULL},
        {"/8", NET_NETWORK_MALFORMED, NULL},
        {"10/8", NET_NETWORK_MALFORMED, NULL},
        {"", NET_NETWORK_MALFORMED, NULL},
        {"example.com", NET_NETWORK_MALFORMED, NULL},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct net_network parsed;
        enum net_network_text how = net_network_parse(span_of(rows[r].text), &parsed);
        if (how != rows[r].parsed) {
            fail_msg("%s: %d", rows[r].text, how);
        }
        assert_int_equal(net_network_problem(how)[0] == '\0', how == NET_NETWORK_GOOD);
        if (rows[r].written != NULL) {
            char text[NET_NETWORK_TEXT];
            net_network_write(&parsed, text);
            assert_string_equal(text, rows[r].written);
        }
    }
}

static void a_network_has_its_addresses_and_no_other(void **state)
{
    (void)state;
    static const struct {
        const char *network, *address;
        bool has;
    } rows[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"10.0.0.0/8", "::10.1.2.3", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"192.0.2.6/31", "192.0.2.7", true},
        {"192.0.2.6/31", "192.0.2.8", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.255", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "203.0.113.9", false},
        {"::/80", "203.0.113.9", false},
        {"::/96", "203.0.113.9", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
        {"::1", "::2", false},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct net_network n = network(rows[r].network);
        struct net_ip a = ip(rows[r].address);
        if (net_network_has(&n, &a) != rows[r].has) {
            fail_msg("%s in %s", rows[r].address, rows[r].network);
        }
        assert_int_equal(net_networks_have(&n, 1, &a), rows[r].has);
    }
}

/* Against the definition: the same first bits, counted one by one. */
static void every_prefix_of_every_length_is_that_many_bits(void **state)
{
    (void)state;
    struct net_ip all;
    memset(all.bytes, 0xa5, sizeof(all.bytes));
    for (unsigned bits = 0; bits <= 128; bits++) {
        struct net_network n = {net_ip_cut(&all, bits), (uint8_t)bits};
        for (unsigned flipped = 0; flipped < 128; flipped++) {
            struct net_ip other = all;
            other.bytes[flipped / 8] ^= (uint8_t)(0x80u >> flipped % 8);
            assert_int_equal(net_network_has(&n, &other), flipped >= bits);
        }
        assert_true(net_network_has(&n, &all));
    }
}

static void several_networks_are_asked_in_turn(void **state)
{
    (void)state;
    struct net_network all[] = {network("10.0.0.0/8"), network("2001:db8::/32")};
    struct net_ip first = ip("10.1.1.1"), second = ip("2001:db8::9"), none = ip("192.0.2.7");
    assert_true(net_networks_have(all, 2, &first));
    assert_true(net_networks_have(all, 2, &second));
    assert_false(net_networks_have(all, 2, &none));
    assert_false(net_networks_have(all, 0, &first));
    assert_false(net_networks_have(NULL, 0, &first));
}

static void a_sockets_address_is_taken_over(void **state)
{
    (void)state;
    struct net_ip out, wanted = ip("192.0.2.7");
    struct sockaddr_in four = {.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, "192.0.2.7", &four.sin_addr), 1);
    assert_true(net_ip_of_sockaddr((const struct sockaddr *)&four, &out));
    assert_true(net_ip_equal(&out, &wanted));
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.7", &mapped.sin6_addr), 1);
    assert_true(net_ip_of_sockaddr((const struct sockaddr *)&mapped, &out));
    assert_true(net_ip_equal(&out, &wanted));
    struct sockaddr none = {.sa_family = AF_UNIX};
    assert_false(net_ip_of_sockaddr(&none, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_read_and_written_in_one_form),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_port_behind_an_address_is_dropped),
        cmocka_unit_test(a_network_is_read_and_written),
        cmocka_unit_test(a_network_has_its_addresses_and_no_other),
        cmocka_unit_test(every_prefix_of_every_length_is_that_many_bits),
        cmocka_unit_test(several_networks_are_asked_in_turn),
        cmocka_unit_test(a_sockets_address_is_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
