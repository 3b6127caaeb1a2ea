/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The effective request is the body with extra_body's members behind its own. A member is looked up
 * in the body first, so what a caller says at the top always wins.
 */
#include "openai/openai_request.h"

#include "json/json_value.h"

#define INPUTS_MAX 2048 /* OpenAI's own bound on the strings of one embeddings call */
#define LIFTED_MAX 256  /* members of extra_body: each is looked for in the body */
#define TOP_MAX    1024 /* members of the body; OpenAI has some forty */
#define N_MAX      128  /* OpenAI's own bound on n */
#define TOKENS_MAX (1LL << 40)

struct reader {
    const struct json_index *x;
    uint32_t root, extra; /* JSON_NONE: there is no extra_body */
    struct openai_request *out;
    struct span *param, *message;
};

static enum err fault(struct reader *r, enum err e, struct span param, struct span message)
{
    *r->param = param;
    *r->message = message;
    return e;
}

/* The value of a member of the effective request; JSON_NONE when absent or null. */
static uint32_t member(const struct reader *r, struct span name)
{
    uint32_t row = json_find(r->x, r->root, name);
    if (row == JSON_NONE && r->extra != JSON_NONE) {
        row = json_find(r->x, r->extra, name);
    }
    return row == JSON_NONE || json_kind(r->x, row) == JSON_NULL ? JSON_NONE : row;
}

static enum err refuse_duplicates(struct reader *r, uint32_t object, struct span param)
{
    uint32_t key;
    if (object == JSON_NONE || json_kind(r->x, object) != JSON_OBJECT) {
        return ERR_OK;
    }
    enum err e = json_first_duplicate(r->x, object, &key);
    if (e != ERR_OK || key == JSON_NONE) {
        return e;
    }
    return fault(r, ERR_JSON_DUPLICATE, param.len > 0 ? param : json_inside(r->x, key), SPAN(""));
}

static enum err open_objects(struct reader *r)
{
    if (r->x->count == 0 || json_kind(r->x, 0) != JSON_OBJECT) {
        return ERR_BODY_NOT_OBJECT;
    }
    if (json_count(r->x, r->root) > TOP_MAX) {
        return fault(r, ERR_VALUE_INVALID, SPAN(""), SPAN("the body has too many members"));
    }
    enum err e = refuse_duplicates(r, r->root, SPAN(""));
    if (e == ERR_OK) {
        e = refuse_duplicates(r, json_find(r->x, r->root, SPAN("routing")), SPAN("routing"));
    }
    if (e != ERR_OK) {
        return e;
    }
    uint32_t extra = json_find(r->x, r->root, SPAN("extra_body"));
    if (extra == JSON_NONE || json_kind(r->x, extra) == JSON_NULL) {
        return ERR_OK;
    }
    if (json_kind(r->x, extra) != JSON_OBJECT) {
        return fault(r, ERR_VALUE_INVALID, SPAN("extra_body"),
                     SPAN("'extra_body' must be an object"));
    }
    if (json_count(r->x, extra) > LIFTED_MAX) {
        return fault(r, ERR_VALUE_INVALID, SPAN("extra_body"),
                     SPAN("'extra_body' has too many members"));
    }
    r->extra = extra;
    e = refuse_duplicates(r, extra, SPAN("extra_body"));
    if (e == ERR_OK) {
        e = refuse_duplicates(r, json_find(r->x, extra, SPAN("routing")), SPAN("extra_body"));
    }
    return e;
}

static enum err read_model(struct reader *r, struct arena *arena)
{
    uint32_t row = member(r, SPAN("model"));
    if (row == JSON_NONE) {
        return fault(r, ERR_VALUE_MISSING, SPAN("model"),
                     SPAN("you must provide a 'model'; GET /v1/models lists them"));
    }
    enum err e = json_text(r->x, row, arena, &r->out->model);
    if (e == ERR_VALUE_INVALID || (e == ERR_OK && r->out->model.len == 0)) {
        return fault(r, ERR_VALUE_INVALID, SPAN("model"), SPAN("'model' must be a name"));
    }
    return e;
}

static enum err read_bool(struct reader *r, uint32_t row, struct span name, bool *out)
{
    if (row == JSON_NONE || json_kind(r->x, row) == JSON_NULL) {
        *out = false;
        return ERR_OK;
    }
    if (json_bool(r->x, row, out) != ERR_OK) {
        return fault(r, ERR_VALUE_INVALID, name, SPAN("it must be true or false"));
    }
    return ERR_OK;
}

