/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of a stream. */
#include "guard/guard_flow.h"

#include "base/memory.h"
#include "json/json_write.h"

#define SAID_BYTES_MAX (64u << 10) /* of what is held back of one text, as JSON */

#define PLAIN_ROWS 256 /* of an event that may be all held back */

/* Under which members a text is said. */
enum member { CONTENT, REASONING, REASONING_CONTENT, REFUSAL, FUNCTION, CUSTOM, FUNCTION_CALL };

static const char *const member_names[] = {"content", "reasoning", "reasoning_content", "refusal"};

struct guard_flow_text {
    struct guard_flow_text *next;
    int64_t choice, tool; /* their numbers; a tool's only of arguments */
    enum member member;
    bool is_ended; /* the next piece begins a new text */
    struct guard_scan scan;
};

void guard_flow_init(struct guard_flow *f, struct guard_case *c, const struct guard_wanted *wanted,
                     bool is_chat)
{
    *f = (struct guard_flow){.c = c, .wanted = *wanted, .is_chat = is_chat};
}

void guard_flow_fini(struct guard_flow *f)
{
    while (f->first != NULL) {
        struct guard_flow_text *t = f->first;
        f->first = t->next;
        memory_free_counted(t);
    }
    f->count = 0;
}

size_t guard_flow_held(const struct guard_flow *f)
{
    size_t held = 0;
    for (const struct guard_flow_text *t = f->first; t != NULL; t = t->next) {
        held += guard_scan_held(&t->scan);
    }
    return held;
}

/* ---- which text a string is a piece of ---- */

static struct guard_flow_text *find(const struct guard_flow *f, int64_t choice, enum member member,
                                    int64_t tool)
{
    struct guard_flow_text *t = f->first;
    while (t != NULL && (t->choice != choice || t->member != member || t->tool != tool)) {
        t = t->next;
    }
    return t;
}

/* Begins a text, or one more in its place. Arguments are JSON. */
static void begin_text(const struct guard_flow *f, struct guard_flow_text *t)
{
    guard_scan_begin(&t->scan, &f->wanted);
    t->scan.wanted.reads_escapes = t->member >= FUNCTION;
}

static struct guard_flow_text *add(struct guard_flow *f, int64_t choice, enum member member,
                                   int64_t tool)
{
    if (f->count == GUARD_FLOWS_MAX) {
        f->is_full = true;
        return NULL;
    }
    struct guard_flow_text *t = memory_raw_counted(sizeof(*t));
    if (t == NULL) {
        f->no_memory = true;
        return NULL;
    }
    *t = (struct guard_flow_text){
        .next = f->first, .choice = choice, .tool = tool, .member = member};
    begin_text(f, t);
    f->first = t;
    f->count++;
    return t;
}

/* The object around a row. */
static uint32_t around(const struct json_index *x, uint32_t row)
{
    uint32_t depth = x->rows[row].depth;
    while (row > 0 && x->rows[row].depth >= depth) {
        row--;
    }
    return row;
}

static bool is_key(const struct json_index *x, uint32_t row, const char *name)
{
    return x->rows[row].kind == JSON_KEY && json_text_is(x, row, span_of(name));
}

/* Whose arguments they are. */
static enum member member_of_arguments(const struct json_index *x, uint32_t row, int64_t *tool)
{
    uint32_t function = around(x, row);
    if (function == 0 || is_key(x, function - 1, "function_call")) {
        return FUNCTION_CALL;
    }
    uint32_t index = json_find(x, around(x, function), SPAN("index"));
    if (index == JSON_NONE || json_int64(x, index, tool) != ERR_OK) {
        *tool = 0;
    }
    return is_key(x, function - 1, "custom") ? CUSTOM : FUNCTION;
}

static enum member member_of(const struct json_index *x, const struct openai_text *t, int64_t *tool)
{
    *tool = -1;
    if (t->channel == OPENAI_TEXT_ARGUMENTS) {
        return member_of_arguments(x, t->row, tool);
    }
    if (t->channel == OPENAI_TEXT_REASONING) {
        return t->row > 0 && is_key(x, t->row - 1, "reasoning") ? REASONING : REASONING_CONTENT;
    }
    return t->channel == OPENAI_TEXT_REFUSAL ? REFUSAL : CONTENT;
}

static bool is_ending(const struct guard_flow_look *v, int64_t choice)
{
    for (unsigned i = 0; i < v->ending_count; i++) {
        if (v->ending[i] == choice) {
            return true;
        }
    }
    return false;
}

