/* SPDX-License-Identifier: Apache-2.0 */
/* test_net_loop.c — tasks run once, on the loop's thread, whoever posts them. */
#include "net/turned.h"

#include <pthread.h>
#include <stdatomic.h>

#define POSTERS         4
#define SHARE_WHEN_LATE 8
#define POSTS           2000

struct job {
    struct net_task task;
    struct net_loop *loop;
    int runs;
    int again; /* how often it queues itself once more */
    struct job *undefers;
    struct job *posts;
};

static void on_job(struct net_task *task)
{
    struct job *j = LIST_OF(task, struct job, task);
    j->runs++;
    if (j->undefers != NULL) {
        net_loop_undefer(&j->undefers->task);
    }
    if (j->posts != NULL) {
        net_loop_post(j->loop, &j->posts->task);
    }
    if (j->again > 0) {
        j->again--;
        net_loop_defer(j->loop, &j->task);
    }
}

static void job_init(struct job *j, struct net_loop *loop)
{
    *j = (struct job){.loop = loop};
    net_task_init(&j->task, on_job);
}

static void what_is_deferred_runs_once_at_the_end_of_the_turn(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct job jobs[3];
    for (size_t i = 0; i < ROWS(jobs); i++) {
        job_init(&jobs[i], loop);
    }
    net_loop_defer(loop, &jobs[0].task);
    net_loop_defer(loop, &jobs[0].task);
    net_loop_defer(loop, &jobs[1].task);
    net_loop_defer(loop, &jobs[2].task);
    jobs[0].undefers = &jobs[2];
    assert_int_equal(jobs[0].runs, 0);
    turn_settle(loop);
    assert_int_equal(jobs[0].runs, 1);
    assert_int_equal(jobs[1].runs, 1);
    assert_int_equal(jobs[2].runs, 0);
    net_loop_close(&loop);
}

static void a_task_posted_again_before_its_turn_runs_once_and_keeps_those_behind_it(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct job jobs[3];
    for (size_t i = 0; i < ROWS(jobs); i++) {
        job_init(&jobs[i], loop);
        net_loop_post(loop, &jobs[i].task);
    }
    jobs[0].posts = &jobs[1]; /* which waits for its turn already */
    turn_settle(loop);
    assert_int_equal(jobs[0].runs, 1);
    assert_int_equal(jobs[1].runs, 1);
    assert_int_equal(jobs[2].runs, 1);
    net_loop_post(loop, &jobs[1].task); /* and may be posted anew */
    turn_settle(loop);
    assert_int_equal(jobs[1].runs, 2);
    net_loop_close(&loop);
}

static void a_task_that_defers_itself_does_not_hold_the_loop(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct job job;
    job_init(&job, loop);
    job.again = 5;
    net_loop_defer(loop, &job.task);
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    assert_int_equal(job.runs, 1); /* one a turn */
    TURN_UNTIL(loop, job.runs == 6);
    net_loop_close(&loop);
}

static void what_is_yielded_runs_in_the_next_turn(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct job job;
    job_init(&job, loop);
    net_loop_yield(loop, &job.task);
    net_loop_yield(loop, &job.task); /* is queued once */
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    assert_int_equal(job.runs, 0);
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    assert_int_equal(job.runs, 1);
    net_loop_yield(loop, &job.task);
    net_loop_undefer(&job.task);
    turn_settle(loop);
    assert_int_equal(job.runs, 1);
    net_loop_close(&loop);
}

struct spender {
    struct net_task task;
    struct net_loop *loop;
    size_t cost; /* of each step */
    unsigned steps;
    int64_t took_us;
};

static void on_spender(struct net_task *task)
{
    struct spender *s = LIST_OF(task, struct spender, task);
    mono_us begun = clock_mono();
    for (s->steps = 0; !net_loop_is_spent(s->loop); s->steps++) {
        net_loop_spend(s->loop, s->cost);
    }
    s->took_us = clock_since(begun, clock_mono());
}

static void a_handlers_budget_is_bytes_or_time_and_the_next_has_its_own(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct spender by_bytes = {.loop = loop, .cost = NET_BUDGET_BYTES / 4};
    struct spender by_time = {.loop = loop};
    struct spender large = {.loop = loop, .cost = (size_t)1 << 40};
    struct spender *all[] = {&by_time, &large, &by_bytes};
    for (size_t i = 0; i < ROWS(all); i++) {
        net_task_init(&all[i]->task, on_spender);
        net_loop_defer(loop, &all[i]->task);
    }
    turn_settle(loop);
    assert_in_range(by_bytes.steps, 1, 4); /* fewer, if the machine stopped for so long */
    assert_int_equal(large.steps, 1);
    assert_true(by_time.took_us >= NET_BUDGET_US / SHARE_WHEN_LATE);
    net_loop_spend(loop, NET_BUDGET_BYTES);
    assert_false(net_loop_is_spent(loop)); /* outside of a handler nothing is counted */
    net_loop_close(&loop);
}

