/* SPDX-License-Identifier: Apache-2.0 */
#include "main/main_plans.h"

#include <stdio.h>

#include "cli/cli_ask.h"
#include "cli/cli_options.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define BODY_BYTES_MAX 4096
#define VALUES_MAX     4096
#define DEPTH_MAX      8

struct plan {
    const char *name;
    int64_t requests_per_minute, burst, tokens_per_minute, tokens_per_day, concurrent, max_tokens;
};

/* 0: not limited. What they are for, and the same numbers, docs/teams.md says. */
static const struct plan plans[] = {
    {"development", 60, 10, 60000, 1000000, 4, 2048},
    {"professional", 600, 60, 600000, 20000000, 32, 8192},
    {"enterprise", 6000, 600, 6000000, 0, 256, 0},
};

static void put_limit(struct json_writer *w, const char *name, int64_t number)
{
    if (number > 0) {
        json_write_member_int(w, name, number);
    }
}

static enum err write_plan(const struct plan *plan, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_member_text(&w, "name", plan->name);
    json_write_key(&w, "limits");
    json_write_object(&w);
    put_limit(&w, "requests_per_minute", plan->requests_per_minute);
    put_limit(&w, "burst", plan->burst);
    put_limit(&w, "tokens_per_minute", plan->tokens_per_minute);
    put_limit(&w, "tokens_per_day", plan->tokens_per_day);
    put_limit(&w, "concurrent", plan->concurrent);
    put_limit(&w, "max_tokens", plan->max_tokens);
    json_write_end(&w);
    json_write_end(&w);
    return json_write_finish(&w);
}

static int make(const char *command, const char *config, const struct plan *plan)
{
    struct buf body, answer;
    int status = CLI_FAILED;
    buf_init(&body, BODY_BYTES_MAX);
    buf_init(&answer, CLI_ANSWER_MAX);
    enum err e = write_plan(plan, &body);
    if (e == ERR_OK) {
        const struct admin_request request = {
            .method = HTTP_POST, .path = SPAN(ADMIN_PLANS_PATH), .body = buf_span(&body)};
        status = cli_ask(command, config, &request, &answer);
    } else {
        fprintf(stderr, "atlas %s: %s\n", command, err_sentence(e));
    }
    buf_fini(&answer);
    buf_fini(&body);
    return status;
}

/* Whether the list that is the answer has nothing in it; one that cannot be read has. */
static bool is_empty(struct span answer)
{
    struct json_index x;
    json_index_init(&x, VALUES_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, answer);
    uint32_t data = e == ERR_OK ? json_find(&x, 0, SPAN("data")) : JSON_NONE;
    bool is = data != JSON_NONE && json_first(&x, data) == JSON_NONE;
    json_index_fini(&x);
    return is;
}

int main_plans_make(const char *command, const char *config)
{
    struct buf answer;
    const struct admin_request request = {
        .method = HTTP_GET, .path = SPAN(ADMIN_PLANS_PATH), .query = SPAN("include=ended&limit=1")};
    buf_init(&answer, CLI_ANSWER_MAX);
    int status = cli_ask(command, config, &request, &answer);
    bool makes = status == CLI_GO_ON && is_empty(buf_span(&answer));
    buf_fini(&answer);
    for (size_t i = 0; makes && status == CLI_GO_ON && i < sizeof(plans) / sizeof(plans[0]); i++) {
        status = make(command, config, &plans[i]);
    }
    return status;
}
