/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_watch.h — the thread that sees to it that a revocation holds, whatever else stands still.
 *
 * It owns the gateway's way to the file of revoked keys: it writes what the gateway was asked to
 * revoke, and looks several times a second for what commands have written into it. So a key that is
 * in the file ends within KEY_WATCH_MS, though the admin's socket, the store or the housekeeping
 * loop may be stuck. The store hears of it last: key_watch_step() posts an urgent job, again and
 * again until it is done, and counts in the store up to which line of the file it has got.
 *
 * Ownership  key_watch_open() hands it to the caller, who gives it back to key_watch_close(). Keys
 *            and file are borrowed. A job is the poster's memory until its `done` was called.
 * Threads    post: any. step, trouble: one thread. `done` is called on the watch's own thread, and
 *            hops to its poster's loop.
 */
#ifndef KEYS_KEY_WATCH_H
#define KEYS_KEY_WATCH_H

#include "base/list.h"
#include "keys/key_deny.h"

#define KEY_WATCH_MS 200

struct key_watch;
struct keys;
struct store_thread;

/* A revocation that is to be written down; the key is refused in memory already. */
struct key_watch_job {
    struct list link;
    char id[KEY_ID_CHARS];
    wall_us when;
    enum err result; /* as key_deny_add() */
    void (*done)(struct key_watch_job *job);
};

/*
 * Starts the thread; what the file holds now was taken in by keys_load().
 *
 *   ERR_NO_MEMORY  also when no thread can be made
 */
MUST_USE enum err key_watch_open(struct keys *keys, struct key_deny *deny, struct key_watch **out);

/* Hands a job to the thread; never waits. */
void key_watch_post(struct key_watch *w, struct key_watch_job *job);

/* Posts what the store has not been told of, unless a job for it waits or the last one failed just
 * now. Never waits. To be called about every KEY_WATCH_MS. */
void key_watch_step(struct key_watch *w, struct store_thread *store);

/* What has kept the store from hearing of revocations since it last did; ERR_OK: nothing. */
enum err key_watch_trouble(struct key_watch *w);

/* Does what was posted, ends the thread and sets `*w` to NULL. The store's thread must have ended.
 * Does nothing if `*w` is NULL already. */
void key_watch_close(struct key_watch **w);

#endif
