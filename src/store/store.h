/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h — the rows that Atlas keeps: keys, usage, and how far the journal has been applied.
 *
 * A store is an interface of prepared operations over a driver: `sqlite` (a file beside the
 * journal) or `memory` (tests; nothing outlives it). The operations are in store_keys.h and
 * store_usage.h; this header opens, closes and batches. No SQL is written outside this part.
 *
 * A batch is a transaction. The first operation that fails in it, except by ERR_NOT_FOUND_ROW or
 * ERR_EXISTS, ends it: what was done is undone, later operations do nothing and store_commit()
 * says what the first said. An operation outside a batch is a batch of its own.
 *
 * Every operation may fail with
 *   ERR_STORE_BUSY     another program holds the file locked for longer than `busy_ms`
 *   ERR_STORE_CORRUPT  the file is damaged
 *   ERR_DISK_FULL, ERR_DISK, ERR_NO_MEMORY, ERR_STORE (anything else)
 * and then has changed nothing; a header names only what it adds to these.
 *
 * Ownership  store_open() hands the store to the caller, who gives it back to store_close(). Spans
 *            passed in are read before the call returns; spans given out are valid until the next
 *            operation on the store, or until the callback returns.
 * Limits     texts are at most STORE_TEXT_MAX bytes of UTF-8 without NUL; longer ones are
 *            ERR_VALUE_INVALID.
 * Threads    one at a time: the store thread (store_thread.h) in a gateway.
 * Sources    tables: docs/formats/schema.md.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

#define STORE_TEXT_MAX        255
#define STORE_COMPLAINT_BYTES 256

struct store;

struct store_settings {
    const char *driver; /* "sqlite" or "memory" */
    const char *path;   /* sqlite: the file; made with mode 0600 if it is not there */
    int64_t busy_ms;    /* sqlite: how long an operation waits for another program; 0: not at all */
    char *complaint; /* STORE_COMPLAINT_BYTES for the driver's words where opening fails; or NULL */
};

/* When a batch that was committed is on the disk for good. */
enum store_sync {
    STORE_SYNC_NOW,  /* when store_commit() returns: what nothing else remembers, such as keys */
    STORE_SYNC_LATER /* at some later commit or checkpoint: what the journal can replay */
};

/*
 * Opens the store and brings its tables up to this program's version, all steps in one batch.
 *
 *   ERR_STORE_NEWER  a newer Atlas wrote it; it was left as it is
 *   ERR_FILE         the file cannot be opened or made, or may not be written
 *   ERR_CONFIG       there is no such driver
 */
MUST_USE enum err store_open(const struct store_settings *settings, struct store **out);

/*
 * Looks at a store and changes nothing: whether store_open() would take it, and whether all of its
 * file is sound, which takes a while for a large one. `*sequence` is store_sequence()'s.
 *
 * Fails as store_open() does.
 */
MUST_USE enum err store_look(const struct store_settings *settings, uint64_t *sequence);

/* Closes `*s`, undoing an open batch, and sets it to NULL. Does nothing if it is NULL already. */
void store_close(struct store **s);

/* What the driver said when an operation last failed, in its own words; "" if none has. */
const char *store_complaint(const struct store *s);

/* Starts a batch. There must be none. */
MUST_USE enum err store_begin(struct store *s, enum store_sync sync);

/*
 * Ends the batch and keeps what was done; or, where an operation failed, has undone it and returns
 * that failure. There is no batch afterwards, whatever is returned.
 *
 *   ERR_STORE_UNSURE  the disk failed in the commit itself: it may or may not have been done
 */
MUST_USE enum err store_commit(struct store *s);

/* Ends the batch and undoes what was done. Does nothing if there is none. */
void store_rollback(struct store *s);

#endif
