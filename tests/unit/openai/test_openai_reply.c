/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_reply.c — a whole reply becomes what clients accept, and says what it cost. */
#include "unit.h"

#include "openai/openai_internal.h"
#include "quotes.h"

/* As little as a whole reply may say. */
#define CHOICES \
    "'choices':[{'index':0,'message':{'role':'assistant','content':''},'finish_reason':'stop'}]"
#define USUAL "'usage':{'prompt_tokens':9,'completion_tokens':2,'total_tokens':11}"
#define VECTORS(items)                                                                             \
    "{'object':'list','model':'m','data':[" items "],'usage':{'prompt_tokens':4,'total_tokens':4}" \
    "}"
#define CHANGED(items)                                \
    "{'object':'list','model':'shown','data':[" items \
    "],'usage':{'prompt_tokens':4,'total_tokens':4}}"

struct scene {
    struct json_index index;
    struct arena arena;
    struct openai_plan plan;
    struct openai_reply reply;
};

/* Makes the reply in steps of `floats`. */
static enum err make(struct scene *s, struct arena *arena, int64_t floats)
{
    enum err e = openai_reply_begin(&s->reply, &s->index, &s->plan, arena);
    while (e == ERR_OK && !s->reply.is_made) {
        e = openai_reply_convert(&s->reply, floats);
    }
    return e;
}

static enum err edit(struct scene *s, enum openai_endpoint endpoint, uint32_t inputs,
                     bool wants_base64, const char *reply)
{
    json_index_init(&s->index, 1 << 20, 64);
    arena_init(&s->arena, 8 << 20);
    s->plan = (struct openai_plan){.endpoint = endpoint,
                                   .quoted_model = SPAN("\"shown\""),
                                   .call_id = SPAN("01ABC"),
                                   .created_s = 99,
                                   .wants_base64 = wants_base64,
                                   .inputs = inputs};
    assert_int_equal(json_index_parse_borrow(&s->index, quoted(&s->arena, reply)), ERR_OK);
    return make(s, &s->arena, INT64_MAX);
}

static struct span result(struct scene *s)
{
    size_t len = (size_t)json_edits_total(&s->reply.edits);
    uint8_t *text = arena_alloc(&s->arena, len);
    assert_non_null(text);
    json_edits_copy(&s->reply.edits, text);
    return span_make(text, len);
}

static void end(struct scene *s)
{
    arena_fini(&s->arena);
    json_index_fini(&s->index);
}

