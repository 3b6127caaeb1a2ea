/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body as it is sent upstream. Nothing is moved: extra_body is lifted by taking its brackets
 * away, so its members stand in the body where they stood in it, and are edited there.
 *
 *   {"model":"m","extra_body":{"top_k":5,"routing":{}},"n":1}
 *                ~~~~~~~~~~~~~~         ~~~~~~~~~~~~~
 *
 * What goes is decided before the first edit, for nothing may be edited inside what goes.
 */
#include "base/buf.h"
#include "openai/openai_request.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define DROPPED_MAX 1

struct editor {
    const struct json_index *x;
    struct arena *arena;
    struct json_edits *edits;
    const struct openai_request *request;
    const struct openai_target *target;
    uint32_t extra;    /* the extra_body that is lifted, or JSON_NONE */
    struct span limit; /* what max_tokens becomes; empty: it stays */
    struct span dropped[DROPPED_MAX];
    unsigned dropped_count;
};

/* Members whose value we judge by: the model server must see them where we did. */
static const char *const judged[] = {
    "model",      "messages",        "prompt",
    "input",      "stream",          "stream_options",
    "n",          "best_of",         "max_completion_tokens",
    "max_tokens", "encoding_format",
};

/* Whether it stands in JSON as it is: ASCII without a byte that must be escaped. */
static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < 0x20 || text.at[i] >= 0x80 || text.at[i] == '"' || text.at[i] == '\\') {
            return false;
        }
    }
    return true;
}

struct span openai_quote(struct arena *arena, struct span text)
{
    if (is_plain(text)) {
        uint8_t *to = arena_alloc(arena, text.len + 2);
        if (to == NULL) {
            return (struct span){NULL, 0};
        }
        to[0] = to[text.len + 1] = '"';
        memcpy(to + 1, text.at, text.len);
        return span_make(to, text.len + 2);
    }
    struct buf b;
    buf_init(&b, text.len * 6 + 2);
    json_put_string(&b, text);
    struct span quoted = buf_failed(&b) ? (struct span){NULL, 0} : arena_copy(arena, buf_span(&b));
    buf_fini(&b);
    return quoted;
}

/* Three texts as one, in the arena. Without memory the edits have failed. */
static struct span join(struct editor *ed, struct span a, struct span b, struct span c)
{
    uint8_t *to = arena_alloc(ed->arena, a.len + b.len + c.len);
    if (to == NULL || b.at == NULL) {
        ed->edits->failed = true;
        return SPAN("");
    }
    memcpy(to, a.at, a.len);
    memcpy(to + a.len, b.at, b.len);
    memcpy(to + a.len + b.len, c.at, c.len);
    return span_make(to, a.len + b.len + c.len);
}

/* Null is absent where we read a member, and some servers refuse it there: it is not sent. */
static bool is_judged_null(const struct json_index *x, uint32_t key)
{
    if (json_kind(x, json_value(x, key)) != JSON_NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++) {
        if (json_text_is(x, key, span_of(judged[i]))) {
            return true;
        }
    }
    return false;
}

/* The key of a member of the effective request, or JSON_NONE; also for one that goes because it is
 * null. */
static uint32_t find_key(const struct editor *ed, struct span name)
{
    uint32_t key = json_find_key(ed->x, 0, name);
    if (key == JSON_NONE && ed->extra != JSON_NONE) {
        key = json_find_key(ed->x, ed->extra, name);
    }
    return key == JSON_NONE || is_judged_null(ed->x, key) ? JSON_NONE : key;
}

/* Its value. */
static uint32_t find(const struct editor *ed, struct span name)
{
    uint32_t key = find_key(ed, name);
    return key == JSON_NONE ? JSON_NONE : json_value(ed->x, key);
}

/* ---- what goes ---- */

static void drop(struct editor *ed, struct span name)
{
    CHECK(ed->dropped_count < DROPPED_MAX);
    ed->dropped[ed->dropped_count++] = name;
}

