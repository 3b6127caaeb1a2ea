/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_data.h — the folder that holds what Atlas must remember.
 *
 *     atlas.db     keys and usage (store)         pepper      secret of all keys (keys)
 *     journal/     the record of calls            admin.sock  the owner's way in while it runs
 *     lock         whose it is now                revoked     the keys that were revoked (keys)
 *
 * Threads  any.
 */
#ifndef CLI_CLI_DATA_H
#define CLI_CLI_DATA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define CLI_STORE_FILE  "atlas.db"
#define CLI_SOCKET_FILE "admin.sock"
#define CLI_LOCK_FILE   "lock"
#define CLI_PATH_MAX    4096

struct store;

/* What cli_data_make() found and did. */
struct cli_data_made {
    bool folder, pepper, store, deny; /* made now; else they were there */
    char problem[256];                /* after a failure: what is wrong and how to mend it */
};

/* Writes "folder/name" to `out`. ERR_FILE if it is too long. */
MUST_USE enum err cli_data_path(const char *folder, const char *name, char out[CLI_PATH_MAX]);

/*
 * Makes what is missing: the folder (mode 0700, its parents 0755), the pepper, the store. What is
 * there stays.
 *
 *   ERR_FILE, ERR_PEPPER and what the store says; out->problem is set
 */
MUST_USE enum err cli_data_make(const char *folder, struct cli_data_made *out);

/* Makes the parents of `path` that are missing, mode 0755. ERR_FILE; errno says why. */
MUST_USE enum err cli_make_parents(const char *path);

enum cli_lock {
    CLI_LOCK_SHARED, /* commands that work on the store; many at a time */
    CLI_LOCK_ALONE   /* a gateway */
};

/*
 * Locks the folder until `*out` is closed, by this process and whoever inherited it. Waits up to
 * `wait_ms` for others.
 *
 *   ERR_LOCKED  others hold it
 *   ERR_FILE    there is no folder, or it may not be written; errno says which
 */
MUST_USE enum err cli_data_lock(const char *folder, enum cli_lock kind, int64_t wait_ms, int *out);

/* Looks at the store of the folder and changes nothing; as store_look(). `complaint` has
 * STORE_COMPLAINT_BYTES. */
MUST_USE enum err cli_data_look(const char *folder, char *complaint, uint64_t *sequence);

/* Opens the store of the folder only to read; as store_open() with `looks_only`. */
MUST_USE enum err cli_data_open_to_look(const char *folder, struct store **out);

/* Opens the store of the folder. ERR_FILE when there is none (`atlas init` makes it), and what
 * store_open() says. */
MUST_USE enum err cli_data_open_store(const char *folder, struct store **out);

#endif
