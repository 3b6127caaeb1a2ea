/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h — a gateway with its data folder and its model server, inside the test's process.
 *
 * Ownership  one world a process.
 * Threads    the test's, which is exempt (inject.h); the gateway's own; and one for its
 * housekeeping loop between world_run() and world_stop().
 */
#ifndef TESTS_FAULT_WORLD_H
#define TESTS_FAULT_WORLD_H

#include <pthread.h>
#include <stdatomic.h>

#include "peer.h"
#include "serve/serve_internal.h"

#define WORLD_PATH 256

struct world {
    char folder[64], config[WORLD_PATH], data[WORLD_PATH], log[WORLD_PATH], socket[WORLD_PATH];
    int workers;
    uint16_t model_port, port;
    uint16_t admin_port; /* to be configured; 0: any */
    char key[96];
    struct serve_gateway *g;
    pthread_t housekeeping;
    bool runs;
    _Atomic int ended; /* enum err of serve_gateway_run(), or -1 */
    pthread_mutex_t lock;
    int client;  /* the connection under way, or -1: cut when the gateway's process would end */
    int lock_fd; /* of the data folder, or -1 */
    long blocks;
    int fds, threads;
};

/* Makes the folder, the configuration, the data in it and a key. */
void world_make(struct world *w, int workers);
void world_remove(struct world *w);

/* Writes the configuration; `model` is a further model's name, `more` further lines. */
void world_configure(const struct world *w, const char *model, const char *more);

/* Makes the data folder anew with one key. */
void world_make_data(struct world *w);
void world_remove_data(const struct world *w);

/* Opens the gateway as parent and child do; does not run the housekeeping loop. After a failure
 * w->g is NULL. */
MUST_USE enum err world_open(struct world *w);
void world_close(struct world *w);

/* Runs the housekeeping loop in a thread; ends it with a signal. */
void world_run(struct world *w);
void world_stop(struct world *w);

/* Opens and runs, which must succeed. */
void world_start(struct world *w);

/* One call: connects, asks, reads, closes. */
void world_call(struct world *w, const struct peer_request *request, struct peer_reply *out);

/* Remembers a connection, or -1, to be cut when the gateway's process would end. */
void world_note_client(struct world *w, int fd);

/*
 * Waits until nothing is under way: calls ended, connections closed, bytes given back, the journal
 * written and its records applied. What does not come to rest is a failure of the test.
 */
void world_settle(struct world *w);

/* After the injector was disarmed: a gateway whose journal failed is started anew, as its parent
 * would; one whose disk was full goes on. */
void world_recover(struct world *w);

/* Whether what is in force is recorded, or could not be: another thread does it, a while later. */
bool world_has_recorded(struct world *w);

/* Blocks, descriptors and threads in use must be those of before the gateway was opened. */
void world_count_before(struct world *w);
void world_check_counts(struct world *w);

/* Descriptors open. */
int world_fds(void);

/* Text of the log from the byte `from` on; the next call reuses its place. */
const char *world_log(const struct world *w, long from);

/* Waits up to ten seconds for `is_so`; false if it does not come. */
bool world_until(bool (*is_so)(struct world *w), struct world *w);

/* The journal and the store agree, with each other and with what the model server saw. The gateway
 * is closed, and nothing that failed was left open. */
void books_check_closed(struct world *w);

/* The same after one more start, which settles what a failed run left open. */
void books_check(struct world *w);

#endif
