/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_job.h — one operation on the store for one request: the exchange waits, the loop does not.
 *
 * The body is pulled and bounded, the operation runs on the store's thread, in the queue that its
 * row of admin_routes.def names, and the answer is put on the loop.
 *
 * Ownership  what `jobs` points at outlives it; an exchange is the job's from admin_job_start() on.
 * Threads    the housekeeping loop's.
 */
#ifndef ADMIN_ADMIN_JOB_H
#define ADMIN_ADMIN_JOB_H

#include "admin/admin_caller.h"
#include "admin/admin_status.h"
#include "base/list.h"

#define ADMIN_ANSWER_BYTES_MAX (256u << 20)
#define ADMIN_CSV_FIELDS                                        \
    "Content-Type: text/csv; charset=utf-8; header=present\r\n" \
    "Content-Disposition: attachment; filename=\"usage.csv\"\r\nCache-Control: no-store\r\n"
#define ADMIN_JSON_FIELDS "Content-Type: application/json\r\nCache-Control: no-store\r\n"

struct access;
struct exchange;
struct journal_apply;
struct net_loop;
struct policy_book;
struct store_thread;

struct admin_jobs {
    struct net_loop *loop;
    struct keys *keys;
    struct access *rights;
    struct policy_book *book;
    const struct admin_source *source;
    struct store_thread *store;
    struct journal_apply *apply;
    struct list once;   /* those with an Idempotency-Key, from their start to their answer */
    struct list posted; /* that the store thread has or has ended, and that are not answered yet */
};

/* Begins the operation of `route` for `caller`. */
void admin_job_start(struct admin_jobs *jobs, struct exchange *x, const struct admin_route *route,
                     const struct admin_caller *caller);

/* Whether an If-Match among the fields of a request says what is to be there; `*` does not. */
bool admin_has_condition(const struct http_fields *fields);

/* Cuts off who still waits for an answer. The store's thread has ended. */
void admin_jobs_end(struct admin_jobs *jobs);

/* Answers with a whole reply. */
void admin_put_reply(struct exchange *x, int status, struct span fields, struct span body);

/* Answers with an error, and what `fault` says of it. */
void admin_put_refusal(struct exchange *x, enum err e, const struct admin_fault *fault);

#endif
