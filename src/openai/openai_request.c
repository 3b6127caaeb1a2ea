/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The effective request is the body with extra_body's members behind its own. A member is looked up
 * in the body first, so what a caller says at the top always wins.
 *
 * Objects that Atlas interprets are walked once (openai_request_walk.c): facts are found on the
 * way, and equal keys. Whatever may be long, the list of messages or inputs and the members of any
 * of these objects, is gone through in steps:
 *
 *   TOP → ROUTING → EXTRA → EXTRA_ROUTING → MODEL → LIST → ELEMENTS → OPTIONS → REST → done
 */
#include "openai/openai_request.h"

#include "openai/openai_names.h"
#include "openai/openai_request_walk.h"
#include "json/json_value.h"

#define MODEL_MAX       1024 /* bytes of a name; models of ours have shorter ones */
#define ESCAPE_BYTES    6    /* of a text, for a byte that it says, at most */
#define INPUTS_MAX      2048 /* OpenAI's own bound on the strings of one embeddings call */
#define LIFTED_MAX      256  /* members of extra_body: each is looked for in the body */
#define TOP_MAX         1024 /* members of the body; OpenAI has some forty */
#define N_MAX           128  /* OpenAI's own bound on n */
#define DEVELOPERS_MAX  4096 /* messages whose role may have to be changed */
#define TOKENS_MAX      (1LL << 40)
#define TOKENS_NOT_SAID (-2) /* beside -1, which says that there is no bound */
#define ROW_BYTES       16   /* of a step: what an element of a list costs */

enum stage { TOP, ROUTING, EXTRA, EXTRA_ROUTING, MODEL, LIST, ELEMENTS, OPTIONS, REST };

static enum err fault(struct openai_reading *r, enum err e, struct span param, struct span message)
{
    r->param = param;
    r->message = message;
    return e;
}

/* The value of a member of the effective request; JSON_NONE when absent or null. */
static uint32_t member(const struct openai_reading *r, enum openai_fact fact)
{
    uint32_t key = r->request.top.keys[fact];
    key = key == JSON_NONE ? r->request.extra.keys[fact] : key;
    return key == JSON_NONE || json_kind(r->x, key + 1) == JSON_NULL ? JSON_NONE : key + 1;
}

void openai_request_begin(struct openai_reading *r, const struct json_index *x,
                          enum openai_endpoint endpoint, struct arena *arena)
{
    *r = (struct openai_reading){.x = x,
                                 .arena = arena,
                                 .param = SPAN(""),
                                 .message = SPAN(""),
                                 .extra = JSON_NONE,
                                 .object = JSON_NONE,
                                 .continuous_usage = JSON_NONE};
    r->request.endpoint = endpoint;
    r->request.input_tokens = r->request.output_tokens_max = -1;
    r->request.include_usage = JSON_NONE;
    memset(&r->request.top, 0xff, sizeof(r->request.top)); /* JSON_NONE */
    memset(&r->request.extra, 0xff, sizeof(r->request.extra));
}

void openai_request_end(struct openai_reading *r)
{
    openai_walk_fini(r);
}

/* ---- the body, extra_body, and the hints in them ---- */

static enum err begin_top(struct openai_reading *r)
{
    if (r->x->count == 0 || json_kind(r->x, 0) != JSON_OBJECT) {
        return ERR_BODY_NOT_OBJECT;
    }
    if (json_count_most(r->x, 0, TOP_MAX + 1) > TOP_MAX) {
        return fault(r, ERR_VALUE_INVALID, SPAN(""), SPAN("the body has too many members"));
    }
    openai_walk_begin(r, 0, OPENAI_WALK_BODY, SPAN(""));
    return ERR_OK;
}