static struct guard_scan *piece_of(void *ctx, const struct openai_text *text, bool *is_last)
{
    struct guard_flow_look *v = ctx;
    int64_t tool;
    if (text->choice < 0 || json_kind(v->x, text->row) != JSON_STRING ||
        (text->channel != OPENAI_TEXT_ASSISTANT && text->channel != OPENAI_TEXT_REASONING &&
         text->channel != OPENAI_TEXT_REFUSAL && text->channel != OPENAI_TEXT_ARGUMENTS)) {
        return NULL;
    }
    enum member member = member_of(v->x, text, &tool);
    struct guard_flow_text *t = find(v->f, text->choice, member, tool);
    if (t == NULL) {
        t = add(v->f, text->choice, member, tool);
    } else if (t->is_ended) {
        begin_text(v->f, t);
    }
    if (t == NULL) {
        return NULL;
    }
    v->is_late = v->is_late || guard_scan_held(&t->scan) > 0;
    *is_last = is_ending(v, text->choice);
    t->is_ended = *is_last;
    return &t->scan;
}

/* ---- what is held back, said ---- */

static void write_text(const struct guard_flow *f, const struct guard_flow_text *t,
                       struct span said, struct json_writer *w)
{
    if (!f->is_chat) {
        json_write_key(w, "text");
        json_write_string(w, said);
        return;
    }
    json_write_key(w, "delta");
    json_write_object(w);
    switch (t->member) {
    case CONTENT:
    case REASONING:
    case REASONING_CONTENT:
    case REFUSAL:
        json_write_key(w, member_names[t->member]);
        json_write_string(w, said);
        break;
    case FUNCTION:
    case CUSTOM:
        json_write_key(w, "tool_calls");
        json_write_array(w);
        json_write_object(w);
        json_write_member_int(w, "index", t->tool);
        json_write_key(w, t->member == CUSTOM ? "custom" : "function");
        json_write_object(w);
        json_write_key(w, t->member == CUSTOM ? "input" : "arguments");
        json_write_string(w, said);
        json_write_end(w);
        json_write_end(w);
        json_write_end(w);
        break;
    case FUNCTION_CALL:
        json_write_key(w, "function_call");
        json_write_object(w);
        json_write_key(w, "arguments");
        json_write_string(w, said);
        json_write_end(w);
        break;
    }
    json_write_end(w);
}

static void write_choice(const struct guard_flow *f, const struct guard_flow_text *t,
                         struct span said, struct json_writer *w)
{
    json_write_object(w);
    json_write_member_int(w, "index", t->choice);
    write_text(f, t, said, w);
    json_write_key(w, "logprobs");
    json_write_null(w);
    json_write_key(w, "finish_reason");
    json_write_null(w);
    json_write_end(w);
}

/* Ends one text. */
static enum err end_text(struct guard_flow *f, struct guard_flow_text *t, struct guard_scratch *w,
                         struct arena *arena, struct json_writer *out)
{
    const struct guard_means by = {
        .c = f->c,
        .scan = &t->scan,
        .arena = arena,
        .manner = {.direction = GUARD_REPLY, .is_in_json = t->member >= FUNCTION}};
    struct buf said;
    bool is_cut;
    buf_init(&said, SAID_BYTES_MAX);
    enum err e = guard_text_end(&by, w, &said, &is_cut);
    t->is_ended = true;
    f->is_cut = f->is_cut || is_cut;
    if (e == ERR_OK && buf_span(&said).len > 0) {
        write_choice(f, t, buf_span(&said), out);
    }
    buf_fini(&said);
    return e;
}

/* Ends the texts of the choices that end; `v` NULL: all. */
static enum err end_texts(struct guard_flow *f, const struct guard_flow_look *v,
                          struct guard_scratch *w, struct arena *arena, struct buf *out)
{
    struct json_writer writer;
    enum err e = ERR_OK;
    bool is_begun = false;
    for (struct guard_flow_text *t = f->first; e == ERR_OK && t != NULL; t = t->next) {
        if (t->is_ended || guard_scan_held(&t->scan) == 0 ||
            (v != NULL && !is_ending(v, t->choice))) {
            continue;
        }
        if (!is_begun) {
            json_write_init(&writer, out);
            json_write_array(&writer);
            is_begun = true;
        }
        e = end_text(f, t, w, arena, &writer);
    }
    if (is_begun) {
        json_write_end(&writer);
    }
    return e == ERR_OK && buf_failed(out) ? buf_error(out) : e;
}

/* ---- an event ---- */

/* Notes which choices end with it; behind the first ones nobody looks, and their texts end later.
 */
