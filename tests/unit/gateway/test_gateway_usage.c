/* SPDX-License-Identifier: Apache-2.0 */
/* test_gateway_usage.c — questions about usage: an exchange waits, a worker does not; whoever
 * leaves first, all is freed once. */
#include "call/world_scene.h"

#include "gateway/gateway_replies.h"
#include "gateway/gateway_usage.h"
#include "net/net_loop.h"

static struct world w;

/* Who answers: keeps one question, and refuses if it is told to. */
static struct gateway_question *asked;
static enum err refuses;

static enum err ask(void *ctx, struct gateway_question *q)
{
    (void)ctx;
    asked = refuses == ERR_OK ? q : NULL;
    return refuses;
}

static const struct gateway_answerer answerer = {NULL, ask};

static struct net_loop *loop;

static void begin(const char *target, const char *lines)
{
    world_open(&w);
    refuses = ERR_OK;
    assert_int_equal(net_loop_open(&loop), ERR_OK);
    assert_int_equal(gateway_asks_open(loop, &answerer, &w.shared.asks), ERR_OK);
    gateway_reply(&w.shared, true, 0, world_client(&w, target, lines, NULL));
}

static void end(void)
{
    gateway_asks_close(&w.shared.asks);
    gateway_asks_close(&w.shared.asks);
    net_loop_close(&loop);
    world_close(&w);
}

static void on_stop(struct net_task *task)
{
    (void)task;
    net_loop_stop(loop);
}

/* Runs what was posted. */
static void turn(void)
{
    struct net_task stop;
    net_task_init(&stop, on_stop);
    net_loop_post(loop, &stop);
    net_loop_run(loop);
}

#define KEY "Authorization: Bearer k1\r\n"

static void the_answer_is_put_when_it_is_there(void **state)
{
    (void)state;
    begin("GET /v1/usage?by=model", KEY "Accept: text/csv\r\n");
    assert_non_null(asked);
    assert_int_equal(w.client.end, STILL_OPEN);
    assert_true(span_is(asked->query, "by=model"));
    assert_true(span_is(asked->accept, "text/csv"));
    buf_put_text(&asked->out, "model\n");
    asked->is_csv = true;
    asked->done(asked);
    assert_int_equal(w.client.end, STILL_OPEN); /* on the worker's thread alone */
    turn();
    assert_int_equal(w.client.end, FINISHED);
    assert_true(world_holds(buf_span(&w.client.fields), "text/csv"));
    assert_true(span_is(world_reply(&w), "model\n"));
    end();
}

static void a_refusal_says_what_is_wrong(void **state)
{
    (void)state;
    begin("GET /v1/usage?by=x", KEY);
    asked->result = ERR_VALUE_INVALID;
    (void)snprintf(asked->message, sizeof(asked->message), "'by' must be something");
    (void)snprintf(asked->param, sizeof(asked->param), "by");
    asked->done(asked);
    turn();
    assert_int_equal(w.client.error, ERR_VALUE_INVALID);
    assert_true(span_is(buf_span(&w.client.message), "'by' must be something"));
    assert_true(span_is(buf_span(&w.client.param), "by"));
    end();
}

static void one_that_is_not_taken_is_refused_at_once(void **state)
{
    (void)state;
    begin("GET /healthz", "");
    world_close(&w);
    struct gateway_asks *asks = w.shared.asks;
    world_open(&w);
    w.shared.asks = asks;
    refuses = ERR_OVERLOADED;
    gateway_reply(&w.shared, true, 0, world_client(&w, "GET /v1/usage", KEY, NULL));
    assert_int_equal(w.client.error, ERR_OVERLOADED);
    end();
}

static void who_has_left_is_told_nothing(void **state)
{
    (void)state;
    begin("GET /v1/usage", KEY);
    w.client.is_gone = true;
    asked->done(asked);
    turn();
    assert_int_equal(w.client.end, CANCELLED);
    end();
}

/* The worker ends before the answer is there, and between that and the loop's turn. */
static void a_worker_that_ends_cuts_the_question_off(void **state)
{
    (void)state;
    for (int is_done = 0; is_done < 2; is_done++) {
        begin("GET /v1/usage", KEY);
        struct gateway_question *q = asked;
        if (is_done == 1) {
            q->done(q);
        }
        gateway_asks_close(&w.shared.asks);
        assert_int_equal(w.client.end, CANCELLED);
        if (is_done == 0) {
            q->done(q); /* frees it: the leak check sees to that */
        }
        end();
    }
}

static void without_a_key_nothing_is_asked(void **state)
{
    (void)state;
    asked = NULL;
    begin("GET /v1/usage", "");
    assert_null(asked);
    assert_int_equal(w.client.error, ERR_KEY_MISSING);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_is_put_when_it_is_there),
        cmocka_unit_test(a_refusal_says_what_is_wrong),
        cmocka_unit_test(one_that_is_not_taken_is_refused_at_once),
        cmocka_unit_test(who_has_left_is_told_nothing),
        cmocka_unit_test(a_worker_that_ends_cuts_the_question_off),
        cmocka_unit_test(without_a_key_nothing_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
