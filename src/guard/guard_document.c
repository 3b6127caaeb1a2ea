/* SPDX-License-Identifier: Apache-2.0 */
/* All texts of a document, one after another. */
#include "guard/guard_document.h"

#include <string.h>

#define ROWS_A_STEP 512
#define ROW_BYTES   8 /* what a row costs of a step */
#define PLAIN_MIN   6 /* the shortest value that anybody looks for in words and numbers */
#define LOOK_BACK   64

void guard_document_begin(struct guard_document *d, const struct guard_look *look,
                          enum openai_texts_kind kind)
{
    memset(d, 0, offsetof(struct guard_document, text));
    d->look = *look;
    d->x = look->edits->index;
    d->top = JSON_NONE;
    d->top_next = json_first(d->x, 0);
    openai_texts_begin(&d->texts, d->x, kind);
}

void guard_document_end(struct guard_document *d)
{
    if (d->is_inside) {
        guard_text_fini(&d->text);
        d->is_inside = false;
    }
}

/* ---- where a text stands ---- */

static bool is_one_of(const struct json_index *x, uint32_t key, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (json_text_is(x, key, span_of(*names))) {
            return true;
        }
    }
    return false;
}

/* The key of the member that the value `row` is, or is an element of; JSON_NONE: none, or it is far
 * before it. */
static uint32_t key_of(const struct json_index *x, uint32_t row)
{
    uint32_t depth = x->rows[row].depth;
    for (uint32_t i = 1; i <= LOOK_BACK && i <= row; i++) {
        const struct json_row *r = &x->rows[row - i];
        if (r->kind == JSON_KEY && (i == 1 || r->depth < depth)) {
            return row - i;
        }
        if (r->kind == JSON_OBJECT && r->depth < depth) {
            return JSON_NONE;
        }
    }
    return JSON_NONE;
}

/* The key of the document that `row` is below. Asked for in order. */
static uint32_t top_of(struct guard_document *d, uint32_t row)
{
    while (d->top_next != JSON_NONE && d->top_next <= row) {
        d->top = d->top_next;
        d->top_next = json_kind(d->x, 0) == JSON_OBJECT ? json_next(d->x, d->top) : JSON_NONE;
    }
    return d->top;
}

/* Whether nothing can stand in place of a value there: the call would not mean the same, or
 * nothing. */
static bool is_firm(struct guard_document *d, const struct openai_text *t)
{
    static const char *const prose[] = {"description", "title", NULL};
    static const char *const grammars[] = {
        "grammar",    "json_schema",        "guided_json",     "guided_regex", "guided_choice",
        "logit_bias", "guided_grammar",     "regex",           "ebnf",         "structural_tag",
        "format",     "structured_outputs", "response_format", "tool_choice",  NULL};
    if (t->channel == OPENAI_TEXT_SCHEMA || t->channel == OPENAI_TEXT_DEFINITION) {
        uint32_t key = json_kind(d->x, t->row) == JSON_KEY ? JSON_NONE : key_of(d->x, t->row);
        return key == JSON_NONE || !is_one_of(d->x, key, prose);
    }
    if (t->channel == OPENAI_TEXT_UNKNOWN) {
        uint32_t top = top_of(d, t->row);
        return top != JSON_NONE && is_one_of(d->x, top, grammars);
    }
    return t->channel == OPENAI_TEXT_NAME;
}

/* What is no text for people, but bytes as letters. */
static bool is_bytes(const struct guard_document *d, const struct openai_text *t)
{
    struct span inside = json_inside(d->x, t->row);
    return t->channel == OPENAI_TEXT_MEDIA && !span_starts(inside, SPAN("http://")) &&
           !span_starts(inside, SPAN("https://"));
}

static struct guard_manner manner_of(struct guard_document *d, const struct openai_text *t)
{
    bool is_answer = d->texts.is_answer;
    return (struct guard_manner){
        .direction = is_answer ? GUARD_REPLY : GUARD_PROMPT,
        .is_callers = t->channel != OPENAI_TEXT_SYSTEM,
        .is_firm = !is_answer && is_firm(d, t),
        .is_in_json = t->channel == OPENAI_TEXT_ARGUMENTS,
        .keeps_names = is_answer && t->channel == OPENAI_TEXT_NAME,
    };
}