static const struct {
    const char *why;
    enum openai_endpoint endpoint;
    const char *reply, *sent;
    uint64_t written; /* eighths of a token */
} changes[] = {
    {"no choice at all, as the server says", OPENAI_CHAT, "{'choices':[]}",
     "{'choices':[],'model':'shown'}", 0},
    {"the model has the name that was asked for", OPENAI_CHAT,
     "{'model':'/models/x.gguf'," CHOICES "}", "{'model':'shown'," CHOICES "}", 0},
    {"also where it had none", OPENAI_CHAT, "{" CHOICES "}", "{" CHOICES ",'model':'shown'}", 0},
    {"also where it was null", OPENAI_CHAT, "{'model':null," CHOICES "}",
     "{'model':'shown'," CHOICES "}", 0},
    {"a null error goes", OPENAI_CHAT, "{'error':null,'model':'shown'," CHOICES "}",
     "{'model':'shown'," CHOICES "}", 0},
    {"unknown members stay", OPENAI_CHAT,
     "{ 'x':[1 "
     ",2],'choices':[{'y':{},'index':0,'message':{'role':'assistant','content':'hi','z':1},'finish_"
     "reason':'stop'}],"
     "'model':'shown','timings':{'a':1.50} }",
     "{ 'x':[1 "
     ",2],'choices':[{'y':{},'index':0,'message':{'role':'assistant','content':'hi','z':1},'finish_"
     "reason':'stop'}],"
     "'model':'shown','timings':{'a':1.50} }",
     4},
    {"whoever speaks is the assistant", OPENAI_CHAT,
     "{'model':'shown','choices':[{'index':0,'message':{'role':'bot'}},"
     "{'index':1,'message':{'role':null}}]}",
     "{'model':'shown','choices':[{'index':0,'message':{'role':'assistant'},'finish_reason':'stop'}"
     ",{'index':1,'message':{'role':'assistant'},'finish_reason':'stop'}]}",
     0},
    {"choices are numbered", OPENAI_CHAT,
     "{'model':'shown','choices':[{'message':{}},{'index':null,'message':{}},{'index':7}]}",
     "{'model':'shown','choices':[{'message':{'role':'assistant'},'index':0,'finish_reason':'stop'}"
     ",{'message':{'role':'assistant'},'index':1,'finish_reason':'stop'},{'index':7,'message':{'"
     "role':'assistant','content':null},'finish_reason':'stop'}]}",
     0},
    {"tool calls have an id and a type", OPENAI_CHAT,
     "{'model':'shown','choices':[{'index':0,'message':{'tool_calls':[7,{'id':'','type':null,"
     "'function':{}},{'id':'a','type':'custom','custom':{}},{'id':'b','x':1}]}},"
     "{'index':1,'message':{'tool_calls':[{'function':{'name':'f','arguments':'{}'}}]}}]}",
     "{'model':'shown','choices':[{'index':0,'message':{'tool_calls':[{'type':'function','function'"
     ":{},'id':'call_01ABC_1'},{'id':'a','type':'custom','custom':{}},{'id':'b','x':1}],'role':'"
     "assistant'},'finish_reason':'tool_calls'},{'index':1,'message':{'tool_calls':[{'function':{'"
     "name':'f','arguments':'{}'},'id':'call_01ABC_1_0','type':'function'}],'role':'assistant'},'"
     "finish_reason':'tool_calls'}]}",
     12},
    {"reasoning has the server's name for it", OPENAI_CHAT,
     "{'model':'shown','choices':[{'index':0,'message':{'content':'hi','reasoning':'hm\\n'}}]}",
     "{'model':'shown','choices':[{'index':0,'message':{'content':'hi','reasoning':'hm\\n','role':'"
     "assistant'},'finish_reason':'stop'}]}",
     13},
    {"once, if it is said twice", OPENAI_CHAT,
     "{'model':'shown','choices':[{'index':0,'message':{'reasoning_content':'hm','reasoning':'hm'}}"
     "]}",
     "{'model':'shown','choices':[{'index':0,'message':{'reasoning_content':'hm','role':'assistant'"
     "},'finish_reason':'stop'}]}",
     4},
    {"two that differ are both said", OPENAI_CHAT,
     "{'model':'shown','choices':[{'index':0,'message':{'reasoning_content':'a','reasoning':'b'}}]"
     "}",
     "{'model':'shown','choices':[{'index':0,'message':{'reasoning_content':'a','reasoning':'b','"
     "role':'assistant'},'finish_reason':'stop'}]}",
     4},
    {"reasons that are a server's own", OPENAI_CHAT,
     "{'model':'shown','choices':[{'index':0,'finish_reason':'abort'},{'index':1,'finish_reason':'"
     "eos_token'}"
     ","
     "{'index':1,'finish_reason':'stop_sequence'},{'index':1,'finish_reason':'length'},{'index':1,'"
     "finish_reason':''},"
     "{'index':1,'finish_reason':null}]}",
     "{'model':'shown','choices':[{'index':0,'finish_reason':'stop','message':{'role':'assistant','"
     "content':null}},{'index':1,'finish_reason':'stop','message':{'role':'assistant','content':"
     "null}},{'index':1,'finish_reason':'stop','message':{'role':'assistant','content':null}},{'"
     "index':1,'finish_reason':'length','message':{'role':'assistant','content':null}},{'index':1,'"
     "message':{'role':'assistant','content':null},'finish_reason':'stop'},{'index':1,'message':{'"
     "role':'assistant','content':null},'finish_reason':'stop'}]}",
     0},
    {"arguments are text too, Arabic is measured in UTF-8", OPENAI_CHAT,
     "{'model':'shown','choices':[{'index':0,'message':{'content':'\\u0645\\u0631\\\\',"
     "'tool_calls':[{'id':'a','type':'function','function':{'arguments':'{}'}},3,{'id':'b'}]}}]}",
     "{'model':'shown','choices':[{'index':0,'message':{'content':'\\u0645\\u0631\\\\','tool_calls'"
     ":[{'id':'a','type':'function','function':{'arguments':'{}'}},{'id':'b'}],'role':'assistant'},"
     "'finish_reason':'tool_calls'}]}",
     29},
    {"arguments that are no text become text", OPENAI_CHAT,
     "{'model':'shown','choices':[{'index':0,'message':{'tool_calls':[{'id':'a','type':'function',"
     "'function':{'name':'f','arguments':{'n':1}}},{'id':'b','type':'tool','function':{'name':'g',"
     "'arguments':null}},{'id':'c','type':'','function':{'name':'h'}}]}}]}",
     "{'model':'shown','choices':[{'index':0,'message':{'tool_calls':[{'id':'a','type':'function','"
     "function':{'name':'f','arguments':'{\\'n\\':1}'}},{'id':'b','type':'function','function':{'"
     "name':'g','arguments':'{}'}},{'id':'c','type':'function','function':{'name':'h','arguments':'"
     "{}'}}],'role':'assistant'},'finish_reason':'tool_calls'}]}",
     8},
    {"who called tools has not just stopped", OPENAI_CHAT,
     "{'model':'shown','choices':[{'finish_reason':'stop','index':0,'message':{'tool_calls':"
     "[{'id':'a','type':'custom'}]}},{'finish_reason':'length','index':1,'message':{'tool_calls':"
     "[{'id':'a','type':'custom'}]}},{'finish_reason':'stop','index':2,'message':{}}]}",
     "{'model':'shown','choices':[{'finish_reason':'tool_calls','index':0,'message':{'tool_calls':["
     "{'id':'a','type':'custom'}],'role':'assistant'}},{'finish_reason':'length','index':1,'"
     "message':{'tool_calls':[{'id':'a','type':'custom'}],'role':'assistant'}},{'finish_reason':'"
     "stop','index':2,'message':{'role':'assistant'}}]}",
     0},
    {"what is empty and makes clients stumble goes", OPENAI_CHAT,
     "{'model':'shown','choices':[{'index':0,'message':{'tool_calls':[],'content':'x','name':'',"
     "'function_call':null,'refusal':null}},{'index':1,'message':{'role':'','tool_calls':null,"
     "'function_call':{'name':'','arguments':''}}},{'index':2,'message':{'name':null,"
     "'function_call':{'name':'f','arguments':'{}'}}}]}",
     "{'model':'shown','choices':[{'index':0,'message':{'content':'x','refusal':null,'role':'"
     "assistant'},'finish_reason':'stop'},{'index':1,'message':{'role':'assistant'},'finish_reason'"
     ":'stop'},{'index':2,'message':{'function_call':{'name':'f','arguments':'{}'},'role':'"
     "assistant'},'finish_reason':'stop'}]}",
     14},
    {"a text completion", OPENAI_COMPLETIONS,
     "{'model':'m','choices':[{'index':0,'text':'abc','finish_reason':'abort'}]}",
     "{'model':'shown','choices':[{'index':0,'text':'abc','finish_reason':'stop'}]}", 6},
    {"what is no message is one", OPENAI_CHAT,
     "{'model':'shown','choices':[{'index':0,'message':null,'finish_reason':'stop'},"
     "{'index':1,'message':'x','finish_reason':'stop'},{'index':2,'text':'y','finish_reason':''}]}",
     "{'model':'shown','choices':[{'index':0,'message':{'role':'assistant','content':null},"
     "'finish_reason':'stop'},{'index':1,'message':{'role':'assistant','content':'x'},"
     "'finish_reason':'stop'},{'index':2,'text':'y','message':{'role':'assistant','content':'y'},"
     "'finish_reason':'stop'}]}",
     4},
    {"of members that are said twice the last counts", OPENAI_CHAT,
     "{'model':'a','choices':7,'usage':1,'model':'b','usage':{},'choices':[{'index':3,'index':0,"
     "'message':{'role':'x','content':'no','content':'a','role':'y'},'finish_reason':'tired',"
     "'finish_reason':'eos'}]}",
     "{'model':'shown','usage':{},'choices':[{'index':0,'message':{'content':'a',"
     "'role':'assistant'},'finish_reason':'stop'}]}",
     6},
    {"an error that says nothing goes", OPENAI_CHAT, "{'error':'','model':'shown'," CHOICES "}",
     "{'model':'shown'," CHOICES "}", 0},
    {"in a choice too", OPENAI_CHAT,
     "{'model':'shown','error':{},'choices':[{'index':0,'message':{'role':'assistant'},'error':[],"
     "'finish_reason':'stop'}]}",
     "{'model':'shown','choices':[{'index':0,'message':{'role':'assistant'},'error':[],"
     "'finish_reason':'stop'}]}",
     0},
    {"what is of another type than clients read goes", OPENAI_CHAT,
     "{'model':'shown','usage':'x','choices':[{'index':-5,'logprobs':[],'message':{"
     "'role':'assistant','tool_calls':{'id':'a'}},'finish_reason':'stop'},{'index':1.0,"
     "'logprobs':{},'message':{'role':'assistant'},'finish_reason':'stop'}]}",
     "{'model':'shown','choices':[{'logprobs':null,'message':{'role':'assistant'},"
     "'finish_reason':'stop','index':0},{'logprobs':{},'message':{'role':'assistant'},"
     "'finish_reason':'stop','index':1}]}",
     0},
    {"counts that are none are what the others leave, or 0", OPENAI_CHAT,
     "{'model':'shown'," CHOICES ",'usage':{'prompt_tokens':9,'completion_tokens':null,"
     "'total_tokens':11,'x':-1}}",
     "{'model':'shown'," CHOICES ",'usage':{'prompt_tokens':9,'completion_tokens':2,"
     "'total_tokens':11,'x':-1}}",
     0},
    {"the total too", OPENAI_CHAT,
     "{'model':'shown'," CHOICES ",'usage':{'prompt_tokens':9.0,'completion_tokens':2e0,"
     "'total_tokens':-1}}",
     "{'model':'shown'," CHOICES ",'usage':{'prompt_tokens':9,'completion_tokens':2,"
     "'total_tokens':11}}",
     0},
    {"one that was left out is there", OPENAI_CHAT,
     "{'model':'shown'," CHOICES ",'usage':{'prompt_tokens':9,'x':1,'total_tokens':11}}",
     "{'model':'shown'," CHOICES ",'usage':{'prompt_tokens':9,'x':1,'total_tokens':11,"
     "'completion_tokens':2}}",
     0},
    {"but of what counts nothing nothing is said", OPENAI_CHAT,
     "{'model':'shown'," CHOICES ",'usage':{'seconds':9}}",
     "{'model':'shown'," CHOICES ",'usage':{'seconds':9}}", 0},
    {"and 0 where nobody knows", OPENAI_CHAT,
     "{'model':'shown'," CHOICES ",'usage':{'prompt_tokens':null,'completion_tokens':-3,"
     "'total_tokens':'5','prompt_tokens_details':null}}",
     "{'model':'shown'," CHOICES ",'usage':{'prompt_tokens':0,'completion_tokens':0,"
     "'total_tokens':0,'prompt_tokens_details':null}}",
     0},
    {"a text is there", OPENAI_COMPLETIONS,
     "{'model':'shown','choices':[{'index':0,'text':null,'finish_reason':'stop'},{'index':1,"
     "'finish_reason':'stop'}]}",
     "{'model':'shown','choices':[{'index':0,'text':'','finish_reason':'stop'},{'index':1,"
     "'finish_reason':'stop','text':''}]}",
     0},
};

