/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_stream.c — chunks become what clients accept, one after another. */
#include <stdio.h>

#include "stream_rows.h"

#define SAID_AS(member) "'choices':[{'index':0," member "}]}\n"

#define X        "'choices':[{'index':0,'delta':{'content':'x'},'finish_reason':null}]"
#define ID_CHUNK ID("chatcmpl", "chat.completion.chunk")
#define LONG_ID  "0123456789012345678901234567890123456789012345678901234567890123456789"

static const struct stream_row rows[] = {
    {"an answer", COMPLETE,
     HEAD DELTA("'role':'assistant','content':''") HEAD DELTA("'content':'Hel'")
         HEAD DELTA("'content':'lo'") HEAD STOP DONE,
     SENT DELTA("'role':'assistant','content':''") SENT DELTA("'content':'Hel'")
         SENT DELTA("'content':'lo'") SENT STOP DONE,
     10, 0, 0},
    {"an answer that repeats itself", COMPLETE,
     HEAD DELTA("'content':'a'") HEAD DELTA("'content':'b'") HEAD DELTA("'content':'ccc'")
         HEAD DELTA("'content':''") HEAD DELTA("'content':'سلام'") HEAD DELTA("'content':'d\\n'")
             HEAD DELTA("'content':'e'") HEAD DELTA("'content':'f','x':'g'")
                 HEAD DELTA("'content':'h','x':'g'") HEAD DELTA("'content':null")
                     HEAD DELTA("'content':'i'") HEAD DELTA("'content':'j'") HEAD STOP,
     SENT DELTA("'content':'a'") SENT DELTA("'content':'b'") SENT DELTA("'content':'ccc'")
         SENT DELTA("'content':''") SENT DELTA("'content':'سلام'") SENT DELTA("'content':'d\\n'")
             SENT DELTA("'content':'e'") SENT DELTA("'content':'f','x':'g'")
                 SENT DELTA("'content':'h','x':'g'") SENT DELTA("'content':null")
                     SENT DELTA("'content':'i'") SENT DELTA("'content':'j'") SENT STOP,
     55, 0, 0},
    {"a role is said once", COMPLETE,
     HEAD DELTA("'role':'assistant','content':'a'") HEAD DELTA("'role':'assistant','content':'b'")
         HEAD DELTA("'content':'c','role':null") HEAD STOP,
     SENT DELTA("'role':'assistant','content':'a'") SENT DELTA("'content':'b'")
         SENT DELTA("'content':'c'") SENT STOP,
     6, 0, 0},
    {"whoever speaks is the assistant", 0,
     HEAD DELTA("'role':'','content':'a'") HEAD
     "'choices':[{'index':1,'delta':{'role':'user'}},{'index':2,'delta':{'role':null}}]}\n",
     SENT DELTA("'role':'assistant','content':'a'") SENT
     "'choices':[{'index':1,'delta':{'role':'assistant'}},{'index':2,'delta':{'role':'assistant'}}]"
     "}\n",
     2, 0, 0},
    {"all in one chunk", COMPLETE,
     HEAD "'choices':[{'index':0,'delta':{'role':'assistant','content':'x'},"
          "'finish_reason':'length'}]}\n" DONE,
     SENT "'choices':[{'index':0,'delta':{'role':'assistant','content':'x'},"
          "'finish_reason':'length'}]}\n" DONE,
     2, 0, 0},
    {"unknown members stay", COMPLETE,
     HEAD "'x':[1 , 2.0],'obfuscation':'ab','choices':[{'y':{},'index':0,'delta':{'z':1},"
          "'finish_reason':'abort'}]}\n",
     SENT "'x':[1 , 2.0],'obfuscation':'ab','choices':[{'y':{},'index':0,'delta':{'z':1},"
          "'finish_reason':'stop'}]}\n",
     0, 0, 0},
    {"an id that is no text is none", COMPLETE,
     "{'id':[\r],'created':7,'model':'shown','choices':[{'index':0,'delta':{'content':'x'}}]}"
     "\n" DONE,
     "{'id':'chatcmpl-01ABC','created':7,'model':'shown','choices':[{'index':0,'delta':{"
     "'content':'x'}}],'object':'chat.completion.chunk'}\n"
     "{'id':'chatcmpl-01ABC','object':'chat.completion.chunk','created':7,'model':'shown',"
     "'choices':[{'index':0,'delta':{},'logprobs':null,'finish_reason':'stop'}]}\n" DONE,
     2, 0, 0},
    {"an empty reason is none", 0,
     HEAD "'choices':[{'index':0,'delta':{'content':'x'},'finish_reason':''}]}\n",
     SENT "'choices':[{'index':0,'delta':{'content':'x'},'finish_reason':null}]}\n", 2, 0, 0},
    {"reasoning has the server's name for it", 0, HEAD DELTA("'reasoning':'hm'"),
     SENT DELTA("'reasoning':'hm'"), 4, 0, 0},
    {"or the one that was asked for", OLDER,
     HEAD DELTA("'reasoning':'hm','reasoning_content':null"),
     SENT DELTA("'reasoning_content':'hm'"), 4, 0, 0},
    {"or the other", NEWER, HEAD DELTA("'content':null,'reasoning_content':'hm'"),
     SENT DELTA("'content':null,'reasoning':'hm'"), 4, 0, 0},
    {"and is said once", 0, HEAD DELTA("'reasoning':'hm','reasoning_content':'hm'"),
     SENT DELTA("'reasoning_content':'hm'"), 4, 0, 0},
    {"under that name", NEWER, HEAD DELTA("'reasoning':'hm','reasoning_content':'hm'"),
     SENT DELTA("'reasoning':'hm'"), 4, 0, 0},
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
          "'function':{'name':'f','arguments':'{}'},'index':0,'type':'function'}]},"
          "'finish_reason':'tool_calls'},"
          "{'index':1,'delta':{'role':'assistant','content':'z'}}]}\n" SENT
          "'choices':[{'index':1,'delta':{},'logprobs':null,'finish_reason':'stop'}]}\n" SENT
          "" USAGE DONE,
     18, 9, 2},
    {"and one that says null in the delta's place", COMPLETE,
     HEAD SAID_AS("'message':{'content':'x'},'finish_reason':'stop','delta':null") DONE,
     SENT SAID_AS("'delta':{'content':'x'},'finish_reason':'stop'") DONE, 2, 0, 0},
    {"a delta that is all text is what was said, however often it comes", 0,
     HEAD SAID_AS("'delta':'ab'") HEAD SAID_AS("'delta':'ab'") HEAD SAID_AS("'delta':'abc'")
         HEAD SAID_AS("'delta':'abcd'") HEAD SAID_AS("'delta':'abcde'"),
     SENT SAID_AS("'delta':{'content':'ab'}") SENT SAID_AS("'delta':{'content':'ab'}")
         SENT SAID_AS("'delta':{'content':'abc'}") SENT SAID_AS("'delta':{'content':'abcd'}")
             SENT SAID_AS("'delta':{'content':'abcde'}"),
     32, 0, 0},
    {"and a text beside it", 0,
     HEAD SAID_AS("'text':'ab'") HEAD SAID_AS("'text':'ab'") HEAD SAID_AS("'text':'abc'"),
     SENT SAID_AS("'text':'ab','delta':{'content':'ab'}")
         SENT SAID_AS("'text':'ab','delta':{'content':'ab'}")
             SENT SAID_AS("'text':'abc','delta':{'content':'abc'}"),
     14, 0, 0},
    {"text completions", TEXT | COMPLETE,
     "{'model':'m','choices':[{'index':0,'text':'ab'}]}\n"
     "{'model':'m','choices':[{'index':0,'text':'','finish_reason':'eos_token'}]}\n" DONE,
     "{'model':'shown','choices':[{'index':0,'text':'ab'}]}\n"
     "{'model':'shown','choices':[{'index':0,'text':'','finish_reason':'stop'}]}\n" DONE,
     4, 0, 0},

    {"chunks say who they are, what and of when", MADE,
     "{'model':'m'," X "}\n{'model':'m'," X "}\n{'model':'m'," X "}\n"
     "{'id':7,'object':null,'created':1.5,'model':'shown'," X "}\n",
     "{'model':'shown'," X ID_CHUNK "}\n{'model':'shown'," X ID_CHUNK
     "}\n{'model':'shown'," X ID_CHUNK "}\n{'id':'chatcmpl-01ABC',"
     "'object':'chat.completion.chunk','created':99,'model':'shown'," X "}\n",
     8, 0, 0},
    {"those of completions too", MADE | TEXT,
     "{'model':'shown','choices':[{'index':0,'text':'ab'}]}\n",
     "{'model':'shown','choices':[{'index':0,'text':'ab'}]" ID("cmpl", "text_completion") "}\n", 4,
     0, 0},
    {"as those before said it", MADE, HEAD X "}\n{'model':'shown'," X "}\n",
     SENT X "}\n{'model':'shown'," X ",'id':'c1','object':'chat.completion.chunk','created':7}\n",
     4, 0, 0},
    {"and as the first was told, though the server says it later", MADE,
     "{'id':'','object':'','created':0,'model':'','choices':[],'prompt_filter_results':[]}\n" HEAD X
     "}\n",
     "{'id':'chatcmpl-01ABC','object':'chat.completion.chunk','created':99,'model':'shown',"
     "'choices':[],'prompt_filter_results':[]}\n{'id':'chatcmpl-01ABC','object':"
     "'chat.completion.chunk','created':99,'model':'shown'," X "}\n",
     2, 0, 0},
    {"the same in all, though the server says it otherwise", MADE,
     HEAD X "}\n{'id':'c2','object':'chat.completion','created':8,'model':'m'," X "}\n",
     SENT X "}\n" SENT X "}\n", 4, 0, 0},
    {"an id that is too long to be said again passes", MADE,
     "{'id':'" LONG_ID "','object':'chat.completion.chunk','created':7,'model':'shown'," X "}\n",
     "{'id':'" LONG_ID "','object':'chat.completion.chunk','created':7,'model':'shown'," X "}\n", 2,
     0, 0},

    {"halves of a character are put together", 0,
     HEAD DELTA("'content':'a\\ud83d'") HEAD DELTA("'content':'\\ude00b'"),
     SENT DELTA("'content':'a'") SENT DELTA("'content':'\\ud83d\\ude00b'"), 52, 0, 0},
    {"whatever comes between, and again and again", 0,
     HEAD DELTA("'content':'\\ud83d'") HEAD DELTA("'content':''")
         HEAD DELTA("'content':'\\uDE00\\uD83D'") HEAD DELTA("'content':'\\ude00'"),
     SENT DELTA("'content':''") SENT DELTA("'content':''") SENT DELTA("'content':'\\ud83d\\uDE00'")
         SENT DELTA("'content':'\\ud83d\\ude00'"),
     96, 0, 0},
    {"a half that stays alone is a sign for it", 0,
     HEAD DELTA("'content':'a\\ud83d'") HEAD DELTA("'content':'b'")
         HEAD DELTA("'content':'\\ude00'") HEAD DELTA("'content':'c'"),
     SENT DELTA("'content':'a'") SENT DELTA("'content':'\\ufffdb'")
         SENT DELTA("'content':'\\ufffd'") SENT DELTA("'content':'c'"),
     54, 0, 0},
    {"what only looks like one is none", 0,
     HEAD DELTA("'content':'\\\\ud83d'") HEAD DELTA("'content':'\\\\ude00'")
         HEAD DELTA("'content':'\\u00e4'"),
     SENT DELTA("'content':'\\\\ud83d'") SENT DELTA("'content':'\\\\ude00'")
         SENT DELTA("'content':'\\u00e4'"),
     48, 0, 0},
    {"nothing is behind the last", COMPLETE,
     HEAD SAID_AS("'delta':{'content':'a\\ud83d'},'finish_reason':'stop'"),
     SENT SAID_AS("'delta':{'content':'a\\ufffd'},'finish_reason':'stop'"), 26, 0, 0},
    {"usage that nobody asked for is ours", COMPLETE, HEAD STOP HEAD USAGE DONE, SENT STOP DONE, 0,
     9, 2},
    {"usage that was asked for is the caller's", WANTED | COMPLETE, HEAD STOP HEAD USAGE DONE,
     SENT STOP SENT USAGE DONE, 0, 9, 2},
    {"a null usage stays", 0, HEAD "'usage':null," DELTA("'content':'x'"),
     SENT "'usage':null," DELTA("'content':'x'"), 2, 0, 0},
    {"usage in a chunk with choices goes", COMPLETE, HEAD "'usage':" NUMBERS "," STOP DONE,
     SENT STOP DONE, 0, 9, 2},
    {"or waits for the end", WANTED | COMPLETE, HEAD "'usage':" NUMBERS "," STOP DONE,
     SENT STOP SENT USAGE DONE, 0, 9, 2},
    {"usage before the end waits for it", WANTED | COMPLETE,
     HEAD DELTA("'content':'x'") HEAD USAGE HEAD STOP DONE,
     SENT DELTA("'content':'x'") SENT STOP SENT USAGE DONE, 2, 9, 2},
    {"its counts are numbers", WANTED | COMPLETE,
     HEAD STOP HEAD "'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':null,"
                    "'total_tokens':11}}\n" DONE,
     SENT STOP SENT USAGE DONE, 0, 9, 0},
    {"in a chunk of ours too", WANTED | COMPLETE,
     HEAD "'usage':{'prompt_tokens':9,'completion_tokens':2.0,'total_tokens':-1}," STOP DONE,
     SENT STOP SENT USAGE DONE, 0, 9, 2},
    {"usage is sent once", WANTED | COMPLETE, HEAD STOP HEAD USAGE HEAD USAGE DONE,
     SENT STOP SENT USAGE DONE, 0, 9, 2},
    {"usage on every chunk for who asked", WANTED | CONTINUOUS | COMPLETE,
     HEAD "'usage':" NUMBERS "," DELTA("'content':'x'") HEAD STOP HEAD USAGE DONE,
     SENT "'usage':" NUMBERS "," DELTA("'content':'x'") SENT STOP SENT USAGE DONE, 2, 9, 2},
    {"usage of zeros says nothing", WANTED | COMPLETE,
     HEAD "'usage':" NUMBERS "," DELTA("'content':'x'") HEAD
     "'usage':{'prompt_tokens':0,'completion_tokens':0}," STOP DONE,
     SENT DELTA("'content':'x'") SENT STOP SENT USAGE DONE, 2, 9, 2},
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
    {"usage has all members that the server wrote", WANTED | COMPLETE,
     HEAD
     "'usage':{'prompt_tokens':9,'completion_tokens':2,'total_tokens':316,'x':{'y':[1.50]}}," STOP
         DONE,
     SENT STOP SENT "'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':2,"
                    "'total_tokens':316,'x':{'y':[1.50]}}}\n" DONE,
     0, 9, 2},
    {"usage that came before the last text is nobody's", WANTED | COMPLETE,
     HEAD USAGE HEAD DELTA("'content':'x'") HEAD STOP DONE,
     SENT DELTA("'content':'x'") SENT STOP DONE, 2, 9, 2},
    {"a smaller one does not replace a larger", WANTED | COMPLETE,
     HEAD DELTA("'content':'x'") HEAD USAGE HEAD
     "'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':1}}\n" HEAD STOP DONE,
     SENT DELTA("'content':'x'") SENT STOP SENT USAGE DONE, 2, 9, 2},
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
     SENT STOP "{'model':'shown','usage':" NUMBERS
               ",'id':'c1','object':'chat.completion.chunk','created':7,'choices':[]}\n" DONE,
     0, 9, 2},
    {"also where they were null", 0, "{'choices':null,'model':'m','x':1}\n",
     "{'model':'shown','x':1,'choices':[]}\n", 0, 0, 0},

    {"several choices end one by one", 0,
     HEAD DELTA("'content':'a'") HEAD
     "'choices':[{'index':1,'delta':{'content':'b'}}]}\n" HEAD STOP,
     SENT DELTA("'content':'a'") SENT
     "'choices':[{'index':1,'delta':{'content':'b'}}]}\n" SENT STOP,
     4, 0, 0},
    {"and the answer with the last", COMPLETE,
     HEAD DELTA("'content':'a'") HEAD STOP HEAD
     "'choices':[{'index':1,'delta':{},'finish_reason':'stop'}]}\n",
     SENT DELTA("'content':'a'") SENT STOP SENT
     "'choices':[{'index':1,'delta':{},'finish_reason':'stop'}]}\n",
     2, 0, 0},
    {"a chunk after the reason opens nothing", COMPLETE, HEAD STOP HEAD DELTA(""),
     SENT STOP SENT DELTA(""), 0, 0, 0},
    {"a declared end is a reason", COMPLETE,
     HEAD DELTA("'content':'a'") HEAD "'choices':[{'index':2,'delta':{}}]}\n" DONE,
     SENT DELTA("'content':'a'") SENT
     "'choices':[{'delta':{},'index':1}]}\n" SENT
     "'choices':[{'index':0,'delta':{},'logprobs':null,'finish_reason':'stop'},{'index':1,'delta':{"
     "},'logprobs':null,'finish_reason':'stop'}]}\n" DONE,
     2, 0, 0},
    {"for text too, and a server that says little", TEXT | COMPLETE,
     "{'choices':[{'text':'ab','index':0}]}\n" DONE,
     "{'choices':[{'text':'ab','index':0}],'model':'shown'}\n"
     "{'id':'cmpl-01ABC','object':'text_completion','created':99,'model':'shown','choices':"
     "[{'index':0,'text':'','logprobs':null,'finish_reason':'stop'}]}\n" DONE,
     4, 0, 0},
    {"the last choice that may be asked for is watched", 0,
     HEAD "'choices':[{'index':127,'delta':{'role':'assistant'}}]}\n" HEAD
          "'choices':[{'index':127,'delta':{'role':'assistant'}}]}\n",
     SENT "'choices':[{'delta':{'role':'assistant'},'index':0}]}\n" SENT
          "'choices':[{'delta':{},'index':0}]}\n",
     0, 0, 0},
    {"and ended", COMPLETE, HEAD "'choices':[{'index':127,'delta':{'content':'a'}}]}\n" DONE,
     SENT "'choices':[{'delta':{'content':'a'},'index':0}]}\n" SENT
          "'choices':[{'index':0,'delta':{},'logprobs':null,'finish_reason':'stop'}]}\n" DONE,
     2, 0, 0},
    {"whatever a server calls its choices, they are numbered as they begin", 0,
     HEAD "'choices':[{'index':128,'delta':{'role':'assistant'}},{'index':-1,'delta':{}}]}\n" HEAD
          "'choices':[{'index':128,'delta':{'role':'assistant','tool_calls':[{}]},"
          "'finish_reason':'stop'}]}\n",
     SENT "'choices':[{'delta':{'role':'assistant'},'index':0},{'delta':{'role':'assistant'},'"
          "index':1}]}\n" SENT
          "'choices':[{'delta':{'tool_calls':[{'index':0,'id':'call_01ABC_0','type':'function','"
          "function':{'name':'','arguments':'{}'}}]},'finish_reason':'tool_calls','index':0}]}\n",
     0, 0, 0},
    {"a prompt's choices keep their numbers", TEXT,
     "{'model':'m','choices':[{'index':2,'text':'a'}]}\n"
     "{'model':'m','choices':[{'index':-2,'text':null}]}\n",
     "{'model':'shown','choices':[{'index':2,'text':'a'}]}\n"
     "{'model':'shown','choices':[{'text':'','index':0}]}\n",
     2, 0, 0},
    {"a choice's first delta has the role, and no other", ROLES | TWO,
     HEAD DELTA("'content':'a'") HEAD
     "'choices':[{'index':1,'delta':{},'finish_reason':null}]}\n" HEAD DELTA(
         "'role':'assistant','content':'b'"),
     SENT DELTA("'content':'a','role':'assistant'") SENT
     "'choices':[{'index':1,'delta':{'role':'assistant'},'finish_reason':null}]}\n" SENT DELTA(
         "'content':'b'"),
     4, 0, 0},
    {"what is no delta is one", 0,
     HEAD "'choices':[{'index':0,'delta':'a'}]}\n" HEAD
          "'choices':[{'index':0,'delta':[1]}]}\n" HEAD "'choices':[{'index':0,'text':'b'}]}\n",
     SENT "'choices':[{'index':0,'delta':{'content':'a'}}]}\n" SENT
          "'choices':[{'index':0,'delta':{}}]}\n" SENT
          "'choices':[{'index':0,'text':'b','delta':{'content':'b'}}]}\n",
     4, 0, 0},
    {"of members that are said twice the last counts", 0,
     HEAD "'choices':1,'choices':[{'index':0,'delta':{'content':'a','content':'b'},"
          "'finish_reason':'stop','finish_reason':null}],'model':'secret'}\n",
     "{'id':'c1','object':'chat.completion.chunk','created':7,'choices':[{'index':0,'delta':{"
     "'content':'b'},'finish_reason':null}],'model':'shown'}\n",
     4, 0, 0},
    {"an error that says nothing is none, nor is a usage that is no object", 0,
     HEAD "'error':'','choices':[{'index':0,'delta':{'content':'a'},'finish_reason':null}]}\n" HEAD
          "'choices':[],'usage':'x'}\n",
     SENT DELTA("'content':'a'") SENT "'choices':[]}\n", 2, 0, 0},

    {"whatever a server calls its reasons", 0,
     HEAD "'choices':[{'index':0,'finish_reason':'MAX_TOKENS','delta':{}},{'index':1,"
          "'finish_reason':'end_turn','delta':{}},{'index':2,'finish_reason':'SAFETY','delta':{}},"
          "{'index':3,'finish_reason':'tool_use','delta':{}},{'index':4,'finish_reason':'tired',"
          "'delta':{}},{'index':5,'finish_reason':'None','delta':{}},{'index':6,'finish_reason':"
          "false,'delta':{}},{'index':7,'finish_reason':{'type':'eos'},'delta':{}}]}\n",
     SENT "'choices':[{'index':0,'finish_reason':'length','delta':{}},{'index':1,"
          "'finish_reason':'stop','delta':{}},{'index':2,'finish_reason':'content_filter','delta':"
          "{}},{'index':3,'finish_reason':'tool_calls','delta':{}},{'index':4,'finish_reason':"
          "'stop','delta':{}},{'index':5,'finish_reason':null,'delta':{}},{'index':6,"
          "'finish_reason':null,'delta':{}},{'index':7,'finish_reason':'stop','delta':{}}]}\n",
     0, 0, 0},
    {"a failure that is told in a choice", 0,
     HEAD
     "'choices':[{'index':0,'delta':{},'finish_reason':'error'}]}\n" HEAD
     "'choices':[{'index':0,'delta':{},'finish_reason':'insufficient_system_resource'}]}\n" HEAD
     "'choices':[{'index':0,'delta':{},'error':{'message':'no'},'finish_reason':'stop'}]}\n",
     "(error)\n(error)\n(error)\n", 0, 0, 0},

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