/* Never sent upstream: hints are for us, and what is dropped was decided. */
static bool is_dropped(const struct editor *ed, uint32_t key)
{
    bool yes = json_text_is(ed->x, key, SPAN("routing")) ||
               json_text_is(ed->x, key, SPAN("routing_preference")) || is_judged_null(ed->x, key);
    for (unsigned i = 0; i < ed->dropped_count; i++) {
        yes = yes || json_text_is(ed->x, key, ed->dropped[i]);
    }
    return yes;
}

/* Whether a member of extra_body goes, for one of these reasons or because the body has its own. */
static bool is_overruled(struct editor *ed, uint32_t key)
{
    struct span name;
    enum err e = json_text(ed->x, key, ed->arena, &name);
    if (e != ERR_OK) { /* half a surrogate pair is no name that a model server knows */
        ed->edits->failed = ed->edits->failed || e == ERR_NO_MEMORY;
        return true;
    }
    return is_dropped(ed, key) || json_find_key(ed->x, 0, name) != JSON_NONE;
}

/* One bound on the output reaches the model server, in the words that it understands. */
static void decide_limit(struct editor *ed)
{
    uint32_t newer = find(ed, SPAN("max_completion_tokens"));
    uint32_t older = find(ed, SPAN("max_tokens"));
    if (newer == JSON_NONE) {
        return;
    }
    if (ed->target->lacks_max_completion_tokens) {
        ed->limit = json_source(ed->x, newer);
        drop(ed, SPAN("max_completion_tokens"));
    } else if (ed->target->refuses_both_max_tokens && older != JSON_NONE) {
        drop(ed, SPAN("max_tokens"));
    }
}

/* ---- extra_body ---- */

static bool has_judged(const struct json_index *x, uint32_t extra)
{
    for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++) {
        struct span name = span_of(judged[i]);
        if (json_find_key(x, 0, name) == JSON_NONE && json_find_key(x, extra, name) != JSON_NONE) {
            return true;
        }
    }
    return false;
}

/* Takes the wrapper's brackets away, and the members that are not lifted. */
static void lift(struct editor *ed, uint32_t wrapper)
{
    const struct json_index *x = ed->x;
    uint32_t from = json_row(x, wrapper)->offset;
    json_edits_replace_borrow(ed->edits, from, json_row(x, ed->extra)->offset + 1 - from, SPAN(""));
    for (uint32_t key = json_first(x, ed->extra); key != JSON_NONE; key = json_next(x, key)) {
        if (is_overruled(ed, key)) {
            json_edits_remove_member(ed->edits, ed->extra, key);
        }
    }
    json_edits_replace_borrow(ed->edits, json_end(x, ed->extra) - 1, 1, SPAN(""));
}

/* Leaves the wrapper, as a server that has a use for it wants it, without our hints. */
static void keep(struct editor *ed, uint32_t extra)
{
    for (uint32_t key = json_first(ed->x, extra); key != JSON_NONE; key = json_next(ed->x, key)) {
        if (is_dropped(ed, key)) {
            json_edits_remove_member(ed->edits, extra, key);
        }
    }
}

static bool holds_something(struct editor *ed, uint32_t extra)
{
    for (uint32_t key = json_first(ed->x, extra); key != JSON_NONE; key = json_next(ed->x, key)) {
        if (ed->extra == JSON_NONE ? !is_dropped(ed, key) : !is_overruled(ed, key)) {
            return true;
        }
    }
    return false;
}

/* Removes what goes. Afterwards ed->extra is where lifted members are found. */
static void remove_dropped(struct editor *ed)
{
    for (uint32_t key = json_first(ed->x, 0); key != JSON_NONE; key = json_next(ed->x, key)) {
        if (is_dropped(ed, key)) {
            json_edits_remove_member(ed->edits, 0, key);
        }
    }
    uint32_t wrapper = json_find_key(ed->x, 0, SPAN("extra_body"));
    if (wrapper == JSON_NONE) {
        return;
    }
    if (!holds_something(ed, json_value(ed->x, wrapper))) {
        json_edits_remove_member(ed->edits, 0, wrapper);
        ed->extra = JSON_NONE;
    } else if (ed->extra == JSON_NONE) {
        keep(ed, json_value(ed->x, wrapper));
    } else {
        lift(ed, wrapper);
    }
}

