/* SPDX-License-Identifier: Apache-2.0 */
/* test_keys_rotate.c — two secrets under one id, and what is taken over from another gateway. */
#include "keys_scene.h"

#include <pthread.h>
#include <stdatomic.h>

#include "store/store_tables.h"

#define S     INT64_C(1000000)
#define GRACE 100

static void open_again(struct fixture *f)
{
    struct keys_report report;
    keys_close(&f->keys);
    assert_int_equal(keys_open(f->pepper, &f->keys), ERR_OK);
    assert_int_equal(keys_load(f->keys, f->store, NULL, &report), ERR_OK);
    assert_int_equal(report.damaged + report.no_pepper + report.unbound, 0);
}

static wall_us after(int64_t s)
{
    return (wall_us){NOW.us + s * S};
}

struct made {
    struct key_text key;
    char id[KEY_ID_CHARS + 1];
};

static struct made make(struct fixture *f, enum key_kind kind)
{
    const struct key_wish wish = {.kind = kind, .name = SPAN("test")};
    struct made made;
    assert_int_equal(keys_create(f->keys, f->store, &wish, NOW, &made.key, made.id), ERR_OK);
    return made;
}

static enum err rotate(struct fixture *f, const char *id, int64_t grace_s, wall_us now,
                       struct key_text *out)
{
    const struct key_rotation rotation = {.now = now, .grace_s = grace_s, .actor = SPAN("uid:1")};
    struct store_key row;
    return keys_rotate(f->keys, f->store, span_of(id), &rotation, &row, out);
}

static enum err check(struct fixture *f, const char *token, wall_us now)
{
    struct key_handle handle;
    return keys_check(f->keys, span_of(token), KEY_USE_INFERENCE, now, &handle);
}

static void two_secrets_live_until_the_grace_is_over(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE);
    struct key_text second, third;
    assert_int_equal(rotate(f, made.id, GRACE, after(1), &second), ERR_OK);
    assert_string_not_equal(second.text, made.key.text);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(check(f, made.key.text, after(GRACE)), ERR_OK);
        assert_int_equal(check(f, made.key.text, after(GRACE + 1)), ERR_KEY_REPLACED);
        assert_int_equal(check(f, second.text, after(GRACE + 1)), ERR_OK);
        assert_int_equal(rotate(f, made.id, 0, after(GRACE), &third), ERR_ROTATION);
        open_again(f);
    }
    assert_int_equal(rotate(f, made.id, GRACE, after(GRACE + 1), &third), ERR_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(check(f, made.key.text, after(GRACE + 1)), ERR_KEY_INVALID);
        assert_int_equal(check(f, second.text, after(GRACE + 1)), ERR_OK);
        assert_int_equal(check(f, third.text, after(GRACE + 1)), ERR_OK);
        open_again(f);
    }
}

static void a_grace_of_nothing_ends_the_old_secret_at_once(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE);
    struct key_text second;
    assert_int_equal(rotate(f, made.id, 0, NOW, &second), ERR_OK);
    assert_int_equal(check(f, made.key.text, NOW), ERR_KEY_REPLACED);
    assert_int_equal(check(f, second.text, NOW), ERR_OK);
    assert_int_equal(rotate(f, made.id, 0, NOW, &second), ERR_OK); /* none is in progress */
    /* What was replaced is freed when every loop has turned, and a minute later; not before. */
    keys_set_turned(f->keys, clock_after_ms(clock_mono(), 50000));
    assert_int_equal(rotate(f, made.id, 0, NOW, &second), ERR_OK);
    keys_set_turned(f->keys, clock_after_ms(clock_mono(), 3600000));
    assert_int_equal(rotate(f, made.id, 0, NOW, &second), ERR_OK);
    assert_int_equal(check(f, second.text, NOW), ERR_OK);
}

