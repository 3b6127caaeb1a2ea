/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of an answer that comes in pieces and is read whole. It grows by doubling. */
#include "base/memory.h"
#include "call/call_internal.h"

#define REPLY_FIRST_BYTES (256 * 1024)

void call_try_release_reply(struct call_try *t)
{
    if (t->reply != NULL) {
        memory_give(t->reply_cap);
        memory_free(t->reply);
        t->reply = NULL;
        t->reply_len = t->reply_cap = 0;
    }
}

enum err call_try_keep(struct call_try *t, struct span bytes)
{
    if (bytes.len > t->reply_cap - t->reply_len) {
        size_t cap = t->reply_cap == 0 ? REPLY_FIRST_BYTES : t->reply_cap * 2;
        if (!memory_take(cap - t->reply_cap)) {
            return ERR_OVERLOADED;
        }
        uint8_t *grown = memory_resize(t->reply, cap);
        if (grown == NULL) {
            memory_give(cap - t->reply_cap);
            return ERR_NO_MEMORY;
        }
        t->reply = grown;
        t->reply_cap = cap;
    }
    memcpy(t->reply + t->reply_len, bytes.at, bytes.len);
    t->reply_len += bytes.len;
    return ERR_OK;
}
