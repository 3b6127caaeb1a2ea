/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas key create | list | revoke`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_ask.h"
#include "cli/cli_options.h"
#include "cli/cli_table.h"
#include "crypto/random.h"
#include "keys/key_string.h"
#include "main/commands.h"
#include "settings/settings_value.h"
#include "json/json_scan.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define CONFIG_HELP     "The configuration; " CLI_CONFIG_DEFAULT " if not given"
#define EXPIRES_MOST_MS (INT64_C(100) * 366 * 86400000) /* a hundred years */
#define LONG            (ADMIN_BODY_BYTES_MAX / 8)      /* each byte may be escaped, or a scope */
#define ROWS(table)     (sizeof(table) / sizeof((table)[0]))

/* What `create` was told. */
struct wish {
    const char *name, *expires, *scopes;
    bool is_test, is_admin;
    int64_t expires_ms; /* from now; 0: never */
};

/* A key that was made and is not shown is of no use. */
#define KEY_IS_LOST "; it was made: find it with `atlas key list`, revoke it, and make another"

/* Whether all that was printed has gone out; says so if not. */
static int end_output(const char *action, const char *more)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return CLI_DONE;
    }
    fprintf(stderr, "atlas key %s: the output cannot be written: %s%s\n", action,
            strerrordesc_np(errno), more);
    return CLI_FAILED;
}

static int print_answer(const char *action, struct span answer, const char *more)
{
    printf("%.*s\n", SPAN_ARGS(answer));
    return end_output(action, more);
}

static void write_scopes(struct json_writer *w, struct span scopes)
{
    json_write_key(w, "scopes");
    json_write_array(w);
    for (size_t at = 0; at <= scopes.len;) {
        size_t comma = span_find(scopes, ',', at);
        json_write_string(w, span_cut(scopes, at, comma - at));
        at = comma + 1;
    }
    json_write_end(w);
}

static enum err write_wish(const struct wish *wish, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "name");
    json_write_text(&w, wish->name);
    json_write_key(&w, "kind");
    json_write_text(&w, wish->is_admin ? "admin" : wish->is_test ? "test" : "live");
    if (wish->expires_ms > 0) {
        json_write_key(&w, "expires_ms");
        json_write_int(&w, clock_wall().us / 1000 + wish->expires_ms);
    }
    if (wish->scopes != NULL) {
        write_scopes(&w, span_of(wish->scopes));
    }
    json_write_end(&w);
    return json_write_finish(&w);
}

static int misused(const char *why)
{
    fprintf(stderr, "atlas key create: %s\n", why);
    return CLI_MISUSED;
}

static int check_wish(struct wish *wish)
{
    if (wish->name == NULL) {
        return misused("--name is missing: say what the key is for");
    }
    struct span name = span_of(wish->name);
    if (json_scan_utf8(name) < name.len) {
        return misused("--name is not UTF-8");
    }
    if (wish->is_test && wish->is_admin) {
        return misused("--test and --admin do not go together");
    }
    if (wish->expires != NULL &&
        (!settings_number_read(SETTINGS_DURATION, span_of(wish->expires), &wish->expires_ms) ||
         wish->expires_ms < 1000 || wish->expires_ms > EXPIRES_MOST_MS)) {
        return misused("--expires takes a time from now, such as 12h or 30d");
    }
    return CLI_GO_ON;
}

/* Prints the key of the answer, alone. */
static int print_key(struct span answer)
{
    struct json_index x;
    json_index_init(&x, 64, 4);
    enum err e = json_index_parse_borrow(&x, answer);
    uint32_t key = e == ERR_OK ? json_find(&x, 0, SPAN("key")) : JSON_NONE;
    int status = CLI_FAILED;
    if (key == JSON_NONE) {
        fprintf(stderr, "atlas key create: the key cannot be read from the answer%s%s%s\n",
                e == ERR_OK ? "" : ": ", e == ERR_OK ? "" : err_sentence(e), KEY_IS_LOST);
    } else {
        status = print_answer("create", json_inside(&x, key),
                              KEY_IS_LOST); /* Base62 and "_": nothing is escaped */
    }
    json_index_fini(&x);
    if (status == CLI_DONE && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO)) {
        fprintf(stderr, "keep it: it is not shown again\n");
    }
    return status;
}

static int create_key(int argc, char **argv)
{
    const char *config = CLI_CONFIG_DEFAULT;
    struct wish wish = {0};
    bool json = false;
    const struct cli_option options[] = {
        {"name", "N", "What the key is for", .text = &wish.name},
        {"expires", "T", "When it ends, from now: 12h, 30d; never if not given",
         .text = &wish.expires},
        {"test", NULL, "A key for evaluation", .flag = &wish.is_test},
        {"admin", NULL, "A key for the admin API", .flag = &wish.is_admin},
        {"scopes", "S,S", "chat, completions, embeddings, models; all if not given",
         .text = &wish.scopes},
        {"json", NULL, "Print an object with id and key", .flag = &json},
        {"config", "F", CONFIG_HELP, .text = &config},
    };
    int status = cli_options(argc, argv,
                             "atlas key create --name N [--expires T] [--scopes S,S] [--test | "
                             "--admin] [--json] [--config F]",
                             options, ROWS(options));
    if (status == CLI_GO_ON) {
        status = check_wish(&wish);
    }
    if (status != CLI_GO_ON) {
        return status;
    }
    struct buf body, answer;
    buf_init(&body, ADMIN_BODY_BYTES_MAX);
    buf_init(&answer, CLI_ANSWER_MAX);
    enum err e = write_wish(&wish, &body);
    if (e != ERR_OK && strlen(wish.name) + (wish.scopes == NULL ? 0 : strlen(wish.scopes)) > LONG) {
        status = misused("the name or the scopes are too long");
    } else if (e != ERR_OK) {
        fprintf(stderr, "atlas key create: %s\n", err_sentence(e));
        status = CLI_FAILED;
    } else {
        const struct admin_request request = {
            HTTP_POST, SPAN(ADMIN_KEYS_PATH), {NULL, 0}, buf_span(&body)};
        status = cli_ask("key create", config, &request, &answer);
    }
    if (status == CLI_GO_ON) {
        status = json ? print_answer("create", buf_span(&answer), KEY_IS_LOST)
                      : print_key(buf_span(&answer));
    }
    if (answer.at != NULL) {
        crypto_wipe(answer.at, answer.cap);
    }
    buf_fini(&answer);
    buf_fini(&body);
    return status;
}

static int print_list(struct span answer)
{
    static const struct cli_column columns[] = {
        {"ID", "id", "", false},
        {"KIND", "kind", "", false},
        {"STATUS", "status", "", false},
        {"CREATED", "created", "", false},
        {"EXPIRES", "expires", "never", false},
        {"NAME", "name", "", false},
    };
    size_t lines = 0;
    enum err e = cli_table_print(stdout, answer, columns, ROWS(columns), &lines);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas key list: %s\n",
                e == ERR_NO_MEMORY ? err_sentence(e) : "the answer is not a list of keys");
        return CLI_FAILED;
    }
    if (lines == 0) {
        fprintf(stderr, "there are no keys; make one with: atlas key create --name N\n");
    }
    return end_output("list", "");
}

static int list_keys(int argc, char **argv)
{
    const char *config = CLI_CONFIG_DEFAULT;
    bool json = false;
    const struct cli_option options[] = {
        {"json", NULL, "Print JSON", .flag = &json},
        {"config", "F", CONFIG_HELP, .text = &config},
    };
    int status =
        cli_options(argc, argv, "atlas key list [--json] [--config F]", options, ROWS(options));
    if (status != CLI_GO_ON) {
        return status;
    }
    struct buf answer;
    const struct admin_request request = {HTTP_GET, SPAN(ADMIN_KEYS_PATH), {NULL, 0}, {NULL, 0}};
    buf_init(&answer, CLI_ANSWER_MAX);
    status = cli_ask("key list", config, &request, &answer);
    if (status == CLI_GO_ON) {
        status = json ? print_answer("list", buf_span(&answer), "") : print_list(buf_span(&answer));
    }
    buf_fini(&answer);
    return status;
}

/* Whoever gives the whole key means the id in it. */
static struct span id_in(const char *word)
{
    struct key_parts parts;
    return key_string_parse(span_of(word), &parts) == ERR_OK ? parts.id : span_of(word);
}

static int end_key(int argc, char **argv)
{
    const char *config = CLI_CONFIG_DEFAULT;
    const char *word = "";
    const struct cli_option options[] = {
        {NULL, "ID", "The key's id, as `atlas key list` shows it", .text = &word},
        {"config", "F", CONFIG_HELP, .text = &config},
    };
    int status =
        cli_options(argc, argv, "atlas key revoke ID [--config F]", options, ROWS(options));
    if (status != CLI_GO_ON) {
        return status;
    }
    struct span id = id_in(word);
    char path[sizeof(ADMIN_KEYS_PATH) + 1 + KEY_ID_CHARS];
    int len = snprintf(path, sizeof(path), ADMIN_KEYS_PATH "/%.*s", SPAN_ARGS(id));
    if (id.len != KEY_ID_CHARS || len >= (int)sizeof(path)) {
        fprintf(stderr, "atlas key revoke: '%s' is not a key's id; `atlas key list` shows them\n",
                word);
        return CLI_MISUSED;
    }
    struct buf answer;
    const struct admin_request request = {HTTP_DELETE, span_of(path), {NULL, 0}, {NULL, 0}};
    buf_init(&answer, CLI_ANSWER_MAX);
    status = cli_ask("key revoke", config, &request, &answer);
    if (status == CLI_GO_ON) {
        printf("revoked %.*s\n", SPAN_ARGS(id));
        status = end_output("revoke", "; the key was revoked");
    }
    buf_fini(&answer);
    return status;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} actions[] = {
    {"create", create_key, "Make a key and print it, this once"},
    {"list", list_keys, "List all keys, never their secrets"},
    {"revoke", end_key, "End a key, within a second everywhere"},
};

int main_key(int argc, char **argv)
{
    const char *names[ROWS(actions)];
    for (size_t i = 0; i < ROWS(actions); i++) {
        names[i] = actions[i].name;
        if (argc > 1 && strcmp(argv[1], names[i]) == 0) {
            return actions[i].run(argc - 1, argv + 1);
        }
    }
    bool is_asked = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (argc > 1 && argv[1][0] != '-') {
        return cli_unknown("action", argv[1], names, ROWS(actions));
    }
    FILE *out = is_asked ? stdout : stderr;
    fprintf(out, "usage: atlas key create|list|revoke [options]\n\n");
    for (size_t i = 0; i < ROWS(actions); i++) {
        fprintf(out, "  %-10s %s\n", actions[i].name, actions[i].help);
    }
    return is_asked ? CLI_DONE : CLI_MISUSED;
}
