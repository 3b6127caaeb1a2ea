/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_count.c — what a request may cost: its texts as they read, and nothing else. */
#include "unit.h"

#include <stdlib.h>

#include "base/buf.h"
#include "openai/openai_count.h"
#include "quotes.h"
#include "text/text_tokens.h"
#include "json/json_value.h"

/* In steps of `slice` bytes; adds what was found. */
static void count_on(struct openai_count *t, size_t slice, int64_t *read, uint64_t *written)
{
    for (size_t left = slice; !openai_count_step(t, &left); left = slice) {
        assert_int_equal(left, 0);
    }
    *read += openai_count_read(t);
    *written += openai_count_written(t);
}

static int64_t read_of(struct span json, size_t slice)
{
    struct json_index x;
    struct openai_count t;
    int64_t read = 0;
    uint64_t written = 0;
    json_index_init(&x, 1 << 20, 64);
    assert_int_equal(json_index_parse_borrow(&x, json), ERR_OK);
    openai_count_begin(&t, &x);
    count_on(&t, slice, &read, &written);
    json_index_fini(&x);
    return read;
}

static uint64_t written_of(struct span json, size_t slice)
{
    struct json_index x;
    struct openai_count t;
    int64_t read = 0;
    uint64_t written = 0;
    json_index_init(&x, 1 << 20, 200);
    assert_int_equal(json_index_parse_borrow(&x, json), ERR_OK);
    uint32_t choices = json_find_key(&x, 0, SPAN("choices")) + 1;
    for (uint32_t c = json_first(&x, choices); c != JSON_NONE; c = json_next(&x, c)) {
        openai_count_begin_choice(&t, &x, c);
        count_on(&t, slice, &read, &written);
    }
    json_index_fini(&x);
    return written;
}

/* The tokens of a request, which are the same in slices of any size. */
static int64_t request(const char *json)
{
    struct arena arena;
    arena_init(&arena, 4 << 20);
    struct span text = quoted(&arena, json);
    int64_t whole = read_of(text, SIZE_MAX);
    for (size_t slice = 1; slice < 100; slice += 33) {
        assert_int_equal(read_of(text, slice), whole);
    }
    arena_fini(&arena);
    return whole;
}

/* The eighths of an answer's choices. */
static uint64_t answer(const char *json)
{
    struct arena arena;
    arena_init(&arena, 4 << 20);
    struct span text = quoted(&arena, json);
    uint64_t whole = written_of(text, SIZE_MAX);
    for (size_t slice = 1; slice < 100; slice += 33) {
        assert_int_equal(written_of(text, slice), whole);
    }
    arena_fini(&arena);
    return whole;
}

#define USER(content) "{'model':'m','messages':[{'role':'user','content':" content "}]}"

