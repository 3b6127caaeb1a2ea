/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"

/* NULL for what is no regular file, too: a pipe would never give anything. */
static FILE *open_file(const char *path)
{
    int fd;
    const char *why;
    if (file_open(path, &fd, &why) != ERR_OK) {
        return NULL;
    }
    FILE *file = fdopen(fd, "r");
    if (file == NULL) {
        (void)close(fd); /* unused */
    }
    return file;
}

/* The first certificate of the file, or NULL. */
static X509 *read_certificate(const char *path)
{
    FILE *file = open_file(path);
    X509 *certificate = file == NULL ? NULL : PEM_read_X509(file, NULL, net_tls_no_password, NULL);
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
    return certificate;
}

static bool holds_certificate(const char *path)
{
    X509 *certificate = read_certificate(path);
    X509_free(certificate);
    return certificate != NULL;
}

static bool holds_key(const char *path)
{
    FILE *file = open_file(path);
    EVP_PKEY *key =
        file == NULL ? NULL : PEM_read_PrivateKey(file, NULL, net_tls_no_password, NULL);
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
    EVP_PKEY_free(key);
    return key != NULL;
}

static bool read_validity(const char *path, struct net_certificate *out)
{
    X509 *certificate = read_certificate(path);
    int days = 0;
    int seconds = 0;
    bool ok = certificate != NULL &&
              ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) == 1;
    out->days_left = days == 0 && seconds < 0 ? -1 : days;
    ok = ok && ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notBefore(certificate)) == 1;
    out->days_until = days > 0 ? days : (days == 0 && seconds > 0 ? 1 : 0);
    X509_free(certificate);
    return ok;
}

enum err net_certificate_look(const struct net_tls_pair *pair, char *reason,
                              struct net_certificate *out)
{
    struct net_tls *tls = NULL;
    enum err e = net_tls_open_server(pair, 1, reason, &tls);
    net_tls_unref(&tls);
    if (e == ERR_NET_TLS && holds_key(pair->certificate) && holds_certificate(pair->key)) {
        (void)snprintf(reason, NET_TLS_REASON_BYTES,
                       "%s holds a key and %s a certificate: give each the other's place",
                       pair->certificate, pair->key); /* cut if long */
    } else if (e == ERR_OK && !read_validity(pair->certificate, out)) {
        (void)snprintf(reason, NET_TLS_REASON_BYTES, "certificate %s: its dates cannot be read",
                       pair->certificate); /* cut if long */
        e = ERR_NET_TLS;
    }
    ERR_clear_error();
    return e;
}

static const char *days_word(int days)
{
    return days == 1 ? "day" : "days";
}

bool net_certificate_warning(const struct net_tls_pair *pair, const struct net_certificate *c,
                             int days, char *out, size_t size)
{
    if (c->days_left < 0) {
        (void)snprintf(out, size, "%s expired %d %s ago — renew it, then send SIGHUP",
                       pair->certificate, -c->days_left, days_word(-c->days_left));
    } else if (c->days_until > 0) {
        (void)snprintf(out, size, "%s is valid only in %d %s — check it and the clock",
                       pair->certificate, c->days_until, days_word(c->days_until));
    } else if (c->days_left < days) {
        (void)snprintf(out, size, "%s expires in %d %s — renew it, then send SIGHUP",
                       pair->certificate, c->days_left, days_word(c->days_left));
    } else {
        return false;
    }
    return true;
}
