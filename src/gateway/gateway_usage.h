/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_usage.h — GET /v1/usage: what the key's team has used, with the parameters of the admin
 * API's /admin/v1/usage; of a key without a team, what the key has used.
 *
 * The store is another thread's, so a question is handed over, and its exchange waits. The worker
 * does not.
 *
 * Ownership  a question is the answerer's from ask() until it calls `done`. gateway_asks_open()
 *            hands the asks to the caller, who gives them back to gateway_asks_close() when the
 * loop runs no more; questions that are under way then are freed when they are done. Limits
 * GATEWAY_ASKS_MAX at a time of a worker, GATEWAY_USAGE_BYTES_MAX of an answer. Threads    the
 * worker's own; `done` may be called by any.
 */
#ifndef GATEWAY_GATEWAY_USAGE_H
#define GATEWAY_GATEWAY_USAGE_H

#include "gateway/gateway_answer.h"

#define GATEWAY_ASKS_MAX        4
#define GATEWAY_USAGE_BYTES_MAX (16u << 20)

/* A question, and its answer. */
struct gateway_question {
    struct span query, accept; /* as the client said them */
    char key_id[KEY_ID_CHARS + 1];
    bool has_team; /* it is about the key's team; else about the key */
    struct buf out;
    enum err result;
    char message[320], param[64]; /* of a refusal, where there is more to say than the error does */
    bool is_csv;
    void (*done)(struct gateway_question *q);
};

/* Who answers. */
struct gateway_answerer {
    void *ctx;
    /* Any error but ERR_OK: it was not taken, and `done` is not called. Never waits. */
    enum err (*ask)(void *ctx, struct gateway_question *q);
};

struct gateway_asks;

MUST_USE enum err gateway_asks_open(struct net_loop *loop, const struct gateway_answerer *answerer,
                                    struct gateway_asks **out);

/* Sets `*asks` to NULL; nothing if it is NULL already. */
void gateway_asks_close(struct gateway_asks **asks);

/* Who asks is known. */
void gateway_usage_ask(struct gateway_answer *a);

#endif
