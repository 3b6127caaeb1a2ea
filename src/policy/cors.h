/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cors.h — which web pages may read our replies. Off unless the configuration names origins.
 *
 * Ownership  lines are in the arena given.
 * Threads    any.
 * Sources    Fetch standard, section "CORS protocol" (fetch.spec.whatwg.org).
 */
#ifndef POLICY_CORS_H
#define POLICY_CORS_H

#include "http/http_request.h"
#include "policy/policy.h"

/* The header lines that a reply to this request has: none, or only Vary, when it has no Origin or
 * one that is not configured. Empty without memory. */
struct span cors_fields(const struct policy *p, const struct http_request *head,
                        struct arena *arena);

/* Whether the request is a preflight from an origin that is configured. */
bool cors_is_preflight(const struct policy *p, const struct http_request *head);

/* The lines of the reply to a preflight, beside cors_fields(): the page may send the headers that
 * it asks for, up to 2 KiB of names. */
struct span cors_preflight_fields(const struct policy *p, const struct http_request *head,
                                  struct arena *arena);

#endif
