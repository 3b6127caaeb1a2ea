/* SPDX-License-Identifier: Apache-2.0 */
/* Telephone numbers: with a plus or "00" of any country; else as they are written inside of one,
 * and with a word before them that says so, in any form. */
#include "guard/guard_numbers.h"

#include <pthread.h>

#include "guard/guard_bytes.h"

#define HINTS_ASKED                                                                          \
    (HINT_BIT(PHONE) | HINT_BIT(ORDER) | HINT_BIT(ID) | HINT_BIT(BAHRAIN) | HINT_BIT(OMAN) | \
     HINT_BIT(CARD) | HINT_BIT(BANK) | HINT_BIT(PASSPORT))
#define COUNTRY_MAX    3 /* digits */
#define CODES          1000
#define ABROAD         95
#define ABROAD_KEYED   98
#define ABROAD_DENIED  80
#define ABROAD_JOINED  40
#define DENIED         30
#define GROUPED        15 /* more, written in the usual groups */
#define NORTH_AMERICA  65 /* 212-555-0123 */
#define ANY_KEYED      75
#define ANY_BARE       25
#define LOCAL_SHORTEST 9
#define LOCAL_LONGEST  13
#define LOCAL_SHORTEST 9
#define LOCAL_LONGEST  13
#define ANY_SHORTEST   7
#define ANY_LONGEST    13
#define ANY_GROUPS     5
#define ANY_NEAR       40 /* bytes to the word */
#define GULF_DIGITS    8
#define TRUNK          0 /* the digit before a number inside its country */

struct country {
    uint16_t code;
    uint8_t shortest, longest;
    const char *firsts;
};

static const struct country countries[] = {
#define GUARD_PHONE(country, shortest, longest, firsts) {country, shortest, longest, firsts},
#include "guard/guard_phones.def"
#undef GUARD_PHONE
};

struct local {
    const char *prefix;
    uint8_t digits, bare, keyed;
};

static const struct local locals[] = {
#define GUARD_PHONE_LOCAL(prefix, digits, bare, keyed) {prefix, digits, bare, keyed},
#include "guard/guard_phones.def"
#undef GUARD_PHONE_LOCAL
};

static bool fits(const struct country *c, const uint8_t *national, size_t count)
{
    return count >= c->shortest && count <= c->longest &&
           (c->firsts[0] == '\0' || strchr(c->firsts, '0' + national[0]) != NULL);
}

/* By a country's code its row + 1. */
static uint8_t rows_by_code[CODES];
static pthread_once_t indexed = PTHREAD_ONCE_INIT;

static void index_countries(void)
{
    for (size_t i = 0; i < sizeof(countries) / sizeof(countries[0]); i++) {
        rows_by_code[countries[i].code] = (uint8_t)(i + 1);
    }
}

/* Whether these are a country's code and a number of it, which may have a "(0)" too many. */
static bool is_abroad(const uint8_t *digits, size_t count)
{
    (void)pthread_once(&indexed, index_countries); /* it cannot fail */
    for (size_t len = 1; len <= COUNTRY_MAX && len + 1 < count; len++) {
        uint8_t row = rows_by_code[guard_value(digits, len)];
        if (row > 0) {
            const uint8_t *national = digits + len;
            const struct country *c = &countries[row - 1];
            return fits(c, national, count - len) ||
                   (national[0] == TRUNK && fits(c, national + 1, count - len - 1));
        }
    }
    return false;
}

static bool has_gap(const struct guard_number *n, size_t groups, enum guard_gap gap)
{
    for (size_t i = 0; i + 1 < groups; i++) {
        if (n->group[i].gap == gap) {
            return true;
        }
    }
    return false;
}

static bool has_bracket(const struct guard_window *w, size_t from, size_t to)
{
    return memchr(w->text.at + from, ')', to - from) != NULL;
}

/* Where the number begins that ends at `end`: with its plus, and a bracket that closes in it. */
static size_t start_of(const struct guard_window *w, const struct guard_number *n, size_t end)
{
    size_t at = n->start;
    if (at > n->place && w->text.at[at - 1] == '+') {
        at--;
    }
    if (at > n->place && w->text.at[at - 1] == '(' && has_bracket(w, at, end)) {
        at--;
    }
    return at;
}

static bool is_free(const struct guard_numbers *n, size_t start, size_t groups, bool *is_joined)
{
    enum guard_edge before = guard_edge_before(n->window, &n->number, start);
    enum guard_edge behind = guard_edge_behind(n->window, &n->number, groups);
    *is_joined = before == GUARD_EDGE_JOINED || behind == GUARD_EDGE_JOINED;
    return before != GUARD_EDGE_INSIDE && behind != GUARD_EDGE_INSIDE &&
           !has_gap(&n->number, groups, GUARD_GAP_SLASH);
}

static uint32_t hint_of(struct guard_numbers *n, size_t *distance)
{
    return guard_hint_before(&n->hints, n->number.start, HINTS_ASKED, distance);
}

