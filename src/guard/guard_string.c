/* SPDX-License-Identifier: Apache-2.0 */
/* A string's text through a scan, and back as edits. */
#include "guard/guard_string.h"

#include <string.h>

#include "text/text_escape.h"
#include "json/json_write.h"

#define BEFORE_BYTES_MAX ((size_t)64 << 10)

void guard_text_begin(struct guard_text *t, const struct guard_means *by, uint32_t row,
                      bool is_last)
{
    const struct json_index *x = by->edits->index;
    memset(t, 0, offsetof(struct guard_text, reader));
    t->by = *by;
    t->inside = json_inside(x, row);
    t->offset = json_row(x, row)->offset + 1;
    t->is_escaped = (json_row(x, row)->flags & JSON_ESCAPED) != 0;
    t->is_last = is_last;
    t->base = t->said = by->scan->at + by->scan->len;
    t->kept = t->base - guard_scan_held(by->scan);
    json_reader_init(&t->reader, x, row);
    buf_init(&t->before, BEFORE_BYTES_MAX);
}

void guard_text_fini(struct guard_text *t)
{
    buf_fini(&t->before);
}

/* Where in the string the character stands that is `at` in the text. Asked for in order. */
static uint32_t raw_of(struct guard_text *t, uint64_t at)
{
    CHECK(at >= t->said);
    if (!t->is_escaped) {
        t->raw += (size_t)(at - t->said);
        t->said = at;
    }
    while (t->said < at) {
        uint8_t room[4];
        struct span left = span_cut(t->inside, t->raw, t->inside.len);
        CHECK(left.len > 0 && left.at != NULL);
        if (left.at[0] == '\\') {
            t->said += json_undo_escape(&left, room);
            t->raw = t->inside.len - left.len;
            continue;
        }
        const uint8_t *escape = memchr(left.at, '\\', left.len);
        size_t plain = escape == NULL ? left.len : (size_t)(escape - left.at);
        size_t some = at - t->said < plain ? (size_t)(at - t->said) : plain;
        t->raw += some;
        t->said += some;
    }
    CHECK(t->raw <= t->inside.len);
    return t->offset + (uint32_t)t->raw;
}

/* ---- writing ---- */

/* Puts what stands between the quotes of a JSON string that says `text`. */
static void put_inside(struct buf *out, struct span text)
{
    struct buf quoted;
    buf_init(&quoted, 6 * text.len + 2);
    json_put_string(&quoted, text);
    buf_put(out, span_cut(buf_span(&quoted), 1, buf_span(&quoted).len - 2));
    out->failed = out->failed || buf_failed(&quoted);
    buf_fini(&quoted);
}

/* Puts a value as a text has it that may be JSON itself; `is_bare`: there it was no string. */
static void put_value(struct buf *out, struct span value, const struct guard_manner *m,
                      bool is_bare)
{
    if (!m->is_in_json) {
        buf_put(out, value);
        return;
    }
    buf_put(out, is_bare ? SPAN("\"") : SPAN(""));
    put_inside(out, value);
    buf_put(out, is_bare ? SPAN("\"") : SPAN(""));
}

/* The same between the quotes of the document's string. */
static void put_value_inside(struct buf *out, struct span value, const struct guard_manner *m,
                             bool is_bare)
{
    struct buf text;
    buf_init(&text, 6 * value.len + 2);
    put_value(&text, value, m, is_bare);
    put_inside(out, buf_span(&text));
    out->failed = out->failed || buf_failed(&text);
    buf_fini(&text);
}

enum err guard_text_replace(const struct guard_means *by, uint32_t offset, uint32_t len,
                            struct span value, bool is_bare)
{
    struct buf quoted;
    buf_init(&quoted, 36 * value.len + 4);
    put_value_inside(&quoted, value, &by->manner, is_bare);
    struct span text =
        buf_failed(&quoted) ? (struct span){NULL, 0} : arena_copy(by->arena, buf_span(&quoted));
    buf_fini(&quoted);
    if (text.at == NULL) {
        return ERR_NO_MEMORY;
    }
    json_edits_replace_borrow(by->edits, offset, len, text);
    return json_edits_error(by->edits);
}

/* Puts `value` in place of what stands from one place of the text to another. */
static enum err replace(struct guard_text *t, uint64_t start, uint64_t end, struct span value,
                        bool is_bare)
{
    uint32_t from = raw_of(t, start), to = raw_of(t, end);
    return guard_text_replace(&t->by, from, to - from, value, is_bare);
}

