/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cors.h — which web pages may read our replies. Off unless the configuration names origins.
 *
 * Ownership  lines are in the arena given.
 * Threads    any.
 * Sources    Fetch standard, section "CORS protocol" (fetch.spec.whatwg.org).
 */
#ifndef GATEWAY_CORS_H
#define GATEWAY_CORS_H

#include "gateway/policy.h"
#include "http/http_request.h"

/* The header lines that a reply to this request has: none, or only Vary, when it has no Origin or
 * one that is not configured. Empty without memory. */
struct span cors_fields(const struct policy *p, const struct http_request *head,
                        struct arena *arena);

/* Whether the request is a preflight from an origin that is configured. */
bool cors_is_preflight(const struct policy *p, const struct http_request *head);

/* The lines of the reply to a preflight, beside cors_fields(). */
struct span cors_preflight_fields(const struct policy *p, struct arena *arena);

#endif
