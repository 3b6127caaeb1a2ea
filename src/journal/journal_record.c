/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record in memory. A process may die between any two stores into an armed one, and what it left
 * is written down: so a text is first laid into the room, where nothing points at it, and numbers
 * are stored whole.
 */
#include "journal/journal_record.h"

#include <stdatomic.h>

#include "crypto/hmac.h"
#include "journal/journal_members.h"

#define CUT "\xe2\x80\xa6" /* … */

_Static_assert(JOURNAL_HASH_BYTES == CRYPTO_SHA256_BYTES, "the leaf hash is SHA-256's");

static const char *const kind_names[JOURNAL_KIND_COUNT] = {
    [JOURNAL_NO_KIND] = "",
#define KIND(name, word, help) [JOURNAL_##name] = word,
#include "journal/journal_kinds.def"
#undef KIND
};

static const char *const outcome_names[JOURNAL_OUTCOME_COUNT] = {
    [JOURNAL_OUTCOME_NONE] = "",
    [JOURNAL_OUTCOME_OK] = "ok",
    [JOURNAL_OUTCOME_FAILED] = "failed",
    [JOURNAL_OUTCOME_CLIENT_GONE] = "client_gone",
    [JOURNAL_OUTCOME_INTERRUPTED] = "interrupted",
    [JOURNAL_OUTCOME_REFUSED] = "refused",
    [JOURNAL_OUTCOME_LOST] = "lost",
};

const char *journal_kind_name(enum journal_kind kind)
{
    CHECK(kind > JOURNAL_NO_KIND && kind < JOURNAL_KIND_COUNT);
    return kind_names[kind];
}

const char *journal_outcome_name(enum journal_outcome outcome)
{
    CHECK(outcome < JOURNAL_OUTCOME_COUNT);
    return outcome_names[outcome];
}

/* ---- texts ---- */

enum { WORDS, MAYBE, DIGEST };

static const uint8_t text_types[JOURNAL_TEXT_COUNT] = {
#define FIXED(member, field, type, kinds, help)
#define TEXT(member, NAME, type, kinds, help) [JOURNAL_TEXT_##NAME] = (type),
#define STATE(member, kinds, help)
#include "journal/journal_record.def"
#undef FIXED
#undef TEXT
#undef STATE
};

