/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event that has begun is seen as one run of bytes, the *view*: the bytes given, as long as
 * nothing was left over, else `carry`, to which the bytes given are added line by line. All offsets
 * count from the view's start, so it does not matter which of the two it is.
 *
 * A line that ends in CR is read when the byte behind it is there: an LF belongs to it.
 */
#include "sse/sse_parser.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Of an event with several data lines, which are joined at once. */
#define JOINED_LINES_MAX 65536
#define JOINED_BYTES_MAX (512u << 10)

void sse_parser_init(struct sse_parser *p, size_t event_bytes_max)
{
    *p = (struct sse_parser){.event_bytes_max = event_bytes_max};
    /* And a line end more, to see that it is too large. */
    buf_init_counted(&p->carry, event_bytes_max + 2, BUF_UNCOUNTED);
    buf_init_counted(&p->joined, event_bytes_max, BUF_UNCOUNTED);
}

void sse_parser_fini(struct sse_parser *p)
{
    buf_fini(&p->carry);
    buf_fini(&p->joined);
}

size_t sse_parser_held(const struct sse_parser *p)
{
    return p->is_given ? 0 : buf_span(&p->carry).len;
}

/* Where in `s` from `from` on the first CR or LF is, or s.len. */
static size_t line_end(struct span s, size_t from)
{
    size_t i = from;
#ifdef __SSE2__
    const __m128i lf = _mm_set1_epi8('\n');
    const __m128i cr = _mm_set1_epi8('\r');
    for (; s.len - i >= 16; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s.at + i));
        int hits = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, lf), _mm_cmpeq_epi8(v, cr)));
        if (hits != 0) {
            return i + (size_t)__builtin_ctz((unsigned)hits);
        }
    }
#endif
    while (i < s.len && s.at[i] != '\n' && s.at[i] != '\r') {
        i++;
    }
    return i;
}

/* Whether `line` is the field `name`; `*value` is then its value. */
static bool is_field(struct span line, struct span name, struct span *value)
{
    if (!span_starts(line, name)) {
        return false;
    }
    if (line.len == name.len) {
        *value = span_cut(line, line.len, 0);
        return true;
    }
    if (line.at[name.len] != ':') {
        return false;
    }
    size_t blank = line.len > name.len + 1 && line.at[name.len + 1] == ' ' ? 1 : 0;
    *value = span_cut(line, name.len + 1 + blank, line.len);
    return true;
}

/* Whether `line` says data: as its field; or, as servers do that find in the middle of a stream
 * that they fail, as an object on a line of its own, or in a field `error`. */
static bool is_data(struct span line, struct span *value)
{
    if (line.len > 0 && line.at[0] == '{') {
        *value = line;
        return true;
    }
    return is_field(line, SPAN("data"), value) || is_field(line, SPAN("error"), value);
}

/* Notes what one line of the event says. `line` is part of `view`. */
static void line_read(struct sse_parser *p, struct span view, struct span line)
{
    struct span value;
    p->lines++;
    if (line.at[0] == ':') {
        p->comment_lines++;
    } else if (is_data(line, &value)) {
        if (p->data_lines++ == 0) {
            p->data_at = (size_t)(value.at - view.at);
            p->data_len = value.len;
        }
        if (line.at[0] == 'e') { /* the field is what the event is called */
            p->name_at = (size_t)(line.at - view.at);
            p->name_len = sizeof("error") - 1;
        }
    } else if (is_field(line, SPAN("event"), &value)) {
        p->name_at = (size_t)(value.at - view.at);
        p->name_len = value.len;
    }
}

/* Forgets the event that was handed out or dropped. */
static void event_begin(struct sse_parser *p)
{
    p->line = p->scanned = 0;
    p->data_at = p->data_len = p->name_at = p->name_len = 0;
    p->data_lines = p->lines = p->comment_lines = 0;
    p->skip = 0;
}

enum seen { SEEN_NOTHING, SEEN_BLANK, SEEN_EVENT };

/*
 * Reads the lines of `view` from p->line on. `is_all`: no byte will follow. SEEN_EVENT and
 * SEEN_BLANK: p->line is behind the blank line that ends the event, or that follows none.
 */
static enum seen lines_read(struct sse_parser *p, struct span view, bool is_all)
{
    for (;;) {
        size_t end = line_end(view, p->scanned);
        size_t behind = end + 1;
        p->scanned = end;
        if (end == view.len || (view.at[end] == '\r' && behind == view.len && !is_all)) {
            return SEEN_NOTHING;
        }
        if (view.at[end] == '\r' && behind < view.len && view.at[behind] == '\n') {
            behind++;
        }
        struct span line = span_cut(view, p->line, end - p->line);
        p->line = p->scanned = behind;
        if (!p->is_started && span_starts(line, SPAN("\xEF\xBB\xBF"))) {
            line = span_cut(line, 3, line.len);
            p->skip = 3;
        }
        p->is_started = true;
        if (line.len == 0) {
            return p->lines > 0 ? SEEN_EVENT : SEEN_BLANK;
        }
        line_read(p, view, line);
    }
}

