/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_status.h — what a gateway tells of itself, for its status and its metrics. It waits neither
 * for the store nor for the journal.
 *
 * Ownership  texts are borrowed until the function that got them returns.
 * Threads    the housekeeping loop.
 * Sources    docs/formats/admin-api.md.
 */
#ifndef ADMIN_ADMIN_STATUS_H
#define ADMIN_ADMIN_STATUS_H

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "policy/policy_history.h"

struct admin_facts {
    wall_us since; /* the gateway process serves */
    const char *data;
    bool is_ready;
    int workers;
    int64_t calls_open, connections_open;
    enum err journal_error; /* ERR_OK: it writes */
    uint64_t journal_last, store_last;
    enum err store_error;         /* ERR_OK: it took the last batch */
    int64_t disk_free, disk_size; /* bytes; -1: not known */
    int64_t buffered, buffered_max;
};

struct admin_upstream_facts {
    const char *name;
    bool is_down;
    enum err error; /* of the last failure, if is_down */
    int64_t in_flight, connections_open;
    uint64_t attempts, failures;
    bool has_load; /* it said of late what work it has: */
    int64_t load_running, load_waiting, load_kv_percent, load_age_s; /* percent -1: not that */
    const char *omits; /* what requests to it leave out, as the configuration says it; "" */
};

#define ADMIN_URL_BYTES 96

struct admin_listener_facts {
    char url[ADMIN_URL_BYTES]; /* as configured: "https://0.0.0.0:8443" */
    bool is_admin;             /* the admin listener; else it takes calls */
};

/* Somebody who has the configuration read again, and waits for it. */
struct admin_reload {
    struct list link;                     /* of who reads it, until `done` is called */
    const char *actor;                    /* who asks; outlives the wait */
    void (*done)(struct admin_reload *r); /* on the loop, perhaps at once */
    enum err error;                       /* ERR_OK: all workers have what is in force now, */
    struct policy_version version;        /* which is this; 0: it is not recorded yet */
    struct span problems; /* after an error: what is wrong, a line each; until `done` returns */
};

struct policy;

/* Who knows. */
struct admin_source {
    void *ctx;
    const char *data; /* the data folder */
    void (*facts)(void *ctx, struct admin_facts *out);
    bool (*upstream)(void *ctx, size_t i,
                     struct admin_upstream_facts *out); /* false: there is no such */
    bool (*listener)(void *ctx, size_t i, struct admin_listener_facts *out); /* the same */
    struct policy *(*policy)(void *ctx); /* the one that new calls begin with; borrowed */
    void (*reload)(void *ctx, struct admin_reload *r);
};

#endif
