/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL owns the socket: SSL_read() and SSL_write() call recv() and send() themselves. What TLS
 * needs to go on (a write may have to read first, and the reverse) is noted in tls_wants_*.
 * Small pieces are joined into one record: a head, a chunk line and an event are one SSL_write().
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "net/net_resolve.h"
#include "net/net_tls.h"
#include "net/net_transport.h"

#define RECORD_BYTES 16384 /* RFC 8446 5.1: the most that one record carries */

static enum net_result of_ssl(struct net_socket *s, int returned)
{
    int why = SSL_get_error(s->ssl, returned);
    ERR_clear_error();
    s->tls_wants_read = why == SSL_ERROR_WANT_READ;
    s->tls_wants_write = why == SSL_ERROR_WANT_WRITE;
    if (s->tls_wants_read || s->tls_wants_write) {
        return NET_AGAIN;
    }
    return why == SSL_ERROR_ZERO_RETURN ? NET_EOF : NET_FAILED;
}

static enum net_result tls_handshake(struct net_socket *s)
{
    s->tls_wants_read = s->tls_wants_write = false;
    ERR_clear_error();
    int r = SSL_do_handshake(s->ssl);
    return r == 1 ? NET_OK : of_ssl(s, r);
}

static enum net_result tls_read(struct net_socket *s, void *to, size_t size, size_t *got)
{
    s->tls_wants_read = s->tls_wants_write = false;
    ERR_clear_error();
    int r = SSL_read_ex(s->ssl, to, size, got);
    if (r == 1) {
        return NET_OK;
    }
    enum net_result result = of_ssl(s, r);
    s->tls_wants_read = false; /* that is for the owner to want or not */
    return result;
}

static enum net_result write_once(struct net_socket *s, const void *at, size_t len, size_t *sent)
{
    s->tls_wants_write = false;
    ERR_clear_error();
    int r = SSL_write_ex(s->ssl, at, len, sent);
    if (r == 1) {
        return NET_OK;
    }
    enum net_result result = of_ssl(s, r);
    return result == NET_EOF ? NET_FAILED : result;
}

static size_t join(const struct iovec *pieces, int count, uint8_t *record)
{
    size_t len = 0;
    for (int i = 0; i < count && len < RECORD_BYTES; i++) {
        size_t take = RECORD_BYTES - len;
        take = pieces[i].iov_len < take ? pieces[i].iov_len : take;
        if (take > 0) {
            memcpy(record + len, pieces[i].iov_base, take);
        }
        len += take;
    }
    return len;
}

static enum net_result tls_writev(struct net_socket *s, const struct iovec *pieces, int count,
                                  size_t *sent)
{
    if (count == 1 || (count > 0 && pieces[0].iov_len >= RECORD_BYTES)) {
        return write_once(s, pieces[0].iov_base, pieces[0].iov_len, sent);
    }
    uint8_t record[RECORD_BYTES];
    size_t len = join(pieces, count, record);
    return write_once(s, record, len, sent);
}

static bool tls_holds_bytes(const struct net_socket *s)
{
    return SSL_pending(s->ssl) > 0;
}

static void tls_finish(struct net_socket *s)
{
    (void)SSL_shutdown(s->ssl); /* says close_notify once; its answer is not awaited */
    ERR_clear_error();
    net_transport_plain.finish(s);
}

static void tls_end(struct net_socket *s)
{
    if (SSL_is_init_finished(s->ssl) && (SSL_get_shutdown(s->ssl) & SSL_SENT_SHUTDOWN) == 0) {
        (void)SSL_shutdown(s->ssl); /* best effort: the peer may be gone */
        ERR_clear_error();
    }
    SSL_free(s->ssl);
    s->ssl = NULL;
    net_tls_unref(&s->tls);
}

static const struct net_transport tls_transport = {tls_handshake,   tls_read,   tls_writev,
                                                   tls_holds_bytes, tls_finish, tls_end};

/* A name, or an address: SNI is for names only (RFC 6066 3), verification for both. */
static bool set_name(SSL *ssl, const char *host)
{
    struct net_address unused;
    if (net_resolve_numeric(host, 0, &unused)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    /* SSL_set_tlsext_host_name() without its cast, which clang refuses. */
    void *name = (void *)(uintptr_t)host;
    return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) == 1 &&
           SSL_set1_host(ssl, host) == 1;
}

enum err net_socket_start_tls(struct net_socket *s, struct net_tls *tls, const char *host)
{
    CHECK(s->ssl == NULL);
    SSL *ssl = SSL_new(net_tls_native(tls));
    if (ssl == NULL) {
        return ERR_NO_MEMORY;
    }
    if (SSL_set_fd(ssl, s->fd) != 1 || (host != NULL && !set_name(ssl, host))) {
        SSL_free(ssl);
        ERR_clear_error();
        return ERR_NET_TLS;
    }
    if (host == NULL) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    s->ssl = ssl;
    s->tls = net_tls_ref(tls);
    s->transport = &tls_transport;
    return ERR_OK;
}

const char *net_certificate_problem(const struct net_socket *s)
{
    long found = s->ssl == NULL ? X509_V_OK : SSL_get_verify_result(s->ssl);
    return found == X509_V_OK ? NULL : X509_verify_cert_error_string(found);
}
