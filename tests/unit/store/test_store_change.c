/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_change.c — a change is recorded, then in its row; once, whoever dies in between. */
#include "unit.h"

#include "store/store_ahead.h"
#include "store/store_change.h"
#include "store/store_fixture.h"
#include "store/store_table.h"

#define MOST (STORE_AHEAD_MAX + 16)

/* A journal: changes that were published, and how many of them were applied. */
struct book {
    struct store_recorder recorder;
    size_t count, applied;
    enum err refuses; /* ERR_OK: nothing */
    enum err lags;    /* of apply(): the store takes nothing */
    bool is_stuck;    /* the same, but only once there is something to apply */
    struct {
        char action[32], actor[32], object[32], state[1024];
    } line[MOST];
};

static enum err publish(void *ctx, const struct store_change *change)
{
    struct book *b = ctx;
    if (b->refuses != ERR_OK) {
        return b->refuses;
    }
    assert_true(b->count < MOST);
    span_copy_text(change->action, b->line[b->count].action, 32);
    span_copy_text(change->actor, b->line[b->count].actor, 32);
    span_copy_text(change->object, b->line[b->count].object, 32);
    span_copy_text(change->state, b->line[b->count].state, 1024);
    b->count++;
    return ERR_OK;
}

static enum err settle(void *ctx)
{
    return ((struct book *)ctx)->refuses;
}

static enum err apply(void *ctx, struct store *s)
{
    struct book *b = ctx;
    if (b->refuses != ERR_OK || b->lags != ERR_OK) {
        return b->refuses != ERR_OK ? b->refuses : b->lags;
    }
    if (b->is_stuck && b->applied < b->count) {
        return ERR_STORE_BUSY;
    }
    for (; b->applied < b->count; b->applied++) {
        const struct store_change change = {
            span_of(b->line[b->applied].action), span_of(b->line[b->applied].actor),
            span_of(b->line[b->applied].object), span_of(b->line[b->applied].state)};
        assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
        assert_int_equal(store_change_apply(s, &change), ERR_OK);
        assert_int_equal(store_commit(s), ERR_OK);
    }
    return ERR_OK;
}

static struct book book;

STORE_STARTS(NULL)

/* Has changes recorded from now on, in an empty book. */
static void record(struct store *s)
{
    book = (struct book){.recorder = {publish, settle, apply, &book}};
    store_set_recorder(s, &book.recorder);
}

static const struct span by = {(const uint8_t *)"uid:7", 5};

static enum err change(struct store *s, const struct store_key *key, const char *verb)
{
    return store_change(s, STORE_TABLE_KEY, key, strcmp(verb, "key.delete") == 0, verb, by);
}

static void a_change_is_in_its_row_when_its_record_is_applied(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    record(s);
    assert_int_equal(change(s, &key, "key.create"), ERR_OK);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_NOT_FOUND_ROW);
    assert_string_equal(book.line[0].action, "key.create");
    assert_string_equal(book.line[0].actor, "uid:7");
    assert_string_equal(book.line[0].object, "AAAAaaaa0001");
    assert_string_equal(
        book.line[0].state,
        "{\"before_ends_us\":0,\"before_mac\":\""
        "0000000000000000000000000000000000000000000000000000000000000000\","
        "\"before_pepper\":0,\"created_us\":1795489200123456,\"expires_us\":1795489200123457,"
        "\"id\":\"AAAAaaaa0001\",\"kind\":2,\"mac\":\""
        "41414141414141414141414141414141414141414141414141414141414141ff\","
        "\"models\":\"\",\"name\":\"a \\\"name\\\" of \xd9\x85\xd9\x81\",\"networks\":\"\","
        "\"pepper\":200,\"place\":\"\",\"plan\":\"\",\"revoked_us\":0,\"role\":0,\"rotate_every_"
        "s\":0,"
        "\"rotated_us\":0,\"scopes\":3221225477,"
        "\"tags\":\"\",\"team\":\"\",\"user\":\"\"}");
    assert_int_equal(store_settle(s), ERR_OK);
    assert_int_equal(store_catch_up(s), ERR_OK);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK);
    store_fixture_same_key(&found, &key);
}

