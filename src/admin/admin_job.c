/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_job.h"

#include <stdio.h>

#include "admin/admin_internal.h"
#include "base/log.h"
#include "base/memory.h"
#include "crypto/random.h"
#include "journal/journal_apply.h"
#include "net/net_loop.h"
#include "policy/policy.h"
#include "server/exchange.h"
#include "store/store_thread.h"

#define PULL_BYTES      4096
#define MATCH_BYTES_MAX (64u << 10)
#define IF_MATCH        "if-match"
#define ONCE            "idempotency-key"
#define ACCEPT          "accept"

/* One operation under way. */
struct job {
    struct list link; /* jobs->posted, once it is */
    struct list once; /* jobs->once, if it has an Idempotency-Key */
    struct span once_key;
    char once_id[ADMIN_ONCE_ID_BYTES];
    struct admin_jobs *jobs;
    struct exchange *x;
    const struct admin_route *route;
    struct admin_caller caller;
    struct policy *policy; /* the one in force when it began */
    struct net_task done;
    struct buf body, out;
    struct buf match; /* the values of If-Match; .at NULL: there are none */
    wall_us now;
    enum err result;
    struct admin_answer answer;
    struct admin_reload reload; /* of who has the configuration read again */
    bool is_posted;
};

void admin_put_reply(struct exchange *x, int status, struct span fields, struct span body)
{
    struct iovec piece = {(void *)(uintptr_t)body.at, body.len};
    exchange_put_head(x, status, fields, body.len);
    if (body.len > 0) {
        exchange_put(x, &piece, 1);
    }
    exchange_finish(x);
}

void admin_put_refusal(struct exchange *x, enum err e, const struct admin_fault *fault)
{
    char allow[ADMIN_METHODS_TEXT] = "";
    if (e == ERR_METHOD_NOT_ALLOWED) {
        (void)admin_methods(http_request_path(exchange_head(x)), allow);
    }
    exchange_refuse(x, e, span_of(fault->message), span_of(fault->param), span_of(allow));
}

static void free_job(struct job *job)
{
    list_remove(&job->link);
    list_remove(&job->once);
    list_remove(&job->reload.link);
    if (job->out.at != NULL) {
        crypto_wipe(job->out.at, job->out.len); /* it may hold a new key */
    }
    buf_fini(&job->out);
    buf_fini(&job->body);
    buf_fini(&job->match);
    policy_unref(&job->policy);
    memory_free(job);
}

/* The first value of a header field; empty: it is not there. */
static struct span first_value(const struct http_fields *fields, struct span name)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        if (span_equal_nocase(http_field_name(fields, i), name)) {
            return http_field_value(fields, i);
        }
    }
    return (struct span){NULL, 0};
}

static enum err run_job(struct store *store, void *context)
{
    struct job *job = context;
    const struct http_request *head = exchange_head(job->x); /* the exchange waits for us */
    const struct admin_means means = {job->jobs->keys, job->jobs->rights, job->jobs->book,
                                      job->policy, job->jobs->source->data};
    enum err e = admin_caller_recheck(job->jobs->keys, &job->caller, job->route, clock_wall(),
                                      &job->answer.fault);
    const struct admin_request request = {.method = head->method,
                                          .path = http_request_path(head),
                                          .query = http_request_query(head),
                                          .body = buf_span(&job->body),
                                          .if_match = buf_span(&job->match),
                                          .idempotency_key = job->once_key,
                                          .accept = first_value(&head->fields, SPAN(ACCEPT)),
                                          .actor = span_of(job->caller.name),
                                          .right = job->caller.right};
    return e == ERR_OK ? admin_operate(&means, store, &request, job->now, &job->out, &job->answer)
                       : e;
}

static void put_answer(struct job *job)
{
    char fields[sizeof(ADMIN_JSON_FIELDS) + ADMIN_TAG_BYTES + 16] = ADMIN_JSON_FIELDS;
    if (job->answer.is_csv) {
        admin_put_reply(job->x, 200, SPAN(ADMIN_CSV_FIELDS), buf_span(&job->out));
        return;
    }
    size_t len = strlen(fields);
    if (job->answer.tag[0] != '\0') {
        (void)snprintf(fields + len, sizeof(fields) - len, "ETag: %s\r\n",
                       job->answer.tag); /* it fits */
    }
    admin_put_reply(job->x, (job->route->rules & ADMIN_CREATES) != 0 ? 201 : 200, span_of(fields),
                    buf_span(&job->out));
}

