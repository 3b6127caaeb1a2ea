/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model servers write floats with up to 19 digits and a small exponent: some as short as can be,
 * some as the double they were cast to. Digits as an integer, times or divided by a power of ten
 * that a double holds exactly, are off by less than two units in a double's last place: far nearer
 * than any float asks, unless they lie as near to the middle between two floats. Those, and all
 * else, go the slow way, through strtof().
 *
 * Writing is the same backwards: the float times a power of ten is rounded to so many digits, and
 * these are read back to see whether they will do. Where a double cannot tell which way to round,
 * snprintf() does it all.
 */
#include "json/json_float.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_BYTES 400 /* the longest number that is read */
#define DIGITS_MAX   19  /* that 64 bits hold, whatever they are */
#define LEAST_DIGITS 6
#define MOST_DIGITS  9 /* with so many every float is told from all others */
#define SCALE_LEAST  (-13)
#define SCALE_MOST   22

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define POWER_MAX ((int)(sizeof(powers) / sizeof(powers[0])) - 1)

/* ---- reading ---- */

struct decimal {
    uint64_t digits;
    int exponent;
};

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

/* Eight bytes as one number, if all are digits. The first is the highest. */
static inline bool take_eight(uint64_t b, uint64_t times, uint64_t *digits)
{
    if ((((b + 0x4646464646464646) | (b - 0x3030303030303030)) & 0x8080808080808080) != 0) {
        return false;
    }
    b -= 0x3030303030303030;
    b = b * 10 + (b >> 8); /* pairs, then fours, then all eight */
    b = ((b & 0x000000ff000000ff) * (100 + (1000000ULL << 32)) +
         ((b >> 16) & 0x000000ff000000ff) * (1 + (10000ULL << 32))) >>
        32;
    *digits = *digits * times + b;
    return true;
}

static inline uint64_t load_eight(const uint8_t *at)
{
    uint64_t b;
    memcpy(&b, at, sizeof(b)); /* x86-64 and arm64 are little-endian */
    return b;
}

static const uint8_t *take_digits(const uint8_t *at, const uint8_t *end, uint64_t *digits)
{
    for (; at < end && is_digit(*at); at++) {
        *digits = *digits * 10 + (uint64_t)(*at - '0');
    }
    return at;
}

/* The same for many digits, which most often go on up to `end`: the last ones are read once more
 * with some of the eight before them, which are made zeros. */
