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
                   "User-Agent: atlas/" ATLAS_VERSION "\r\nAuthorization: Bearer s3cret\r\n"
                   "Via: 1.1 atlas\r\nAccept-Encoding: identity\r\n"
                   "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
                   scene.server.port);
    assert_string_equal(scene.server.last, expected);
    assert_string_equal(attempt_peer(caller.attempt)->address, "127.0.0.1");
    assert_false(attempt_peer(caller.attempt)->has_certificate);
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

static char large[8 << 20];

static void an_answer_before_all_was_sent_is_read(void **state)
{
    (void)state;
    static const char too_large[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig";
    static const struct act stays[] = {DEAF, SAY(too_large), STAY};
    static const struct act ends[] = {DEAF, SAY(too_large), END};
    static const struct act at_once[] = {SAY(too_large), END};
    static const struct act interim[] = {DEAF, SAY("HTTP/1.1 100 Continue\r\n\r\n"), SAY(too_large),
                                         STAY};
    const struct act *all[] = {stays, ends, at_once, interim};
    for (size_t r = 0; r < ROWS(all); r++) {
        struct scene scene;
        scene_open(&scene, &all[r], 1);
        scene_ready(&scene);
        struct iovec body = {large, sizeof(large)};
        assert_int_equal(caller_start(&caller, &scene, &body, false), ERR_OK);
        run_until(&scene, &caller.done);
        expect("too large", &caller, ERR_OK, 413, "big");
        attempt_close(&caller.attempt);
        assert_int_equal(atomic_load(&scene.deployment->connections), 0);
        scene_close(&scene);
    }
}

static void a_server_that_ends_while_we_send_is_an_early_end(void **state)
{
    (void)state;
    static const struct act ends[] = {DEAF, END};
    static const struct act resets[] = {DEAF, RESET};
    static const struct act half[] = {DEAF, SAY("HTTP/1.1 413 Too"), END};
    const struct act *all[] = {ends, resets, half};
    for (size_t r = 0; r < ROWS(all); r++) {
        struct scene scene;
        scene_open(&scene, &all[r], 1);
        scene_ready(&scene);
        struct iovec body = {large, sizeof(large)};
        assert_int_equal(caller_start(&caller, &scene, &body, false), ERR_OK);
        run_until(&scene, &caller.done);
        expect("early end", &caller, ERR_UPSTREAM_CLOSED, 0, "");
        attempt_close(&caller.attempt);
        scene_close(&scene);
    }
}

static void a_large_request_in_many_pieces_arrives_whole(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, END};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene_ready(&scene);
    enum { PIECES = 1000 };
    static struct iovec pieces[PIECES];
    for (size_t i = 0; i < sizeof(large); i++) {
        large[i] = (char)('a' + i % 19);
    }
    size_t len = 0;
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = (struct iovec){large + len, (i * 7) % 2000}; /* empty ones too */
        len += pieces[i].iov_len;
    }
    struct attempt_request request = {
        .path = SPAN("/x"), .pieces = pieces, .piece_count = PIECES, .post = true};
    caller = (struct caller){.scene = &scene};
    assert_int_equal(attempt_prepare(scene.pool, scene.deployment, &request, on_caller_event,
                                     &caller, &caller.attempt),
                     ERR_OK);
    attempt_start(caller.attempt);
    run_until(&scene, &caller.done);
    expect("many pieces", &caller, ERR_OK, 200, "hi");
    const char *body = strstr(scene.server.last, "\r\n\r\n") + 4;
    assert_memory_equal(body, large, sizeof(scene.server.last) - 512);
    assert_int_equal(scene.server.requests, 1);
    attempt_close(&caller.attempt);
    scene_close(&scene);
}

/* `count` fields of `size` bytes each, then a body of `body` bytes. */
static char *make_answer(size_t count, size_t size, size_t body)
{
    static char text[1 << 18];
    size_t len = (size_t)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "x-%04zu:%0*d\r\n", i,
                                (int)size - 9, 7);
    }
    len += (size_t)snprintf(text + len, sizeof(text) - len, "Content-Length: %zu\r\n\r\n", body);
    memset(text + len, 'b', body);
    text[len + body] = '\0';
    return text;
}

