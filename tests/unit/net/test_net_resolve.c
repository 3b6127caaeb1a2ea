/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "name_server.h"
#include "turned.h"

#include "net/net_resolve.h"

#define DEAD_NAMES 40

struct asked {
    struct net_lookup *lookup;
    unsigned told;
    struct net_found found;
};

struct scene {
    struct name_server server;
    struct net_loop *loop;
    struct net_resolver *resolver;
    struct net_timer tick; /* so that no turn of the loop waits for long */
    const char *servers[1];
};

static void on_resolved(void *ctx, const struct net_found *found)
{
    struct asked *a = ctx;
    a->lookup = NULL;
    a->told++;
    a->found = *found;
}

static void on_tick(struct net_timer *timer)
{
    assert_int_equal(net_timer_set_ms(timer, 5), ERR_OK);
}

static void scene_open(struct scene *scene)
{
    name_server_open(&scene->server);
    scene->loop = turn_open();
    net_timer_init(&scene->tick, scene->loop, on_tick);
    on_tick(&scene->tick);
    scene->servers[0] = scene->server.address;
    const struct net_dns_settings settings = {{scene->servers, 1}};
    assert_int_equal(net_resolver_open(&settings, &scene->resolver), ERR_OK);
}

static void scene_close(struct scene *scene)
{
    net_resolver_close(&scene->resolver);
    assert_null(scene->resolver);
    net_timer_fini(&scene->tick);
    net_loop_close(&scene->loop);
    name_server_close(&scene->server);
}

static void ask(struct scene *scene, const char *host, bool again, struct asked *a)
{
    const struct net_question question = {host, 8000, again};
    *a = (struct asked){0};
    assert_int_equal(
        net_resolve(scene->resolver, scene->loop, &question, on_resolved, a, &a->lookup), ERR_OK);
}

/* Asks and waits for the answer. */
static const struct net_found *find(struct scene *scene, const char *host)
{
    static struct asked a;
    ask(scene, host, false, &a);
    TURN_UNTIL(scene->loop, a.told == 1);
    return &a.found;
}

static uint32_t address_of(const struct net_found *found)
{
    const struct sockaddr_in *four = (const void *)&found->addresses[0].storage;
    assert_int_equal(found->e, ERR_OK);
    assert_int_equal(four->sin_family, AF_INET);
    assert_int_equal(ntohs(four->sin_port), 8000);
    return ntohl(four->sin_addr.s_addr);
}

static void a_name_is_asked_once_for_all_who_wait_and_then_remembered(void **state)
{
    (void)state;
    struct scene scene;
    struct asked many[8];
    scene_open(&scene);
    for (size_t i = 0; i < 8; i++) {
        ask(&scene, i % 2 == 0 ? "live.test" : "LIVE.test", false, &many[i]);
        assert_int_equal(many[i].told, 0);
    }
    for (size_t i = 0; i < 8; i++) {
        TURN_UNTIL(scene.loop, many[i].told == 1);
        assert_int_equal(address_of(&many[i].found), 0x7F000001);
    }
    assert_int_equal(address_of(find(&scene, "live.test")), 0x7F000001);
    assert_int_equal(name_server_questions(&scene.server), 1);
    scene_close(&scene);
}

static void who_cancels_is_not_told_whenever_he_does(void **state)
{
    (void)state;
    struct scene scene;
    struct asked never, late, other;
    scene_open(&scene);
    ask(&scene, "dead.test", false, &never);
    ask(&scene, "live.test", false, &late);
    assert_int_equal(address_of(find(&scene, "good.test")), 0x7F000001);
    net_resolve_cancel(&never.lookup); /* still with the resolver */
    assert_null(never.lookup);
    net_resolve_cancel(&never.lookup); /* nothing */
    ask(&scene, "good.test", false, &other);
    if (late.told == 0) {
        net_resolve_cancel(&late.lookup); /* likely on this loop's queue */
        late.told = 0;
    }
    TURN_UNTIL(scene.loop, other.told == 1);
    assert_int_equal(never.told, 0);
    scene_close(&scene);
}

static void forty_dead_names_delay_no_other(void **state)
{
    (void)state;
    struct scene scene;
    struct asked dead[DEAD_NAMES];
    scene_open(&scene);
    for (size_t i = 0; i < DEAD_NAMES; i++) {
        char host[32];
        (void)snprintf(host, sizeof(host), "dead%zu.test", i);
        ask(&scene, host, false, &dead[i]);
    }
    mono_us begin = clock_mono();
    assert_int_equal(address_of(find(&scene, "live.test")), 0x7F000001);
    assert_true(clock_since(begin, clock_mono()) < 500000);
    for (size_t i = 0; i < DEAD_NAMES; i++) {
        assert_int_equal(dead[i].told, 0);
        net_resolve_cancel(&dead[i].lookup);
    }
    scene_close(&scene);
}

static void a_server_that_is_silent_of_ipv6_keeps_no_ipv4_address_waiting(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    mono_us begin = clock_mono();
    assert_int_equal(address_of(find(&scene, "four.test")), 0x7F000001);
    assert_true(clock_since(begin, clock_mono()) < 3000000); /* not the seven seconds of tries */
    assert_int_equal(find(&scene, "absent.test")->e, ERR_NET_DNS);
    scene_close(&scene); /* with the question for IPv6 still open */
}

static void a_known_address_outlives_its_name_servers(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    atomic_store(&scene.server.ttl_s, 1);
    mono_us until = find(&scene, "live.test")->until;
    atomic_store(&scene.server.is_mute, true);
    TURN_UNTIL(scene.loop, clock_mono().us > until.us);
    mono_us begin = clock_mono();
    assert_int_equal(address_of(find(&scene, "live.test")), 0x7F000001);
    assert_true(clock_since(begin, clock_mono()) < 2000000); /* not the seven seconds of tries */
    atomic_store(&scene.server.is_mute, false);
    atomic_store(&scene.server.is_failing, true);
    assert_int_equal(address_of(find(&scene, "live.test")), 0x7F000001);
    scene_close(&scene);
}

