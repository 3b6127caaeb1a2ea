/* SPDX-License-Identifier: Apache-2.0 */
/* test_upstream_error.c — what the errors of all kinds of servers become; and their quirks. */
#include "unit.h"

#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "upstream/upstream_error.h"
#include "upstream/upstream_kind.h"
#include "upstream/upstream_reason.h"
#include "upstream/upstream_refusal.h"

static const struct {
    const char *why;
    enum upstream_kind kind;
    int status;
    const char *type, *body;
    enum err err;
    const char *message, *param;
} rows[] = {
    {"vLLM, nested with a number as code", UPSTREAM_VLLM, 400, "application/json",
     "{\"error\":{\"message\":\"top_p must be in (0, 1]\",\"type\":\"BadRequestError\","
     "\"param\":\"top_p\",\"code\":400}}",
     ERR_UPSTREAM_REQUEST, "top_p must be in (0, 1]", "top_p"},
    {"vLLM, too long", UPSTREAM_VLLM, 400, "application/json",
     "{\"error\":{\"message\":\"This model's maximum context length is 10 tokens.\",\"code\":400}}",
     ERR_CONTEXT_LENGTH, "This model's maximum context length is 10 tokens.", ""},
    {"vLLM, our key is wrong", UPSTREAM_VLLM, 401, "application/json",
     "{\"error\":\"Unauthorized\"}", ERR_UPSTREAM_REFUSED, "", ""},
    {"vLLM, our model is wrong", UPSTREAM_VLLM, 404, "application/json",
     "{\"error\":{\"message\":\"The model `secret-name` does not exist.\"}}", ERR_UPSTREAM_MODEL,
     "", ""},
    {"an older vLLM, the same", UPSTREAM_VLLM, 404, "application/json",
     "{\"object\":\"error\",\"message\":\"The model `x` does not exist.\",\"type\":"
     "\"NotFoundError\",\"param\":null,\"code\":404}",
     ERR_UPSTREAM_MODEL, "", ""},
    {"the same in a stream", UPSTREAM_VLLM, 0, "",
     "{\"error\":{\"message\":\"The model `x` does not exist.\",\"type\":\"NotFoundError\"}}",
     ERR_UPSTREAM_MODEL, "", ""},
    {"Ollama, the same", UPSTREAM_OLLAMA, 404, "application/json",
     "{\"error\":{\"message\":\"model \\\"x\\\" not found, try pulling it first\",\"type\":"
     "\"api_error\",\"param\":null,\"code\":null}}",
     ERR_UPSTREAM_MODEL, "", ""},
    {"Ollama's own endpoints", UPSTREAM_OLLAMA, 404, "application/json",
     "{\"error\":\"model 'x' not found\"}", ERR_UPSTREAM_MODEL, "", ""},
    {"OpenAI, by its code", UPSTREAM_OPENAI, 404, "application/json",
     "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\"}}", ERR_UPSTREAM_MODEL, "", ""},
    {"a path that is not there", UPSTREAM_VLLM, 404, "application/json",
     "{\"detail\":\"Not Found\"}", ERR_UPSTREAM_REFUSED, "", ""},
    {"a page that is not there", UPSTREAM_OLLAMA, 404, "text/plain", "404 page not found",
     ERR_UPSTREAM_REFUSED, "", ""},
    {"an older vLLM, flat", UPSTREAM_VLLM, 400, "application/json",
     "{\"object\":\"error\",\"message\":\"no\",\"type\":\"invalid\",\"param\":null,\"code\":40303}",
     ERR_UPSTREAM_REQUEST, "no", ""},
    {"SGLang, flat", UPSTREAM_SGLANG, 400, "application/json",
     "{\"object\":\"error\",\"message\":\"The input (9 tokens) is longer than the model's context "
     "length (5 tokens).\",\"code\":400}",
     ERR_CONTEXT_LENGTH,
     "The input (9 tokens) is longer than the model's context length (5 tokens).", ""},
    {"llama.cpp, too long", UPSTREAM_LLAMA_CPP, 400, "application/json; charset=utf-8",
     "{\"error\":{\"code\":400,\"message\":\"the request is too big\","
     "\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":9,\"n_ctx\":5}}",
     ERR_CONTEXT_LENGTH, "the request is too big", ""},
    {"llama.cpp, loading", UPSTREAM_LLAMA_CPP, 503, "application/json",
     "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}",
     ERR_UPSTREAM_STATUS, "", ""},
    {"Ollama, queue full", UPSTREAM_OLLAMA, 503, "application/json",
     "{\"error\":{\"message\":\"server busy\",\"type\":\"api_error\",\"param\":null,"
     "\"code\":null}}",
     ERR_UPSTREAM_STATUS, "", ""},
    {"TGI, validation", UPSTREAM_TGI, 422, "application/json",
     "{\"error\":\"Input validation error: `temperature` must be strictly positive\","
     "\"error_type\":\"validation\"}",
     ERR_UPSTREAM_UNPROCESSABLE, "Input validation error: `temperature` must be strictly positive",
     ""},
    {"TGI, too long", UPSTREAM_TGI, 422, "application/json",
     "{\"error\":\"`inputs` tokens + `max_new_tokens` must be <= 5\","
     "\"error_type\":\"validation\"}",
     ERR_CONTEXT_LENGTH, "`inputs` tokens + `max_new_tokens` must be <= 5", ""},
    {"TGI, generation", UPSTREAM_TGI, 424, "application/json",
     "{\"error\":\"Request failed during generation\",\"error_type\":\"generation\"}",
     ERR_UPSTREAM_STATUS, "", ""},
    {"TGI, overloaded", UPSTREAM_TGI, 429, "application/json",
     "{\"error\":\"Model is overloaded\",\"error_type\":\"overloaded\"}", ERR_UPSTREAM_BUSY, "",
     ""},
    {"TGI's framework, plain text", UPSTREAM_TGI, 422, "text/plain; charset=utf-8",
     "Failed to deserialize the JSON body\n", ERR_UPSTREAM_UNPROCESSABLE,
     "Failed to deserialize the JSON body", ""},
    {"TGI, overloaded, in a stream", UPSTREAM_TGI, 0, "",
     "{\"error\":{\"message\":\"Model is overloaded\",\"http_status_code\":422}}",
     ERR_UPSTREAM_BUSY, "", ""},
    {"TGI, validation, in a stream", UPSTREAM_TGI, 0, "",
     "{\"error\":{\"message\":\"`n` must be 1\",\"http_status_code\":422}}",
     ERR_UPSTREAM_UNPROCESSABLE, "`n` must be 1", ""},
    {"an older TGI, in a stream", UPSTREAM_TGI, 0, "",
     "{\"error\":\"`n` must be 1\",\"error_type\":\"validation\"}", ERR_UPSTREAM_UNPROCESSABLE,
     "`n` must be 1", ""},
    {"vLLM, in a stream", UPSTREAM_VLLM, 0, "",
     "{\"error\":{\"message\":\"engine died\",\"type\":\"InternalServerError\",\"code\":500}}",
     ERR_UPSTREAM_STATUS, "", ""},
    {"an event whose type says it", UPSTREAM_OLLAMA, 0, "",
     "{\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\",\"param\":\"x\","
     "\"code\":null}}",
     ERR_UPSTREAM_REQUEST, "bad", "x"},
    {"an event whose code is text", UPSTREAM_OPENAI, 0, "",
     "{\"error\":{\"message\":\"bad\",\"type\":null,\"param\":null,\"code\":\"422\"}}",
     ERR_UPSTREAM_UNPROCESSABLE, "bad", ""},
    {"an event of one who is busy", UPSTREAM_OPENAI, 0, "",
     "{\"error\":{\"message\":\"quota\",\"type\":\"rate_limit_error\",\"code\":\"x\"}}",
     ERR_UPSTREAM_BUSY, "", ""},
    {"a status before what the type says", UPSTREAM_OPENAI, 500, "application/json",
     "{\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\"}}", ERR_UPSTREAM_STATUS,
     "", ""},
    {"a status, and then an event", UPSTREAM_TGI, 422, "text/event-stream",
     "data:{\"error\":{\"message\":\"`n` must be 1\"}}\r\n\r\ndata: [DONE]\n\n",
     ERR_UPSTREAM_UNPROCESSABLE, "`n` must be 1", ""},
    {"an event without a status", UPSTREAM_VLLM, 0, "", "{\"error\":{\"message\":\"x\"}}",
     ERR_UPSTREAM_STATUS, "", ""},
    {"FastAPI, a list", UPSTREAM_SGLANG, 422, "application/json",
     "{\"detail\":[{\"loc\":[\"body\",\"messages\"],\"msg\":\"field required\","
     "\"type\":\"missing\"}]}",
     ERR_UPSTREAM_UNPROCESSABLE, "field required", "messages"},
    {"FastAPI, a text", UPSTREAM_SGLANG, 400, "application/json", "{\"detail\":\"no\"}",
     ERR_UPSTREAM_REQUEST, "no", ""},
    {"FastAPI, an object", UPSTREAM_VLLM, 400, "application/json",
     "{\"detail\":{\"message\":\"no\",\"param\":\"n\"}}", ERR_UPSTREAM_REQUEST, "no", "n"},
    {"Google, in an array", UPSTREAM_OPENAI, 400, "application/json",
     "[{\"error\":{\"code\":400,\"message\":\"no\",\"status\":\"INVALID_ARGUMENT\"}}]",
     ERR_UPSTREAM_REQUEST, "no", ""},
    {"an array of nothing", UPSTREAM_OPENAI, 400, "application/json", "[]", ERR_UPSTREAM_REQUEST,
     "", ""},
    {"a page", UPSTREAM_OPENAI, 413, "text/html", "<html><h1>413</h1></html>",
     ERR_UPSTREAM_TOO_LONG, "", ""},
    {"a page that is not said to be one", UPSTREAM_OPENAI, 400, "", " <html>", ERR_UPSTREAM_REQUEST,
     "", ""},
    {"nothing", UPSTREAM_OPENAI, 400, "", "", ERR_UPSTREAM_REQUEST, "", ""},
    {"JSON that is no object", UPSTREAM_OPENAI, 400, "application/json", "[1]",
     ERR_UPSTREAM_REQUEST, "", ""},
    {"members of other kinds", UPSTREAM_OPENAI, 400, "application/json",
     "{\"error\":{\"message\":{\"a\":1},\"param\":7,\"type\":[],\"code\":{}}}",
     ERR_UPSTREAM_REQUEST, "", ""},
    {"escapes", UPSTREAM_OPENAI, 400, "application/json",
     "{\"error\":{\"message\":\"\\u0645 \\\"x\\\"\"}}", ERR_UPSTREAM_REQUEST, "\xd9\x85 \"x\"", ""},
    {"text that is no UTF-8", UPSTREAM_OPENAI, 400, "text/plain", "a\xff\xe0\x80z",
     ERR_UPSTREAM_REQUEST, "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz", ""},
    {"a proxy's 502", UPSTREAM_OPENAI, 502, "text/html", "<html>", ERR_UPSTREAM_STATUS, "", ""},
    {"a redirect", UPSTREAM_OPENAI, 301, "", "", ERR_UPSTREAM_REFUSED, "", ""},
    {"forbidden", UPSTREAM_OPENAI, 403, "text/plain", "key sk-123 is blocked", ERR_UPSTREAM_REFUSED,
     "", ""},
    {"an internal error", UPSTREAM_OPENAI, 500, "text/plain", "Traceback", ERR_UPSTREAM_STATUS, "",
     ""},
};

