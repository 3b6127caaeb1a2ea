/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_call_shared.c — what calls of one worker share between them: memory, the loop's turns, and
 * with what a call began before, its client's connection. None finds anything of another there.
 */
#include "world_scene.h"

static struct world w;

#define ASKED CHAT_BODY(",'stream':true")
#define PING  ": ping\n\n"
#define REST  STOP("real") DONE

enum { LARGE = 500000, SMALL = 40000 };

static void begin(const char *reply)
{
    world_open(&w);
    w.scripts[0].body = reply;
    world_chat(&w, ASKED);
    server_answers(&w, 0);
}

static void expect_worker_is_free(void)
{
    assert_int_equal(w.shared.turn.used, 0);
    assert_int_equal(buf_span(&w.shared.out).len, 0);
    assert_false(buf_failed(&w.shared.out));
}

static void the_first_content_of_a_call_that_fails_with_it_is_nobodys(void **state)
{
    (void)state;
    for (int has_head = 0; has_head < 2; has_head++) {
        begin(WORD("real", "secret") REST);
        time_passes(&w, has_head == 1 ? 16000 : 0);
        w.recheck_error = ERR_KEY_REVOKED; /* nobody has looked yet */
        server_sends_until(&w, "\n\n");
        expect_end("revoked", &w, has_head == 1 ? FINISHED : REFUSED, ERR_KEY_REVOKED,
                   JOURNAL_OUTCOME_FAILED);
        assert_false(world_holds(world_reply(&w), "secret"));
        expect_worker_is_free();
        world_close(&w);
    }
}

static void the_first_content_is_put_however_much_the_client_has_to_take(void **state)
{
    (void)state;
    begin(WORD("real", "a") WORD("real", "b") REST);
    w.client.is_slow = true;
    time_passes(&w, 16000);
    world_expect("its head", world_reply(&w), PING);
    server_sends_until(&w, "\n\n");
    world_expect("the first", world_reply(&w), PING FIRST("m", "a"));
    expect_worker_is_free();
    server_sends(&w, ALL_OF_IT);
    world_expect("no more", world_reply(&w), PING FIRST("m", "a"));
    client_takes(&w);
    expect_end("all", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("all", world_reply(&w), PING FIRST("m", "a") WORD("m", "b") STOP("m") DONE);
    world_close(&w);
}

/* A text of `before`, so many letters, and `behind`. To be freed with memory_free(). */
static char *long_text(const char *before, size_t letters, const char *behind)
{
    size_t room = strlen(before) + letters + strlen(behind) + 1;
    char *text = memory_raw(room);
    assert_non_null(text);
    memset(text, 'x', room);
    memcpy(text, before, strlen(before));
    memcpy(text + strlen(before) + letters, behind, strlen(behind) + 1);
    return text;
}

enum way { THE_KEY_IS_REVOKED, THE_GATEWAY_STOPS, THE_CLIENT_GOES, WAYS };

static void end_by(enum way way)
{
    switch (way) {
    case THE_KEY_IS_REVOKED:
        w.recheck_error = ERR_KEY_REVOKED;
        call_recheck_keys(&w.shared, true);
        break;
    case THE_GATEWAY_STOPS:
        call_stop_all(&w.shared);
        break;
    case THE_CLIENT_GOES:
        client_leaves(&w);
        break;
    case WAYS:
        break;
    }
}

/* Whether the events end where one does, and each is JSON to its end or a comment. */
static void expect_whole_events(struct span reply)
{
    while (reply.len > 0) {
        const uint8_t *end = memmem(reply.at, reply.len, "\n\n", 2);
        assert_non_null(end);
        struct span event = span_cut(reply, 0, (size_t)(end - reply.at));
        assert_true(span_starts(event, SPAN(": ")) || span_is(event, "data: [DONE]") ||
                    event.at[event.len - 1] == '}');
        assert_null(memmem(event.at + 1, event.len - 1, "data: {", 7));
        reply = span_cut(reply, event.len + 2, reply.len);
    }
}

static void nothing_is_put_into_the_middle_of_a_large_event(void **state)
{
    (void)state;
    char *reply = long_text("data: {'choices':[{'index':0,'delta':{'content':'", LARGE,
                            "'},'finish_reason':null}]}\n\n" REST);
    for (enum way way = 0; way < WAYS; way++) {
        bool is_over = false;
        for (unsigned turns = 0; !is_over; turns++) {
            world_open(&w);
            w.scripts[0].body = reply;
            w.holds_turns = true;
            world_chat(&w, ASKED);
            time_passes(&w, 16000);
            server_answers(&w, ALL_OF_IT);
            for (unsigned i = 0; i < turns; i++) {
                (void)loop_turn(&w);
                expect_worker_is_free();
            }
            time_passes(&w, 40000); /* of silence: the loop does not turn */
            is_over = w.client.end != STILL_OPEN;
            end_by(is_over ? WAYS : way);
            if (w.client.end == FINISHED) {
                expect_whole_events(world_reply(&w));
            }
            while (loop_turn(&w)) {
            }
            assert_true(!is_over || w.completion.outcome == JOURNAL_OUTCOME_OK);
            world_close(&w);
        }
    }
    memory_free(reply);
}

static void of_two_tries_that_take_turns_one_wins(void **state)
{
    (void)state;
    char *reply =
        long_text("{'model':'m','choices':[{'index':0,'message':{'content':'", SMALL, "'}}]}");
    for (size_t first = 0; first < 2; first++) {
        for (int is_small = 0; is_small < 2; is_small++) {
            world_open(&w);
            w.others[0] = "away";
            w.hedge_after_ms = 2000;
            w.durable = 100;
            w.holds_turns = true;
            w.scripts[first].body = reply;
            w.scripts[1 - first].body = is_small == 1 ? CHAT_REPLY : reply;
            world_chat(&w, CHAT_BODY(""));
            time_passes(&w, 2000);
            attempt_answers(&w.attempts[first], ALL_OF_IT);
            attempt_answers(&w.attempts[1 - first], ALL_OF_IT);
            while (loop_turn(&w)) {
                expect_worker_is_free();
            }
            expect_end("one of two", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
            assert_int_equal(w.try_ends, 1);
            assert_true(list_is_empty(&w.shared.yielding));
            world_close(&w);
        }
    }
    memory_free(reply);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_content_of_a_call_that_fails_with_it_is_nobodys),
        cmocka_unit_test(the_first_content_is_put_however_much_the_client_has_to_take),
        cmocka_unit_test(nothing_is_put_into_the_middle_of_a_large_event),
        cmocka_unit_test(of_two_tries_that_take_turns_one_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
