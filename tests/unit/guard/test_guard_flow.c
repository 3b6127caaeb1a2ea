/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_flow.c — the texts of documents and of streams: what goes on is the same, wherever
 * they were cut. */
#include "unit.h"

#include <stdio.h>

#include "../openai/quotes.h"
#include "base/buf.h"
#include "guard/guard_flow.h"

/* A policy of a few patterns, one an action. */
struct world {
    struct guard_policy *policy;
    struct guard_rule_of of;
    struct guard_scratch *scratch;
    struct arena arena;
    struct guard_case c;
};

static const struct guard_rule_source sources[] = {
    {GUARD_RULE_PATTERN, {(const uint8_t *)"project", 7}, {(const uint8_t *)"PRJ-[0-9]{6}", 12}},
    {GUARD_RULE_PATTERN, {(const uint8_t *)"bomb", 4}, {(const uint8_t *)"BOMB[0-9]{3}", 12}},
    {GUARD_RULE_PATTERN, {(const uint8_t *)"account", 7}, {(const uint8_t *)"AC[0-9]{8}", 10}},
};

static void begin(struct world *w)
{
    static const enum guard_action actions[] = {GUARD_REDACT, GUARD_BLOCK, GUARD_MASK};
    char fault[GUARD_RULES_FAULT];
    size_t which;
    assert_int_equal(guard_policy_new(&w->policy), ERR_OK);
    assert_int_equal(guard_rules_new(sources, 3, GUARD_BUILTINS, fault, &which, &w->policy->rules),
                     ERR_OK);
    for (size_t i = 0; i < 3; i++) {
        w->policy->actions[GUARD_PROMPT][GUARD_BUILTINS + i] = (uint8_t)actions[i];
        w->policy->actions[GUARD_REPLY][GUARD_BUILTINS + i] = (uint8_t)actions[i];
    }
    w->policy->mode = GUARD_ENFORCE;
    w->policy->restores = w->policy->says_restore = true;
    w->of = (struct guard_rule_of){.gateway = w->policy};
    assert_int_equal(guard_scratch_new(&w->scratch), ERR_OK);
    arena_init(&w->arena, 64 << 20);
    guard_case_init(&w->c, &w->of, &w->arena);
}

static void end(struct world *w)
{
    guard_case_fini(&w->c);
    arena_fini(&w->arena);
    guard_scratch_free(&w->scratch);
    guard_policy_unref(&w->policy);
}

/* ---- whole documents ---- */

struct row {
    const char *why, *json, *sent;
    bool is_blocked;
};