/* What a reply gets that says nothing of itself is shown in other rows. */
static void expect_changed(struct scene *s, size_t row)
{
    const char *made = changes[row].endpoint == OPENAI_CHAT ? ID("chatcmpl", "chat.completion")
                                                            : ID("cmpl", "text_completion");
    expect_text(changes[row].why, without(&s->arena, result(s), made), changes[row].sent);
}

static void a_reply_is_edited_for_clients_and_otherwise_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(changes); i++) {
        struct scene s;
        enum err e = edit(&s, changes[i].endpoint, 0, false, changes[i].reply);
        if (e != ERR_OK || s.reply.written != changes[i].written) {
            fail_msg("%s: %s, %llu eighths of a token", changes[i].why, err_name(e),
                     (unsigned long long)s.reply.written);
        }
        expect_changed(&s, i);
        for (int64_t floats = 1; floats < 40; floats += 13) { /* the same in steps of any size */
            assert_int_equal(make(&s, &s.arena, floats), ERR_OK);
            expect_changed(&s, i);
        }
        end(&s);
    }
}

#define LONG_ID "0123456789012345678901234567890123456789012345678901234567890123456789"

static const struct {
    const char *why;
    enum openai_endpoint endpoint;
    const char *reply, *sent;
} identities[] = {
    {"a chat says who it is, what and of when", OPENAI_CHAT, "{'model':'shown'," CHOICES "}",
     "{'model':'shown'," CHOICES ID("chatcmpl", "chat.completion") "}"},
    {"a completion too", OPENAI_COMPLETIONS,
     "{'model':'shown','choices':[{'index':0,'text':'','finish_reason':'stop'}]}",
     "{'model':'shown','choices':[{'index':0,'text':'','finish_reason':'stop'}]" ID(
         "cmpl", "text_completion") "}"},
    {"each by itself", OPENAI_CHAT, "{'object':'chat.completion','model':'shown'," CHOICES "}",
     "{'object':'chat.completion','model':'shown'," CHOICES ",'id':'chatcmpl-01ABC','created':99}"},
    {"what says nothing is said", OPENAI_CHAT,
     "{'id':'','object':null,'created':0,'model':'shown'," CHOICES "}",
     "{'id':'chatcmpl-01ABC','object':'chat.completion','created':99,'model':'shown'," CHOICES "}"},
    {"what is of another kind is said anew", OPENAI_CHAT,
     "{'id':7,'object':'chat.completion.chunk','created':1.5,'model':'shown'," CHOICES "}",
     "{'id':'chatcmpl-01ABC','object':'chat.completion','created':99,'model':'shown'," CHOICES "}"},
    {"of what is said twice the last is read", OPENAI_CHAT,
     "{'id':'a','id':null,'object':'chat.completion','created':7,'model':'shown'," CHOICES "}",
     "{'id':'chatcmpl-01ABC','object':'chat.completion','created':7,'model':'shown'," CHOICES "}"},
    {"what the server says stays", OPENAI_CHAT,
     "{'created':7,'object':'chat.completion','id':'" LONG_ID "','model':'shown'," CHOICES "}",
     "{'created':7,'object':'chat.completion','id':'" LONG_ID "','model':'shown'," CHOICES "}"},
    {"vectors are a list, and no more is said of them", OPENAI_EMBEDDINGS,
     "{'data':[{'index':0,'embedding':[1]}]}",
     "{'data':[{'index':0,'embedding':[1]}],'object':'list','model':'shown'}"},
};

