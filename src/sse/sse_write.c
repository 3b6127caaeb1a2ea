/* SPDX-License-Identifier: Apache-2.0 */
#include "sse/sse_write.h"

#include <string.h>

static size_t line_end(struct span s, size_t from)
{
    size_t i = from;
    while (i < s.len && s.at[i] != '\n' && s.at[i] != '\r') {
        i++;
    }
    return i;
}

/* One line `field: value`; false, and the buffer failed, if it would be two. */
static void line_put(struct buf *b, struct span field, struct span value)
{
    if (line_end(value, 0) != value.len) {
        b->failed = true;
        return;
    }
    buf_put(b, field);
    buf_put(b, value);
    buf_put_byte(b, '\n');
}

void sse_write_event(struct buf *b, struct span name, struct span data)
{
    if (name.len > 0) {
        line_put(b, SPAN("event: "), name);
    }
    for (size_t at = 0; at <= data.len;) {
        size_t end = line_end(data, at);
        line_put(b, SPAN("data: "), span_cut(data, at, end - at));
        bool is_crlf = end + 1 < data.len && data.at[end] == '\r' && data.at[end + 1] == '\n';
        at = end + (is_crlf ? 2 : 1);
    }
    buf_put_byte(b, '\n');
}

void sse_write_comment(struct buf *b, struct span text)
{
    line_put(b, SPAN(": "), text);
    buf_put_byte(b, '\n');
}

void sse_one_line(uint8_t *text, size_t len)
{
    static const char ends[] = {'\n', '\r'};
    for (size_t i = 0; i < sizeof(ends); i++) {
        uint8_t *at = text;
        while ((at = memchr(at, ends[i], len - (size_t)(at - text))) != NULL) {
            *at = ' ';
        }
    }
}