static void every_shape_of_error_is_understood(void **state)
{
    (void)state;
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct arena arena;
        arena_init(&arena, 1 << 16);
        struct upstream_answer answer = {.kind = rows[r].kind,
                                         .status = rows[r].status,
                                         .content_type = span_of(rows[r].type),
                                         .body = span_of(rows[r].body)};
        struct upstream_error error;
        upstream_error_read(&answer, &arena, &error);
        if (error.err != rows[r].err || !span_is(error.message, rows[r].message) ||
            !span_is(error.param, rows[r].param) || error.retry_after_s != 0) {
            fail_msg("%s: %s, \"%.*s\", \"%.*s\"", rows[r].why, err_name(error.err),
                     SPAN_ARGS(error.message), SPAN_ARGS(error.param));
        }
        arena_fini(&arena);
    }
}

static void an_account_without_money_or_quota_is_not_busy(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum err err;
    } answers[] = {
        {429, "{\"error\":{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\"}}",
         ERR_UPSTREAM_QUOTA},
        {429, "{\"error\":{\"type\":\"x\",\"code\":\"insufficient_quota\"}}", ERR_UPSTREAM_QUOTA},
        {429, "{\"error\":{\"type\":\"exceeded_current_quota_error\"}}", ERR_UPSTREAM_QUOTA},
        {429, "{\"error\":{\"code\":\"billing_hard_limit_reached\"}}", ERR_UPSTREAM_QUOTA},
        {429, "{\"error\":{\"message\":\"You exceeded your current quota, see billing\"}}",
         ERR_UPSTREAM_QUOTA},
        {402, "{\"error\":{\"message\":\"Insufficient Balance\"}}", ERR_UPSTREAM_QUOTA},
        {402, "", ERR_UPSTREAM_QUOTA},
        {400, "{\"code\":\"Arrearage\",\"message\":\"Access denied\"}", ERR_UPSTREAM_QUOTA},
        {400,
         "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your credit balance is "
         "too low\"}}",
         ERR_UPSTREAM_QUOTA},
        {403, "{\"error\":{\"code\":\"InsufficientBalance\"}}", ERR_UPSTREAM_QUOTA},
        {0, "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\"}}", ERR_UPSTREAM_QUOTA},
        {429, "{\"error\":{\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}",
         ERR_UPSTREAM_BUSY},
        {429, "{\"error\":{\"type\":\"insufficient_quotas\"}}", ERR_UPSTREAM_BUSY},
        {429, "", ERR_UPSTREAM_BUSY},
    };
    for (size_t r = 0; r < ROWS(answers); r++) {
        struct arena arena;
        arena_init(&arena, 1 << 16);
        struct upstream_answer answer = {.kind = UPSTREAM_OPENAI,
                                         .status = answers[r].status,
                                         .retry_after = SPAN("9"),
                                         .body = span_of(answers[r].body)};
        struct upstream_error error;
        upstream_error_read(&answer, &arena, &error);
        if (error.err != answers[r].err || error.message.len > 0 ||
            error.retry_after_s != (error.err == ERR_UPSTREAM_BUSY ? 9 : 0)) {
            fail_msg("%d %s: %s, %d", answers[r].status, answers[r].body, err_name(error.err),
                     error.retry_after_s);
        }
        arena_fini(&arena);
    }
}

