/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_driver.h — what a store is made of: one table of functions a driver. Only this part
 * includes it.
 *
 * The wrappers in store.c check the arguments, see to batches and to the rule that a failed batch
 * stays failed, so a driver's operation is always called inside a batch if it changes anything,
 * and may leave half of it done when it fails: the batch is undone then. ERR_EXISTS,
 * ERR_NOT_FOUND_ROW and ERR_VALUE_INVALID do not undo: they are said before anything is changed.
 */
#ifndef STORE_STORE_DRIVER_H
#define STORE_STORE_DRIVER_H

#include "store/store_keys.h"
#include "store/store_usage.h"

struct store_driver {
    const char *name;
    enum err (*open)(const struct store_settings *settings, struct store **out);
    enum err (*look)(const struct store_settings *settings, uint64_t *sequence);
    void (*close)(struct store *s);
    enum err (*begin)(struct store *s, enum store_sync sync);
    enum err (*commit)(struct store *s); /* no batch is left, even if it fails */
    void (*rollback)(struct store *s);

    enum err (*key_insert)(struct store *s, const struct store_key *key);
    enum err (*key_revoke)(struct store *s, struct span id, wall_us when);
    enum err (*key_find)(struct store *s, struct span id, struct store_key *out);
    enum err (*key_list)(struct store *s, store_on_key *on_key, void *context);
    enum err (*key_revision)(struct store *s, uint64_t *out);

    enum err (*usage_add)(struct store *s, const struct store_usage *more);
    enum err (*usage_list)(struct store *s, const struct store_usage_filter *filter,
                           store_on_usage *on_usage, void *context);
    enum err (*open_call_put)(struct store *s, const struct store_open_call *call);
    enum err (*open_call_take)(struct store *s, const uint8_t id[STORE_CALL_ID_BYTES],
                               struct store_open_call *out);
    enum err (*open_call_list)(struct store *s, store_on_open_call *on_open_call, void *context);
    enum err (*sequence_set)(struct store *s, uint64_t sequence);
    enum err (*sequence)(struct store *s, uint64_t *out);
};

/* The first member of every driver's own struct. */
struct store {
    const struct store_driver *driver;
    bool in_batch;
    enum err failed;                       /* what ended the batch; ERR_OK while it may go on */
    char complaint[STORE_COMPLAINT_BYTES]; /* the driver's words for its last failure */
};

extern const struct store_driver store_memory_driver;
extern const struct store_driver store_sqlite_driver;

#endif
