/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_bearer.c — the token of an Authorization field is taken, or there is none. */
#include "unit.h"

#include "http/http_bearer.h"

static void the_token_is_what_stands_behind_the_scheme(void **state)
{
    (void)state;
    static const struct {
        const char *field, *token; /* NULL: none */
    } rows[] = {
        {"Bearer abc", "abc"},
        {"bearer abc", "abc"},
        {"BEARER   abc  ", "abc"},
        {"Bearer a b", "a b"},
        {"", NULL},
        {"Bearer", NULL},
        {"Bearer ", NULL},
        {"Bearer    ", NULL},
        {"Basic abc", NULL},
        {"Bearerabc", NULL},
        {"abc", NULL},
        {"Bearer\tabc", NULL},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct span token = {NULL, 0};
        enum err e = http_bearer(span_of(rows[r].field), &token);
        assert_int_equal(e, rows[r].token == NULL ? ERR_KEY_MISSING : ERR_OK);
        assert_true(rows[r].token == NULL || span_is(token, rows[r].token));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_is_what_stands_behind_the_scheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
