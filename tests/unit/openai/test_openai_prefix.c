/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_prefix.c — requests that begin alike have their first hashes in common, and no more.
 */
#include "unit.h"

#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "openai/openai_prefix.h"

struct scene {
    struct arena arena;
    struct json_index x;
    struct openai_prefixes found;
};

static void begin(struct scene *s)
{
    arena_init(&s->arena, 64u << 20);
    json_index_init(&s->x, 1u << 20, 64);
}

static void end(struct scene *s)
{
    json_index_fini(&s->x);
    arena_fini(&s->arena);
}

static struct openai_request read_request(struct scene *s, enum openai_endpoint endpoint,
                                          struct span body)
{
    struct openai_reading reading;
    assert_int_equal(json_index_parse_borrow(&s->x, body), ERR_OK);
    openai_request_begin(&reading, &s->x, endpoint, &s->arena);
    while (!reading.is_done) {
        assert_int_equal(openai_request_step(&reading, SIZE_MAX), ERR_OK);
    }
    struct openai_request request = reading.request;
    openai_request_end(&reading);
    return request;
}

/* Of a body with the member `list` (its value as JSON) between two others. */
static struct openai_prefixes read_list(struct scene *s, enum openai_endpoint endpoint,
                                        const char *name, struct span list, const char *more)
{
    struct buf body;
    struct openai_prefixes found;
    buf_init(&body, 16u << 20);
    buf_printf(&body, "{\"model\":\"m\",\"%s\":", name);
    buf_put(&body, list);
    buf_printf(&body, "%s}", more);
    struct openai_request request = read_request(s, endpoint, buf_span(&body));
    assert_int_equal(openai_prefix_read(&s->x, &request, &s->arena, &found), ERR_OK);
    buf_fini(&body);
    return found;
}

/* A chat of so many messages, each of so many bytes of text that differs, but for `odd`: it ends
 * otherwise. -1: none. */
static struct openai_prefixes chat(struct scene *s, int messages, int bytes, int odd)
{
    struct buf list;
    buf_init(&list, 16u << 20);
    for (int i = 0; i < messages; i++) {
        buf_printf(&list, "%s{\"role\":\"%s\",\"content\":\"", i == 0 ? "[" : ",",
                   i % 2 == 0 ? "user" : "assistant");
        for (int b = 1; b < bytes; b++) {
            buf_put_byte(&list, (uint8_t)('a' + (i * 7 + b % 26 * (b % 26)) % 26));
        }
        buf_put_text(&list, i == odd ? "?\"}" : ".\"}");
    }
    buf_put_text(&list, "]");
    struct openai_prefixes found =
        read_list(s, OPENAI_CHAT, "messages", buf_span(&list), ",\"stream\":true");
    buf_fini(&list);
    return found;
}

/* How many of those of `a` are among those of `b`. */
static size_t count_common(const struct openai_prefixes *a, const struct openai_prefixes *b)
{
    size_t common = 0;
    for (size_t i = 0; i < a->count; i++) {
        for (size_t k = 0; k < b->count; k++) {
            common += a->at[i] == b->at[k];
        }
    }
    return common;
}

static void a_chat_that_grows_has_all_that_it_had(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    for (int turns = 1; turns < 20; turns++) {
        struct openai_prefixes before = chat(&s, 2 * turns - 1, 300, -1);
        struct openai_prefixes after = chat(&s, 2 * turns + 1, 300, -1);
        assert_true(before.count > 0 && after.count <= OPENAI_PREFIXES_MAX - 1);
        /* Its whole text is the last but two ends of the next turn; two ends may fall out. */
        assert_true(count_common(&before, &after) >= before.count - 2);
        bool has_whole = false;
        for (size_t i = 0; i < after.count; i++) {
            has_whole = has_whole || after.at[i] == before.at[before.count - 1];
        }
        assert_true(has_whole);
    }
    end(&s);
}

static void a_byte_that_differs_parts_all_behind_it(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    struct openai_prefixes one = chat(&s, 9, 1000, -1);
    for (int odd = 0; odd < 9; odd++) {
        struct openai_prefixes other = chat(&s, 9, 1000, odd);
        size_t common = count_common(&one, &other), alike = 0;
        assert_int_equal(one.count, other.count);
        while (alike < one.count && one.at[alike] == other.at[alike]) {
            alike++;
        }
        assert_int_equal(common, alike); /* none behind the first that differs */
        assert_true(common < one.count && (odd < 2 || common > 4));
    }
    end(&s);
}

