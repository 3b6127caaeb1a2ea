/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal_record.c — a record has one text, and only that text is read back. */
#include "unit.h"

#include "journal/journal_record.h"

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
        .cost_micro = 77,
        .status = 200,
        .kind = JOURNAL_COMPLETION,
        .outcome = JOURNAL_OUTCOME_OK,
        .attempt = 1,
        .stream = 1,
        .tokens_out_estimated = 1,
        .attempts_sent = 1,
    };
    journal_set_text(r.key_id, SPAN("0123456789ab"));
    journal_set_text(r.endpoint, SPAN("chat"));
    journal_set_text(r.model, SPAN("openai/\"q\"\\\n\x01 \xd9\x86"));
    journal_set_text(r.upstream, SPAN("falcon-gpu"));
    journal_set_text(r.home_region, SPAN("sa"));
    return r;
}

static void a_completion_is_one_sorted_line(void **state)
{
    (void)state;
    struct journal_record r = completion();
    struct buf out;
    buf_init(&out, JOURNAL_LINE_MAX);
    journal_record_write(&r, &out);
    assert_false(buf_failed(&out));
    buf_put_byte(&out, 0);
    assert_string_equal(
        (const char *)buf_span(&out).at,
        "{\"attempt\":1,\"attempt_ms\":1790000000002,\"attempts_sent\":1,\"bytes_in\":1700,"
        "\"bytes_out\":600,"
        "\"call\":\"01janwvvr1041061050r3gg28a\",\"cost_micro\":77,\"ended_ms\":1790000000004,"
        "\"endpoint\":\"chat\",\"error\":\"\",\"first_byte_ms\":1790000000003,"
        "\"home_region\":\"sa\",\"key\":\"0123456789ab\",\"kind\":\"completion\","
        "\"model\":\"openai/\\\"q\\\"\\\\\\n\\u0001 \xd9\x86\",\"outcome\":\"ok\",\"peer\":\"\","
        "\"policy\":\"\",\"region\":\"\",\"schema\":1,\"seq\":42,\"started_ms\":1790000000001,"
        "\"status\":200,\"stream\":true,\"tokens_cached\":5,\"tokens_in\":12,"
        "\"tokens_in_estimated\":false,\"tokens_out\":34,\"tokens_out_estimated\":true,"
        "\"tokens_reserved\":4096,\"upstream\":\"falcon-gpu\",\"upstream_model\":\"\","
        "\"zone\":\"\"}");
    buf_fini(&out);
}

/* The members that `kind` has, filled with the largest and longest there is. */
static struct journal_record largest(enum journal_kind kind)
{
    struct journal_record r;
    memset(&r, 0, sizeof(r));
    r.kind = (uint8_t)kind;
    r.sequence = r.started_ms = JOURNAL_NUMBER_MAX;
    if (kind == JOURNAL_RECOVERY) {
        r.cut_bytes = r.cut_offset = r.cut_segment = JOURNAL_NUMBER_MAX;
        return r;
    }
    memset(r.call_id, 0xff, sizeof(r.call_id));
    r.attempt = UINT8_MAX;
    r.stream = r.tokens_in_estimated = 1;
    r.attempt_ms = r.bytes_in = r.cost_micro = r.tokens_in = r.tokens_reserved = JOURNAL_NUMBER_MAX;
    char worst[256];
    memset(worst, 1, sizeof(worst));
    struct span text = span_make(worst, sizeof(worst));
    journal_set_text(r.key_id, text);
    journal_set_text(r.endpoint, text);
    journal_set_text(r.model, text);
    journal_set_text(r.upstream, text);
    journal_set_text(r.upstream_model, text);
    journal_set_text(r.region, text);
    journal_set_text(r.zone, text);
    journal_set_text(r.home_region, text);
    journal_set_text(r.policy, text);
    if (kind == JOURNAL_COMPLETION) {
        r.status = UINT16_MAX;
        r.outcome = JOURNAL_OUTCOME_CLIENT_GONE;
        r.tokens_out_estimated = 1;
        r.attempts_sent = UINT8_MAX;
        r.first_byte_ms = r.ended_ms = r.tokens_out = r.tokens_cached = JOURNAL_NUMBER_MAX;
        r.bytes_out = JOURNAL_NUMBER_MAX;
        journal_set_text(r.peer, text);
        journal_set_text(r.error, text);
    }
    return r;
}