static enum err begin_extra(struct openai_reading *r)
{
    uint32_t key = r->request.top.keys[OPENAI_FACT_EXTRA_BODY];
    if (key == JSON_NONE || json_kind(r->x, key + 1) == JSON_NULL) {
        return ERR_OK;
    }
    if (json_kind(r->x, key + 1) != JSON_OBJECT) {
        return fault(r, ERR_VALUE_INVALID, SPAN("extra_body"),
                     SPAN("'extra_body' must be an object"));
    }
    if (json_count_most(r->x, key + 1, LIFTED_MAX + 1) > LIFTED_MAX) {
        return fault(r, ERR_VALUE_INVALID, SPAN("extra_body"),
                     SPAN("'extra_body' has too many members"));
    }
    r->extra = key + 1;
    openai_walk_begin(r, r->extra, OPENAI_WALK_EXTRA, SPAN("extra_body"));
    return ERR_OK;
}

static void begin_routing(struct openai_reading *r, const struct openai_facts *of, struct span name)
{
    uint32_t key = of->keys[OPENAI_FACT_ROUTING];
    if (key != JSON_NONE && json_kind(r->x, key + 1) == JSON_OBJECT) {
        openai_walk_begin(r, key + 1, OPENAI_WALK_HINTS, name);
    }
}

static enum err read_model(struct openai_reading *r)
{
    uint32_t row = member(r, OPENAI_FACT_MODEL);
    if (row == JSON_NONE) {
        return fault(r, ERR_VALUE_MISSING, SPAN("model"),
                     SPAN("you must provide a 'model'; GET /v1/models lists them"));
    }
    bool is_long = json_kind(r->x, row) == JSON_STRING &&
                   json_row(r->x, row)->len > MODEL_MAX * ESCAPE_BYTES + 2;
    enum err e = is_long ? ERR_OK : json_text(r->x, row, r->arena, &r->request.model);
    size_t len = r->request.model.len;
    if (is_long || (e == ERR_OK && len > MODEL_MAX)) {
        return fault(r, ERR_MODEL_UNKNOWN, SPAN("model"),
                     SPAN("no model has a name of so many bytes; GET /v1/models lists them"));
    }
    if (e == ERR_VALUE_INVALID || (e == ERR_OK && len == 0)) {
        return fault(r, ERR_VALUE_INVALID, SPAN("model"), SPAN("'model' must be a name"));
    }
    return e;
}

/* ---- messages, prompts, inputs ---- */

static enum err begin_messages(struct openai_reading *r)
{
    r->list = member(r, OPENAI_FACT_MESSAGES);
    if (r->list == JSON_NONE) {
        return fault(r, ERR_VALUE_MISSING, SPAN("messages"), SPAN("you must provide 'messages'"));
    }
    r->row = json_first(r->x, r->list);
    if (json_kind(r->x, r->list) != JSON_ARRAY || r->row == JSON_NONE) {
        return fault(r, ERR_VALUE_INVALID, SPAN("messages"),
                     SPAN("'messages' must be an array with at least one message"));
    }
    return ERR_OK;
}

static struct span input_name(const struct openai_reading *r)
{
    return r->request.endpoint == OPENAI_EMBEDDINGS ? SPAN("input") : SPAN("prompt");
}

/* `input` of embeddings, `prompt` of completions: a string, an array of strings, of token numbers,
 * or of arrays of these. */
static enum err begin_input(struct openai_reading *r)
{
    bool embeds = r->request.endpoint == OPENAI_EMBEDDINGS;
    r->list = member(r, embeds ? OPENAI_FACT_INPUT : OPENAI_FACT_PROMPT);
    if (r->list == JSON_NONE) {
        return fault(r, ERR_VALUE_MISSING, input_name(r), SPAN("it is required"));
    }
    r->row = JSON_NONE;
    if (json_kind(r->x, r->list) == JSON_STRING) {
        r->request.inputs = 1;
        return ERR_OK;
    }
    r->row = json_first(r->x, r->list);
    if (json_kind(r->x, r->list) != JSON_ARRAY || r->row == JSON_NONE) {
        return fault(r, ERR_VALUE_INVALID, input_name(r),
                     SPAN("it must be a string or an array with at least one element"));
    }
    r->kind = (uint8_t)json_kind(r->x, r->row);
    r->request.has_token_arrays = r->kind != JSON_STRING;
    if (r->kind != JSON_STRING) {
        r->request.input_tokens = 0;
    }
    r->request.inputs = r->kind == JSON_NUMBER;
    return ERR_OK;
}