/* What is said to who asked: some errors are the operator's alone, who hears of them. */
static enum err tellable(enum err e)
{
    if (err_row(e)->type[0] != '\0') {
        return e;
    }
    log_error("admin", "what was asked was not done: %s", err_sentence(e));
    return ERR_STORE;
}

static void on_answered(struct net_task *task)
{
    struct job *job = (struct job *)(void *)((char *)task - offsetof(struct job, done));
    admin_tell(&job->answer, span_of(job->caller.name));
    if (exchange_is_gone(job->x)) {
        exchange_cancel(job->x);
    } else if (job->result == ERR_OK) {
        put_answer(job);
    } else if (job->result == ERR_RELOAD_REFUSED) { /* a line for each problem */
        exchange_refuse(job->x, job->result, buf_span(&job->out), SPAN(""), SPAN(""));
    } else {
        admin_put_refusal(job->x, tellable(job->result), &job->answer.fault);
    }
    free_job(job);
}

static void on_job_done(void *context, enum err result)
{
    struct job *job = context;
    job->result = result;
    net_loop_post(job->jobs->loop, &job->done);
}

static void end_job(struct job *job, enum err e)
{
    admin_put_refusal(job->x, e, &job->answer.fault);
    free_job(job);
}

/* The first half of a question for usage, on the writer: the store is brought up to the journal. */
static enum err run_apply(struct store *store, void *context)
{
    struct job *job = context;
    return journal_apply_now(job->jobs->apply, store);
}

/* The second half is the reader's: however long it sums, the writer goes on. */
static void on_applied(void *context, enum err result)
{
    struct job *job = context;
    const struct store_job work = {run_job, on_job_done, job};
    if (result == ERR_OK) {
        result = store_thread_post_read(job->jobs->store, &work);
    }
    if (result != ERR_OK) {
        on_job_done(job, result);
    }
}

/* ---- the configuration, read again ---- */

static void on_reloaded(struct admin_reload *reload)
{
    struct job *job = LIST_OF(reload, struct job, reload);
    struct json_writer w;
    enum err e = reload->error;
    if (e == ERR_OK) {
        json_write_init(&w, &job->out);
        admin_policy_write(&w, &reload->version);
        e = json_write_finish(&w);
        job->answer.action = job->route->action;
        (void)snprintf(job->answer.object, sizeof(job->answer.object), "policy_%lld",
                       (long long)reload->version.version); /* fits */
    } else if (e == ERR_CONFIG) {
        struct span lines = reload->problems;
        e = ERR_RELOAD_REFUSED;
        buf_printf(&job->out, "%s:\n", err_sentence(e));
        buf_put(&job->out, span_cut(lines, 0, lines.len > 0 ? lines.len - 1 : 0)); /* its last \n */
    }
    on_job_done(job, e);
}

/* Not the store's: serve reads it, and has it recorded. */
static enum err post_reload(struct job *job)
{
    const struct admin_source *source = job->jobs->source;
    struct span match = span_trim(buf_span(&job->match));
    enum err e = admin_caller_recheck(job->jobs->keys, &job->caller, job->route, clock_wall(),
                                      &job->answer.fault);
    if (e == ERR_OK && match.at != NULL && !span_is(match, "*")) {
        e = ERR_REVISION; /* it has no ETag */
    }
    if (e == ERR_OK) {
        job->reload.actor = job->caller.name;
        job->reload.done = on_reloaded;
        source->reload(source->ctx, &job->reload);
    }
    return e;
}

static enum err post(struct job *job)
{
    struct store_job work = {run_job, on_job_done, job};
    struct store_thread *store = job->jobs->store;
    if (job->route->number == ADMIN_ROUTE_usage_list) {
        work = (struct store_job){run_apply, on_applied, job};
        return store_thread_post(store, &work);
    }
    if (job->route->number == ADMIN_ROUTE_route_reload) {
        return post_reload(job);
    }
    if (job->route->queue == ADMIN_QUEUE_URGENT) {
        return store_thread_post_urgent(store, &work);
    }
    bool only_reads = job->route->queue == ADMIN_QUEUE_READ;
    return only_reads ? store_thread_post_read(store, &work) : store_thread_post(store, &work);
}

static void post_job(struct job *job)
{
    job->is_posted = true; /* before it may be over */
    list_push_back(&job->jobs->posted, &job->link);
    enum err e = post(job);
    if (e != ERR_OK) {
        end_job(job, e);
    }
}

