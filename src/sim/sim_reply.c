/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream is: the role, `tokens` pieces, the finish, and the usage if it was asked for. A tool
 * call is three deltas in place of the pieces. Everything follows from the question, so the same
 * question always gets the same answer but for its number.
 */
#include "sim/sim_reply.h"

#include <math.h>

#include "crypto/base64.h"
#include "sim/sim_echo.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define VECTOR_MAX 4096

static const char *const words[] = {"The ", "quick ",  "falcon ", "crosses ",
                                    "the ", "desert ", "by ",     "night. "};

/* ---- what is asked ---- */

void sim_question_refuse(struct sim_question *question, struct span name)
{
    question->is_refused = true;
    span_copy_text(name, question->refused, sizeof(question->refused));
}

static void read_plan(const struct json_index *x, struct sim_question *q, struct sim_plan *plan)
{
    uint32_t sim = json_find(x, 0, SPAN("sim"));
    if (sim == JSON_NONE || json_kind(x, sim) != JSON_OBJECT) {
        return;
    }
    for (uint32_t key = json_first(x, sim); key != JSON_NONE; key = json_next(x, key)) {
        uint32_t value = json_value(x, key);
        struct span text =
            json_kind(x, value) == JSON_STRING ? json_inside(x, value) : json_source(x, value);
        if (sim_plan_set(plan, json_inside(x, key), text) != ERR_OK) {
            sim_question_refuse(q, json_inside(x, key));
        }
    }
}

static bool is_true(const struct json_index *x, uint32_t row)
{
    return row != JSON_NONE && json_kind(x, row) == JSON_TRUE;
}

static uint32_t count_inputs(const struct json_index *x)
{
    uint32_t input = json_find(x, 0, SPAN("input"));
    if (input == JSON_NONE || json_kind(x, input) != JSON_ARRAY ||
        json_first(x, input) == JSON_NONE || json_kind(x, json_first(x, input)) == JSON_NUMBER) {
        return 1;
    }
    return json_count(x, input);
}

/* What grows at its end as a chat does: without its last bracket or quote. */
static struct span find_prompt(const struct json_index *x, enum sim_endpoint endpoint)
{
    uint32_t row = json_find(x, 0, endpoint == SIM_CHAT ? SPAN("messages") : SPAN("prompt"));
    struct span text = row == JSON_NONE ? SPAN("") : json_source(x, row);
    return span_cut(text, 0, text.len > 0 ? text.len - 1 : 0);
}

static void read_tool(const struct json_index *x, struct sim_question *q)
{
    uint32_t tools = json_find(x, 0, SPAN("tools")), messages = json_find(x, 0, SPAN("messages"));
    uint32_t last = JSON_NONE;
    if (tools == JSON_NONE || json_kind(x, tools) != JSON_ARRAY || messages == JSON_NONE) {
        return;
    }
    for (uint32_t m = json_first(x, messages); m != JSON_NONE; m = json_next(x, m)) {
        last = m;
    }
    uint32_t role = last == JSON_NONE ? JSON_NONE : json_find(x, last, SPAN("role"));
    uint32_t first = json_first(x, tools);
    if (first == JSON_NONE || (role != JSON_NONE && json_text_is(x, role, SPAN("tool")))) {
        return; /* the result is in: it answers in words */
    }
    uint32_t function = json_find(x, first, SPAN("function"));
    uint32_t name = function == JSON_NONE ? JSON_NONE : json_find(x, function, SPAN("name"));
    if (name != JSON_NONE && json_kind(x, name) == JSON_STRING) {
        span_copy_text(json_inside(x, name), q->tool, sizeof(q->tool));
    }
}

