/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_digest.h — one number for what the configuration says of models and upstreams: records
 * name it, so that whoever kept the configuration can show which one was in force.
 *
 * Threads  any.
 * Sources  docs/formats/journal.md, "Which policy was in force".
 */
#ifndef POLICY_POLICY_DIGEST_H
#define POLICY_POLICY_DIGEST_H

#include "base/err.h"
#include "crypto/hmac.h"
#include "policy/policy_settings.h"
#include "upstream/upstream_settings.h"

/* The SHA-256 of that, as JSON. No secret is part of it. ERR_NO_MEMORY. */
MUST_USE enum err policy_digest(const struct policy_settings *settings,
                                const struct upstream_settings *upstreams,
                                uint8_t out[CRYPTO_SHA256_BYTES]);

#endif
