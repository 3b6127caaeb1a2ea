/* SPDX-License-Identifier: Apache-2.0 */
/* test_key_table.c — every key that was inserted is found, while the table grows, by everyone. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>

#include "keys/key_table.h"

static struct key_facts facts_of(uint32_t number)
{
    struct key_facts facts = {.kind = KEY_LIVE,
                              .proof = {.pepper = 1},
                              .terms = {.scopes = number,
                                        .expires = {number == 0 ? 0 : number},
                                        .bonds = {number, 7, 8}}};
    char id[16];
    (void)snprintf(id, sizeof(id), "%012u", number);
    memcpy(facts.id, id, sizeof(facts.id));
    memset(facts.proof.mac, (int)(number & 0xff), sizeof(facts.proof.mac));
    return facts;
}

static bool find(const struct key_table *t, uint32_t number, uint32_t *slot)
{
    struct key_facts facts = facts_of(number);
    return key_table_find(t, span_make(facts.id, sizeof(facts.id)), slot);
}

static void insert(struct key_table *t, uint32_t number)
{
    struct key_facts facts = facts_of(number);
    assert_int_equal(key_table_insert(t, &facts), ERR_OK);
}

static void a_hundred_thousand_keys_are_found_and_no_other(void **state)
{
    (void)state;
    const uint32_t many = 100000;
    struct key_table *t;
    uint32_t slot;
    assert_int_equal(key_table_open(&t), ERR_OK);
    assert_false(find(t, 0, &slot));
    for (uint32_t i = 0; i < many; i++) {
        insert(t, i);
    }
    key_table_tidy(t);
    assert_int_equal(key_table_count(t), many);
    for (uint32_t i = 0; i < many; i++) {
        assert_true(find(t, i, &slot));
        const struct key_slot *s = key_table_slot(t, slot);
        assert_int_equal(s->scopes, i);
        assert_int_equal(s->team, i);
        assert_int_equal(s->expires_us, i == 0 ? KEY_NEVER_US : i);
        assert_int_equal(s->revoked_us, KEY_NEVER_US);
        assert_int_equal(s->proof.mac[31], i & 0xff);
    }
    assert_false(find(t, many, &slot));
    assert_false(key_table_find(t, SPAN("00000000000"), &slot));
    assert_false(key_table_find(t, SPAN("0000000000000"), &slot));
    assert_in_range(key_table_bytes(t) / many, 104, 152);
    key_table_close(&t);
    assert_null(t);
    key_table_close(&t);
}

static void the_same_id_is_refused(void **state)
{
    (void)state;
    struct key_table *t;
    assert_int_equal(key_table_open(&t), ERR_OK);
    insert(t, 7);
    struct key_facts facts = facts_of(7);
    facts.terms.scopes = 8;
    uint32_t slot;
    assert_int_equal(key_table_insert(t, &facts), ERR_EXISTS);
    assert_int_equal(key_table_count(t), 1);
    assert_true(find(t, 7, &slot));
    assert_int_equal(key_table_slot(t, slot)->scopes, 7);
    key_table_close(&t);
}

static void slots_do_not_move_while_the_table_grows(void **state)
{
    (void)state;
    struct key_table *t;
    uint32_t slot;
    assert_int_equal(key_table_open(&t), ERR_OK);
    insert(t, 1);
    assert_true(find(t, 1, &slot));
    const struct key_slot *s = key_table_slot(t, slot);
    for (uint32_t i = 2; i < 50000; i++) {
        insert(t, i);
    }
    assert_ptr_equal(key_table_slot(t, slot), s);
    assert_int_equal(s->scopes, 1);
    key_table_close(&t);
}

static void a_revocation_counts_generation_and_revision_up_once(void **state)
{
    (void)state;
    struct key_table *t;
    uint32_t slot;
    assert_int_equal(key_table_open(&t), ERR_OK);
    insert(t, 1);
    insert(t, 2);
    uint64_t revision = key_table_revision(t);
    struct key_facts facts = facts_of(1);
    struct span id = span_make(facts.id, sizeof(facts.id));
    assert_int_equal(key_table_revoke(t, id, (wall_us){77}), ERR_OK);
    assert_int_equal(key_table_revoke(t, id, (wall_us){66}), ERR_OK);
    assert_int_equal(key_table_revoke(t, SPAN("zzzzzzzzzzzz"), (wall_us){1}), ERR_NOT_FOUND_ROW);
    assert_int_equal(key_table_revision(t), revision + 1);
    assert_true(find(t, 1, &slot));
    assert_int_equal(key_table_slot(t, slot)->generation, 2);
    assert_int_equal(key_table_slot(t, slot)->revoked_us, 77);
    assert_true(find(t, 2, &slot));
    assert_int_equal(key_table_slot(t, slot)->generation, 1);
    key_table_close(&t);
}

#define READERS 3
#define SHARED  30000

static struct key_table *shared;

/* Looks for keys that are there and the one that comes next, until all have come. */
static void *read_on(void *context)
{
    size_t *missed = context;
    uint32_t at = 0;
    for (size_t count = 0; count < SHARED;) {
        count = key_table_count(shared);
        for (int i = 0; i < 64 && count > 0; i++) {
            uint32_t slot, number = at++ % (uint32_t)count;
            if (!find(shared, number, &slot) ||
                atomic_load(&key_table_slot(shared, slot)->scopes) != number) {
                ++*missed;
            }
            (void)find(shared, (uint32_t)count, &slot); /* it may have come, or not */
        }
    }
    return NULL;
}

static void readers_miss_no_key_while_one_writes(void **state)
{
    (void)state;
    pthread_t readers[READERS];
    size_t missed[READERS] = {0};
    assert_int_equal(key_table_open(&shared), ERR_OK);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &missed[i]), 0);
    }
    for (uint32_t i = 0; i < SHARED; i++) {
        insert(shared, i);
        if (i % 100 == 0) {
            struct key_facts facts = facts_of(i / 2);
            (void)!key_table_revoke(shared, span_make(facts.id, sizeof(facts.id)), (wall_us){1});
        }
    }
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i], NULL), 0);
        assert_int_equal(missed[i], 0);
    }
    key_table_close(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_keys_are_found_and_no_other),
        cmocka_unit_test(the_same_id_is_refused),
        cmocka_unit_test(slots_do_not_move_while_the_table_grows),
        cmocka_unit_test(a_revocation_counts_generation_and_revision_up_once),
        cmocka_unit_test(readers_miss_no_key_while_one_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
