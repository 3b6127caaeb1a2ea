/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body as it is sent upstream. Each member that we set has one text; where the body has the
 * member its value is replaced, where not the text is added, and extra_body's own of that name is
 * not lifted.
 */
#include "base/buf.h"
#include "openai/openai_request.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define NAME_BYTES_MAX 4096

struct editor {
    const struct json_index *x;
    struct arena *arena;
    struct json_edits *edits;
    const struct openai_request *request;
    const struct openai_target *target;
    uint32_t extra;
};

/* Never sent upstream: they are for us. */
static bool is_hint(const struct json_index *x, uint32_t key)
{
    return json_text_is(x, key, SPAN("routing")) ||
           json_text_is(x, key, SPAN("routing_preference"));
}

/* `"name":value`, in the arena. */
static struct span member_text(struct editor *ed, struct span name, struct span value)
{
    struct buf b;
    buf_init(&b, NAME_BYTES_MAX + value.len);
    json_put_string(&b, name);
    buf_put(&b, SPAN(":"));
    buf_put(&b, value);
    struct span text =
        buf_failed(&b) ? (struct span){NULL, 0} : arena_copy(ed->arena, buf_span(&b));
    buf_fini(&b);
    if (text.at == NULL) {
        ed->edits->failed = true;
    }
    return text;
}

/* Makes the body's member `name` be `value`. `value` must live as long as the edits. */
static void set_member(struct editor *ed, struct span name, struct span value)
{
    uint32_t row = json_find(ed->x, 0, name);
    if (row == JSON_NONE) {
        struct span text = member_text(ed, name, value);
        if (text.at != NULL) {
            json_edits_add_member_borrow(ed->edits, 0, JSON_AT_END, text);
        }
    } else if (!span_equal(json_source(ed->x, row), value)) {
        json_edits_set_value_borrow(ed->edits, row, value);
    }
}

struct span openai_quote(struct arena *arena, struct span text)
{
    struct buf b;
    buf_init(&b, text.len * 6 + 2);
    json_put_string(&b, text);
    struct span quoted = buf_failed(&b) ? (struct span){NULL, 0} : arena_copy(arena, buf_span(&b));
    buf_fini(&b);
    return quoted;
}

static void set_model(struct editor *ed)
{
    struct span quoted = openai_quote(ed->arena, ed->target->model);
    if (quoted.at == NULL) {
        ed->edits->failed = true;
        return;
    }
    set_member(ed, SPAN("model"), quoted);
}

/* A stream is asked for its usage, for our own accounts. */
static void set_stream_options(struct editor *ed)
{
    if (!ed->request->stream) {
        return;
    }
    uint32_t options = json_find(ed->x, 0, SPAN("stream_options"));
    if (options == JSON_NONE || json_kind(ed->x, options) != JSON_OBJECT) {
        set_member(ed, SPAN("stream_options"),
                   ed->request->wants_continuous_usage
                       ? SPAN("{\"include_usage\":true,\"continuous_usage_stats\":true}")
                       : SPAN("{\"include_usage\":true}"));
        return;
    }
    uint32_t asked = json_find(ed->x, options, SPAN("include_usage"));
    if (asked == JSON_NONE) {
        json_edits_add_member_borrow(ed->edits, options, JSON_AT_END,
                                     SPAN("\"include_usage\":true"));
    } else if (json_kind(ed->x, asked) != JSON_TRUE) {
        json_edits_set_value_borrow(ed->edits, asked, SPAN("true"));
    }
}

static bool has_member(const struct editor *ed, struct span name)
{
    return json_find_key(ed->x, 0, name) != JSON_NONE ||
           (ed->extra != JSON_NONE && json_find_key(ed->x, ed->extra, name) != JSON_NONE);
}

