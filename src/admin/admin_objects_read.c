/* SPDX-License-Identifier: Apache-2.0 */
/* A request's body becomes an object, or a sentence that says what to do. */
#include <stdio.h>

#include "admin/admin_reading.h"
#include "base/arena.h"
#include "base/money.h"

#define ROWS_MAX   1024 /* keys and values */
#define DEPTH_MAX  3    /* the object, a part, the names of one of its members */
#define DEPTH_MORE 2    /* with JSON: a guard, a list of its, a rule, its words */
#define SECOND_US  INT64_C(1000000)
#define DAY_US     INT64_C(86400000000)
#define TIME_LAST  INT64_C(253402300799999999) /* the last microsecond of the year 9999 */
#define LIST_BYTES 256

#define NAME_BYTES 128

/* "name", or of a part's member "limits.burst". */
static const char *name_of(const struct reading *r, struct span name, char out[NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "%s%s%.*s", r->part == NULL ? "" : r->part->name,
                   r->part == NULL ? "" : ".", SPAN_ARGS(span_cut_text(name, 64)));
    return out;
}

enum err admin_reading_refuse(const struct reading *r, const struct admin_field *f,
                              const char *what)
{
    char name[NAME_BYTES];
    (void)name_of(r, span_of(f->name), name);
    return admin_fault_say(r->asked->fault, ERR_VALUE_INVALID, span_of(name), "'%s' must be %s",
                           name, what);
}

static enum err refuse(const struct reading *r, const struct admin_field *f, const char *what)
{
    return admin_reading_refuse(r, f, what);
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

bool admin_has_control(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool is_c1 = text.at[i] == 0xc2 && text.at[i + 1] < 0xa0; /* UTF-8: one follows */
        if (text.at[i] < ' ' || text.at[i] == 0x7f || is_c1) {
            return true;
        }
    }
    return false;
}

