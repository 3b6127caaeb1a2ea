/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_request.c — what a caller asks, and what it is told when that cannot be right. */
#include "unit.h"

#include "base/buf.h"
#include "openai/openai_request.h"
#include "quotes.h"

#define CHAT(more)  "{'model':'m','messages':[{'role':'user','content':'hi'}]" more "}"
#define TEXT(more)  "{'model':'m','prompt':'hi'" more "}"
#define EMBED(more) "{'model':'m','input':" more "}"

struct scene {
    struct json_index index;
    struct arena arena;
    struct openai_request request;
    struct span param, message;
};

static enum err read_request(struct scene *s, enum openai_endpoint endpoint, const char *body)
{
    json_index_init(&s->index, 1 << 20, 64);
    arena_init(&s->arena, 4 << 20);
    memset(&s->request, 0xee, sizeof(s->request));
    assert_int_equal(json_index_parse_borrow(&s->index, quoted(&s->arena, body)), ERR_OK);
    /* In steps of the least size, and in one, it is the same. */
    enum err e = ERR_OK;
    for (size_t bytes = 1; bytes <= SIZE_MAX / 2; bytes = SIZE_MAX / 2 + (bytes > 1)) {
        struct openai_reading r;
        e = ERR_OK;
        openai_request_begin(&r, &s->index, endpoint, &s->arena);
        while (e == ERR_OK && !r.is_done) {
            e = openai_request_step(&r, bytes);
        }
        openai_request_end(&r);
        s->request = e == ERR_OK ? r.request : s->request;
        s->param = r.param;
        s->message = r.message;
    }
    return e;
}

static void end(struct scene *s)
{
    arena_fini(&s->arena);
    json_index_fini(&s->index);
}

