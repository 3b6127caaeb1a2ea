/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body as it is sent upstream. Nothing is moved: extra_body is lifted by taking its brackets
 * away, so its members stand in the body where they stood in it, and are edited there.
 *
 *   {"model":"m","extra_body":{"top_k":5,"routing":{}},"n":1}
 *                ~~~~~~~~~~~~~~         ~~~~~~~~~~~~~
 *
 * Two layers: what a call needs wherever it goes, and what one model server needs. Which members
 * there are was found when the request was read (struct openai_facts), so that an edit walks over
 * extra_body at most.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/map.h"
#include "openai/openai_request.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define NAME_MOST    64 /* bytes of a name that is lifted; no model server knows a longer one */
#define ESCAPE_BYTES 6  /* of a text, for a byte that it says, at most */

/* A member of the body, by the hash of its name: the body may have a thousand of them, and
 * extra_body hundreds that are looked for there. */
struct taken {
    uint64_t hash;
    uint32_t key;
};

struct editor {
    const struct json_index *x;
    struct arena *arena;
    struct json_edits *edits;
    const struct openai_request *request;
    const struct openai_target *target; /* NULL: the call's layer */
    bool is_lifted;                     /* extra_body's members count as the body's */
    enum openai_fact dropped;           /* a member that this server is not sent, or OPENAI_FACTS */
    struct span limit;                  /* what a bound becomes, empty: it stays; */
    enum openai_fact limited;           /* which: max_tokens, or max_completion_tokens */
    struct taken *taken;                /* NULL: nobody has asked yet */
    uint32_t taken_count;
};

/* As they are written where a member is added. */
static const char *const fact_names[OPENAI_FACTS] = {
    [OPENAI_FACT_MODEL] = "model",
    [OPENAI_FACT_STREAM_OPTIONS] = "stream_options",
    [OPENAI_FACT_MAX_TOKENS] = "max_tokens",
    [OPENAI_FACT_MAX_COMPLETION_TOKENS] = "max_completion_tokens",
    [OPENAI_FACT_ENCODING_FORMAT] = "encoding_format",
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
    buf_init_counted(&b, text.len * 6 + 2, BUF_UNCOUNTED);
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
        json_edits_fail(ed->edits, arena_error(ed->arena));
        return SPAN("");
    }
    memcpy(to, a.at, a.len);
    memcpy(to + a.len, b.at, b.len);
    memcpy(to + a.len + b.len, c.at, c.len);
    return span_make(to, a.len + b.len + c.len);
}

/* ---- what is where ---- */

static bool is_null(const struct json_index *x, uint32_t key)
{
    return json_kind(x, json_value(x, key)) == JSON_NULL;
}

/* The object of extra_body, or JSON_NONE. */
static uint32_t extra_of(const struct editor *ed)
{
    uint32_t wrapper = ed->request->top.keys[OPENAI_FACT_EXTRA_BODY];
    return wrapper == JSON_NONE || is_null(ed->x, wrapper) ? JSON_NONE : json_value(ed->x, wrapper);
}

/* The value of a member of the effective request, or JSON_NONE; also for one that goes because it
 * is null. */
static uint32_t find(const struct editor *ed, enum openai_fact fact)
{
    uint32_t key = ed->request->top.keys[fact];
    if (key == JSON_NONE && ed->is_lifted) {
        key = ed->request->extra.keys[fact];
    }
    return key == JSON_NONE || (fact < OPENAI_JUDGED && is_null(ed->x, key))
               ? JSON_NONE
               : json_value(ed->x, key);
}

/* Whether Atlas judges by a member of extra_body: it is then lifted, whoever is asked. */
static bool is_judged(const struct openai_request *request)
{
    for (unsigned fact = 0; fact < OPENAI_JUDGED; fact++) {
        if (request->top.keys[fact] == JSON_NONE && request->extra.keys[fact] != JSON_NONE) {
            return true;
        }
    }
    return false;
}

/* ---- what goes ---- */