static void a_reply_says_who_it_is_what_and_of_when(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(identities); i++) {
        struct scene s;
        uint32_t inputs = identities[i].endpoint == OPENAI_EMBEDDINGS ? 1 : 0;
        enum err e = edit(&s, identities[i].endpoint, inputs, false, identities[i].reply);
        assert_int_equal(e, ERR_OK);
        expect_text(identities[i].why, result(&s), identities[i].sent);
        end(&s);
    }
}

static const struct {
    const char *why, *reply;
    int64_t input, output, cached;
    bool has_input, has_output;
} usages[] = {
    {"the usual", "{" CHOICES "," USUAL "}", 9, 2, 0, true, true},
    {"cached tokens",
     "{" CHOICES ",'usage':{'prompt_tokens':9,'completion_tokens':2,"
     "'prompt_tokens_details':{'cached_tokens':8}}}",
     9, 2, 8, true, true},
    {"details that are null",
     "{" CHOICES ",'usage':{'prompt_tokens':9,'completion_tokens':2,"
     "'prompt_tokens_details':null}}",
     9, 2, 0, true, true},
    {"no output", "{" CHOICES ",'usage':{'prompt_tokens':9,'total_tokens':9}}", 9, 0, 0, true,
     false},
    {"llama.cpp's timings",
     "{" CHOICES ",'timings':{'cache_n':3,'prompt_n':4,'predicted_n':5,'predicted_ms':0.1}}", 7, 5,
     3, true, true},
    {"timings of an older one", "{" CHOICES ",'timings':{'prompt_n':4,'predicted_n':5}}", 4, 5, 0,
     true, true},
    {"usage goes before timings",
     "{" CHOICES ",'timings':{'prompt_n':4,'predicted_n':5}," USUAL "}", 9, 2, 0, true, true},
    {"a null usage gives way to timings",
     "{" CHOICES ",'timings':{'prompt_n':4,'predicted_n':5},'usage':null}", 4, 5, 0, true, true},
    {"no usage", "{" CHOICES "}", 0, 0, 0, false, false},
    {"a null usage", "{" CHOICES ",'usage':null}", 0, 0, 0, false, false},
    {"usage that is no object", "{" CHOICES ",'usage':[9,2]}", 0, 0, 0, false, false},
    {"usage as text", "{" CHOICES ",'usage':{'prompt_tokens':'9'}}", 0, 0, 0, false, false},
    {"tokens below zero", "{" CHOICES ",'usage':{'prompt_tokens':-9,'completion_tokens':2}}", 0, 2,
     0, false, true},
    {"more tokens than there are",
     "{" CHOICES ",'usage':{'prompt_tokens':9007199254740993,'completion_tokens':2}}", 0, 2, 0,
     false, true},
    {"timings that lack one half", "{" CHOICES ",'timings':{'prompt_n':4}}", 0, 0, 0, false, false},
    {"timings as a number", "{" CHOICES ",'timings':4}", 0, 0, 0, false, false},
};

