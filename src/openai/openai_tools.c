/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A delta names its call by index, and clients put the pieces together by it: they want 0, 1, ….
 * Servers leave the index out, begin with 1, or say 0 for every call; they leave ids out, repeat
 * them, or make a new one for each delta; they say the name late, or in pieces. So what a delta
 * means is seen from all three: index, id and name.
 *
 *   an index that was not said before               a call begins
 *   no index; an id that was not said before,       a call begins
 *     or a name where ids lack
 *   the last call's index, and another id and name  a call begins
 *   the last call's index, and another name         a call begins, if arguments came already
 *   all else                                        a call goes on
 *
 * Clients make the call when they see its first piece, so that piece has the name; and some put the
 * pieces of a name together, others take the last. So all is held that comes before the name is
 * whole: before its arguments begin.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/memory.h"
#include "openai/openai_internal.h"
#include "json/json_value.h"

#define MEMBER_BYTES 72 /* of a member with a number or a call id */
#define TOOLS_FIRST  4
#define QUOTED_MAX   (64u << 10) /* arguments that are no text; longer ones pass as they came */

struct openai_held {
    struct buf id;              /* as it came, quotes included */
    struct buf name, arguments; /* what is between the quotes */
};

void openai_held_free(struct openai_held **held)
{
    if (*held != NULL) {
        buf_fini(&(*held)->id);
        buf_fini(&(*held)->name);
        buf_fini(&(*held)->arguments);
        memory_free_counted(*held);
        *held = NULL;
    }
}

/* A delta of a call. */
struct delta {
    uint32_t row, others; /* and how many members it has that we do not know */
    uint32_t keys[TOOL_KEYS], inside[FUNCTION_KEYS];
    uint32_t id, function, name, arguments; /* values that say something, or JSON_NONE */
    bool is_other;                          /* it calls no function, but something we do not know */
};

static bool is_other_kind(const struct json_index *x, const struct delta *d)
{
    uint32_t type = openai_value(x, d->keys[TOOL_TYPE]);
    return d->function == JSON_NONE &&
           (d->keys[TOOL_CUSTOM] != JSON_NONE ||
            (openai_is_text(x, type) && !json_text_is(x, type, SPAN("function"))));
}

static uint32_t count_keys(const uint32_t *keys, size_t count)
{
    uint32_t there = 0;
    for (size_t i = 0; i < count; i++) {
        there += keys[i] != JSON_NONE;
    }
    return there;
}

static void read_delta(const struct openai_ed *ed, uint32_t row, struct delta *d)
{
    const struct json_index *x = ed->x;
    d->row = row;
    uint32_t seen = openai_keys(ed->edits, row, openai_tool_names, TOOL_KEYS, d->keys);
    d->function = openai_value(x, d->keys[TOOL_FUNCTION]);
    if (!openai_is_kind(x, d->function, JSON_OBJECT)) {
        d->function = JSON_NONE;
    }
    seen += openai_keys(ed->edits, d->function, openai_function_names, FUNCTION_KEYS, d->inside);
    d->others = seen - count_keys(d->keys, TOOL_KEYS) - count_keys(d->inside, FUNCTION_KEYS);
    d->id = openai_value(x, d->keys[TOOL_ID]);
    d->id = openai_is_text(x, d->id) ? d->id : JSON_NONE;
    d->name = openai_value(x, d->inside[FUNCTION_NAME]);
    d->name = openai_is_text(x, d->name) ? d->name : JSON_NONE;
    d->arguments = openai_value(x, d->inside[FUNCTION_ARGUMENTS]);
    d->is_other = is_other_kind(x, d);
}

/* ---- which call it is ---- */

#define HASH_START   0xcbf29ce484222325ull
#define HASHED_BYTES 1024 /* no id or name is longer */

/* FNV-1a, which can go on: a name may come in pieces. Never 0 once something was said. */
static uint64_t hash_on(uint64_t hash, struct span said)
{
    hash = hash == 0 ? HASH_START : hash;
    size_t len = said.len < HASHED_BYTES ? said.len : HASHED_BYTES;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ said.at[i]) * 0x100000001b3ull;
    }
    return hash == 0 ? 1 : hash;
}