static const struct row requests[] = {
    {"a value is redacted, the same one alike, in the order in which they come",
     "{'messages':[{'role':'user','content':'PRJ-111111 PRJ-222222 PRJ-111111'}]}",
     "{'messages':[{'role':'user','content':'[PROJECT_1] [PROJECT_2] [PROJECT_1]'}]}", false},
    {"one numbering for all texts",
     "{'messages':[{'role':'system','content':'PRJ-111111'},{'role':'user','content':[{'type':"
     "'text','text':'PRJ-222222'}]}],'user':'PRJ-111111'}",
     "{'messages':[{'role':'system','content':'[PROJECT_1]'},{'role':'user','content':[{'type':"
     "'text','text':'[PROJECT_2]'}]}],'user':'[PROJECT_1]'}",
     false},
    {"escapes are what they say", "{'prompt':'\\u0050RJ-11\\u0031111\\n x'}",
     "{'prompt':'[PROJECT_1]\\n x'}", false},
    {"a mask keeps the last four", "{'prompt':'pay AC12345678.'}", "{'prompt':'pay ******5678.'}",
     false},
    {"what the caller wrote that looks like a placeholder has one of its own",
     "{'prompt':'[PROJECT_1] PRJ-111111'}", "{'prompt':'[LITERAL_1] [PROJECT_1]'}", false},
    {"members that nobody knows are read", "{'x':{'PRJ-111111':['PRJ-222222']}}",
     "{'x':{'[PROJECT_1]':['[PROJECT_2]']}}", false},
    {"a name cannot be another", "{'tools':[{'function':{'name':'PRJ-111111'}}]}",
     "{'tools':[{'function':{'name':'PRJ-111111'}}]}", true},
    {"nor can an enum",
     "{'tools':[{'function':{'name':'f','parameters':{'enum':['PRJ-111111']}}}]}",
     "{'tools':[{'function':{'name':'f','parameters':{'enum':['PRJ-111111']}}}]}", true},
    {"but a description can", "{'tools':[{'function':{'name':'f','description':'of PRJ-111111'}}]}",
     "{'tools':[{'function':{'name':'f','description':'of [PROJECT_1]'}}]}", false},
    {"a grammar cannot", "{'prompt':'x','grammar':'root ::= PRJ-111111'}",
     "{'prompt':'x','grammar':'root ::= PRJ-111111'}", true},
    {"a role that is none is read", "{'messages':[{'role':'PRJ-111111','content':'x'}]}",
     "{'messages':[{'role':'PRJ-111111','content':'x'}]}", true},
    {"arguments are JSON in a string, and their escapes are read",
     "{'messages':[{'role':'assistant','tool_calls':[{'function':{'name':'f','arguments':"
     "'{\\\"x\\\":\\\"\\\\u0050RJ-1\\\\u00311111\\\\nPRJ-111111\\\"}'}}]}]}",
     "{'messages':[{'role':'assistant','tool_calls':[{'function':{'name':'f','arguments':"
     "'{\\\"x\\\":\\\"[PROJECT_1]\\\\n[PROJECT_1]\\\"}'}}]}]}",
     false},
    {"so are those of what a tool answers",
     "{'messages':[{'role':'tool','content':'{\\\"x\\\":\\\"\\\\u0050RJ-111111\\\"}'}]}",
     "{'messages':[{'role':'tool','content':'{\\\"x\\\":\\\"[PROJECT_1]\\\"}'}]}", false},
    {"a blocked value goes nowhere", "{'prompt':'a BOMB123 b'}", "{'prompt':'a BOMB123 b'}", true},
};

static void expect_request(const struct row *row)
{
    struct world w;
    struct json_index x;
    struct json_edits edits;
    struct guard_document d;
    begin(&w);
    json_index_init(&x, 1 << 16, 64);
    assert_int_equal(json_index_parse_borrow(&x, quoted(&w.arena, row->json)), ERR_OK);
    json_edits_init(&edits, &x, &w.arena);
    struct guard_look look = {.c = &w.c, .scratch = w.scratch, .edits = &edits, .arena = &w.arena};
    assert_true(guard_case_wants(&w.c, GUARD_PROMPT, &look.wanted));
    guard_document_begin(&d, &look, OPENAI_TEXTS_REQUEST);
    while (!d.is_done) {
        assert_int_equal(guard_document_step(&d, 1), ERR_OK);
    }
    guard_document_end(&d);
    size_t len = (size_t)json_edits_total(&edits);
    uint8_t *out = arena_alloc(&w.arena, len + 1);
    json_edits_copy(&edits, out);
    struct span expected = quoted(&w.arena, row->sent);
    if (!span_equal(span_make(out, len), expected)) {
        print_error("%s: %.*s\n", row->why, (int)len, (const char *)out);
    }
    assert_true(span_equal(span_make(out, len), expected));
    assert_int_equal(w.c.is_blocked[GUARD_PROMPT], row->is_blocked);
    json_index_fini(&x);
    end(&w);
}

static void what_a_request_says_goes_on_as_the_policy_wants_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        expect_request(&requests[i]);
    }
}

/* ---- streams ---- */

/* One event through the flow: what is put goes to `said`, a member's text at a time. */
static void put_texts(struct world *w, struct span json, struct buf *said)
{
    struct json_index x;
    struct openai_texts t;
    struct openai_text text;
    uint32_t rows = UINT32_MAX;
    json_index_init(&x, 1 << 16, 64);
    assert_int_equal(json_index_parse_borrow(&x, json), ERR_OK);
    openai_texts_begin(&t, &x, OPENAI_TEXTS_ANSWER);
    while (openai_texts_next(&t, &rows, &text) == OPENAI_TEXTS_ONE) {
        struct span one;
        assert_int_equal(json_text(&x, text.row, &w->arena, &one), ERR_OK);
        buf_put(said, one);
        rows = UINT32_MAX;
    }
    json_index_fini(&x);
}

