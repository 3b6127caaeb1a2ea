/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_table.c — lists are aligned, and nothing in them reaches the terminal as a command. */
#include "unit.h"

#include <stdlib.h>

#include "cli/cli_table.h"

static const struct cli_column columns[] = {
    {"NAME", "name", "-", 0},
    {"CALLS", "calls", "0", CLI_RIGHT},
    {"LAST", "last", "never", 0},
    {"COST", "cost", "0", CLI_RIGHT | CLI_OPTIONAL | CLI_NANO},
    {"END", "end", "-", CLI_OPTIONAL | CLI_MOMENT},
};

static enum err print(const char *list, char **text, size_t *lines)
{
    size_t len;
    FILE *out = open_memstream(text, &len);
    assert_non_null(out);
    enum err e = cli_table_print(out, span_of(list), columns, ROWS(columns), lines);
    (void)fclose(out);
    return e;
}

static void lists_are_printed_in_columns(void **state)
{
    (void)state;
    static const struct {
        const char *why, *list, *expect;
        size_t lines;
    } rows[] = {
        {"texts at the left, numbers at the right",
         "{\"data\":[{\"name\":\"long name\",\"calls\":7,\"last\":\"x\"},"
         "{\"name\":\"b\",\"calls\":123456,\"last\":\"y\"}]}",
         "NAME        CALLS  LAST\nlong name       7  x\nb          123456  y\n", 2},
        {"what is missing, null or empty has a word",
         "{\"object\":\"list\",\"data\":[{\"name\":\"\",\"last\":null}]}",
         "NAME  CALLS  LAST\n-         0  never\n", 1},
        {"letters are counted, not bytes",
         "{\"data\":[{\"name\":\"\xd9\x81\xd8\xb1\xd9\x8a\xd9\x82\",\"calls\":1}]}",
         "NAME  CALLS  LAST\n\xd9\x81\xd8\xb1\xd9\x8a\xd9\x82      1  never\n", 1},
        {"control characters are shown as question marks",
         "{\"data\":[{\"name\":\"\\u001b[2J\\u009b\\u007f\\n\",\"calls\":1}]}",
         "NAME     CALLS  LAST\n?[2J???      1  never\n", 1},
        {"escapes are read", "{\"data\":[{\"n\\u0061me\":\"\\\"q\\\"\",\"calls\":1}]}",
         "NAME  CALLS  LAST\n\"q\"       1  never\n", 1},
        {"a column of which nothing is to be said is left out, billionths are exact",
         "{\"data\":[{\"name\":\"a\",\"cost\":0},{\"name\":\"b\",\"cost\":1500000000},"
         "{\"name\":\"c\",\"cost\":120}]}",
         "NAME  CALLS  LAST         COST\na         0  never           0\n"
         "b         0  never        1.50\n"
         "c         0  never  0.00000012\n",
         3},
        {"a sum that can be no larger is at least so much",
         "{\"data\":[{\"name\":\"a\",\"cost\":9223372036854775807}]}",
         "NAME  CALLS  LAST                    COST\n"
         "a         0  never  >9223372036.854775807\n",
         1},
        {"seconds are dates, unless they are of no year that one writes so",
         "{\"data\":[{\"name\":\"a\",\"end\":1795489200},{\"name\":\"b\",\"end\":null},"
         "{\"name\":\"c\",\"end\":253402300800},{\"name\":\"d\",\"end\":-1}]}",
         "NAME  CALLS  LAST   END\n"
         "a         0  never  2026-11-24T03:00:00Z\n"
         "b         0  never  -\n"
         "c         0  never  253402300800\n"
         "d         0  never  -1\n",
         4},
        {"nothing for nothing", "{\"data\":[]}", "", 0},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char *text;
        size_t lines = 99;
        assert_int_equal(print(rows[r].list, &text, &lines), ERR_OK);
        if (strcmp(text, rows[r].expect) != 0 || lines != rows[r].lines) {
            fail_msg("%s: %zu lines:\n%s", rows[r].why, lines, text);
        }
        free(text);
    }
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "{", "[]", "{}", "{\"data\":{}}", "{\"data\":1}"};
    for (size_t r = 0; r < ROWS(rows); r++) {
        char *text;
        size_t lines;
        assert_int_equal(print(rows[r], &text, &lines), ERR_BODY_NOT_JSON);
        assert_string_equal(text, "");
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_printed_in_columns),
        cmocka_unit_test(what_is_no_list_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
