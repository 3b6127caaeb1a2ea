/* SPDX-License-Identifier: Apache-2.0 */
#include "sse/sse_look.h"

#define MARK "\xEF\xBB\xBF"

/* Whether `name` stands at the start of `s`, or `s` is the beginning of it. */
static enum sse_look look_for(struct span s, struct span name)
{
    if (s.len < name.len) {
        return span_starts(name, s) ? SSE_LOOK_MORE : SSE_LOOK_OTHER;
    }
    return span_starts(s, name) ? SSE_LOOK_STREAM : SSE_LOOK_OTHER;
}

enum sse_look sse_look(struct span first)
{
    static const char *const names[] = {":", "data:", "event:", "id:", "retry:"};
    struct span s = first;
    switch (look_for(s, SPAN(MARK))) {
    case SSE_LOOK_MORE:
        return SSE_LOOK_MORE;
    case SSE_LOOK_STREAM:
        s = span_cut(s, sizeof(MARK) - 1, s.len);
        break;
    case SSE_LOOK_JSON:
    case SSE_LOOK_OTHER:
        break;
    }
    while (s.len > 0 && (s.at[0] == '\n' || s.at[0] == '\r' || s.at[0] == ' ' || s.at[0] == '\t')) {
        s = span_cut(s, 1, s.len);
    }
    if (s.len == 0) {
        return SSE_LOOK_MORE;
    }
    enum sse_look look = s.at[0] == '{' || s.at[0] == '[' ? SSE_LOOK_JSON : SSE_LOOK_OTHER;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && look == SSE_LOOK_OTHER; i++) {
        look = look_for(s, span_of(names[i]));
    }
    return look;
}
