/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_admin.h — one question to a running gateway over its Unix socket.
 *
 * A small HTTP/1.1 client that waits: it connects, sends, reads the whole answer and closes.
 *
 * Ownership  the answer is the caller's buffer.
 * Limits     the answer as the buffer; the head of it 16 KiB; all of it `timeout_ms`.
 * Threads    any; it blocks the calling one.
 * Sources    RFC 9112; docs/formats/admin-api.md.
 */
#ifndef CLI_CLI_ADMIN_H
#define CLI_CLI_ADMIN_H

#include "admin/admin_operations.h"

/* What an answer's body is not: how it came. */
struct cli_admin_reply {
    int status;    /* HTTP's */
    bool was_sent; /* the whole request was: whatever failed, it may have been done */
};

/*
 * Asks the gateway at the socket `path`. The body of its answer is put behind what `answer` holds.
 * `*reply` is always written; its status is 0 after an error.
 *
 *   ERR_NET_REFUSED  nobody answers on the socket, or there is none
 *   ERR_NET_TIMEOUT, ERR_NET_CLOSED, ERR_NET (the answer is not HTTP)
 *   ERR_ADDRESS      the path is too long for a socket, or the request for a head
 *   ERR_NO_MEMORY    also when the answer is longer than its buffer may be
 */
MUST_USE enum err cli_admin_call(const char *path, const struct admin_request *request,
                                 int64_t timeout_ms, struct buf *answer,
                                 struct cli_admin_reply *reply);

#endif
