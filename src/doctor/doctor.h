/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h — what may stand between a configuration and a working gateway.
 *
 * It changes nothing. Each check says a line a finding: "ok", "warn" (it works, but) or "FAIL" (it
 * will not), what it looked at, and how to mend it.
 *
 * Ownership  nothing is kept.
 * Limits     a model server is waited for as long as its own timeouts say.
 * Threads    the main thread.
 */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stdio.h>

/* Looks at the configuration at `path` and at all that it names; prints what was found, and how
 * many of each, to `out`. Whether nothing is to be mended. */
bool doctor_run(const char *path, FILE *out);

#endif
