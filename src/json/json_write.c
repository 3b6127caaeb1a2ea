/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json/json_float.h"
#include "json/json_scan.h"

#define MAX_DEPTH 64

void json_write_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

static bool in_object(const struct json_writer *w)
{
    return w->depth > 0 && (w->objects >> (w->depth - 1) & 1) != 0;
}

/* What goes before a value: a comma, or nothing behind a key. */
static void before_value(struct json_writer *w)
{
    CHECK(w->keyed == in_object(w));
    CHECK(w->depth > 0 || !w->comma); /* one value at the top */
    if (w->comma && !w->keyed) {
        buf_put_byte(w->out, ',');
    }
    w->comma = true;
    w->keyed = false;
}

static void open_container(struct json_writer *w, bool object)
{
    CHECK(w->depth < MAX_DEPTH);
    before_value(w);
    buf_put_byte(w->out, object ? '{' : '[');
    w->objects &= ~(UINT64_C(1) << w->depth);
    w->objects |= (uint64_t)object << w->depth;
    w->depth++;
    w->comma = false;
}

void json_write_object(struct json_writer *w)
{
    open_container(w, true);
}

void json_write_array(struct json_writer *w)
{
    open_container(w, false);
}

void json_write_end(struct json_writer *w)
{
    CHECK(w->depth > 0 && !w->keyed);
    buf_put_byte(w->out, in_object(w) ? '}' : ']');
    w->depth--;
    w->comma = true;
}

void json_write_key_span(struct json_writer *w, struct span key)
{
    CHECK(in_object(w) && !w->keyed);
    if (w->comma) {
        buf_put_byte(w->out, ',');
    }
    json_put_string(w->out, key);
    buf_put_byte(w->out, ':');
    w->comma = true;
    w->keyed = true;
}

void json_write_key(struct json_writer *w, const char *key)
{
    json_write_key_span(w, span_of(key));
}

/* Writes the escape of a byte below 0x20, a quote or a backslash; returns its length, 2 or 6. */
static size_t write_escape(uint8_t byte, uint8_t out[6])
{
    static const uint8_t letters[256] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                         ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    static const uint8_t digits[] = "0123456789abcdef";
    out[0] = '\\';
    if (letters[byte] != 0) {
        out[1] = letters[byte];
        return 2;
    }
    out[1] = 'u';
    out[2] = out[3] = '0';
    out[4] = digits[byte >> 4];
    out[5] = digits[byte & 15];
    return 6;
}

/* Puts well-formed UTF-8, escaping what must be. */
static void put_well_formed(struct buf *out, struct span text)
{
    const uint8_t *at = text.at;
    const uint8_t *end = text.at + text.len;
    while (at < end) {
        const uint8_t *special = json_scan_special(at, end);
        buf_put(out, span_make(at, (size_t)(special - at)));
        if (special < end) {
            uint8_t escape[6];
            buf_put(out, span_make(escape, write_escape(*special++, escape)));
        }
        at = special;
    }
}

void json_put_string(struct buf *out, struct span text)
{
    buf_put_byte(out, '"');
    while (text.len > 0) {
        size_t good = json_scan_utf8(text);
        put_well_formed(out, span_cut(text, 0, good));
        text = span_cut(text, good, text.len);
        if (text.len > 0) {
            size_t bad;
            (void)json_scan_character(text.at, text.at + text.len, &bad); /* false: it is bad */
            buf_put_text(out, "\xef\xbf\xbd");
            text = span_cut(text, bad, text.len);
        }
    }
    buf_put_byte(out, '"');
}

void json_write_string(struct json_writer *w, struct span text)
{
    before_value(w);
    json_put_string(w->out, text);
}

void json_write_text(struct json_writer *w, const char *text)
{
    if (text == NULL) {
        json_write_null(w);
    } else {
        json_write_string(w, span_of(text));
    }
}

void json_write_raw(struct json_writer *w, struct span json)
{
    before_value(w);
    buf_put(w->out, json);
}

void json_write_int(struct json_writer *w, int64_t number)
{
    before_value(w);
    if (number < 0) {
        buf_put_byte(w->out, '-');
    }
    buf_put_u64(w->out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void json_write_u64(struct json_writer *w, uint64_t number)
{
    before_value(w);
    buf_put_u64(w->out, number);
}

void json_write_double(struct json_writer *w, double number)
{
    char text[32] = "null";
    int digits = 15;
    while (isfinite(number) && digits <= 17) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, number); /* 17 digits always fit */
        digits = strtod(text, NULL) == number ? 18 : digits + 1;
    }
    json_write_raw(w, span_of(text));
}

void json_write_float(struct json_writer *w, float number)
{
    char text[JSON_FLOAT_BYTES];
    bool is_number = isfinite(number);
    json_write_raw(w, is_number ? span_make(text, json_float_write(number, text)) : SPAN("null"));
}

void json_write_bool(struct json_writer *w, bool truth)
{
    json_write_raw(w, truth ? SPAN("true") : SPAN("false"));
}

void json_write_null(struct json_writer *w)
{
    json_write_raw(w, SPAN("null"));
}

enum err json_write_finish(struct json_writer *w)
{
    CHECK(w->depth == 0 && w->comma);
    return buf_failed(w->out) ? ERR_NO_MEMORY : ERR_OK;
}

void json_write_member_text(struct json_writer *w, const char *key, const char *text)
{
    json_write_key(w, key);
    json_write_text(w, text);
}

void json_write_member_int(struct json_writer *w, const char *key, int64_t number)
{
    json_write_key(w, key);
    json_write_int(w, number);
}
