/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal_record.c — a record has one text, and only that text is read back. */
#include "unit.h"

#include "journal/journal_members.h"

#define LARGEST_I64(field)     (field) = JOURNAL_NUMBER_MAX
#define LARGEST_SOME(field)    (field) = JOURNAL_NUMBER_MAX
#define LARGEST_U16(field)     (field) = UINT16_MAX
#define LARGEST_U8(field)      (field) = UINT8_MAX
#define LARGEST_BOOL(field)    (field) = 1
#define LARGEST_MARK(field)    (field) = 1
#define LARGEST_ID(field)      memset(field, 0xff, sizeof(field))
#define LARGEST_HASH(field)    memset(field, 0xff, sizeof(field))
#define LARGEST_KIND(field)    (void)(field)
#define LARGEST_SCHEMA(field)  (void)(field)
#define LARGEST_OUTCOME(field) (field) = JOURNAL_OUTCOME_CLIENT_GONE

/* Whether a text of the record is this. */
static bool says(const struct journal_record *r, enum journal_text which, const char *text)
{
    return span_is(journal_record_text(r, which), text);
}

static struct journal_record completion(void)
{
    struct journal_record r = {
        .sequence = 42,
        .call_id = {0x01, 0x92, 0xab, 0xcd, 0xef, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
        .started_ms = 1790000000001,
        .attempt_ms = 1790000000002,
        .first_byte_ms = 1790000000003,
        .ended_ms = 1790000000004,
        .tokens_in = 12,
        .tokens_out = 34,
        .tokens_cached = 5,
        .tokens_reserved = 4096,
        .bytes_in = 1700,
        .bytes_out = 600,
        .cost_nano = 77,
        .reserved_nano = 88,
        .prev = {0xab, 0x01},
        .status = 200,
        .kind = JOURNAL_COMPLETION,
        .outcome = JOURNAL_OUTCOME_OK,
        .attempt = 1,
        .stream = 1,
        .tokens_out_estimated = 1,
        .attempts_sent = 1,
    };
    journal_record_set(&r, JOURNAL_TEXT_KEY, SPAN("0123456789ab"));
    journal_record_set(&r, JOURNAL_TEXT_ENDPOINT, SPAN("chat"));
    journal_record_set(&r, JOURNAL_TEXT_MODEL, SPAN("openai/\"q\"\\\n\x01 \xd9\x86"));
    journal_record_set(&r, JOURNAL_TEXT_UPSTREAM, SPAN("falcon-gpu"));
    journal_record_set(&r, JOURNAL_TEXT_HOME_REGION, SPAN("sa"));
    journal_record_set(&r, JOURNAL_TEXT_CURRENCY, SPAN("SAR"));
    journal_record_set(&r, JOURNAL_TEXT_POLICY_DIGEST, SPAN("0123456789abcdef0123456789ABCDEF"));
    return r;
}

static void a_completion_is_one_sorted_line(void **state)
{
    (void)state;
    struct journal_record r = completion();
    struct buf out;
    buf_init(&out, JOURNAL_LINE_MAX);
    journal_record_write(&r, SPAN(""), &out);
    assert_false(buf_failed(&out));
    buf_put_byte(&out, 0);
    assert_string_equal(
        (const char *)buf_span(&out).at,
        "{\"attempt\":1,\"attempt_ms\":1790000000002,\"attempts_sent\":1,\"bytes_in\":1700,"
        "\"bytes_out\":600,"
        "\"call\":\"01janwvvr1041061050r3gg28a\",\"cost_nano\":77,\"currency\":\"SAR\","
        "\"ended_ms\":1790000000004,"
        "\"endpoint\":\"chat\",\"error\":\"\",\"first_byte_ms\":1790000000003,"
        "\"home_region\":\"sa\",\"key\":\"0123456789ab\",\"kind\":\"completion\","
        "\"model\":\"openai/\\\"q\\\"\\\\\\n\\u0001 \xd9\x86\",\"outcome\":\"ok\",\"peer\":\"\","
        "\"policy\":\"\",\"policy_digest\":"
        "\"3031323334353637383961626364656630313233343536373839414243444546\",\"prev\":"
        "\"ab01000000000000000000000000000000000000000000000000000000000000\","
        "\"region\":\"\",\"reserved_nano\":88,\"schema\":3,\"seq\":42,"
        "\"started_ms\":1790000000001,\"status\":200,"
        "\"stream\":true,\"tokens_cached\":5,"
        "\"tokens_in\":12,"
        "\"tokens_in_estimated\":false,\"tokens_out\":34,\"tokens_out_estimated\":true,"
        "\"tokens_reasoning\":0,\"tokens_reserved\":4096,\"upstream\":\"falcon-gpu\","
        "\"upstream_model\":\"\","
        "\"zone\":\"\"}");
    buf_fini(&out);
}

/* All numbers that `kind` has are the largest, and its texts fill the room with what is longest on
 * a line. */
static struct journal_record largest(enum journal_kind kind)
{
    struct journal_record r;
    uint8_t worst[JOURNAL_HASH_BYTES];
    unsigned texts = 0;
    memset(&r, 0, sizeof(r));
    memset(worst, 1, sizeof(worst));
    r.kind = (uint8_t)kind;
#define FIXED(member, field, type, kinds, help) \
    if (((kinds)&1u << kind) != 0) {            \
        LARGEST_##type(r.field);                \
    }
#define TEXT(member, NAME, type, kinds, help)                                         \
    if (((kinds)&1u << kind) != 0) {                                                  \
        journal_record_set(&r, JOURNAL_TEXT_##NAME, span_make(worst, sizeof(worst))); \
        texts++;                                                                      \
    }
#define STATE(member, kinds, help)
#include "journal/journal_record.def"
#undef FIXED
#undef TEXT
#undef STATE
    assert_int_equal(r.used, texts * sizeof(worst)); /* they all fit */
    if (kind == JOURNAL_COMPLETION) {
        uint8_t rest[JOURNAL_ROOM_BYTES];
        memset(rest, 1, sizeof(rest));
        journal_record_set(&r, JOURNAL_TEXT_FINDINGS, span_make(rest, sizeof(rest) - r.used));
        assert_int_equal(r.used, JOURNAL_ROOM_BYTES);
    }
    return r;
}

static struct span largest_state(void)
{
    static char text[JOURNAL_STATE_MAX];
    memset(text, 'x', sizeof(text));
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + sizeof(text) - 2, "\"}", 2);
    return span_make(text, sizeof(text));
}

/* Numbers and texts; where these lie in the room is no part of it. */
static void assert_same(const struct journal_record *a, const struct journal_record *b)
{
    assert_memory_equal(a, b, offsetof(struct journal_record, used));
    for (int i = 0; i < JOURNAL_TEXT_COUNT; i++) {
        assert_true(span_equal(journal_record_text(a, (enum journal_text)i),
                               journal_record_text(b, (enum journal_text)i)));
    }
}

static void what_is_written_is_read_back_the_same(void **state)
{
    (void)state;
    struct journal_record rows[JOURNAL_KIND_COUNT] = {completion()};
    for (int kind = JOURNAL_NO_KIND + 1; kind < JOURNAL_KIND_COUNT; kind++) {
        rows[kind] = largest((enum journal_kind)kind);
    }
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct journal_record again;
        struct buf out;
        buf_init(&out, JOURNAL_LINE_MAX);
        struct span json = rows[i].kind == JOURNAL_ADMIN ? largest_state() : SPAN("");
        struct span found = SPAN("");
        rows[i].state_bytes = (uint32_t)json.len;
        assert_true(journal_record_is_valid(&rows[i], json));
        journal_record_write(&rows[i], json, &out);
        assert_false(buf_failed(&out));
        assert_int_equal(journal_record_parse(buf_span(&out), &again, &found), ERR_OK);
        assert_true(span_equal(found, json));
        assert_same(&again, &rows[i]);
        buf_fini(&out);
    }
}

