/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_tables.c — what a driver promises of any table, asked of every driver: each operation
 * on each table of ours, and on one of this test's own that has a column of every type.
 */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "store/store_fixture.h"
#include "store/store_table.h"

/* ---- a table of every type ---- */

#define LARGE ((size_t)1 << 20)

struct thing {
    struct span name;
    int16_t group;
    int64_t number;
    struct span text, blob;
    uint8_t bytes[5];
    int64_t sum;
    uint64_t revision;
    bool is_damaged;
};

#define AT(field) .name = #field, .meaning = "", .offset = offsetof(struct thing, field)

static const struct store_column thing_columns[] = {
    {AT(name), .least = 1, .most = LARGE, .type = STORE_TEXT},
    {AT(group), .size = 2, .type = STORE_INT, .is_signed = true},
    {AT(number), .size = 8, .type = STORE_INT, .role = STORE_NUMBER, .is_signed = true},
    {AT(text), .most = LARGE, .type = STORE_TEXT},
    {AT(blob), .most = LARGE, .type = STORE_BLOB},
    {AT(bytes), .size = 5, .type = STORE_BYTES},
    {AT(sum), .size = 8, .type = STORE_INT, .role = STORE_SUM, .is_signed = true},
    {AT(revision), .size = 8, .type = STORE_INT, .role = STORE_REVISION},
};

static const struct store_index thing_indexes[] = {
    {"BY_NAME", {offsetof(struct thing, name)}, 1},
    {"BY_NUMBER", {offsetof(struct thing, number)}, 1},
    {"BY_GROUP", {offsetof(struct thing, group), offsetof(struct thing, name)}, 2},
};

enum { BY_NAME, BY_NUMBER, BY_GROUP };

/* The test's own table is the last one. */
#define THING ((enum store_table_id)STORE_TABLE_COUNT)

static const struct store_tables *with_thing(void)
{
    static struct store_table tables[STORE_TABLE_COUNT + 1];
    static const struct store_tables all = {tables, STORE_TABLE_COUNT + 1};
    memcpy(tables, store_tables.at, STORE_TABLE_COUNT * sizeof(tables[0]));
    tables[THING] = (struct store_table){.name = "thing",
                                         .columns = thing_columns,
                                         .count = ROWS(thing_columns),
                                         .indexes = thing_indexes,
                                         .index_count = ROWS(thing_indexes),
                                         .row_size = sizeof(struct thing),
                                         .damaged = offsetof(struct thing, is_damaged)};
    return &all;
}

/* ---- fixture ---- */

STORE_STARTS(with_thing())

/* ---- every table ---- */

#define ROOM 256

/* Any row of a table, and where its texts lie. */
struct any {
    max_align_t row[64];
    char text[16][ROOM];
};

static uint64_t mixed(uint64_t n)
{
    n = (n ^ (n >> 31)) * UINT64_C(0x9e3779b97f4a7c15);
    return n ^ (n >> 29);
}

/* Fills a row from a number: other numbers give other rows, in another order. */
static void fill(const struct store_table *t, uint64_t seed, struct any *out)
{
    static const char *const ends[] = {"", "'; DROP TABLE meta; --", "\xd9\x85\xd9\x81\xd8\xaa",
                                       "\"a\\b%s?1"};
    size_t texts = 0;
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < t->count; i++) {
        const struct store_column *c = &t->columns[i];
        uint64_t value = mixed(seed * 64 + i);
        if (c->type == STORE_INT) {
            size_t bits = c->size * 8 - 1;
            assert_true(store_field_put_int(c, out->row, (int64_t)(value >> (64 - bits))));
            continue;
        }
        char *text = out->text[texts++];
        (void)snprintf(text, ROOM, "%012llu%s", (unsigned long long)(value % 1000000000000),
                       ends[value % ROWS(ends)]);
        struct span bytes = span_of(text);
        if (c->type == STORE_BYTES) {
            memset(text, (int)value, ROOM);
            (void)snprintf(text, 5, "%llx", (unsigned long long)(value & 0xffff));
            bytes = span_make(text, c->size);
        }
        assert_true(
            store_field_put_bytes_borrow(c, out->row, span_cut(bytes, 0, c->most + c->size)));
    }
}

/* Whether two rows have the same columns, but for what the store gives. */
static void assert_same(const struct store_table *t, const void *a, const void *b)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct store_column *c = &t->columns[i];
        if (c->type == STORE_INT) {
            bool is_given = c->role == STORE_NUMBER || c->role == STORE_REVISION;
            assert_true(is_given || store_field_int(c, a) == store_field_int(c, b));
        } else {
            assert_true(span_equal(store_field_bytes(c, a), store_field_bytes(c, b)));
        }
    }
}

