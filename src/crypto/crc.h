/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc.h — checksums against accidents, not against people.
 *
 * Both take the value so far (0 at the start) and bytes, and return the value with them, so a text
 * may be given in pieces: crc(crc(0, a), b) is crc(0, ab).
 *
 * Threads  any.
 * Sources  CRC-32: IEEE 802.3, as in zip and gzip (check value of "123456789": cbf43926).
 *          CRC-32C (Castagnoli): RFC 3720 appendix B.4 (check value: e3069283).
 */
#ifndef CRYPTO_CRC_H
#define CRYPTO_CRC_H

#include "base/span.h"

/* CRC-32, for the last six characters of a key. */
uint32_t crypto_crc32(uint32_t so_far, struct span bytes);

/* CRC-32C, for records on disk: the processor's own instruction where it has one. */
uint32_t crypto_crc32c(uint32_t so_far, struct span bytes);

/* CRC-32C by tables, whatever the processor has: what a test compares crypto_crc32c() with. */
uint32_t crypto_crc32c_by_table(uint32_t so_far, struct span bytes);

#endif