/* Length of the UTF-8 character at the front of `s`, which is not empty; 0 if there is none. */
static size_t utf8_length(struct span s)
{
    uint8_t first = s.at[0];
    if (first < 0x80) {
        return first != '\0';
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
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    size_t i = 0;
    for (; text.len - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text.at + i, sizeof(word));
        if (((word | (word - ones)) & highs) != 0) { /* not ASCII, or NUL in front of it */
            return false;
        }
    }
    for (; i < text.len; i++) {
        if ((uint8_t)(text.at[i] - 1) >= 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_utf8(struct span text)
{
    while (text.len > 0) {
        size_t step = utf8_length(text);
        if (step == 0) {
            return false;
        }
        text = span_cut(text, step, text.len);
    }
    return true;
}

/* Copies what fits into `most` bytes at `to`, and says so where it is not all; returns its length.
 */
static size_t copy_text(char *to, struct span text, size_t most)
{
    size_t len = 0;
    size_t cut = 0; /* as long as this, a sign that it was cut fits behind it */
    for (size_t at = 0; at < text.len;) {
        size_t step = utf8_length(span_cut(text, at, 4));
        size_t copied = step == 0 ? 1 : step;
        if (len + copied > most) {
            bool has_sign = cut + sizeof(CUT) - 1 <= most;
            memcpy(to + cut, CUT, has_sign ? sizeof(CUT) - 1 : 0);
            return has_sign ? cut + sizeof(CUT) - 1 : 0;
        }
        if (step == 0) {
            to[len] = '?';
        } else {
            memcpy(to + len, text.at + at, step);
        }
        len += copied;
        at += copied;
        cut = len + sizeof(CUT) - 1 <= most ? len : cut;
    }
    return len;
}

/* Whether it says this already; most texts are empty in both. */
static inline bool says(const struct journal_record *r, enum journal_text which, struct span text)
{
    return r->text[which].len == text.len &&
           (text.len == 0 || memcmp(journal_record_text(r, which).at, text.at, text.len) == 0);
}

static void append(struct journal_record *r, enum journal_text which, struct span text, size_t most)
{
    size_t left = JOURNAL_ROOM_BYTES - r->used;
    char *to = r->room + r->used;
    most = most < left ? most : left;
    struct journal_text_at here = {(uint16_t)r->used, (uint16_t)text.len};
    bool is_digest = text_types[which] == DIGEST;
    CHECK(!is_digest || text.len == 0 || text.len == JOURNAL_HASH_BYTES);
    if (is_digest && text.len > most) {
        here.len = 0; /* half a digest is none: it is left out, as if it were not known */
    } else if (!is_digest && (text.len > most || !is_ascii(text))) {
        here.len = (uint16_t)copy_text(to, text, most);
    } else if (text.len > 0) {
        memcpy(to, text.at, text.len);
    }
    r->used += here.len;
    atomic_signal_fence(memory_order_seq_cst); /* the processor keeps the order of stores */
    r->text[which] = here;
}

void journal_record_set(struct journal_record *r, enum journal_text which, struct span text)
{
    if (!says(r, which, text)) {
        append(r, which, text, JOURNAL_ROOM_BYTES);
    }
}

void journal_record_set_invented(struct journal_record *r, enum journal_text which,
                                 struct span text)
{
    if (!says(r, which, text)) {
        append(r, which, text, JOURNAL_INVENTED_MAX);
    }
}

void journal_record_copy(struct journal_record *to, const struct journal_record *from)
{
    memcpy(to, from, offsetof(struct journal_record, room) + from->used);
}

void journal_record_update(struct journal_record *armed, const struct journal_record *from)
{
    const size_t begin = offsetof(struct journal_record, call_id) / sizeof(uint64_t);
    const size_t end = offsetof(struct journal_record, used) / sizeof(uint64_t);
    for (int i = 0; i < JOURNAL_TEXT_COUNT; i++) {
        journal_record_set(armed, (enum journal_text)i,
                           journal_record_text(from, (enum journal_text)i));
    }
    atomic_signal_fence(memory_order_seq_cst);
    for (size_t i = begin; i < end; i++) { /* word by word: memcpy() may stop within a number */
        __atomic_store_n((uint64_t *)armed + i, ((const uint64_t *)from)[i], __ATOMIC_RELAXED);
    }
}

/* ---- numbers ---- */

#define BOUND_I64(field)     bound(&(field))
#define BOUND_SOME(field)    bound(&(field))
#define BOUND_U16(field)     false
#define BOUND_U8(field)      false
#define BOUND_BOOL(field)    false
#define BOUND_MARK(field)    false
#define BOUND_ID(field)      false
#define BOUND_HASH(field)    false
#define BOUND_KIND(field)    false
#define BOUND_SCHEMA(field)  false
#define BOUND_OUTCOME(field) false

static inline bool bound(int64_t *number)
{
    if (LIKELY((uint64_t)*number <= JOURNAL_NUMBER_MAX)) {
        return false;
    }
    *number = *number < 0 ? 0 : JOURNAL_NUMBER_MAX;
    return true;
}

void journal_record_bound(struct journal_record *r)
{
#define FIXED(member, field, type, kinds, help) r->bounded |= (uint8_t)BOUND_##type(r->field);
#define TEXT(member, NAME, type, kinds, help)
#define STATE(member, kinds, help)
#include "journal/journal_record.def"
#undef FIXED
#undef TEXT
#undef STATE
}

/* ---- checks ---- */

#define IS_I64(field)     ((field) >= 0 && (field) <= JOURNAL_NUMBER_MAX)
#define IS_SOME(field)    IS_I64(field)
#define IS_U16(field)     true
#define IS_U8(field)      true
#define IS_BOOL(field)    ((field) <= 1)
#define IS_MARK(field)    ((field) <= 1)
#define IS_ID(field)      true
#define IS_HASH(field)    true
#define IS_KIND(field)    true
#define IS_SCHEMA(field)  true
#define IS_OUTCOME(field) ((field) < JOURNAL_OUTCOME_COUNT)

/* NOLINTNEXTLINE(readability-function-cognitive-complexity): a member a row, one behind another */
static bool numbers_are_valid(const struct journal_record *r)
{
    unsigned kind = 1u << r->kind;
    bool valid = true;
#define FIXED(member, field, type, kinds, help) \
    valid = valid && (((kinds)&kind) == 0 || IS_##type(r->field));
#define TEXT(member, NAME, type, kinds, help)
#define STATE(member, kinds, help)
#include "journal/journal_record.def"
#undef FIXED
#undef TEXT
#undef STATE
    return valid;
}

static bool texts_are_valid(const struct journal_record *r)
{
    if (r->used > JOURNAL_ROOM_BYTES) {
        return false;
    }
    for (int i = 0; i < JOURNAL_TEXT_COUNT; i++) {
        struct journal_text_at text = r->text[i];
        if ((size_t)text.at + text.len > r->used ||
            (text_types[i] == DIGEST ? text.len != 0 && text.len != JOURNAL_HASH_BYTES
                                     : !is_utf8(journal_record_text(r, (enum journal_text)i)))) {
            return false;
        }
    }
    return true;
}

bool journal_record_is_valid(const struct journal_record *r, struct span state)
{
    return r->kind > JOURNAL_NO_KIND && r->kind < JOURNAL_KIND_COUNT && numbers_are_valid(r) &&
           texts_are_valid(r) && r->state_bytes == state.len &&
           (r->kind == JOURNAL_ADMIN ? journal_state_is_valid(state) : state.len == 0);
}

void journal_leaf(struct span line, uint8_t out[JOURNAL_HASH_BYTES])
{
    crypto_sha256_two(SPAN("\0"), line, out);
}