static const uint8_t *take_fraction(const uint8_t *at, const uint8_t *end, uint64_t *digits)
{
    static const uint64_t times[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    const uint8_t *first = at;
    while (end - at >= 8 && take_eight(load_eight(at), 100000000, digits)) {
        at += 8;
    }
    unsigned left = (unsigned)(end - at);
    if (at > first && left > 0 && left < 8) {
        unsigned gone = 64 - 8 * left; /* bits */
        uint64_t b = load_eight(end - 8) >> gone << gone | 0x3030303030303030 >> (64 - gone);
        if (take_eight(b, times[left], digits)) {
            return end;
        }
    }
    return take_digits(at, end, digits);
}

/* Whether 64 bits may be too few for the digits of [at, end), leading zeros left out. */
static bool is_long(const uint8_t *at, const uint8_t *end)
{
    if (end - at <= DIGITS_MAX) {
        return false;
    }
    while (at < end && (*at == '0' || *at == '.')) {
        at++;
    }
    return end - at > DIGITS_MAX; /* with a point among them one more than there are: no matter */
}

/* Adds the exponent behind its 'e'; false if it is absurd. */
static bool take_exponent(const uint8_t *at, const uint8_t *end, int *exponent)
{
    bool down = *at == '-';
    int by = 0;
    for (at += *at == '-' || *at == '+'; at < end; at++) {
        by = by * 10 + (*at - '0');
        if (by > 1000) {
            return false;
        }
    }
    *exponent += down ? -by : by;
    return true;
}

/* Reads digits[.digits][e[+-]digits], a JSON number without its sign; false if a double or 64 bits
 * have no room for it. */
static bool read_decimal(const uint8_t *at, const uint8_t *end, struct decimal *out)
{
    const uint8_t *first = at;
    struct decimal d = {0};
    at = take_digits(at, end, &d.digits);
    if (at < end && *at == '.') {
        const uint8_t *fraction = ++at;
        at = take_fraction(at, end, &d.digits);
        d.exponent = (int)(fraction - at);
    }
    if (is_long(first, at)) {
        return false;
    }
    if (at < end && !take_exponent(at + 1, end, &d.exponent)) {
        return false;
    }
    *out = d;
    return d.exponent >= -POWER_MAX && d.exponent <= POWER_MAX;
}

/* Whether a double is so near to the middle between two floats that its last bits decide. */
static bool is_near_middle(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint64_t low = bits & ((1ULL << 29) - 1); /* what a float has no room for */
    return low - ((1ULL << 28) - 8) <= 16;
}

static double scaled(double value, int exponent)
{
    return exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
}

static float read_slowly(struct span number)
{
    char text[NUMBER_BYTES + 1];
    span_copy_text(number, text, sizeof(text));
    return strtof(text, NULL);
}

enum err json_float_parse(struct span number, float *out)
{
    struct decimal d;
    if (number.len > NUMBER_BYTES) {
        return ERR_VALUE_INVALID;
    }
    bool negative = number.at[0] == '-';
    double value = 0;
    bool is_fast = read_decimal(number.at + negative, number.at + number.len, &d);
    if (is_fast) {
        value = scaled((double)d.digits, d.exponent);
        is_fast = !is_near_middle(value);
    }
    float found = is_fast ? (float)(negative ? -value : value) : read_slowly(number);
    if (isinf(found)) {
        return ERR_VALUE_INVALID;
    }
    *out = found;
    return ERR_OK;
}

/* ---- writing ---- */

/* A float as `count` digits, the first of which stands for `exponent` powers of ten. */
struct digits {
    uint64_t number;
    int count, exponent;
};

/* The exponent of the first digit of `value`, which is not zero. */
static int first_exponent(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    int exponent = (((int)(bits >> 52) - 1023) * 1233) >> 12; /* log10(2), and never too large */
    if (exponent < SCALE_LEAST || exponent >= SCALE_MOST) {
        return exponent;
    }
    int above = exponent + 1;
    return above < 0 ? exponent + (value * powers[-above] >= 1)
                     : exponent + (value >= powers[above]);
}

enum outcome { EXACT, TOO_SHORT, UNSURE };

/* Rounds `value` to `count` digits; whether they are read back as it. */
static enum outcome round_to(double value, int exponent, int count, struct digits *out)
{
    int scale = count - 1 - exponent;
    double wanted = scaled(value, scale);
    uint64_t number = (uint64_t)(wanted + 0.5);
    double from_middle = wanted + 0.5 - (double)number; /* 0 or 1: it lies in the middle */
    if (from_middle < 1e-5 || from_middle > 1 - 1e-5 ||
        number < (uint64_t)powers[count - 1] || /* the exponent is another one after all */
        number > (uint64_t)powers[count]) {
        return UNSURE;
    }
    double back = scaled((double)number, -scale);
    if (is_near_middle(back)) {
        return UNSURE;
    }
    if ((float)back != (float)value) {
        return TOO_SHORT;
    }
    *out = (struct digits){number, count, exponent};
    if (number == (uint64_t)powers[count]) { /* it was rounded up to the next power */
        out->number /= 10;
        out->exponent++;
    }
    return EXACT;
}

/* More digits are never further off, so one looks down from what most floats need, or up. */
static bool find_digits(double value, struct digits *out)
{
    int exponent = first_exponent(value);
    if (exponent < SCALE_LEAST || exponent > SCALE_MOST) {
        return false;
    }
    int count = MOST_DIGITS - 1;
    enum outcome outcome = round_to(value, exponent, count, out);
    if (outcome == TOO_SHORT) {
        return round_to(value, exponent, MOST_DIGITS, out) == EXACT;
    }
    while (outcome == EXACT && count > LEAST_DIGITS) {
        outcome = round_to(value, exponent, --count, out);
    }
    return outcome != UNSURE;
}

static char *put_zeros(char *to, int count)
{
    for (; count > 0; count--) {
        *to++ = '0';
    }
    return to;
}

/* As "%.*g" with d->count: the exponent is written when it is below -4 or not below the count. */
static char *put_digits(const struct digits *d, char *to)
{
    char text[MOST_DIGITS] = {0};
    uint32_t number = (uint32_t)d->number;
    for (int i = d->count; i > 0; i--) {
        text[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    int len = d->count;
    while (len > 1 && text[len - 1] == '0') {
        len--;
    }
    bool is_plain = d->exponent >= -4 && d->exponent < d->count;
    int whole = !is_plain ? 1 : d->exponent + 1; /* digits before the point */
    if (whole <= 0) {
        *to++ = '0';
        *to++ = '.';
        to = put_zeros(to, -whole);
        memcpy(to, text, (size_t)len);
        return to + len;
    }
    int before = len < whole ? len : whole;
    memcpy(to, text, (size_t)before);
    to = put_zeros(to + before, whole - before);
    if (len > whole) {
        *to++ = '.';
        memcpy(to, text + whole, (size_t)(len - whole));
        to += len - whole;
    }
    if (!is_plain) {
        int exponent = d->exponent < 0 ? -d->exponent : d->exponent;
        *to++ = 'e';
        *to++ = d->exponent < 0 ? '-' : '+';
        *to++ = (char)('0' + exponent / 10);
        *to++ = (char)('0' + exponent % 10);
    }
    return to;
}

static size_t write_slowly(float number, char *out)
{
    int len = 0;
    for (int digits = LEAST_DIGITS; digits <= MOST_DIGITS; digits++) {
        len = snprintf(out, JSON_FLOAT_BYTES, "%.*g", digits, (double)number);
        CHECK(len > 0 && len < JSON_FLOAT_BYTES);
        if (strtof(out, NULL) == number) {
            break;
        }
    }
    return (size_t)len;
}

size_t json_float_write(float number, char *out)
{
    struct digits d = {0, 1, 0};
    CHECK(isfinite(number));
    if (number != 0 && !find_digits((double)fabsf(number), &d)) {
        return write_slowly(number, out);
    }
    char *to = out;
    if (signbit(number)) {
        *to++ = '-';
    }
    return (size_t)(put_digits(&d, to) - out);
}
