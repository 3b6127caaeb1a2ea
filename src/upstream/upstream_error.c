/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/upstream_error.h"

#include <string.h>

#include "base/memory.h"
#include "http/http_date.h"
#include "upstream/upstream_kind.h"
#include "json/json_value.h"

#define BODY_MAX  (256 * 1024)
#define ROWS_MAX  8192
#define DEPTH_MAX 32

/* What is taken from a body. */
struct said {
    struct span message, param;
    bool too_long; /* the prompt, for the model */
    bool overloaded;
    int status; /* 0: none */
};

/* --- texts --- */

/* Length of the well-formed UTF-8 character at `at`, of `left` bytes; 0 if it is none. */
static size_t character(const uint8_t *at, size_t left)
{
    static const struct {
        uint8_t from, to; /* first byte */
        uint8_t second, second_to;
        uint8_t len;
    } forms[] = {
        /* clang-format off */
        {0x00, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
        /* clang-format on */
    };
    for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
        size_t len = forms[f].len;
        if (at[0] < forms[f].from || at[0] > forms[f].to) {
            continue;
        }
        if (len > left || (len > 1 && (at[1] < forms[f].second || at[1] > forms[f].second_to))) {
            return 0;
        }
        for (size_t i = 2; i < len; i++) {
            if ((at[i] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return len;
    }
    return 0;
}

/* Without blanks, line ends and other controls around it. */
static struct span trim(struct span text)
{
    while (text.len > 0 && text.at[text.len - 1] <= ' ') {
        text.len--;
    }
    while (text.len > 0 && text.at[0] <= ' ') {
        text = span_cut(text, 1, text.len);
    }
    return text;
}

/* A copy of `text` of at most `most` bytes, cut between characters; what is no UTF-8 becomes '?'.
 * Empty without memory. */
static struct span keep_text(struct arena *arena, struct span text, size_t most)
{
    text = trim(text);
    size_t room = text.len < most ? text.len : most;
    uint8_t *out = room == 0 ? NULL : arena_alloc(arena, room);
    size_t len = 0;
    if (out == NULL) {
        return (struct span){NULL, 0};
    }
    for (size_t i = 0; i < text.len;) {
        size_t size = character(text.at + i, text.len - i);
        size_t takes = size == 0 ? 1 : size;
        if (takes > room - len) {
            break;
        }
        if (size == 0) {
            out[len] = '?';
        } else {
            memcpy(out + len, text.at + i, size);
        }
        len += takes;
        i += takes;
    }
    return (struct span){out, len};
}

/* What the string at `row` says, if it is one. */
static struct span keep_string(const struct json_index *x, uint32_t row, struct arena *arena,
                               size_t most)
{
    struct span none = {NULL, 0};
    if (row == JSON_NONE || json_kind(x, row) != JSON_STRING) {
        return none;
    }
    struct span inside = json_inside(x, row);
    uint8_t *plain = inside.len == 0 ? NULL : memory_raw(inside.len);
    if (plain == NULL) {
        return none;
    }
    size_t len = json_unescape(x, row, plain, NULL);
    struct span kept = keep_text(arena, span_make(plain, len), most);
    memory_free(plain);
    return kept;
}

static bool has_words(struct span text, const char *words)
{
    struct span wanted = span_of(words);
    for (size_t i = 0; i + wanted.len <= text.len; i++) {
        if (span_equal_nocase(span_cut(text, i, wanted.len), wanted)) {
            return true;
        }
    }
    return false;
}

/* How the servers say that a prompt does not fit the model. */
static bool is_about_length(struct span message)
{
    static const char *const phrases[] = {
        "maximum context length",          /* vLLM, OpenAI */
        "longer than the model's context", /* SGLang */
        "exceeds the available context",   /* llama.cpp */
        "exceeds the context",             /* Ollama, llama.cpp */
        "exceed the context",
        "exceeds maximum context",
        "`inputs` tokens + `max_new_tokens` must be", /* TGI */
        "`inputs` must have less than",               /* TGI */
        "input tokens exceed the configured limit",   /* OpenAI */
    };
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
        if (has_words(message, phrases[i])) {
            return true;
        }
    }
    return false;
}

/* --- bodies --- */

static bool is_one_of(const struct json_index *x, uint32_t row, const char *a, const char *b)
{
    return row != JSON_NONE && json_kind(x, row) == JSON_STRING &&
           (json_text_is(x, row, span_of(a)) || json_text_is(x, row, span_of(b)));
}

/* A status that a body gives as a number, or as text of one. */
static int number_of(const struct json_index *x, uint32_t row)
{
    int64_t number = 0;
    uint64_t in_text;
    if (row == JSON_NONE) {
        return 0;
    }
    if (json_kind(x, row) == JSON_STRING && span_to_u64(json_inside(x, row), 599, &in_text)) {
        number = (int64_t)in_text;
    } else if (json_int64(x, row, &number) != ERR_OK) {
        return 0;
    }
    return number < 400 || number > 599 ? 0 : (int)number;
}

/* A status that only the type says: of an event, or of a reply with status 200. */
static int status_of_type(const struct json_index *x, uint32_t type)
{
    static const struct {
        const char *type;
        int status;
    } types[] = {
        {"invalid_request_error", 400},     {"BadRequestError", 400},  {"rate_limit_error", 429},
        {"insufficient_quota", 429},        {"overloaded_error", 429}, {"unavailable_error", 503},
        {"service_unavailable_error", 503},
    };
    for (size_t i = 0; type != JSON_NONE && i < sizeof(types) / sizeof(types[0]); i++) {
        if (json_text_is(x, type, span_of(types[i].type))) {
            return types[i].status;
        }
    }
    return 0;
}

/* An object with message, type, param and code: nested or flat. */
static void read_members(const struct json_index *x, uint32_t object, struct arena *arena,
                         struct said *said)
{
    uint32_t type = json_find(x, object, SPAN("type"));
    uint32_t code = json_find(x, object, SPAN("code"));
    said->message =
        keep_string(x, json_find(x, object, SPAN("message")), arena, UPSTREAM_MESSAGE_MAX);
    said->param = keep_string(x, json_find(x, object, SPAN("param")), arena, UPSTREAM_PARAM_MAX);
    said->too_long = is_one_of(x, type, "exceed_context_size_error", "context_length_exceeded") ||
                     is_one_of(x, code, "exceed_context_size_error", "context_length_exceeded");
    said->status = number_of(x, code);
    if (said->status == 0) {
        said->status = number_of(x, json_find(x, object, SPAN("http_status_code")));
    }
    if (said->status == 0) {
        said->status = status_of_type(x, type);
    }
}

/* FastAPI's {"detail":"…"}, {"detail":{…}} and {"detail":[{"loc":["body","n"],"msg":"…"}]}. */
static void read_detail(const struct json_index *x, uint32_t detail, struct arena *arena,
                        struct said *said)
{
    if (json_kind(x, detail) == JSON_OBJECT) {
        read_members(x, detail, arena, said);
        return;
    }
    said->message = keep_string(x, detail, arena, UPSTREAM_MESSAGE_MAX);
    if (json_kind(x, detail) != JSON_ARRAY || json_first(x, detail) == JSON_NONE) {
        return;
    }
    uint32_t first = json_first(x, detail);
    uint32_t place = json_find(x, first, SPAN("loc"));
    said->message = keep_string(x, json_find(x, first, SPAN("msg")), arena, UPSTREAM_MESSAGE_MAX);
    uint32_t last = JSON_NONE;
    if (place != JSON_NONE && json_kind(x, place) == JSON_ARRAY) {
        for (uint32_t i = json_first(x, place); i != JSON_NONE; i = json_next(x, i)) {
            last = i;
        }
    }
    said->param = keep_string(x, last, arena, UPSTREAM_PARAM_MAX);
}

static void read_object(const struct json_index *x, uint32_t object, struct arena *arena,
                        struct said *said)
{
    uint32_t error = json_find(x, object, SPAN("error"));
    uint32_t detail = json_find(x, object, SPAN("detail"));
    if (error != JSON_NONE && json_kind(x, error) == JSON_OBJECT) {
        read_members(x, error, arena, said);
    } else if (error != JSON_NONE && json_kind(x, error) == JSON_STRING) {
        said->message = keep_string(x, error, arena, UPSTREAM_MESSAGE_MAX);
        uint32_t type = json_find(x, object, SPAN("error_type"));
        said->overloaded = is_one_of(x, type, "overloaded", "overloaded");
        said->status = is_one_of(x, type, "validation", "template_error") ||
                               is_one_of(x, type, "tool_error", "tool_error")
                           ? 422
                           : 0;
    } else if (detail != JSON_NONE) {
        read_detail(x, detail, arena, said);
    } else {
        read_members(x, object, arena, said);
    }
}

static bool is_page(const struct upstream_answer *answer)
{
    struct span start = trim(span_cut(answer->body, 0, 64));
    return has_words(answer->content_type, "html") || (start.len > 0 && start.at[0] == '<');
}

/* The body, or what its first line says if that is an event's. */
static struct span without_framing(struct span body)
{
    struct span start = SPAN("data:");
    if (!span_starts(body, start)) {
        return body;
    }
    return span_cut(body, start.len, span_find(body, '\n', 0) - start.len);
}

static void read_body(const struct upstream_answer *answer, struct arena *arena, struct said *said)
{
    if (answer->body.len == 0 || answer->body.len > BODY_MAX) {
        return;
    }
    struct span body = without_framing(answer->body);
    struct json_index x;
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, body);
    uint32_t object = 0; /* some put the error into an array of one */
    if (e == ERR_OK && json_kind(&x, 0) == JSON_ARRAY) {
        object = json_first(&x, 0);
    }
    if (e == ERR_OK && object != JSON_NONE && json_kind(&x, object) == JSON_OBJECT) {
        read_object(&x, object, arena, said);
    } else if (e == ERR_BODY_NOT_JSON && !is_page(answer)) {
        said->message = keep_text(arena, body, UPSTREAM_MESSAGE_MAX);
    }
    json_index_fini(&x);
}

/* --- what it means --- */

static enum err of_status(int status)
{
    switch (status) {
    case 400:
        return ERR_UPSTREAM_REQUEST;
    case 413:
        return ERR_UPSTREAM_TOO_LONG;
    case 422:
        return ERR_UPSTREAM_UNPROCESSABLE;
    case 429:
        return ERR_UPSTREAM_BUSY;
    case 408:
    case 409:
    case 424:
    case 425:
        return ERR_UPSTREAM_STATUS;
    default:
        return status >= 500 ? ERR_UPSTREAM_STATUS : ERR_UPSTREAM_REFUSED;
    }
}

static bool may_relay(enum err e)
{
    return e == ERR_UPSTREAM_REQUEST || e == ERR_UPSTREAM_TOO_LONG ||
           e == ERR_UPSTREAM_UNPROCESSABLE || e == ERR_CONTEXT_LENGTH;
}

/* A time that is over, and less than a second, are one second: none at all would mean that it did
 * not say. */
static int within_bounds(int64_t seconds)
{
    return seconds < 1                          ? 1
           : seconds > UPSTREAM_RETRY_AFTER_MAX ? UPSTREAM_RETRY_AFTER_MAX
                                                : (int)seconds;
}

static int retry_after(const struct upstream_answer *answer)
{
    uint64_t seconds;
    wall_us at;
    struct span text = span_trim(answer->retry_after);
    if (text.len > 0 && text.len <= 18 && span_to_u64(text, UINT64_MAX, &seconds)) {
        return within_bounds((int64_t)seconds); /* 18 digits fit */
    }
    if (http_date_parse(text, answer->now, &at) == ERR_OK) {
        return within_bounds((at.us - answer->now.us + 999999) / 1000000);
    }
    return 0;
}

void upstream_error_read(const struct upstream_answer *answer, struct arena *arena,
                         struct upstream_error *out)
{
    struct said said = {.status = 0};
    int status = answer->status;
    read_body(answer, arena, &said);
    if (status == 0) {
        status = said.status == 0 ? 500 : said.status;
        /* It says 422 in every event, of a full queue too. */
        bool hides = upstream_kind_row(answer->kind)->opens_stream_first;
        said.overloaded = said.overloaded || (hides && has_words(said.message, "overloaded"));
    }
    enum err e = said.overloaded ? ERR_UPSTREAM_BUSY : of_status(status);
    if (said.too_long || ((e == ERR_UPSTREAM_REQUEST || e == ERR_UPSTREAM_UNPROCESSABLE) &&
                          is_about_length(said.message))) {
        e = ERR_CONTEXT_LENGTH;
    }
    *out = (struct upstream_error){.err = e, .retry_after_s = retry_after(answer)};
    if (may_relay(e)) {
        out->message = said.message;
        out->param = said.param;
    }
}
