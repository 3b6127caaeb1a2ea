/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas usage`. */
#include <stdio.h>
#include <string.h>

#include "cli/cli_ask.h"
#include "cli/cli_options.h"
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

static int print_table(struct span answer)
{
    static const struct cli_column columns[] = {
        {"DAY", "day", "-", false},
        {"KEY", "key_id", "-", false},
        {"NAME", "key_name", "-", false},
        {"MODEL", "model", "-", false},
        {"CALLS", "calls", "0", true},
        {"INTERRUPTED", "interrupted", "0", true},
        {"FAILED", "failed", "0", true},
        {"TOKENS IN", "tokens_in", "0", true},
        {"TOKENS OUT", "tokens_out", "0", true},
        {"ESTIMATED", "estimated", "0", true},
    };
    size_t lines = 0;
    if (cli_table_print(stdout, answer, columns, ROWS(columns), &lines) != ERR_OK) {
        fprintf(stderr, "atlas usage: the answer is not a list of sums\n");
        return CLI_FAILED;
    }
    if (lines == 0) {
        fprintf(stderr, "no calls are on record for this\n");
    }
    return CLI_DONE;
}

int main_usage(int argc, char **argv)
{
    const char *config = CLI_CONFIG_DEFAULT;
    const char *from = NULL, *to = NULL, *key = NULL, *model = NULL;
    bool json = false;
    const struct cli_option options[] = {
        {"from", "DAY", "The first day, such as 2026-11-24 (UTC)", .text = &from},
        {"to", "DAY", "The last day", .text = &to},
        {"key", "ID", "One key only", .text = &key},
        {"model", "M", "One model only", .text = &model},
        {"json", NULL, "Print JSON", .flag = &json},
        {"config", "F", "The configuration; " CLI_CONFIG_DEFAULT " if not given", .text = &config},
    };
    int status = cli_options(argc, argv,
                             "atlas usage [--from DAY] [--to DAY] [--key ID] [--model M] [--json] "
                             "[--config F]",
                             options, ROWS(options));
    if (status != CLI_GO_ON) {
        return status;
    }
    struct buf query, answer;
    buf_init(&query, QUERY_BYTES_MAX);
    buf_init(&answer, CLI_ANSWER_MAX);
    put_param(&query, "from", from);
    put_param(&query, "to", to);
    put_param(&query, "key", key);
    put_param(&query, "model", model);
    if (buf_failed(&query)) {
        fprintf(stderr, "atlas usage: an option is too long\n");
        status = CLI_MISUSED;
    } else {
        const struct admin_request request = {
            HTTP_GET, SPAN(ADMIN_USAGE_PATH), buf_span(&query), {NULL, 0}};
        status = cli_ask("usage", config, &request, &answer);
    }
    if (status == CLI_GO_ON && json) {
        printf("%.*s\n", SPAN_ARGS(buf_span(&answer)));
        status = CLI_DONE;
    } else if (status == CLI_GO_ON) {
        status = print_table(buf_span(&answer));
    }
    buf_fini(&answer);
    buf_fini(&query);
    return status;
}
