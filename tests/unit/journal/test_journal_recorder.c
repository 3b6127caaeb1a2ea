/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal_recorder.c — a change is in the journal first, and from there in the store: once,
 * wherever the process dies between them. */
#include "unit.h"

#include "folder.h"

#include "journal/journal_apply.h"
#include "journal/journal_recorder.h"
#include "store/store_change.h"
#include "store/store_usage.h"

#define STORE_LANE 2 /* after those of a worker and of housekeeping */

struct gateway {
    struct folder folder;
    char path[128];
    struct store *store;
    struct journal *journal;
    struct journal_apply *apply;
    struct journal_recorder *recorder;
    struct journal_apply_report report;
};

static void store_start(struct gateway *g)
{
    const struct store_settings settings = {.driver = "sqlite", .path = g->path, .busy_ms = 1};
    assert_int_equal(store_open(&settings, &g->store), ERR_OK);
}

static void journal_begin(struct gateway *g)
{
    struct journal_report report;
    struct journal_seen seen = nothing_seen;
    assert_int_equal(journal_apply_seen(g->store, &seen), ERR_OK);
    assert_int_equal(journal_open(g->folder.path, &journal_quick, 1, &seen, &report, &g->journal),
                     ERR_OK);
    assert_int_equal(journal_apply_open(g->journal, g->store, &g->report, &g->apply), ERR_OK);
    assert_int_equal(journal_recorder_open(g->journal, journal_lane(g->journal, STORE_LANE),
                                           g->apply, g->store, &g->recorder),
                     ERR_OK);
    assert_int_equal(journal_start(g->journal), ERR_OK);
}

static void gateway_stop(struct gateway *g)
{
    journal_recorder_stop(g->recorder);
    journal_close(&g->journal);
    journal_apply_close(&g->apply);
    store_close(&g->store);
    journal_recorder_close(&g->recorder);
}

static struct gateway gateway_new(void)
{
    struct gateway g = {.folder = folder_new()};
    (void)snprintf(g.path, sizeof(g.path), "%s/atlas.db", g.folder.path);
    store_start(&g);
    journal_begin(&g);
    return g;
}

static void gateway_again(struct gateway *g)
{
    gateway_stop(g);
    store_start(g);
    journal_begin(g);
}

static void gateway_remove(struct gateway *g)
{
    gateway_stop(g);
    folder_empty(g->folder.path); /* of the store's files */
    folder_remove(&g->folder);
}

static const struct span by = {(const uint8_t *)"uid:7", 5};

static struct store_key key_of(const char *id)
{
    return (struct store_key){
        .id = span_of(id), .name = SPAN("a name"), .kind = 1, .pepper = 1, .created = {1}};
}

static enum err change(struct gateway *g, const struct store_key *key, const char *verb)
{
    return store_change(g->store, STORE_TABLE_KEY, key, strcmp(verb, "key.delete") == 0, verb, by);
}

static struct store_key found(struct gateway *g, const char *id)
{
    struct store_key key = {.id = span_of(id)};
    assert_int_equal(store_key_get(g->store, &key), ERR_OK);
    return key;
}

static uint64_t keys_in(struct gateway *g)
{
    uint64_t count;
    assert_int_equal(store_key_count(g->store, &count), ERR_OK);
    return count;
}

static void a_change_is_durable_before_it_is_in_the_store(void **state)
{
    (void)state;
    struct gateway g = gateway_new();
    struct store_key key = key_of("AAAAaaaa0001");
    uint64_t before = journal_last(g.journal);
    assert_int_equal(change(&g, &key, "key.create"), ERR_OK);
    assert_int_equal(store_settle(g.store), ERR_OK);
    assert_int_equal(journal_last(g.journal), before + 1);
    assert_int_equal(keys_in(&g), 0);
    assert_int_equal(store_catch_up(g.store), ERR_OK);
    assert_int_equal(keys_in(&g), 1);
    gateway_remove(&g);
}

static void what_was_recorded_and_not_applied_is_there_after_a_start(void **state)
{
    (void)state;
    struct gateway g = gateway_new();
    struct store_key key = key_of("AAAAaaaa0001");
    assert_int_equal(change(&g, &key, "key.create"), ERR_OK); /* and the process ends */
    gateway_again(&g);
    assert_true(g.report.replayed > 0);
    struct store_key row = found(&g, "AAAAaaaa0001");
    row.revoked.us = 9;
    assert_int_equal(change(&g, &row, "key.revoke"), ERR_OK);
    gateway_again(&g);
    assert_int_equal(found(&g, "AAAAaaaa0001").revoked.us, 9);
    uint64_t last = journal_last(g.journal);
    gateway_again(&g);
    assert_int_equal(g.report.replayed, 0);
    assert_int_equal(journal_last(g.journal), last); /* nothing was recorded again */
    assert_int_equal(keys_in(&g), 1);
    gateway_remove(&g);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    assert_true(in != NULL && out != NULL);
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), in)) > 0;) {
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    }
    assert_int_equal(fclose(out), 0);
    (void)fclose(in);
}

