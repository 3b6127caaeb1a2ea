/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_usage.c — what is recorded of a call: what the server says, where that can be. */
#include "unit.h"

#include "openai/openai_usage.h"

#define TEXT ((uint64_t)1000 * 8) /* eighths: an answer of 1000 tokens, as we count */
#define HUGE (INT64_C(1) << 40)

/* What was said of a prompt of 9 tokens, and of the output when so much of it was seen. */
#define SAID(out, seen)                                                                   \
    {                                                                                     \
        .has_input = true, .input_tokens = 9, .has_output = true, .output_tokens = (out), \
        .written = (seen)                                                                 \
    }

static const struct {
    const char *why;
    struct openai_usage said;
    struct openai_seen seen;
    struct openai_settled recorded;
} rows[] = {
    {"what the server says",
     {.has_input = true,
      .input_tokens = 9,
      .cached_tokens = 4,
      .reasoning_tokens = 600,
      .has_output = true,
      .output_tokens = 700,
      .written = TEXT},
     {100, 30, false, TEXT, -1, true},
     {9, 700, 4, 600, false, false}},
    {"more thoughts and cached tokens than there are of all",
     {.has_input = true,
      .input_tokens = 9,
      .cached_tokens = 10,
      .reasoning_tokens = 701,
      .has_output = true,
      .output_tokens = 700,
      .written = TEXT},
     {100, 30, false, TEXT, -1, true},
     {9, 700, 9, 700, false, false}},
    {"nothing was said",
     {.has_input = false},
     {100, 30, false, TEXT, -1, true},
     {30, 1000, 0, 0, true, true}},
    {"token numbers were counted",
     {.has_input = false},
     {100, 30, true, TEXT, -1, true},
     {30, 1000, 0, 0, false, true}},
    {"no output was said",
     {.has_input = true, .input_tokens = 9, .written = TEXT},
     {100, 30, false, TEXT, -1, true},
     {9, 1000, 0, 0, false, true}},
    {"a part of a token is one",
     {.has_input = true, .input_tokens = 9},
     {100, 30, false, 9, -1, true},
     {9, 2, 0, 0, false, true}},
    {"vectors are no output",
     {.has_input = true, .input_tokens = 9},
     {100, 30, false, 0, -1, false},
     {9, 0, 0, 0, false, false}},
    {"said before the text",
     SAID(1, 0),
     {100, 30, false, TEXT, -1, true},
     {9, 1001, 0, 0, false, true}},
    {"said in the middle",
     SAID(800, TEXT - 800),
     {100, 30, false, TEXT, -1, true},
     {9, 900, 0, 0, false, true}},
    {"less than was seen",
     SAID(1, 64 * TEXT),
     {100, 30, false, 64 * TEXT, -1, true},
     {9, 2000, 0, 0, false, true}},
    {"as little as can be",
     SAID(2000, 64 * TEXT),
     {100, 30, false, 64 * TEXT, -1, true},
     {9, 2000, 0, 0, false, false}},
    {"as much as was asked for, which cannot be",
     SAID(HUGE, TEXT),
     {100, 30, false, TEXT, HUGE, true},
     {9, 1000, 0, 0, false, true}},
    {"none where there is some",
     SAID(0, TEXT),
     {100, 30, false, TEXT, -1, true},
     {9, 1000, 0, 0, false, true}},
    {"none where there is none",
     SAID(0, 0),
     {100, 30, false, 0, -1, true},
     {9, 0, 0, 0, false, false}},
    {"no prompt where there is one",
     {.has_input = true, .has_output = true, .output_tokens = 700, .written = TEXT},
     {100, 30, false, TEXT, -1, true},
     {30, 700, 0, 0, true, false}},
    {"more than was asked for",
     SAID(HUGE, 80),
     {100, 30, false, 80, 50, true},
     {9, 50, 0, 0, false, true}},
    {"but no less than was seen",
     SAID(HUGE, TEXT),
     {100, 30, false, TEXT, 50, true},
     {9, 1000, 0, 0, false, true}},
    {"as much as was asked for",
     SAID(50, 80),
     {100, 30, false, 80, 50, true},
     {9, 50, 0, 0, false, false}},
    {"none was asked for: the answer says the prompt again",
     SAID(0, TEXT),
     {100, 30, false, TEXT, 0, true},
     {9, 0, 0, 0, false, false}},
    {"few were asked for, and stand behind the prompt",
     SAID(1, 64 * TEXT),
     {100, 30, false, 64 * TEXT, 1, true},
     {9, 1, 0, 0, false, false}},
    {"more than any thought is long",
     {.has_input = true,
      .input_tokens = HUGE,
      .cached_tokens = HUGE,
      .has_output = true,
      .output_tokens = HUGE,
      .written = TEXT},
     {100, 30, false, TEXT, -1, true},
     {30, 1000, 30, 0, true, true}},
    {"thoughts that nobody saw",
     SAID(90000, TEXT),
     {100, 30, false, TEXT, -1, true},
     {9, 90000, 0, 0, false, false}},
};

static void expect(const char *why, const struct openai_settled *t, const struct openai_settled *r)
{
    if (t->input != r->input || t->output != r->output || t->cached != r->cached ||
        t->reasoning != r->reasoning || t->input_estimated != r->input_estimated ||
        t->output_estimated != r->output_estimated) {
        fail_msg("%s: %lld in (estimated %d), %lld out (%d), %lld cached, %lld thought", why,
                 (long long)t->input, t->input_estimated, (long long)t->output, t->output_estimated,
                 (long long)t->cached, (long long)t->reasoning);
    }
}

static void what_cannot_be_is_bounded_and_marked(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct openai_settled t = openai_usage_settle(&rows[i].said, &rows[i].seen);
        expect(rows[i].why, &t, &rows[i].recorded);
    }
}

/* A whole reply is not counted where its usage is plain: then nothing that it could hold would
 * make another number of it. */
static void what_is_plain_is_the_same_however_much_was_written(void **state)
{
    (void)state;
    static const int64_t asked[] = {-1, 0, 1, 50, 2000, HUGE};
    static const int64_t outputs[] = {0, 1, 2, 31, 32, 50, 51, 2000, 2001, 1 << 20, HUGE};
    size_t plain = 0;
    for (size_t a = 0; a < ROWS(asked); a++) {
        for (size_t o = 0; o < ROWS(outputs); o++) {
            for (size_t bytes = 0; bytes < 70000; bytes = bytes * 3 + 1) {
                struct openai_usage said = SAID(outputs[o], 0);
                struct openai_seen seen = {100, 30, false, 0, asked[a], true};
                if (!openai_usage_is_plain(&said, bytes, asked[a])) {
                    continue;
                }
                struct openai_settled uncounted = openai_usage_settle(&said, &seen);
                plain++;
                for (uint64_t written = 0; written <= bytes * 8; written += bytes + 1) {
                    said.written = seen.written = written;
                    struct openai_settled counted = openai_usage_settle(&said, &seen);
                    expect("counted", &counted, &uncounted);
                }
            }
        }
    }
    assert_true(plain > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_is_bounded_and_marked),
        cmocka_unit_test(what_is_plain_is_the_same_however_much_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
