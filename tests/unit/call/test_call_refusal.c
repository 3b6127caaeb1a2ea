/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_refusal.c — calls that end before a model server hears of them. */
#include "world_scene.h"

static struct world w;

#define JSON "Content-Type: application/json\r\n"
#define KEY  "Authorization: Bearer k1\r\n"

static const struct {
    const char *why, *lines;
    enum err key_error;
    uint32_t scopes; /* 0: all */
    const char *body;
    enum err error;
} heads[] = {
    {"no key", JSON, ERR_OK, 0, "{}", ERR_KEY_MISSING},
    {"an empty one", JSON "Authorization: \r\n", ERR_OK, 0, "{}", ERR_KEY_MISSING},
    {"a scheme alone", JSON "Authorization: Bearer\r\n", ERR_OK, 0, "{}", ERR_KEY_MISSING},
    {"blanks as key", JSON "Authorization: Bearer  \r\n", ERR_OK, 0, "{}", ERR_KEY_MISSING},
    {"another scheme", JSON "Authorization: Basic k1\r\n", ERR_OK, 0, "{}", ERR_KEY_MISSING},
    {"a scheme without a blank", JSON "Authorization: Bearerk1\r\n", ERR_OK, 0, "{}",
     ERR_KEY_MISSING},
    {"an unknown key", JSON KEY, ERR_KEY_INVALID, 0, "{}", ERR_KEY_INVALID},
    {"an expired key", JSON KEY, ERR_KEY_EXPIRED, 0, "{}", ERR_KEY_EXPIRED},
    {"a revoked key", JSON KEY, ERR_KEY_REVOKED, 0, "{}", ERR_KEY_REVOKED},
    {"an admin key", JSON KEY, ERR_KEY_WRONG_KIND, 0, "{}", ERR_KEY_WRONG_KIND},
    {"a key for other endpoints", JSON KEY, ERR_OK, KEY_SCOPE_EMBEDDINGS | KEY_SCOPE_MODELS, "{}",
     ERR_SCOPE_DENIED},
    {"a coded body", JSON KEY "Content-Encoding: gzip\r\n", ERR_OK, 0, "{}",
     ERR_HTTP_CONTENT_CODING},
    {"text", KEY "Content-Type: text/plain\r\n", ERR_OK, 0, "{}", ERR_HTTP_MEDIA_TYPE},
    {"a form", KEY "Content-Type: multipart/form-data; boundary=x\r\n", ERR_OK, 0, "{}",
     ERR_HTTP_MEDIA_TYPE},
    {"JSON lines", KEY "Content-Type: application/jsonl\r\n", ERR_OK, 0, "{}", ERR_HTTP_MEDIA_TYPE},
};

static void a_head_that_will_not_do_is_refused_before_a_body_byte_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(heads); i++) {
        world_open(&w);
        w.key_error = heads[i].key_error;
        w.scopes = heads[i].scopes == 0 ? w.scopes : heads[i].scopes;
        world_request_lines(&w, "/v1/chat/completions", heads[i].lines, heads[i].body, ALL_OF_IT);
        expect_end(heads[i].why, &w, REFUSED, heads[i].error, JOURNAL_OUTCOME_REFUSED);
        assert_true(w.client.pulls == 0 && w.client.continued == 0 && w.started == 0);
        assert_int_equal(w.completions, w.key_known);
        assert_true(world_holds(buf_span(&w.client.fields), "x-request-id: 01ABC"));
        world_close(&w);
    }
}

