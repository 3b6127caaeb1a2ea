/* SPDX-License-Identifier: Apache-2.0 */
/* test_key_watch.c — a revocation holds, though the store does not answer. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "keys/key_pepper.h"
#include "keys/key_watch.h"
#include "keys/keys_change.h"
#include "store/store_tables.h"
#include "store/store_thread.h"

#define NOW ((wall_us){INT64_C(1795489200000000)})

struct fixture {
    char folder[32], pepper[48], revoked[48];
    struct store_thread *thread;
    struct keys *keys;
    struct key_deny *deny;
    struct key_watch *watch;
    struct key_text key;
    char id[KEY_ID_CHARS + 1];
};

static int start(void **state)
{
    static struct fixture f;
    const struct store_settings settings = {.driver = "memory"};
    const struct key_wish wish = {.kind = KEY_LIVE, .name = SPAN("test")};
    struct store *store = NULL;
    struct keys_report report;
    memset(&f, 0, sizeof(f));
    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/atlas-watch-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    (void)snprintf(f.pepper, sizeof(f.pepper), "%s/pepper", f.folder);
    (void)snprintf(f.revoked, sizeof(f.revoked), "%s/revoked", f.folder);
    assert_int_equal(key_pepper_make(f.pepper), ERR_OK);
    assert_int_equal(store_open(&settings, &store), ERR_OK);
    assert_int_equal(keys_open(f.pepper, &f.keys), ERR_OK);
    assert_int_equal(key_deny_open(f.revoked, &f.deny), ERR_OK);
    assert_int_equal(keys_load(f.keys, store, f.deny, &report), ERR_OK);
    assert_int_equal(keys_create(f.keys, store, &wish, NOW, &f.key, f.id), ERR_OK);
    assert_int_equal(store_thread_open(&store, 4, &f.thread), ERR_OK);
    assert_int_equal(key_watch_open(f.keys, f.deny, &f.watch), ERR_OK);
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    store_thread_close(&f->thread);
    key_watch_close(&f->watch);
    key_watch_close(&f->watch);
    keys_close(&f->keys);
    key_deny_close(&f->deny);
    (void)unlink(f->pepper);
    (void)unlink(f->revoked);
    return rmdir(f->folder);
}

static enum err check(struct fixture *f)
{
    struct key_handle handle;
    return keys_check(f->keys, span_of(f->key.text), KEY_USE_INFERENCE, NOW, &handle);
}

/* Looks at `condition` until it is true; false after ten seconds. */
#define UNTIL(condition) until(condition, f)

static bool until(bool (*is_true)(struct fixture *f), struct fixture *f)
{
    const struct timespec pause = {0, 2000000};
    mono_us deadline = clock_after_ms(clock_mono(), 10000);
    while (!is_true(f)) {
        if (clock_since(deadline, clock_mono()) >= 0) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

static bool is_refused(struct fixture *f)
{
    return check(f) == ERR_KEY_REVOKED;
}

static void what_another_process_writes_into_the_file_is_refused_soon(void **state)
{
    struct fixture *f = *state;
    struct key_deny *other = NULL;
    assert_int_equal(key_deny_open(f->revoked, &other), ERR_OK);
    assert_int_equal(check(f), ERR_OK);
    mono_us begun = clock_mono();
    assert_int_equal(key_deny_add(other, span_of(f->id), NOW), ERR_OK);
    assert_true(UNTIL(is_refused));
    assert_true(clock_since(begun, clock_mono()) < (int64_t)5 * KEY_WATCH_MS * 1000);
    key_deny_close(&other);
}

/* ---- a store that does not get on ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static enum err wait_at_gate(struct store *s, void *context)
{
    (void)s;
    (void)context;
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
    return ERR_OK;
}

static _Atomic bool is_written;

static void on_written(struct key_watch_job *job)
{
    assert_int_equal(job->result, ERR_OK);
    is_written = true;
}

static bool was_written(struct fixture *f)
{
    (void)f;
    return is_written;
}

struct look {
    char id[KEY_ID_CHARS + 1];
    _Atomic int64_t revoked;
    _Atomic bool is_done;
};

static enum err look_in_store(struct store *s, void *context)
{
    struct look *look = context;
    struct store_key row = {.id = span_of(look->id)};
    assert_int_equal(store_key_get(s, &row), ERR_OK);
    look->revoked = row.revoked.us;
    look->is_done = true;
    return ERR_OK;
}

static bool store_knows(struct fixture *f)
{
    static struct look look;
    look.is_done = false;
    memcpy(look.id, f->id, sizeof(look.id));
    const struct store_job job = {look_in_store, NULL, &look};
    key_watch_step(f->watch, f->thread);
    while (store_thread_post(f->thread, &job) != ERR_OK) {
    }
    while (!look.is_done) {
    }
    return look.revoked != 0;
}

static void
it_is_written_down_while_the_store_is_busy_and_the_store_told_before_others(void **state)
{
    struct fixture *f = *state;
    const struct store_job slow = {wait_at_gate, NULL, NULL};
    static struct key_watch_job job;
    is_written = false;
    (void)pthread_mutex_lock(&gate);
    while (store_thread_post(f->thread, &slow) == ERR_OK) { /* as many as may wait */
    }
    job = (struct key_watch_job){.when = NOW, .done = on_written};
    memcpy(job.id, f->id, KEY_ID_CHARS);
    assert_int_equal(keys_deny(f->keys, span_of(f->id), NOW), ERR_OK);
    key_watch_post(f->watch, &job);
    assert_true(UNTIL(was_written));
    assert_int_equal(check(f), ERR_KEY_REVOKED);
    size_t load = store_thread_load(f->thread);
    key_watch_step(f->watch, f->thread); /* has room of its own */
    assert_int_equal(store_thread_load(f->thread), load + 1);
    (void)pthread_mutex_unlock(&gate);
    assert_true(UNTIL(store_knows));
    assert_int_equal(key_watch_trouble(f->watch), ERR_OK);
}

/* ---- another file ---- */

static void write_into_the_file(const struct fixture *f)
{
    struct key_deny *other = NULL;
    assert_int_equal(key_deny_open(f->revoked, &other), ERR_OK);
    assert_int_equal(key_deny_add(other, span_of(f->id), NOW), ERR_OK);
    key_deny_close(&other);
}

static void another_file_that_was_put_in_its_place_is_followed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(unlink(f->revoked), 0);
    write_into_the_file(f);
    assert_true(UNTIL(is_refused));
    assert_true(UNTIL(store_knows));
}

static void a_file_that_was_made_shorter_is_read_anew(void **state)
{
    struct fixture *f = *state;
    static struct key_watch_job job;
    is_written = false;
    job = (struct key_watch_job){.id = "someOtherKey", .when = NOW, .done = on_written};
    key_watch_post(f->watch, &job);
    assert_true(UNTIL(was_written)); /* and read */
    assert_int_equal(truncate(f->revoked, 0), 0);
    write_into_the_file(f);
    assert_true(UNTIL(is_refused));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_another_process_writes_into_the_file_is_refused_soon),
        TEST(another_file_that_was_put_in_its_place_is_followed),
        TEST(a_file_that_was_made_shorter_is_read_anew),
        TEST(it_is_written_down_while_the_store_is_busy_and_the_store_told_before_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
