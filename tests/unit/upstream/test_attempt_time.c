/* SPDX-License-Identifier: Apache-2.0 */
/* test_attempt_time.c — how long each part of an attempt may take; where servers are found. */
#include "model_server.h"

#include <fcntl.h>

#include "upstream/upstream_internal.h"

#define SHORT_MS 60

static struct caller caller;

enum which { NONE, FIRST_BYTE, IDLE, TOTAL };

static const struct {
    const char *why;
    enum which is_short;
    struct act script[5];
    enum err error;
} rows[] = {
    {"no answer", FIRST_BYTE, {REQUEST, STAY}, ERR_UPSTREAM_TIMEOUT},
    {"no answer in all", TOTAL, {REQUEST, STAY}, ERR_UPSTREAM_TIMEOUT},
    {"interim heads are no answer",
     FIRST_BYTE,
     {REQUEST, SAY("HTTP/1.1 100 Continue\r\n\r\n"), STAY},
     ERR_UPSTREAM_TIMEOUT},
    {"half a head", IDLE, {REQUEST, SAY("HTTP/1.1 2"), STAY}, ERR_UPSTREAM_TIMEOUT},
    {"half a head may take longer than a first byte",
     FIRST_BYTE,
     {REQUEST, SAY("HTTP/1.1 2"), PAUSE(2 * SHORT_MS), SAY("00 OK\r\nContent-Length: 1\r\n\r\nx"),
      END},
     ERR_OK},
    {"half a body",
     IDLE,
     {REQUEST, SAY("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"), STAY},
     ERR_UPSTREAM_TIMEOUT},
    {"half a chunk",
     IDLE,
     {REQUEST, SAY("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi"), STAY},
     ERR_UPSTREAM_TIMEOUT},
    {"no end in all",
     TOTAL,
     {REQUEST, SAY("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"), STAY},
     ERR_UPSTREAM_TIMEOUT},
    {"an answer in time", NONE, {REQUEST, PAUSE(SHORT_MS), SAY(OK_HI), END}, ERR_OK},
    {"a body may take longer than a first byte",
     FIRST_BYTE,
     {REQUEST, SAY("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhi"), PAUSE(2 * SHORT_MS),
      SAY("hi"), END},
     ERR_OK},
};

static void each_wait_has_its_limit(void **state)
{
    (void)state;
    for (size_t r = 0; r < ROWS(rows); r++) {
        const struct act *scripts[] = {rows[r].script};
        struct scene scene;
        scene_open(&scene, scripts, 1);
        struct upstream_definition *d = &scene.definition;
        d->first_byte_timeout_ms = rows[r].is_short == FIRST_BYTE ? SHORT_MS : PATIENCE_MS;
        d->idle_timeout_ms = rows[r].is_short == IDLE ? SHORT_MS : PATIENCE_MS;
        d->total_timeout_ms = rows[r].is_short == TOTAL ? SHORT_MS : PATIENCE_MS;
        scene_ready(&scene);
        int64_t started = clock_mono().us;
        call(&caller, &scene, false);
        int64_t took_ms = (clock_mono().us - started) / 1000;
        if (caller.error != rows[r].error || took_ms > PATIENCE_MS / 2 ||
            (caller.error != ERR_OK && took_ms < SHORT_MS - 2)) {
            fail_msg("%s: %s after %lld ms", rows[r].why, err_name(caller.error),
                     (long long)took_ms);
        }
        attempt_close(&caller.attempt);
        scene_close(&scene);
    }
}

static void time_in_which_nobody_pulls_is_not_the_servers(void **state)
{
    (void)state;
    static const struct act script[] = {REQUEST,
                                        SAY("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhi"),
                                        PAUSE(10),
                                        SAY("ho"),
                                        PAUSE(3 * SHORT_MS),
                                        SAY("he"),
                                        END};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene.definition.idle_timeout_ms = SHORT_MS;
    scene_ready(&scene);
    caller.holds = true;
    static char text[] = "{}";
    static struct iovec body = {text, 2};
    assert_int_equal(caller_start(&caller, &scene, &body, false), ERR_OK);
    scene_guard(&scene);
    while ((scene.server.count == 0 || scene.server.open > 0) && !scene.late) {
        run_turns(&scene, 2); /* the server has said all and gone */
    }
    assert_false(scene.late);
    assert_int_equal(caller.events, 1); /* the head; nobody asked for more */
    caller.holds = false;
    caller_pull(&caller);
    run_until(&scene, &caller.done);
    assert_int_equal(caller.error, ERR_OK);
    assert_int_equal(caller.len, 6);
    attempt_close(&caller.attempt);
    scene_close(&scene);
}

/* A port on which nobody answers, neither yes nor no: its queue is full. */
static uint16_t deaf_port(int fds[8])
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fds[0], (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fds[0], 0), 0);
    assert_int_equal(getsockname(fds[0], (struct sockaddr *)&address, &len), 0);
    for (int i = 1; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (struct sockaddr *)&address, len); /* the first ones fill the queue */
    }
    return ntohs(address.sin_port);
}