/* Answers run out for who guesses, and for nobody who has a key, or only an old one. */
static void who_guesses_runs_out_of_answers_and_a_good_key_is_let_in(void **state)
{
    (void)state;
    static const struct {
        enum err key_error, error;
    } asked[] = {
        {ERR_KEY_INVALID, ERR_KEY_INVALID},  {ERR_KEY_REVOKED, ERR_KEY_REVOKED},
        {ERR_KEY_EXPIRED, ERR_KEY_EXPIRED},  {ERR_KEY_INVALID, ERR_KEY_INVALID},
        {ERR_KEY_INVALID, ERR_KEYS_GUESSED}, {ERR_KEY_INVALID, ERR_KEYS_GUESSED},
        {ERR_KEY_REVOKED, ERR_KEY_REVOKED},  {ERR_KEY_WRONG_KIND, ERR_KEY_WRONG_KIND},
        {ERR_OK, ERR_VALUE_MISSING},
    };
    struct limits_gate *gate;
    assert_int_equal(limits_gate_open(&gate), ERR_OK);
    for (size_t i = 0; i < ROWS(asked); i++) {
        world_open(&w);
        w.shared.gate = gate;
        w.shared.gate_terms.guesses = limits_gate_rate_of(2, 0);
        w.key_error = asked[i].key_error;
        world_request_lines(&w, "/v1/chat/completions", JSON KEY, "{}", ALL_OF_IT);
        expect_end("guesses", &w, REFUSED, asked[i].error, JOURNAL_OUTCOME_REFUSED);
        assert_int_equal(world_holds(buf_span(&w.client.fields), "Retry-After: 30\r\n"),
                         asked[i].error == ERR_KEYS_GUESSED);
        world_close(&w);
    }
    limits_gate_close(&gate);
}

static void a_media_type_of_json_will_do(void **state)
{
    (void)state;
    static const char *const lines[] = {
        KEY,
        KEY "Content-Type: Application/JSON; charset=utf-8\r\n",
        KEY "Content-Type: application/vnd.x+json\r\n",
        "Authorization: bearer  k1 \r\nContent-Type: application/json\r\n",
    };
    for (size_t i = 0; i < ROWS(lines); i++) {
        world_open(&w);
        w.scripts[0].body = CHAT_REPLY;
        world_request_lines(&w, "/v1/chat/completions", lines[i], CHAT_BODY(""), ALL_OF_IT);
        server_answers(&w, ALL_OF_IT);
        expect_end(lines[i], &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_close(&w);
    }
}

static void the_most_calls_at_once_is_kept(void **state)
{
    (void)state;
    world_open(&w);
    w.calls_open = 2;
    world_chat(&w, CHAT_BODY(""));
    expect_end("many", &w, REFUSED, ERR_OVERLOADED, JOURNAL_OUTCOME_REFUSED);
    assert_int_equal(w.client.pulls, 0);
    assert_int_equal(w.calls_open, 2);
    w.calls_open = 0;
    world_close(&w);
}

static void a_body_past_its_bound_is_refused_as_soon_as_that_is_seen(void **state)
{
    (void)state;
    world_open(&w);
    w.shared.body_bytes_max = 10;
    world_chat(&w, "{'model':1}");
    expect_end("announced", &w, REFUSED, ERR_BODY_TOO_LARGE, JOURNAL_OUTCOME_REFUSED);
    assert_true(w.client.pulls == 0 && w.client.continued == 0);
    world_close(&w);

    world_open(&w);
    w.shared.body_bytes_max = 10;
    w.client.is_chunked = true;
    world_chat(&w, "{'model':1}");
    expect_end("found out", &w, REFUSED, ERR_BODY_TOO_LARGE, JOURNAL_OUTCOME_REFUSED);
    assert_true(w.client.pulls > 0 && w.client.continued == 1);
    world_close(&w);

    world_open(&w);
    w.shared.body_bytes_max = 11;
    w.client.is_chunked = true;
    world_chat(&w, "{'model':1}");
    expect_end("just fits", &w, REFUSED, ERR_VALUE_INVALID, JOURNAL_OUTCOME_REFUSED);
    world_close(&w);
}

#define LONG_64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG_256 LONG_64 LONG_64 LONG_64 LONG_64

static const struct {
    const char *why, *path, *body;
    enum err error;
    const char *param, *message; /* a part of it */
} bodies[] = {
    {"nothing", "/v1/chat/completions", "", ERR_BODY_NOT_JSON, "", "offset 0"},
    {"half an object", "/v1/chat/completions", "{'model':", ERR_BODY_NOT_JSON, "", "offset 9"},
    {"a comma too many", "/v1/chat/completions", "{'model':'m',}", ERR_BODY_NOT_JSON, "",
     "offset 13"},
    {"an array", "/v1/chat/completions", "[]", ERR_BODY_NOT_OBJECT, "", ""},
    {"no model", "/v1/chat/completions", "{'messages':[{}]}", ERR_VALUE_MISSING, "model", "model"},
    {"a model twice", "/v1/chat/completions", CHAT_BODY(",'mod\\u0065l':'x'"), ERR_JSON_DUPLICATE,
     "mod\\u0065l", ""},
    {"a long key twice", "/v1/chat/completions", CHAT_BODY(",'" LONG_256 "x':1,'" LONG_256 "x':2"),
     ERR_JSON_DUPLICATE, LONG_256, ""},
    {"an unknown model", "/v1/chat/completions", "{'model':'gpt-9','messages':[{}]}",
     ERR_MODEL_UNKNOWN, "model", "'gpt-9'"},
    {"a profile that nobody knows", "/v1/chat/completions", CHAT_BODY(",'routing_preference':'x'"),
     ERR_VALUE_INVALID, "routing_preference", "there is no such profile"},
    {"two profiles", "/v1/chat/completions",
     CHAT_BODY(",'routing_preference':'cost','routing':{'profile':'balanced'}"), ERR_VALUE_INVALID,
     "routing_preference", "two profiles"},
    {"a member of routing that nobody knows", "/v1/chat/completions",
     CHAT_BODY(",'routing':{'speed':'x'}"), ERR_VALUE_INVALID, "routing", "`profile`"},
    {"routing that is no object", "/v1/chat/completions", CHAT_BODY(",'routing':'cost'"),
     ERR_VALUE_INVALID, "routing", "must be an object"},
    {"a wish that is no text", "/v1/chat/completions", CHAT_BODY(",'routing_preference':7"),
     ERR_VALUE_INVALID, "routing_preference", "a profile's name"},
    {"a model for other endpoints", "/v1/chat/completions", "{'model':'vectors','messages':[{}]}",
     ERR_MODEL_ENDPOINT, "model", ""},
    {"embeddings of a chat model", "/v1/embeddings", "{'model':'m','input':'x'}",
     ERR_MODEL_ENDPOINT, "model", ""},
    {"tokens for who takes text", "/v1/embeddings", "{'model':'vectors','input':[1]}",
     ERR_VALUE_INVALID, "input", "check_embedding_ctx_length=False"},
    {"tokens for a server that takes text", "/v1/completions", "{'model':'away','prompt':[1]}",
     ERR_VALUE_INVALID, "prompt", "not token numbers"},
    {"more tokens than fit", "/v1/completions", "{'model':'m','prompt':[1,2,3,4,5]}",
     ERR_CONTEXT_LENGTH, "", ""},
};

static void a_body_that_will_not_do_is_refused_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(bodies); i++) {
        world_open(&w);
        world_request(&w, bodies[i].path, bodies[i].body);
        expect_end(bodies[i].why, &w, REFUSED, bodies[i].error, JOURNAL_OUTCOME_REFUSED);
        world_expect(bodies[i].why, buf_span(&w.client.param), bodies[i].param);
        if (!world_holds(buf_span(&w.client.message), bodies[i].message)) {
            fail_msg("%s: %.*s", bodies[i].why, SPAN_ARGS(buf_span(&w.client.message)));
        }
        assert_true(w.started == 0 && w.completions == 1 && w.completion.attempt == 0 &&
                    w.completion.tokens_in == 0 && w.completion.cost_nano == 0);
        world_close(&w);
    }
}

