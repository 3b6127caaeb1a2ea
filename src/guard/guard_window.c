/* SPDX-License-Identifier: Apache-2.0 */
/* How far a place of a window may look. */
#include "guard/guard_internal.h"

#define SIGHT (GUARD_VALUE_BYTES + 1)

static bool is_as_it_came(const struct guard_window *w)
{
    return w->fold == NULL || w->fold->points == 0;
}

static size_t source_len(const struct guard_window *w)
{
    return w->fold == NULL ? w->text.len : w->fold->source.len;
}

size_t guard_before(const struct guard_window *w, size_t at)
{
    if (is_as_it_came(w)) {
        return at > GUARD_BEFORE ? at - GUARD_BEFORE : 0;
    }
    size_t from = text_fold_begin(w->fold, at);
    return from > GUARD_BEFORE ? text_fold_find(w->fold, from - GUARD_BEFORE) : 0;
}

size_t guard_behind(const struct guard_window *w, size_t at)
{
    if (is_as_it_came(w)) {
        return w->text.len - at > SIGHT ? at + SIGHT : w->text.len;
    }
    size_t to = text_fold_begin(w->fold, at) + SIGHT;
    return to < source_len(w) ? text_fold_find(w->fold, to) : w->text.len;
}

bool guard_is_cut(const struct guard_window *w, size_t at)
{
    size_t from = is_as_it_came(w) ? at : text_fold_begin(w->fold, at);
    return !w->is_first || from > GUARD_BEFORE;
}

bool guard_is_open(const struct guard_window *w, size_t at)
{
    size_t from = is_as_it_came(w) ? at : text_fold_begin(w->fold, at);
    return !w->is_last && source_len(w) - from < SIGHT;
}
