/* SPDX-License-Identifier: Apache-2.0 */
/* test_access_tags.c — tags that are limited bind the keys that bear them, after a change and after
 * a start. */
#include "access_scene.h"

#include "access/access_fits.h"

static void make_tag(struct fixture *f, const char *id, const char *name)
{
    struct store_tag row = {.id = span_of(id), .name = span_of(name)};
    change(f, STORE_TABLE_TAG, &row, "tag.create");
}

/* Whether a tag is among those that a call of the key counts in. */
static bool counts_in(struct fixture *f, const struct caller *of, const char *name)
{
    struct limits_subjects who = who_is(f, of);
    bool counts = false;
    for (size_t i = LIMITS_TAG; i < LIMITS_SLOTS; i++) {
        counts = counts || (who.slot[i] != LIMITS_NOBODY &&
                            span_is(access_name(f->a, LIMITS_TAG, who.slot[i]), name));
    }
    return counts;
}

static void a_call_counts_in_those_of_its_key_s_tags_that_are_limited(void **state)
{
    struct fixture *f = *state;
    const struct key_grant_texts says = {.tags = SPAN("a=1\nb=2\nc=")};
    struct caller one = make(f, (struct key_wish){.team = BOB, .grant = says});
    struct caller other = make(f, (struct key_wish){.team = ALICE, .grant.tags = SPAN("a=12")});
    make_tag(f, "tag_a", "a=1");
    make_tag(f, "tag_c", "c=");
    assert_false(counts_in(f, &one, "a=1")); /* nothing is said of it */
    limit(f, SPAN("tag_a"), (struct store_limit){.requests_per_minute = 5});
    put_budget(f, budget("budget_c00000000000", SPAN("tag_c"), 100));
    for (int i = 0; i < 2; i++) {
        struct caller late = make(f, (struct key_wish){.team = ALICE, .grant = says});
        assert_true(counts_in(f, &one, "a=1") && counts_in(f, &one, "c="));
        assert_true(counts_in(f, &late, "a=1") && counts_in(f, &late, "c="));
        assert_false(counts_in(f, &other, "a=1"));
        assert_true(span_is(access_tag_id(f->a, SPAN("a=1")), "tag_a"));
        restart(f);
    }
    limit(f, SPAN("tag_a"), (struct store_limit){.requests_per_minute = 0});
    assert_false(counts_in(f, &one, "a=1"));
    assert_true(counts_in(f, &one, "c="));
}

static void a_tag_keeps_its_place_while_others_come_and_go(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"a=1", "b=1", "c=1", "d=1", "e=1"};
    static const char *const ids[] = {"tag_a", "tag_b", "tag_c", "tag_d", "tag_e"};
    const struct key_grant_texts says = {.tags = SPAN("a=1\nb=1\nc=1\nd=1\ne=1")};
    struct caller key = make(f, (struct key_wish){.team = BOB, .grant = says});
    char of[KEY_ID_CHARS + 1];
    for (size_t i = 0; i < ROWS(names); i++) {
        make_tag(f, ids[i], names[i]);
    }
    for (size_t i = 0; i < LIMITS_TAGS_MAX; i++) {
        assert_true(access_tag_fits(f->a, span_of(names[i]), of));
        limit(f, span_of(ids[i]), (struct store_limit){.concurrent = 5});
    }
    assert_false(access_tag_fits(f->a, SPAN("e=1"), of));
    assert_true(access_tag_fits(f->a, SPAN("f=1"), of) && access_tag_fits(f->a, SPAN("a=1"), of));
    struct limits_subjects before = who_is(f, &key);
    limit(f, SPAN("tag_b"), (struct store_limit){.concurrent = 0});
    limit(f, SPAN("tag_e"), (struct store_limit){.concurrent = 5});
    struct limits_subjects after = who_is(f, &key);
    for (size_t i = LIMITS_TAG; i < LIMITS_SLOTS; i++) {
        bool was_b = span_is(access_id(f->a, LIMITS_TAG, before.slot[i]), "tag_b");
        assert_int_equal(after.slot[i] != before.slot[i], was_b);
    }
    assert_true(counts_in(f, &key, "e=1"));
}

static void a_key_with_more_limited_tags_than_count_is_not_made(void **state)
{
    struct fixture *f = *state;
    char id[KEY_ID_CHARS + 1];
    struct key_text text;
    struct key_wish wish = {.kind = KEY_LIVE, .name = SPAN("test"), .team = BOB};
    static const char *const ids[] = {"tag_a", "tag_b", "tag_c", "tag_d", "tag_e"};
    for (size_t i = 0; i < ROWS(ids); i++) {
        const char name[] = {(char)('a' + i), '=', '1', '\0'};
        make_tag(f, ids[i], name);
        limit(f, span_of(ids[i]), (struct store_limit){.concurrent = 5});
    }
    wish.grant.tags = SPAN("a=1\nb=1\nc=1\nd=1\ne=1");
    assert_int_equal(keys_create(f->keys, f->store, &wish, NOW, &text, id), ERR_VALUE_INVALID);
    wish.grant.tags = SPAN("a=1\nb=1\nd=1\ne=1");
    assert_int_equal(keys_create(f->keys, f->store, &wish, NOW, &text, id), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_call_counts_in_those_of_its_key_s_tags_that_are_limited,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_tag_keeps_its_place_while_others_come_and_go, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_key_with_more_limited_tags_than_count_is_not_made, start,
                                        stop),
    };
    return cmocka_run_group_tests_name("access_tags", tests, NULL, NULL);
}