#define MANY 40

struct pages {
    const struct store_table *t;
    unsigned index;
    size_t count;
    max_align_t last[64]; /* a row; its texts lie in `text` */
    uint8_t text[8 * ROOM];
};

static enum err on_row(void *context, const void *row)
{
    struct pages *p = context;
    if (p->count > 0) {
        assert_true(store_row_compare(&p->t->indexes[p->index], p->t, p->last, row) < 0);
    }
    p->count++;
    assert_true(store_row_bytes(p->t, row) <= sizeof(p->text));
    uint8_t kept[sizeof(p->text)];
    memcpy(p->last, row, p->t->row_size);
    store_row_move(p->t, p->last, kept); /* the row before may lie where this one goes */
    memcpy(p->text, kept, sizeof(kept));
    store_row_move(p->t, p->last, p->text);
    return ERR_OK;
}

/* Reads the whole table in pages of `limit`. */
static size_t read_in_pages(struct store *s, enum store_table_id table, unsigned index,
                            int64_t limit)
{
    struct pages p = {.t = &with_thing()->at[table], .index = index};
    for (size_t before = SIZE_MAX; p.count != before;) {
        before = p.count;
        static struct pages begin; /* a copy: `from` stays as it is while its page is read */
        begin = p;
        if (p.count > 0) {
            store_row_move(p.t, begin.last, begin.text);
        }
        const struct store_page page = {
            .from = p.count == 0 ? NULL : begin.last, .after = true, .limit = limit};
        assert_int_equal(store_row_page(s, table, index, &page, on_row, &p), ERR_OK);
        assert_true(p.count <= before + (size_t)limit);
    }
    return p.count;
}

static void try_table(struct store *s, enum store_table_id table)
{
    const struct store_table *t = &with_thing()->at[table];
    static struct any row, other;
    uint64_t count;
    for (uint64_t i = 0; i < MANY; i++) {
        fill(t, i, &row);
        other = row;
        assert_int_equal(store_row_get(s, table, other.row), ERR_NOT_FOUND_ROW);
        assert_int_equal(store_row_insert(s, table, row.row), ERR_OK);
        assert_int_equal(store_row_insert(s, table, row.row), ERR_EXISTS);
        assert_int_equal(store_row_get(s, table, other.row), ERR_OK);
        assert_same(t, other.row, row.row);
    }
    assert_int_equal(store_row_count(s, table, &count), ERR_OK);
    assert_true(table == STORE_TABLE_META || count == MANY); /* the store keeps things there */
    for (unsigned index = 0; index < t->index_count; index++) {
        size_t all = read_in_pages(s, table, index, INT64_MAX);
        assert_true(table == STORE_TABLE_META || all == MANY);
        for (int64_t limit = 1; limit <= 7; limit += 6) {
            size_t found = read_in_pages(s, table, index, limit);
            if (found != all) {
                fail_msg("%s: %zu of %zu rows in pages of %lld", t->indexes[index].name, found, all,
                         (long long)limit);
            }
        }
    }
    for (uint64_t i = 0; i < MANY; i++) {
        fill(t, i, &row);
        other = row;
        assert_int_equal(store_row_get(s, table, other.row), ERR_OK);
        assert_int_equal(store_row_put(s, table, other.row), ERR_OK);
        assert_int_equal(store_row_get(s, table, row.row), ERR_OK);
        assert_int_equal(store_row_delete(s, table, row.row), ERR_OK);
        assert_int_equal(store_row_delete(s, table, row.row), ERR_NOT_FOUND_ROW);
    }
}

static void every_table_takes_gives_pages_and_loses_rows(void **state)
{
    for (size_t table = 0; table < with_thing()->count; table++) {
        try_table(store_of(state), (enum store_table_id)table);
    }
}

/* ---- texts, blobs, numbers ---- */

static struct thing thing(const char *name)
{
    return (struct thing){.name = span_of(name), .text = SPAN("t"), .bytes = {1, 0, 3, 0, 255}};
}

