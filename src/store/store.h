/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h — the rows that Atlas keeps: keys, usage, and how far the journal has been applied.
 *
 * A store is tables (store_tables.def) behind a driver: `sqlite` (a file beside the journal) or
 * `memory` (tests; nothing outlives it). What can be done with rows is in store_tables.h, what more
 * there is to usage in store_usage.h; this header opens, closes, batches and keeps what has a name.
 * No SQL is written outside this part.
 *
 * A batch is a transaction. The first operation that fails in it, except by ERR_NOT_FOUND_ROW,
 * ERR_EXISTS, ERR_REVISION or ERR_VALUE_INVALID, ends it: what was done is undone, later operations
 * do nothing and store_commit() says what the first said. An operation outside a batch is a batch
 * of its own.
 *
 * A reader is a second handle on the same rows, for another thread: it sees whole batches, in their
 * order, and never waits for one that is open; nor does the writer wait for it.
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
 * Limits     those of store_tables.def.
 * Threads    one a handle at a time: the store's threads (store_thread.h) in a gateway.
 * Sources    tables: docs/formats/schema.md.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

#define STORE_TEXT_MAX        255 /* the longest text of a table of ours */
#define STORE_NAME_MAX        64  /* of what is kept by name */
#define STORE_COMPLAINT_BYTES 256

struct store;
struct store_tables;

struct store_settings {
    const char *driver; /* "sqlite" or "memory" */
    const char *path;   /* sqlite: the file; made with mode 0600 if it is not there */
    int64_t busy_ms;    /* sqlite: how long an operation waits for another program; 0: not at all */
    bool looks_only;    /* sqlite: nothing is made or changed; every change fails with ERR_FILE */
    const struct store_tables *tables; /* NULL: those of store_tables.def */
    char *complaint; /* STORE_COMPLAINT_BYTES for the driver's words where opening fails; or NULL */
};

/* When a batch that was committed is on the disk for good. */
enum store_sync {
    STORE_SYNC_NOW,  /* when store_commit() returns: what nothing else remembers, such as keys */
    STORE_SYNC_LATER /* at some later commit or checkpoint: what the journal can replay */
};

/*
 * Opens the store; an empty one gets its tables.
 *
 *   ERR_STORE_NEWER, ERR_STORE_OLDER  its tables are another Atlas's; it was left as it is
 *   ERR_FILE    the file cannot be opened or made, may not be written, or is another program's;
 *               with `looks_only` also when it is empty
 *   ERR_CONFIG  there is no such driver
 */
MUST_USE enum err store_open(const struct store_settings *settings, struct store **out);

/*
 * Looks at a store and changes nothing: whether store_open() would take it, and whether all of its
 * file is sound, which takes a while for a large one. `*sequence` is store_sequence()'s.
 *
 * Fails as store_open() does.
 */
MUST_USE enum err store_look(const struct store_settings *settings, uint64_t *sequence);

/*
 * Opens a reader beside `s`, in which every change fails with ERR_FILE. It is closed before `s`.
 *
 *   ERR_FILE, ERR_NO_MEMORY
 */
MUST_USE enum err store_open_reader(struct store *s, struct store **out);

/* How long an operation waits for another program from now on, also a reader's that is opened
 * later. */
void store_set_busy(struct store *s, int64_t busy_ms);

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

/* The number that is kept by this name (at most STORE_NAME_MAX bytes); 0 if none is. */
MUST_USE enum err store_number(struct store *s, const char *name, uint64_t *out);
MUST_USE enum err store_number_set(struct store *s, const char *name, uint64_t number);

/* The text that is kept by this name, "" if none is. */
MUST_USE enum err store_text(struct store *s, const char *name, char out[STORE_TEXT_MAX + 1]);
MUST_USE enum err store_text_set(struct store *s, const char *name, struct span text);

/* The highest revision that a row ever got: it moves with each change of a table that has them. */
MUST_USE enum err store_revision(struct store *s, uint64_t *out);

#endif
