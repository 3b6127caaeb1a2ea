/* SPDX-License-Identifier: Apache-2.0 */
#include "base/retired.h"

#include <stddef.h>

void retired_add(struct retired_list *list, struct retired *block)
{
    block->at = clock_mono();
    block->next = list->first;
    list->first = block;
}

void retired_tidy(struct retired_list *list, mono_us turned, retired_free *free_block)
{
    for (struct retired **at = &list->first; *at != NULL;) {
        struct retired *block = *at;
        struct retired *next = block->next;
        if (clock_since(block->at, turned) > 0 && free_block(block)) {
            *at = next;
        } else {
            at = &block->next;
        }
    }
}