static void a_record_that_is_applied_again_changes_nothing(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    uint64_t before, after, count;
    record(s);
    assert_int_equal(change(s, &key, "key.create"), ERR_OK);
    assert_int_equal(store_catch_up(s), ERR_OK);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK);
    found.revoked.us = 9;
    assert_int_equal(change(s, &found, "key.revoke"), ERR_OK);
    assert_int_equal(store_catch_up(s), ERR_OK);
    assert_int_equal(store_revision(s, &before), ERR_OK);
    book.applied = 1; /* the revocation once more */
    assert_int_equal(store_catch_up(s), ERR_OK);
    assert_int_equal(store_revision(s, &after), ERR_OK);
    assert_int_equal(before, after);
    book.applied = 0; /* both: it ends as it did */
    assert_int_equal(store_catch_up(s), ERR_OK);
    assert_int_equal(store_key_count(s, &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK);
    assert_int_equal(found.revoked.us, 9);
}

static void a_row_that_is_gone_stays_gone_and_may_be_gone_already(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    record(s);
    assert_int_equal(change(s, &key, "key.create"), ERR_OK);
    assert_int_equal(store_catch_up(s), ERR_OK);
    assert_int_equal(change(s, &key, "key.delete"), ERR_OK);
    assert_string_equal(book.line[1].state, "{}");
    assert_int_equal(store_catch_up(s), ERR_OK);
    book.applied = 1;
    assert_int_equal(store_catch_up(s), ERR_OK);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_NOT_FOUND_ROW);
}

static void what_cannot_be_is_not_recorded(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), other, found;
    record(s);
    assert_int_equal(change(s, &key, "key.delete"), ERR_NOT_FOUND_ROW);
    other = key;
    other.revision = 3;
    assert_int_equal(change(s, &other, "key.change"), ERR_NOT_FOUND_ROW);
    other.id = SPAN("short");
    assert_int_equal(change(s, &other, "key.create"), ERR_VALUE_INVALID);
    assert_int_equal(book.count, 0);
    assert_int_equal(change(s, &key, "key.create"), ERR_OK);
    assert_int_equal(store_catch_up(s), ERR_OK);
    assert_int_equal(change(s, &key, "key.create"), ERR_EXISTS);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK);
    found.revision++;
    assert_int_equal(change(s, &found, "key.change"), ERR_REVISION);
    assert_int_equal(change(s, &found, "key.delete"), ERR_REVISION);
    assert_int_equal(book.count, 1);
}

static void what_the_journal_refuses_is_not_done(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    record(s);
    book.refuses = ERR_DISK_FULL;
    assert_int_equal(change(s, &key, "key.create"), ERR_DISK_FULL);
    assert_int_equal(store_settle(s), ERR_STORE_UNSURE);
    assert_int_equal(store_catch_up(s), ERR_DISK_FULL);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_NOT_FOUND_ROW);
}

static uint64_t unrecorded(struct store *s)
{
    uint64_t count;
    assert_int_equal(store_unrecorded_count(s, &count), ERR_OK);
    return count;
}

static void what_was_changed_without_a_gateway_is_recorded_by_the_next_one(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    assert_int_equal(change(s, &key, "key.create"), ERR_OK);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK); /* at once */
    found.revoked.us = 9;
    assert_int_equal(change(s, &found, "key.revoke"), ERR_OK);
    assert_int_equal(unrecorded(s), 2);
    assert_int_equal(store_change_record_rest(s), ERR_OK); /* nowhere to record it */
    assert_int_equal(unrecorded(s), 2);

    record(s);
    book.refuses = ERR_DISK_FULL;
    assert_int_equal(store_change_record_rest(s), ERR_DISK_FULL);
    assert_int_equal(unrecorded(s), 2);
    book.refuses = ERR_OK;
    assert_int_equal(store_change_record_rest(s), ERR_OK);
    assert_int_equal(unrecorded(s), 0);
    assert_int_equal(book.count, 2);
    assert_string_equal(book.line[0].action, "key.create");
    assert_string_equal(book.line[1].action, "key.revoke");
    assert_string_equal(book.line[1].actor, "uid:7");
    assert_int_equal(store_change_record_rest(s), ERR_OK);
    assert_int_equal(book.count, 2);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK);
    assert_int_equal(found.revoked.us, 9);
}

