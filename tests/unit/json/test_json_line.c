/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_line.c — a line written straight is what json_write.h writes. */
#include "unit.h"

#include "json/json_line.h"
#include "json/json_write.h"

#define ROOM 4096

static void is_as_written(const uint8_t *from, const uint8_t *end, const struct buf *b)
{
    struct span want = buf_span(b);
    assert_int_equal(end - from, want.len);
    assert_memory_equal(from, want.at, want.len);
}

/* In a block of its very size, so that a sanitizer sees a byte read beyond it. */
static void text_is_as_written(const uint8_t *bytes, size_t len)
{
    uint8_t line[ROOM], *text = malloc(len + (len == 0));
    struct json_writer w;
    struct buf b;
    assert_non_null(text);
    if (len > 0) {
        memcpy(text, bytes, len);
    }
    buf_init(&b, ROOM);
    json_write_init(&w, &b);
    json_write_string(&w, span_make(text, len));
    assert_int_equal(json_write_finish(&w), ERR_OK);
    is_as_written(line, json_line_text(line, span_make(text, len)), &b);
    buf_fini(&b);
    free(text);
}

static void int_is_as_written(int64_t number)
{
    uint8_t line[JSON_LINE_INT_MOST + JSON_LINE_SLACK];
    struct json_writer w;
    struct buf b;
    buf_init(&b, ROOM);
    json_write_init(&w, &b);
    json_write_int(&w, number);
    assert_int_equal(json_write_finish(&w), ERR_OK);
    is_as_written(line, json_line_int(line, number), &b);
    buf_fini(&b);
}

static void a_text_of_any_length_with_any_byte_anywhere_is_written_alike(void **state)
{
    (void)state;
    uint8_t text[70];
    for (size_t len = 0; len < sizeof(text); len++) {
        memset(text, 'x', sizeof(text));
        text_is_as_written(text, len);
        for (size_t at = 0; at < len; at++) {
            static const uint8_t odd[] = {'"', '\\', 0, '\n', '\b', '\t', '\f', '\r', 0x1f, 0x7f};
            for (size_t i = 0; i < sizeof(odd); i++) {
                text[at] = odd[i];
                text_is_as_written(text, len);
            }
            text[at] = 'x';
        }
    }
    static const char arabic[] = "الوزارة \"تعلن\"\n محطات";
    text_is_as_written((const uint8_t *)arabic, sizeof(arabic) - 1);
}

static void a_number_of_any_length_is_written_alike(void **state)
{
    (void)state;
    for (int64_t power = 1; power > 0 && power < INT64_MAX / 10; power *= 10) {
        for (int64_t by = -2; by <= 2; by++) {
            int_is_as_written(power + by);
            int_is_as_written(-power + by);
            int_is_as_written(power * 7 + by);
        }
    }
    for (uint64_t i = 1, number = 1; i < 20000; i++) {
        number = number * 6364136223846793005u + 1442695040888963407u;
        int_is_as_written((int64_t)(number >> i % 64));
    }
    int_is_as_written(INT64_MAX);
    int_is_as_written(INT64_MIN);
}

static void literals_and_truths_follow_one_another(void **state)
{
    (void)state;
    uint8_t line[64], *to = JSON_LINE(line, "{\"a\":");
    to = json_line_bool(to, true);
    to = JSON_LINE(to, ",\"b\":");
    to = json_line_bool(to, false);
    to = JSON_LINE(to, "}");
    static const char want[] = "{\"a\":true,\"b\":false}";
    assert_int_equal(to - line, sizeof(want) - 1);
    assert_memory_equal(line, want, sizeof(want) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_of_any_length_with_any_byte_anywhere_is_written_alike),
        cmocka_unit_test(a_number_of_any_length_is_written_alike),
        cmocka_unit_test(literals_and_truths_follow_one_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