static void heads_and_bodies_of_any_size_are_kept(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        size_t count, size, body;
        enum err error;
    } sizes[] = {
        {"a usual one", 6, 30, 600, ERR_OK},
        {"a body too long for the attempt's own memory", 6, 30, 5000, ERR_OK},
        {"a body of several reads", 6, 30, 50000, ERR_OK},
        {"a head too long for it", 20, 100, 600, ERR_OK},
        {"a head of several reads", 90, 600, 5000, ERR_OK},
        {"as many fields as may be", 99, 20, 10, ERR_OK},
        {"one field more", 100, 20, 10, ERR_UPSTREAM_PROTOCOL},
        {"more than 64 KiB", 70, 1000, 10, ERR_UPSTREAM_PROTOCOL},
    };
    for (size_t r = 0; r < ROWS(sizes); r++) {
        const char *answer = make_answer(sizes[r].count, sizes[r].size, sizes[r].body);
        const struct act script[] = {REQUEST, {ACT_SAY, answer, 0, 0}, STAY};
        const struct act *scripts[] = {script};
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene_ready(&scene);
        call(&caller, &scene, false);
        if (caller.error != sizes[r].error ||
            (caller.error == ERR_OK && caller.len != sizes[r].body)) {
            fail_msg("%s: %s, %zu bytes", sizes[r].why, err_name(caller.error), caller.len);
        }
        if (caller.error == ERR_OK) {
            const struct http_response *head = attempt_head(caller.attempt);
            assert_int_equal(head->fields.count, sizes[r].count + 1);
            assert_true(span_is(http_field_name(&head->fields, 0), "x-0000"));
            assert_true(span_is(http_fields_find(&head->fields, HTTP_NAME_CONTENT_LENGTH),
                                strstr(answer, "Content-Length: ") + 16) ||
                        span_starts(span_of(strstr(answer, "Content-Length: ") + 16),
                                    http_fields_find(&head->fields, HTTP_NAME_CONTENT_LENGTH)));
        }
        attempt_close(&caller.attempt);
        scene_close(&scene);
    }
}

static void interim_heads_have_an_end(void **state)
{
    (void)state;
    static char answer[2000];
    for (size_t i = 0, len = 0; i < 17; i++) {
        len +=
            (size_t)snprintf(answer + len, sizeof(answer) - len, "HTTP/1.1 102 Processing\r\n\r\n");
    }
    const struct act script[] = {REQUEST, {ACT_SAY, answer, 0, 0}, STAY};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene_ready(&scene);
    call(&caller, &scene, false);
    assert_int_equal(caller.error, ERR_UPSTREAM_PROTOCOL);
    attempt_close(&caller.attempt);
    scene_close(&scene);
}

static void an_attempt_may_be_closed_inside_its_event(void **state)
{
    (void)state;
    static const struct act answers_it[] = {SAY_HI, STAY};
    static const struct act ends[] = {REQUEST, END};
    static const struct act malformed[] = {REQUEST, SAY("nonsense"), STAY};
    const struct act *all[] = {answers_it, ends, malformed};
    for (size_t r = 0; r < ROWS(all); r++) {
        struct scene scene;
        scene_open(&scene, &all[r], 1);
        scene_ready(&scene);
        caller.closes = true;
        call(&caller, &scene, false);
        assert_null(caller.attempt);
        assert_int_equal(caller.events, 1);
        scene_close(&scene);
    }
    caller.closes = false;
}

static void a_stream_is_told_of_as_it_comes(void **state)
{
    (void)state;
    static const struct act script[] = {
        REQUEST,
        SAY("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        SAY("3\r\none\r\n"),
        SAY("3\r\ntwo\r\n"),
        SAY("5\r\nthree\r\n"),
        SAY("0\r\n\r\n"),
        STAY};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene_ready(&scene);
    call(&caller, &scene, false);
    expect("a stream", &caller, ERR_OK, 200, "onetwothree");
    assert_int_equal(caller.events, 5); /* the head, three chunks, the end */
    attempt_close(&caller.attempt);
    assert_int_equal(atomic_load(&scene.deployment->connections), 1);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_read_as_it_is_framed),
        cmocka_unit_test(an_answer_does_not_depend_on_where_it_is_cut),
        cmocka_unit_test(a_reset_at_any_byte_is_an_early_end),
        cmocka_unit_test(the_request_is_what_it_should_be),
        cmocka_unit_test(an_answer_before_all_was_sent_is_read),
        cmocka_unit_test(a_server_that_ends_while_we_send_is_an_early_end),
        cmocka_unit_test(a_large_request_in_many_pieces_arrives_whole),
        cmocka_unit_test(heads_and_bodies_of_any_size_are_kept),
        cmocka_unit_test(interim_heads_have_an_end),
        cmocka_unit_test(an_attempt_may_be_closed_inside_its_event),
        cmocka_unit_test(a_stream_is_told_of_as_it_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
