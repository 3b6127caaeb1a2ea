/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_list.h"

#include <stdio.h>

#include "cli/cli_ask.h"
#include "cli/cli_options.h"
#include "json/json_value.h"

#define QUERY_BYTES  4096
#define CURSOR_BYTES 64
#define ROWS_MAX     (1u << 22) /* values of one page */
#define DEPTH_MAX    8

static int fail(const char *command, enum err e)
{
    fprintf(stderr, "atlas %s: %s\n", command,
            e == ERR_NO_MEMORY ? err_sentence(e) : "the answer is not a list");
    return CLI_FAILED;
}

/* Puts what a page lists behind those before, and what the next page begins after into `cursor`; an
 * empty one when this was the last. */
static enum err add_page(struct buf *all, struct span page, char cursor[CURSOR_BYTES])
{
    struct json_index x;
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, page);
    uint32_t data = e == ERR_OK ? json_find(&x, 0, SPAN("data")) : JSON_NONE;
    uint32_t next = e == ERR_OK ? json_find(&x, 0, SPAN("next_cursor")) : JSON_NONE;
    cursor[0] = '\0';
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
        span_copy_text(json_inside(&x, next), cursor, CURSOR_BYTES);
    }
    json_index_fini(&x);
    return e == ERR_OK && buf_failed(all) ? ERR_NO_MEMORY : e;
}

int cli_list_all(const char *command, const char *config, struct span path, struct span query,
                 struct buf *all)
{
    char cursor[CURSOR_BYTES] = "", whole[QUERY_BYTES];
    struct buf page;
    int status = CLI_GO_ON;
    buf_put_text(all, "{\"object\":\"list\",\"data\":[");
    do {
        int len = snprintf(whole, sizeof(whole), "%.*s%s%s%s", SPAN_ARGS(query),
                           query.len > 0 && cursor[0] != '\0' ? "&" : "",
                           cursor[0] != '\0' ? "after=" : "", cursor);
        CHECK(len < (int)sizeof(whole)); /* queries are the program's own */
        const struct admin_request request = {
            .method = HTTP_GET, .path = path, .query = span_of(whole)};
        buf_init(&page, CLI_ANSWER_MAX);
        status = cli_ask(command, config, &request, &page);
        enum err e = status == CLI_GO_ON ? add_page(all, buf_span(&page), cursor) : ERR_OK;
        status = e == ERR_OK ? status : fail(command, e);
        buf_fini(&page);
    } while (status == CLI_GO_ON && cursor[0] != '\0');
    buf_put_text(all, "],\"has_more\":false,\"next_cursor\":null}");
    return status == CLI_GO_ON && buf_failed(all) ? fail(command, ERR_NO_MEMORY) : status;
}
