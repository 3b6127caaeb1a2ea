/* SPDX-License-Identifier: Apache-2.0 */
/* test_upstream_pool.c — which connections are used again, and who waits for one. */
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

static void a_fresh_attempt_does_not_use_the_pool(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, SAY_HI, END};
    const struct act *scripts[] = {script};
    for (int most = 0; most < 2; most++) { /* at the bound an idle connection makes room */
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene.definition.connections_max = most;
        scene_ready(&scene);
        start(&scene, 0, false);
        finish(&scene, 0);
        start(&scene, 0, true);
        run_until(&scene, &callers[0].done);
        assert_false(attempt_was_reused(callers[0].attempt));
        attempt_close(&callers[0].attempt);
        assert_int_equal(scene.server.count, 2);
        assert_int_equal(connections(&scene), most == 0 ? 2 : 1);
        scene_close(&scene);
    }
}

static void idle_connections_expire_and_are_few(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, STAY};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene.definition.idle_connections_max = 2;
    scene.definition.idle_keep_ms = 30;
    scene_ready(&scene);
    for (int i = 0; i < 4; i++) {
        start(&scene, i, false);
    }
    for (int i = 0; i < 4; i++) {
        run_until(&scene, &callers[i].done);
    }
    for (int i = 0; i < 4; i++) {
        attempt_close(&callers[i].attempt);
    }
    assert_int_equal(connections(&scene), 2);
    scene_guard(&scene);
    while (connections(&scene) > 0 && !scene.late) {
        run_turns(&scene, 2);
    }
    assert_false(scene.late);
    scene_close(&scene);
}

static void a_connection_that_another_worker_waits_for_is_let_go(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, SAY_HI, STAY};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene.definition.connections_max = 1;
    scene_ready(&scene);
    struct upstream_pool *ours = scene.pool;
    struct upstream_pool *theirs;
    assert_int_equal(upstream_pool_open(scene.loop, scene.resolver, &theirs), ERR_OK);

    start(&scene, 0, false);
    scene.pool = theirs;
    start(&scene, 1, false); /* waits while the other is busy */
    finish(&scene, 0);
    finish(&scene, 1);
    assert_int_equal(callers[1].error, ERR_OK);

    scene.pool = ours;
    start(&scene, 2, false); /* waits while the other's is idle */
    finish(&scene, 2);
    assert_int_equal(callers[2].error, ERR_OK);
    upstream_pool_close(&theirs);
    scene_close(&scene);
}

static void who_comes_to_wait_when_a_connection_is_idle_gets_it_soon(void **state)
{
    (void)state;
    /* Longer than it takes a worker to see that nothing waits and nothing is idle. */
    static const struct act script[] = {REQUEST, PAUSE(150), SAY(OK_HI), STAY};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene.definition.connections_max = 1;
    scene_ready(&scene);
    struct upstream_pool *ours = scene.pool;
    struct upstream_pool *theirs;
    assert_int_equal(upstream_pool_open(scene.loop, scene.resolver, &theirs), ERR_OK);
    start(&scene, 0, false);
    scene.pool = theirs;
    start(&scene, 1, false);
    finish(&scene, 0);
    finish(&scene, 1);
    scene.pool = ours;
    start(&scene, 2, false);
    finish(&scene, 2);
    assert_int_equal(callers[2].error, ERR_OK);
    upstream_pool_close(&theirs);
    scene_close(&scene);
}

static void no_worker_keeps_all_connections_from_another(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, AGAIN};
    const struct act *scripts[] = {script};
    for (int most = 1; most <= 2; most++) {
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene.definition.connections_max = most;
        scene_ready(&scene);
        struct upstream_pool *ours = scene.pool;
        struct upstream_pool *theirs;
        assert_int_equal(upstream_pool_open(scene.loop, scene.resolver, &theirs), ERR_OK);
        for (int i = 0; i < 4; i++) {
            start(&scene, i, false);
        }
        scene.pool = theirs;
        start(&scene, 4, false);
        scene.pool = ours;
        int64_t started = clock_mono().us;
        while (!callers[4].done) { /* there is always another that waits here */
            int done = -1;
            for (int i = 0; i < 4; i++) {
                done = callers[i].done ? i : done;
            }
            if (done >= 0) {
                attempt_close(&callers[done].attempt);
                start(&scene, done, false);
            } else {
                run_turns(&scene, 1);
            }
        }
        assert_int_equal(callers[4].error, ERR_OK);
        assert_true(clock_mono().us - started < 1000000);
        for (int i = 0; i < 5; i++) {
            finish(&scene, i);
            assert_int_equal(callers[i].error, ERR_OK);
        }
        upstream_pool_close(&theirs);
        scene_close(&scene);
    }
}

