/* SPDX-License-Identifier: Apache-2.0 */
/* test_upstream_reuse.c — no answer reaches another call by way of a connection that is used again.
 */
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

static void the_connection_idle_longest_is_used_again(void **state)
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
    for (int i = 0; i < 2; i++) { /* each in its turn */
        const struct act *before = scene.server.connections[i].act;
        start(&scene, 2, false);
        finish(&scene, 2);
        assert_ptr_not_equal(scene.server.connections[i].act, before);
    }
    assert_int_equal(scene.server.count, 2);
    assert_int_equal(scene.server.requests, 4);
    scene_close(&scene);
}

/* Starts another attempt within the turn in which the first one's answer ended. */
static void on_event_start_another(void *ctx)
{
    struct caller *caller = ctx;
    on_caller_event(caller);
    if (caller->done && callers[1].attempt == NULL) {
        assert_int_equal(caller_start(&callers[1], caller->scene, &body, false), ERR_OK);
    }
}

static void a_connection_is_lent_again_a_turn_after_its_answer(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, SAY_HI, STAY};
    const struct act *scripts[] = {script};
    for (int most = 0; most < 2; most++) {
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene.definition.connections_max = most;
        scene_ready(&scene);
        callers[0] = (struct caller){.scene = &scene};
        callers[1] = (struct caller){.scene = &scene};
        struct attempt_request request = {.path = SPAN("/x"), .pieces = &body, .piece_count = 1};
        assert_int_equal(attempt_prepare(scene.pool, scene.deployment, &request,
                                         on_event_start_another, &callers[0], &callers[0].attempt),
                         ERR_OK);
        attempt_start(callers[0].attempt);
        run_until(&scene, &callers[1].done);
        assert_int_equal(callers[1].error, ERR_OK);
        /* Where there may be but one it is waited for, a turn and not a look of the pool's. */
        assert_int_equal(scene.server.count, most == 0 ? 2 : 1);
        attempt_close(&callers[0].attempt);
        attempt_close(&callers[1].attempt);
        scene_close(&scene);
    }
}

/* What the server's side of connection 0 says at once, whatever its script says. */
static void blurt(struct scene *scene, const char *text)
{
    struct iovec piece = {(void *)(uintptr_t)text, strlen(text)};
    size_t sent = 0;
    assert_int_equal(net_writev(scene->server.connections[0].socket, &piece, 1, &sent), NET_OK);
    assert_int_equal(sent, strlen(text));
}

static void bytes_that_come_before_the_lease_are_nobodys_answer(void **state)
{
    (void)state;
    static const struct act first[] = {SAY_HI, STAY};
    static const struct act second[] = {
        REQUEST, SAY("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine"), STAY};
    const struct act *scripts[] = {first, second};
    struct scene scene;
    scene_open(&scene, scripts, 2);
    scene_ready(&scene);
    start(&scene, 0, false);
    finish(&scene, 0);
    blurt(&scene, OK_HI);
    start(&scene, 0, false); /* before the loop can tell of the bytes */
    finish(&scene, 0);
    assert_int_equal(callers[0].error, ERR_OK);
    assert_memory_equal(callers[0].body, "mine", 4);
    assert_int_equal(scene.server.count, 2);
    scene_close(&scene);
}

static char large_text[900000];

static void bytes_that_come_while_a_reused_connection_is_written_to_are_nobodys_answer(void **state)
{
    (void)state;
    static const struct act answers[] = {SAY_HI, DEAF, STAY};
    static const struct act refuses[] = {DEAF, SAY(OK_HI), STAY};
    memset(large_text, 'x', sizeof(large_text));
    struct iovec large = {large_text, sizeof(large_text)};
    for (int reused = 0; reused < 2; reused++) {
        const struct act *script = reused == 1 ? answers : refuses;
        struct scene scene;
        scene_open(&scene, &script, 1);
        scene_ready(&scene);
        if (reused == 1) {
            start(&scene, 0, false);
            finish(&scene, 0);
            run_turns(&scene, 8);
        }
        assert_int_equal(caller_start(&callers[0], &scene, &large, false), ERR_OK);
        if (reused == 1) {
            run_turns(&scene, 8);
            assert_int_equal(attempt_state(callers[0].attempt), ATTEMPT_SENDING);
            blurt(&scene, OK_HI);
        }
        run_until(&scene, &callers[0].done);
        /* On a fresh connection it can be no other's: an early refusal is heard. */
        assert_int_equal(callers[0].error, reused == 1 ? ERR_UPSTREAM_PROTOCOL : ERR_OK);
        attempt_close(&callers[0].attempt);
        assert_int_equal(connections(&scene), 0);
        scene_close(&scene);
    }
}

#define OK_WITH_ID(id) "HTTP/1.1 200 OK\r\nX-Request-Id: " id "\r\nContent-Length: 2\r\n\r\nhi"

