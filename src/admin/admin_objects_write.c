/* SPDX-License-Identifier: Apache-2.0 */
/* An object becomes JSON, and its entity tag. */
#include <stdio.h>
#include <stdlib.h>

#include "admin/admin_objects.h"
#include "base/money.h"
#include "crypto/base62.h"
#include "crypto/hmac.h"

#define DAY_US       INT64_C(86400000000)
#define SECOND_US    INT64_C(1000000)
#define SHOWN_PLACES 6 /* of money that is not exact */
#define TAGGED_MAX   (64U << 10)
#define TAG_DIGITS   11 /* of 8 bytes */

_Static_assert(2 * TAG_DIGITS + 3 <= ADMIN_TAG_BYTES, "a tag, its quotes and a NUL");

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

static void write_hour(struct json_writer *w, int32_t hour)
{
    char text[ADMIN_HOUR_BYTES];
    admin_hour_write(hour, text);
    json_write_text(w, text);
}

static void write_money(struct json_writer *w, const struct admin_field *f, int64_t nano)
{
    char text[MONEY_TEXT_BYTES];
    money_write(nano, (f->rules & ADMIN_EXACT) != 0 ? MONEY_PLACES : SHOWN_PLACES, text);
    json_write_text(w, text);
}

static void write_amount(struct json_writer *w, const struct admin_field *f,
                         const struct admin_amount *amount)
{
    char text[MONEY_TEXT_BYTES];
    if (amount->nano >= 0) {
        write_money(w, f, amount->nano);
        return;
    }
    (void)snprintf(text, sizeof(text), "%lld", (long long)amount->tokens); /* fits */
    json_write_text(w, text);
}

static void write_choice(struct json_writer *w, const struct admin_field *f, int number)
{
    int first = (f->rules & ADMIN_MAYBE) != 0 ? 1 : 0;
    json_write_string(w, admin_word(f->words, (size_t)(number - first)));
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

/* Takes the first line off `lines`. */
static struct span next_line(struct span *lines)
{
    size_t end = span_find(*lines, '\n', 0);
    struct span line = span_cut(*lines, 0, end);
    *lines = span_cut(*lines, end + 1, lines->len);
    return line;
}

static void write_names(struct json_writer *w, struct span lines)
{
    json_write_array(w);
    while (lines.len > 0) {
        json_write_string(w, next_line(&lines));
    }
    json_write_end(w);
}

static void write_tags(struct json_writer *w, struct span lines)
{
    json_write_object(w);
    while (lines.len > 0) {
        struct span line = next_line(&lines);
        size_t equals = span_find(line, '=', 0);
        json_write_key_span(w, span_cut(line, 0, equals));
        json_write_string(w, span_cut(line, equals + 1, line.len));
    }
    json_write_end(w);
}

static void write_numbers(struct json_writer *w, const char *words, uint32_t chosen)
{
    struct span word;
    json_write_array(w);
    for (size_t i = 0; (word = admin_word(words, i)).len > 0; i++) {
        if ((chosen >> i & 1) != 0) {
            json_write_int(w, strtoll((const char *)word.at, NULL, 10)); /* ends at its '|' */
        }
    }
    json_write_end(w);
}

static void write_value(struct json_writer *w, const struct admin_field *f, const void *at)
{
    if ((f->rules & ADMIN_MAYBE) != 0 && admin_field_is_nothing(f, at)) {
        json_write_null(w);
        return;
    }
    switch (f->kind) {
    case ADMIN_TEXT:
        json_write_string(w, *(const struct span *)at);
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
    case ADMIN_MOMENT:
        json_write_int(w, ((const wall_us *)at)->us / SECOND_US);
        break;
    case ADMIN_DAY:
        write_day(w, *(const int32_t *)at);
        break;
    case ADMIN_HOUR:
        write_hour(w, *(const int32_t *)at);
        break;
    case ADMIN_CHOICE:
        write_choice(w, f, *(const int *)at);
        break;
    case ADMIN_NUMBERS:
        write_numbers(w, f->words, *(const uint32_t *)at);
        break;
    case ADMIN_CHOICES:
        write_choices(w, f->words, *(const uint32_t *)at);
        break;
    case ADMIN_NAMES:
        write_names(w, *(const struct span *)at);
        break;
    case ADMIN_TAGS:
        write_tags(w, *(const struct span *)at);
        break;
    case ADMIN_JSON:
        json_write_raw(w, *(const struct span *)at);
        break;
    case ADMIN_MONEY:
        write_money(w, f, *(const int64_t *)at);
        break;
    case ADMIN_AMOUNT:
        write_amount(w, f, at);
        break;
    case ADMIN_PART:
    case ADMIN_PARTS:
        NEVER("a part that has parts");
    }
}

static bool is_left_out(const struct admin_field *f, const void *at, uint64_t asked)
{
    return !admin_field_is_asked(f, asked) ||
           ((f->rules & ADMIN_ONCE) != 0 && ((const struct span *)at)->len == 0);
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
        write_part(w, part, (const char *)parts.at + i * admin_object_size(part));
    }
    json_write_end(w);
}

static void write_member(struct json_writer *w, const struct admin_field *f, const void *at)
{
    bool is_null = (f->rules & ADMIN_MAYBE) != 0 && admin_field_is_nothing(f, at);
    json_write_key(w, f->name);
    if (f->kind == ADMIN_PART && !is_null) {
        write_part(w, admin_part_of(f), at);
    } else if (f->kind == ADMIN_PARTS && !is_null) {
        write_parts(w, admin_part_of(f), *(const struct admin_parts *)at);
    } else {
        write_value(w, f, at);
    }
}

void admin_object_write(struct json_writer *w, enum admin_object object, const void *in)
{
    admin_object_write_asked(w, object, in, 0);
}

void admin_object_write_asked(struct json_writer *w, enum admin_object object, const void *in,
                              uint64_t asked)
{
    size_t count;
    const struct admin_field *f = admin_fields(object, &count);
    json_write_object(w);
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)in + f[i].offset;
        if (!is_left_out(&f[i], at, asked)) {
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