static void what_does_not_work_is_not_rotated(void **state)
{
    struct fixture *f = *state;
    const struct key_wish ends = {.kind = KEY_LIVE, .name = SPAN("ends"), .expires = after(5)};
    struct made revoked = make(f, KEY_LIVE);
    struct made expired;
    struct key_text text = {{0}};
    assert_int_equal(keys_create(f->keys, f->store, &ends, NOW, &expired.key, expired.id), ERR_OK);
    assert_int_equal(keys_revoke(f->keys, f->store, span_of(revoked.id), SPAN(""), NOW), ERR_OK);
    assert_int_equal(rotate(f, revoked.id, 0, NOW, &text), ERR_VALUE_INVALID);
    assert_int_equal(rotate(f, expired.id, 0, after(5), &text), ERR_VALUE_INVALID);
    assert_int_equal(rotate(f, expired.id, -1, NOW, &text), ERR_VALUE_INVALID);
    assert_int_equal(rotate(f, expired.id, KEY_GRACE_MOST_S + 1, NOW, &text), ERR_VALUE_INVALID);
    assert_int_equal(rotate(f, "nobodysKey00", 0, NOW, &text), ERR_NOT_FOUND_ROW);
    assert_string_equal(text.text, "");
    assert_int_equal(check(f, expired.key.text, NOW), ERR_OK);
}

static void revocation_and_expiry_end_both_secrets(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE);
    struct key_text second;
    struct store_key row;
    const struct key_change change = {.has_expires = true, .expires = after(50)};
    assert_int_equal(rotate(f, made.id, GRACE, NOW, &second), ERR_OK);
    assert_int_equal(keys_change(f->keys, f->store, span_of(made.id), &change, NOW, &row), ERR_OK);
    assert_int_equal(check(f, made.key.text, after(50)), ERR_KEY_EXPIRED);
    assert_int_equal(check(f, second.text, after(50)), ERR_KEY_EXPIRED);
    assert_int_equal(keys_revoke(f->keys, f->store, span_of(made.id), SPAN(""), NOW), ERR_OK);
    assert_int_equal(check(f, made.key.text, NOW), ERR_KEY_REVOKED);
    assert_int_equal(check(f, second.text, NOW), ERR_KEY_REVOKED);
}

static void a_handle_ends_with_the_secret_it_was_checked_by(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE);
    struct key_text text;
    struct key_handle before, between;
    assert_int_equal(keys_check(f->keys, span_of(made.key.text), KEY_USE_INFERENCE, NOW, &before),
                     ERR_OK);
    uint64_t revision = keys_revision(f->keys);
    assert_int_equal(rotate(f, made.id, GRACE, NOW, &text), ERR_OK);
    assert_true(keys_revision(f->keys) > revision); /* open calls look again */
    assert_int_equal(keys_recheck(f->keys, &before, NOW), ERR_OK);
    assert_int_equal(before.expires.us, after(GRACE).us);
    assert_true(before.is_previous);
    assert_int_equal(keys_check(f->keys, span_of(text.text), KEY_USE_INFERENCE, NOW, &between),
                     ERR_OK);
    assert_false(between.is_previous);
    assert_int_equal(between.expires.us, KEY_NEVER_US);
    assert_int_equal(keys_recheck(f->keys, &before, after(GRACE)), ERR_KEY_REPLACED);
    assert_int_equal(keys_recheck(f->keys, &between, after(GRACE)), ERR_OK);
    /* Two rotations later it is nobody's, and the one between the one before. */
    assert_int_equal(rotate(f, made.id, 0, after(GRACE), &text), ERR_OK);
    assert_int_equal(keys_recheck(f->keys, &before, NOW), ERR_KEY_REPLACED);
    assert_int_equal(keys_recheck(f->keys, &between, after(GRACE)), ERR_KEY_REPLACED);
}

static void a_rotation_takes_the_newest_pepper(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_ADMIN);
    struct key_text second;
    struct key_handle handle;
    struct store_key row = {.id = span_of(made.id)};
    uint8_t version;
    assert_int_equal(key_pepper_add(f->pepper, &version), ERR_OK);
    open_again(f);
    assert_int_equal(rotate(f, made.id, GRACE, NOW, &second), ERR_OK);
    assert_int_equal(store_key_get(f->store, &row), ERR_OK);
    assert_int_equal(row.pepper, version);
    assert_int_equal(row.before_pepper, 1);
    const char *tokens[] = {made.key.text, second.text};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(keys_check(f->keys, span_of(tokens[i]), KEY_USE_ADMIN, NOW, &handle),
                         ERR_OK);
        assert_int_equal(handle.is_previous, i == 0);
    }
    /* Without the old pepper the old secret is nobody's, and the new one works. */
    assert_int_equal(key_pepper_remove(f->pepper, 1), ERR_OK);
    open_again(f);
    assert_int_equal(keys_check(f->keys, span_of(tokens[0]), KEY_USE_ADMIN, NOW, &handle),
                     ERR_KEY_INVALID);
    assert_int_equal(keys_check(f->keys, span_of(tokens[1]), KEY_USE_ADMIN, NOW, &handle), ERR_OK);
}