/* ---- what is set ---- */

/* Makes the member `name` be `value`, which must live as long as the edits. */
static void set_member(struct editor *ed, struct span name, struct span value)
{
    uint32_t row = find(ed, name);
    if (value.at == NULL) {
        ed->edits->failed = true;
    } else if (row == JSON_NONE) {
        struct span key = join(ed, SPAN("\""), name, SPAN("\":"));
        struct span text = join(ed, key, value, SPAN(""));
        if (text.len > 0) {
            json_edits_add_member_borrow(ed->edits, 0, JSON_AT_END, text);
        }
    } else if (!span_equal(json_source(ed->x, row), value)) {
        json_edits_set_value_borrow(ed->edits, row, value);
    }
}

/* A stream is asked for its usage, for our own accounts. */
static void set_stream_options(struct editor *ed)
{
    uint32_t options = find(ed, SPAN("stream_options"));
    if (options == JSON_NONE) {
        set_member(ed, SPAN("stream_options"), SPAN("{\"include_usage\":true}"));
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

static void set_stop(struct editor *ed)
{
    uint32_t stop = find(ed, SPAN("stop"));
    if (stop != JSON_NONE && json_kind(ed->x, stop) == JSON_STRING) {
        struct span list = join(ed, SPAN("["), json_source(ed->x, stop), SPAN("]"));
        if (list.len > 0) {
            json_edits_set_value_borrow(ed->edits, stop, list);
        }
    }
}

static void rename_developer_role(struct editor *ed)
{
    uint32_t messages = find(ed, SPAN("messages"));
    if (messages == JSON_NONE || json_kind(ed->x, messages) != JSON_ARRAY) {
        return;
    }
    for (uint32_t m = json_first(ed->x, messages); m != JSON_NONE; m = json_next(ed->x, m)) {
        uint32_t role = json_find(ed->x, m, SPAN("role"));
        if (role != JSON_NONE && json_text_is(ed->x, role, SPAN("developer"))) {
            json_edits_set_value_borrow(ed->edits, role, SPAN("\"system\""));
        }
    }
}

static void set_members(struct editor *ed)
{
    set_member(ed, SPAN("model"), openai_quote(ed->arena, ed->target->model));
    if (ed->request->endpoint == OPENAI_CHAT && ed->target->lacks_developer_role) {
        rename_developer_role(ed);
    }
    if (ed->limit.len > 0) {
        set_member(ed, SPAN("max_tokens"), ed->limit);
    }
    if (ed->request->stream) {
        set_stream_options(ed);
    }
    if (ed->target->lacks_stop_text) {
        set_stop(ed);
    }
    if (ed->target->lacks_base64 && find(ed, SPAN("encoding_format")) != JSON_NONE) {
        set_member(ed, SPAN("encoding_format"), SPAN("\"float\""));
    }
}

enum err openai_request_edit(const struct json_index *x, const struct openai_request *request,
                             const struct openai_target *target, struct arena *arena,
                             struct json_edits *out)
{
    struct editor ed = {.x = x,
                        .arena = arena,
                        .edits = out,
                        .request = request,
                        .target = target,
                        .extra = json_find(x, 0, SPAN("extra_body"))};
    if (ed.extra != JSON_NONE && (json_kind(x, ed.extra) != JSON_OBJECT ||
                                  (target->keeps_extra_body && !has_judged(x, ed.extra)))) {
        ed.extra = JSON_NONE;
    }
    json_edits_init(out, x, arena);
    decide_limit(&ed);
    remove_dropped(&ed);
    set_members(&ed);
    return json_edits_failed(out) ? ERR_NO_MEMORY : ERR_OK;
}
