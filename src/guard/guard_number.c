/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/guard_number.h"

#include "guard/guard_bytes.h"

#define GAP_MAX    3 /* bytes: " - ", ") (" */
#define PREFIX_MAX 3 /* "(+" and two letters are never together */
#define TEN        10

static bool is_gap(uint8_t c)
{
    return c == ' ' || c == '-' || c == '.' || c == '/' || c == '(' || c == ')';
}

static enum guard_gap gap_of(const uint8_t *at, size_t len)
{
    if (len > 1) {
        return GUARD_GAP_MIXED;
    }
    switch (*at) {
    case ' ':
        return GUARD_GAP_BLANK;
    case '-':
        return GUARD_GAP_DASH;
    case '.':
        return GUARD_GAP_DOT;
    case '/':
        return GUARD_GAP_SLASH;
    default:
        return GUARD_GAP_MIXED;
    }
}

/* Where the value begins that has the digits from `start` on: "+", "(", "(+", or two letters. */
static size_t place_of(const struct guard_window *w, size_t start)
{
    size_t at = start, from = guard_before(w, start);
    while (at > from && start - at < PREFIX_MAX) {
        uint8_t c = w->text.at[at - 1];
        if (c != '+' && c != '(' && !guard_is_letter(c)) {
            break;
        }
        at--;
    }
    return at;
}

/* Reads the digits from `at` on; returns their end. */
static size_t read_digits(const struct guard_window *w, size_t at, struct guard_number *n)
{
    while (at < n->behind && guard_is_digit(w->text.at[at])) {
        if (n->count < GUARD_DIGITS_MAX) {
            n->digits[n->count] = (uint8_t)(w->text.at[at] - '0');
        }
        n->count++;
        at++;
    }
    return at;
}

void guard_number_read(const struct guard_window *w, size_t start, struct guard_number *n)
{
    size_t at = start;
    n->place = place_of(w, start);
    n->start = start;
    n->behind = guard_behind(w, n->place);
    n->count = n->groups = 0;
    n->is_open = false;
    for (;;) {
        struct guard_group *group = &n->group[n->groups];
        size_t end = read_digits(w, at, n), next = end;
        if (n->count > GUARD_DIGITS_MAX) {
            break; /* that group is none that is looked for */
        }
        while (next < n->behind && next - end < GAP_MAX && is_gap(w->text.at[next])) {
            next++;
        }
        *group = (struct guard_group){.end = end, .digits = n->count};
        n->groups++;
        if (next == n->behind) {
            n->is_open = next == w->text.len && guard_is_open(w, n->place);
            break;
        }
        if (next == end || !guard_is_digit(w->text.at[next]) || n->groups == GUARD_GROUPS_MAX) {
            break;
        }
        group->gap = gap_of(w->text.at + end, next - end);
        at = next;
    }
}

/* "\n" of a text in a text. */
static bool is_escape(uint8_t before, uint8_t c)
{
    return before == '\\' && (c == 'n' || c == 't' || c == 'r');
}

enum guard_edge guard_edge_before(const struct guard_window *w, const struct guard_number *n,
                                  size_t at)
{
    size_t from = guard_before(w, n->place);
    if (at <= from) {
        return GUARD_EDGE_FREE;
    }
    uint8_t c = w->text.at[at - 1], second = at - 1 > from ? w->text.at[at - 2] : ' ';
    if (guard_is_alnum(c) || c == '_') {
        return is_escape(second, c) ? GUARD_EDGE_FREE : GUARD_EDGE_INSIDE;
    }
    switch (c) {
    case '.':
        return guard_is_digit(second)    ? GUARD_EDGE_INSIDE
               : guard_is_letter(second) ? GUARD_EDGE_JOINED
                                         : GUARD_EDGE_FREE;
    case '-':
    case '/':
        return guard_is_alnum(second) ? GUARD_EDGE_JOINED : GUARD_EDGE_FREE;
    case ':':
        return guard_is_digit(second) ? GUARD_EDGE_JOINED : GUARD_EDGE_FREE;
    case ' ': /* ")": "(+20) 12" */
        return guard_is_digit(second) || second == ')' ? GUARD_EDGE_GROUP : GUARD_EDGE_FREE;
    case '+': /* a telephone's */
        return GUARD_EDGE_INSIDE;
    case '#':
    case '$':
        return GUARD_EDGE_JOINED;
    default:
        return GUARD_EDGE_FREE;
    }
}

enum guard_edge guard_edge_behind(const struct guard_window *w, const struct guard_number *n,
                                  size_t groups)
{
    const struct guard_group *group = &n->group[groups - 1];
    if (group->end >= n->behind) {
        return GUARD_EDGE_FREE;
    }
    uint8_t c = w->text.at[group->end];
    uint8_t second = group->end + 1 < n->behind ? w->text.at[group->end + 1] : ' ';
    if (group->gap != GUARD_GAP_NONE) {
        return group->gap == GUARD_GAP_BLANK ? GUARD_EDGE_GROUP : GUARD_EDGE_INSIDE;
    }
    if (guard_is_alnum(c) || c == '_') {
        return GUARD_EDGE_INSIDE;
    }
    if (c == '@' || c == '%') {
        return GUARD_EDGE_JOINED;
    }
    if (c == '.' || c == '-' || c == '/') {
        return guard_is_alnum(second) ? GUARD_EDGE_JOINED : GUARD_EDGE_FREE;
    }
    return GUARD_EDGE_FREE;
}

size_t guard_group_size(const struct guard_number *n, size_t group)
{
    return n->group[group].digits - (group > 0 ? n->group[group - 1].digits : 0);
}

bool guard_gaps_are(const struct guard_number *n, size_t groups, enum guard_gap gap)
{
    for (size_t i = 0; i + 1 < groups; i++) {
        if (n->group[i].gap != gap) {
            return false;
        }
    }
    return true;
}

uint64_t guard_value(const uint8_t *digits, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        value = value * TEN + digits[i];
    }
    return value;
}

bool guard_luhn(const uint8_t *digits, size_t count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned d = digits[count - 1 - i] << (i % 2);
        sum += d > 9 ? d - 9 : d;
    }
    return sum % TEN == 0;
}

bool guard_is_day(uint64_t month, uint64_t day)
{
    static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month >= 1 && month <= sizeof(days) && day >= 1 && day <= days[month - 1];
}