static void usage_is_read_in_all_its_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(usages); i++) {
        struct scene s;
        assert_int_equal(edit(&s, OPENAI_CHAT, 0, false, usages[i].reply), ERR_OK);
        const struct openai_usage *found = &s.reply.usage;
        if (found->input_tokens != usages[i].input || found->output_tokens != usages[i].output ||
            found->cached_tokens != usages[i].cached || found->has_input != usages[i].has_input ||
            found->has_output != usages[i].has_output) {
            fail_msg("%s: %lld in, %lld out, %lld cached, known %d %d", usages[i].why,
                     (long long)found->input_tokens, (long long)found->output_tokens,
                     (long long)found->cached_tokens, found->has_input, found->has_output);
        }
        end(&s);
    }
}

static const struct {
    const char *why;
    enum openai_endpoint endpoint;
    uint32_t inputs;
    const char *reply;
    enum err err;
} faults[] = {
    {"not an object", OPENAI_CHAT, 0, "[]", ERR_UPSTREAM_JSON},
    {"no choices", OPENAI_CHAT, 0, "{'id':'x'}", ERR_UPSTREAM_JSON},
    {"null choices", OPENAI_CHAT, 0, "{'choices':null}", ERR_UPSTREAM_JSON},
    {"choices that are an object", OPENAI_CHAT, 0, "{'choices':{}}", ERR_UPSTREAM_JSON},
    {"a choice that is a number", OPENAI_COMPLETIONS, 0, "{'choices':[{},1]}", ERR_UPSTREAM_JSON},
    {"an error in a reply of status 200", OPENAI_CHAT, 0, "{'error':{'message':'no'},'choices':[]}",
     ERR_UPSTREAM_STATUS},
    {"an error that is a string", OPENAI_CHAT, 0, "{'error':'no','error_type':'overloaded'}",
     ERR_UPSTREAM_STATUS},
    {"an error in a choice", OPENAI_CHAT, 0, "{'choices':[{},{'error':{'message':'no'}}]}",
     ERR_UPSTREAM_STATUS},
    {"a choice that ended with an error", OPENAI_CHAT, 0, "{'choices':[{'finish_reason':'error'}]}",
     ERR_UPSTREAM_STATUS},
    {"or for want of something", OPENAI_COMPLETIONS, 0,
     "{'choices':[{'text':'a','finish_reason':'insufficient_system_resource'}]}",
     ERR_UPSTREAM_STATUS},
    {"a flat error", OPENAI_CHAT, 0, "{'object':'error','message':'no','code':400}",
     ERR_UPSTREAM_STATUS},
    {"no data", OPENAI_EMBEDDINGS, 1, "{'object':'list'}", ERR_UPSTREAM_JSON},
    {"data that are an object", OPENAI_EMBEDDINGS, 1, "{'data':{}}", ERR_UPSTREAM_JSON},
    {"fewer vectors than inputs", OPENAI_EMBEDDINGS, 2, VECTORS("{'embedding':[1]}"),
     ERR_UPSTREAM_JSON},
    {"more vectors than inputs", OPENAI_EMBEDDINGS, 1,
     VECTORS("{'embedding':[1]},{'embedding':[1]}"), ERR_UPSTREAM_JSON},
    {"an index twice", OPENAI_EMBEDDINGS, 2,
     VECTORS("{'index':1,'embedding':[1]},{'index':1,'embedding':[2]}"), ERR_UPSTREAM_JSON},
    {"an index too high", OPENAI_EMBEDDINGS, 1, VECTORS("{'index':1,'embedding':[1]}"),
     ERR_UPSTREAM_JSON},
    {"an index below zero", OPENAI_EMBEDDINGS, 1, VECTORS("{'index':-1,'embedding':[1]}"),
     ERR_UPSTREAM_JSON},
    {"an index that is text", OPENAI_EMBEDDINGS, 1, VECTORS("{'index':'0','embedding':[1]}"),
     ERR_UPSTREAM_JSON},
    {"no embedding", OPENAI_EMBEDDINGS, 1, VECTORS("{'index':0}"), ERR_UPSTREAM_JSON},
    {"a null embedding", OPENAI_EMBEDDINGS, 1, VECTORS("{'embedding':null}"), ERR_UPSTREAM_JSON},
    {"an embedding that is an object", OPENAI_EMBEDDINGS, 1, VECTORS("{'embedding':{}}"),
     ERR_UPSTREAM_JSON},
    {"an element that is a number", OPENAI_EMBEDDINGS, 1, VECTORS("1"), ERR_UPSTREAM_JSON},
    {"text that is no Base64", OPENAI_EMBEDDINGS, 1, VECTORS("{'embedding':'?'}"),
     ERR_UPSTREAM_JSON},
};

