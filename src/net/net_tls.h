/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_tls.h — what a TLS listener shows, and what a TLS client believes.
 *
 * TLS 1.2 and 1.3 only, no compression, no renegotiation, HTTP/1.1 by ALPN. A name is looked for in
 * a certificate's subjectAltName only, never in its subject.
 *
 * Ownership  counted: a listener and the connections it made share one; net_tls_unref() by each.
 * Threads    any; the count is atomic and OpenSSL's context is shared safely.
 * Sources    RFC 8446, RFC 5246, RFC 6066 (SNI), RFC 7301 (ALPN), RFC 9525 (names).
 */
#ifndef NET_NET_TLS_H
#define NET_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct net_tls;

struct net_tls_pair {
    const char *certificate; /* PEM file: the certificate, then the chain */
    const char *key;         /* PEM file */
};

#define NET_TLS_REASON_BYTES 256

/*
 * A server context. The first pair is the default; others are chosen by the name that the client
 * asks for (SNI) when their certificate is valid for it. ERR_NET_TLS: `reason` says which file and
 * why. `reason` has NET_TLS_REASON_BYTES.
 */
MUST_USE enum err net_tls_open_server(const struct net_tls_pair *pairs, size_t count, char *reason,
                                      struct net_tls **out);

/* A client context that believes the CAs of `ca_file`, or the system's when it is NULL.
 * ERR_NET_TLS: `reason`, as above. */
MUST_USE enum err net_tls_open_client(const char *ca_file, char *reason, struct net_tls **out);

/* Where the system's CAs are: a file and a folder, of which one may not be there. */
const char *net_tls_system_file(void);
const char *net_tls_system_folder(void);

struct net_tls *net_tls_ref(struct net_tls *tls);
void net_tls_unref(struct net_tls **tls);

/* Says to OpenSSL, which would ask at the terminal, that a key has no password. */
int net_tls_no_password(char *password, int size, int writing, void *arg);

/* OpenSSL's SSL_CTX of `tls`, for net's own files. */
void *net_tls_native(struct net_tls *tls);

#endif
