/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_driver.h — what a store is made of: one table of functions a driver. Only this part
 * includes it.
 *
 * A driver knows tables as data (store_table.h) and nothing of what is in them, so one for another
 * database is these functions. The wrappers in store.c check the arguments, number revisions, see
 * to batches and to the rule that a failed batch stays failed: a change is always called inside a
 * batch, one at a time, and may leave half of it done when it fails, as the batch is undone then.
 * ERR_EXISTS and ERR_NOT_FOUND_ROW do not undo: they are said before anything is changed.
 *
 * Texts are compared by their bytes in every driver, and an index gives them in that order.
 */
#ifndef STORE_STORE_DRIVER_H
#define STORE_STORE_DRIVER_H

#include "store/store_table.h"
#include "store/store_tables.h"

struct store_ahead;
struct store_recorder;

struct store_driver {
    const char *name;
    enum err (*open)(const struct store_settings *settings, struct store **out);
    enum err (*open_reader)(struct store *s, struct store **out);
    enum err (*look)(const struct store_settings *settings, uint64_t *sequence);
    void (*close)(struct store *s);
    void (*set_busy)(struct store *s, int64_t busy_ms);
    enum err (*begin)(struct store *s, enum store_sync sync);
    enum err (*commit)(struct store *s); /* no batch is left, even if it fails */
    void (*rollback)(struct store *s);

    /* Reads the row of the key that `row` has, texts and blobs by store_keep(). ERR_NOT_FOUND_ROW
     */
    enum err (*get)(struct store *s, const struct store_table *t, void *row);
    /* Adds a row. ERR_EXISTS */
    enum err (*insert)(struct store *s, const struct store_table *t, const void *row);
    /* Adds a row, or puts it in place of the one of its key. */
    enum err (*replace)(struct store *s, const struct store_table *t, const void *row);
    /* Puts a row in place of the one of its key and this revision. ERR_NOT_FOUND_ROW */
    enum err (*update)(struct store *s, const struct store_table *t, const void *row,
                       uint64_t revision);
    /* Takes out the row of the key of `row`, and of this revision unless that is 0.
     * ERR_NOT_FOUND_ROW */
    enum err (*remove)(struct store *s, const struct store_table *t, const void *row,
                       uint64_t revision);
    /* Adds the sums of `row` to those of the row of its key, up to INT64_MAX; or adds the row. */
    enum err (*add)(struct store *s, const struct store_table *t, const void *row);
    enum err (*page)(struct store *s, const struct store_table *t, unsigned index,
                     const struct store_page *page, store_on_row *on_row, void *context);
    enum err (*count)(struct store *s, const struct store_table *t, uint64_t *out);
};

/* The first member of every driver's own struct. */
struct store {
    const struct store_driver *driver;
    const struct store_tables *tables;
    const struct store_recorder *recorder; /* or NULL: store_change.h */
    struct store_ahead *ahead;             /* the writer's; its reader borrows it */
    bool in_batch;
    bool only_reads;
    enum err failed; /* what ended the batch; ERR_OK while it may go on */
    uint8_t *given;  /* where the texts and blobs lie that a get gave out */
    size_t given_bytes;
    char complaint[STORE_COMPLAINT_BYTES]; /* the driver's words for its last failure */
};

/* Copies the texts and blobs of a row that was read to where they stay until the next get.
 * ERR_NO_MEMORY */
MUST_USE enum err store_keep(struct store *s, const struct store_table *t, void *row);

extern const struct store_driver store_memory_driver;
extern const struct store_driver store_sqlite_driver;

#endif