static enum err read_stream(struct reader *r)
{
    enum err e = read_bool(r, member(r, SPAN("stream")), SPAN("stream"), &r->out->stream);
    uint32_t options = member(r, SPAN("stream_options"));
    if (e != ERR_OK || options == JSON_NONE) {
        return e;
    }
    if (json_kind(r->x, options) != JSON_OBJECT) {
        return fault(r, ERR_VALUE_INVALID, SPAN("stream_options"),
                     SPAN("'stream_options' must be an object"));
    }
    e = refuse_duplicates(r, options, SPAN("stream_options"));
    uint32_t asked = json_find(r->x, options, SPAN("include_usage"));
    if (e == ERR_OK) {
        e = read_bool(r, asked, SPAN("stream_options.include_usage"), &r->out->wants_usage);
    }
    bool continuous = false;
    if (e == ERR_OK) {
        e = read_bool(r, json_find(r->x, options, SPAN("continuous_usage_stats")),
                      SPAN("stream_options.continuous_usage_stats"), &continuous);
    }
    /* Usage on every chunk is usage: who asks for it gets the last chunk's too. */
    r->out->wants_usage = r->out->wants_usage || (continuous && asked == JSON_NONE);
    r->out->wants_continuous_usage = continuous && r->out->wants_usage;
    return e;
}

static enum err read_count(struct reader *r, struct span name, int64_t least, int64_t most,
                           int64_t *out)
{
    uint32_t row = member(r, name);
    if (row == JSON_NONE) {
        return ERR_OK;
    }
    int64_t value;
    if (json_int64(r->x, row, &value) != ERR_OK || value < least || value > most) {
        return fault(r, ERR_VALUE_INVALID, name, SPAN("it must be a whole number in its range"));
    }
    *out = value;
    return ERR_OK;
}

/* `most` tokens for each of `times` answers; a number that JSON can hold whatever was asked. */
static int64_t times(int64_t most, int64_t by)
{
    return most > TOKENS_MAX / by ? TOKENS_MAX : most * by;
}

static enum err read_output_max(struct reader *r)
{
    int64_t n = 1, best_of = 1, each = -1;
    enum err e = read_count(r, SPAN("n"), 1, N_MAX, &n);
    if (e == ERR_OK && r->out->endpoint == OPENAI_COMPLETIONS) {
        e = read_count(r, SPAN("best_of"), 0, N_MAX, &best_of);
    }
    if (e == ERR_OK) {
        e = read_count(r, SPAN("max_tokens"), -1, TOKENS_MAX, &each);
    }
    if (e == ERR_OK) {
        e = read_count(r, SPAN("max_completion_tokens"), -1, TOKENS_MAX, &each);
    }
    int64_t prompts = r->out->inputs > 0 ? r->out->inputs : 1;
    r->out->choices = (uint32_t)(n * prompts); /* at most 128 times what a body can hold */
    if (e == ERR_OK && each >= 0) {
        r->out->output_tokens_max = times(times(each, n > best_of ? n : best_of), prompts);
    }
    return e;
}

static enum err read_messages(struct reader *r)
{
    uint32_t messages = member(r, SPAN("messages"));
    if (messages == JSON_NONE) {
        return fault(r, ERR_VALUE_MISSING, SPAN("messages"), SPAN("you must provide 'messages'"));
    }
    if (json_kind(r->x, messages) != JSON_ARRAY || json_first(r->x, messages) == JSON_NONE) {
        return fault(r, ERR_VALUE_INVALID, SPAN("messages"),
                     SPAN("'messages' must be an array with at least one message"));
    }
    for (uint32_t m = json_first(r->x, messages); m != JSON_NONE; m = json_next(r->x, m)) {
        if (json_kind(r->x, m) != JSON_OBJECT) {
            return fault(r, ERR_VALUE_INVALID, SPAN("messages"),
                         SPAN("each message must be an object"));
        }
        enum err e = refuse_duplicates(r, m, SPAN("messages"));
        if (e != ERR_OK) {
            return e;
        }
    }
    return ERR_OK;
}