static void type_and_code_of_what_the_caller_can_mend_are_the_servers_own(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body, *type, *code;
    } answers[] = {
        {400, "{\"error\":{\"type\":\"t\",\"code\":\"code_400\"}}", "t", "code_400"},
        {413, "{\"error\":{\"type\":\"t\",\"code\":\"code_413\"}}", "t", "code_413"},
        {422, "{\"object\":\"error\",\"type\":\"t\",\"code\":\"code_422\"}", "t", "code_422"},
        {422, "{\"error\":{\"type\":\"BadRequestError\",\"code\":422}}", "BadRequestError", ""},
        {400, "{\"error\":{\"code\":\"400\"}}", "", ""},
        {400, "{\"error\":{\"code\":40303}}", "", "40303"},
        {400, "{\"error\":{\"type\":null,\"code\":null}}", "", ""},
        {0, "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"c\"}}",
         "invalid_request_error", "c"},
        {401, "{\"error\":{\"type\":\"t\",\"code\":\"sk-secret\"}}", "", ""},
        {404, "{\"error\":{\"type\":\"t\",\"code\":\"model_not_found\"}}", "", ""},
        {500, "{\"error\":{\"type\":\"t\",\"code\":\"c\"}}", "", ""},
    };
    for (size_t r = 0; r < ROWS(answers); r++) {
        struct arena arena;
        arena_init(&arena, 1 << 16);
        struct upstream_answer answer = {
            .kind = UPSTREAM_OPENAI, .status = answers[r].status, .body = span_of(answers[r].body)};
        struct upstream_error error;
        upstream_error_read(&answer, &arena, &error);
        if (!span_is(error.type, answers[r].type) || !span_is(error.code, answers[r].code)) {
            fail_msg("%d %s: %.*s, %.*s", answers[r].status, answers[r].body, SPAN_ARGS(error.type),
                     SPAN_ARGS(error.code));
        }
        arena_fini(&arena);
    }
}

