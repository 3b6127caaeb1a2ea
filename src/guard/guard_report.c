/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/guard_report.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "guard/guard_document.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define OUTPUT_BYTES_MAX (512u << 20)
#define NUMBER_BYTES     16
#define PATH_BYTES       512
#define PERCENT_ONE      100
#define STEP_BYTES       ((size_t)1 << 20)

enum err guard_report_open(const struct guard_rule_of *of, enum guard_direction direction,
                           struct guard_report *out)
{
    *out = (struct guard_report){.of = *of, .direction = direction};
    buf_init(&out->output, OUTPUT_BYTES_MAX);
    crypto_hmac_key_init(&out->key, SPAN("atlas guard test"));
    return guard_scratch_new(&out->scratch);
}

void guard_report_close(struct guard_report *r)
{
    guard_scratch_free(&r->scratch);
    buf_fini(&r->output);
}

/* A text, or the texts of a request, have one numbering. */
static void begin(struct guard_report *r)
{
    arena_init(&r->arena, OUTPUT_BYTES_MAX);
    guard_case_init(&r->found, &r->of, &r->arena);
    r->found.key = &r->key;
}

static void end(struct guard_report *r)
{
    guard_case_fini(&r->found);
    arena_fini(&r->arena);
}

/* ---- findings ---- */

/* A text while it is looked at. */
struct looking {
    struct guard_report *r;
    struct span text;
    const char *path; /* NULL: it is no request's */
    struct json_writer *w;
    size_t done; /* of the text, what is in the output */
    bool is_cut; /* nothing more of it goes out */
};

/* A value that is told in pieces is one. */
static bool goes_on(const struct guard_finding *before, const struct guard_finding *f)
{
    return before->type == f->type && before->end == f->start &&
           (f->type == GUARD_PRIVATE_KEY || f->type == GUARD_SECRET);
}

/* Leaves of an attempt at injection the longer part that no value lies in. */
static struct guard_finding trim(const struct guard_out *found, struct guard_finding f)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct guard_finding *v = &found->findings[i];
        if (v->type >= GUARD_PLACEHOLDER || v->type == GUARD_INJECTION || v->end <= f.start ||
            v->start >= f.end) {
            continue;
        }
        uint64_t before = v->start > f.start ? v->start - f.start : 0;
        uint64_t behind = v->end < f.end ? f.end - v->end : 0;
        f = before >= behind ? (struct guard_finding){f.start, v->start, f.type, f.percent, false}
                             : (struct guard_finding){v->end, f.end, f.type, f.percent, false};
    }
    return f;
}

static void put_finding(const struct looking *l, const struct guard_finding *f)
{
    char confidence[NUMBER_BYTES];
    const struct guard_rule_of *of = &l->r->of;
    struct json_writer *w = l->w;
    const unsigned percent = f->percent;
    (void)snprintf(confidence, sizeof(confidence), "%u.%02u", percent / PERCENT_ONE,
                   percent % PERCENT_ONE); /* fits */
    json_write_object(w);
    json_write_key(w, "type");
    json_write_string(w, guard_name_of(of, f->type));
    json_write_key(w, "start");
    json_write_u64(w, f->start);
    json_write_key(w, "end");
    json_write_u64(w, f->end);
    json_write_key(w, "confidence");
    json_write_raw(w, span_of(confidence));
    json_write_key(w, "action");
    json_write_string(w, guard_action_name(guard_action_of(of, l->r->direction, f)));
    json_write_key(w, "rule");
    json_write_string(w, f->type < GUARD_BUILTINS ? SPAN("builtin") : guard_name_of(of, f->type));
    if (l->path != NULL) {
        json_write_member_text(w, "path", l->path);
    }
    json_write_end(w);
}

/* Puts what is done about a finding into the output. */
static enum err act(struct looking *l, const struct guard_finding *f)
{
    struct guard_report *r = l->r;
    struct span value = span_cut(l->text, f->start, f->end - f->start);
    struct span instead = value;
    enum err e = ERR_OK;
    enum guard_action action = GUARD_ALLOW;
    if (f->type == GUARD_PLACEHOLDER) {
        struct span other = {NULL, 0};
        e = guard_case_exchange(&r->found, r->direction, value, &r->arena, &other);
        instead = other.at == NULL ? value : other;
    } else {
        action = guard_case_judge(&r->found, r->direction, f);
    }
    if (guard_changes(action)) {
        const struct guard_value what = {.f = f, .text = value, .is_callers = true};
        e = guard_case_replace(&r->found, action, &what, &r->arena, &instead);
    }
    if (e == ERR_OK && !l->is_cut && f->start >= l->done) {
        buf_put(&r->output, span_cut(l->text, l->done, f->start - l->done));
        l->is_cut = action == GUARD_BLOCK;
        buf_put(&r->output, l->is_cut ? SPAN("") : instead);
        l->done = f->end;
    }
    return e;
}

