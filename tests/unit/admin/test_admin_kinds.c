/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_admin_kinds.c — each kind of member is read strictly, merged as RFC 7396 says, and written
 * as it was read. It has a table of its own, so the files that are made of the table are its own,
 * too.
 */
#include "unit.h"

#define ADMIN_OBJECTS_TABLE "admin/test_admin_kinds.def"
#include "admin/admin_objects.h"

struct admin_caps {
    int64_t burst, rate, made;
    struct span models;
};

struct admin_needy {
    int64_t must;
};

struct admin_thing {
    struct span names, many, maybe, tags;
    int64_t amount, exact, count;
    int role;
    wall_us ends_at, began_at;
    struct admin_caps caps;
    struct admin_needy fixed;
};

#include "admin/admin_objects.c"       // NOLINT(bugprone-suspicious-include): see above
#include "admin/admin_objects_lists.c" // NOLINT(bugprone-suspicious-include): see above
#include "admin/admin_objects_read.c"  // NOLINT(bugprone-suspicious-include): see above
#include "admin/admin_objects_write.c" // NOLINT(bugprone-suspicious-include): see above

#define NOW ((wall_us){INT64_C(1795489200000000)}) /* 2026-11-24T03:00:00Z */

static struct arena arena;
static struct admin_fault fault;

