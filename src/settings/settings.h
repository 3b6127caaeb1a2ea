/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h — everything the operator may decide, read from one YAML file and those it names.
 *
 * settings.def lists every setting once: its path in the file, kind, default, range and meaning.
 * The parser, the commented sample and docs/reference/settings.md come from it. Each part declares
 * the struct of its own settings; struct settings only puts them together.
 *
 * Ownership  settings_open() hands one allocation to the caller, who gives it back to
 *            settings_close(). All strings live in it. Read only once handed out: a reload opens a
 *            second one and swaps.
 * Limits     a file of 1 MiB, 100,000 values, 64 listeners, 4,096 upstreams, 65,536 models.
 * Threads    any; read only.
 */
#ifndef SETTINGS_SETTINGS_H
#define SETTINGS_SETTINGS_H

#include "admin/admin_settings.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "journal/journal_settings.h"
#include "net/net_resolve.h"
#include "policy/policy_settings.h"
#include "server/server_settings.h"
#include "settings/settings_catalogue.h"
#include "upstream/upstream_settings.h"

#define SETTINGS_WORKERS_MAX 256
#define SETTINGS_ROUTING_FILE \
    "routing_config.yaml" /* beside the configuration, if it says no other */
#define SETTINGS_LOG_LEVELS  "debug|info|warn|error"
#define SETTINGS_LOG_FORMATS "text|json"

enum settings_log_format { SETTINGS_LOG_TEXT, SETTINGS_LOG_JSON };

struct settings_log {
    enum log_level level;
    enum settings_log_format format;
    const char *file;   /* NULL: standard error */
    const char *access; /* one JSON line a call: a path, or "-" for standard output; NULL: none */
};

struct settings_usage {
    int64_t hours_s;     /* how long sums are kept by the hour; 0: for ever */
    int64_t retention_s; /* how long at all; 0: for ever */
};

struct settings {
    const char *path;           /* of the file it was read from, absolute */
    const char *data;           /* the data folder, absolute */
    const char *models_file;    /* where models stand, if not in the same file; absolute */
    const char *catalogue_file; /* of the operator's own entries, absolute; NULL: none */
    struct settings_catalogue catalogue;
    const char *routing_file; /* of the rules, absolute; it need not be there */
    const char *pid_file;     /* absolute; NULL: none */
    struct settings_log log;
    struct server_settings server;
    struct upstream_settings upstream;
    struct policy_settings gateway;
    struct journal_settings journal;
    struct settings_usage usage;
    struct admin_settings admin;
    struct net_dns_settings dns;
};

/* The listeners: those for calls, in the order of the file, and behind them admin's. NULL past it.
 */
const struct server_listen *settings_listen(const struct settings *s, size_t i);

#define SETTINGS_FAULT_BYTES 128

/*
 * Whether the base URL of an upstream names more than it should: Atlas adds the endpoint's path to
 * it, and what stands there twice is found nowhere. Then `out` says what, to stand behind the URL:
 * "has /v1 twice — once is enough in `url:`".
 */
bool settings_url_is_too_long(const char *url, char out[SETTINGS_FAULT_BYTES]);

/* Worker threads that the settings ask for: one a core if they name no number. */
int settings_workers(const struct settings *s);

/* File descriptors that a gateway needs beside one for each client and each call. */
int64_t settings_files_beside(const struct settings *s);

/*
 * Reads and checks the file at `path`. What is wrong goes to `problems`, one line each,
 * "file:line:column: sentence", as many as can be found in one pass; it is left empty on ERR_OK.
 * The file that `models_file` names is read by its own table (settings_models.def).
 *
 *   ERR_CONFIG     the file cannot be read, or something in it is not valid
 *   ERR_NO_FILES   there was no descriptor to read it with: nothing is said of what is in it
 *   ERR_NO_MEMORY
 */
MUST_USE enum err settings_open(const char *path, struct buf *problems, struct settings **out);

/* The same, with the rules of another file, which must be there; NULL: with its own. */
MUST_USE enum err settings_open_with_rules(const char *path, const char *rules,
                                           struct buf *problems, struct settings **out);

/* The same, and looks at the certificates and keys that it names: their places, too, are told. */
MUST_USE enum err settings_open_whole(const char *path, struct buf *problems,
                                      struct settings **out);

/*
 * Reads only where the data folder is: `path` and `data` of `*out` are right, the rest is not for
 * use. What else the file says may be wrong, were it no YAML behind its line `data:`, and no secret
 * is looked for: this is for what must work on a bad day. Fails as settings_open() does.
 */
MUST_USE enum err settings_open_data(const char *path, struct buf *problems, struct settings **out);

/* Only the catalogue that Atlas brings: nothing else of `*out` is for use. ERR_NO_MEMORY. */
MUST_USE enum err settings_open_catalogue(struct buf *problems, struct settings **out);

/* What is known of money beside the settings. */
struct settings_money {
    bool is_limited;                                           /* some budget is of money */
    bool (*is_priced)(const void *context, struct span model); /* in another place; NULL: nowhere */
    const void *context;
};

/* Puts a sentence a line about prices that may be an accident at `now`: models without one beside
 * others, or under budgets of money, and those that are 0 in all they say. Nothing if all is well.
 */
void settings_warn_prices(const struct settings *s, const struct settings_money *known, wall_us now,
                          struct buf *out);

/* Frees `*s`, wiping its secrets, and sets it to NULL. Does nothing if it is NULL already. */
void settings_close(struct settings **s);

/* Puts the paths of the settings that differ and take effect with a restart only: "data, workers";
 * nothing if there is none. A listener's address, and whether it speaks TLS, are `listen`. */
void settings_restart_needed(const struct settings *in_force, const struct settings *next,
                             struct buf *out);

#endif
