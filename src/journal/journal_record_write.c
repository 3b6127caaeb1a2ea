/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two records a call are written, so each kind has straight code, made of the table: a member's
 * name is stored, then its value by what its type takes. Each put_…() stores at `to` and returns
 * what is behind it, as json_line.h does: room for the longest line was asked for at once.
 */
#include "crypto/call_id.h"
#include "journal/journal_members.h"
#include "json/json_line.h"

#define HEX_CHARS ((size_t)2 * JOURNAL_HASH_BYTES)

/* JOURNAL_HASH_BYTES as hexadecimal digits. */
static inline uint8_t *put_hex(uint8_t *to, const uint8_t *bytes)
{
    *to++ = '"';
#if defined(__SSE2__)
    const __m128i low_half = _mm_set1_epi8(0x0f);
    for (size_t i = 0; i < JOURNAL_HASH_BYTES; i += 16) {
        __m128i in = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
        __m128i high = _mm_and_si128(_mm_srli_epi16(in, 4), low_half);
        __m128i low = _mm_and_si128(in, low_half);
        __m128i pair[2] = {_mm_unpacklo_epi8(high, low), _mm_unpackhi_epi8(high, low)};
        for (size_t p = 0; p < 2; p++) {
            __m128i is_letter = _mm_cmpgt_epi8(pair[p], _mm_set1_epi8(9));
            __m128i more = _mm_and_si128(is_letter, _mm_set1_epi8('a' - '0' - 10));
            __m128i digits = _mm_add_epi8(_mm_add_epi8(pair[p], _mm_set1_epi8('0')), more);
            _mm_storeu_si128((__m128i *)(void *)(to + 2 * i + 16 * p), digits);
        }
    }
#else
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < JOURNAL_HASH_BYTES; i++) {
        to[2 * i] = (uint8_t)digits[bytes[i] >> 4];
        to[2 * i + 1] = (uint8_t)digits[bytes[i] & 15];
    }
#endif
    to[HEX_CHARS] = '"';
    return to + HEX_CHARS + 1;
}

static uint8_t *put_word(uint8_t *to, const char *word)
{
    size_t len = strlen(word);
    *to = '"';
    memcpy(to + 1, word, len);
    to[len + 1] = '"';
    return to + len + 2;
}

static inline uint8_t *put_id(uint8_t *to, const uint8_t *id)
{
    *to = '"';
    crypto_call_id_write(id, (char *)to + 1);
    to[CRYPTO_CALL_ID_CHARS + 1] = '"';
    return to + CRYPTO_CALL_ID_CHARS + 2;
}

static inline uint8_t *put_i64(uint8_t *to, int64_t number)
{
    CHECK(number >= 0 && number <= JOURNAL_NUMBER_MAX);
    return json_line_int(to, number);
}

static uint8_t *put_state(uint8_t *to, struct span state)
{
    CHECK(state.len > 0 && state.len <= JOURNAL_STATE_MAX);
    memcpy(to, state.at, state.len);
    return to + state.len;
}

/* ---- records ---- */

/* Types of fields: whether one is left out, and how it is written. */
#define LACKS_I64(field)     false
#define LACKS_SOME(field)    ((field) == 0)
#define LACKS_U16(field)     false
#define LACKS_U8(field)      false
#define LACKS_BOOL(field)    false
#define LACKS_MARK(field)    ((field) == 0)
#define LACKS_ID(field)      false
#define LACKS_HASH(field)    false
#define LACKS_KIND(field)    false
#define LACKS_SCHEMA(field)  false
#define LACKS_OUTCOME(field) false

#define PUT_I64(field)     put_i64(to, field)
#define PUT_SOME(field)    put_i64(to, field)
#define PUT_U16(field)     json_line_int(to, field)
#define PUT_U8(field)      json_line_int(to, field)
#define PUT_BOOL(field)    json_line_bool(to, (field) != 0)
#define PUT_MARK(field)    json_line_bool(to, true)
#define PUT_ID(field)      put_id(to, field)
#define PUT_HASH(field)    put_hex(to, field)
#define PUT_KIND(field)    put_word(to, journal_kind_name((enum journal_kind)(field)))
#define PUT_SCHEMA(field)  json_line_int(to, JOURNAL_SCHEMA)
#define PUT_OUTCOME(field) put_word(to, journal_outcome_name((enum journal_outcome)(field)))

/* Types of texts: whether one is left out, and how it is written. */
#define SKIP_WORDS(text)  false
#define SKIP_MAYBE(text)  ((text).len == 0)
#define SKIP_DIGEST(text) ((text).len == 0)
#define PUT_WORDS(text)   json_line_text(to, text)
#define PUT_MAYBE(text)   json_line_text(to, text)
#define PUT_DIGEST(text)  put_hex(to, (text).at)

#define PUT_NAME(member) to = JSON_LINE(to, ",\"" #member "\":");

/* All members of one kind, which is known where this is compiled. */
/* NOLINTBEGIN(readability-function-cognitive-complexity): a member a row, one behind another */
static inline __attribute__((always_inline)) uint8_t *
put_members(uint8_t *to, const struct journal_record *r, struct span state, uint32_t kind)
{
#define FIXED(member, field, type, kinds, help)           \
    if (((kinds)&kind) != 0 && !LACKS_##type(r->field)) { \
        PUT_NAME(member)                                  \
        to = PUT_##type(r->field);                        \
    }
#define TEXT(member, NAME, type, kinds, help)                           \
    if (((kinds)&kind) != 0) {                                          \
        struct span text = journal_record_text(r, JOURNAL_TEXT_##NAME); \
        if (!SKIP_##type(text)) {                                       \
            PUT_NAME(member)                                            \
            to = PUT_##type(text);                                      \
        }                                                               \
    }
#define STATE(member, kinds, help) \
    if (((kinds)&kind) != 0) {     \
        PUT_NAME(member)           \
        to = put_state(to, state); \
    }
#include "journal/journal_record.def"
#undef FIXED
#undef TEXT
#undef STATE
    return to;
}
/* NOLINTEND(readability-function-cognitive-complexity) */

typedef uint8_t *put_record(uint8_t *to, const struct journal_record *r, struct span state);

#define KIND(name, word, help)                                                                 \
    static uint8_t *put_##name(uint8_t *to, const struct journal_record *r, struct span state) \
    {                                                                                          \
        return put_members(to, r, state, name);                                                \
    }
#include "journal/journal_kinds.def"
#undef KIND

static put_record *const writers[JOURNAL_KIND_COUNT] = {
#define KIND(name, word, help) [JOURNAL_##name] = put_##name,
#include "journal/journal_kinds.def"
#undef KIND
};

void journal_record_write(const struct journal_record *r, struct span state, struct buf *out)
{
    CHECK(r->kind > JOURNAL_NO_KIND && r->kind < JOURNAL_KIND_COUNT);
    uint8_t *from = buf_reserve(out, JOURNAL_LINE_MAX);
    if (from == NULL) {
        return;
    }
    uint8_t *to = writers[r->kind](from, r, state);
    *from = '{'; /* for the first comma */
    *to++ = '}';
    CHECK((size_t)(to - from) <= JOURNAL_LINE_MAX - JSON_LINE_SLACK); /* whatever it holds */
    buf_added(out, (size_t)(to - from));
}