static void a_stream_becomes_what_clients_accept(void **state)
{
    (void)state;
    play_all(rows, ROWS(rows));
}

static void an_event_that_repeats_the_one_before_is_known_by_it(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        bool repeats;
    } events[] = {
        {"{'choices':[{'index':0,'delta':{'content':'a'}}]}", false}, /* it begins the choice */
        {"{'choices':[{'index':0,'delta':{'content':'b'}}]}", false},
        {"{'choices':[{'index':0,'delta':{'content':'ccc'}}]}", true},
        {"{'choices':[{'index':0,'delta':{'content':'\xd8\xb3'}}]}", true},
        {"{'choices':[{'index':0,'delta':{'content':'\xd8'}}]}", false},
        {"{'choices':[{'index':0,'delta':{'content':'a','role':'x'}}]}", false},
        {"{'choices':[{'index':0,'delta':{'content':'d'}}]}", false},
        {"{'choices':[{'index':0,'delta':{'content':'e'}}]}", true},
        {"{'choices':[{'index':0,'delta':{'content':'e'}}]} ", false},
        {"{'choices':[{'index':0,'delta':{'content':'e'}}],'usage':{'prompt_tokens':1}}", false},
        {"{'choices':[{'index':0,'delta':{'content':'e'}}]}", false},
        {"{'choices':[{'index':1,'delta':{'content':'e'}}]}", false},
        {"{'choices':[{'index':1,'delta':{'content':'e'}}]}", false},
    };
    struct openai_plan plan = plan_of(0);
    struct openai_stream s;
    struct json_index x;
    openai_stream_init(&s, &plan);
    json_index_init(&x, 100, 8);
    for (size_t i = 0; i < ROWS(events); i++) {
        struct arena arena;
        struct json_edits edits;
        enum openai_verdict verdict;
        struct iovec same[3];
        arena_init(&arena, 1 << 20);
        struct span data = span_of((const char *)quoted(&arena, events[i].data).at);
        bool repeats = openai_stream_repeats(&s, data, same);
        if (repeats != events[i].repeats) {
            fail_msg("event %zu repeats: %d", i, repeats);
        }
        enum err e = repeats ? ERR_OK : openai_stream_event(&s, data, &x, &arena, &edits, &verdict);
        assert_true(e == ERR_OK || e == ERR_UPSTREAM_STREAM); /* one is torn */
        arena_fini(&arena);
    }
    openai_stream_fini(&s);
    json_index_fini(&x);
}

