/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h — the operator's side: health and metrics on the admin listener, keys and usage on the
 * Unix socket that only the owner of the data folder can open.
 *
 * Ownership  admin_open() takes both descriptors and hands the admin to the caller; what `options`
 *            points at outlives it.
 * Limits     a request's body is at most 64 KiB; one answer at most 256 MiB.
 * Threads    the housekeeping loop; store work runs on the store thread.
 * Sources    docs/formats/admin-api.md.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "server/server_settings.h"

struct admin;
struct journal_apply;
struct keys;
struct net_loop;
struct store_thread;

struct admin_options {
    struct net_loop *loop;
    const struct server_settings *server; /* limits and waits; copied */
    struct keys *keys;
    struct store_thread *store;
    struct journal_apply *apply;
    const _Atomic bool *ready;
    _Atomic int64_t *connections; /* counted apart from the public ones */
    int listen_fd, socket_fd;
};

/* Takes both descriptors, also when it fails. */
MUST_USE enum err admin_open(const struct admin_options *options, struct admin **out);

/* Closes the listeners and connections, sets `*a` to NULL; nothing if it is NULL. The store thread
 * must be closed and the loop run no more: who still waits for an answer is cut off. */
void admin_close(struct admin **a);

#endif