static void texts_and_blobs_come_back_byte_for_byte(void **state)
{
    struct store *s = store_of(state);
    char *large = malloc(LARGE);
    assert_non_null(large);
    memset(large, 'x', LARGE);
    const struct {
        const char *why;
        struct span text, blob;
        enum err expect;
    } rows[] = {
        {"nothing", {NULL, 0}, {NULL, 0}, ERR_OK},
        {"Arabic", SPAN("\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7"), SPAN(""), ERR_OK},
        {"SQL", SPAN("'); DROP TABLE thing; --"), SPAN("\"; COMMIT; --"), ERR_OK},
        {"parameters", SPAN("?1 :a @b $c %s"), SPAN("?"), ERR_OK},
        {"a NUL in a blob", SPAN("t"), {(const uint8_t *)"a\0b", 3}, ERR_OK},
        {"a NUL in a text", {(const uint8_t *)"a\0b", 3}, SPAN(""), ERR_VALUE_INVALID},
        {"a MiB", span_make(large, LARGE), span_make(large, LARGE), ERR_OK},
        {"a byte more",
         span_make(large, LARGE),
         {(const uint8_t *)large, LARGE + 1},
         ERR_VALUE_INVALID},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct thing row = thing(rows[r].why), found = thing(rows[r].why);
        row.text = rows[r].text;
        row.blob = rows[r].blob;
        assert_int_equal(store_row_insert(s, THING, &row), rows[r].expect);
        if (rows[r].expect == ERR_OK) {
            assert_int_equal(store_row_get(s, THING, &found), ERR_OK);
            assert_true(span_equal(found.text, row.text) && span_equal(found.blob, row.blob));
            assert_memory_equal(found.bytes, row.bytes, sizeof(row.bytes));
            assert_false(found.is_damaged);
        }
    }
    free(large);
}

static void numbers_keep_their_sign_and_size(void **state)
{
    struct store *s = store_of(state);
    struct thing row = thing("n"), found = thing("n");
    row.group = INT16_MIN;
    row.sum = INT64_MIN;
    assert_int_equal(store_row_insert(s, THING, &row), ERR_OK);
    assert_int_equal(store_row_get(s, THING, &found), ERR_OK);
    assert_int_equal(found.group, INT16_MIN);
    assert_true(found.sum == INT64_MIN);
    struct store_open_call call = {.id = {1}, .sequence = UINT64_MAX};
    assert_int_equal(store_open_call_insert(s, &call), ERR_VALUE_INVALID);
    call.sequence = INT64_MAX;
    assert_int_equal(store_open_call_insert(s, &call), ERR_OK);
}

static void sums_are_added_and_stop_at_the_largest_number(void **state)
{
    struct store *s = store_of(state);
    struct thing row = thing("n"), found = thing("n");
    row.sum = INT64_MAX - 5;
    row.text = SPAN("the first stays");
    assert_int_equal(store_row_add(s, THING, &row), ERR_OK);
    row.text = SPAN("the second does not count");
    row.sum = 3;
    assert_int_equal(store_row_add(s, THING, &row), ERR_OK);
    assert_int_equal(store_row_get(s, THING, &found), ERR_OK);
    assert_true(found.sum == INT64_MAX - 2);
    assert_true(span_is(found.text, "the first stays"));
    assert_int_equal(store_row_add(s, THING, &row), ERR_OK);
    assert_int_equal(store_row_get(s, THING, &found), ERR_OK);
    assert_true(found.sum == INT64_MAX);
}

/* ---- revisions ---- */

static void who_has_read_an_older_revision_changes_nothing(void **state)
{
    struct store *s = store_of(state);
    struct thing mine = thing("n"), yours, gone = thing("gone");
    uint64_t last;
    assert_int_equal(store_row_insert(s, THING, &mine), ERR_OK);
    assert_true(mine.revision > 0 && mine.number == (int64_t)mine.revision);
    yours = mine;
    yours.text = SPAN("yours");
    assert_int_equal(store_row_put(s, THING, &yours), ERR_OK);
    assert_true(yours.revision > mine.revision);
    uint64_t seen = mine.revision;
    assert_int_equal(store_row_put(s, THING, &mine), ERR_REVISION);
    assert_int_equal(mine.revision, seen);
    assert_int_equal(store_row_delete(s, THING, &mine), ERR_REVISION);
    assert_int_equal(store_row_put(s, THING, &gone), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_row_delete(s, THING, &gone), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_row_get(s, THING, &mine), ERR_OK);
    assert_true(span_is(mine.text, "yours"));
    assert_int_equal(mine.revision, yours.revision);
    assert_int_equal(mine.number, yours.number);
    assert_int_equal(store_revision(s, &last), ERR_OK);
    assert_int_equal(last, yours.revision);
}