static const struct {
    const char *why;
    enum openai_endpoint endpoint;
    const char *body;
    enum err err;
    const char *param;
} refusals[] = {
    {"not an object", OPENAI_CHAT, "[]", ERR_BODY_NOT_OBJECT, ""},
    {"a string", OPENAI_EMBEDDINGS, "'model'", ERR_BODY_NOT_OBJECT, ""},
    {"an empty object", OPENAI_CHAT, "{}", ERR_VALUE_MISSING, "model"},
    {"a null model", OPENAI_CHAT, "{'model':null,'messages':[{}]}", ERR_VALUE_MISSING, "model"},
    {"a null model above another", OPENAI_CHAT,
     "{'model':null,'messages':[{}],'extra_body':{'model':'m'}}", ERR_VALUE_MISSING, "model"},
    {"a model that is a number", OPENAI_CHAT, "{'model':4,'messages':[{}]}", ERR_VALUE_INVALID,
     "model"},
    {"a model without a name", OPENAI_CHAT, "{'model':'','messages':[{}]}", ERR_VALUE_INVALID,
     "model"},
    {"half a surrogate pair as model", OPENAI_CHAT, "{'model':'\\ud800','messages':[{}]}",
     ERR_VALUE_INVALID, "model"},

    {"no messages", OPENAI_CHAT, "{'model':'m'}", ERR_VALUE_MISSING, "messages"},
    {"null messages", OPENAI_CHAT, "{'model':'m','messages':null}", ERR_VALUE_MISSING, "messages"},
    {"a prompt in place of messages", OPENAI_CHAT, TEXT(""), ERR_VALUE_MISSING, "messages"},
    {"no message in messages", OPENAI_CHAT, "{'model':'m','messages':[]}", ERR_VALUE_INVALID,
     "messages"},
    {"messages that are text", OPENAI_CHAT, "{'model':'m','messages':'hi'}", ERR_VALUE_INVALID,
     "messages"},
    {"messages that are an object", OPENAI_CHAT, "{'model':'m','messages':{'role':'user'}}",
     ERR_VALUE_INVALID, "messages"},
    {"a message that is text", OPENAI_CHAT, "{'model':'m','messages':[{},'hi']}", ERR_VALUE_INVALID,
     "messages"},

    {"no prompt", OPENAI_COMPLETIONS, "{'model':'m'}", ERR_VALUE_MISSING, "prompt"},
    {"a prompt of the wrong type", OPENAI_COMPLETIONS, "{'model':'m','prompt':{}}",
     ERR_VALUE_INVALID, "prompt"},
    {"an empty array as prompt", OPENAI_COMPLETIONS, "{'model':'m','prompt':[]}", ERR_VALUE_INVALID,
     "prompt"},

    {"no input", OPENAI_EMBEDDINGS, "{'model':'m'}", ERR_VALUE_MISSING, "input"},
    {"a null input", OPENAI_EMBEDDINGS, EMBED("null"), ERR_VALUE_MISSING, "input"},
    {"an input that is a number", OPENAI_EMBEDDINGS, EMBED("4"), ERR_VALUE_INVALID, "input"},
    {"an empty array as input", OPENAI_EMBEDDINGS, EMBED("[]"), ERR_VALUE_INVALID, "input"},
    {"text among numbers", OPENAI_EMBEDDINGS, EMBED("[1,'a']"), ERR_VALUE_INVALID, "input"},
    {"numbers among texts", OPENAI_EMBEDDINGS, EMBED("['a',1]"), ERR_VALUE_INVALID, "input"},
    {"token numbers that are not whole", OPENAI_EMBEDDINGS, EMBED("[1,2.5]"), ERR_VALUE_INVALID,
     "input"},
    {"token numbers below zero", OPENAI_EMBEDDINGS, EMBED("[1,-2]"), ERR_VALUE_INVALID, "input"},
    {"an array without tokens", OPENAI_EMBEDDINGS, EMBED("[[1],[]]"), ERR_VALUE_INVALID, "input"},
    {"text inside an array of arrays", OPENAI_EMBEDDINGS, EMBED("[[1],['a']]"), ERR_VALUE_INVALID,
     "input"},
    {"a null among texts", OPENAI_EMBEDDINGS, EMBED("['a',null]"), ERR_VALUE_INVALID, "input"},
    {"objects as input", OPENAI_EMBEDDINGS, EMBED("[{},{}]"), ERR_VALUE_INVALID, "input"},
    {"a third encoding", OPENAI_EMBEDDINGS, EMBED("'a','encoding_format':'hex'"), ERR_VALUE_INVALID,
     "encoding_format"},
    {"an encoding that is a number", OPENAI_EMBEDDINGS, EMBED("'a','encoding_format':1"),
     ERR_VALUE_INVALID, "encoding_format"},

    {"stream as text", OPENAI_CHAT, CHAT(",'stream':'true'"), ERR_VALUE_INVALID, "stream"},
    {"stream as a number", OPENAI_COMPLETIONS, TEXT(",'stream':1"), ERR_VALUE_INVALID, "stream"},
    {"stream_options as a truth", OPENAI_CHAT, CHAT(",'stream_options':true"), ERR_VALUE_INVALID,
     "stream_options"},
    {"include_usage as text", OPENAI_CHAT, CHAT(",'stream_options':{'include_usage':'yes'}"),
     ERR_VALUE_INVALID, "stream_options.include_usage"},
    {"continuous_usage_stats as a number", OPENAI_CHAT,
     CHAT(",'stream_options':{'continuous_usage_stats':1}"), ERR_VALUE_INVALID,
     "stream_options.continuous_usage_stats"},
    {"n of zero", OPENAI_CHAT, CHAT(",'n':0"), ERR_VALUE_INVALID, "n"},
    {"n of many", OPENAI_CHAT, CHAT(",'n':129"), ERR_VALUE_INVALID, "n"},
    {"n as text", OPENAI_CHAT, CHAT(",'n':'1'"), ERR_VALUE_INVALID, "n"},
    {"half a token", OPENAI_CHAT, CHAT(",'max_tokens':1.5"), ERR_VALUE_INVALID, "max_tokens"},
    {"tokens below none", OPENAI_CHAT, CHAT(",'max_tokens':-2"), ERR_VALUE_INVALID, "max_tokens"},
    {"more tokens than there are", OPENAI_CHAT, CHAT(",'max_completion_tokens':1e15"),
     ERR_VALUE_INVALID, "max_completion_tokens"},
    {"extra_body as text", OPENAI_CHAT, CHAT(",'extra_body':'x'"), ERR_VALUE_INVALID, "extra_body"},
    {"extra_body as an array", OPENAI_CHAT, CHAT(",'extra_body':[]"), ERR_VALUE_INVALID,
     "extra_body"},
    {"a wrong type inside extra_body", OPENAI_CHAT, CHAT(",'extra_body':{'stream':'x'}"),
     ERR_VALUE_INVALID, "stream"},

    {"a key twice", OPENAI_CHAT, CHAT(",'model':'x'"), ERR_JSON_DUPLICATE, "model"},
    {"a key twice, once escaped", OPENAI_CHAT, CHAT(",'mod\\u0065l':'x'"), ERR_JSON_DUPLICATE,
     "mod\\u0065l"},
    {"an unknown key twice", OPENAI_EMBEDDINGS, EMBED("'a','x':1,'x':1"), ERR_JSON_DUPLICATE, "x"},
    {"a key twice in extra_body", OPENAI_CHAT, CHAT(",'extra_body':{'top_k':1,'top\\u005fk':2}"),
     ERR_JSON_DUPLICATE, "extra_body"},
    {"a key twice in stream_options", OPENAI_CHAT,
     CHAT(",'stream_options':{'include_usage':true,'include_usage':false}"), ERR_JSON_DUPLICATE,
     "stream_options"},
    {"a key twice in routing", OPENAI_CHAT, CHAT(",'routing':{'profile':'a','profile':'b'}"),
     ERR_JSON_DUPLICATE, "routing"},
    {"a key twice in extra_body's routing", OPENAI_CHAT,
     CHAT(",'extra_body':{'routing':{'profile':'a','profile':'b'}}"), ERR_JSON_DUPLICATE,
     "extra_body"},
    {"a key twice in a message", OPENAI_CHAT,
     "{'model':'m','messages':[{'role':'user'},{'role':'user','r\\u006fle':'system'}]}",
     ERR_JSON_DUPLICATE, "messages"},
};

