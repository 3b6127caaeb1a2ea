/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words that one group of Arabic dialects has, and the written language not, in a table by hash. A
 * word is compared without marks and tatweel, its alefs, yehs and heh written in one way.
 */
#include <pthread.h>

#include "text/text_language_internal.h"
#include "text/text_table.h"

#define WORD_BYTES_MAX 32
#define SLOTS          512 /* a power of two, more than twice the words */

enum dialect { DIALECT_EGYPT, DIALECT_GULF, DIALECT_LEVANT, DIALECT_MAGHREB, DIALECTS };

static const struct {
    const char *name, *words;
} dialects[DIALECTS] = {
    [DIALECT_EGYPT] = {"egy", "ازاي ازايك ازيك عايز عايزه عاوز عاوزه دلوقتي ايه مش كده كدا ليه فين "
                              "بتاع بتاعي بتاعت اوي عشان علشان ده دي دول امتي النهارده مفيش عندكو "
                              "بتعمل بيعمل هعمل احنا برضو برضه معلش انهارده"},
    [DIALECT_GULF] = {"glf",
                      "شلون شلونك شلونكم وش ايش ابي ابغي ابغا تبي يبي نبي الحين زين وايد شنو "
                      "مب هالحين دحين اللحين چذي جذي ويش يبغي تبغي بغيت عيال هالشي شفيك وشو "
                      "اكو ماكو هسه شكو علامك وشلون ابيك هذيلا عشانك"},
    [DIALECT_LEVANT] = {"lev", "شو هلق هلا بدي بدك بده كتير هيك منيح منيحه لسا لساتني هون هداك "
                               "كيفك شي ليش هلكيت عنجد شوي مشان منشان تبعي تبع رح عم بحكي قديش "
                               "مبارح بكير هلقد"},
    [DIALECT_MAGHREB] = {"mag", "واش بزاف دابا كيفاش علاش شكون ديال ديالي ديالك برشا شنوه توا باش "
                                "غادي خويا هاد نتا راه كاين كاينه ماكاينش بغيتي شنو هادشي فاش "
                                "وقتاش كيداير لاباس هدره مزيان"},
};

static struct text_table_slot slots[SLOTS];
static struct text_table table = {slots, SLOTS, WORD_BYTES_MAX, 0};
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make(void)
{
    for (unsigned dialect = 0; dialect < DIALECTS; dialect++) {
        text_table_add(&table, dialect, dialects[dialect].words);
    }
}

/* The letter as it is compared; 0: it is left out; UINT32_MAX: it is none of a word's. */
static uint32_t plain_letter(uint32_t c)
{
    if (c == 0x0640 || (c >= 0x064B && c <= 0x065F) || c == 0x0670) {
        return 0; /* tatweel, marks */
    }
    switch (c) {
    case 0x0622: /* alef with madda, */
    case 0x0623: /* with hamza above, */
    case 0x0625: /* and below */
    case 0x0671: /* wasla */
        return 0x0627;
    case 0x0649: /* alef maksura */
    case 0x06CC: /* Farsi yeh */
        return 0x064A;
    case 0x0629: /* teh marbuta */
        return 0x0647;
    default:
        return (c >= 0x0621 && c <= 0x064A) || (c >= 0x0671 && c <= 0x06D3) ? c : UINT32_MAX;
    }
}

static void add_word(unsigned points[DIALECTS], struct span word)
{
    uint32_t found = text_table_find(&table, word);
    for (; found != 0; found &= found - 1) {
        points[__builtin_ctz(found)]++;
    }
}

const char *text_dialect_of(struct span text)
{
    unsigned points[DIALECTS] = {0};
    uint8_t word[WORD_BYTES_MAX + 2];
    size_t len = 0, step;
    (void)pthread_once(&made, make); /* it cannot fail */
    text = span_cut_text(text, TEXT_LANGUAGE_BYTES);
    for (size_t at = 0; at < text.len; at += step) {
        uint32_t c = plain_letter(text_character(span_cut(text, at, 4), &step));
        if (c == UINT32_MAX) {
            add_word(points, span_make(word, len));
            len = 0;
        } else if (c != 0 && len <= WORD_BYTES_MAX) {
            word[len++] = (uint8_t)(0xC0 | c >> 6);
            word[len++] = (uint8_t)(0x80 | (c & 0x3F));
            len = len > WORD_BYTES_MAX ? WORD_BYTES_MAX + 1 : len;
        }
    }
    add_word(points, span_make(word, len));
    size_t best = 0, same = 0;
    for (size_t i = 1; i < DIALECTS; i++) {
        best = points[i] > points[best] ? i : best;
    }
    for (size_t i = 0; i < DIALECTS; i++) {
        same += points[i] == points[best];
    }
    return points[best] == 0 || same > 1 ? "msa" : dialects[best].name;
}