/* ---- what is done ---- */

/* Reads on to `to`, as far as it is there. */
static void read_syntax(struct guard_syntax *s, const struct guard_out *out, uint64_t to)
{
    uint64_t end = out->at + out->text.len;
    for (s->at = s->at > out->at ? s->at : out->at; s->at < to && s->at < end; s->at++) {
        uint8_t c = out->text.at[s->at - out->at];
        bool is_blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!s->has_begun && !is_blank) {
            s->has_begun = true;
            s->is_json = c == '{' || c == '[';
        }
        if (s->is_escaped || (s->is_inside && c == '\\')) {
            s->is_escaped = !s->is_escaped;
        } else if (c == '"') {
            s->is_inside = !s->is_inside;
        }
    }
}

bool guard_text_is_bare(struct guard_syntax *s, const struct guard_manner *m,
                        const struct guard_out *out, uint64_t start)
{
    if (!m->is_in_json) {
        return false;
    }
    read_syntax(s, out, start);
    return s->is_json && !s->is_inside;
}

/* What becomes of a finding. */
struct verdict {
    bool is_cut;       /* it and what follows is gone */
    struct span value; /* what stands there instead; `.at` NULL: it stays */
    bool is_bare;      /* that is a string now */
};

/* A value as its reader has it: of a text that is JSON the escapes are undone. */
static enum err undo(const struct guard_scan *scan, struct arena *arena, struct span *value)
{
    if (!scan->wanted.reads_escapes || memchr(value->at, '\\', value->len) == NULL) {
        return ERR_OK;
    }
    uint8_t *said = arena_alloc(arena, value->len);
    if (said == NULL) {
        return arena_error(arena);
    }
    *value = span_make(said, text_escape_undo(*value, said));
    return ERR_OK;
}

/* Whether a value that was dealt with goes on. */
static bool goes_on(const struct guard_scan *scan, const struct guard_finding *f)
{
    return (f->type == GUARD_SECRET || f->type == GUARD_PRIVATE_KEY) && f->start > 0 &&
           f->start == scan->gone_to;
}

static enum err judge_value(const struct guard_means *by, const struct guard_finding *f,
                            struct span value, struct verdict *v)
{
    const struct guard_manner *m = &by->manner;
    bool is_firm = m->is_firm || (v->is_bare && m->direction == GUARD_PROMPT);
    enum guard_action action = is_firm ? guard_case_judge_firm(by->c, m->direction, f)
                                       : guard_case_judge(by->c, m->direction, f);
    const struct guard_value what = {.f = f, .text = value, .is_callers = m->is_callers};
    by->scan->gone_to = guard_changes(action) ? f->end : 0;
    v->is_cut = action == GUARD_BLOCK && m->direction == GUARD_REPLY; /* a prompt goes nowhere */
    return guard_changes(action) ? guard_case_replace(by->c, action, &what, by->arena, &v->value)
                                 : ERR_OK;
}

static enum err judge(const struct guard_means *by, const struct guard_out *out,
                      const struct guard_finding *f, struct verdict *v)
{
    const struct guard_manner *m = &by->manner;
    *v = (struct verdict){.is_cut = false};
    if (f->type == GUARD_INJECTION) { /* its place may have been passed */
        enum guard_action action = guard_case_judge(by->c, m->direction, f);
        v->is_cut = action == GUARD_BLOCK && m->direction == GUARD_REPLY;
        return ERR_OK;
    }
    CHECK(f->start >= out->at && f->end <= out->at + out->text.len);
    struct span value =
        span_cut(out->text, (size_t)(f->start - out->at), (size_t)(f->end - f->start));
    enum err e = undo(by->scan, by->arena, &value);
    if (e != ERR_OK) {
        return e;
    }
    if (f->type == GUARD_PLACEHOLDER) {
        return m->is_firm || m->keeps_names
                   ? ERR_OK
                   : guard_case_exchange(by->c, m->direction, value, by->arena, &v->value);
    }
    if (goes_on(by->scan, f)) { /* what the value became stands there already */
        by->scan->gone_to = f->end;
        v->value = SPAN("");
        return ERR_OK;
    }
    v->is_bare = guard_text_is_bare(&by->scan->syntax, m, out, f->start);
    return judge_value(by, f, value, v);
}

/* The text from `pos` to `end` as it came, before the string. */
static void put_before(struct guard_text *t, const struct guard_out *out, uint64_t pos,
                       uint64_t end)
{
    put_inside(&t->before, span_cut(out->text, (size_t)(pos - out->at), (size_t)(end - pos)));
}

