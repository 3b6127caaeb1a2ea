/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/guard_number_checks.h"

#include <stddef.h>

#include "guard/guard_number.h"

#define SAUDI_DIGITS     10
#define SAUDI_CITIZEN    1
#define SAUDI_RESIDENT   2
#define EMIRATES_DIGITS  15
#define EMIRATES_FIRST   784 /* its ISO country code */
#define COUNTRY_DIGITS   3
#define KUWAIT_DIGITS    12
#define KUWAIT_MODULUS   11
#define CENTURY_FIRST    2 /* of those born from 1900 on, */
#define CENTURY_LAST     3 /* and from 2000 on */
#define GOVERNORATES_MAX 100

static uint64_t two(const uint8_t *d)
{
    return guard_value(d, 2);
}

static bool is_century(uint8_t d)
{
    return d == CENTURY_FIRST || d == CENTURY_LAST;
}

enum guard_check guard_check_any(const uint8_t *d)
{
    (void)d;
    return GUARD_CHECK_MAYBE;
}

enum guard_check guard_check_saudi(const uint8_t *d)
{
    return d[0] == SAUDI_CITIZEN && guard_luhn(d, SAUDI_DIGITS) ? GUARD_CHECK_YES : GUARD_CHECK_NO;
}

enum guard_check guard_check_iqama(const uint8_t *d)
{
    return d[0] == SAUDI_RESIDENT && guard_luhn(d, SAUDI_DIGITS) ? GUARD_CHECK_YES : GUARD_CHECK_NO;
}

static bool is_emirates(const uint8_t *d)
{
    return guard_value(d, COUNTRY_DIGITS) == EMIRATES_FIRST;
}

enum guard_check guard_check_emirates(const uint8_t *d)
{
    return is_emirates(d) && guard_luhn(d, EMIRATES_DIGITS) ? GUARD_CHECK_YES : GUARD_CHECK_NO;
}

enum guard_check guard_check_emirates_as(const uint8_t *d)
{
    return is_emirates(d) && !guard_luhn(d, EMIRATES_DIGITS) ? GUARD_CHECK_MAYBE : GUARD_CHECK_NO;
}

/* ISO 3166-1 numeric: codes are sparse; a bit each. */
static bool is_country(uint64_t code)
{
    static const uint16_t codes[] = {
        4,   8,   10,  12,  16,  20,  24,  28,  31,  32,  36,  40,  44,  48,  50,  51,  52,  56,
        60,  64,  68,  70,  72,  74,  76,  84,  86,  90,  92,  96,  100, 104, 108, 112, 116, 120,
        124, 132, 136, 140, 144, 148, 152, 156, 158, 162, 166, 170, 174, 175, 178, 180, 184, 188,
        191, 192, 196, 203, 204, 208, 212, 214, 218, 222, 226, 231, 232, 233, 234, 238, 239, 242,
        246, 248, 250, 254, 258, 260, 262, 266, 268, 270, 275, 276, 288, 292, 296, 300, 304, 308,
        312, 316, 320, 324, 328, 332, 334, 336, 340, 344, 348, 352, 356, 360, 364, 368, 372, 376,
        380, 384, 388, 392, 398, 400, 404, 408, 410, 414, 417, 418, 422, 426, 428, 430, 434, 438,
        440, 442, 446, 450, 454, 458, 462, 466, 470, 474, 478, 480, 484, 492, 496, 498, 499, 500,
        504, 508, 512, 516, 520, 524, 528, 531, 533, 534, 535, 540, 548, 554, 558, 562, 566, 570,
        574, 578, 580, 581, 583, 584, 585, 586, 591, 598, 600, 604, 608, 612, 616, 620, 624, 626,
        630, 634, 638, 642, 643, 646, 652, 654, 659, 660, 662, 663, 666, 670, 674, 678, 682, 686,
        688, 690, 694, 702, 703, 704, 705, 706, 710, 716, 724, 728, 729, 732, 736, 740, 744, 748,
        752, 756, 760, 762, 764, 768, 772, 776, 780, 784, 788, 792, 795, 796, 798, 800, 804, 807,
        818, 826, 831, 832, 833, 834, 840, 850, 854, 858, 860, 862, 876, 882, 887, 894,
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]) && codes[i] <= code; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

enum guard_check guard_check_qatar(const uint8_t *d)
{
    return is_century(d[0]) && is_country(guard_value(d + 3, COUNTRY_DIGITS)) ? GUARD_CHECK_MAYBE
                                                                              : GUARD_CHECK_NO;
}

enum guard_check guard_check_kuwait(const uint8_t *d)
{
    static const uint8_t weights[KUWAIT_DIGITS - 1] = {2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
    unsigned sum = 0;
    if (!is_century(d[0]) || !guard_is_day(two(d + 3), two(d + 5))) {
        return GUARD_CHECK_NO;
    }
    for (size_t i = 0; i < sizeof(weights); i++) {
        sum += weights[i] * d[i];
    }
    return KUWAIT_MODULUS - sum % KUWAIT_MODULUS == d[KUWAIT_DIGITS - 1] ? GUARD_CHECK_YES
                                                                         : GUARD_CHECK_NO;
}

/* A year, a month, a number, a check digit whose rule is not published. */
enum guard_check guard_check_bahrain(const uint8_t *d)
{
    return guard_is_day(two(d + 2), 1) ? GUARD_CHECK_MAYBE : GUARD_CHECK_NO;
}

/* A century, a date, a governorate; of the check digit there are several rules. */
enum guard_check guard_check_egypt(const uint8_t *d)
{
    static const bool governorates[GOVERNORATES_MAX] = {
        [1] = true,  [2] = true,  [3] = true,  [4] = true,  [11] = true, [12] = true, [13] = true,
        [14] = true, [15] = true, [16] = true, [17] = true, [18] = true, [19] = true, [21] = true,
        [22] = true, [23] = true, [24] = true, [25] = true, [26] = true, [27] = true, [28] = true,
        [29] = true, [31] = true, [32] = true, [33] = true, [34] = true, [35] = true, [88] = true,
    };
    return is_century(d[0]) && guard_is_day(two(d + 3), two(d + 5)) && governorates[two(d + 7)]
               ? GUARD_CHECK_YES
               : GUARD_CHECK_NO;
}