static void a_row_that_was_made_anew_has_another_revision(void **state)
{
    struct store *s = store_of(state);
    struct thing first = thing("n"), second = thing("n");
    assert_int_equal(store_row_insert(s, THING, &first), ERR_OK);
    assert_int_equal(store_row_delete(s, THING, &first), ERR_OK);
    assert_int_equal(store_row_insert(s, THING, &second), ERR_OK);
    assert_true(second.revision > first.revision && second.number > first.number);
    assert_int_equal(store_row_put(s, THING, &first), ERR_REVISION);
    second.revision = 0; /* whichever it is */
    assert_int_equal(store_row_delete(s, THING, &second), ERR_OK);
}

static void a_conflict_is_an_answer_and_does_not_end_a_batch(void **state)
{
    struct store *s = store_of(state);
    struct thing row = thing("n"), other = thing("m"), found = thing("m");
    assert_int_equal(store_row_insert(s, THING, &row), ERR_OK);
    assert_int_equal(store_begin(s, STORE_SYNC_NOW), ERR_OK);
    row.revision++;
    assert_int_equal(store_row_put(s, THING, &row), ERR_REVISION);
    assert_int_equal(store_row_insert(s, THING, &other), ERR_OK);
    assert_int_equal(store_commit(s), ERR_OK);
    assert_int_equal(store_row_get(s, THING, &found), ERR_OK);
}

/* ---- pages under writes ---- */

static enum err note_name(void *context, const void *row)
{
    char *names = context;
    struct span name = ((const struct thing *)row)->name;
    assert_true(strlen(names) + name.len < 200);
    (void)strncat(names, (const char *)name.at, name.len);
    return ERR_OK;
}

static void a_page_goes_on_behind_a_row_that_is_gone(void **state)
{
    struct store *s = store_of(state);
    static const char *const names[] = {"b", "d", "f", "h"};
    struct thing made[4];
    char heard[200] = "";
    for (size_t i = 0; i < ROWS(names); i++) {
        made[i] = thing(names[i]);
        made[i].group = 1;
        assert_int_equal(store_row_insert(s, THING, &made[i]), ERR_OK);
    }
    struct store_page page = {.limit = 2};
    assert_int_equal(store_row_page(s, THING, BY_GROUP, &page, note_name, heard), ERR_OK);
    assert_string_equal(heard, "bd");
    struct thing early = thing("a"), late = thing("e");
    early.group = late.group = 1;
    assert_int_equal(store_row_delete(s, THING, &made[1]), ERR_OK);
    assert_int_equal(store_row_insert(s, THING, &early), ERR_OK);
    assert_int_equal(store_row_insert(s, THING, &late), ERR_OK);
    page = (struct store_page){.from = &made[1], .after = true, .limit = 2};
    assert_int_equal(store_row_page(s, THING, BY_GROUP, &page, note_name, heard), ERR_OK);
    assert_string_equal(heard, "bdef");
    page = (struct store_page){.from = &made[3], .limit = INT64_MAX};
    assert_int_equal(store_row_page(s, THING, BY_GROUP, &page, note_name, heard), ERR_OK);
    assert_string_equal(heard, "bdefh");
    page = (struct store_page){.from = &early, .after = true, .limit = 1};
    assert_int_equal(store_row_page(s, THING, BY_NUMBER, &page, note_name, heard), ERR_OK);
    assert_string_equal(heard, "bdefhe"); /* the last that was made */
}

/* Rows whose names begin with "s" stay; those of the writer's come and go. */
#define STAYING 50

struct reading {
    struct store *reader;
    atomic_bool *stop;
    size_t rounds;
};

struct heard {
    size_t staying, all;
    char last[16];
};

static enum err hear(void *context, const void *row)
{
    struct heard *h = context;
    const struct thing *t = row;
    span_copy_text(t->name, h->last, sizeof(h->last));
    h->staying += t->name.at[0] == 's';
    h->all++;
    return ERR_OK;
}

static void *read_all_the_time(void *context)
{
    struct reading *r = context;
    do {
        struct heard h = {.last = ""};
        for (size_t before = SIZE_MAX; h.all != before;) {
            before = h.all;
            struct thing from = thing(h.last);
            const struct store_page page = {
                .from = h.all == 0 ? NULL : &from, .after = true, .limit = 7};
            CHECK(store_row_page(r->reader, THING, BY_NAME, &page, hear, &h) == ERR_OK);
        }
        CHECK(h.staying == STAYING);
        r->rounds++;
    } while (!atomic_load(r->stop));
    return NULL;
}

