/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of a fixed length: national ones. */
#include "guard/guard_bytes.h"
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

/* Other digits are before it, and it is no list of numbers. */
static bool is_behind_few(const struct guard_numbers *n)
{
    const struct guard_number *d = &n->number;
    size_t from = guard_before(n->window, d->place), count = 0;
    for (size_t at = d->start - 1; count < LONG_GROUP && at > from; at--, count++) {
        if (!guard_is_digit(n->window->text.at[at - 1])) {
            break;
        }
    }
    return count < LONG_GROUP;
}

/* A number as it was found. */
struct find {
    const struct row *row;
    enum guard_check check;
    size_t groups;
    enum guard_edge before, behind;
};

/* Whether it may be a part of a list, or of something else: without a checksum that is too much. */
static bool is_unsure(const struct find *f)
{
    bool is_sure = f->check == GUARD_CHECK_YES || f->row->type == GUARD_EMIRATES_ID;
    bool is_alone = f->before == GUARD_EDGE_FREE && f->behind == GUARD_EDGE_FREE;
    return !is_sure && (f->groups > 1 || !is_alone);
}

/* Whether it is written as such a number seldom is. */
static bool is_odd(const struct guard_numbers *n, const struct find *f)
{
    bool is_grouped = f->row->type == GUARD_EMIRATES_ID || f->row->type == GUARD_EGYPT_ID;
    return (f->groups > 1 && !is_grouped) || (f->before == GUARD_EDGE_GROUP && is_behind_few(n));
}

static unsigned confidence(struct guard_numbers *n, const struct find *f)
{
    const struct row *row = f->row;
    size_t distance, start = n->number.start;
    uint32_t hint = guard_hint_before(&n->hints, start, row->hints | row->contrary, &distance);
    if (is_unsure(f)) {
        return row->denied;
    }
    if ((hint & row->hints) != 0) {
        return row->keyed;
    }
    bool is_joined = f->before == GUARD_EDGE_JOINED || f->behind == GUARD_EDGE_JOINED;
    bool is_denied = hint != 0 && guard_hint_denies(n->window, start, distance);
    return is_joined || is_denied || is_odd(n, f) ? row->denied : row->bare;
}

static void ask(struct guard_numbers *n, const struct row *row, size_t groups)
{
    const struct guard_number *d = &n->number;
    struct find f = {.row = row,
                     .groups = groups,
                     .before = guard_edge_before(n->window, d, d->start),
                     .behind = guard_edge_behind(n->window, d, groups)};
    if (f.before == GUARD_EDGE_INSIDE || f.behind == GUARD_EDGE_INSIDE ||
        !is_written_so(d, groups, row->type)) {
        return;
    }
    f.check = row->check(d->digits);
    unsigned percent = f.check == GUARD_CHECK_NO ? 0 : confidence(n, &f);
    if (percent > 0) {
        guard_sink_add(n->sink, d->start, d->group[groups - 1].end, row->type, percent,
                       f.check == GUARD_CHECK_YES);
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