static void a_seed_gives_the_same_secret_once(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE);
    static const uint8_t seed[KEY_SEED_BYTES] = {1, 2, 3};
    struct key_rotation rotation = {.now = NOW, .grace_s = GRACE, .seed = seed};
    struct key_text first, again;
    struct store_key row;
    struct span id = span_of(made.id);
    assert_int_equal(keys_rotate(f->keys, f->store, id, &rotation, &row, &first), ERR_OK);
    open_again(f); /* as after a kill behind the record */
    rotation.now = after(9);
    assert_int_equal(keys_rotate(f->keys, f->store, id, &rotation, &row, &again), ERR_EXISTS);
    assert_string_equal(first.text, again.text);
    assert_int_equal(row.rotated.us, NOW.us);
    assert_int_equal(check(f, first.text, NOW), ERR_OK);
}

/* As when the disk did not say that it took the record: the row has it, memory has not. */
static void a_rotation_that_memory_waited_with_holds_when_it_is_asked_for_again(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE);
    static const uint8_t seed[KEY_SEED_BYTES] = {4, 5, 6};
    struct key_rotation rotation = {.now = NOW, .grace_s = GRACE, .seed = seed};
    struct fixture other = *f;
    struct keys_report report;
    struct key_text first, again;
    struct store_key row;
    struct span id = span_of(made.id);
    assert_int_equal(keys_open(f->pepper, &other.keys), ERR_OK);
    assert_int_equal(keys_load(other.keys, f->store, NULL, &report), ERR_OK);
    assert_int_equal(keys_rotate(f->keys, f->store, id, &rotation, &row, &first), ERR_OK);
    assert_int_equal(check(&other, first.text, NOW), ERR_KEY_INVALID);
    assert_int_equal(keys_rotate(other.keys, f->store, id, &rotation, &row, &again), ERR_EXISTS);
    assert_string_equal(first.text, again.text);
    assert_int_equal(check(&other, first.text, NOW), ERR_OK);
    assert_int_equal(check(&other, made.key.text, NOW), ERR_OK);
    assert_int_equal(check(&other, made.key.text, after(GRACE)), ERR_KEY_REPLACED);
    keys_close(&other.keys);
}

static void a_key_is_due_by_its_last_rotation(void **state)
{
    struct fixture *f = *state;
    struct key_wish wish = {
        .kind = KEY_LIVE, .name = SPAN("due"), .rotate_every_s = KEY_RHYTHM_LEAST_S - 1};
    struct made made;
    struct key_text text;
    assert_int_equal(keys_create(f->keys, f->store, &wish, NOW, &made.key, made.id),
                     ERR_VALUE_INVALID);
    wish.rotate_every_s = 7200;
    assert_int_equal(keys_create(f->keys, f->store, &wish, NOW, &made.key, made.id), ERR_OK);
    struct store_key row = {.id = span_of(made.id)};
    assert_int_equal(store_key_get(f->store, &row), ERR_OK);
    assert_int_equal(keys_due(&row).us, after(7200).us);
    assert_int_equal(check(f, made.key.text, after(7300)), ERR_OK); /* it works on */
    assert_int_equal(rotate(f, made.id, 0, after(100), &text), ERR_OK);
    row = (struct store_key){.id = span_of(made.id)};
    assert_int_equal(store_key_get(f->store, &row), ERR_OK);
    assert_int_equal(keys_due(&row).us, after(7300).us);
    row.rotate_every_s = 0;
    assert_int_equal(keys_due(&row).us, 0);
}

/* ---- taken over ---- */

#define FOREIGN "sk-proj-0123456789abcdefghij"