static void what_is_short_has_none_and_what_is_long_has_few(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    assert_int_equal(chat(&s, 1, 10, -1).count, 0);
    assert_int_equal(chat(&s, 1, 300, -1).count, 2); /* 256 bytes, and all of it */
    assert_true(chat(&s, 9, 1000000, -1).count == 14);
    assert_true(chat(&s, 2000, 100, -1).count <= OPENAI_PREFIXES_MAX - 1);
    for (int bytes = 200; bytes < 1200; bytes++) { /* wherever ends and steps meet */
        struct openai_prefixes found = chat(&s, 3, bytes, -1);
        for (size_t i = 1; i < found.count; i++) {
            assert_true(found.at[i] != found.at[i - 1]);
        }
    }
    end(&s);
}

static void prompts_have_them_and_embeddings_none(void **state)
{
    (void)state;
    struct scene s;
    char text[600];
    begin(&s);
    (void)snprintf(text, sizeof(text), "\"%0500d\"", 1);
    struct openai_prefixes short_one =
        read_list(&s, OPENAI_COMPLETIONS, "prompt", span_of(text), "");
    (void)snprintf(text, sizeof(text), "\"%0500d and more, of which nobody knew\"", 1);
    struct openai_prefixes longer = read_list(&s, OPENAI_COMPLETIONS, "prompt", span_of(text), "");
    assert_int_equal(short_one.count, 2);
    assert_int_equal(count_common(&short_one, &longer), 2);
    assert_int_equal(read_list(&s, OPENAI_EMBEDDINGS, "input", span_of(text), "").count, 0);
    assert_int_equal(read_list(&s, OPENAI_COMPLETIONS, "prompt", SPAN("[[1,2,3],[4]]"), "").count,
                     0);
    assert_int_equal(read_list(&s, OPENAI_COMPLETIONS, "prompt", SPAN("\"\""), "").count, 0);
    end(&s);
}

static void the_name_of_a_chat_is_read(void **state)
{
    (void)state;
    struct scene s;
    struct span list = SPAN("[{\"role\":\"user\",\"content\":\"hi\"}]");
    begin(&s);
    assert_true(span_is(
        read_list(&s, OPENAI_CHAT, "messages", list, ",\"prompt_cache_key\":\"k\"").named, "k"));
    assert_int_equal(read_list(&s, OPENAI_CHAT, "messages", list, "").named.len, 0);
    struct openai_request request =
        read_request(&s, OPENAI_CHAT,
                     SPAN("{\"model\":\"m\",\"extra_body\":{\"messages\":[{\"role\":\"user\","
                          "\"content\":\"hi\"}],\"session_id\":\"e\"}}"));
    assert_int_equal(openai_prefix_read(&s.x, &request, &s.arena, &s.found), ERR_OK);
    assert_true(span_is(s.found.named, "e"));
    end(&s);
}

/* Printed, for who asks; a bound that a machine under load keeps, too. */
static void it_takes_no_time(void **state)
{
    (void)state;
    struct scene s;
    struct timespec from, to;
    struct buf body;
    begin(&s);
    buf_init(&body, 16u << 20);
    buf_put_text(&body, "{\"model\":\"m\",\"messages\":[");
    for (int i = 0; i < 9; i++) {
        buf_printf(&body, "%s{\"role\":\"user\",\"content\":\"%0150d\"}", i == 0 ? "" : ",", i);
    }
    buf_put_text(&body, "]}");
    struct openai_request request = read_request(&s, OPENAI_CHAT, buf_span(&body));
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from), 0);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(openai_prefix_read(&s.x, &request, &s.arena, &s.found), ERR_OK);
    }
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to), 0);
    double ns =
        ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / 10000;
    print_message("%zu bytes: %.0f ns, %zu hashes\n", buf_span(&body).len, ns, s.found.count);
    assert_true(ns < 20000);
    buf_fini(&body);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_that_grows_has_all_that_it_had),
        cmocka_unit_test(a_byte_that_differs_parts_all_behind_it),
        cmocka_unit_test(what_is_short_has_none_and_what_is_long_has_few),
        cmocka_unit_test(prompts_have_them_and_embeddings_none),
        cmocka_unit_test(the_name_of_a_chat_is_read),
        cmocka_unit_test(it_takes_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
