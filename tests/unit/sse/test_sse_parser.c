/* SPDX-License-Identifier: Apache-2.0 */
/* test_sse_parser.c — what a stream says must not depend on where it was cut. */
#include "unit.h"

#include <stdio.h>

#include "base/memory.h"
#include "sse/sse_parser.h"

#define EVENT_MAX 64

/* What was heard: for each event "name/data" (or "#" for comments, "-" for no data) and "|". */
struct heard {
    char text[512];
    size_t len;
    char raw[512]; /* the raw bytes of all events */
    size_t raw_len;
    enum err e;
};

static void note(struct heard *heard, const struct sse_event *event)
{
    int len = 0;
    char *to = heard->text + heard->len;
    size_t room = sizeof(heard->text) - heard->len;
    if (event->is_comment) {
        len = snprintf(to, room, "#|");
    } else if (!event->has_data) {
        len = snprintf(to, room, "%.*s-|", SPAN_ARGS(event->name));
    } else {
        len = snprintf(to, room, "%.*s%s%.*s|", SPAN_ARGS(event->name),
                       event->name.len > 0 ? "/" : "", SPAN_ARGS(event->data));
    }
    heard->len += (size_t)len;
    memcpy(heard->raw + heard->raw_len, event->raw.at, event->raw.len);
    heard->raw_len += event->raw.len;
}

/* Feeds one piece, from memory of its own: what is read past it is found by the sanitizers. */
static void feed(struct sse_parser *p, struct span piece, struct heard *heard)
{
    uint8_t *copy = memory_new(piece.len + 1);
    assert_non_null(copy);
    if (piece.len > 0) {
        memcpy(copy, piece.at, piece.len);
    }
    struct span in = {copy, piece.len};
    struct sse_event event;
    while (heard->e == ERR_OK) {
        heard->e = sse_parser_next(p, &in, &event);
        if (heard->e != ERR_OK || event.raw.len == 0) {
            break;
        }
        note(heard, &event);
    }
    assert_true(heard->e != ERR_OK || in.len == 0);
    memory_free(copy);
}

static void end(struct sse_parser *p, struct heard *heard)
{
    struct sse_event event;
    if (heard->e == ERR_OK) {
        heard->e = sse_parser_finish(p, &event);
        assert_int_equal(heard->e, ERR_OK);
        if (event.raw.len > 0) {
            note(heard, &event);
        }
    }
    sse_parser_fini(p);
}

/* Hears `stream` in pieces of `first`, then `size` bytes. */
static struct heard hear(struct span stream, size_t first, size_t size)
{
    struct heard heard = {.e = ERR_OK};
    struct sse_parser p;
    sse_parser_init(&p, EVENT_MAX);
    feed(&p, span_cut(stream, 0, first), &heard);
    for (size_t at = first; at < stream.len; at += size) {
        feed(&p, span_cut(stream, at, size), &heard);
    }
    end(&p, &heard);
    return heard;
}

