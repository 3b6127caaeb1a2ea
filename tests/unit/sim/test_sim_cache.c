/* SPDX-License-Identifier: Apache-2.0 */
/* test_sim_cache.c — what the simulator remembers of prompts. */
#include "unit.h"

#include "sim/sim_cache.h"

#define BLOCK (SIM_BLOCK_TOKENS * SIM_TOKEN_BYTES)

/* A prompt of so many blocks, of which those from `from` on are of another chat. */
static int64_t ask(struct sim_cache *c, size_t blocks, size_t from, char chat)
{
    char text[64 * BLOCK];
    assert_true(blocks * BLOCK <= sizeof(text));
    for (size_t i = 0; i < blocks * BLOCK; i++) {
        text[i] = i / BLOCK < from ? (char)('a' + i % 7) : chat;
    }
    return sim_cache_read(c, span_make(text, blocks * BLOCK)) / SIM_BLOCK_TOKENS;
}

static void a_beginning_is_read_once(void **state)
{
    (void)state;
    struct sim_cache *c;
    assert_int_equal(sim_cache_open(1000 * SIM_BLOCK_TOKENS, &c), ERR_OK);
    assert_int_equal(ask(c, 10, 4, 'A'), 0);
    assert_int_equal(ask(c, 10, 4, 'A'), 10);
    assert_int_equal(ask(c, 12, 4, 'A'), 10);
    assert_int_equal(ask(c, 12, 4, 'B'), 4);
    assert_int_equal(ask(c, 12, 0, 'B'), 0); /* the same blocks behind another beginning */
    assert_int_equal(sim_cache_read(c, SPAN("too short for a block")), 0);
    assert_int_equal(sim_cache_read(c, SPAN("")), 0);
    sim_cache_close(&c);
}

static void what_was_not_used_for_longest_gives_way_from_its_end(void **state)
{
    (void)state;
    struct sim_cache *c;
    assert_int_equal(sim_cache_open(20 * SIM_BLOCK_TOKENS + 1, &c), ERR_OK);
    assert_int_equal(ask(c, 10, 0, 'A'), 0);
    assert_int_equal(ask(c, 10, 0, 'B'), 0);
    assert_int_equal(ask(c, 10, 0, 'A'), 10);
    assert_int_equal(ask(c, 4, 0, 'C'), 0);  /* B gives up its last four */
    assert_int_equal(ask(c, 10, 0, 'B'), 6); /* and A its last four for them */
    assert_int_equal(ask(c, 10, 0, 'A'), 6);
    assert_int_equal(ask(c, 40, 0, 'D'), 0); /* longer than there is room for */
    assert_int_equal(ask(c, 40, 0, 'D'), 20);
    assert_int_equal(ask(c, 10, 0, 'A'), 0);
    sim_cache_close(&c);
}

static void without_room_there_is_nothing(void **state)
{
    (void)state;
    struct sim_cache *c = (struct sim_cache *)1;
    assert_int_equal(sim_cache_open(SIM_BLOCK_TOKENS - 1, &c), ERR_OK);
    assert_null(c);
    assert_int_equal(ask(c, 10, 0, 'A'), 0);
    sim_cache_close(&c);
}

/* Against a plain list, newest first. */
static void it_is_what_a_list_would_be(void **state)
{
    (void)state;
    enum { ROOM = 7 };
    struct sim_cache *c;
    int list[ROOM], used = 0;
    uint32_t chance = 1;
    assert_int_equal(sim_cache_open(ROOM * SIM_BLOCK_TOKENS, &c), ERR_OK);
    for (int n = 0; n < 20000; n++) {
        chance = chance * 1664525 + 1013904223;
        int chat = (int)(chance >> 16) % 12, at = 0;
        while (at < used && list[at] != chat) {
            at++;
        }
        bool is_there = at < used;
        used += !is_there && used < ROOM;
        at = is_there ? at : used - 1;
        memmove(list + 1, list, (size_t)at * sizeof(*list));
        list[0] = chat;
        assert_int_equal(ask(c, 1, 0, (char)('A' + chat)), is_there);
    }
    sim_cache_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_beginning_is_read_once),
        cmocka_unit_test(what_was_not_used_for_longest_gives_way_from_its_end),
        cmocka_unit_test(without_room_there_is_nothing),
        cmocka_unit_test(it_is_what_a_list_would_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