static uint64_t hash_of(const struct json_index *x, uint32_t row)
{
    return row == JSON_NONE ? 0 : hash_on(0, json_inside(x, row));
}

static struct openai_tool *by_index(struct openai_choice *c, int64_t said)
{
    if (c->tool_count > 0 && c->tools[c->last_tool].said == said) {
        return &c->tools[c->last_tool];
    }
    for (uint16_t i = c->tool_count; i > 0; i--) { /* of two that it calls alike, the later */
        if (c->tools[i - 1].said == said) {
            return &c->tools[i - 1];
        }
    }
    return NULL;
}

static struct openai_tool *by_id(struct openai_choice *c, uint64_t id)
{
    for (uint16_t i = c->tool_count; i > 0; i--) {
        if (c->tools[i - 1].id == id) {
            return &c->tools[i - 1];
        }
    }
    return NULL;
}

/* Whether a delta with the index of the call `t` begins another. */
static bool begins_under(const struct openai_choice *c, const struct openai_tool *t, uint64_t id,
                         uint64_t name)
{
    if (t != &c->tools[c->last_tool] || t->name == 0 || name == 0 ||
        c->tool_count == OPENAI_TOOLS_MAX) {
        return false;
    }
    bool is_another = id != 0 && t->id != 0 && id != t->id;
    return is_another || (t->has_arguments && name != t->name && (id == 0 || id != t->id));
}

/* The call that the delta is of, or NULL: it begins one. `*said` is its index, if it has one. */
static struct openai_tool *find_call(struct openai_choice *c, const struct json_index *x,
                                     const struct delta *d, int64_t *said)
{
    uint64_t id = hash_of(x, d->id), name = hash_of(x, d->name);
    uint32_t row = openai_value(x, d->keys[TOOL_INDEX]);
    if (row != JSON_NONE && json_int64(x, row, said) == ERR_OK) {
        struct openai_tool *t = by_index(c, *said);
        return t != NULL && begins_under(c, t, id, name) ? NULL : t;
    }
    *said = c->tool_count;
    if (c->tool_count == 0 || id != 0) {
        return by_id(c, id);
    }
    struct openai_tool *last = &c->tools[c->tool_count - 1];
    return name != 0 && last->name != 0 && last->id == 0 ? NULL : last;
}

/* A call more; NULL where there are too many, or (`edits` failed) no memory. */
static struct openai_tool *add_call(struct openai_choice *c, int64_t said, struct json_edits *edits)
{
    if (c->tool_count == OPENAI_TOOLS_MAX) {
        return NULL;
    }
    if (c->tool_count == c->tool_room) {
        size_t room = c->tool_room == 0 ? TOOLS_FIRST : (size_t)c->tool_room * 2;
        struct openai_tool *more = memory_raw_counted(room * sizeof(*more));
        if (more == NULL) {
            json_edits_fail(edits, ERR_NO_MEMORY);
            return NULL;
        }
        if (c->tool_count > 0) {
            memcpy(more, c->tools, c->tool_count * sizeof(*more));
        }
        memory_free_counted(c->tools);
        c->tools = more;
        c->tool_room = (uint16_t)room;
    }
    c->tools[c->tool_count] = (struct openai_tool){.said = said};
    return &c->tools[c->tool_count++];
}

/* ---- what is held ---- */

/* What is between the quotes of a string, as edited so far; empty for what is none. */
static struct span inside_or_empty(const struct openai_ed *ed, uint32_t row)
{
    if (!openai_is_kind(ed->x, row, JSON_STRING)) {
        return SPAN("");
    }
    struct span value = json_edits_value(ed->edits, row);
    return value.len < 2 ? SPAN("") : span_cut(value, 1, value.len - 2);
}

/* Whether a delta may wait for the whole name of its call, or for the arguments behind it: it lacks
 * one of them, and has nothing that we do not know. */
static bool may_wait(const struct json_index *x, const struct openai_tool *t, const struct delta *d)
{
    bool has_name = d->name != JSON_NONE || t->name != 0;
    return !t->is_sent && !d->is_other && d->others == 0 &&
           (d->arguments == JSON_NONE || (!has_name && json_kind(x, d->arguments) == JSON_STRING));
}

