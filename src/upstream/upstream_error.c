/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/upstream_error.h"

#include <string.h>

#include "base/memory.h"
#include "http/http_date.h"
#include "upstream/upstream_kind.h"
#include "json/json_scan.h"
#include "json/json_value.h"

#define BODY_MAX  (256 * 1024)
#define ROWS_MAX  8192
#define DEPTH_MAX 32

#define BLANKS_MOST 1024 /* before a text, which are left away */
#define MENDED_MOST 4096 /* parts of a body that are no UTF-8; with more it is no text */

/* What is taken from a body. */
struct said {
    struct span message, param, type, code;
    bool too_long; /* the prompt, for the model */
    bool overloaded;
    bool no_money; /* or no quota */
    int status;    /* 0: none */
};

/* --- texts --- */

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
        size_t size;
        bool is_good = json_scan_character(text.at + i, text.at + text.len, &size);
        size_t takes = is_good ? size : 1;
        if (takes > room - len) {
            break;
        }
        if (is_good) {
            memcpy(out + len, text.at + i, size);
        } else {
            out[len] = '?';
        }
        len += takes;
        i += size;
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
    size_t inside = json_inside(x, row).len, room = most + BLANKS_MOST, len = 0;
    room = inside < room ? inside : room;
    uint8_t *plain = room == 0 ? NULL : memory_raw_counted(room + JSON_PIECE_BYTES);
    if (plain == NULL) {
        return none;
    }
    struct json_reader reader;
    struct span piece;
    json_reader_init(&reader, x, row);
    while (len < room && (piece = json_reader_next(&reader, JSON_PIECE_BYTES)).len > 0) {
        memcpy(plain + len, piece.at, piece.len);
        len += piece.len;
    }
    struct span kept = keep_text(arena, span_make(plain, len), most);
    memory_free_counted(plain);
    return kept;
}

static bool has_words(struct span text, const char *words)
{
    return span_find_nocase(text, span_of(words), 0) < text.len;
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

static char small_letter(uint8_t c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Whether `text` is `word`, whatever stands between its letters and however these are written:
 * "InsufficientBalance" is "insufficient_balance". `word` is small letters alone. */
static bool is_word(struct span text, const char *word)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = small_letter(text.at[i]);
        if (c < 'a' || c > 'z') {
            continue;
        }
        if (c != *word) {
            return false;
        }
        word++;
    }
    return *word == '\0';
}

static bool is_any_word(struct span text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_word(text, words[i])) {
            return true;
        }
    }
    return false;
}

/* How sellers name an account without money or quota, as code or type. */
static bool names_no_money(struct span word)
{
    static const char *const words[] = {
        "insufficientquota",         /* OpenAI, Azure, Alibaba, Perplexity */
        "quotaexceeded",             /* several */
        "exceededcurrentquota",      /* Moonshot, */
        "exceededcurrentquotaerror", /* as it says it in full */
        "billinghardlimitreached",   /* OpenAI */
        "billingnotactive",          /* OpenAI */
        "billingerror",              /* Anthropic */
        "insufficientbalance",       /* DeepSeek */
        "insufficientcredits",       /* OpenRouter */
        "insufficientfunds",
        "creditlimitexceeded",
        "creditsexhausted",
        "paymentrequired",
        "arrearage", /* Alibaba */
    };
    return is_any_word(word, words, sizeof(words) / sizeof(words[0]));
}

/* The same where neither says it. */
static bool tells_no_money(struct span message)
{
    return has_words(message, "exceeded your current quota") ||
           has_words(message, "credit balance is too low") ||
           has_words(message, "insufficient balance");
}

/* Whether it is the model that was not found, and not the path: Ollama's `model "x" not found`,
 * vLLM's "The model `x` does not exist." */
static bool is_about_model(const struct said *said)
{
    static const char *const codes[] = {"modelnotfound", "modelnotfounderror"};
    static const char *const phrases[] = {"not found",     "not exist",     "no such",
                                          "not available", "not supported", "unknown"};
    bool says = is_any_word(said->code, codes, sizeof(codes) / sizeof(codes[0])) ||
                is_any_word(said->type, codes, sizeof(codes) / sizeof(codes[0])) ||
                is_word(said->param, "model");
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]) && !says; i++) {
        says = has_words(said->message, "model") && has_words(said->message, phrases[i]);
    }
    return says;
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
        {"invalid_request_error", 400},     {"BadRequestError", 400},
        {"rate_limit_error", 429},          {"NotFoundError", 404},
        {"not_found_error", 404},           {"overloaded_error", 429},
        {"service_unavailable_error", 503}, {"unavailable_error", 503},
    };
    for (size_t i = 0; type != JSON_NONE && i < sizeof(types) / sizeof(types[0]); i++) {
        if (json_text_is(x, type, span_of(types[i].type))) {
            return types[i].status;
        }
    }
    return 0;
}

