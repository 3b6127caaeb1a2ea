/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_thread.c — jobs of many threads run one after the other, in order, and to the end. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "store/store_tables.h"
#include "store/store_thread.h"
#include "store/store_usage.h"

static struct store_thread *start(size_t most)
{
    struct store *s = NULL;
    struct store_thread *t = NULL;
    const struct store_settings settings = {.driver = "memory"};
    assert_int_equal(store_open(&settings, &s), ERR_OK);
    assert_int_equal(store_thread_open(&s, most, &t), ERR_OK);
    assert_null(s);
    return t;
}

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool is_entered, is_open;
};

static enum err wait_at_gate(struct store *s, void *context)
{
    (void)s;
    struct gate *g = context;
    (void)pthread_mutex_lock(&g->lock);
    g->is_entered = true;
    (void)pthread_cond_broadcast(&g->moved);
    while (!g->is_open) {
        (void)pthread_cond_wait(&g->moved, &g->lock);
    }
    (void)pthread_mutex_unlock(&g->lock);
    return ERR_OK;
}

static void wait_until_entered(struct gate *g)
{
    (void)pthread_mutex_lock(&g->lock);
    while (!g->is_entered) {
        (void)pthread_cond_wait(&g->moved, &g->lock);
    }
    (void)pthread_mutex_unlock(&g->lock);
}

static void open_gate(struct gate *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->is_open = true;
    (void)pthread_cond_broadcast(&g->moved);
    (void)pthread_mutex_unlock(&g->lock);
}

static int order[16];
static int ordered;

static enum err note_order(struct store *s, void *context)
{
    (void)s;
    order[ordered++] = *(int *)context;
    return *(int *)context == 2 ? ERR_NOT_FOUND_ROW : ERR_OK;
}

static enum err results[16];

static void note_result(void *context, enum err result)
{
    results[*(int *)context] = result;
}

static void a_full_queue_refuses_and_a_stop_runs_what_was_taken(void **state)
{
    (void)state;
    struct store_thread *t = start(3);
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    assert_int_equal(store_thread_post(t, &(struct store_job){wait_at_gate, NULL, &g}), ERR_OK);
    wait_until_entered(&g);
    static int numbers[] = {0, 1, 2, 3};
    for (int i = 0; i < 4; i++) {
        struct store_job job = {note_order, note_result, &numbers[i]};
        assert_int_equal(store_thread_post(t, &job), i < 3 ? ERR_OK : ERR_OVERLOADED);
    }
    assert_int_equal(store_thread_load(t), 4);
    open_gate(&g);
    store_thread_close(&t);
    assert_null(t);
    store_thread_close(&t);
    assert_int_equal(ordered, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(order[i], i);
        assert_int_equal(results[i], i == 2 ? ERR_NOT_FOUND_ROW : ERR_OK);
    }
}

static enum err do_nothing(struct store *s, void *context)
{
    (void)s;
    (void)context;
    return ERR_OK;
}

static void settling_waits_for_the_writer_and_no_longer_than_it_is_told(void **state)
{
    (void)state;
    struct store_thread *t = start(3);
    assert_true(store_thread_settle(t, 0));
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    struct gate reader = g;
    assert_int_equal(store_thread_post_read(t, &(struct store_job){wait_at_gate, NULL, &reader}),
                     ERR_OK);
    assert_int_equal(store_thread_post(t, &(struct store_job){wait_at_gate, NULL, &g}), ERR_OK);
    wait_until_entered(&g);
    static int number = 3;
    ordered = 0;
    struct store_job jobs[] = {{do_nothing, NULL, NULL}, {note_order, note_result, &number}};
    results[3] = ERR_DISK;
    assert_int_equal(store_thread_post(t, &jobs[0]), ERR_OK);
    assert_int_equal(store_thread_post_urgent(t, &jobs[1]), ERR_OK);
    assert_false(store_thread_settle(t, 0));
    assert_false(store_thread_settle(t, 20));
    open_gate(&g);
    assert_true(store_thread_settle(t, 60000)); /* a page that is read still is no reason to wait */
    assert_int_equal(ordered, 1);
    assert_int_equal(results[3], ERR_OK);
    open_gate(&reader);
    store_thread_close(&t);
}

#define POSTERS 4
#define EACH    500

static atomic_int finished;

static enum err add_call(struct store *s, void *context)
{
    const struct store_usage one = {.key_id = span_of(context), .calls = 1};
    enum err e = store_begin(s, STORE_SYNC_LATER);
    if (e != ERR_OK) {
        return e;
    }
    e = store_usage_add(s, &one);
    enum err committed = store_commit(s);
    return e != ERR_OK ? e : committed;
}

static void count_done(void *context, enum err result)
{
    (void)context;
    atomic_fetch_add(&finished, result == ERR_OK ? 1 : 0);
}

static enum err sum_calls(void *context, const struct store_usage *sums)
{
    *(int64_t *)context += sums->calls;
    return ERR_OK;
}

static enum err read_sum(struct store *s, void *context)
{
    const struct store_usage_filter all = {.from = INT32_MIN, .to = INT32_MAX};
    return store_usage_list(s, &all, sum_calls, context);
}

static void *post_many(void *context)
{
    static char names[3][2] = {"a", "b", "c"};
    for (int i = 0; i < EACH; i++) {
        struct store_job job = {add_call, count_done, names[i % 3]};
        while (store_thread_post(context, &job) != ERR_OK) {
            (void)sched_yield(); /* the queue is full: the store thread is next */
        }
    }
    return NULL;
}

static void jobs_of_many_threads_all_run(void **state)
{
    (void)state;
    struct store_thread *t = start(16);
    pthread_t posters[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_create(&posters[i], NULL, post_many, t), 0);
    }
    for (int i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_join(posters[i], NULL), 0);
    }
    int64_t calls = 0;
    struct store_job job = {read_sum, NULL, &calls};
    while (store_thread_post(t, &job) != ERR_OK) {
        (void)sched_yield();
    }
    store_thread_close(&t);
    assert_int_equal(calls, POSTERS * EACH);
    assert_int_equal(atomic_load(&finished), POSTERS * EACH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_refuses_and_a_stop_runs_what_was_taken),
        cmocka_unit_test(settling_waits_for_the_writer_and_no_longer_than_it_is_told),
        cmocka_unit_test(jobs_of_many_threads_all_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