static enum err take_over(struct fixture *f, const char *token, enum key_kind kind,
                          struct made *made)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256(span_of(token), digest);
    const struct key_wish wish = {.kind = kind, .name = SPAN("old"), .digest = digest};
    return keys_create(f->keys, f->store, &wish, NOW, &made->key, made->id);
}

static void a_key_that_was_taken_over_works_until_it_is_rotated(void **state)
{
    struct fixture *f = *state;
    struct made made, twice;
    struct key_text second, third;
    assert_int_equal(check(f, FOREIGN, NOW), ERR_KEY_INVALID);
    assert_int_equal(take_over(f, FOREIGN, KEY_ADMIN, &made), ERR_VALUE_INVALID);
    assert_int_equal(take_over(f, FOREIGN, KEY_LIVE, &made), ERR_OK);
    assert_string_equal(made.key.text, "");
    for (int round = 0; round < 2; round++) {
        assert_int_equal(check(f, FOREIGN, NOW), ERR_OK);
        assert_int_equal(check(f, FOREIGN "x", NOW), ERR_KEY_INVALID);
        assert_int_equal(take_over(f, FOREIGN, KEY_LIVE, &twice), ERR_KEY_TAKEN);
        open_again(f);
    }
    assert_int_equal(rotate(f, made.id, GRACE, NOW, &second), ERR_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(check(f, FOREIGN, NOW), ERR_OK);
        assert_int_equal(check(f, FOREIGN, after(GRACE)), ERR_KEY_REPLACED);
        assert_int_equal(check(f, second.text, after(GRACE)), ERR_OK);
        assert_int_equal(take_over(f, FOREIGN, KEY_LIVE, &twice), ERR_KEY_TAKEN);
        open_again(f);
    }
    assert_int_equal(rotate(f, made.id, 0, after(GRACE), &third), ERR_OK);
    assert_int_equal(check(f, FOREIGN, NOW), ERR_KEY_INVALID);
    assert_int_equal(take_over(f, FOREIGN, KEY_TEST, &twice), ERR_OK); /* it is free again */
    assert_int_equal(check(f, FOREIGN, NOW), ERR_OK);
    assert_int_equal(check(f, third.text, after(GRACE)), ERR_OK);
}

static void many_that_were_taken_over_are_found(void **state)
{
    struct fixture *f = *state;
    struct made made;
    char token[40];
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(token, sizeof(token), "sk-another-gateways-%d", i);
        assert_int_equal(take_over(f, token, KEY_LIVE, &made), ERR_OK);
        assert_int_equal(check(f, token, NOW), ERR_OK);
    }
    open_again(f);
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(token, sizeof(token), "sk-another-gateways-%d", i);
        assert_int_equal(check(f, token, NOW), ERR_OK);
    }
    assert_int_equal(check(f, "sk-another-gateways-3000", NOW), ERR_KEY_INVALID);
}

/* ---- last uses ---- */

static void a_use_is_written_down_and_taken_in_again(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE), idle = make(f, KEY_LIVE);
    struct key_handle handle;
    struct key_last_use use;
    struct net_ip from;
    uint64_t rows;
    assert_true(net_ip_parse(SPAN("2001:db8::7"), &from));
    assert_int_equal(keys_check(f->keys, span_of(made.key.text), KEY_USE_INFERENCE, NOW, &handle),
                     ERR_OK);
    assert_false(keys_last_use(f->keys, span_of(made.id), &use));
    assert_false(keys_has_uses(f->keys));
    keys_note_use(f->keys, &handle, &from, after(3));
    keys_note_use(f->keys, &handle, &from, after(3));
    assert_true(keys_has_uses(f->keys));
    assert_int_equal(keys_save_uses(f->keys, f->store), ERR_OK);
    assert_false(keys_has_uses(f->keys));
    assert_int_equal(store_key_use_count(f->store, &rows), ERR_OK);
    assert_int_equal(rows, 1);
    for (int round = 0; round < 2; round++) {
        assert_true(keys_last_use(f->keys, span_of(made.id), &use));
        assert_int_equal(use.at.us, after(3).us);
        assert_true(use.has_address && net_ip_equal(&use.address, &from));
        assert_false(use.by_previous);
        assert_false(keys_last_use(f->keys, span_of(idle.id), &use));
        open_again(f);
        assert_false(keys_has_uses(f->keys));
    }
    assert_int_equal(keys_revoke(f->keys, f->store, span_of(made.id), SPAN(""), NOW), ERR_OK);
    assert_int_equal(keys_delete(f->keys, f->store, span_of(made.id), SPAN(""), NOW), ERR_OK);
    assert_int_equal(store_key_use_count(f->store, &rows), ERR_OK);
    assert_int_equal(rows, 0);
}

