/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_usage.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/sum.h"

#define MEMORY_MAX ((size_t)1 << 28)
#define WORDS      "organisation, team, user, key, model, upstream, route, day and hour"

/* The two that are no texts are of the hour. */
static const struct {
    const char *name;
    size_t offset; /* of the text in a row */
} bys[] = {
    [ADMIN_BY_ORGANISATION] = {"organisation", offsetof(struct store_usage, organisation)},
    [ADMIN_BY_TEAM] = {"team", offsetof(struct store_usage, team)},
    [ADMIN_BY_USER] = {"user", offsetof(struct store_usage, user)},
    [ADMIN_BY_KEY] = {"key", offsetof(struct store_usage, key_id)},
    [ADMIN_BY_MODEL] = {"model", offsetof(struct store_usage, model)},
    [ADMIN_BY_UPSTREAM] = {"upstream", offsetof(struct store_usage, upstream)},
    [ADMIN_BY_ROUTE] = {"route", offsetof(struct store_usage, route)},
    [ADMIN_BY_DAY] = {"day", 0},
    [ADMIN_BY_HOUR] = {"hour", 0},
};

_Static_assert(sizeof(bys) / sizeof(bys[0]) == ADMIN_BYS, "a row each");

bool admin_bys_has(const struct admin_bys *b, enum admin_by by)
{
    size_t i = 0;
    while (i < b->count && b->at[i] != by) {
        i++;
    }
    return i < b->count;
}

static bool find(struct span word, enum admin_by *out)
{
    int i = 0;
    while (i < ADMIN_BYS && !span_is(word, bys[i].name)) {
        i++;
    }
    *out = (enum admin_by)i;
    return i < ADMIN_BYS;
}

enum err admin_bys_read(struct span text, struct admin_bys *out, struct admin_fault *fault)
{
    out->count = 0;
    for (size_t at = 0; at < text.len;) {
        size_t end = span_find(text, ',', at);
        struct span word = span_cut(text, at, end - at);
        enum admin_by by;
        if (!find(word, &by)) {
            return admin_fault_say(fault, ERR_VALUE_INVALID, SPAN("by"),
                                   "'by' must be some of " WORDS ", with a comma between two");
        }
        if (admin_bys_has(out, by)) {
            return admin_fault_say(fault, ERR_VALUE_INVALID, SPAN("by"), "'by' names %s twice",
                                   bys[by].name);
        }
        out->at[out->count++] = by;
        at = end + 1;
    }
    return ERR_OK;
}

void admin_sums_init(struct admin_sums *s, const struct admin_bys *by)
{
    *s = (struct admin_sums){.bys = by};
    arena_init(&s->memory, MEMORY_MAX);
    map_init(&s->map);
}

void admin_sums_fini(struct admin_sums *s)
{
    map_fini(&s->map);
    arena_fini(&s->memory);
    memory_free(s->rows);
    s->rows = NULL;
}

static bool is_text(enum admin_by by)
{
    return by != ADMIN_BY_DAY && by != ADMIN_BY_HOUR;
}

static struct span *text_of(struct store_usage *row, enum admin_by by)
{
    return (struct span *)(void *)((char *)row + bys[by].offset);
}

static struct span text_in(const struct store_usage *row, enum admin_by by)
{
    return *(const struct span *)(const void *)((const char *)row + bys[by].offset);
}

/* The hour that stands for the row's time in what is asked for. */
static int32_t hour_in(const struct store_usage *row, const struct admin_bys *b)
{
    return admin_bys_has(b, ADMIN_BY_HOUR)  ? row->hour
           : admin_bys_has(b, ADMIN_BY_DAY) ? store_day_hour(row->hour)
                                            : 0;
}

