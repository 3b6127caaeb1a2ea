/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_book.c — the rows are of the writer's thread alone, by their ids; a page is one block of
 * rows in order, a map from models to where theirs are, and the models' names behind it all.
 */
#include "policy/policy_book.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/memory.h"
#include "base/retired.h"
#include "store/store_tables.h"

#define ID_BYTES    25 /* with its NUL */
#define DAY_US      INT64_C(86400000000)
#define MODEL_BYTES 256 /* with its NUL: what the store takes */

/* A row as it is now. */
struct entry {
    struct policy_price price;
    wall_us ended; /* 0: it is not */
    int64_t number;
    char id[ID_BYTES];
    char model[MODEL_BYTES];
};

/* A price on a page. */
struct line {
    struct policy_price price;
    int64_t ended_us; /* INT64_MAX: it is not */
};

/* The prices of a model: the one that began last is the last. */
struct chapter {
    const struct line *lines;
    size_t count;
};

struct page {
    struct retired retired;
    struct map models; /* to struct chapter */
    struct chapter *chapters;
    struct line *lines;
    char *names;
};

struct policy_book {
    _Atomic(struct page *) page; /* NULL: there are none */
    struct map ids;              /* to struct entry */
    struct entry **entries;
    size_t count, room;
    int64_t highest; /* of the entries' numbers */
    struct retired_list retired;
    _Atomic int64_t turned_us;
};

enum err policy_book_open(struct policy_book **out)
{
    struct policy_book *b = memory_new(sizeof(*b));
    if (b == NULL) {
        return ERR_NO_MEMORY;
    }
    map_init(&b->ids);
    *out = b;
    return ERR_OK;
}

static bool free_page(struct retired *block)
{
    struct page *page = (struct page *)block; /* its first member */
    map_fini(&page->models);
    memory_free(page->chapters);
    memory_free(page->lines);
    memory_free(page->names);
    memory_free(page);
    return true;
}

void policy_book_tidy(struct policy_book *b, mono_us turned)
{
    retired_tidy(&b->retired, turned, free_page);
}

void policy_book_set_turned(struct policy_book *b, mono_us turned)
{
    atomic_store_explicit(&b->turned_us, turned.us, memory_order_release);
}

void policy_book_close(struct policy_book **book)
{
    struct policy_book *b = *book;
    if (b == NULL) {
        return;
    }
    policy_book_tidy(b, (mono_us){INT64_MAX});
    struct page *page = atomic_load(&b->page);
    if (page != NULL) {
        (void)free_page(&page->retired);
    }
    for (size_t i = 0; i < b->count; i++) {
        memory_free(b->entries[i]);
    }
    memory_free(b->entries);
    map_fini(&b->ids);
    memory_free(b);
    *book = NULL;
}

/* ---- looking ---- */

static const struct policy_price *find(const struct policy_book *b, struct span model, wall_us at)
{
    const struct page *page = atomic_load_explicit(&b->page, memory_order_acquire);
    const struct chapter *c = page == NULL ? NULL : map_find(&page->models, model);
    for (size_t i = c == NULL ? 0 : c->count; i > 0; i--) {
        const struct line *line = &c->lines[i - 1];
        if (line->price.from.us <= at.us && at.us < line->ended_us) {
            return &line->price;
        }
    }
    return NULL;
}

bool policy_book_find(const struct policy_book *b, struct span model, wall_us at,
                      struct policy_price *out)
{
    const struct policy_price *found = find(b, model, at);
    if (found != NULL) {
        *out = *found;
    }
    return found != NULL;
}

bool policy_book_has(const struct policy_book *b, struct span model, wall_us at)
{
    return find(b, model, at) != NULL;
}

/* ---- a page ---- */

static int in_order(const void *a, const void *b)
{
    const struct entry *const *one = a;
    const struct entry *const *other = b;
    const struct entry *x = *one;
    const struct entry *y = *other;
    int order = strcmp(x->model, y->model);
    if (order == 0) {
        order = (x->price.from.us > y->price.from.us) - (x->price.from.us < y->price.from.us);
    }
    return order != 0 ? order : (x->number > y->number) - (x->number < y->number);
}

/* Calls that began before an end may still ask: bodies take their time. */
static bool is_over(const struct entry *e, wall_us now)
{
    return e->ended.us != 0 && e->ended.us < now.us - DAY_US;
}

size_t policy_book_room(const struct policy_book *b, wall_us now)
{
    size_t count = 0;
    for (size_t i = 0; i < b->count; i++) {
        count += !is_over(b->entries[i], now);
    }
    return count < POLICY_BOOK_MAX ? POLICY_BOOK_MAX - count : 0;
}

/* Puts the entries, which are in order, on the page. */
static enum err fill(struct page *page, struct entry *const *entries, size_t count)
{
    struct chapter *chapter = NULL;
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < count; i++) {
        const struct entry *entry = entries[i];
        page->lines[i].price = entry->price;
        page->lines[i].ended_us = entry->ended.us == 0 ? INT64_MAX : entry->ended.us;
        if (i == 0 || strcmp(entry->model, entries[i - 1]->model) != 0) {
            char *name = page->names + i * MODEL_BYTES;
            memcpy(name, entry->model, MODEL_BYTES);
            chapter = chapter == NULL ? page->chapters : chapter + 1;
            chapter->lines = &page->lines[i];
            e = map_put_borrow(&page->models, span_of(name), chapter);
        }
        chapter->count++;
    }
    return e;
}

