/* SPDX-License-Identifier: Apache-2.0 */
/* Dates of birth: a date behind a word that says so. In digits, or with a month's name, of either
 * calendar. */
#include "guard/guard_numbers.h"

#include "guard/guard_bytes.h"

#define NEAR        64 /* bytes to the word */
#define KEYED       92
#define KEYED_SHORT 75 /* a year of two digits */
#define YEAR_FIRST  1900
#define YEAR_LAST   2035
#define HIJRI_FIRST 1300
#define HIJRI_LAST  1460
#define YEAR_DIGITS 4
#define GAP_MAX     3  /* signs between the parts: ", " */
#define MONTH_MAX   32 /* bytes */
#define DATE_GROUPS 3
#define DAYS_MAX    31
#define TEN         10

static const struct span months[] = {
#define GUARD_MONTH(name) {(const uint8_t *)(name), sizeof(name) - 1},
#include "guard/guard_months.def"
#undef GUARD_MONTH
};

static bool is_year(uint64_t year)
{
    return (year >= YEAR_FIRST && year <= YEAR_LAST) || (year >= HIJRI_FIRST && year <= HIJRI_LAST);
}

/* A day and a month in either order. */
static bool is_day_of(uint64_t a, uint64_t b)
{
    return guard_is_day(b, a) || guard_is_day(a, b);
}

/* 0: the word before is another one. */
static bool is_birth(struct guard_numbers *n, size_t at)
{
    size_t distance;
    uint32_t hint = guard_hint_before(&n->hints, at, HINT_BIT(BIRTH) | HINT_BIT(EVENT), &distance);
    return (hint & HINT_BIT(BIRTH)) != 0 && distance <= NEAR &&
           !guard_hint_is_parted(n->window, at, distance);
}

/* ---- in digits ---- */

static uint64_t part(const struct guard_number *n, size_t group)
{
    size_t size = guard_group_size(n, group);
    return guard_value(n->digits + n->group[group].digits - size, size);
}

/* The confidence that the first three groups are a date; 0: they are none. */
static unsigned date_percent(const struct guard_number *n)
{
    size_t sizes[DATE_GROUPS];
    if (n->groups < DATE_GROUPS || n->group[0].gap != n->group[1].gap) {
        return 0;
    }
    for (size_t g = 0; g < DATE_GROUPS; g++) {
        sizes[g] = guard_group_size(n, g);
    }
    if (sizes[0] == YEAR_DIGITS && sizes[1] <= 2 && sizes[2] <= 2) {
        return is_year(part(n, 0)) && is_day_of(part(n, 1), part(n, 2)) ? KEYED : 0;
    }
    if (sizes[0] > 2 || sizes[1] > 2 || !is_day_of(part(n, 0), part(n, 1))) {
        return 0;
    }
    return sizes[2] == YEAR_DIGITS ? (is_year(part(n, 2)) ? KEYED : 0)
           : sizes[2] == 2         ? KEYED_SHORT
                                   : 0;
}

static void find_in_digits(struct guard_numbers *n)
{
    const struct guard_number *d = &n->number;
    unsigned percent = date_percent(d);
    if (percent == 0 || guard_edge_before(n->window, d, d->start) == GUARD_EDGE_INSIDE ||
        guard_edge_behind(n->window, d, DATE_GROUPS) == GUARD_EDGE_INSIDE ||
        !is_birth(n, d->start)) {
        return;
    }
    guard_sink_add(n->sink, d->start, d->group[DATE_GROUPS - 1].end, GUARD_DATE_OF_BIRTH, percent,
                   false);
}

/* ---- with a month's name ---- */

/* What is read of a window, up to `to`. */
struct reader {
    struct span text;
    size_t at, to;
    bool is_short; /* more would have been read, if there were more */
};

static bool is_at_end(struct reader *r)
{
    r->is_short = r->is_short || r->at == r->to;
    return r->at == r->to;
}

static void skip_gap(struct reader *r)
{
    for (size_t i = 0; i < GAP_MAX && !is_at_end(r); i++) {
        uint8_t c = r->text.at[r->at];
        if (c != ' ' && c != '-' && c != ',' && c != '.' && c != '/' && c != '\'') {
            return;
        }
        r->at++;
    }
}

/* Takes `word`, small letters, in any case. */
static bool take(struct reader *r, struct span word)
{
    for (size_t i = 0; i < word.len; i++) {
        if (r->at + i == r->to) {
            r->is_short = true;
            return false;
        }
        if (guard_lower(r->text.at[r->at + i]) != word.at[i]) {
            return false;
        }
    }
    r->at += word.len;
    return true;
}

static void take_ordinal(struct reader *r)
{
    (void)(take(r, SPAN("st")) || take(r, SPAN("nd")) || take(r, SPAN("rd")) ||
           take(r, SPAN("th"))); /* or none */
}

/* Whether a month's name may begin so. */
static bool may_begin(uint8_t c)
{
    return c == 0xD8 || c == 0xD9 ||
           (guard_is_letter(c) && strchr("jfmasond", guard_lower(c)) != NULL);
}

static bool take_month(struct reader *r)
{
    if (is_at_end(r) || !may_begin(r->text.at[r->at])) {
        return false;
    }
    uint8_t first = guard_lower(r->text.at[r->at]);
    uint8_t second = r->at + 1 < r->to ? guard_lower(r->text.at[r->at + 1]) : 0;
    for (size_t i = 0; i < sizeof(months) / sizeof(months[0]); i++) {
        bool may_be = months[i].at[0] == first && (second == 0 || months[i].at[1] == second);
        if (may_be && take(r, months[i])) {
            return is_at_end(r) || !guard_is_letter(r->text.at[r->at]);
        }
    }
    return false;
}