static void a_request_that_cannot_be_right_is_refused_with_its_member(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(refusals); i++) {
        struct scene s;
        enum err e = read_request(&s, refusals[i].endpoint, refusals[i].body);
        if (e != refusals[i].err) {
            fail_msg("%s: %s", refusals[i].why, err_name(e));
        }
        expect_text(refusals[i].why, s.param, refusals[i].param);
        end(&s);
    }
}

static void a_models_name_has_a_bound_however_it_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *each;
        size_t count;
        enum err err;
    } names[] = {{"x", 1024, ERR_OK},
                 {"x", 1025, ERR_MODEL_UNKNOWN},
                 {"\\u0061", 1024, ERR_OK},
                 {"\\u0061", 1025, ERR_MODEL_UNKNOWN}};
    for (size_t i = 0; i < ROWS(names); i++) {
        struct scene s;
        struct buf b;
        buf_init(&b, 16384);
        buf_put_text(&b, "{'messages':[{}],'model':'");
        for (size_t j = 0; j < names[i].count; j++) {
            buf_put_text(&b, names[i].each);
        }
        buf_put_text(&b, "'}");
        buf_put_byte(&b, 0);
        assert_int_equal(read_request(&s, OPENAI_CHAT, (const char *)buf_span(&b).at),
                         names[i].err);
        end(&s);
        buf_fini(&b);
    }
}

#define USAGE (1u << 0)
#define EVERY (1u << 1) /* usage on every chunk */
#define B64   (1u << 2)
#define ARRAY (1u << 3)
#define FLOW  (1u << 4) /* a stream */

