/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_scan.c — texts in pieces: what is held back, what overlaps, what has no end. */
#include "guard_cases.h"

static void prose_is_behind_by_a_word(void **state)
{
    static const char text[] = "The committee will meet again in spring, to discuss the library. "
                               "ستجتمع اللجنة مرة أخرى في الربيع لمناقشة إدارة المكتبة الجديدة.";
    struct guard_scratch *w;
    struct guard_scan scan;
    struct guard_out out;
    size_t most = 0;
    (void)state;
    assert_int_equal(guard_scratch_new(&w), ERR_OK);
    guard_scan_begin(&scan, &case_wanted);
    for (size_t i = 0; text[i] != '\0'; i++) {
        assert_int_equal(guard_scan_feed(&scan, w, span_make(text + i, 1), false, &out), ERR_OK);
        most = guard_scan_held(&scan) > most ? guard_scan_held(&scan) : most;
    }
    assert_true(most <= 24);
    assert_int_equal(guard_scan_feed(&scan, w, SPAN(""), true, &out), ERR_OK);
    assert_int_equal(guard_scan_held(&scan), 0);
    guard_scratch_free(&w);
}

static void scans_are_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct guard_scan) <= 1024);
}

static void the_longest_validated_stays(void **state)
{
    static const struct guard_case rows[] = {
        /* the digits of an account are a card's too */
        {"GB82WEST12345698765432", "iban:GB82WEST12345698765432"},
        {"4111111111111111@corp.sa", "email:4111111111111111@corp.sa"},
        {"https://ahmed:pw@corp.sa/", "url_credentials:ahmed:pw"},
        {"+966501234567,ahmed@corp.sa", "phone:+966501234567|email:ahmed@corp.sa"},
        {"1000000008 2000000006 4111111111111111",
         "saudi_id:1000000008|iqama:2000000006|credit_card:4111111111111111"},
        {"1000000008\n1000000016\n", "saudi_id:1000000008|saudi_id:1000000016"},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

/* More than any scan keeps, of what has no width. */
static void hidden_characters_do_not_hide(void **state)
{
    static char texts[3][CASE_BYTES];
    static const char *const around[3][2] = {
        {"a 41111111111", "11111 b"}, {"word 4111111111111111", " next"}, {"order", " 1000000008"}};
    struct guard_scratch *w;
    (void)state;
    assert_int_equal(guard_scratch_new(&w), ERR_OK);
    for (size_t r = 0; r < 3; r++) {
        for (size_t count = 1; count < 200; count += 33) {
            size_t len = (size_t)snprintf(texts[r], CASE_BYTES, "%s", around[r][0]);
            for (size_t i = 0; i < count; i++) {
                len += (size_t)snprintf(texts[r] + len, CASE_BYTES - len, "\u200B");
            }
            (void)snprintf(texts[r] + len, CASE_BYTES - len, "%s", around[r][1]); /* fits */
            static struct guard_case_result whole, cut;
            struct span text = span_of(texts[r]);
            case_run(w, text, text.len, 0, &whole);
            for (size_t size = 1; size < 40; size++) {
                case_run(w, text, 0, size, &cut);
                case_same(&whole, &cut, text, 0, size);
            }
            /* a value is longer than is held then, or behind what hides its word */
            assert_int_equal(whole.count, r == 0 && count * 3 + 16 > GUARD_VALUE_BYTES ? 0 : 1);
        }
    }
    guard_scratch_free(&w);
}

static void characters_stay_whole(void **state)
{
    static const struct guard_case rows[] = {
        {"\xD9", ""},
        {"ab \xE2\x80", ""},
        {"\x80\x80 \xFF\xC3 4111111111111111\xF0\x9F", "credit_card:4111111111111111"},
        {"😀4111111111111111😀", "credit_card:4111111111111111"},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void large_pieces_go_through(void **state)
{
    static uint8_t text[300000];
    static const char value[] = " 4111111111111111 ";
    struct guard_scratch *w;
    struct guard_scan scan;
    struct guard_out out;
    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i + 100 < sizeof(text); i += 100) {
        memcpy(text + i, value, sizeof(value) - 1);
    }
    assert_int_equal(guard_scratch_new(&w), ERR_OK);
    guard_scan_begin(&scan, &case_wanted);
    static const size_t lengths[] = {1, 7, 100000, 50, sizeof(text)};
    size_t count = 0, at = 0;
    for (size_t i = 0; i < ROWS(lengths); i++) {
        struct span piece = span_cut(span_make(text, sizeof(text)), at, lengths[i]);
        at += piece.len;
        assert_int_equal(guard_scan_feed(&scan, w, piece, at == sizeof(text), &out), ERR_OK);
        count += out.count;
    }
    assert_int_equal(count, sizeof(text) / 100 - 1);
    guard_scratch_free(&w);
}

static void only_wanted_types_are_found(void **state)
{
    static const struct guard_case rows[] = {
        {"a@corp.sa 4111111111111111 +966501234567", "credit_card:4111111111111111"},
    };
    (void)state;
    case_wanted.types = 1u << GUARD_CREDIT_CARD;
    case_check_all(rows, ROWS(rows));
    case_wanted.types = UINT32_MAX;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prose_is_behind_by_a_word),
        cmocka_unit_test(scans_are_small),
        cmocka_unit_test(the_longest_validated_stays),
        cmocka_unit_test(hidden_characters_do_not_hide),
        cmocka_unit_test(characters_stay_whole),
        cmocka_unit_test(large_pieces_go_through),
        cmocka_unit_test(only_wanted_types_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