/* What programs write to each other: escapes in it say what they say to them, and to a model. */
static bool may_be_json(const struct openai_text *t)
{
    return t->channel == OPENAI_TEXT_ARGUMENTS || t->channel == OPENAI_TEXT_TOOL;
}

/* ---- one text ---- */

static void begin_text(struct guard_document *d, const struct openai_text *t,
                       const struct guard_manner *manner)
{
    bool is_last = true;
    struct guard_scan *scan = NULL;
    if (d->look.piece_of != NULL) {
        scan = d->look.piece_of(d->look.ctx, t, &is_last);
    }
    if (scan == NULL) {
        scan = &d->own;
        is_last = true;
        guard_scan_begin(scan, &d->look.wanted);
        scan->wanted.reads_escapes = may_be_json(t);
    }
    const struct guard_means by = {.c = d->look.c,
                                   .scan = scan,
                                   .edits = d->look.edits,
                                   .arena = d->look.arena,
                                   .manner = *manner};
    guard_text_begin(&d->text, &by, t->row, is_last);
    d->is_inside = true;
}

static enum err go_on_inside(struct guard_document *d, size_t *bytes)
{
    enum err e = guard_text_step(&d->text, d->look.scratch, bytes);
    if (e != ERR_OK || d->text.is_done) {
        if (d->text.is_cut) { /* what it holds back is gone, too */
            d->is_cut = true;
            guard_scan_begin(d->text.by.scan, &d->look.wanted);
        }
        d->says_something = d->says_something || !d->text.is_empty;
        guard_document_end(d);
    }
    return e;
}

/* Notes it for whoever is to be shown it. */
static void note_part(const struct guard_document *d, const struct openai_text *t,
                      const struct guard_manner *manner)
{
    const struct guard_part part = {
        .row = t->row, .channel = (uint8_t)t->channel, .manner = *manner};
    if (d->look.parts != NULL) {
        buf_put(d->look.parts, span_make(&part, sizeof(part)));
    }
}

/* ---- what the walk passes over ---- */

/* Whether a value may be in it that is worth a look: most words are letters. */
static bool is_suspect(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.at[i];
        if ((c >= '0' && c <= '9') || c == '@' || c == '\\' || c >= 0x80) {
            return s.len >= PLAIN_MIN;
        }
    }
    return false;
}

/* Whether the row is a word, key or number in which a value is looked for: not the names of models
 * and ids, which look like values and are none. */
static bool is_passed_over(const struct guard_document *d, uint32_t row)
{
    static const char *const ids[] = {"model", "id", "tool_call_id", NULL};
    const struct json_row *r = &d->x->rows[row];
    if (r->kind == JSON_NUMBER) {
        return r->len >= PLAIN_MIN;
    }
    if (r->kind == JSON_KEY) {
        return is_suspect(json_inside(d->x, row));
    }
    if (r->kind != JSON_STRING || !is_suspect(json_inside(d->x, row))) {
        return false;
    }
    return row == 0 || d->x->rows[row - 1].kind != JSON_KEY || !is_one_of(d->x, row - 1, ids);
}

static enum err look_at_number(struct guard_document *d, uint32_t row)
{
    struct guard_out out;
    guard_scan_begin(&d->own, &d->look.wanted);
    enum err e = guard_scan_feed(&d->own, d->look.scratch, json_source(d->x, row), true, &out);
    for (size_t i = 0; e == ERR_OK && i < out.count; i++) {
        if (out.findings[i].type != GUARD_PLACEHOLDER) {
            (void)guard_case_judge_firm(d->look.c, GUARD_PROMPT, &out.findings[i]); /* is noted */
        }
    }
    return e;
}

static enum err look_at_passed(struct guard_document *d, uint32_t row)
{
    static const struct guard_manner manner = {.direction = GUARD_PROMPT, .is_firm = true};
    if (!is_passed_over(d, row)) {
        return ERR_OK;
    }
    if (json_kind(d->x, row) == JSON_NUMBER) {
        return look_at_number(d, row);
    }
    const struct openai_text t = {.channel = OPENAI_TEXT_UNKNOWN, .row = row, .choice = -1};
    begin_text(d, &t, &manner);
    return ERR_OK;
}

