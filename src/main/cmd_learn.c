/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `atlas route learn`: labelled prompts from standard input, with their vectors to standard output,
 * as `learned: {examples: FILE}` of the rules takes them. A line at a time is in memory, and as
 * many texts as are asked for at once.
 */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cli_embed.h"
#include "crypto/base64.h"
#include "main/commands.h"
#include "openai/openai_gist.h"
#include "policy/policy.h"
#include "routing/routing_examples.h"
#include "settings/settings.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define PROBLEMS_BYTES_MAX (128u << 10)
#define ROWS_MAX           (ROUTING_DIMENSIONS_MAX + 1024)
#define OUT_BYTES_MAX      (64u << 20)
#define LINE_ROOM          ((int)ROUTING_EXAMPLE_LINE_BYTES + 3) /* its end, and a byte too many */

struct learn_given {
    const char *config, *model;
};

static void teach(FILE *out)
{
    fputs("\nReads labelled prompts from standard input, a line of JSON each:\n"
          "\n  {\"text\": \"What is 2 + 2?\", \"scores\": {\"small\": 1, \"large\": 1}}\n"
          "\nand writes them with their vectors to standard output, as `learned:` of the\n"
          "rules takes them. A score is how well a model answered, from 0 to 1. Of a text\n"
          "the first 1,024 bytes count, as of a call. Vectors that are there already are\n"
          "made anew.\n"
          "\n  atlas route learn --model e5-small < prompts.jsonl > examples.jsonl\n",
          out);
}

const struct cli_option main_route_learn_options[] = {
    CLI_TEXT(struct learn_given, model, "model", "NAME",
             "The model of embeddings, as in the configuration", .is_needed = true),
    CLI_CONFIG(struct learn_given, config),
    CLI_END(teach),
};

/* What is read and not written yet. */
struct learning {
    struct cli_embedder *embedder;
    struct cli_embed_ask ask;
    struct cli_vectors vectors;
    struct span texts[CLI_EMBED_TEXTS];
    struct span scores[CLI_EMBED_TEXTS]; /* as they are written */
    struct arena arena;                  /* of both */
    struct json_index x;
    const char *model;
    size_t line, written, dimensions;
};

static int complain(const struct learning *l, const char *sentence)
{
    fprintf(stderr, "atlas route learn: line %zu: %s\n", l->line, sentence);
    return CLI_FAILED;
}

static int write_header(struct learning *l)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, OUT_BYTES_MAX);
    json_write_init(&w, &out);
    json_write_object(&w);
    json_write_key(&w, "embeddings");
    json_write_text(&w, l->model);
    json_write_key(&w, "dimensions");
    json_write_int(&w, (int64_t)l->dimensions);
    json_write_end(&w);
    bool is_good =
        json_write_finish(&w) == ERR_OK && printf("%.*s\n", SPAN_ARGS(buf_span(&out))) > 0;
    buf_fini(&out);
    return is_good ? CLI_GO_ON : complain(l, "standard output takes no more");
}

/* {"text":"…","scores":{…},"vector":"Base64"} */
static int write_line(struct learning *l, size_t i)
{
    struct buf out;
    struct json_writer w;
    size_t bytes = l->dimensions * sizeof(float);
    struct span vector = span_cut(buf_span(&l->vectors.floats), i * bytes, bytes);
    char *base64 = memory_raw(crypto_base64_chars(bytes));
    buf_init(&out, OUT_BYTES_MAX);
    json_write_init(&w, &out);
    json_write_object(&w);
    json_write_key(&w, "text");
    json_write_string(&w, l->texts[i]);
    json_write_key(&w, "scores");
    json_write_raw(&w, l->scores[i]);
    json_write_key(&w, "vector");
    json_write_string(&w, base64 == NULL ? SPAN("")
                                         : span_make(base64, crypto_base64_write(vector, base64)));
    json_write_end(&w);
    bool is_good = base64 != NULL && json_write_finish(&w) == ERR_OK &&
                   printf("%.*s\n", SPAN_ARGS(buf_span(&out))) > 0;
    buf_fini(&out);
    memory_free(base64);
    return is_good ? CLI_GO_ON : complain(l, "standard output takes no more");
}

/* Asks for the vectors of those that are read, and writes them. */
static int write_read(struct learning *l)
{
    if (l->ask.count == 0) {
        return CLI_GO_ON;
    }
    enum err e = cli_embed(l->embedder, &l->ask, &l->vectors);
    if (e != ERR_OK) {
        char sentence[256];
        (void)snprintf(sentence, sizeof(sentence), "%s: %s (status %u)",
                       l->ask.deployment->definition.name, err_sentence(e),
                       l->vectors.status); /* what is too long is cut */
        return complain(l, sentence);
    }
    if (l->dimensions != 0 && l->vectors.dimensions != l->dimensions) {
        return complain(l, "the vectors have another length than those before");
    }
    int code = CLI_GO_ON;
    if (l->dimensions == 0) {
        l->dimensions = l->vectors.dimensions;
        code = write_header(l);
    }
    for (size_t i = 0; code == CLI_GO_ON && i < l->ask.count; i++) {
        code = write_line(l, i);
        l->written++;
    }
    l->ask.count = 0;
    arena_fini(&l->arena);
    return code;
}

