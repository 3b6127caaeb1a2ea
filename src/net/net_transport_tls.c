/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL reads and writes through a BIO of ours, which counts: a handshake in a thousand pieces,
 * or a KeyUpdate behind the other, is read a little in each turn of the loop and ends soon, for
 * neither brings data. SSL_MODE_AUTO_RETRY is off (net_tls.c), so that SSL_read_ex() returns after
 * each record that has none. A client's first messages are looked at as they come, for OpenSSL
 * makes room for all that they announce. What TLS needs to go on (a write may have to read first,
 * and the reverse) is noted in tls_wants_*. Small pieces are joined into one record: a head, a
 * chunk line and an event are one SSL_write().
 */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <string.h>

#include "net/net_resolve.h"
#include "net/net_tls.h"
#include "net/net_transport.h"

#define RECORD_BYTES  16384 /* RFC 8446 5.1: the most that one record carries */
#define READS_A_TURN  64    /* a record takes two */
#define FRUITLESS_MAX 32    /* turns in a row that read something and brought no data */
#define HELLO_BYTES   16384 /* no client says more; OpenSSL would hold 128 KiB of each stranger's */
#define QUIET_LOOKS   4     /* TLS may say so much of itself in one turn and be quiet still */

/* ---- a stranger's first messages ---- */

/* What the `len` bytes at `at` are of the record's payload. */
static size_t take_payload(struct tls_hello *h, const uint8_t *at, size_t len)
{
    size_t left = (size_t)h->record[3] << 8 | h->record[4];
    size_t taken = len < left ? len : left;
    if (h->record[0] != SSL3_RT_HANDSHAKE) {
        /* skipped */
    } else if (h->head_have < sizeof(h->head)) {
        taken = taken > 0 ? 1 : 0;
        memcpy(h->head + h->head_have, at, taken);
        h->head_have += (uint8_t)taken;
        h->left = h->head_have < sizeof(h->head)
                      ? 0
                      : (uint32_t)h->head[1] << 16 | (uint32_t)h->head[2] << 8 | h->head[3];
    } else {
        taken = taken < h->left ? taken : h->left;
        h->left -= (uint32_t)taken;
    }
    if (h->head_have == sizeof(h->head) && h->left == 0) {
        h->head_have = 0;
        h->is_second = true;
    }
    left -= taken;
    h->record[3] = (uint8_t)(left >> 8);
    h->record[4] = (uint8_t)left;
    if (left == 0) {
        h->record_have = 0;
    }
    return taken;
}

/*
 * False: it announces more than a client has to say. The head may come in any pieces. A client of
 * TLS 1.3 that was sent a HelloRetryRequest says hello a second time (RFC 8446 4.1.2), and nothing
 * else in a record of the handshake's type; one of an older version may encrypt what follows.
 */
static bool is_hello_bearable(struct net_socket *s, const uint8_t *at, size_t len)
{
    struct tls_hello *h = &s->tls_hello;
    for (size_t i = 0; i < len && !h->is_over && h->left <= HELLO_BYTES;) {
        if (h->record_have == sizeof(h->record)) {
            i += take_payload(h, at + i, len - i);
            continue;
        }
        h->record[h->record_have++] = at[i++];
        h->is_over = h->is_second && h->record_have == sizeof(h->record) &&
                     h->record[0] == SSL3_RT_HANDSHAKE && SSL_version(s->ssl) != TLS1_3_VERSION;
    }
    return h->left <= HELLO_BYTES;
}

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *to, int size)
{
    struct net_socket *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (s->tls_reads >= READS_A_TURN) {
        BIO_set_retry_read(bio);
        return -1;
    }
    s->tls_reads++;
    ssize_t n;
    do {
        n = recv(s->fd, to, (size_t)size, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        s->tls_dry = true;
        BIO_set_retry_read(bio);
    }
    if (n > 0 && !s->tls_hello.is_over && !is_hello_bearable(s, (const uint8_t *)to, (size_t)n)) {
        return -1;
    }
    return (int)n;
}

static int bio_write(BIO *bio, const char *from, int size)
{
    struct net_socket *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n;
    do {
        n = send(s->fd, from, (size_t)size, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        BIO_set_retry_write(bio);
    }
    return (int)n;
}

static long bio_ctrl(BIO *bio, int what, long number, void *with)
{
    (void)bio;
    (void)number;
    (void)with;
    return what == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *new_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "atlas socket");
    if (m != NULL &&
        (BIO_meth_set_read(m, bio_read) != 1 || BIO_meth_set_write(m, bio_write) != 1 ||
         BIO_meth_set_ctrl(m, bio_ctrl) != 1)) {
        BIO_meth_free(m);
        m = NULL;
    }
    return m;
}

/* Made once, by whoever is first. */
static const BIO_METHOD *bio_method(void)
{
    static _Atomic(BIO_METHOD *) made;
    BIO_METHOD *found = atomic_load(&made);
    if (found != NULL) {
        return found;
    }
    BIO_METHOD *mine = new_method();
    if (mine != NULL && !atomic_compare_exchange_strong(&made, &found, mine)) {
        BIO_meth_free(mine);
        return found;
    }
    return mine;
}

static bool set_bio(SSL *ssl, struct net_socket *s)
{
    const BIO_METHOD *method = bio_method();
    BIO *bio = method == NULL ? NULL : BIO_new(method);
    if (bio == NULL) {
        return false;
    }
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio); /* takes it */
    return true;
}

