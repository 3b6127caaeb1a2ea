/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas status`. */
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/cli_ask.h"
#include "cli/cli_options.h"
#include "cli/cli_table.h"
#include "main/commands.h"
#include "json/json_value.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define ROWS_MAX    (1u << 20)
#define TEXT_BYTES  512
#define COLUMNS     80
#define INDENT      2

struct status_given {
    const char *config;
    bool json;
};

const struct cli_option main_status_options[] = {
    CLI_FLAG(struct status_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct status_given, config),
    CLI_END(NULL),
};

/* The text of a member, cut; "" for null and what is not there. */
static const char *text_of(const struct json_index *x, uint32_t object, const char *key,
                           char out[TEXT_BYTES])
{
    uint32_t row = object == JSON_NONE ? JSON_NONE : json_find(x, object, span_of(key));
    out[0] = '\0';
    if (row != JSON_NONE && json_kind(x, row) == JSON_STRING &&
        json_inside(x, row).len < TEXT_BYTES) {
        out[json_unescape(x, row, (uint8_t *)out, NULL)] = '\0';
    } else if (row != JSON_NONE && json_kind(x, row) != JSON_NULL &&
               json_kind(x, row) != JSON_STRING) {
        span_copy_text(json_source(x, row), out, TEXT_BYTES);
    }
    return out;
}

static double gib_of(const struct json_index *x, uint32_t object, const char *key)
{
    char text[TEXT_BYTES];
    long long bytes = 0;
    /* NOLINTNEXTLINE(cert-err34-c): the gateway's own numbers */
    (void)sscanf(text_of(x, object, key, text), "%lld", &bytes);
    return (double)bytes / (double)(1 << 30);
}

/* Prints words below one another that do not pass the screen's width. */
static void print_wrapped(const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (column == 0 || column + 1 + len > COLUMNS) {
            printf("%s%*s", column == 0 ? "" : "\n", INDENT, "");
            column = INDENT;
        } else {
            putchar(' ');
            column++;
        }
        for (size_t i = 0; i < len; i++) {
            putchar((unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
        }
        column += len;
        text += len + strspn(text + len, " ");
    }
    putchar('\n');
}

static void print_head(const struct json_index *x)
{
    char a[TEXT_BYTES], b[TEXT_BYTES], c[TEXT_BYTES];
    uint32_t store = json_find(x, 0, SPAN("store")), disk = json_find(x, 0, SPAN("disk"));
    uint32_t journal = json_find(x, 0, SPAN("journal"));
    printf("Atlas %s: %s, since %s\n", text_of(x, 0, "version", a), text_of(x, 0, "status", b),
           text_of(x, 0, "since", c));
    printf("calls     %s in flight, %s connections, %s workers\n", text_of(x, 0, "calls", a),
           text_of(x, 0, "connections", b), text_of(x, 0, "workers", c));
    printf("memory    %.2f GiB of %.2f GiB for bodies and replies\n", gib_of(x, 0, "buffered"),
           gib_of(x, 0, "buffered_max"));
    printf("journal   record %s; %s\n", text_of(x, journal, "last", a),
           text_of(x, journal, "error", b)[0] == '\0' ? "it writes" : b);
    printf("store     lacks %s records; %s\n", text_of(x, store, "lacks", a),
           text_of(x, store, "error", b)[0] == '\0' ? "it took the last ones" : b);
    printf("disk      %.1f GiB of %.1f GiB free\n", gib_of(x, disk, "free"),
           gib_of(x, disk, "size"));
}

static void print_listeners(const struct json_index *x)
{
    char url[TEXT_BYTES], serves[TEXT_BYTES];
    uint32_t list = json_find(x, 0, SPAN("listeners"));
    uint32_t row = list == JSON_NONE ? JSON_NONE : json_first(x, list);
    for (; row != JSON_NONE; row = json_next(x, row)) {
        printf("listens   %s for %s\n", text_of(x, row, "url", url),
               text_of(x, row, "serves", serves));
    }
}

static void print_problems(const struct json_index *x)
{
    char kind[TEXT_BYTES], since[TEXT_BYTES], subject[TEXT_BYTES], message[TEXT_BYTES];
    uint32_t list = json_find(x, 0, SPAN("problems"));
    uint32_t problem = list == JSON_NONE ? JSON_NONE : json_first(x, list);
    printf("\n%s\n", problem == JSON_NONE ? "Nothing is wrong." : "What is wrong:");
    for (; problem != JSON_NONE; problem = json_next(x, problem)) {
        printf("\n%s since %s %s\n", text_of(x, problem, "kind", kind),
               text_of(x, problem, "since", since), text_of(x, problem, "subject", subject));
        print_wrapped(text_of(x, problem, "message", message));
    }
}

static enum err print_upstreams(const struct json_index *x)
{
    static const struct cli_column columns[] = {
        {"UPSTREAM", "name", "-", false},      {"STATE", "state", "-", false},
        {"IN FLIGHT", "in_flight", "0", true}, {"CONNS", "connections", "0", true},
        {"ATTEMPTS", "attempts", "0", true},   {"FAILED", "failures", "0", true},
        {"OMITS", "omits", "-", false},
    };
    struct buf list;
    size_t lines;
    uint32_t row = json_find(x, 0, SPAN("upstreams"));
    buf_init(&list, CLI_ANSWER_MAX);
    buf_put_text(&list, "{\"data\":");
    buf_put(&list, row == JSON_NONE ? SPAN("[]") : json_source(x, row));
    buf_put_text(&list, "}");
    putchar('\n');
    enum err e = buf_failed(&list)
                     ? ERR_NO_MEMORY
                     : cli_table_print(stdout, buf_span(&list), columns, ROWS(columns), &lines);
    buf_fini(&list);
    return e;
}

static int print_status(struct span answer)
{
    struct json_index x;
    json_index_init(&x, ROWS_MAX, 8);
    enum err e = json_index_parse_borrow(&x, answer);
    if (e == ERR_OK) {
        print_head(&x);
        print_listeners(&x);
        e = print_upstreams(&x);
    }
    if (e == ERR_OK) {
        print_problems(&x);
    } else {
        fprintf(stderr, "atlas status: the answer is not a status\n");
    }
    json_index_fini(&x);
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}

int main_status(const void *given)
{
    const struct status_given *g = given;
    const struct admin_request request = {.method = HTTP_GET, .path = SPAN(ADMIN_STATUS_PATH)};
    struct buf answer;
    buf_init(&answer, CLI_ANSWER_MAX);
    int status = cli_ask("status", g->config, &request, &answer);
    if (status == CLI_GO_ON && g->json) {
        printf("%.*s\n", SPAN_ARGS(buf_span(&answer)));
        status = CLI_DONE;
    } else if (status == CLI_GO_ON) {
        status = print_status(buf_span(&answer));
    }
    buf_fini(&answer);
    return status;
}
