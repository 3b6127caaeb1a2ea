/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two records a call are written, so the writer asks for room once and then stores: a member's name
 * is copied as NAME_BYTES whatever its length, and what follows overwrites the excess.
 */
#include "journal/journal_record.h"

#include "crypto/call_id.h"
#include "json/json_write.h"

enum type {
    TYPE_I64,
    TYPE_U16,
    TYPE_U8,
    TYPE_BOOL,
    TYPE_TEXT,
    TYPE_ID,
    TYPE_KIND,
    TYPE_OUTCOME,
    TYPE_SCHEMA
};

#define INTENT     (1u << JOURNAL_INTENT)
#define COMPLETION (1u << JOURNAL_COMPLETION)
#define RECOVERY   (1u << JOURNAL_RECOVERY)

#define NAME_BYTES 32

static const struct member {
    char name[NAME_BYTES]; /* with the comma before it, quotes and colon */
    uint8_t name_len;
    uint8_t type; /* enum type */
    uint16_t offset, size;
    uint32_t kinds;
} members[] = {
#define MEMBER(name, field, type, kinds)             \
    {",\"" name "\":",                               \
     sizeof(name) + 3,                               \
     TYPE_##type,                                    \
     offsetof(struct journal_record, field),         \
     sizeof(((struct journal_record *)NULL)->field), \
     kinds},
#include "journal/journal_record.def"
#undef MEMBER
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

static const char *const kind_names[JOURNAL_KIND_COUNT] = {
    [JOURNAL_INTENT] = "intent",
    [JOURNAL_COMPLETION] = "completion",
    [JOURNAL_RECOVERY] = "recovery",
};

static const char *const outcome_names[JOURNAL_OUTCOME_COUNT] = {
    [JOURNAL_OUTCOME_NONE] = "",
    [JOURNAL_OUTCOME_OK] = "ok",
    [JOURNAL_OUTCOME_FAILED] = "failed",
    [JOURNAL_OUTCOME_CLIENT_GONE] = "client_gone",
    [JOURNAL_OUTCOME_INTERRUPTED] = "interrupted",
    [JOURNAL_OUTCOME_REFUSED] = "refused",
};

const char *journal_kind_name(enum journal_kind kind)
{
    CHECK(kind >= JOURNAL_INTENT && kind < JOURNAL_KIND_COUNT);
    return kind_names[kind];
}

const char *journal_outcome_name(enum journal_outcome outcome)
{
    CHECK(outcome < JOURNAL_OUTCOME_COUNT);
    return outcome_names[outcome];
}

/* ---- texts ---- */

/* Length of the UTF-8 character at the front of `s`, which is not empty; 0 if there is none. */
static size_t utf8_length(struct span s)
{
    uint8_t first = s.at[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    size_t len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (s.len < len) {
        return 0;
    }
    /* The second byte's range keeps out overlong forms, surrogates and what lies past U+10FFFF. */
    uint8_t least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (s.at[1] < least || s.at[1] > most) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((s.at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

/* Whether all of it is ASCII other than NUL, as nearly every text is. */
static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((uint8_t)(text.at[i] - 1) >= 0x7f) {
            return false;
        }
    }
    return true;
}

void journal_copy_text(struct span text, char *out, size_t size)
{
    size_t len = 0;
    if (text.len < size && is_ascii(text)) {
        span_copy_text(text, out, size);
        memset(out + text.len, 0, size - text.len);
        return;
    }
    for (size_t at = 0; at < text.len;) {
        size_t step = utf8_length(span_cut(text, at, 4));
        size_t copied = step == 0 ? 1 : step;
        if (len + copied >= size) {
            break;
        }
        if (step == 0 || text.at[at] == '\0') {
            out[len] = '?';
        } else {
            memcpy(out + len, text.at + at, step);
        }
        len += copied;
        at += copied;
    }
    memset(out + len, 0, size - len);
}

static bool text_is_valid(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    if (len == size) {
        return false;
    }
    struct span s = span_make(text, len);
    while (s.len > 0) {
        size_t step = utf8_length(s);
        if (step == 0) {
            return false;
        }
        s = span_cut(s, step, s.len);
    }
    return true;
}

bool journal_record_is_valid(const struct journal_record *r)
{
    if (r->kind < JOURNAL_INTENT || r->kind >= JOURNAL_KIND_COUNT ||
        r->outcome >= JOURNAL_OUTCOME_COUNT) {
        return false;
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        const uint8_t *field = (const uint8_t *)r + members[i].offset;
        int64_t number = 0;
        if (members[i].type == TYPE_I64) {
            memcpy(&number, field, sizeof(number));
        }
        if (number < 0 || number > JOURNAL_NUMBER_MAX ||
            (members[i].type == TYPE_BOOL && *field > 1) ||
            (members[i].type == TYPE_TEXT &&
             !text_is_valid((const char *)field, members[i].size))) {
            return false;
        }
    }
    return true;
}

/* ---- writing ---- */

static uint64_t number_at(const uint8_t *field, enum type type)
{
    if (type == TYPE_I64) {
        int64_t number;
        memcpy(&number, field, sizeof(number));
        CHECK(number >= 0 && number <= JOURNAL_NUMBER_MAX);
        return (uint64_t)number;
    }
    if (type == TYPE_U16) {
        uint16_t number;
        memcpy(&number, field, sizeof(number));
        return number;
    }
    return *field;
}

/* Each of these stores at `to` and returns what is behind it. */

static uint8_t *put_number(uint8_t *to, uint64_t number)
{
    uint8_t digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (at < sizeof(digits)) {
        *to++ = digits[at++];
    }
    return to;
}

/* A string that ends in a NUL before `size`; well-formed, as all texts of a record are. */
static uint8_t *put_text(uint8_t *to, const uint8_t *text, size_t size)
{
    *to++ = '"';
    for (const uint8_t *end = text + size; text < end && *text != '\0'; text++) {
        if (LIKELY(*text >= 0x20 && *text != '"' && *text != '\\')) {
            *to++ = *text;
        } else {
            to += json_escape(*text, to);
        }
    }
    *to++ = '"';
    return to;
}

static uint8_t *put_word(uint8_t *to, const char *word)
{
    return put_text(to, (const uint8_t *)word, strlen(word));
}

static uint8_t *put_value(uint8_t *to, const struct member *m, const struct journal_record *r)
{
    const uint8_t *field = (const uint8_t *)r + m->offset;
    char id[CRYPTO_CALL_ID_CHARS + 1];
    switch ((enum type)m->type) {
    case TYPE_TEXT:
        return put_text(to, field, m->size);
    case TYPE_BOOL:
        memcpy(to, *field != 0 ? "true" : "false", 5); /* the first one's NUL is overwritten */
        return to + (*field != 0 ? 4 : 5);
    case TYPE_ID:
        crypto_call_id_write(field, id);
        return put_word(to, id);
    case TYPE_KIND:
        return put_word(to, kind_names[*field]); /* the caller has checked it */
    case TYPE_OUTCOME:
        return put_word(to, journal_outcome_name(*field));
    case TYPE_SCHEMA:
        return put_number(to, JOURNAL_SCHEMA);
    case TYPE_I64:
    case TYPE_U16:
    case TYPE_U8:
        return put_number(to, number_at(field, (enum type)m->type));
    }
    NEVER("a type without a writer");
}

void journal_record_write(const struct journal_record *r, struct buf *out)
{
    CHECK(r->kind >= JOURNAL_INTENT && r->kind < JOURNAL_KIND_COUNT);
    uint8_t *from = buf_reserve(out, JOURNAL_LINE_MAX);
    if (from == NULL) {
        return;
    }
    uint8_t *to = from;
    for (size_t i = 0; i < MEMBERS; i++) {
        if (members[i].kinds & 1u << r->kind) {
            memcpy(to, members[i].name, NAME_BYTES);
            to = put_value(to + members[i].name_len, &members[i], r);
        }
    }
    *from = '{'; /* for the first comma */
    *to++ = '}';
    CHECK((size_t)(to - from) <= JOURNAL_LINE_MAX - NAME_BYTES); /* whatever the texts hold */
    buf_added(out, (size_t)(to - from));
}