/* Hands the journal a record of `key` as it is, as if it had been made from a note. */
static void publish_as_noted(const struct store_key *key, const char *verb)
{
    struct buf written;
    buf_init(&written, 1024);
    store_state_write(&store_tables.at[STORE_TABLE_KEY], key, &written);
    const struct store_change made = {span_of(verb), by, key->id, buf_span(&written)};
    assert_int_equal(publish(&book, &made), ERR_OK);
    buf_fini(&written);
}

static void a_note_whose_record_was_made_before_a_crash_is_not_recorded_again(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001");
    assert_int_equal(change(s, &key, "key.create"), ERR_OK);
    record(s);
    publish_as_noted(&key, "key.create");        /* and the process dies */
    assert_int_equal(store_catch_up(s), ERR_OK); /* the next start replays */
    assert_int_equal(unrecorded(s), 0);
    assert_int_equal(store_change_record_rest(s), ERR_OK);
    assert_int_equal(book.count, 1);
}

static void a_note_that_is_told_undoes_nothing_that_came_after_it(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    assert_int_equal(change(s, &key, "key.create"), ERR_OK);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK);
    found.scopes = 1;
    assert_int_equal(change(s, &found, "key.change"), ERR_OK);
    record(s);
    publish_as_noted(&key, "key.create");
    assert_int_equal(store_catch_up(s), ERR_OK); /* and the process dies before the second */
    assert_int_equal(unrecorded(s), 1);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK);
    assert_int_equal(found.scopes, 1);
    assert_int_equal(store_change_record_rest(s), ERR_OK);
    assert_int_equal(unrecorded(s), 0);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK);
    assert_int_equal(found.scopes, 1);
}

static void a_note_gets_one_record_however_often_the_store_takes_nothing(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001");
    assert_int_equal(change(s, &key, "key.create"), ERR_OK);
    record(s);
    book.is_stuck = true;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_change_record_rest(s), ERR_STORE_BUSY);
        assert_int_equal(book.count, 1);
    }
    book.is_stuck = false;
    assert_int_equal(store_change_record_rest(s), ERR_OK);
    assert_int_equal(unrecorded(s), 0);
    assert_int_equal(book.count, 1);
}

static void notes_are_recorded_as_they_were_made_whatever_the_clock_said(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    struct store_unrecorded ahead = {.at = {INT64_MAX}, /* the clock was set back since */
                                     .action = SPAN("key.create"),
                                     .actor = by,
                                     .object = key.id};
    struct buf written;
    buf_init(&written, 1024);
    store_state_write(&store_tables.at[STORE_TABLE_KEY], &key, &written);
    ahead.state = buf_span(&written);
    assert_int_equal(store_key_insert(s, &key), ERR_OK);
    assert_int_equal(store_unrecorded_insert(s, &ahead), ERR_OK);
    buf_fini(&written);
    key = (struct store_key){.id = key.id, .revision = key.revision};
    assert_int_equal(change(s, &key, "key.delete"), ERR_OK);
    assert_int_equal(unrecorded(s), 2);

    record(s);
    assert_int_equal(store_change_begin(s), ERR_OK);
    assert_string_equal(book.line[0].action, "key.create");
    assert_string_equal(book.line[1].action, "key.delete");
    assert_int_equal(unrecorded(s), 0);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_NOT_FOUND_ROW);
}

/* ---- a store that lags ---- */

/* What a handle says of a key: its name, or why there is none. */
static void expect_name(struct store *s, const char *id, const char *name)
{
    struct store_key found = {.id = span_of(id)};
    enum err e = store_change_get(s, STORE_TABLE_KEY, &found);
    if (name == NULL) {
        assert_int_equal(e, ERR_NOT_FOUND_ROW);
        return;
    }
    assert_int_equal(e, ERR_OK);
    assert_true(span_is(found.id, id));
    assert_true(span_is(found.name, name));
}

static void rename_key(struct store *s, const char *id, const char *name)
{
    struct store_key key = {.id = span_of(id)};
    assert_int_equal(store_change_get(s, STORE_TABLE_KEY, &key), ERR_OK);
    key.name = span_of(name);
    assert_int_equal(change(s, &key, "key.change"), ERR_OK);
}