enum err sim_question_read(struct span body, struct json_index *x, struct sim_question *question,
                           struct sim_plan *plan)
{
    struct sim_question *q = question;
    enum err e = json_index_parse_borrow(x, body);
    if (e != ERR_OK || json_kind(x, 0) != JSON_OBJECT) {
        return e == ERR_OK ? ERR_BODY_NOT_JSON : e;
    }
    uint32_t model = json_find(x, 0, SPAN("model"));
    uint32_t options = json_find(x, 0, SPAN("stream_options"));
    uint32_t format = json_find(x, 0, SPAN("encoding_format"));
    if (model != JSON_NONE && json_kind(x, model) == JSON_STRING) {
        span_copy_text(json_inside(x, model), q->model, sizeof(q->model));
    }
    q->stream = is_true(x, json_find(x, 0, SPAN("stream")));
    q->wants_usage =
        options != JSON_NONE && is_true(x, json_find(x, options, SPAN("include_usage")));
    q->wants_base64 = format != JSON_NONE && json_text_is(x, format, SPAN("base64"));
    q->prompt_tokens = (int64_t)body.len / 4 + 1;
    q->prompt = find_prompt(x, q->endpoint);
    q->cached_tokens = -1;
    q->inputs = count_inputs(x);
    read_plan(x, q, plan);
    if (plan->echo != 0 || plan->print != 0) {
        sim_echo_read(x, &q->echo);
    }
    if (plan->echo != 0) {
        plan->tokens = (int64_t)buf_span(&q->echo).len / 4 + 1;
    }
    if (plan->strict != 0 && options != JSON_NONE) {
        sim_question_refuse(q, SPAN("stream_options"));
    }
    if (q->endpoint == SIM_CHAT) {
        read_tool(x, q);
    }
    return ERR_OK;
}

/* ---- pieces ---- */

static void write_usage(struct json_writer *w, const struct sim_question *q, int64_t completion)
{
    json_write_key(w, "usage");
    json_write_object(w);
    json_write_key(w, "prompt_tokens");
    json_write_int(w, q->prompt_tokens);
    if (q->endpoint != SIM_EMBEDDINGS) {
        json_write_key(w, "completion_tokens");
        json_write_int(w, completion);
    }
    json_write_key(w, "total_tokens");
    json_write_int(w, q->prompt_tokens + completion);
    if (q->cached_tokens >= 0) {
        json_write_key(w, "prompt_tokens_details");
        json_write_object(w);
        json_write_key(w, "cached_tokens");
        json_write_int(w, q->cached_tokens);
        json_write_end(w);
    }
    json_write_end(w);
}

static void write_head(struct json_writer *w, const struct sim_question *q, const char *object)
{
    char id[64] = "\"sim-";
    struct buf text = {.at = (uint8_t *)id, .len = 5, .cap = sizeof(id), .max = sizeof(id)};
    buf_put_u64(&text, q->number);
    buf_put_text(&text, "\"");
    json_write_object(w);
    json_write_key(w, "id");
    json_write_raw(w, span_make(id, text.len));
    json_write_key(w, "object");
    json_write_text(w, object);
    json_write_key(w, "created");
    json_write_int(w, 1795489200);
    json_write_key(w, "model");
    json_write_raw(w, SPAN("\""));
    buf_put_text(w->out, q->model); /* as it stood in the question, escapes and all */
    buf_put_text(w->out, "\"");
}

static void write_words(struct buf *out, int64_t count)
{
    buf_put_byte(out, '"');
    for (int64_t i = 0; i < count; i++) {
        buf_put_text(out, words[i % 8]);
    }
    buf_put_byte(out, '"');
}

static void write_function(struct json_writer *w, const char *name, struct span arguments)
{
    json_write_key(w, "function");
    json_write_object(w);
    if (name != NULL) {
        json_write_key(w, "name");
        json_write_text(w, name);
    }
    json_write_key(w, "arguments");
    json_write_string(w, arguments);
    json_write_end(w);
}

/* ---- whole replies ---- */

/* All that a reply says. */
static void write_said(struct json_writer *w, const struct sim_question *q,
                       const struct sim_plan *plan)
{
    if (plan->echo != 0) {
        json_write_string(w, buf_span(&q->echo));
        return;
    }
    json_write_raw(w, SPAN("")); /* a value is due; the words follow */
    write_words(w->out, plan->tokens);
}

static void write_message(struct json_writer *w, const struct sim_question *q,
                          const struct sim_plan *plan)
{
    json_write_key(w, "message");
    json_write_object(w);
    json_write_key(w, "role");
    json_write_text(w, "assistant");
    json_write_key(w, "content");
    if (q->tool[0] == '\0') {
        write_said(w, q, plan);
    } else {
        json_write_null(w);
        json_write_key(w, "tool_calls");
        json_write_array(w);
        json_write_object(w);
        json_write_key(w, "id");
        json_write_text(w, "call_sim");
        json_write_key(w, "type");
        json_write_text(w, "function");
        write_function(w, q->tool, SPAN("{\"place\":\"Riyadh\"}"));
        json_write_end(w);
        json_write_end(w);
    }
    json_write_end(w);
}