static void a_store_that_was_restored_gets_every_change_since(void **state)
{
    (void)state;
    struct gateway g = gateway_new();
    char backup[160];
    (void)snprintf(backup, sizeof(backup), "%s.backup", g.path);
    struct store_key ended = key_of("AAAAaaaa0001"), gone = key_of("AAAAaaaa0002");
    assert_int_equal(change(&g, &ended, "key.create"), ERR_OK);
    assert_int_equal(change(&g, &gone, "key.create"), ERR_OK);
    assert_int_equal(store_catch_up(g.store), ERR_OK);
    gateway_stop(&g); /* so that the file is whole */
    copy_file(g.path, backup);
    store_start(&g);
    journal_begin(&g);
    ended = found(&g, "AAAAaaaa0001");
    ended.revoked.us = 9;
    assert_int_equal(change(&g, &ended, "key.revoke"), ERR_OK);
    assert_int_equal(change(&g, &(struct store_key){.id = SPAN("AAAAaaaa0002")}, "key.delete"),
                     ERR_OK);
    struct store_key later = key_of("AAAAaaaa0003");
    assert_int_equal(change(&g, &later, "key.create"), ERR_OK);
    assert_int_equal(store_catch_up(g.store), ERR_OK);
    gateway_stop(&g);
    copy_file(backup, g.path);
    store_start(&g);
    assert_int_equal(keys_in(&g), 2);
    journal_begin(&g);
    assert_int_equal(keys_in(&g), 2);
    assert_int_equal(found(&g, "AAAAaaaa0001").revoked.us, 9);
    assert_int_equal(found(&g, "AAAAaaaa0003").created.us, 1);
    gateway_remove(&g);
}

static void a_store_that_is_locked_follows_later(void **state)
{
    (void)state;
    struct gateway g = gateway_new();
    struct store *other;
    const struct store_settings settings = {.driver = "sqlite", .path = g.path, .busy_ms = 1};
    assert_int_equal(store_open(&settings, &other), ERR_OK);
    assert_int_equal(store_begin(other, STORE_SYNC_NOW), ERR_OK); /* it has the lock */
    struct store_key key = key_of("AAAAaaaa0001");
    assert_int_equal(change(&g, &key, "key.create"), ERR_OK);
    assert_int_equal(store_settle(g.store), ERR_OK);
    assert_int_equal(store_catch_up(g.store), ERR_STORE_BUSY);
    store_rollback(other);
    store_close(&other);
    assert_int_equal(store_catch_up(g.store), ERR_STORE_BUSY); /* it is left alone for a while */
    assert_int_equal(journal_apply_now(g.apply, g.store), ERR_OK);
    assert_int_equal(store_catch_up(g.store), ERR_OK);
    assert_int_equal(keys_in(&g), 1);
    gateway_remove(&g);
}

static void what_commands_did_alone_is_recorded_once(void **state)
{
    (void)state;
    struct gateway g = gateway_new();
    uint64_t count = 99;
    gateway_stop(&g);
    store_start(&g);
    struct store_key key = key_of("AAAAaaaa0001");
    assert_int_equal(change(&g, &key, "key.create"), ERR_OK); /* without a gateway */
    journal_begin(&g);
    uint64_t before = journal_last(g.journal);
    assert_int_equal(store_change_record_rest(g.store), ERR_OK);
    assert_int_equal(store_change_record_rest(g.store), ERR_OK);
    assert_int_equal(journal_last(g.journal), before + 1);
    gateway_again(&g);
    assert_int_equal(store_unrecorded_count(g.store, &count), ERR_OK);
    assert_int_equal(count, 0);
    assert_int_equal(store_change_record_rest(g.store), ERR_OK);
    assert_int_equal(journal_last(g.journal), before + 1);
    gateway_remove(&g);
}

static void many_changes_in_a_row_find_slots(void **state)
{
    (void)state;
    struct gateway g = gateway_new();
    char id[32];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(id, sizeof(id), "AAAAaaaa%04d", i);
        struct store_key key = key_of(id);
        assert_int_equal(change(&g, &key, "key.create"), ERR_OK);
    }
    assert_int_equal(store_catch_up(g.store), ERR_OK);
    assert_int_equal(keys_in(&g), 300);
    gateway_remove(&g);
}

static void nothing_is_recorded_once_the_journal_closes(void **state)
{
    (void)state;
    struct gateway g = gateway_new();
    struct store_key key = key_of("AAAAaaaa0001");
    journal_recorder_stop(g.recorder);
    assert_int_equal(change(&g, &key, "key.create"), ERR_DRAINING);
    assert_int_equal(store_settle(g.store), ERR_STORE_UNSURE);
    assert_int_equal(store_catch_up(g.store), ERR_DRAINING);
    gateway_remove(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_durable_before_it_is_in_the_store),
        cmocka_unit_test(what_was_recorded_and_not_applied_is_there_after_a_start),
        cmocka_unit_test(a_store_that_was_restored_gets_every_change_since),
        cmocka_unit_test(a_store_that_is_locked_follows_later),
        cmocka_unit_test(what_commands_did_alone_is_recorded_once),
        cmocka_unit_test(many_changes_in_a_row_find_slots),
        cmocka_unit_test(nothing_is_recorded_once_the_journal_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
