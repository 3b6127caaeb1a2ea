/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas key import`: a file of SHA-256 digests, a key each. All of it is read and judged before
 * the first key is made, so that a file with a mistake makes none. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli_ask.h"
#include "cli/cli_body.h"
#include "keys/keys_change.h"
#include "main/commands.h"
#include "main/key_print.h"
#include "main/main_given.h"
#include "json/json_scan.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define FILE_BYTES_MAX (32U << 20)
#define CHUNK          65536
#define HEX_CHARS      64
#define NAME_BYTES     (KEYS_NAME_MAX + 1)
#define FAILURES_MAX   20 /* then the rest is left alone: it is no single key's fault */
#define COMMAND_BYTES  64
#define ROWS_MAX       1024
#define DEPTH_MAX      8

const struct cli_option main_key_import_options[] = {
    CLI_TEXT(struct main_given, sha256, "sha256", "FILE",
             "A line a key: its SHA-256 in 64 hexadecimal digits, and its name if it has one",
             .words = CLI_FILES, .is_needed = true),
    CLI_TEXT(struct main_given, name, "name", "NAME",
             "Of keys whose line has none; imported if not given"),
    CLI_TEXT(struct main_given, team, "team", "TEAM", "The team that they belong to",
             .member = "team"),
    CLI_TEXT(struct main_given, user, "user", "USER", "Their user, one of that team",
             .member = "user"),
    CLI_LIST(struct main_given, scopes, "scopes", "S,S",
             "All that they may be used for: chat, completions, embeddings, models, moderations",
             .member = "scopes", .words = ADMIN_KEY_SCOPES),
    MAIN_MODELS,
    MAIN_EXPIRES,
    MAIN_ROTATE_EVERY,
    MAIN_PLAN,
    CLI_FLAG(struct main_given, test, "test", "Keys for evaluation", .member = "kind",
             .says = "test"),
    CLI_FLAG(struct main_given, json, "json", "Print an object a line"),
    MAIN_CONFIG,
    MAIN_END,
};

static int fail_file(const char *path, const char *why)
{
    fprintf(stderr, "atlas key import: %s: %s\n", path, why);
    return CLI_FAILED;
}

static int read_file(const char *path, struct buf *out)
{
    const char *why = NULL;
    int fd = -1;
    if (file_open(path, &fd, &why) != ERR_OK) {
        return fail_file(path, why);
    }
    ssize_t got = 1;
    while (got > 0 && !buf_failed(out)) {
        void *room = buf_reserve(out, CHUNK);
        got = room == NULL ? 0 : read(fd, room, CHUNK);
        out->len += got > 0 ? (size_t)got : 0;
    }
    int problem = errno;
    (void)close(fd); /* it was only read */
    if (got < 0) {
        return fail_file(path, strerrordesc_np(problem));
    }
    return buf_failed(out) ? fail_file(path, "it has more than 32 MiB; give it in parts")
                           : CLI_GO_ON;
}

/* The next line of `rest`, which is cut off it, without blanks around it. */
static struct span take_line(struct span *rest)
{
    struct span line = span_cut(*rest, 0, span_find(*rest, '\n', 0));
    *rest = span_cut(*rest, line.len + 1, rest->len);
    if (span_ends(line, SPAN("\r"))) {
        line.len--;
    }
    return span_trim(line);
}

static bool is_empty(struct span line)
{
    return line.len == 0 || line.at[0] == '#';
}

static bool is_hex(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
            return false;
        }
    }
    return text.len == HEX_CHARS;
}

/* What a line says; false: it is none. */
static bool read_line(struct span line, struct span *digest, struct span *name)
{
    size_t end = 0;
    while (end < line.len && line.at[end] != ' ' && line.at[end] != '\t') {
        end++;
    }
    *digest = span_cut(line, 0, end);
    *name = span_trim(span_cut(line, end, line.len));
    return is_hex(*digest) && name->len < NAME_BYTES && memchr(line.at, '\0', line.len) == NULL &&
           json_scan_utf8(*name) == name->len;
}

static int check(const char *path, struct span rest)
{
    for (unsigned number = 1; rest.len > 0; number++) {
        struct span digest, name, line = take_line(&rest);
        if (!is_empty(line) && !read_line(line, &digest, &name)) {
            fprintf(stderr,
                    "atlas key import: %s, line %u: it takes 64 hexadecimal digits, and behind a "
                    "blank a name in UTF-8 if there is one; no key was made\n",
                    path, number);
            return CLI_FAILED;
        }
    }
    return CLI_GO_ON;
}

/* Prints the id and the name of the key that was made. */
static int print_made(const struct main_given *g, struct span answer, const char *name)
{
    struct json_index x;
    if (g->json) {
        return main_key_print("key import", answer, "; it was made");
    }
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, answer);
    uint32_t id = e == ERR_OK ? json_find(&x, 0, SPAN("id")) : JSON_NONE;
    if (id != JSON_NONE) {
        printf("%.*s  %s\n", SPAN_ARGS(json_inside(&x, id)), name);
    }
    json_index_fini(&x);
    return id == JSON_NONE ? CLI_FAILED : CLI_DONE;
}

/* The body that the options make, with a name and a digest behind. */
static int write_body(const struct main_given *g, const char *name, struct span digest,
                      struct buf *out)
{
    struct cli_body said = {.command = "key import",
                            .options = main_key_import_options,
                            .object = ADMIN_OBJECT_key,
                            .given = g};
    struct json_writer w;
    struct buf more;
    int status = cli_body_write(&said, out);
    if (status != CLI_GO_ON) {
        return status;
    }
    buf_init(&more, ADMIN_BODY_BYTES_MAX);
    json_write_init(&w, &more);
    json_write_object(&w);
    json_write_member_text(&w, "name", name);
    json_write_key(&w, "sha256");
    json_write_string(&w, digest);
    json_write_end(&w);
    enum err e = json_write_finish(&w);
    out->len--; /* its closing brace */
    if (said.members > 0) {
        buf_put_byte(out, ',');
    }
    buf_put(out, span_cut(buf_span(&more), 1, more.len));
    buf_fini(&more);
    e = e == ERR_OK && buf_failed(out) ? ERR_NO_MEMORY : e;
    if (e != ERR_OK) {
        fprintf(stderr, "atlas key import: %s\n", err_sentence(e));
        return CLI_FAILED;
    }
    return CLI_GO_ON;
}

static int import_one(const struct main_given *g, unsigned line, struct span digest,
                      struct span given_name)
{
    char name[NAME_BYTES], command[COMMAND_BYTES];
    struct buf body, answer;
    span_copy_text(given_name.len > 0 ? given_name
                                      : span_of(g->name == NULL ? "imported" : g->name),
                   name, sizeof(name));
    (void)snprintf(command, sizeof(command), "key import: line %u", line); /* it fits */
    buf_init(&answer, CLI_ANSWER_MAX);
    int status = write_body(g, name, digest, &body);
    if (status == CLI_GO_ON) {
        const struct admin_request request = {
            .method = HTTP_POST, .path = SPAN(ADMIN_KEYS_PATH), .body = buf_span(&body)};
        status = cli_ask(command, g->config, &request, &answer);
    }
    if (status == CLI_GO_ON) {
        status = print_made(g, buf_span(&answer), name);
    }
    buf_fini(&answer);
    buf_fini(&body);
    return status;
}

static int import_all(const struct main_given *g, struct span rest)
{
    unsigned failed = 0;
    for (unsigned number = 1; rest.len > 0 && failed < FAILURES_MAX; number++) {
        struct span digest, name, line = take_line(&rest);
        if (is_empty(line) || !read_line(line, &digest, &name)) {
            continue;
        }
        int status = import_one(g, number, digest, name);
        if (status == CLI_MISUSED) {
            return status;
        }
        failed += status != CLI_DONE;
    }
    if (failed == FAILURES_MAX && rest.len > 0) {
        fprintf(stderr, "atlas key import: %u keys were refused; the lines below are left alone\n",
                failed);
    }
    return failed == 0 ? CLI_DONE : CLI_FAILED;
}

int main_key_import(const void *given)
{
    const struct main_given *g = given;
    struct buf all;
    buf_init(&all, FILE_BYTES_MAX);
    int status = read_file(g->sha256, &all);
    if (status == CLI_GO_ON) {
        status = check(g->sha256, buf_span(&all));
    }
    if (status == CLI_GO_ON) {
        status = import_all(g, buf_span(&all));
    }
    buf_fini(&all);
    if (status == CLI_DONE && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
        fprintf(stderr, "atlas key import: the output cannot be written: %s\n",
                strerrordesc_np(errno));
        status = CLI_FAILED;
    }
    return status;
}
