/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_float.c — the float nearest to every number, and back, as the C library has it. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json/json_float.h"

#define MANY 50000

/* The same numbers each time the tests run. */
static uint64_t seed;

static uint32_t next_bits(void)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 32);
}

/* Any finite float: every other one small, as vectors have them. */
static float next_float(void)
{
    uint32_t bits = next_bits();
    float value;
    memcpy(&value, &bits, sizeof(value));
    return isfinite(value) && bits % 2 == 0 ? value : (float)((int32_t)bits / 2147483648.0);
}

/* The float `steps` after one that is positive. */
static float neighbour(float value, int steps)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    bits += (uint32_t)steps;
    memcpy(&value, &bits, sizeof(bits));
    return value;
}

static void expect_read(const char *text)
{
    float found = 0, wanted = strtof(text, NULL);
    enum err e = json_float_parse(span_of(text), &found);
    if (e != (isinf(wanted) ? ERR_VALUE_INVALID : ERR_OK)) {
        fail_msg("%s: %s", text, err_name(e));
    }
    if (e == ERR_OK && memcmp(&found, &wanted, sizeof(found)) != 0) {
        fail_msg("%s: read as %.9g, not %.9g", text, (double)found, (double)wanted);
    }
}

static void a_number_is_read_as_the_float_nearest_to_it(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        "-0.0e7",
        "1",
        "-1.5",
        "0.1",
        "1e0",
        "10E-1",
        "0.1e+1",
        "1e+00000000000000000001",
        "123456789012345678",
        "1234567890123456789",
        "12345678901234567890",
        "99999999999999999999",
        "18446744073709551615",
        "18446744073709551616",
        "0.12345678",
        "0.123456789",
        "0.1234567890123456",
        "0.12345678901234567",
        "0.00000000000000000000000001",
        "0.0000000000000000000000000000000000000000000000000001",
        "1.00000005960464477539",
        "1.000000059604644775390625",
        "1.000000059604644775390626",
        "1.0000000596046447753906250000000000000000000000000000000000000000000001",
        "1.00000005960464477539062499999999999999999999999999999999999999999999",
        "1.00000017881393432617187",
        "1.00000017881393432617188",
        "16777217",
        "16777217.0000000001",
        "9007199791611905",
        "4503599627370497.5",
        "3.4028234e38",
        "3.4028235e38",
        "3.40282356779733661637539395458142568447e38",
        "3.40282356779733661637539395458142568448e38",
        "3.4028236e38",
        "340282350000000000000000000000000000000",
        "1e39",
        "1e400",
        "1e99999999999999999999",
        "1e-400",
        "1e-99999999999999999999",
        "7.006492321624085354618e-46",
        "7.006492321624085354619e-46",
        "1.17549435e-38",
        "1.17549428e-38",
        "1e22",
        "1e-22",
        "1e23",
        "123456789e-30",
    };
    for (size_t i = 0; i < ROWS(texts); i++) {
        expect_read(texts[i]);
    }
    char text[402];
    float value;
    memset(text, '1', sizeof(text));
    text[0] = '0';
    text[1] = '.';
    assert_int_equal(json_float_parse(span_make(text, 400), &value), ERR_OK);
    assert_int_equal(json_float_parse(span_make(text, 401), &value), ERR_VALUE_INVALID);
}

/* Up to 25 digits: in all, behind the first one, or behind the point. */
static void write_in_some_form(float value, char *text, size_t size)
{
    int digits = (int)(next_bits() % 26);
    switch (next_bits() % 3) {
    case 0:
        (void)snprintf(text, size, "%.*g", digits, (double)value);
        break;
    case 1:
        (void)snprintf(text, size, "%.*e", digits, (double)value);
        break;
    default:
        (void)snprintf(text, size, "%.*f", digits, (double)value);
        break;
    }
}

static void floats_are_read_in_whatever_form_they_are_written(void **state)
{
    (void)state;
    char text[80];
    seed = 1;
    for (int i = 0; i < 4 * MANY; i++) {
        write_in_some_form(next_float(), text, sizeof(text));
        expect_read(text);
    }
}

