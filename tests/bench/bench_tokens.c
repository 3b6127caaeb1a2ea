/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_tokens.c — shapes and estimates of texts, for tokens.py, which has the real counts.
 *
 *   bench_tokens         of each text of standard input, a NUL behind each: a line of its traits
 * and of its tokens by each row of text_tokenizer.def; before it all their names bench_tokens time
 * how long a shape takes, of a text of each kind
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text/text_tokenizer.h"
#include "text/text_tokens.h"

#define INPUT_MAX (64u << 20)
#define REPEATS   2000
#define TEXT      65536u

static int tell_all(void)
{
    static char input[INPUT_MAX];
    size_t len = fread(input, 1, sizeof(input), stdin);
    printf("%d", TEXT_TRAITS);
    for (size_t t = 0; text_tokenizer_at(t) != NULL; t++) {
        printf(" %s", t == 0 ? "mean" : text_tokenizer_at(t)->name);
    }
    printf(" high\n");
    for (size_t at = 0; at < len;) {
        struct text_shape shape = {.run = 0};
        struct span text = span_make(input + at, strnlen(input + at, len - at));
        text_shape_add(&shape, text);
        for (size_t i = 0; i < TEXT_TRAITS; i++) {
            printf("%u ", shape.count[i]);
        }
        for (size_t t = 0; text_tokenizer_at(t) != NULL; t++) {
            printf("%lld ", (long long)text_tokenizer_count(text_tokenizer_at(t), &shape));
        }
        printf("%llu\n", (unsigned long long)text_tokens_of(text_token_eighths(text)));
        at += text.len + 1;
    }
    return 0;
}

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* it is there */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void measure(const char *what, const char *piece)
{
    static char text[TEXT];
    size_t len = strlen(piece), whole = TEXT / len * len;
    uint64_t sum = 0;
    for (size_t at = 0; at < whole; at += len) {
        memcpy(text + at, piece, len);
    }
    double begun = now_ns();
    for (unsigned i = 0; i < REPEATS; i++) {
        struct text_shape shape = {.run = 0};
        text_shape_add(&shape, span_make(text, whole));
        sum += shape.count[TEXT_LETTER];
    }
    double shaped = now_ns();
    for (unsigned i = 0; i < REPEATS; i++) {
        sum += text_token_eighths(span_make(text, whole));
    }
    double estimated = now_ns();
    printf("%-10s shape %5.2f ns a byte, high estimate %5.2f (%llu)\n", what,
           (shaped - begun) / REPEATS / (double)whole,
           (estimated - shaped) / REPEATS / (double)whole, (unsigned long long)sum);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "time") != 0) {
        return tell_all();
    }
    measure("English", "The relationship of these animals to the rest is very important to us. ");
    measure("Arabic", "في السنوات الأخيرة من هذا العصر مُنح الآباء في المدارس خيار التحويل. ");
    measure("C", "    for (size_t i = 0; i < count; i++) {\n        sum += rows[i].cost;\n    }\n");
    return 0;
}
