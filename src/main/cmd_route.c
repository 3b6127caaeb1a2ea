/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas route check | explain`: the rules of routing_config.yaml, without a gateway. */
#include <stdio.h>
#include <unistd.h>

#include "decision/decision_explain.h"
#include "main/commands.h"
#include "settings/settings.h"

#define PROBLEMS_BYTES_MAX (128u << 10)
#define PAGE_BYTES_MAX     (16u << 20)

const struct cli_option main_route_check_options[] = {
    CLI_CONFIG(struct cli_given_config, config),
    CLI_END(NULL),
};

/* Reads the configuration and its rules; NULL when standard error says what is wrong. */
static struct settings *read_settings(const char *path)
{
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open(path, &problems, &settings);
    if (e == ERR_CONFIG) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
    } else if (e != ERR_OK) {
        fprintf(stderr, "%s: %s\n", path, err_sentence(e));
    }
    buf_fini(&problems);
    return settings;
}

int main_route_check(const void *given)
{
    struct settings *settings = read_settings(((const struct cli_given_config *)given)->config);
    if (settings == NULL) {
        return CLI_FAILED;
    }
    const struct routing *r = settings->gateway.routing;
    if (r == NULL) {
        printf("there is no %s: calls of auto-router go by profile\n", settings->routing_file);
    } else {
        size_t count = routing_count(r);
        printf("%s is valid: %zu rule%s\n", settings->routing_file, count, SPAN_PLURAL(count));
    }
    settings_close(&settings);
    return CLI_DONE;
}

/* ---- explain ---- */

static void teach_explain(FILE *out)
{
    fputs(
        "\nReads a request's body from standard input, or an object with it and what comes along:\n"
        "\n  {\"request\": {…}, \"headers\": {…}, \"endpoint\": \"chat\", \"at\": 1798752600}\n"
        "\nPrints JSON: the facts, each rule and whether it matched (null: it was not asked),\n"
        "the candidates and why one is excluded, what is chosen, and the status of the reply.\n"
        "It asks as a key without a team, which may use all models.\n",
        out);
}

const struct cli_option main_route_explain_options[] = {
    CLI_CONFIG(struct cli_given_config, config),
    CLI_END(teach_explain),
};

/* Reads standard input whole; false: it cannot be read, or is too long. */
static bool read_input(struct buf *out)
{
    ssize_t got = 1;
    while (got > 0 && !buf_failed(out)) {
        uint8_t *at = buf_reserve(out, 65536);
        got = at == NULL ? -1 : read(STDIN_FILENO, at, 65536);
        buf_added(out, got > 0 ? (size_t)got : 0);
    }
    return got == 0;
}

static int explain(const struct policy *policy, struct span text)
{
    char fault[DECISION_FAULT_BYTES];
    const struct key_handle nobody = {.id = ""};
    const struct limits_subjects none = LIMITS_SUBJECTS_NONE;
    struct decision_ask ask = {.policy = policy,
                               .key = &nobody,
                               .who = &none,
                               .now = clock_wall(),
                               .scratch = condition_scratch_new()};
    struct buf page;
    buf_init(&page, PAGE_BYTES_MAX);
    enum err e = ask.scratch == NULL ? ERR_NO_MEMORY : decision_explain(&ask, text, &page, fault);
    if (e == ERR_OK) {
        printf("%.*s\n", SPAN_ARGS(buf_span(&page)));
    } else {
        fprintf(stderr, "atlas route explain: %s\n", fault[0] == '\0' ? err_sentence(e) : fault);
    }
    buf_fini(&page);
    condition_scratch_free(&ask.scratch);
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}

int main_route_explain(const void *given)
{
    struct settings *settings = read_settings(((const struct cli_given_config *)given)->config);
    char reason[DEPLOYMENT_REASON_BYTES] = "";
    struct policy *policy = NULL;
    struct buf text;
    int code = CLI_FAILED;
    if (settings == NULL) {
        return CLI_FAILED;
    }
    buf_init(&text, DECISION_EXPLAIN_BYTES + 65536);
    enum err e =
        policy_open(&settings->gateway, &settings->upstream, NULL, clock_wall(), reason, &policy);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas route explain: %s\n", reason[0] == '\0' ? err_sentence(e) : reason);
    } else if (!read_input(&text)) {
        fprintf(stderr, "atlas route explain: a request of at most 4 MiB is read from standard "
                        "input\n");
    } else {
        code = explain(policy, buf_span(&text));
    }
    buf_fini(&text);
    policy_unref(&policy);
    settings_close(&settings);
    return code;
}
