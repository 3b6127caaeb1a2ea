/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A head that arrives whole is read in one pass. One that arrives in pieces is read line by line:
 * bytes of a line that has no LF yet are only searched for it, each once, so a head that comes byte
 * by byte costs no more than twice as much.
 */
#include "http/http_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* clang-format off */
const uint8_t http_classes[256] = { /* bytes from 0x80 on: none */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 7, 0, 1, 7, 7, 7, 7, 6, 6, 7, 7, 6, 15, 15, 6,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 6, 6, 0, 6, 0, 4,
    6, 31, 31, 31, 31, 31, 31, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 4, 0, 4, 5, 15,
    1, 31, 31, 31, 31, 31, 31, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 4, 5, 4, 15, 0,
};
/* clang-format on */

size_t http_class_end(struct span s, enum http_class class)
{
    size_t i = 0;
    while (i < s.len && http_is(s.at[i], class)) {
        i++;
    }
    return i;
}

size_t http_text_end(const uint8_t *at, size_t from, size_t len)
{
    size_t i = from;
#ifdef __SSE2__
    const __m128i controls = _mm_set1_epi8(0x1f);
    const __m128i tab = _mm_set1_epi8('\t');
    const __m128i del = _mm_set1_epi8(0x7f);
    for (; len - i >= 16; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(at + i));
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, controls), v);
        __m128i bad =
            _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(v, tab), low), _mm_cmpeq_epi8(v, del));
        int mask = _mm_movemask_epi8(bad);
        if (mask != 0) {
            return i + (size_t)__builtin_ctz((unsigned)mask);
        }
    }
#endif
    while (i < len && ((at[i] >= 0x20 && at[i] != 0x7f) || at[i] == '\t')) {
        i++;
    }
    return i;
}

enum line {
    LINE_FIELD,   /* a field was added */
    LINE_LAST,    /* the empty line that ends a head */
    LINE_CUT,     /* not all of it is there, as far as one can see */
    LINE_BAD,     /* not a field */
    LINE_TOO_MANY /* more fields than there is room for */
};

static void add(struct http_fields *f, struct http_field row)
{
    uint64_t bit = HTTP_NAME_BIT(row.id);
    f->repeated |= f->seen & bit;
    f->seen |= bit;
    f->rows[f->count++] = row;
}

/* Where the colon behind the name at `from` is, if it is near; else where the name ends. */
static uint32_t name_end(const uint8_t *b, uint32_t from, uint32_t len)
{
#ifdef __SSE2__
    const __m128i colon = _mm_set1_epi8(':');
    for (uint32_t i = from; i < from + 32 && len - i >= 16; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(b + i));
        int hits = _mm_movemask_epi8(_mm_cmpeq_epi8(v, colon));
        if (hits != 0) {
            return i + (uint32_t)__builtin_ctz((unsigned)hits);
        }
    }
#endif
    return from + (uint32_t)http_class_end((struct span){b + from, len - from}, HTTP_IS_TOKEN);
}

/* The empty line that ends a head, whose CR is at `at`. */
static enum line last_line(const uint8_t *b, uint32_t at, uint32_t len, uint32_t *next)
{
    if (at + 1 >= len) {
        return LINE_CUT;
    }
    *next = at + 2;
    return b[at + 1] == '\n' ? LINE_LAST : LINE_BAD;
}

/* Reads the value behind `name` and its colon, and adds the field. */
static enum line value_read(struct http_fields *f, struct span name, enum http_name id,
                            uint32_t len, uint32_t *next)
{
    const uint8_t *b = f->base;
    uint32_t from = (uint32_t)(name.at - b);
    uint32_t i = from + (uint32_t)name.len + 1;
    while (i < len && (b[i] == ' ' || b[i] == '\t')) {
        i++;
    }
    uint32_t value_at = i;
    i = (uint32_t)http_text_end(b, i, len);
    if (i + 1 >= len) {
        return LINE_CUT;
    }
    if (b[i] != '\r' || b[i + 1] != '\n') {
        return LINE_BAD;
    }
    if (f->count >= f->max || name.len > HTTP_FIELD_NAME_MAX) {
        return LINE_TOO_MANY;
    }
    *next = i + 2;
    while (i > value_at && (b[i - 1] == ' ' || b[i - 1] == '\t')) {
        i--;
    }
    add(f, (struct http_field){from, value_at, i - value_at, (uint16_t)name.len, (uint8_t)id});
    return LINE_FIELD;
}

