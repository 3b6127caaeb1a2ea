/* SPDX-License-Identifier: Apache-2.0 */
/* A request's body becomes an object, or a sentence that says what to do. */
#include <stdio.h>

#include "admin/admin_objects.h"
#include "base/arena.h"

#define ROWS_MAX   256
#define DEPTH_MAX  2
#define TIME_LAST  INT64_C(253402300799999999) /* the last microsecond of the year 9999 */
#define LIST_BYTES 256

struct reading {
    const struct admin_reading *asked;
    struct json_index x;
};

static enum err refuse(const struct reading *r, const struct admin_field *f, const char *what)
{
    return admin_fault_say(r->asked->fault, ERR_VALUE_INVALID, span_of(f->name), "'%s' must be %s",
                           f->name, what);
}

/* Writes "a, b or c" of "a|b|c". */
static void list_words(const char *words, const char *last, char out[LIST_BYTES])
{
    struct span word;
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; len < LIST_BYTES && (word = admin_word(words, i)).len > 0; i++) {
        const char *between = i == 0 ? "" : admin_word(words, i + 1).len > 0 ? ", " : last;
        len += (size_t)snprintf(out + len, LIST_BYTES - len, "%s%.*s", between, SPAN_ARGS(word));
    }
}

static bool has_control(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool is_c1 = text.at[i] == 0xc2 && text.at[i + 1] < 0xa0; /* UTF-8: one follows */
        if (text.at[i] < ' ' || text.at[i] == 0x7f || is_c1) {
            return true;
        }
    }
    return false;
}

static enum err read_text(const struct reading *r, const struct admin_field *f, uint32_t row,
                          struct span *out)
{
    char what[128];
    enum err e = json_text(&r->x, row, r->asked->arena, out);
    if (e == ERR_NO_MEMORY) {
        return e;
    }
    if (e == ERR_OK && json_kind(&r->x, row) == JSON_STRING && out->len >= (size_t)f->least &&
        out->len <= (size_t)f->most && ((f->rules & ADMIN_PRINTABLE) == 0 || !has_control(*out))) {
        return ERR_OK;
    }
    (void)snprintf(what, sizeof(what), "a text of %lld to %lld bytes%s", (long long)f->least,
                   (long long)f->most,
                   (f->rules & ADMIN_PRINTABLE) != 0 ? " without control characters" : "");
    return refuse(r, f, what);
}

static enum err read_int(const struct reading *r, const struct admin_field *f, uint32_t row,
                         int64_t *out)
{
    char what[128];
    if (json_int64(&r->x, row, out) == ERR_OK && *out >= f->least && *out <= f->most) {
        return ERR_OK;
    }
    (void)snprintf(what, sizeof(what), "a whole number from %lld to %lld", (long long)f->least,
                   (long long)f->most);
    return refuse(r, f, what);
}

static enum err read_time(const struct reading *r, const struct admin_field *f, uint32_t row,
                          wall_us *out)
{
    struct span text;
    bool is_later = (f->rules & ADMIN_LATER) != 0;
    enum err e = json_text(&r->x, row, r->asked->arena, &text);
    if (e == ERR_NO_MEMORY) {
        return e;
    }
    if (e == ERR_OK && admin_time_read(text, out) && out->us <= TIME_LAST &&
        (!is_later || out->us > r->asked->now.us)) {
        return ERR_OK;
    }
    return refuse(r, f,
                  is_later ? "a time to come, such as \"2030-01-31T12:00:00Z\", or null for never"
                           : "a time, such as \"2030-01-31T12:00:00Z\"");
}

static enum err read_day(const struct reading *r, const struct admin_field *f, uint32_t row,
                         int32_t *out)
{
    struct span text;
    enum err e = json_text(&r->x, row, r->asked->arena, &text);
    if (e == ERR_NO_MEMORY) {
        return e;
    }
    return e == ERR_OK && admin_day_read(text, out) ? ERR_OK
                                                    : refuse(r, f, "a day, such as \"2026-11-24\"");
}

/* The number of the word that the row says; false if it says none of them. */
static bool find_word(const struct reading *r, const struct admin_field *f, uint32_t row, int *out)
{
    struct span word;
    for (int i = 0; (word = admin_word(f->words, (size_t)i)).len > 0; i++) {
        if (json_kind(&r->x, row) == JSON_STRING && json_text_is(&r->x, row, word)) {
            *out = i;
            return true;
        }
    }
    return false;
}

static enum err read_choice(const struct reading *r, const struct admin_field *f, uint32_t row,
                            int *out)
{
    char words[LIST_BYTES];
    if (find_word(r, f, row, out)) {
        return ERR_OK;
    }
    list_words(f->words, " or ", words);
    return refuse(r, f, words);
}

static enum err read_choices(const struct reading *r, const struct admin_field *f, uint32_t row,
                             uint32_t *out)
{
    char words[LIST_BYTES], what[LIST_BYTES + 32];
    bool is_good = json_kind(&r->x, row) == JSON_ARRAY && json_first(&r->x, row) != JSON_NONE;
    *out = 0;
    for (uint32_t item = is_good ? json_first(&r->x, row) : JSON_NONE; item != JSON_NONE;
         item = json_next(&r->x, item)) {
        int word = 0;
        is_good = is_good && find_word(r, f, item, &word);
        *out |= 1U << word;
    }
    if (is_good) {
        return ERR_OK;
    }
    list_words(f->words, ", ", words);
    (void)snprintf(what, sizeof(what), "a list of some of %s", words);
    return refuse(r, f, what);
}