static enum err on_listed(void *context, const void *given)
{
    const struct store_key *key = given;
    char *names = context;
    size_t len = strlen(names);
    assert_int_not_equal(key->number, 0);
    (void)snprintf(names + len, 100 - len, "%.*s ", SPAN_ARGS(key->name));
    return ERR_OK;
}

/* The names on a page of at most `limit` keys. */
static void expect_page(struct store *s, int64_t limit, const char *names)
{
    char found[100] = "";
    const struct store_page page = {.limit = limit};
    assert_int_equal(
        store_change_page(s, STORE_TABLE_KEY, STORE_INDEX_KEY_BY_NUMBER, &page, on_listed, found),
        ERR_OK);
    assert_string_equal(found, names);
}

static void create_key(struct store *s, const char *id, const char *name)
{
    struct store_key key = store_fixture_key(id);
    key.name = span_of(name);
    assert_int_equal(change(s, &key, "key.create"), ERR_OK);
    assert_int_equal(store_settle(s), ERR_OK);
}

static void rows_are_read_as_they_were_changed_last_though_the_tables_lag(void **state)
{
    struct store *s = store_of(state), *reader;
    record(s);
    create_key(s, "AAAAaaaa0001", "one");
    create_key(s, "AAAAaaaa0002", "two");
    create_key(s, "AAAAaaaa0003", "three");
    assert_int_equal(store_catch_up(s), ERR_OK);
    assert_int_equal(store_open_reader(s, &reader), ERR_OK);
    book.lags = ERR_STORE_BUSY;
    rename_key(s, "AAAAaaaa0001", "first");
    expect_name(s, "AAAAaaaa0001", "first");
    expect_name(reader, "AAAAaaaa0001", "one"); /* it is not on the disk yet */
    expect_page(reader, 2, "one two ");
    assert_int_equal(store_settle(s), ERR_OK);
    assert_int_equal(store_catch_up(s), ERR_STORE_BUSY);
    expect_name(reader, "AAAAaaaa0001", "first");
    expect_page(reader, 2, "first two ");
    rename_key(s, "AAAAaaaa0001", "last");
    expect_name(s, "AAAAaaaa0001", "last");
    expect_name(reader, "AAAAaaaa0001", "first");
    struct store_key gone = {.id = SPAN("AAAAaaaa0002")};
    assert_int_equal(change(s, &gone, "key.delete"), ERR_OK);
    assert_int_equal(store_settle(s), ERR_OK);
    expect_name(s, "AAAAaaaa0002", NULL);
    expect_name(reader, "AAAAaaaa0002", NULL);
    expect_page(reader, 2, "last three ");
    expect_page(s, 1, "last ");
    book.lags = ERR_OK;
    assert_int_equal(store_catch_up(s), ERR_OK);
    expect_page(reader, 9, "last three ");
    store_close(&reader);
}

static void a_row_that_was_made_has_no_place_in_a_page_until_the_tables_have_it(void **state)
{
    struct store *s = store_of(state), *reader;
    const struct store_page all = {.limit = 9}, one = {.limit = 1};
    char names[100] = "";
    record(s);
    assert_int_equal(store_open_reader(s, &reader), ERR_OK);
    create_key(s, "AAAAaaaa0001", "one");
    assert_int_equal(store_catch_up(s), ERR_OK);
    create_key(s, "AAAAaaaa0002", "two");
    expect_name(reader, "AAAAaaaa0002", "two");
    expect_page(reader, 9, "one "); /* its maker has no answer yet */
    book.lags = ERR_STORE_BUSY;
    assert_int_equal(store_catch_up(s), ERR_STORE_BUSY);
    assert_int_equal(store_change_page(reader, STORE_TABLE_KEY, STORE_INDEX_KEY_BY_NUMBER, &all,
                                       on_listed, names),
                     ERR_STORE_BEHIND);
    rename_key(s, "AAAAaaaa0002", "second");
    assert_int_equal(store_settle(s), ERR_OK);
    expect_name(reader, "AAAAaaaa0002", "second");
    assert_int_equal(store_change_page(reader, STORE_TABLE_KEY, STORE_INDEX_KEY_BY_NUMBER, &all,
                                       on_listed, names),
                     ERR_STORE_BEHIND);
    names[0] = '\0';
    assert_int_equal(store_change_page(reader, STORE_TABLE_KEY, STORE_INDEX_KEY_BY_NUMBER, &one,
                                       on_listed, names),
                     ERR_OK);
    assert_string_equal(names, "one ");
    book.lags = ERR_OK;
    assert_int_equal(store_catch_up(s), ERR_OK);
    expect_page(reader, 9, "one second ");
    store_close(&reader);
}