/* What a delta adds to the name of its call, as edited so far: nothing, if it repeats all of it. */
static struct span more_of_name(const struct openai_ed *ed, const struct openai_tool *t,
                                const struct delta *d)
{
    return d->name == JSON_NONE || hash_of(ed->x, d->name) == t->name
               ? SPAN("")
               : inside_or_empty(ed, d->name);
}

/* Keeps the id, name and arguments of a delta; false: it must be told as it is. */
static bool hold(const struct openai_ed *ed, struct openai_answer *a, struct openai_tool *t,
                 const struct delta *d)
{
    struct span id = d->id == JSON_NONE ? SPAN("") : json_edits_value(ed->edits, d->id);
    struct span name = more_of_name(ed, t, d), arguments = inside_or_empty(ed, d->arguments);
    size_t more = id.len + name.len + arguments.len, before = 0;
    if (t->held != NULL) {
        before = buf_span(&t->held->name).len + buf_span(&t->held->arguments).len;
    }
    if (before + more > OPENAI_HELD_MAX || a->held_bytes + more > 4 * OPENAI_HELD_MAX) {
        return false;
    }
    if (t->held == NULL) {
        t->held = memory_raw_counted(sizeof(*t->held));
        if (t->held == NULL) {
            json_edits_fail(ed->edits, ERR_NO_MEMORY);
            return true;
        }
        buf_init_counted(&t->held->id, OPENAI_HELD_MAX, 0);
        buf_init_counted(&t->held->name, OPENAI_HELD_MAX, 0);
        buf_init_counted(&t->held->arguments, OPENAI_HELD_MAX, 0);
    }
    if (buf_span(&t->held->id).len == 0) {
        buf_put(&t->held->id, id);
    }
    buf_put(&t->held->name, name);
    buf_put(&t->held->arguments, arguments);
    a->held_bytes += (uint32_t)more;
    if (buf_failed(&t->held->id) || buf_failed(&t->held->name) || buf_failed(&t->held->arguments)) {
        json_edits_fail(ed->edits, ERR_NO_MEMORY);
    }
    return true;
}

static bool is_too_long(const struct json_index *x, uint32_t row)
{
    return json_kind(x, row) != JSON_STRING && json_row(x, row)->len > QUOTED_MAX;
}

/* `before` and what is inside the string `row`, or JSON_NONE, as one string; what is no string is
 * said as a string. {NULL, 0} and the edits failed without memory, or if it is too long for that.
 */
static struct span join(const struct openai_ed *ed, struct span before, uint32_t row)
{
    struct span after = inside_or_empty(ed, row);
    if (row != JSON_NONE && is_too_long(ed->x, row)) {
        json_edits_fail(ed->edits, ERR_UPSTREAM_STREAM);
        return (struct span){NULL, 0};
    }
    if (row != JSON_NONE && json_kind(ed->x, row) != JSON_STRING) {
        struct span quoted = openai_quote(ed->edits->arena, json_edits_value(ed->edits, row));
        if (quoted.at == NULL) {
            json_edits_fail(ed->edits, arena_error(ed->edits->arena));
            return quoted;
        }
        after = span_cut(quoted, 1, quoted.len - 2);
    }
    uint8_t *to = arena_alloc(ed->edits->arena, before.len + after.len + 2);
    if (to == NULL) {
        json_edits_fail(ed->edits, arena_error(ed->edits->arena));
        return (struct span){NULL, 0};
    }
    size_t len = 0;
    to[len++] = '"';
    if (before.len > 0) {
        memcpy(to + len, before.at, before.len);
        len += before.len;
    }
    if (after.len > 0) {
        memcpy(to + len, after.at, after.len);
        len += after.len;
    }
    to[len++] = '"';
    return span_make(to, len);
}

/* ---- edits of one call ---- */