static enum err read_value(const struct reading *r, const struct admin_field *f, uint32_t row,
                           void *at)
{
    if (json_kind(&r->x, row) == JSON_NULL && (f->rules & ADMIN_MAYBE) != 0) {
        return ERR_OK; /* zero, as the caller has made it */
    }
    switch (f->kind) {
    case ADMIN_TEXT:
        return read_text(r, f, row, at);
    case ADMIN_INT:
        return read_int(r, f, row, at);
    case ADMIN_BOOL:
        return json_bool(&r->x, row, at) == ERR_OK ? ERR_OK : refuse(r, f, "true or false");
    case ADMIN_TIME:
        return read_time(r, f, row, at);
    case ADMIN_DAY:
        return read_day(r, f, row, at);
    case ADMIN_CHOICE:
        return read_choice(r, f, row, at);
    case ADMIN_CHOICES:
        return read_choices(r, f, row, at);
    case ADMIN_PART:
    case ADMIN_PARTS:
        break;
    }
    NEVER("a request that holds parts");
}

/* "'foo' is no member of a key; a request may hold name, kind, scopes and expires". */
static enum err refuse_member(const struct reading *r, struct span key)
{
    char names[LIST_BYTES];
    size_t count, len = 0;
    const struct admin_field *f = admin_fields(r->asked->object, &count);
    names[0] = '\0';
    for (size_t i = 0; i < count && len < LIST_BYTES; i++) {
        if (admin_field_is_taken(&f[i], r->asked->use)) {
            len += (size_t)snprintf(names + len, LIST_BYTES - len, "%s%s", len == 0 ? "" : ", ",
                                    f[i].name);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (span_is(key, f[i].name)) {
            return admin_fault_say(r->asked->fault, ERR_VALUE_INVALID, key,
                                   "'%s' cannot be %s: leave it out; this request may hold %s",
                                   f[i].name, (f[i].rules & ADMIN_MADE) != 0 ? "given" : "changed",
                                   names);
        }
    }
    return admin_fault_say(r->asked->fault, ERR_VALUE_INVALID, key,
                           "'%.*s' is no member of this request, which may hold %s",
                           SPAN_ARGS(span_cut_text(key, 64)), names);
}

static enum err read_member(const struct reading *r, uint32_t key, void *out, uint64_t *given)
{
    size_t count;
    const struct admin_field *f = admin_fields(r->asked->object, &count);
    for (size_t i = 0; i < count; i++) {
        if (json_text_is(&r->x, key, span_of(f[i].name)) &&
            admin_field_is_taken(&f[i], r->asked->use)) {
            *given |= (uint64_t)1 << i;
            return read_value(r, &f[i], json_value(&r->x, key), (char *)out + f[i].offset);
        }
    }
    struct span name;
    enum err e = json_text(&r->x, key, r->asked->arena, &name);
    return e == ERR_NO_MEMORY ? e : refuse_member(r, e == ERR_OK ? name : SPAN("?"));
}

static enum err check_needed(const struct reading *r, uint64_t given)
{
    size_t count;
    const struct admin_field *f = admin_fields(r->asked->object, &count);
    for (size_t i = 0; r->asked->use == ADMIN_MAKES && i < count; i++) {
        if ((f[i].rules & ADMIN_NEEDED) != 0 && (given >> i & 1) == 0) {
            return admin_fault_say(r->asked->fault, ERR_VALUE_MISSING, span_of(f[i].name),
                                   "'%s' is missing", f[i].name);
        }
    }
    return given == 0 ? admin_fault_say(r->asked->fault, ERR_VALUE_MISSING, SPAN(""),
                                        "the request changes nothing: give what is to change")
                      : ERR_OK;
}

static enum err read_object(struct reading *r, void *out, uint64_t *given)
{
    uint32_t twice;
    if (json_kind(&r->x, 0) != JSON_OBJECT) {
        return ERR_BODY_NOT_OBJECT;
    }
    enum err e = json_first_duplicate(&r->x, 0, &twice);
    if (e == ERR_OK && twice != JSON_NONE) {
        struct span name = span_cut_text(json_inside(&r->x, twice), 64);
        return admin_fault_say(r->asked->fault, ERR_JSON_DUPLICATE, name, "'%.*s' is given twice",
                               SPAN_ARGS(name));
    }
    for (uint32_t key = json_first(&r->x, 0); e == ERR_OK && key != JSON_NONE;
         key = json_next(&r->x, key)) {
        e = read_member(r, key, out, given);
    }
    return e == ERR_OK ? check_needed(r, *given) : e;
}

enum err admin_object_read(struct admin_reading *reading, void *out)
{
    struct reading r = {.asked = reading};
    reading->given = 0;
    json_index_init(&r.x, ROWS_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&r.x, reading->body);
    if (e == ERR_OK) {
        e = read_object(&r, out, &reading->given);
    }
    json_index_fini(&r.x);
    return e;
}