#define CROWD 100

/* One of a crowd, each of which takes half a budget. */
static void on_idler(struct net_task *task)
{
    struct job *j = LIST_OF(task, struct job, task);
    for (mono_us begun = clock_mono(); clock_since(begun, clock_mono()) < NET_BUDGET_US / 2;) {
    }
    j->runs++;
}

static void a_crowd_of_tasks_runs_over_several_turns_and_all_of_it_once(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    static struct job crowd[CROWD];
    for (size_t i = 0; i < CROWD; i++) {
        job_init(&crowd[i], loop);
        crowd[i].task.run = on_idler;
        net_loop_defer(loop, &crowd[i].task);
    }
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    assert_int_equal(crowd[0].runs, 1); /* in their order */
    assert_int_equal(crowd[CROWD - 1].runs, 0);
    TURN_UNTIL(loop, crowd[CROWD - 1].runs > 0);
    for (size_t i = 0; i < CROWD; i++) {
        assert_int_equal(crowd[i].runs, 1);
    }
    net_loop_close(&loop);
}

static void a_loop_that_turns_says_when_it_did(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    mono_us opened = net_loop_turned(loop);
    struct job job;
    job_init(&job, loop);
    job.task.run = on_idler;
    net_loop_defer(loop, &job.task);
    turn_settle(loop);
    assert_true(clock_since(opened, net_loop_turned(loop)) >= NET_BUDGET_US / 2);
    net_loop_close(&loop);
}

struct poster {
    struct net_loop *loop;
    struct posted {
        struct net_task task;
        struct poster *by;
    } tasks[POSTS];
    int runs; /* on the loop's thread only */
};

static struct {
    int runs;
    struct net_loop *loop;
} loop_side;

static void on_posted(struct net_task *task)
{
    struct posted *p = LIST_OF(task, struct posted, task);
    p->by->runs++;
    if (++loop_side.runs == POSTERS * POSTS) {
        net_loop_stop(loop_side.loop);
    }
}

static void *post_all(void *arg)
{
    struct poster *p = arg;
    for (size_t i = 0; i < POSTS; i++) {
        p->tasks[i].by = p;
        net_task_init(&p->tasks[i].task, on_posted);
        net_loop_post(p->loop, &p->tasks[i].task);
    }
    return NULL;
}

static void every_post_of_every_thread_runs_once_on_the_loops(void **state)
{
    (void)state;
    static struct poster posters[POSTERS];
    pthread_t threads[POSTERS];
    loop_side.loop = turn_open();
    for (size_t i = 0; i < POSTERS; i++) {
        posters[i].loop = loop_side.loop;
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    net_loop_run(loop_side.loop); /* until the last of them stops it */
    for (size_t i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(posters[i].runs, POSTS);
    }
    net_loop_close(&loop_side.loop);
}

static void *run_loop(void *arg)
{
    net_loop_run(arg);
    return NULL;
}

static void a_loop_that_waits_can_be_stopped_from_another_thread(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_loop, loop), 0);
    net_loop_stop(loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    net_loop_close(&loop);
    net_loop_close(&loop); /* NULL already */
}

static void stop_it(struct net_task *task)
{
    struct job *j = LIST_OF(task, struct job, task);
    j->runs++;
    net_loop_stop(j->loop);
}

static void a_stop_ends_one_run_and_what_is_posted_in_the_next_ends_none(void **state)
{
    (void)state;
    struct net_loop *loop = turn_open();
    struct job job, last;
    job_init(&job, loop);
    job_init(&last, loop);
    last.task.run = stop_it;
    job.posts = &last;
    net_loop_stop(loop);
    net_loop_run(loop);
    net_loop_post(loop, &job.task);
    net_loop_run(loop);
    assert_int_equal(job.runs, 1);
    assert_int_equal(last.runs, 1);
    net_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_deferred_runs_once_at_the_end_of_the_turn),
        cmocka_unit_test(a_task_posted_again_before_its_turn_runs_once_and_keeps_those_behind_it),
        cmocka_unit_test(a_task_that_defers_itself_does_not_hold_the_loop),
        cmocka_unit_test(what_is_yielded_runs_in_the_next_turn),
        cmocka_unit_test(a_handlers_budget_is_bytes_or_time_and_the_next_has_its_own),
        cmocka_unit_test(a_crowd_of_tasks_runs_over_several_turns_and_all_of_it_once),
        cmocka_unit_test(a_loop_that_turns_says_when_it_did),
        cmocka_unit_test(every_post_of_every_thread_runs_once_on_the_loops),
        cmocka_unit_test(a_loop_that_waits_can_be_stopped_from_another_thread),
        cmocka_unit_test(a_stop_ends_one_run_and_what_is_posted_in_the_next_ends_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