/* Such a delta is made anew around its text, which has any length. */
static void a_long_delta_that_is_all_text_is_never_known_by_the_one_before(void **state)
{
    (void)state;
    enum { LONG = 4000 };
    struct openai_plan plan = plan_of(0);
    struct openai_stream s;
    struct json_index x;
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_put(&b, SPAN("{\"choices\":[{\"index\":0,\"delta\":\""));
    for (int i = 0; i < LONG; i++) {
        buf_put_byte(&b, 'a');
    }
    buf_put(&b, SPAN("\"}]}"));
    openai_stream_init(&s, &plan);
    json_index_init(&x, 100, 8);
    for (uint64_t round = 1; round < 5; round++) {
        struct arena arena;
        struct json_edits edits;
        enum openai_verdict verdict;
        struct iovec same[3];
        arena_init(&arena, 1 << 20);
        assert_false(openai_stream_repeats(&s, buf_span(&b), same));
        assert_int_equal(openai_stream_event(&s, buf_span(&b), &x, &arena, &edits, &verdict),
                         ERR_OK);
        assert_int_equal(s.answer.written, round * LONG * 2);
        arena_fini(&arena);
    }
    openai_stream_fini(&s);
    json_index_fini(&x);
    buf_fini(&b);
}

/* Servers begin with empty texts; the answer has begun with the first that is not. */
static void a_text_that_repeats_empty_ones_is_content(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool repeats, has_content;
    } events[] = {{"", false, false}, {"", false, false}, {"", true, false}, {"a", true, true}};
    struct openai_plan plan = plan_of(0);
    struct openai_stream s;
    struct json_index x;
    openai_stream_init(&s, &plan);
    json_index_init(&x, 100, 8);
    for (size_t i = 0; i < ROWS(events); i++) {
        char data[100];
        struct arena arena;
        struct json_edits edits;
        enum openai_verdict verdict;
        struct iovec same[3];
        arena_init(&arena, 1 << 20);
        (void)snprintf(data, sizeof(data),
                       "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}",
                       events[i].text);
        bool repeats = openai_stream_repeats(&s, span_of(data), same);
        assert_int_equal(repeats, events[i].repeats);
        if (!repeats) {
            assert_int_equal(openai_stream_event(&s, span_of(data), &x, &arena, &edits, &verdict),
                             ERR_OK);
        }
        assert_int_equal(s.has_content, events[i].has_content);
        arena_fini(&arena);
    }
    openai_stream_fini(&s);
    json_index_fini(&x);
}

static void an_open_stream_costs_little(void **state)
{
    (void)state;
    assert_true(sizeof(struct openai_stream) <= 264);
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
            e = openai_stream_finish(&s, &small, &end);
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
        cmocka_unit_test(an_event_that_repeats_the_one_before_is_known_by_it),
        cmocka_unit_test(a_long_delta_that_is_all_text_is_never_known_by_the_one_before),
        cmocka_unit_test(a_text_that_repeats_empty_ones_is_content),
        cmocka_unit_test(an_open_stream_costs_little),
        cmocka_unit_test(without_memory_nothing_half_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
