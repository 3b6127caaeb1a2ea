/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_call_tokens.c — tokens that no model server counted, or that cannot be: what was written is
 * counted as it reads, however it comes; and what a call holds while it runs.
 */
#include "world_scene.h"

static struct world w;

#define ASKED    CHAT_BODY(",'stream':true")
#define SAYS(d)  "data: {'choices':[{'index':0,'delta':{" d "}}]}\n\n"
#define WHOLE(m) "{'choices':[{'index':0,'message':{" m "},'finish_reason':'stop'}]"
#define ARABIC   "مرحبا بالعالم"
#define ESCAPED \
    "\\u0645\\u0631\\u062d\\u0628\\u0627 \\u0628\\u0627\\u0644\\u0639\\u0627\\u0644\\u0645"
#define ARABIC_TOKENS 11 /* twelve letters of 7/8, and a space */
#define CALLS(t)      SAYS("'tool_calls':[{'index':0," t "}]")

static const struct {
    const char *why, *body;
    int64_t tokens;
} cut[] = {
    {"text", SAYS("'content':'abcd'") SAYS("'content':'abcdefgh'"), 3},
    {"that repeats the event before",
     SAYS("'content':'ab'") SAYS("'content':'ab'") SAYS("'content':'cd'")
         SAYS("'content':'efghijklmnopqrst'") SAYS("'content':'12'"),
     1 + 4 + 2},
    {"Arabic", SAYS("'content':'" ARABIC "'"), ARABIC_TOKENS},
    {"in escapes", SAYS("'content':'" ESCAPED "'"), ARABIC_TOKENS},
    {"in pieces", SAYS("'content':'مرحبا'") SAYS("'content':' بالعالم'"), ARABIC_TOKENS},
    {"thoughts", SAYS("'reasoning_content':'abcd'") SAYS("'content':'abcd'"), 2},
    {"said twice", SAYS("'reasoning_content':'abcd','reasoning':'abcd'") SAYS("'content':'abcd'"),
     2},
    {"a refusal", SAYS("'refusal':'abcdefgh'"), 2},
    {"parts", SAYS("'content':[{'type':'text','text':'abcdefgh'}]"), 2},
    {"a tool call, its name and arguments",
     CALLS("'id':'x','type':'function','function':{'name':'abcd','arguments':''}")
         CALLS("'function':{'arguments':'abcd'}") CALLS("'function':{'arguments':'efgh'}"),
     3},
    {"whose name is repeated",
     CALLS("'id':'x','function':{'name':'abcd','arguments':'abcd'}")
         CALLS("'id':'x','function':{'name':'abcd','arguments':'efgh'}"),
     3},
    {"whose name is late",
     CALLS("'id':'x','function':{'arguments':'abcd'}")
         CALLS("'function':{'name':'abcd','arguments':'abcd'}"),
     3},
    {"choices",
     "data: {'choices':[{'index':0,'delta':{'content':'abcd'}},"
     "{'index':1,'delta':{'content':'abcd'}},{'index':200,'delta':{'content':'abcd'}}]}\n\n",
     3},
    {"a picture and sound say nothing",
     SAYS(
         "'content':'abcd','images':[{'image_url':{'url':'data:image/png;base64,AAAAAAAAAAAAAAAA'}}"
         "],'audio':{'id':'a','data':'AAAAAAAAAAAAAAAAAAAAAAAA'}"),
     1},
    {"nor do words from a list, probabilities, or what we do not know",
     "data: {'id':'abcdefgh','choices':[{'index':0,'delta':{'role':'assistant','content':'abcd',"
     "'x':'abcdefgh'},'logprobs':{'content':[{'token':'abcd','top_logprobs':[]}]}}],'y':['abcd']}"
     "\n\n",
     1},
};

/* Wherever the connection breaks behind the last event, and however the events are split. */
static void what_a_cut_stream_said_is_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(cut); i++) {
        for (size_t first = 1; first < 400; first += 57) {
            world_open(&w);
            w.scripts[0] = (struct script){.body = cut[i].body, .broken = ERR_UPSTREAM_CLOSED};
            world_chat(&w, ASKED);
            server_answers(&w, first);
            server_sends(&w, ALL_OF_IT);
            assert_int_equal(w.completion.outcome, JOURNAL_OUTCOME_FAILED);
            if (w.completion.tokens_out != cut[i].tokens || !w.completion.tokens_out_estimated) {
                fail_msg("%s: %lld", cut[i].why, (long long)w.completion.tokens_out);
            }
            world_close(&w);
        }
    }
}

