/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas ask`: one question to a model, the answer's text as it comes. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_server.h"
#include "main/commands.h"
#include "sse/sse_parser.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define PROMPT_BYTES_MAX (4u << 20)
#define EVENT_BYTES_MAX  (4u << 20)
#define EVENT_ROWS_MAX   100000
#define EVENT_DEPTH_MAX  64
#define LIST_BYTES_MAX   (4u << 20)
#define TOKENS_MOST      1000000000
#define SIGNALLED        128 /* and the signal's number: the exit status that shells know */

struct ask_given {
    const char *prompt, *url, *key, *model, *system, *max_tokens, *ca_file;
};

const struct cli_option main_ask_options[] = {
    CLI_WORD(struct ask_given, prompt, "PROMPT", "What to ask; - reads it from standard input"),
    CLI_TEXT(struct ask_given, key, "key", "KEY", "The API key; best given by the environment",
             .env = "ATLAS_API_KEY OPENAI_API_KEY"),
    CLI_TEXT(struct ask_given, model, "model", "MODEL",
             "The model; the first that the key may use if not given", .env = "ATLAS_MODEL"),
    CLI_TEXT(struct ask_given, url, "url", "URL", "Where the API is, with its /v1",
             .env = "ATLAS_URL OPENAI_BASE_URL", .fallback = "http://127.0.0.1:8080/v1"),
    CLI_TEXT(struct ask_given, system, "system", "TEXT", "What the model is told before"),
    CLI_TEXT(struct ask_given, max_tokens, "max_tokens", "N", "Where the answer is cut"),
    CLI_TEXT(struct ask_given, ca_file, "ca_file", "FILE",
             "The authority to trust instead of the system's", .words = CLI_FILES),
    CLI_END(NULL),
};

/* An answer while it comes. */
struct answer {
    struct sse_parser parser;
    struct buf whole;        /* of an error, or a list */
    struct buf text;         /* of one event */
    char fault[1024];        /* what the server says is wrong */
    bool is_terminal;        /* control characters would be obeyed */
    bool has_text, is_ended; /* something was printed; [DONE] came */
    bool is_cut;             /* finish_reason: length */
    bool is_unread;          /* nobody takes our output */
};

static int fail(const char *why)
{
    fprintf(stderr, "atlas ask: %s\n", why);
    return CLI_FAILED;
}

/* ---- the answer ---- */

/* Prints text; on a terminal "?" stands for what it would obey. */
static void print_text(struct answer *a, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool is_c1 = c == 0xc2 && i + 1 < text.len && text.at[i + 1] < 0xa0;
        bool is_control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || is_c1;
        bool is_hidden = a->is_terminal && is_control;
        a->is_unread |= putchar(is_hidden ? '?' : c) == EOF;
        i += is_hidden && is_c1 ? 1 : 0;
    }
    a->has_text |= text.len > 0;
    a->is_unread |= fflush(stdout) != 0;
}

/* The text of a member of `object`, or an empty span. */
static struct span text_in(struct answer *a, const struct json_index *x, uint32_t object,
                           const char *name)
{
    struct span text = {NULL, 0};
    uint32_t row = object == JSON_NONE ? JSON_NONE : json_find(x, object, span_of(name));
    if (row == JSON_NONE || json_kind(x, row) != JSON_STRING) {
        return text;
    }
    buf_clear(&a->text);
    uint8_t *room = buf_reserve(&a->text, json_inside(x, row).len + 1);
    return room == NULL ? text : span_make(room, json_unescape(x, row, room, NULL));
}

/* Keeps what an error object says. False if there is none. */
static bool keep_fault(struct answer *a, const struct json_index *x)
{
    uint32_t error = json_find(x, 0, SPAN("error"));
    if (error == JSON_NONE || json_kind(x, error) != JSON_OBJECT) {
        return false;
    }
    struct span said = text_in(a, x, error, "message");
    span_copy_text(said.len > 0 ? said : SPAN("the server names no reason"), a->fault,
                   sizeof(a->fault));
    return true;
}

/* Prints what an event adds. */
static void take_event(struct answer *a, struct span data)
{
    struct json_index x;
    if (span_is(data, "[DONE]")) {
        a->is_ended = true;
        return;
    }
    json_index_init(&x, EVENT_ROWS_MAX, EVENT_DEPTH_MAX);
    if (json_index_parse_borrow(&x, data) == ERR_OK && !keep_fault(a, &x)) {
        uint32_t choices = json_find(&x, 0, SPAN("choices"));
        uint32_t choice = choices == JSON_NONE ? JSON_NONE : json_first(&x, choices);
        uint32_t delta = choice == JSON_NONE ? JSON_NONE : json_find(&x, choice, SPAN("delta"));
        a->is_cut |= span_is(text_in(a, &x, choice, "finish_reason"), "length");
        print_text(a, text_in(a, &x, delta, "content"));
    }
    json_index_fini(&x);
}

/* Bytes of an answer: events of a stream, or whatever else is kept whole. */
static bool on_stream(void *ctx, unsigned status, struct span bytes)
{
    struct answer *a = ctx;
    struct sse_event event;
    if (status != 200) {
        buf_put(&a->whole, bytes);
        return !buf_failed(&a->whole);
    }
    while (!a->is_ended && !a->is_unread && a->fault[0] == '\0') {
        if (sse_parser_next(&a->parser, &bytes, &event) != ERR_OK) {
            span_copy_text(SPAN("an event of the stream is too long"), a->fault, sizeof(a->fault));
        } else if (event.raw.len == 0) {
            return true;
        } else if (event.has_data) {
            take_event(a, event.data);
        }
    }
    return false;
}

static bool on_list(void *ctx, unsigned status, struct span bytes)
{
    struct answer *a = ctx;
    (void)status; /* of an error, the body is kept as well */
    buf_put(&a->whole, bytes);
    return !buf_failed(&a->whole);
}

/* Says what the body of an answer that is no success says. */
static int fail_with_status(struct answer *a, unsigned status)
{
    struct json_index x;
    json_index_init(&x, EVENT_ROWS_MAX, EVENT_DEPTH_MAX);
    bool is_said = json_index_parse_borrow(&x, buf_span(&a->whole)) == ERR_OK && keep_fault(a, &x);
    json_index_fini(&x);
    fprintf(stderr, "atlas ask: %u: %s\n", status,
            is_said ? a->fault : "the answer is no error of an OpenAI API; is --url right?");
    return CLI_FAILED;
}

static void init(struct answer *a)
{
    *a = (struct answer){.is_terminal = isatty(STDOUT_FILENO) == 1};
    sse_parser_init(&a->parser, EVENT_BYTES_MAX);
    buf_init(&a->whole, LIST_BYTES_MAX);
    buf_init(&a->text, EVENT_BYTES_MAX);
}

static void fini(struct answer *a)
{
    sse_parser_fini(&a->parser);
    buf_fini(&a->whole);
    buf_fini(&a->text);
}

/* The exit status of what is no success. */
static int fail_to_ask(struct answer *a, const struct cli_answered *answered)
{
    if (a->has_text) {
        (void)putchar('\n'); /* whoever reads it may be gone */
        (void)fflush(stdout);
    }
    return answered->signal != 0 ? SIGNALLED + answered->signal : fail(answered->reason);
}

/* ---- the question ---- */

static enum err write_question(const struct ask_given *g, struct span prompt, const char *model,
                               uint64_t max_tokens, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "model");
    json_write_text(&w, model);
    json_write_key(&w, "stream");
    json_write_bool(&w, true);
    if (max_tokens > 0) {
        json_write_key(&w, "max_tokens");
        json_write_u64(&w, max_tokens);
    }
    json_write_key(&w, "messages");
    json_write_array(&w);
    for (int i = g->system == NULL; i < 2; i++) {
        json_write_object(&w);
        json_write_key(&w, "role");
        json_write_text(&w, i == 0 ? "system" : "user");
        json_write_key(&w, "content");
        json_write_string(&w, i == 0 ? span_of(g->system) : prompt);
        json_write_end(&w);
    }
    json_write_end(&w);
    json_write_end(&w);
    return json_write_finish(&w);
}

/* The first model that the key may use. */
static int choose_model(const struct cli_server *server, struct answer *a, char *out, size_t bytes)
{
    const struct attempt_request request = {.path = SPAN("/models")};
    struct cli_answered answered;
    struct json_index x;
    if (!cli_server_ask(server, &request, on_list, a, &answered)) {
        return fail_to_ask(a, &answered);
    }
    if (answered.status != 200) {
        return fail_with_status(a, answered.status);
    }
    json_index_init(&x, EVENT_ROWS_MAX, EVENT_DEPTH_MAX);
    bool is_json = json_index_parse_borrow(&x, buf_span(&a->whole)) == ERR_OK;
    uint32_t data = is_json ? json_find(&x, 0, SPAN("data")) : JSON_NONE;
    uint32_t first = data == JSON_NONE ? JSON_NONE : json_first(&x, data);
    span_copy_text(text_in(a, &x, first, "id"), out, bytes);
    json_index_fini(&x);
    return out[0] == '\0' ? fail("the server lists no model; name one with --model") : CLI_GO_ON;
}

static int ask(const struct cli_server *server, struct answer *a, struct span body)
{
    const struct iovec piece = {(void *)(uintptr_t)body.at, body.len};
    const struct attempt_request request = {
        .path = SPAN("/chat/completions"),
        .fields = SPAN("Content-Type: application/json\r\nAccept: text/event-stream\r\n"),
        .pieces = &piece,
        .piece_count = 1,
        .post = true,
    };
    struct cli_answered answered;
    bool is_done = cli_server_ask(server, &request, on_stream, a, &answered);
    if (a->is_unread) {
        return CLI_FAILED; /* they know */
    }
    if (!is_done) {
        return fail_to_ask(a, &answered);
    }
    if (answered.status != 200) {
        return fail_with_status(a, answered.status);
    }
    if (a->has_text) {
        print_text(a, SPAN("\n"));
    }
    if (a->fault[0] != '\0') {
        return fail(a->fault);
    }
    if (!a->is_ended) {
        return fail(a->has_text ? "the answer broke off" : "the answer is not a stream of events");
    }
    if (a->is_cut && a->is_terminal) {
        fputs("(cut: the model was allowed no more tokens)\n", stderr);
    }
    return CLI_DONE;
}

/* Reads the prompt that `-` stands for. */
static int read_prompt(struct buf *out)
{
    size_t got = 1;
    while (got > 0 && !buf_failed(out)) {
        uint8_t *room = buf_reserve(out, BUFSIZ);
        got = room == NULL ? 0 : fread(room, 1, BUFSIZ, stdin);
        buf_added(out, got);
    }
    return buf_failed(out) ? fail("the prompt is longer than 4 MiB") : CLI_GO_ON;
}

static int run(const struct ask_given *g, struct span prompt, uint64_t max_tokens)
{
    const struct cli_server server = {g->url, {g->key}, g->ca_file};
    struct answer a;
    struct buf body;
    char model[256] = "";
    int status = CLI_GO_ON;
    init(&a);
    buf_init(&body, 8 * PROMPT_BYTES_MAX);
    if (g->model == NULL) {
        status = choose_model(&server, &a, model, sizeof(model));
    }
    if (status == CLI_GO_ON && write_question(g, prompt, g->model == NULL ? model : g->model,
                                              max_tokens, &body) != ERR_OK) {
        status = fail(err_sentence(ERR_NO_MEMORY));
    }
    if (status == CLI_GO_ON) {
        buf_clear(&a.whole);
        status = ask(&server, &a, buf_span(&body));
    }
    buf_fini(&body);
    fini(&a);
    return status;
}

int main_ask(const void *given)
{
    const struct ask_given *g = given;
    uint64_t max_tokens = 0;
    struct buf typed;
    if (g->key == NULL) {
        fputs("atlas ask: there is no key: give --key, or set ATLAS_API_KEY; `atlas key create` "
              "makes one\n",
              stderr);
        return CLI_MISUSED;
    }
    if (g->max_tokens != NULL &&
        (!span_to_u64(span_of(g->max_tokens), TOKENS_MOST, &max_tokens) || max_tokens == 0)) {
        fprintf(stderr, "atlas ask: --max-tokens takes a whole number, not '%s'\n", g->max_tokens);
        return CLI_MISUSED;
    }
    buf_init(&typed, PROMPT_BYTES_MAX);
    bool is_read = strcmp(g->prompt, "-") == 0;
    int status = is_read ? read_prompt(&typed) : CLI_GO_ON;
    if (status == CLI_GO_ON) {
        status = run(g, is_read ? buf_span(&typed) : span_of(g->prompt), max_tokens);
    }
    buf_fini(&typed);
    return status;
}
