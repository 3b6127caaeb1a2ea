/* SPDX-License-Identifier: Apache-2.0 */
/* test_attempt.c — one request and its answer, however the answer comes and ends. */
#include "model_server.h"

static struct caller caller;

static void expect(const char *why, const struct caller *got, enum err error, int status,
                   const char *body)
{
    if (got->error != error || got->status != status || got->len != strlen(body) ||
        memcmp(got->body, body, got->len) != 0) {
        fail_msg("%s: %s, status %d, %zu bytes \"%.*s\"", why, err_name(got->error), got->status,
                 got->len, (int)got->len, got->body);
    }
}

static const struct {
    const char *why;
    const char *answer; /* then the connection is closed */
    enum err error;
    int status;
    const char *body;
} answers[] = {
    {"a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ERR_OK, 200, "hello"},
    {"no body", "HTTP/1.1 204 No Content\r\n\r\n", ERR_OK, 204, ""},
    {"a body of no bytes", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ERR_OK, 200, ""},
    {"until the end", "HTTP/1.1 200 OK\r\n\r\nhello", ERR_OK, 200, "hello"},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello", ERR_OK, 200, "hello"},
    {"chunks",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n"
     "0\r\nT: x\r\n\r\n",
     ERR_OK, 200, "hello"},
    {"an interim head first",
     "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
     ERR_OK, 200, "hello"},
    {"an error with a body", "HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad", ERR_OK, 500, "bad"},
    {"more than was announced", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello there", ERR_OK,
     200, "hello"},
    {"identity", "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\nx",
     ERR_OK, 200, "x"},
    {"less than was announced", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
     ERR_UPSTREAM_CLOSED, 200, "hello"},
    {"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
     ERR_UPSTREAM_CLOSED, 200, "hello"},
    {"a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
     ERR_UPSTREAM_PROTOCOL, 200, ""},
    {"an end before the answer", "", ERR_UPSTREAM_CLOSED, 0, ""},
    {"an end in the head", "HTTP/1.1 200 OK\r\nContent-Le", ERR_UPSTREAM_CLOSED, 0, ""},
    {"an end behind an interim head", "HTTP/1.1 100 Continue\r\n\r\n", ERR_UPSTREAM_CLOSED, 0, ""},
    {"not HTTP", "SSH-2.0-OpenSSH\r\n", ERR_UPSTREAM_PROTOCOL, 0, ""},
    {"a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", ERR_UPSTREAM_PROTOCOL, 0, ""},
    {"another protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n", ERR_UPSTREAM_PROTOCOL, 0, ""},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
     ERR_UPSTREAM_PROTOCOL, 0, ""},
    {"a coded body", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
     ERR_UPSTREAM_PROTOCOL, 0, ""},
};

static void an_answer_is_read_as_it_is_framed(void **state)
{
    (void)state;
    for (size_t r = 0; r < ROWS(answers); r++) {
        const struct act script[] = {REQUEST, {ACT_SAY, answers[r].answer, 0, 0}, END};
        const struct act *scripts[] = {script};
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene_ready(&scene);
        call(&caller, &scene, false);
        expect(answers[r].why, &caller, answers[r].error, answers[r].status, answers[r].body);
        attempt_close(&caller.attempt);
        scene_close(&scene);
    }
}

static void an_answer_does_not_depend_on_where_it_is_cut(void **state)
{
    (void)state;
    for (size_t r = 0; r < ROWS(answers); r++) {
        size_t len = strlen(answers[r].answer);
        for (size_t cut = 1; cut < len; cut++) {
            const struct act script[] = {REQUEST,
                                         {ACT_SAY, answers[r].answer, cut, 0},
                                         {ACT_SAY, answers[r].answer + cut, 0, 0},
                                         END};
            const struct act *scripts[] = {script};
            struct scene scene;
            scene_open(&scene, scripts, 1);
            scene_ready(&scene);
            caller.pull_size = cut % 7; /* sometimes less than there is */
            call(&caller, &scene, false);
            char why[128];
            (void)snprintf(why, sizeof(why), "%s, cut at %zu", answers[r].why, cut);
            expect(why, &caller, answers[r].error, answers[r].status, answers[r].body);
            attempt_close(&caller.attempt);
            scene_close(&scene);
        }
    }
    caller.pull_size = 0;
}

static void a_reset_at_any_byte_is_an_early_end(void **state)
{
    (void)state;
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (size_t cut = 0; cut < sizeof(answer) - 1; cut++) {
        const struct act some[] = {REQUEST, {ACT_SAY, answer, cut, 0}, RESET};
        const struct act none[] = {REQUEST, RESET};
        const struct act *scripts[] = {cut == 0 ? none : some};
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene_ready(&scene);
        call(&caller, &scene, false);
        assert_int_equal(caller.error, ERR_UPSTREAM_CLOSED);
        assert_int_equal(atomic_load(&scene.deployment->failures), 1);
        attempt_close(&caller.attempt);
        scene_close(&scene);
    }
}

static void the_request_is_what_it_should_be(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, SAY_HI, END};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene.definition.api_key.text = "s3cret";
    scene_ready(&scene);
    call(&caller, &scene, false);
    char expected[512];
    (void)snprintf(expected, sizeof(expected),
                   "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                   "Via: 1.1 atlas\r\nUser-Agent: atlas/" ATLAS_VERSION "\r\n"
                   "Accept-Encoding: identity\r\nAuthorization: Bearer s3cret\r\n"
                   "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
                   scene.server.port);
    assert_string_equal(scene.server.last, expected);
    assert_string_equal(attempt_peer(caller.attempt), "127.0.0.1");
    assert_true(attempt_has_sent(caller.attempt));
    assert_false(attempt_was_reused(caller.attempt));
    assert_true(attempt_first_byte(caller.attempt).us > 0);
    attempt_close(&caller.attempt);

    assert_int_equal(caller_start(&caller, &scene, NULL, false), ERR_OK);
    run_until(&scene, &caller.done);
    assert_memory_equal(scene.server.last, "GET /v1/chat/completions HTTP/1.1\r\n", 35);
    assert_null(strstr(scene.server.last, "Content-Length"));
    assert_true(attempt_was_reused(caller.attempt));
    attempt_close(&caller.attempt);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_read_as_it_is_framed),
        cmocka_unit_test(an_answer_does_not_depend_on_where_it_is_cut),
        cmocka_unit_test(a_reset_at_any_byte_is_an_early_end),
        cmocka_unit_test(the_request_is_what_it_should_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
