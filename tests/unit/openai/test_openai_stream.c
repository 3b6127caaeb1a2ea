/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_openai_stream.c — chunks become what clients accept, one after another.
 *
 * A row is a stream: an event's data a line, and what became of it. A dropped event leaves no line,
 * an error leaves its name, an error event "(error)". [DONE] leaves the events that end a stream.
 */
#include "unit.h"

#include "base/buf.h"
#include "openai/openai_reply.h"
#include "quotes.h"

#define HEAD     "{'id':'c1','object':'chat.completion.chunk','created':7,'model':'m',"
#define SENT     "{'id':'c1','object':'chat.completion.chunk','created':7,'model':'shown',"
#define DELTA(d) "'choices':[{'index':0,'delta':{" d "},'finish_reason':null}]}\n"
#define STOP     "'choices':[{'index':0,'delta':{},'finish_reason':'stop'}]}\n"
#define NUMBERS  "{'prompt_tokens':9,'completion_tokens':2,'total_tokens':11}"
#define USAGE    "'choices':[],'usage':" NUMBERS "}\n"
#define TOOL(t)  DELTA("'tool_calls':[" t "]")
#define CHOICE(i, t) \
    "'choices':[{'index':" i ",'delta':{'tool_calls':[" t "]},'finish_reason':null}]}\n"
#define DONE       "[DONE]\n"
#define CALL(text) "call_01ABC_" text

#define WANTED     (1u << 0) /* the usage chunk is the caller's */
#define CONTINUOUS (1u << 1)
#define TEXT       (1u << 2) /* completions */
#define COMPLETE   (1u << 3) /* the answer may end here */
#define TWO        (1u << 4) /* choices were asked for */

