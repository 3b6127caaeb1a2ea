/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/guard_hints.h"

#include <pthread.h>

#include "guard/guard_bytes.h"
#include "text/text_table.h"

#define SLOTS    2048 /* a power of two, more than twice the words */
#define WORD_MAX 32   /* bytes */
#define LEAD     2    /* bytes of a letter of Arabic */

static const char *const words[HINTS] = {
#define HINT(id, words) [HINT_##id] = (words),
#include "guard/guard_hints.def"
#undef HINT
};

static struct text_table_slot slots[SLOTS];
static struct text_table table = {.slots = slots, .size = SLOTS, .word_max = WORD_MAX};
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make(void)
{
    for (unsigned hint = 0; hint < HINTS; hint++) {
        text_table_add(&table, hint, words[hint]);
    }
}

void guard_hints_begin(struct guard_hints *h, const struct guard_window *w)
{
    h->window = w;
    h->read = h->count = 0;
}

/* Without the first of `prefixes` (letters of Arabic, one after another) that it begins with. */
static struct span strip(struct span word, const char *prefix)
{
    struct span p = span_of(prefix);
    return span_starts(word, p) && word.len > p.len + LEAD ? span_cut(word, p.len, word.len) : word;
}

/* Arabic puts "and", "in", "to" and "the" before a word without a blank. */
static uint32_t find_arabic(struct span word)
{
    static const char *const particles[] = {"وال", "بال", "فال", "كال", "لل",
                                            "و",   "ف",   "ب",   "ك",   "ل"};
    uint32_t bits = text_table_find(&table, word);
    if (bits == 0) {
        bits = text_table_find(&table, strip(word, "ال"));
    }
    for (size_t i = 0; i < sizeof(particles) / sizeof(particles[0]) && bits == 0; i++) {
        struct span rest = strip(word, particles[i]);
        if (rest.len < word.len) {
            bits = text_table_find(&table, rest);
        }
    }
    return bits;
}

static uint32_t bits_of(struct span word)
{
    uint8_t lower[WORD_MAX];
    if (word.len < 1 || word.len > WORD_MAX) {
        return 0;
    }
    if (guard_is_wide(word.at[0])) {
        return find_arabic(word);
    }
    for (size_t i = 0; i < word.len; i++) {
        lower[i] = guard_lower(word.at[i]);
    }
    return text_table_find(&table, span_make(lower, word.len));
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
        uint32_t bits = bits_of(span_cut(s, at, end - at));
        if (bits != 0) {
            h->at[h->count % GUARD_HINTS_KEPT] = (struct guard_hint_at){at, end, bits};
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

/* The bits of the hint that is `back` from the last; an order's id is no person's. */
static uint32_t bits_at(const struct guard_hints *h, size_t back, size_t kept, size_t first)
{
    const struct guard_hint_at *hint = hint_at(h, back), *last;
    if ((hint->bits & HINT_BIT(ID)) == 0 || back == kept) {
        return hint->bits;
    }
    last = hint_at(h, back + 1);
    bool is_owned =
        last->start >= first && (last->bits & HINT_BIT(ORDER)) != 0 && hint->start <= last->end + 1;
    return is_owned ? HINT_BIT(ORDER) : hint->bits;
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