static bool find_abroad(struct guard_numbers *n, size_t prefix)
{
    const struct guard_number *d = &n->number;
    for (size_t g = d->groups; g > 0; g--) {
        size_t end = d->group[g - 1].end, count = d->group[g - 1].digits, start, distance;
        bool is_joined;
        start = start_of(n->window, d, end);
        if (count <= prefix || !is_abroad(d->digits + prefix, count - prefix) ||
            !is_free(n, start, g, &is_joined)) {
            continue;
        }
        uint32_t hint = hint_of(n, &distance);
        unsigned percent = is_joined                       ? ABROAD_JOINED
                           : (hint & HINT_BIT(PHONE)) != 0 ? ABROAD_KEYED
                           : (hint & HINT_BIT(ORDER)) != 0 ? ABROAD_DENIED
                                                           : ABROAD;
        guard_sink_add(n->sink, start, end, GUARD_PHONE, percent, false);
        return true;
    }
    return false;
}

static bool begins_with(const struct guard_number *n, const char *prefix)
{
    for (size_t i = 0; prefix[i] != '\0'; i++) {
        if (n->digits[i] != prefix[i] - '0') {
            return false;
        }
    }
    return true;
}

static bool is_north_american(const struct guard_number *n, size_t groups)
{
    return groups == 3 && guard_group_size(n, 0) == 3 && guard_group_size(n, 1) == 3 &&
           guard_group_size(n, 2) == 4 && n->digits[0] > 1 && n->digits[3] > 1 &&
           !guard_gaps_are(n, groups, GUARD_GAP_BLANK);
}

/* 12-05-1990, 1990.5.12 */
static bool is_date(const struct guard_number *n, size_t groups)
{
    return groups == 3 && (guard_group_size(n, 0) <= 2 || guard_group_size(n, 1) <= 2) &&
           guard_group_size(n, 1) <= 2 &&
           (guard_group_size(n, 2) == 4 || guard_group_size(n, 2) == 2);
}

/* A number that a word is needed for. */
static unsigned any(const struct guard_number *n, size_t groups, bool is_keyed)
{
    size_t count = n->group[groups - 1].digits;
    bool is_decimal = groups == 2 && n->group[0].gap == GUARD_GAP_DOT;
    if (is_decimal || count < ANY_SHORTEST || count > ANY_LONGEST || groups > ANY_GROUPS ||
        is_date(n, groups)) {
        return 0;
    }
    for (size_t g = 0; g < groups; g++) {
        if (guard_group_size(n, g) < 2) {
            return 0;
        }
    }
    return is_keyed ? ANY_KEYED : groups == 1 && count == GULF_DIGITS ? ANY_BARE : 0;
}

/* 06-690-6757: so nothing else is written. */
static bool is_landline(const struct guard_number *n, size_t groups)
{
    return groups == 3 && n->digits[0] == TRUNK && guard_group_size(n, 0) == 2 &&
           guard_group_size(n, 1) == 3 && guard_group_size(n, 2) == 4;
}

static unsigned local(const struct guard_number *n, size_t groups, bool is_keyed)
{
    size_t count = n->group[groups - 1].digits;
    if (count < LOCAL_SHORTEST || count > LOCAL_LONGEST) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++) {
        if (locals[i].digits == count && begins_with(n, locals[i].prefix) && !is_date(n, groups)) {
            return is_keyed ? locals[i].keyed
                            : locals[i].bare + (is_landline(n, groups) ? GROUPED : 0);
        }
    }
    return is_north_american(n, groups) ? NORTH_AMERICA : 0;
}

static bool find_local(struct guard_numbers *n, bool is_any)
{
    const struct guard_number *d = &n->number;
    for (size_t g = d->groups; g > 0; g--) {
        size_t end = d->group[g - 1].end, start = start_of(n->window, d, end), distance = 0;
        bool is_joined;
        if ((is_any ? any(d, g, true) : local(d, g, true)) == 0 ||
            !is_free(n, start, g, &is_joined)) {
            continue;
        }
        uint32_t hint = hint_of(n, &distance);
        bool is_keyed = (hint & HINT_BIT(PHONE)) != 0 && (!is_any || distance <= ANY_NEAR);
        unsigned percent = is_any ? any(d, g, is_keyed) : local(d, g, is_keyed);
        bool is_order =
            (hint & HINT_BIT(ORDER)) != 0 && guard_hint_denies(n->window, d->start, distance);
        if (!is_keyed && (is_order || is_joined) && percent > DENIED) {
            percent = DENIED;
        }
        if (percent > 0) {
            guard_sink_add(n->sink, start, end, GUARD_PHONE, percent, false);
            return true;
        }
    }
    return false;
}

void guard_find_phones(struct guard_numbers *n)
{
    const struct guard_number *d = &n->number;
    if (d->groups == 0 || d->group[d->groups - 1].digits < ANY_SHORTEST) {
        return;
    }
    if (d->start > d->place && n->window->text.at[d->start - 1] == '+') {
        (void)find_abroad(n, 0);
        return;
    }
    bool is_abroad_so = d->count > 2 && d->digits[0] == TRUNK && d->digits[1] == TRUNK;
    if ((is_abroad_so && find_abroad(n, 2)) || find_local(n, false)) {
        return;
    }
    (void)find_local(n, true);
}
