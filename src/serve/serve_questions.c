/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keys ask of usage is asked of the store's reader, as an admin key that is bound to their
 * team would ask it: nothing is decided twice.
 */
#include <stdio.h>

#include "admin/admin_operations.h"
#include "gateway/gateway_usage.h"
#include "serve/serve_internal.h"
#include "store/store_thread.h"

#define QUERY_BYTES 4096

static void take_fault(struct gateway_question *q, const struct admin_answer *answer)
{
    _Static_assert(sizeof(q->message) >= sizeof(answer->fault.message) &&
                       sizeof(q->param) >= sizeof(answer->fault.param),
                   "a fault fits");
    memcpy(q->message, answer->fault.message, sizeof(answer->fault.message));
    memcpy(q->param, answer->fault.param, sizeof(answer->fault.param));
    q->is_csv = answer->is_csv;
}

/* The query; of a key without a team, about this key alone: said once more it is refused. */
static bool write_query(const struct gateway_question *q, char out[QUERY_BYTES], size_t *len)
{
    int written = q->has_team ? snprintf(out, QUERY_BYTES, "%.*s", SPAN_ARGS(q->query))
                              : snprintf(out, QUERY_BYTES, "key=%s%s%.*s", q->key_id,
                                         q->query.len > 0 ? "&" : "", SPAN_ARGS(q->query));
    *len = (size_t)written;
    return written >= 0 && written < QUERY_BYTES;
}

static enum err run_question(struct store *store, void *context)
{
    struct gateway_question *q = context;
    char query[QUERY_BYTES];
    size_t len;
    struct admin_answer answer;
    const struct admin_means means = {.keys = NULL}; /* sums are the store's alone */
    if (!write_query(q, query, &len)) {
        return ERR_VALUE_INVALID;
    }
    const struct admin_request request = {
        .method = HTTP_GET,
        .path = SPAN(ADMIN_USAGE_PATH),
        .query = span_make(query, len),
        .accept = q->accept,
        .actor = span_of(q->key_id),
        .right = {.is_key = true, .has_team = q->has_team, .role = KEY_ROLE_DEVELOPER}};
    enum err e = admin_operate(&means, store, &request, clock_wall(), &q->out, &answer);
    take_fault(q, &answer);
    return e;
}

static void on_question(void *context, enum err result)
{
    struct gateway_question *q = context;
    q->result = result;
    q->done(q);
}

static enum err ask(void *ctx, struct gateway_question *q)
{
    struct serve_gateway *g = ctx;
    const struct store_job job = {run_question, on_question, q};
    return store_thread_post_read(g->store_thread, &job);
}

struct gateway_answerer serve_answerer(struct serve_gateway *g)
{
    return (struct gateway_answerer){g, ask};
}
