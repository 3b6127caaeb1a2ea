/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone.h — which names are time zones of the IANA database, "Asia/Riyadh".
 *
 * GLib, which reads them, takes offsets, rules and paths, too, and what the machine's own zone is,
 * and says on standard error what it cannot read: who gives it a name asks here first.
 *
 * Limits   names of ZONE_NAME_MAX bytes. Reads a file: not on a call's path.
 * Threads  any.
 * Sources  RFC 8536 (the files); Debian's tzdata.
 */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include <stdbool.h>

#define ZONE_NAME_MAX 64

/* Whether it names a zone that this machine knows; "UTC" it always does. */
bool zone_is_known(const char *name);

#endif
