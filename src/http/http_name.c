/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash was found by trial: no two rows share a slot. A new row that collides does not compile
 * (two initialisers of one element); then try other factors.
 */
#include "http/http_name.h"

#define SLOTS                          256
#define HASH(len, first, middle, last) (((len)*1u + (first)*2u + (middle)*3u + (last)*12u) % SLOTS)

static const uint8_t slots[SLOTS] = {
#define NAME(id, first, middle, last, text, single, hop) \
    [HASH(sizeof(text) - 1, first, middle, last)] = HTTP_NAME_##id,
#include "http/http_name.def"
#undef NAME
};

static const struct {
    struct span text;
    bool hop;
} rows[HTTP_NAME_COUNT] = {
    [HTTP_NAME_OTHER] = {{(const uint8_t *)"", 0}, false},
    [HTTP_NAME_X_STAINLESS] = {{(const uint8_t *)"x-stainless-", 12}, false},
#define NAME(id, first, middle, last, text, single, hop) \
    [HTTP_NAME_##id] = {{(const uint8_t *)(text), sizeof(text) - 1}, hop},
#include "http/http_name.def"
#undef NAME
};

const uint64_t http_name_singles = 0
#define NAME(id, first, middle, last, text, single, hop) \
    | ((single) ? HTTP_NAME_BIT(HTTP_NAME_##id) : 0)
#include "http/http_name.def"
#undef NAME
    ;

/*
 * Whether the 8 bytes at `a` are those at `text`, which are lower case, but for the case of
 * letters: only bytes with bit 0x40 are letters there, and only their bit 0x20 may differ.
 */
static bool same_8(const uint8_t *a, const uint8_t *text)
{
    uint64_t x, t;
    memcpy(&x, a, sizeof(x));
    memcpy(&t, text, sizeof(t));
    return ((x ^ t) & ~((t & 0x4040404040404040u) >> 1)) == 0;
}

static bool same(struct span name, struct span text)
{
    if (name.len != text.len) {
        return false;
    }
    if (name.len < 8) {
        return span_equal_nocase(name, text);
    }
    for (size_t i = 0; i + 8 < name.len; i += 8) {
        if (!same_8(name.at + i, text.at + i)) {
            return false;
        }
    }
    return same_8(name.at + name.len - 8, text.at + name.len - 8);
}

enum http_name http_name_find(struct span name)
{
    if (name.len == 0) {
        return HTTP_NAME_OTHER;
    }
    /* Setting bit 5 lowers letters and leaves digits and hyphens as they are. */
    unsigned first = name.at[0] | 0x20u;
    unsigned middle = name.at[name.len / 2] | 0x20u;
    unsigned last = name.at[name.len - 1] | 0x20u;
    enum http_name id = (enum http_name)slots[HASH((unsigned)name.len, first, middle, last)];
    if (id != HTTP_NAME_OTHER && same(name, rows[id].text)) {
        return id;
    }
    struct span class = rows[HTTP_NAME_X_STAINLESS].text;
    if (first == 'x' && name.len > class.len && same(span_cut(name, 0, class.len), class)) {
        return HTTP_NAME_X_STAINLESS;
    }
    return HTTP_NAME_OTHER;
}

struct span http_name_text(enum http_name id)
{
    CHECK(id < HTTP_NAME_COUNT);
    return rows[id].text;
}

bool http_name_is_hop(enum http_name id)
{
    CHECK(id < HTTP_NAME_COUNT);
    return rows[id].hop;
}
