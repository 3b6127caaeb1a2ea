/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_shape.c — what a text is made of, in whatever pieces, and what that costs by family. */
#include "unit.h"

#include "text/text_tokenizer.h"
#include "text/text_tokens.h"

static struct text_shape shape_of(struct span text)
{
    struct text_shape s = {.run = 0};
    text_shape_add(&s, text);
    return s;
}

static void traits_are_counted(void **state)
{
    (void)state;
    struct text_shape s = shape_of(SPAN("Say fooBar, extraordinarily (12)\n    x"));
    assert_int_equal(s.count[TEXT_WORD], 4);
    assert_int_equal(s.count[TEXT_CAPITAL], 1);
    assert_int_equal(s.count[TEXT_HUMP], 1);
    assert_int_equal(s.count[TEXT_LATE_LETTER], 7);
    assert_int_equal(s.count[TEXT_NUMBER], 1);
    assert_int_equal(s.count[TEXT_SIGNS], 3);
    assert_int_equal(s.count[TEXT_LONE_SIGN], 1);
    assert_int_equal(s.count[TEXT_INDENT], 1);
    assert_int_equal(s.count[TEXT_LINE], 1);
    s = shape_of(SPAN("بِسْمِ شكراً"));
    assert_int_equal(s.count[TEXT_ARABIC_WORD], 2);
    assert_int_equal(s.count[TEXT_ARABIC], 7);
    assert_int_equal(s.count[TEXT_ARABIC_FIRST], 2);
    assert_int_equal(s.count[TEXT_ARABIC_MARK], 2);
}

static size_t next(uint32_t *chance)
{
    *chance = *chance * 1664525u + 1013904223u;
    return *chance >> 8;
}

/* Blocks are looked at by bits, pieces of a character are not. */
static void pieces_make_the_same_shape(void **state)
{
    (void)state;
    static const char set[] = "aabbccxyzABZ  01..(\n\t_";
    uint32_t chance = 1;
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t text[300];
        size_t len = next(&chance) % sizeof(text), kinds = round % 3 == 0 ? 6 : sizeof(set) - 1;
        struct text_shape each = {.run = 0};
        for (size_t i = 0; i < len; i++) {
            text[i] = (uint8_t)set[next(&chance) % kinds];
            text_shape_add(&each, span_make(text + i, 1));
        }
        struct text_shape whole = shape_of(span_make(text, len));
        assert_memory_equal(whole.count, each.count, sizeof(whole.count));
    }
}

/* What is no UTF-8, and what is cut, is counted without harm. */
static void any_bytes_are_taken(void **state)
{
    (void)state;
    for (size_t len = 0; len < 6; len++) {
        struct text_shape s = shape_of(span_cut(SPAN("\xE4\xBA\xFF\xE4\xF0\x9F"), 0, len));
        uint32_t all = 0;
        for (unsigned trait = 0; trait < TEXT_TRAITS; trait++) {
            all += s.count[trait];
        }
        assert_true(all <= len && (all > 0) == (len > 0));
    }
}

/* cl100k spends about twice as much on Arabic as newer vocabularies. */
static void families_differ_as_their_tokenizers_do(void **state)
{
    (void)state;
    struct text_shape arabic = shape_of(SPAN("يولد جميع الناس أحراراً متساوين في الكرامة والحقوق"));
    int64_t old = text_tokenizer_count(text_tokenizer_find(SPAN("cl100k")), &arabic);
    int64_t new = text_tokenizer_count(text_tokenizer_find(SPAN("o200k")), &arabic);
    assert_true(old > new * 3 / 2);
    assert_null(text_tokenizer_find(SPAN("nobody's")));
    assert_null(text_tokenizer_find(SPAN("")));
    assert_true(text_tokenizer_count(text_tokenizer_mean(), &arabic) >= new);
    for (size_t i = 0; text_tokenizer_at(i) != NULL; i++) {
        assert_int_equal(text_tokenizer_count(text_tokenizer_at(i), &(struct text_shape){.run = 0}),
                         0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traits_are_counted),
        cmocka_unit_test(pieces_make_the_same_shape),
        cmocka_unit_test(any_bytes_are_taken),
        cmocka_unit_test(families_differ_as_their_tokenizers_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
