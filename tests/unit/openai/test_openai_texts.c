/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_texts.c — every text of a request or an answer is visited, once, by its channel. */
#include "unit.h"

#include <stdio.h>

#include "base/buf.h"
#include "openai/openai_texts.h"
#include "quotes.h"
#include "json/json_value.h"

/* Appends "channel[.choice]:text|" of each text; keys are told by a '#' behind the channel. In
 * slices of `rows`. */
static void hear(struct buf *out, const struct json_index *x, enum openai_texts_kind kind,
                 uint32_t rows)
{
    struct openai_texts t;
    struct openai_text text;
    openai_texts_begin(&t, x, kind);
    for (;;) {
        uint32_t budget = rows;
        enum openai_texts_step step = openai_texts_next(&t, &budget, &text);
        if (step == OPENAI_TEXTS_END) {
            return;
        }
        if (step == OPENAI_TEXTS_LATER) {
            assert_int_equal(budget, 0);
            continue;
        }
        char where[32] = "";
        if (text.choice >= 0) {
            (void)snprintf(where, sizeof(where), ".%d", text.choice);
        } else if (text.item > 0) {
            (void)snprintf(where, sizeof(where), "@%u", text.item);
        }
        buf_put(out, span_of(openai_channel_name(text.channel)));
        buf_put(out, json_kind(x, text.row) == JSON_KEY ? SPAN("#") : SPAN(""));
        buf_put(out, span_of(where));
        buf_put(out, SPAN(":"));
        struct json_reader reader;
        json_reader_init(&reader, x, text.row);
        struct span piece;
        while ((piece = json_reader_next(&reader, 16)).len > 0) {
            buf_put(out, piece);
        }
        buf_put(out, SPAN("|"));
    }
}

struct row {
    const char *why, *json, *texts;
};

static void expect_texts(const struct row *row, enum openai_texts_kind kind)
{
    struct arena arena;
    struct json_index x;
    arena_init(&arena, 4 << 20);
    json_index_init(&x, 1 << 20, 200);
    assert_int_equal(json_index_parse_borrow(&x, quoted(&arena, row->json)), ERR_OK);
    for (uint32_t rows = 1; rows < 12; rows += 5) {
        struct buf out;
        buf_init(&out, 1 << 20);
        hear(&out, &x, kind, rows);
        expect_text(row->why, buf_span(&out), row->texts);
        buf_fini(&out);
    }
    json_index_fini(&x);
    arena_fini(&arena);
}