static void a_reply_of_another_form_is_the_model_servers_fault(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(faults); i++) {
        struct scene s;
        enum err e = edit(&s, faults[i].endpoint, faults[i].inputs, false, faults[i].reply);
        if (e != faults[i].err) {
            fail_msg("%s: %s", faults[i].why, err_name(e));
        }
        end(&s);
    }
}

static const struct {
    const char *why;
    uint32_t inputs;
    bool wants_base64;
    const char *reply, *sent;
} vectors[] = {
    {"numbers for who wants numbers", 1, false,
     VECTORS("{'object':'embedding','index':0,'embedding':[1.50,-2e0]}"),
     CHANGED("{'object':'embedding','index':0,'embedding':[1.50,-2e0]}")},
    {"Base64 for who wants Base64", 1, true, VECTORS("{'index':0,'embedding':'AADAPwAAAMA='}"),
     CHANGED("{'index':0,'embedding':'AADAPwAAAMA='}")},
    {"Base64 from numbers", 2, true,
     VECTORS("{'index':0,'embedding':[1.5,-2]} , {'index':1,'embedding':[],'x':1}"),
     CHANGED("{'index':0,'embedding':'AADAPwAAAMA='} , {'index':1,'embedding':'','x':1}")},
    {"numbers from Base64", 1, false, VECTORS("{'index':0,'embedding':'AADAPwAAAMA='}"),
     CHANGED("{'index':0,'embedding':[1.5,-2]}")},
    {"each is looked at for itself", 2, false,
     VECTORS("{'embedding':[1]},{'embedding':'AADAPw=='}"),
     CHANGED("{'embedding':[1]},{'embedding':[1.5]}")},
    {"in the order of their indexes", 3, false,
     VECTORS(
         "{'index':2,'embedding':[3]},\n{'embedding':[1],'index':0},{'index':1,'embedding':[2]}"),
     CHANGED(
         "{'embedding':[1],'index':0},\n{'index':1,'embedding':[2]},{'index':2,'embedding':[3]}")},
    {"in order, and converted", 2, true,
     VECTORS("{'x':{'y':1},'index':1,'embedding':[1.5],'z':2},{'index':0,'embedding':[-2]}"),
     CHANGED("{'index':0,'embedding':'AAAAwA=='},"
             "{'x':{'y':1},'index':1,'embedding':'AADAPw==','z':2}")},
};