/* Reads the line at `from` of the `len` bytes at f->base; `*next` is where the next one starts. */
static enum line line_read(struct http_fields *f, uint32_t from, uint32_t len, uint32_t *next)
{
    const uint8_t *b = f->base;
    if (from < len && b[from] == '\r') {
        return last_line(b, from, len, next);
    }
    uint32_t end = name_end(b, from, len);
    if (end >= len) {
        return LINE_CUT;
    }
    struct span name = {b + from, end - from};
    enum http_name id = http_name_find(name);
    /* What is known of the name is made of token characters; the rest is looked at. */
    struct span rest = span_cut(name, http_name_text(id).len, name.len);
    if (name.len == 0 || b[end] != ':' || http_class_end(rest, HTTP_IS_TOKEN) != rest.len) {
        return LINE_BAD;
    }
    return value_read(f, name, id, len, next);
}

bool http_line_is_whole(const uint8_t *base, struct http_progress *p, uint32_t len, uint32_t *lf)
{
    const uint8_t *hit =
        len > p->scanned ? memchr(base + p->scanned, '\n', len - p->scanned) : NULL;
    if (hit == NULL) {
        p->scanned = len;
        return false;
    }
    *lf = (uint32_t)(hit - base);
    return true;
}

enum err http_fields_read(struct http_fields *f, struct http_progress *p, uint32_t len, bool *last)
{
    uint32_t lf;
    *last = false;
    while (p->line < len) {
        bool resumed = p->scanned > p->line;
        if (resumed && !http_line_is_whole(f->base, p, len, &lf)) {
            return ERR_OK;
        }
        uint32_t next;
        enum line got = line_read(f, p->line, len, &next);
        if (got == LINE_FIELD || got == LINE_LAST) {
            p->line = p->scanned = next;
            if (got == LINE_LAST) {
                *last = true;
                return ERR_OK;
            }
            continue;
        }
        if (!resumed && !http_line_is_whole(f->base, p, len, &lf)) {
            return ERR_OK; /* judged when it is whole */
        }
        return got == LINE_TOO_MANY ? ERR_HTTP_HEAD_LARGE : ERR_HTTP_SYNTAX;
    }
    return ERR_OK;
}

struct span http_fields_find(const struct http_fields *f, enum http_name id)
{
    if (http_fields_has(f, id)) {
        for (uint32_t i = 0; i < f->count; i++) {
            if (f->rows[i].id == id) {
                return http_field_value(f, i);
            }
        }
    }
    return (struct span){NULL, 0};
}

struct span http_fields_find_other(const struct http_fields *f, struct span name)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (span_equal_nocase(http_field_name(f, i), name)) {
            return http_field_value(f, i);
        }
    }
    return (struct span){NULL, 0};
}

/* Whether the comma-separated `list` has the member `token`. */
static bool list_has(struct span list, struct span token)
{
    for (size_t at = 0; at < list.len;) {
        size_t comma = span_find(list, ',', at);
        if (span_equal_nocase(span_trim(span_cut(list, at, comma - at)), token)) {
            return true;
        }
        at = comma + 1;
    }
    return false;
}

bool http_fields_list_has(const struct http_fields *f, enum http_name id, struct span token)
{
    if (!http_fields_has(f, id)) {
        return false;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->rows[i].id == id && list_has(http_field_value(f, i), token)) {
            return true;
        }
    }
    return false;
}

bool http_field_may_pass(const struct http_fields *f, uint32_t i)
{
    CHECK(i < f->count);
    return !http_name_is_hop((enum http_name)f->rows[i].id) &&
           !http_fields_list_has(f, HTTP_NAME_CONNECTION, http_field_name(f, i));
}