static void a_request_costs_what_a_model_reads(void **state)
{
    (void)state;
    static const struct {
        const char *why, *json;
        int64_t tokens;
    } rows[] = {
        {"nothing", "{'model':'a model with a long name'}", 0},
        {"a message without content", "{'messages':[{'role':'user'}]}", 4},
        {"eight letters", USER("'abcdefgh'"), 4 + 2},
        {"two messages", "{'messages':[{'content':'abcd'},{'content':'abcd'}]}", 8 + 2},
        {"a name", "{'messages':[{'content':'abcd','name':'abcd'}]}", 4 + 2},
        {"labels", "{'user':'abcdefgh','stop':['abcd'],'metadata':{'abcd':'abcd'}}", 0},
        {"a prompt", "{'prompt':'abcdefgh'}", 2 + 2},
        {"inputs", "{'input':['abcd','abcd','abcd']}", 3 * (2 + 1)},
        {"a definition's keys and values",
         "{'tools':[{'type':'function','function':{'name':'abcd','parameters':{'abcd':'abcd'}}}]}",
         1 + 2 + 3 + 2 * (2 + 1)}, /* `parameters` is 20 eighths */
        {"what nobody knows", "{'documents':['abcd','abcdabcd']}", 3},
        {"a picture", USER("[{'image_url':{'url':'data:image/png;base64,AAAAAAAA'}}]"), 4 + 1445},
        {"a small one", USER("[{'image_url':{'detail':'low','url':'data:,AAAA'}}]"), 4 + 85},
        {"one that lies elsewhere", USER("[{'image_url':{'url':'https://x/y'}}]"), 4 + 1445},
        {"sound", USER("[{'input_audio':{'data':'AAAA'}}]"), 4 + 1},
        {"a film elsewhere", USER("[{'video_url':{'url':'http://x'}}]"), 4 + 1445},
        {"a file", USER("[{'file':{'file_data':'AAAA'}}]"), 4 + 1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t found = request(rows[i].json);
        if (found != rows[i].tokens) {
            fail_msg("%s: %lld", rows[i].why, (long long)found);
        }
    }
}

#define RAW "'مرحبا بالعالم 😀'"
#define ESCAPED                                                                               \
    "'\\u0645\\u0631\\u062d\\u0628\\u0627 \\u0628\\u0627\\u0644\\u0639\\u0627\\u0644\\u0645 " \
    "\\ud83d\\ude00'"
#define SAID(content) "{'choices':[{'delta':{'content':" content "}}]}"

static void escapes_cost_what_they_say(void **state)
{
    (void)state;
    assert_int_equal(request(USER(ESCAPED)), request(USER(RAW)));
    assert_int_equal(answer(SAID(ESCAPED)), answer(SAID(RAW)));
    assert_int_equal(answer(SAID(RAW)), 12 * 7 + 2 * 2 + 32);
}

/* What the one text of `json` says, by the plain way: undone, then counted a character at a time.
 */
static uint64_t cost_undone(struct span json)
{
    struct json_index x;
    json_index_init(&x, 100, 10);
    assert_int_equal(json_index_parse_borrow(&x, json), ERR_OK);
    uint32_t row = x.count - 1;
    uint8_t *said = malloc(json_inside(&x, row).len + 1);
    assert_non_null(said);
    uint64_t eighths =
        text_token_eighths_portable(span_make(said, json_unescape(&x, row, said, NULL)));
    free(said);
    json_index_fini(&x);
    return eighths;
}

/* Escapes of every kind among texts, by a generator, counted at once and in slices. */
static void a_text_costs_what_it_says_costs_however_it_is_written(void **state)
{
    (void)state;
    static const char *const runs[] = {
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u0627\\u0644",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\ude00",
        "\\\\u0041",
        "\\u00e9",
        "a few letters",
        "مرحبا بالعالم",
        "人人",
        "😀",
        "42",
        "\\b\\f\\r\\t",
        "x",
        "that a block of bytes ends behind the beginning",
    };
    uint32_t random = 1;
    for (int round = 0; round < 2000; round++) {
        struct buf b;
        buf_init(&b, 1 << 20);
        buf_put(&b, SPAN("{\"choices\":[{\"text\":\""));
        for (uint32_t left = random >> 27; left > 0; left--) {
            random = random * 1664525 + 1013904223;
            buf_put(&b, span_of(runs[(random >> 16) % ROWS(runs)]));
        }
        random = random * 1664525 + 1013904223;
        buf_put(&b, SPAN("\"}]}"));
        uint64_t wanted = cost_undone(buf_span(&b));
        for (size_t slice = 1; slice < 120; slice += 17) {
            if (written_of(buf_span(&b), slice) != wanted) {
                fail_msg("in slices of %zu: %.*s", slice, SPAN_ARGS(buf_span(&b)));
            }
        }
        assert_int_equal(written_of(buf_span(&b), SIZE_MAX), wanted);
        buf_fini(&b);
    }
}

static void a_picture_costs_the_same_at_any_size(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8 << 20);
    buf_put(&b,
            SPAN("{\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"data:image/png;base64,"));
    uint8_t *to = buf_reserve(&b, 4 << 20);
    assert_non_null(to);
    memset(to, 'A', 4 << 20);
    buf_added(&b, 4 << 20);
    buf_put(&b, SPAN("\"}}]}]}"));
    assert_int_equal(read_of(buf_span(&b), 1000), 4 + 1445);
    buf_fini(&b);
}

static void an_answer_cost_what_the_model_wrote(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint64_t eighths;
    } rows[] = {
        {"{'choices':[{'delta':{'role':'assistant','content':'abcd'}}],'model':'m'}", 8},
        {"{'choices':[{'delta':{'content':'a'}}]}", 2},
        {"{'choices':[{'message':{'reasoning':'ab','refusal':'cd'}},{'text':'ef'}]}", 12},
        {"{'choices':[{'delta':{'tool_calls':[{'id':'abcd','type':'function','function':"
         "{'name':'ab','arguments':'{}'}}]}}]}",
         14},
        {"{'choices':[{'message':{'function_call':{'name':'ab','arguments':'{}'}}}]}", 14},
        {"{'choices':[{'message':{'tool_calls':[{'function':{'arguments':{'ab':'cd','n':1}}}]}}]}",
         10},
        {"{'choices':[{'message':{'content':[{'type':'text','text':'ab'},{'type':'thinking',"
         "'thinking':[{'type':'text','text':'cd'}]}]}}]}",
         8},
        {"{'choices':[{'logprobs':{'content':[{'token':'abcd','top_logprobs':[{'token':'x'}]}]},"
         "'finish_reason':'stop','index':0}],'more':'text'}",
         0},
        {"{'choices':[{'message':{'audio':{'id':'a','data':'AAAAAAAA','transcript':'ab'}}}]}", 4},
        {"{'choices':[{'message':{'images':[{'image_url':{'url':'data:image/png;base64,AAAA'}}]}}]"
         "}",
         0},
        {"{'choices':[{'delta':{'content':[{'image_url':{'url':'data:image/png;base64,AAAA'}},"
         "{'text':'ab'}]}}]}",
         4},
        {"{'choices':[]}", 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        uint64_t found = answer(rows[i].json);
        if (found != rows[i].eighths) {
            fail_msg("%s: %llu", rows[i].json, (unsigned long long)found);
        }
    }
}

/* The worst of documents gives back control after a slice. */
static void a_step_is_as_short_as_its_budget(void **state)
{
    (void)state;
    struct buf b;
    struct json_index x;
    struct openai_count t;
    buf_init(&b, 8 << 20);
    buf_put(&b, SPAN("{\"messages\":[{\"content\":\""));
    for (int i = 0; i < 100000; i++) {
        buf_put(&b, SPAN("\\u0627"));
    }
    buf_put(&b, SPAN("\"}],\"x\":[0"));
    for (int i = 0; i < 100000; i++) {
        buf_put(&b, SPAN(",0"));
    }
    buf_put(&b, SPAN("]}"));
    json_index_init(&x, 1 << 20, 64);
    assert_int_equal(json_index_parse_borrow(&x, buf_span(&b)), ERR_OK);
    openai_count_begin(&t, &x);
    int steps = 1;
    size_t left = 4096;
    for (uint32_t row = 0; !openai_count_step(&t, &left); steps++, left = 4096) {
        assert_true(t.texts.row - row <= 4096 / 16 + 1);
        row = t.texts.row;
    }
    assert_in_range(steps, 500, 1000);
    json_index_fini(&x);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_costs_what_a_model_reads),
        cmocka_unit_test(escapes_cost_what_they_say),
        cmocka_unit_test(a_text_costs_what_it_says_costs_however_it_is_written),
        cmocka_unit_test(a_picture_costs_the_same_at_any_size),
        cmocka_unit_test(an_answer_cost_what_the_model_wrote),
        cmocka_unit_test(a_step_is_as_short_as_its_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