static struct span made_id(const struct openai_plan *plan, int64_t choice, int64_t index,
                           char member[MEMBER_BYTES])
{
    char of_choice[24] = ""; /* the ids of all calls differ */
    if (choice > 0) {
        (void)snprintf(of_choice, sizeof(of_choice), "%lld_", (long long)choice); /* fits */
    }
    (void)snprintf(member, MEMBER_BYTES, "\"id\":\"call_%.*s_%s%lld\"", SPAN_ARGS(plan->call_id),
                   of_choice, (long long)index); /* the call's id has 26 characters */
    return span_of(member);
}

/* Makes the delta say which call it is of. */
static void edit_index(const struct openai_ed *ed, const struct delta *d, int64_t index)
{
    char member[MEMBER_BYTES];
    int64_t said;
    uint32_t row = openai_value(ed->x, d->keys[TOOL_INDEX]);
    if (openai_is_count(ed->x, row, &said) && said == index) {
        return;
    }
    (void)snprintf(member, sizeof(member), "\"index\":%lld", (long long)index); /* fits */
    openai_remove_key(ed->edits, d->row, d->keys[TOOL_INDEX]);
    openai_add_member(ed->edits, d->row, member);
}

/* A call with a function is of type "function", whatever the server calls it. */
static void edit_type(const struct openai_ed *ed, const struct delta *d, bool must)
{
    uint32_t key = d->keys[TOOL_TYPE];
    if (key == JSON_NONE && must) {
        openai_add_member(ed->edits, d->row, "\"type\":\"function\"");
    } else if (key != JSON_NONE && !json_text_is(ed->x, key + 1, SPAN("function"))) {
        json_edits_set_value_borrow(ed->edits, key + 1, SPAN("\"function\""));
    }
}

/* Puts `text` before what the string `row` says, which may be long and is not copied. */
static void put_before(const struct openai_ed *ed, uint32_t row, struct span text)
{
    struct span kept = arena_copy(ed->edits->arena, text);
    if (kept.at == NULL) {
        json_edits_fail(ed->edits, arena_error(ed->edits->arena));
    } else {
        json_edits_replace_borrow(ed->edits, json_row(ed->x, row)->offset + 1, 0, kept);
    }
}

/* The arguments are text: some servers say them as an object. */
static void edit_arguments(const struct openai_ed *ed, const struct delta *d, struct span before)
{
    uint32_t key = d->inside[FUNCTION_ARGUMENTS];
    bool stays = openai_is_kind(ed->x, d->arguments, JSON_STRING) ||
                 (d->arguments != JSON_NONE && is_too_long(ed->x, d->arguments));
    if (d->arguments == JSON_NONE && before.len == 0) {
        openai_remove_key(ed->edits, d->function, key); /* null */
    } else if (before.len > 0 && openai_is_kind(ed->x, d->arguments, JSON_STRING)) {
        put_before(ed, d->arguments, before);
    } else if (before.len > 0 || !stays) {
        struct span joined = join(ed, before, d->arguments);
        if (joined.at != NULL && key != JSON_NONE) {
            json_edits_set_value_borrow(ed->edits, key + 1, joined);
        } else if (joined.at != NULL) {
            openai_add_parts(ed->edits, d->function, SPAN("\"arguments\":"), joined, SPAN(""));
        }
    }
}

/* The whole name, in the first piece that says any. */
static void edit_name(const struct openai_ed *ed, const struct openai_tool *t,
                      const struct delta *d, struct span held)
{
    struct span more = more_of_name(ed, t, d);
    if (more.len > 0) {
        if (held.len > 0) {
            put_before(ed, d->name, held);
        }
        return;
    }
    struct span name = openai_join(ed->edits, SPAN("\""), held, SPAN("\""));
    if (name.at != NULL && d->name != JSON_NONE) {
        json_edits_set_value_borrow(ed->edits, d->name, name);
    } else if (name.at != NULL) {
        openai_remove_key(ed->edits, d->function, d->inside[FUNCTION_NAME]);
        openai_add_parts(ed->edits, d->function, SPAN("\"name\":"), name, SPAN(""));
    }
}

