/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas usage`. */
#include <stdio.h>
#include <string.h>

#include "cli/cli_ask.h"
#include "cli/cli_table.h"
#include "main/commands.h"
#include "main/key_id.h"

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
        {"DAY", "day", "-", CLI_OPTIONAL},
        {"HOUR", "hour", "-", CLI_OPTIONAL},
        {"ORGANISATION", "organisation_name", "-", CLI_OPTIONAL},
        {"TEAM", "team_name", "-", CLI_OPTIONAL},
        {"USER", "user_name", "-", CLI_OPTIONAL},
        {"THEIR ID", "user", "-", CLI_OPTIONAL},
        {"KEY", "key_name", "-", CLI_OPTIONAL},
        {"ITS ID", "key", "-", CLI_OPTIONAL},
        {"MODEL", "model", "-", CLI_OPTIONAL},
        {"UPSTREAM", "upstream", "-", CLI_OPTIONAL},
        {"ROUTE", "route", "-", CLI_OPTIONAL},
        {"CALLS", "calls", "0", CLI_RIGHT},
        {"LEFT", "interrupted", "0", CLI_RIGHT | CLI_OPTIONAL},
        {"FAILED", "failed", "0", CLI_RIGHT | CLI_OPTIONAL},
        {"REFUSED", "refused", "0", CLI_RIGHT | CLI_OPTIONAL},
        {"EST", "estimated", "0", CLI_RIGHT | CLI_OPTIONAL},
        {"IN", "tokens_in", "0", CLI_RIGHT},
        {"CACHED", "tokens_cached", "0", CLI_RIGHT | CLI_OPTIONAL},
        {"OUT", "tokens_out", "0", CLI_RIGHT},
        {"REASONING", "tokens_reasoning", "0", CLI_RIGHT | CLI_OPTIONAL},
        {"COST", "cost", "0.00", CLI_RIGHT | CLI_OPTIONAL},
        {"CURRENCY", "currency", "", CLI_OPTIONAL},
        {"WH", "energy_wh", "0.00", CLI_RIGHT | CLI_OPTIONAL},
        {"GCO2E", "gco2e", "0.00", CLI_RIGHT | CLI_OPTIONAL},
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

struct usage_given {
    const char *config, *by, *from, *to;
    const char *organisation, *team, *user, *key, *model, *upstream, *route;
    bool json, csv;
};

static void teach(FILE *out)
{
    fprintf(out,
            "--by takes some of organisation,team,user,key,model,upstream,route,day,hour, and\n"
            "without it one line is of all. CALLS reached a model server: LEFT of them ended\n"
            "because the caller left or the gateway stopped, FAILED by an error; of EST\n"
            "ones the tokens are our estimate. REFUSED ones stand beside them: of those\n"
            "nothing was sent. IN and OUT are tokens, COST is in CURRENCY, to six places.\n"
            "WH is what tokens took, where models have `energy`; GCO2E what that stood for.\n"
            "A column of which nothing is to be said is left out; --json says the ids, too.\n");
}

const struct cli_option main_usage_options[] = {
    CLI_TEXT(struct usage_given, by, "by", "WORDS", "What lines are of, such as team,model"),
    CLI_TEXT(struct usage_given, from, "from", "DAY",
             "The first day or hour, such as 2026-11-24 or 2026-11-24T14:00Z (UTC)"),
    CLI_TEXT(struct usage_given, to, "to", "DAY", "The day or hour behind the last"),
    CLI_TEXT(struct usage_given, organisation, "organisation", "NAME",
             "One organisation only, by name or id"),
    CLI_TEXT(struct usage_given, team, "team", "NAME", "One team only, by name or id"),
    CLI_TEXT(struct usage_given, user, "user", "NAME", "One user only, by name or id"),
    CLI_TEXT(struct usage_given, key, "key", "KEY", "One key only, by name or id"),
    CLI_TEXT(struct usage_given, model, "model", "MODEL", "One model only"),
    CLI_TEXT(struct usage_given, upstream, "upstream", "NAME", "One model server only"),
    CLI_TEXT(struct usage_given, route, "route", "ROUTE", "One route only"),
    CLI_FLAG(struct usage_given, csv, "csv", "Print CSV"),
    CLI_FLAG(struct usage_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct usage_given, config),
    CLI_END(teach),
};

static void put_query(struct buf *query, const struct usage_given *g)
{
    const struct {
        const char *name, *value;
    } params[] = {
        {"by", g->by},
        {"from", g->from},
        {"to", g->to},
        {"organisation", g->organisation},
        {"team", g->team},
        {"user", g->user},
        {"key", g->key},
        {"model", g->model},
        {"upstream", g->upstream},
        {"route", g->route},
        {"format", g->csv ? "csv" : NULL},
        {"names", g->json ? NULL : "true"},
    };
    for (size_t i = 0; i < ROWS(params); i++) {
        put_param(query, params[i].name, params[i].value);
    }
    buf_printf(query, "&limit=%d", ADMIN_USAGE_ROWS_MAX); /* all there can be */
}

/* Prints an answer as it came; CSV has its last line's end. */
static int print_answer(struct span answer, const char *end)
{
    (void)fwrite(answer.at, 1, answer.len, stdout); /* who cannot read it is not helped */
    (void)fputs(end, stdout);                       /* the same */
    return CLI_DONE;
}

int main_usage(const void *given)
{
    struct usage_given asked = *(const struct usage_given *)given;
    const struct usage_given *g = &asked;
    int status = CLI_GO_ON;
    struct buf query, answer;
    char key[KEY_ID_CHARS + 1];
    if (g->json && g->csv) {
        fprintf(stderr, "atlas usage: give --json or --csv, not both\n");
        return CLI_MISUSED;
    }
    if (g->key != NULL) {
        status = main_key_find("usage", g->config, g->key, MAIN_KEY_ANY, key);
        asked.key = key;
    }
    if (status != CLI_GO_ON) {
        return status;
    }
    buf_init(&query, QUERY_BYTES_MAX);
    buf_init(&answer, CLI_ANSWER_MAX);
    put_query(&query, g);
    if (buf_failed(&query)) {
        fprintf(stderr, "atlas usage: an option is too long\n");
        status = CLI_MISUSED;
    } else {
        const struct admin_request request = {
            .method = HTTP_GET, .path = SPAN(ADMIN_USAGE_PATH), .query = buf_span(&query)};
        status = cli_ask("usage", g->config, &request, &answer);
    }
    if (status == CLI_GO_ON) {
        status = g->json  ? print_answer(buf_span(&answer), "\n")
                 : g->csv ? print_answer(buf_span(&answer), "")
                          : print_table(buf_span(&answer));
    }
    buf_fini(&answer);
    buf_fini(&query);
    return status;
}
