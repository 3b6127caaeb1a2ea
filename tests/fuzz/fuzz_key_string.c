/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_key_string.c — what is read as a key has one form: its kind's prefix, Base62, and the
 * checksum of what stands before it. Every other input, too, is tried with a right checksum.
 */
#include "crypto/base62.h"
#include "crypto/crc.h"
#include "keys/key_string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_key(struct span text)
{
    struct key_parts parts;
    if (key_string_parse(text, &parts) != ERR_OK) {
        return;
    }
    CHECK(text.len <= KEY_TEXT_MAX);
    CHECK(parts.kind >= KEY_LIVE && parts.kind <= KEY_ADMIN);
    CHECK(parts.id.len == KEY_ID_CHARS && crypto_is_base62(parts.id));
    CHECK(parts.id.at > text.at && parts.id.at + parts.id.len < text.at + text.len);
    uint64_t crc;
    size_t crc_at = text.len - CRYPTO_BASE62_U32_CHARS;
    CHECK(crypto_base62_parse(span_cut(text, crc_at, text.len), &crc) == ERR_OK);
    CHECK(crc == crypto_crc32(0, span_cut(text, 0, crc_at)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char sealed[KEY_TEXT_MAX + CRYPTO_BASE62_U32_CHARS];
    struct span text = span_make(data, size);
    read_key(text);
    if (size <= KEY_TEXT_MAX && size > 0) {
        memcpy(sealed, data, size);
        crypto_base62_write(crypto_crc32(0, text), sealed + size, CRYPTO_BASE62_U32_CHARS);
        read_key(span_make(sealed, size + CRYPTO_BASE62_U32_CHARS));
    }
    return 0;
}
