/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_json_suite.c — JSONTestSuite: what it names y_ is accepted, n_ refused, i_ either way.
 *
 * json_suite.py fetches and prints the cases; without them the test is skipped.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "json/json_value.h"

#define CASES_LEAST 290 /* the package has so many whose bytes are whole */

/* Reads the values of all rows, so that a sanitizer sees each access. */
static void read_all(const struct json_index *x)
{
    for (uint32_t row = 0; row < x->count; row++) {
        double number;
        uint32_t key;
        if (json_kind(x, row) == JSON_STRING || json_kind(x, row) == JSON_KEY) {
            uint8_t *said = memory_raw(json_inside(x, row).len + 1);
            assert_non_null(said);
            assert_true(json_unescape(x, row, said, NULL) <= json_inside(x, row).len);
            memory_free(said);
        } else if (json_kind(x, row) == JSON_NUMBER) {
            enum err e = json_double(x, row, &number);
            assert_true(e == ERR_OK || e == ERR_VALUE_INVALID); /* too large for one */
        }
        assert_int_equal(json_first_duplicate(x, row, &key), ERR_OK);
    }
}

static void try_case(const char *name, struct span text)
{
    struct json_index x;
    json_index_init(&x, UINT32_MAX, 1000);
    enum err e = json_index_parse_borrow(&x, text);
    if ((name[0] == 'y' && e != ERR_OK) || (name[0] == 'n' && e == ERR_OK)) {
        fail_msg("%s: %s", name, err_name(e));
    }
    read_all(&x);
    json_index_fini(&x);
}

/* Reads `NAME LENGTH` and a newline; false at the end. */
static bool read_head(FILE *suite, char *line, int size, uint64_t *len)
{
    if (fgets(line, size, suite) == NULL) {
        return false;
    }
    struct span head = span_of(line);
    size_t space = span_find(head, ' ', 0);
    head = span_cut(head, space + 1, head.len);
    assert_true(span_to_u64(span_cut(head, 0, head.len - 1), UINT32_MAX, len));
    line[space] = '\0';
    return true;
}

/* What json_suite.py prints; opened before cmocka runs, whose own word for a skipped test Meson
 * takes for a failure. */
static FILE *suite;

/* False: the suite cannot be had here (the script has said why). */
static bool open_suite(void)
{
    char command[4096];
    const char *source = secure_getenv("ATLAS_SOURCE"); /* the tree's root, from meson.build */
    CHECK(source != NULL);
    (void)snprintf(command, sizeof(command), "/usr/bin/python3 '%s/tests/unit/json/json_suite.py'",
                   source);
    suite = popen(command, "r");
    CHECK(suite != NULL);
    int first = fgetc(suite);
    if (first != EOF) {
        return ungetc(first, suite) == first;
    }
    int status = pclose(suite);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 77);
    return false;
}

static void every_case_of_the_suite_is_judged_rightly(void **state)
{
    (void)state;
    char name[200];
    uint64_t len, cases = 0;
    while (read_head(suite, name, sizeof(name), &len)) {
        uint8_t *text = memory_raw(len + 1);
        assert_non_null(text);
        assert_int_equal(fread(text, 1, len + 1, suite), len + 1);
        try_case(name, span_make(text, len));
        memory_free(text);
        cases++;
    }
    assert_int_equal(pclose(suite), 0);
    assert_true(cases >= CASES_LEAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_of_the_suite_is_judged_rightly),
    };
    if (!open_suite()) {
        puts("1..0 # SKIP the suite cannot be had");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
