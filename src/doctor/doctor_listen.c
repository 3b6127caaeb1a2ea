/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/doctor_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/holder.h"
#include "cli/cli_data.h"
#include "net/net_certificate.h"
#include "net/net_listen.h"

#define WARN_DAYS 30

static void check_pair(struct doctor *d, const char *address, struct net_tls_pair pair)
{
    char reason[NET_TLS_REASON_BYTES] = "";
    char warning[512];
    struct net_certificate c = {0};
    struct stat st;
    if (net_certificate_look(&pair, reason, &c) != ERR_OK) {
        doctor_say(d, DOCTOR_FAIL, "certificate",
                   "%s: %s — `certificate:` takes a PEM file and `key:` that of its private key",
                   address, reason[0] != '\0' ? reason : "it cannot be read");
    } else if (net_certificate_warning(&pair, &c, WARN_DAYS, warning, sizeof(warning))) {
        bool is_unusable = c.days_left < 0 || c.days_until > 0;
        doctor_say(d, is_unusable ? DOCTOR_FAIL : DOCTOR_WARN, "certificate", "%s", warning);
    } else {
        doctor_say(d, DOCTOR_OK, "certificate", "%s is valid for %d more days", pair.certificate,
                   c.days_left);
    }
    if (stat(pair.key, &st) == 0 && (st.st_mode & 0007) != 0) {
        doctor_say(d, DOCTOR_WARN, "certificate", "every user may read the key %s — chmod 640 %s",
                   pair.key, pair.key);
    }
}

void doctor_check_certificates(struct doctor *d)
{
    const struct server_listen *l;
    for (size_t i = 0; (l = settings_listen(d->settings, i)) != NULL; i++) {
        if (l->tls_certificate == NULL) {
            continue;
        }
        check_pair(d, l->address, (struct net_tls_pair){l->tls_certificate, l->tls_key});
        for (size_t p = 0; p < l->tls_sni_count; p++) {
            check_pair(d, l->address,
                       (struct net_tls_pair){l->tls_sni[p].certificate, l->tls_sni[p].key});
        }
    }
}

/* The gateway of this very data folder keeps its lock file open; another Atlas does not. */
static bool is_ours(const struct doctor *d, pid_t holder)
{
    char lock[CLI_PATH_MAX];
    return holder > 0 && cli_data_path(d->settings->data, CLI_LOCK_FILE, lock) == ERR_OK &&
           holder_has_open(holder, lock);
}

static void say_held(struct doctor *d, const char *setting, const char *text, unsigned port)
{
    char holder[HOLDER_BYTES];
    pid_t pid = holder_of_port(port, holder, sizeof(holder));
    if (is_ours(d, pid)) {
        d->runs = true;
        doctor_say(d, DOCTOR_OK, setting, "%s is held by %s, which runs already", text, holder);
    } else {
        bool is_atlas = strncmp(holder, "atlas", 5) == 0;
        doctor_say(d, DOCTOR_FAIL, setting, "%s is held by %s%s — stop it, or choose another port",
                   text, holder, is_atlas ? ", an Atlas of another data folder" : "");
    }
}

/* What is sent in the clear beyond this machine. */
static void check_reach(struct doctor *d, const char *setting, const char *text, bool is_tls)
{
    struct net_address address;
    if (net_address_parse(text, &address) != ERR_OK || net_address_is_loopback(&address)) {
        return;
    }
    if (!is_tls) {
        doctor_say(d, DOCTOR_WARN, setting,
                   "%s takes %s from other machines in the clear — give it `tls:`, or keep it "
                   "behind a proxy that has it",
                   text, strcmp(setting, "admin") == 0 ? "admin keys" : "keys and prompts");
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
    unsigned port = net_address_port(&address);
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

/* A gateway that works in this folder and holds none of these addresses was started with another
 * configuration, and `serve` refuses to be the second. */
static void check_lock(struct doctor *d)
{
    char lock[CLI_PATH_MAX];
    char holder[HOLDER_BYTES];
    if (d->runs || cli_data_path(d->settings->data, CLI_LOCK_FILE, lock) != ERR_OK ||
        holder_of_lock(lock, holder, sizeof(holder)) == 0 || strncmp(holder, "atlas", 5) != 0) {
        return;
    }
    doctor_say(d, DOCTOR_FAIL, "data folder",
               "%s is used by %s, which does not listen where this configuration says — stop it, "
               "or set `data:` to another folder",
               d->settings->data, holder);
}

void doctor_check_ports(struct doctor *d)
{
    const struct server_listen *l;
    for (size_t i = 0; (l = settings_listen(d->settings, i)) != NULL; i++) {
        const char *setting = l == &d->settings->admin.listen ? "admin" : "listen";
        check_port(d, setting, l->address);
        check_reach(d, setting, l->address, l->tls_certificate != NULL);
    }
    check_lock(d);
}
