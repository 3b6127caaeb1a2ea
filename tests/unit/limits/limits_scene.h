/* SPDX-License-Identifier: Apache-2.0 */
/* limits_scene.h — limits, one caller of all levels and of two tags, and room for what a call
 * holds. */
#ifndef TESTS_LIMITS_SCENE_H
#define TESTS_LIMITS_SCENE_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "limits/limits.h"

#define PARTS 64

static struct limits_zone *utc;
static const struct limits_times at_noon = {{INT64_C(5000000000)}, {INT64_C(1796000000000000)}};
static const struct limits_subjects caller = {{7, 3, 2, 1, 0, LIMITS_NOBODY, 4, LIMITS_NOBODY}};

struct world {
    struct limits *l;
    struct limits_hold hold;
    struct limits_refusal why;
};

static inline struct limits_hold hold_new(void)
{
    return (struct limits_hold){.parts = calloc(PARTS, limits_part_bytes()), .room = PARTS};
}

static inline int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    assert_int_equal(limits_zone_open("UTC", &utc), ERR_OK);
    assert_int_equal(limits_open(&w->l), ERR_OK);
    w->hold = hold_new();
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    struct world *w = *state;
    free(w->hold.parts);
    limits_close(&w->l);
    limits_close(&w->l);
    limits_zone_close(&utc);
    free(w);
    return 0;
}

#endif