static const struct {
    const char *why, *reply;
    int64_t tokens;
    bool is_estimated;
} whole[] = {
    {"no usage", WHOLE("'content':'abcdefgh'") "}", 2, true},
    {"Arabic", WHOLE("'content':'" ARABIC "'") "}", ARABIC_TOKENS, true},
    {"in escapes", WHOLE("'content':'" ESCAPED "'") "}", ARABIC_TOKENS, true},
    {"thoughts, a refusal and a call",
     WHOLE("'reasoning':'abcd','refusal':'abcd','content':null,'tool_calls':[{'id':'x','type':"
           "'function','function':{'name':'abcd','arguments':'abcd'}}]") "}",
     4, true},
    {"usage of zeros",
     WHOLE("'content':'abcdefgh'") ",'usage':{'prompt_tokens':0,'completion_tokens':0}}", 2, true},
    {"usage", WHOLE("'content':'abcdefgh'") ",'usage':{'prompt_tokens':9,'completion_tokens':70}}",
     70, false},
    {"of little",
     WHOLE("'content':'abcdefgh'") ",'usage':{'prompt_tokens':9,'completion_tokens':1}}", 1, false},
    {"of more than anybody asks for",
     WHOLE(
         "'content':'abcdefgh'") ",'usage':{'prompt_tokens':9,'completion_tokens':1099511627776}}",
     2, true},
};

static void what_a_whole_reply_said_is_counted_where_its_usage_is_missing_or_cannot_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(whole); i++) {
        for (int as_events = 0; as_events < 2; as_events++) { /* the caller asked for a stream */
            world_open(&w);
            w.scripts[0] = (struct script){.body = whole[i].reply, .type = "application/json"};
            world_chat(&w, as_events == 1 ? ASKED : CHAT_BODY(""));
            server_answers(&w, ALL_OF_IT);
            expect_end(whole[i].why, &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
            if (w.completion.tokens_out != whole[i].tokens ||
                w.completion.tokens_out_estimated != whole[i].is_estimated) {
                fail_msg("%s: %lld", whole[i].why, (long long)w.completion.tokens_out);
            }
            world_close(&w);
        }
    }
}

/* `before`, `count` times `piece`, `behind`. */
static char *long_text(const char *before, const char *piece, size_t count, const char *behind)
{
    struct buf b;
    buf_init(&b, 2 << 20);
    buf_put_text(&b, before);
    for (size_t i = 0; i < count; i++) {
        buf_put_text(&b, piece);
    }
    buf_put_text(&b, behind);
    buf_put_byte(&b, 0);
    assert_false(buf_failed(&b));
    return (char *)b.at;
}

/* What is gone through in slices: a large event, a large reply. */
static void what_was_said_at_length_is_counted_in_slices(void **state)
{
    (void)state;
    static const struct {
        const char *piece;
        int64_t tokens; /* of 8,000 */
    } rows[] = {{"abcd", 8000}, {"\\u0645", 7000}, {"م", 7000}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        for (int is_stream = 0; is_stream < 2; is_stream++) {
            char *body = is_stream == 1
                             ? long_text("data: {'choices':[{'index':0,'delta':{'content':'",
                                         rows[i].piece, 8000, "'}}]}\n\n")
                             : long_text("{'choices':[{'index':0,'message':{'content':'",
                                         rows[i].piece, 8000, "'}}]}");
            world_open(&w);
            w.scripts[0] = (struct script){.body = body};
            w.scripts[0].broken = is_stream == 1 ? ERR_UPSTREAM_CLOSED : ERR_OK;
            world_chat(&w, is_stream == 1 ? ASKED : CHAT_BODY(""));
            server_answers(&w, ALL_OF_IT);
            loop_run(&w);
            assert_int_equal(w.completions, 1);
            assert_int_equal(w.completion.tokens_out, rows[i].tokens);
            assert_true(w.completion.tokens_out_estimated);
            world_close(&w);
            memory_free(body);
        }
    }
}

#define NAMED(name, more) "{'model':'" name "','messages':[{'role':'user','content':'hi'}]" more "}"