/* ---- the transport ---- */

static void begin(struct net_socket *s)
{
    s->tls_reads = 0;
    s->tls_dry = s->tls_more = false;
    ERR_clear_error();
}

/* After something was read that is no data. A peer that does nothing else is of no more use. */
static enum net_result count_fruitless(struct net_socket *s, enum net_result result)
{
    s->tls_more = result == NET_AGAIN && !s->tls_dry && !s->tls_wants_write;
    if (s->tls_more && ++s->tls_fruitless > FRUITLESS_MAX) {
        s->tls_wants_read = s->tls_more = false;
        return NET_FAILED;
    }
    return result;
}

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
    if (s->loop->handshakes_us >= NET_HANDSHAKES_A_TURN_US) {
        net_socket_postpone(s, SSL_is_server(s->ssl) == 0);
        return NET_AGAIN;
    }
    begin(s);
    mono_us begun = clock_mono();
    int r = SSL_do_handshake(s->ssl);
    s->loop->handshakes_us += clock_since(begun, clock_mono());
    if (r == 1) {
        s->tls_fruitless = 0;
        s->tls_hello.is_over = true;
        return NET_OK;
    }
    return count_fruitless(s, of_ssl(s, r));
}

static enum net_result tls_read(struct net_socket *s, void *to, size_t size, size_t *got)
{
    s->tls_wants_read = s->tls_wants_write = false;
    begin(s);
    int r = SSL_read_ex(s->ssl, to, size, got);
    if (r == 1) {
        s->tls_fruitless = 0;
        return NET_OK;
    }
    enum net_result result = count_fruitless(s, of_ssl(s, r));
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
    return s->tls_more || SSL_pending(s->ssl) > 0;
}

static bool tls_is_quiet(struct net_socket *s)
{
    for (int i = 0; i < QUIET_LOOKS; i++) {
        uint8_t byte;
        size_t got;
        begin(s);
        int r = SSL_peek_ex(s->ssl, &byte, 1, &got);
        if (r == 1 || count_fruitless(s, of_ssl(s, r)) != NET_AGAIN) {
            return false;
        }
        s->tls_wants_read = false;
        if (s->tls_dry) {
            return true;
        }
    }
    return false;
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

static const struct net_transport tls_transport = {
    tls_handshake, tls_read, tls_writev, tls_holds_bytes, tls_is_quiet, tls_finish, tls_end};

/* A name, or an address: SNI is for names only (RFC 6066 3), verification for both. */
static bool set_name(SSL *ssl, const char *host)
{
    struct net_address unused;
    if (net_resolve_numeric(host, 0, &unused)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    /* SSL_set_tlsext_host_name() without its cast, which clang refuses. */
    void *name = (void *)(uintptr_t)host;
    SSL_set_hostflags(ssl, NET_TLS_NAME_FLAGS);
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
    if (!set_bio(ssl, s) || (host != NULL && !set_name(ssl, host))) {
        SSL_free(ssl);
        ERR_clear_error();
        return ERR_NET_TLS;
    }
    if (host == NULL) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    s->is_ours = host != NULL;
    s->tls_hello = (struct tls_hello){.is_over = host != NULL};
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

bool net_certificate_digest(const struct net_socket *s, uint8_t out[NET_CERTIFICATE_BYTES])
{
    unsigned len = 0;
    const X509 *certificate = SSL_get0_peer_certificate(s->ssl);
    bool is_made = certificate != NULL && X509_digest(certificate, EVP_sha256(), out, &len) == 1;
    ERR_clear_error();
    return is_made;
}