static void an_answer_with_the_id_of_another_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *why, *first, *second;
        enum err error;
    } rows[] = {
        {"its own", OK_WITH_ID("01aa"), OK_WITH_ID("01bb"), ERR_OK},
        {"the one before", OK_WITH_ID("01aa"), OK_WITH_ID("01aa"), ERR_UPSTREAM_PROTOCOL},
        {"none", OK_WITH_ID("01aa"), OK_HI, ERR_OK},
        {"of another form", OK_WITH_ID("01aa"), OK_WITH_ID("req_1"), ERR_OK},
        {"it makes its own", OK_WITH_ID("02xx"), OK_WITH_ID("02yy"), ERR_OK},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        const struct act script[] = {REQUEST,
                                     {ACT_SAY, rows[r].first, 0, 0},
                                     REQUEST,
                                     {ACT_SAY, rows[r].second, 0, 0},
                                     STAY};
        const struct act *scripts[] = {script};
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene_ready(&scene);
        callers[0].id = "01aa";
        start(&scene, 0, false);
        finish(&scene, 0);
        assert_int_equal(callers[0].error, ERR_OK);
        callers[0].id = "01bb";
        start(&scene, 0, false);
        run_until(&scene, &callers[0].done);
        assert_non_null(strstr(scene.server.last, "\r\nX-Request-Id: 01bb\r\n"));
        if (callers[0].error != rows[r].error) {
            fail_msg("%s: %s", rows[r].why, err_name(callers[0].error));
        }
        attempt_close(&callers[0].attempt);
        assert_int_equal(connections(&scene), rows[r].error == ERR_OK ? 1 : 0);
        callers[0].id = NULL;
        scene_close(&scene);
    }
}

static void whose_calls_share_a_connection_is_for_the_setting_to_say(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, AGAIN};
    const struct act *scripts[] = {script};
    static const struct {
        enum upstream_reuse reuse;
        size_t count; /* connections of three calls: a's, b's, a's */
    } rows[] = {{UPSTREAM_REUSE_ANY, 1}, {UPSTREAM_REUSE_TEAM, 2}, {UPSTREAM_REUSE_NEVER, 3}};
    for (size_t r = 0; r < ROWS(rows); r++) {
        for (int most = 0; most < 2; most++) {
            struct scene scene;
            scene_open(&scene, scripts, 1);
            scene.definition.reuse = rows[r].reuse;
            scene.definition.connections_max = most;
            scene_ready(&scene);
            static const char *const owners[] = {"a", "b", "a"};
            for (size_t i = 0; i < ROWS(owners); i++) {
                callers[0].owner = owners[i];
                start(&scene, 0, false);
                finish(&scene, 0);
                assert_int_equal(callers[0].error, ERR_OK);
            }
            callers[0].owner = NULL;
            bool says_close = strstr(scene.server.last, "\r\nConnection: close\r\n") != NULL;
            assert_int_equal(says_close, rows[r].reuse == UPSTREAM_REUSE_NEVER);
            /* At the bound, the connection of another makes room. */
            size_t most_count = rows[r].reuse == UPSTREAM_REUSE_ANY ? 1 : 3;
            assert_int_equal(scene.server.count, most == 0 ? rows[r].count : most_count);
            scene_close(&scene);
        }
    }
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

static void a_request_that_was_sent_is_not_sent_again(void **state)
{
    (void)state;
    static const struct act dies[] = {SAY_HI, REQUEST, END};
    static const struct act resets[] = {SAY_HI, REQUEST, RESET};
    const struct act *all[] = {dies, resets};
    for (size_t r = 0; r < ROWS(all); r++) {
        struct scene scene;
        scene_open(&scene, &all[r], 1);
        scene_ready(&scene);
        start(&scene, 0, false);
        finish(&scene, 0);
        start(&scene, 0, false);
        run_until(&scene, &callers[0].done);
        assert_int_equal(callers[0].error,
                         ERR_UPSTREAM_CLOSED); /* and not STALE: it may have run */
        assert_true(attempt_was_reused(callers[0].attempt) && attempt_has_sent(callers[0].attempt));
        attempt_close(&callers[0].attempt);
        assert_int_equal(scene.server.count, 1);
        scene_close(&scene);
    }
}

static void a_connection_that_died_unseen_is_not_lent(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, STAY};
    const struct act *scripts[] = {script};
    for (int reset = 0; reset < 2; reset++) {
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene_ready(&scene);
        start(&scene, 0, false);
        start(&scene, 1, false);
        finish(&scene, 0);
        finish(&scene, 1);
        server_drop(&scene.server.connections[0], reset == 1);
        server_drop(&scene.server.connections[1], reset == 1);
        start(&scene, 0, false); /* before the loop can tell of the ends */
        assert_false(attempt_was_reused(callers[0].attempt));
        finish(&scene, 0);
        assert_int_equal(callers[0].error, ERR_OK);
        assert_int_equal(scene.server.count, 3);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_connection_idle_longest_is_used_again),
        cmocka_unit_test(a_connection_is_lent_again_a_turn_after_its_answer),
        cmocka_unit_test(bytes_that_come_before_the_lease_are_nobodys_answer),
        cmocka_unit_test(
            bytes_that_come_while_a_reused_connection_is_written_to_are_nobodys_answer),
        cmocka_unit_test(an_answer_with_the_id_of_another_is_none),
        cmocka_unit_test(whose_calls_share_a_connection_is_for_the_setting_to_say),
        cmocka_unit_test(a_connection_that_may_not_be_used_again_is_closed),
        cmocka_unit_test(an_idle_connection_that_speaks_or_ends_is_closed_at_once),
        cmocka_unit_test(a_request_that_was_sent_is_not_sent_again),
        cmocka_unit_test(a_connection_that_died_unseen_is_not_lent),
        cmocka_unit_test(surplus_behind_a_full_read_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
