/* SPDX-License-Identifier: Apache-2.0 */
/* test_upstream_queue.c — who waits for a connection, and who is refused. */
#include "model_server.h"

#define CALLERS 8

static struct caller callers[CALLERS];
static char body_text[] = "{}";
static struct iovec body = {body_text, 2};

static void start(struct scene *scene, int which, bool fresh)
{
    assert_int_equal(caller_start(&callers[which], scene, &body, fresh), ERR_OK);
}

static void finish(struct scene *scene, int which)
{
    run_until(scene, &callers[which].done);
    attempt_close(&callers[which].attempt);
}

static int64_t connections(const struct scene *scene)
{
    return atomic_load(&scene->deployment->connections);
}

static void attempts_beyond_the_bound_wait_their_turn(void **state)
{
    (void)state;
    static const struct act closing[] = {
        REQUEST, SAY("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"), STAY};
    static const struct act keeping[] = {SAY_HI, SAY_HI, SAY_HI, SAY_HI, SAY_HI, SAY_HI, STAY};
    const struct act *all[] = {closing, keeping};
    for (size_t r = 0; r < ROWS(all); r++) {
        struct scene scene;
        scene_open(&scene, &all[r], 1);
        scene.definition.connections_max = 2;
        scene_ready(&scene);
        for (int i = 0; i < 6; i++) {
            start(&scene, i, false);
        }
        assert_int_equal(connections(&scene), 2);
        assert_int_equal(atomic_load(&scene.deployment->waiting), 4);
        attempt_close(&callers[3].attempt); /* one gives up */
        int64_t started = clock_mono().us;
        for (int i = 0; i < 6; i++) {
            if (i != 3) {
                finish(&scene, i);
                assert_int_equal(callers[i].error, ERR_OK);
                assert_true(connections(&scene) <= 2);
            }
        }
        assert_true(clock_mono().us - started < 1000000); /* woken, not found by looking */
        scene_close(&scene);
    }
}

static void too_many_waiting_attempts_are_refused(void **state)
{
    (void)state;
    static const struct act script[] = {STAY};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene.definition.connections_max = 1;
    scene_ready(&scene);
    static struct attempt *waiting[2000];
    struct attempt_request request = {.path = SPAN("/x")};
    int count = 0;
    enum err e;
    while ((e = attempt_prepare(scene.pool, scene.deployment, &request, on_caller_event,
                                &callers[0], &waiting[count])) == ERR_OK) {
        attempt_start(waiting[count]);
        count++;
        assert_true(count < 2000);
    }
    assert_int_equal(e, ERR_UPSTREAM_BUSY);
    assert_int_equal(count, 1025);
    for (int i = 0; i < count; i++) {
        attempt_close(&waiting[i]);
    }
    assert_int_equal(atomic_load(&scene.deployment->waiting), 0);

    start(&scene, 0, false); /* it keeps the connection for longer than the next one may wait */
    scene.deployment->definition.total_timeout_ms = 100;
    start(&scene, 1, false);
    finish(&scene, 1);
    assert_int_equal(callers[1].error, ERR_UPSTREAM_UNREACHED); /* the total, while it waited */
    attempt_close(&callers[0].attempt);
    scene_close(&scene);
}

static void owners_take_turns_for_a_connection(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, AGAIN};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene.definition.connections_max = 1;
    scene_ready(&scene);
    static const char *const owners[] = {"a", "a", "a", "a", "a", "b", "b", "c"};
    static const int order[] = {0, 1, 5, 7, 2, 6, 3, 4}; /* a, and then a b c a b a a */
    for (int i = 0; i < CALLERS; i++) {
        callers[i].owner = owners[i];
        start(&scene, i, false);
    }
    for (int i = 0; i < CALLERS; i++) {
        finish(&scene, order[i]);
        for (int later = i + 1; later < CALLERS; later++) {
            assert_false(callers[order[later]].done);
        }
    }
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].error, ERR_OK);
        callers[i].owner = NULL;
    }
    scene_close(&scene);
}

