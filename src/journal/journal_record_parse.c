/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record has one text, so it is read by looking for that text: the table's members in their
 * order, each value in the one form in which it is written. What is anywhere else or otherwise is
 * not a record, and nothing has to be written again and compared. A start reads a million of them.
 *
 * Each reader takes its value off the front of `rest`, or returns false.
 */
#include "crypto/call_id.h"
#include "journal/journal_members.h"
#include "journal/journal_state.h"
#include "json/json_scan.h"

#define NUMBER_DIGITS_MAX 16 /* of 2^53 - 1 */

struct row;

/* What is being read: the record, and where its JSON lies in the line. */
struct reading {
    struct journal_record *record;
    struct span state;
};

typedef bool read_value(struct span *rest, struct reading *to, const struct row *row);

/* A member; `at` and `size` are those of its field, or `at` says which text it is. */
struct row {
    struct span name; /* with quotes and colon */
    read_value *read;
    size_t at, size;
    uint32_t kinds;
    bool may_lack;
};

static uint8_t *field_of(const struct reading *to, const struct row *row)
{
    return (uint8_t *)to->record + row->at;
}

static bool take(struct span *rest, struct span word)
{
    if (rest->len < word.len || memcmp(rest->at, word.at, word.len) != 0) {
        return false;
    }
    *rest = span_cut(*rest, word.len, rest->len);
    return true;
}

static bool take_byte(struct span *rest, uint8_t byte)
{
    return take(rest, span_make(&byte, 1));
}

static bool take_number(struct span *rest, void *field, size_t size)
{
    uint64_t most = size == sizeof(uint64_t) ? JOURNAL_NUMBER_MAX : (UINT64_C(1) << size * 8) - 1;
    uint64_t number = 0;
    size_t digits = 0;
    while (digits < rest->len && digits < NUMBER_DIGITS_MAX &&
           (uint8_t)(rest->at[digits] - '0') < 10) {
        number = number * 10 + (uint64_t)(rest->at[digits++] - '0');
    }
    if (digits == 0 || number > most || (digits > 1 && rest->at[0] == '0')) {
        return false;
    }
    memcpy(field, &number, size); /* its low bytes: journal_frame.c needs that order too */
    *rest = span_cut(*rest, digits, rest->len);
    return true;
}

static bool read_number(struct span *rest, struct reading *to, const struct row *row)
{
    return take_number(rest, field_of(to, row), row->size);
}

