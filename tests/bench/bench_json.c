/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_json.c — how long the index of a request body takes, beside simdjson's DOM.
 *
 * Prints nanoseconds a body: the fastest of many rounds, which is what the code costs when nothing
 * else disturbs it, and the median. Both parsers keep their memory from body to body.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "json/json_edit.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define ROUNDS   41
#define ROUND_NS 4000000 /* how long one round takes, about */

/* bench_json_simdjson.cc: one parse; whether it was JSON. */
bool bench_simdjson(const uint8_t *text, size_t len);

static const char english[] =
    "The committee met on the 3rd of November and agreed, after some discussion, that the budget "
    "for the coming year should not exceed last year's by more than 4 %. It asked for a report.\n";
static const char arabic[] = "اجتمعت اللجنة في الثالث من نوفمبر واتفقت بعد نقاش على ألا تتجاوز "
                             "ميزانية العام المقبل ميزانية العام الماضي بأكثر من ٤٪.\n";

static void put_message(struct json_writer *w, const char *role, const char *sentence, size_t bytes)
{
    struct buf content;
    buf_init(&content, bytes + 1024);
    while (buf_span(&content).len < bytes) {
        buf_put_text(&content, sentence);
    }
    json_write_object(w);
    json_write_key(w, "role");
    json_write_text(w, role);
    json_write_key(w, "content");
    json_write_string(w, buf_span(&content));
    json_write_end(w);
    buf_fini(&content);
}

/* A chat request: four messages, the last of which holds most of `bytes`. */
static void make_chat(struct buf *out, const char *sentence, size_t bytes)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "model");
    json_write_text(&w, "arabic-large");
    json_write_key(&w, "messages");
    json_write_array(&w);
    put_message(&w, "system", sentence, 200);
    put_message(&w, "user", sentence, 150);
    put_message(&w, "assistant", sentence, 250);
    put_message(&w, "user", sentence, bytes);
    json_write_end(&w);
    static const char *const numbers[] = {"temperature", "top_p", "frequency_penalty"};
    for (size_t i = 0; i < 3; i++) {
        json_write_key(&w, numbers[i]);
        json_write_double(&w, 0.7);
    }
    json_write_key(&w, "max_tokens");
    json_write_int(&w, 512);
    json_write_key(&w, "stream");
    json_write_bool(&w, true);
    json_write_key(&w, "stream_options");
    json_write_raw(&w, SPAN("{\"include_usage\":true}"));
    json_write_end(&w);
    CHECK(json_write_finish(&w) == ERR_OK);
}

/* The same text with all that is not ASCII as \uXXXX, as some clients send it. */
static void escape_all(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t lead = text.at[i];
        if (lead < 0x80) {
            buf_put_byte(out, lead);
        } else if (lead < 0xe0) {
            buf_printf(out, "\\u%04x", (lead & 0x1fu) << 6 | (text.at[i + 1] & 0x3fu));
            i += 1;
        } else {
            buf_printf(out, "\\u%04x",
                       (lead & 0x0fu) << 12 | (text.at[i + 1] & 0x3fu) << 6 |
                           (text.at[i + 2] & 0x3fu));
            i += 2;
        }
    }
}

/* An embeddings reply with 1,024 floats. */
static void make_embedding(struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "embedding");
    json_write_array(&w);
    for (int i = 0; i < 1024; i++) {
        json_write_float(&w, (float)((i * 7919) % 2000 - 1000) / 12345.0F);
    }
    json_write_end(&w);
    json_write_end(&w);
    CHECK(json_write_finish(&w) == ERR_OK);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct job {
    struct json_index *index;
    struct span text;
};

static void run_index(const struct job *job)
{
    CHECK(json_index_parse_borrow(job->index, job->text) == ERR_OK);
}

static void run_simdjson(const struct job *job)
{
    CHECK(bench_simdjson(job->text.at, job->text.len));
}

/* What the gateway does beyond the index: model, duplicates, two edits, pieces. */
static void run_call(const struct job *job)
{
    struct arena arena;
    struct json_edits edits;
    struct span model;
    struct iovec pieces[16];
    uint32_t duplicate;
    run_index(job);
    arena_init(&arena, 65536);
    uint32_t row = json_find(job->index, 0, SPAN("model"));
    CHECK(json_first_duplicate(job->index, 0, &duplicate) == ERR_OK && duplicate == JSON_NONE);
    if (row != JSON_NONE) {
        CHECK(json_text(job->index, row, &arena, &model) == ERR_OK);
        json_edits_init(&edits, job->index, &arena);
        json_edits_set_value_borrow(&edits, row, SPAN("\"tiiuae/Falcon-H1-34B-Instruct\""));
        json_edits_add_member_borrow(&edits, 0, JSON_AT_END, SPAN("\"user\":null"));
        CHECK(json_edits_most_pieces(&edits) <= 16 && json_edits_pieces(&edits, pieces) > 0);
    }
    arena_fini(&arena);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Prints the fastest and the median round. */
static void measure(void (*run)(const struct job *), const struct job *job)
{
    double rounds[ROUNDS];
    uint64_t begun = now_ns();
    run(job);
    run(job);
    uint64_t once = (now_ns() - begun) / 2 + 1;
    uint64_t times = ROUND_NS / once + 1;
    for (size_t r = 0; r < ROUNDS; r++) {
        begun = now_ns();
        for (uint64_t i = 0; i < times; i++) {
            run(job);
        }
        rounds[r] = (double)(now_ns() - begun) / (double)times;
    }
    qsort(rounds, ROUNDS, sizeof(rounds[0]), by_value);
    printf(" %9.0f %9.0f", rounds[0], rounds[ROUNDS / 2]);
}

static void show(const char *name, struct buf *body)
{
    struct json_index index;
    json_index_init(&index, 1000000, 64);
    struct job job = {&index, buf_span(body)};
    run_index(&job);
    printf("%-28s %7zu %6u", name, job.text.len, index.count);
    measure(run_index, &job);
    measure(run_call, &job);
    measure(run_simdjson, &job);
    printf("\n");
    json_index_fini(&index);
    buf_clear(body);
}

int main(void)
{
    struct buf body, raw;
    buf_init(&body, 1 << 24);
    buf_init(&raw, 1 << 24);
    printf("nanoseconds a body; fastest and median of %d rounds\n", ROUNDS);
    printf("%-28s %7s %6s %19s %19s %19s\n", "body", "bytes", "rows", "index", "+ model and edits",
           "simdjson DOM");
    make_chat(&body, english, 500);
    show("chat 1.7 kB, English", &body);
    make_chat(&body, arabic, 450);
    show("chat 1.7 kB, Arabic", &body);
    make_chat(&body, english, 99000);
    show("chat 100 kB, English", &body);
    make_chat(&body, arabic, 99000);
    show("chat 100 kB, Arabic", &body);
    make_chat(&raw, arabic, 30000);
    escape_all(&body, buf_span(&raw));
    show("chat 100 kB, Arabic as \\u", &body);
    make_embedding(&body);
    show("embedding, 1,024 floats", &body);
    buf_fini(&raw);
    buf_fini(&body);
    return 0;
}
