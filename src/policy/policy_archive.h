/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_archive.h — the texts of policies that were in force, a file each in the data folder, so
 * that an auditor sees what was, and not what is.
 *
 * A file is one object of JSON: the line that the digest of records is of (policy_digest.h), and
 * the files that it was read from, without secrets. What is read back has been proven by its
 * digests.
 *
 * Ownership  nothing is kept.
 * Limits     POLICY_ARCHIVE_BYTES_MAX a file.
 * Threads    any, one at a time for one file.
 * Sources    docs/formats/policies.md.
 */
#ifndef POLICY_POLICY_ARCHIVE_H
#define POLICY_POLICY_ARCHIVE_H

#include "base/buf.h"
#include "crypto/hmac.h"
#include "policy/policy_settings.h"
#include "upstream/upstream_settings.h"

#define POLICY_ARCHIVE_FOLDER    "policies" /* in the data folder */
#define POLICY_ARCHIVE_BYTES_MAX (300u << 20)
#define POLICY_ARCHIVE_HEX       (2 * CRYPTO_SHA256_BYTES + 1)

struct arena;

/* One that was read back; its texts lie in the arena. .at NULL: there was no such file. */
struct policy_archived {
    struct span line; /* that the digest is of */
    struct policy_texts texts;
};

/* A digest as 64 hexadecimal digits. */
void policy_archive_hex(const uint8_t digest[CRYPTO_SHA256_BYTES], char out[POLICY_ARCHIVE_HEX]);

/* Writes a policy's file, and its digest. ERR_NO_MEMORY. */
MUST_USE enum err policy_archive_write(const struct policy_settings *settings,
                                       const struct upstream_settings *upstreams, struct buf *out,
                                       uint8_t digest[CRYPTO_SHA256_BYTES]);

/*
 * Puts the file of a digest and a version into the data folder, whole or not at all; it is on the
 * disk then. One that was there is replaced.
 *
 *   ERR_DISK_FULL, ERR_DISK, ERR_NO_FILES
 */
MUST_USE enum err policy_archive_put(const char *data, const uint8_t digest[CRYPTO_SHA256_BYTES],
                                     int64_t version, struct span text);

/*
 * Reads it back; `whole` is the SHA-256 of its text.
 *
 *   ERR_NOT_FOUND_ROW  it is not there
 *   ERR_VALUE_INVALID  it is not what was written, or of another digest
 *   ERR_DISK, ERR_NO_FILES, ERR_NO_MEMORY
 */
MUST_USE enum err policy_archive_get(const char *data, const uint8_t digest[CRYPTO_SHA256_BYTES],
                                     const uint8_t whole[CRYPTO_SHA256_BYTES], int64_t version,
                                     struct arena *arena, struct policy_archived *out);

/* Takes it away, if it is there. */
void policy_archive_drop(const char *data, const uint8_t digest[CRYPTO_SHA256_BYTES],
                         int64_t version);

#endif