static void what_is_written_is_read_back_the_same(void **state)
{
    (void)state;
    struct journal_record rows[] = {completion(), largest(JOURNAL_INTENT),
                                    largest(JOURNAL_COMPLETION), largest(JOURNAL_RECOVERY)};
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct journal_record again;
        struct buf out;
        buf_init(&out, JOURNAL_LINE_MAX);
        assert_true(journal_record_is_valid(&rows[i]));
        journal_record_write(&rows[i], &out);
        assert_false(buf_failed(&out));
        assert_int_equal(journal_record_parse(buf_span(&out), &again), ERR_OK);
        assert_memory_equal(&again, &rows[i], sizeof(again));
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
    journal_record_write(&r, &out);
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
            if (journal_record_parse(changed, &got) == ERR_OK) {
                struct buf again;
                buf_init(&again, JOURNAL_LINE_MAX);
                journal_record_write(&got, &again);
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
        "{\"cut_bytes\":1,\"cut_offset\":1,\"cut_segment\":1,\"kind\":\"recovery\",\"schema\":2,"
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
        assert_int_equal(journal_record_parse(span_of(lines[i]), &got), ERR_VALUE_INVALID);
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
    journal_record_write(&r, &line);
    struct span all = buf_span(&line);
    size_t at = (size_t)((const uint8_t *)memmem(all.at, all.len, member, strlen(member)) - all.at);
    size_t end = at + strlen(member);
    buf_put(&changed, span_cut(all, 0, end));
    buf_put_text(&changed, value);
    while (all.at[end] != ',') {
        end++;
    }
    buf_put(&changed, span_cut(all, end, all.len));
    enum err e = journal_record_parse(buf_span(&changed), &got);
    buf_fini(&line);
    buf_fini(&changed);
    return e;
}

static void a_value_has_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *member, *good, *bad[12];
    } rows[] = {
        {"\"tokens_in\":",
         "0",
         {"00", "012", "-1", "+1", "1.0", "1e1", "", "9007199254740992", " 1"}},
        {"\"status\":", "65535", {"65536", "\"1\"", "true", "null"}},
        {"\"attempt\":", "255", {"256", "1 "}},
        {"\"stream\":", "false", {"False", "1", "null", "\"true\"", "truefalse"}},
        {"\"kind\":", "\"completion\"", {"\"intent\"", "\"Completion\"", "\"\"", "1"}},
        {"\"outcome\":", "\"client_gone\"", {"\"gone\"", "\"ok", "ok", "null"}},
        {"\"schema\":", "1", {"2", "0", "01"}},
        {"\"call\":",
         "\"01janwvvr1041061050r3gg28a\"",
         {"\"01JANWVVR1041061050r3gg28a\"", "\"81janwvvr1041061050r3gg28a\"",
          "\"01janwvvr1041061050r3gg28\"", "\"01janwvvr1041061050r3gg28aa\"",
          "\"01lanwvvr1041061050r3gg28a\""}},
        {"\"upstream\":",
         "\"a\\u001f\\n\\\\\\\"/\x7f\xd9\x86\"",
         {"\"\\/\"", "\"\\u000a\"", "\"\\u001F\"", "\"\\u0041\"", "\"\\u0020\"", "\"\\u0000\"",
          "\"\\ud800\"", "\"\\x\"", "\"\x01\"", "\"\xff\"", "\"\\u00\"", "\"\\"}},
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

static void texts_are_cut_between_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expect;
    } rows[] = {
        {"", ""},
        {"abc", "abc"},
        {"abcdefgh", "abcdefg"},
        {"abcdef\xd9\x86", "abcdef"},
        {"abcde\xd9\x86x", "abcde\xd9\x86"},
        {"a\xff\xc0\x80", "a???"},
        {"\xed\xa0\x80", "???"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char out[8];
        memset(out, 'z', sizeof(out));
        journal_copy_text(span_of(rows[i].text), out, sizeof(out));
        assert_string_equal(out, rows[i].expect);
    }
}

static void a_mad_record_is_not_valid(void **state)
{
    (void)state;
    struct journal_record r = completion();
    assert_true(journal_record_is_valid(&r));
    r.outcome = 99;
    assert_false(journal_record_is_valid(&r));
    r = completion();
    r.kind = 0;
    assert_false(journal_record_is_valid(&r));
    r = completion();
    r.tokens_in = -1;
    assert_false(journal_record_is_valid(&r));
    r = completion();
    memset(r.zone, 'a', sizeof(r.zone));
    assert_false(journal_record_is_valid(&r));
    r = completion();
    r.model[0] = (char)0xff;
    assert_false(journal_record_is_valid(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_completion_is_one_sorted_line),
        cmocka_unit_test(what_is_written_is_read_back_the_same),
        cmocka_unit_test(another_text_is_refused),
        cmocka_unit_test(lines_that_are_no_records_are_refused),
        cmocka_unit_test(a_value_has_one_form),
        cmocka_unit_test(texts_are_cut_between_characters),
        cmocka_unit_test(a_mad_record_is_not_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
