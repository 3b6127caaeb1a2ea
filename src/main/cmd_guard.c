/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas guard test`: what the guard finds in a text, and what would be done about it. */
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/cli_ask.h"
#include "guard/guard_form.h"
#include "guard/guard_report.h"
#include "main/commands.h"
#include "main/main_noun.h"
#include "main/main_settings.h"
#include "json/json_value.h"

#define INPUT_BYTES_MAX (256u << 20)
#define PAGE_BYTES_MAX  (1u << 30)
#define PIECE_BYTES     65536
#define ROWS_MAX        16000000
#define COMMAND         "guard test"

struct guard_given {
    const char *config, *team, *direction;
    bool json, lines, request;
};

static void teach(FILE *out)
{
    fputs("\nReads a text from standard input, as the string that a model would read; a line\n"
          "feed at its end is no part of it. Offsets are bytes of the text. With --lines\n"
          "each line is a text of its own, and a line of JSON is printed for each. With\n"
          "--request it is the JSON of a call, and all texts in it are looked at.\n"
          "\nThe configuration says what is done; with --team, the team's guard, too.\n"
          "Nothing is sent and nothing is kept; the exit status is 0 whatever is found.\n",
          out);
}

const struct cli_option main_guard_test_options[] = {
    CLI_TEXT(struct guard_given, team, "team", "TEAM", "As calls of this team, by id or name"),
    CLI_TEXT(struct guard_given, direction, "direction", "WHICH", "prompt or reply",
             .words = "prompt|reply", .fallback = "prompt"),
    CLI_FLAG(struct guard_given, json, "json", "Print JSON"),
    CLI_FLAG(struct guard_given, lines, "lines", "Each line is a text; prints a line of JSON each"),
    CLI_FLAG(struct guard_given, request, "request", "Read the JSON of a call"),
    CLI_CONFIG(struct guard_given, config),
    CLI_END(teach),
};

static int fail(enum err e)
{
    fprintf(stderr, "atlas " COMMAND ": %s\n", err_sentence(e));
    return CLI_FAILED;
}

/* ---- the team ---- */

/* What the answer says of the team's guard. */
static enum err read_team(struct span answer, struct guard_policy **out)
{
    struct json_index x;
    json_index_init(&x, ROWS_MAX, GUARD_REPORT_DEPTH);
    enum err e = json_index_parse_borrow(&x, answer);
    uint32_t guard = e == ERR_OK ? json_find(&x, 0, SPAN("guard")) : JSON_NONE;
    if (guard != JSON_NONE && json_kind(&x, guard) == JSON_OBJECT) {
        e = guard_policy_of_team(json_source(&x, guard), out);
    }
    json_index_fini(&x);
    return e;
}

/* Asks the gateway, or the data folder. */
static int find_team(const struct guard_given *g, struct guard_policy **out)
{
    static const struct main_noun teams = {.path = ADMIN_TEAMS_PATH};
    const struct main_act act = {.command = COMMAND, .noun = &teams};
    char path[MAIN_NOUN_PATH_BYTES];
    struct buf answer;
    buf_init(&answer, CLI_ANSWER_MAX);
    int status = main_noun_path(&act, g->team, path);
    if (status == CLI_GO_ON) {
        const struct admin_request request = {.method = HTTP_GET, .path = span_of(path)};
        status = cli_ask(COMMAND, g->config, &request, &answer);
    }
    if (status == CLI_GO_ON) {
        enum err e = read_team(buf_span(&answer), out);
        status = e == ERR_OK ? CLI_GO_ON : fail(e);
    }
    buf_fini(&answer);
    return status;
}

/* ---- printing ---- */

static struct span said(const struct json_index *x, uint32_t object, const char *name)
{
    uint32_t row = json_find(x, object, span_of(name));
    return json_kind(x, row) == JSON_STRING ? json_inside(x, row) : json_source(x, row);
}

/* For people: a line a finding, and what becomes of the text. */
static enum err print_page(struct span page, enum guard_mode mode)
{
    struct json_index x;
    json_index_init(&x, ROWS_MAX, GUARD_REPORT_DEPTH + 4);
    enum err e = json_index_parse_borrow(&x, page);
    if (e != ERR_OK) {
        json_index_fini(&x);
        return e;
    }
    uint32_t findings = json_find(&x, 0, SPAN("findings"));
    uint32_t output = json_find(&x, 0, SPAN("output"));
    struct span text = json_source(&x, output);
    printf("%-18s %8s %8s  %-10s  %-10s  %s\n", "type", "start", "end", "confidence", "action",
           "rule");
    for (uint32_t f = json_first(&x, findings); f != JSON_NONE; f = json_next(&x, f)) {
        printf("%-18.*s %8.*s %8.*s  %-10.*s  %-10.*s  %.*s%s%.*s\n",
               SPAN_ARGS(said(&x, f, "type")), SPAN_ARGS(said(&x, f, "start")),
               SPAN_ARGS(said(&x, f, "end")), SPAN_ARGS(said(&x, f, "confidence")),
               SPAN_ARGS(said(&x, f, "action")), SPAN_ARGS(said(&x, f, "rule")),
               json_find(&x, f, SPAN("path")) == JSON_NONE ? "" : " in ",
               SPAN_ARGS(json_find(&x, f, SPAN("path")) == JSON_NONE ? SPAN("")
                                                                     : said(&x, f, "path")));
    }
    printf("mode     %.*s%s\n", SPAN_ARGS(guard_mode_name(mode)),
           mode == GUARD_ENFORCE ? "" : ": nothing is changed");
    printf("blocked  %s\n", span_is(said(&x, 0, "blocked"), "true") ? "yes" : "no");
    uint8_t *room = json_kind(&x, output) == JSON_STRING ? memory_raw(text.len) : NULL;
    if (room != NULL) {
        text = span_make(room, json_unescape(&x, output, room, NULL));
    }
    printf("output   %.*s\n", SPAN_ARGS(text));
    memory_free(room);
    json_index_fini(&x);
    return ERR_OK;
}

/* ---- looking ---- */

static enum err print_text(const struct guard_given *g, struct guard_report *r, struct span text,
                           struct buf *page)
{
    buf_clear(page);
    enum err e =
        g->request ? guard_report_request(r, text, page) : guard_report_text(r, text, page);
    if (e != ERR_OK) {
        return e;
    }
    if (!g->json && !g->lines) {
        return print_page(buf_span(page), guard_mode_of(&r->of));
    }
    buf_put_byte(page, '\n');
    struct span all = buf_span(page);
    return buf_failed(page) || fwrite(all.at, 1, all.len, stdout) != all.len ? ERR_NO_MEMORY
                                                                             : ERR_OK;
}

/* A line feed at the end is no part of the last text. */
static enum err print_texts(const struct guard_given *g, struct guard_report *r, struct span input,
                            struct buf *page)
{
    size_t end = input.len - (input.len > 0 && input.at[input.len - 1] == '\n');
    struct span all = span_cut(input, 0, end);
    if (!g->lines) {
        return print_text(g, r, all, page);
    }
    enum err e = ERR_OK;
    for (size_t at = 0; e == ERR_OK && input.len > 0 && at <= all.len;) {
        size_t line = span_find(all, '\n', at);
        e = print_text(g, r, span_cut(all, at, line - at), page);
        at = line + 1;
    }
    return e;
}

static int test(const struct guard_given *g, const struct guard_rule_of *of, struct span input)
{
    enum guard_direction direction =
        strcmp(g->direction, "reply") == 0 ? GUARD_REPLY : GUARD_PROMPT;
    struct guard_report report;
    struct buf page;
    buf_init(&page, PAGE_BYTES_MAX);
    enum err e = guard_report_open(of, direction, &report);
    e = e == ERR_OK ? print_texts(g, &report, input, &page) : e;
    guard_report_close(&report);
    buf_fini(&page);
    return e == ERR_OK ? CLI_DONE : fail(e);
}

/* Reads standard input whole; false: it cannot be read, or is too long. */
static bool read_input(struct buf *out)
{
    ssize_t got = 1;
    while (got > 0 && !buf_failed(out)) {
        uint8_t *at = buf_reserve(out, PIECE_BYTES);
        got = at == NULL ? -1 : read(STDIN_FILENO, at, PIECE_BYTES);
        buf_added(out, got > 0 ? (size_t)got : 0);
    }
    return got == 0;
}

static int check_direction(const struct guard_given *g)
{
    static const char *const words[] = {"prompt", "reply"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(g->direction, words[i]) == 0) {
            return CLI_GO_ON;
        }
    }
    return cli_unknown("--direction", g->direction, words, sizeof(words) / sizeof(words[0]));
}

int main_guard_test(const void *given)
{
    const struct guard_given *g = given;
    struct guard_policy *team = NULL;
    struct settings *settings = main_settings_read(g->config);
    struct buf input;
    int status = settings == NULL ? CLI_FAILED : check_direction(g);
    buf_init(&input, INPUT_BYTES_MAX);
    if (status == CLI_GO_ON && g->team != NULL) {
        status = find_team(g, &team);
    }
    if (status == CLI_GO_ON && !read_input(&input)) {
        fprintf(stderr, "atlas " COMMAND ": at most 256 MiB are read from standard input\n");
        status = CLI_FAILED;
    }
    if (status == CLI_GO_ON) {
        const struct guard_rule_of of = {settings->gateway.guard_policy, team};
        status = test(g, &of, buf_span(&input));
    }
    buf_fini(&input);
    guard_policy_unref(&team);
    settings_close(&settings);
    return status;
}