static void vectors_come_in_the_form_and_order_that_was_asked_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(vectors); i++) {
        struct scene s;
        enum err e = edit(&s, OPENAI_EMBEDDINGS, vectors[i].inputs, vectors[i].wants_base64,
                          vectors[i].reply);
        if (e != ERR_OK) {
            fail_msg("%s: %s", vectors[i].why, err_name(e));
        }
        expect_text(vectors[i].why, result(&s), vectors[i].sent);
        assert_true(s.reply.usage.has_input && s.reply.usage.input_tokens == 4 &&
                    s.reply.usage.output_tokens == 0);
        for (int64_t floats = 1; floats < 100; floats++) { /* the same in steps of any size */
            assert_int_equal(make(&s, &s.arena, floats), ERR_OK);
            expect_text(vectors[i].why, result(&s), vectors[i].sent);
        }
        end(&s);
    }
}

static void without_memory_there_is_no_reply(void **state)
{
    (void)state;
    struct scene s;
    assert_int_equal(edit(&s, OPENAI_EMBEDDINGS, 2, true,
                          VECTORS("{'index':1,'embedding':[1.5]},{'index':0,'embedding':[-2]}")),
                     ERR_OK);
    bool was_enough = false;
    for (size_t most = 0; !was_enough; most += 16) {
        struct arena small;
        arena_init(&small, most);
        enum err e = make(&s, &small, INT64_MAX);
        was_enough = e == ERR_OK;
        assert_true(was_enough || e == ERR_NO_MEMORY);
        if (was_enough) {
            expect_text("the whole", result(&s),
                        CHANGED("{'index':0,'embedding':'AAAAwA=='},"
                                "{'index':1,'embedding':'AADAPw=='}"));
        }
        arena_fini(&small);
    }
    end(&s);
}