static void edit_first_function(const struct openai_ed *ed, const struct openai_tool *t,
                                const struct delta *d)
{
    bool has_held = t->held != NULL && buf_span(&t->held->name).len > 0;
    struct span name = has_held ? buf_span(&t->held->name) : SPAN("");
    struct span before = t->held == NULL ? SPAN("") : buf_span(&t->held->arguments);
    if (d->function != JSON_NONE) {
        edit_name(ed, t, d, name);
        edit_arguments(ed, d, before);
        return;
    }
    struct span function =
        openai_join(ed->edits, SPAN("{\"name\":\""), name, SPAN("\",\"arguments\":"));
    function = openai_join(ed->edits, function, join(ed, before, JSON_NONE), SPAN("}"));
    openai_remove_key(ed->edits, d->row, d->keys[TOOL_FUNCTION]);
    openai_add_parts(ed->edits, d->row, SPAN("\"function\":"), function, SPAN(""));
}

/* The first piece that the client sees of a call: index, id, type and name, and all that was held.
 */
static void edit_first(const struct openai_ed *ed, struct openai_tool *t, const struct delta *d,
                       int64_t choice)
{
    struct span held_id = t->held == NULL ? SPAN("") : buf_span(&t->held->id);
    if (d->id == JSON_NONE || held_id.len > 0) {
        char member[MEMBER_BYTES];
        openai_remove_key(ed->edits, d->row, d->keys[TOOL_ID]);
        if (held_id.len > 0) {
            openai_add_parts(ed->edits, d->row, SPAN("\"id\":"), held_id, SPAN(""));
        } else {
            openai_add_member(ed->edits, d->row,
                              (const char *)made_id(ed->plan, choice, t->number, member).at);
        }
    }
    if (!d->is_other) {
        edit_type(ed, d, true);
        edit_first_function(ed, t, d);
    }
    t->is_sent = true;
    openai_held_free(&t->held);
}

/* A later piece says neither id nor name again: some clients put the pieces together. */
static void edit_later(const struct openai_ed *ed, const struct openai_tool *t,
                       const struct delta *d)
{
    openai_remove_key(ed->edits, d->row, d->keys[TOOL_ID]);
    if (d->is_other || t->is_other) {
        return;
    }
    edit_type(ed, d, false);
    if (d->function == JSON_NONE) {
        openai_remove_key(ed->edits, d->row, d->keys[TOOL_FUNCTION]);
        openai_add_member(ed->edits, d->row, "\"function\":{}");
        return;
    }
    if (d->name == JSON_NONE || hash_of(ed->x, d->name) == t->name) {
        openai_remove_key(ed->edits, d->function, d->inside[FUNCTION_NAME]);
    }
    edit_arguments(ed, d, SPAN(""));
}

/* Whether the delta says any arguments, if not as text. */
static bool has_arguments(const struct json_index *x, const struct delta *d)
{
    return d->arguments != JSON_NONE &&
           (json_kind(x, d->arguments) != JSON_STRING || openai_is_text(x, d->arguments));
}

/* Notes what the delta says. Some servers repeat the name with each piece. */
static void note(struct openai_choice *c, struct openai_tool *t, const struct json_index *x,
                 const struct delta *d)
{
    uint64_t name = hash_of(x, d->name);
    if (name != 0 && name == t->name && json_row(x, d->name)->len <= HASHED_BYTES) {
        c->again += (uint32_t)openai_count_text(x, d->name);
    }
    if (t->id == 0) {
        t->id = hash_of(x, d->id);
    }
    if (name != 0 && name != t->name) {
        t->name = hash_on(t->name, json_inside(x, d->name));
    }
    t->is_other = t->is_other || d->is_other;
    t->has_arguments = t->has_arguments || has_arguments(x, d);
}

bool openai_edit_call(const struct openai_ed *ed, struct openai_answer *a, struct openai_choice *c,
                      int64_t choice, uint32_t row)
{
    struct delta d;
    int64_t said;
    read_delta(ed, row, &d);
    struct openai_tool *t = find_call(c, ed->x, &d, &said);
    t = t == NULL ? add_call(c, said, ed->edits) : t;
    if (t == NULL) {
        return true; /* one too many passes as it came */
    }
    bool is_held = may_wait(ed->x, t, &d) && hold(ed, a, t, &d);
    c->last_tool = (uint8_t)(t - c->tools);
    if (is_held) {
        note(c, t, ed->x, &d);
        return false;
    }
    t->number = t->is_sent ? t->number : c->sent++;
    edit_index(ed, &d, t->number);
    if (t->is_sent) {
        edit_later(ed, t, &d);
    } else {
        edit_first(ed, t, &d, choice);
    }
    note(c, t, ed->x, &d);
    return true;
}

