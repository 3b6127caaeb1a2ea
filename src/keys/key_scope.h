/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_scope.h — what a key may be used for: a set of bits.
 *
 * Threads  any; all of it is constant.
 * Sources  docs/formats/schema.md, `api_key`.
 */
#ifndef KEYS_KEY_SCOPE_H
#define KEYS_KEY_SCOPE_H

#include <stdint.h>

/* What a key may be used for; the numbers are kept in the store and never change. */
enum key_scope {
    KEY_SCOPE_CHAT = 1U << 0,
    KEY_SCOPE_COMPLETIONS = 1U << 1,
    KEY_SCOPE_EMBEDDINGS = 1U << 2,
    KEY_SCOPE_MODELS = 1U << 3,
    KEY_SCOPE_READ = 1U << 28, /* of an admin key: what changes nothing */
    KEY_SCOPE_WRITE = 1U << 29,
};

#define KEY_SCOPES_INFERENCE \
    ((uint32_t)(KEY_SCOPE_CHAT | KEY_SCOPE_COMPLETIONS | KEY_SCOPE_EMBEDDINGS | KEY_SCOPE_MODELS))

#define KEY_SCOPES_ADMIN ((uint32_t)(KEY_SCOPE_READ | KEY_SCOPE_WRITE))

/* The word of one scope: "chat". */
const char *key_scope_name(uint32_t scope);

#endif