static int read_example(struct learning *l, struct span line)
{
    struct span text;
    if (json_index_parse_borrow(&l->x, line) != ERR_OK || json_kind(&l->x, 0) != JSON_OBJECT) {
        return complain(l, "it is no object of JSON");
    }
    if (json_find(&l->x, 0, SPAN("embeddings")) != JSON_NONE) {
        return CLI_GO_ON; /* the first line of a file that was written here */
    }
    uint32_t said = json_find(&l->x, 0, SPAN("text")), scores = json_find(&l->x, 0, SPAN("scores"));
    if (said == JSON_NONE || json_kind(&l->x, said) != JSON_STRING || scores == JSON_NONE ||
        json_kind(&l->x, scores) != JSON_OBJECT) {
        return complain(l, "an example is {\"text\": \"…\", \"scores\": {\"MODEL\": 0 to 1}}");
    }
    enum err e = json_text(&l->x, said, &l->arena, &text);
    text = e == ERR_OK ? arena_copy(&l->arena, span_cut_text(span_trim(text), OPENAI_GIST_BYTES))
                       : text;
    struct span kept = arena_copy(&l->arena, json_source(&l->x, scores));
    if (e != ERR_OK || text.len == 0 || kept.at == NULL) {
        return complain(l, "its text is empty, or none");
    }
    l->texts[l->ask.count] = text;
    l->scores[l->ask.count++] = kept;
    return l->ask.count == CLI_EMBED_TEXTS ? write_read(l) : CLI_GO_ON;
}

static int read_lines(struct learning *l)
{
    char *line = memory_raw(LINE_ROOM);
    int code = line == NULL ? complain(l, err_sentence(ERR_NO_MEMORY)) : CLI_GO_ON;
    while (code == CLI_GO_ON && fgets(line, LINE_ROOM, stdin) != NULL) {
        struct span text = span_of(line);
        l->line++;
        while (text.len > 0 && strchr("\r\n", text.at[text.len - 1]) != NULL) {
            text.len--;
        }
        if (text.len > ROUTING_EXAMPLE_LINE_BYTES) {
            code = complain(l, "it is too long");
        } else if (span_trim(text).len > 0) {
            code = read_example(l, text);
        }
    }
    memory_free(line);
    code = code == CLI_GO_ON ? write_read(l) : code;
    if (code == CLI_GO_ON && (l->written == 0 || fflush(stdout) != 0)) {
        code = complain(l, "there are no examples, or they cannot be written");
    }
    return code == CLI_GO_ON ? CLI_DONE : code;
}

static int learn(const struct settings *settings, const struct policy *policy, const char *name)
{
    struct policy_match match;
    struct learning l = {.model = name, .ask = {.model = SPAN("")}};
    if (!policy_find(policy, span_of(name), &match) ||
        (match.model->endpoints & POLICY_EMBEDDINGS) == 0) {
        fprintf(stderr, "atlas route learn: no model '%s' serves /v1/embeddings\n", name);
        return CLI_FAILED;
    }
    enum err e = cli_embedder_open(&settings->dns, &l.embedder);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas route learn: %s\n", err_sentence(e));
        return CLI_FAILED;
    }
    l.ask = (struct cli_embed_ask){match.place->deployment, match.upstream_name, l.texts, 0};
    buf_init(&l.vectors.floats, OUT_BYTES_MAX);
    arena_init(&l.arena, OUT_BYTES_MAX);
    json_index_init(&l.x, ROWS_MAX, 64);
    int code = read_lines(&l);
    if (code == CLI_DONE) {
        fprintf(stderr, "%zu examples, with vectors of %zu numbers\n", l.written, l.dimensions);
    }
    json_index_fini(&l.x);
    arena_fini(&l.arena);
    buf_fini(&l.vectors.floats);
    cli_embedder_close(&l.embedder);
    return code;
}

int main_route_learn(const void *given)
{
    const struct learn_given *g = given;
    struct buf problems;
    struct settings *settings = NULL;
    struct policy *policy = NULL;
    char reason[DEPLOYMENT_REASON_BYTES] = "";
    int code = CLI_FAILED;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open(g->config, &problems, &settings);
    if (e != ERR_OK) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
    } else {
        e = policy_open(&settings->gateway, &settings->upstream, NULL, clock_wall(), reason,
                        &policy);
    }
    if (e == ERR_OK) {
        code = learn(settings, policy, g->model);
    } else {
        fprintf(stderr, "atlas route learn: %s\n", reason[0] == '\0' ? err_sentence(e) : reason);
    }
    policy_unref(&policy);
    settings_close(&settings);
    buf_fini(&problems);
    return code;
}