static void a_retry_after_is_within_a_minute(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int seconds;
    } times[] = {
        {"", 0},
        {"1", 1},
        {"0", 1},
        {" 30 ", 30},
        {"60", 60},
        {"3600", 60},
        {"-1", 0},
        {"99999999999999999999", 0},
        {"7.2", 8},
        {"1.5", 2},
        {"7.0", 7},
        {"0.001", 1},
        {"59.5", 60},
        {"60.1", 60},
        {"7.", 0},
        {".5", 0},
        {"7.2.1", 0},
        {"7.2e1", 0},
        {"soon", 0},
        {"Fri, 31 Dec 1999 23:59:59 GMT", 1}, /* over */
        {"Tue, 24 Nov 2026 03:00:00 GMT", 1}, /* now */
        {"Tue, 24 Nov 2026 03:00:01 GMT", 1},
        {"Tue, 24 Nov 2026 03:00:02 GMT", 2}, /* the clock is half a second past the hour */
        {"Tue, 24 Nov 2026 03:00:42 GMT", 42},
        {"Tuesday, 24-Nov-26 03:00:42 GMT", 42},
        {" Tue Nov 24 03:00:42 2026 ", 42},
        {"Tue, 24 Nov 2026 03:02:00 GMT", 60},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 60},
        {"Tue, 24 Nov 2026 03:00:42", 0},
    };
    for (size_t r = 0; r < ROWS(times); r++) {
        struct arena arena;
        arena_init(&arena, 1024);
        struct upstream_answer answer = {.status = 429,
                                         .retry_after = span_of(times[r].text),
                                         .now = {1795489200500000}}; /* 2026-11-24T03:00:00.5Z */
        struct upstream_error error;
        upstream_error_read(&answer, &arena, &error);
        assert_int_equal(error.err, ERR_UPSTREAM_BUSY);
        if (error.retry_after_s != times[r].seconds) {
            fail_msg("%s: %d", times[r].text, error.retry_after_s);
        }
        arena_fini(&arena);
    }
}