static bool is_token(const struct openai_reading *r, uint32_t row)
{
    const struct json_row *number = json_row(r->x, row);
    return number->kind == JSON_NUMBER && (number->flags & JSON_FRACTION) == 0 &&
           r->x->text.at[number->offset] != '-';
}

/* One row of the list: an element, or a number of an array that is one. */
static bool take_element(struct openai_reading *r)
{
    const struct json_row *row = json_row(r->x, r->row);
    bool is_inner = row->depth > json_row(r->x, r->list)->depth + 1;
    if (is_inner || r->kind == JSON_NUMBER) {
        r->request.input_tokens++;
        return is_token(r, r->row);
    }
    r->request.inputs++;
    return row->kind == r->kind &&
           (r->kind == JSON_STRING || (r->kind == JSON_ARRAY && row->next > r->row + 1));
}

static enum err read_input(struct openai_reading *r, size_t *left)
{
    uint32_t end = r->row == JSON_NONE ? 0 : json_row(r->x, r->list)->next;
    for (; r->row<end && * left> 0; r->row++) {
        if (!take_element(r)) {
            return fault(r, ERR_VALUE_INVALID, input_name(r),
                         SPAN("it must be a string, an array of strings, an array of token "
                              "numbers, or an array of such arrays"));
        }
        if (r->request.endpoint == OPENAI_EMBEDDINGS && r->request.inputs > INPUTS_MAX) {
            return fault(r, ERR_VALUE_INVALID, SPAN("input"),
                         SPAN("it has more than 2048 elements"));
        }
        *left -= *left < ROW_BYTES ? *left : ROW_BYTES;
    }
    if (r->row >= end) {
        r->list = JSON_NONE; /* it was read */
    }
    return ERR_OK;
}

/* Notes that a message's role is to be changed for some servers. */
static enum err note_developer(struct openai_reading *r)
{
    struct openai_request *out = &r->request;
    if (r->role == JSON_NONE) {
        return ERR_OK;
    }
    const struct json_row *role = json_row(r->x, r->role);
    if (LIKELY(role->len != sizeof("\"developer\"") - 1 && (role->flags & JSON_ESCAPED) == 0)) {
        return ERR_OK;
    }
    if (!json_text_is(r->x, r->role, SPAN("developer"))) {
        return ERR_OK;
    }
    if (out->developer_count == DEVELOPERS_MAX) {
        return fault(r, ERR_VALUE_INVALID, SPAN("messages"),
                     SPAN("too many messages have the role 'developer'"));
    }
    if (out->developer_count == out->developer_cap) {
        uint32_t cap = out->developer_cap == 0 ? 4 : out->developer_cap * 2;
        uint32_t *rows = arena_alloc(r->arena, cap * sizeof(*rows));
        if (rows == NULL) {
            return ERR_NO_MEMORY;
        }
        if (out->developer_count > 0) {
            memcpy(rows, out->developers, out->developer_count * sizeof(*rows));
        }
        out->developers = rows;
        out->developer_cap = cap;
    }
    out->developers[out->developer_count++] = r->role;
    return ERR_OK;
}

/* Goes on with the message that is next; r->object is JSON_NONE when it was read. */
static enum err read_message(struct openai_reading *r, size_t *left)
{
    if (r->object != r->row) {
        *left -= *left < ROW_BYTES ? *left : ROW_BYTES;
        if (openai_is_plain_message(r->x, r->row)) {
            r->role = r->row + 2;
            return ERR_OK;
        }
        openai_walk_begin(r, r->row, OPENAI_WALK_MESSAGE, SPAN("messages"));
    }
    return openai_walk_step(r, left);
}