static const struct {
    const char *why;
    const char *stream;
    const char *expect;
} streams[] = {
    {"one event", "data: a\n\n", "a|"},
    {"two lines join by LF", "data: a\ndata: b\n\n", "a\nb|"},
    {"three lines, the middle one empty", "data: a\ndata\ndata: b\n\n", "a\n\nb|"},
    {"CRLF ends a line once", "data: a\r\n\r\ndata: b\r\n\r\n", "a|b|"},
    {"CR alone ends a line", "data: a\r\rdata: b\r\r", "a|b|"},
    {"line ends may be mixed", "data: a\r\n\ndata: b\n\r\ndata: c\r\n\rdata: d\n\n", "a|b|c|d|"},
    {"two data lines that end in CR", "data: a\rdata: b\r\r", "a\nb|"},
    {"a comment is no event", ": ping\n\ndata: a\n\n", "#|a|"},
    {"a comment within an event is dropped", ": ping\ndata: a\n\n", "a|"},
    {"blank lines between events say nothing", "\n\r\n\rdata: a\n\n\n\n\r\rdata: b\n\n", "a|b|"},
    {"an unfinished event is dropped", "data: a\n\ndata: b\n", "a|"},
    {"an unfinished line too", "data: a\n\ndata: b", "a|"},
    {"one blank is taken off", "data:  a\n\ndata:b\n\ndata:\n\ndata: \n\n", " a|b|||"},
    {"a field without a colon is empty", "data\n\n", "|"},
    {"the event has a name", "event: e\ndata: a\n\n", "e/a|"},
    {"the last name counts", "event: e\nevent: f\ndata: a\n\n", "f/a|"},
    {"a name without data", "event: e\n\n", "e-|"},
    {"other fields are no data", "id: 1\nretry: 5\nx: y\n\n", "-|"},
    {"a longer name is another field", "datax: a\neventx: b\n data: c\n\n", "-|"},
    {"a byte order mark at the start is dropped",
     "\xEF\xBB\xBF"
     "data: a\n\ndata: b\n\n",
     "a|b|"},
    {"a byte order mark before a blank line",
     "\xEF\xBB\xBF\n"
     "data: a\n\n",
     "a|"},
    {"a second byte order mark is not",
     "\xEF\xBB\xBF\xEF\xBB\xBF"
     "data: a\n\n",
     "-|"},
    {"half a byte order mark is no mark",
     "\xEF\xBB"
     "data: a\n\n",
     "-|"},
    {"a byte order mark later is not",
     "data: a\n\n\xEF\xBB\xBF"
     "data: b\n\n",
     "a|-|"},
    {"bytes that are not ASCII", "data: \xd8\xa7\n\n", "\xd8\xa7|"},
    {"a field of errors is data and name", "error: {}\n\nerrors: {}\n\n", "error/{}|-|"},
    {"an object on a line of its own is data", "{\"error\":\"x: y\"}\n\n {}\n\n",
     "{\"error\":\"x: y\"}|-|"},
    {"the end of OpenAI's streams", "data: {}\n\ndata: [DONE]\n\n", "{}|[DONE]|"},
    {"nothing", "", ""},
};

/* Hears a stream cut at `cut`, the rest in pieces of several sizes: always the same events. */
static void check_cut(size_t row, size_t cut, const struct heard *whole)
{
    struct span stream = span_of(streams[row].stream);
    static const size_t sizes[] = {1, 2, 7, 1000};
    for (size_t s = 0; s < ROWS(sizes); s++) {
        struct heard heard = hear(stream, cut, sizes[s]);
        if (heard.e != ERR_OK || strcmp(heard.text, streams[row].expect) != 0) {
            fail_msg("%s, cut at %zu: heard \"%s\", %s", streams[row].why, cut, heard.text,
                     err_name(heard.e));
        }
        assert_int_equal(heard.raw_len, whole->raw_len);
        assert_memory_equal(heard.raw, whole->raw, whole->raw_len);
    }
}

static void same_events_at_every_cut(void **state)
{
    (void)state;
    for (size_t r = 0; r < ROWS(streams); r++) {
        struct span stream = span_of(streams[r].stream);
        struct heard whole = hear(stream, stream.len, 1);
        for (size_t cut = 0; cut <= stream.len; cut++) {
            check_cut(r, cut, &whole);
        }
    }
}

static void raw_bytes_are_those_that_came(void **state)
{
    (void)state;
    struct span stream = SPAN(": c\n\nid: 1\r\ndata: a\r\n\r\n\ndata: b\n\n");
    struct heard heard = hear(stream, 7, 3);
    struct span raw = SPAN(": c\n\nid: 1\r\ndata: a\r\n\r\ndata: b\n\n");
    assert_true(span_equal(span_make(heard.raw, heard.raw_len), raw));
}

static void an_event_past_its_maximum_is_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {EVENT_MAX - 1, EVENT_MAX, EVENT_MAX + 1, EVENT_MAX + 9};
    for (size_t s = 0; s < ROWS(sizes); s++) {
        char stream[200];
        memset(stream, 'a', sizeof(stream));
        memcpy(stream, "data: b\n\ndata: ", 15);
        size_t len = 9 + sizes[s];
        memcpy(stream + len - 2, "\n\n", 2);
        for (size_t cut = 0; cut <= len; cut++) {
            struct heard heard = hear(span_make(stream, len), cut, 7);
            assert_int_equal(heard.e, sizes[s] <= EVENT_MAX ? ERR_OK : ERR_UPSTREAM_STREAM);
            assert_memory_equal(heard.text, "b|", 2);
        }
        struct heard heard = hear(span_make(stream, len - 1), 0, 7); /* no blank line yet */
        assert_int_equal(heard.e, sizes[s] - 1 <= EVENT_MAX ? ERR_OK : ERR_UPSTREAM_STREAM);
    }
}

