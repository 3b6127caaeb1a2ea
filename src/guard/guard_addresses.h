/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_addresses.h — the kinds of addresses, each asked at the sign that it cannot be without.
 *
 * For guard's own files.
 */
#ifndef GUARD_GUARD_ADDRESSES_H
#define GUARD_GUARD_ADDRESSES_H

#include "guard/guard_hints.h"

#define GUARD_LOCAL_MAX 64 /* bytes before the @ */

struct guard_addresses {
    const struct guard_window *window;
    struct guard_sink *sink;
    uint32_t types;
    struct guard_hints hints;
};

/* A value that begins at `start` would have ended at `at`, where its sight ends: it waits. */
bool guard_waits_at(const struct guard_addresses *a, size_t start, size_t at);

/* At "@": an e-mail address. */
void guard_find_email(struct guard_addresses *a, size_t at);
/* At "[" or "(": one that is written "name [at] host [dot] com". */
void guard_find_email_spelt(struct guard_addresses *a, size_t at);
/* Where an e-mail address may begin that has its @ at or behind the window's end. */
size_t guard_email_tail(const struct guard_window *w);

/* At ":" of "://": the user and the password that follow. */
void guard_find_credentials(struct guard_addresses *a, size_t at);

/* At ".", at ":", at "-". */
void guard_find_ipv4(struct guard_addresses *a, size_t at);
void guard_find_ipv6(struct guard_addresses *a, size_t at);
void guard_find_mac(struct guard_addresses *a, size_t at);

#endif