/* Every byte removed, doubled or changed: only a changed value may still be a record, and then it
 * is one that would be written just so. */
static void another_text_is_refused(void **state)
{
    (void)state;
    struct journal_record r = completion();
    struct buf out;
    buf_init(&out, JOURNAL_LINE_MAX);
    journal_record_write(&r, SPAN(""), &out);
    struct span line = buf_span(&out);
    uint8_t text[JOURNAL_LINE_MAX];
    for (size_t at = 0; at < line.len; at++) {
        struct journal_record got;
        for (int change = 0; change < 3; change++) {
            size_t len = 0;
            for (size_t i = 0; i < line.len; i++) {
                if (i == at && change == 0) {
                    continue;
                }
                text[len++] = line.at[i];
                if (i == at && change == 1) {
                    text[len++] = ' ';
                } else if (i == at) {
                    text[len - 1] ^= 0x20;
                }
            }
            struct span changed = span_make(text, len);
            if (journal_record_parse(changed, &got, NULL) == ERR_OK) {
                struct buf again;
                buf_init(&again, JOURNAL_LINE_MAX);
                journal_record_write(&got, SPAN(""), &again);
                assert_true(span_equal(buf_span(&again), changed));
                buf_fini(&again);
            }
        }
    }
    buf_fini(&out);
}

