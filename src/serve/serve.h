/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.h — the two processes of `atlas serve`.
 *
 * The parent opens every listener, holds the data folder's lock and keeps a child running; the
 * child serves. What the child inherits is described in one environment variable.
 *
 * Ownership  descriptors are the parent's for as long as it lives; the child's copies are its own.
 * Threads    the parent has one; the child's main thread is the housekeeping loop.
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include "base/err.h"
#include "settings/settings.h"

/* Exit statuses, those of every subcommand (cli/cli_options.h). */
enum serve_exit { SERVE_DONE, SERVE_FAILED, SERVE_MISUSED };

#define SERVE_INHERITED_ENV "ATLAS_INHERITED"
#define SERVE_LISTENERS_MAX 256
#define SERVE_TLS_MAX       (SERVE_LISTENERS_MAX + 1) /* and the admin listener's */
#define SERVE_WORKERS_MAX   SETTINGS_WORKERS_MAX

/* What the parent hands to the child. */
struct serve_inherited {
    int workers;
    int listeners; /* of the configuration */
    int *fds;      /* listeners × workers: of listener l and worker w at l * workers + w */
    int admin_fd;  /* the admin listener */
    int socket_fd; /* admin.sock */
    int lock_fd;   /* keeps the data folder's lock while the child lives */
    int says_fd;   /* a pipe that it does not wait for: enum serve_word, a byte each */
    int life_fd;   /* a pipe that nobody writes to: it ends when the parent does */
    int again;     /* 1: a child has served before, so what keeps it from serving may pass */
    int place;     /* serve_place() of the settings that all of it was opened for; 0: not said */
};

/*
 * What the child says to its parent. TURNS comes every SERVE_BEAT_MS while it serves: a child from
 * which nothing comes stands still as a whole.
 */
enum serve_word {
    SERVE_READY = 'r', /* it serves */
    SERVE_TURNS = 't', /* all its workers turn */
    SERVE_STILL = 's'  /* one has stood still for longer than it may: it is to be ended */
};

#define SERVE_BEAT_MS 1000

/* A number for what the inherited must fit: the data folder, whose lock is held, and which of the
 * listeners, admin's too, speak TLS. An address may be written otherwise: the sockets stay what
 * they are. */
int serve_place(const struct settings *settings);

/* Opens all listeners of `settings`. On failure it has said on the log what is in the way. */
MUST_USE enum err serve_open_listeners(const struct settings *settings,
                                       struct serve_inherited *out);
void serve_close_listeners(struct serve_inherited *in);

/* Puts the description into the environment, and reads it there. */
MUST_USE enum err serve_export(const struct serve_inherited *in);
MUST_USE enum err serve_import(struct serve_inherited *out);

/* Runs the gateway process; returns its exit status. */
int serve_child(const char *config_path);

#endif