static void one_who_comes_again_and_again_does_not_pass_those_who_wait(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, AGAIN};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene.definition.connections_max = 1;
    scene_ready(&scene);
    for (int i = 0; i < 5; i++) {
        callers[i].owner = "a";
        start(&scene, i, false);
    }
    callers[5].owner = "b";
    for (int i = 0; i < 4; i++) { /* b has one call at a time */
        start(&scene, 5, false);
        finish(&scene, 5);
        assert_true(callers[i].done); /* and each of a's had its turn before the next of b's */
    }
    for (int i = 0; i < 5; i++) {
        finish(&scene, i);
        callers[i].owner = NULL;
    }
    callers[5].owner = NULL;
    scene_close(&scene);
}

static void a_full_queue_makes_room_for_those_who_have_less_in_it(void **state)
{
    (void)state;
    static const struct act script[] = {STAY};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene.definition.connections_max = 1;
    scene.definition.queue_max = 4;
    scene_ready(&scene);
    for (int i = 0; i < 5; i++) {
        callers[i].owner = "flood";
        start(&scene, i, false);
    }
    callers[5].owner = "flood";
    assert_int_equal(caller_start(&callers[5], &scene, &body, false), ERR_UPSTREAM_BUSY);
    for (int i = 5; i < 7; i++) {
        callers[i].owner = "other";
        start(&scene, i, false);
    }
    callers[7].owner = "other"; /* both have two now */
    assert_int_equal(caller_start(&callers[7], &scene, &body, false), ERR_UPSTREAM_BUSY);
    run_until(&scene, &callers[4].done); /* they are told who made room, the last first */
    run_until(&scene, &callers[3].done);
    assert_int_equal(callers[4].error, ERR_UPSTREAM_BUSY);
    assert_int_equal(callers[3].error, ERR_UPSTREAM_BUSY);
    assert_int_equal(atomic_load(&scene.deployment->waiting), 4);
    for (int i = 0; i < CALLERS; i++) {
        attempt_close(&callers[i].attempt);
        callers[i].owner = NULL;
    }
    scene_close(&scene);
}

static void a_queue_leaves_those_for_other_servers_alone(void **state)
{
    (void)state;
    static const struct act silent[] = {STAY};
    static const struct act script[] = {SAY_HI, STAY};
    const struct act *scripts[] = {silent, script};
    struct scene scene;
    scene_open(&scene, scripts, 2);
    scene.definition.connections_max = 1;
    scene.definition.queue_max = 2;
    scene_ready(&scene);
    struct deployment *full = scene.deployment;
    for (int i = 0; i < 3; i++) {
        start(&scene, i, false);
    }
    assert_int_equal(caller_start(&callers[3], &scene, &body, false), ERR_UPSTREAM_BUSY);
    run_turns(&scene, 8);
    char reason[DEPLOYMENT_REASON_BYTES];
    assert_int_equal(deployment_open(&scene.definition, NULL, reason, &scene.deployment), ERR_OK);
    for (int i = 4; i < 7; i++) {
        start(&scene, i, false);
    }
    finish(&scene, 4);
    assert_int_equal(callers[4].error, ERR_OK);
    for (int i = 0; i < CALLERS; i++) {
        attempt_close(&callers[i].attempt);
    }
    deployment_unref(&full);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attempts_beyond_the_bound_wait_their_turn),
        cmocka_unit_test(too_many_waiting_attempts_are_refused),
        cmocka_unit_test(owners_take_turns_for_a_connection),
        cmocka_unit_test(one_who_comes_again_and_again_does_not_pass_those_who_wait),
        cmocka_unit_test(a_full_queue_makes_room_for_those_who_have_less_in_it),
        cmocka_unit_test(a_queue_leaves_those_for_other_servers_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
