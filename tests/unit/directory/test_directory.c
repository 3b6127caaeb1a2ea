/* SPDX-License-Identifier: Apache-2.0 */
/* test_directory.c — who there is, as the store says it and as it changes. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>

#include "directory/directory.h"
#include "store/store_tables.h"

struct fixture {
    struct store *store;
    struct directory *d;
};

static int start(void **state)
{
    static struct fixture f;
    const struct store_settings settings = {.driver = "memory"};
    f = (struct fixture){0};
    assert_int_equal(store_open(&settings, &f.store), ERR_OK);
    assert_int_equal(directory_open(&f.d), ERR_OK);
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    directory_close(&f->d);
    directory_close(&f->d);
    store_close(&f->store);
    return 0;
}

static struct store_team team_of(const char *id, const char *name)
{
    return (struct store_team){.id = span_of(id),
                               .name = span_of(name),
                               .organisation = SPAN("org_a"),
                               .plan = SPAN("plan_a"),
                               .models = SPAN("small\nlarge"),
                               .region = SPAN("sa"),
                               .max_class = 4};
}

static void fill(struct fixture *f)
{
    struct store_organisation org = {.id = SPAN("org_a"), .name = SPAN("ministry")};
    struct store_plan plan = {.id = SPAN("plan_a"), .name = SPAN("professional")};
    struct store_team team = team_of("team_a", "treasury"), lost = team_of("team_b", "lost");
    struct store_user user = {
        .id = SPAN("user_a"), .name = SPAN("ali"), .team = SPAN("team_a"), .role = 2};
    lost.organisation = SPAN("org_none");
    assert_int_equal(store_begin(f->store, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_user_insert(f->store, &user), ERR_OK);
    assert_int_equal(store_team_insert(f->store, &team), ERR_OK);
    assert_int_equal(store_team_insert(f->store, &lost), ERR_OK);
    assert_int_equal(store_plan_insert(f->store, &plan), ERR_OK);
    assert_int_equal(store_organisation_insert(f->store, &org), ERR_OK);
    assert_int_equal(store_commit(f->store), ERR_OK);
}

static void what_the_store_has_is_found_by_slot_and_by_name(void **state)
{
    struct fixture *f = *state;
    struct directory_report report;
    fill(f);
    assert_int_equal(directory_load(f->d, f->store, &report), ERR_OK);
    assert_int_equal(report.damaged, 0);
    assert_int_equal(report.alone, 1);
    assert_int_equal(directory_count(f->d, DIRECTORY_TEAM), 2);
    uint32_t slot = directory_slot(f->d, DIRECTORY_TEAM, SPAN("team_a"));
    assert_int_equal(slot,
                     directory_slot_of_name(f->d, DIRECTORY_TEAM, SPAN("treasury"), SLOTS_NONE));
    const struct directory_entry *team = directory_find(f->d, DIRECTORY_TEAM, slot);
    assert_string_equal(team->id, "team_a");
    assert_true(span_is(team->regions, "sa"));
    assert_int_equal(team->max_class, 4);
    assert_string_equal(directory_find(f->d, DIRECTORY_ORGANISATION, team->organisation)->id,
                        "org_a");
    assert_string_equal(directory_find(f->d, DIRECTORY_PLAN, team->plan)->id, "plan_a");
    const struct directory_entry *user =
        directory_find(f->d, DIRECTORY_USER, directory_slot(f->d, DIRECTORY_USER, SPAN("user_a")));
    assert_int_equal(user->team, slot);
    assert_int_equal(user->role, 2);
    assert_int_equal(directory_slot(f->d, DIRECTORY_TEAM, SPAN("team_c")), SLOTS_NONE);
    assert_null(directory_find(f->d, DIRECTORY_TEAM, SLOTS_NONE));
    assert_null(directory_find(f->d, DIRECTORY_TEAM, 2));
    const struct directory_entry *lost =
        directory_find(f->d, DIRECTORY_TEAM, directory_slot(f->d, DIRECTORY_TEAM, SPAN("team_b")));
    assert_int_equal(lost->organisation, SLOTS_NONE);
}

static void a_change_is_seen_and_the_slot_stays(void **state)
{
    struct fixture *f = *state;
    struct store_team team = team_of("team_a", "treasury");
    const struct directory_entry *first, *second;
    assert_int_equal(directory_apply(f->d, DIRECTORY_TEAM, &team, &first), ERR_OK);
    assert_false(directory_has_ended(first, (wall_us){100}));
    team.name = SPAN("exchequer");
    team.ended = (wall_us){50};
    assert_int_equal(directory_apply(f->d, DIRECTORY_TEAM, &team, &second), ERR_OK);
    assert_int_equal(first->slot, second->slot); /* the first is there still: nobody has turned */
    assert_ptr_equal(directory_find(f->d, DIRECTORY_TEAM, second->slot), second);
    assert_true(directory_has_ended(second, (wall_us){50}));
    assert_int_equal(directory_slot_of_name(f->d, DIRECTORY_TEAM, SPAN("exchequer"), SLOTS_NONE),
                     SLOTS_NONE);
    directory_tidy(f->d, (mono_us){0});
    assert_true(span_is(first->name, "treasury"));
    directory_tidy(f->d, (mono_us){INT64_MAX});
    assert_int_equal(directory_count(f->d, DIRECTORY_TEAM), 1);
}

static void a_model_may_be_used_if_it_is_named_or_none_is(void **state)
{
    (void)state;
    assert_true(directory_may_use(SPAN(""), SPAN("any")));
    assert_true(directory_may_use(SPAN("a\nb"), SPAN("a")));
    assert_true(directory_may_use(SPAN("a\nb"), SPAN("b")));
    assert_false(directory_may_use(SPAN("a\nb"), SPAN("c")));
    assert_false(directory_may_use(SPAN("ab"), SPAN("a")));
    assert_false(directory_may_use(SPAN("a\nb"), SPAN("a\nb")));
    assert_false(directory_may_use(SPAN("a"), SPAN("")));
}

/* ---- threads ---- */

struct reader {
    const struct directory *d;
    _Atomic int64_t turned;
    _Atomic bool is_over;
    bool saw_wrong;
};

static void *read_on(void *arg)
{
    struct reader *r = arg;
    while (!atomic_load(&r->is_over)) {
        atomic_store(&r->turned, clock_mono().us);
        const struct directory_entry *e = directory_find(r->d, DIRECTORY_TEAM, 0);
        r->saw_wrong =
            r->saw_wrong || (e != NULL && (e->name.len != 8 || e->name.at[0] != e->name.at[7]));
    }
    return NULL;
}

static void who_reads_sees_one_entry_whole_while_it_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct reader reader = {.d = f->d};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_on, &reader), 0);
    for (int i = 0; i < 20000; i++) {
        char name[9];
        memset(name, 'a' + i % 26, 8);
        name[8] = '\0';
        struct store_team team = team_of("team_a", name);
        assert_int_equal(directory_apply(f->d, DIRECTORY_TEAM, &team, NULL), ERR_OK);
        directory_tidy(f->d, (mono_us){atomic_load(&reader.turned)});
    }
    atomic_store(&reader.is_over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(reader.saw_wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_store_has_is_found_by_slot_and_by_name, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_change_is_seen_and_the_slot_stays, start, stop),
        cmocka_unit_test(a_model_may_be_used_if_it_is_named_or_none_is),
        cmocka_unit_test_setup_teardown(who_reads_sees_one_entry_whole_while_it_is_replaced, start,
                                        stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
