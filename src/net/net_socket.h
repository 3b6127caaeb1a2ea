/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_socket.h — a connected stream, plain or TLS, and whether it is ready.
 *
 * Readiness, not completion: the owner asks for readable and writable, is told when, and reads and
 * writes its own memory. A transport is a small table of functions, so that plain and TLS look
 * alike. Asking for what was already asked costs nothing; a change costs system calls, therefore:
 * leave `readable` on unless bytes wait that nobody wants, and ask for `writable` only after
 * NET_AGAIN from a write. A peer that hangs up is always told.
 *
 * Ownership  net_socket_open() takes the descriptor; net_socket_close() ends both. After it no
 *            handler is called.
 * Limits     128 KiB that the peer has no room for are held by the kernel; then NET_AGAIN.
 *            When the handler's budget (net_loop.h) is spent, NET_AGAIN, and another turn goes on.
 * A TLS peer whose last 33 records brought no data (KeyUpdate, tickets) is NET_FAILED. All
 *            handshakes together have a millisecond of a turn; the rest waits, the first first.
 * Threads    the loop's own.
 * Sources    OpenSSL 3 SSL_read(3), SSL_write(3); libuv uv_poll_t.
 */
#ifndef NET_NET_SOCKET_H
#define NET_NET_SOCKET_H

#include <sys/socket.h>
#include <sys/uio.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct net_ip;
struct net_loop;
struct net_socket;
struct net_tls;

enum net_events { NET_READABLE = 1, NET_WRITABLE = 2, NET_HANGUP = 4 };

enum net_result {
    NET_OK,     /* some bytes moved */
    NET_AGAIN,  /* nothing now; the handler is called when there is */
    NET_EOF,    /* the peer sent its last byte */
    NET_FAILED, /* the connection is of no more use */
};

/* `events` are net_events. The handler may close the socket. */
typedef void net_on_ready(void *ctx, unsigned events);

/* Wraps the connected (or connecting) non-blocking socket `fd`. On failure `fd` is closed. */
MUST_USE enum err net_socket_open(struct net_loop *loop, int fd, net_on_ready *on_ready, void *ctx,
                                  struct net_socket **out);

/* Gives the socket another owner's handler. */
void net_socket_attach(struct net_socket *s, net_on_ready *on_ready, void *ctx);

/*
 * Puts TLS over the socket. As a server when `host` is NULL; as a client `host` is sent as SNI and
 * the certificate must be valid for it. Then call net_handshake().
 */
MUST_USE enum err net_socket_start_tls(struct net_socket *s, struct net_tls *tls, const char *host);

/* Goes on with the TLS handshake: NET_OK when it is done (at once for plain sockets). */
enum net_result net_handshake(struct net_socket *s);

/* After a handshake as a client that failed: why the server's certificate is not believed, in
 * OpenSSL's words; NULL if that was not the reason. */
const char *net_certificate_problem(const struct net_socket *s);

#define NET_CERTIFICATE_BYTES 32 /* of a SHA-256 */

/* After a handshake as a client: the SHA-256 of the certificate that the server showed, as
 * `openssl x509 -fingerprint -sha256` has it. False: there is no memory for it. */
MUST_USE bool net_certificate_digest(const struct net_socket *s,
                                     uint8_t out[NET_CERTIFICATE_BYTES]);

/* Reads up to `size` bytes, NET_BUDGET_BYTES at most; `*got` is set on NET_OK. NET_AGAIN may also
 * mean that others have their turn first: net_want() sees to it that the handler is called. */
enum net_result net_read(struct net_socket *s, void *to, size_t size, size_t *got);

/* Whether the peer has sent nothing that was not read: no byte, no end, no error. What TLS says of
 * itself is read and does not count. */
bool net_is_quiet(struct net_socket *s);

/* Whether the peer's machine has acknowledged all that was written. It has before it answers, for
 * the answer's first bytes say so, too. */
bool net_is_acknowledged(const struct net_socket *s);

/*
 * Writes what it can of the pieces; `*sent` is set on NET_OK, and may be less than all. What is
 * written after NET_AGAIN must begin with the same bytes and be no less: TLS has encrypted them.
 */
enum net_result net_writev(struct net_socket *s, const struct iovec *pieces, int count,
                           size_t *sent);

/* What the owner wants to be told of, from now on. Bytes that TLS already holds count as readable.
 */
void net_want(struct net_socket *s, bool readable, bool writable);

/* Says that no more will be written (shutdown, TLS close_notify). */
void net_finish(struct net_socket *s);

/* Whether a connect() that was under way has succeeded. Call at the first NET_WRITABLE. */
MUST_USE enum err net_connect_result(const struct net_socket *s);

/* Closes `*s` and sets it to NULL; nothing if it is NULL. */
void net_socket_close(struct net_socket **s);

/* The same with a reset: the peer sees an error, not an end. */
void net_socket_reset(struct net_socket **s);

/* The peer as text: its address ("192.0.2.1", "2001:db8::1"), or who it is on this machine
 * ("uid:1000") for a Unix socket. */
void net_peer_text(const struct net_socket *s, char *out, size_t size);

/* The peer's IP address; false of one that has none, or is gone. */
MUST_USE bool net_peer_ip(const struct net_socket *s, struct net_ip *out);

/*
 * Starts connecting to `address`. The socket becomes writable when that is decided.
 *   ERR_NO_FILES, ERR_NO_MEMORY, ERR_NET_REFUSED, ERR_NET
 */
MUST_USE enum err net_connect(struct net_loop *loop, const struct sockaddr *address,
                              socklen_t address_len, net_on_ready *on_ready, void *ctx,
                              struct net_socket **out);

#endif
