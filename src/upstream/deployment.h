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
 * Sources    RFC 9110 sections 7.2 (Host), 7.6.3 (Via), 10.1.5 (User-Agent), 12.5.3
 *            (Accept-Encoding); RFC 6750 section 2.1 (Bearer).
 */
#ifndef UPSTREAM_DEPLOYMENT_H
#define UPSTREAM_DEPLOYMENT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"
#include "upstream/upstream_settings.h"

#define DEPLOYMENT_REASON_BYTES 256

struct net_tls;

struct deployment {
    struct upstream_definition definition; /* a copy of its own */
    char *host;                            /* without brackets */
    uint16_t port;
    bool https;
    struct span path_prefix;  /* "/v1" */
    struct span fixed_fields; /* Host, Authorization, Via, Accept-Encoding, User-Agent lines */
    struct net_tls *tls;      /* NULL for http */

    _Atomic int refs, pools;                         /* all who hold it; the pools among them */
    _Atomic int64_t in_flight, connections, waiting; /* attempts; open, idle ones too; attempts */
    _Atomic uint64_t attempts, failures;             /* started; those of them that failed */
};

/*
 * Makes one from its settings. `reason`, DEPLOYMENT_REASON_BYTES, says in a sentence what is wrong.
 *
 *   ERR_CONFIG   the URL, or a key with a byte that no header may hold
 *   ERR_NET_TLS  the CA file
 *   ERR_NO_MEMORY
 */
MUST_USE enum err deployment_open(const struct upstream_definition *definition, char *reason,
                                  struct deployment **out);

struct deployment *deployment_ref(struct deployment *d);
void deployment_unref(struct deployment **d);

/* Whether `d` was made from settings equal to these (secrets and CA path too). A CA file that was
 * written anew since under its old name counts as equal. */
bool deployment_is_made_from(const struct deployment *d,
                             const struct upstream_definition *definition);

#endif