/* A code, which is text in OpenAI's form; some servers number theirs. */
static struct span keep_code(const struct json_index *x, uint32_t row, struct arena *arena)
{
    if (row != JSON_NONE && json_kind(x, row) == JSON_NUMBER) {
        return keep_text(arena, json_source(x, row), UPSTREAM_PARAM_MAX);
    }
    return keep_string(x, row, arena, UPSTREAM_PARAM_MAX);
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
    said->type = keep_string(x, type, arena, UPSTREAM_PARAM_MAX);
    said->code = keep_code(x, code, arena);
    said->no_money = names_no_money(said->type) || names_no_money(said->code);
    said->too_long = is_one_of(x, type, "exceed_context_size_error", "context_length_exceeded") ||
                     is_one_of(x, code, "exceed_context_size_error", "context_length_exceeded");
    said->status = number_of(x, code);
    if (said->status != 0) {
        said->code = SPAN(""); /* that is no code of OpenAI's */
    }
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

/* The body, whose torn characters must not hide what it says. */
static struct span well_formed(struct arena *arena, struct span body)
{
    size_t len = json_scan_mended(body, MENDED_MOST);
    uint8_t *to = len == 0 ? NULL : arena_alloc(arena, len);
    if (to == NULL) {
        return body;
    }
    (void)json_scan_mend(body, to); /* `len`, which was measured */
    return span_make(to, len);
}

static void read_body(const struct upstream_answer *answer, struct arena *arena, struct said *said)
{
    if (answer->body.len == 0 || answer->body.len > BODY_MAX) {
        return;
    }
    struct span body = well_formed(arena, without_framing(answer->body));
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
    case 402:
        return ERR_UPSTREAM_QUOTA;
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

/* What the server answered, seen from here. */
static enum err meaning(int status, const struct said *said)
{
    enum err e = of_status(status);
    bool told = status == 400 || status == 403 || status == 429;
    if (said->no_money || (told && tells_no_money(said->message))) {
        return ERR_UPSTREAM_QUOTA;
    }
    if (said->overloaded) {
        return ERR_UPSTREAM_BUSY;
    }
    if (said->too_long || ((e == ERR_UPSTREAM_REQUEST || e == ERR_UPSTREAM_UNPROCESSABLE) &&
                           is_about_length(said->message))) {
        return ERR_CONTEXT_LENGTH;
    }
    return status == 404 && is_about_model(said) ? ERR_UPSTREAM_MODEL : e;
}

/* A time that is over, and less than a second, are one second: none at all would mean that it did
 * not say. */
static int within_bounds(int64_t seconds)
{
    return seconds < 1                          ? 1
           : seconds > UPSTREAM_RETRY_AFTER_MAX ? UPSTREAM_RETRY_AFTER_MAX
                                                : (int)seconds;
}

/* RFC 9110 has whole seconds; servers send "7.2" all the same. */
static bool is_digits(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
    }
    return text.len > 0;
}

static bool has_other_digits_than_zero(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '0') {
            return true;
        }
    }
    return false;
}

int upstream_retry_after(struct span value, wall_us now)
{
    uint64_t seconds;
    wall_us at;
    struct span text = span_trim(value);
    size_t point = span_find(text, '.', 0);
    struct span whole = span_cut(text, 0, point), fraction = span_cut(text, point + 1, text.len);
    if (whole.len > 0 && whole.len <= 18 && span_to_u64(whole, UINT64_MAX, &seconds) &&
        (point == text.len || is_digits(fraction))) {
        seconds += has_other_digits_than_zero(fraction) ? 1 : 0;
        return within_bounds((int64_t)seconds); /* 18 digits fit */
    }
    if (http_date_parse(text, now, &at) == ERR_OK) {
        return within_bounds((at.us - now.us + 999999) / 1000000);
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
    enum err e = meaning(status, &said);
    *out = (struct upstream_error){
        .err = e,
        .retry_after_s =
            err_row(e)->retry ? upstream_retry_after(answer->retry_after, answer->now) : 0};
    if (may_relay(e)) {
        out->message = said.message;
        out->param = said.param;
        out->type = said.type;
        out->code = said.code;
    }
}