/* Joins the data lines of `raw` in p->joined. */
static MUST_USE enum err data_join(struct sse_parser *p, struct span raw, struct span *out)
{
    bool first = true;
    if (p->lines > JOINED_LINES_MAX || raw.len > JOINED_BYTES_MAX) {
        return ERR_UPSTREAM_STREAM;
    }
    for (size_t at = 0; at < raw.len;) {
        size_t end = line_end(raw, at);
        struct span value;
        if (is_data(span_cut(raw, at, end - at), &value)) {
            if (!first) {
                buf_put_byte(&p->joined, '\n');
            }
            buf_put(&p->joined, value);
            first = false;
        }
        at = end + 1;
    }
    if (buf_failed(&p->joined)) {
        return buf_error(
            &p->joined); /* it is smaller than the event, so its maximum is not the cause */
    }
    *out = buf_span(&p->joined);
    return ERR_OK;
}

/* Makes the event of the first p->line bytes of `view`. */
static MUST_USE enum err event_make(struct sse_parser *p, struct span view, struct sse_event *out)
{
    struct sse_event event = {
        .raw = span_cut(view, p->skip, p->line - p->skip),
        .name = span_cut(view, p->name_at, p->name_len),
        .data = span_cut(view, p->data_at, p->data_len),
        .has_data = p->data_lines > 0,
        .is_comment = p->comment_lines == p->lines,
    };
    enum err e = p->data_lines > 1 ? data_join(p, event.raw, &event.data) : ERR_OK;
    if (e == ERR_OK) {
        *out = event;
        event_begin(p);
    }
    return e;
}

static MUST_USE enum err broken(struct sse_parser *p, enum err e)
{
    p->is_broken = true;
    buf_fini(&p->carry);
    buf_fini(&p->joined);
    return e;
}

/* Leaves out blank lines before an event: a server that sends nothing else is soon read. */
static struct span without_blanks(struct span in)
{
    size_t i = 0;
    while (i < in.len && in.at[i] == '\n') {
        i++;
    }
    return span_cut(in, i, in.len);
}

/* Nothing is carried: looks for an event in the bytes given, and carries what is left of them. */
static MUST_USE enum err next_in_place(struct sse_parser *p, struct span *in, struct sse_event *out)
{
    enum seen seen;
    while ((seen = lines_read(p, *in, false)) == SEEN_BLANK) {
        *in = without_blanks(span_cut(*in, p->line, in->len));
        event_begin(p);
    }
    size_t size = seen == SEEN_EVENT ? p->line : in->len;
    if (size > p->event_bytes_max) {
        return broken(p, ERR_UPSTREAM_STREAM);
    }
    struct span view = *in;
    *in = span_cut(*in, size, in->len);
    if (seen == SEEN_EVENT) {
        enum err e = event_make(p, view, out);
        return e == ERR_OK ? ERR_OK : broken(p, e);
    }
    buf_put(&p->carry, view);
    return buf_failed(&p->carry) ? broken(p, buf_error(&p->carry)) : ERR_OK;
}

/* Moves bytes from `*in` to the carried ones: up to and with the next line end, or an LF alone. */
static MUST_USE enum err carry_line(struct sse_parser *p, struct span *in)
{
    struct span held = buf_span(&p->carry);
    size_t more = line_end(*in, 0);
    bool waits = p->scanned < held.len; /* for what follows a CR */
    if (waits) {
        more = in->at[0] == '\n' ? 1 : 0;
    } else if (more < in->len) {
        more += in->at[more] == '\r' && more + 1 < in->len && in->at[more + 1] == '\n' ? 2 : 1;
    }
    if (more > p->event_bytes_max - held.len) {
        return ERR_UPSTREAM_STREAM;
    }
    buf_put(&p->carry, span_cut(*in, 0, more));
    *in = span_cut(*in, more, in->len);
    return buf_failed(&p->carry) ? buf_error(&p->carry) : ERR_OK;
}

/* An event has begun in an earlier call: reads on in the carried bytes. */
static MUST_USE enum err next_carried(struct sse_parser *p, struct span *in, struct sse_event *out)
{
    while (in->len > 0) {
        enum err e = carry_line(p, in);
        if (e != ERR_OK) {
            return broken(p, e);
        }
        struct span view = buf_span(&p->carry);
        enum seen seen = lines_read(p, view, in->len > 0);
        if (seen == SEEN_BLANK) {
            buf_fini(&p->carry);
            event_begin(p);
            return next_in_place(p, in, out);
        }
        if (seen == SEEN_EVENT) {
            e = event_make(p, view, out);
            p->is_given = true;
            return e == ERR_OK ? ERR_OK : broken(p, e);
        }
    }
    return ERR_OK;
}

/* Frees what the event of the last call needed. */
static void release(struct sse_parser *p)
{
    buf_fini(&p->joined);
    if (p->is_given) {
        buf_fini(&p->carry);
        p->is_given = false;
    }
}

enum err sse_parser_next(struct sse_parser *p, struct span *in, struct sse_event *out)
{
    if (p->is_broken) {
        return ERR_UPSTREAM_STREAM;
    }
    release(p);
    *out = (struct sse_event){.has_data = false};
    return sse_parser_held(p) == 0 ? next_in_place(p, in, out) : next_carried(p, in, out);
}

enum err sse_parser_finish(struct sse_parser *p, struct sse_event *out)
{
    if (p->is_broken) {
        return ERR_UPSTREAM_STREAM;
    }
    release(p);
    *out = (struct sse_event){.has_data = false};
    struct span view = buf_span(&p->carry);
    if (view.len == 0 || lines_read(p, view, true) != SEEN_EVENT) {
        return ERR_OK;
    }
    enum err e = event_make(p, view, out);
    p->is_given = true;
    return e == ERR_OK ? ERR_OK : broken(p, e);
}
