/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that nobody sees and a model reads: characters of tags, which spell ASCII, and long rows of
 * ones without width, which spell bits. Single ones are all over Arabic, Persian and emoji.
 */
#include "guard/guard_tripwires_internal.h"

#define TAGS_MIN   8  /* in a row: a flag has six */
#define HIDDEN_MIN 10 /* other ones in a row */
#define RARE       UINT64_C(0xE0E0E0E0E0E0E0E0)
#define EACH       UINT64_C(0x0101010101010101)
#define COUNT_MAX  0x7FFF

/* A run between two pieces: the count, whether of tags, the state. */
enum { COUNT_SHIFT = 16, TAG_BIT = 1 << 15, STATE_MASK = 0xFF };

/* Bytes of a character so far. Those below FIRST_LAST wait for more than one byte. */
enum { NONE, E2, EF, F3, F3_A0, LAST_E2_80, LAST_E2_81, LAST_EF_BB, LAST_TAG, LAST_OTHER };

enum said { ON, PLAIN, HIDDEN, TAG };

/* Which bytes lead from where to where. */
static const struct edge {
    uint8_t from, first, last, to;
} edges[] = {
    {NONE, 0xE2, 0xE2, E2},       {NONE, 0xEF, 0xEF, EF},        {NONE, 0xF3, 0xF3, F3},
    {E2, 0x80, 0x80, LAST_E2_80}, {E2, 0x81, 0x81, LAST_E2_81},  {EF, 0xBB, 0xBB, LAST_EF_BB},
    {F3, 0xA0, 0xA0, F3_A0},      {F3_A0, 0x80, 0x81, LAST_TAG}, {F3_A0, 0x84, 0x87, LAST_OTHER},
};

/* Which last bytes are of a hidden character. */
static const struct last {
    uint8_t from, first, last;
    enum said said;
} lasts[] = {
    {LAST_E2_80, 0x8B, 0x8F, HIDDEN}, {LAST_E2_80, 0xAA, 0xAE, HIDDEN},
    {LAST_E2_81, 0xA0, 0xAF, HIDDEN}, {LAST_EF_BB, 0xBF, 0xBF, HIDDEN},
    {LAST_TAG, 0x80, 0xBF, TAG},      {LAST_OTHER, 0x80, 0xBF, HIDDEN},
};

static enum said step(unsigned *state, uint8_t c)
{
    unsigned was = *state;
    *state = NONE;
    for (size_t i = 0; was >= LAST_E2_80 && i < sizeof(lasts) / sizeof(lasts[0]); i++) {
        if (lasts[i].from == was && c >= lasts[i].first && c <= lasts[i].last) {
            return lasts[i].said;
        }
    }
    for (size_t i = 0; was < LAST_E2_80 && i < sizeof(edges) / sizeof(edges[0]); i++) {
        if (edges[i].from == was && c >= edges[i].first && c <= edges[i].last) {
            *state = edges[i].to;
            return ON;
        }
    }
    return PLAIN;
}

/* Whether one of the eight bytes is 0xE0 or above: others begin no hidden character. */
static bool has_rare(const uint8_t *at)
{
    uint64_t eight;
    memcpy(&eight, at, sizeof(eight));
    eight = (eight & RARE) ^ RARE;
    return ((eight - EACH) & ~eight & (EACH << 7)) != 0;
}

static size_t skip_common(struct span raw, size_t at)
{
    while (at + sizeof(uint64_t) <= raw.len && !has_rare(raw.at + at)) {
        at += sizeof(uint64_t);
    }
    return at;
}

struct row {
    unsigned count, state;
    bool is_tags;
};

/* A character that ends behind `end` was read. */
static void count(struct row *r, enum said said, size_t end, struct guard_tripped *out)
{
    bool is_tag = said == TAG;
    if (said == PLAIN || (r->count > 0 && is_tag != r->is_tags)) {
        r->count = 0;
    }
    if (said == PLAIN) {
        return;
    }
    r->is_tags = is_tag;
    r->count += r->count < COUNT_MAX;
    if (r->count == (is_tag ? TAGS_MIN : HIDDEN_MIN)) { /* told once: alike however it is cut */
        guard_trip_hide(out, is_tag, end - 1, end);
    }
}

void guard_find_hidden(struct span raw, uint32_t *run, struct guard_tripped *out)
{
    struct row r = {
        .count = *run >> COUNT_SHIFT, .state = *run & STATE_MASK, .is_tags = (*run & TAG_BIT) != 0};
    *out = (struct guard_tripped){.weight = 0};
    for (size_t i = 0; i < raw.len; i++) {
        i = r.count == 0 && r.state == NONE ? skip_common(raw, i) : i;
        if (i == raw.len) {
            break;
        }
        enum said said = step(&r.state, raw.at[i]);
        if (said != ON) {
            count(&r, said, i + 1, out);
        }
    }
    *run = r.count << COUNT_SHIFT | (r.is_tags ? TAG_BIT : 0) | r.state;
}
