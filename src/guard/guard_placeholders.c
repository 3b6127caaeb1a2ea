/* SPDX-License-Identifier: Apache-2.0 */
/* What looks like a placeholder of ours, whoever wrote it: [EMAIL_1]. */
#include <string.h>

#include "guard/guard_internal.h"
#include "guard/guard_names.h"

static bool is_capital(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The end of the one that begins at `start`, which is a '['; 0: it is none; SIZE_MAX: it may be. */
static size_t end_of(const struct guard_window *w, size_t start)
{
    size_t most = start + GUARD_PLACEHOLDER_BYTES;
    size_t behind = w->text.len < most ? w->text.len : most;
    bool has_number = false;
    for (size_t at = start + 1; at < behind; at++) {
        uint8_t c = w->text.at[at], before = w->text.at[at - 1];
        if (c == ']') {
            return has_number ? at + 1 : 0;
        }
        if (is_digit(c) ? at == start + 1 : !is_capital(c) && (c != '_' || at == start + 1)) {
            return 0;
        }
        has_number = is_digit(c) && (has_number || before == '_');
    }
    return behind < most && !w->is_last ? SIZE_MAX : 0;
}

void guard_find_placeholders(const struct guard_window *w, struct guard_sink *k)
{
    size_t at = w->from;
    while (at < w->text.len) {
        const uint8_t *open = memchr(w->text.at + at, '[', w->text.len - at);
        if (open == NULL) {
            return;
        }
        size_t start = (size_t)(open - w->text.at), end = end_of(w, start);
        if (end == SIZE_MAX) {
            guard_sink_wait(k, start);
        } else if (end > 0) {
            guard_sink_add(k, start, end, GUARD_PLACEHOLDER, 100, true);
        }
        at = start + 1;
    }
}