static int compare_texts(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_by(const struct store_usage *a, const struct store_usage *b, enum admin_by by)
{
    if (is_text(by)) {
        return compare_texts(text_in(a, by), text_in(b, by));
    }
    int32_t x = by == ADMIN_BY_DAY ? store_day_hour(a->hour) : a->hour;
    int32_t y = by == ADMIN_BY_DAY ? store_day_hour(b->hour) : b->hour;
    return (x > y) - (x < y);
}

/* How two sums stand to one another but for their currencies. */
static int compare_names(const struct store_usage *a, const struct store_usage *b,
                         const struct admin_bys *asked)
{
    int order = 0;
    for (size_t i = 0; order == 0 && i < asked->count; i++) {
        order = compare_by(a, b, asked->at[i]);
    }
    return order;
}

static int compare(const void *a, const void *b)
{
    const struct admin_sum *x = *(struct admin_sum *const *)a;
    const struct admin_sum *y = *(struct admin_sum *const *)b;
    int order = compare_names(&x->sums, &y->sums, x->bys);
    return order != 0 ? order : compare_texts(x->sums.currency, y->sums.currency);
}

/* What names a sum, as one text: each of its texts with its length, and its hour. */
struct name {
    uint8_t room[(ADMIN_BYS + 1) * (STORE_TEXT_MAX + 2)];
    size_t len;
};

static void put_text(struct name *n, struct span text)
{
    CHECK(text.len <= STORE_TEXT_MAX);
    n->room[n->len++] = (uint8_t)text.len;
    if (text.len > 0) {
        memcpy(n->room + n->len, text.at, text.len);
    }
    n->len += text.len;
}

static struct span name_of(const struct store_usage *row, const struct admin_bys *asked,
                           struct name *out)
{
    int32_t hour = hour_in(row, asked);
    out->len = sizeof(hour);
    memcpy(out->room, &hour, sizeof(hour));
    put_text(out, row->currency);
    for (size_t i = 0; i < asked->count; i++) {
        if (is_text(asked->at[i])) {
            put_text(out, text_in(row, asked->at[i]));
        }
    }
    return span_make(out->room, out->len);
}

static enum err push(struct admin_sums *s, struct admin_sum *sum)
{
    if (s->count == s->room) {
        size_t room = s->room == 0 ? 64 : s->room * 2;
        struct admin_sum **grown = memory_resize(s->rows, room * sizeof(struct admin_sum *));
        if (grown == NULL) {
            return ERR_NO_MEMORY;
        }
        s->rows = grown;
        s->room = room;
    }
    s->rows[s->count++] = sum;
    return ERR_OK;
}

/* Sums of zero with the names of a row; NULL without memory. */
static struct admin_sum *new_sum(struct admin_sums *s, const struct store_usage *row)
{
    struct admin_sum *sum = arena_new(&s->memory, sizeof(*sum));
    if (sum == NULL) {
        return NULL;
    }
    sum->bys = s->bys;
    sum->sums.hour = hour_in(row, s->bys);
    sum->sums.currency = arena_copy(&s->memory, row->currency);
    for (size_t i = 0; i < s->bys->count; i++) {
        enum admin_by by = s->bys->at[i];
        if (is_text(by)) {
            *text_of(&sum->sums, by) = arena_copy(&s->memory, text_in(row, by));
        }
    }
    return arena_failed(&s->memory) || push(s, sum) != ERR_OK ? NULL : sum;
}

static void add(struct store_usage *to, const struct store_usage *more)
{
    static const size_t sums[] = {
#define TABLE(...)
#define SUM(table, field, about) SUM_OF_##table(field)
#define SUM_OF_usage(field)      offsetof(struct store_usage, field),
#define SUM_OF_balance(field)
#include "store/store_tables.def"
#undef SUM_OF_usage
#undef SUM_OF_balance
    };
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        int64_t *sum = (int64_t *)(void *)((char *)to + sums[i]);
        *sum = sum_of(*sum, *(const int64_t *)(const void *)((const char *)more + sums[i]));
    }
}

static bool is_last(const struct admin_sums *s, const struct store_usage *row)
{
    return s->last != NULL && span_equal(s->last->sums.currency, row->currency) &&
           s->last->sums.hour == hour_in(row, s->bys) &&
           compare_names(&s->last->sums, row, s->bys) == 0;
}

/* The sum that a row goes to, made if it is not there. */
static enum err find_sum(struct admin_sums *s, const struct store_usage *row)
{
    struct name room; /* all that is looked at is set */
    struct span name = name_of(row, s->bys, &room);
    s->last = map_find(&s->map, name);
    if (s->last != NULL) {
        return ERR_OK;
    }
    if (s->count == ADMIN_USAGE_ROWS_MAX) {
        return ERR_VALUE_INVALID;
    }
    name = arena_copy(&s->memory, name);
    struct admin_sum *sum = name.at == NULL ? NULL : new_sum(s, row);
    if (sum == NULL || map_put_borrow(&s->map, name, sum) != ERR_OK) {
        return ERR_NO_MEMORY;
    }
    s->last = sum;
    return ERR_OK;
}

enum err admin_sums_add(struct admin_sums *s, const struct store_usage *row)
{
    enum err e = is_last(s, row) ? ERR_OK : find_sum(s, row);
    if (e == ERR_OK) {
        add(&s->last->sums, row);
    }
    return e;
}

/* Sums of the same names, from `from` to `to`, that differ by their currency alone: what cost
 * nothing is of any. Those that stay are put at `kept` and behind; how many there are then. */
static size_t join_free(struct admin_sums *s, size_t from, size_t to, size_t kept)
{
    size_t base = from;
    while (base + 1 < to && s->rows[base]->sums.cost_nano == 0) {
        base++;
    }
    for (size_t i = from; i < to; i++) {
        if (i != base && s->rows[i]->sums.cost_nano == 0) {
            add(&s->rows[base]->sums, &s->rows[i]->sums);
        } else {
            s->rows[kept++] = s->rows[i];
        }
    }
    return kept;
}

enum err admin_sums_finish(struct admin_sums *s)
{
    const struct store_usage none = {.hour = 0};
    if (s->count == 0 && s->bys->count == 0 && new_sum(s, &none) == NULL) {
        return ERR_NO_MEMORY;
    }
    if (s->count > 0) {
        qsort(s->rows, s->count, sizeof(s->rows[0]), compare);
    }
    size_t kept = 0;
    for (size_t from = 0; from < s->count;) {
        size_t to = from + 1;
        while (to < s->count &&
               compare_names(&s->rows[from]->sums, &s->rows[to]->sums, s->bys) == 0) {
            to++;
        }
        kept = join_free(s, from, to, kept);
        from = to;
    }
    s->count = kept;
    return ERR_OK;
}
