/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sum.h — adding without passing the end: a sum that would be more than INT64_MAX is INT64_MAX, and
 * whoever shows it says that it is at least so much. So what was accepted can always be added.
 *
 * Threads  any.
 */
#ifndef BASE_SUM_H
#define BASE_SUM_H

#include <stdint.h>

static inline int64_t sum_of(int64_t a, int64_t b)
{
    int64_t sum;
    return !__builtin_add_overflow(a, b, &sum) ? sum : a > 0 ? INT64_MAX : INT64_MIN;
}

#endif
