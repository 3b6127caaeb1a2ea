/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas route check | explain`: the rules of routing_config.yaml, without a gateway; as a key
 * asks, a running one is asked. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli_ask.h"
#include "cli/cli_embed.h"
#include "cli/cli_show.h"
#include "decision/decision_explain.h"
#include "main/commands.h"
#include "main/main_settings.h"
#include "settings/settings.h"
#include "json/json_value.h"

#define PAGE_BYTES_MAX (64u << 20)
#define ROWS_MAX       1000000
#define SHOWN_DIGITS   5 /* "0.912" */

const struct cli_option main_route_check_options[] = {
    CLI_CONFIG(struct cli_given_config, config),
    CLI_END(NULL),
};

int main_route_check(const void *given)
{
    struct settings *settings =
        main_settings_read(((const struct cli_given_config *)given)->config);
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

struct explain_given {
    const char *config, *key;
    bool json;
};

static void teach_explain(FILE *out)
{
    fputs("\nReads a request's body from standard input, or an object with what comes along:\n"
          "\n  {\"request\": {…}, \"headers\": {…}, \"endpoint\": \"chat\", \"at\": 1798752600}\n"
          "\nSays each rule and whether it holds, the candidates and why one is excluded,\n"
          "what is chosen, and the status of the reply; with --json the facts, too.\n"
          "It asks as a key without a team, which may use all models; draws no canary,\n"
          "and of targets the first; and knows the prices of the configuration alone.\n"
          "With --key the running gateway is asked: as that key, by the policy, prices and\n"
          "latencies that are in force there.\n",
          out);
}

const struct cli_option main_route_explain_options[] = {
    CLI_TEXT(struct explain_given, key, "key", "ID", "Ask the running gateway, as this key"),
    CLI_FLAG(struct explain_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct explain_given, config),
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

/* What a member of the explanation says; "-" where it is null or not there. */
static struct span said(const struct json_index *x, uint32_t object, const char *name)
{
    uint32_t row = json_find(x, object, span_of(name));
    if (row == JSON_NONE || json_kind(x, row) == JSON_NULL) {
        return SPAN("-");
    }
    const struct json_row *r = json_row(x, row);
    return json_kind(x, row) == JSON_STRING ? json_inside(x, row)
                                            : span_cut(x->text, r->offset, r->len);
}

static void print_rules(const struct json_index *x)
{
    uint32_t rules = json_find(x, 0, SPAN("rules"));
    for (uint32_t rule = json_first(x, rules); rule != JSON_NONE; rule = json_next(x, rule)) {
        struct span matched = said(x, rule, "matched");
        printf("rule       %-7s %.*s: %.*s\n",
               span_is(matched, "true")    ? "holds"
               : span_is(matched, "false") ? "no"
                                           : "-",
               SPAN_ARGS(said(x, rule, "name")), SPAN_ARGS(said(x, rule, "condition")));
    }
}

static void print_candidates(const struct json_index *x)
{
    uint32_t candidates = json_find(x, 0, SPAN("candidates"));
    for (uint32_t c = json_first(x, candidates); c != JSON_NONE; c = json_next(x, c)) {
        struct span excluded = said(x, c, "excluded");
        bool may = span_is(excluded, "-");
        printf("candidate  %-7s %.*s at %.*s (%.*s)%s%.*s", may ? "may" : "may not",
               SPAN_ARGS(said(x, c, "model")), SPAN_ARGS(said(x, c, "deployment")),
               SPAN_ARGS(said(x, c, "why")), may ? "" : ": ", may ? 0 : (int)excluded.len,
               (const char *)excluded.at);
        uint32_t reported = json_find(x, c, SPAN("reported"));
        if (reported != JSON_NONE) {
            printf("; %.*s calls, says that %.*s run and %.*s wait", SPAN_ARGS(said(x, c, "calls")),
                   SPAN_ARGS(said(x, reported, "running")),
                   SPAN_ARGS(said(x, reported, "waiting")));
        }
        putchar('\n');
    }
}

/* What examples had to do with it, and what they say of a candidate. */
static void print_learned(const struct json_index *x)
{
    uint32_t learned = json_find(x, 0, SPAN("learned"));
    uint32_t candidates = json_find(x, 0, SPAN("candidates"));
    if (learned == JSON_NONE) {
        return;
    }
    struct span outcome = said(x, learned, "outcome");
    bool is_ok = span_is(outcome, "ok");
    printf("learned    %.*s: %s%.*s%s\n", SPAN_ARGS(outcome), is_ok ? "the nearest " : "",
           is_ok ? (int)said(x, learned, "neighbours").len : 0,
           (const char *)said(x, learned, "neighbours").at,
           is_ok ? " examples decide" : "another profile decides");
    for (uint32_t c = json_first(x, candidates); c != JSON_NONE; c = json_next(x, c)) {
        if (!span_is(said(x, c, "quality"), "-")) {
            printf("expected   %.*s: quality %.*s, at least %.*s (target %.*s)\n",
                   SPAN_ARGS(said(x, c, "model")),
                   SPAN_ARGS(span_cut(said(x, c, "quality"), 0, SHOWN_DIGITS)),
                   SPAN_ARGS(span_cut(said(x, c, "bound"), 0, SHOWN_DIGITS)),
                   SPAN_ARGS(said(x, learned, "target")));
        }
    }
}

/* For people: a line a rule and candidate, and what comes of it. */
static enum err print_page(struct span page)
{
    struct json_index x;
    json_index_init(&x, ROWS_MAX, 64);
    enum err e = json_index_parse_borrow(&x, page);
    if (e == ERR_OK) {
        uint32_t chosen = json_find(&x, 0, SPAN("chosen"));
        bool is_chosen = json_kind(&x, chosen) == JSON_OBJECT;
        uint32_t facts = json_find(&x, 0, SPAN("facts"));
        printf("facts      language %.*s (%.*s), %.*s tokens, %.*s\n",
               SPAN_ARGS(said(&x, facts, "language")),
               SPAN_ARGS(said(&x, facts, "language_confidence")),
               SPAN_ARGS(said(&x, facts, "prompt_tokens")), SPAN_ARGS(said(&x, facts, "endpoint")));
        print_rules(&x);
        print_candidates(&x);
        print_learned(&x);
        printf("status     %.*s %.*s\n", SPAN_ARGS(said(&x, 0, "status")),
               SPAN_ARGS(is_chosen ? SPAN("OK") : said(&x, 0, "code")));
        printf("policy     %.*s\n", SPAN_ARGS(said(&x, 0, "policy")));
        printf("chosen     %.*s\n", SPAN_ARGS(is_chosen ? said(&x, chosen, "model") : SPAN("-")));
        printf("residency  %.*s\n", SPAN_ARGS(said(&x, 0, "residency")));
    }
    json_index_fini(&x);
    return e;
}

/* Asks the model server for the vector of what is asked, and waits for it. */
static bool make_vector(void *ctx, const struct decision_candidate *to, struct span asked,
                        float *out, size_t count)
{
    const struct settings *settings = ctx;
    const struct cli_embed_ask ask = {to->match.place->deployment, to->match.upstream_name, &asked,
                                      1};
    struct cli_embedder *embedder = NULL;
    struct cli_vectors vectors = {.dimensions = 0};
    buf_init(&vectors.floats, CLI_EMBED_ANSWER_MAX);
    enum err e = cli_embedder_open(&settings->dns, &embedder);
    e = e == ERR_OK ? cli_embed(embedder, &ask, &vectors) : e;
    bool is_made = e == ERR_OK && vectors.dimensions == count;
    if (is_made) {
        memcpy(out, buf_span(&vectors.floats).at, count * sizeof(float));
    } else {
        fprintf(stderr, "atlas route explain: %s: %s\n", ask.deployment->definition.name,
                e == ERR_OK ? "its vectors have another length than the examples'"
                            : err_sentence(e));
    }
    cli_embedder_close(&embedder);
    buf_fini(&vectors.floats);
    return is_made;
}

static int explain(const struct settings *settings, const struct policy *policy, struct span text,
                   bool is_json)
{
    const struct decision_vectors vectors = {make_vector, (void *)(uintptr_t)settings};
    char fault[DECISION_FAULT_BYTES] = "";
    const struct key_handle nobody = {.id = ""};
    const struct limits_subjects none = LIMITS_SUBJECTS_NONE;
    struct decision_ask ask = {.policy = policy,
                               .key = &nobody,
                               .who = &none,
                               .vectors = &vectors,
                               .now = clock_wall(),
                               .mono = clock_mono(),
                               .chance = DECISION_NO_CHANCE,
                               .scratch = condition_scratch_new()};
    struct buf page;
    buf_init(&page, PAGE_BYTES_MAX);
    enum err e =
        ask.scratch == NULL ? ERR_NO_MEMORY : decision_explain(&ask, NULL, text, &page, fault);
    if (e == ERR_OK && is_json) {
        printf("%.*s\n", SPAN_ARGS(buf_span(&page)));
    } else if (e == ERR_OK) {
        e = print_page(buf_span(&page));
    } else {
        fprintf(stderr, "atlas route explain: %s\n", fault[0] == '\0' ? err_sentence(e) : fault);
    }
    buf_fini(&page);
    condition_scratch_free(&ask.scratch);
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}

/* Puts the key beside the request: into the object that it stands in, or one around it. */
static enum err put_key(struct span text, const char *key, struct buf *out)
{
    struct json_index x;
    struct json_writer w;
    json_index_init(&x, ROWS_MAX, 128);
    enum err e = json_index_parse_borrow(&x, text);
    e = e == ERR_OK && json_kind(&x, 0) != JSON_OBJECT ? ERR_BODY_NOT_OBJECT : e;
    if (e == ERR_OK) {
        uint32_t request = json_find(&x, 0, SPAN("request"));
        bool is_beside = request != JSON_NONE && json_kind(&x, request) == JSON_OBJECT;
        json_write_init(&w, out);
        json_write_object(&w);
        json_write_key(&w, "key");
        json_write_text(&w, key);
        for (uint32_t row = is_beside ? json_first(&x, 0) : JSON_NONE; row != JSON_NONE;
             row = json_next(&x, row + 1)) {
            if (!json_text_is(&x, row, SPAN("key"))) { /* the option goes before it */
                buf_put_byte(out, ',');
                buf_put(out, json_source(&x, row));
                buf_put_byte(out, ':');
                buf_put(out, json_source(&x, row + 1));
            }
        }
        if (!is_beside) {
            json_write_key(&w, "request");
            json_write_raw(&w, json_source(&x, 0));
        }
        json_write_end(&w);
        e = json_write_finish(&w);
    }
    json_index_fini(&x);
    return e;
}

/* As a key, of the gateway that runs. */
static int ask_gateway(const struct explain_given *g, struct span text)
{
    struct buf body, answer;
    buf_init(&body, DECISION_EXPLAIN_BYTES + 65536);
    buf_init(&answer, CLI_ANSWER_MAX);
    int status = CLI_FAILED;
    enum err e = put_key(text, g->key, &body);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas route explain: %s\n", err_sentence(e));
    } else {
        const struct admin_request request = {.method = HTTP_POST,
                                              .path = SPAN(ADMIN_ROUTES_PATH "/explain"),
                                              .body = buf_span(&body)};
        status = cli_ask("route explain", g->config, &request, &answer);
    }
    if (status == CLI_GO_ON && g->json) {
        status = cli_show_json("route explain", buf_span(&answer));
    } else if (status == CLI_GO_ON) {
        status = print_page(buf_span(&answer)) == ERR_OK ? CLI_DONE : CLI_FAILED;
    }
    buf_fini(&answer);
    buf_fini(&body);
    return status;
}

/* By the configuration alone. */
static int explain_alone(const struct explain_given *g, struct span text)
{
    struct settings *settings = main_settings_read(g->config);
    char reason[DEPLOYMENT_REASON_BYTES] = "";
    struct policy *policy = NULL;
    int code = CLI_FAILED;
    if (settings == NULL) {
        return CLI_FAILED;
    }
    enum err e =
        policy_open(&settings->gateway, &settings->upstream, NULL, clock_wall(), reason, &policy);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas route explain: %s\n", reason[0] == '\0' ? err_sentence(e) : reason);
    } else {
        code = explain(settings, policy, text, g->json);
    }
    policy_unref(&policy);
    settings_close(&settings);
    return code;
}

int main_route_explain(const void *given)
{
    const struct explain_given *g = given;
    struct buf text;
    int code = CLI_FAILED;
    buf_init(&text, DECISION_EXPLAIN_BYTES + 65536);
    if (!read_input(&text)) {
        fprintf(stderr, "atlas route explain: a request of at most 4 MiB is read from standard "
                        "input\n");
    } else {
        code = g->key == NULL ? explain_alone(g, buf_span(&text)) : ask_gateway(g, buf_span(&text));
    }
    buf_fini(&text);
    return code;
}