bool http_fields_keep_alive(const struct http_fields *f, unsigned minor)
{
    if (minor == 0) {
        return http_fields_list_has(f, HTTP_NAME_CONNECTION, SPAN("keep-alive")) &&
               !http_fields_list_has(f, HTTP_NAME_CONNECTION, SPAN("close"));
    }
    return !http_fields_list_has(f, HTTP_NAME_CONNECTION, SPAN("close"));
}

bool http_fields_coded(const struct http_fields *f)
{
    for (uint32_t i = 0; http_fields_has(f, HTTP_NAME_CONTENT_ENCODING) && i < f->count; i++) {
        if (f->rows[i].id == HTTP_NAME_CONTENT_ENCODING &&
            !span_equal_nocase(http_field_value(f, i), SPAN("identity"))) {
            return true;
        }
    }
    return false;
}

/* `value` is a Transfer-Encoding other than plain "chunked": which error that is. */
static enum err coding_error(struct span value)
{
    size_t last = value.len;
    while (last > 0 && value.at[last - 1] != ',') {
        last--;
    }
    struct span before = span_cut(value, 0, last);
    bool ends_well =
        span_equal_nocase(span_trim(span_cut(value, last, value.len)), SPAN("chunked"));
    return ends_well && !list_has(before, SPAN("chunked")) ? ERR_HTTP_TRANSFER_CODING
                                                           : ERR_HTTP_FRAMING;
}

/* Whether the blanks around the value of the one field `id` are spaces: a tab is allowed (RFC 9110
 * 5.6.3), but parsers in use take it for a part of the value. */
static bool stands_plain(const struct http_fields *f, enum http_name id)
{
    struct span value = http_fields_find(f, id);
    const uint8_t *at = value.at;
    while (at[-1] == ' ') {
        at--;
    }
    const uint8_t *end = value.at + value.len;
    while (*end == ' ') {
        end++;
    }
    return at[-1] != '\t' && *end != '\t';
}

enum err http_fields_body(const struct http_fields *f, unsigned minor, struct http_body *out)
{
    bool chunked = http_fields_has(f, HTTP_NAME_TRANSFER_ENCODING);
    bool length = http_fields_has(f, HTTP_NAME_CONTENT_LENGTH);
    if ((f->repeated & (HTTP_NAME_BIT(HTTP_NAME_TRANSFER_ENCODING) |
                        HTTP_NAME_BIT(HTTP_NAME_CONTENT_LENGTH))) != 0 ||
        (chunked && (length || minor == 0)) ||
        (chunked && !stands_plain(f, HTTP_NAME_TRANSFER_ENCODING)) ||
        (length && !stands_plain(f, HTTP_NAME_CONTENT_LENGTH))) {
        return ERR_HTTP_FRAMING;
    }
    struct http_body body = {HTTP_BODY_NONE, 0};
    if (chunked) {
        struct span coding = http_fields_find(f, HTTP_NAME_TRANSFER_ENCODING);
        if (!span_equal_nocase(coding, SPAN("chunked"))) {
            return coding_error(coding);
        }
        body.kind = HTTP_BODY_CHUNKED;
    } else if (length) {
        struct span digits = http_fields_find(f, HTTP_NAME_CONTENT_LENGTH);
        if (digits.len > 19 || !span_to_u64(digits, INT64_MAX, &body.length)) {
            return ERR_HTTP_FRAMING;
        }
        body.kind = HTTP_BODY_LENGTH;
    }
    *out = body;
    return ERR_OK;
}

/* "[" hexadecimal digits, colons and dots "]": whether it is an address is for who dials it. */
static size_t ip_literal_len(struct span s)
{
    size_t i = 1;
    while (i < s.len && (http_is(s.at[i], HTTP_IS_HEX) || s.at[i] == ':' || s.at[i] == '.')) {
        i++;
    }
    return i < s.len && i > 2 && s.at[i] == ']' ? i + 1 : 0;
}

bool http_is_authority(struct span s)
{
    size_t host = s.len > 0 && s.at[0] == '[' ? ip_literal_len(s) : http_class_end(s, HTTP_IS_HOST);
    if (host == 0) {
        return false;
    }
    if (host == s.len) {
        return true;
    }
    uint64_t port;
    return s.at[host] == ':' && span_to_u64(span_cut(s, host + 1, s.len), 65535, &port);
}