/* ---- while others look ---- */

#define LOOKERS   3
#define ROTATIONS 300

struct race {
    struct fixture *f;
    struct key_text text; /* of the key that is rotated all the time */
    struct key_text kept; /* its current secret, for who looks */
    pthread_mutex_t lock;
    _Atomic bool over;
    _Atomic unsigned refused, looks;
};

/* Takes the newest secret and uses it: it is the current one or the one before, and good. */
static void *look(void *context)
{
    struct race *race = context;
    static const struct net_ip from = {{1}};
    for (int64_t turn = 0; !atomic_load(&race->over); turn++) {
        struct key_text text;
        struct key_handle handle;
        (void)pthread_mutex_lock(&race->lock);
        text = race->kept;
        (void)pthread_mutex_unlock(&race->lock);
        enum err e = keys_check(race->f->keys, span_of(text.text), KEY_USE_INFERENCE, NOW, &handle);
        e = e == ERR_OK ? keys_recheck(race->f->keys, &handle, NOW) : e;
        if (e == ERR_OK) {
            keys_note_use(race->f->keys, &handle, &from, (wall_us){NOW.us + turn % 5 * S});
        }
        /* Two rotations may have gone by since it was taken: then it is nobody's. */
        atomic_fetch_add(&race->refused,
                         e != ERR_OK && e != ERR_KEY_INVALID && e != ERR_KEY_REPLACED);
        atomic_fetch_add(&race->looks, e == ERR_OK);
    }
    return NULL;
}

static void who_looks_while_it_is_rotated_finds_a_good_secret(void **state)
{
    static struct race race = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t lookers[LOOKERS];
    race.f = *state;
    struct made made = make(race.f, KEY_LIVE);
    race.kept = made.key;
    for (int i = 0; i < LOOKERS; i++) {
        assert_int_equal(pthread_create(&lookers[i], NULL, look, &race), 0);
    }
    for (int i = 0; i < ROTATIONS; i++) {
        struct key_text text;
        struct key_handle handle;
        /* The one before ends at once, or the next rotation would be refused. */
        assert_int_equal(rotate(race.f, made.id, 0, NOW, &text), ERR_OK);
        assert_int_equal(
            keys_check(race.f->keys, span_of(text.text), KEY_USE_INFERENCE, NOW, &handle), ERR_OK);
        (void)pthread_mutex_lock(&race.lock);
        race.kept = text;
        (void)pthread_mutex_unlock(&race.lock);
        assert_int_equal(keys_save_uses(race.f->keys, race.f->store), ERR_OK);
        keys_set_turned(race.f->keys, clock_mono()); /* none is freed: a minute is not over */
    }
    while (atomic_load(&race.looks) == 0) {
        (void)sched_yield();
    }
    atomic_store(&race.over, true);
    for (int i = 0; i < LOOKERS; i++) {
        assert_int_equal(pthread_join(lookers[i], NULL), 0);
    }
    assert_int_equal(race.refused, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(two_secrets_live_until_the_grace_is_over),
        TEST(a_grace_of_nothing_ends_the_old_secret_at_once),
        TEST(what_does_not_work_is_not_rotated),
        TEST(revocation_and_expiry_end_both_secrets),
        TEST(a_handle_ends_with_the_secret_it_was_checked_by),
        TEST(a_rotation_takes_the_newest_pepper),
        TEST(a_seed_gives_the_same_secret_once),
        TEST(a_rotation_that_memory_waited_with_holds_when_it_is_asked_for_again),
        TEST(a_key_is_due_by_its_last_rotation),
        TEST(a_key_that_was_taken_over_works_until_it_is_rotated),
        TEST(many_that_were_taken_over_are_found),
        TEST(a_use_is_written_down_and_taken_in_again),
        TEST(who_looks_while_it_is_rotated_finds_a_good_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
