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
        uint64_t tokens = text_estimate_tokens(span_of(rows[r].text));
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
        uint64_t now = text_estimate_tokens(span_cut(text, 0, len));
        assert_true(now + 1 >= before); /* a cut character may count its bytes for a moment */
        before = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_estimate_lies_between_its_bounds),
        cmocka_unit_test(more_text_is_never_fewer_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