static void a_body_that_breaks_off_is_refused_as_the_server_says(void **state)
{
    (void)state;
    static const enum err errors[] = {ERR_HTTP_CHUNK, ERR_HTTP_BODY_CUT, ERR_HTTP_BODY_TIMEOUT};
    for (size_t i = 0; i < ROWS(errors); i++) {
        world_open(&w);
        world_request_lines(&w, "/v1/chat/completions", USUAL_LINES, CHAT_BODY(""), 5);
        assert_int_equal(w.client.end, STILL_OPEN);
        assert_true(memory_taken() > 0);
        w.client.body_error = errors[i];
        client_event(&w);
        expect_end(err_name(errors[i]), &w, REFUSED, errors[i], JOURNAL_OUTCOME_REFUSED);
        world_close(&w);
    }
}

static void a_journal_in_trouble_admits_nothing(void **state)
{
    (void)state;
    static const enum err errors[] = {ERR_DISK_FULL, ERR_DISK};
    for (unsigned slots = 0; slots < 2; slots++) {
        for (size_t i = 0; i < ROWS(errors); i++) {
            world_open(&w);
            w.slots_max = slots;
            w.journal_error = errors[i];
            world_chat(&w, CHAT_BODY(""));
            expect_end(err_name(errors[i]), &w, REFUSED, errors[i], JOURNAL_OUTCOME_REFUSED);
            assert_int_equal(w.client.status, 503);
            assert_true(w.started == 0 && w.intents == 0 && w.completions == slots);
            world_close(&w);
        }
    }
}

