/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/guard_report.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define OUTPUT_BYTES_MAX (512u << 20)
#define NUMBER_BYTES     16
#define PATH_BYTES       512
#define PERCENT_ONE      100

enum err guard_report_open(const struct guard_rule_of *of, enum guard_direction direction,
                           struct guard_report *out)
{
    *out = (struct guard_report){.of = *of, .direction = direction};
    buf_init(&out->output, OUTPUT_BYTES_MAX);
    return guard_scratch_new(&out->scratch);
}

void guard_report_close(struct guard_report *r)
{
    guard_scratch_free(&r->scratch);
    buf_fini(&r->output);
}

/* ---- findings ---- */

/* A value that is told in pieces is one. */
static bool goes_on(const struct guard_finding *before, const struct guard_finding *f)
{
    return before->type == f->type && before->end == f->start &&
           (f->type == GUARD_PRIVATE_KEY || f->type == GUARD_SECRET);
}

/* Leaves of an attempt at injection what no value lies in. */
static struct guard_finding trim(const struct guard_out *found, struct guard_finding f)
{
    for (size_t i = 0; f.type == GUARD_INJECTION && i < found->count; i++) {
        const struct guard_finding *v = &found->findings[i];
        if (v->type == GUARD_INJECTION || v->end <= f.start || v->start >= f.end) {
            continue;
        }
        if (v->start - f.start >= f.end - (v->end < f.end ? v->end : f.end) && v->start > f.start) {
            f.end = v->start;
        } else {
            f.start = v->end;
        }
    }
    return f;
}

static void put_finding(struct guard_report *r, const struct guard_finding *f, const char *path,
                        struct json_writer *w)
{
    char confidence[NUMBER_BYTES];
    enum guard_action action = guard_action_of(&r->of, r->direction, f);
    bool is_builtin = f->type < GUARD_BUILTINS;
    r->is_blocked =
        r->is_blocked || (action == GUARD_BLOCK && guard_mode_of(&r->of) == GUARD_ENFORCE);
    (void)snprintf(confidence, sizeof(confidence), "%u.%02u", f->percent / PERCENT_ONE,
                   f->percent % PERCENT_ONE); /* fits */
    json_write_object(w);
    json_write_key(w, "type");
    json_write_string(w, guard_name_of(&r->of, f->type));
    json_write_key(w, "start");
    json_write_u64(w, f->start);
    json_write_key(w, "end");
    json_write_u64(w, f->end);
    json_write_key(w, "confidence");
    json_write_raw(w, span_of(confidence));
    json_write_key(w, "action");
    json_write_string(w, guard_action_name(action));
    json_write_key(w, "rule");
    json_write_string(w, is_builtin ? SPAN("builtin") : guard_name_of(&r->of, f->type));
    if (path != NULL) {
        json_write_member_text(w, "path", path);
    }
    json_write_end(w);
}

/* Puts findings in the order of the text. */
static void put_findings(struct guard_report *r, const struct guard_out *found, const char *path,
                         struct json_writer *w)
{
    bool has_injection =
        found->count > 0 && found->findings[found->count - 1].type == GUARD_INJECTION;
    size_t count = found->count - has_injection;
    struct guard_finding injection = {.start = UINT64_MAX};
    if (has_injection) {
        injection = trim(found, found->findings[count]);
    }
    for (size_t i = 0; i < count;) {
        struct guard_finding whole = found->findings[i++];
        while (i < count && goes_on(&whole, &found->findings[i])) {
            whole.end = found->findings[i++].end;
        }
        if (has_injection && injection.start <= whole.start) {
            put_finding(r, &injection, path, w);
            has_injection = false;
        }
        put_finding(r, &whole, path, w);
    }
    if (has_injection) {
        put_finding(r, &injection, path, w);
    }
}

/* Looks at a text; what it becomes is in r->output then. */
static enum err look(struct guard_report *r, struct span text, const char *path,
                     struct json_writer *w)
{
    struct guard_wanted wanted;
    struct guard_scan scan;
    struct guard_out found;
    guard_wanted_of(&r->of, r->direction, true, &wanted);
    guard_scan_begin(&scan, &wanted);
    enum err e = guard_scan_feed(&scan, r->scratch, text, true, &found);
    buf_clear(&r->output);
    if (e == ERR_OK) {
        put_findings(r, &found, path, w);
        buf_put(&r->output, text);
        e = buf_failed(&r->output) ? ERR_NO_MEMORY : ERR_OK;
    }
    return e;
}

enum err guard_report_text(struct guard_report *r, struct span text, struct buf *out)
{
    struct json_writer w;
    r->is_blocked = false;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "findings");
    json_write_array(&w);
    enum err e = look(r, text, NULL, &w);
    json_write_end(&w);
    json_write_key(&w, "output");
    json_write_string(&w, buf_span(&r->output));
    json_write_key(&w, "blocked");
    json_write_bool(&w, r->is_blocked);
    json_write_end(&w);
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

/* Puts the request into `edited`, each text as it would be; findings go to `w`. */
static enum err look_at_all(struct guard_report *r, const struct json_index *x, struct buf *edited,
                            struct json_writer *w)
{
    struct walk k = {.x = x};
    char path[PATH_BYTES];
    uint32_t done = json_row(x, 0)->offset;
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
        if (said == NULL) {
            e = ERR_NO_MEMORY;
        } else {
            put_path(&k, path);
            e = look(r, span_make(said, json_unescape(x, row, said, NULL)), path, w);
            buf_put(edited, span_make(x->text.at + done, json_row(x, row)->offset - done));
            json_put_string(edited, buf_span(&r->output));
            done = json_end(x, row);
        }
        arena_fini(&arena);
    }
    buf_put(edited, span_make(x->text.at + done, json_end(x, 0) - done));
    return e == ERR_OK && buf_failed(edited) ? ERR_NO_MEMORY : e;
}

static enum err report_index(struct guard_report *r, const struct json_index *x, struct buf *out)
{
    struct buf edited;
    struct json_writer w;
    r->is_blocked = false;
    buf_init(&edited, OUTPUT_BYTES_MAX);
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "findings");
    json_write_array(&w);
    enum err e = look_at_all(r, x, &edited, &w);
    json_write_end(&w);
    if (e == ERR_OK) {
        json_write_key(&w, "output");
        json_write_raw(&w, buf_span(&edited));
        json_write_key(&w, "blocked");
        json_write_bool(&w, r->is_blocked);
    }
    json_write_end(&w);
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
