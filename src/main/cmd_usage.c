/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas usage`. */
#include <stdio.h>
#include <string.h>

#include "cli/cli_ask.h"
#include "cli/cli_table.h"
#include "main/commands.h"

#define QUERY_BYTES_MAX 4096
#define ROWS(table)     (sizeof(table) / sizeof((table)[0]))

/* Adds a parameter to a query, each byte of its value that might mean something else escaped. */
static void put_param(struct buf *query, const char *name, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    if (value == NULL) {
        return;
    }
    buf_printf(query, "%s%s=", buf_span(query).len == 0 ? "" : "&", name);
    for (const char *c = value; *c != '\0'; c++) {
        buf_printf(query, strchr(plain, *c) != NULL ? "%c" : "%%%02X", (uint8_t)*c);
    }
}

static int print_table(struct span answer, bool with_ids)
{
    static const struct cli_column columns[] = {
        {"DAY", "day", "-", 0},
        {"KEY", "key_name", "-", 0},
        {"MODEL", "model", "-", 0},
        {"CALLS", "calls", "0", CLI_RIGHT},
        {"LEFT", "interrupted", "0", CLI_RIGHT | CLI_OPTIONAL},
        {"FAILED", "failed", "0", CLI_RIGHT | CLI_OPTIONAL},
        {"REFUSED", "refused", "0", CLI_RIGHT | CLI_OPTIONAL},
        {"GUESSED", "estimated", "0", CLI_RIGHT | CLI_OPTIONAL},
        {"IN", "tokens_in", "0", CLI_RIGHT},
        {"OUT", "tokens_out", "0", CLI_RIGHT},
        {"COST", "cost_nano", "0", CLI_RIGHT | CLI_OPTIONAL | CLI_NANO},
        {"CURRENCY", "currency", "", CLI_OPTIONAL},
        {"ID", "key_id", "-", 0},
    };
    size_t lines = 0;
    size_t count = ROWS(columns) - (with_ids ? 0 : 1); /* the last one is the id's */
    if (cli_table_print(stdout, answer, columns, count, &lines) != ERR_OK) {
        fprintf(stderr, "atlas usage: the answer is not a list of sums\n");
        return CLI_FAILED;
    }
    if (lines == 0) {
        fprintf(stderr, "no calls are on record for this\n");
    }
    return CLI_DONE;
}

struct usage_given {
    const char *config, *from, *to, *key, *model;
    bool json, ids;
};

static void teach(FILE *out)
{
    fprintf(out, "LEFT of the CALLS ended because the caller left or the gateway stopped, FAILED\n"
                 "by an error, REFUSED before anything was sent; of GUESSED ones the tokens are\n"
                 "our estimate. IN and OUT are tokens, COST is exact, in CURRENCY.\n"
                 "A column of which nothing is to be said is left out.\n");
}

const struct cli_option main_usage_options[] = {
    CLI_TEXT(struct usage_given, from, "from", "DAY", "The first day, such as 2026-11-24 (UTC)"),
    CLI_TEXT(struct usage_given, to, "to", "DAY", "The last day"),
    CLI_TEXT(struct usage_given, key, "key", "ID", "One key only"),
    CLI_TEXT(struct usage_given, model, "model", "MODEL", "One model only"),
    CLI_FLAG(struct usage_given, ids, "ids", "Show the keys' ids, too"),
    CLI_FLAG(struct usage_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct usage_given, config),
    CLI_END(teach),
};

int main_usage(const void *given)
{
    const struct usage_given *g = given;
    int status;
    struct buf query, answer;
    buf_init(&query, QUERY_BYTES_MAX);
    buf_init(&answer, CLI_ANSWER_MAX);
    put_param(&query, "from", g->from);
    put_param(&query, "to", g->to);
    put_param(&query, "key", g->key);
    put_param(&query, "model", g->model);
    if (buf_failed(&query)) {
        fprintf(stderr, "atlas usage: an option is too long\n");
        status = CLI_MISUSED;
    } else {
        const struct admin_request request = {
            .method = HTTP_GET, .path = SPAN(ADMIN_USAGE_PATH), .query = buf_span(&query)};
        status = cli_ask("usage", g->config, &request, &answer);
    }
    if (status == CLI_GO_ON && g->json) {
        printf("%.*s\n", SPAN_ARGS(buf_span(&answer)));
        status = CLI_DONE;
    } else if (status == CLI_GO_ON) {
        status = print_table(buf_span(&answer), g->ids);
    }
    buf_fini(&answer);
    buf_fini(&query);
    return status;
}