static void of_two_who_saw_a_row_that_lags_one_changes_it(void **state)
{
    struct store *s = store_of(state);
    struct store_key first = {.id = SPAN("AAAAaaaa0001")}, second = first;
    record(s);
    book.lags = ERR_STORE_BUSY;
    create_key(s, "AAAAaaaa0001", "one");
    struct store_key again = store_fixture_key("AAAAaaaa0001");
    assert_int_equal(change(s, &again, "key.create"), ERR_EXISTS);
    assert_int_equal(store_change_get(s, STORE_TABLE_KEY, &first), ERR_OK);
    assert_int_equal(store_change_get(s, STORE_TABLE_KEY, &second), ERR_OK);
    first.scopes = 1;
    second.scopes = 2;
    assert_int_equal(change(s, &first, "key.change"), ERR_OK);
    assert_int_equal(change(s, &second, "key.change"), ERR_REVISION);
    book.lags = ERR_OK;
    assert_int_equal(store_catch_up(s), ERR_OK);
    assert_int_equal(store_fixture_find(s, SPAN("AAAAaaaa0001"), &second), ERR_OK);
    assert_int_equal(second.scopes, 1);
}

static void tables_lag_by_so_many_rows_at_most(void **state)
{
    struct store *s = store_of(state);
    char id[32];
    record(s);
    book.lags = ERR_DISK_FULL;
    for (int i = 0; i < STORE_AHEAD_MAX; i++) {
        (void)snprintf(id, sizeof(id), "AAAAaaaa%04d", i);
        create_key(s, id, "one of many");
    }
    struct store_key more = store_fixture_key("BBBBbbbb0001");
    assert_int_equal(change(s, &more, "key.create"), ERR_STORE_BEHIND);
    rename_key(s, id, "known already");
    book.lags = ERR_OK;
    assert_int_equal(store_change_begin(s), ERR_OK);
    assert_int_equal(change(s, &more, "key.create"), ERR_OK);
}

static void a_record_that_says_no_row_is_told(void **state)
{
    struct store *s = store_of(state);
    static const struct {
        const char *action, *state;
        enum err expect;
    } rows[] = {
        {"ghost.create", "{\"id\":\"ghost_1\"}", ERR_OK}, /* a later program's */
        {"key.create", "{\"id\":\"AAAAaaaa0001\"}", ERR_JOURNAL_BROKEN},
        {"key.create", "[]", ERR_JOURNAL_BROKEN},
        {"key.create", "{", ERR_JOURNAL_BROKEN},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        const struct store_change change = {span_of(rows[r].action), by, SPAN("AAAAaaaa0001"),
                                            span_of(rows[r].state)};
        assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
        assert_int_equal(store_change_apply(s, &change), rows[r].expect);
        store_rollback(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_change_is_in_its_row_when_its_record_is_applied),
        ON_BOTH(a_record_that_is_applied_again_changes_nothing),
        ON_BOTH(a_row_that_is_gone_stays_gone_and_may_be_gone_already),
        ON_BOTH(what_cannot_be_is_not_recorded),
        ON_BOTH(what_the_journal_refuses_is_not_done),
        ON_BOTH(what_was_changed_without_a_gateway_is_recorded_by_the_next_one),
        ON_BOTH(a_note_that_is_told_undoes_nothing_that_came_after_it),
        ON_BOTH(a_note_gets_one_record_however_often_the_store_takes_nothing),
        ON_BOTH(a_note_whose_record_was_made_before_a_crash_is_not_recorded_again),
        ON_BOTH(notes_are_recorded_as_they_were_made_whatever_the_clock_said),
        ON_BOTH(rows_are_read_as_they_were_changed_last_though_the_tables_lag),
        ON_BOTH(a_row_that_was_made_has_no_place_in_a_page_until_the_tables_have_it),
        ON_BOTH(of_two_who_saw_a_row_that_lags_one_changes_it),
        ON_BOTH(tables_lag_by_so_many_rows_at_most),
        ON_BOTH(a_record_that_says_no_row_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