/* ---- calls whose names or arguments never came ---- */

/* Clients read the arguments as JSON: a function that takes none is called with {}. */
static bool lacks_arguments(const struct openai_tool *t)
{
    return t->is_sent && !t->has_arguments && !t->is_other;
}

uint32_t openai_count_held(const struct openai_choice *c)
{
    uint32_t held = 0;
    for (uint16_t i = 0; c->tools != NULL && i < c->tool_count; i++) {
        held += !c->tools[i].is_sent || lacks_arguments(&c->tools[i]);
    }
    return held;
}

/* The rest of a call that was told of in part only, from behind its number on. */
static void put_rest(struct openai_tool *t, struct buf *out)
{
    buf_put(out, SPAN("\"function\":{\"arguments\":\"{}\"}}"));
    t->has_arguments = true;
}

/* A call of which nothing was told yet, from behind its number on. */
static void put_held_call(struct openai_tool *t, struct span made, struct buf *out)
{
    const struct openai_held *held = t->held;
    bool has_id = held != NULL && buf_span(&held->id).len > 0;
    buf_put(out, has_id ? SPAN("\"id\":") : made);
    buf_put(out, has_id ? buf_span(&held->id) : SPAN(""));
    buf_put(out, SPAN(",\"type\":\"function\",\"function\":{\"name\":\""));
    buf_put(out, held != NULL ? buf_span(&held->name) : SPAN(""));
    buf_put(out, SPAN("\",\"arguments\":\""));
    buf_put(out, held != NULL ? buf_span(&held->arguments) : SPAN(""));
    buf_put(out, t->has_arguments ? SPAN("\"}}") : SPAN("{}\"}}"));
    t->is_sent = t->has_arguments = true;
    openai_held_free(&t->held);
}

void openai_put_held(const struct openai_plan *plan, struct openai_choice *c, int64_t index,
                     struct buf *out)
{
    bool is_first = true;
    for (uint16_t i = 0; c->tools != NULL && i < c->tool_count; i++) {
        struct openai_tool *t = &c->tools[i];
        char member[MEMBER_BYTES];
        if (t->is_sent && !lacks_arguments(t)) {
            continue;
        }
        t->number = t->is_sent ? t->number : c->sent++;
        buf_printf(out, "%s{\"index\":%u,", is_first ? "" : ",", t->number);
        is_first = false;
        if (t->is_sent) {
            put_rest(t, out);
        } else {
            put_held_call(t, made_id(plan, index, t->number, member), out);
        }
    }
}

/* ---- a whole reply ---- */

void openai_edit_whole_call(const struct openai_ed *ed, int64_t choice, int64_t index, uint32_t row)
{
    struct delta d;
    read_delta(ed, row, &d);
    if (d.id == JSON_NONE) {
        char member[MEMBER_BYTES];
        openai_remove_key(ed->edits, row, d.keys[TOOL_ID]);
        openai_add_member(ed->edits, row,
                          (const char *)made_id(ed->plan, choice, index, member).at);
    }
    if (d.function == JSON_NONE) {
        return;
    }
    edit_type(ed, &d, true);
    bool is_empty =
        openai_is_kind(ed->x, d.arguments, JSON_STRING) && !openai_is_text(ed->x, d.arguments);
    if (d.arguments != JSON_NONE && !is_empty) {
        edit_arguments(ed, &d, SPAN(""));
    } else if (d.name != JSON_NONE) { /* clients read JSON there */
        openai_remove_key(ed->edits, d.function, d.inside[FUNCTION_ARGUMENTS]);
        openai_add_member(ed->edits, d.function, "\"arguments\":\"{}\"");
    }
}
