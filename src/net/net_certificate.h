/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_certificate.h — whether a certificate and its key can be shown, and for how long.
 *
 * Reads files and may take a millisecond: for starts, `atlas config check`, `atlas doctor` and a
 * look a day.
 *
 * Threads  any; no state.
 * Sources  RFC 5280 4.1.2.5 (validity).
 */
#ifndef NET_NET_CERTIFICATE_H
#define NET_NET_CERTIFICATE_H

#include "net/net_tls.h"

struct net_certificate {
    int days_left;  /* until its end; negative: since */
    int days_until; /* its begin; 0: it has begun */
};

/*
 * Looks at the pair. ERR_NET_TLS: `reason`, of NET_TLS_REASON_BYTES, says which file is missing or
 * unusable, that the two do not belong together, or that each stands where the other should.
 */
MUST_USE enum err net_certificate_look(const struct net_tls_pair *pair, char *reason,
                                       struct net_certificate *out);

/* Writes that it has expired, will within `days`, or is not valid yet, and what to do; false, and
 * nothing, if none of it is so. `size` of 256 has room but for a long path. */
bool net_certificate_warning(const struct net_tls_pair *pair, const struct net_certificate *c,
                             int days, char *out, size_t size);

#endif