/* A call for which the journal has `slots` slots. */
static void call_with_slots(unsigned slots)
{
    world_open(&w);
    w.now_us = 1000000;
    w.slots_max = slots;
    w.scripts[0].body = "{" CHOICES "}";
    world_chat(&w, CHAT_BODY(""));
    assert_int_equal(w.client.end, STILL_OPEN);
}

static void a_call_waits_for_room_in_the_journal(void **state)
{
    (void)state;
    for (unsigned slots = 0; slots < 2; slots++) {
        call_with_slots(slots);
        client_event(&w); /* the reason to look is another */
        call_wake_durable(&w.shared);
        assert_true(w.started == 0 && w.intents == 0 && w.slots_held == 0);
        w.slots_max = WORLD_SLOTS;
        call_wake_durable(&w.shared);
        assert_int_equal(w.started, 1);
        server_answers(&w, ALL_OF_IT);
        expect_end("room", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_close(&w);
    }
}

static void a_call_does_not_wait_for_room_for_ever(void **state)
{
    (void)state;
    call_with_slots(1);
    time_passes(&w, 9999);
    call_wake_durable(&w.shared);
    assert_int_equal(w.client.end, STILL_OPEN);
    time_passes(&w, 1);
    expect_end("no room", &w, REFUSED, ERR_JOURNAL_FULL, JOURNAL_OUTCOME_REFUSED);
    assert_true(w.client.status == 503 && w.started == 0 && w.intents == 0);
    world_close(&w);
}

static void a_client_that_goes_while_its_call_waits_for_room_ends_it(void **state)
{
    (void)state;
    call_with_slots(1);
    w.client.is_gone = true;
    client_event(&w);
    expect_end("gone", &w, CANCELLED, ERR_CLIENT_GONE, JOURNAL_OUTCOME_CLIENT_GONE);
    assert_int_equal(w.started, 0);
    world_close(&w);
}

static void a_model_server_that_hangs_leaves_room_for_calls_to_others(void **state)
{
    (void)state;
    static const struct {
        int64_t in_flight;
        const char *model;
        enum err error;
    } rows[] = {{13, "near", ERR_OK}, {14, "near", ERR_UPSTREAM_BUSY}, {14, "away", ERR_OK}};
    for (size_t r = 0; r < ROWS(rows); r++) {
        world_open(&w);
        w.policy->calls_max = 16;
        struct deployment *hung = w.policy->deployments[0];
        assert_string_equal(hung->definition.name, "near");
        atomic_store(&hung->in_flight, rows[r].in_flight);
        w.durable = 1;
        w.scripts[0].body = "{" CHOICES "}";
        bool is_near = strcmp(rows[r].model, "near") == 0;
        world_chat(&w, is_near ? CHAT_BODY("") : "{'model':'away','messages':[{}]}");
        if (rows[r].error == ERR_OK) {
            server_answers(&w, ALL_OF_IT);
            expect_end("others", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        } else {
            expect_end("the one", &w, REFUSED, rows[r].error, JOURNAL_OUTCOME_REFUSED);
            assert_int_equal(w.intents, 0);
        }
        atomic_store(&hung->in_flight, 0);
        world_close(&w);
    }
}

static void a_retry_waits_for_room_in_the_journal(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].fail = ERR_UPSTREAM_STALE;
    w.scripts[1].body = "{" CHOICES "}";
    world_chat(&w, CHAT_BODY(""));
    w.slots_max = 1;
    server_answers(&w, 0);
    assert_true(w.client.end == STILL_OPEN && w.started == 1);
    w.slots_max = 3;
    call_wake_durable(&w.shared);
    assert_int_equal(w.started, 2);
    server_answers(&w, ALL_OF_IT);
    expect_end("room", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_close(&w);
}

static void a_call_past_the_allowance_of_all_is_refused(void **state)
{
    (void)state;
    for (uint64_t allowance = 1; allowance <= 300000; allowance += 16000) {
        world_open(&w);
        memory_set_allowance(allowance);
        w.client.is_chunked = true;
        w.scripts[0].body = CHAT_REPLY;
        world_chat(&w, CHAT_BODY(""));
        if (w.client.end == STILL_OPEN) {
            server_answers(&w, 10); /* in two pieces: it has to be kept */
            server_sends(&w, ALL_OF_IT);
        }
        memory_set_allowance(0);
        if (w.client.end == REFUSED) {
            expect_end("no room", &w, REFUSED, ERR_OVERLOADED,
                       w.started == 0 ? JOURNAL_OUTCOME_REFUSED : JOURNAL_OUTCOME_FAILED);
        } else {
            assert_int_equal(w.client.end, FINISHED);
            assert_true(allowance > 256000);
        }
        world_close(&w);
    }
}

/* What is made of a reply counts like the reply: with ever more allowance it is refused, until all
 * of it fits; and what is then held is no more than was allowed. */
static void what_is_made_of_a_reply_counts_against_the_allowance_of_all(void **state)
{
    (void)state;
    enum { FLOATS = 40 * 1024 * 3, STEP = 100000 };
    for (int is_base64 = 0; is_base64 < 2; is_base64++) {
        char *reply = world_vectors(1, FLOATS, is_base64 == 1);
        size_t refused = 0, made = (size_t)FLOATS * (is_base64 == 1 ? 4 : 16 / 3);
        for (uint64_t allowance = strlen(reply);; allowance += STEP) {
            world_open(&w);
            w.policy->deployments[0]->definition.reply_bytes_max = 64 << 20;
            memory_set_allowance(allowance);
            w.scripts[0].body = reply;
            world_request(&w, "/v1/embeddings",
                          is_base64 == 1
                              ? "{'model':'vectors','input':'x'}"
                              : "{'model':'vectors','input':'x','encoding_format':'base64'}");
            server_answers(&w, ALL_OF_IT);
            memory_set_allowance(0);
            bool is_served = w.client.end == FINISHED;
            if (!is_served) {
                refused++;
                expect_end("no room", &w, REFUSED, ERR_OVERLOADED, JOURNAL_OUTCOME_FAILED);
            } else {
                assert_true(allowance >= strlen(reply) + made);
                assert_true(w.client.taken_most <= allowance &&
                            w.client.taken_most >= strlen(reply) + made);
            }
            world_close(&w);
            if (is_served) {
                break;
            }
        }
        assert_true(refused > 3);
        memory_free(reply);
    }
}

static void a_gateway_that_stops_takes_no_call(void **state)
{
    (void)state;
    world_open(&w);
    w.shared.draining = true;
    world_chat(&w, CHAT_BODY(""));
    expect_end("draining", &w, REFUSED, ERR_DRAINING, JOURNAL_OUTCOME_REFUSED);
    assert_int_equal(w.client.pulls, 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_that_will_not_do_is_refused_before_a_body_byte_is_read),
        cmocka_unit_test(who_guesses_runs_out_of_answers_and_a_good_key_is_let_in),
        cmocka_unit_test(a_media_type_of_json_will_do),
        cmocka_unit_test(the_most_calls_at_once_is_kept),
        cmocka_unit_test(a_body_past_its_bound_is_refused_as_soon_as_that_is_seen),
        cmocka_unit_test(a_body_that_will_not_do_is_refused_with_a_reason),
        cmocka_unit_test(a_body_that_breaks_off_is_refused_as_the_server_says),
        cmocka_unit_test(a_journal_in_trouble_admits_nothing),
        cmocka_unit_test(a_call_waits_for_room_in_the_journal),
        cmocka_unit_test(a_call_does_not_wait_for_room_for_ever),
        cmocka_unit_test(a_client_that_goes_while_its_call_waits_for_room_ends_it),
        cmocka_unit_test(a_model_server_that_hangs_leaves_room_for_calls_to_others),
        cmocka_unit_test(a_retry_waits_for_room_in_the_journal),
        cmocka_unit_test(a_call_past_the_allowance_of_all_is_refused),
        cmocka_unit_test(what_is_made_of_a_reply_counts_against_the_allowance_of_all),
        cmocka_unit_test(a_gateway_that_stops_takes_no_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
