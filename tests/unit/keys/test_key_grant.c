/* SPDX-License-Identifier: Apache-2.0 */
/* test_key_grant.c — keys that say the same share a grant, and it goes when nobody has it. */
#include "unit.h"

#include <stdio.h>

#include "keys/key_grant.h"

static struct net_ip ip(const char *text)
{
    struct net_ip out;
    assert_true(net_ip_parse(span_of(text), &out));
    return out;
}

static struct key_grant_texts texts(const char *models, const char *networks, const char *tags)
{
    return (struct key_grant_texts){span_of(models), span_of(networks), span_of(tags), SPAN("")};
}

static const struct key_grant *take(struct key_grants *g, struct key_grant_texts of)
{
    struct key_grant *grant;
    assert_int_equal(key_grants_take(g, &of, &grant), ERR_OK);
    return grant;
}

static void who_says_nothing_has_none_and_may_come_from_anywhere(void **state)
{
    (void)state;
    struct key_grants g;
    struct net_ip from = ip("192.0.2.7");
    key_grants_init(&g);
    assert_null(take(&g, texts("", "", "")));
    assert_true(key_grant_admits(NULL, &from));
    assert_true(key_grant_admits(take(&g, texts("m", "", "")), &from));
    key_grants_drop(&g, NULL);
    key_grants_fini(&g);
}

static void a_key_is_admitted_from_its_networks_alone(void **state)
{
    (void)state;
    static const struct {
        const char *networks, *from;
        bool expect;
    } rows[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "9.255.255.255", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true}, /* the same address, by another socket */
        {"10.0.0.0/8", "2001:db8::1", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"10.0.0.0/8\n192.0.2.7", "192.0.2.7", true},
        {"10.0.0.0/8\n2001:db8::/33", "2001:db8:7fff::1", true},
        {"10.0.0.0/8\n2001:db8::/33", "2001:db8:8000::1", false},
        {"0.0.0.0/0", "203.0.113.1", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct key_grants g;
        struct net_ip from = ip(rows[r].from);
        key_grants_init(&g);
        if (key_grant_admits(take(&g, texts("", rows[r].networks, "")), &from) != rows[r].expect) {
            fail_msg("%s from %s", rows[r].networks, rows[r].from);
        }
        key_grants_fini(&g);
    }
}

static void those_who_say_the_same_share_one_and_all_else_has_its_own(void **state)
{
    (void)state;
    struct key_grants g;
    key_grants_init(&g);
    const struct key_grant *first = take(&g, texts("a\nb", "10.0.0.0/8", "x=1"));
    assert_ptr_equal(take(&g, texts("a\nb", "10.0.0.0/8", "x=1")), first);
    assert_int_equal(first->keys, 2);
    assert_int_equal(first->network_count, 1);
    assert_true(span_is(first->says.models, "a\nb"));
    assert_true(span_is(first->says.networks, "10.0.0.0/8"));
    assert_true(span_is(first->says.tags, "x=1"));
    /* The same characters in other places are something else. */
    assert_ptr_not_equal(take(&g, texts("a", "", "b")), take(&g, texts("", "", "a\nb")));
    assert_ptr_not_equal(take(&g, texts("a", "", "")), take(&g, texts("", "", "a")));
    key_grants_fini(&g);
}

static void one_that_nobody_has_stays_until_all_readers_have_turned(void **state)
{
    (void)state;
    struct key_grants g;
    struct net_ip inside = ip("10.1.1.1"), outside = ip("11.1.1.1");
    key_grants_init(&g);
    const struct key_grant *grant = take(&g, texts("", "10.0.0.0/8", ""));
    assert_ptr_equal(take(&g, texts("", "10.0.0.0/8", "")), grant);
    key_grants_drop(&g, grant);
    assert_ptr_equal(take(&g, texts("", "10.0.0.0/8", "")), grant); /* another has it still */
    key_grants_drop(&g, grant);
    key_grants_drop(&g, grant);
    key_grants_tidy(&g, (mono_us){0});
    assert_true(key_grant_admits(grant, &inside)); /* a reader holds it */
    assert_false(key_grant_admits(grant, &outside));
    const struct key_grant *next = take(&g, texts("", "10.0.0.0/8", ""));
    assert_ptr_not_equal(next, grant);
    key_grants_tidy(&g, (mono_us){INT64_MAX});
    assert_true(key_grant_admits(next, &inside));
    key_grants_fini(&g);
}

static void what_is_no_network_or_too_many_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"10.0.0.1/8",     "10.0.0.0/33",  "10.0.0.0/8\n",
                                      "10.0.0.0/8\n\n", "\n10.0.0.0/8", "10.0.0.0/8 ",
                                      "010.0.0.0/8",    "here",         "fe80::1%eth0"};
    char many[(KEY_NETWORKS_MAX + 1) * 16] = "";
    struct key_grants g;
    struct key_grant *grant;
    key_grants_init(&g);
    for (size_t r = 0; r < ROWS(bad); r++) {
        const struct key_grant_texts of = texts("m", bad[r], "");
        enum err e = key_grants_take(&g, &of, &grant);
        bool ends_with_a_line = strcmp(bad[r], "10.0.0.0/8\n") == 0; /* that is its end */
        if (e != (ends_with_a_line ? ERR_OK : ERR_VALUE_INVALID) ||
            (grant != NULL) != ends_with_a_line) {
            fail_msg("'%s': %s", bad[r], err_name(e));
        }
    }
    for (int i = 0; i <= KEY_NETWORKS_MAX; i++) {
        (void)snprintf(many + strlen(many), sizeof(many) - strlen(many), "%s192.0.2.%d",
                       i > 0 ? "\n" : "", i);
    }
    const struct key_grant_texts of = texts("", many, "");
    assert_int_equal(key_grants_take(&g, &of, &grant), ERR_VALUE_INVALID);
    assert_null(grant);
    *strrchr(many, '\n') = '\0';
    assert_int_equal(take(&g, texts("", many, ""))->network_count, KEY_NETWORKS_MAX);
    key_grants_fini(&g);
}

static void count_one(void *context, struct key_grant *grant)
{
    atomic_store(&grant->mark[0], 7);
    *(size_t *)context += 1;
}

static void each_that_somebody_has_is_told_and_can_be_marked(void **state)
{
    (void)state;
    struct key_grants g;
    size_t count = 0;
    key_grants_init(&g);
    const struct key_grant *one = take(&g, texts("m", "", ""));
    const struct key_grant *other = take(&g, texts("", "", "a=b"));
    for (size_t i = 0; i < KEY_MARKS; i++) {
        assert_int_equal(atomic_load(&one->mark[i]), SLOTS_NONE);
    }
    key_grants_drop(&g, one);
    key_grants_each(&g, count_one, &count);
    assert_int_equal(count, 1);
    assert_int_equal(atomic_load(&other->mark[0]), 7);
    key_grants_fini(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_says_nothing_has_none_and_may_come_from_anywhere),
        cmocka_unit_test(a_key_is_admitted_from_its_networks_alone),
        cmocka_unit_test(those_who_say_the_same_share_one_and_all_else_has_its_own),
        cmocka_unit_test(one_that_nobody_has_stays_until_all_readers_have_turned),
        cmocka_unit_test(each_that_somebody_has_is_told_and_can_be_marked),
        cmocka_unit_test(what_is_no_network_or_too_many_is_refused_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("key_grant", tests, NULL, NULL);
}
