/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_objects.h"

#include <stdarg.h>
#include <stdio.h>

#include "crypto/base62.h"
#include "crypto/hmac.h"

#define DAY_US     INT64_C(86400000000)
#define TAGGED_MAX (64U << 10)
#define TAG_DIGITS 11 /* of 8 bytes */

_Static_assert(2 * TAG_DIGITS + 3 <= ADMIN_TAG_BYTES, "a tag, its quotes and a NUL");

static const struct {
    const char *name, *help;
    size_t size;
    int first;
} objects[] = {
    [ADMIN_OBJECT_none] = {"", "", 0, 0},
    [ADMIN_OBJECT_text] = {"", "", 0, 0},
    [ADMIN_OBJECT_document] = {"", "", 0, 0},
#define OBJECT(name, help) \
    [ADMIN_OBJECT_##name] = {#name, help, sizeof(struct admin_##name), ADMIN_FIRST_##name},
#define FIELD(object, member, kind, rules, least, most, words, example, help)
#include "admin/admin_objects.def"
#undef FIELD
#undef OBJECT
};

static const struct admin_field fields[] = {
#define OBJECT(name, help)
#define FIELD(object, member, kind, rules, least, most, words, example, help) \
    {ADMIN_OBJECT_##object,                                                   \
     ADMIN_##kind,                                                            \
     #member,                                                                 \
     rules,                                                                   \
     least,                                                                   \
     most,                                                                    \
     words,                                                                   \
     example,                                                                 \
     help,                                                                    \
     offsetof(struct admin_##object, member)},
#include "admin/admin_objects.def"
#undef FIELD
#undef OBJECT
};

_Static_assert(sizeof(fields) / sizeof(fields[0]) == ADMIN_FIELDS, "a place for each field");

const struct admin_field *admin_fields(enum admin_object object, size_t *count)
{
    size_t first = (size_t)objects[object].first;
    size_t end = first;
    while (end < ADMIN_FIELDS && fields[end].object == object) {
        end++;
    }
    *count = end - first;
    return &fields[first];
}

const char *admin_object_name(enum admin_object object)
{
    return objects[object].name;
}

const char *admin_object_help(enum admin_object object)
{
    return objects[object].help;
}

enum admin_object admin_part_of(const struct admin_field *field)
{
    int object = ADMIN_OBJECT_document + 1;
    while (object < ADMIN_OBJECTS && strcmp(objects[object].name, field->words) != 0) {
        object++;
    }
    CHECK(object < ADMIN_OBJECTS);
    return (enum admin_object)object;
}

bool admin_field_is_taken(const struct admin_field *field, enum admin_use use)
{
    return (field->rules & ADMIN_MADE) == 0 &&
           (use == ADMIN_MAKES || (field->rules & ADMIN_FIXED) == 0);
}

enum err admin_fault_say(struct admin_fault *fault, enum err e, struct span param,
                         const char *format, ...)
{
    va_list arguments;
    char whole[sizeof(fault->message) + 4];
    span_copy_text(param, fault->param, sizeof(fault->param));
    va_start(arguments, format);
    (void)vsnprintf(whole, sizeof(whole), format, arguments); /* a cut one will do */
    va_end(arguments);
    span_copy_text(span_of(whole), fault->message, sizeof(fault->message));
    return e;
}

struct span admin_word(const char *words, size_t n)
{
    struct span all = span_of(words);
    size_t at = 0;
    for (; n > 0 && at < all.len; n--) {
        at = span_find(all, '|', at) + 1;
    }
    return at < all.len ? span_cut(all, at, span_find(all, '|', at) - at) : (struct span){NULL, 0};
}

/* ---- writing ---- */

static void write_text(struct json_writer *w, const struct admin_field *f, struct span text)
{
    if (text.len == 0 && (f->rules & ADMIN_MAYBE) != 0) {
        json_write_null(w);
    } else {
        json_write_string(w, text);
    }
}

static void write_time(struct json_writer *w, wall_us at)
{
    char text[CLOCK_TEXT_BYTES];
    if (at.us == 0) {
        json_write_null(w);
        return;
    }
    clock_text(at, text);
    json_write_text(w, text);
}

static void write_day(struct json_writer *w, int32_t day)
{
    char text[11];
    clock_day((wall_us){day * DAY_US}, text);
    json_write_text(w, text);
}

static void write_choices(struct json_writer *w, const char *words, uint32_t chosen)
{
    struct span word;
    json_write_array(w);
    for (size_t i = 0; (word = admin_word(words, i)).len > 0; i++) {
        if ((chosen >> i & 1) != 0) {
            json_write_string(w, word);
        }
    }
    json_write_end(w);
}

static void write_value(struct json_writer *w, const struct admin_field *f, const void *at)
{
    switch (f->kind) {
    case ADMIN_TEXT:
        write_text(w, f, *(const struct span *)at);
        break;
    case ADMIN_INT:
        json_write_int(w, *(const int64_t *)at);
        break;
    case ADMIN_BOOL:
        json_write_bool(w, *(const bool *)at);
        break;
    case ADMIN_TIME:
        write_time(w, *(const wall_us *)at);
        break;
    case ADMIN_DAY:
        write_day(w, *(const int32_t *)at);
        break;
    case ADMIN_CHOICE:
        json_write_string(w, admin_word(f->words, (size_t) * (const int *)at));
        break;
    case ADMIN_CHOICES:
        write_choices(w, f->words, *(const uint32_t *)at);
        break;
    case ADMIN_PART:
    case ADMIN_PARTS:
        NEVER("a part that has parts");
    }
}

static bool is_left_out(const struct admin_field *f, const void *at)
{
    return (f->rules & ADMIN_ONCE) != 0 && ((const struct span *)at)->len == 0;
}

/* Writes a part: an object that has none itself. */
static void write_part(struct json_writer *w, enum admin_object object, const void *in)
{
    size_t count;
    const struct admin_field *f = admin_fields(object, &count);
    json_write_object(w);
    for (size_t i = 0; i < count; i++) {
        json_write_key(w, f[i].name);
        write_value(w, &f[i], (const char *)in + f[i].offset);
    }
    json_write_end(w);
}

static void write_parts(struct json_writer *w, enum admin_object part, struct admin_parts parts)
{
    json_write_array(w);
    for (size_t i = 0; i < parts.count; i++) {
        write_part(w, part, (const char *)parts.at + i * objects[part].size);
    }
    json_write_end(w);
}

static void write_member(struct json_writer *w, const struct admin_field *f, const void *at)
{
    json_write_key(w, f->name);
    if (f->kind == ADMIN_PART) {
        write_part(w, admin_part_of(f), at);
    } else if (f->kind == ADMIN_PARTS) {
        write_parts(w, admin_part_of(f), *(const struct admin_parts *)at);
    } else {
        write_value(w, f, at);
    }
}

void admin_object_write(struct json_writer *w, enum admin_object object, const void *in)
{
    size_t count;
    const struct admin_field *f = admin_fields(object, &count);
    json_write_object(w);
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)in + f[i].offset;
        if (!is_left_out(&f[i], at)) {
            write_member(w, &f[i], at);
        }
    }
    json_write_end(w);
}

enum err admin_object_tag(enum admin_object object, const void *in, char out[ADMIN_TAG_BYTES])
{
    struct buf text;
    struct json_writer w;
    uint8_t hash[CRYPTO_SHA256_BYTES];
    uint64_t half[2];
    size_t count;
    const struct admin_field *f = admin_fields(object, &count);
    buf_init(&text, TAGGED_MAX);
    json_write_init(&w, &text);
    json_write_object(&w);
    for (size_t i = 0; i < count; i++) {
        if ((f[i].rules & (ADMIN_FOLLOWS | ADMIN_ONCE)) == 0) {
            write_member(&w, &f[i], (const char *)in + f[i].offset);
        }
    }
    json_write_end(&w);
    enum err e = json_write_finish(&w);
    if (e == ERR_OK) {
        crypto_sha256(buf_span(&text), hash);
        memcpy(half, hash, sizeof(half));
        memset(out, '"', TAG_DIGITS * 2 + 2);
        crypto_base62_write(half[0], out + 1, TAG_DIGITS);
        crypto_base62_write(half[1], out + 1 + TAG_DIGITS, TAG_DIGITS);
        out[TAG_DIGITS * 2 + 2] = '\0';
    }
    buf_fini(&text);
    return e;
}
