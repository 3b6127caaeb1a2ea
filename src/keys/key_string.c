/* SPDX-License-Identifier: Apache-2.0 */
#include "keys/key_string.h"

#include "crypto/base62.h"
#include "crypto/crc.h"
#include "crypto/hmac.h"
#include "crypto/random.h"

#define BASE         62
#define FAIR         248 /* the largest multiple of it below 256 */
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

static void make(enum key_kind kind, const char middle[RANDOM_CHARS], struct key_text *out)
{
    CHECK(kind >= KEY_LIVE && kind <= KEY_ADMIN);
    struct span prefix = kinds[kind - KEY_LIVE].prefix;
    char *at = out->text;
    memcpy(at, prefix.at, prefix.len);
    at += prefix.len;
    memcpy(at, middle, RANDOM_CHARS);
    at += RANDOM_CHARS;
    uint32_t crc = crypto_crc32(0, span_make(out->text, (size_t)(at - out->text)));
    crypto_base62_write(crc, at, CRC_CHARS);
    at[CRC_CHARS] = '\0';
}

/* Bytes come in blocks, each a MAC of its number; those that would favour some characters are left
 * out. */
static void middle_of(const uint8_t seed[KEY_SEED_BYTES], char middle[RANDOM_CHARS])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint8_t block[CRYPTO_SHA256_BYTES];
    struct crypto_hmac_key hmac;
    size_t len = 0;
    crypto_hmac_key_init(&hmac, span_make(seed, KEY_SEED_BYTES));
    for (uint8_t number = 0; len < RANDOM_CHARS; number++) {
        crypto_hmac(&hmac, span_make(&number, 1), block);
        for (size_t i = 0; i < sizeof(block) && len < RANDOM_CHARS; i++) {
            if (block[i] < FAIR) {
                middle[len++] = digits[block[i] % BASE];
            }
        }
    }
    crypto_wipe(block, sizeof(block));
    crypto_wipe(&hmac, sizeof(hmac));
}

void key_string_make(enum key_kind kind, struct key_text *out)
{
    char middle[RANDOM_CHARS];
    crypto_base62_random(middle, sizeof(middle));
    make(kind, middle, out);
    crypto_wipe(middle, sizeof(middle));
}

void key_string_make_of(enum key_kind kind, const uint8_t seed[KEY_SEED_BYTES],
                        struct key_text *out)
{
    char middle[RANDOM_CHARS];
    middle_of(seed, middle);
    make(kind, middle, out);
    crypto_wipe(middle, sizeof(middle));
}

void key_string_make_again(enum key_kind kind, struct span id, const uint8_t *seed,
                           struct key_text *out)
{
    char middle[RANDOM_CHARS];
    CHECK(id.len == KEY_ID_CHARS);
    if (seed == NULL) {
        crypto_base62_random(middle, sizeof(middle));
    } else {
        middle_of(seed, middle);
    }
    memcpy(middle, id.at, KEY_ID_CHARS);
    make(kind, middle, out);
    crypto_wipe(middle, sizeof(middle));
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
