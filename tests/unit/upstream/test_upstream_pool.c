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

static void the_connection_used_last_is_used_again(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, SAY_HI, SAY_HI, END};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene_ready(&scene);
    start(&scene, 0, false);
    start(&scene, 1, false);
    finish(&scene, 0);
    finish(&scene, 1);
    assert_int_equal(scene.server.count, 2);
    const struct act *before = scene.server.connections[0].act;
    for (int i = 0; i < 2; i++) {
        start(&scene, 2, false);
        finish(&scene, 2);
    }
    assert_int_equal(scene.server.count, 2);
    assert_ptr_equal(scene.server.connections[0].act, before); /* the other one served */
    assert_int_equal(scene.server.requests, 4);
    scene_close(&scene);
}

static void a_connection_that_may_not_be_used_again_is_closed(void **state)
{
    (void)state;
    static const struct {
        const char *why, *answer;
    } rows[] = {
        {"it said close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"},
        {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
        {"surplus bytes", OK_HI "x"},
        {"two answers", OK_HI OK_HI},
        {"surplus behind chunks",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nx"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        const struct act script[] = {REQUEST, {ACT_SAY, rows[r].answer, 0, 0}, STAY};
        const struct act *scripts[] = {script};
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene_ready(&scene);
        start(&scene, 0, false);
        finish(&scene, 0);
        if (callers[0].error != ERR_OK || callers[0].len != 2 || connections(&scene) != 0) {
            fail_msg("%s: %s", rows[r].why, err_name(callers[0].error));
        }
        scene_close(&scene);
    }
}

static void an_idle_connection_that_speaks_or_ends_is_closed_at_once(void **state)
{
    (void)state;
    static const struct act speaks[] = {
        SAY_HI, SAY("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"), STAY};
    static const struct act ends[] = {SAY_HI, END};
    static const struct act resets[] = {SAY_HI, RESET};
    static const struct act shuts[] = {SAY_HI, SHUT, STAY};
    const struct act *all[] = {speaks, ends, resets, shuts};
    for (size_t r = 0; r < ROWS(all); r++) {
        struct scene scene;
        scene_open(&scene, &all[r], 1);
        scene_ready(&scene);
        start(&scene, 0, false);
        finish(&scene, 0);
        assert_int_equal(connections(&scene), 1);
        run_turns(&scene, 12);
        assert_int_equal(connections(&scene), 0);
        scene_close(&scene);
    }
}

static void a_reused_connection_that_turns_out_dead_is_stale(void **state)
{
    (void)state;
    static const struct act dies[] = {SAY_HI, REQUEST, END};
    static const struct act resets[] = {SAY_HI, REQUEST, RESET};
    static const struct act lives[] = {SAY_HI, SAY_HI, END};
    const struct act *all[][2] = {{dies, lives}, {resets, lives}};
    for (size_t r = 0; r < ROWS(all); r++) {
        struct scene scene;
        scene_open(&scene, all[r], 2);
        scene_ready(&scene);
        start(&scene, 0, false);
        finish(&scene, 0);
        start(&scene, 0, false);
        run_until(&scene, &callers[0].done);
        assert_int_equal(callers[0].error, ERR_UPSTREAM_STALE);
        assert_true(attempt_was_reused(callers[0].attempt));
        attempt_close(&callers[0].attempt);
        start(&scene, 0, true);
        finish(&scene, 0);
        assert_int_equal(callers[0].error, ERR_OK);
        assert_int_equal(scene.server.count, 2);
        scene_close(&scene);
    }
}

static void a_connection_that_died_unseen_is_stale(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, STAY};
    const struct act *scripts[] = {script};
    for (int reset = 0; reset < 2; reset++) {
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene_ready(&scene);
        start(&scene, 0, false);
        finish(&scene, 0);
        server_drop(&scene.server.connections[0], reset == 1);
        start(&scene, 0, false); /* before the loop can tell of the end */
        run_until(&scene, &callers[0].done);
        assert_int_equal(callers[0].error, ERR_UPSTREAM_STALE);
        attempt_close(&callers[0].attempt);
        scene_close(&scene);
    }
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
    scene.definition.total_timeout_ms = 100;
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
    assert_int_equal(e, ERR_OVERLOADED);
    assert_int_equal(count, 1025);
    for (int i = 0; i < count; i++) {
        attempt_close(&waiting[i]);
    }
    assert_int_equal(atomic_load(&scene.deployment->waiting), 0);

    start(&scene, 0, false);
    start(&scene, 1, false);
    finish(&scene, 1);
    assert_int_equal(callers[1].error, ERR_UPSTREAM_TIMEOUT); /* the total, while it waited */
    finish(&scene, 0);
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
    assert_int_equal(upstream_pool_open(scene.loop, &theirs), ERR_OK);

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
        assert_int_equal(upstream_pool_open(scene.loop, &theirs), ERR_OK);
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

static void surplus_behind_a_full_read_is_seen(void **state)
{
    (void)state;
#define HEAD_OF_HI SAY("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    static const struct act script[] = {REQUEST, HEAD_OF_HI, SAY("hi"), STAY};
    static const struct act more[] = {REQUEST, HEAD_OF_HI, SAY("hiHTTP/1.1 200 OK\r\n"), STAY};
    const struct act *all[] = {script, more};
    for (size_t r = 0; r < ROWS(all); r++) {
        struct scene scene;
        scene_open(&scene, &all[r], 1);
        scene_ready(&scene);
        callers[0].pull_size = 2; /* just the body */
        start(&scene, 0, false);
        finish(&scene, 0);
        callers[0].pull_size = 0;
        assert_int_equal(callers[0].error, ERR_OK);
        assert_int_equal(connections(&scene), all[r] == script ? 1 : 0);
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
        cmocka_unit_test(the_connection_used_last_is_used_again),
        cmocka_unit_test(a_connection_that_may_not_be_used_again_is_closed),
        cmocka_unit_test(an_idle_connection_that_speaks_or_ends_is_closed_at_once),
        cmocka_unit_test(a_reused_connection_that_turns_out_dead_is_stale),
        cmocka_unit_test(a_connection_that_died_unseen_is_stale),
        cmocka_unit_test(a_fresh_attempt_does_not_use_the_pool),
        cmocka_unit_test(idle_connections_expire_and_are_few),
        cmocka_unit_test(attempts_beyond_the_bound_wait_their_turn),
        cmocka_unit_test(too_many_waiting_attempts_are_refused),
        cmocka_unit_test(a_connection_that_another_worker_waits_for_is_let_go),
        cmocka_unit_test(no_worker_keeps_all_connections_from_another),
        cmocka_unit_test(surplus_behind_a_full_read_is_seen),
        cmocka_unit_test(a_retired_deployment_loses_its_connections),
        cmocka_unit_test(a_final_chunk_that_comes_late_is_waited_for),
        cmocka_unit_test(a_final_chunk_that_is_still_due_does_not_outlive_the_pool),
        cmocka_unit_test(what_is_cancelled_is_closed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