static void a_message_is_cut_between_characters(void **state)
{
    (void)state;
    static char body[8192] = "{\"error\":{\"message\":\"x";
    size_t len = strlen(body);
    while (len < 6000) {
        memcpy(body + len, "\xd9\x85", 2);
        len += 2;
    }
    memcpy(body + len, "\"}}", 4);
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct upstream_answer answer = {.status = 400, .body = span_of(body)};
    struct upstream_error error;
    upstream_error_read(&answer, &arena, &error);
    assert_int_equal(error.message.len, UPSTREAM_MESSAGE_MAX - 1);
    assert_memory_equal(error.message.at + error.message.len - 2, "\xd9\x85", 2);

    struct arena none;
    arena_init(&none, 0);
    upstream_error_read(&answer, &none, &error);
    assert_int_equal(error.err, ERR_UPSTREAM_REQUEST);
    assert_int_equal(error.message.len, 0);
    arena_fini(&arena);
    arena_fini(&none);
}

/* Of this thread alone: what else the machine does is not the code's. */
static int64_t cpu_us(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* All that is done with the body of an answer of 400. */
static int64_t time_of(struct span body)
{
    struct arena arena;
    struct upstream_error e;
    struct upstream_answer answer = {.status = 400, .content_type = SPAN(""), .body = body};
    arena_init(&arena, 1 << 20);
    int64_t from = cpu_us();
    (void)upstream_refusal_read(400, body); /* only its time is of interest, */
    (void)upstream_reason_read(body);       /* and this one's */
    upstream_error_read(&answer, &arena, &e);
    int64_t took = cpu_us() - from;
    arena_fini(&arena);
    return took;
}

static void an_error_as_large_as_may_be_is_read_in_a_short_time(void **state)
{
    (void)state;
    static const struct {
        const char *before, *each, *behind;
    } bodies[] = {
        {"", "\xd8\xff", ""},
        {"{\"error\":{\"message\":\"header ", "hhvvaasscc", "\"}}"},
        {"{\"error\":{\"message\":\"header ", "x-request-i ", "\"}}"},
        {"{\"error\":{\"message\":\"", "\\u0061", "\"}}"},
        {"{\"error\":{\"message\":\"", "model", "\",\"\\u0063ode\":1}}"},
    };
    for (size_t i = 0; i < ROWS(bodies); i++) {
        struct buf b;
        int64_t least = INT64_MAX;
        buf_init(&b, 1 << 20);
        buf_put_text(&b, bodies[i].before);
        while (buf_span(&b).len < 250000) {
            buf_put_text(&b, bodies[i].each);
        }
        buf_put_text(&b, bodies[i].behind);
        for (int round = 0; round < 3; round++) { /* the best: caches are others', too */
            int64_t took = time_of(buf_span(&b));
            least = took < least ? took : least;
        }
        assert_true(least < 8000); /* with every check; of a release half a millisecond */
        buf_fini(&b);
    }
}

static void the_kinds_differ_as_their_table_says(void **state)
{
    (void)state;
    assert_string_equal(upstream_kind_row(UPSTREAM_LLAMA_CPP)->name, "llama.cpp");
    assert_true(upstream_kind_row(UPSTREAM_OLLAMA)->renames_max_completion_tokens);
    assert_false(upstream_kind_row(UPSTREAM_VLLM)->renames_max_completion_tokens);
    assert_true(upstream_kind_row(UPSTREAM_OPENAI)->lifts_extra_body);
    assert_false(upstream_kind_row(UPSTREAM_OLLAMA)->takes_token_arrays);
    assert_false(upstream_kind_row(UPSTREAM_SGLANG)->makes_base64);
    assert_int_equal(upstream_kind_row(UPSTREAM_SGLANG)->error_shape, UPSTREAM_ERROR_FLAT);
    assert_int_equal(upstream_kind_row(UPSTREAM_TGI)->error_shape, UPSTREAM_ERROR_STRING);

    static char names[128];
    for (enum upstream_kind kind = UPSTREAM_VLLM; kind <= UPSTREAM_OPENAI; kind++) {
        size_t len = strlen(names);
        (void)snprintf(names + len, sizeof(names) - len, "%s%s", len == 0 ? "" : "|",
                       upstream_kind_row(kind)->name);
    }
    assert_string_equal(names, UPSTREAM_KINDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_of_error_is_understood),
        cmocka_unit_test(an_account_without_money_or_quota_is_not_busy),
        cmocka_unit_test(type_and_code_of_what_the_caller_can_mend_are_the_servers_own),
        cmocka_unit_test(a_retry_after_is_within_a_minute),
        cmocka_unit_test(a_message_is_cut_between_characters),
        cmocka_unit_test(an_error_as_large_as_may_be_is_read_in_a_short_time),
        cmocka_unit_test(the_kinds_differ_as_their_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
