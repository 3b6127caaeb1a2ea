/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_internal.h — the checks, and how they say what they found. For doctor's own files. */
#ifndef DOCTOR_DOCTOR_INTERNAL_H
#define DOCTOR_DOCTOR_INTERNAL_H

#include <stdio.h>

#include "base/check.h"
#include "settings/settings.h"

enum doctor_finding { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor {
    FILE *out; /* where the lines go */
    const struct settings *settings;
    size_t found[DOCTOR_FAIL + 1]; /* how many of each */
    bool runs;                     /* the gateway of this data folder holds one of its addresses */
};

/* Prints one line, "what: sentence". */
void doctor_say(struct doctor *d, enum doctor_finding finding, const char *what, const char *format,
                ...) PRINTF_LIKE(4, 5);

/* The data folder: who may enter it, whether the pepper, the store and the end of the journal are
 * sound, whether logs can be written, how much room its disk has. */
void doctor_check_data(struct doctor *d);

/* Whether the pepper file is its owner's alone and whole; true if it is. */
bool doctor_check_pepper(struct doctor *d);

/* Whether each key can be checked. The pepper file can be read, and the store is sound. */
void doctor_check_keys(struct doctor *d);

/* Whether the gateway can use the file of revoked keys: it is one, and this user's. */
void doctor_check_revoked(struct doctor *d);

/* The configuration's file: keys in it that others may read. */
void doctor_check_config_file(struct doctor *d);

/* A URL as it may be said: where the file does not hold it, a variable does, and that may be a
 * secret. The text lives as long as `url`. */
const char *doctor_shown_url(const struct doctor *d, const char *url);

/* Prices: models without one, prices of 0, budgets in a currency that no price has. */
void doctor_check_prices(struct doctor *d);

/* The clock, and the limit on open files. */
void doctor_check_machine(struct doctor *d);

/* Certificates: loadable, belonging to their keys, neither expired nor about to. */
void doctor_check_certificates(struct doctor *d);

/* Addresses to answer on: free, or held by whom. */
void doctor_check_ports(struct doctor *d);

/* Model servers: reachable, letting us in, serving the models that are configured. */
void doctor_check_upstreams(struct doctor *d);

/* What the running gateway, if there is one, has learnt of them: additions that they refuse. */
void doctor_check_running(struct doctor *d);

#endif