static void find_endings(struct guard_flow_look *v)
{
    uint32_t row = v->choices == JSON_NONE ? JSON_NONE : json_first(v->x, v->choices);
    for (unsigned i = 0; row != JSON_NONE && i < GUARD_ENDING_MAX;
         i++, row = json_next(v->x, row)) {
        uint32_t reason = json_find(v->x, row, SPAN("finish_reason"));
        uint32_t index = json_find(v->x, row, SPAN("index"));
        int64_t number = 0;
        bool is_end = reason != JSON_NONE && json_kind(v->x, reason) != JSON_NULL;
        if (is_end && index != JSON_NONE && json_int64(v->x, index, &number) == ERR_OK) {
            v->ending[v->ending_count++] = number;
        }
    }
}

/* Whether a delta or call has no member but those that say text, or number it. */
static bool is_plain(const struct json_index *x, uint32_t object)
{
    static const char *const plain[] = {"content", "reasoning", "reasoning_content", "refusal",
                                        "index",   "function",  "tool_calls",        "arguments",
                                        "text",    "logprobs",  "finish_reason",     "delta"};
    for (uint32_t key = json_first(x, object); key != JSON_NONE; key = json_next(x, key)) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]) && !is_known; i++) {
            is_known = json_text_is(x, key, span_of(plain[i]));
        }
        if (!is_known) {
            return false;
        }
    }
    return true;
}

/* Whether the event has nothing but texts: all objects below its choices are plain. */
static bool is_all_text(const struct guard_flow_look *v)
{
    uint32_t usage = json_find(v->x, 0, SPAN("usage"));
    if (v->choices == JSON_NONE || v->ending_count > 0 ||
        (usage != JSON_NONE && json_kind(v->x, usage) != JSON_NULL)) {
        return false;
    }
    uint32_t end = v->x->rows[v->choices].next;
    if (end - v->choices > PLAIN_ROWS) {
        return false;
    }
    for (uint32_t row = v->choices + 1; row < end; row++) {
        if (json_kind(v->x, row) == JSON_OBJECT && !is_plain(v->x, row)) {
            return false;
        }
    }
    return json_first(v->x, v->choices) != JSON_NONE;
}

void guard_flow_look_begin(struct guard_flow_look *v, struct guard_flow *f,
                           const struct guard_look *look, struct guard_document *d)
{
    struct guard_look own = *look;
    *v = (struct guard_flow_look){
        .f = f, .x = look->edits->index, .arena = look->arena, .edits = look->edits};
    v->choices = json_find(v->x, 0, SPAN("choices"));
    find_endings(v);
    own.wanted = f->wanted;
    own.piece_of = piece_of;
    own.ctx = v;
    guard_document_begin(d, &own, OPENAI_TEXTS_ANSWER);
}

enum err guard_flow_look_end(struct guard_flow_look *v, const struct guard_document *d,
                             struct guard_scratch *w, struct buf *out)
{
    struct guard_flow *f = v->f;
    f->is_cut = f->is_cut || d->is_cut;
    if (f->is_full || f->no_memory) {
        return f->is_full ? ERR_UPSTREAM_STREAM : ERR_NO_MEMORY;
    }
    v->is_late = v->is_late || guard_flow_held(f) > 0 || v->edits->list.count > 0;
    v->is_silent = v->is_late && !d->says_something && is_all_text(v);
    enum err e = v->ending_count > 0 ? end_texts(f, v, w, v->arena, out) : ERR_OK;
    return e == ERR_OK ? json_edits_error(v->edits) : e;
}

enum err guard_flow_event(struct guard_flow *f, struct guard_scratch *w, struct json_edits *edits,
                          struct arena *arena, struct buf *out, bool *is_silent)
{
    struct guard_flow_look v;
    struct guard_document d;
    const struct guard_look look = {.c = f->c, .scratch = w, .edits = edits, .arena = arena};
    guard_flow_look_begin(&v, f, &look, &d);
    enum err e = guard_document_step(&d, SIZE_MAX);
    if (e == ERR_OK) {
        e = guard_flow_look_end(&v, &d, w, out);
    }
    if (e == ERR_OK && v.is_late) {
        struct guard_mend mend;
        guard_mend_begin(&mend, edits);
        (void)guard_mend_step(&mend, UINT32_MAX); /* all at once */
    }
    *is_silent = v.is_silent;
    guard_document_end(&d);
    return e == ERR_OK ? json_edits_error(edits) : e;
}

enum err guard_flow_end(struct guard_flow *f, struct guard_scratch *w, struct arena *arena,
                        struct buf *out)
{
    return end_texts(f, NULL, w, arena, out);
}