static void lines_that_are_no_records_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "{}",
        "[]",
        "1",
        "{\"kind\":\"intent\"}",
        "{\"kind\":\"x\",\"schema\":1,\"seq\":1}",
        "{\"cut_bytes\":1,\"cut_offset\":1,\"cut_segment\":1,\"kind\":\"recovery\",\"schema\":3,"
        "\"seq\":1,\"started_ms\":1}",
        "{\"cut_bytes\":-1,\"cut_offset\":1,\"cut_segment\":1,\"kind\":\"recovery\",\"schema\":1,"
        "\"seq\":1,\"started_ms\":1}",
        "{\"cut_bytes\":1,\"cut_offset\":1,\"cut_segment\":1,\"kind\":\"recovery\",\"schema\":1,"
        "\"seq\":9007199254740992,\"started_ms\":1}",
        "{\"cut_bytes\":1,\"cut_offset\":1,\"cut_segment\":1,\"kind\":\"recovery\",\"schema\":1,"
        "\"seq\":1}",
    };
    for (size_t i = 0; i < ROWS(lines); i++) {
        struct journal_record got;
        assert_int_equal(journal_record_parse(span_of(lines[i]), &got, NULL), ERR_VALUE_INVALID);
    }
}

/* What becomes of a completion's line whose value of `member` is `value`. */
static enum err parse_with(const char *member, const char *value)
{
    struct journal_record r = completion();
    struct journal_record got;
    struct buf line, changed;
    buf_init(&line, JOURNAL_LINE_MAX);
    buf_init(&changed, JOURNAL_LINE_MAX);
    journal_record_write(&r, SPAN(""), &line);
    struct span all = buf_span(&line);
    size_t at = (size_t)((const uint8_t *)memmem(all.at, all.len, member, strlen(member)) - all.at);
    size_t end = at + strlen(member);
    buf_put(&changed, span_cut(all, 0, end));
    buf_put_text(&changed, value);
    while (all.at[end] != ',') {
        end++;
    }
    buf_put(&changed, span_cut(all, end, all.len));
    enum err e = journal_record_parse(buf_span(&changed), &got, NULL);
    buf_fini(&line);
    buf_fini(&changed);
    return e;
}

