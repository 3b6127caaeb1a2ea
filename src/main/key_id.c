/* SPDX-License-Identifier: Apache-2.0 */
#include "main/key_id.h"

#include <stdio.h>

#include "cli/cli_options.h"
#include "crypto/base62.h"

int main_key_id(const char *command, const char *word, struct span *id)
{
    struct key_parts parts;
    *id = key_string_parse(span_of(word), &parts) == ERR_OK ? parts.id : span_of(word);
    if (id->len != KEY_ID_CHARS || !crypto_is_base62(*id)) {
        fprintf(stderr, "atlas %s: '%s' is not a key's id; `atlas key list` shows them\n", command,
                word);
        return CLI_MISUSED;
    }
    return CLI_GO_ON;
}

struct span main_key_path(struct span id, char out[MAIN_KEY_PATH_BYTES])
{
    int len = snprintf(out, MAIN_KEY_PATH_BYTES, ADMIN_KEYS_PATH "/%.*s", SPAN_ARGS(id));
    return span_make(out, (size_t)len); /* it fits */
}