static const struct row {
    const char *why;
    unsigned flags;
    const char *in, *out;
    uint64_t text_bytes;
    int64_t input_tokens, output_tokens;
} rows[] = {
    {"an answer", COMPLETE,
     HEAD DELTA("'role':'assistant','content':''") HEAD DELTA("'content':'Hel'")
         HEAD DELTA("'content':'lo'") HEAD STOP DONE,
     SENT DELTA("'role':'assistant','content':''") SENT DELTA("'content':'Hel'")
         SENT DELTA("'content':'lo'") SENT STOP DONE,
     5, 0, 0},
    {"a role is said once", COMPLETE,
     HEAD DELTA("'role':'assistant','content':'a'") HEAD DELTA("'role':'assistant','content':'b'")
         HEAD DELTA("'content':'c','role':null") HEAD STOP,
     SENT DELTA("'role':'assistant','content':'a'") SENT DELTA("'content':'b'")
         SENT DELTA("'content':'c'") SENT STOP,
     3, 0, 0},
    {"whoever speaks is the assistant", 0,
     HEAD DELTA("'role':'','content':'a'") HEAD
     "'choices':[{'index':1,'delta':{'role':'user'}},{'index':2,'delta':{'role':null}}]}\n",
     SENT DELTA("'role':'assistant','content':'a'") SENT
     "'choices':[{'index':1,'delta':{'role':'assistant'}},{'index':2,'delta':{'role':null}}]}\n",
     1, 0, 0},
    {"all in one chunk", COMPLETE,
     HEAD "'choices':[{'index':0,'delta':{'role':'assistant','content':'x'},"
          "'finish_reason':'length'}]}\n" DONE,
     SENT "'choices':[{'index':0,'delta':{'role':'assistant','content':'x'},"
          "'finish_reason':'length'}]}\n" DONE,
     1, 0, 0},
    {"unknown members stay", COMPLETE,
     HEAD "'x':[1 , 2.0],'obfuscation':'ab','choices':[{'y':{},'index':0,'delta':{'z':1},"
          "'finish_reason':'abort'}]}\n",
     SENT "'x':[1 , 2.0],'obfuscation':'ab','choices':[{'y':{},'index':0,'delta':{'z':1},"
          "'finish_reason':'stop'}]}\n",
     0, 0, 0},
    {"an empty reason is none", 0,
     HEAD "'choices':[{'index':0,'delta':{'content':'x'},'finish_reason':''}]}\n",
     SENT "'choices':[{'index':0,'delta':{'content':'x'},'finish_reason':null}]}\n", 1, 0, 0},
    {"reasoning is where clients look for it", 0, HEAD DELTA("'reasoning':'hm'"),
     SENT DELTA("'reasoning':'hm','reasoning_content':'hm'"), 2, 0, 0},
    {"a null error goes", 0, "{'error':null,'model':'m','choices':[{'index':0,'delta':{}}]}\n",
     "{'model':'shown','choices':[{'index':0,'delta':{}}]}\n", 0, 0, 0},
    {"a choice gets its number", 0,
     "{'model':'m','choices':[{'delta':{}},{'delta':{},'index':null}]}\n",
     "{'model':'shown','choices':[{'delta':{},'index':0},{'delta':{},'index':1}]}\n", 0, 0, 0},
    {"there is always a delta", COMPLETE,
     HEAD "'choices':[{'index':0,'delta':null,'finish_reason':'stop'},{'index':1}]}\n" DONE,
     SENT "'choices':[{'index':0,'delta':{},'finish_reason':'stop'},{'index':1,'delta':{}}]}\n" SENT
          "'choices':[{'index':1,'delta':{},'logprobs':null,'finish_reason':'stop'}]}\n" DONE,
     0, 0, 0},
    {"a whole reply is a chunk with all in it", WANTED | COMPLETE,
     "{'id':'c1','object':'chat.completion','created':7,'model':'m','choices':[{'index':0,"
     "'message':{'role':'assistant','content':'x','reasoning':'y','tool_calls':[{'id':'a',"
     "'function':{'name':'f','arguments':'{}'}}]},'finish_reason':'tool_calls'},"
     "{'index':1,'message':{'role':'assistant','content':'z'}}],'usage':" NUMBERS "}\n" DONE,
     SENT "'choices':[{'index':0,"
          "'delta':{'role':'assistant','content':'x','reasoning':'y','tool_calls':[{'id':'a',"
          "'function':{'name':'f','arguments':'{}'},'index':0}],'reasoning_content':'y'},"
          "'finish_reason':'tool_calls'},"
          "{'index':1,'delta':{'role':'assistant','content':'z'}}]}\n" SENT
          "'choices':[{'index':1,'delta':{},'logprobs':null,'finish_reason':'stop'}]}\n" SENT
          "" USAGE DONE,
     5, 9, 2},
    {"text completions", TEXT | COMPLETE,
     "{'id':'c1','object':'text_completion','model':'m','choices':[{'index':0,'text':'ab'}]}\n"
     "{'id':'c1','object':'text_completion','model':'m','choices':[{'index':0,'text':'',"
     "'finish_reason':'eos_token'}]}\n" DONE,
     "{'id':'c1','object':'text_completion','model':'shown','choices':[{'index':0,'text':'ab'}]}\n"
     "{'id':'c1','object':'text_completion','model':'shown','choices':[{'index':0,'text':'',"
     "'finish_reason':'stop'}]}\n" DONE,
     2, 0, 0},

    {"usage that nobody asked for is ours", COMPLETE, HEAD STOP HEAD USAGE DONE, SENT STOP DONE, 0,
     9, 2},
    {"usage that was asked for is the caller's", WANTED | COMPLETE, HEAD STOP HEAD USAGE DONE,
     SENT STOP SENT USAGE DONE, 0, 9, 2},
    {"a null usage stays", 0, HEAD "'usage':null," DELTA("'content':'x'"),
     SENT "'usage':null," DELTA("'content':'x'"), 1, 0, 0},
    {"usage in a chunk with choices goes", COMPLETE, HEAD "'usage':" NUMBERS "," STOP DONE,
     SENT STOP DONE, 0, 9, 2},
    {"or waits for the end", WANTED | COMPLETE, HEAD "'usage':" NUMBERS "," STOP DONE,
     SENT STOP SENT USAGE DONE, 0, 9, 2},
    {"usage before the end waits for it", WANTED | COMPLETE,
     HEAD DELTA("'content':'x'") HEAD USAGE HEAD STOP DONE,
     SENT DELTA("'content':'x'") SENT STOP SENT USAGE DONE, 1, 9, 2},
    {"usage is sent once", WANTED | COMPLETE, HEAD STOP HEAD USAGE HEAD USAGE DONE,
     SENT STOP SENT USAGE DONE, 0, 9, 2},
    {"usage on every chunk for who asked", WANTED | CONTINUOUS | COMPLETE,
     HEAD "'usage':" NUMBERS "," DELTA("'content':'x'") HEAD STOP HEAD USAGE DONE,
     SENT "'usage':" NUMBERS "," DELTA("'content':'x'") SENT STOP SENT USAGE DONE, 1, 9, 2},
    {"usage of zeros says nothing", WANTED | COMPLETE,
     HEAD "'usage':" NUMBERS "," DELTA("'content':'x'") HEAD
     "'usage':{'prompt_tokens':0,'completion_tokens':0}," STOP DONE,
     SENT DELTA("'content':'x'") SENT STOP SENT USAGE DONE, 1, 9, 2},
    {"usage between two choices waits for the other", WANTED | COMPLETE | TWO,
     HEAD STOP HEAD USAGE HEAD
     "'choices':[{'index':1,'delta':{},'finish_reason':'stop'}]}\n" HEAD
     "'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':2,'total_tokens':11,"
     "'x':1}}\n" DONE,
     SENT STOP SENT
     "'choices':[{'index':1,'delta':{},'finish_reason':'stop'}]}\n" SENT
     "'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':2,'total_tokens':11,"
     "'x':1}}\n" DONE,
     0, 9, 2},
    {"but not for one that never comes", WANTED | COMPLETE | TWO, HEAD STOP HEAD USAGE DONE,
     SENT STOP SENT USAGE DONE, 0, 9, 2},
    {"no usage is invented", WANTED | COMPLETE, HEAD STOP DONE, SENT STOP DONE, 0, 0, 0},
    {"llama.cpp's timings are usage", WANTED | COMPLETE,
     HEAD "'timings':{'cache_n':4,'prompt_n':5,'predicted_n':2}," STOP DONE,
     SENT "'timings':{'cache_n':4,'prompt_n':5,'predicted_n':2}," STOP SENT
          "'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':2,'total_tokens':11,"
          "'prompt_tokens_details':{'cached_tokens':4}}}\n" DONE,
     0, 9, 2},
    {"timings in a chunk of their own", WANTED | COMPLETE,
     HEAD STOP HEAD "'choices':[],'timings':{'prompt_n':9,'predicted_n':2}}\n" DONE,
     SENT STOP SENT USAGE DONE, 0, 9, 2},
    {"filter results come without choices", COMPLETE,
     HEAD "'choices':[],'prompt_filter_results':[]}\n" HEAD STOP DONE,
     SENT "'choices':[],'prompt_filter_results':[]}\n" SENT STOP DONE, 0, 0, 0},
    {"choices are always there", WANTED | COMPLETE,
     HEAD STOP "{'model':'m','usage':" NUMBERS "}\n" DONE,
     SENT STOP "{'model':'shown','usage':" NUMBERS ",'choices':[]}\n" DONE, 0, 9, 2},
    {"also where they were null", 0, "{'choices':null,'model':'m','x':1}\n",
     "{'model':'shown','x':1,'choices':[]}\n", 0, 0, 0},

    {"several choices end one by one", 0,
     HEAD DELTA("'content':'a'") HEAD
     "'choices':[{'index':1,'delta':{'content':'b'}}]}\n" HEAD STOP,
     SENT DELTA("'content':'a'") SENT
     "'choices':[{'index':1,'delta':{'content':'b'}}]}\n" SENT STOP,
     2, 0, 0},
    {"and the answer with the last", COMPLETE,
     HEAD DELTA("'content':'a'") HEAD STOP HEAD
     "'choices':[{'index':1,'delta':{},'finish_reason':'stop'}]}\n",
     SENT DELTA("'content':'a'") SENT STOP SENT
     "'choices':[{'index':1,'delta':{},'finish_reason':'stop'}]}\n",
     1, 0, 0},
    {"a chunk after the reason opens nothing", COMPLETE, HEAD STOP HEAD DELTA(""),
     SENT STOP SENT DELTA(""), 0, 0, 0},
    {"a declared end is a reason", COMPLETE,
     HEAD DELTA("'content':'a'") HEAD "'choices':[{'index':2,'delta':{}}]}\n" DONE,
     SENT DELTA("'content':'a'") SENT "'choices':[{'index':2,'delta':{}}]}\n" SENT
                                      "'choices':[{'index':0,'delta':{},'logprobs':null,"
                                      "'finish_reason':'stop'},{'index':2,'delta':{},"
                                      "'logprobs':null,'finish_reason':'stop'}]}\n" DONE,
     1, 0, 0},
    {"for text too, and a server that says little", TEXT | COMPLETE,
     "{'choices':[{'text':'ab','index':0}]}\n" DONE,
     "{'choices':[{'text':'ab','index':0}],'model':'shown'}\n"
     "{'id':'cmpl-01ABC','object':'text_completion','created':99,'model':'shown','choices':"
     "[{'index':0,'text':'','logprobs':null,'finish_reason':'stop'}]}\n" DONE,
     2, 0, 0},
    {"the last choice that may be asked for is watched", 0,
     HEAD "'choices':[{'index':127,'delta':{'role':'assistant'}}]}\n" HEAD
          "'choices':[{'index':127,'delta':{'role':'assistant'}}]}\n",
     SENT "'choices':[{'index':127,'delta':{'role':'assistant'}}]}\n" SENT
          "'choices':[{'index':127,'delta':{}}]}\n",
     0, 0, 0},
    {"choices beyond those we watch pass", COMPLETE,
     HEAD "'choices':[{'index':128,'delta':{'role':'assistant'}},{'index':-1,'delta':{}}]}\n" HEAD
          "'choices':[{'index':128,'delta':{'role':'assistant','tool_calls':[{}]},"
          "'finish_reason':'stop'}]}\n",
     SENT "'choices':[{'index':128,'delta':{'role':'assistant'}},{'index':-1,'delta':{}}]}\n" SENT
          "'choices':[{'index':128,'delta':{'role':'assistant','tool_calls':[{}]},"
          "'finish_reason':'stop'}]}\n",
     0, 0, 0},

    {"a tool call", COMPLETE,
     HEAD TOOL("{'index':0,'id':'a','type':'function','function':{'name':'f','arguments':''}}")
         HEAD TOOL("{'index':0,'function':{'arguments':'{}'}}") HEAD
     "'choices':[{'index':0,'delta':{},'finish_reason':'tool_calls'}]}\n" DONE,
     SENT TOOL("{'index':0,'id':'a','type':'function','function':{'name':'f','arguments':''}}")
         SENT TOOL("{'index':0,'function':{'arguments':'{}'}}") SENT
     "'choices':[{'index':0,'delta':{},'finish_reason':'tool_calls'}]}\n" DONE,
     2, 0, 0},
    {"ids and names are not repeated", 0,
     HEAD TOOL("{'index':0,'id':'a','function':{'name':'f','arguments':'x'}}")
         HEAD TOOL("{'index':0,'id':'a','function':{'name':'f','arguments':'y'}}")
             HEAD TOOL("{'index':0,'id':null,'function':{'name':null,'arguments':'z'}}"),
     SENT TOOL("{'index':0,'id':'a','function':{'name':'f','arguments':'x'}}")
         SENT TOOL("{'index':0,'function':{'arguments':'y'}}")
             SENT TOOL("{'index':0,'function':{'arguments':'z'}}"),
     3, 0, 0},
    {"an id is made where there is none", 0,
     HEAD TOOL("{'index':1,'function':{'name':'f'}},{'index':2,'id':'','function':{'name':'g'}}"),
     SENT TOOL("{'index':1,'function':{'name':'f'},'id':'" CALL(
         "1") "'},"
              "{'index':2,'function':{'name':'g'},'id':'" CALL("2") "'}"),
     0, 0, 0},
    {"an index is made where there is none", 0,
     HEAD TOOL("{'id':'a','function':{'name':'f'}},{'id':'b','function':{'name':'g'}}")
         HEAD TOOL("{'function':{'arguments':'y'}}")
             HEAD TOOL("{'index':null,'id':'c','function':{'name':'h'}}"),
     SENT TOOL("{'id':'a','function':{'name':'f'},'index':0},"
               "{'id':'b','function':{'name':'g'},'index':1}")
         SENT TOOL("{'function':{'arguments':'y'},'index':1}")
             SENT TOOL("{'id':'c','function':{'name':'h'},'index':2}"),
     1, 0, 0},
    {"an id that is repeated begins nothing", 0,
     HEAD TOOL("{'id':'a','function':{'name':'f'}}")
         HEAD TOOL("{'id':'a','function':{'name':'f','arguments':'x'}}"),
     SENT TOOL("{'id':'a','function':{'name':'f'},'index':0}")
         SENT TOOL("{'function':{'arguments':'x'},'index':0}"),
     1, 0, 0},
    {"a name begins a call where there are no ids", 0,
     HEAD TOOL("{'function':{'name':'f'}}") HEAD TOOL("{'function':{'name':'f'}}"),
     SENT TOOL("{'function':{'name':'f'},'index':0,'id':'" CALL("0") "'}")
         SENT TOOL("{'function':{'name':'f'},'index':1,'id':'" CALL("1") "'}"),
     0, 0, 0},
    {"a function is always there", 0,
     HEAD TOOL("{'index':0,'id':'a'}") HEAD TOOL("{'index':0,'function':null}"),
     SENT TOOL("{'index':0,'id':'a','function':{'name':'','arguments':''}}")
         SENT TOOL("{'index':0,'function':{}}"),
     0, 0, 0},
    {"a name that comes late is sent when it comes", 0,
     HEAD TOOL("{'index':0,'id':'a','function':{'name':null,'arguments':''}}") HEAD TOOL(
         "{'index':0,'function':{'name':'f'}}") HEAD TOOL("{'index':0,'function':{'name':'f'}}"),
     SENT TOOL("{'index':0,'id':'a','function':{'arguments':'','name':''}}")
         SENT TOOL("{'index':0,'function':{'name':'f'}}") SENT TOOL("{'index':0,'function':{}}"),
     0, 0, 0},
    {"a server that says 0 for every call", 0,
     HEAD TOOL("{'index':0,'id':'a','function':{'name':'f','arguments':'1'}}")
         HEAD TOOL("{'index':0,'id':'b','function':{'name':'g','arguments':'2'}},"
                   "{'index':0,'id':'c','function':{'name':'g','arguments':'3'}}")
             HEAD TOOL("{'index':0,'function':{'arguments':'4'}}"),
     SENT TOOL("{'index':0,'id':'a','function':{'name':'f','arguments':'1'}}")
         SENT TOOL("{'id':'b','function':{'name':'g','arguments':'2'},'index':1},"
                   "{'id':'c','function':{'name':'g','arguments':'3'},'index':2}")
             SENT TOOL("{'function':{'arguments':'4'},'index':2}"),
     4, 0, 0},
    {"a new id for each delta begins nothing", 0,
     HEAD TOOL("{'index':0,'id':'a','function':{'name':'f','arguments':''}}")
         HEAD TOOL("{'index':0,'id':'b','function':{'name':null,'arguments':'x'}}")
             HEAD TOOL("{'index':0,'id':'c','function':{'arguments':'y'}}"),
     SENT TOOL("{'index':0,'id':'a','function':{'name':'f','arguments':''}}")
         SENT TOOL("{'index':0,'function':{'arguments':'x'}}")
             SENT TOOL("{'index':0,'function':{'arguments':'y'}}"),
     2, 0, 0},
    {"calls that interleave, each with all that it has", 0,
     HEAD TOOL("{'index':0,'id':'a','function':{'name':'f'}}")
         HEAD TOOL("{'index':1,'id':'b','function':{'name':'g'}}")
             HEAD TOOL("{'index':0,'id':'a','function':{'name':'f'}}"),
     SENT TOOL("{'index':0,'id':'a','function':{'name':'f'}}") SENT TOOL(
         "{'index':1,'id':'b','function':{'name':'g'}}") SENT TOOL("{'index':0,'function':{}}"),
     0, 0, 0},
    {"the calls of every choice are its own", 0,
     HEAD CHOICE("1", "{'function':{'name':'f','arguments':'a'}}")
         HEAD CHOICE("0", "{'id':'x','function':{'name':'f','arguments':'b'}}")
             HEAD CHOICE("1", "{'index':0,'id':'y','function':{'name':'f','arguments':'c'}}")
                 HEAD CHOICE("127", "{'index':0,'function':{'name':null,'arguments':'d'}}")
                     HEAD CHOICE("1", "{'id':'z','function':{'name':'g','arguments':'e'}}")
                         HEAD CHOICE("0", "{'function':{'arguments':'f'}}"),
     SENT CHOICE("1", "{'function':{'name':'f','arguments':'a'},'index':0,'id':'" CALL("1_0") "'}")
         SENT CHOICE("0", "{'id':'x','function':{'name':'f','arguments':'b'},'index':0}")
             SENT CHOICE("1", "{'index':0,'function':{'arguments':'c'}}") SENT CHOICE(
                 "127",
                 "{'index':0,'function':{'arguments':'d','name':''},'id':'" CALL("127_0") "'}")
                 SENT CHOICE("1", "{'id':'z','function':{'name':'g','arguments':'e'},'index':1}")
                     SENT CHOICE("0", "{'function':{'arguments':'f'},'index':0}"),
     6, 0, 0},
    {"an index that is text is no index", 0,
     HEAD TOOL("{'index':'0','id':'a','function':{'name':'f'}}"),
     SENT TOOL("{'id':'a','function':{'name':'f'},'index':0}"), 0, 0, 0},
    {"indexes beyond those we watch pass", 0,
     HEAD TOOL("{'index':128,'id':'a','function':{'name':'f'}}") HEAD TOOL("{'index':-1,'id':'a'}"),
     SENT TOOL("{'index':128,'id':'a','function':{'name':'f'}}") SENT TOOL("{'index':-1,'id':'a'}"),
     0, 0, 0},
    {"what is no tool call passes", 0, HEAD TOOL("7,null") HEAD DELTA("'tool_calls':{}"),
     SENT TOOL("7,null") SENT DELTA("'tool_calls':{}"), 0, 0, 0},

    {"empty data keeps a connection alive", 0, "\n \nx\n", "UPSTREAM_STREAM\n", 0, 0, 0},
    {"an end before any answer is none", 0, DONE, "UPSTREAM_STREAM\n", 0, 0, 0},
    {"an end that is not exact is none", 0, "[DONE\n[done]\n[DONE]x\n",
     "UPSTREAM_STREAM\nUPSTREAM_STREAM\nUPSTREAM_STREAM\n", 0, 0, 0},
    {"half an object", 0, "{'choices':[\n", "UPSTREAM_STREAM\n", 0, 0, 0},
    {"no object", 0, "[]\n3\n", "UPSTREAM_STREAM\nUPSTREAM_STREAM\n", 0, 0, 0},
    {"choices of another form", 0, "{'choices':{}}\n{'choices':'x'}\n{'choices':[1]}\n",
     "UPSTREAM_STREAM\nUPSTREAM_STREAM\nUPSTREAM_STREAM\n", 0, 0, 0},
    {"errors in all servers' forms", 0,
     "{'error':{'message':'no','code':500}}\n{'error':'no','error_type':'overloaded'}\n"
     "{'object':'error','message':'no','code':400}\n"
     "{'error':{'message':'no','http_status_code':422}}\n{'error':{},'choices':[]}\n"
     "{'detail':'no'}\n{'message':'no'}\n",
     "(error)\n(error)\n(error)\n(error)\n(error)\n(error)\n(error)\n", 0, 0, 0},
    {"members of those names beside an answer", 0,
     "{'model':'shown','choices':[],'message':'x'}\n{'model':'shown','choices':[],'detail':'x'}\n"
     "{'model':'shown','choices':[],'message':null}\n",
     "{'model':'shown','choices':[],'message':'x'}\n{'model':'shown','choices':[],'detail':'x'}\n"
     "{'model':'shown','choices':[],'message':null}\n",
     0, 0, 0},
};

