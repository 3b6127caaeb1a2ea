/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_odd.c — answers whose type is wrong, whose characters are torn, whose events are large.
 */
#include "world_scene.h"

static struct world w;

#define ASKED   CHAT_BODY(",'stream':true")
#define STREAM  WORD("real", "a") STOP("real") DONE
#define SHOWN   FIRST("m", "a") STOP("m") DONE
#define TORN    "\xF0\x9F\x98"
#define MENDED  "\xEF\xBF\xBD"
#define LARGE   200000 /* bytes of text: more than one pull, less than reply_max */
#define TOO_BIG 700000

static void answer(const char *type, const char *body, const char *request, size_t cut)
{
    world_open(&w);
    w.scripts[0] = (struct script){.type = type, .body = body};
    world_chat(&w, request);
    server_answers(&w, cut);
    if (w.client.end == STILL_OPEN) {
        server_sends(&w, ALL_OF_IT);
    }
}

static void a_stream_is_read_as_one_whatever_its_type(void **state)
{
    (void)state;
    static const char *const types[] = {"text/plain", "application/json", "application/x-ndjson",
                                        "", "text/event-stream"};
    static const char *const bodies[] = {
        STREAM,           "\n\n" STREAM,         "\xEF\xBB\xBF" STREAM, "event: message\n" STREAM,
        "id: 1\n" STREAM, "retry: 5\n\n" STREAM, ":\n\n" STREAM};
    for (size_t i = 0; i < ROWS(types) * ROWS(bodies); i++) {
        const char *body = bodies[i % ROWS(bodies)];
        for (size_t cut = 0; cut < 20; cut++) {
            answer(types[i / ROWS(bodies)], body, ASKED, cut);
            expect_end(body, &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
            world_expect(body, world_reply(&w), SHOWN);
            world_close(&w);
        }
    }
}

static void a_whole_reply_is_read_as_one_whatever_its_type(void **state)
{
    (void)state;
    static const char *const types[] = {"text/event-stream", "text/plain", "application/json"};
    for (size_t i = 0; i < ROWS(types); i++) {
        for (size_t cut = 0; cut < 20; cut++) {
            answer(types[i], " \n" CHAT_REPLY, ASKED, cut);
            expect_end(types[i], &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
            assert_true(world_holds(world_reply(&w), "\"content\":\"yes\""));
            assert_true(world_holds(world_reply(&w), DONE));
            world_close(&w);
        }
    }
}

static void blank_lines_without_end_are_judged_by_the_type(void **state)
{
    (void)state;
    static char blanks[20000];
    memset(blanks, '\n', sizeof(blanks) - 1);
    answer("text/event-stream", blanks, ASKED, 10000);
    expect_end("a stream of nothing", &w, REFUSED, ERR_UPSTREAM_CLOSED, JOURNAL_OUTCOME_FAILED);
    world_close(&w);
    answer("text/plain", blanks, ASKED, 10000);
    expect_end("nothing", &w, REFUSED, ERR_UPSTREAM_JSON, JOURNAL_OUTCOME_FAILED);
    world_close(&w);
}

static void a_torn_character_in_an_event_is_replaced_and_the_rest_follows(void **state)
{
    (void)state;
    static const char body[] = WORD("real", "a" TORN) WORD("real", TORN "b" TORN) STOP("real") DONE;
    for (size_t cut = 0; cut < sizeof(body); cut++) {
        answer(NULL, body, ASKED, cut);
        expect_end("torn", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_expect("mended", world_reply(&w),
                     FIRST("m", "a" MENDED) WORD("m", MENDED "b" MENDED) STOP("m") DONE);
        world_close(&w);
    }
    answer(NULL, "data: {'error':{'message':'" TORN "','code':400}}\n\n", ASKED, ALL_OF_IT);
    expect_end("an error", &w, REFUSED, ERR_UPSTREAM_REQUEST, JOURNAL_OUTCOME_FAILED);
    world_expect("its words", buf_span(&w.client.message), MENDED);
    world_close(&w);
}

#define REPLY_BEFORE "{" SAID "'choices':[{'index':0,'message':{'role':'assistant','content':'"
#define REPLY_BEHIND "'},'finish_reason':'stop'}],'model':'real'}"

/* A text of so many letters between two others. */
static char *around(const char *before, size_t letters, const char *behind)
{
    size_t first = strlen(before), last = strlen(behind);
    char *text = memory_raw(first + letters + last + 1);
    assert_non_null(text);
    memcpy(text, before, first);
    memset(text + first, 'x', letters);
    memcpy(text + first + letters, behind, last + 1);
    return text;
}

static void a_torn_character_in_a_whole_reply_is_replaced(void **state)
{
    (void)state;
    for (size_t letters = 1; letters <= LARGE; letters += LARGE - 1) {
        char *body = around(REPLY_BEFORE TORN, letters, TORN REPLY_BEHIND);
        char *shown =
            around(REPLY_BEFORE MENDED, letters, MENDED "'},'finish_reason':'stop'}],'model':'m'}");
        answer(NULL, body, CHAT_BODY(""), 100);
        expect_end("torn", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_expect("mended", world_reply(&w), shown);
        world_close(&w);
        answer("application/json", body, ASKED, 100); /* the same as events */
        expect_end("torn", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        assert_true(world_holds(world_reply(&w), MENDED "x"));
        world_close(&w);
        memory_free(body);
        memory_free(shown);
    }
}

/* Looked for and replaced in slices, which cut no character. */
static void torn_characters_anywhere_in_a_very_large_reply_are_replaced(void **state)
{
    (void)state;
    enum { LETTERS = 3 << 20, APART = 9973, LEN = sizeof(TORN) - 1 };
    char *body = around(REPLY_BEFORE, LETTERS, REPLY_BEHIND);
    world_open(&w);
    for (size_t at = strlen(REPLY_BEFORE); at < LETTERS; at += APART) {
        memcpy(body + at, TORN, LEN);
    }
    w.scripts[0].body = body;
    w.policy->deployments[0]->definition.reply_bytes_max = 64 << 20;
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, ALL_OF_IT);
    expect_end("torn", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    struct span reply = world_reply(&w);
    size_t found = 0;
    for (const uint8_t *at = reply.at;
         (at = memmem(at, reply.len - (size_t)(at - reply.at), "x" MENDED "x", LEN + 2)) != NULL;
         at++) {
        found++;
    }
    assert_in_range(found, LETTERS / APART - 1, LETTERS / APART + 1);
    world_close(&w);
    memory_free(body);
}

static void a_reply_in_another_encoding_is_refused(void **state)
{
    (void)state;
    char *body = around(REPLY_BEFORE, 10000, REPLY_BEHIND);
    memset(body + strlen(REPLY_BEFORE), 0xE4, 10000);
    answer(NULL, body, CHAT_BODY(""), ALL_OF_IT);
    expect_end("another", &w, REFUSED, ERR_UPSTREAM_JSON, JOURNAL_OUTCOME_FAILED);
    world_close(&w);
    memory_free(body);
}

/* However many blanks stand around [DONE], or alone. */
static void blanks_say_nothing_however_many_there_are(void **state)
{
    (void)state;
    static const char *const ends[] = {"data: [DONE]\n\n", "data: \ndata: [DONE]\ndata:\n\n"};
    for (size_t i = 0; i < ROWS(ends) + 3; i++) {
        char *blanks = around("data: ", LARGE, i == 4 ? "[DONE]" : "");
        memset(blanks + 6, ' ', LARGE);
        char *behind = around("data: [DONE]", i == 3 ? LARGE : 0, "\n\n");
        memset(behind + 12, ' ', i == 3 ? LARGE : 0);
        struct buf body;
        buf_init(&body, 4 * (size_t)LARGE);
        buf_put_text(&body, WORD("real", "a") STOP("real"));
        buf_put_text(&body, blanks);
        buf_put_text(&body, "\n\n");
        buf_put_text(&body, i < ROWS(ends) ? ends[i] : i == 4 ? "" : behind);
        buf_put_byte(&body, 0);
        answer(NULL, (const char *)buf_span(&body).at, ASKED, i * (LARGE / 3));
        expect_end("blank", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_expect("blank", world_reply(&w), SHOWN);
        world_close(&w);
        buf_fini(&body);
        memory_free(blanks);
        memory_free(behind);
    }
}

static void an_event_may_be_as_large_as_a_reply(void **state)
{
    (void)state;
    char *body = around("data: {" SAID_CHUNK "'choices':[{'index':0,'delta':{'content':'", LARGE,
                        "'},\ndata: 'finish_reason':null}],'model':'real'}\n\n" STOP("real") DONE);
    char *shown =
        around("data: {" SAID_CHUNK "'choices':[{'index':0,'delta':{'content':'", LARGE,
               "','role':'assistant'}, 'finish_reason':null}],'model':'m'}\n\n" STOP("m") DONE);
    for (size_t cut = 0; cut < 3; cut++) {
        answer(NULL, body, ASKED, cut * (LARGE / 3));
        expect_end("large", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_expect("large", world_reply(&w), shown);
        assert_int_equal(w.completion.bytes_out, world_reply(&w).len);
        world_close(&w);
    }
    memory_free(body);
    memory_free(shown);

    body =
        around(WORD("real", "a") "data: {" SAID_CHUNK "'choices':[{'index':0,'delta':{'content':'",
               TOO_BIG, "'},'finish_reason':'stop'}],'model':'real'}\n\n" DONE);
    answer(NULL, body, ASKED, ALL_OF_IT);
    expect_end("too large", &w, FINISHED, ERR_UPSTREAM_STREAM, JOURNAL_OUTCOME_FAILED);
    world_close(&w);
    memory_free(body);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_read_as_one_whatever_its_type),
        cmocka_unit_test(a_whole_reply_is_read_as_one_whatever_its_type),
        cmocka_unit_test(blank_lines_without_end_are_judged_by_the_type),
        cmocka_unit_test(a_torn_character_in_an_event_is_replaced_and_the_rest_follows),
        cmocka_unit_test(a_torn_character_in_a_whole_reply_is_replaced),
        cmocka_unit_test(torn_characters_anywhere_in_a_very_large_reply_are_replaced),
        cmocka_unit_test(a_reply_in_another_encoding_is_refused),
        cmocka_unit_test(blanks_say_nothing_however_many_there_are),
        cmocka_unit_test(an_event_may_be_as_large_as_a_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
