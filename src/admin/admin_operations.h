/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_operations.h — what an operator can ask of the store, as requests and answers in JSON.
 *
 * The same function answers on the admin listener and on admin.sock, where it runs on the store's
 * thread, and in the command line when no gateway runs. So all say the same. What there is to ask
 * stands in admin_routes.def.
 *
 * Ownership  a request borrows; the answer is the caller's buffer. The one that holds a new key
 *            must be wiped.
 * Limits     the request admin_body_most(); the answer as the buffer.
 * Threads    the store's thread.
 * Sources    docs/formats/admin-api.md.
 */
#ifndef ADMIN_ADMIN_OPERATIONS_H
#define ADMIN_ADMIN_OPERATIONS_H

#include "admin/admin_routes.h"
#include "base/buf.h"

#define ADMIN_BODY_BYTES_MAX (64u << 10)
#define ADMIN_BODY_LARGE_MAX (4u << 20) /* of ADMIN_LARGE routes: DECISION_EXPLAIN_BYTES */

#define ADMIN_OBJECT_ID_BYTES 65
#define ADMIN_SEED_BYTES      32 /* that what a request makes is made of */
#define ADMIN_ONCE_KEY_MAX    255
#define ADMIN_ONCE_ID_BYTES   65 /* what names a request with an Idempotency-Key; with its NUL */

struct access;
struct keys;
struct policy;
struct policy_book;
struct store;

/* What operations work on, besides the store. */
struct admin_means {
    struct keys *keys;           /* NULL: there is no pepper, and nothing is asked that needs one */
    struct access *rights;       /* who there is, and what each may */
    struct policy_book *book;    /* the prices that were set; NULL: no gateway keeps to them */
    const struct policy *policy; /* what the configuration says; NULL: it is not known */
    const char *data;            /* the data folder; NULL: its files are not looked at */
};

struct admin_request {
    enum http_method method;
    struct span path, query; /* as sent, not decoded; the query without its "?" */
    struct span body;
    struct span if_match;        /* the header's values, joined by commas; .at NULL: it has none */
    struct span accept;          /* the header's value; empty: it has none */
    struct span idempotency_key; /* of a POST, 1 to ADMIN_ONCE_KEY_MAX bytes; .at NULL: none */
    struct span actor;           /* who asks, for the record: an admin key's id, or "uid:1000" */
    struct admin_right right;    /* what he may do; nothing unless it is said */
};

/* What goes with an answer. */
struct admin_answer {
    struct admin_fault fault;  /* of a refusal */
    char tag[ADMIN_TAG_BYTES]; /* the ETag of what was given; "": none */
    bool is_judged;            /* If-Match was looked at */
    bool is_csv;               /* it is CSV, not JSON */
    const char *action;        /* what was changed, once it was: "key.create"; NULL: nothing */
    char object[ADMIN_OBJECT_ID_BYTES]; /* the id of what was changed */
};

/*
 * Does what the request names and puts the answer behind what `out` holds. `*answer` is always
 * written.
 *
 *   ERR_ROUTE_UNKNOWN     also for what is not asked of the store
 *   ERR_METHOD_NOT_ALLOWED
 *   ERR_SCOPE_DENIED      who asks may not
 *   ERR_BODY_NOT_JSON, ERR_BODY_NOT_OBJECT, ERR_JSON_…, ERR_VALUE_…   nothing was done
 *   ERR_NOT_FOUND_ROW     there is no such thing
 *   ERR_REVISION          it is not any more what If-Match says, or nothing that has an ETag
 *   ERR_REVISION_MISSING  the request needs If-Match
 *   ERR_IDEMPOTENCY_OTHER its Idempotency-Key was another request's
 *   ERR_NO_MEMORY         also when the answer is longer than its buffer may be
 *   and what keys and store say
 */
MUST_USE enum err admin_operate(const struct admin_means *means, struct store *store,
                                const struct admin_request *request, wall_us now, struct buf *out,
                                struct admin_answer *answer);

/* The most bytes that the body of a route may have. */
size_t admin_body_most(const struct admin_route *route);

/* Names a caller's Idempotency-Key, without saying it. */
void admin_once_id(struct span caller, struct span key, char out[ADMIN_ONCE_ID_BYTES]);

/* Tells the log what was changed, and who did it; nothing if nothing was. */
void admin_tell(const struct admin_answer *answer, struct span actor);

/* Writes the description of the whole API, OpenAPI 3.1. ERR_NO_MEMORY. */
MUST_USE enum err admin_openapi_write(struct buf *out);

#endif