static void pages_of_a_reader_hold_what_stays_while_others_come_and_go(void **state)
{
    struct store *s = store_of(state);
    atomic_bool done = false;
    struct reading r = {.stop = &done};
    char name[16];
    for (int i = 0; i < STAYING; i++) {
        (void)snprintf(name, sizeof(name), "s%03d", i);
        struct thing row = thing(name);
        assert_int_equal(store_row_insert(s, THING, &row), ERR_OK);
    }
    assert_int_equal(store_open_reader(s, &r.reader), ERR_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_all_the_time, &r), 0);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "%c%03d", i % 2 == 0 ? 'r' : 't', i / 4);
        struct thing row = thing(name);
        assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
        enum err e = store_row_insert(s, THING, &row);
        if (e == ERR_EXISTS) {
            row.revision = 0;
            e = store_row_delete(s, THING, &row);
        }
        assert_int_equal(e, ERR_OK);
        assert_int_equal(store_commit(s), ERR_OK);
    }
    atomic_store(&done, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(r.rounds > 0);
    store_close(&r.reader);
}

static void a_reader_sees_whole_batches_and_changes_nothing(void **state)
{
    struct store *s = store_of(state);
    struct store *reader;
    struct thing row = thing("n"), found = thing("n");
    uint64_t count = 99;
    assert_int_equal(store_open_reader(s, &reader), ERR_OK);
    assert_int_equal(store_begin(s, STORE_SYNC_NOW), ERR_OK);
    assert_int_equal(store_row_insert(s, THING, &row), ERR_OK);
    assert_int_equal(store_row_get(reader, THING, &found),
                     ERR_NOT_FOUND_ROW); /* nor does it wait */
    assert_int_equal(store_row_count(reader, THING, &count), ERR_OK);
    assert_int_equal(count, 0);
    assert_int_equal(store_commit(s), ERR_OK);
    assert_int_equal(store_row_get(reader, THING, &found), ERR_OK);
    assert_int_equal(found.revision, row.revision);
    assert_int_equal(store_row_put(reader, THING, &found), ERR_FILE);
    assert_int_equal(store_row_insert(reader, THING, &found), ERR_FILE);
    assert_int_equal(store_row_delete(reader, THING, &found), ERR_FILE);
    assert_int_equal(store_begin(reader, STORE_SYNC_NOW), ERR_FILE);
    store_close(&reader);
}

/* ---- what has a name ---- */

static void numbers_and_texts_are_kept_by_name(void **state)
{
    struct store *s = store_of(state);
    uint64_t number = 99;
    char text[STORE_TEXT_MAX + 1] = "?";
    assert_int_equal(store_number(s, "n", &number), ERR_OK);
    assert_int_equal(number, 0);
    assert_int_equal(store_text(s, "n", text), ERR_OK);
    assert_string_equal(text, "");
    assert_int_equal(store_number_set(s, "n", INT64_MAX), ERR_OK);
    assert_int_equal(store_text_set(s, "t", SPAN("a text")), ERR_OK);
    assert_int_equal(store_number(s, "n", &number), ERR_OK);
    assert_true(number == INT64_MAX);
    assert_int_equal(store_text(s, "t", text), ERR_OK);
    assert_string_equal(text, "a text");
    assert_int_equal(store_text(s, "s", text), ERR_OK); /* what comes next is not it */
    assert_string_equal(text, "");
}

static void the_digest_of_the_tables_tells_others_apart(void **state)
{
    (void)state;
    uint64_t ours = store_tables_digest(&store_tables);
    assert_true(ours > 0 && ours <= INT64_MAX);
    assert_int_equal(store_tables_digest(&store_tables), ours);
    assert_true(store_tables_digest(with_thing()) != ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(every_table_takes_gives_pages_and_loses_rows),
        ON_BOTH(texts_and_blobs_come_back_byte_for_byte),
        ON_BOTH(numbers_keep_their_sign_and_size),
        ON_BOTH(sums_are_added_and_stop_at_the_largest_number),
        ON_BOTH(who_has_read_an_older_revision_changes_nothing),
        ON_BOTH(a_row_that_was_made_anew_has_another_revision),
        ON_BOTH(a_conflict_is_an_answer_and_does_not_end_a_batch),
        ON_BOTH(a_page_goes_on_behind_a_row_that_is_gone),
        ON_BOTH(pages_of_a_reader_hold_what_stays_while_others_come_and_go),
        ON_BOTH(a_reader_sees_whole_batches_and_changes_nothing),
        ON_BOTH(numbers_and_texts_are_kept_by_name),
        cmocka_unit_test(the_digest_of_the_tables_tells_others_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
