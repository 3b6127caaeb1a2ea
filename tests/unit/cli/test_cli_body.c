/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_body.c — options become the members that their rows name, or are refused. */
#include "unit.h"

#include "cli/cli_body.h"

struct typed {
    const char *name, *role, *expires, *burst, *concurrent;
    bool test, admin;
    struct cli_texts models, tags;
};

static const struct cli_option options[] = {
    CLI_TEXT(struct typed, name, "name", "NAME", "A text", .member = "name"),
    CLI_FLAG(struct typed, test, "test", "A flag", .member = "kind", .says = "test"),
    CLI_FLAG(struct typed, admin, "admin", "Another of the same", .member = "kind",
             .says = "admin"),
    CLI_TEXT(struct typed, role, "role", "ROLE", "A choice", .member = "role", .none = "none"),
    CLI_LIST(struct typed, models, "models", "M", "Names", .member = "models", .none = "all"),
    CLI_LIST(struct typed, tags, "tag", "K=V", "Tags", .member = "tags", .none = "none"),
    CLI_TEXT(struct typed, burst, "burst", "N", "Of a part", .member = "limits.burst",
             .none = "none"),
    CLI_TEXT(struct typed, concurrent, "concurrent", "N", "Of the same part",
             .member = "limits.concurrent"),
    CLI_TEXT(struct typed, expires, "expires", "TIME", "A time", .member = "expires_at",
             .none = "never"),
    CLI_END(NULL),
};

static const struct cli_command command = {"key create", "Make a key", NULL, options};

/* Reads the words, and writes what they make. */
static int make(const char *const *words, const char *leave_out, char out[512], size_t *members)
{
    struct typed typed = {0};
    struct buf body;
    int count = 0;
    while (words[count] != NULL) {
        count++;
    }
    assert_int_equal(cli_read(&command, count, (char *const *)(uintptr_t)words, &typed), CLI_GO_ON);
    struct cli_body made = {.command = "key create",
                            .options = options,
                            .object = ADMIN_OBJECT_key,
                            .leave_out = leave_out,
                            .given = &typed};
    int status = cli_body_write(&made, &body);
    span_copy_text(status == CLI_GO_ON ? buf_span(&body) : SPAN(""), out, 512);
    *members = made.members;
    buf_fini(&body);
    return status;
}

static void options_become_members(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *words[8];
        const char *expect; /* NULL: CLI_MISUSED */
        size_t members;
    } rows[] = {
        {"nothing", {NULL}, "{}", 0},
        {"a text", {"--name", "a \"b\""}, "{\"name\":\"a \\\"b\\\"\"}", 1},
        {"an empty one", {"--name="}, "{\"name\":\"\"}", 1},
        {"a word that is another row's for nothing", {"--name", "none"}, "{\"name\":\"none\"}", 1},
        {"no text at all", {"--name", "\xff"}, NULL, 0},
        {"a flag", {"--test"}, "{\"kind\":\"test\"}", 1},
        {"two that make one member", {"--test", "--admin"}, NULL, 0},
        {"a choice", {"--role", "owner"}, "{\"role\":\"owner\"}", 1},
        {"none of them", {"--role", "none"}, "{\"role\":null}", 1},
        {"another word", {"--role", "king"}, NULL, 0},
        {"names", {"--models", "a,b", "--models=c"}, "{\"models\":[\"a\",\"b\",\"c\"]}", 1},
        {"no names", {"--models", "all"}, "{\"models\":[]}", 1},
        {"a name that is like the word for none",
         {"--models", "a,all"},
         "{\"models\":[\"a\",\"all\"]}",
         1},
        {"names and none", {"--models", "a", "--models", "all"}, NULL, 0},
        {"an empty name", {"--models", "a,"}, NULL, 0},
        {"tags",
         {"--tag", "a=1,2", "--tag", "b=", "--tag", "c=d=e"},
         "{\"tags\":{\"a\":\"1,2\",\"b\":\"\",\"c\":\"d=e\"}}",
         1},
        {"no tags", {"--tag", "none"}, "{\"tags\":null}", 1},
        {"a tag without a value", {"--tag", "a"}, NULL, 0},
        {"a tag without a name", {"--tag", "=a"}, NULL, 0},
        {"a part",
         {"--concurrent", "2", "--burst", "10", "--name", "n"},
         "{\"name\":\"n\",\"limits\":{\"burst\":10,\"concurrent\":2}}",
         3},
        {"a part, and something behind it",
         {"--burst", "none", "--expires", "never"},
         "{\"limits\":{\"burst\":null},\"expires_at\":null}",
         2},
        {"no number", {"--burst", "1e3"}, NULL, 0},
        {"a negative one", {"--burst", "-1"}, NULL, 0},
        {"one that JSON does not know", {"--burst", "007"}, NULL, 0},
        {"one beyond all", {"--burst", "9999999999999999999"}, NULL, 0},
        {"none where there must be one", {"--concurrent", "none"}, NULL, 0},
        {"a day", {"--expires", "2027-01-31"}, "{\"expires_at\":1801353600}", 1},
        {"a time",
         {"--expires", "2027-01-31T00:00:00+03:00"},
         "{\"expires_at\":\"2027-01-31T00:00:00+03:00\"}",
         1},
        {"a day that there is not", {"--expires", "2027-02-30"}, NULL, 0},
        {"no time", {"--expires", "soon"}, NULL, 0},
        {"no time to speak of", {"--expires", "10ms"}, NULL, 0},
        {"longer than anything lives", {"--expires", "40000d"}, NULL, 0},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char text[512];
        size_t members;
        int status = make(rows[r].words, NULL, text, &members);
        if (status != (rows[r].expect == NULL ? CLI_MISUSED : CLI_GO_ON) ||
            (rows[r].expect != NULL &&
             (strcmp(text, rows[r].expect) != 0 || members != rows[r].members))) {
            fail_msg("%s: %d, %s", rows[r].why, status, text);
        }
    }
}

static void a_time_from_now_is_a_time(void **state)
{
    (void)state;
    const char *words[] = {"--expires", "12h", NULL};
    char text[512];
    size_t members;
    wall_us at, now = clock_wall();
    assert_int_equal(make(words, NULL, text, &members), CLI_GO_ON);
    struct span all = span_of(text);
    assert_true(span_starts(all, SPAN("{\"expires_at\":\"")));
    assert_true(admin_time_read(span_cut(all, 15, all.len - 17), &at));
    int64_t off = at.us - now.us - INT64_C(12) * 3600000000;
    assert_true(off > -1000 && off < 60000000); /* its text has milliseconds */
}

static void a_member_is_left_out_when_that_is_asked(void **state)
{
    (void)state;
    const char *words[] = {"--name", "n", "--test", NULL};
    char text[512];
    size_t members;
    assert_int_equal(make(words, "name", text, &members), CLI_GO_ON);
    assert_string_equal(text, "{\"kind\":\"test\"}");
    assert_int_equal(members, 1);
}

static void what_no_request_can_hold_is_refused(void **state)
{
    (void)state;
    static char name[70000];
    memset(name, 'x', sizeof(name) - 1);
    const char *words[] = {"--name", name, NULL};
    char text[512];
    size_t members;
    assert_int_equal(make(words, NULL, text, &members), CLI_MISUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_become_members),
        cmocka_unit_test(a_time_from_now_is_a_time),
        cmocka_unit_test(a_member_is_left_out_when_that_is_asked),
        cmocka_unit_test(what_no_request_can_hold_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
