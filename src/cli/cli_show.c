/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_show.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "cli/cli_options.h"
#include "cli/cli_table.h"
#include "json/json_value.h"

#define ROWS_MAX       4096
#define DEPTH_MAX      8
#define NAME_BYTES     64
#define TITLE_BYTES    24
#define TEXT_BYTES_MAX (1u << 20)

/* Sees to it that all that was printed has gone out. */
static int end_output(const char *command)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return CLI_DONE;
    }
    fprintf(stderr, "atlas %s: the output cannot be written: %s\n", command,
            strerrordesc_np(errno));
    return CLI_FAILED;
}

int cli_show_json(const char *command, struct span answer)
{
    printf("%.*s\n", SPAN_ARGS(answer));
    return end_output(command);
}

/* ---- one object ---- */

/* An object while it is printed: twice, first to see how wide the names are. */
struct showing {
    struct json_index x;
    struct arena arena;
    int width;
    bool is_measured;
};

static void put_string(struct showing *s, uint32_t row)
{
    struct span text;
    if (json_text(&s->x, row, &s->arena, &text) != ERR_OK) {
        text = json_inside(&s->x, row); /* with its escapes: better than nothing */
    }
    cli_put_text(stdout, text.len > 0 ? text : SPAN("-"));
}

/* A list's items, or a mapping's "name=value", with commas between. */
static void put_items(struct showing *s, uint32_t row)
{
    const char *comma = "";
    for (uint32_t item = json_first(&s->x, row); item != JSON_NONE; item = json_next(&s->x, item)) {
        printf("%s", comma);
        comma = ", ";
        if (json_kind(&s->x, row) == JSON_OBJECT) {
            put_string(s, item);
            printf("=");
            cli_put_text(stdout, json_inside(&s->x, json_value(&s->x, item)));
        } else if (json_kind(&s->x, item) == JSON_STRING) {
            put_string(s, item);
        } else {
            cli_put_text(stdout, json_source(&s->x, item));
        }
    }
    printf("%s", comma[0] == '\0' ? "-" : "");
}

/* A text, a list's or a mapping's items, a number or the time that it says, a dash for null. */
static void put_value(struct showing *s, uint32_t row, const struct admin_field *field)
{
    char date[CLI_MOMENT_BYTES];
    int64_t number = 0;
    enum json_kind kind = json_kind(&s->x, row);
    if (field->kind == ADMIN_JSON && kind == JSON_OBJECT) {
        cli_put_text(stdout, json_source(&s->x, row));
    } else if (kind == JSON_ARRAY || kind == JSON_OBJECT) {
        put_items(s, row);
    } else if (kind == JSON_STRING) {
        put_string(s, row);
    } else if (kind == JSON_NULL) {
        printf("-");
    } else if (field->kind == ADMIN_MOMENT && json_int64(&s->x, row, &number) == ERR_OK &&
               cli_moment(number, date)) {
        printf("%s", date);
    } else {
        printf("%.*s", SPAN_ARGS(json_source(&s->x, row)));
    }
}

static void put_row(struct showing *s, const char *part, uint32_t row,
                    const struct admin_field *field)
{
    char name[NAME_BYTES];
    int len = snprintf(name, sizeof(name), "%s%s%s", part, part[0] == '\0' ? "" : ".", field->name);
    if (!s->is_measured) {
        s->width = len > s->width ? len : s->width;
        return;
    }
    printf("%-*s  ", s->width, name);
    put_value(s, row, field);
    printf("\n");
}

/* Of a part, those that say something. */
static void put_members(struct showing *s, const char *part, uint32_t object,
                        enum admin_object kind)
{
    size_t count;
    const struct admin_field *field = admin_fields(kind, &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t row = json_find(&s->x, object, span_of(field[i].name));
        if (row == JSON_NONE || (part[0] != '\0' && json_kind(&s->x, row) == JSON_NULL)) {
            continue;
        }
        put_row(s, part, row, &field[i]);
    }
}

static void put_object(struct showing *s, enum admin_object object)
{
    size_t count;
    const struct admin_field *field = admin_fields(object, &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t row = json_find(&s->x, 0, span_of(field[i].name));
        if (row == JSON_NONE) {
            continue;
        }
        if (field[i].kind == ADMIN_PART && json_kind(&s->x, row) == JSON_OBJECT) {
            put_members(s, field[i].name, row, admin_part_of(&field[i]));
        } else {
            put_row(s, "", row, &field[i]);
        }
    }
}

int cli_show_object(const char *command, enum admin_object object, struct span answer)
{
    struct showing s = {.width = 0};
    json_index_init(&s.x, ROWS_MAX, DEPTH_MAX);
    arena_init(&s.arena, TEXT_BYTES_MAX);
    enum err e = json_index_parse_borrow(&s.x, answer);
    for (int turn = 0; e == ERR_OK && turn < 2; turn++) {
        put_object(&s, object);
        s.is_measured = true;
    }
    arena_fini(&s.arena);
    json_index_fini(&s.x);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas %s: the answer cannot be read: %s\n", command, err_sentence(e));
        return CLI_FAILED;
    }
    return end_output(command);
}

/* ---- a list ---- */

/* What stands for null in a column. */
static const char *none_of(const struct admin_field *field)
{
    return field->kind == ADMIN_MOMENT ? "never" : "-";
}

static unsigned look_of(const struct admin_field *field)
{
    bool is_number =
        field->kind == ADMIN_INT || field->kind == ADMIN_MONEY || field->kind == ADMIN_AMOUNT;
    return (field->kind == ADMIN_MOMENT ? CLI_MOMENT : 0) | (is_number ? CLI_RIGHT : 0) |
           ((field->rules & ADMIN_MAYBE) != 0 && field->kind != ADMIN_MOMENT ? CLI_OPTIONAL : 0);
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

static void add_columns(struct columns *c, enum admin_object object, bool names)
{
    size_t count;
    const struct admin_field *f = admin_fields(object, &count);
    for (size_t i = 0; i < count; i++) {
        if ((f[i].rules & ADMIN_COLUMN) != 0 && is_name(&f[i]) == names) {
            CHECK(c->count < CLI_COLUMNS_MAX);
            write_title(&f[i], c->titles[c->count]);
            c->at[c->count] =
                (struct cli_column){c->titles[c->count], f[i].name, none_of(&f[i]), look_of(&f[i])};
            c->count++;
        }
    }
}

int cli_show_list(const char *command, enum admin_object object, struct span answer,
                  const char *none)
{
    struct columns columns = {.count = 0};
    size_t lines = 0;
    add_columns(&columns, object, false);
    add_columns(&columns, object, true); /* at the end: it may be long */
    enum err e = cli_table_print(stdout, answer, columns.at, columns.count, &lines);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas %s: %s\n", command,
                e == ERR_NO_MEMORY ? err_sentence(e) : "the answer is not a list");
        return CLI_FAILED;
    }
    if (lines == 0) {
        fprintf(stderr, "%s\n", none);
    }
    return end_output(command);
}
