/* SPDX-License-Identifier: Apache-2.0 */
/* Objects as lines of CSV: a cell a member, quoted where it must be. */
#include "admin/admin_usage.h"
#include "base/money.h"

#define DAY_US INT64_C(86400000000)
#define PLACES 6

/* Who named a model or a key may have thought of whoever opens the sheet. */
static bool is_formula(struct span text)
{
    return text.len > 0 && memchr("=+-@\t\r", text.at[0], 6) != NULL;
}

static bool must_be_quoted(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"' || text.at[i] == ',' || text.at[i] == '\r' || text.at[i] == '\n') {
            return true;
        }
    }
    return false;
}

static void put_text(struct buf *out, struct span text)
{
    bool is_quoted = must_be_quoted(text);
    buf_put_text(out, is_quoted ? "\"" : "");
    buf_put_text(out, is_formula(text) ? "'" : "");
    for (size_t at = 0; is_quoted && at < text.len;) {
        size_t end = span_find(text, '"', at);
        buf_put(out, span_cut(text, at, end - at));
        buf_put_text(out, end < text.len ? "\"\"" : "");
        at = end + 1;
    }
    if (!is_quoted) {
        buf_put(out, text);
    }
    buf_put_text(out, is_quoted ? "\"" : "");
}

static void put_span(struct buf *out, const void *at)
{
    put_text(out, *(const struct span *)at);
}

static void put_int(struct buf *out, const void *at)
{
    buf_printf(out, "%lld", (long long)*(const int64_t *)at);
}

static void put_day(struct buf *out, const void *at)
{
    char text[11];
    clock_day((wall_us){*(const int32_t *)at * DAY_US}, text);
    buf_put_text(out, text);
}

static void put_hour(struct buf *out, const void *at)
{
    char text[ADMIN_HOUR_BYTES];
    admin_hour_write(*(const int32_t *)at, text);
    buf_put_text(out, text);
}

static void put_money(struct buf *out, const void *at)
{
    char text[MONEY_TEXT_BYTES];
    money_write(*(const int64_t *)at, PLACES, text);
    buf_put_text(out, text);
}

/* By kind; no object with another member is asked for as CSV. */
static void (*const cells[])(struct buf *out, const void *at) = {
    [ADMIN_TEXT] = put_span, [ADMIN_INT] = put_int,     [ADMIN_DAY] = put_day,
    [ADMIN_HOUR] = put_hour, [ADMIN_MONEY] = put_money,
};

void admin_csv_write_names(struct buf *out, enum admin_object object, uint64_t asked)
{
    size_t count;
    const struct admin_field *f = admin_fields(object, &count);
    const char *comma = "";
    for (size_t i = 0; i < count; i++) {
        if (admin_field_is_asked(&f[i], asked)) {
            buf_printf(out, "%s%s", comma, f[i].name);
            comma = ",";
        }
    }
    buf_put_text(out, "\r\n");
}

void admin_csv_write(struct buf *out, enum admin_object object, const void *in, uint64_t asked)
{
    size_t count;
    const struct admin_field *f = admin_fields(object, &count);
    const char *comma = "";
    for (size_t i = 0; i < count; i++) {
        if (admin_field_is_asked(&f[i], asked)) {
            buf_put_text(out, comma);
            CHECK(f[i].kind < sizeof(cells) / sizeof(cells[0]) && cells[f[i].kind] != NULL);
            cells[f[i].kind](out, (const char *)in + f[i].offset);
            comma = ",";
        }
    }
    buf_put_text(out, "\r\n");
}
