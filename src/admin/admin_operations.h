/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_operations.h — what an operator can ask, as requests and answers in JSON.
 *
 * The same function answers on admin.sock, where it runs on the store thread, and in the command
 * line when no gateway runs. So both say the same.
 *
 *   POST   /admin/v1/keys        makes a key; the one answer that holds its text
 *   GET    /admin/v1/keys        all keys, in the order they were made
 *   DELETE /admin/v1/keys/{id}   revokes a key
 *   GET    /admin/v1/usage       sums by day, key and model; ?from=, to= (days), key=, model=
 *
 * Ownership  a request borrows; the answer is the caller's buffer. The one that holds a new key
 *            must be wiped.
 * Limits     the request ADMIN_BODY_BYTES_MAX; the answer as the buffer.
 * Threads    the store's thread.
 * Sources    docs/formats/admin-api.md.
 */
#ifndef ADMIN_ADMIN_OPERATIONS_H
#define ADMIN_ADMIN_OPERATIONS_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"
#include "http/http_request.h"

#define ADMIN_BODY_BYTES_MAX (64u << 10)

#define ADMIN_KEYS_PATH  "/admin/v1/keys"
#define ADMIN_USAGE_PATH "/admin/v1/usage"

struct keys;
struct store;

struct admin_request {
    enum http_method method;
    struct span path, query; /* as sent, not decoded; the query without its "?" */
    struct span body;
};

/*
 * Does what the request names and puts the answer behind what `out` holds. `fault` is set to a
 * sentence when there is more to say than the error does, else to an empty span.
 *
 *   ERR_ROUTE_UNKNOWN, ERR_METHOD_NOT_ALLOWED
 *   ERR_BODY_NOT_JSON, ERR_BODY_NOT_OBJECT, ERR_JSON_…, ERR_VALUE_…   nothing was done
 *   ERR_NOT_FOUND_ROW  there is no such key
 *   ERR_NO_MEMORY      also when the answer is longer than its buffer may be
 *   and what keys and store say
 */
MUST_USE enum err admin_operate(struct keys *keys, struct store *store,
                                const struct admin_request *request, wall_us now, struct buf *out,
                                struct span *fault);

#endif