static void write_text_reply(struct json_writer *w, const struct sim_question *q,
                             const struct sim_plan *plan)
{
    write_head(w, q, q->endpoint == SIM_CHAT ? "chat.completion" : "text_completion");
    json_write_key(w, "choices");
    json_write_array(w);
    json_write_object(w);
    json_write_key(w, "index");
    json_write_int(w, 0);
    if (q->endpoint == SIM_CHAT) {
        write_message(w, q, plan);
    } else {
        json_write_key(w, "text");
        write_said(w, q, plan);
    }
    json_write_key(w, "logprobs");
    json_write_null(w);
    json_write_key(w, "finish_reason");
    json_write_text(w, q->tool[0] == '\0' ? "stop" : "tool_calls");
    json_write_end(w);
    json_write_end(w);
    if (plan->usage != 0) {
        write_usage(w, q, plan->tokens);
    }
    json_write_end(w);
}

static float component(uint32_t input, int64_t i, int64_t dimensions)
{
    return (float)sin((double)(i + 1) * (double)(input + 1)) / sqrtf((float)dimensions);
}

static void write_vector(struct json_writer *w, const struct sim_question *q,
                         const struct sim_plan *plan, uint32_t input)
{
    float vector[VECTOR_MAX];
    char text[VECTOR_MAX * 4 * 4 / 3 + 8];
    int64_t dimensions = plan->dimensions < VECTOR_MAX ? plan->dimensions : VECTOR_MAX;
    for (int64_t i = 0; i < dimensions; i++) {
        vector[i] = component(input, i, dimensions);
    }
    if (q->wants_base64 && plan->base64 != 0) {
        size_t len =
            crypto_base64_write(span_make(vector, (size_t)dimensions * sizeof(float)), text);
        json_write_string(w, span_make(text, len));
        return;
    }
    json_write_array(w);
    for (int64_t i = 0; i < dimensions; i++) {
        json_write_float(w, vector[i]);
    }
    json_write_end(w);
}

static void write_vectors_reply(struct json_writer *w, const struct sim_question *q,
                                const struct sim_plan *plan)
{
    write_head(w, q, "list");
    json_write_key(w, "data");
    json_write_array(w);
    for (uint32_t i = 0; i < q->inputs; i++) {
        json_write_object(w);
        json_write_key(w, "object");
        json_write_text(w, "embedding");
        json_write_key(w, "index");
        json_write_int(w, i);
        json_write_key(w, "embedding");
        write_vector(w, q, plan, i);
        json_write_end(w);
    }
    json_write_end(w);
    if (plan->usage != 0) {
        write_usage(w, q, 0);
    }
    json_write_end(w);
}

static void finish(struct json_writer *w, struct buf *out)
{
    if (json_write_finish(w) != ERR_OK) {
        out->failed = true;
    }
}

void sim_reply_write(const struct sim_question *q, const struct sim_plan *plan, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    if (q->endpoint == SIM_EMBEDDINGS) {
        write_vectors_reply(&w, q, plan);
    } else {
        write_text_reply(&w, q, plan);
    }
    finish(&w, out);
}

/* ---- events ---- */

#define TOOL_EVENTS 3

static uint64_t piece_count(const struct sim_question *q, const struct sim_plan *plan)
{
    if (plan->fault == SIM_ENDLESS) {
        return UINT64_MAX / 2;
    }
    if (q->tool[0] != '\0') {
        return TOOL_EVENTS;
    }
    return plan->echo != 0 ? sim_echo_count(buf_span(&q->echo), plan->piece)
                           : (uint64_t)plan->tokens;
}

uint64_t sim_event_count(const struct sim_question *q, const struct sim_plan *plan)
{
    bool role = q->endpoint == SIM_CHAT;
    bool finish_event = plan->fault != SIM_NO_FINISH;
    return role + piece_count(q, plan) + finish_event + (plan->usage != 0 && q->wants_usage);
}

bool sim_event_is_token(const struct sim_question *q, const struct sim_plan *plan, uint64_t n)
{
    uint64_t role = q->endpoint == SIM_CHAT;
    return n >= role && n - role < piece_count(q, plan);
}

static void write_tool_delta(struct json_writer *w, const struct sim_question *q, uint64_t piece)
{
    json_write_key(w, "tool_calls");
    json_write_array(w);
    json_write_object(w);
    json_write_key(w, "index");
    json_write_int(w, 0);
    if (piece == 0) {
        json_write_key(w, "id");
        json_write_text(w, "call_sim");
        json_write_key(w, "type");
        json_write_text(w, "function");
    }
    write_function(w, piece == 0 ? q->tool : NULL,
                   piece == 0   ? SPAN("")
                   : piece == 1 ? SPAN("{\"place\":")
                                : SPAN("\"Riyadh\"}"));
    json_write_end(w);
    json_write_end(w);
}