static void a_retired_deployment_loses_its_connections(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, STAY};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene_ready(&scene);
    start(&scene, 0, false);
    start(&scene, 1, false);
    finish(&scene, 0);
    upstream_pool_sweep(scene.pool);
    assert_int_equal(connections(&scene), 2); /* somebody still holds it */

    deployment_unref(&scene.deployment);
    upstream_pool_sweep(scene.pool);
    run_until(&scene, &callers[1].done); /* what runs goes on */
    assert_int_equal(callers[1].error, ERR_OK);
    attempt_close(&callers[1].attempt);
    scene_guard(&scene);
    while (scene.server.open > 0 && !scene.late) {
        run_turns(&scene, 2);
    }
    assert_int_equal(scene.server.closed_by_client, 2);
    scene_close(&scene);
}

#define ALL_BUT_THE_END "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"

static void a_final_chunk_that_comes_late_is_waited_for(void **state)
{
    (void)state;
    static const struct {
        const char *why, *then;
        int64_t kept; /* connections */
    } rows[] = {
        {"it comes", "0\r\n\r\n", 1},
        {"with a trailer", "0\r\nX: 1\r\n\r\n", 1},
        {"more of the body comes", "1\r\nx\r\n0\r\n\r\n", 0},
        {"surplus comes", "0\r\n\r\nx", 0},
        {"what is no chunk comes", "zz\r\n", 0},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        const struct act script[] = {
            REQUEST, SAY(ALL_BUT_THE_END), PAUSE(20), {ACT_SAY, rows[r].then, 0, 0}, STAY};
        const struct act *scripts[] = {script};
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene_ready(&scene);
        start(&scene, 0, false);
        while (callers[0].len < 2) {
            run_turns(&scene, 2);
        }
        attempt_finish(&callers[0].attempt);
        assert_null(callers[0].attempt);
        assert_int_equal(connections(&scene), 1); /* held, by nobody */
        scene_guard(&scene);
        while (!scene.late && scene.server.connections[0].act->kind != ACT_STAY) {
            run_turns(&scene, 2);
        }
        run_turns(&scene, 8);
        assert_false(scene.late);
        if (connections(&scene) != rows[r].kept || scene.server.open != rows[r].kept) {
            fail_msg("%s: %lld connections", rows[r].why, (long long)connections(&scene));
        }
        scene_close(&scene);
    }
}

static void a_final_chunk_that_is_still_due_does_not_outlive_the_pool(void **state)
{
    (void)state;
    static const struct act script[] = {REQUEST, SAY(ALL_BUT_THE_END), STAY};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene_ready(&scene);
    start(&scene, 0, false);
    while (callers[0].len < 2) {
        run_turns(&scene, 2);
    }
    attempt_finish(&callers[0].attempt);
    scene_close(&scene);
}

static void what_is_cancelled_is_closed_at_once(void **state)
{
    (void)state;
    static const struct act silent[] = {REQUEST, STAY};
    static const struct act half_head[] = {REQUEST, SAY("HTTP/1.1 200 O"), STAY};
    static const struct act half_body[] = {
        REQUEST, SAY("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"), STAY};
    const struct act *all[] = {silent, half_head, half_body};
    for (size_t r = 0; r < ROWS(all); r++) {
        struct scene scene;
        scene_open(&scene, &all[r], 1);
        scene_ready(&scene);
        start(&scene, 0, false);
        run_turns(&scene, 20);
        assert_int_equal(scene.server.requests, 1);
        assert_false(callers[0].done);
        attempt_close(&callers[0].attempt);
        assert_int_equal(connections(&scene), 0);
        run_turns(&scene, 4);
        assert_int_equal(scene.server.closed_by_client, 1);
        scene_close(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_attempt_does_not_use_the_pool),
        cmocka_unit_test(idle_connections_expire_and_are_few),
        cmocka_unit_test(a_connection_that_another_worker_waits_for_is_let_go),
        cmocka_unit_test(who_comes_to_wait_when_a_connection_is_idle_gets_it_soon),
        cmocka_unit_test(no_worker_keeps_all_connections_from_another),
        cmocka_unit_test(a_retired_deployment_loses_its_connections),
        cmocka_unit_test(a_final_chunk_that_comes_late_is_waited_for),
        cmocka_unit_test(a_final_chunk_that_is_still_due_does_not_outlive_the_pool),
        cmocka_unit_test(what_is_cancelled_is_closed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
