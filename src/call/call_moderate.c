/* SPDX-License-Identifier: Apache-2.0 */
/* The guard asked for what it finds. */
#include "call/call_moderate.h"

#include <stdio.h>

#include "base/memory.h"
#include "call/call_guard_internal.h"
#include "guard/guard_score.h"

#define SLICE_US  250
#define PUT_BYTES ((size_t)128 * 1024) /* of an answer, in one turn */
#define ANSWER_BYTES_MAX                                                    \
    ((size_t)8 << 20) /* so many results with as many types as there may be \
                       */
#define ANSWER_UNCOUNTED ((size_t)16 * 1024)
#define MEMBERS_MAX      64 /* of an object in which one is looked for */
#define JSON_FIELDS      SPAN("Content-Type: application/json\r\nCache-Control: no-store\r\n")

#define BAD_LIST "'input' must be a text, or a list of texts or of text parts that is not empty"
#define BAD_TEXT "each element of 'input' must be a text, as the first is"
#define BAD_PART                                                                                  \
    "each element of 'input' must be {\"type\": \"text\", \"text\": …}: the guard reads texts " \
    "alone"

static const char no_input[] =
    "the body must have 'input': a text, or a list of texts or of text parts";

enum phase { INDEX, LOOK, PUT };

struct call_moderation {
    struct json_index index;
    enum phase phase;
    bool is_kept;    /* the index is the call's own, not the worker's */
    bool is_list;    /* of texts: each has a result, */
    bool is_parts;   /* or of parts, which have one together */
    bool is_inside;  /* a text goes on */
    bool is_written; /* the answer has all results */
    uint32_t next;   /* the input's row that is looked at next; JSON_NONE: that was all */
    const char *fault;
    struct guard_wanted wanted;
    struct guard_scan scan;
    struct guard_score score;
    struct json_writer writer;
    struct buf out;
    struct json_reader reader;
};

/* ---- what is asked ---- */

/* The value of a member; JSON_NONE: there is none, or the object has too many. */
static uint32_t find(const struct json_index *x, uint32_t object, struct span name)
{
    uint32_t key = json_first(x, object);
    for (unsigned i = 0; key != JSON_NONE && i < MEMBERS_MAX; i++) {
        if (json_text_is(x, key, name)) {
            return key + 1;
        }
        key = json_next(x, key);
    }
    return JSON_NONE;
}

/* The text of an element; JSON_NONE: it has none. */
static uint32_t text_of(const struct call_moderation *m, uint32_t row)
{
    const struct json_index *x = &m->index;
    bool is_part = json_kind(x, row) == JSON_OBJECT;
    if (is_part != m->is_parts) {
        return JSON_NONE;
    }
    if (is_part) {
        uint32_t type = find(x, row, SPAN("type"));
        row = type == JSON_NONE || !json_text_is(x, type, SPAN("text"))
                  ? JSON_NONE
                  : find(x, row, SPAN("text"));
    }
    return row != JSON_NONE && json_kind(x, row) == JSON_STRING ? row : JSON_NONE;
}

/* What is wrong with a list; NULL: nothing. */
static const char *read_list(struct call_moderation *m, uint32_t input)
{
    static const char too_many[] = "'input' may hold 256 texts at most";
    _Static_assert(MODERATION_INPUTS_MAX == 256, "the sentence says so");
    unsigned count = 0;
    m->next = json_first(&m->index, input);
    m->is_parts = m->next != JSON_NONE && json_kind(&m->index, m->next) == JSON_OBJECT;
    m->is_list = true;
    for (uint32_t row = m->next; row != JSON_NONE; row = json_next(&m->index, row)) {
        if (++count > MODERATION_INPUTS_MAX) {
            return too_many;
        }
        if (text_of(m, row) == JSON_NONE) {
            return m->is_parts ? BAD_PART : BAD_TEXT;
        }
    }
    return count == 0 ? BAD_LIST : NULL;
}

