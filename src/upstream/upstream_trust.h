/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_trust.h — whom the upstreams of one configuration believe: a TLS context a CA file.
 *
 * A context holds every authority of its file parsed, 150 of them in a system's bundle: hundreds of
 * upstreams share it. A file that has not changed since `previous` was made keeps its context, and
 * so its deployments; one that was written anew is read anew.
 *
 * Ownership  the contexts are counted: the trust holds each once, and each deployment that uses it.
 * Threads    any, one at a time. Opening reads files: not for a loop that others wait for.
 */
#ifndef UPSTREAM_UPSTREAM_TRUST_H
#define UPSTREAM_UPSTREAM_TRUST_H

#include "base/err.h"
#include "upstream/upstream_settings.h"

struct deployment;
struct net_tls;
struct upstream_trust;

/*
 * Opens a context for each CA file that an https upstream of `settings` names, and for the system's
 * authorities if one names none. `previous` (or NULL) lends those whose files did not change.
 *
 *   ERR_NET_TLS    `reason`, NET_TLS_REASON_BYTES, says which file and why
 *   ERR_NO_MEMORY
 */
MUST_USE enum err upstream_trust_open(const struct upstream_settings *settings,
                                      const struct upstream_trust *previous, char *reason,
                                      struct upstream_trust **out);

/* The context for a definition of those settings, a loan; NULL for http. */
struct net_tls *upstream_trust_find(const struct upstream_trust *trust,
                                    const struct upstream_definition *definition);

/* Gives the contexts back and sets `*trust` to NULL. Does nothing if it is NULL already. */
void upstream_trust_close(struct upstream_trust **trust);

/* A deployment that shares with no other, for a command that asks one server: deployment_open()
 * with a trust of its own. Errors as of both. */
MUST_USE enum err upstream_trust_open_alone(const struct upstream_definition *definition,
                                            char *reason, struct deployment **out);

#endif
