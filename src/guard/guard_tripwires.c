/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tripwires: phrases and signs by which people try to talk a model out of its instructions. They
 * are what the name says, no understanding: who words it in another way does not touch them.
 *
 * A text is looked through for three bytes of words that are rare elsewhere. Around such a place
 * its words are read, those that stand in a list are remembered, and each that may be a phrase's
 * last part is asked which phrases end with it.
 */
#include <pthread.h>

#include "guard/guard_tripwires_internal.h"

#define RECENT_MAX   16 /* words of lists that a phrase may reach back to */
#define STEMS_MAX    24
#define STEM_BYTES   24
#define HIT_BITS     32
#define PERCENT      100
#define SCORE_DIGITS 1000000u /* parts of what is left of one */

struct part {
    uint8_t gap; /* other words that may stand before it */
    uint8_t list;
};

#define PART(gap, id)    \
    {                    \
        (gap), TRIP_##id \
    }

static const struct phrase {
    uint8_t percent;
    struct part parts[GUARD_TRIP_PARTS];
} phrases[] = {
#define TRIP_WORDS(id, is_anchor, words)
#define TRIP_PHRASE(percent, ...) {percent, {__VA_ARGS__}},
#define TRIP_SIGN(percent, is_line, text)
#include "guard/guard_tripwires.def"
#undef TRIP_WORDS
#undef TRIP_PHRASE
#undef TRIP_SIGN
};

static const struct sign {
    uint8_t percent;
    bool is_line;
    struct span text;
} signs[] = {
#define TRIP_WORDS(id, is_anchor, words)
#define TRIP_PHRASE(...)
#define TRIP_SIGN(percent, is_line, text) \
    {percent, is_line, {(const uint8_t *)(text), sizeof(text) - 1}},
#include "guard/guard_tripwires.def"
#undef TRIP_WORDS
#undef TRIP_PHRASE
#undef TRIP_SIGN
};

/* Parts of words that stand in instructions, which Base64 is looked through for. */
static const struct span stems[] = {
    {(const uint8_t *)"gnore ", 6},      {(const uint8_t *)"nstruction", 10},
    {(const uint8_t *)"ystem prom", 10}, {(const uint8_t *)"isregard", 8},
    {(const uint8_t *)"revious ", 8},    {(const uint8_t *)"estrictions", 11},
};

#define PHRASES (sizeof(phrases) / sizeof(phrases[0]))
#define SIGNS   (sizeof(signs) / sizeof(signs[0]))
#define STEMS   (sizeof(stems) / sizeof(stems[0]))

/* Numbers of tripwires: phrases, signs, and these. */
enum { ENCODED = PHRASES + SIGNS, BASE64, HIDDEN_TAGS, HIDDEN_RUN, TRIPWIRES };

_Static_assert(TRIPWIRES <= HIT_BITS * GUARD_HIT_WORDS, "a bit each");

static const uint8_t other_percents[] = {
    [0] = 60, /* ENCODED */
    [BASE64 - ENCODED] = 85,
    [HIDDEN_TAGS - ENCODED] = 90,
    [HIDDEN_RUN - ENCODED] = 85,
};

/* What a trigger is of. */
enum { OF_CODE, OF_SIGN, OF_STEM = OF_SIGN + SIGNS, TRIGGERS = OF_STEM + STEMS_MAX };

static struct {
    struct guard_triggers triggers;
    struct span anchors[GUARD_TRIGGERS_MAX];
    size_t anchor_count;
    uint8_t last[PHRASES];       /* index of a phrase's last part */
    struct guard_trip_set heard; /* lists that are the last part of a phrase */
    struct stem {
        uint8_t text[STEM_BYTES];
        size_t len;
    } stems[STEMS_MAX];
    size_t stem_count;
} tables;

/* ---- making ---- */

static unsigned percent_of(unsigned tripwire)
{
    return tripwire < PHRASES           ? phrases[tripwire].percent
           : tripwire < PHRASES + SIGNS ? signs[tripwire - PHRASES].percent
                                        : other_percents[tripwire - ENCODED];
}

/* The characters of Base64 that only the stem decides, where `before` bytes stand before it. */
static void add_stem(struct span text, unsigned before)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct stem *s = &tables.stems[tables.stem_count++];
    size_t bits = text.len * 8, at = before == 0 ? 0 : before == 1 ? 4 : 2;
    for (; at + 6 <= bits; at += 6) {
        unsigned two = (unsigned)text.at[at / 8] << 8;
        two |= at / 8 + 1 < text.len ? text.at[at / 8 + 1] : 0u;
        s->text[s->len++] = (uint8_t)digits[two >> (10 - at % 8) & 63];
    }
    guard_triggers_add(&tables.triggers, span_make(s->text, s->len),
                       (unsigned)(OF_STEM + tables.stem_count - 1));
}

