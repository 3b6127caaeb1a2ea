/* SPDX-License-Identifier: Apache-2.0 */
#include "keys/key_string.h"

#include "crypto/base62.h"
#include "crypto/crc.h"

#define SECRET_CHARS 32
#define CRC_CHARS    CRYPTO_BASE62_U32_CHARS
#define RANDOM_CHARS (KEY_ID_CHARS + SECRET_CHARS)

static const struct {
    enum key_kind kind;
    const char *name;
    struct span prefix;
} kinds[] = {
    {KEY_LIVE, "live", {(const uint8_t *)"mx4_sk_live_", 12}},
    {KEY_TEST, "test", {(const uint8_t *)"mx4_sk_test_", 12}},
    {KEY_ADMIN, "admin", {(const uint8_t *)"mx4_ak_", 7}},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

void key_string_make(enum key_kind kind, struct key_text *out)
{
    CHECK(kind >= KEY_LIVE && kind <= KEY_ADMIN);
    struct span prefix = kinds[kind - KEY_LIVE].prefix;
    char *at = out->text;
    memcpy(at, prefix.at, prefix.len);
    at += prefix.len;
    crypto_base62_random(at, RANDOM_CHARS);
    at += RANDOM_CHARS;
    uint32_t crc = crypto_crc32(0, span_make(out->text, (size_t)(at - out->text)));
    crypto_base62_write(crc, at, CRC_CHARS);
    at[CRC_CHARS] = '\0';
}

enum err key_string_parse(struct span text, struct key_parts *out)
{
    size_t k = 0;
    while (k < KINDS && !span_starts(text, kinds[k].prefix)) {
        k++;
    }
    if (k == KINDS || text.len != kinds[k].prefix.len + RANDOM_CHARS + CRC_CHARS) {
        return ERR_KEY_INVALID;
    }
    size_t crc_at = text.len - CRC_CHARS;
    uint64_t crc;
    if (!crypto_is_base62(span_cut(text, kinds[k].prefix.len, RANDOM_CHARS)) ||
        crypto_base62_parse(span_cut(text, crc_at, CRC_CHARS), &crc) != ERR_OK ||
        crc != crypto_crc32(0, span_cut(text, 0, crc_at))) {
        return ERR_KEY_INVALID;
    }
    *out = (struct key_parts){kinds[k].kind, span_cut(text, kinds[k].prefix.len, KEY_ID_CHARS)};
    return ERR_OK;
}

const char *key_kind_name(int kind)
{
    return kind >= KEY_LIVE && kind <= KEY_ADMIN ? kinds[kind - KEY_LIVE].name : "unknown";
}
