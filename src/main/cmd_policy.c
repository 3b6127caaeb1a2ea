/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas route reload | history`, `atlas policy show`: which policy is in force, and which was. */
#include <stdio.h>

#include "base/arena.h"
#include "cli/cli_ask.h"
#include "cli/cli_list.h"
#include "cli/cli_show.h"
#include "main/commands.h"
#include "json/json_value.h"

#define TEXT_BYTES_MAX (300u << 20)
#define ROWS_MAX       64
#define DIGEST_CHARS   64

struct policy_given {
    const char *config, *digest, *part;
    bool json;
};

/* ---- reading again ---- */

const struct cli_option main_route_reload_options[] = {
    CLI_FLAG(struct policy_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct policy_given, config),
    CLI_END(NULL),
};

int main_route_reload(const void *given)
{
    const struct policy_given *g = given;
    const struct admin_request request = {.method = HTTP_POST,
                                          .path = SPAN(ADMIN_ROUTES_PATH "/reload")};
    struct buf answer;
    buf_init(&answer, CLI_ANSWER_MAX);
    int status = cli_ask("route reload", g->config, &request, &answer);
    if (status == CLI_GO_ON) {
        status = g->json ? cli_show_json("route reload", buf_span(&answer))
                         : cli_show_object("route reload", ADMIN_OBJECT_policy, buf_span(&answer));
    }
    buf_fini(&answer);
    return status;
}

/* ---- history ---- */

const struct cli_option main_route_history_options[] = {
    CLI_FLAG(struct policy_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct policy_given, config),
    CLI_END(NULL),
};

int main_route_history(const void *given)
{
    const struct policy_given *g = given;
    struct buf all;
    buf_init(&all, CLI_ANSWER_MAX);
    int status = cli_list_all("route history", g->config, SPAN(ADMIN_ROUTES_PATH "/history"),
                              SPAN(""), &all);
    if (status == CLI_GO_ON) {
        status = g->json ? cli_show_json("route history", buf_span(&all))
                         : cli_show_list("route history", ADMIN_OBJECT_policy, buf_span(&all),
                                         "no policy was in force yet; `atlas serve` begins");
    }
    buf_fini(&all);
    return status;
}

/* ---- what was in force ---- */

static void teach_show(FILE *out)
{
    fputs("\nRecords of the journal name the policy that was in force, as `policy_digest`;\n"
          "its first six digits will do. What it was read from is shown as it was written,\n"
          "but for secrets: `***` stands for those that were written in it.\n",
          out);
}

const struct cli_option main_policy_show_options[] = {
    CLI_WORD(struct policy_given, digest, "DIGEST", "The digest, or its first digits"),
    CLI_TEXT(struct policy_given, part, "part", "PART", "Print this file of it alone",
             .words = "settings|models|rules|policy"),
    CLI_FLAG(struct policy_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct policy_given, config),
    CLI_END(teach_show),
};

/* Prints a text as it is; nothing where there is none. */
static enum err print_part(const struct json_index *x, const char *name, const char *title)
{
    struct arena arena;
    struct span text;
    uint32_t row = json_find(x, 0, span_of(name));
    if (row == JSON_NONE || json_kind(x, row) != JSON_STRING) {
        return ERR_OK;
    }
    arena_init(&arena, TEXT_BYTES_MAX);
    enum err e = json_text(x, row, &arena, &text);
    if (e == ERR_OK) {
        printf("%s", title);
        e = fwrite(text.at, 1, text.len, stdout) == text.len ? ERR_OK : ERR_FILE;
        if (text.len > 0 && text.at[text.len - 1] != '\n') {
            putchar('\n');
        }
    }
    arena_fini(&arena);
    return e;
}

static enum err print_all(const struct json_index *x)
{
    static const char *const lines[] = {"version", "digest", "since", "by"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        uint32_t row = json_find(x, 0, span_of(lines[i]));
        struct span text = row == JSON_NONE                   ? SPAN("-")
                           : json_kind(x, row) == JSON_STRING ? json_inside(x, row)
                                                              : json_source(x, row);
        printf("%-9s  %.*s\n", lines[i], SPAN_ARGS(text));
    }
    enum err e = print_part(x, "settings", "\n---- settings\n");
    e = e == ERR_OK ? print_part(x, "models", "\n---- models\n") : e;
    return e == ERR_OK ? print_part(x, "rules", "\n---- rules\n") : e;
}

static int print_policy(const struct policy_given *g, struct span answer)
{
    struct json_index x;
    json_index_init(&x, ROWS_MAX, 4);
    enum err e = json_index_parse_borrow(&x, answer);
    if (e == ERR_OK) {
        e = g->part == NULL ? print_all(&x) : print_part(&x, g->part, "");
    }
    json_index_fini(&x);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas policy show: %s\n", err_sentence(e));
    }
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}

/* Whether it can be a digest, or the first digits of one. */
static bool is_hex(const char *text)
{
    size_t len = strspn(text, "0123456789abcdef");
    return len > 0 && text[len] == '\0' && len <= DIGEST_CHARS;
}

int main_policy_show(const void *given)
{
    const struct policy_given *g = given;
    char path[sizeof(ADMIN_POLICIES_PATH) + DIGEST_CHARS + 1];
    struct buf answer;
    if (!is_hex(g->digest)) {
        fprintf(stderr,
                "atlas policy show: a digest has up to 64 of the digits 0-9 a-f, not "
                "'%.80s'; `atlas route history` lists them\n",
                g->digest);
        return CLI_MISUSED;
    }
    (void)snprintf(path, sizeof(path), ADMIN_POLICIES_PATH "/%s", g->digest); /* fits */
    const struct admin_request request = {.method = HTTP_GET, .path = span_of(path)};
    buf_init(&answer, CLI_ANSWER_MAX);
    int status = cli_ask("policy show", g->config, &request, &answer);
    if (status == CLI_GO_ON) {
        status = g->json ? cli_show_json("policy show", buf_span(&answer))
                         : print_policy(g, buf_span(&answer));
    }
    buf_fini(&answer);
    return status;
}