static const struct {
    const char *why;
    enum openai_endpoint endpoint;
    const char *body;
    const char *model;
    unsigned flags;
    uint32_t inputs;
    int64_t input_tokens, output_tokens_max;
} facts[] = {
    {"the least", OPENAI_CHAT, CHAT(""), "m", 0, 0, -1, -1},
    {"an escaped name under an escaped key", OPENAI_CHAT, "{'mod\\u0065l':'a\\/b','messages':[{}]}",
     "a/b", 0, 0, -1, -1},
    {"nulls are absent", OPENAI_CHAT,
     CHAT(",'stream':null,'stream_options':null,'n':null,'max_tokens':null,"
          "'max_completion_tokens':null,'extra_body':null,'routing':null"),
     "m", 0, 0, -1, -1},
    {"a stream", OPENAI_CHAT, CHAT(",'stream':true"), "m", FLOW, 0, -1, -1},
    {"no stream", OPENAI_CHAT, CHAT(",'stream':false,'stream_options':{'include_usage':null}"), "m",
     0, 0, -1, -1},
    {"usage asked", OPENAI_CHAT, CHAT(",'stream':true,'stream_options':{'include_usage':true}"),
     "m", FLOW | USAGE, 0, -1, -1},
    {"usage on every chunk", OPENAI_CHAT,
     CHAT(",'stream':true,'stream_options':{'continuous_usage_stats':true}"), "m",
     FLOW | USAGE | EVERY, 0, -1, -1},
    {"no usage after all", OPENAI_CHAT,
     CHAT(",'stream':true,'stream_options':"
          "{'include_usage':false,'continuous_usage_stats':true}"),
     "m", FLOW, 0, -1, -1},
    {"a bound on the output", OPENAI_CHAT, CHAT(",'max_tokens':10"), "m", 0, 0, -1, 10},
    {"the greater of two bounds counts", OPENAI_CHAT,
     CHAT(",'max_completion_tokens':5,'max_tokens':10,'n':3"), "m", 0, 0, -1, 30},
    {"a whole number may look like another", OPENAI_CHAT, CHAT(",'max_tokens':1e1,'n':2.0"), "m", 0,
     0, -1, 20},
    {"no bound at all", OPENAI_CHAT, CHAT(",'max_tokens':-1,'n':2"), "m", 0, 0, -1, -1},
    {"the largest bounds", OPENAI_CHAT, CHAT(",'max_tokens':1099511627776,'n':128"), "m", 0, 0, -1,
     INT64_C(1) << 40},
    {"unknown members twice, further down", OPENAI_CHAT,
     CHAT(",'tools':[{'x':1,'x':2}],'metadata':{'a':1,'a':2}"), "m", 0, 0, -1, -1},
    {"extra_body's members count", OPENAI_CHAT,
     "{'extra_body':{'model':'m','messages':[{}],'stream':true,'n':2,'max_tokens':4,"
     "'stream_options':{'include_usage':true}}}",
     "m", FLOW | USAGE, 0, -1, 8},
    {"the body's own members go first", OPENAI_CHAT,
     CHAT(",'stream':false,'n':null,'extra_body':{'model':'x','stream':true,'n':2,'messages':3}"),
     "m", 0, 0, -1, -1},

    {"a text to go on with", OPENAI_COMPLETIONS, TEXT(",'max_tokens':4"), "m", 0, 1, -1, 4},
    {"several texts", OPENAI_COMPLETIONS,
     "{'model':'m','prompt':['a','b'],'max_tokens':4,'n':2,'best_of':5,'stream':true}", "m", FLOW,
     2, -1, 40},
    {"tokens to go on with", OPENAI_COMPLETIONS, "{'model':'m','prompt':[1,2,3]}", "m", ARRAY, 1, 3,
     -1},

    {"one text", OPENAI_EMBEDDINGS, EMBED("'hello'"), "m", 0, 1, -1, -1},
    {"an empty text", OPENAI_EMBEDDINGS, EMBED("''"), "m", 0, 1, -1, -1},
    {"texts", OPENAI_EMBEDDINGS, EMBED("['a','','c']"), "m", 0, 3, -1, -1},
    {"tokens", OPENAI_EMBEDDINGS, EMBED("[1,2,0]"), "m", ARRAY, 1, 3, -1},
    {"arrays of tokens", OPENAI_EMBEDDINGS, EMBED("[[1,2],[3]]"), "m", ARRAY, 2, 3, -1},
    {"numbers", OPENAI_EMBEDDINGS, EMBED("'a','encoding_format':'float'"), "m", 0, 1, -1, -1},
    {"Base64", OPENAI_EMBEDDINGS, EMBED("'a','encoding_format':'b\\u0061se64'"), "m", B64, 1, -1,
     -1},
    {"no encoding", OPENAI_EMBEDDINGS, EMBED("'a','encoding_format':null"), "m", 0, 1, -1, -1},
    {"Base64 in extra_body", OPENAI_EMBEDDINGS,
     EMBED("'a','extra_body':{'encoding_format':'base64'}"), "m", B64, 1, -1, -1},
    {"no stream of embeddings", OPENAI_EMBEDDINGS, EMBED("'a','stream':true,'n':'x'"), "m", 0, 1,
     -1, -1},
};