/* Hints are for us. Null is absent where we judge by a member, and some servers refuse it there. */
static bool goes_anywhere(const struct editor *ed, const struct openai_facts *facts,
                          enum openai_fact fact)
{
    uint32_t key = facts->keys[fact];
    bool is_hint = fact == OPENAI_FACT_ROUTING || fact == OPENAI_FACT_ROUTING_PREFERENCE;
    return key != JSON_NONE && (is_hint || (fact < OPENAI_JUDGED && is_null(ed->x, key)));
}

static void remove_anywhere(struct editor *ed, uint32_t object, const struct openai_facts *facts)
{
    for (unsigned fact = 0; fact < OPENAI_FACTS; fact++) {
        if (goes_anywhere(ed, facts, (enum openai_fact)fact)) {
            json_edits_remove_member(ed->edits, object, facts->keys[fact]);
        }
    }
}

/* Which of ours the key is; OPENAI_FACTS: none. */
static enum openai_fact fact_at(const struct openai_facts *facts, uint32_t key)
{
    unsigned fact = 0;
    while (fact < OPENAI_FACTS && facts->keys[fact] != key) {
        fact++;
    }
    return (enum openai_fact)fact;
}

/* What a key says, in `room` if it has escapes. False: it is too long for a name, or has half a
 * surrogate pair. */
static bool name_of(const struct json_index *x, uint32_t key,
                    uint8_t room[NAME_MOST * ESCAPE_BYTES], struct span *out)
{
    size_t halves = 0;
    *out = json_inside(x, key);
    if (out->len > NAME_MOST * ESCAPE_BYTES) {
        return false;
    }
    if ((json_row(x, key)->flags & JSON_ESCAPED) != 0) {
        *out = span_make(room, json_unescape(x, key, room, &halves));
    }
    return halves == 0 && out->len <= NAME_MOST;
}

/* Notes the body's members whose names may stand in extra_body, too. */
static bool find_taken(struct editor *ed)
{
    uint8_t room[NAME_MOST * ESCAPE_BYTES];
    struct span name;
    ed->taken = arena_alloc(ed->arena, json_count(ed->x, 0) * sizeof(*ed->taken));
    if (ed->taken == NULL) {
        json_edits_fail(ed->edits, arena_error(ed->arena));
        return false;
    }
    for (uint32_t key = json_first(ed->x, 0); key != JSON_NONE; key = json_next(ed->x, key)) {
        if (name_of(ed->x, key, room, &name)) {
            ed->taken[ed->taken_count++] = (struct taken){map_hash(name), key};
        }
    }
    return true;
}

/* Whether the body has a member of the name that a key of extra_body says, or it is no name that a
 * model server knows. */
static bool is_overruled(struct editor *ed, uint32_t key)
{
    uint8_t room[NAME_MOST * ESCAPE_BYTES];
    struct span name;
    if (!name_of(ed->x, key, room, &name) || (ed->taken == NULL && !find_taken(ed))) {
        return true;
    }
    uint64_t hash = map_hash(name);
    for (uint32_t i = 0; i < ed->taken_count; i++) {
        if (ed->taken[i].hash == hash && json_text_is(ed->x, ed->taken[i].key, name)) {
            return true;
        }
    }
    return false;
}

/* Whether a member of extra_body is sent: lifted, or where it is. */
static bool stays(struct editor *ed, uint32_t key)
{
    const struct openai_request *request = ed->request;
    enum openai_fact fact = fact_at(&request->extra, key);
    if (fact == OPENAI_FACTS) {
        return !ed->is_lifted || !is_overruled(ed, key);
    }
    return fact != ed->dropped && !goes_anywhere(ed, &request->extra, fact) &&
           (!ed->is_lifted || request->top.keys[fact] == JSON_NONE);
}

static bool holds_something(struct editor *ed, uint32_t extra)
{
    for (uint32_t key = json_first(ed->x, extra); key != JSON_NONE; key = json_next(ed->x, key)) {
        if (stays(ed, key)) {
            return true;
        }
    }
    return false;
}

