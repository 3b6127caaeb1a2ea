/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_tokens.c — an estimate that is high, by how much at most. */
#include "unit.h"

#include "text/text_tokens.h"

static void an_estimate_lies_between_its_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *text;
        uint64_t least, most;
    } rows[] = {
        {"nothing is no token", "", 0, 0},
        {"one letter is one token", "a", 1, 1},
        {"English has at most four letters a token", "All human beings are born free", 7, 8},
        {"numbers are dearer than words", "2026-11-24T03:00:00", 10, 13},
        {"Arabic has about a token a letter", "يولد جميع الناس أحراراً", 16, 22},
        {"vowel marks are dearer than letters", "بِسْمِ", 6, 8},
        {"an ideograph is more than a token", "人人生而自由", 6, 9},
        {"an emoji is four tokens", "\xF0\x9F\x98\x80", 4, 4},
        {"bytes that are not UTF-8 count one each", "\xFF\xFF\x80", 3, 3},
        {"a cut character counts its bytes", "\xE4\xBA", 2, 2},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        uint64_t tokens = text_tokens_of(text_token_eighths_portable(span_of(rows[r].text)));
        if (tokens < rows[r].least || tokens > rows[r].most) {
            fail_msg("%s: %llu tokens", rows[r].why, (unsigned long long)tokens);
        }
    }
}

static void more_text_is_never_fewer_tokens(void **state)
{
    (void)state;
    struct span text = SPAN("The quick بِسْمِ اللَّهِ 人人 42 \xF0\x9F\x98\x80 été \xFF end");
    uint64_t before = 0;
    for (size_t len = 0; len <= text.len; len++) {
        uint64_t now = text_tokens_of(text_token_eighths_portable(span_cut(text, 0, len)));
        assert_true(now + 1 >= before); /* a cut character may count its bytes for a moment */
        before = now;
    }
}

/* Writes a code point as UTF-8 and returns its length. */
static size_t put_character(uint32_t code, uint8_t *out)
{
    static const uint8_t leads[] = {0, 0xC0, 0xE0, 0xF0};
    size_t more = code < 0x80 ? 0 : (code < 0x800 ? 1 : (code < 0x10000 ? 2 : 3));
    out[0] = (uint8_t)(leads[more] | code >> (6 * more));
    for (size_t i = 1; i <= more; i++) {
        out[i] = (uint8_t)(0x80 | (code >> (6 * (more - i)) & 0x3F));
    }
    return more + 1;
}

/* Every character there is, at every place of a block, alone and among others. */
static void vectors_count_the_same(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x110000; code += code < 0x3200 ? 1 : 97) {
        if (code >= 0xD800 && code < 0xE000) {
            continue;
        }
        uint8_t text[80];
        size_t len = code % 37;
        memset(text, code % 2 == 0 ? 'x' : '7', sizeof(text));
        len += put_character(code, text + len);
        len += put_character(code ^ 1, text + len);
        for (size_t end = len; end <= len + 34; end += 17) {
            struct span whole = span_make(text, end);
            if (text_token_eighths(whole) != text_token_eighths_portable(whole)) {
                fail_msg("U+%04X of %zu bytes", code, end);
            }
        }
    }
}

/* Runs of scripts in an order that a generator gives, from any place of a block to any other. */
static void vectors_count_mixed_scripts_the_same(void **state)
{
    (void)state;
    static const char *const runs[] = {
        "the coast",
        " ",
        "42.7%",
        "مرحبا بالعالم",
        "بِسْمِ",
        "ۖۗ",
        "،",
        "naïve",
        "Ωmega",
        "–",
        "…",
        "人人",
        "カナ",
        "हिन्दी",
        "한국어",
        "😀",

        "A long run of letters that fills more than a block or two",
        "المملكة العربية السعودية",
    };
    uint32_t random = 1;
    for (int round = 0; round < 4000; round++) {
        uint8_t text[512];
        random = random * 1664525 + 1013904223;
        size_t len = 0, wanted = (random >> 8) % 400;
        while (len < wanted) {
            random = random * 1664525 + 1013904223;
            struct span run = span_of(runs[(random >> 16) % ROWS(runs)]);
            memcpy(text + len, run.at, run.len);
            len += run.len;
        }
        struct span whole = span_make(text, len);
        if (text_token_eighths(whole) != text_token_eighths_portable(whole)) {
            fail_msg("round %d: %.*s", round, SPAN_ARGS(whole));
        }
    }
}

static void a_text_in_pieces_costs_what_it_costs_whole(void **state)
{
    (void)state;
    struct span text =
        SPAN("The quick بِسْمِ اللَّهِ 人人 42 \xF0\x9F\x98\x80 été “end” of a text as long as that");
    uint64_t whole = text_token_eighths(text);
    for (size_t cut = 0; cut <= text.len; cut++) {
        if (cut == text.len || (text.at[cut] & 0xC0) != 0x80) {
            assert_int_equal(text_token_eighths(span_cut(text, 0, cut)) +
                                 text_token_eighths(span_cut(text, cut, text.len)),
                             whole);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_estimate_lies_between_its_bounds),
        cmocka_unit_test(more_text_is_never_fewer_tokens),
        cmocka_unit_test(vectors_count_the_same),
        cmocka_unit_test(vectors_count_mixed_scripts_the_same),
        cmocka_unit_test(a_text_in_pieces_costs_what_it_costs_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
