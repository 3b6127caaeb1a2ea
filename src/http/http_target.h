/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_target.h — what a request target's path and query name.
 *
 * A path is split before it is decoded, and decoded once: http_target_below() finds the raw part
 * behind a known prefix, http_target_decode() makes it the name it stands for. So a model id with a
 * slash is the same whether it came as "/" or "%2F", and no escape can make a path that the router
 * did not see.
 *
 * Ownership  none; decoded bytes go to the caller's memory.
 * Threads    any.
 * Sources    RFC 3986 sections 2.1 and 3.3; WHATWG URL (application/x-www-form-urlencoded).
 */
#ifndef HTTP_HTTP_TARGET_H
#define HTTP_HTTP_TARGET_H

#include "base/err.h"
#include "base/span.h"

/* The raw part of `path` behind `prefix`, such as "/v1/models/"; {NULL, 0} if it is not below. */
struct span http_target_below(struct span path, struct span prefix);

/*
 * Decodes `raw` once into `out`, which has room for raw.len bytes; `*name` is what it became.
 *
 *   ERR_VALUE_INVALID  empty; a bad escape; a control byte; a segment that is empty, "." or ".."
 *                      (before or behind decoding)
 */
MUST_USE enum err http_target_decode(struct span raw, uint8_t *out, struct span *name);

/* The raw value of the first parameter `name` (as written, not decoded) of `query`; false if none.
 */
MUST_USE bool http_target_param(struct span query, struct span name, struct span *raw);

/*
 * Decodes a parameter's raw value into `out`, which has room for raw.len bytes: escapes, and "+" as
 * a blank. It may be empty.
 *
 *   ERR_VALUE_INVALID  a bad escape or a control byte
 */
MUST_USE enum err http_target_decode_param(struct span raw, uint8_t *out, struct span *value);

#endif
