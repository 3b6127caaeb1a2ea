/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_settings.h — what the operator may decide about clients and their connections.
 *
 * Filled by main from the settings table (src/settings/settings.def), where each field's default,
 * range and explanation stand. Timeouts are milliseconds, never 0.
 *
 * Ownership  borrowed: all of it, strings too, lives as long as the struct settings it is part of.
 * Threads    any; read only.
 */
#ifndef SERVER_SERVER_SETTINGS_H
#define SERVER_SERVER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/value.h"
#include "net/net_ip.h"

#define SERVER_SNI_MAX       32 /* further certificates of one listener */
#define SERVER_LISTENERS_MAX 64
#define SERVER_PROXIES_MAX   64 /* addresses and networks of proxies that are believed */

/* PEM files of a certificate with its chain and of its private key. */
struct server_pair {
    const char *certificate, *key;
};

/* One address to answer on. */
struct server_listen {
    const char *address;         /* "127.0.0.1:8080", "[::]:8443": numeric; port 0: any free one */
    const char *tls_certificate; /* PEM file with the chain; NULL: plain HTTP */
    const char *tls_key;         /* PEM file; NULL exactly when tls_certificate is */
    const struct server_pair *tls_sni; /* more of them, for other names */
    size_t tls_sni_count;
    bool proxy_protocol;                /* each connection begins with a PROXY header */
    int64_t requests_per_minute, burst; /* of all its clients together; 0: any, a whole minute's */
};

/* What says who a client is besides its connection. A copy: it outlives the texts it came from. */
struct server_trust {
    struct net_network proxies[SERVER_PROXIES_MAX]; /* that are believed */
    size_t proxies_count;
    bool proxy_protocol[SERVER_LISTENERS_MAX]; /* of each listener */
};

struct server_settings {
    const struct server_listen *listens; /* at least one */
    size_t listens_count;

    int64_t head_bytes_max;   /* request line and fields; then 431 */
    int64_t fields_max;       /* header fields; then 431 */
    int64_t target_bytes_max; /* request target; then 414 */
    int64_t body_bytes_max;   /* request body; then 413 */

    int64_t handshake_timeout_ms; /* the whole TLS handshake */
    int64_t head_timeout_ms;      /* first byte of a head to its last; then 408 */
    int64_t body_timeout_ms;      /* between two reads of a body; then 408 */
    int64_t body_rate_min_bytes;  /* a second, averaged after body_timeout_ms; 0: no minimum */
    int64_t idle_timeout_ms;      /* between two requests of a connection */
    int64_t write_timeout_ms;     /* a client that takes nothing of what waits for it */

    int64_t requests_per_minute, burst; /* of each client address; as of a listener */

    int64_t guesses_per_minute; /* 401s of each client address; more are 429 */

    struct texts proxies; /* as they were written; what they mean is in `trust` */
    struct server_trust trust;

    int64_t connections_max;  /* client connections open at once in the process */
    int64_t output_bytes_max; /* waiting for one client before its upstream is read no further */
};

#endif
