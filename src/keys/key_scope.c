/* SPDX-License-Identifier: Apache-2.0 */
#include "keys/key_scope.h"

const char *key_scope_name(uint32_t scope)
{
    switch (scope) {
    case KEY_SCOPE_CHAT:
        return "chat";
    case KEY_SCOPE_COMPLETIONS:
        return "completions";
    case KEY_SCOPE_EMBEDDINGS:
        return "embeddings";
    case KEY_SCOPE_MODELS:
        return "models";
    case KEY_SCOPE_READ:
        return "read";
    default:
        return "write";
    }
}
