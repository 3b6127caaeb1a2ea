/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_fields.c — the fields of a head, and the bytes they may hold. */
#include "unit.h"

#include "http/http_internal.h"

#define ROWS_MAX 8

struct read {
    struct http_fields f;
    struct http_field rows[ROWS_MAX];
};

static void read_fields(struct span head, struct read *out)
{
    struct http_progress p = {0, 0};
    bool last;
    out->f = (struct http_fields){.base = head.at, .rows = out->rows, .max = ROWS_MAX};
    assert_int_equal(http_fields_read(&out->f, &p, (uint32_t)head.len, &last), ERR_OK);
    assert_true(last);
    assert_int_equal(p.line, head.len);
}

static void hop_by_hop_fields_and_those_that_connection_names_do_not_pass(void **state)
{
    (void)state;
    struct read read;
    read_fields(SPAN("Host: a\r\nConnection: keep-alive, X-Secret\r\nx-secret: 1\r\n"
                     "Keep-Alive: 5\r\nTE: trailers\r\nX-Other: 2\r\n\r\n"),
                &read);
    static const bool may[] = {true, false, false, false, false, true};
    assert_int_equal(read.f.count, ROWS(may));
    for (uint32_t i = 0; i < ROWS(may); i++) {
        assert_int_equal(http_field_may_pass(&read.f, i), may[i]);
    }
}

static void the_first_field_of_a_name_is_found(void **state)
{
    (void)state;
    struct read read;
    read_fields(SPAN("Accept: a\r\nACCEPT: b\r\nX-Own: 1\r\nx-own: 2\r\nDate:\r\n\r\n"), &read);
    assert_true(span_is(http_fields_find(&read.f, HTTP_NAME_ACCEPT), "a"));
    assert_true(span_is(http_fields_find_other(&read.f, SPAN("x-OWN")), "1"));
    assert_true(http_fields_has(&read.f, HTTP_NAME_DATE));
    assert_non_null(http_fields_find(&read.f, HTTP_NAME_DATE).at);
    assert_null(http_fields_find(&read.f, HTTP_NAME_COOKIE).at);
    assert_null(http_fields_find_other(&read.f, SPAN("x-missing")).at);
}

static void members_of_a_list_are_found_over_all_its_fields(void **state)
{
    (void)state;
    struct read read;
    read_fields(SPAN("Connection: a,, b\t,\r\nAccept: x\r\nConnection: C\r\n\r\n"), &read);
    static const struct {
        const char *token;
        bool has;
    } rows[] = {{"a", true}, {"B", true}, {"c", true}, {"x", false}, {"a,", false}, {"ab", false}};
    for (size_t r = 0; r < ROWS(rows); r++) {
        assert_int_equal(
            http_fields_list_has(&read.f, HTTP_NAME_CONNECTION, span_of(rows[r].token)),
            rows[r].has);
    }
    assert_false(http_fields_list_has(&read.f, HTTP_NAME_TE, SPAN("a")));
}

static void a_control_byte_is_found_wherever_it_stands(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        bool allowed = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        for (size_t at = 0; at < 40; at++) {
            uint8_t text[40];
            memset(text, at % 2 == 0 ? '\t' : 0xff, sizeof(text));
            text[at] = (uint8_t)byte;
            assert_int_equal(http_text_end(text, 0, sizeof(text)), allowed ? sizeof(text) : at);
            assert_int_equal(http_text_end(text, at, sizeof(text)), allowed ? sizeof(text) : at);
            assert_int_equal(http_text_end(text, 0, at), at);
        }
    }
}

static void a_head_that_comes_byte_by_byte_is_searched_once(void **state)
{
    (void)state;
    struct span head = SPAN("A: b\r\nC: d\r\n\r\n");
    struct read read = {.f = {.base = head.at, .rows = read.rows, .max = ROWS_MAX}};
    struct http_progress p = {0, 0};
    bool last = false;
    for (uint32_t len = 0; len <= head.len; len++) {
        assert_int_equal(http_fields_read(&read.f, &p, len, &last), ERR_OK);
        assert_int_equal(last, len == head.len);
        assert_int_equal(p.scanned, len); /* nothing before it is looked at for an LF again */
    }
    assert_int_equal(read.f.count, 2);
}

static void an_authority_is_a_host_and_maybe_a_port(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"a", true},         {"a.b-c_d~e:80", true},   {"10.0.0.1:65535", true},
        {"[::1]", true},     {"[fe80::1:2]:9", true},  {"[::ffff:1.2.3.4]", true},
        {"", false},         {":80", false},           {"a:", false},
        {"a:65536", false},  {"a:8 0", false},         {"a b", false},
        {"a@b", false},      {"a%41", false},          {"[]", false},
        {"[:]x", false},     {"[fe80::1%25e]", false}, {"a/b", false},
        {"\xc3\xa9", false}, {"[::1]:", false},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        if (http_is_authority(span_of(rows[r].text)) != rows[r].good) {
            fail_msg("\"%s\" is taken for %s", rows[r].text, rows[r].good ? "bad" : "good");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hop_by_hop_fields_and_those_that_connection_names_do_not_pass),
        cmocka_unit_test(the_first_field_of_a_name_is_found),
        cmocka_unit_test(members_of_a_list_are_found_over_all_its_fields),
        cmocka_unit_test(a_control_byte_is_found_wherever_it_stands),
        cmocka_unit_test(a_head_that_comes_byte_by_byte_is_searched_once),
        cmocka_unit_test(an_authority_is_a_host_and_maybe_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
