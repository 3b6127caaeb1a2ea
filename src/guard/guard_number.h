/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_number.h — digits in groups, as people write them, and what checks them.
 *
 * For guard's own files.
 */
#ifndef GUARD_GUARD_NUMBER_H
#define GUARD_GUARD_NUMBER_H

#include "guard/guard_internal.h"

#define GUARD_DIGITS_MAX 24 /* the longest number that is looked for has 19 */
#define GUARD_GROUPS_MAX 20

/* What stands between two groups. */
enum guard_gap {
    GUARD_GAP_NONE, /* behind the last one */
    GUARD_GAP_BLANK,
    GUARD_GAP_DASH,
    GUARD_GAP_DOT,
    GUARD_GAP_SLASH,
    GUARD_GAP_MIXED /* brackets, more than one sign */
};

/* How a number is joined to what stands on a side of it. */
enum guard_edge {
    GUARD_EDGE_FREE,
    GUARD_EDGE_GROUP,  /* by a blank to other digits */
    GUARD_EDGE_JOINED, /* by a sign to a word: PRJ-12 */
    GUARD_EDGE_INSIDE  /* it is a part of something longer */
};

struct guard_number {
    size_t place;  /* where the first value may begin that has these digits: a sign or letters
                      before; what decides of them is what decides of this place */
    size_t start;  /* of the digits */
    size_t behind; /* of the place: guard_behind() */
    bool is_open;  /* it may go on in what comes */
    size_t count, groups;
    uint8_t digits[GUARD_DIGITS_MAX]; /* 0 to 9 */
    struct guard_group {
        size_t end;    /* of the window */
        size_t digits; /* up to its end, of the number */
        enum guard_gap gap;
    } group[GUARD_GROUPS_MAX];
};

/* Reads the number whose digits begin at `start`. */
void guard_number_read(const struct guard_window *w, size_t start, struct guard_number *out);

enum guard_edge guard_edge_before(const struct guard_window *w, const struct guard_number *n,
                                  size_t at);
/* Behind the first `groups` groups. */
enum guard_edge guard_edge_behind(const struct guard_window *w, const struct guard_number *n,
                                  size_t groups);

/* How many digits a group has, and whether all gaps of the first `groups` are of that kind. */
size_t guard_group_size(const struct guard_number *n, size_t group);
bool guard_gaps_are(const struct guard_number *n, size_t groups, enum guard_gap gap);

/* Of digits 0 to 9. */
uint64_t guard_value(const uint8_t *digits, size_t count);
bool guard_luhn(const uint8_t *digits, size_t count);
/* A day of a month, of any year. */
bool guard_is_day(uint64_t month, uint64_t day);

#endif