static int start(void **state)
{
    (void)state;
    arena_init(&arena, 1U << 20);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static enum err read_as(enum admin_use use, const char *body, struct admin_thing *out)
{
    struct admin_reading reading = {.object = ADMIN_OBJECT_thing,
                                    .use = use,
                                    .body = span_of(body),
                                    .now = NOW,
                                    .arena = &arena,
                                    .fault = &fault};
    memset(&fault, 0, sizeof(fault));
    return admin_object_read(&reading, out);
}

/* What is refused says which member it is, in a sentence. */
static void each_kind_is_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param;
        enum err expect;
    } rows[] = {
        {"{\"names\":[]}", "", ERR_OK},
        {"{\"names\":[\"a\",\"12345678\",\"\\u0633\"]}", "", ERR_OK},
        {"{\"maybe\":null}", "", ERR_OK},
        {"{\"names\":\"a\"}", "names", ERR_VALUE_INVALID},
        {"{\"names\":{\"a\":\"b\"}}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[\"\"]}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[\"123456789\"]}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[\"a\",\"b\",\"c\",\"d\"]}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[\"a\",\"b\",\"a\"]}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[\"a\",\"\\u0061\"]}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[\"a\\nb\"]}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[\"\\u0085\"]}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[\"\\u0000\"]}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[\"\\ud800\"]}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[1]}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[null]}", "names", ERR_VALUE_INVALID},
        {"{\"names\":[[\"a\"]]}", "names", ERR_VALUE_INVALID},
        {"{\"tags\":{}}", "", ERR_OK},
        {"{\"tags\":{\"a\":\"\",\"B-1_.\":\"x=y\"}}", "", ERR_OK},
        {"{\"tags\":[]}", "tags", ERR_VALUE_INVALID},
        {"{\"tags\":{\"\":\"x\"}}", "tags", ERR_VALUE_INVALID},
        {"{\"tags\":{\"a b\":\"x\"}}", "tags", ERR_VALUE_INVALID},
        {"{\"tags\":{\"a=b\":\"x\"}}", "tags", ERR_VALUE_INVALID},
        {"{\"tags\":{\"\\u0633\":\"x\"}}", "tags", ERR_VALUE_INVALID},
        {"{\"tags\":{\"a\":1}}", "tags", ERR_VALUE_INVALID},
        {"{\"tags\":{\"a\":null}}", "tags", ERR_VALUE_INVALID},
        {"{\"tags\":{\"a\":\"x\\ny=z\"}}", "tags", ERR_VALUE_INVALID},
        {"{\"tags\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\",\"d\":\"4\"}}", "tags", ERR_VALUE_INVALID},
        {"{\"tags\":{\"a\":\"1\",\"a\":\"2\"}}", "tags", ERR_JSON_DUPLICATE},
        {"{\"tags\":{\"a\":\"1\",\"\\u0061\":\"2\"}}", "tags", ERR_JSON_DUPLICATE},
        {"{\"amount\":\"100.00\"}", "", ERR_OK},
        {"{\"amount\":\"0\"}", "", ERR_OK},
        {"{\"amount\":\"1000\"}", "", ERR_OK},
        {"{\"amount\":\"1000.000000001\"}", "amount", ERR_VALUE_INVALID},
        {"{\"amount\":\"-0.01\"}", "amount", ERR_VALUE_INVALID},
        {"{\"amount\":100}", "amount", ERR_VALUE_INVALID},
        {"{\"amount\":null}", "amount", ERR_VALUE_INVALID},
        {"{\"amount\":\"1e2\"}", "amount", ERR_VALUE_INVALID},
        {"{\"amount\":\"\"}", "amount", ERR_VALUE_INVALID},
        {"{\"amount\":[\"1\"]}", "amount", ERR_VALUE_INVALID},
        {"{\"exact\":\"-0.000000005\"}", "", ERR_OK},
        {"{\"exact\":\"-0.000000006\"}", "exact", ERR_VALUE_INVALID},
        {"{\"count\":null}", "", ERR_OK},
        {"{\"count\":0}", "count", ERR_VALUE_INVALID},
        {"{\"count\":1.5}", "count", ERR_VALUE_INVALID},
        {"{\"role\":\"admin\"}", "", ERR_OK},
        {"{\"role\":null}", "", ERR_OK},
        {"{\"role\":\"\"}", "role", ERR_VALUE_INVALID},
        {"{\"role\":0}", "role", ERR_VALUE_INVALID},
        {"{\"ends_at\":1795489201}", "", ERR_OK},
        {"{\"ends_at\":1795489200}", "ends_at", ERR_VALUE_INVALID},
        {"{\"ends_at\":1795489201000}", "ends_at", ERR_VALUE_INVALID},
        {"{\"ends_at\":1795489201.5}", "ends_at", ERR_VALUE_INVALID},
        {"{\"ends_at\":-1}", "ends_at", ERR_VALUE_INVALID},
        {"{\"ends_at\":true}", "ends_at", ERR_VALUE_INVALID},
        {"{\"ends_at\":253402300799}", "", ERR_OK},
        {"{\"ends_at\":253402300800}", "ends_at", ERR_VALUE_INVALID},
        {"{\"ends_at\":\"2026-11-24T03:00:00.5Z\"}", "", ERR_OK},
        {"{\"ends_at\":\"1795489201\"}", "ends_at", ERR_VALUE_INVALID},
        {"{\"ends_at\":null}", "", ERR_OK},
        {"{\"began_at\":1}", "", ERR_OK},
        {"{\"began_at\":0}", "began_at", ERR_VALUE_INVALID},
        {"{\"began_at\":null}", "began_at", ERR_VALUE_INVALID},
        {"{\"caps\":{}}", "", ERR_OK},
        {"{\"caps\":null}", "", ERR_OK},
        {"{\"caps\":[]}", "caps", ERR_VALUE_INVALID},
        {"{\"caps\":1}", "caps", ERR_VALUE_INVALID},
        {"{\"caps\":{\"burst\":null,\"rate\":7,\"models\":[\"m\"]}}", "", ERR_OK},
        {"{\"caps\":{\"burst\":101}}", "caps.burst", ERR_VALUE_INVALID},
        {"{\"caps\":{\"rate\":null}}", "caps.rate", ERR_VALUE_INVALID},
        {"{\"caps\":{\"made\":1}}", "caps.made", ERR_VALUE_INVALID},
        {"{\"caps\":{\"x\":1}}", "caps.x", ERR_VALUE_INVALID},
        {"{\"caps\":{\"models\":[\"a\",\"b\",\"c\"]}}", "caps.models", ERR_VALUE_INVALID},
        {"{\"caps\":{\"burst\":1,\"burst\":2}}", "caps.burst", ERR_JSON_DUPLICATE},
        {"{\"caps\":{},\"caps\":{}}", "caps", ERR_JSON_DUPLICATE},
        {"{\"caps\":{\"models\":[[]]}}", "", ERR_JSON_TOO_DEEP},
        {"{\"fixed\":{\"must\":1}}", "", ERR_OK},
        {"{\"fixed\":{}}", "fixed.must", ERR_VALUE_MISSING},
        {"{\"fixed\":null}", "fixed", ERR_VALUE_INVALID},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct admin_thing thing = {0};
        enum err e = read_as(ADMIN_MAKES, rows[r].body, &thing);
        if (e != rows[r].expect || strcmp(fault.param, rows[r].param) != 0) {
            fail_msg("%s: %s at '%s': %s", rows[r].body, err_name(e), fault.param, fault.message);
        }
        assert_int_equal(fault.message[0] != '\0', rows[r].param[0] != '\0');
    }
}