/* Takes the wrapper's brackets away, and the members that are not lifted. False: none is. */
static bool lift(struct editor *ed, uint32_t extra)
{
    const struct json_index *x = ed->x;
    bool is_any = false;
    uint32_t from = json_row(x, extra - 1)->offset;
    json_edits_replace_borrow(ed->edits, from, json_row(x, extra)->offset + 1 - from, SPAN(""));
    for (uint32_t key = json_first(x, extra); key != JSON_NONE; key = json_next(x, key)) {
        if (stays(ed, key)) {
            is_any = true;
        } else {
            json_edits_remove_member(ed->edits, extra, key);
        }
    }
    json_edits_replace_borrow(ed->edits, json_end(x, extra) - 1, 1, SPAN(""));
    return is_any;
}

/* ---- what one server is not sent ---- */

/* One bound on the output reaches the model server, in the words that it understands. */
static void decide_limit(struct editor *ed)
{
    uint32_t newer = find(ed, OPENAI_FACT_MAX_COMPLETION_TOKENS);
    uint32_t older = find(ed, OPENAI_FACT_MAX_TOKENS);
    if (newer == JSON_NONE) {
        return;
    }
    if (ed->target->lacks_max_completion_tokens) {
        ed->limit = json_edits_value(ed->edits, newer);
        ed->dropped = OPENAI_FACT_MAX_COMPLETION_TOKENS;
    } else if (ed->target->refuses_both_max_tokens && older != JSON_NONE) {
        ed->dropped = OPENAI_FACT_MAX_TOKENS;
    }
}

/* A caller that says no bound is held at the model's. Who refuses the two together wants the newer
 * one. */
static void decide_cap(struct editor *ed)
{
    char number[24];
    const struct openai_target *target = ed->target;
    const struct openai_request *request = ed->request;
    if (target->max_output == 0 || request->endpoint == OPENAI_EMBEDDINGS ||
        request->output_tokens_max >= 0) {
        return;
    }
    (void)snprintf(number, sizeof(number), "%lld", (long long)target->max_output); /* fits */
    ed->limit = arena_copy(ed->arena, span_of(number));
    if (ed->limit.at == NULL) {
        json_edits_fail(ed->edits, arena_error(ed->arena));
    }
    bool is_newer = target->refuses_both_max_tokens && request->endpoint == OPENAI_CHAT;
    if (!target->lacks_max_completion_tokens &&
        (is_newer || find(ed, OPENAI_FACT_MAX_COMPLETION_TOKENS) != JSON_NONE)) {
        ed->limited = OPENAI_FACT_MAX_COMPLETION_TOKENS;
        ed->dropped = OPENAI_FACT_MAX_TOKENS; /* one that says nothing: -1 */
    }
}

/* Removes what this server is not sent, and extra_body if nothing of it is left then. */
static void remove_dropped(struct editor *ed, uint32_t extra)
{
    const struct openai_request *request = ed->request;
    bool is_top = ed->dropped < OPENAI_FACTS && request->top.keys[ed->dropped] != JSON_NONE;
    bool is_inside = ed->dropped < OPENAI_FACTS && request->extra.keys[ed->dropped] != JSON_NONE;
    bool is_kept = true;
    if (is_top) {
        json_edits_remove_member(ed->edits, 0, request->top.keys[ed->dropped]);
    }
    if (ed->is_lifted && !is_judged(request)) {
        is_kept = lift(ed, extra);
    } else if (is_inside) {
        json_edits_remove_member(ed->edits, extra, request->extra.keys[ed->dropped]);
        is_kept = holds_something(ed, extra);
    }
    if (!is_kept) {
        json_edits_remove_member(ed->edits, 0, extra - 1);
    }
}

/* ---- what is set ---- */

/* Makes a member be `value`, which must live as long as the edits. */
static void set_member(struct editor *ed, enum openai_fact fact, struct span value)
{
    uint32_t row = find(ed, fact);
    if (value.at == NULL) {
        json_edits_fail(ed->edits, arena_error(ed->arena));
    } else if (row == JSON_NONE) {
        struct span key = join(ed, SPAN("\""), span_of(fact_names[fact]), SPAN("\":"));
        struct span text = join(ed, key, value, SPAN(""));
        if (text.len > 0) {
            json_edits_add_member_borrow(ed->edits, 0, JSON_AT_END, text);
        }
    } else if (!span_equal(json_edits_value(ed->edits, row), value)) {
        json_edits_set_value_borrow(ed->edits, row, value);
    }
}

