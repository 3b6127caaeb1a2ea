/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of a fixed length: national ones. */
#include "guard/guard_number_checks.h"
#include "guard/guard_numbers.h"

#define LONG_GROUP  7 /* digits of what may be a number of its own, not a part of this one */
#define GAPS_FREELY 4 /* so many groups of a number are nothing odd */

struct row {
    unsigned type;
    size_t digits;
    enum guard_check (*check)(const uint8_t *digits);
    uint8_t bare, keyed, denied; /* percent */
    uint32_t hints, contrary;
};

static const struct row rows[] = {
#define GUARD_NUMBER(type, digits, check, bare, keyed, denied, hints, contrary) \
    {GUARD_##type, digits, guard_check_##check, bare, keyed, denied, hints, contrary},
#include "guard/guard_numbers.def"
#undef GUARD_NUMBER
};

/* How many digits one may have: a bit each. */
#define GUARD_NUMBER(type, digits, check, bare, keyed, denied, hints, contrary) \
    UINT64_C(1) << digits |
static const uint64_t lengths =
#include "guard/guard_numbers.def"
    0;
#undef GUARD_NUMBER

/* Blanks and dashes between its groups, few of them or between all digits. */
static bool is_written_so(const struct guard_number *n, size_t groups, unsigned type)
{
    if (groups == 1) {
        return true;
    }
    if (!guard_gaps_are(n, groups, GUARD_GAP_BLANK) && !guard_gaps_are(n, groups, GUARD_GAP_DASH)) {
        return false;
    }
    return groups <= GAPS_FREELY || n->group[groups - 1].digits == groups ||
           type == GUARD_EMIRATES_ID;
}

/* Other digits are beside it, and it is no list of numbers. */
static bool is_beside_few(struct guard_numbers *n, size_t groups)
{
    const struct guard_number *d = &n->number;
    size_t before = 0;
    for (size_t at = d->start - 1;
         before < LONG_GROUP && at > guard_before(n->window, d->place) &&
         n->window->text.at[at - 1] >= '0' && n->window->text.at[at - 1] <= '9';
         at--) {
        before++;
    }
    (void)groups;
    return before < LONG_GROUP;
}

static unsigned confidence(struct guard_numbers *n, const struct row *row, enum guard_check check,
                           size_t groups, enum guard_edge before, enum guard_edge behind)
{
    size_t distance;
    uint32_t hint =
        guard_hint_before(&n->hints, n->number.start, row->hints | row->contrary, &distance);
    bool is_sure = check == GUARD_CHECK_YES || row->type == GUARD_EMIRATES_ID;
    if (!is_sure && (groups > 1 || before != GUARD_EDGE_FREE || behind != GUARD_EDGE_FREE)) {
        return row->denied; /* a part of a list, or of something else */
    }
    if ((hint & row->hints) != 0) {
        return row->keyed;
    }
    if ((hint != 0 && guard_hint_denies(n->window, n->number.start, distance)) ||
        before == GUARD_EDGE_JOINED || behind == GUARD_EDGE_JOINED) {
        return row->denied;
    }
    bool is_odd = groups > 1 && row->type != GUARD_EMIRATES_ID && row->type != GUARD_EGYPT_ID;
    if (is_odd || (before == GUARD_EDGE_GROUP && is_beside_few(n, groups))) {
        return row->denied;
    }
    return row->bare;
}

static void ask(struct guard_numbers *n, const struct row *row, size_t groups)
{
    const struct guard_number *d = &n->number;
    enum guard_edge before = guard_edge_before(n->window, d, d->start);
    enum guard_edge behind = guard_edge_behind(n->window, d, groups);
    if (before == GUARD_EDGE_INSIDE || behind == GUARD_EDGE_INSIDE ||
        !is_written_so(d, groups, row->type)) {
        return;
    }
    enum guard_check check = row->check(d->digits);
    if (check == GUARD_CHECK_NO) {
        return;
    }
    unsigned percent = confidence(n, row, check, groups, before, behind);
    if (percent > 0) {
        guard_sink_add(n->sink, d->start, d->group[groups - 1].end, row->type, percent,
                       check == GUARD_CHECK_YES);
    }
}

void guard_find_ids(struct guard_numbers *n)
{
    for (size_t g = 0; g < n->number.groups; g++) {
        size_t digits = n->number.group[g].digits;
        if ((lengths >> digits & 1) == 0) {
            continue;
        }
        for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
            if (rows[r].digits == digits && guard_wants(n, rows[r].type)) {
                ask(n, &rows[r], g + 1);
            }
        }
    }
}
