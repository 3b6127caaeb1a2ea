/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/doctor_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/net_listen.h"
#include "net/net_tls.h"

#define WARN_DAYS 30

/* Days until the first certificate of the file ends; negative: since. False if it has none. */
static bool read_validity(const char *path, int *days_left, int *days_until_begin)
{
    int seconds;
    FILE *file = fopen(path, "re");
    X509 *certificate = file == NULL ? NULL : PEM_read_X509(file, NULL, NULL, NULL);
    bool ok = certificate != NULL &&
              ASN1_TIME_diff(days_left, &seconds, NULL, X509_get0_notAfter(certificate)) == 1;
    if (ok && *days_left == 0 && seconds < 0) {
        *days_left = -1;
    }
    ok = ok &&
         ASN1_TIME_diff(days_until_begin, &seconds, NULL, X509_get0_notBefore(certificate)) == 1;
    if (ok && *days_until_begin == 0 && seconds > 0) {
        *days_until_begin = 1;
    }
    X509_free(certificate);
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
    return ok;
}

static void check_pair(struct doctor *d, const char *address, struct net_tls_pair pair)
{
    char reason[NET_TLS_REASON_BYTES] = "";
    struct net_tls *tls = NULL;
    struct stat st;
    int left = 0;
    int until = 0;
    if (net_tls_open_server(&pair, 1, reason, &tls) != ERR_OK ||
        !read_validity(pair.certificate, &left, &until)) {
        doctor_say(d, DOCTOR_FAIL, "certificate", "%s: %s — give it the matching pair of PEM files",
                   address, reason[0] != '\0' ? reason : "it cannot be read");
    } else if (left < 0) {
        doctor_say(d, DOCTOR_FAIL, "certificate",
                   "%s expired %d %s ago — renew it, then send SIGHUP", pair.certificate, -left,
                   left == -1 ? "day" : "days");
    } else if (until > 0) {
        doctor_say(d, DOCTOR_FAIL, "certificate",
                   "%s is valid only in %d days — check it and the clock", pair.certificate, until);
    } else if (left < WARN_DAYS) {
        doctor_say(d, DOCTOR_WARN, "certificate",
                   "%s expires in %d days — renew it, then send SIGHUP", pair.certificate, left);
    } else {
        doctor_say(d, DOCTOR_OK, "certificate", "%s is valid for %d more days", pair.certificate,
                   left);
    }
    net_tls_unref(&tls);
    if (stat(pair.key, &st) == 0 && (st.st_mode & 0007) != 0) {
        doctor_say(d, DOCTOR_WARN, "certificate", "every user may read the key %s — chmod 640 %s",
                   pair.key, pair.key);
    }
}

void doctor_check_certificates(struct doctor *d)
{
    const struct server_settings *s = &d->settings->server;
    for (size_t i = 0; i < s->listens_count; i++) {
        const struct server_listen *l = &s->listens[i];
        if (l->tls_certificate == NULL) {
            continue;
        }
        check_pair(d, l->address, (struct net_tls_pair){l->tls_certificate, l->tls_key});
        for (size_t p = 0; p < l->tls_sni_keys.count; p++) {
            check_pair(d, l->address,
                       (struct net_tls_pair){l->tls_sni_certificates.at[p], l->tls_sni_keys.at[p]});
        }
    }
}

static unsigned port_of(const struct net_address *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->storage.ss_family == AF_INET) {
        memcpy(&v4, &address->storage, sizeof(v4));
        return ntohs(v4.sin_port);
    }
    if (address->storage.ss_family == AF_INET6) {
        memcpy(&v6, &address->storage, sizeof(v6));
        return ntohs(v6.sin6_port);
    }
    return 0;
}

static void say_held(struct doctor *d, const char *setting, const char *text, unsigned port)
{
    char holder[128];
    doctor_find_holder(port, holder, sizeof(holder));
    bool is_ours =
        strncmp(holder, "atlas (", 7) == 0 || strncmp(holder, "atlas-gateway (", 15) == 0;
    if (is_ours) {
        doctor_say(d, DOCTOR_OK, setting, "%s is held by %s, which runs already", text, holder);
    } else {
        doctor_say(d, DOCTOR_FAIL, setting, "%s is held by %s — stop it, or choose another port",
                   text, holder);
    }
}

static void check_port(struct doctor *d, const char *setting, const char *text)
{
    struct net_address address;
    int fd = -1;
    if (net_address_parse(text, &address) != ERR_OK) {
        doctor_say(d, DOCTOR_FAIL, setting, "%s is not an address", text);
        return;
    }
    unsigned port = port_of(&address);
    if (port == 0) {
        doctor_say(d, DOCTOR_OK, setting, "%s is nobody else's", text);
        return;
    }
    if (net_listen_fd(&address, false, &fd) == ERR_OK) {
        (void)close(fd); /* it was never used */
        doctor_say(d, DOCTOR_OK, setting, "%s is free", text);
    } else if (errno == EADDRINUSE) {
        say_held(d, setting, text, port);
    } else if (errno == EACCES) {
        doctor_say(d, DOCTOR_FAIL, setting,
                   "%s needs a right that user %d lacks — choose a port from 1024 on, or give the "
                   "service CAP_NET_BIND_SERVICE",
                   text, (int)geteuid());
    } else {
        doctor_say(d, DOCTOR_FAIL, setting, "%s: %s — does this machine have that address?", text,
                   strerrordesc_np(errno));
    }
}

void doctor_check_ports(struct doctor *d)
{
    const struct server_settings *s = &d->settings->server;
    for (size_t i = 0; i < s->listens_count; i++) {
        check_port(d, "listen", s->listens[i].address);
    }
    check_port(d, "admin", d->settings->admin.address);
}
