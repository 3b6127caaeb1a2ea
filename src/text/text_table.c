/* SPDX-License-Identifier: Apache-2.0 */
#include "text/text_table.h"

#include "base/check.h"

static uint32_t hash_of(struct span word)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < word.len; i++) {
        hash = (hash ^ word.at[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

/* Where the word is, or belongs. */
static struct text_table_slot *slot_of(const struct text_table *t, struct span word)
{
    uint32_t at = hash_of(word) & (t->size - 1);
    while (t->slots[at].lists != 0 && !span_equal(t->slots[at].word, word)) {
        at = (at + 1) & (t->size - 1);
    }
    return &t->slots[at];
}

void text_table_add(struct text_table *t, unsigned list, const char *words)
{
    struct span all = span_of(words);
    for (size_t at = 0; at < all.len;) {
        size_t end = span_find(all, ' ', at);
        struct span word = span_cut(all, at, end - at);
        struct text_table_slot *slot = slot_of(t, word);
        t->count += slot->lists == 0;
        CHECK(word.len > 0 && word.len <= t->word_max && t->count < t->size / 2);
        slot->word = word;
        slot->lists |= 1u << list;
        at = end + 1;
    }
}

uint32_t text_table_find(const struct text_table *t, struct span word)
{
    return word.len == 0 || word.len > t->word_max ? 0 : slot_of(t, word)->lists;
}
