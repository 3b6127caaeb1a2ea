/* SPDX-License-Identifier: Apache-2.0 */
/* turned.h — a loop that a test turns by hand. */
#ifndef TESTS_NET_TURNED_H
#define TESTS_NET_TURNED_H

#include "unit.h"

#include "net/net_internal.h"

/* Turns the loop until the condition holds, which must not take long. */
#define TURN_UNTIL(loop, cond)                                         \
    do {                                                               \
        mono_us begin_ = clock_mono();                                 \
        while (!(cond)) {                                              \
            (void)uv_run(&(loop)->uv, UV_RUN_ONCE);                    \
            assert_true(clock_since(begin_, clock_mono()) < 10000000); \
        }                                                              \
    } while (0)

/* Turns it until nothing more is to be done at once. */
static inline void turn_settle(struct net_loop *loop)
{
    for (int i = 0; i < 20; i++) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* says only that handles are left */
    }
}

static inline struct net_loop *turn_open(void)
{
    struct net_loop *loop = NULL;
    assert_int_equal(net_loop_open(&loop), ERR_OK);
    return loop;
}

#endif