static void put_event(struct world *w, struct guard_flow *f, const char *json, struct buf *said)
{
    struct json_index x;
    struct json_edits edits;
    struct buf before;
    bool is_silent;
    json_index_init(&x, 1 << 16, 64);
    buf_init(&before, 1 << 20);
    assert_int_equal(json_index_parse_borrow(&x, span_of(json)), ERR_OK);
    json_edits_init(&edits, &x, &w->arena);
    assert_int_equal(guard_flow_event(f, w->scratch, &edits, &w->arena, &before, &is_silent),
                     ERR_OK);
    if (buf_span(&before).len > 0) {
        struct span choices = buf_span(&before);
        char *whole = arena_alloc(&w->arena, choices.len + 64);
        (void)snprintf(whole, choices.len + 64, "{\"choices\":%.*s}",
                       SPAN_ARGS(choices)); /* fits */
        put_texts(w, span_of(whole), said);
    }
    size_t len = (size_t)json_edits_total(&edits);
    uint8_t *out = arena_alloc(&w->arena, len + 1);
    json_edits_copy(&edits, out);
    size_t was = buf_span(said).len;
    put_texts(w, span_make(out, len), said);
    assert_true(!is_silent || buf_span(said).len == was);
    buf_fini(&before);
    json_index_fini(&x);
}

/* `text` as a stream of pieces of `cut` bytes, the first of `first`; what it said is in `said`. */
static void stream(struct world *w, const char *member, const char *text, size_t first, size_t cut,
                   struct buf *said)
{
    struct guard_flow f;
    struct guard_wanted wanted;
    char json[512];
    size_t len = strlen(text);
    assert_true(guard_case_wants(&w->c, GUARD_REPLY, &wanted));
    guard_flow_init(&f, &w->c, &wanted, true);
    for (size_t at = 0; at < len && !f.is_cut;) {
        size_t some = at == 0 ? first : cut;
        some = some < len - at ? some : len - at;
        (void)snprintf(json, sizeof(json),
                       "{\"choices\":[{\"index\":0,\"delta\":{\"%s\":\"%.*s\"},"
                       "\"finish_reason\":null}]}",
                       member, (int)some, text + at); /* fits */
        put_event(w, &f, json, said);
        at += some;
    }
    if (!f.is_cut) {
        put_event(w, &f, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}",
                  said);
        assert_int_equal(guard_flow_held(&f), 0);
    }
    guard_flow_fini(&f);
}

static const struct {
    const char *text, *said;
} replies[] = {
    {"no value at all, and prose goes on.", "no value at all, and prose goes on."},
    {"see PRJ-111111, and PRJ-22222 is none", "see [PROJECT_1], and PRJ-22222 is none"},
    {"PRJ-111111PRJ-222222", "[PROJECT_1][PROJECT_2]"},
    {"pay AC12345678 to AC1234567", "pay ******5678 to AC1234567"},
    {"boom BOMB123 never said", "boom "},
    {"a placeholder [PROJECT_1] and [PROJECT_X] stay",
     "a placeholder [PROJECT_1] and [PROJECT_X] stay"},
};

static void a_stream_says_the_same_wherever_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        size_t len = strlen(replies[i].text);
        for (size_t first = 1; first <= len; first++) {
            for (size_t cut = 1; cut <= len; cut += cut < 3 ? 1 : 13) {
                struct world w;
                struct buf said;
                begin(&w);
                buf_init(&said, 1 << 16);
                stream(&w, i % 2 == 0 ? "content" : "reasoning", replies[i].text, first, cut,
                       &said);
                if (!span_equal(buf_span(&said), span_of(replies[i].said))) {
                    print_error("%s cut at %zu by %zu: %.*s\n", replies[i].text, first, cut,
                                SPAN_ARGS(buf_span(&said)));
                }
                assert_true(span_equal(buf_span(&said), span_of(replies[i].said)));
                assert_int_equal(w.c.is_blocked[GUARD_REPLY], i == 4);
                buf_fini(&said);
                end(&w);
            }
        }
    }
}

