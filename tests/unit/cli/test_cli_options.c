/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_options.c — the command line as it is typed. */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>

#include "cli/cli_options.h"

struct typed {
    const char *config, *long_name, *id;
    bool json;
};

static const struct cli_option options[] = {
    CLI_WORD(struct typed, id, "ID", "Whose"),
    CLI_TEXT(struct typed, config, "config", "F", "The file", .fallback = "default",
             .env = "TYPED"),
    CLI_TEXT(struct typed, long_name, "long_name", "N", "A name"),
    CLI_FLAG(struct typed, json, "json", "JSON"),
    CLI_END(NULL),
};

static const struct cli_command command = {"key revoke", "End a key", NULL, options};

static int read_words(const char *const *words, struct typed *out)
{
    int count = 0;
    while (words[count] != NULL) {
        count++;
    }
    *out = (struct typed){0};
    return cli_read(&command, count, (char *const *)(uintptr_t)words, out);
}

static void a_command_line_is_read_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *words[6];
        int status;
        const char *config;
        const char *id;
        bool json;
    } rows[] = {
        {"a value follows", {"--config", "f", "abc"}, CLI_GO_ON, "f", "abc", false},
        {"a value after =", {"abc", "--config=f=g"}, CLI_GO_ON, "f=g", "abc", false},
        {"a flag", {"--json", "abc"}, CLI_GO_ON, "default", "abc", true},
        {"an empty value", {"abc", "--config="}, CLI_GO_ON, "", "abc", false},
        {"the last of two wins", {"a", "--config=f", "--config=g"}, CLI_GO_ON, "g", "a", false},
        {"words alone behind --", {"--", "--json"}, CLI_GO_ON, "default", "--json", false},
        {"a word is missing", {"--json"}, CLI_MISUSED, NULL, NULL, false},
        {"a word too many", {"a", "b"}, CLI_MISUSED, NULL, NULL, false},
        {"a value is missing", {"a", "--config"}, CLI_MISUSED, NULL, NULL, false},
        {"a flag takes no value", {"a", "--json=no"}, CLI_MISUSED, NULL, NULL, false},
        {"an unknown option", {"a", "--jsn"}, CLI_MISUSED, NULL, NULL, false},
        {"an unknown short option", {"a", "-j"}, CLI_MISUSED, NULL, NULL, false},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct typed typed;
        int status = read_words(rows[r].words, &typed);
        if (status != rows[r].status) {
            fail_msg("%s: %d", rows[r].why, status);
        }
        if (status == CLI_GO_ON) {
            assert_string_equal(typed.config, rows[r].config);
            assert_string_equal(typed.id, rows[r].id);
            assert_int_equal(typed.json, rows[r].json);
        }
    }
}

static void the_environment_stands_behind_the_command_line_and_before_the_default(void **state)
{
    (void)state;
    struct typed typed;
    const char *alone[] = {"a", NULL}, *given[] = {"a", "--config", "mine", NULL};
    assert_int_equal(setenv("TYPED", "theirs", 1), 0);
    assert_int_equal(read_words(alone, &typed), CLI_GO_ON);
    assert_string_equal(typed.config, "theirs");
    assert_int_equal(read_words(given, &typed), CLI_GO_ON);
    assert_string_equal(typed.config, "mine");
    assert_int_equal(setenv("TYPED", "", 1), 0); /* as if it were not set */
    assert_int_equal(read_words(alone, &typed), CLI_GO_ON);
    assert_string_equal(typed.config, "default");
    assert_int_equal(unsetenv("TYPED"), 0);
}

static void a_name_of_two_words_is_typed_with_a_dash(void **state)
{
    (void)state;
    struct typed typed;
    char shown[CLI_NAME_BYTES];
    const char *words[] = {"a", "--long-name", "n", NULL};
    assert_int_equal(read_words(words, &typed), CLI_GO_ON);
    assert_string_equal(typed.long_name, "n");
    assert_string_equal(cli_option_text(&options[2], shown), "--long-name N");
}

static void a_lists_option_may_be_given_again_and_again(void **state)
{
    (void)state;
    static struct {
        struct cli_texts list;
    } given;
    static const struct cli_option lists[] = {
        {.name = "net", .value = "N", .help = "Networks", .is_list = true, .field = 0},
        CLI_END(NULL),
    };
    static const struct cli_command many = {"key create", "Make a key", NULL, lists};
    char word[] = "--net=a", other[] = "--net", empty[] = "";
    char *words[CLI_TEXTS_MAX + 1];
    assert_false(cli_was_given(&lists[0], &given));
    for (size_t i = 0; i <= CLI_TEXTS_MAX; i++) {
        words[i] = word;
    }
    words[0] = other;
    words[1] = empty;
    assert_int_equal(cli_read(&many, 4, words, &given), CLI_GO_ON);
    assert_int_equal(cli_given_texts(&lists[0], &given)->count, 3);
    assert_string_equal(cli_given_text(&lists[0], &given), "");
    assert_string_equal(given.list.at[2], "a");
    assert_true(cli_was_given(&lists[0], &given));
    given.list.count = 0;
    assert_int_equal(cli_read(&many, CLI_TEXTS_MAX + 1, words, &given), CLI_GO_ON);
    assert_int_equal(given.list.count, CLI_TEXTS_MAX);
    given.list.count = 0;
    words[0] = word;
    assert_int_equal(cli_read(&many, CLI_TEXTS_MAX + 1, words, &given), CLI_MISUSED);
}

static void no_line_of_a_help_is_wider_than_a_terminal(void **state)
{
    (void)state;
    static const struct cli_option wide[] = {
        CLI_TEXT(struct typed, long_name, "a_name_that_is_long", "A-VALUE-TOO",
                 "A help that is far longer than what fits on one line of a terminal, and so is "
                 "wrapped at its words"),
        CLI_TEXT(struct typed, config, "another_that_is_long", "A-VALUE-TOO", "What for"),
        CLI_TEXT(struct typed, id, "third", "A-VALUE-TOO", "What for", .fallback = "/var/lib/f"),
        CLI_END(NULL),
    };
    const struct cli_command long_one = {"key create", "Make a key", NULL, wide};
    char line[512];
    FILE *out = tmpfile();
    size_t lines = 0;
    assert_non_null(out);
    cli_help(out, &long_one);
    rewind(out);
    while (fgets(line, sizeof(line), out) != NULL) {
        lines++;
        if (strcspn(line, "\n") > 80) {
            fail_msg("%s", line);
        }
    }
    assert_true(lines > 8);
    (void)fclose(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_line_is_read_or_refused),
        cmocka_unit_test(the_environment_stands_behind_the_command_line_and_before_the_default),
        cmocka_unit_test(a_name_of_two_words_is_typed_with_a_dash),
        cmocka_unit_test(a_lists_option_may_be_given_again_and_again),
        cmocka_unit_test(no_line_of_a_help_is_wider_than_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
