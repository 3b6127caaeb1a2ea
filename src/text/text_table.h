/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_table.h — which of up to 32 lists a word stands in, by hash.
 *
 * Ownership  slots and words are the caller's, and outlive the table.
 * Threads    one adds, before many look.
 */
#ifndef TEXT_TEXT_TABLE_H
#define TEXT_TEXT_TABLE_H

#include <stdint.h>

#include "base/span.h"

struct text_table_slot {
    struct span word;
    uint32_t lists; /* a bit each; 0: free */
};

struct text_table {
    struct text_table_slot *slots;
    uint32_t size;     /* of them: a power of two, more than twice the words */
    uint32_t word_max; /* bytes */
    uint32_t count;    /* of different words, 0 at first */
};

/* Adds the words of a list, with one blank between them. */
void text_table_add(struct text_table *t, unsigned list, const char *words);

/* The lists that the word stands in: a bit each. */
uint32_t text_table_find(const struct text_table *t, struct span word);

#endif
