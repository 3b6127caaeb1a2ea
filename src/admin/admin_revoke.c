/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_revoke.h"

#include <stddef.h>

#include "admin/admin_job.h"
#include "admin/admin_operations.h"
#include "base/buf.h"
#include "base/memory.h"
#include "http/http_target.h"
#include "keys/key_watch.h"
#include "keys/keys_change.h"
#include "net/net_loop.h"
#include "server/exchange.h"
#include "store/store_tables.h"
#include "store/store_thread.h"

#define ANSWER_BYTES 256

struct revocation {
    struct list link; /* revoker->open */
    struct admin_revoker *revoker;
    struct exchange *x;
    char actor[ADMIN_CALLER_BYTES];
    struct net_task done;
    struct key_watch_job job;
    bool asked_store;
    enum err in_store; /* once it was asked */
};

static void end(struct revocation *v)
{
    list_remove(&v->link);
    memory_free(v);
}

static void answer(struct revocation *v)
{
    struct buf out;
    struct json_writer w;
    struct span id = span_make(v->job.id, KEY_ID_CHARS);
    const struct admin_ended_key ended = {
        .id = id, .status = ADMIN_KEY_REVOKED, .revoked_at = keys_revoked(v->revoker->keys, id)};
    buf_init(&out, ANSWER_BYTES);
    json_write_init(&w, &out);
    admin_object_write(&w, ADMIN_OBJECT_ended_key, &ended);
    if (json_write_finish(&w) == ERR_OK) {
        admin_put_reply(v->x, 200, SPAN(ADMIN_JSON_FIELDS), buf_span(&out));
    } else {
        exchange_refuse(v->x, ERR_NO_MEMORY,
                        SPAN("the key is revoked, but there is no memory to say so"), SPAN(""),
                        SPAN(""));
    }
    buf_fini(&out);
}

static enum err run_in_store(struct store *store, void *context)
{
    const struct revocation *v = context;
    return keys_revoke_row(store, span_make(v->job.id, KEY_ID_CHARS), span_of(v->actor),
                           v->job.when);
}

/* A revocation on its way to the journal and the store. */
struct following {
    char id[KEY_ID_CHARS];
    char actor[ADMIN_CALLER_BYTES];
    wall_us when;
};

static enum err run_following(struct store *store, void *context)
{
    const struct following *f = context;
    return keys_revoke_row(store, span_make(f->id, KEY_ID_CHARS), span_of(f->actor), f->when);
}

static void on_followed(void *context, enum err result)
{
    (void)result; /* what did not go now is told from the file (keys_tell_store()) */
    memory_free(context);
}

/* Has the record say who revoked the key: the file does not know, so it must not be told of first.
 * Nobody waits for it. */
static void follow(const struct revocation *v)
{
    struct following *f = memory_new(sizeof(*f));
    const struct store_job work = {run_following, on_followed, f};
    if (f == NULL) {
        return;
    }
    memcpy(f->id, v->job.id, sizeof(f->id));
    memcpy(f->actor, v->actor, sizeof(f->actor));
    f->when = v->job.when;
    if (store_thread_post_urgent(v->revoker->store, &work) != ERR_OK) {
        memory_free(f);
    }
}

static void on_store_done(void *context, enum err result)
{
    struct revocation *v = context;
    v->in_store = result;
    net_loop_post(v->revoker->loop, &v->done);
}

static void on_done(struct net_task *task)
{
    struct revocation *v =
        (struct revocation *)(void *)((char *)task - offsetof(struct revocation, done));
    bool is_held = (v->asked_store ? v->in_store : v->job.result) == ERR_OK;
    if (!is_held && !v->asked_store) {
        const struct store_job work = {run_in_store, on_store_done, v};
        v->asked_store = true;
        v->in_store = store_thread_post_urgent(v->revoker->store, &work);
        if (v->in_store == ERR_OK) {
            return;
        }
    }
    if (is_held) {
        struct admin_answer done = {.action = admin_route(ADMIN_ROUTE_key_end)->action};
        span_copy_text(span_make(v->job.id, KEY_ID_CHARS), done.object, sizeof(done.object));
        admin_tell(&done, span_of(v->actor));
    }
    if (exchange_is_gone(v->x)) {
        exchange_cancel(v->x);
    } else if (is_held) {
        answer(v);
    } else {
        exchange_refuse(v->x, v->job.result,
                        SPAN("the key is refused until the gateway ends, but neither the file of "
                             "revoked keys nor the store could write it down: ask again"),
                        SPAN(""), SPAN(""));
    }
    end(v);
}

static void on_written(struct key_watch_job *job)
{
    struct revocation *v = LIST_OF(job, struct revocation, job);
    net_loop_post(v->revoker->loop, &v->done);
}

static void on_event(void *context)
{
    (void)context; /* the answer is on its way; who has left is seen then */
}

bool admin_revoke(struct admin_revoker *r, struct exchange *x, struct span name,
                  const struct admin_caller *caller)
{
    uint8_t room[3 * KEY_ID_CHARS]; /* each character may have been escaped */
    struct span id;
    wall_us now = clock_wall();
    if (name.len > sizeof(room) || http_target_decode(name, room, &id) != ERR_OK ||
        keys_deny(r->keys, id, now) != ERR_OK) {
        return false;
    }
    struct revocation *v = memory_new(sizeof(*v));
    if (v == NULL) {
        exchange_refuse(x, ERR_NO_MEMORY, SPAN(""), SPAN(""), SPAN(""));
        return true;
    }
    v->revoker = r;
    v->x = x;
    span_copy_text(span_of(caller->name), v->actor, sizeof(v->actor));
    v->job = (struct key_watch_job){.when = now, .done = on_written};
    memcpy(v->job.id, id.at, KEY_ID_CHARS);
    net_task_init(&v->done, on_done);
    list_push_back(&r->open, &v->link);
    exchange_attach(x, on_event, v);
    follow(v);
    key_watch_post(r->watch, &v->job);
    return true;
}

void admin_revoke_end(struct admin_revoker *r)
{
    struct list *link;
    while ((link = list_pop_front(&r->open)) != NULL) {
        struct revocation *v = LIST_OF(link, struct revocation, link);
        net_loop_undefer(&v->done); /* posted, and the loop does not run any more */
        exchange_cancel(v->x);
        memory_free(v);
    }
}