/* Whether all elements are whole numbers; their count. */
static bool is_token_array(const struct json_index *x, uint32_t array, uint32_t *count)
{
    *count = 0;
    for (uint32_t v = json_first(x, array); v != JSON_NONE; v = json_next(x, v)) {
        const struct json_row *row = json_row(x, v);
        if (row->kind != JSON_NUMBER || (row->flags & JSON_FRACTION) != 0 ||
            json_source(x, v).at[0] == '-') {
            return false;
        }
        ++*count;
    }
    return true;
}

/* An array of strings, or of arrays of token numbers. */
static enum err read_list(struct reader *r, uint32_t list, struct span name)
{
    const struct json_index *x = r->x;
    enum json_kind kind = json_kind(x, json_first(x, list));
    for (uint32_t v = json_first(x, list); v != JSON_NONE; v = json_next(x, v)) {
        uint32_t tokens = 0;
        bool fine = json_kind(x, v) == kind &&
                    (kind == JSON_STRING ||
                     (kind == JSON_ARRAY && is_token_array(x, v, &tokens) && tokens > 0));
        if (!fine) {
            return fault(r, ERR_VALUE_INVALID, name,
                         SPAN("it must be a string, an array of strings, an array of token "
                              "numbers, or an array of such arrays"));
        }
        r->out->inputs++;
        if (kind == JSON_ARRAY) {
            r->out->input_tokens = (r->out->input_tokens < 0 ? 0 : r->out->input_tokens) + tokens;
        }
    }
    r->out->has_token_arrays = kind == JSON_ARRAY;
    return ERR_OK;
}

/* `input` of embeddings, `prompt` of completions. */
static enum err read_input(struct reader *r, struct span name)
{
    uint32_t input = member(r, name), tokens = 0;
    if (input == JSON_NONE) {
        return fault(r, ERR_VALUE_MISSING, name, SPAN("it is required"));
    }
    if (json_kind(r->x, input) == JSON_STRING) {
        r->out->inputs = 1;
        return ERR_OK;
    }
    if (json_kind(r->x, input) != JSON_ARRAY || json_first(r->x, input) == JSON_NONE) {
        return fault(r, ERR_VALUE_INVALID, name,
                     SPAN("it must be a string or an array with at least one element"));
    }
    if (is_token_array(r->x, input, &tokens)) {
        r->out->inputs = 1;
        r->out->has_token_arrays = true;
        r->out->input_tokens = tokens;
        return ERR_OK;
    }
    return read_list(r, input, name);
}

static enum err read_embeddings(struct reader *r)
{
    enum err e = read_input(r, SPAN("input"));
    if (e != ERR_OK) {
        return e;
    }
    if (r->out->inputs > INPUTS_MAX) {
        return fault(r, ERR_VALUE_INVALID, SPAN("input"), SPAN("it has more than 2048 elements"));
    }
    uint32_t format = member(r, SPAN("encoding_format"));
    if (format == JSON_NONE || json_text_is(r->x, format, SPAN("float"))) {
        return ERR_OK;
    }
    r->out->wants_base64 = json_text_is(r->x, format, SPAN("base64"));
    return r->out->wants_base64 ? ERR_OK
                                : fault(r, ERR_VALUE_INVALID, SPAN("encoding_format"),
                                        SPAN("'encoding_format' must be \"float\" or \"base64\""));
}

static enum err read_endpoint(struct reader *r)
{
    enum err e = ERR_OK;
    switch (r->out->endpoint) {
    case OPENAI_CHAT:
        e = read_messages(r);
        break;
    case OPENAI_COMPLETIONS:
        e = read_input(r, SPAN("prompt"));
        break;
    case OPENAI_EMBEDDINGS:
        return read_embeddings(r);
    }
    if (e == ERR_OK) {
        e = read_stream(r);
    }
    return e == ERR_OK ? read_output_max(r) : e;
}

enum err openai_request_read(const struct json_index *x, enum openai_endpoint endpoint,
                             struct arena *arena, struct openai_request *out, struct span *param,
                             struct span *message)
{
    struct openai_request request = {
        .endpoint = endpoint, .input_tokens = -1, .output_tokens_max = -1};
    struct reader r = {x, 0, JSON_NONE, &request, param, message};
    *param = *message = SPAN("");
    enum err e = open_objects(&r);
    if (e == ERR_OK) {
        e = read_model(&r, arena);
    }
    if (e == ERR_OK) {
        e = read_endpoint(&r);
    }
    if (e == ERR_OK) {
        *out = request;
    }
    return e;
}