/* A stream is asked for its usage, for our own accounts. */
static void set_stream_options(struct editor *ed)
{
    uint32_t options = find(ed, OPENAI_FACT_STREAM_OPTIONS);
    if (options == JSON_NONE) {
        set_member(ed, OPENAI_FACT_STREAM_OPTIONS, SPAN("{\"include_usage\":true}"));
        return;
    }
    uint32_t asked = ed->request->include_usage;
    if (asked == JSON_NONE) {
        json_edits_add_member_borrow(ed->edits, options, JSON_AT_END,
                                     SPAN("\"include_usage\":true"));
    } else if (json_kind(ed->x, asked) != JSON_TRUE) {
        json_edits_set_value_borrow(ed->edits, asked, SPAN("true"));
    }
}

static void set_stop(struct editor *ed)
{
    uint32_t stop = find(ed, OPENAI_FACT_STOP);
    if (stop != JSON_NONE && json_kind(ed->x, stop) == JSON_STRING) {
        struct span list = join(ed, SPAN("["), json_edits_value(ed->edits, stop), SPAN("]"));
        if (list.len > 0) {
            json_edits_set_value_borrow(ed->edits, stop, list);
        }
    }
}

static void rename_developer_roles(struct editor *ed)
{
    for (uint32_t i = 0; i < ed->request->developer_count; i++) {
        json_edits_set_value_borrow(ed->edits, ed->request->developers[i], SPAN("\"system\""));
    }
}

static void set_members(struct editor *ed)
{
    set_member(ed, OPENAI_FACT_MODEL, openai_quote(ed->arena, ed->target->model));
    if (ed->target->lacks_developer_role) {
        rename_developer_roles(ed);
    }
    if (ed->limit.len > 0) {
        set_member(ed, ed->limited, ed->limit);
    }
    if (ed->request->stream && !ed->target->lacks_stream_options) {
        set_stream_options(ed);
    }
    if (ed->target->lacks_stop_text) {
        set_stop(ed);
    }
    if (ed->target->lacks_base64 && find(ed, OPENAI_FACT_ENCODING_FORMAT) != JSON_NONE) {
        set_member(ed, OPENAI_FACT_ENCODING_FORMAT, SPAN("\"float\""));
    }
}

enum err openai_request_edit_call(const struct json_index *x, const struct openai_request *request,
                                  struct arena *arena, struct json_edits *out)
{
    struct editor ed = {.x = x,
                        .arena = arena,
                        .edits = out,
                        .request = request,
                        .is_lifted = is_judged(request),
                        .dropped = OPENAI_FACTS};
    uint32_t extra = extra_of(&ed);
    remove_anywhere(&ed, 0, &request->top);
    if (extra != JSON_NONE) {
        remove_anywhere(&ed, extra, &request->extra);
    }
    bool is_kept =
        extra != JSON_NONE && (ed.is_lifted ? lift(&ed, extra) : holds_something(&ed, extra));
    if (!is_kept && request->top.keys[OPENAI_FACT_EXTRA_BODY] != JSON_NONE) {
        json_edits_remove_member(out, 0, request->top.keys[OPENAI_FACT_EXTRA_BODY]);
    }
    return json_edits_error(out);
}

enum err openai_request_edit_target(const struct json_index *x,
                                    const struct openai_request *request,
                                    const struct json_edits *call,
                                    const struct openai_target *target, struct arena *arena,
                                    struct json_edits *out)
{
    struct editor ed = {.x = x,
                        .arena = arena,
                        .edits = out,
                        .request = request,
                        .target = target,
                        .dropped = OPENAI_FACTS,
                        .limited = OPENAI_FACT_MAX_TOKENS};
    uint32_t extra = extra_of(&ed);
    ed.is_lifted = extra != JSON_NONE && (is_judged(request) || !target->keeps_extra_body);
    json_edits_init_upon(out, call, x, arena);
    decide_limit(&ed);
    decide_cap(&ed);
    remove_dropped(&ed, extra);
    set_members(&ed);
    return json_edits_error(out);
}
