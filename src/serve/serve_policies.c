/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each policy that came in force is recorded, one after the other, by jobs of the store's thread.
 * What cannot be recorded just now waits: it is in force all the same, and the disk may have room
 * again, or whoever has the database locked lets it go.
 */
#include "base/log.h"
#include "base/memory.h"
#include "serve/serve_internal.h"
#include "store/store_thread.h"

#define WAITING_MAX 16 /* beyond it the oldest is forgotten, and the log says so */
#define REST_MS     2000
#define PATIENCE_US INT64_C(15000000) /* before the log is told that it does not get on */

struct waiting {
    struct list link;
    struct list waits; /* struct admin_reload */
    struct serve_gateway *gateway;
    struct buf text;
    struct policy_version version;
    unsigned dropped;
    enum err result;
    struct net_task done;
};

static struct waiting *first_of(const struct serve_policies *p)
{
    return list_is_empty(&p->waiting) ? NULL : LIST_OF(p->waiting.next, struct waiting, link);
}

static void free_waiting(struct waiting *w)
{
    while (list_pop_front(&w->waits) != NULL) {
        /* the loop does not run any more: admin cuts them off */
    }
    list_remove(&w->link);
    buf_fini(&w->text);
    memory_free(w);
}

void serve_policies_tell(struct list *waits, enum err e, const struct policy_version *version,
                         struct span problems)
{
    struct list *link;
    while ((link = list_pop_front(waits)) != NULL) {
        struct admin_reload *wait = LIST_OF(link, struct admin_reload, link);
        wait->error = e;
        wait->problems = problems;
        wait->version.version = 0;
        if (version != NULL) {
            wait->version = *version;
        }
        wait->done(wait);
    }
}

/* ---- the store's thread ---- */

static enum err run_record(struct store *s, void *context)
{
    struct waiting *w = context;
    struct policy_version version = w->version; /* as it is if it cannot be recorded now */
    enum err e = policy_history_record(s, w->gateway->started->data, buf_span(&w->text), &version,
                                       &w->dropped);
    w->version = e == ERR_OK ? version : w->version;
    return e;
}

static void on_record(void *context, enum err result)
{
    struct waiting *w = context;
    w->result = result;
    net_loop_post(w->gateway->loop, &w->done);
}

/* ---- the housekeeping loop ---- */

static void post_first(struct serve_gateway *g)
{
    struct serve_policies *p = &g->policies;
    struct waiting *w = first_of(p);
    if (w == NULL || p->is_posted) {
        return;
    }
    const struct store_job job = {run_record, on_record, w};
    p->is_posted = store_thread_post(g->store_thread, &job) == ERR_OK;
    p->next = clock_after_ms(clock_mono(), p->is_posted ? 0 : REST_MS);
}

static void tell_recorded(const struct waiting *w)
{
    char hex[POLICY_ARCHIVE_HEX];
    policy_archive_hex(w->version.digest, hex);
    log_info("policy", "version %lld is in force, %.12s, by %s", (long long)w->version.version, hex,
             w->version.actor);
    if (w->dropped > 0) {
        log_info("policies_dropped", "%u old version%s made room in the history", w->dropped,
                 SPAN_PLURAL(w->dropped));
    }
}

static void tell_failed(struct serve_policies *p, enum err e, mono_us now)
{
    p->failing = p->failing.us == 0 ? now : p->failing;
    if (!p->is_told && clock_since(p->failing, now) > PATIENCE_US) {
        p->is_told = true;
        log_error("policy", "what is in force could not be recorded yet: %s", err_sentence(e));
    }
}

static void on_done(struct net_task *task)
{
    struct waiting *w = (struct waiting *)(void *)((char *)task - offsetof(struct waiting, done));
    struct serve_gateway *g = w->gateway;
    struct serve_policies *p = &g->policies;
    mono_us now = clock_mono();
    p->is_posted = false;
    serve_policies_tell(&w->waits, ERR_OK, &w->version, SPAN("")); /* in force it is either way */
    if (w->result != ERR_OK) {
        tell_failed(p, w->result, now);
        p->next = clock_after_ms(now, REST_MS);
        return;
    }
    p->failing = (mono_us){0};
    p->is_told = false;
    tell_recorded(w);
    free_waiting(w);
    post_first(g);
}

/* Of very many that wait the oldest goes that nobody works on. */
static void bound_waiting(struct serve_policies *p)
{
    size_t count = 0;
    for (const struct list *l = p->waiting.next; l != &p->waiting; l = l->next) {
        count++;
    }
    struct list *link = p->waiting.next;
    link = p->is_posted ? link->next : link;
    if (count >= WAITING_MAX) {
        log_error("policy", "a policy that was in force is not recorded: too many wait for it");
        struct waiting *w = LIST_OF(link, struct waiting, link);
        serve_policies_tell(&w->waits, ERR_OK, &w->version, SPAN(""));
        free_waiting(w);
    }
}

void serve_policies_add(struct serve_gateway *g, const struct policy_version *version,
                        struct buf *text, struct list *waits)
{
    struct waiting *w = memory_new(sizeof(*w));
    if (w == NULL) {
        log_error("policy", "what is in force is not recorded: %s", err_sentence(ERR_NO_MEMORY));
        if (waits != NULL) {
            serve_policies_tell(waits, ERR_OK, version, SPAN(""));
        }
        return;
    }
    bound_waiting(&g->policies);
    w->gateway = g;
    w->version = *version;
    w->text = *text;
    buf_init(text, POLICY_ARCHIVE_BYTES_MAX);
    list_init(&w->waits);
    if (waits != NULL) {
        list_move_all(&w->waits, waits);
    }
    net_task_init(&w->done, on_done);
    list_push_back(&g->policies.waiting, &w->link);
    post_first(g);
}

void serve_policies_begin(struct serve_gateway *g)
{
    struct buf text;
    struct policy_version first = {.since = g->since, .actor = "start"};
    buf_init(&text, POLICY_ARCHIVE_BYTES_MAX);
    enum err e =
        policy_archive_write(&g->settings->gateway, &g->settings->upstream, &text, first.digest);
    if (e == ERR_OK) {
        serve_policies_add(g, &first, &text, NULL);
    } else {
        log_error("policy", "what is in force is not recorded: %s", err_sentence(e));
    }
    buf_fini(&text);
}

void serve_policies_step(struct serve_gateway *g)
{
    if (clock_since(g->policies.next, clock_mono()) >= 0) {
        post_first(g);
    }
}

void serve_policies_close(struct serve_gateway *g)
{
    struct waiting *w;
    while ((w = first_of(&g->policies)) != NULL) {
        net_loop_undefer(&w->done); /* posted, and the loop does not run any more */
        free_waiting(w);
    }
}
