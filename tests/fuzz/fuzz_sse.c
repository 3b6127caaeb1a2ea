/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_sse.c — a stream heard whole and in pieces says the same, and the same as a plain reading of
 * the standard says of it.
 *
 * The first byte chooses the size of the pieces.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "sse/sse_parser.h"

#define EVENT_MAX 256

/* The events, each as name, data, raw bytes and flags, with their lengths. */
struct heard {
    struct buf all;  /* all that events say */
    struct buf data; /* name and data of those with data */
    enum err e;
};

static void put(struct buf *b, struct span s)
{
    buf_put(b, span_make(&s.len, sizeof(s.len)));
    buf_put(b, s);
}

static void note(struct heard *heard, const struct sse_event *event)
{
    put(&heard->all, event->raw);
    put(&heard->all, event->name);
    put(&heard->all, event->data);
    buf_put_byte(&heard->all, event->has_data);
    buf_put_byte(&heard->all, event->is_comment);
    if (event->has_data) {
        put(&heard->data, event->name);
        put(&heard->data, event->data);
    }
}

static void feed(struct sse_parser *p, struct span in, struct heard *heard)
{
    uint8_t *copy = malloc(in.len); /* so that reading past it is found */
    memcpy(copy, in.at, in.len);
    in.at = copy;
    while (heard->e == ERR_OK) {
        struct sse_event event;
        heard->e = sse_parser_next(p, &in, &event);
        if (heard->e != ERR_OK || event.raw.len == 0) {
            break;
        }
        CHECK(event.raw.len <= EVENT_MAX);
        note(heard, &event);
    }
    CHECK(heard->e != ERR_OK || in.len == 0);
    free(copy);
}

static void hear(struct span stream, size_t size, struct heard *heard)
{
    struct sse_parser p;
    struct sse_event event;
    sse_parser_init(&p, EVENT_MAX);
    buf_init(&heard->all, SIZE_MAX / 2);
    buf_init(&heard->data, SIZE_MAX / 2);
    heard->e = ERR_OK;
    for (size_t at = 0; at < stream.len; at += size) {
        feed(&p, span_cut(stream, at, size), heard);
    }
    if (heard->e == ERR_OK && sse_parser_finish(&p, &event) == ERR_OK && event.raw.len > 0) {
        note(heard, &event);
    }
    sse_parser_fini(&p);
}

static void forget(struct heard *heard)
{
    buf_fini(&heard->all);
    buf_fini(&heard->data);
}

/* What the field of a line is worth: the bytes behind the colon, without one blank. */
static struct span value_of(struct span line)
{
    struct span value = span_cut(line, span_find(line, ':', 0) + 1, line.len);
    return value.len > 0 && value.at[0] == ' ' ? span_cut(value, 1, value.len) : value;
}

/* Whether a line says data, which is then `*value`. */
static bool says_data(struct span line, struct span field, struct span *value)
{
    bool is_object = line.at[0] == '{';
    *value = is_object ? line : value_of(line);
    return is_object || span_is(field, "data") || span_is(field, "error");
}

/* Name and data of each event with data: the standard's algorithm, line by line, with our two
 * additions: a line that begins with "{", and the field `error`. */
static void read_plainly(struct span stream, struct buf *out)
{
    struct buf data;
    struct span name = {NULL, 0};
    bool has_data = false;
    buf_init(&data, SIZE_MAX / 2);
    size_t at = span_starts(stream, SPAN("\xEF\xBB\xBF")) ? 3 : 0;
    while (at < stream.len) {
        size_t end = at;
        while (end < stream.len && stream.at[end] != '\n' && stream.at[end] != '\r') {
            end++;
        }
        if (end == stream.len) {
            break;
        }
        struct span line = span_cut(stream, at, end - at);
        struct span field = span_cut(line, 0, span_find(line, ':', 0)), value;
        if (line.len == 0) {
            if (has_data) {
                put(out, name);
                put(out, span_cut(buf_span(&data), 1, SIZE_MAX));
            }
            buf_clear(&data);
            name = (struct span){NULL, 0};
            has_data = false;
        } else if (says_data(line, field, &value)) {
            has_data = true;
            buf_put_byte(&data, '\n');
            buf_put(&data, value);
            name = span_is(field, "error") ? field : name;
        } else if (span_is(field, "event")) {
            name = value_of(line);
        }
        at = end +
             (stream.at[end] == '\r' && end + 1 < stream.len && stream.at[end + 1] == '\n' ? 2 : 1);
    }
    buf_fini(&data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct span stream = {data + 1, size - 1};
    struct heard whole, pieces;
    struct buf plain;
    hear(stream, stream.len, &whole);
    hear(stream, 1 + data[0] % 64u, &pieces);
    CHECK(whole.e == pieces.e);
    CHECK(span_equal(buf_span(&whole.all), buf_span(&pieces.all)));
    buf_init(&plain, SIZE_MAX / 2);
    read_plainly(stream, &plain);
    struct span said = buf_span(&whole.data);
    CHECK(whole.e == ERR_OK ? span_equal(said, buf_span(&plain))
                            : span_starts(buf_span(&plain), said));
    buf_fini(&plain);
    forget(&whole);
    forget(&pieces);
    return 0;
}
