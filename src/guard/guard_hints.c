/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/guard_hints.h"

#include <pthread.h>

#include "guard/guard_bytes.h"
#include "text/text_table.h"

#define SLOTS         2048 /* a power of two, more than twice the words */
#define SENTENCE_WORD 4    /* bytes */
#define INITIALS      "d.o."
#define WORD_MAX      32 /* bytes */
#define WRITTEN       16384
#define FATHATAN      0xD98B /* the first vowel sign, and the last, in UTF-8 */
#define SUKUN         0xD992
#define LETTER        2 /* bytes of one of Arabic */
#define PARTICLES_MAX 3 /* "and with the" */

static const char *const words[HINTS] = {
#define HINT(id, words) [HINT_##id] = (words),
#include "guard/guard_hints.def"
#undef HINT
};

static struct text_table_slot slots[SLOTS];
static struct text_table table = {.slots = slots, .size = SLOTS, .word_max = WORD_MAX};
static pthread_once_t made = PTHREAD_ONCE_INIT;

/* The words as they are compared, one behind the other. */
static uint8_t written[WRITTEN];

/* How a letter of Arabic is compared, of two bytes; 0: it is a vowel sign, which is not. */
static uint16_t plain(uint8_t lead, uint8_t next)
{
    uint16_t c = (uint16_t)(lead << 8 | next);
    if (c >= FATHATAN && c <= SUKUN) {
        return 0;
    }
    switch (c) {
    case 0xD8A2: /* alefs */
    case 0xD8A3:
    case 0xD8A5:
        return 0xD8A7;
    case 0xD8A9: /* teh marbuta, heh */
        return 0xD987;
    case 0xD989: /* alef maksura, yeh */
        return 0xD98A;
    default:
        return c;
    }
}

/* A word in small letters, as it is compared; returns its length. `out` has room for as much. */
static size_t write_plain(struct span word, uint8_t *out)
{
    size_t len = 0;
    for (size_t i = 0; i < word.len; i++) {
        bool is_pair = word.at[i] >= 0xD8 && word.at[i] < 0xDC && i + 1 < word.len;
        uint16_t c = is_pair ? plain(word.at[i], word.at[i + 1]) : guard_lower(word.at[i]);
        if (is_pair && c != 0) {
            out[len++] = (uint8_t)(c >> 8);
        }
        if (c != 0) {
            out[len++] = (uint8_t)c;
        }
        i += is_pair;
    }
    return len;
}

static void make(void)
{
    size_t at = 0;
    for (unsigned hint = 0; hint < HINTS; hint++) {
        struct span all = span_of(words[hint]);
        for (size_t from = 0; from < all.len;) {
            size_t to = span_find(all, ' ', from);
            CHECK(at + (to - from) < sizeof(written));
            size_t len = write_plain(span_cut(all, from, to - from), written + at);
            text_table_add(&table, hint, (const char *)written + at);
            at += len + 1; /* a NUL is there */
            from = to + 1;
        }
    }
}

void guard_hints_begin(struct guard_hints *h, const struct guard_window *w)
{
    h->window = w;
    h->read = h->count = 0;
}

/* How many bytes of a particle the word begins with: Arabic puts "and", "so", "in", "as", "to" and
 * "the" before a word without a blank. */
static size_t particle(struct span word)
{
    static const struct span particles[] = {
        {(const uint8_t *)"ال", 2 * LETTER}, {(const uint8_t *)"لل", 2 * LETTER},
        {(const uint8_t *)"و", LETTER},      {(const uint8_t *)"ف", LETTER},
        {(const uint8_t *)"ب", LETTER},      {(const uint8_t *)"ك", LETTER},
        {(const uint8_t *)"ل", LETTER},
    };
    for (size_t i = 0; i < sizeof(particles) / sizeof(particles[0]); i++) {
        if (word.len > particles[i].len + LETTER && span_starts(word, particles[i])) {
            return particles[i].len;
        }
    }
    return 0;
}

static uint32_t find_arabic(struct span word)
{
    uint32_t bits = text_table_find(&table, word);
    for (size_t i = 0; i < PARTICLES_MAX && bits == 0; i++) {
        size_t len = particle(word);
        if (len == 0) {
            break;
        }
        word = span_cut(word, len, word.len);
        bits = text_table_find(&table, word);
    }
    return bits;
}

static uint32_t bits_of(struct span word)
{
    uint8_t lower[WORD_MAX];
    if (word.len < 1 || word.len > WORD_MAX) {
        return 0;
    }
    struct span written_so = span_make(lower, write_plain(word, lower));
    return guard_is_wide(word.at[0]) ? find_arabic(written_so)
                                     : text_table_find(&table, written_so);
}

/* Emoji, quotes and the like are no letters. */
static bool is_wide_letter(struct span s, size_t at)
{
    return s.at[at] >= 0x80 && s.at[at] < 0xF0 && s.at[at] != 0xE2 && s.at[at] != 0xC2;
}