static void a_refusal_says_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *body, *message;
    } rows[] = {
        {"{\"names\":7}", "'names' must be a list of at most 3 different texts of 1 to 8 bytes "
                          "without control characters, 4096 bytes in all"},
        {"{\"tags\":7}", "'tags' must be an object of at most 3 texts of at most 255 bytes without "
                         "control characters; their names are 1 to 63 of A-Z a-z 0-9 _ . -"},
        {"{\"tags\":{\"a\":\"\",\"a\":\"\"}}", "'tags' gives a tag twice"},
        {"{\"amount\":7}", "'amount' must be an amount as a text, such as \"100.00\", from 0.00 to "
                           "1000.00 with at most 9 places"},
        {"{\"amount\":null}", "'amount' cannot be null: give it a value, or leave it out"},
        {"{\"began_at\":0}", "'began_at' must be a time, in seconds since 1970 or such as "
                             "\"2030-01-31T12:00:00Z\""},
        {"{\"caps\":{\"x\":1}}",
         "'caps.x' is no member of caps, which may hold burst, rate, models"},
        {"{\"caps\":{\"made\":1}}",
         "'caps.made' cannot be given: leave it out; caps may hold burst, rate, models"},
        {"{\"caps\":3}", "'caps' must be an object"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct admin_thing thing = {0};
        assert_int_not_equal(read_as(ADMIN_MAKES, rows[r].body, &thing), ERR_OK);
        assert_string_equal(fault.message, rows[r].message);
    }
}

static void all_lines_together_have_a_bound(void **state)
{
    (void)state;
    struct admin_thing thing = {0};
    char body[16384];
    size_t len = (size_t)snprintf(body, sizeof(body), "{\"many\":[");
    for (int i = 0; i < 17; i++) { /* 16 are 4079 bytes and 15 ends of lines */
        len += (size_t)snprintf(body + len, sizeof(body) - len, "%s\"%02d%0253d\"",
                                i == 0 ? "" : ",", i, 0);
        char *end = body + len;
        (void)snprintf(end, sizeof(body) - len, "]}");
        assert_int_equal(read_as(ADMIN_MAKES, body, &thing), i < 16 ? ERR_OK : ERR_VALUE_INVALID);
        *end = '\0';
    }
}

