/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several certificates on one listener: each has its own SSL_CTX, and the server-name callback
 * switches to the first whose certificate is valid for the name. The connection keeps a reference
 * to the whole, so a reload that swaps the listener's context leaves open connections alone.
 */
#include "net/net_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "net/net_transport.h"

#define PAIRS_MAX 64

struct net_tls {
    _Atomic int refs;
    size_t count;
    SSL_CTX *contexts[PAIRS_MAX];
};

static enum err refuse(char *reason, const char *what, const char *file)
{
    unsigned long code = ERR_peek_error(); /* the cause; what follows it says where it was met */
    const char *why = ERR_SYSTEM_ERROR(code) ? strerrordesc_np(ERR_GET_REASON(code))
                      : code == 0            ? NULL
                                             : ERR_reason_error_string(code);
    (void)snprintf(reason, NET_TLS_REASON_BYTES, "%s %s: %s", what, file,
                   why == NULL ? "not usable" : why); /* cut if long */
    ERR_clear_error();
    return ERR_NET_TLS;
}

/* OpenSSL opens it by itself, and would wait at a pipe. */
static MUST_USE enum err look_at(const char *what, const char *file, char *reason)
{
    const char *why;
    if (file_is_regular(file, &why)) {
        return ERR_OK;
    }
    (void)snprintf(reason, NET_TLS_REASON_BYTES, "%s %s: %s", what, file, why); /* cut if long */
    return ERR_NET_TLS;
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (ctx == NULL) {
        return NULL;
    }
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY); /* or one read takes all records without data */
    return ctx;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned int in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2: no_application_protocol */
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int choose_certificate(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    struct net_tls *tls = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    for (size_t i = 0; name != NULL && i < tls->count; i++) {
        X509 *certificate = SSL_CTX_get0_certificate(tls->contexts[i]);
        if (X509_check_host(certificate, name, 0, NET_TLS_NAME_FLAGS, NULL) == 1) {
            (void)SSL_set_SSL_CTX(ssl,
                                  tls->contexts[i]); /* without memory the first one is shown */
            break;
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL would ask at the terminal. */
int net_tls_no_password(char *password, int size, int writing, void *arg)
{
    (void)password;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static enum err add_pair(struct net_tls *tls, const struct net_tls_pair *pair, char *reason)
{
    SSL_CTX *ctx = new_context(TLS_server_method());
    if (ctx == NULL) {
        return ERR_NO_MEMORY;
    }
    tls->contexts[tls->count++] = ctx;
    SSL_CTX_set_default_passwd_cb(ctx, net_tls_no_password);
    /* Sessions are resumed by tickets, which clients keep; nothing is kept here for a stranger. */
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* gives the old mode */
    ERR_clear_error();
    if (look_at("certificate", pair->certificate, reason) != ERR_OK ||
        look_at("key", pair->key, reason) != ERR_OK) {
        return ERR_NET_TLS;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, pair->certificate) != 1) {
        return refuse(reason, "certificate", pair->certificate);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, pair->key, SSL_FILETYPE_PEM) != 1) {
        return refuse(reason, "key", pair->key);
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        return refuse(reason, "key does not belong to the certificate:", pair->key);
    }
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    (void)SSL_CTX_set_tlsext_servername_callback(ctx, choose_certificate); /* always 1 */
    (void)SSL_CTX_set_tlsext_servername_arg(ctx, tls);                     /* always 1 */
    return ERR_OK;
}

static struct net_tls *new_tls(void)
{
    struct net_tls *tls = memory_new(sizeof(*tls));
    if (tls != NULL) {
        atomic_store(&tls->refs, 1);
    }
    return tls;
}

enum err net_tls_open_server(const struct net_tls_pair *pairs, size_t count, char *reason,
                             struct net_tls **out)
{
    CHECK(count > 0);
    reason[0] = '\0';
    if (count > PAIRS_MAX) {
        (void)snprintf(reason, NET_TLS_REASON_BYTES, "more than %d certificates", PAIRS_MAX);
        return ERR_NET_TLS;
    }
    struct net_tls *tls = new_tls();
    if (tls == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        enum err e = add_pair(tls, &pairs[i], reason);
        if (e != ERR_OK) {
            net_tls_unref(&tls);
            return e;
        }
    }
    *out = tls;
    return ERR_OK;
}

enum err net_tls_open_client(const char *ca_file, char *reason, struct net_tls **out)
{
    reason[0] = '\0';
    if (ca_file != NULL && look_at("CA file", ca_file, reason) != ERR_OK) {
        return ERR_NET_TLS;
    }
    struct net_tls *tls = new_tls();
    if (tls == NULL) {
        return ERR_NO_MEMORY;
    }
    SSL_CTX *ctx = new_context(TLS_client_method());
    if (ctx == NULL) {
        net_tls_unref(&tls);
        return ERR_NO_MEMORY;
    }
    tls->contexts[tls->count++] = ctx;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    ERR_clear_error();
    int ok = ca_file != NULL ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL)
                             : SSL_CTX_set_default_verify_paths(ctx);
    if (ok != 1) {
        enum err e = refuse(reason, "CA file", ca_file == NULL ? "of the system" : ca_file);
        net_tls_unref(&tls);
        return e;
    }
    *out = tls;
    return ERR_OK;
}

static const char *place_of(const char *variable, const char *otherwise)
{
    const char *given = getenv(variable); /* set before any thread runs */
    return given == NULL ? otherwise : given;
}

const char *net_tls_system_file(void)
{
    return place_of(X509_get_default_cert_file_env(), X509_get_default_cert_file());
}

const char *net_tls_system_folder(void)
{
    return place_of(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
}

struct net_tls *net_tls_ref(struct net_tls *tls)
{
    (void)atomic_fetch_add(&tls->refs, 1); /* the old count is of no use */
    return tls;
}

void net_tls_unref(struct net_tls **tls)
{
    struct net_tls *t = *tls;
    *tls = NULL;
    if (t == NULL || atomic_fetch_sub(&t->refs, 1) > 1) {
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        SSL_CTX_free(t->contexts[i]);
    }
    memory_free(t);
}

void *net_tls_native(struct net_tls *tls)
{
    return tls->contexts[0];
}
