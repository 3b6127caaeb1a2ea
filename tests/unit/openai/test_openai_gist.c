/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_gist.c — what was asked last, and what a caller wishes of routing. */
#include "unit.h"

#include <stdio.h>

#include "openai/openai_gist.h"
#include "openai/openai_session.h"
#include "quotes.h"
#include "json/json_value.h"

struct scene {
    struct arena arena;
    struct json_index x;
    struct openai_request request;
    struct openai_count count;
};

static void begin(struct scene *s, enum openai_endpoint endpoint, const char *text)
{
    struct openai_reading reading;
    size_t bytes = SIZE_MAX;
    arena_init(&s->arena, 1 << 20);
    json_index_init(&s->x, 1 << 16, 64);
    struct span body = quoted(&s->arena, text);
    assert_int_equal(json_index_parse_borrow(&s->x, body), ERR_OK);
    openai_request_begin(&reading, &s->x, endpoint, &s->arena);
    while (!reading.is_done) {
        assert_int_equal(openai_request_step(&reading, SIZE_MAX), ERR_OK);
    }
    s->request = reading.request;
    openai_request_end(&reading);
    openai_count_begin(&s->count, &s->x);
    s->count.is_noting = true;
    while (!openai_count_step(&s->count, &bytes)) {
        bytes = SIZE_MAX;
    }
}

static void end(struct scene *s)
{
    json_index_fini(&s->x);
    arena_fini(&s->arena);
}

#define SAYS(role, text) "{'role':'" role "','content':" text "}"

