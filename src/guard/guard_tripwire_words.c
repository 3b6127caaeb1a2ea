/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of tripwires by the hash of their folded letters, and the words of a text, in which
 * %6f and &#111; are the letters that they stand for.
 */
#include "guard/guard_letters.h"
#include "guard/guard_tripwires_internal.h"

#define SLOTS         2048 /* a power of two, more than twice the words */
#define ANCHORS_MAX   320
#define HASH_SEED     UINT64_C(0xcbf29ce484222325)
#define HASH_FACTOR   UINT64_C(0x100000001b3)
#define ASCII_END     0x80
#define PERCENT_BYTES 3
#define ENTITY_MAX    8  /* bytes of "&#x0041;" */
#define WORD_BYTES    48 /* of the longest that stands in a list, with its marks */
#define SENTENCE      2  /* words that its end counts as */
#define VOWEL_COST    8
#define ARABIC_ANCHOR 6 /* bytes */
#define ANCHOR_MIN    5 /* bytes of an anchor that are compared, where it has more */

#define COMMON_COST 40
/* clang-format off */
#define COMMON_WORDS \
    "the of and to in is that for it was as with be by on not he his but at are this have " \
    "from or had an they which one you were all her she there would their we him been has " \
    "when who will no more if out so said what up its about into than them can only other new " \
    "some could time these two may then do first any my now such like our over man me even " \
    "most made after also did many before must through back years where much your way well " \
    "down should because each just those people how too little state good very make world " \
    "still own see men work long get here between both life being under never day same " \
    "another know while last might us great old year off come since against go came right " \
    "used take three committee limited information station going government different " \
    "something important question general national company market service order report " \
    "program number system business office during without however group problem permission " \
    "nation mission admitted summit emit printed interest comment moment development special " \
    "social community university international president history في من على أن إلى " \
    "التي عن مع هذا كان هذه الذي ما لا أو كل بين بعد قد " \
    "ذلك عند كما لم حتى هو هي غير ثم قبل خلال يوم أكثر " \
    "حيث العمل كانت يكون أي دون عام بها فيها عدد جديد " \
    "الدولة المكتب الاجتماع اللجنة الحضور التقرير " \
    "الأسبوع الأرقام الإقليمي العربية المملكة " \
    "السعودية الشركة المشروع الوزارة الجامعة الطلاب " \
    "المدينة الحكومة الصحة التعليم الاقتصاد اعداد " \
    "مباشر لبرنامج يرجى الرجاء شكرا السلام عليكم " \
    "ورحمة وبركاته أعضاء إعداد الاجتماعية اجتهاد "
/* clang-format on */

static const struct list {
    const char *words;
    bool is_anchor;
} lists[TRIP_WORDS_COUNT] = {
#define TRIP_WORDS(id, is_anchor, words) [TRIP_##id] = {words, is_anchor},
#define TRIP_PHRASE(...)
#define TRIP_SIGN(percent, is_line, text)
#include "guard/guard_tripwires.def"
#undef TRIP_WORDS
#undef TRIP_PHRASE
#undef TRIP_SIGN
};

static struct slot {
    uint64_t hash; /* 0: free */
    struct guard_trip_set set;
} slots[SLOTS];

static struct span anchors[ANCHORS_MAX + 1];
static size_t anchor_count;

static inline uint64_t hash_step(uint64_t hash, uint32_t code)
{
    return (hash ^ code) * HASH_FACTOR;
}

static struct slot *slot_of(uint64_t hash)
{
    size_t i = (size_t)(hash >> 16) % SLOTS;
    while (slots[i].hash != 0 && slots[i].hash != hash) {
        i = (i + 1) % SLOTS;
    }
    return &slots[i];
}

/* ---- letters, written in any way ---- */

