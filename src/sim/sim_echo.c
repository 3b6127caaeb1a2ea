/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_echo.h"

#include "json/json_value.h"
#include "json/json_write.h"

#define LINE_BYTES_MAX (256u << 20)

static void add_string(const struct json_index *x, uint32_t row, struct buf *out)
{
    if (row != JSON_NONE && json_kind(x, row) == JSON_STRING) {
        uint8_t *room = buf_reserve(out, json_inside(x, row).len);
        if (room != NULL) {
            buf_added(out, json_unescape(x, row, room, NULL));
        }
    }
}

static void add_content(const struct json_index *x, uint32_t content, struct buf *out)
{
    if (content == JSON_NONE || json_kind(x, content) != JSON_ARRAY) {
        add_string(x, content, out);
        return;
    }
    for (uint32_t part = json_first(x, content); part != JSON_NONE; part = json_next(x, part)) {
        if (json_kind(x, part) == JSON_OBJECT) {
            add_string(x, json_find(x, part, SPAN("text")), out);
        }
    }
}

void sim_echo_read(const struct json_index *x, struct buf *out)
{
    static const char *const others[] = {"prompt", "input"};
    uint32_t messages = json_find(x, 0, SPAN("messages"));
    if (messages == JSON_NONE || json_kind(x, messages) != JSON_ARRAY) {
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
            add_string(x, json_find(x, 0, span_of(others[i])), out);
        }
        return;
    }
    for (uint32_t m = json_first(x, messages); m != JSON_NONE; m = json_next(x, m)) {
        uint32_t content =
            json_kind(x, m) == JSON_OBJECT ? json_find(x, m, SPAN("content")) : JSON_NONE;
        if (content != JSON_NONE && json_kind(x, content) != JSON_NULL) {
            buf_clear(out);
            add_content(x, content, out);
        }
    }
}

uint64_t sim_echo_count(struct span text, int64_t bytes)
{
    uint64_t piece = (uint64_t)bytes;
    return (text.len + piece - 1) / piece;
}

/* The beginning of the character in which byte `at` is. */
static size_t find_begin(struct span text, uint64_t at)
{
    size_t i = at < text.len ? (size_t)at : text.len;
    while (i > 0 && i < text.len && (text.at[i] & 0xc0) == 0x80) {
        i--;
    }
    return i;
}

struct span sim_echo_piece(struct span text, int64_t bytes, uint64_t n)
{
    uint64_t piece = (uint64_t)bytes;
    if (n >= sim_echo_count(text, bytes)) {
        return SPAN("");
    }
    size_t begin = find_begin(text, n * piece);
    return span_cut(text, begin, find_begin(text, (n + 1) * piece) - begin);
}

void sim_echo_print(struct span text, FILE *out)
{
    struct buf line;
    struct json_writer w;
    buf_init(&line, LINE_BYTES_MAX);
    json_write_init(&w, &line);
    json_write_string(&w, text);
    if (json_write_finish(&w) == ERR_OK) {
        buf_put_text(&line, "\n");
        (void)fwrite(buf_span(&line).at, 1, buf_span(&line).len, out);
        (void)fflush(out); /* whoever reads it may be gone */
    }
    buf_fini(&line);
}