/* A phrase's parts are counted by what follows: a gap and a list of 0 are no part but the first. */
static void note_last(size_t phrase)
{
    const struct part *parts = phrases[phrase].parts;
    size_t last = GUARD_TRIP_PARTS - 1;
    while (last > 0 && parts[last].gap == 0 && parts[last].list == 0) {
        last--;
    }
    tables.last[phrase] = (uint8_t)last;
    tables.heard.bits[parts[last].list / 64] |= UINT64_C(1) << (parts[last].list % 64);
}

static void make_tables(void)
{
    guard_trip_words_make();
    for (size_t i = 0; guard_trip_anchor(i).len > 0; i++) {
        guard_triggers_add(&tables.triggers, guard_trip_anchor(i), (unsigned)(TRIGGERS + i));
    }
    guard_triggers_add(&tables.triggers, SPAN("%6f"), OF_CODE); /* letters that most words have */
    guard_triggers_add(&tables.triggers, SPAN("%65"), OF_CODE);
    guard_triggers_add(&tables.triggers, SPAN("%69"), OF_CODE);
    guard_triggers_add(&tables.triggers, SPAN("&#1"), OF_CODE);
    guard_triggers_add(&tables.triggers, SPAN("&#x"), OF_CODE);
    for (size_t i = 0; i < SIGNS; i++) {
        guard_triggers_add(&tables.triggers, signs[i].text, (unsigned)(OF_SIGN + i));
    }
    for (size_t i = 0; i < STEMS; i++) {
        for (unsigned before = 0; before < 3; before++) {
            add_stem(stems[i], before);
        }
    }
    for (size_t i = 0; i < PHRASES; i++) {
        note_last(i);
    }
}

/* ---- what was touched ---- */

static void touch(struct guard_tripped *out, unsigned tripwire, size_t start, size_t end)
{
    uint32_t *word = &out->hits[tripwire / HIT_BITS], bit = 1u << (tripwire % HIT_BITS);
    unsigned percent = percent_of(tripwire);
    *word |= bit;
    if (percent > out->weight) {
        out->weight = percent;
        out->start = start;
        out->end = end;
    }
}

unsigned guard_tripwires_score(const uint32_t hits[GUARD_HIT_WORDS])
{
    uint64_t left = SCORE_DIGITS;
    for (unsigned i = 0; i < TRIPWIRES; i++) {
        if ((hits[i / HIT_BITS] >> (i % HIT_BITS) & 1) != 0) {
            left = left * (PERCENT - percent_of(i)) / PERCENT;
        }
    }
    return (unsigned)((SCORE_DIGITS - left) * PERCENT / SCORE_DIGITS);
}

/* ---- phrases ---- */

/* The words of lists before a place, the newest last. */
struct recent {
    struct guard_trip_word words[RECENT_MAX];
    size_t count;
};

static void remember(struct recent *r, const struct guard_trip_word *word)
{
    if (r->count == RECENT_MAX) {
        memmove(r->words, r->words + 1, (RECENT_MAX - 1) * sizeof(r->words[0]));
        r->count--;
    }
    r->words[r->count++] = *word;
}

/* Which of the words may be the part before those in `next`: bits. */
static uint32_t words_before(const struct recent *r, uint32_t next, struct part then, unsigned list)
{
    uint32_t found = 0;
    for (; next != 0; next &= next - 1) {
        size_t i = (size_t)__builtin_ctz(next);
        for (size_t j = i; j > 0; j--) {
            const struct guard_trip_word *word = &r->words[j - 1];
            if (r->words[i].number - word->number > then.gap + 1u) {
                break;
            }
            found |= guard_trip_is(word, list) ? 1u << (j - 1) : 0;
        }
    }
    return found;
}

/* Whether the phrase ends with the newest word, and where it begins. */
static bool ends_phrase(const struct recent *r, size_t phrase, size_t *start)
{
    const struct part *parts = phrases[phrase].parts;
    size_t last = tables.last[phrase], newest = r->count - 1;
    uint32_t words = guard_trip_is(&r->words[newest], parts[last].list) ? 1u << newest : 0;
    for (size_t i = last; i > 0 && words != 0; i--) {
        words = words_before(r, words, parts[i], parts[i - 1].list);
    }
    if (words == 0) {
        return false;
    }
    *start = r->words[31 - __builtin_clz(words)].start;
    return true;
}