static enum err tell(struct looking *l, const struct guard_finding *f)
{
    if (f->type != GUARD_PLACEHOLDER) {
        put_finding(l, f);
    }
    return act(l, f);
}

/* Tells findings in the order of the text. */
static enum err tell_all(struct looking *l, const struct guard_out *found)
{
    size_t count = found->count;
    bool has_injection = count > 0 && found->findings[count - 1].type == GUARD_INJECTION;
    struct guard_finding injection = {.start = UINT64_MAX};
    enum err e = ERR_OK;
    if (has_injection) {
        injection = trim(found, found->findings[--count]);
    }
    for (size_t i = 0; e == ERR_OK && i < count;) {
        struct guard_finding whole = found->findings[i++];
        while (i < count && goes_on(&whole, &found->findings[i])) {
            whole.end = found->findings[i++].end;
        }
        if (has_injection && injection.start <= whole.start) {
            e = tell(l, &injection);
            has_injection = false;
        }
        e = e == ERR_OK ? tell(l, &whole) : e;
    }
    return has_injection && e == ERR_OK ? tell(l, &injection) : e;
}

/* Looks at a text; what it becomes is in r->output then. */
static enum err look(struct guard_report *r, struct span text, const char *path,
                     struct json_writer *w)
{
    struct looking l = {.r = r, .text = text, .path = path, .w = w};
    struct guard_wanted wanted;
    struct guard_scan scan;
    struct guard_out found;
    (void)guard_case_wants(&r->found, r->direction, &wanted); /* whether a call would look at all */
    bool has_placeholders = wanted.placeholders;
    guard_wanted_of(&r->of, r->direction, true, &wanted);
    wanted.placeholders = has_placeholders;
    guard_scan_begin(&scan, &wanted);
    enum err e = guard_scan_feed(&scan, r->scratch, text, true, &found);
    buf_clear(&r->output);
    e = e == ERR_OK ? tell_all(&l, &found) : e;
    if (e == ERR_OK && !l.is_cut) {
        buf_put(&r->output, span_cut(text, l.done, text.len - l.done));
    }
    if (l.is_cut && r->direction == GUARD_REPLY && guard_empties_blocked(&r->of)) {
        buf_clear(&r->output);
    }
    return e == ERR_OK && buf_failed(&r->output) ? ERR_NO_MEMORY : e;
}

enum err guard_report_text(struct guard_report *r, struct span text, struct buf *out)
{
    struct json_writer w;
    begin(r);
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "findings");
    json_write_array(&w);
    enum err e = look(r, text, NULL, &w);
    json_write_end(&w);
    json_write_key(&w, "output");
    json_write_string(&w, buf_span(&r->output));
    json_write_key(&w, "blocked");
    json_write_bool(&w, r->found.is_blocked[r->direction]);
    json_write_end(&w);
    end(r);
    return e == ERR_OK ? json_write_finish(&w) : e;
}

/* ---- requests ---- */

/* Where the walk is: of each level that is open its row, and how many values it had. */
struct walk {
    const struct json_index *x;
    uint32_t open[GUARD_REPORT_DEPTH + 1];
    uint32_t members[GUARD_REPORT_DEPTH + 1];
    uint32_t keys[GUARD_REPORT_DEPTH + 1]; /* the one whose value is read; JSON_NONE: an element */
    size_t depth;
};

static void put_path(const struct walk *k, char out[PATH_BYTES])
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < k->depth && len < PATH_BYTES; i++) {
        if (k->keys[i] == JSON_NONE) {
            len += (size_t)snprintf(out + len, PATH_BYTES - len, "[%u]", k->members[i] - 1);
        } else {
            struct span key = span_cut_text(json_inside(k->x, k->keys[i]), 64);
            len += (size_t)snprintf(out + len, PATH_BYTES - len, "%s%.*s", len == 0 ? "" : ".",
                                    SPAN_ARGS(key));
        }
    }
}