/* Does what is to be done about one finding; `*pos` is up to where the text before the string was
 * put. */
static enum err act(struct guard_text *t, const struct guard_out *out,
                    const struct guard_finding *f, uint64_t *pos)
{
    struct verdict v;
    enum err e = judge(&t->by, out, f, &v);
    if (e != ERR_OK || (!v.is_cut && v.value.at == NULL)) {
        return e;
    }
    uint64_t start = f->start > *pos ? f->start : *pos;
    if (*pos < t->base) {
        uint64_t end = start < t->base ? start : t->base;
        put_before(t, out, *pos, end);
        *pos = end;
    }
    if (v.is_cut) {
        t->is_cut = true;
        t->kept = start;
        return ERR_OK;
    }
    if (start >= t->base) {
        *pos = f->end;
        return replace(t, start, f->end, v.value, v.is_bare);
    }
    put_value_inside(&t->before, v.value, &t->by.manner, v.is_bare);
    *pos = f->end;
    return f->end > t->base ? replace(t, t->base, f->end, SPAN(""), false) : ERR_OK;
}

static enum err take(struct guard_text *t, const struct guard_out *out)
{
    uint64_t pos = out->at, end = out->at + out->text.len;
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < out->count && !t->is_cut; i++) {
        e = act(t, out, &out->findings[i], &pos);
    }
    if (e != ERR_OK || t->is_cut) {
        return e;
    }
    if (pos < t->base && pos < end) {
        put_before(t, out, pos, end < t->base ? end : t->base);
    }
    t->kept = end;
    if (t->by.manner.is_in_json) {
        read_syntax(&t->by.scan->syntax, out, end);
    }
    return buf_failed(&t->before) ? buf_error(&t->before) : ERR_OK;
}

/* All was read: what is held back goes, and what was held back comes. */
static enum err finish(struct guard_text *t)
{
    t->is_done = true;
    uint64_t stays = t->kept > t->base ? t->kept : t->base;
    uint32_t from = raw_of(t, stays), end = t->offset + (uint32_t)t->inside.len;
    if (from < end) {
        json_edits_replace_borrow(t->by.edits, from, end - from, SPAN(""));
    }
    struct span before = buf_span(&t->before);
    t->is_empty = before.len == 0 && from == t->offset;
    if (before.len > 0) {
        struct span kept = arena_copy(t->by.arena, before);
        if (kept.at == NULL) {
            return arena_error(t->by.arena);
        }
        json_edits_replace_borrow(t->by.edits, t->offset, 0, kept);
    }
    return json_edits_error(t->by.edits);
}

enum err guard_text_step(struct guard_text *t, struct guard_scratch *w, size_t *bytes)
{
    struct guard_out out;
    struct span piece = json_reader_next(&t->reader, GUARD_PIECE_BYTES);
    *bytes -= piece.len < *bytes ? piece.len : *bytes;
    bool is_end = t->reader.left.len == 0;
    enum err e = guard_scan_feed(t->by.scan, w, piece, is_end && t->is_last, &out);
    if (e == ERR_OK) {
        e = take(t, &out);
    }
    return e == ERR_OK && (is_end || t->is_cut) ? finish(t) : e;
}

enum err guard_text_end(const struct guard_means *by, struct guard_scratch *w, struct buf *out,
                        bool *is_cut)
{
    struct guard_out last;
    *is_cut = false;
    enum err e = guard_scan_feed(by->scan, w, SPAN(""), true, &last);
    uint64_t pos = last.at;
    for (size_t i = 0; e == ERR_OK && i < last.count && !*is_cut; i++) {
        const struct guard_finding *f = &last.findings[i];
        struct verdict v;
        e = judge(by, &last, f, &v);
        *is_cut = v.is_cut;
        if (e == ERR_OK && (v.is_cut || v.value.at != NULL)) {
            uint64_t start = f->start > pos ? f->start : pos;
            buf_put(out, span_cut(last.text, (size_t)(pos - last.at), (size_t)(start - pos)));
            if (!v.is_cut) {
                put_value(out, v.value, &by->manner, v.is_bare);
            }
            pos = f->end;
        }
    }
    if (e == ERR_OK && !*is_cut) {
        buf_put(out, span_cut(last.text, (size_t)(pos - last.at), last.text.len));
    }
    return e == ERR_OK && buf_failed(out) ? buf_error(out) : e;
}
