/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deployment.h — one model server of the configuration, as all workers see it.
 *
 * What it is (name, kind, address, region, credentials, timeouts) never changes; what happens to it
 * (calls in flight, errors) is atomic. A reload that leaves an upstream's settings alone keeps its
 * deployment, so its connections and counts stay.
 *
 * Ownership  counted: a policy snapshot and each pool that has connections hold one.
 * Threads    any.
 */
#ifndef UPSTREAM_DEPLOYMENT_H
#define UPSTREAM_DEPLOYMENT_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/span.h"
#include "upstream/upstream_settings.h"

struct net_tls;

struct deployment {
    _Atomic int refs;
    struct upstream_definition definition; /* a copy of its own */
    char *host;                            /* without brackets */
    uint16_t port;
    bool https;
    struct span host_field;   /* "Host: h:p\r\n" */
    struct span path_prefix;  /* "/v1" */
    struct span fixed_fields; /* Host, Authorization, Via, Accept-Encoding, User-Agent lines */
    struct net_tls *tls;      /* NULL for http */
    _Atomic int64_t in_flight, connections;
    _Atomic uint64_t attempts, failures;
};

/* Makes one from its settings. ERR_CONFIG (URL), ERR_NET_TLS (CA file); `reason` has 256 bytes. */
MUST_USE enum err deployment_open(const struct upstream_definition *definition, char *reason,
                                  struct deployment **out);

struct deployment *deployment_ref(struct deployment *d);
void deployment_unref(struct deployment **d);

/* Whether `d` was made from settings equal to these (secrets and CA path too). */
bool deployment_is_made_from(const struct deployment *d,
                             const struct upstream_definition *definition);

#endif
