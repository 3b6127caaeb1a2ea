/* SPDX-License-Identifier: Apache-2.0 */
/* test_main_filter.c — which records are asked for. */
#include "unit.h"

#include "crypto/call_id.h"
#include "journal/journal_record.h"
#include "main/main_filter.h"

#define NOON_MS 1795521600000 /* 2026-11-24T12:00:00Z */

static const wall_us now = {NOON_MS * INT64_C(1000)};

static void a_wish_that_cannot_be_is_refused_in_a_sentence(void **state)
{
    (void)state;
    static const struct {
        struct main_wish wish;
        bool is_right;
    } rows[] = {
        {{.since = "2026-11-24"}, true},
        {{.since = "2026-11-24T11:00"}, true},
        {{.since = "2026-11-24T11:00:05Z", .until = "30m"}, true},
        {{.key = "PXGv2C3FZp13"}, true},
        {{.call = "01M8K2FXJXVGQW43NMFWWWYTX9"}, true},
        {{.since = "yesterday"}, false},
        {{.since = "2026-11-24 and more"}, false},
        {{.until = "2026-13-01"}, false},
        {{.since = "2026-11-24T11:00", .until = "90m"}, false},
        {{.key = "nope"}, false},
        {{.key = "\"\"\"\"\"\"\"\"\"\"\"\""}, false},
        {{.call = "01M8"}, false},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct main_filter f;
        if ((main_filter_read(&rows[r].wish, now, &f) == NULL) != rows[r].is_right) {
            fail_msg("row %zu", r);
        }
    }
}

/* What a record of a call that began or ended `ago_ms` before noon is to the wish. */
static enum main_filtered look(const struct main_wish *wish, enum journal_kind kind, int64_t ago_ms,
                               struct crypto_call_id *id)
{
    struct main_filter f;
    struct buf line;
    struct journal_record r = {.kind = (uint8_t)kind, .sequence = 1, .attempt = 1};
    crypto_call_id_make((wall_us){(NOON_MS - ago_ms) * 1000}, id);
    memcpy(r.call_id, id->bytes, sizeof(r.call_id));
    r.outcome = kind == JOURNAL_COMPLETION ? JOURNAL_OUTCOME_OK : JOURNAL_OUTCOME_NONE;
    r.started_ms = r.attempt_ms = r.ended_ms = NOON_MS - ago_ms;
    if (kind == JOURNAL_INTENT) {
        r.ended_ms = 0;
    }
    journal_record_set(&r, JOURNAL_TEXT_KEY, SPAN("PXGv2C3FZp13"));
    /* a caller's own words */
    journal_record_set(&r, JOURNAL_TEXT_MODEL, SPAN("\"key\":\"AAAAAAAAAAAA\""));
    struct main_wish mine = *wish;
    mine.call = wish->call == NULL ? NULL : id->text;
    assert_null(main_filter_read(&mine, now, &f));
    buf_init(&line, JOURNAL_LINE_MAX);
    journal_record_write(&r, SPAN(""), &line);
    enum main_filtered found = main_filter_look(&f, buf_span(&line));
    buf_fini(&line);
    return found;
}

static void records_pass_by_call_key_and_time(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct main_wish wish;
        enum journal_kind kind;
        int64_t ago_ms;
        enum main_filtered expect;
    } rows[] = {
        {"nothing is asked for", {.call = NULL}, JOURNAL_INTENT, 5000, MAIN_FILTER_PASSES},
        {"the key", {.key = "PXGv2C3FZp13"}, JOURNAL_INTENT, 5000, MAIN_FILTER_PASSES},
        {"another key, though a model is called so",
         {.key = "AAAAAAAAAAAA"},
         JOURNAL_INTENT,
         5000,
         MAIN_FILTER_NOT},
        {"the call goes on", {.call = "its own"}, JOURNAL_INTENT, 5000, MAIN_FILTER_PASSES},
        {"the call's end is the last",
         {.call = "its own"},
         JOURNAL_COMPLETION,
         5000,
         MAIN_FILTER_LAST},
        {"since", {.since = "1m"}, JOURNAL_COMPLETION, 5000, MAIN_FILTER_PASSES},
        {"before", {.since = "1m"}, JOURNAL_COMPLETION, 61000, MAIN_FILTER_NOT},
        {"until", {.until = "1m"}, JOURNAL_COMPLETION, 60000, MAIN_FILTER_PASSES},
        {"a little after: one from before may follow",
         {.until = "1m"},
         JOURNAL_COMPLETION,
         5000,
         MAIN_FILTER_NOT},
        {"long after", {.until = "1h"}, JOURNAL_COMPLETION, 5000, MAIN_FILTER_OVER},
        {"a day is a whole one",
         {.since = "2026-11-24", .until = "2026-11-24"},
         JOURNAL_INTENT,
         5000,
         MAIN_FILTER_PASSES},
        {"the day before", {.until = "2026-11-23"}, JOURNAL_INTENT, 5000, MAIN_FILTER_OVER},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct crypto_call_id id;
        enum main_filtered found = look(&rows[r].wish, rows[r].kind, rows[r].ago_ms, &id);
        if (found != rows[r].expect) {
            fail_msg("%s: %d", rows[r].why, found);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wish_that_cannot_be_is_refused_in_a_sentence),
        cmocka_unit_test(records_pass_by_call_key_and_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
