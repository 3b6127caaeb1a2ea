/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_stream_tools.c — tool calls come in pieces that clients can put together. */
#include "stream_rows.h"

static const struct stream_row rows[] = {
    {"a tool call", COMPLETE,
     HEAD TOOL("{'index':0,'id':'a','type':'function','function':{'name':'f','arguments':''}}")
         HEAD TOOL("{'index':0,'function':{'arguments':'{}'}}") HEAD
     "'choices':[{'index':0,'delta':{},'finish_reason':'tool_calls'}]}\n" DONE,
     SENT TOOL("{'index':0,'id':'a','type':'function','function':{'name':'f','arguments':''}}")
         SENT TOOL("{'index':0,'function':{'arguments':'{}'}}") SENT
     "'choices':[{'index':0,'delta':{},'finish_reason':'tool_calls'}]}\n" DONE,
     12, 0, 0},
    {"ids and names are not repeated", 0,
     HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':'x'}}")
         HEAD TOOL("{'index':0,'id':'a','function':{'name':'f','arguments':'y'}}")
             HEAD TOOL("{'index':0,'id':null,'type':'','function':{'name':null,'arguments':'z'}}"),
     SENT TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':'x'}}")
         SENT TOOL("{'index':0,'function':{'arguments':'y'}}")
             SENT TOOL("{'index':0,'type':'function','function':{'arguments':'z'}}"),
     8, 0, 0},
    {"calls are numbered from 0, and have ids and types", 0,
     HEAD TOOL("{'index':1,'function':{'name':'f','arguments':''}},{'index':2,'id':'','function':{'"
               "name':'g','arguments':''}}") HEAD TOOL("{'index':2,'function':{'arguments':'y'}}"),
     SENT TOOL("{'function':{'name':'f','arguments':''},'index':0,'id':'" CALL(
         "0") "','type':'function'},"
              "{'function':{'name':'g','arguments':''},'index':1,'id':'" CALL(
                  "1") "','type':'function'}")
         SENT TOOL("{'function':{'arguments':'y'},'index':1}"),
     6, 0, 0},
    {"an index is made where there is none", 0,
     HEAD TOOL("{'id':'a'," F ":{'name':'f','arguments':''}},{'id':'b'," F
               ":{'name':'g','arguments':''}}") HEAD TOOL("{'function':{'arguments':'y'}}")
         HEAD TOOL("{'index':null,'id':'c'," F ":{'name':'h','arguments':''}}"),
     SENT TOOL("{'id':'a'," F ":{'name':'f','arguments':''},'index':0},{'id':'b'," F
               ":{'name':'g','arguments':''},'index':1}")
         SENT TOOL("{'function':{'arguments':'y'},'index':1}")
             SENT TOOL("{'id':'c'," F ":{'name':'h','arguments':''},'index':2}"),
     8, 0, 0},
    {"an id that is repeated begins nothing", 0,
     HEAD TOOL("{'id':'a'," F ":{'name':'f','arguments':''}},{'id':'b'," F
               ":{'name':'g','arguments':''}}")
         HEAD TOOL("{'id':'a','function':{'name':'f','arguments':'x'}}"),
     SENT TOOL("{'id':'a'," F ":{'name':'f','arguments':''},'index':0},{'id':'b'," F
               ":{'name':'g','arguments':''},'index':1}")
         SENT TOOL("{'function':{'arguments':'x'},'index':0}"),
     6, 0, 0},
    {"a name begins a call where there are no ids", 0,
     HEAD TOOL("{" F ":{'name':'f','arguments':''}}")
         HEAD TOOL("{" F ":{'name':'f','arguments':''}}"),
     SENT TOOL("{" F ":{'name':'f','arguments':''},'index':0,'id':'" CALL("0") "'}")
         SENT TOOL("{" F ":{'name':'f','arguments':''},'index':1,'id':'" CALL("1") "'}"),
     4, 0, 0},
    {"a name in pieces is one name", COMPLETE,
     HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'look_up_'}}")
         HEAD TOOL("{'index':0,'function':{'name':'order'}}")
             HEAD TOOL("{'index':0,'function':{'name':'look_up_order','arguments':'x'}}")
                 HEAD TOOL("{'id':'b'," F ":{'name':'a_'}}") HEAD TOOL("{'function':{'name':'b'}}")
                     HEAD STOP DONE,
     SENT DELTA("") SENT DELTA("") SENT TOOL("{'index':0,'function':{'name':'look_up_order','"
                                             "arguments':'x'},'id':'a','type':'function'}")
         SENT DELTA("") SENT DELTA("") SENT
     "'choices':[{'index':0,'delta':{'tool_calls':[{'index':1,'id':'b','type':'function','function'"
     ":{'name':'a_b','arguments':'{}'}}]},'finish_reason':'tool_calls'}]}\n" DONE,
     43, 0, 0},
    {"a function is always there", 0,
     HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':''}}")
         HEAD TOOL("{'index':0,'function':null}"),
     SENT TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':''}}")
         SENT TOOL("{'index':0,'function':{}}"),
     2, 0, 0},
    {"the first piece that a client sees has the name", 0,
     HEAD TOOL("{'index':0,'id':'a','function':{'name':null,'arguments':'{\\'n'}}")
         HEAD TOOL("{'index':0,'id':'b','function':{'arguments':'\\':'}}")
             HEAD TOOL("{'index':0,'function':{'name':'f','arguments':'1}'}}")
                 HEAD TOOL("{'index':0,'function':{'name':'f'}}"),
     SENT DELTA("") SENT DELTA("") SENT TOOL(
         "{'index':0,'function':{'name':'f','arguments':'{\\'n\\':1}'},'id':'a','type':'function'}")
         SENT TOOL("{'index':0,'function':{}}"),
     34, 0, 0},
    {"without an index too, and without arguments beside the name", COMPLETE,
     HEAD TOOL("{'id':'a','function':{'arguments':'{'}}") HEAD TOOL("{'function':{'name':'f'}}")
         HEAD STOP DONE,
     SENT DELTA("") SENT DELTA("") SENT
     "'choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'id':'a','type':'function','function'"
     ":{'name':'f','arguments':'{'}}]},'finish_reason':'tool_calls'}]}\n" DONE,
     7, 0, 0},
    {"what is held goes from between the others", 0,
     HEAD TOOL("{'index':3} , {'index':0,'id':'a'," F
               ":{'name':'f','arguments':''}}, {'index':4},{'index':5} ,"
               "7 , {'index':6}"),
     SENT TOOL("{'index':0,'id':'a','type':'function','function':{'name':'f','arguments':''}}"), 2,
     0, 0},
    {"a call whose name never comes is told when its choice ends", COMPLETE,
     HEAD TOOL("{'index':0,'id':'a','function':{'arguments':'x'}}") HEAD STOP DONE,
     SENT DELTA("") SENT
     "'choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'id':'a','type':'function',"
     "'function':{'name':'','arguments':'x'}}]},'finish_reason':'tool_calls'}]}\n" DONE,
     2, 0, 0},
    {"beside others", COMPLETE,
     HEAD TOOL("{'index':0}") HEAD
     "'choices':[{'index':0,'delta':{'tool_calls':[{'index':1,'id':'b'," F
     ":{'name':'f','arguments':''}}]},'finish_reason':'stop'}]}\n" DONE,
     SENT DELTA("") SENT
     "'choices':[{'index':0,'delta':{'tool_calls':[{'id':'b','type':'function',"
     "'function':{'name':'f','arguments':''},'index':0},{'index':1,'id':'call_01ABC_1','type':"
     "'function','function':{'name':'','arguments':'{}'}},{'index':0,'function'"
     ":{'arguments':'{}'}}]},'finish_reason':'tool_calls'}]}\n" DONE,
     2, 0, 0},
    {"or when all ends", COMPLETE,
     HEAD TOOL("{'index':9,'function':{'arguments':'x'}}") HEAD TOOL("{'index':8,'id':'b'}") DONE,
     SENT DELTA("") SENT DELTA("") SENT
     "'choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'id':'call_01ABC_0','type':'function'"
     ",'function':{'name':'','arguments':'x'}},{'index':1,'id':'b','type':'function','function':{'"
     "name':'','arguments':'{}'}}]},'logprobs':null,'finish_reason':'tool_calls'}]}\n" DONE,
     2, 0, 0},
    {"what has members that we do not know does not wait", 0,
     HEAD TOOL("{'index':0,'id':'a','x':1,'function':{'arguments':'{'}}")
         HEAD TOOL("{'index':0,'function':{'name':'f','arguments':''}}"),
     SENT TOOL(
         "{'index':0,'id':'a','x':1,'function':{'arguments':'{','name':''},'type':'function'}")
         SENT TOOL("{'index':0,'function':{'name':'f','arguments':''}}"),
     7, 0, 0},
    {"arguments are text", 0,
     HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':{'n':'\\\\'}}}"),
     SENT TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':'{\\'n\\':\\'\\\\\\\\\\'}'}}"), 9,
     0, 0},
    {"and are all there is of them, though they came as an object", COMPLETE,
     HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':{'n':1}}}") HEAD STOP DONE,
     SENT TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':'{\\'n\\':1}'}}") SENT
     "'choices':[{'index':0,'delta':{},'finish_reason':'tool_calls'}]}\n" DONE,
     4, 0, 0},
    {"what an end without a delta left is told once, though texts like it follow", COMPLETE,
     HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':''}}") HEAD
     "'choices':[{'index':0,'finish_reason':'tool_calls'}]}\n" HEAD DELTA("'content':''")
         HEAD DELTA("'content':''") HEAD DELTA("'content':''") DONE,
     SENT TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':''}}") SENT
     "'choices':[{'index':0,'finish_reason':'tool_calls','delta':{}}]}\n" SENT DELTA(
         "'content':'','tool_calls':[{'index':0,'function':{'arguments':'{}'}}]")
         SENT DELTA("'content':''") SENT DELTA("'content':''") DONE,
     2, 0, 0},
    {"a server that says 0 for every call", 0,
     HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':'1'}}")
         HEAD TOOL("{'index':0,'id':'b'," F ":{'name':'g','arguments':'2'}},"
                   "{'index':0,'id':'c'," F ":{'name':'g','arguments':'3'}}")
             HEAD TOOL("{'index':0,'function':{'arguments':'4'}}"),
     SENT TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':'1'}}")
         SENT TOOL("{'id':'b'," F ":{'name':'g','arguments':'2'},'index':1},"
                   "{'id':'c'," F ":{'name':'g','arguments':'3'},'index':2}")
             SENT TOOL("{'function':{'arguments':'4'},'index':2}"),
     26, 0, 0},
    {"and has no ids", 0,
     HEAD TOOL("{'index':0," F ":{'name':'f','arguments':'1'}}")
         HEAD TOOL("{'index':0," F ":{'name':'g','arguments':'2'}}"),
     SENT TOOL("{'index':0," F ":{'name':'f','arguments':'1'},'id':'" CALL("0") "'}")
         SENT TOOL("{" F ":{'name':'g','arguments':'2'},'index':1,'id':'" CALL("1") "'}"),
     14, 0, 0},
    {"a new id for each delta begins nothing", 0,
     HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':''}}")
         HEAD TOOL("{'index':0,'id':'b','function':{'name':null,'arguments':'x'}}")
             HEAD TOOL("{'index':0,'id':'c','function':{'arguments':'y'}}"),
     SENT TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':''}}")
         SENT TOOL("{'index':0,'function':{'arguments':'x'}}")
             SENT TOOL("{'index':0,'function':{'arguments':'y'}}"),
     6, 0, 0},
    {"calls that interleave, each with all that it has", 0,
     HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':''}}")
         HEAD TOOL("{'index':1,'id':'b'," F ":{'name':'g','arguments':''}}")
             HEAD TOOL("{'index':0,'id':'a','function':{'name':'f','arguments':''}}"),
     SENT TOOL("{'index':0,'id':'a','type':'function','function':{'name':'f','arguments':''}}")
         SENT TOOL("{'index':1,'id':'b','type':'function','function':{'name':'g','arguments':''}}")
             SENT TOOL("{'index':0,'function':{'arguments':''}}"),
     4, 0, 0},
    {"the calls of every choice are its own", 0,
     HEAD CHOICE("1", "{" F ":{'name':'f','arguments':'a'}}")
         HEAD CHOICE("0", "{'id':'x'," F ":{'name':'f','arguments':'b'}}")
             HEAD CHOICE("1", "{'index':0,'id':'y','function':{'name':'f','arguments':'c'}}")
                 HEAD CHOICE("127", "{'index':5," F ":{'name':'h','arguments':'d'}}")
                     HEAD CHOICE("1", "{'id':'z'," F ":{'name':'g','arguments':'e'}}")
                         HEAD CHOICE("0", "{'function':{'arguments':'f'}}"),
     SENT "'choices':[{'delta':{'tool_calls':[{'type':'function','function':{'name':'f','arguments'"
          ":'a'},'index':0,'id':'call_01ABC_0'}]},'finish_reason':null,'index':0}]}\n" SENT
          "'choices':[{'delta':{'tool_calls':[{'id':'x','type':'function','function':{'name':'f','"
          "arguments':'b'},'index':0}]},'finish_reason':null,'index':1}]}\n" SENT
          "'choices':[{'delta':{'tool_calls':[{'index':0,'function':{'arguments':'c'}}]},'finish_"
          "reason':null,'index':0}]}\n" SENT
          "'choices':[{'delta':{'tool_calls':[{'type':'function','function':{'name':'h','arguments'"
          ":'d'},'index':0,'id':'call_01ABC_2_0'}]},'finish_reason':null,'index':2}]}\n" SENT
          "'choices':[{'delta':{'tool_calls':[{'id':'z','type':'function','function':{'name':'g','"
          "arguments':'e'},'index':1}]},'finish_reason':null,'index':0}]}\n" SENT
          "'choices':[{'delta':{'tool_calls':[{'function':{'arguments':'f'},'index':0}]},'finish_"
          "reason':null,'index':1}]}\n",
     20, 0, 0},
    {"an index that is text is no index", 0,
     HEAD TOOL("{'index':'0','id':'a'," F ":{'name':'f','arguments':''}}"),
     SENT TOOL("{'id':'a'," F ":{'name':'f','arguments':''},'index':0}"), 2, 0, 0},
    {"indexes of any size", 0,
     HEAD TOOL("{'index':128,'id':'a'," F ":{'name':'f','arguments':''}}")
         HEAD TOOL("{'index':-1,'id':'b'," F ":{'name':'g','arguments':''}}"),
     SENT TOOL("{'id':'a'," F ":{'name':'f','arguments':''},'index':0}")
         SENT TOOL("{'id':'b'," F ":{'name':'g','arguments':''},'index':1}"),
     4, 0, 0},
    {"calls of another kind", COMPLETE,
     HEAD TOOL("{'index':1,'id':'a','type':'custom','custom':{'name':'f','input':''}}")
         HEAD TOOL("{'index':1,'custom':{'input':'x'}}") HEAD TOOL("{'index':7,'type':'mcp','x':1}")
             HEAD STOP,
     SENT TOOL("{'id':'a','type':'custom','custom':{'name':'f','input':''},'index':0}")
         SENT TOOL("{'custom':{'input':'x'},'index':0}")
             SENT TOOL("{'type':'mcp','x':1,'index':1,'id':'" CALL("1") "'}") SENT
     "'choices':[{'index':0,'delta':{},'finish_reason':'tool_calls'}]}\n",
     4, 0, 0},
    {"who called tools has not just stopped", COMPLETE,
     HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':''}}") HEAD STOP DONE,
     SENT TOOL("{'index':0,'id':'a','type':'function','function':{'name':'f','arguments':''}}") SENT
     "'choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'function':{'arguments':'{}'}}]},'"
     "finish_reason':'tool_calls'}]}\n" DONE,
     2, 0, 0},
    {"nor when the end is ours to write", COMPLETE,
     HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':''}}") DONE,
     SENT TOOL("{'index':0,'id':'a','type':'function','function':{'name':'f','arguments':''}}") SENT
     "'choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'function':{'arguments':'{}'}}]},'"
     "logprobs':null,'finish_reason':'tool_calls'}]}\n" DONE,
     2, 0, 0},
    {"who calls tools after its end has not just stopped", COMPLETE,
     HEAD STOP HEAD TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':'{}'}}") DONE,
     SENT STOP SENT TOOL("{'index':0,'id':'a'," F ":{'name':'f','arguments':'{}'}}") SENT
     "'choices':[{'index':0,'delta':{},'logprobs':null,'finish_reason':'tool_calls'}]}\n" DONE,
     12, 0, 0},
    {"no calls, and what is none, are left away", 0,
     HEAD TOOL("") HEAD DELTA("'tool_calls':null,'content':'x','function_call':null")
         HEAD TOOL("7,null") HEAD DELTA("'tool_calls':{}"),
     SENT DELTA("") SENT DELTA("'content':'x'") SENT DELTA("") SENT DELTA(""), 2, 0, 0},
};

static void calls_become_what_clients_put_together(void **state)
{
    (void)state;
    play_all(rows, ROWS(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_become_what_clients_put_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