static void a_value_has_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *member, *good, *bad[13];
    } rows[] = {
        {"\"tokens_in\":",
         "0",
         {"00", "012", "-1", "+1", "1.0", "1e1", "", "9007199254740992", " 1"}},
        {"\"status\":", "65535", {"65536", "\"1\"", "true", "null"}},
        {"\"attempt\":", "255", {"256", "1 "}},
        {"\"stream\":", "false", {"False", "1", "null", "\"true\"", "truefalse"}},
        {"\"kind\":", "\"completion\"", {"\"intent\"", "\"Completion\"", "\"\"", "1"}},
        {"\"outcome\":", "\"client_gone\"", {"\"gone\"", "\"ok", "ok", "null"}},
        {"\"schema\":", "3", {"1", "2", "0", "03"}},
        {"\"call\":",
         "\"01janwvvr1041061050r3gg28a\"",
         {"\"01JANWVVR1041061050r3gg28a\"", "\"81janwvvr1041061050r3gg28a\"",
          "\"01janwvvr1041061050r3gg28\"", "\"01janwvvr1041061050r3gg28aa\"",
          "\"01lanwvvr1041061050r3gg28a\""}},
        {"\"upstream\":",
         "\"a\\u001f\\n\\\\\\\"/\x7f\xd9\x86\"",
         {"\"\\/\"", "\"\\u000a\"", "\"\\u001F\"", "\"\\u0041\"", "\"\\u0020\"", "\"\\u0000\"",
          "\"\\ud800\"", "\"\\x\"", "\"\x01\"", "\"\016b\"", "\"\xff\"", "\"\\u00\"", "\"\\"}},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(parse_with(rows[i].member, rows[i].good), ERR_OK);
        for (size_t b = 0; b < ROWS(rows[i].bad) && rows[i].bad[b] != NULL; b++) {
            if (parse_with(rows[i].member, rows[i].bad[b]) != ERR_VALUE_INVALID) {
                fail_msg("%s%s was taken", rows[i].member, rows[i].bad[b]);
            }
        }
    }
}

static void what_is_too_long_is_cut_between_characters_and_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expect; /* in a room with eight bytes left */
    } rows[] = {
        {"", ""},
        {"abc", "abc"},
        {"abcdefgh", "abcdefgh"},
        {"abcdefghi", "abcde\xe2\x80\xa6"},
        {"abcdef\xd9\x86", "abcdef\xd9\x86"},
        {"abcd\xd9\x86xyz", "abcd\xe2\x80\xa6"},
        {"abc\xd9\x86wxyz", "abc\xd9\x86\xe2\x80\xa6"},
        {"a\xff\xc0\x80", "a???"},
        {"\xed\xa0\x80", "???"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct journal_record r = {.used = JOURNAL_ROOM_BYTES - 8};
        journal_record_set(&r, JOURNAL_TEXT_MODEL, span_of(rows[i].text));
        assert_true(says(&r, JOURNAL_TEXT_MODEL, rows[i].expect));
    }
}

static void a_digest_without_room_is_left_out(void **state)
{
    (void)state;
    struct journal_record r = {.kind = JOURNAL_COMPLETION, .used = JOURNAL_ROOM_BYTES - 8};
    uint8_t digest[JOURNAL_HASH_BYTES] = {1};
    journal_record_set(&r, JOURNAL_TEXT_CERTIFICATE, span_make(digest, sizeof(digest)));
    assert_int_equal(journal_record_text(&r, JOURNAL_TEXT_CERTIFICATE).len, 0);
    assert_int_equal(r.used, JOURNAL_ROOM_BYTES - 8);
    r.used -= JOURNAL_HASH_BYTES;
    journal_record_set(&r, JOURNAL_TEXT_CERTIFICATE, span_make(digest, sizeof(digest)));
    assert_memory_equal(journal_record_text(&r, JOURNAL_TEXT_CERTIFICATE).at, digest,
                        sizeof(digest));
}

static void a_name_that_a_caller_made_up_is_cut_and_one_that_is_configured_is_not(void **state)
{
    (void)state;
    struct journal_record r = {.kind = JOURNAL_INTENT};
    char name[JOURNAL_NAMES_MAX];
    memset(name, 'n', sizeof(name));
    journal_record_set(&r, JOURNAL_TEXT_UPSTREAM_MODEL, span_make(name, sizeof(name)));
    assert_int_equal(journal_record_text(&r, JOURNAL_TEXT_UPSTREAM_MODEL).len, sizeof(name));
    journal_record_set_invented(&r, JOURNAL_TEXT_MODEL, span_make(name, sizeof(name)));
    struct span cut = journal_record_text(&r, JOURNAL_TEXT_MODEL);
    assert_int_equal(cut.len, JOURNAL_INVENTED_MAX);
    assert_true(span_is(span_cut(cut, cut.len - 3, 3), "\xe2\x80\xa6"));
    journal_record_set_invented(&r, JOURNAL_TEXT_MODEL, SPAN("short"));
    assert_true(says(&r, JOURNAL_TEXT_MODEL, "short"));
}