static void put_edited(struct buf *out, const struct json_edits *edits)
{
    size_t len = (size_t)json_edits_total(edits);
    uint8_t *to = buf_reserve(out, len);
    assert_non_null(to);
    json_edits_copy(edits, to);
    buf_added(out, len);
    buf_put_byte(out, '\n');
}

/* The data of `events`, a line each. */
static void put_data(struct buf *out, struct span events)
{
    while (events.len > 0) {
        struct span line = span_cut(events, 0, span_find(events, '\n', 0));
        assert_true(span_starts(line, SPAN("data: ")));
        buf_put(out, span_cut(line, 6, line.len));
        buf_put_byte(out, '\n');
        events = span_cut(events, line.len + 2, events.len);
    }
}

static void feed(struct openai_stream *s, struct span data, struct json_index *x, struct buf *out)
{
    struct arena arena;
    struct json_edits edits;
    enum openai_verdict verdict = OPENAI_DROP;
    arena_init(&arena, 1 << 20);
    enum err e = openai_stream_event(s, data, x, &arena, &edits, &verdict);
    if (e != ERR_OK) {
        buf_printf(out, "%s\n", err_name(e));
    } else if (verdict == OPENAI_SEND) {
        put_edited(out, &edits);
    } else if (verdict == OPENAI_ERROR) {
        buf_put_text(out, "(error)\n");
    } else if (verdict == OPENAI_END) {
        struct span events;
        assert_int_equal(openai_stream_finish(s, &arena, 99, &events), ERR_OK);
        put_data(out, events);
    }
    arena_fini(&arena);
}