static const char *read_input(struct call_moderation *m)
{
    const struct json_index *x = &m->index;
    uint32_t input = json_kind(x, 0) == JSON_OBJECT ? find(x, 0, SPAN("input")) : JSON_NONE;
    if (input == JSON_NONE) {
        return no_input;
    }
    if (json_kind(x, input) == JSON_ARRAY) {
        return read_list(m, input);
    }
    m->next = input;
    return json_kind(x, input) == JSON_STRING ? NULL : BAD_LIST;
}

/* ---- what is answered ---- */

static void begin_answer(const struct call *call, struct call_moderation *m)
{
    char id[sizeof("modr-") + sizeof(call->id.text)];
    (void)snprintf(id, sizeof(id), "modr-%s", call->id.text); /* fits */
    json_write_init(&m->writer, &m->out);
    json_write_object(&m->writer);
    json_write_member_text(&m->writer, "id", id);
    json_write_member_text(&m->writer, "model", MODERATION_MODEL);
    json_write_key(&m->writer, "results");
    json_write_array(&m->writer);
}

static enum err end_answer(struct call_moderation *m)
{
    json_write_end(&m->writer);
    json_write_end(&m->writer);
    m->is_written = true;
    return json_write_finish(&m->writer) == ERR_OK ? ERR_OK : buf_error(&m->out);
}

static enum err step_index(struct call *call, struct call_moderation *m)
{
    enum err e = json_index_step(&m->index, JSON_STEP_BYTES);
    if (e != ERR_OK || !json_index_is_done(&m->index)) {
        return e;
    }
    m->fault = read_input(m);
    if (m->fault != NULL) {
        return m->fault == no_input ? ERR_VALUE_MISSING : ERR_VALUE_INVALID;
    }
    e = call_guard_begin_anyhow(call);
    if (e == ERR_OK) {
        const struct guard_rule_of *of = &call->guard->found.of;
        guard_wanted_of(of, GUARD_PROMPT, true, &m->wanted);
        guard_score_begin(&m->score, of);
        begin_answer(call, m);
        m->phase = LOOK;
    }
    return e;
}

/* A text has ended. */
static void end_text(struct call_moderation *m)
{
    m->is_inside = false;
    m->next = m->is_list ? json_next(&m->index, m->next) : JSON_NONE;
    if (m->next == JSON_NONE || !m->is_parts) {
        const struct guard_rule_of of = m->score.of;
        guard_score_write(&m->score, &m->writer);
        guard_score_begin(&m->score, &of);
    }
}

/* Goes on by a piece of a text. */
static enum err step_look(struct call *call, struct call_moderation *m)
{
    struct guard_out out;
    if (m->next == JSON_NONE) {
        return end_answer(m);
    }
    if (!m->is_inside) {
        json_reader_init(&m->reader, &m->index, m->is_parts ? text_of(m, m->next) : m->next);
        guard_scan_begin(&m->scan, &m->wanted);
        m->is_inside = true;
    }
    struct span piece = json_reader_next(&m->reader, GUARD_PIECE_BYTES);
    bool is_end = m->reader.left.len == 0;
    enum err e = guard_scan_feed(&m->scan, call->shared->guard, piece, is_end, &out);
    for (size_t i = 0; e == ERR_OK && i < out.count; i++) {
        guard_score_note(&m->score, &out.findings[i]);
        (void)guard_case_judge(&call->guard->found, GUARD_PROMPT,
                               &out.findings[i]); /* is noted for the record */
    }
    if (e == ERR_OK && is_end) {
        end_text(m);
    }
    return e == ERR_OK && buf_failed(&m->out) ? buf_error(&m->out) : e;
}

/* ---- the state ---- */

static enum err slice(struct call *call, struct call_moderation *m)
{
    const struct call_ports *ports = call->shared->ports;
    mono_us begun = ports->mono();
    enum err e = ERR_OK;
    do {
        e = m->phase == INDEX ? step_index(call, m) : step_look(call, m);
    } while (e == ERR_OK && !m->is_written && clock_since(begun, ports->mono()) < SLICE_US);
    if (e == ERR_OK && !m->is_written && !m->is_kept) {
        e = json_index_keep(&m->index);
        m->is_kept = e == ERR_OK;
    }
    return e;
}