static bool read_some(struct span *rest, struct reading *to, const struct row *row)
{
    bool is_zero = rest->len > 0 && rest->at[0] == '0';
    return !is_zero && take_number(rest, field_of(to, row), row->size);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are kept in this order");

static bool read_bool(struct span *rest, struct reading *to, const struct row *row)
{
    uint8_t *field = field_of(to, row);
    *field = take(rest, SPAN("true"));
    return *field != 0 || take(rest, SPAN("false"));
}

static bool read_mark(struct span *rest, struct reading *to, const struct row *row)
{
    *field_of(to, row) = 1;
    return take(rest, SPAN("true"));
}

static bool read_words(struct span *rest, struct reading *to, const struct row *row)
{
    struct journal_record *r = to->record;
    char *room = r->room + r->used;
    size_t len = 0;
    if (!journal_text_take(rest, room, JOURNAL_ROOM_BYTES - r->used, &len)) {
        return false;
    }
    r->text[row->at] = (struct journal_text_at){(uint16_t)r->used, (uint16_t)len};
    r->used += (uint32_t)len;
    return true;
}

static bool read_maybe(struct span *rest, struct reading *to, const struct row *row)
{
    return read_words(rest, to, row) && to->record->text[row->at].len > 0;
}

/* JOURNAL_HASH_BYTES as hexadecimal digits, in quotes. */
static bool take_hex(struct span *rest, uint8_t *out)
{
    struct span digits = span_cut(*rest, 1, (size_t)2 * JOURNAL_HASH_BYTES);
    if (digits.len < (size_t)2 * JOURNAL_HASH_BYTES || !take_byte(rest, '"')) {
        return false;
    }
    for (size_t i = 0; i < digits.len; i++) {
        uint8_t c = digits.at[i];
        bool is_letter = c >= 'a' && c <= 'f';
        if (!is_letter && (c < '0' || c > '9')) {
            return false;
        }
        uint8_t value = (uint8_t)(is_letter ? c - 'a' + 10 : c - '0');
        out[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : out[i / 2] | value);
    }
    *rest = span_cut(*rest, digits.len, rest->len);
    return take_byte(rest, '"');
}

static bool read_hash(struct span *rest, struct reading *to, const struct row *row)
{
    return take_hex(rest, field_of(to, row));
}

static bool read_digest(struct span *rest, struct reading *to, const struct row *row)
{
    uint8_t bytes[JOURNAL_HASH_BYTES];
    if (JOURNAL_ROOM_BYTES - to->record->used < sizeof(bytes) || !take_hex(rest, bytes)) {
        return false;
    }
    journal_record_set(to->record, (enum journal_text)row->at, span_make(bytes, sizeof(bytes)));
    return true;
}

static bool read_state(struct span *rest, struct reading *to, const struct row *row)
{
    (void)row; /* there is one */
    size_t len = journal_state_length(*rest);
    to->state = span_cut(*rest, 0, len);
    to->record->state_bytes = (uint32_t)len;
    *rest = span_cut(*rest, len, rest->len);
    return len > 0;
}

static bool read_id(struct span *rest, struct reading *to, const struct row *row)
{
    uint8_t *field = field_of(to, row);
    char again[CRYPTO_CALL_ID_CHARS + 1];
    struct span id = span_cut(*rest, 1, CRYPTO_CALL_ID_CHARS);
    if (!take_byte(rest, '"') || crypto_call_id_parse(id, field) != ERR_OK) {
        return false;
    }
    crypto_call_id_write(field, again); /* capitals are read too, but not written */
    return take(rest, span_make(again, CRYPTO_CALL_ID_CHARS)) && take_byte(rest, '"');
}

static bool take_quoted(struct span *rest, const char *word)
{
    struct span after = *rest;
    bool is_taken = take_byte(&after, '"') && take(&after, span_of(word)) && take_byte(&after, '"');
    *rest = is_taken ? after : *rest;
    return is_taken;
}

static bool read_kind(struct span *rest, struct reading *to, const struct row *row)
{
    uint8_t *field = field_of(to, row);
    for (int kind = JOURNAL_NO_KIND + 1; kind < JOURNAL_KIND_COUNT; kind++) {
        if (take_quoted(rest, journal_kind_name((enum journal_kind)kind))) {
            *field = (uint8_t)kind;
            return true;
        }
    }
    return false;
}

static bool read_outcome(struct span *rest, struct reading *to, const struct row *row)
{
    uint8_t *field = field_of(to, row);
    for (int outcome = 0; outcome < JOURNAL_OUTCOME_COUNT; outcome++) {
        if (take_quoted(rest, journal_outcome_name((enum journal_outcome)outcome))) {
            *field = (uint8_t)outcome;
            return true;
        }
    }
    return false;
}

static bool read_schema(struct span *rest, struct reading *to, const struct row *row)
{
    uint64_t schema = 0;
    (void)to; /* it is not kept: there is one */
    (void)row;
    return take_number(rest, &schema, sizeof(schema)) && schema == JOURNAL_SCHEMA;
}

/* ---- the table ---- */

#define READ_I64     read_number
#define READ_SOME    read_some
#define READ_U16     read_number
#define READ_U8      read_number
#define READ_BOOL    read_bool
#define READ_MARK    read_mark
#define READ_ID      read_id
#define READ_HASH    read_hash
#define READ_KIND    read_kind
#define READ_OUTCOME read_outcome
#define READ_SCHEMA  read_schema
#define READ_WORDS   read_words
#define READ_MAYBE   read_maybe
#define READ_DIGEST  read_digest
#define LACK_I64     false
#define LACK_SOME    true
#define LACK_U16     false
#define LACK_U8      false
#define LACK_BOOL    false
#define LACK_MARK    true
#define LACK_ID      false
#define LACK_HASH    false
#define LACK_KIND    false
#define LACK_OUTCOME false
#define LACK_SCHEMA  false
#define LACK_WORDS   false
#define LACK_MAYBE   true
#define LACK_DIGEST  true

#define SIZE_OF(field) sizeof(((struct journal_record *)NULL)->field)
#define NAME_OF(member)                                          \
    {                                                            \
        (const uint8_t *)"\"" #member "\":", sizeof(#member) + 2 \
    }

static const struct row rows[] = {
#define FIXED(member, field, type, kinds, help)                            \
    {NAME_OF(member), READ_##type, offsetof(struct journal_record, field), \
     SIZE_OF(field),  (kinds),     LACK_##type},
#define TEXT(member, NAME, type, kinds, help) \
    {NAME_OF(member), READ_##type, JOURNAL_TEXT_##NAME, 0, (kinds), LACK_##type},
#define STATE(member, kinds, help) {NAME_OF(member), read_state, 0, 0, (kinds), false},
#include "journal/journal_record.def"
#undef FIXED
#undef TEXT
#undef STATE
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Reads the members that are there, in the table's order. `kinds` are those of which a record may
 * be that has just these members. */
static bool read_members(struct span *rest, struct reading *to, uint32_t *kinds)
{
    uint8_t before = '{';
    *kinds = ALL;
    for (size_t i = 0; i < ROWS; i++) {
        struct span after = *rest;
        if (!take_byte(&after, before) || !take(&after, rows[i].name)) {
            *kinds &= rows[i].may_lack ? ALL : ~rows[i].kinds;
            continue;
        }
        if (!rows[i].read(&after, to, &rows[i])) {
            return false;
        }
        *rest = after;
        *kinds &= rows[i].kinds;
        before = ',';
    }
    return true;
}

enum err journal_record_parse(struct span line, struct journal_record *out, struct span *state)
{
    struct journal_record r;
    struct reading to = {.record = &r};
    struct span rest = line;
    uint32_t kinds;
    memset(&r, 0, offsetof(struct journal_record, room));
    if (line.len > JOURNAL_LINE_MAX || json_scan_utf8(line) < line.len ||
        !read_members(&rest, &to, &kinds) || !span_equal(rest, SPAN("}")) ||
        (kinds & 1u << r.kind) == 0) {
        return ERR_VALUE_INVALID;
    }
    journal_record_copy(out, &r);
    if (state != NULL) {
        *state = to.state;
    }
    return ERR_OK;
}