static const struct row requests[] = {
    {"a conversation, in its order",
     "{'model':'m','messages':[{'role':'system','content':'s'},{'role':'developer','content':'d'},"
     "{'content':'u','role':'user','name':'ann'},{'role':'assistant','content':'a'}],"
     "'temperature':1}",
     "system:s|system@1:d|user@2:u|name@2:ann|assistant@3:a|"},
    {"parts of a content",
     "{'messages':[{'role':'user','content':['x',{'type':'text','text':'y'}]}]}", "user:x|user:y|"},
    {"roles that nobody knows speak as users",
     "{'messages':[{'role':'wizard','content':'w'},{'content':'n'},{'role':5,'content':'f'}]}",
     "user:w|user@1:n|user@2:f|"},
    {"a tool call and its answer",
     "{'messages':[{'role':'assistant','content':null,'tool_calls':[{'id':'c','type':'function',"
     "'function':{'name':'f','arguments':'{}'}}]},"
     "{'role':'tool','tool_call_id':'c','content':'42'},"
     "{'role':'function','name':'f','content':'43'}]}",
     "name:f|arguments:{}|tool@1:42|name@2:f|tool@2:43|"},
    {"arguments that are no text but JSON",
     "{'messages':[{'role':'assistant','function_call':{'name':'f','arguments':{'k':['v']}}}]}",
     "name:f|arguments#:k|arguments:v|"},
    {"what was thought and refused",
     "{'messages':[{'role':'assistant','reasoning_content':'r','refusal':'no','reasoning':'t',"
     "'thinking_blocks':[{'type':'thinking','thinking':'b','signature':'sig'}]}]}",
     "reasoning:r|refusal:no|reasoning:t|reasoning:b|unknown:sig|"},
    {"a definition, with the keys that the model reads",
     "{'tools':[{'type':'function','function':{'name':'f','description':'d','strict':true,"
     "'parameters':{'type':'object','properties':{'city':{'type':'string','enum':['a','b']}}}}}]}",
     "name:f|definition#:description|definition:d|definition#:parameters|definition#:type|"
     "definition:object|definition#:properties|definition#:city|definition#:type|definition:string|"
     "definition#:enum|definition:a|definition:b|"},
    {"the older form of one", "{'functions':[{'name':'f','description':'d'}]}",
     "name:f|definition#:description|definition:d|"},
    {"the schema of an answer",
     "{'response_format':{'type':'json_schema','json_schema':{'name':'n','schema':{'a':'b'}}}}",
     "schema#:name|schema:n|schema#:schema|schema#:a|schema:b|"},
    {"which tool", "{'tool_choice':{'type':'function','function':{'name':'f'}}}", "name:f|"},
    {"words are no text", "{'tool_choice':'auto','encoding_format':'float','modalities':['text']}",
     ""},
    {"pictures, sound, files",
     "{'messages':[{'role':'user','content':[{'type':'image_url','image_url':{'url':'data:x',"
     "'detail':'low'}},{'image_url':'http://p'},{'input_audio':{'data':'AAAA','format':'wav'}},"
     "{'file':{'file_data':'BBBB','filename':'n','file_id':'i'}}]}]}",
     "media:data:x|media:http://p|media:AAAA|media:BBBB|name:n|"},
    {"a data URL that stands where nobody knows",
     "{'x':'data:image/png;base64,AAAA','y':'data: and text'}",
     "media:data:image/png;base64,AAAA|unknown:data: and text|"},
    {"a prompt, several, token numbers",
     "{'prompt':['a','b'],'suffix':'c','extra_body':{'prompt':[1,2,[3]]}}",
     "prompt:a|prompt@1:b|prompt@2:c|"},
    {"what is to be embedded", "{'input':['a','b']}", "input:a|input@1:b|"},
    {"one thing to be embedded", "{'input':'a','user':'u'}", "input:a|label:u|"},
    {"what goes along",
     "{'user':'u','stop':['x','y'],'metadata':{'k':'v'},'logit_bias':{'50256':-100}}",
     "label:u|label:x|label:y|label#:k|label:v|"},
    {"instructions and predictions",
     "{'instructions':'i','prediction':{'type':'content','content':[{'type':'text','text':'p'}]}}",
     "system:i|assistant:p|"},
    {"extra_body is the request's own",
     "{'extra_body':{'messages':[{'role':'system','content':'s'}],'guided_json':{'a':'b'},'z':'q'}"
     "}",
     "system:s|schema#:a|schema:b|unknown:q|"},
    {"what nobody knows, with its keys",
     "{'documents':[{'text':'d','more':{'k':[['v']]}}],'messages':[{'role':'user','hmm':'h'}]}",
     "unknown#:text|unknown:d|unknown#:more|unknown#:k|unknown:v|unknown:h|"},
    {"escaped keys are what they say",
     "{'mess\\u0061ges':[{'r\\u006fle':'syst\\u0065m','c\\u006fntent':'\\u0623\\n\\ud83d\\ude00'}]"
     "}",
     "system:أ\n😀|"},
    {"long strings in pieces, escapes and all",
     "{'prompt':'0123456789abcdefghij\\u0627\\u0644\\u0639\\u0631\\u0628\\u064a\\u0629 and "
     "أأأأأأأأأأأأ\\t'}",
     "prompt:0123456789abcdefghijالعربية and أأأأأأأأأأأأ\t|"},
    {"a text in place of an object", "'hello'", "unknown:hello|"},
    {"messages that are none", "{'messages':'m','tools':'t','x':null}", "unknown:m|definition:t|"},
    {"messages behind messages keep their number",
     "{'messages':[{'content':'a'},{'content':'b'}],'stop':'s','x':'y'}",
     "user:a|user@1:b|label:s|unknown:y|"},
};

static const struct row answers[] = {
    {"a whole reply",
     "{'id':'i','object':'chat.completion','model':'m','choices':[{'index':0,'message':{'role':"
     "'assistant','content':'hi','refusal':'no'},'finish_reason':'stop'}],'usage':{'x':1}}",
     "assistant.0:hi|refusal.0:no|"},
    {"choices by their index, which may stand behind, or by their position",
     "{'choices':[{'message':{'content':'a'},'index':7},{'message':{'content':'b'}},"
     "{'index':'x','text':'c'}],'more':'d'}",
     "assistant.7:a|assistant.1:b|assistant.2:c|unknown:d|"},
    {"an event", "{'choices':[{'index':1,'delta':{'role':'user','content':'x','reasoning':'r'}}]}",
     "assistant.1:x|reasoning.1:r|"},
    {"pieces of a tool call",
     "{'choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'id':'c','type':'function',"
     "'function':{'name':'f','arguments':'{\\'a\\''}}]}}]}",
     "name.0:f|arguments.0:{'a'|"},
    {"probabilities of a chat",
     "{'choices':[{'index':0,'logprobs':{'content':[{'token':'a','logprob':-1,'bytes':[97],"
     "'top_logprobs':[{'token':'b','logprob':-2}]}],'refusal':[{'token':'c'}]}}]}",
     "logprob.0:a|logprob.0:b|logprob.0:c|"},
    {"probabilities of a completion",
     "{'choices':[{'text':'t','logprobs':{'tokens':['a'],'top_logprobs':[{'a':-1,'b':-2}],"
     "'text_offset':[0]}}]}",
     "assistant.0:t|logprob.0:a|logprob#.0:a|logprob#.0:b|"},
    {"vectors are no text",
     "{'object':'list','data':[{'object':'embedding','index':0,'embedding':'AAAAAAAA'}]}", ""},
    {"spoken answers",
     "{'choices':[{'message':{'audio':{'id':'a','data':'AAAA','transcript':'t'}}}]}",
     "media.0:AAAA|assistant.0:t|"},
    {"an error", "{'error':{'message':'m','code':5}}", "unknown#:message|unknown:m|unknown#:code|"},
    {"what nobody knows", "{'choices':[{'message':{'hmm':{'k':'v'}},'why':'w'}],'p':['q']}",
     "unknown#.0:k|unknown.0:v|unknown.0:w|unknown:q|"},
};