static struct openai_plan plan_of(unsigned flags)
{
    return (struct openai_plan){.endpoint = (flags & TEXT) != 0 ? OPENAI_COMPLETIONS : OPENAI_CHAT,
                                .quoted_model = SPAN("\"shown\""),
                                .call_id = SPAN("01ABC"),
                                .wants_usage = (flags & WANTED) != 0,
                                .wants_continuous_usage = (flags & CONTINUOUS) != 0,
                                .choices = (flags & TWO) != 0 ? 2 : 1};
}

static void play(const struct row *row)
{
    struct openai_plan plan = plan_of(row->flags);
    struct openai_stream s;
    struct json_index x;
    struct arena arena;
    struct buf out;
    arena_init(&arena, 1 << 20);
    buf_init(&out, 1 << 20);
    json_index_init(&x, 10000, 32);
    openai_stream_init(&s, &plan);
    struct span in = quoted(&arena, row->in);
    while (in.len > 0) {
        struct span line = span_cut(in, 0, span_find(in, '\n', 0));
        feed(&s, line, &x, &out);
        in = span_cut(in, line.len + 1, in.len);
    }
    expect_text(row->why, buf_span(&out), row->out);
    if (s.text_bytes != row->text_bytes || s.usage.input_tokens != row->input_tokens ||
        s.usage.output_tokens != row->output_tokens ||
        openai_stream_is_complete(&s) != ((row->flags & COMPLETE) != 0)) {
        fail_msg("%s: %llu bytes of text, %lld and %lld tokens, complete %d", row->why,
                 (unsigned long long)s.text_bytes, (long long)s.usage.input_tokens,
                 (long long)s.usage.output_tokens, openai_stream_is_complete(&s));
    }
    openai_stream_fini(&s);
    json_index_fini(&x);
    buf_fini(&out);
    arena_fini(&arena);
}