static void a_request_says_what_its_effective_members_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(facts); i++) {
        struct scene s;
        enum err e = read_request(&s, facts[i].endpoint, facts[i].body);
        if (e != ERR_OK) {
            fail_msg("%s: %s", facts[i].why, err_name(e));
        }
        const struct openai_request *r = &s.request;
        unsigned flags = (r->wants_usage ? USAGE : 0) | (r->wants_continuous_usage ? EVERY : 0) |
                         (r->wants_base64 ? B64 : 0) | (r->has_token_arrays ? ARRAY : 0) |
                         (r->stream ? FLOW : 0);
        expect_text(facts[i].why, r->model, facts[i].model);
        if (flags != facts[i].flags || r->inputs != facts[i].inputs ||
            r->input_tokens != facts[i].input_tokens ||
            r->output_tokens_max != facts[i].output_tokens_max ||
            r->endpoint != facts[i].endpoint) {
            fail_msg("%s: flags %x, %u inputs, %lld and %lld tokens", facts[i].why, flags,
                     r->inputs, (long long)r->input_tokens, (long long)r->output_tokens_max);
        }
        assert_true(s.param.len == 0 && s.message.len == 0);
        end(&s);
    }
}

/* `before`, `count` times ",'x0':1" and so on or, if that is given, `each`, then `after`. */
static const char *repeat(struct buf *room, const char *before, const char *each, int count,
                          const char *after)
{
    buf_clear(room);
    buf_put_text(room, before);
    for (int i = 0; i < count; i++) {
        if (each != NULL) {
            buf_put_text(room, each);
        } else {
            buf_printf(room, ",'x%d':1", i);
        }
    }
    buf_put_text(room, after);
    buf_put_byte(room, 0);
    assert_false(buf_failed(room));
    return (const char *)buf_span(room).at;
}

static void what_is_counted_has_a_bound(void **state)
{
    (void)state;
    struct buf room;
    struct scene s;
    const char *body;
    buf_init(&room, 1 << 20);
    body = repeat(&room, "{'model':'m','input':['a'", ",'a'", 2047, "]}");
    assert_int_equal(read_request(&s, OPENAI_EMBEDDINGS, body), ERR_OK);
    assert_int_equal(s.request.inputs, 2048);
    end(&s);
    body = repeat(&room, "{'model':'m','input':['a'", ",'a'", 2048, "]}");
    assert_int_equal(read_request(&s, OPENAI_EMBEDDINGS, body), ERR_VALUE_INVALID);
    expect_text("too many inputs", s.param, "input");
    end(&s);
    body = repeat(&room, "{'model':'m','input':'a'", NULL, 1023, "}");
    assert_int_equal(read_request(&s, OPENAI_EMBEDDINGS, body), ERR_VALUE_INVALID);
    end(&s);
    body = repeat(&room, "{'model':'m','input':'a','extra_body':{'x':1", NULL, 256, "}}");
    assert_int_equal(read_request(&s, OPENAI_EMBEDDINGS, body), ERR_VALUE_INVALID);
    expect_text("too many to lift", s.param, "extra_body");
    end(&s);
    body = repeat(&room, "{'model':'m','input':'a','extra_body':{'x':1", NULL, 255, "}}");
    assert_int_equal(read_request(&s, OPENAI_EMBEDDINGS, body), ERR_OK);
    end(&s);
    buf_fini(&room);
}

static void nothing_is_written_to_the_facts_of_a_refused_request(void **state)
{
    (void)state;
    struct scene s;
    struct openai_request untouched;
    memset(&untouched, 0xee, sizeof(untouched));
    assert_int_equal(read_request(&s, OPENAI_CHAT, CHAT(",'n':0")), ERR_VALUE_INVALID);
    assert_memory_equal(&s.request, &untouched, sizeof(untouched));
    assert_true(s.message.len > 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_cannot_be_right_is_refused_with_its_member),
        cmocka_unit_test(a_models_name_has_a_bound_however_it_is_written),
        cmocka_unit_test(a_request_says_what_its_effective_members_say),
        cmocka_unit_test(what_is_counted_has_a_bound),
        cmocka_unit_test(nothing_is_written_to_the_facts_of_a_refused_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