static void close_all(int fds[8])
{
    for (int i = 0; i < 8; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
}

static uint16_t refused_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(close(fd), 0);
    return ntohs(address.sin_port);
}

static void a_server_that_cannot_be_reached_is_an_error(void **state)
{
    (void)state;
    static const struct act script[] = {STAY};
    const struct act *scripts[] = {script};
    int fds[8];
    char deaf[64], refused[64], unknown[128];
    (void)snprintf(deaf, sizeof(deaf), "http://127.0.0.1:%u", deaf_port(fds));
    (void)snprintf(refused, sizeof(refused), "http://127.0.0.1:%u", refused_port());
    (void)snprintf(unknown, sizeof(unknown), "http://%.*s.invalid", 70,
                   "a-label-of-more-than-63-characters-is-refused-by-every-resolver-at-once");
    const struct {
        const char *url;
        enum err error;
    } servers[] = {{deaf, ERR_UPSTREAM_UNREACHED},
                   {refused, ERR_UPSTREAM_CONNECT},
                   {unknown, ERR_UPSTREAM_DNS}};
    for (size_t r = 0; r < ROWS(servers); r++) {
        struct scene scene;
        scene_open(&scene, scripts, 1);
        scene.definition.url = servers[r].url;
        scene.definition.connect_timeout_ms = servers[r].url == deaf ? SHORT_MS : PATIENCE_MS;
        scene_ready(&scene);
        call(&caller, &scene, false);
        if (caller.error != servers[r].error) {
            fail_msg("%s: %s", servers[r].url, err_name(caller.error));
        }
        assert_false(attempt_has_sent(caller.attempt));
        attempt_close(&caller.attempt);
        scene_close(&scene);
    }
    close_all(fds);
}

static struct net_address address_of(uint16_t port)
{
    struct net_address address;
    assert_true(net_resolve_numeric("127.0.0.1", port, &address));
    return address;
}

static void all_addresses_of_a_name_are_tried_in_turn(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, END};
    const struct act *scripts[] = {script};
    int fds[8];
    struct scene scene;
    scene_open(&scene, scripts, 1);
    scene.definition.url = "http://model.test/v1";
    scene.definition.connect_timeout_ms = 6 * SHORT_MS;
    scene_ready(&scene);
    struct upstream_site *site;
    assert_int_equal(upstream_site_get(scene.pool, scene.deployment, &site), ERR_OK);
    site->addresses[0] = address_of(refused_port());
    site->addresses[1] = address_of(deaf_port(fds)); /* gets a share of the time */
    site->addresses[2] = address_of(scene.server.port);
    site->address_count = 3;
    site->addresses_until = clock_after_ms(clock_mono(), 60000);
    call(&caller, &scene, true);
    assert_int_equal(caller.error, ERR_OK);
    attempt_close(&caller.attempt);
    assert_int_equal(site->address_first, 2); /* it is the first to be tried from now on */
    call(&caller, &scene, true);
    assert_int_equal(caller.error, ERR_OK);
    attempt_close(&caller.attempt);

    site->addresses[2] = site->addresses[0];
    site->addresses[1] = site->addresses[0];
    call(&caller, &scene, true);
    assert_int_equal(caller.error, ERR_UPSTREAM_CONNECT);
    assert_false(upstream_site_has_addresses(site)); /* they are asked for anew */
    attempt_close(&caller.attempt);
    scene_close(&scene);
    close_all(fds);
}

static void one_lookup_serves_all_who_wait_for_it(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, END};
    const struct act *scripts[] = {script};
    struct scene scene;
    char url[64];
    scene_open(&scene, scripts, 1);
    (void)snprintf(url, sizeof(url), "http://localhost:%u/v1", scene.server.port);
    scene.definition.url = url;
    scene_ready(&scene);
    static struct caller three[3];
    static char text[] = "{}";
    static struct iovec body = {text, 2};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(caller_start(&three[i], &scene, &body, false), ERR_OK);
        assert_int_equal(attempt_state(three[i].attempt), ATTEMPT_CONNECTING);
    }
    attempt_close(&three[1].attempt); /* one does not wait */
    run_until(&scene, &three[0].done);
    run_until(&scene, &three[2].done);
    assert_int_equal(three[0].error, ERR_OK);
    assert_int_equal(three[2].error, ERR_OK);
    attempt_close(&three[0].attempt);
    attempt_close(&three[2].attempt);
    assert_int_equal(caller_start(&three[0], &scene, &body, true), ERR_OK);
    attempt_close(&three[0].attempt); /* in the middle of connecting */
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wait_has_its_limit),
        cmocka_unit_test(time_in_which_nobody_pulls_is_not_the_servers),
        cmocka_unit_test(a_server_that_cannot_be_reached_is_an_error),
        cmocka_unit_test(all_addresses_of_a_name_are_tried_in_turn),
        cmocka_unit_test(one_lookup_serves_all_who_wait_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