static void the_last_turn_of_the_user_is_what_was_asked(void **state)
{
    (void)state;
    static const struct {
        enum openai_endpoint endpoint;
        const char *body, *asked;
        int64_t turns;
        const char *has;
    } rows[] = {
        {OPENAI_CHAT, "{'model':'m','messages':[" SAYS("user", "'what is it'") "]}", "what is it",
         1, ""},
        {OPENAI_CHAT,
         "{'model':'m','messages':[" SAYS("system", "'be short'") "," SAYS("user", "'one'") "]}",
         "one", 1, ""},
        {OPENAI_CHAT,
         "{'model':'m','messages':[" SAYS("user", "'first of all'") "," SAYS(
             "assistant", "'x'") "," SAYS("user", "'and then this'") "]}",
         "and then this", 2, ""},
        {OPENAI_CHAT,
         "{'model':'m','messages':[" SAYS("user", "'first of all'") "," SAYS(
             "assistant", "'x'") "," SAYS("user", "'yes'") "]}",
         "first of all yes", 2, ""},
        {OPENAI_CHAT,
         "{'model':'m','messages':[" SAYS(
             "user", "[{'type':'image_url','image_url':{'url':'http://x'}},"
                     "{'type':'text','text':'\\u0645\\u0627 هذا الشيء'}]") "]}",
         "ما هذا الشيء", 1, "pictures"},
        {OPENAI_CHAT,
         "{'model':'m','messages':[" SAYS("user", "'a b c'") "],'tools':[{'type':'function'}]}",
         "a b c", 1, "tools"},
        {OPENAI_CHAT, "{'model':'m','messages':[" SAYS("user", "'a b c'") "],'tools':[]}", "a b c",
         1, ""},
        {OPENAI_CHAT,
         "{'model':'m','messages':[" SAYS("user", "'a b c'") "],'extra_body':{'functions':[{}]}}",
         "a b c", 1, "tools"},
        {OPENAI_CHAT,
         "{'model':'m','messages':[" SAYS("user",
                                          "[{'type':'text','text':''},{'type':'text','text':"
                                          "'one'},{'type':'text','text':'two three'}]") "]}",
         "one two three", 1, ""},
        {OPENAI_CHAT, "{'model':'m','messages':[" SAYS("assistant", "'a b c'") "]}", "", 0, ""},
        {OPENAI_EMBEDDINGS, "{'model':'m','input':['first text here','second text here']}",
         "second text here", 2, ""},
        {OPENAI_COMPLETIONS, "{'model':'m','prompt':'go on and on'}", "go on and on", 1, ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct scene s;
        struct openai_gist gist;
        begin(&s, rows[i].endpoint, rows[i].body);
        assert_int_equal(openai_gist_read(&s.count, &s.x, &s.request, &s.arena, &gist), ERR_OK);
        if (!span_is(gist.asked, rows[i].asked)) {
            fail_msg("row %zu: %.*s", i, SPAN_ARGS(gist.asked));
        }
        assert_int_equal(gist.turns, rows[i].turns);
        assert_int_equal(gist.has_tools, strcmp(rows[i].has, "tools") == 0);
        assert_int_equal(gist.has_pictures, strcmp(rows[i].has, "pictures") == 0);
        end(&s);
    }
}

#define BODY(members, messages) "{'model':'m'" members ",'messages':[" messages "]}"

/* Of a session with an opening the instruction and the turn, with '|' for what parts them. */
static void expect_session(enum openai_endpoint endpoint, const char *body, const char *named,
                           const char *opening)
{
    struct scene s;
    struct openai_session session;
    char said[64] = "";
    begin(&s, endpoint, body);
    assert_int_equal(openai_session_read(&s.count, &s.x, &s.request, &s.arena, &session), ERR_OK);
    for (size_t i = 0; i < session.opening.len && i + 1 < sizeof(said); i++) {
        said[i] = session.opening.at[i] == 0 ? '|' : (char)session.opening.at[i];
    }
    if (!span_is(session.named, named) || strcmp(said, opening) != 0) {
        fail_msg("%s: %.*s, %s", body, SPAN_ARGS(session.named), said);
    }
    end(&s);
}

static void a_session_is_named_by_its_caller_or_told_by_its_opening(void **state)
{
    (void)state;
#define USER SAYS("user", "'hi'")
    static const struct {
        enum openai_endpoint endpoint;
        const char *body, *named, *opening;
    } rows[] = {
        {OPENAI_CHAT, BODY("", USER), "", "|hi"},
        {OPENAI_CHAT, BODY("", SAYS("system", "'be'") "," USER), "", "be|hi"},
        {OPENAI_CHAT,
         BODY("", SAYS("developer", "'be'") "," SAYS("system", "'so'") "," USER "," SAYS(
                      "assistant", "'x'") "," SAYS("user", "'more'")),
         "", "be|hi"},
        {OPENAI_CHAT, BODY("", USER "," SAYS("system", "'later'")), "", "|hi"},
        {OPENAI_CHAT,
         BODY("", SAYS("user", "[{'type':'text','text':''},{'type':'text','text':'a'}]")), "",
         "|a"},
        {OPENAI_CHAT, BODY("", SAYS("assistant", "'x'")), "", ""},
        {OPENAI_COMPLETIONS, "{'model':'m','prompt':'once'}", "", "|once"},
        {OPENAI_EMBEDDINGS, "{'model':'m','input':'once'}", "", ""},
        {OPENAI_EMBEDDINGS, "{'model':'m','input':'once','session_id':'s'}", "s", ""},
        {OPENAI_CHAT, BODY(",'session_id':'s-1'", USER), "s-1", ""},
        {OPENAI_CHAT, BODY(",'extra_body':{'session_id':'s-1'}", USER), "s-1", ""},
        {OPENAI_CHAT, BODY(",'metadata':{'session_id':'\\u0073-1'}", USER), "s-1", ""},
        {OPENAI_CHAT, BODY(",'extra_body':{'metadata':{'chat_id':'c'}}", USER), "c", ""},
        {OPENAI_CHAT, BODY(",'conversation':{'id':'conv_1'}", USER), "conv_1", ""},
        {OPENAI_CHAT, BODY(",'conversation':'conv_1'", USER), "conv_1", ""},
        {OPENAI_CHAT, BODY(",'prompt_cache_key':'p','metadata':{'session_id':'s'}", USER), "s", ""},
        {OPENAI_CHAT, BODY(",'prompt_cache_key':'p','user':'u'", USER), "p", ""},
        {OPENAI_CHAT, BODY(",'user':'u','safety_identifier':'i'", USER), "", "|hi"},
        {OPENAI_CHAT, BODY(",'session_id':7,'metadata':[],'conversation':{}", USER), "", "|hi"},
        {OPENAI_CHAT, BODY(",'session_id':'','chat_id':'a b','thread_id':'\\n'", USER), "", "|hi"},
        {OPENAI_CHAT, BODY(",'session_id':'\\ud800','chat_id':'\u0645'", USER), "", "|hi"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        expect_session(rows[i].endpoint, rows[i].body, rows[i].named, rows[i].opening);
    }
#undef USER
}

/* What is too long is passed over as a name, and cut as an opening. */
static void sessions_have_bounds(void **state)
{
    (void)state;
    static char body[8192];
    for (size_t len = OPENAI_SESSION_MAX - 1; len < OPENAI_SESSION_MAX + 2; len++) {
        char name[OPENAI_SESSION_MAX + 2];
        memset(name, 'n', len);
        name[len] = '\0';
        (void)snprintf(body, sizeof(body), BODY(",'session_id':'%s'", SAYS("user", "'hi'")), name);
        expect_session(OPENAI_CHAT, body, len <= OPENAI_SESSION_MAX ? name : "",
                       len <= OPENAI_SESSION_MAX ? "" : "|hi");
    }
    struct scene s;
    struct openai_session session;
    static char text[3000];
    memset(text, 't', sizeof(text) - 1);
    (void)snprintf(body, sizeof(body), BODY("", SAYS("system", "'%s'") "," SAYS("user", "'%s'")),
                   text, text);
    begin(&s, OPENAI_CHAT, body);
    assert_int_equal(openai_session_read(&s.count, &s.x, &s.request, &s.arena, &session), ERR_OK);
    assert_in_range(session.opening.len, OPENAI_OPENING_BYTES - 40, OPENAI_OPENING_BYTES);
    assert_int_equal(openai_session_read(NULL, &s.x, &s.request, &s.arena, &session), ERR_OK);
    assert_int_equal(session.opening.len, 0);
    end(&s);
}

static void wishes_are_read_from_the_body_and_its_extra_body(void **state)
{
    (void)state;
    static const struct {
        const char *members, *first, *param;
        size_t count;
        enum err error;
    } rows[] = {
        {"", NULL, NULL, 0, ERR_OK},
        {",'routing':{'profile':'a'}", "a", "routing.profile", 1, ERR_OK},
        {",'routing_preference':'b'", "b", "routing_preference", 1, ERR_OK},
        {",'extra_body':{'routing':{'profile':'\\u0061'}}", "a", "routing.profile", 1, ERR_OK},
        {",'extra_body':{'routing_preference':'b','routing':{'profile':'c'}},"
         "'routing_preference':'d','routing':{'profile':'e'}",
         "e", "routing.profile", 4, ERR_OK},
        {",'routing':null,'routing_preference':null", NULL, NULL, 0, ERR_OK},
        {",'routing':{'profile':null}", NULL, NULL, 0, ERR_OK},
        {",'routing':{}", NULL, NULL, 0, ERR_OK},
        {",'routing':{'x':'a'}", NULL, "routing", 0, ERR_VALUE_INVALID},
        {",'routing':[]", NULL, "routing", 0, ERR_VALUE_INVALID},
        {",'routing':{'profile':1}", NULL, "routing.profile", 0, ERR_VALUE_INVALID},
        {",'routing_preference':'\\ud800'", NULL, "routing_preference", 0, ERR_VALUE_INVALID},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct scene s;
        struct openai_wishes wishes = {.param = SPAN("")};
        char body[512];
        (void)snprintf(body, sizeof(body), "{'model':'m','messages':[{}]%s}", rows[i].members);
        begin(&s, OPENAI_CHAT, body);
        assert_int_equal(openai_request_has_wishes(&s.request), rows[i].members[0] != '\0');
        enum err e = openai_wishes_read(&s.x, &s.request, &s.arena, &wishes);
        if (e != rows[i].error || (e == ERR_OK && wishes.count != rows[i].count)) {
            fail_msg("%s: %s, %zu", rows[i].members, err_name(e), wishes.count);
        }
        if (e != ERR_OK) {
            assert_true(span_is(wishes.param, rows[i].param) && wishes.message.len > 0);
        } else if (rows[i].count > 0) {
            assert_true(span_is(wishes.at[0].value, rows[i].first));
            assert_true(span_is(wishes.at[0].param, rows[i].param));
        }
        end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_turn_of_the_user_is_what_was_asked),
        cmocka_unit_test(a_session_is_named_by_its_caller_or_told_by_its_opening),
        cmocka_unit_test(sessions_have_bounds),
        cmocka_unit_test(wishes_are_read_from_the_body_and_its_extra_body),
    };
    return cmocka_run_group_tests_name("openai_gist", tests, NULL, NULL);
}
