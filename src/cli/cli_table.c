/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two passes over the rows: the first finds how wide each column is, the second prints. Width is
 * counted in code points, which is what a terminal shows for all but marks and wide scripts.
 */
#include "cli/cli_table.h"

#include <inttypes.h>

#include "base/clock.h"
#include "json/json_value.h"

#define ROWS_MAX  (1u << 28)
#define DEPTH_MAX 8

struct table {
    const struct cli_column *columns;
    size_t count;
    size_t width[CLI_COLUMNS_MAX];
    bool is_shown[CLI_COLUMNS_MAX];
    struct json_index index;
    struct arena arena; /* of one cell */
};

#define CELL_BYTES_MAX (1u << 20)
#define POINT_BYTES    32
#define BILLION        1000000000
#define SECOND_US      INT64_C(1000000)
#define LAST_SECOND    INT64_C(253402300799) /* of the year 9999 */
#define SECOND_CHARS   19                    /* "2026-11-24T03:00:00" */

static size_t width_of(struct span text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++) {
        width += (text.at[i] & 0xc0) != 0x80;
    }
    return width;
}

/* A number of billionths with its point, exactly; as it is where it is none. One that is as large
 * as it can be is at least that. */
static struct span with_point(struct table *t, uint32_t row, struct span text)
{
    int64_t nano;
    char *room = arena_alloc(&t->arena, POINT_BYTES);
    if (room == NULL || json_int64(&t->index, row, &nano) != ERR_OK || nano == 0) {
        return text;
    }
    uint64_t size = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;
    int len =
        snprintf(room, POINT_BYTES, "%s%s%" PRIu64 ".%09" PRIu64, nano == INT64_MAX ? ">" : "",
                 nano < 0 ? "-" : "", size / BILLION, size % BILLION);
    for (int i = 0; i < 7 && room[len - 1] == '0'; i++) {
        len--; /* two decimals stay */
    }
    return span_make(room, (size_t)len);
}

bool cli_moment(int64_t seconds, char out[CLI_MOMENT_BYTES])
{
    char text[CLOCK_TEXT_BYTES];
    if (seconds < 0 || seconds > LAST_SECOND) {
        return false;
    }
    clock_text((wall_us){seconds * SECOND_US}, text);
    (void)snprintf(out, CLI_MOMENT_BYTES, "%.*sZ", SECOND_CHARS, text); /* it fits */
    return true;
}

/* Seconds since 1970 as a date; as they are where they are none. */
static struct span as_date(struct table *t, uint32_t row, struct span text)
{
    int64_t seconds;
    char *room = arena_alloc(&t->arena, CLI_MOMENT_BYTES);
    return room != NULL && json_int64(&t->index, row, &seconds) == ERR_OK &&
                   cli_moment(seconds, room)
               ? span_of(room)
               : text;
}

/* The text of an object's cell. It may lie in the arena. */
static struct span cell_of(struct table *t, uint32_t object, const struct cli_column *column)
{
    struct span text = {NULL, 0};
    uint32_t row = json_find(&t->index, object, span_of(column->member));
    if (row != JSON_NONE && json_kind(&t->index, row) == JSON_STRING) {
        if (json_text(&t->index, row, &t->arena, &text) != ERR_OK) {
            text = json_inside(&t->index, row); /* with its escapes: better than nothing */
        }
    } else if (row != JSON_NONE && json_kind(&t->index, row) != JSON_NULL) {
        text = json_source(&t->index, row);
        text = (column->look & CLI_NANO) != 0     ? with_point(t, row, text)
               : (column->look & CLI_MOMENT) != 0 ? as_date(t, row, text)
                                                  : text;
    }
    return text.len == 0 ? span_of(column->none) : text;
}

/* Drops what the last cell took of the arena. */
static void next_cell(struct table *t)
{
    arena_fini(&t->arena);
    arena_init(&t->arena, CELL_BYTES_MAX);
}

void cli_put_text(FILE *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool is_c1 = text.at[i] == 0xc2 && i + 1 < text.len && text.at[i + 1] < 0xa0;
        bool is_control = text.at[i] < 0x20 || text.at[i] == 0x7f || is_c1;
        (void)fputc(is_control ? '?' : text.at[i], out); /* who cannot read it is not helped */
        i += is_c1 ? 1 : 0;
    }
}

static void put_cell(const struct table *t, FILE *out, size_t c, struct span text, bool is_first)
{
    bool is_number = (t->columns[c].look & CLI_RIGHT) != 0;
    size_t width = width_of(text);
    int pad = width < t->width[c] ? (int)(t->width[c] - width) : 0;
    fprintf(out, "%s%*s", is_first ? "" : "  ", is_number ? pad : 0, "");
    cli_put_text(out, text);
    bool is_last = true;
    for (size_t more = c + 1; more < t->count; more++) {
        is_last &= !t->is_shown[more];
    }
    fprintf(out, "%*s", is_number || is_last ? 0 : pad, "");
}

/* A line of the table: an object's, or the titles for JSON_NONE. */
static void put_line(struct table *t, FILE *out, uint32_t object)
{
    bool is_first = true;
    for (size_t c = 0; c < t->count; c++) {
        if (!t->is_shown[c]) {
            continue;
        }
        put_cell(t, out, c,
                 object == JSON_NONE ? span_of(t->columns[c].title)
                                     : cell_of(t, object, &t->columns[c]),
                 is_first);
        is_first = false;
        next_cell(t);
    }
    (void)fputc('\n', out); /* who cannot read it is not helped */
}

static void measure(struct table *t, uint32_t data, size_t *lines)
{
    for (uint32_t object = json_first(&t->index, data); object != JSON_NONE;
         object = json_next(&t->index, object)) {
        for (size_t c = 0; c < t->count; c++) {
            struct span cell = cell_of(t, object, &t->columns[c]);
            size_t width = width_of(cell);
            t->is_shown[c] |=
                (t->columns[c].look & CLI_OPTIONAL) == 0 || !span_is(cell, t->columns[c].none);
            t->width[c] = width > t->width[c] ? width : t->width[c];
            next_cell(t);
        }
        ++*lines;
    }
}

static void print(struct table *t, FILE *out, uint32_t data)
{
    put_line(t, out, JSON_NONE);
    for (uint32_t object = json_first(&t->index, data); object != JSON_NONE;
         object = json_next(&t->index, object)) {
        put_line(t, out, object);
    }
}

enum err cli_table_print(FILE *out, struct span list, const struct cli_column *columns,
                         size_t count, size_t *lines)
{
    CHECK(count <= CLI_COLUMNS_MAX);
    struct table t = {.columns = columns, .count = count};
    size_t found = 0;
    for (size_t c = 0; c < count; c++) {
        t.width[c] = strlen(columns[c].title);
    }
    json_index_init(&t.index, ROWS_MAX, DEPTH_MAX);
    arena_init(&t.arena, CELL_BYTES_MAX);
    enum err e = json_index_parse_borrow(&t.index, list);
    uint32_t data = e == ERR_OK ? json_find(&t.index, 0, SPAN("data")) : JSON_NONE;
    if (e == ERR_OK && (data == JSON_NONE || json_kind(&t.index, data) != JSON_ARRAY)) {
        e = ERR_BODY_NOT_JSON;
    }
    if (e == ERR_OK) {
        measure(&t, data, &found);
        if (found > 0) {
            print(&t, out, data);
        }
        *lines = found;
    }
    arena_fini(&t.arena);
    json_index_fini(&t.index);
    return e;
}