/* ---- all of them ---- */

static void find_next(struct guard_document *d)
{
    uint32_t rows = ROWS_A_STEP;
    enum openai_texts_step step = openai_texts_next(&d->texts, &rows, &d->next);
    d->has_next = step == OPENAI_TEXTS_ONE;
    d->is_at_end = step == OPENAI_TEXTS_END;
}

/* The next row that has something to be looked at. */
static enum err go_on(struct guard_document *d)
{
    uint32_t until = d->has_next ? d->next.row : d->is_at_end ? d->x->count : d->texts.row;
    if (d->texts.is_answer) {
        d->row = until;
    }
    while (d->row < until && !d->is_inside) {
        enum err e = look_at_passed(d, d->row++);
        if (e != ERR_OK) {
            return e;
        }
    }
    if (d->is_inside || d->row < until) {
        return ERR_OK;
    }
    if (d->has_next) {
        struct guard_manner manner = manner_of(d, &d->next);
        d->has_next = false;
        d->row++;
        if (!is_bytes(d, &d->next)) {
            begin_text(d, &d->next, &manner);
            note_part(d, &d->next, &manner);
        }
    } else {
        d->is_done = d->is_at_end;
    }
    return ERR_OK;
}

enum err guard_document_step(struct guard_document *d, size_t bytes)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && !d->is_done && bytes > 0) {
        if (d->is_inside) {
            e = go_on_inside(d, &bytes);
            continue;
        }
        uint32_t row = d->texts.row;
        if (!d->has_next && !d->is_at_end && d->row >= d->texts.row) {
            find_next(d);
        }
        e = go_on(d);
        size_t cost = ((size_t)(d->texts.row - row) + 1) * ROW_BYTES;
        bytes -= cost < bytes ? cost : bytes;
    }
    return e;
}

static void set(struct json_edits *edits, uint32_t object, struct span name, struct span value)
{
    uint32_t row = object == JSON_NONE ? JSON_NONE : json_find(edits->index, object, name);
    if (row != JSON_NONE && json_kind(edits->index, row) != JSON_NULL) {
        json_edits_set_value_borrow(edits, row, value);
    }
}

void guard_mend_begin(struct guard_mend *m, struct json_edits *edits)
{
    uint32_t choices = json_find(edits->index, 0, SPAN("choices"));
    *m = (struct guard_mend){.edits = edits};
    m->choice = choices == JSON_NONE ? JSON_NONE : json_first(edits->index, choices);
}

static void end_choice(const struct guard_mend *m, uint32_t choice)
{
    static const char *const said[] = {"content", "reasoning", "reasoning_content", "refusal"};
    const struct json_index *x = m->edits->index;
    uint32_t message = json_find(x, choice, SPAN("message"));
    uint32_t reason = json_find(x, choice, SPAN("finish_reason"));
    uint32_t calls =
        message == JSON_NONE ? JSON_NONE : json_find_key(x, message, SPAN("tool_calls"));
    if (reason != JSON_NONE) {
        json_edits_set_value_borrow(m->edits, reason, SPAN("\"content_filter\""));
    }
    if (calls != JSON_NONE) {
        json_edits_remove_member(m->edits, message, calls);
    }
    if (m->empties) {
        set(m->edits, choice, SPAN("text"), SPAN("\"\""));
    }
    for (size_t i = 0; m->empties && i < sizeof(said) / sizeof(said[0]); i++) {
        set(m->edits, message, span_of(said[i]), SPAN("\"\""));
    }
}

bool guard_mend_step(struct guard_mend *m, unsigned choices)
{
    for (; m->choice != JSON_NONE && choices > 0; choices--) {
        set(m->edits, m->choice, SPAN("logprobs"), SPAN("null"));
        if (m->is_cut) {
            end_choice(m, m->choice);
        }
        m->choice = json_next(m->edits->index, m->choice);
    }
    return m->choice == JSON_NONE;
}