static enum err refuse_null(const struct reading *r, const struct admin_field *f)
{
    char name[NAME_BYTES];
    (void)name_of(r, span_of(f->name), name);
    return admin_fault_say(r->asked->fault, ERR_VALUE_INVALID, span_of(name),
                           "'%s' cannot be null: give it a value, or leave it out", name);
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
        out->len <= (size_t)f->most &&
        ((f->rules & ADMIN_PRINTABLE) == 0 || !admin_has_control(*out))) {
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

static enum err refuse_time(const struct reading *r, const struct admin_field *f)
{
    char what[160];
    (void)snprintf(what, sizeof(what), "a time%s, %s\"2030-01-31T12:00:00Z\"%s",
                   (f->rules & ADMIN_LATER) != 0 ? " to come" : "",
                   f->kind == ADMIN_MOMENT ? "in seconds since 1970 or such as " : "such as ",
                   (f->rules & ADMIN_MAYBE) != 0 ? ", or null for never" : "");
    return refuse(r, f, what);
}

/* "2027-01-31": as the day begins, UTC. */
static bool read_as_day(struct span text, wall_us *out)
{
    int32_t day;
    bool is = text.len == sizeof("2027-01-31") - 1 && admin_day_read(text, &day);
    out->us = is ? day * DAY_US : 0;
    return is;
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
    if (e == ERR_OK &&
        (admin_time_read(text, out) || (f->kind == ADMIN_MOMENT && read_as_day(text, out))) &&
        out->us <= TIME_LAST && (!is_later || out->us > r->asked->now.us)) {
        return ERR_OK;
    }
    return refuse_time(r, f);
}

/* Seconds since 1970, or RFC 3339. What would be seconds of a far time are milliseconds by
 * mistake. */
static enum err read_moment(const struct reading *r, const struct admin_field *f, uint32_t row,
                            wall_us *out)
{
    bool is_later = (f->rules & ADMIN_LATER) != 0;
    int64_t seconds = 0;
    if (json_kind(&r->x, row) == JSON_STRING) {
        return read_time(r, f, row, out);
    }
    if (json_int64(&r->x, row, &seconds) == ERR_OK && seconds > 0 &&
        seconds <= TIME_LAST / SECOND_US) {
        out->us = seconds * SECOND_US;
        if (!is_later || out->us > r->asked->now.us) {
            return ERR_OK;
        }
    }
    return refuse_time(r, f);
}

static enum err read_money(const struct reading *r, const struct admin_field *f, uint32_t row,
                           int64_t *out)
{
    char what[160], least[MONEY_TEXT_BYTES], most[MONEY_TEXT_BYTES];
    struct span text = {NULL, 0};
    enum err e = json_kind(&r->x, row) == JSON_STRING
                     ? json_text(&r->x, row, r->asked->arena, &text)
                     : ERR_VALUE_INVALID;
    if (e == ERR_NO_MEMORY ||
        (e == ERR_OK && money_read(text, out) && *out >= f->least && *out <= f->most)) {
        return e;
    }
    money_write(f->least, MONEY_PLACES, least);
    money_write(f->most, MONEY_PLACES, most);
    (void)snprintf(what, sizeof(what),
                   "an amount as a text, such as \"100.00\", from %s to %s with at most %d places",
                   least, most, MONEY_PLACES);
    return refuse(r, f, what);
}

/* "100", or "100.00". */
static bool read_tokens(struct span text, int64_t *tokens)
{
    size_t point = span_find(text, '.', 0);
    struct span whole = span_cut(text, 0, point), rest = span_cut(text, point + 1, text.len);
    uint64_t number, part = 0;
    bool is = span_to_u64(whole, INT64_MAX, &number) && (whole.len == 1 || whole.at[0] != '0') &&
              (point == text.len ||
               (rest.len <= MONEY_PLACES && span_to_u64(rest, MONEY_UNIT, &part) && part == 0));
    *tokens = is ? (int64_t)number : -1;
    return is;
}

static enum err read_amount(const struct reading *r, const struct admin_field *f, uint32_t row,
                            struct admin_amount *out)
{
    struct span text = {NULL, 0};
    enum err e = json_kind(&r->x, row) == JSON_STRING
                     ? json_text(&r->x, row, r->asked->arena, &text)
                     : ERR_VALUE_INVALID;
    if (e == ERR_NO_MEMORY) {
        return e;
    }
    bool is_money = e == ERR_OK && money_read(text, &out->nano) && out->nano >= 0;
    bool is_tokens = e == ERR_OK && read_tokens(text, &out->tokens);
    out->nano = is_money ? out->nano : -1;
    out->tokens = is_tokens ? out->tokens : -1;
    return is_money || is_tokens
               ? ERR_OK
               : refuse(r, f,
                        "an amount as a text, such as \"100.00\", not negative, with at most 9 "
                        "places; of tokens a whole number");
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

/* As it stands there: what it means is not asked here. */
static enum err read_json(const struct reading *r, const struct admin_field *f, uint32_t row,
                          struct span *out)
{
    char what[128];
    *out = json_source(&r->x, row);
    if (json_kind(&r->x, row) == JSON_OBJECT && out->len <= (size_t)f->most) {
        return ERR_OK;
    }
    (void)snprintf(what, sizeof(what), "an object of at most %lld bytes", (long long)f->most);
    return refuse(r, f, what);
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
        *out += (f->rules & ADMIN_MAYBE) != 0 ? 1 : 0;
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

/* What null makes of a field. */
static void clear(const struct admin_field *f, void *at)
{
    static const size_t sizes[] = {
        [ADMIN_TEXT] = sizeof(struct span),
        [ADMIN_INT] = sizeof(int64_t),
        [ADMIN_BOOL] = sizeof(bool),
        [ADMIN_TIME] = sizeof(wall_us),
        [ADMIN_MOMENT] = sizeof(wall_us),
        [ADMIN_DAY] = sizeof(int32_t),
        [ADMIN_HOUR] = sizeof(int32_t),
        [ADMIN_CHOICE] = sizeof(int),
        [ADMIN_CHOICES] = sizeof(uint32_t),
        [ADMIN_NUMBERS] = sizeof(uint32_t),
        [ADMIN_NAMES] = sizeof(struct span),
        [ADMIN_TAGS] = sizeof(struct span),
        [ADMIN_MONEY] = sizeof(int64_t),
        [ADMIN_AMOUNT] = sizeof(struct admin_amount),
        [ADMIN_JSON] = sizeof(struct span),
        [ADMIN_PART] = 0,
        [ADMIN_PARTS] = sizeof(struct admin_parts),
    };
    memset(at, 0, f->kind == ADMIN_PART ? admin_object_size(admin_part_of(f)) : sizes[f->kind]);
}

static enum err read_value(const struct reading *r, const struct admin_field *f, uint32_t row,
                           void *at)
{
    if (json_kind(&r->x, row) == JSON_NULL) {
        bool is_list = f->kind == ADMIN_NAMES || f->kind == ADMIN_TAGS;
        if ((f->rules & ADMIN_MAYBE) == 0 && !is_list) {
            return refuse_null(r, f);
        }
        clear(f, at);
        return ERR_OK;
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
    case ADMIN_MOMENT:
        return read_moment(r, f, row, at);
    case ADMIN_DAY:
        return read_day(r, f, row, at);
    case ADMIN_CHOICE:
        return read_choice(r, f, row, at);
    case ADMIN_CHOICES:
        return read_choices(r, f, row, at);
    case ADMIN_NAMES:
        return admin_read_names(r, f, row, at);
    case ADMIN_TAGS:
        return admin_read_tags(r, f, row, at);
    case ADMIN_MONEY:
        return read_money(r, f, row, at);
    case ADMIN_AMOUNT:
        return read_amount(r, f, row, at);
    case ADMIN_JSON:
        return read_json(r, f, row, at);
    case ADMIN_PART:
        NEVER("a part has none itself");
    case ADMIN_HOUR:
    case ADMIN_NUMBERS:
    case ADMIN_PARTS:
        break;
    }
    NEVER("a request that holds what replies alone do");
}

/* The object whose members are read. */
static enum admin_object object_of(const struct reading *r)
{
    return r->part == NULL ? r->asked->object : admin_part_of(r->part);
}

/* "'foo' is no member of a key; a request may hold name, kind, scopes and expires_at". */
static enum err refuse_member(const struct reading *r, struct span key)
{
    char names[LIST_BYTES], name[NAME_BYTES];
    size_t count, len = 0;
    const struct admin_field *f = admin_fields(object_of(r), &count);
    const char *place = r->part == NULL ? "this request" : r->part->name;
    names[0] = '\0';
    (void)name_of(r, key, name);
    for (size_t i = 0; i < count && len < LIST_BYTES; i++) {
        if (admin_field_is_taken(&f[i], r->asked->use)) {
            len += (size_t)snprintf(names + len, LIST_BYTES - len, "%s%s", len == 0 ? "" : ", ",
                                    f[i].name);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (span_is(key, f[i].name)) {
            return admin_fault_say(r->asked->fault, ERR_VALUE_INVALID, span_of(name),
                                   "'%s' cannot be %s: leave it out; %s may hold %s", name,
                                   (f[i].rules & ADMIN_MADE) != 0 ? "given" : "changed", place,
                                   names);
        }
    }
    return admin_fault_say(r->asked->fault, ERR_VALUE_INVALID, span_of(name),
                           "'%s' is no member of %s, which may hold %s", name, place, names);
}

/* The field of a member; NULL: there is none, and what is wrong is said. */
static const struct admin_field *find_field(const struct reading *r, uint32_t key, uint64_t *given,
                                            enum err *e)
{
    size_t count;
    const struct admin_field *f = admin_fields(object_of(r), &count);
    for (size_t i = 0; i < count; i++) {
        if (json_text_is(&r->x, key, span_of(f[i].name)) &&
            admin_field_is_taken(&f[i], r->asked->use)) {
            *given |= (uint64_t)1 << i;
            return &f[i];
        }
    }
    struct span name;
    *e = json_text(&r->x, key, r->asked->arena, &name);
    *e = *e == ERR_NO_MEMORY ? *e : refuse_member(r, *e == ERR_OK ? name : SPAN("?"));
    return NULL;
}

static enum err check_needed(const struct reading *r, uint64_t given)
{
    size_t count;
    char name[NAME_BYTES];
    const struct admin_field *f = admin_fields(object_of(r), &count);
    for (size_t i = 0; r->asked->use == ADMIN_MAKES && i < count; i++) {
        if ((f[i].rules & ADMIN_NEEDED) != 0 && (given >> i & 1) == 0) {
            (void)name_of(r, span_of(f[i].name), name);
            return admin_fault_say(r->asked->fault, ERR_VALUE_MISSING, span_of(name),
                                   "'%s' is missing", name);
        }
    }
    return ERR_OK;
}

typedef enum err reader(const struct reading *r, const struct admin_field *f, uint32_t row,
                        void *at);

/* Reads the members of an object with `read`, each of them. */
static enum err read_members(const struct reading *r, uint32_t row, reader *read, void *out,
                             uint64_t *given)
{
    uint32_t twice;
    char name[NAME_BYTES];
    enum err e = json_first_duplicate(&r->x, row, &twice);
    if (e == ERR_OK && twice != JSON_NONE) {
        (void)name_of(r, json_inside(&r->x, twice), name);
        return admin_fault_say(r->asked->fault, ERR_JSON_DUPLICATE, span_of(name),
                               "'%s' is given twice", name);
    }
    for (uint32_t key = json_first(&r->x, row); e == ERR_OK && key != JSON_NONE;
         key = json_next(&r->x, key)) {
        const struct admin_field *f = find_field(r, key, given, &e);
        e = f == NULL ? e : read(r, f, json_value(&r->x, key), (char *)out + f->offset);
    }
    return e == ERR_OK ? check_needed(r, *given) : e;
}

static enum err read_part_or_value(const struct reading *r, const struct admin_field *f,
                                   uint32_t row, void *at)
{
    struct reading part = *r;
    uint64_t given = 0;
    if (f->kind != ADMIN_PART || json_kind(&r->x, row) == JSON_NULL) {
        return read_value(r, f, row, at);
    }
    part.part = f;
    return json_kind(&r->x, row) == JSON_OBJECT ? read_members(&part, row, read_value, at, &given)
                                                : refuse(r, f, "an object");
}

static enum err read_object(const struct reading *r, void *out, uint64_t *given)
{
    if (json_kind(&r->x, 0) != JSON_OBJECT) {
        return ERR_BODY_NOT_OBJECT;
    }
    return read_members(r, 0, read_part_or_value, out, given);
}

static uint16_t depth_of(enum admin_object object)
{
    size_t count;
    const struct admin_field *f = admin_fields(object, &count);
    bool has_json = false;
    for (size_t i = 0; i < count; i++) {
        has_json = has_json || f[i].kind == ADMIN_JSON;
    }
    return (uint16_t)(DEPTH_MAX + (has_json ? DEPTH_MORE : 0));
}

enum err admin_object_read(struct admin_reading *reading, void *out)
{
    struct reading r = {.asked = reading};
    reading->given = 0;
    json_index_init(&r.x, ROWS_MAX, depth_of(reading->object));
    enum err e = json_index_parse_borrow(&r.x, reading->body);
    if (e == ERR_OK) {
        e = read_object(&r, out, &reading->given);
    }
    json_index_fini(&r.x);
    return e;
}
