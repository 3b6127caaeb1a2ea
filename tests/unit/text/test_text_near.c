/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_near.c — what was probably meant. */
#include "unit.h"

#include "text/text_near.h"

static void edits_are_counted(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } rows[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "", 3},
        {"abc", "abc", 0},
        {"ABC", "abc", 0},
        {"upsteams", "upstreams", 1},
        {"modles", "models", 1},
        {"kitten", "sitting", 3},
        {"ca", "abc", 3},
        {"adress", "address", 1},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        size_t distance = text_distance(span_of(rows[r].a), span_of(rows[r].b));
        if (distance != rows[r].distance) {
            fail_msg("\"%s\" to \"%s\" took %zu edits", rows[r].a, rows[r].b, distance);
        }
    }
}

static void only_a_near_name_is_meant(void **state)
{
    (void)state;
    static const char *const names[] = {"zone", "listen", "upstreams", "models", "log"};
    static const struct {
        const char *word;
        const char *meant; /* NULL: none */
    } rows[] = {
        {"upsteams", "upstreams"},
        {"Models", "models"},
        {"lisen", "listen"},
        {"lag", "log"},
        {"cats", NULL},
        {"", NULL},
        {"x", NULL},
        {"loggers", NULL},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        const char *meant = text_nearest(span_of(rows[r].word), names, ROWS(names));
        if (rows[r].meant == NULL ? meant != NULL
                                  : meant == NULL || strcmp(meant, rows[r].meant) != 0) {
            fail_msg("\"%s\" was taken for %s", rows[r].word, meant == NULL ? "nothing" : meant);
        }
    }
}

static void a_name_past_the_limit_is_near_to_nothing(void **state)
{
    (void)state;
    static const char word[TEXT_NEAR_BYTES_MAX + 2] = {0};
    const char *const names[] = {"zone"};
    assert_null(text_nearest(span_make(word, sizeof(word)), names, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_are_counted),
        cmocka_unit_test(only_a_near_name_is_meant),
        cmocka_unit_test(a_name_past_the_limit_is_near_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