/* Arguments in pieces: what they said is in `said`. */
static void stream_arguments(struct world *w, const char *text, size_t first, size_t cut,
                             struct buf *said)
{
    struct guard_flow f;
    struct guard_wanted wanted;
    char json[1024], piece[512];
    size_t len = strlen(text);
    assert_true(guard_case_wants(&w->c, GUARD_REPLY, &wanted));
    guard_flow_init(&f, &w->c, &wanted, true);
    for (size_t at = 0; at < len;) {
        size_t end = at + (at == 0 ? first : cut), out = 0;
        for (; at < end && at < len; at++) {
            if (text[at] == '\\' || text[at] == '"') {
                piece[out++] = '\\';
            }
            piece[out++] = text[at];
        }
        (void)snprintf(json, sizeof(json),
                       "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,"
                       "\"function\":{\"arguments\":\"%.*s\"}}]},\"finish_reason\":null}]}",
                       (int)out, piece); /* fits */
        put_event(w, &f, json, said);
    }
    put_event(w, &f, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}",
              said);
    guard_flow_fini(&f);
}

static const struct {
    const char *text, *said;
} arguments[] = {
    {"{\"x\":\"\\u0050RJ-\\u0661\\u06611111 ok\"}", "{\"x\":\"[PROJECT_1] ok\"}"},
    {"{\"x\":\"\\\\u0050RJ-111111 and \\\\\\u0050RJ-111111\"}",
     "{\"x\":\"\\\\u0050RJ-111111 and \\\\[PROJECT_1]\"}"},
    {"{\"x\":\"\\ud83d\\ude00PRJ-11\\u200b1111\\ud83d\"}",
     "{\"x\":\"\\ud83d\\ude00[PROJECT_1]\\ud83d\"}"},
    {"{\"a\\/b\":\"AC123\\u0034\\u0035678\\n\"}", "{\"a\\/b\":\"******5678\\n\"}"},
    {"\\q \\u00 \\ud800 \\", "\\q \\u00 \\ud800 \\"},
};

static void arguments_say_the_same_wherever_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
        size_t len = strlen(arguments[i].text);
        for (size_t first = 1; first <= len; first++) {
            for (size_t cut = 1; cut <= len; cut += cut < 2 ? 1 : 29) {
                struct world w;
                struct buf said;
                begin(&w);
                buf_init(&said, 1 << 16);
                stream_arguments(&w, arguments[i].text, first, cut, &said);
                if (!span_equal(buf_span(&said), span_of(arguments[i].said))) {
                    print_error("%s cut at %zu by %zu: %.*s\n", arguments[i].text, first, cut,
                                SPAN_ARGS(buf_span(&said)));
                }
                assert_true(span_equal(buf_span(&said), span_of(arguments[i].said)));
                buf_fini(&said);
                end(&w);
            }
        }
    }
}

/* Escapes that fill a window many times over: what is kept of it begins where one begins. */
static void a_long_text_of_escapes_is_read_alike(void **state)
{
    (void)state;
    static const char unit[] = "\\\\\\u0050RJ-\\u0661\\u06611111\\\\u0050 ";
    static const char became[] = "\\\\[PROJECT_1]\\\\u0050 ";
    char text[20 * sizeof(unit)] = "", expected[20 * sizeof(unit)] = "";
    size_t text_len = 0, len = 0;
    for (int i = 0; i < 20; i++) {
        memcpy(text + text_len, unit, sizeof(unit));
        memcpy(expected + len, became, sizeof(became));
        text_len += sizeof(unit) - 1;
        len += sizeof(became) - 1;
    }
    for (size_t cut = 1; cut < 300; cut += 11) {
        struct world w;
        struct buf said;
        begin(&w);
        buf_init(&said, 1 << 16);
        stream_arguments(&w, text, cut % 60 + 1, cut, &said);
        assert_true(span_equal(buf_span(&said), span_of(expected)));
        buf_fini(&said);
        end(&w);
    }
}

