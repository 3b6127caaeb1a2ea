/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_digest.h — one number for what the configuration says of models and upstreams, and its
 * rules: records name it, and policy_archive.h keeps what it is of.
 *
 * Threads  any.
 * Sources  docs/formats/journal.md, "Which policy was in force".
 */
#ifndef POLICY_POLICY_DIGEST_H
#define POLICY_POLICY_DIGEST_H

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hmac.h"
#include "policy/policy_settings.h"
#include "upstream/upstream_settings.h"

#define POLICY_DIGEST_TEXT_MAX (256u << 20)

/* Puts that as a line of JSON. No secret is part of it. ERR_NO_MEMORY. */
MUST_USE enum err policy_digest_text(const struct policy_settings *settings,
                                     const struct upstream_settings *upstreams, struct buf *out);

/* Its SHA-256. ERR_NO_MEMORY. */
MUST_USE enum err policy_digest(const struct policy_settings *settings,
                                const struct upstream_settings *upstreams,
                                uint8_t out[CRYPTO_SHA256_BYTES]);

#endif
