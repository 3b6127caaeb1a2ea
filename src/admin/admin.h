/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h — the operator's side: health and metrics on the admin listener, keys and usage on the
 * Unix socket that only the owner of the data folder can open.
 *
 * Ownership  admin_open() takes both descriptors and hands the admin to the caller; what `options`
 *            points at outlives it.
 * Limits     a request's body is at most 64 KiB, 4 MiB of what is explained; one answer at most
 *            256 MiB. Each of the two has ADMIN_CONNECTIONS_MAX connections of its own, so that
 *            whoever fills one does not keep anybody from the other, and both together leave the
 *            calls their descriptors. Past it the oldest connection without a request under way
 *            gives way to the new one.
 * Threads    the housekeeping loop; store work runs on the store thread.
 * Sources    docs/formats/admin-api.md.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "admin/admin_status.h"
#include "base/err.h"
#include "server/server_settings.h"

#define ADMIN_CONNECTIONS_MAX 32

struct admin;
struct journal_apply;
struct key_watch;
struct access;
struct keys;
struct limits_gate;
struct net_loop;
struct net_tls;
struct policy_book;
struct store_thread;

struct admin_options {
    struct net_loop *loop;
    const struct server_settings *server; /* limits and waits; copied */
    struct keys *keys;
    struct access *rights;
    struct limits_gate *gate; /* what addresses may guess; NULL: anything */
    struct policy_book *book;
    struct key_watch *watch;
    struct store_thread *store;
    struct journal_apply *apply;
    const _Atomic bool *ready;
    struct admin_source source; /* what the gateway knows of itself */
    int listen_fd, socket_fd;
    struct net_tls *tls; /* of the listener; NULL: it speaks plain HTTP. Referenced */
};

/* Takes both descriptors, also when it fails. */
MUST_USE enum err admin_open(const struct admin_options *options, struct admin **out);

/* New limits and waits, and a new certificate, for connections from now on. */
void admin_reload(struct admin *a, const struct server_settings *server, struct net_tls *tls);

/* Closes the listeners and connections, sets `*a` to NULL; nothing if it is NULL. The store thread
 * and the watch must be closed and the loop run no more: who still waits for an answer is cut off.
 */
void admin_close(struct admin **a);

#endif
