/* SPDX-License-Identifier: Apache-2.0 */
/* test_net_timer.c — timers ring in order, once, and only when they are due. */
#include "net/turned.h"

#include <stdlib.h>

#define TIMERS 300

struct bell {
    struct net_timer timer;
    mono_us due;
    int rings;
    struct bell *ends, *sets; /* what it does to others when it rings */
};

static struct {
    struct bell *order[TIMERS * 2];
    size_t count;
} rung;

static void on_bell(struct net_timer *timer)
{
    struct bell *b = LIST_OF(timer, struct bell, timer);
    assert_true(clock_mono().us >= b->due.us);
    b->rings++;
    rung.order[rung.count++] = b;
    if (b->ends != NULL) {
        net_timer_fini(&b->ends->timer);
    }
    if (b->sets != NULL) {
        b->sets->due = clock_after_ms(clock_mono(), 1);
        assert_int_equal(net_timer_set(&b->sets->timer, b->sets->due), ERR_OK);
        b->sets = NULL;
    }
}

static void bell_set(struct bell *b, mono_us from, int64_t ms)
{
    b->due = clock_after_ms(from, ms);
    assert_int_equal(net_timer_set(&b->timer, b->due), ERR_OK);
}

static void bells_init(struct bell *bells, size_t count, struct net_loop *loop)
{
    memset(bells, 0, count * sizeof(*bells));
    rung.count = 0;
    for (size_t i = 0; i < count; i++) {
        net_timer_init(&bells[i].timer, loop, on_bell);
    }
}

static void timers_ring_in_the_order_they_are_due(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    static struct bell bells[TIMERS];
    bells_init(bells, TIMERS, loop);
    mono_us now = clock_mono();
    uint32_t seed = 12345;
    for (size_t i = 0; i < TIMERS; i++) {
        seed = seed * 1664525 + 1013904223;
        bell_set(&bells[i], now, 200 + (seed >> 16) % 50);
    }
    /* Then a third is moved earlier, a third later, and some are stopped or forgotten. */
    size_t stopped = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        seed = seed * 1664525 + 1013904223;
        bell_set(&bells[i], now, (i % 3 == 0 ? 0 : 30) + (seed >> 16) % 30);
        if (i % 10 == 1) {
            net_timer_stop(&bells[i].timer);
            stopped++;
        } else if (i % 10 == 2) {
            net_timer_fini(&bells[i].timer);
            stopped++;
        }
    }
    TURN_UNTIL(loop, rung.count == TIMERS - stopped);
    for (size_t i = 1; i < rung.count; i++) {
        assert_true(rung.order[i - 1]->due.us <= rung.order[i]->due.us);
    }
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(bells[i].rings, i % 10 == 1 || i % 10 == 2 ? 0 : 1);
        net_timer_fini(&bells[i].timer);
    }
    net_loop_close(&loop);
}

static void moving_a_timer_later_does_not_touch_the_heap(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct bell bell;
    bells_init(&bell, 1, loop);
    bell_set(&bell, clock_mono(), 10);
    mono_us armed = bell.timer.armed;
    bell_set(&bell, clock_mono(), 40);
    assert_int_equal(bell.timer.armed.us, armed.us);
    TURN_UNTIL(loop, bell.rings == 1); /* on_bell() checks that it is not too early */
    net_timer_fini(&bell.timer);
    net_loop_close(&loop);
}

static void moving_a_timer_earlier_rings_it_earlier(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct bell bell;
    bells_init(&bell, 1, loop);
    mono_us now = clock_mono();
    bell_set(&bell, now, 60000);
    bell_set(&bell, now, 5);
    TURN_UNTIL(loop, bell.rings == 1);
    assert_true(clock_since(now, clock_mono()) < 5000000);
    net_timer_fini(&bell.timer);
    net_loop_close(&loop);
}

static void a_ringing_timer_may_end_and_set_any(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct bell bells[4];
    bells_init(bells, 4, loop);
    mono_us now = clock_mono();
    bell_set(&bells[0], now, 1);
    bell_set(&bells[1], now, 2);
    bell_set(&bells[2], now, 3);
    bells[0].ends = &bells[1]; /* due in the same turn, perhaps */
    bells[2].ends = &bells[2]; /* itself */
    bells[2].sets = &bells[3];
    TURN_UNTIL(loop, bells[3].rings == 1);
    assert_int_equal(bells[0].rings, 1);
    assert_int_equal(bells[1].rings, 0);
    assert_int_equal(bells[2].rings, 1);
    bells[3].sets = &bells[3]; /* itself, anew */
    bell_set(&bells[3], clock_mono(), 0);
    TURN_UNTIL(loop, bells[3].rings == 3);
    for (size_t i = 0; i < ROWS(bells); i++) {
        net_timer_fini(&bells[i].timer);
    }
    net_loop_close(&loop);
}

static void a_stopped_timer_may_be_set_again(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct bell bells[2];
    bells_init(bells, 2, loop);
    mono_us now = clock_mono();
    bell_set(&bells[0], now, 1);
    bell_set(&bells[1], now, 10);
    net_timer_stop(&bells[0].timer);
    TURN_UNTIL(loop, bells[1].rings == 1);
    assert_int_equal(bells[0].rings, 0);
    assert_int_equal(bells[0].timer.place, 0); /* its old time came: it left the heap */
    bell_set(&bells[0], clock_mono(), 1);
    TURN_UNTIL(loop, bells[0].rings == 1);
    net_timer_fini(&bells[0].timer);
    net_timer_fini(&bells[1].timer);
    net_loop_close(&loop);
}

#define CROWD 100

static void on_slow_bell(struct net_timer *timer)
{
    on_bell(timer);
    for (mono_us begun = clock_mono(); clock_since(begun, clock_mono()) < NET_BUDGET_US / 2;) {
    }
}

static void a_crowd_of_timers_rings_over_several_turns_and_all_of_it_in_order(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    static struct bell bells[CROWD];
    bells_init(bells, CROWD, loop);
    mono_us now = {clock_mono().us - CROWD * 1000};
    for (size_t i = 0; i < CROWD; i++) {
        bells[i].timer.on_due = on_slow_bell;
        bell_set(&bells[i], now, (int64_t)i);
    }
    TURN_UNTIL(loop, rung.count > 0);
    assert_true(rung.count < CROWD);
    TURN_UNTIL(loop, rung.count == CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        assert_ptr_equal(rung.order[i], &bells[i]);
        net_timer_fini(&bells[i].timer);
    }
    net_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_ring_in_the_order_they_are_due),
        cmocka_unit_test(moving_a_timer_later_does_not_touch_the_heap),
        cmocka_unit_test(moving_a_timer_earlier_rings_it_earlier),
        cmocka_unit_test(a_ringing_timer_may_end_and_set_any),
        cmocka_unit_test(a_stopped_timer_may_be_set_again),
        cmocka_unit_test(a_crowd_of_timers_rings_over_several_turns_and_all_of_it_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