static enum err make_page(struct entry *const *entries, size_t count, struct page **out)
{
    struct page *page = memory_new(sizeof(*page));
    if (page == NULL) {
        return ERR_NO_MEMORY;
    }
    map_init(&page->models);
    page->chapters = memory_new(count * sizeof(*page->chapters));
    page->lines = memory_new(count * sizeof(*page->lines));
    page->names = memory_new(count * MODEL_BYTES);
    bool has_room = page->chapters != NULL && page->lines != NULL && page->names != NULL;
    enum err e = has_room ? fill(page, entries, count) : ERR_NO_MEMORY;
    if (e != ERR_OK) {
        (void)free_page(&page->retired);
        return e;
    }
    *out = page;
    return ERR_OK;
}

/* Shows the entries as they are now, but for those that are over. */
static enum err publish(struct policy_book *b, wall_us now)
{
    struct entry **sorted = memory_new((b->count + 1) * sizeof(struct entry *));
    struct page *page = NULL;
    size_t count = 0;
    if (sorted == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < b->count; i++) {
        if (!is_over(b->entries[i], now)) {
            sorted[count++] = b->entries[i];
        }
    }
    qsort(sorted, count, sizeof(struct entry *), in_order);
    enum err e = count > POLICY_BOOK_MAX ? ERR_VALUE_INVALID : ERR_OK;
    if (e == ERR_OK && count > 0) {
        e = make_page(sorted, count, &page);
    }
    memory_free(sorted);
    if (e == ERR_OK) {
        struct page *before = atomic_exchange(&b->page, page);
        if (before != NULL) {
            retired_add(&b->retired, &before->retired);
        }
    }
    return e;
}

/* ---- taking in ---- */

/* What the row says. False: it is no price. */
static bool read_row(const struct store_price *row, struct entry *out)
{
    *out = (struct entry){
        .price = {.input_nano = row->input,
                  .cached_nano = row->cached_input,
                  .output_nano = row->output,
                  .per_tokens = row->per,
                  .request_nano = row->request,
                  .gpu_second_nano = row->gpu_second,
                  .from = row->from},
        .ended = row->ended,
        .number = row->number,
    };
    if (row->is_damaged || row->currency.len >= sizeof(out->price.currency) || row->id.len == 0 ||
        row->id.len >= ID_BYTES || row->model.len >= MODEL_BYTES) {
        return false;
    }
    span_copy_text(row->currency, out->price.currency, sizeof(out->price.currency));
    span_copy_text(row->id, out->id, sizeof(out->id));
    span_copy_text(row->model, out->model, sizeof(out->model));
    if (!policy_price_is_valid(&out->price)) {
        return false;
    }
    policy_price_name(&out->price);
    return true;
}

static bool make_room(struct policy_book *b)
{
    if (b->count < b->room) {
        return true;
    }
    size_t room = b->room == 0 ? 16 : 2 * b->room;
    struct entry **larger = memory_resize(b->entries, room * sizeof(struct entry *));
    if (larger == NULL) {
        return false;
    }
    b->entries = larger;
    b->room = room;
    return true;
}

/* An entry of a new id, at the end; NULL: out of memory. */
static struct entry *add(struct policy_book *b, const struct entry *entry)
{
    struct entry *made = make_room(b) ? memory_new(sizeof(*made)) : NULL;
    if (made == NULL) {
        return NULL;
    }
    *made = *entry;
    if (map_put_borrow(&b->ids, span_of(made->id), made) != ERR_OK) {
        memory_free(made);
        return NULL;
    }
    b->entries[b->count++] = made;
    return made;
}

enum err policy_book_apply(struct policy_book *b, const struct store_price *row, wall_us now)
{
    struct entry entry;
    if (!read_row(row, &entry)) {
        return ERR_VALUE_INVALID;
    }
    policy_book_tidy(b, (mono_us){atomic_load_explicit(&b->turned_us, memory_order_acquire)});
    struct entry *known = map_find(&b->ids, span_of(entry.id));
    if (entry.number == 0) { /* the store numbers it later, and so: of two prices the later holds */
        entry.number = known != NULL ? known->number : b->highest + 1;
    }
    b->highest = entry.number > b->highest ? entry.number : b->highest;
    struct entry before;
    if (known == NULL) {
        before = entry;
        before.ended.us = 1; /* should it not fit: it is over, and takes no room on a page */
        known = add(b, &entry);
    } else {
        before = *known;
        *known = entry;
    }
    enum err e = known == NULL ? ERR_NO_MEMORY : publish(b, now);
    if (e != ERR_OK && known != NULL) {
        *known = before;
    }
    return e;
}

struct loading {
    struct policy_book *book;
    struct policy_book_report *report;
    wall_us now;
};

static enum err on_row(void *context, const void *row)
{
    const struct loading *l = context;
    struct entry entry;
    if (!read_row(row, &entry)) {
        l->report->damaged++;
        return ERR_OK;
    }
    l->book->highest = entry.number > l->book->highest ? entry.number : l->book->highest;
    if (is_over(&entry, l->now)) {
        return ERR_OK;
    }
    struct entry *known = map_find(&l->book->ids, span_of(entry.id));
    if (known != NULL) {
        *known = entry;
    } else if (add(l->book, &entry) == NULL) {
        return ERR_NO_MEMORY;
    }
    l->report->prices++;
    return ERR_OK;
}

enum err policy_book_load(struct policy_book *b, struct store *s, wall_us now,
                          struct policy_book_report *report)
{
    struct loading loading = {b, report, now};
    const struct store_page all = {.limit = INT64_MAX};
    *report = (struct policy_book_report){0};
    enum err e = store_price_page(s, STORE_INDEX_PRICE_BY_NUMBER, &all, on_row, &loading);
    return e == ERR_OK ? publish(b, now) : e;
}