static enum err read_messages(struct openai_reading *r, size_t *left)
{
    while (*left > 0 && r->row != JSON_NONE) {
        if (json_kind(r->x, r->row) != JSON_OBJECT) {
            return fault(r, ERR_VALUE_INVALID, SPAN("messages"),
                         SPAN("each message must be an object"));
        }
        enum err e = read_message(r, left);
        if (e != ERR_OK || r->object != JSON_NONE) {
            return e;
        }
        e = note_developer(r);
        if (e != ERR_OK) {
            return e;
        }
        r->row = json_next(r->x, r->row);
    }
    if (r->row == JSON_NONE) {
        r->list = JSON_NONE;
    }
    return ERR_OK;
}

/* ---- the rest ---- */

static enum err read_bool(struct openai_reading *r, uint32_t row, struct span name, bool *out)
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

static enum err begin_options(struct openai_reading *r)
{
    enum err e = read_bool(r, member(r, OPENAI_FACT_STREAM), SPAN("stream"), &r->request.stream);
    uint32_t options = member(r, OPENAI_FACT_STREAM_OPTIONS);
    if (e != ERR_OK || options == JSON_NONE) {
        return e;
    }
    if (json_kind(r->x, options) != JSON_OBJECT) {
        return fault(r, ERR_VALUE_INVALID, SPAN("stream_options"),
                     SPAN("'stream_options' must be an object"));
    }
    openai_walk_begin(r, options, OPENAI_WALK_OPTIONS, SPAN("stream_options"));
    return ERR_OK;
}

static enum err read_options(struct openai_reading *r)
{
    struct openai_request *out = &r->request;
    bool continuous = false;
    enum err e =
        read_bool(r, out->include_usage, SPAN("stream_options.include_usage"), &out->wants_usage);
    if (e == ERR_OK) {
        e = read_bool(r, r->continuous_usage, SPAN("stream_options.continuous_usage_stats"),
                      &continuous);
    }
    /* Usage on every chunk is usage: who asks for it gets the last chunk's too. */
    out->wants_usage = out->wants_usage || (continuous && out->include_usage == JSON_NONE);
    out->wants_continuous_usage = continuous && out->wants_usage;
    return e;
}

