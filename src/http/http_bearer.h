/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_bearer.h — the token of an Authorization field.
 *
 * Ownership  none: the token lies in the field's value.
 * Threads    any.
 * Sources    RFC 6750 section 2.1; RFC 9110 section 11.4 (the scheme in any case of letters).
 */
#ifndef HTTP_HTTP_BEARER_H
#define HTTP_HTTP_BEARER_H

#include "base/err.h"
#include "base/span.h"

/* Takes the token of "Bearer TOKEN". ERR_KEY_MISSING: there is none, or another scheme. */
MUST_USE enum err http_bearer(struct span authorization, struct span *token);

#endif