static void a_call_holds_what_it_may_use(void **state)
{
    (void)state;
    static const struct {
        const char *why, *body;
        int64_t output;
        uint32_t omits; /* what its server is known to refuse */
    } rows[] = {
        {"what the caller says", NAMED("away", ",'max_tokens':100"), 100, 0},
        {"for each answer", NAMED("away", ",'max_tokens':100,'n':3"), 300, 0},
        {"and no more than the context", NAMED("m", ",'max_tokens':100"), 4, 0},
        {"for each answer, either", NAMED("m", ",'max_tokens':100,'n':3"), 12, 0},
        {"what is less than that", NAMED("m", ",'max_tokens':3,'n':3"), 9, 0},
        {"the context, where he says none: a server may take it for no bound",
         NAMED("m", ",'max_tokens':0"), 4, 0},
        {"the greater of two bounds: who knows which the server keeps to",
         NAMED("away", ",'max_tokens':100,'max_completion_tokens':1"), 100, 0},
        {"the context, where he says nothing", NAMED("m", ""), 4, 0},
        {"for each answer too", NAMED("m", ",'n':3"), 12, 0},
        {"or the most that the model writes", NAMED("bounded", ""), 7, 0},
        {"what the caller says before that", NAMED("bounded", ",'max_tokens':30"), 30, 0},
        {"the context, where the server is not told that", NAMED("bounded", ""), 40,
         UPSTREAM_ADDS_MAX_TOKENS},
        {"nothing where nobody knows", NAMED("away", ""), 0, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        world_open(&w);
        w.durable = 100;
        w.scripts[0].body = CHAT_REPLY;
        assert_true(rows[i].omits == 0 ||
                    deployment_learn(w.policy->deployments[0], rows[i].omits));
        world_chat(&w, rows[i].body);
        const struct journal_record *r = &w.intent;
        if (r->tokens_reserved != r->tokens_in + rows[i].output) {
            fail_msg("%s: %lld", rows[i].why, (long long)r->tokens_reserved);
        }
        assert_int_equal(r->reserved_nano,
                         (r->tokens_in * 1000000 + rows[i].output * 3000000) / 10);
        int64_t reserved = r->tokens_reserved;
        server_answers(&w, ALL_OF_IT);
        assert_int_equal(w.completion.tokens_reserved, reserved);
        world_close(&w);
    }
}

/* Each intent of the call holds what its own try may come to. */
static void who_is_asked_again_without_its_bound_is_held_at_the_context(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0] = (struct script){.status = 400,
                                   .body = "{'error':{'message':'max_tokens is not supported'}}"};
    w.scripts[1] = (struct script){.body = CHAT_REPLY};
    world_chat(&w, NAMED("bounded", ""));
    assert_int_equal(w.intent.tokens_reserved, w.intent.tokens_in + 7);
    server_answers(&w, ALL_OF_IT);
    assert_int_equal(w.intent.attempt, 2);
    assert_int_equal(w.intent.tokens_reserved, w.intent.tokens_in + 40);
    int64_t reserved = w.intent.reserved_nano;
    server_answers(&w, ALL_OF_IT);
    expect_end("leaner", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    assert_int_equal(w.completion.reserved_nano, reserved);
    world_close(&w);
}

static void a_model_s_bound_is_sent_and_its_usage_held_to_it(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].body =
        WHOLE("'content':'abcd'") ",'usage':{'prompt_tokens':9,'completion_tokens':8}}";
    world_chat(&w, NAMED("bounded", ""));
    world_expect("the request", span_of(w.attempts[0].sent),
                 "/chat/completions\n" NAMED("bounded", ",'max_tokens':7"));
    server_answers(&w, ALL_OF_IT);
    expect_end("a reply", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    assert_true(w.completion.tokens_out == 7 && w.completion.tokens_out_estimated);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_cut_stream_said_is_counted),
        cmocka_unit_test(
            what_a_whole_reply_said_is_counted_where_its_usage_is_missing_or_cannot_be),
        cmocka_unit_test(what_was_said_at_length_is_counted_in_slices),
        cmocka_unit_test(a_call_holds_what_it_may_use),
        cmocka_unit_test(who_is_asked_again_without_its_bound_is_held_at_the_context),
        cmocka_unit_test(a_model_s_bound_is_sent_and_its_usage_held_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