static void on_job_event(void *ctx)
{
    struct job *job = ctx;
    uint8_t *room;
    size_t got = 0;
    if (job->is_posted) {
        return; /* the answer is on its way; who has left is seen then */
    }
    do {
        room = buf_reserve(&job->body, PULL_BYTES);
        if (room == NULL) {
            end_job(job, ERR_BODY_TOO_LARGE);
            return;
        }
        got = 0;
        enum exchange_pulled pulled = exchange_pull(job->x, room, PULL_BYTES, &got);
        if (pulled == EXCHANGE_FAILED) {
            end_job(job, exchange_error(job->x));
            return;
        }
        buf_added(&job->body, got);
        if (pulled == EXCHANGE_END) {
            post_job(job);
            return;
        }
    } while (got > 0);
}

bool admin_has_condition(const struct http_fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        if (span_equal_nocase(http_field_name(fields, i), SPAN(IF_MATCH)) &&
            !span_is(http_field_value(fields, i), "*")) {
            return true;
        }
    }
    return false;
}

/* Gathers the values of If-Match, of which there may be several fields. */
static enum err read_match(struct job *job)
{
    const struct http_fields *fields = &exchange_head(job->x)->fields;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (span_equal_nocase(http_field_name(fields, i), SPAN(IF_MATCH))) {
            buf_put(&job->match, buf_span(&job->match).len == 0 ? SPAN(" ") : SPAN(", "));
            buf_put(&job->match, http_field_value(fields, i));
        }
    }
    return buf_failed(&job->match) ? ERR_HTTP_HEAD_LARGE : ERR_OK;
}

static enum err refuse_once(struct job *job)
{
    return admin_fault_say(&job->answer.fault, ERR_VALUE_INVALID, SPAN("Idempotency-Key"),
                           "'Idempotency-Key' must be given once, and be 1 to %d printable ASCII "
                           "characters, such as a UUID",
                           ADMIN_ONCE_KEY_MAX);
}

static bool is_once_key(struct span key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.at[i] < ' ' || key.at[i] > '~') {
            return false;
        }
    }
    return key.len > 0 && key.len <= ADMIN_ONCE_KEY_MAX;
}

/* Reads the Idempotency-Key, of which only one request is done at a time. */
static enum err read_once(struct job *job)
{
    const struct http_fields *fields = &exchange_head(job->x)->fields;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!span_equal_nocase(http_field_name(fields, i), SPAN(ONCE))) {
            continue;
        }
        struct span key = span_trim(http_field_value(fields, i));
        if (job->once_key.at != NULL || !is_once_key(key)) {
            return refuse_once(job);
        }
        job->once_key = key;
    }
    if (job->once_key.at == NULL) {
        return ERR_OK;
    }
    admin_once_id(span_of(job->caller.name), job->once_key, job->once_id);
    const struct list *all = &job->jobs->once;
    for (const struct list *link = all->next; link != all; link = link->next) {
        const struct job *other =
            (const struct job *)(const void *)((const char *)link - offsetof(struct job, once));
        if (strcmp(other->once_id, job->once_id) == 0) {
            return ERR_IDEMPOTENCY_RUNNING;
        }
    }
    list_push_back(&job->jobs->once, &job->once);
    return ERR_OK;
}

void admin_job_start(struct admin_jobs *jobs, struct exchange *x, const struct admin_route *route,
                     const struct admin_caller *caller)
{
    struct job *job = memory_new(sizeof(*job));
    if (job == NULL) {
        exchange_refuse(x, ERR_NO_MEMORY, SPAN(""), SPAN(""), SPAN(""));
        return;
    }
    list_init(&job->link);
    list_init(&job->once);
    list_init(&job->reload.link);
    job->jobs = jobs;
    job->x = x;
    job->route = route;
    job->caller = *caller;
    job->now = clock_wall();
    job->policy = policy_ref(jobs->source->policy(jobs->source->ctx));
    buf_init(&job->body, admin_body_most(route));
    buf_init(&job->out, ADMIN_ANSWER_BYTES_MAX);
    buf_init(&job->match, MATCH_BYTES_MAX);
    net_task_init(&job->done, on_answered);
    enum err e = read_match(job);
    if (e == ERR_OK && route->method == HTTP_POST) {
        e = read_once(job);
    }
    if (e != ERR_OK) {
        end_job(job, e);
        return;
    }
    exchange_attach(x, on_job_event, job);
    exchange_continue(x);
    on_job_event(job);
}

void admin_jobs_end(struct admin_jobs *jobs)
{
    struct list *link;
    while ((link = list_pop_front(&jobs->posted)) != NULL) {
        struct job *job = LIST_OF(link, struct job, link);
        net_loop_undefer(&job->done); /* posted, and the loop does not run any more */
        exchange_cancel(job->x);
        free_job(job);
    }
}