static bool goes_on(struct span s, size_t at, bool is_ascii)
{
    return is_ascii ? guard_is_letter(s.at[at]) : is_wide_letter(s, at);
}

/* Behind the word that begins at `at`, or 0: it goes on behind `to`. */
static size_t word_end(struct span s, size_t at, size_t to)
{
    bool is_ascii = guard_is_letter(s.at[at]);
    while (at < to && goes_on(s, at, is_ascii)) {
        at = text_fold_next(s, at);
    }
    return at > to || (at == to && at < s.len && goes_on(s, at, is_ascii)) ? 0 : at;
}

/* "d.o.b", of which the last letter is the word. */
static bool is_initials(struct span s, size_t from, size_t at, size_t end)
{
    struct span before = SPAN(INITIALS);
    return end == at + 1 && at >= from + before.len && guard_lower(s.at[at]) == 'b' &&
           span_equal_nocase(span_cut(s, at - before.len, before.len), before);
}

/* Reads the words from `from` to `to`. */
static void read_to(struct guard_hints *h, size_t from, size_t to)
{
    struct span s = h->window->text;
    size_t at = h->read > from ? h->read : from;
    while (at < to) {
        if (!guard_is_letter(s.at[at]) && !is_wide_letter(s, at)) {
            at = text_fold_next(s, at);
            continue;
        }
        size_t end = word_end(s, at, to);
        if (end == 0) {
            break;
        }
        size_t start = at;
        uint32_t bits = 0;
        if (is_initials(s, from, at, end)) {
            start = at - sizeof(INITIALS) + 1;
            bits = HINT_BIT(BIRTH);
        } else if (at == from || !guard_is_digit(s.at[at - 1])) {
            bits = bits_of(span_cut(s, at, end - at));
        }
        if (bits != 0) {
            h->at[h->count % GUARD_HINTS_KEPT] =
                (struct guard_hint_at){(uint32_t)start, (uint32_t)end, bits};
            h->count++;
        }
        at = end;
    }
    h->read = at > h->read ? at : h->read;
}

static const struct guard_hint_at *hint_at(const struct guard_hints *h, size_t back)
{
    return &h->at[(h->count - back) % GUARD_HINTS_KEPT];
}

/* The bits of the hint that is `back` from the last. An order's id is no person's, and who gave an
 * order is no order. */
static uint32_t bits_at(const struct guard_hints *h, size_t back, size_t kept, size_t first)
{
    const struct guard_hint_at *hint = hint_at(h, back), *last;
    if ((hint->bits & (HINT_BIT(ID) | HINT_BIT(ORDER))) == 0 || back == kept) {
        return hint->bits;
    }
    last = hint_at(h, back + 1);
    if (last->start < first || hint->start > last->end + 1) {
        return hint->bits;
    }
    if ((hint->bits & HINT_BIT(ORDER)) != 0) {
        return (last->bits & HINT_BIT(OWNER)) != 0 ? 0 : hint->bits;
    }
    bool is_orders = (last->bits & HINT_BIT(ORDER)) != 0; /* a word may say more than that */
    return is_orders ? (hint->bits & ~HINT_BIT(ID)) | HINT_BIT(ORDER) : hint->bits;
}

uint32_t guard_hint_before(struct guard_hints *h, size_t at, uint32_t mask, size_t *distance)
{
    size_t from = guard_before(h->window, at);
    size_t first = from + guard_is_cut(h->window, at); /* a word that is cut is another */
    size_t kept;
    (void)pthread_once(&made, make); /* it cannot fail */
    read_to(h, from, at);
    kept = h->count < GUARD_HINTS_KEPT ? h->count : GUARD_HINTS_KEPT;
    for (size_t i = 1; i <= kept; i++) {
        const struct guard_hint_at *hint = hint_at(h, i);
        if (hint->start < first) {
            break;
        }
        uint32_t bits = bits_at(h, i, kept, first) & mask;
        if (hint->end <= at && bits != 0) {
            *distance = at - hint->end;
            return bits;
        }
    }
    return 0;
}

/* Whether a word ends before `at` that is long enough to be no "no." or "Eng.". */
static bool is_behind_word(const uint8_t *text, size_t from, size_t at)
{
    size_t len = 0;
    while (len < SENTENCE_WORD && at - len > from &&
           (guard_is_letter(text[at - 1 - len]) || guard_is_wide(text[at - 1 - len]))) {
        len++;
    }
    return len == SENTENCE_WORD;
}

bool guard_hint_is_parted(const struct guard_window *w, size_t at, size_t distance)
{
    const uint8_t *text = w->text.at;
    size_t from = at - distance;
    for (size_t i = from + 1; i + 1 < at; i++) {
        bool is_stop = text[i] == '.' || text[i] == '?' || text[i] == '!';
        if (is_stop && text[i + 1] == ' ' && is_behind_word(text, from, i)) {
            return true;
        }
    }
    return false;
}
