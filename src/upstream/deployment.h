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
#include "upstream/deployment_health.h"
#include "upstream/deployment_load.h"
#include "upstream/upstream_settings.h"

#define DEPLOYMENT_REASON_BYTES 256

struct net_tls;

struct deployment {
    struct upstream_definition definition; /* a copy of its own */
    char *host;                            /* without brackets */
    uint16_t port;
    bool https;
    struct span path_prefix;  /* "/v1" */
    struct span fixed_fields; /* Host, User-Agent, Authorization lines; then Via, Accept-Encoding */
    size_t lean_fields;       /* bytes of them before Via */
    char *load_target;        /* "/metrics": its page of metrics */
    struct net_tls *tls;      /* NULL for http */

    _Atomic int refs, pools;                         /* all who hold it; the pools among them */
    _Atomic int64_t in_flight, connections, waiting; /* attempts; open, idle ones too; attempts */
    _Atomic uint64_t attempts, failures;             /* started; those of them that failed */
    _Atomic uint32_t refuses;        /* enum upstream_addition bits that it was seen to refuse */
    struct deployment_health health; /* whether it should be asked now */
    struct deployment_load load;     /* what it says of its work */
};

/*
 * Makes one from its settings, which believes what `tls` does (upstream_trust.h): NULL for http.
 * `reason`, DEPLOYMENT_REASON_BYTES, says in a sentence what is wrong.
 *
 *   ERR_CONFIG  the URL, or a key with a byte that no header may hold
 *   ERR_NO_MEMORY
 */
MUST_USE enum err deployment_open(const struct upstream_definition *definition, struct net_tls *tls,
                                  char *reason, struct deployment **out);

/* The highest class of data that may go there. */
enum data_class deployment_clearance(const struct deployment *d);

struct deployment *deployment_ref(struct deployment *d);
void deployment_unref(struct deployment **d);

/* The calls that it has as far as we know: ours, and those of others by its report. */
int64_t deployment_calls(const struct deployment *d, mono_us now);

/* What requests to it leave out: enum upstream_addition bits, by its settings or as it was learnt.
 */
uint32_t deployment_omits(const struct deployment *d);

/* How `omit:` in the configuration lists them: "stream_options, headers"; "" for none. */
const char *deployment_omits_text(uint32_t additions);

/* Notes that it took a request without these after it had refused one with them. True if that is
 * news. */
bool deployment_learn(struct deployment *d, uint32_t refused);

/* Takes over what was learnt of the same server under other settings. */
void deployment_inherit(struct deployment *d, const struct deployment *before);

/* Whether `d` was made from settings equal to these, secrets too, and the same `tls`: one that
 * believes another's authorities must not serve on the old one's connections. */
bool deployment_is_made_from(const struct deployment *d,
                             const struct upstream_definition *definition,
                             const struct net_tls *tls);

#endif
