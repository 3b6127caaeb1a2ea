/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_options.c — the command line as it is typed. */
#include "unit.h"

#include <stdbool.h>

#include "cli/cli_options.h"

static void a_command_line_is_read_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *argv[6];
        int status;
        const char *config;
        const char *id;
        bool json;
    } rows[] = {
        {"a value follows", {"revoke", "--config", "f", "abc"}, CLI_GO_ON, "f", "abc", false},
        {"a value after =", {"revoke", "abc", "--config=f=g"}, CLI_GO_ON, "f=g", "abc", false},
        {"a flag", {"revoke", "--json", "abc"}, CLI_GO_ON, "default", "abc", true},
        {"an empty value", {"revoke", "abc", "--config="}, CLI_GO_ON, "", "abc", false},
        {"the last of two wins",
         {"revoke", "a", "--config=f", "--config=g"},
         CLI_GO_ON,
         "g",
         "a",
         false},
        {"a word is missing", {"revoke", "--json"}, CLI_MISUSED, NULL, NULL, false},
        {"a word too many", {"revoke", "a", "b"}, CLI_MISUSED, NULL, NULL, false},
        {"a value is missing", {"revoke", "a", "--config"}, CLI_MISUSED, NULL, NULL, false},
        {"an unknown option", {"revoke", "a", "--jsn"}, CLI_MISUSED, NULL, NULL, false},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        const char *config = "default";
        const char *id = NULL;
        bool json = false;
        const struct cli_option options[] = {
            {"config", "F", "", .text = &config},
            {"json", NULL, "", .flag = &json},
            {NULL, "ID", "", .text = &id},
        };
        int argc = 0;
        while (rows[r].argv[argc] != NULL) {
            argc++;
        }
        int status = cli_options(argc, (char **)(uintptr_t)rows[r].argv, "revoke", options, 3);
        if (status != rows[r].status) {
            fail_msg("%s: %d", rows[r].why, status);
        }
        if (status == CLI_GO_ON) {
            assert_string_equal(config, rows[r].config);
            assert_string_equal(id, rows[r].id);
            assert_int_equal(json, rows[r].json);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_line_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
