/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas key show`: a line a member, as the table of objects names them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli_ask.h"
#include "cli/cli_table.h"
#include "main/commands.h"
#include "main/key_id.h"
#include "json/json_value.h"

#define ROWS_MAX    64
#define DEPTH_MAX   4
#define VALUE_BYTES 1024

struct show_given {
    const char *config, *id;
    bool json;
};

const struct cli_option main_key_show_options[] = {
    CLI_WORD(struct show_given, id, "ID", "The key's id, as `atlas key list` shows it"),
    CLI_FLAG(struct show_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct show_given, config),
    CLI_END(NULL),
};

/* A number as it is, or the time that it says. */
static void print_number(const struct json_index *x, uint32_t row, const struct admin_field *field)
{
    char date[CLI_MOMENT_BYTES];
    int64_t number = 0;
    if (field->kind == ADMIN_MOMENT && json_int64(x, row, &number) == ERR_OK &&
        cli_moment(number, date)) {
        printf("%s", date);
    } else {
        printf("%.*s", SPAN_ARGS(json_source(x, row)));
    }
}

/* Prints a text, a list's texts with commas between, a number, or a dash for null. */
static void print_value(const struct json_index *x, uint32_t row, const struct admin_field *field)
{
    uint8_t text[VALUE_BYTES];
    const char *comma = "";
    if (json_kind(x, row) == JSON_ARRAY) {
        for (uint32_t item = json_first(x, row); item != JSON_NONE; item = json_next(x, item)) {
            printf("%s%.*s", comma, SPAN_ARGS(json_inside(x, item)));
            comma = ", ";
        }
    } else if (json_kind(x, row) == JSON_STRING && json_inside(x, row).len <= sizeof(text)) {
        printf("%.*s", (int)json_unescape(x, row, text, NULL), (const char *)text);
    } else if (json_kind(x, row) == JSON_NUMBER) {
        print_number(x, row, field);
    } else {
        printf("-");
    }
    printf("\n");
}

static int print_key(struct span answer)
{
    struct json_index x;
    size_t count;
    const struct admin_field *field = admin_fields(ADMIN_OBJECT_key, &count);
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, answer);
    for (size_t i = 0; e == ERR_OK && i < count; i++) {
        uint32_t row = json_find(&x, 0, span_of(field[i].name));
        if (row != JSON_NONE) {
            printf("%-10s ", field[i].name);
            print_value(&x, row, &field[i]);
        }
    }
    json_index_fini(&x);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas key show: the answer is not a key\n");
        return CLI_FAILED;
    }
    return CLI_DONE;
}

int main_key_show(const void *given)
{
    const struct show_given *g = given;
    struct span id;
    struct buf answer;
    char path[MAIN_KEY_PATH_BYTES];
    int status = main_key_id("show", g->id, &id);
    if (status != CLI_GO_ON) {
        return status;
    }
    const struct admin_request request = {.method = HTTP_GET, .path = main_key_path(id, path)};
    buf_init(&answer, CLI_ANSWER_MAX);
    status = cli_ask("key show", g->config, &request, &answer);
    if (status == CLI_GO_ON && g->json) {
        printf("%.*s\n", SPAN_ARGS(buf_span(&answer)));
        status = CLI_DONE;
    } else if (status == CLI_GO_ON) {
        status = print_key(buf_span(&answer));
    }
    buf_fini(&answer);
    if (status == CLI_DONE && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
        fprintf(stderr, "atlas key show: the output cannot be written: %s\n",
                strerrordesc_np(errno));
        status = CLI_FAILED;
    }
    return status;
}
