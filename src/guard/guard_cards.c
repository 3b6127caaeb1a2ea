/* SPDX-License-Identifier: Apache-2.0 */
/* Payment cards: who issued them, Luhn, and digits in groups as on the card. */
#include "guard/guard_numbers.h"

#define SHORTEST       12
#define LONGEST        19
#define USUAL_SHORTEST 14
#define KEYED          99
#define KEYED_ODDLY    90 /* in groups as no card has them */
#define BARE_ODDLY     45
#define DENIED_GROUPED 85 /* what stands in fours is a card whatever it is called */
#define DENIED         40
#define FOURS          4

struct row {
    uint32_t first, last;
    uint8_t digits, shortest, longest, bare;
};

static const struct row rows[] = {
#define GUARD_CARD(first, last, digits, shortest, longest, bare) \
    {first, last, digits, shortest, longest, bare},
#include "guard/guard_cards.def"
#undef GUARD_CARD
};

/* NULL: nobody issues such cards. */
static const struct row *issuer(const uint8_t *digits, size_t count)
{
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        uint64_t first = guard_value(digits, rows[r].digits);
        if (first >= rows[r].first && first <= rows[r].last && count >= rows[r].shortest &&
            count <= rows[r].longest) {
            return &rows[r];
        }
    }
    return NULL;
}

static bool has_sizes(const struct guard_number *n, size_t groups, const uint8_t *sizes, size_t max)
{
    for (size_t g = 0; g < groups; g++) {
        if (g >= max || (guard_group_size(n, g) != sizes[g] && g + 1 < groups)) {
            return false;
        }
    }
    return guard_group_size(n, groups - 1) <= sizes[groups - 1];
}

enum shape { SHAPE_NONE, SHAPE_ODD, SHAPE_PLAIN, SHAPE_GROUPED };

static enum shape shape_of(const struct guard_number *n, size_t groups)
{
    static const uint8_t fours[] = {4, 4, 4, 4, 3}, amex[] = {4, 6, 5};
    if (groups == 1) {
        return SHAPE_PLAIN;
    }
    if (!guard_gaps_are(n, groups, GUARD_GAP_BLANK) && !guard_gaps_are(n, groups, GUARD_GAP_DASH) &&
        !guard_gaps_are(n, groups, GUARD_GAP_DOT)) {
        return SHAPE_NONE;
    }
    if (has_sizes(n, groups, fours, sizeof(fours)) || has_sizes(n, groups, amex, sizeof(amex)) ||
        n->group[groups - 1].digits == groups) {
        return SHAPE_GROUPED;
    }
    return SHAPE_ODD;
}

static unsigned confidence(struct guard_numbers *n, const struct row *row, enum shape shape,
                           bool is_joined)
{
    size_t distance;
    uint32_t hint =
        guard_hint_before(&n->hints, n->number.start, HINT_BIT(CARD) | HINT_BIT(ORDER), &distance);
    if ((hint & HINT_BIT(CARD)) != 0) {
        return shape == SHAPE_ODD ? KEYED_ODDLY : KEYED;
    }
    if ((hint != 0 && guard_hint_denies(n->window, n->number.start, distance)) || is_joined) {
        return shape == SHAPE_GROUPED && !is_joined && row->bare > BARE_ODDLY ? DENIED_GROUPED
                                                                              : DENIED;
    }
    return shape == SHAPE_ODD ? BARE_ODDLY : row->bare;
}

static void ask(struct guard_numbers *n, size_t groups, enum guard_edge before)
{
    const struct guard_number *d = &n->number;
    size_t count = d->group[groups - 1].digits;
    const struct row *row = issuer(d->digits, count);
    enum shape shape = row == NULL ? SHAPE_NONE : shape_of(d, groups);
    enum guard_edge behind = guard_edge_behind(n->window, d, groups);
    bool is_usual = count >= USUAL_SHORTEST || shape != SHAPE_ODD;
    if (shape == SHAPE_NONE || !is_usual || behind == GUARD_EDGE_INSIDE ||
        !guard_luhn(d->digits, count)) {
        return;
    }
    bool is_joined = before == GUARD_EDGE_JOINED || behind == GUARD_EDGE_JOINED;
    guard_sink_add(n->sink, d->start, d->group[groups - 1].end, GUARD_CREDIT_CARD,
                   confidence(n, row, shape, is_joined), true);
}

void guard_find_cards(struct guard_numbers *n)
{
    enum guard_edge before = GUARD_EDGE_INSIDE;
    for (size_t g = 0; g < n->number.groups; g++) {
        size_t digits = n->number.group[g].digits;
        if (digits < SHORTEST || digits > LONGEST) {
            continue;
        }
        if (before == GUARD_EDGE_INSIDE) {
            before = guard_edge_before(n->window, &n->number, n->number.start);
        }
        if (before == GUARD_EDGE_INSIDE) {
            return;
        }
        ask(n, g + 1, before);
    }
}