/* `piece` counts the words; before them is the role, behind them the end. */
static void write_delta(struct json_writer *w, const struct sim_question *q,
                        const struct sim_plan *plan, int64_t piece, bool is_end)
{
    struct span word = SPAN("");
    if (piece >= 0 && !is_end) {
        word = plan->echo != 0 ? sim_echo_piece(buf_span(&q->echo), plan->piece, (uint64_t)piece)
                               : span_of(words[piece % 8]);
    }
    if (q->endpoint == SIM_COMPLETIONS) {
        json_write_key(w, "text");
        json_write_string(w, word);
        return;
    }
    json_write_key(w, "delta");
    json_write_object(w);
    if (piece < 0) {
        json_write_key(w, "role");
        json_write_text(w, "assistant");
    }
    if (!is_end && piece >= 0 && q->tool[0] != '\0') {
        write_tool_delta(w, q, (uint64_t)piece);
    } else if (!is_end) {
        json_write_key(w, "content");
        json_write_string(w, word);
    }
    json_write_end(w);
}

static void write_chunk(const struct sim_question *q, const struct sim_plan *plan, uint64_t n,
                        struct buf *out)
{
    uint64_t role = q->endpoint == SIM_CHAT, pieces = piece_count(q, plan);
    bool is_end = n == role + pieces && plan->fault != SIM_NO_FINISH;
    bool is_usage = n >= role + pieces && !is_end;
    struct json_writer w;
    json_write_init(&w, out);
    write_head(&w, q, role != 0 ? "chat.completion.chunk" : "text_completion");
    json_write_key(&w, "choices");
    json_write_array(&w);
    if (!is_usage) {
        json_write_object(&w);
        json_write_key(&w, "index");
        json_write_int(&w, 0);
        write_delta(&w, q, plan, (int64_t)n - (int64_t)role, is_end);
        json_write_key(&w, "logprobs");
        json_write_null(&w);
        json_write_key(&w, "finish_reason");
        json_write_text(&w, !is_end ? NULL : q->tool[0] == '\0' ? "stop" : "tool_calls");
        json_write_end(&w);
    }
    json_write_end(&w);
    if (is_usage) {
        write_usage(&w, q, plan->tokens);
    }
    json_write_end(&w);
    finish(&w, out);
}

void sim_event_write(const struct sim_question *q, const struct sim_plan *plan, uint64_t n,
                     struct buf *out)
{
    bool at = (int64_t)n == plan->at;
    if (plan->fault == SIM_BAD_SSE && (int64_t)n >= plan->at) {
        buf_put_text(out, "<html>this is no event stream</html>\r\n\r\n\r\n");
        return;
    }
    buf_put_text(out, "data: ");
    if (n >= sim_event_count(q, plan)) {
        buf_put_text(out, "[DONE]");
    } else if (plan->fault == SIM_BAD_JSON && at) {
        buf_put_text(out, "{\"choices\":[{");
    } else if (plan->fault == SIM_ERROR_EVENT && at) {
        sim_error_write(plan->status, out);
    } else {
        write_chunk(q, plan, n, out);
    }
    buf_put_text(out, "\n\n");
}

void sim_error_write(int64_t status, struct buf *out)
{
    buf_printf(out,
               "{\"error\":{\"message\":\"the simulator was asked to fail\","
               "\"type\":\"SimulatedError\",\"param\":null,\"code\":%lld}}",
               (long long)status);
}

void sim_refusal_write(const struct sim_question *q, struct buf *out)
{
    struct buf why;
    struct json_writer w;
    buf_init(&why, 4096);
    sim_plan_explain(span_of(q->refused), &why);
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "error");
    json_write_object(&w);
    json_write_key(&w, "message");
    json_write_string(&w, buf_span(&why));
    json_write_key(&w, "type");
    json_write_text(&w, "invalid_request_error");
    json_write_key(&w, "param");
    json_write_text(&w, "sim");
    json_write_key(&w, "code");
    json_write_null(&w);
    json_write_end(&w);
    json_write_end(&w);
    finish(&w, out);
    buf_fini(&why);
}