static void requests_are_told_text_by_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(requests); i++) {
        expect_texts(&requests[i], OPENAI_TEXTS_REQUEST);
    }
}

static void answers_are_told_text_by_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(answers); i++) {
        expect_texts(&answers[i], OPENAI_TEXTS_ANSWER);
    }
}

/* A word or an unknown key as long as that is none. */
static void what_is_too_long_for_a_word_is_a_text(void **state)
{
    (void)state;
    char word[OPENAI_WORD_MAX + 2], json[512], texts[512];
    memset(word, 'w', OPENAI_WORD_MAX);
    word[OPENAI_WORD_MAX] = '\0';
    (void)snprintf(json, sizeof(json), "{'model':'%s','%s':1}", word, word);
    expect_texts(&(struct row){"words of the greatest length", json, ""}, OPENAI_TEXTS_REQUEST);
    word[OPENAI_WORD_MAX] = 'w';
    word[OPENAI_WORD_MAX + 1] = '\0';
    (void)snprintf(json, sizeof(json), "{'model':'%s','%s':1}", word, word);
    (void)snprintf(texts, sizeof(texts), "unknown:%s|unknown#:%s|", word, word);
    expect_texts(&(struct row){"longer ones", json, texts}, OPENAI_TEXTS_REQUEST);
}

static void what_lies_too_deep_is_unknown(void **state)
{
    (void)state;
    char json[1024], open[151], shut[151];
    memset(open, '[', sizeof(open) - 1);
    memset(shut, ']', sizeof(shut) - 1);
    open[150] = shut[150] = '\0';
    (void)snprintf(json, sizeof(json), "{'prompt':%s'x'%s,'suffix':'y'}", open, shut); /* fits */
    expect_texts(&(struct row){"150 arrays", json, "unknown:x|prompt:y|"}, OPENAI_TEXTS_REQUEST);
}

static enum openai_media media_of(const char *json)
{
    struct arena arena;
    struct json_index x;
    struct openai_texts t;
    struct openai_text text = {.media = OPENAI_MEDIA_NONE};
    uint32_t rows = 1000;
    arena_init(&arena, 1 << 20);
    json_index_init(&x, 1000, 20);
    assert_int_equal(json_index_parse_borrow(&x, quoted(&arena, json)), ERR_OK);
    openai_texts_begin(&t, &x, OPENAI_TEXTS_REQUEST);
    assert_int_equal(openai_texts_next(&t, &rows, &text), OPENAI_TEXTS_ONE);
    json_index_fini(&x);
    arena_fini(&arena);
    return text.media;
}

#define PARTS(part) "{'messages':[{'role':'user','content':[" part "]}]}"

static void media_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum openai_media media;
    } rows[] = {
        {PARTS("{'image_url':{'url':'u'}}"), OPENAI_MEDIA_PICTURE},
        {PARTS("{'image_url':{'url':'u','detail':'high'}}"), OPENAI_MEDIA_PICTURE},
        {PARTS("{'image_url':{'url':'u','detail':'low'}}"), OPENAI_MEDIA_PREVIEW},
        {PARTS("{'image_url':'u'}"), OPENAI_MEDIA_PICTURE},
        {PARTS("{'input_audio':{'data':'u'}}"), OPENAI_MEDIA_SOUND},
        {PARTS("{'video_url':{'url':'u'}}"), OPENAI_MEDIA_FILE},
        {PARTS("{'file':{'file_data':'u'}}"), OPENAI_MEDIA_FILE},
        {PARTS("{'odd':'data:image/png;base64,u'}"), OPENAI_MEDIA_PICTURE},
        {PARTS("{'odd':'data:audio/wav;base64,u'}"), OPENAI_MEDIA_SOUND},
        {PARTS("{'odd':'data:application/pdf;base64,u'}"), OPENAI_MEDIA_FILE},
        {PARTS("{'text':'data:image/png;base64,u'}"), OPENAI_MEDIA_NONE},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        if (media_of(rows[i].json) != rows[i].media) {
            fail_msg("%s", rows[i].json);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_told_text_by_text),
        cmocka_unit_test(answers_are_told_text_by_text),
        cmocka_unit_test(what_is_too_long_for_a_word_is_a_text),
        cmocka_unit_test(what_lies_too_deep_is_unknown),
        cmocka_unit_test(media_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
