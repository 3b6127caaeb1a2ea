/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas key rotate`. */
#include <stdio.h>

#include "cli/cli_ask.h"
#include "cli/cli_body.h"
#include "crypto/random.h"
#include "main/commands.h"
#include "main/key_id.h"
#include "main/key_print.h"
#include "main/main_given.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define PATH_BYTES (MAIN_KEY_PATH_BYTES + sizeof("/rotate"))
#define ROWS_MAX   1024
#define DEPTH_MAX  8

/* A secret that was made and is not shown is of no use; the one before works on for a while. */
#define KEY_IS_LOST                                                                              \
    "; the key was rotated: its old secret works until the grace is over; make another key, or " \
    "rotate it again after that"

const struct cli_option main_key_rotate_options[] = {
    MAIN_ID("The key's id, as `atlas key list` shows it"),
    CLI_TEXT(struct main_given, grace, "grace", "TIME",
             "How long the secret that it has now works on: 24h if not given, at most 7d; 0: it "
             "ends at once",
             .member = "grace_s"),
    CLI_FLAG(struct main_given, json, "json", "Print an object with id, key, previous_expires_at"),
    MAIN_CONFIG,
    MAIN_END,
};

/* Prints id, key and when the secret before ends, as JSON. */
static int print_json(struct span answer)
{
    static const char *const members[] = {"id", "key", "previous_expires_at"};
    struct json_index x;
    struct json_writer w;
    struct buf out;
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    buf_init(&out, ADMIN_BODY_BYTES_MAX);
    json_write_init(&w, &out);
    json_write_object(&w);
    enum err e = json_index_parse_borrow(&x, answer);
    for (size_t i = 0; e == ERR_OK && i < sizeof(members) / sizeof(members[0]); i++) {
        uint32_t row = json_find(&x, 0, span_of(members[i]));
        e = row == JSON_NONE ? ERR_BODY_NOT_JSON : ERR_OK;
        if (e == ERR_OK) {
            json_write_key(&w, members[i]);
            json_write_raw(&w, json_source(&x, row));
        }
    }
    json_write_end(&w);
    e = e == ERR_OK ? json_write_finish(&w) : e;
    int status = CLI_FAILED;
    if (e == ERR_OK) {
        status = main_key_print("key rotate", buf_span(&out), KEY_IS_LOST);
    } else {
        fprintf(stderr,
                "atlas key rotate: the key cannot be read from the answer" KEY_IS_LOST "\n");
    }
    if (out.at != NULL) {
        crypto_wipe(out.at, out.cap);
    }
    buf_fini(&out);
    json_index_fini(&x);
    return status;
}

static int rotate(const struct main_given *g, struct span id, struct span body, struct buf *answer)
{
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof(path), ADMIN_KEYS_PATH "/%.*s/rotate", SPAN_ARGS(id));
    const struct admin_request request = {
        .method = HTTP_POST, .path = span_make(path, (size_t)len), .body = body}; /* it fits */
    return cli_ask("key rotate", g->config, &request, answer);
}

int main_key_rotate(const void *given)
{
    const struct main_given *g = given;
    struct cli_body said = {.command = "key rotate",
                            .options = main_key_rotate_options,
                            .object = ADMIN_OBJECT_rotation,
                            .given = g};
    char id[KEY_ID_CHARS + 1];
    struct buf body, answer;
    int status = main_key_find("key rotate", g->config, g->id, MAIN_KEY_WORKS, id);
    if (status != CLI_GO_ON) {
        return status;
    }
    buf_init(&answer, CLI_ANSWER_MAX);
    status = cli_body_write(&said, &body);
    if (status == CLI_GO_ON) {
        status = rotate(g, span_of(id), buf_span(&body), &answer);
    }
    if (status == CLI_GO_ON) {
        status = g->json ? print_json(buf_span(&answer))
                         : main_key_print_text("key rotate", buf_span(&answer), KEY_IS_LOST);
    }
    if (answer.at != NULL) {
        crypto_wipe(answer.at, answer.cap);
    }
    buf_fini(&answer);
    buf_fini(&body);
    return status;
}