static void hear(const struct recent *r, const struct guard_window *w, struct guard_tripped *out)
{
    const struct guard_trip_word *word = &r->words[r->count - 1];
    size_t start;
    if (word->is_encoded) {
        touch(out, ENCODED, word->start, word->end);
    }
    if ((word->set.bits[0] & tables.heard.bits[0]) == 0 &&
        (word->set.bits[1] & tables.heard.bits[1]) == 0) {
        return;
    }
    for (size_t i = 0; i < PHRASES; i++) {
        if (ends_phrase(r, i, &start) && start >= guard_before(w, word->end)) {
            touch(out, (unsigned)i, start, word->end);
        }
    }
}

/* Where the words are read, and how far. */
struct walk {
    struct guard_trip_reader reader;
    struct recent recent;
    size_t to;
};

/* Reads the words around `at`, if that was not done. */
static void walk_around(struct walk *walk, const struct guard_window *w, size_t at,
                        struct guard_tripped *out)
{
    struct guard_trip_word word;
    size_t from = at < GUARD_BEFORE ? 0 : at - GUARD_BEFORE;
    if (from > walk->to || walk->to == 0) {
        walk->recent.count = 0;
        guard_trip_begin(&walk->reader, w, from);
    }
    walk->to = at + GUARD_BEFORE;
    while (guard_trip_next(&walk->reader, walk->to, &word)) {
        remember(&walk->recent, &word);
        hear(&walk->recent, w, out);
    }
}

/* ---- signs ---- */

static bool is_line_start(const struct guard_window *w, size_t at)
{
    while (at > 0 && (w->text.at[at - 1] == ' ' || w->text.at[at - 1] == '\t' ||
                      w->text.at[at - 1] == '#' || w->text.at[at - 1] == '*')) {
        at--;
    }
    return at == 0 ? w->is_first : w->text.at[at - 1] == '\n';
}

static void look_for_sign(const struct guard_window *w, size_t i, size_t end,
                          struct guard_tripped *out)
{
    const struct sign *s = &signs[i];
    if (end < s->text.len) {
        return;
    }
    size_t start = end - s->text.len;
    if (span_equal_nocase(span_cut(w->text, start, s->text.len), s->text) &&
        (!s->is_line || is_line_start(w, start))) {
        touch(out, (unsigned)(PHRASES + i), start, end);
    }
}

/* Whether an anchor's letters end at `end`, in a word that is one. */
static bool is_anchor(const struct guard_window *w, struct span anchor, size_t end)
{
    return end >= anchor.len &&
           span_equal_nocase(span_cut(w->text, end - anchor.len, anchor.len), anchor) &&
           guard_trip_stands(w, end - anchor.len);
}

static void look_for(const struct guard_window *w, struct walk *walk, unsigned id, size_t end,
                     struct guard_tripped *out)
{
    if (id >= OF_STEM && id < TRIGGERS) {
        const struct stem *s = &tables.stems[id - OF_STEM];
        if (span_ends(span_cut(w->text, 0, end), span_make(s->text, s->len))) {
            touch(out, BASE64, end - s->len, end);
        }
    } else if (id >= OF_SIGN && id < OF_STEM) {
        look_for_sign(w, id - OF_SIGN, end, out);
    } else if (id == OF_CODE || is_anchor(w, guard_trip_anchor(id - TRIGGERS), end)) {
        walk_around(walk, w, end, out);
    }
}

static void look_at(const struct guard_window *w, struct walk *walk, size_t at,
                    struct guard_tripped *out)
{
    unsigned row = guard_triggers_row(&tables.triggers, w->text, at);
    for (; row != 0; row = guard_triggers_more(&tables.triggers, row)) {
        look_for(w, walk, tables.triggers.rows[row].id, at + GUARD_TRIGGER_BYTES, out);
    }
}

void guard_find_tripwires(const struct guard_window *w, struct guard_tripped *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct walk walk;
    CHECK(pthread_once(&once, make_tables) == 0);
    walk.to = walk.recent.count = 0;
    walk.reader.number = 0;
    *out = (struct guard_tripped){.weight = 0};
    for (size_t at = 0; (at = guard_triggers_next(&tables.triggers, w->text, at)) < w->text.len;
         at++) {
        look_at(w, &walk, at, out);
    }
}

void guard_trip_hide(struct guard_tripped *out, bool is_tags, size_t start, size_t end)
{
    touch(out, is_tags ? HIDDEN_TAGS : HIDDEN_RUN, start, end);
}