/* Renames max_completion_tokens, unless max_tokens says it already. Lifted ones: see lift(). */
static void rename_max_tokens(struct editor *ed)
{
    uint32_t key = json_find_key(ed->x, 0, SPAN("max_completion_tokens"));
    if (ed->target->lacks_max_completion_tokens && key != JSON_NONE &&
        !has_member(ed, SPAN("max_tokens"))) {
        const struct json_row *row = json_row(ed->x, key);
        json_edits_replace_borrow(ed->edits, row->offset, row->len, SPAN("\"max_tokens\""));
    }
}

static void rename_developer_role(struct editor *ed)
{
    uint32_t messages = json_find(ed->x, 0, SPAN("messages"));
    if (!ed->target->lacks_developer_role || messages == JSON_NONE ||
        json_kind(ed->x, messages) != JSON_ARRAY) {
        return;
    }
    for (uint32_t m = json_first(ed->x, messages); m != JSON_NONE; m = json_next(ed->x, m)) {
        uint32_t role = json_find(ed->x, m, SPAN("role"));
        if (role != JSON_NONE && json_text_is(ed->x, role, SPAN("developer"))) {
            json_edits_set_value_borrow(ed->edits, role, SPAN("\"system\""));
        }
    }
}

/* Whether a member of extra_body is set by us, or by the body itself. */
static bool is_overruled(const struct editor *ed, uint32_t key, struct span name)
{
    return json_find_key(ed->x, 0, name) != JSON_NONE || is_hint(ed->x, key) ||
           span_is(name, "model") || span_is(name, "extra_body") ||
           (span_is(name, "stream_options") && ed->request->stream) ||
           (span_is(name, "encoding_format") && ed->target->lacks_base64);
}

static void lift(struct editor *ed)
{
    if (ed->extra == JSON_NONE) {
        return;
    }
    for (uint32_t key = json_first(ed->x, ed->extra); key != JSON_NONE;
         key = json_next(ed->x, key)) {
        struct span name;
        if (json_text(ed->x, key, ed->arena, &name) != ERR_OK || is_overruled(ed, key, name)) {
            continue; /* half a surrogate pair is no name that a model server knows */
        }
        uint32_t from = json_row(ed->x, key)->offset;
        struct span source =
            span_cut(ed->x->text, from, json_end(ed->x, json_value(ed->x, key)) - from);
        if (span_is(name, "max_completion_tokens") && ed->target->lacks_max_completion_tokens &&
            !has_member(ed, SPAN("max_tokens"))) {
            source =
                member_text(ed, SPAN("max_tokens"), json_source(ed->x, json_value(ed->x, key)));
        }
        if (source.at != NULL) {
            json_edits_add_member_borrow(ed->edits, 0, JSON_AT_END, source);
        }
    }
}

static void remove_ours(struct editor *ed)
{
    for (uint32_t key = json_first(ed->x, 0); key != JSON_NONE; key = json_next(ed->x, key)) {
        if (is_hint(ed->x, key) || json_text_is(ed->x, key, SPAN("extra_body"))) {
            json_edits_remove_member(ed->edits, 0, key);
        }
    }
}

enum err openai_request_edit(const struct json_index *x, const struct openai_request *request,
                             const struct openai_target *target, struct arena *arena,
                             struct json_edits *out)
{
    struct editor ed = {x, arena, out, request, target, json_find(x, 0, SPAN("extra_body"))};
    if (ed.extra != JSON_NONE && json_kind(x, ed.extra) != JSON_OBJECT) {
        ed.extra = JSON_NONE;
    }
    json_edits_init(out, x, arena);
    remove_ours(&ed);
    set_model(&ed);
    rename_developer_role(&ed);
    rename_max_tokens(&ed);
    if (request->endpoint == OPENAI_EMBEDDINGS) {
        if (target->lacks_base64 && has_member(&ed, SPAN("encoding_format"))) {
            set_member(&ed, SPAN("encoding_format"), SPAN("\"float\""));
        }
    } else {
        set_stream_options(&ed);
    }
    lift(&ed);
    return json_edits_failed(out) ? ERR_NO_MEMORY : ERR_OK;
}