/* Whoever dies in the middle leaves one of the two texts whole: the new one is laid beside the old
 * one. */
static void a_text_is_set_beside_the_one_before(void **state)
{
    (void)state;
    struct journal_record r = completion();
    struct journal_record made;
    uint32_t used = r.used;
    journal_record_set(&r, JOURNAL_TEXT_KEY, SPAN("0123456789ab"));
    assert_int_equal(r.used, used); /* the same again takes no room */
    struct span before = journal_record_text(&r, JOURNAL_TEXT_UPSTREAM);
    journal_record_copy(&made, &r);
    journal_record_set(&made, JOURNAL_TEXT_UPSTREAM, SPAN("other"));
    made.tokens_out = 99;
    journal_record_update(&r, &made);
    assert_true(says(&r, JOURNAL_TEXT_UPSTREAM, "other"));
    assert_true(span_is(before, "falcon-gpu")); /* still there */
    assert_int_equal(r.used, used + 5);
    assert_int_equal(r.tokens_out, 99);
}

static void a_mad_record_is_not_valid(void **state)
{
    (void)state;
    struct span none = SPAN("");
    struct journal_record r = completion();
    assert_true(journal_record_is_valid(&r, none));
    r.outcome = 99;
    assert_false(journal_record_is_valid(&r, none));
    r = completion();
    r.kind = 0;
    assert_false(journal_record_is_valid(&r, none));
    r = completion();
    r.tokens_in = -1;
    assert_false(journal_record_is_valid(&r, none));
    r = completion();
    r.text[JOURNAL_TEXT_ZONE] = (struct journal_text_at){(uint16_t)r.used, 1};
    assert_false(journal_record_is_valid(&r, none));
    r = completion();
    r.used = JOURNAL_ROOM_BYTES + 1;
    assert_false(journal_record_is_valid(&r, none));
    r = completion();
    r.text[JOURNAL_TEXT_POLICY_DIGEST].len--;
    assert_false(journal_record_is_valid(&r, none));
    r = completion();
    r.room[r.text[JOURNAL_TEXT_MODEL].at] = (char)0xff;
    assert_false(journal_record_is_valid(&r, none));
    r = completion();
    assert_false(journal_record_is_valid(&r, SPAN("{}")));
    r = (struct journal_record){.kind = JOURNAL_ADMIN};
    assert_false(journal_record_is_valid(&r, none));
    r.state_bytes = 2;
    assert_true(journal_record_is_valid(&r, SPAN("{}")));
    assert_false(journal_record_is_valid(&r, SPAN("[]")));
}

/* Whether the record's line, made after bounding, is read back as the record, and has `part`. */
static bool is_bounded_to(struct journal_record r, const char *part)
{
    struct journal_record again;
    struct buf line;
    buf_init(&line, JOURNAL_LINE_MAX);
    assert_false(journal_record_is_valid(&r, SPAN("")));
    journal_record_bound(&r);
    assert_true(journal_record_is_valid(&r, SPAN("")));
    journal_record_write(&r, SPAN(""), &line);
    assert_int_equal(journal_record_parse(buf_span(&line), &again, NULL), ERR_OK);
    bool has = memmem(line.at, line.len, part, strlen(part)) != NULL &&
               memmem(line.at, line.len, ",\"bounded\":true,", 16) != NULL;
    buf_fini(&line);
    return has && again.bounded == 1;
}