static void a_change_is_merged_into_what_there_is(void **state)
{
    (void)state;
    struct admin_thing thing = {.count = 5,
                                .role = 1,
                                .maybe = SPAN("a\nb"),
                                .ends_at = {1},
                                .caps = {.burst = 3, .rate = 4, .made = 5, .models = SPAN("m")}};
    assert_int_equal(read_as(ADMIN_CHANGES, "{\"caps\":{\"burst\":9}}", &thing), ERR_OK);
    assert_int_equal(thing.caps.burst, 9);
    assert_int_equal(thing.caps.rate, 4);
    assert_true(span_is(thing.caps.models, "m"));
    assert_int_equal(thing.count, 5);
    assert_int_equal(read_as(ADMIN_CHANGES, "{\"caps\":{\"burst\":null,\"models\":[]}}", &thing),
                     ERR_OK);
    assert_int_equal(thing.caps.burst, 0);
    assert_int_equal(thing.caps.models.len, 0);
    assert_int_equal(thing.caps.made, 5);
    assert_int_equal(read_as(ADMIN_CHANGES,
                             "{\"caps\":null,\"count\":null,\"role\":null,\"maybe\":null,"
                             "\"ends_at\":null}",
                             &thing),
                     ERR_OK);
    assert_int_equal(thing.caps.rate + thing.caps.made + thing.count + thing.role, 0);
    assert_int_equal(thing.maybe.len + (size_t)thing.ends_at.us, 0);
    assert_int_equal(read_as(ADMIN_CHANGES, "{}", &thing), ERR_OK);
    assert_int_equal(read_as(ADMIN_CHANGES, "{\"fixed\":{\"must\":1}}", &thing), ERR_VALUE_INVALID);
}

/* What `body` becomes when it is read and written. */
static void expect_written(const char *body, const char *expect)
{
    struct admin_thing thing = {0};
    struct buf out;
    struct json_writer w;
    buf_init(&out, 65536);
    assert_int_equal(read_as(ADMIN_MAKES, body, &thing), ERR_OK);
    json_write_init(&w, &out);
    admin_object_write(&w, ADMIN_OBJECT_thing, &thing);
    assert_int_equal(json_write_finish(&w), ERR_OK);
    buf_put_byte(&out, '\0');
    if (strstr((const char *)out.at, expect) == NULL) {
        fail_msg("%s: %s is not in %s", body, expect, (const char *)out.at);
    }
    buf_fini(&out);
}

static void what_was_read_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *body, *expect;
    } rows[] = {
        {"{\"count\":1}",
         "\"names\":[],\"many\":[],\"maybe\":null,\"tags\":{},\"amount\":\"0.00\","},
        {"{\"count\":1}", "\"count\":1,\"role\":null,\"ends_at\":null,"},
        {"{\"count\":1}", "\"caps\":null,\"fixed\":{\"must\":0}}"},
        {"{\"count\":null}", "\"count\":null"},
        {"{\"names\":[\"b\",\"a\",\"\\\"\\\\\"]}", "\"names\":[\"b\",\"a\",\"\\\"\\\\\"]"},
        {"{\"tags\":{\"b\":\"=\",\"a\":\"\",\"ab\":\"\\u0633\"}}",
         "\"tags\":{\"a\":\"\",\"ab\":\"\xd8\xb3\",\"b\":\"=\"}"},
        {"{\"amount\":\"1.2345675\"}", "\"amount\":\"1.234568\""},
        {"{\"exact\":\"1.234567801\"}", "\"exact\":\"1.234567801\""},
        {"{\"role\":\"owner\"}", "\"role\":\"owner\""},
        {"{\"ends_at\":\"2026-11-24T06:00:01.9+03:00\"}", "\"ends_at\":1795489201,"},
        {"{\"caps\":{\"rate\":2}}",
         "\"caps\":{\"burst\":null,\"rate\":2,\"models\":[],\"made\":0}"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        expect_written(rows[r].body, rows[r].expect);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_read_strictly),
        cmocka_unit_test(a_refusal_says_what_to_do),
        cmocka_unit_test(all_lines_together_have_a_bound),
        cmocka_unit_test(a_change_is_merged_into_what_there_is),
        cmocka_unit_test(what_was_read_is_written),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