static void texts_of_a_stream_do_not_mix(void **state)
{
    (void)state;
    struct world w;
    struct guard_flow f;
    struct guard_wanted wanted;
    struct buf said;
    begin(&w);
    buf_init(&said, 1 << 16);
    assert_true(guard_case_wants(&w.c, GUARD_REPLY, &wanted));
    guard_flow_init(&f, &w.c, &wanted, true);
    put_event(&w, &f,
              "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"PRJ-1\"}},{\"index\":1,"
              "\"delta\":{\"content\":\"11111 \"}}]}",
              &said);
    put_event(&w, &f,
              "{\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"11111 \"}},{\"index\":1,"
              "\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"PRJ-\"}}]}}]}",
              &said);
    assert_true(span_is(buf_span(&said), "11111 11111 "));
    put_event(&w, &f,
              "{\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{"
              "\"arguments\":\"333333\"}}]},\"finish_reason\":\"tool_calls\"}]}",
              &said);
    assert_true(span_is(buf_span(&said), "11111 11111 [PROJECT_1]"));
    put_event(&w, &f,
              "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"11111\"},"
              "\"finish_reason\":\"stop\"}]}",
              &said);
    assert_true(span_is(buf_span(&said), "11111 11111 [PROJECT_1][PROJECT_2]"));
    guard_flow_fini(&f);
    buf_fini(&said);
    end(&w);
}

static void probabilities_do_not_tell_what_is_held_back(void **state)
{
    (void)state;
    struct world w;
    struct guard_flow f;
    struct guard_wanted wanted;
    struct buf said;
    begin(&w);
    buf_init(&said, 1 << 16);
    assert_true(guard_case_wants(&w.c, GUARD_REPLY, &wanted));
    guard_flow_init(&f, &w.c, &wanted, true);
    put_event(
        &w, &f,
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"PRJ-\"},\"logprobs\":{\"content\":"
        "[{\"token\":\"PRJ-\",\"logprob\":-1}]}}]}",
        &said);
    assert_int_equal(buf_span(&said).len, 0);
    guard_flow_fini(&f);
    buf_fini(&said);
    end(&w);
}

static void a_stream_of_too_many_texts_is_none(void **state)
{
    (void)state;
    struct world w;
    struct guard_flow f;
    struct guard_wanted wanted;
    struct json_index x;
    struct json_edits edits;
    struct buf before;
    char json[160];
    enum err e = ERR_OK;
    begin(&w);
    json_index_init(&x, 1 << 16, 64);
    buf_init(&before, 1 << 20);
    assert_true(guard_case_wants(&w.c, GUARD_REPLY, &wanted));
    guard_flow_init(&f, &w.c, &wanted, true);
    int i = 0;
    for (; i <= GUARD_FLOWS_MAX && e == ERR_OK; i++) {
        bool is_silent;
        (void)snprintf(json, sizeof(json),
                       "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":%d,"
                       "\"function\":{\"arguments\":\"x\"}}]}}]}",
                       i); /* fits */
        assert_int_equal(json_index_parse_borrow(&x, span_of(json)), ERR_OK);
        json_edits_init(&edits, &x, &w.arena);
        e = guard_flow_event(&f, w.scratch, &edits, &w.arena, &before, &is_silent);
    }
    assert_int_equal(e, ERR_UPSTREAM_STREAM);
    assert_int_equal(i, GUARD_FLOWS_MAX + 1);
    guard_flow_fini(&f);
    buf_fini(&before);
    json_index_fini(&x);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_request_says_goes_on_as_the_policy_wants_it),
        cmocka_unit_test(a_stream_says_the_same_wherever_it_is_cut),
        cmocka_unit_test(arguments_say_the_same_wherever_they_are_cut),
        cmocka_unit_test(a_long_text_of_escapes_is_read_alike),
        cmocka_unit_test(texts_of_a_stream_do_not_mix),
        cmocka_unit_test(probabilities_do_not_tell_what_is_held_back),
        cmocka_unit_test(a_stream_of_too_many_texts_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
