/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record has one text, so it is read by looking for that text: the table's members in their
 * order, each value in the one form in which it is written. What is anywhere else or otherwise is
 * not a record, and nothing has to be written again and compared. A start reads a million of them.
 *
 * Each reader takes its value off the front of `rest`, or returns false.
 */
#include "crypto/call_id.h"
#include "journal/journal_record.h"
#include "json/json_scan.h"

#define NUMBER_DIGITS_MAX 16 /* of 2^53 - 1 */

typedef bool read_value(struct span *rest, uint8_t *field, size_t size);

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

static bool read_number(struct span *rest, uint8_t *field, size_t size)
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

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are kept in this order");

static bool read_bool(struct span *rest, uint8_t *field, size_t size)
{
    (void)size; /* a byte */
    *field = take(rest, SPAN("true"));
    return *field != 0 || take(rest, SPAN("false"));
}

/* The character that the escape at the front of `rest` stands for; 0 if we do not write it so. */
static uint8_t read_escape(struct span *rest)
{
    static const uint8_t letters[256] = {['"'] = '"',  ['\\'] = '\\', ['b'] = '\b', ['f'] = '\f',
                                         ['n'] = '\n', ['r'] = '\r',  ['t'] = '\t'};
    static const char digits[] = "0123456789abcdef";
    uint8_t letter = rest->len < 2 ? 0 : letters[rest->at[1]];
    if (letter != 0) {
        *rest = span_cut(*rest, 2, rest->len);
        return letter;
    }
    struct span code = span_cut(*rest, 0, 6);
    if (!take(rest, SPAN("\\u00")) || code.len < 6 || (code.at[4] != '0' && code.at[4] != '1')) {
        return 0;
    }
    const char *low = memchr(digits, code.at[5], 16);
    if (low == NULL) {
        return 0;
    }
    uint8_t byte = (uint8_t)((code.at[4] - '0') * 16 + (low - digits));
    *rest = span_cut(*rest, 2, rest->len);
    bool has_letter = byte >= '\b' && byte <= '\r' && byte != '\v';
    return has_letter ? 0 : byte;
}

static bool read_text(struct span *rest, uint8_t *field, size_t size)
{
    size_t len = 0;
    if (!take_byte(rest, '"')) {
        return false;
    }
    while (!take_byte(rest, '"')) {
        const uint8_t *end = json_scan_special(rest->at, rest->at + rest->len);
        struct span plain = span_make(rest->at, (size_t)(end - rest->at));
        uint8_t escaped = 0;
        *rest = span_cut(*rest, plain.len, rest->len);
        if (plain.len == 0 && (escaped = read_escape(rest)) == 0) {
            return false;
        }
        plain = plain.len > 0 ? plain : span_make(&escaped, 1);
        if (plain.len >= size - len) {
            return false;
        }
        memcpy(field + len, plain.at, plain.len);
        len += plain.len;
    }
    return true;
}

static bool read_id(struct span *rest, uint8_t *field, size_t size)
{
    char again[CRYPTO_CALL_ID_CHARS + 1];
    struct span id = span_cut(*rest, 1, CRYPTO_CALL_ID_CHARS);
    (void)size; /* an id's */
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

static bool read_kind(struct span *rest, uint8_t *field, size_t size)
{
    (void)size; /* a byte */
    for (int kind = JOURNAL_INTENT; kind < JOURNAL_KIND_COUNT; kind++) {
        if (take_quoted(rest, journal_kind_name((enum journal_kind)kind))) {
            *field = (uint8_t)kind;
            return true;
        }
    }
    return false;
}

static bool read_outcome(struct span *rest, uint8_t *field, size_t size)
{
    (void)size; /* a byte */
    for (int outcome = 0; outcome < JOURNAL_OUTCOME_COUNT; outcome++) {
        if (take_quoted(rest, journal_outcome_name((enum journal_outcome)outcome))) {
            *field = (uint8_t)outcome;
            return true;
        }
    }
    return false;
}

static bool read_schema(struct span *rest, uint8_t *field, size_t size)
{
    uint64_t schema = 0;
    (void)field; /* it is not kept: there is one */
    (void)size;
    return read_number(rest, (uint8_t *)&schema, sizeof(schema)) && schema == JOURNAL_SCHEMA;
}

/* ---- the table ---- */

#define INTENT     (1u << JOURNAL_INTENT)
#define COMPLETION (1u << JOURNAL_COMPLETION)
#define RECOVERY   (1u << JOURNAL_RECOVERY)

#define READ_I64     read_number
#define READ_U16     read_number
#define READ_U8      read_number
#define READ_BOOL    read_bool
#define READ_TEXT    read_text
#define READ_ID      read_id
#define READ_KIND    read_kind
#define READ_OUTCOME read_outcome
#define READ_SCHEMA  read_schema

#define SIZE_OF(field) sizeof(((struct journal_record *)NULL)->field)

static const struct {
    struct span name; /* with quotes and colon */
    read_value *read;
    size_t offset, size;
    uint32_t kinds;
} rows[] = {
#define MEMBER(name, field, type, kinds)                   \
    {{(const uint8_t *)"\"" name "\":", sizeof(name) + 2}, \
     READ_##type,                                          \
     offsetof(struct journal_record, field),               \
     SIZE_OF(field),                                       \
     (kinds)},
#include "journal/journal_record.def"
#undef MEMBER
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

_Static_assert(ROWS <= 64, "a bit each");

/* Reads the members that are there, in the table's order; `seen` gets a bit for each. */
static bool read_members(struct span *rest, struct journal_record *out, uint64_t *seen)
{
    uint8_t before = '{';
    *seen = 0;
    for (size_t i = 0; i < ROWS; i++) {
        struct span after = *rest;
        if (!take_byte(&after, before) || !take(&after, rows[i].name)) {
            continue;
        }
        if (!rows[i].read(&after, (uint8_t *)out + rows[i].offset, rows[i].size)) {
            return false;
        }
        *rest = after;
        *seen |= UINT64_C(1) << i;
        before = ',';
    }
    return true;
}

/* The members that a record of `kind` has. */
static uint64_t members_of(unsigned kind)
{
    uint64_t members = 0;
    for (size_t i = 0; i < ROWS; i++) {
        members |= (uint64_t)(rows[i].kinds >> kind & 1) << i;
    }
    return members;
}

enum err journal_record_parse(struct span line, struct journal_record *out)
{
    struct journal_record r = {0};
    struct span rest = line;
    uint64_t seen;
    if (line.len > JOURNAL_LINE_MAX || json_scan_utf8(line) < line.len ||
        !read_members(&rest, &r, &seen) || !span_equal(rest, SPAN("}")) || r.kind == 0 ||
        seen != members_of(r.kind)) {
        return ERR_VALUE_INVALID;
    }
    *out = r;
    return ERR_OK;
}