/* Notes that the walk comes to a row: what ended before it is closed. */
static void step(struct walk *k, uint32_t row)
{
    const struct json_row *r = json_row(k->x, row);
    while (k->depth > r->depth) {
        k->depth--;
    }
    if (k->depth > 0 && r->kind == JSON_KEY) {
        k->keys[k->depth - 1] = row;
    } else if (k->depth > 0) {
        k->members[k->depth - 1]++;
    }
    if (r->kind == JSON_ARRAY || r->kind == JSON_OBJECT) {
        k->keys[k->depth] = JSON_NONE;
        k->members[k->depth++] = 0;
    }
}

/* Tells what is found in each text. */
static enum err look_at_all(struct guard_report *r, const struct json_index *x,
                            struct json_writer *w)
{
    struct walk k = {.x = x};
    char path[PATH_BYTES];
    enum err e = ERR_OK;
    struct arena arena;
    for (uint32_t row = 0; e == ERR_OK && row < x->count; row++) {
        step(&k, row);
        if (json_kind(x, row) != JSON_STRING) {
            continue;
        }
        size_t room = json_inside(x, row).len;
        arena_init(&arena, room + PATH_BYTES);
        uint8_t *said = arena_alloc(&arena, room + 1);
        e = said == NULL ? ERR_NO_MEMORY : ERR_OK;
        if (e == ERR_OK) {
            put_path(&k, path);
            e = look(r, span_make(said, json_unescape(x, row, said, NULL)), path, w);
        }
        arena_fini(&arena);
    }
    return e;
}

/* What else of a reply does not stay. */
static void mend(const struct guard_report *r, struct json_edits *edits, bool is_cut)
{
    struct guard_mend m;
    guard_mend_begin(&m, edits);
    m.is_cut = is_cut;
    m.empties = guard_empties_blocked(&r->of);
    bool is_done = false;
    while (!is_done) {
        is_done = guard_mend_step(&m, UINT_MAX);
    }
}

/* The request as a call's would be, with the names that it has then. */
static enum err edit(struct guard_report *r, const struct json_index *x, struct json_edits *edits)
{
    struct guard_document d;
    bool is_prompt = r->direction == GUARD_PROMPT;
    struct guard_look l = {
        .c = &r->found, .scratch = r->scratch, .edits = edits, .arena = &r->arena};
    enum err e = ERR_OK;
    json_edits_init(edits, x, &r->arena);
    if (!guard_case_wants(&r->found, r->direction, &l.wanted)) {
        return ERR_OK;
    }
    guard_document_begin(&d, &l, is_prompt ? OPENAI_TEXTS_REQUEST : OPENAI_TEXTS_ANSWER);
    while (e == ERR_OK && !d.is_done) {
        e = guard_document_step(&d, STEP_BYTES);
    }
    if (e == ERR_OK && !is_prompt && (d.is_cut || edits->list.count > 0)) {
        mend(r, edits, d.is_cut);
    }
    guard_document_end(&d);
    return e == ERR_OK ? json_edits_error(edits) : e;
}

static enum err put_edited(struct guard_report *r, const struct json_index *x, struct buf *out)
{
    struct json_edits edits;
    enum err e = edit(r, x, &edits);
    if (e != ERR_OK) {
        return e;
    }
    size_t total = (size_t)json_edits_total(&edits);
    uint8_t *room = buf_reserve(out, total);
    if (room == NULL) {
        return ERR_NO_MEMORY;
    }
    json_edits_copy(&edits, room);
    buf_added(out, total);
    return ERR_OK;
}

static enum err report_index(struct guard_report *r, const struct json_index *x, struct buf *out)
{
    struct buf edited;
    struct json_writer w;
    buf_init(&edited, OUTPUT_BYTES_MAX);
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "findings");
    json_write_array(&w);
    begin(r);
    enum err e = look_at_all(r, x, &w);
    end(r);
    json_write_end(&w);
    begin(r);
    e = e == ERR_OK ? put_edited(r, x, &edited) : e;
    if (e == ERR_OK) {
        json_write_key(&w, "output");
        json_write_raw(&w, buf_span(&edited));
        json_write_key(&w, "blocked");
        json_write_bool(&w, r->found.is_blocked[r->direction]);
    }
    json_write_end(&w);
    end(r);
    buf_fini(&edited);
    return e == ERR_OK ? json_write_finish(&w) : e;
}

enum err guard_report_request(struct guard_report *r, struct span json, struct buf *out)
{
    struct json_index x;
    json_index_init(&x, GUARD_REPORT_ROWS, GUARD_REPORT_DEPTH);
    enum err e = json_index_parse_borrow(&x, json);
    e = e == ERR_OK ? report_index(r, &x, out) : e;
    json_index_fini(&x);
    return e;
}
