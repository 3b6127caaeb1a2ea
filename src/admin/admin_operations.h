/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_operations.h — what an operator can ask, as requests and answers in JSON.
 *
 * The same function answers on admin.sock, where it runs on the store thread, and in the command
 * line when no gateway runs. So both say the same.
 *
 *   POST   /admin/v1/keys        {"name","kind"?,"expires_ms"?} → {"id","key",…}
 *   GET    /admin/v1/keys        → {"object":"list","data":[…]}
 *   DELETE /admin/v1/keys/{id}   → {"id","revoked":true}
 *   GET    /admin/v1/usage       → {"object":"list","data":[…]}
 *
 * Ownership  the answer is the caller's buffer. The one that holds a new key must be wiped.
 * Limits     the request 64 KiB; the answer as the buffer.
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

struct keys;
struct store;

/*
 * Does what `method` and `path` name. `fault` is set to a sentence when the request is at fault.
 *
 *   ERR_ROUTE_UNKNOWN, ERR_METHOD_NOT_ALLOWED, ERR_BODY_NOT_JSON, ERR_VALUE_INVALID,
 *   ERR_VALUE_MISSING, ERR_NOT_FOUND_ROW, and what keys and store say
 */
MUST_USE enum err admin_operate(struct keys *keys, struct store *store, enum http_method method,
                                struct span path, struct span body, wall_us now, struct buf *out,
                                struct span *fault);

#endif