static void a_changed_address_is_followed_after_its_time(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    atomic_store(&scene.server.ttl_s,
                 0); /* counts as a second: it must not be asked at each call */
    assert_int_equal(address_of(find(&scene, "live.test")), 0x7F000001);
    assert_int_equal(address_of(find(&scene, "live.test")), 0x7F000001);
    assert_int_equal(name_server_questions(&scene.server), 1);
    atomic_store(&scene.server.live, 0x7F000002);
    TURN_UNTIL(scene.loop, address_of(find(&scene, "live.test")) == 0x7F000002);
    assert_true(name_server_questions(&scene.server) <= 4);
    scene_close(&scene);
}

static void who_could_not_reach_what_he_was_told_is_told_anew(void **state)
{
    (void)state;
    struct scene scene;
    struct asked a;
    scene_open(&scene);
    atomic_store(&scene.server.ttl_s, UINT32_MAX); /* the highest bit: as 0 */
    mono_us until = find(&scene, "live.test")->until;
    assert_true(clock_since(clock_mono(), until) <= 1000000);
    atomic_store(&scene.server.ttl_s, INT32_MAX); /* 68 years: an hour */
    TURN_UNTIL(scene.loop, clock_since(clock_mono(), find(&scene, "live.test")->until) > 1000000);
    assert_true(clock_since(clock_mono(), find(&scene, "live.test")->until) <= 3600000000);
    atomic_store(&scene.server.live, 0x7F000002);
    do { /* at most one question a second */
        ask(&scene, "live.test", true, &a);
        TURN_UNTIL(scene.loop, a.told == 1);
    } while (address_of(&a.found) != 0x7F000002);
    scene_close(&scene);
}

static void lying_answers_are_bounded_and_lead_nowhere(void **state)
{
    (void)state;
    static const char *const none[] = {"absent.test", "nowhere.test", "loop.test", "torn.test"};
    struct scene scene;
    scene_open(&scene);
    assert_int_equal(find(&scene, "many.test")->count, NET_ADDRESSES_MAX);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        const struct net_found *found = find(&scene, none[i]);
        assert_int_equal(found->e, ERR_NET_DNS);
        assert_int_equal(found->count, 0);
    }
    unsigned questions = name_server_questions(&scene.server);
    assert_int_equal(find(&scene, "absent.test")->e, ERR_NET_DNS); /* remembered, shortly */
    assert_int_equal(name_server_questions(&scene.server), questions);
    char longest[300];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(find(&scene, longest)->e, ERR_NET_DNS);
    assert_int_equal(find(&scene, "a..b")->e, ERR_NET_DNS);
    scene_close(&scene);
}

static void other_servers_are_asked_when_the_settings_say_so(void **state)
{
    (void)state;
    struct scene scene;
    struct name_server second;
    scene_open(&scene);
    name_server_open(&second);
    atomic_store(&second.live, 0x7F000009);
    atomic_store(&scene.server.is_mute, true);
    struct asked waits;
    ask(&scene, "live.test", false, &waits);
    const char *servers[] = {second.address};
    const struct net_dns_settings settings = {{servers, 1}};
    assert_int_equal(net_resolver_set(scene.resolver, &settings), ERR_OK);
    TURN_UNTIL(scene.loop, waits.told == 1);
    assert_int_equal(address_of(&waits.found), 0x7F000009); /* what was being asked, too */
    scene_close(&scene);
    name_server_close(&second);
}

static void localhost_and_addresses_need_no_name_server(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    atomic_store(&scene.server.is_mute, true);
    assert_int_equal(find(&scene, "localhost")->e, ERR_OK);
    assert_int_equal(find(&scene, "127.0.0.9")->e, ERR_OK);
    assert_int_equal(name_server_questions(&scene.server), 0);
    scene_close(&scene);
}

static void a_name_server_is_an_address_with_or_without_a_port(void **state)
{
    (void)state;
    struct net_address address;
    char text[80];
    static const char *const good[][2] = {{"10.0.0.2", "10.0.0.2:53"},
                                          {"10.0.0.2:5353", "10.0.0.2:5353"},
                                          {"::1", "[::1]:53"},
                                          {"[::1]:5353", "[::1]:5353"}};
    static const char *const bad[] = {"", "dns.example", "*:53", "unix:/run/dns", "10.0.0.2:x"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(net_dns_server_parse(good[i][0], &address), ERR_OK);
        net_address_text(&address, text, sizeof(text));
        assert_string_equal(text, good[i][1]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(net_dns_server_parse(bad[i], &address), ERR_ADDRESS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_asked_once_for_all_who_wait_and_then_remembered),
        cmocka_unit_test(who_cancels_is_not_told_whenever_he_does),
        cmocka_unit_test(forty_dead_names_delay_no_other),
        cmocka_unit_test(a_server_that_is_silent_of_ipv6_keeps_no_ipv4_address_waiting),
        cmocka_unit_test(a_known_address_outlives_its_name_servers),
        cmocka_unit_test(a_changed_address_is_followed_after_its_time),
        cmocka_unit_test(who_could_not_reach_what_he_was_told_is_told_anew),
        cmocka_unit_test(lying_answers_are_bounded_and_lead_nowhere),
        cmocka_unit_test(other_servers_are_asked_when_the_settings_say_so),
        cmocka_unit_test(localhost_and_addresses_need_no_name_server),
        cmocka_unit_test(a_name_server_is_an_address_with_or_without_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
