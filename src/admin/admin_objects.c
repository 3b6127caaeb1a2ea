/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_objects.h"

#include <stdarg.h>
#include <stdio.h>

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
#include ADMIN_OBJECTS_TABLE
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
#include ADMIN_OBJECTS_TABLE
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

size_t admin_object_size(enum admin_object object)
{
    return objects[object].size;
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

static bool is_value_nothing(const struct admin_field *field, const void *at)
{
    switch (field->kind) {
    case ADMIN_TEXT:
    case ADMIN_NAMES:
    case ADMIN_TAGS:
    case ADMIN_JSON:
        return ((const struct span *)at)->len == 0;
    case ADMIN_INT:
    case ADMIN_MONEY:
        return *(const int64_t *)at == 0;
    case ADMIN_BOOL:
        return !*(const bool *)at;
    case ADMIN_TIME:
    case ADMIN_MOMENT:
        return ((const wall_us *)at)->us == 0;
    case ADMIN_DAY:
    case ADMIN_HOUR:
        return *(const int32_t *)at == 0;
    case ADMIN_CHOICE:
        return *(const int *)at == 0;
    case ADMIN_CHOICES:
    case ADMIN_NUMBERS:
        return *(const uint32_t *)at == 0;
    case ADMIN_PARTS:
        return ((const struct admin_parts *)at)->count == 0;
    case ADMIN_AMOUNT:
        return false; /* 0 is one */
    case ADMIN_PART:
        break;
    }
    NEVER("a part has none itself");
}

bool admin_field_is_nothing(const struct admin_field *field, const void *at)
{
    size_t count;
    if (field->kind != ADMIN_PART) {
        return is_value_nothing(field, at);
    }
    const struct admin_field *f = admin_fields(admin_part_of(field), &count);
    for (size_t i = 0; i < count; i++) {
        if (!is_value_nothing(&f[i], (const char *)at + f[i].offset)) {
            return false;
        }
    }
    return true;
}

bool admin_field_is_asked(const struct admin_field *field, uint64_t asked)
{
    int place = (int)(field - fields) - objects[field->object].first;
    return (field->rules & ADMIN_ASKED) == 0 || (asked >> place & 1) != 0;
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