static void what_was_taken_out_of_the_reasoning_stays_out(void **state)
{
    (void)state;
    struct json_index x;
    struct arena arena;
    struct json_edits call, upon;
    uint32_t keys[MESSAGE_KEYS];
    struct openai_choice c = {.tools = NULL};
    struct openai_plan plan = {.reasoning = OPENAI_REASONING_CONTENT};
    const struct openai_ed ed = {&plan, &x, &upon};
    json_index_init(&x, 100, 8);
    arena_init(&arena, 1 << 20);
    struct span text = SPAN("{\"reasoning\":\"call 0501234567\"}");
    assert_int_equal(json_index_parse_borrow(&x, text), ERR_OK);
    json_edits_init(&call, &x, &arena);
    json_edits_replace_borrow(&call, (uint32_t)text.len - 12, 10, SPAN("*"));
    json_edits_init_upon(&upon, &call, &x, &arena);
    openai_keys(&upon, 0, openai_message_names, MESSAGE_KEYS, keys);
    openai_edit_message(&ed, 0, keys, &c);
    size_t len = (size_t)json_edits_total(&upon);
    uint8_t *edited = arena_alloc(&arena, len);
    assert_non_null(edited);
    json_edits_copy(&upon, edited);
    assert_true(span_is(span_make(edited, len), "{\"reasoning_content\":\"call *\"}"));
    arena_fini(&arena);
    json_index_fini(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_edited_for_clients_and_otherwise_left_alone),
        cmocka_unit_test(a_reply_says_who_it_is_what_and_of_when),
        cmocka_unit_test(usage_is_read_in_all_its_forms),
        cmocka_unit_test(a_reply_of_another_form_is_the_model_servers_fault),
        cmocka_unit_test(vectors_come_in_the_form_and_order_that_was_asked_for),
        cmocka_unit_test(without_memory_there_is_no_reply),
        cmocka_unit_test(what_was_taken_out_of_the_reasoning_stays_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