/* A number of at most `digits`; returns how many there were. */
static size_t take_number(struct reader *r, size_t digits, uint64_t *out)
{
    size_t count = 0;
    for (*out = 0; !is_at_end(r) && guard_is_digit(r->text.at[r->at]); count++, r->at++) {
        if (count == digits) {
            return 0;
        }
        *out = *out * TEN + (r->text.at[r->at] - '0');
    }
    return count;
}

static bool take_year(struct reader *r)
{
    uint64_t year;
    skip_gap(r);
    return take_number(r, YEAR_DIGITS, &year) == YEAR_DIGITS && is_year(year) &&
           (is_at_end(r) || !guard_is_letter(r->text.at[r->at]));
}

/* Adds what was read from `start` on, or waits if it was cut. */
static void settle(struct guard_numbers *n, const struct reader *r, size_t start, bool is_date)
{
    const struct guard_window *w = n->window;
    if (r->is_short && r->to == w->text.len && guard_is_open(w, start)) {
        guard_sink_wait(n->sink, start > w->from ? start : w->from);
    } else if (is_date) {
        guard_sink_add(n->sink, start, r->at, GUARD_DATE_OF_BIRTH, KEYED, false);
    }
}

/* 12th of March 1990 */
static void find_day_first(struct guard_numbers *n)
{
    const struct guard_number *d = &n->number;
    if (guard_group_size(d, 0) > 2 || guard_value(d->digits, d->group[0].digits) > DAYS_MAX) {
        return;
    }
    struct reader r = {.text = n->window->text, .at = d->group[0].end, .to = d->behind};
    take_ordinal(&r);
    skip_gap(&r);
    if (take(&r, SPAN("of")) || take(&r, SPAN("من"))) {
        skip_gap(&r);
    }
    bool is_date = take_month(&r) && take_year(&r);
    if ((is_date || r.is_short) && is_birth(n, d->start) &&
        guard_edge_before(n->window, d, d->start) != GUARD_EDGE_INSIDE) {
        settle(n, &r, d->start, is_date);
    }
}

static bool is_gap(uint8_t c)
{
    return c == ' ' || c == '.' || c == '-' || c == ',';
}

static bool is_word(uint8_t c)
{
    return guard_is_letter(c) || guard_is_wide(c);
}

/* Whether a blank or the like and a word stand before. */
static bool is_behind_word(const struct guard_window *w, size_t at)
{
    size_t from = guard_before(w, at), end = at;
    while (end > from && at - end < GAP_MAX && is_gap(w->text.at[end - 1])) {
        end--;
    }
    return end < at && end > from && is_word(w->text.at[end - 1]);
}

/* Where a month's name begins that ends before the gap before `at`; SIZE_MAX: there is none. */
static size_t month_before(const struct guard_window *w, size_t at)
{
    size_t from = guard_before(w, at), end = at;
    while (end > from && at - end < GAP_MAX && is_gap(w->text.at[end - 1])) {
        end--;
    }
    from = end > MONTH_MAX && end - MONTH_MAX > from ? end - MONTH_MAX : from;
    for (size_t start = end; start > from; start--) {
        struct reader r = {.text = w->text, .at = start - 1, .to = end};
        bool is_start = start - 1 == from || !is_word(w->text.at[start - 2]);
        if (is_start && take_month(&r) && r.at == end) {
            return start - 1;
        }
    }
    return SIZE_MAX;
}

/* March 12, 1990 */
static void find_month_first(struct guard_numbers *n)
{
    const struct guard_number *d = &n->number;
    uint64_t day;
    if (guard_group_size(d, 0) > 2 || !is_behind_word(n->window, d->start)) {
        return;
    }
    size_t start = month_before(n->window, d->start);
    if (start == SIZE_MAX || !is_birth(n, d->start)) {
        return;
    }
    struct reader r = {
        .text = n->window->text, .at = d->start, .to = guard_behind(n->window, start)};
    bool is_date = take_number(&r, 2, &day) > 0 && day <= DAYS_MAX;
    take_ordinal(&r);
    is_date = is_date && take_year(&r);
    settle(n, &r, start, is_date);
}

void guard_find_births(struct guard_numbers *n)
{
    if (n->number.groups == 0) {
        return;
    }
    find_in_digits(n);
    find_day_first(n);
    find_month_first(n);
}

/* Whether a month's name, or the beginning of one, is all that stands from `at` on. */
static bool may_be_month(const struct guard_window *w, size_t at)
{
    struct reader r = {.text = w->text, .at = at, .to = w->text.len};
    bool is_month = take_month(&r);
    if (is_month) {
        skip_gap(&r);
    }
    return r.at == r.to || (!is_month && r.is_short);
}

void guard_wait_for_births(struct guard_numbers *n)
{
    const struct guard_window *w = n->window;
    size_t first = w->text.len;
    for (size_t at = first; at > w->from && w->text.len - at < MONTH_MAX; at--) {
        uint8_t c = w->text.at[at - 1];
        bool is_start = at - 1 == w->from || !is_word(w->text.at[at - 2]);
        if (guard_is_digit(c)) {
            break;
        }
        if (is_start && may_begin(c) && may_be_month(w, at - 1)) {
            first = at - 1;
        }
    }
    if (first < w->text.len && is_birth(n, w->text.len)) {
        guard_sink_wait(n->sink, first);
    }
}
