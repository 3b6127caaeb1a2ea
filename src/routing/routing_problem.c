/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a file of rules, a line each. */
#include <stdarg.h>
#include <stdio.h>

#include "routing/routing_internal.h"
#include "text/text_near.h"

void routing_problem(struct routing_reader *in, struct ytree_place place, const char *format, ...)
{
    char sentence[512];
    va_list args;
    if (in->problem_count++ >= ROUTING_PROBLEMS_MAX) {
        return;
    }
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    buf_printf(in->problems, "%s:%u:%u: ", in->name, place.line, place.column);
    for (const char *c = sentence; *c != '\0'; c++) { /* a quoted text may hold anything */
        buf_put_byte(in->problems, (uint8_t)*c < ' ' ? '?' : (uint8_t)*c);
    }
    buf_put_byte(in->problems, '\n');
}

void routing_check_keys(struct routing_reader *in, const struct ytree_node *map, const char *what,
                        const char *const *names)
{
    size_t count = 0;
    while (names[count] != NULL) {
        count++;
    }
    for (const struct ytree_node *child = map->first; child != NULL; child = child->next) {
        size_t i = 0;
        while (i < count && !span_is(child->key, names[i])) {
            i++;
        }
        const char *meant = i < count ? NULL : text_nearest(child->key, names, count);
        struct span shown = span_cut_text(child->key, 64);
        if (i == count && meant != NULL) {
            routing_problem(in, child->key_place, "%s has no '%.*s' — did you mean '%s'?", what,
                            SPAN_ARGS(shown), meant);
        } else if (i == count) {
            routing_problem(in, child->key_place,
                            "%s has no '%.*s'; docs/routing.md lists what it may say", what,
                            SPAN_ARGS(shown));
        }
    }
}