/* Many lines take long to join, and that is not done in steps. */
static void an_event_of_very_many_data_lines_is_refused(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct sse_parser p;
        struct sse_event event;
        struct buf b;
        buf_init(&b, 1 << 20);
        for (size_t i = 0; i < 65536 + more; i++) {
            buf_put_text(&b, "data:\n");
        }
        buf_put_byte(&b, '\n');
        struct span in = buf_span(&b);
        sse_parser_init(&p, 1 << 20);
        assert_int_equal(sse_parser_next(&p, &in, &event),
                         more == 0 ? ERR_OK : ERR_UPSTREAM_STREAM);
        assert_int_equal(event.data.len, more == 0 ? 65535 : 0);
        sse_parser_fini(&p);
        buf_fini(&b);
    }
}

/* What is joined is copied in one go. */
static void an_event_of_half_a_mebibyte_is_refused_if_several_lines_are_data(void **state)
{
    (void)state;
    enum { MOST = 512 * 1024 };
    static const struct {
        const char *first;
        size_t size; /* of the whole event */
        enum err e;
    } events[] = {{"data: a\ndata: ", MOST, ERR_OK},
                  {"data: a\ndata: ", MOST + 1, ERR_UPSTREAM_STREAM},
                  {"event: a\ndata: ", MOST + 1, ERR_OK}};
    for (size_t i = 0; i < ROWS(events); i++) {
        struct sse_parser p;
        struct sse_event event;
        struct buf b;
        buf_init(&b, 1 << 20);
        buf_put_text(&b, events[i].first);
        while (buf_span(&b).len < events[i].size - 2) {
            buf_put_byte(&b, 'x');
        }
        buf_put_text(&b, "\n\n");
        struct span in = buf_span(&b);
        sse_parser_init(&p, 1 << 20);
        assert_int_equal(sse_parser_next(&p, &in, &event), events[i].e);
        assert_int_equal(event.raw.len, events[i].e == ERR_OK ? events[i].size : 0);
        sse_parser_fini(&p);
        buf_fini(&b);
    }
}

static void a_refused_stream_stays_refused(void **state)
{
    (void)state;
    struct sse_parser p;
    struct sse_event event;
    sse_parser_init(&p, 4);
    struct span in = SPAN("data: a");
    assert_int_equal(sse_parser_next(&p, &in, &event), ERR_UPSTREAM_STREAM);
    in = SPAN("\n\n");
    assert_int_equal(sse_parser_next(&p, &in, &event), ERR_UPSTREAM_STREAM);
    assert_int_equal(sse_parser_finish(&p, &event), ERR_UPSTREAM_STREAM);
    sse_parser_fini(&p);
}

static void a_whole_event_is_not_copied_and_a_quiet_stream_holds_no_memory(void **state)
{
    (void)state;
    struct sse_parser p;
    struct sse_event event;
    sse_parser_init(&p, EVENT_MAX);
    struct span bytes = SPAN("data: a\n\ndata: b");
    struct span in = bytes;
    assert_int_equal(sse_parser_next(&p, &in, &event), ERR_OK);
    assert_ptr_equal(event.raw.at, bytes.at);
    assert_ptr_equal(event.data.at, bytes.at + 6);
    assert_null(p.carry.at);
    assert_int_equal(sse_parser_next(&p, &in, &event), ERR_OK);
    assert_int_equal(event.raw.len, 0);
    assert_int_equal(sse_parser_held(&p), 7);
    in = SPAN("\n\n");
    assert_int_equal(sse_parser_next(&p, &in, &event), ERR_OK);
    assert_true(span_is(event.data, "b"));
    assert_int_equal(sse_parser_held(&p), 0);
    assert_int_equal(sse_parser_next(&p, &in, &event), ERR_OK);
    assert_null(p.carry.at);
    sse_parser_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_events_at_every_cut),
        cmocka_unit_test(raw_bytes_are_those_that_came),
        cmocka_unit_test(an_event_past_its_maximum_is_refused),
        cmocka_unit_test(an_event_of_very_many_data_lines_is_refused),
        cmocka_unit_test(an_event_of_half_a_mebibyte_is_refused_if_several_lines_are_data),
        cmocka_unit_test(a_refused_stream_stays_refused),
        cmocka_unit_test(a_whole_event_is_not_copied_and_a_quiet_stream_holds_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
