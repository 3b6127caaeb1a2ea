/* SPDX-License-Identifier: Apache-2.0 */
#include "base/retired.h"

#include <stddef.h>

void retired_add(struct retired_list *list, struct retired *block)
{
    block->at = clock_mono();
    block->next = NULL;
    struct retired **end = list->first == NULL ? &list->first : &list->last->next;
    *end = list->last = block;
}

void retired_tidy(struct retired_list *list, mono_us turned, retired_free *free_block)
{
    struct retired *kept = NULL; /* the last one that stays so far */
    struct retired *block = list->first;
    while (block != NULL && clock_since(block->at, turned) > 0) {
        struct retired *next = block->next;
        if (!free_block(block)) {
            kept = block;
        } else if (kept == NULL) {
            list->first = next;
        } else {
            kept->next = next;
        }
        block = next;
    }
    if (block == NULL) {
        list->last = kept;
    }
}