static enum err begin(struct call *call)
{
    struct call_moderation *m = memory_new(sizeof(*m));
    if (m == NULL) {
        return ERR_NO_MEMORY;
    }
    buf_init_counted(&m->out, ANSWER_BYTES_MAX, ANSWER_UNCOUNTED);
    json_index_move(&call->shared->index, &m->index);
    json_index_begin_borrow(&m->index, call_body_span(call->body));
    call->is_indexed = false;
    call->moderation = m;
    return ERR_OK;
}

/* The texts are needed no more. */
static void release_index(struct call *call)
{
    struct call_moderation *m = call->moderation;
    if (m->is_kept) {
        json_index_fini(&m->index);
    } else {
        json_index_move(&m->index, &call->shared->index);
    }
    m->is_kept = true; /* what it has now is nobody's */
}

static enum call_state fail(struct call *call, enum err e)
{
    const struct call_moderation *m = call->moderation;
    char where[96];
    if (m != NULL && m->fault != NULL) {
        return call_fail_at(call, e, SPAN("input"), span_of(m->fault));
    }
    if (m != NULL && e == ERR_BODY_NOT_JSON) {
        (void)snprintf(where, sizeof(where),
                       "the request body is not valid JSON: see the byte at offset %zu",
                       m->index.error_at); /* fits */
        return call_fail_at(call, e, SPAN(""), span_of(where));
    }
    return call_fail(call, e);
}

/* The head, and of a large answer all but the last bytes. */
static enum call_state put(struct call *call)
{
    struct span answer = buf_span(&call->moderation->out);
    struct span rest = call_moderation_rest(call);
    if (!call->answer.head_put) {
        struct span fields = call_reply_fields(call, JSON_FIELDS);
        if (fields.at == NULL) {
            return call_fail(call, ERR_NO_MEMORY);
        }
        call->by->put_head(call->client, 200, fields, answer.len);
        call->answer.head_put = true;
    }
    if (rest.len <= PUT_BYTES) {
        call->answer.is_done = true;
        return CALL_SETTLE;
    }
    struct iovec piece = {(void *)(uintptr_t)rest.at, PUT_BYTES};
    call->by->put(call->client, &piece, 1);
    call->answer.bytes += PUT_BYTES;
    call_yield(call);
    return CALL_MODERATE;
}

enum call_state call_step_moderate(struct call *call)
{
    enum err e = call->moderation == NULL ? begin(call) : ERR_OK;
    struct call_moderation *m = call->moderation;
    if (call_is_lost(call)) {
        return CALL_SETTLE;
    }
    if (m == NULL) {
        return call_fail(call, e == ERR_OK ? ERR_INTERNAL : e);
    }
    if (e == ERR_OK && m->phase == PUT) {
        return put(call);
    }
    if (call->deadline.us != 0 && call->shared->ports->mono().us >= call->deadline.us) {
        return call_fail(call, ERR_DEADLINE);
    }
    e = e == ERR_OK ? slice(call, m) : e;
    if (e == ERR_OK && !m->is_written) {
        call_yield(call);
        return CALL_MODERATE;
    }
    enum call_state next = e == ERR_OK ? CALL_MODERATE : fail(call, e);
    release_index(call);
    m->phase = PUT;
    return e == ERR_OK ? put(call) : next;
}

struct span call_moderation_rest(const struct call *call)
{
    struct span answer = buf_span(&call->moderation->out);
    return span_cut(answer, (size_t)call->answer.bytes, answer.len);
}

void call_moderation_end(struct call *call)
{
    struct call_moderation *m = call->moderation;
    if (m != NULL) {
        json_index_fini(&m->index);
        buf_fini(&m->out);
        memory_free(m);
        call->moderation = NULL;
    }
}