static int hex_of(uint8_t c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

/* "%6f"; 0 bytes: it is none of ASCII. */
static struct guard_letter percent_at(const uint8_t *at, const uint8_t *end)
{
    int high = end - at < PERCENT_BYTES ? -1 : hex_of(at[1]);
    int low = high < 0 ? -1 : hex_of(at[2]);
    uint8_t c = (uint8_t)(high * 16 + low);
    if (high < 0 || high > 7 || low < 0) {
        return (struct guard_letter){0};
    }
    struct guard_letter letter = guard_letter_at(&c, &c + 1);
    letter.bytes = PERCENT_BYTES;
    return letter;
}

/* "&#111;" or "&#x6f;"; 0 bytes: it is none of ASCII. */
static struct guard_letter entity_at(const uint8_t *at, const uint8_t *end)
{
    bool is_hex = end - at > 2 && (at[2] | 0x20) == 'x';
    unsigned base = is_hex ? 16 : 10, code = 0, len = is_hex ? 3 : 2;
    if (end - at < (ptrdiff_t)len + 2 || at[1] != '#') {
        return (struct guard_letter){0};
    }
    for (; at + len < end && len < ENTITY_MAX && at[len] != ';'; len++) {
        int digit = hex_of(at[len]);
        if (digit < 0 || (unsigned)digit >= base) {
            return (struct guard_letter){0};
        }
        code = code * base + (unsigned)digit;
    }
    if (at + len >= end || at[len] != ';' || code == 0 || code >= ASCII_END) {
        return (struct guard_letter){0};
    }
    uint8_t c = (uint8_t)code;
    struct guard_letter letter = guard_letter_at(&c, &c + 1);
    letter.bytes = (uint8_t)(len + 1);
    return letter;
}

static struct guard_letter letter_at(const uint8_t *at, const uint8_t *end, bool *is_encoded)
{
    struct guard_letter letter = *at == '%'   ? percent_at(at, end)
                                 : *at == '&' ? entity_at(at, end)
                                              : (struct guard_letter){0};
    if (letter.bytes > 0) {
        *is_encoded = *is_encoded || letter.kind == GUARD_LETTER;
        return letter;
    }
    return guard_letter_at(at, end);
}

/* ---- making ---- */

static void add_word(struct span word, unsigned list)
{
    uint64_t hash = HASH_SEED;
    for (size_t i = 0; i < word.len;) {
        struct guard_letter c = guard_letter_at(word.at + i, word.at + word.len);
        CHECK(c.kind <= GUARD_MARK);
        hash = c.kind == GUARD_LETTER ? hash_step(hash, c.code) : hash;
        i += c.bytes;
    }
    struct slot *s = slot_of(hash);
    s->hash = hash;
    s->set.bits[list / 64] |= UINT64_C(1) << (list % 64);
}

/* Of the words that most texts are made of, to tell which three bytes are rare. */
static const struct span common = {
    (const uint8_t *)COMMON_WORDS,
    sizeof(COMMON_WORDS) - 1,
};

/* How often a byte stands in texts, about: the higher the more often. Arabic letters by their
 * second byte. */
static unsigned cost_of(uint8_t c)
{
    static const char often[] = "zqjxkvbpygfwmucldrhsnioate";
    static const uint8_t arabic[] = {0x84, 0xA7, 0x8A, 0x85, 0x88, 0x86, 0xB1, 0xAA, 0xA8, 0xB9};
    const char *place = c == 0 ? NULL : strchr(often, c);
    if (place != NULL) {
        return (unsigned)(place - often) + 1;
    }
    for (unsigned i = 0; i < sizeof(arabic); i++) {
        if (arabic[i] == c) {
            return (unsigned)(sizeof(often) - 2 * i);
        }
    }
    return VOWEL_COST;
}

/* How often these three stand in texts. */
static unsigned cost_of_three(const uint8_t *at)
{
    unsigned cost = cost_of(at[0]) + cost_of(at[2]) + (at[0] >= ASCII_END ? 0 : cost_of(at[1]));
    const uint8_t *found = common.at, *end = common.at + common.len;
    while ((found = memmem(found, (size_t)(end - found), at, GUARD_TRIGGER_BYTES)) != NULL) {
        cost += COMMON_COST;
        found++;
    }
    return cost;
}

/* The letters up to the rarest three bytes. Of an Arabic word three letters, as its first one may
 * be written in several ways. */
static struct span anchor_of(struct span word)
{
    bool is_arabic = word.at[0] >= ASCII_END;
    size_t best = word.len, from = is_arabic ? ARABIC_ANCHOR : ANCHOR_MIN, most = word.len;
    unsigned least = UINT32_MAX;
    for (size_t end = from < most ? from : most; end <= most; end += is_arabic ? 2 : 1) {
        unsigned cost = cost_of_three(word.at + end - GUARD_TRIGGER_BYTES);
        if (cost < least) {
            least = cost;
            best = end;
        }
    }
    return is_arabic && best > ARABIC_ANCHOR ? span_cut(word, best - ARABIC_ANCHOR, ARABIC_ANCHOR)
                                             : span_cut(word, 0, best);
}

static void add_anchor(struct span word)
{
    struct span anchor = anchor_of(word);
    for (size_t i = 0; i < anchor_count; i++) {
        if (span_equal(anchors[i], anchor)) {
            return;
        }
    }
    CHECK(anchor_count < ANCHORS_MAX);
    anchors[anchor_count++] = anchor;
}

void guard_trip_words_make(void)
{
    for (unsigned list = 0; list < TRIP_WORDS_COUNT; list++) {
        struct span rest = span_of(lists[list].words);
        while (rest.len > 0) {
            struct span word = span_cut(rest, 0, span_find(rest, ' ', 0));
            add_word(word, list);
            if (lists[list].is_anchor) {
                add_anchor(word);
            }
            rest = span_cut(rest, word.len + 1, rest.len);
        }
    }
}

struct span guard_trip_anchor(size_t i)
{
    return anchors[i < anchor_count ? i : ANCHORS_MAX];
}

/* ---- reading ---- */

/* What an Arabic word may begin with, that belongs to the sentence: and, so, with, for, as. */
static bool is_joined(uint32_t code)
{
    return code == 0x0648 || code == 0x0641 || code == 0x0628 || code == 0x0644 || code == 0x0643;
}

/* Reads the word at in->at, and goes behind it. */
static void read_word(struct guard_trip_reader *in, struct guard_trip_word *out)
{
    const uint8_t *text = in->w->text.at, *end = text + in->w->text.len;
    uint64_t hash = HASH_SEED, without = HASH_SEED;
    bool is_first = true;
    *out = (struct guard_trip_word){.start = in->at, .number = in->number++};
    while (in->at < in->w->text.len) {
        struct guard_letter c = letter_at(text + in->at, end, &out->is_encoded);
        if (c.kind > GUARD_MARK) {
            break;
        }
        if (c.kind == GUARD_LETTER) {
            without = is_first && is_joined(c.code) ? without : hash_step(without, c.code);
            hash = hash_step(hash, c.code);
            is_first = false;
        }
        in->at += c.bytes;
    }
    out->end = in->at;
    const struct slot *s = slot_of(hash);
    out->set = s->hash != 0 ? s->set : slot_of(without)->set;
}

/* Skips to the next letter. */
static void skip_signs(struct guard_trip_reader *in)
{
    const uint8_t *text = in->w->text.at, *end = text + in->w->text.len;
    bool unused = false;
    while (in->at < in->w->text.len) {
        struct guard_letter c = letter_at(text + in->at, end, &unused);
        if (c.kind == GUARD_LETTER) {
            return;
        }
        if (c.code == '.' || c.code == '!' || c.code == '?' || c.code == 0x061F) {
            in->number += SENTENCE;
        }
        in->at += c.bytes;
    }
}

void guard_trip_begin(struct guard_trip_reader *in, const struct guard_window *w, size_t at)
{
    struct guard_trip_word torn;
    *in = (struct guard_trip_reader){.w = w, .at = at, .number = in->number + GUARD_BEFORE};
    while (in->at > 0 && in->at < w->text.len && (w->text.at[in->at] & 0xC0) == 0x80) {
        in->at--;
    }
    bool is_torn = in->at == 0 ? !w->is_first : guard_letter_before(w->text, in->at);
    while (in->at < w->text.len && (w->text.at[in->at] & 0xC0) == 0x80) {
        in->at++; /* the window begins inside a character: it is of the torn word, too */
    }
    if (is_torn && in->at < w->text.len) {
        read_word(in, &torn);
    }
}

bool guard_trip_stands(const struct guard_window *w, size_t at)
{
    struct guard_trip_reader in = {.w = w, .at = at};
    struct guard_trip_word word;
    while (in.at > 0 && at - in.at < WORD_BYTES && guard_letter_before(w->text, in.at)) {
        do {
            in.at--;
        } while (in.at > 0 && (w->text.at[in.at] & 0xC0) == 0x80);
    }
    read_word(&in, &word);
    return (word.set.bits[0] | word.set.bits[1]) != 0;
}

bool guard_trip_next(struct guard_trip_reader *in, size_t end, struct guard_trip_word *out)
{
    for (;;) {
        skip_signs(in);
        if (in->at >= end || in->at >= in->w->text.len) {
            return false;
        }
        read_word(in, out);
        if (out->end == in->w->text.len && !in->w->is_last) {
            return false;
        }
        if ((out->set.bits[0] | out->set.bits[1]) != 0) {
            return true;
        }
    }
}
