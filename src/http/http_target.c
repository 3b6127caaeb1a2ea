/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_target.h"

#include "http/http_internal.h"

struct span http_target_below(struct span path, struct span prefix)
{
    if (path.len <= prefix.len || !span_starts(path, prefix)) {
        return (struct span){NULL, 0};
    }
    return span_cut(path, prefix.len, path.len);
}

static unsigned hex_value(uint8_t byte)
{
    return byte <= '9' ? (unsigned)(byte - '0') : (unsigned)((byte | 0x20) - 'a' + 10);
}

/* Decodes all of `raw`; false for a bad escape or a control byte. */
static bool decode(struct span raw, bool plus_is_blank, uint8_t *out, size_t *len)
{
    size_t to = 0;
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t byte = raw.at[i];
        if (byte == '%') {
            if (raw.len - i < 3 || !http_is(raw.at[i + 1], HTTP_IS_HEX) ||
                !http_is(raw.at[i + 2], HTTP_IS_HEX)) {
                return false;
            }
            byte = (uint8_t)(hex_value(raw.at[i + 1]) << 4 | hex_value(raw.at[i + 2]));
            i += 2;
        } else if (byte == '+' && plus_is_blank) {
            byte = ' ';
        }
        if (byte < 0x20 || byte == 0x7f) {
            return false;
        }
        out[to++] = byte;
    }
    *len = to;
    return true;
}

/* Whether no segment is empty, "." or "..". */
static bool segments_are_names(struct span path)
{
    for (size_t at = 0; at <= path.len;) {
        size_t slash = span_find(path, '/', at);
        struct span segment = span_cut(path, at, slash - at);
        if (segment.len == 0 || span_is(segment, ".") || span_is(segment, "..")) {
            return false;
        }
        at = slash + 1;
    }
    return true;
}

enum err http_target_decode(struct span raw, uint8_t *out, struct span *name)
{
    size_t len;
    if (!decode(raw, false, out, &len) || !segments_are_names((struct span){out, len})) {
        return ERR_VALUE_INVALID;
    }
    *name = (struct span){out, len};
    return ERR_OK;
}

bool http_target_param(struct span query, struct span name, struct span *raw)
{
    for (size_t at = 0; at < query.len;) {
        size_t end = span_find(query, '&', at);
        struct span pair = span_cut(query, at, end - at);
        size_t equals = span_find(pair, '=', 0);
        if (span_equal(span_cut(pair, 0, equals), name)) {
            *raw = span_cut(pair, equals + 1, pair.len);
            return true;
        }
        at = end + 1;
    }
    return false;
}

enum err http_target_decode_param(struct span raw, uint8_t *out, struct span *value)
{
    size_t len;
    if (!decode(raw, true, out, &len)) {
        return ERR_VALUE_INVALID;
    }
    *value = (struct span){out, len};
    return ERR_OK;
}