static enum err read_count(struct openai_reading *r, enum openai_fact fact, struct span name,
                           int64_t least, int64_t *out)
{
    uint32_t row = member(r, fact);
    if (row == JSON_NONE) {
        return ERR_OK;
    }
    int64_t value, most = fact == OPENAI_FACT_N || fact == OPENAI_FACT_BEST_OF ? N_MAX : TOKENS_MAX;
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

/* The bound on the output. Where both names are used, which of them a server keeps to is its own
 * business: the greater counts, and one that says "no bound". */
static enum err read_output_max(struct openai_reading *r)
{
    struct openai_request *out = &r->request;
    int64_t n = 1, best_of = 1, older = TOKENS_NOT_SAID, newer = TOKENS_NOT_SAID;
    enum err e = read_count(r, OPENAI_FACT_N, SPAN("n"), 1, &n);
    if (e == ERR_OK && out->endpoint == OPENAI_COMPLETIONS) {
        e = read_count(r, OPENAI_FACT_BEST_OF, SPAN("best_of"), 0, &best_of);
    }
    if (e == ERR_OK) {
        e = read_count(r, OPENAI_FACT_MAX_TOKENS, SPAN("max_tokens"), -1, &older);
    }
    if (e == ERR_OK) {
        e = read_count(r, OPENAI_FACT_MAX_COMPLETION_TOKENS, SPAN("max_completion_tokens"), -1,
                       &newer);
    }
    int64_t prompts = out->inputs > 0 ? out->inputs : 1;
    out->choices = (uint32_t)(n * prompts); /* at most 128 times what a body can hold */
    out->answers = (uint32_t)((n > best_of ? n : best_of) * prompts);
    int64_t each = older > newer ? older : newer;
    if (e == ERR_OK && each >= 0 && older != -1 && newer != -1) {
        out->output_tokens_max = times(each, out->answers);
    }
    return e;
}

int64_t openai_request_output(const struct openai_request *request, int64_t each, int64_t limit)
{
    /* A chat of no tokens is none: servers take it for "no bound". Some completions are. */
    bool is_said = request->output_tokens_max > 0 || each == 0 ||
                   (request->output_tokens_max == 0 && request->endpoint != OPENAI_CHAT);
    int64_t most = is_said || request->endpoint == OPENAI_EMBEDDINGS
                       ? request->output_tokens_max
                       : times(each, request->answers);
    if (most <= 0 || limit == 0) {
        return most;
    }
    int64_t can = times(limit, request->answers);
    return most < can ? most : can;
}

static enum err read_encoding(struct openai_reading *r)
{
    uint32_t format = member(r, OPENAI_FACT_ENCODING_FORMAT);
    if (format == JSON_NONE || json_text_is(r->x, format, SPAN("float"))) {
        return ERR_OK;
    }
    r->request.wants_base64 = json_text_is(r->x, format, SPAN("base64"));
    return r->request.wants_base64
               ? ERR_OK
               : fault(r, ERR_VALUE_INVALID, SPAN("encoding_format"),
                       SPAN("'encoding_format' must be \"float\" or \"base64\""));
}

static enum err read_rest(struct openai_reading *r)
{
    if (r->request.endpoint == OPENAI_EMBEDDINGS) {
        return read_encoding(r);
    }
    enum err e = read_options(r);
    return e == ERR_OK ? read_output_max(r) : e;
}

/* Enters the stage: what it does at once, and what the steps are to go through. */
static enum err enter(struct openai_reading *r)
{
    switch ((enum stage)r->stage) {
    case TOP:
        return begin_top(r);
    case ROUTING:
        begin_routing(r, &r->request.top, SPAN("routing"));
        return ERR_OK;
    case EXTRA:
        return begin_extra(r);
    case EXTRA_ROUTING:
        begin_routing(r, &r->request.extra, SPAN("extra_body"));
        return ERR_OK;
    case MODEL:
        return read_model(r);
    case LIST:
        return r->request.endpoint == OPENAI_CHAT ? begin_messages(r) : begin_input(r);
    case ELEMENTS:
        return ERR_OK;
    case OPTIONS:
        return r->request.endpoint == OPENAI_EMBEDDINGS ? ERR_OK : begin_options(r);
    case REST:
        r->is_done = true;
        return read_rest(r);
    }
    NEVER("a stage is one of these");
}

/* Goes through what a stage entered; true if there is more of it. */
static enum err go_through(struct openai_reading *r, size_t *left, bool *is_more)
{
    enum err e = ERR_OK;
    if (r->stage == ELEMENTS) {
        e = r->request.endpoint == OPENAI_CHAT ? read_messages(r, left) : read_input(r, left);
        *is_more = r->list != JSON_NONE;
    } else if (r->object != JSON_NONE) {
        e = openai_walk_step(r, left);
        *is_more = r->object != JSON_NONE;
    } else {
        *is_more = false;
    }
    return e;
}

enum err openai_request_step(struct openai_reading *r, size_t bytes)
{
    CHECK(!r->is_done);
    enum err e = ERR_OK;
    bool is_more = false;
    while (e == ERR_OK && !r->is_done && bytes > 0) {
        if (!r->is_entered) {
            e = enter(r);
            r->is_entered = true;
        }
        if (e == ERR_OK) {
            e = go_through(r, &bytes, &is_more);
        }
        if (!is_more) {
            r->stage++;
            r->is_entered = false;
        }
    }
    return e;
}