static void a_number_that_cannot_be_is_bounded_and_the_line_says_so(void **state)
{
    (void)state;
    struct journal_record r = completion();
    journal_record_bound(&r);
    assert_int_equal(r.bounded, 0);
    r.tokens_out = -1;
    assert_true(is_bounded_to(r, "\"tokens_out\":0,"));
    r = completion();
    r.cost_nano = INT64_MAX;
    assert_true(is_bounded_to(r, "\"cost_nano\":9007199254740991,"));
    r = completion();
    r.tokens_reserved = JOURNAL_NUMBER_MAX + 1;
    assert_true(is_bounded_to(r, "\"tokens_reserved\":9007199254740991,"));
    r = completion();
    r.ended_ms = INT64_MIN;
    assert_true(is_bounded_to(r, "\"ended_ms\":0,"));
}

static void a_state_is_one_object_in_its_one_form(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "{\"a\":1}",
        "{\"a\":-1,\"b\":[],\"c\":{}}",
        "{\"a\":[1,\"x\",true,false,null,[[]]],\"aa\":{\"b\":0}}",
        "{\"B\":\"\xd9\x86\\n\\u0001\",\"a\":9007199254740991}",
    };
    static const char *const bad[] = {
        "",
        "[]",
        "1",
        "{",
        "{}x",
        "{ }",
        "{,}",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\":01}",
        "{\"a\":1.0}",
        "{\"a\":-0}",
        "{a:1}",
        "{\"\":1}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 ,2]}",
        "{\"a\":tru}",
        "{\"b\":1,\"a\":2}",
        "{\"a\":1,\"a\":2}",
        "{\"aa\":1,\"a\":2}",
        "{\"a\\n\":1}",
        "{\"a\":\"\\u0041\"}",
        "{\"a\":\"\x0en\"}",
        "{\"a\":\"\x01u0001\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":9007199254740992}",
        "{\"a\":[[[[1]]]]}",
        "{\"a\":1}}",
        "{\"a\":{]}",
    };
    for (size_t i = 0; i < ROWS(good); i++) {
        if (!journal_state_is_valid(span_of(good[i]))) {
            fail_msg("%s was refused", good[i]);
        }
    }
    for (size_t i = 0; i < ROWS(bad); i++) {
        if (journal_state_is_valid(span_of(bad[i]))) {
            fail_msg("%s was taken", bad[i]);
        }
    }
}

static void a_leaf_is_the_hash_of_a_zero_byte_and_the_line(void **state)
{
    (void)state;
    /* RFC 6962's tree of one leaf, the empty entry: SHA-256 of 00. */
    static const uint8_t empty[] = {0x6e, 0x34, 0x0b, 0x9c, 0xff, 0xb3, 0x7a, 0x98,
                                    0x9c, 0xa5, 0x44, 0xe6, 0xbb, 0x78, 0x0a, 0x2c,
                                    0x78, 0x90, 0x1d, 0x3f, 0xb3, 0x37, 0x38, 0x76,
                                    0x85, 0x11, 0xa3, 0x06, 0x17, 0xaf, 0xa0, 0x1d};
    uint8_t leaf[JOURNAL_HASH_BYTES];
    journal_leaf(SPAN(""), leaf);
    assert_memory_equal(leaf, empty, sizeof(leaf));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_completion_is_one_sorted_line),
        cmocka_unit_test(what_is_written_is_read_back_the_same),
        cmocka_unit_test(another_text_is_refused),
        cmocka_unit_test(lines_that_are_no_records_are_refused),
        cmocka_unit_test(a_value_has_one_form),
        cmocka_unit_test(what_is_too_long_is_cut_between_characters_and_says_so),
        cmocka_unit_test(a_digest_without_room_is_left_out),
        cmocka_unit_test(a_name_that_a_caller_made_up_is_cut_and_one_that_is_configured_is_not),
        cmocka_unit_test(a_text_is_set_beside_the_one_before),
        cmocka_unit_test(a_mad_record_is_not_valid),
        cmocka_unit_test(a_number_that_cannot_be_is_bounded_and_the_line_says_so),
        cmocka_unit_test(a_state_is_one_object_in_its_one_form),
        cmocka_unit_test(a_leaf_is_the_hash_of_a_zero_byte_and_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
