/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas key list`: asks for page after page, so that whoever revokes a key meanwhile gets between
 * two of them, and puts the pages together. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli_ask.h"
#include "cli/cli_table.h"
#include "main/commands.h"
#include "json/json_value.h"

#define QUERY_BYTES 64
#define TITLE_BYTES 16
#define ROWS_MAX    (1u << 20) /* values of one page */
#define DEPTH_MAX   8

static int fail(enum err e)
{
    fprintf(stderr, "atlas key list: %s\n",
            e == ERR_NO_MEMORY ? err_sentence(e) : "the answer is not a list of keys");
    return CLI_FAILED;
}

/* Puts the keys of a page behind those before, and the query for the next page into `query`; an
 * empty one when this was the last. */
static enum err add_page(struct buf *all, struct span page, char query[QUERY_BYTES])
{
    struct json_index x;
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, page);
    uint32_t data = e == ERR_OK ? json_find(&x, 0, SPAN("data")) : JSON_NONE;
    uint32_t next = e == ERR_OK ? json_find(&x, 0, SPAN("next_cursor")) : JSON_NONE;
    query[0] = '\0';
    if (data == JSON_NONE || json_kind(&x, data) != JSON_ARRAY) {
        e = e == ERR_OK ? ERR_BODY_NOT_JSON : e;
    } else {
        struct span rows = json_source(&x, data);
        rows = span_cut(rows, 1, rows.len - 2); /* without the brackets */
        if (rows.len > 0 && !buf_failed(all) && all->at[all->len - 1] != '[') {
            buf_put_byte(all, ',');
        }
        buf_put(all, rows);
    }
    if (e == ERR_OK && next != JSON_NONE && json_kind(&x, next) == JSON_STRING) {
        struct span cursor = json_inside(&x, next);
        (void)snprintf(query, QUERY_BYTES, "after=%.*s", SPAN_ARGS(span_cut(cursor, 0, 32)));
    }
    json_index_fini(&x);
    return e == ERR_OK && buf_failed(all) ? ERR_NO_MEMORY : e;
}

/* Fetches all pages into one list. CLI_GO_ON, or the exit status after it has said what is wrong.
 */
static int fetch(const char *config, struct buf *all)
{
    char query[QUERY_BYTES] = "";
    struct buf page;
    int status = CLI_GO_ON;
    buf_put_text(all, "{\"object\":\"list\",\"data\":[");
    do {
        const struct admin_request request = {
            .method = HTTP_GET, .path = SPAN(ADMIN_KEYS_PATH), .query = span_of(query)};
        buf_init(&page, CLI_ANSWER_MAX);
        status = cli_ask("key list", config, &request, &page);
        enum err e = status == CLI_GO_ON ? add_page(all, buf_span(&page), query) : ERR_OK;
        status = e == ERR_OK ? status : fail(e);
        buf_fini(&page);
    } while (status == CLI_GO_ON && query[0] != '\0');
    buf_put_text(all, "]}");
    return status == CLI_GO_ON && buf_failed(all) ? fail(ERR_NO_MEMORY) : status;
}

/* What stands for null in a column. */
static const char *none_of(const struct admin_field *field)
{
    return field->kind == ADMIN_MOMENT ? "never" : "";
}

static unsigned look_of(const struct admin_field *field)
{
    return field->kind == ADMIN_MOMENT         ? CLI_MOMENT
           : (field->rules & ADMIN_MAYBE) != 0 ? CLI_OPTIONAL
                                               : 0;
}

static bool is_name(const struct admin_field *field)
{
    return strcmp(field->name, "name") == 0;
}

/* Writes the field's name in capitals, without the `_at` of a time. Names are ASCII. */
static void write_title(const struct admin_field *field, char out[TITLE_BYTES])
{
    struct span name = span_of(field->name);
    bool is_moment = field->kind == ADMIN_MOMENT && span_ends(name, SPAN("_at"));
    span_copy_text(span_cut(name, 0, name.len - (is_moment ? 3 : 0)), out, TITLE_BYTES);
    for (char *c = out; *c != '\0'; c++) {
        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
    }
}

struct columns {
    struct cli_column at[CLI_COLUMNS_MAX];
    char titles[CLI_COLUMNS_MAX][TITLE_BYTES];
    size_t count;
};

static void add_columns(struct columns *c, bool names)
{
    size_t count;
    const struct admin_field *f = admin_fields(ADMIN_OBJECT_key, &count);
    for (size_t i = 0; i < count; i++) {
        if ((f[i].rules & ADMIN_COLUMN) != 0 && is_name(&f[i]) == names) {
            write_title(&f[i], c->titles[c->count]);
            c->at[c->count] =
                (struct cli_column){c->titles[c->count], f[i].name, none_of(&f[i]), look_of(&f[i])};
            c->count++;
        }
    }
}

static int print_table(struct span answer)
{
    struct columns columns = {.count = 0};
    add_columns(&columns, false);
    add_columns(&columns, true); /* at the end: it may be long */
    size_t lines = 0;
    enum err e = cli_table_print(stdout, answer, columns.at, columns.count, &lines);
    if (e != ERR_OK) {
        return fail(e);
    }
    if (lines == 0) {
        fprintf(stderr, "there are no keys; make one with: atlas key create --name N\n");
    }
    return CLI_DONE;
}

struct list_given {
    const char *config;
    bool json;
};

const struct cli_option main_key_list_options[] = {
    CLI_FLAG(struct list_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct list_given, config),
    CLI_END(NULL),
};

int main_key_list(const void *given)
{
    const struct list_given *g = given;
    struct buf all;
    buf_init(&all, CLI_ANSWER_MAX);
    int status = fetch(g->config, &all);
    if (status == CLI_GO_ON && g->json) {
        printf("%.*s\n", SPAN_ARGS(buf_span(&all)));
        status = CLI_DONE;
    } else if (status == CLI_GO_ON) {
        status = print_table(buf_span(&all));
    }
    buf_fini(&all);
    if (status == CLI_DONE && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
        fprintf(stderr, "atlas key list: the output cannot be written: %s\n",
                strerrordesc_np(errno));
        status = CLI_FAILED;
    }
    return status;
}