static void a_stream_becomes_what_clients_accept(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        play(&rows[i]);
    }
}

static void an_open_stream_costs_little(void **state)
{
    (void)state;
    assert_true(sizeof(struct openai_stream) <= 256);
}

/* With less and less memory: an error, or the whole. */
static void without_memory_nothing_half_is_sent(void **state)
{
    (void)state;
    struct openai_plan plan = plan_of(WANTED);
    struct json_index x;
    struct arena texts;
    arena_init(&texts, 1 << 20);
    json_index_init(&x, 1000, 32);
    struct span event = quoted(&texts, "{'error':null,'choices':[{'delta':{'reasoning':'x',"
                                       "'tool_calls':[{}]}},{'delta':{'tool_calls':[{}]}}],"
                                       "'usage':" NUMBERS "}");
    bool was_enough = false;
    for (size_t most = 0; !was_enough; most += 16) {
        struct openai_stream s;
        struct arena small;
        struct json_edits edits;
        struct span end;
        enum openai_verdict verdict;
        arena_init(&small, most);
        openai_stream_init(&s, &plan);
        enum err e = openai_stream_event(&s, event, &x, &small, &edits, &verdict);
        if (e == ERR_OK) {
            e = openai_stream_finish(&s, &small, 1, &end);
        }
        was_enough = e == ERR_OK;
        assert_true(was_enough || e == ERR_NO_MEMORY);
        openai_stream_fini(&s);
        arena_fini(&small);
    }
    json_index_fini(&x);
    arena_fini(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_becomes_what_clients_accept),
        cmocka_unit_test(an_open_stream_costs_little),
        cmocka_unit_test(without_memory_nothing_half_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
