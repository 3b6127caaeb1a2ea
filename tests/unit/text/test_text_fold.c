/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_fold.c — what a scanner sees of a text, and where it came from. */
#include "unit.h"

#include <stdio.h>

#include "text/text_fold.h"

static void signs_become_ascii(void **state)
{
    static const struct {
        const char *source, *folded;
    } rows[] = {
        {"", ""},
        {"plain text, with 123 and ~", "plain text, with 123 and ~"},
        {"مكتبة عامة", "مكتبة عامة"},
        {"٠١٢٣٤٥٦٧٨٩", "0123456789"},
        {"۰۱۲۳۴۵۶۷۸۹", "0123456789"},
        {"०९ ৭ ๓", "09 7 3"},
        {"ａ＠ｂ．ＣＯＭ　～", "a@b.COM ~"},
        {"٣٫٥ ١٬٠٠٠، ما؟ نعم؛", "3.5 1,000, ما? نعم;"},
        {"a\u00A0b\u2009c\u202Fd", "a b c d"},
        {"1\u20102\u20133\u20144\u22125", "1-2-3-4-5"},
        {"a\u2024b\u3002c\uFF61d", "a.b.c.d"},
        {"h\u200Be\u200Dl\u2060l\uFEFFo", "hello"},
        {"\u202Eabc\u202C \u2066x\u2069 \u061C\u200F", "abc x "},
        {"كـــتاب سـلام", "كتاب سلام"},
        {"co\u00ADop 1\uFE0F\u20E32\uFE0F\u20E3", "coop 12"},
        {"\xF3\xA0\x81\xA1x\xF3\xA0\x81\xBF", "x"},
        {"\xF0\x9D\x9F\x8E\xF0\x9D\x9F\xBF \xF0\x9D\x90\x80\xF0\x9D\x91\x8E", "09 Aa"},
        {"①②⓪ x²³¹⁰ H₂O", "120 x2310 H2O"},
        {"раураl аdmіn ΑΒΕ", "paypal admin ABE"},
        {"😀 ok 漢字 עברית", "😀 ok 漢字 עברית"},
        {"bad \xC3 \xE2\x80 \xFF\x80 \xF0\x9D", "bad \xC3 \xE2\x80 \xFF\x80 \xF0\x9D"},
    };
    struct text_fold f;
    (void)state;
    text_fold_init(&f);
    for (size_t r = 0; r < ROWS(rows); r++) {
        assert_int_equal(text_fold(&f, span_of(rows[r].source)), ERR_OK);
        if (!span_is(f.text, rows[r].folded)) {
            fail_msg("\"%s\" became \"%.*s\"", rows[r].source, SPAN_ARGS(f.text));
        }
    }
    text_fold_fini(&f);
}

/* Each place against a fold of what stands before it. */
static void check_places(struct span source)
{
    struct text_fold whole, part;
    text_fold_init(&whole);
    text_fold_init(&part);
    assert_int_equal(text_fold(&whole, source), ERR_OK);
    assert_int_equal(text_fold_begin(&whole, whole.text.len), source.len);
    for (size_t at = 0; at < source.len;) {
        size_t next = text_fold_next(source, at), find = text_fold_find(&whole, at);
        assert_int_equal(text_fold(&part, span_cut(source, 0, at)), ERR_OK);
        size_t folded = part.text.len;
        assert_int_equal(find, folded);
        assert_int_equal(text_fold(&part, span_cut(source, 0, next)), ERR_OK);
        assert_true(span_equal(part.text, span_cut(whole.text, 0, part.text.len)));
        for (size_t i = folded; i < part.text.len; i++) {
            size_t inside = part.text.len - folded == 1 ? 0 : i - folded;
            assert_int_equal(text_fold_begin(&whole, i), at + inside);
        }
        if (part.text.len > folded) {
            assert_int_equal(text_fold_end(&whole, part.text.len), next);
        }
        at = next;
    }
    text_fold_fini(&part);
    text_fold_fini(&whole);
}

static void every_byte_is_traced_back(void **state)
{
    static const char *const rows[] = {
        "x",
        "\u200B",
        "\u200B\u200Bab\u200B",
        "٠\u200B\u200B١ـ٢ ab ３ é ٤",
        "bad \xC3 \xE2\x80 ٣ \xFF\x80\xD9\xA3 \xF0\x9D",
        "a long stretch of nothing but ASCII, then ٣ and a long stretch of nothing but ASCII",
        ("نص طويل من الحروف العربية وحدها دون أي شيء يتغير فيه ثم ٣ ثم نص طويل آخر، وهكذا حتى "
         "النهاية"),
    };
    (void)state;
    for (size_t r = 0; r < ROWS(rows); r++) {
        check_places(span_of(rows[r]));
    }
}

/* A block at a time must see what a character at a time does, wherever it stands. */
static void places_in_blocks_do_not_matter(void **state)
{
    static const char *const marks[] = {"٣",      "ـ", "،",  "؛",      "؟",
                                        "\u061C", "۴", "Ａ", "\u200B", "а"};
    static const char *const fillers[] = {"a", "ب", "ي", "گ", "é"};
    char text[256];
    (void)state;
    for (size_t m = 0; m < ROWS(marks); m++) {
        for (size_t f = 0; f < ROWS(fillers); f++) {
            for (size_t before = 0; before < 40; before++) {
                size_t len = 0;
                for (size_t i = 0; i < 60; i++) {
                    const char *next = i == before ? marks[m] : fillers[f];
                    len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", next);
                }
                check_places(span_make(text, len));
                struct text_fold fold;
                text_fold_init(&fold);
                assert_int_equal(text_fold(&fold, span_make(text, len)), ERR_OK);
                assert_true(fold.points > 0);
                text_fold_fini(&fold);
            }
        }
    }
}

static void torn_characters_are_known(void **state)
{
    static const struct {
        const char *text;
        size_t whole;
    } rows[] = {
        {"", 0},
        {"a", 1},
        {"\xD9", 0},
        {"a\xD9\xA3", 3},
        {"a\xE2", 1},
        {"a\xE2\x80", 1},
        {"a\xE2\x80\x8B", 4},
        {"\xF0\x9F\x98", 0},
        {"\xFF", 1},
        {"\x80\x80\x80", 3},
        {"\xC3\x80\x80", 3},
        {"\xF0\x9F\x98\x80", 4},
    };
    (void)state;
    for (size_t r = 0; r < ROWS(rows); r++) {
        assert_int_equal(text_fold_whole(span_of(rows[r].text)), rows[r].whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_become_ascii),
        cmocka_unit_test(every_byte_is_traced_back),
        cmocka_unit_test(places_in_blocks_do_not_matter),
        cmocka_unit_test(torn_characters_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