/* The middle between a float and the next, and numbers that differ from it by one in their last
 * digit: nothing is nearer to both. */
static void the_middle_between_two_floats_goes_to_the_even_one(void **state)
{
    (void)state;
    char text[200];
    seed = 2;
    for (int i = 0; i < MANY; i++) {
        float value = fabsf(next_float());
        double middle = ((double)value + (double)neighbour(value, 1)) / 2;
        if (!isfinite(middle) || middle > 3.4e38) {
            continue;
        }
        (void)snprintf(text, sizeof(text), "%.*g", 17 + (int)(next_bits() % 60), middle);
        expect_read(text);
        char *last = text + strcspn(text, "e") - 1;
        if (*last > '0' && *last < '9') {
            *last = (char)(*last + 1);
            expect_read(text);
            *last = (char)(*last - 2);
            expect_read(text);
        }
    }
}

static void digits_and_exponents_of_any_number_are_read(void **state)
{
    (void)state;
    char text[80];
    seed = 3;
    for (int i = 0; i < 4 * MANY; i++) {
        size_t len = 0, digits = 1 + next_bits() % 25, point = next_bits() % 25;
        if (next_bits() % 2 == 0) {
            text[len++] = '-';
        }
        for (size_t d = 0; d < digits; d++) {
            if (d == point && d == 0) {
                text[len++] = '0';
            }
            if (d == point) {
                text[len++] = '.';
            }
            text[len++] = (char)('0' + next_bits() % 10);
        }
        text[len] = '\0';
        if (next_bits() % 3 == 0) {
            (void)snprintf(text + len, sizeof(text) - len, "e%d", (int)(next_bits() % 100) - 50);
        }
        expect_read(text);
    }
}

static void expect_written(float value)
{
    char found[JSON_FLOAT_BYTES + 1] = "", wanted[40];
    float again;
    size_t len = json_float_write(value, found);
    assert_true(len < JSON_FLOAT_BYTES);
    found[len] = '\0';
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(wanted, sizeof(wanted), "%.*g", digits, (double)value);
        if (strtof(wanted, NULL) == value) {
            break;
        }
    }
    assert_string_equal(found, wanted);
    assert_int_equal(json_float_parse(span_make(found, len), &again), ERR_OK);
    assert_memory_equal(&again, &value, sizeof(value));
}

static void a_float_is_written_with_the_fewest_digits_that_will_do(void **state)
{
    (void)state;
    static const float some[] = {0,
                                 -0.0F,
                                 1,
                                 -1.5F,
                                 0.1F,
                                 100000,
                                 999999,
                                 1000000,
                                 1234567,
                                 1e9F,
                                 1e10F,
                                 1e-4F,
                                 1e-5F,
                                 0.00012345F,
                                 1e22F,
                                 1e23F,
                                 1e-13F,
                                 1e-14F,
                                 1e-45F,
                                 1.17549435e-38F,
                                 3.4028235e38F,
                                 16777216,
                                 0.3F,
                                 9.9999994e-5F,
                                 0.99999994F,
                                 9999999,
                                 99999992};
    for (size_t i = 0; i < ROWS(some); i++) {
        expect_written(some[i]);
    }
    seed = 4;
    for (int i = 0; i < 4 * MANY; i++) {
        expect_written(next_float());
    }
    /* Short numbers, whose digits end early, and the neighbours of powers of ten. */
    for (int exponent = -40; exponent <= 38; exponent++) {
        for (int number = 1; number < 1000; number += 7) {
            char text[40];
            (void)snprintf(text, sizeof(text), "%de%d", number, exponent);
            float value = strtof(text, NULL);
            if (isfinite(value) && value > 0) {
                expect_written(value);
                expect_written(-neighbour(value, -1));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_read_as_the_float_nearest_to_it),
        cmocka_unit_test(floats_are_read_in_whatever_form_they_are_written),
        cmocka_unit_test(the_middle_between_two_floats_goes_to_the_even_one),
        cmocka_unit_test(digits_and_exponents_of_any_number_are_read),
        cmocka_unit_test(a_float_is_written_with_the_fewest_digits_that_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
