/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers whose text is not all well-formed UTF-8: a model's token may end in the middle of a
 * character, and a server may send it so. One bad token is no bad answer: each ill-formed part
 * becomes U+FFFD, as a browser would show it. An answer with more of them than a model makes is in
 * another encoding, and is refused.
 *
 * Looked for only where reading has failed, so that good answers cost nothing.
 */
#include "base/memory.h"
#include "call/call_internal.h"
#include "json/json_scan.h"

#define MENDED_MOST 4096 /* parts of one event or reply */

enum err call_try_index_event(struct call_try *t, struct span *data, struct json_edits *edits,
                              enum openai_verdict *verdict)
{
    struct call_shared *shared = t->call->shared;
    enum err e =
        openai_stream_event(&t->stream, *data, &shared->index, &shared->turn, edits, verdict);
    size_t len = e == ERR_UPSTREAM_STREAM ? json_scan_mended(*data, MENDED_MOST) : 0;
    if (len == 0) {
        return e;
    }
    uint8_t *to = arena_alloc(&shared->turn, len);
    if (to == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)json_scan_mend(*data, to); /* `len`, which was measured */
    *data = span_make(to, len);
    return openai_stream_event(&t->stream, *data, &shared->index, &shared->turn, edits, verdict);
}

/* Makes the mended reply the try's own. */
static enum err mend_reply(struct call_try *t, struct span *reply, size_t len)
{
    if (!memory_take(len)) {
        return ERR_OVERLOADED;
    }
    uint8_t *to = memory_raw(len);
    if (to == NULL) {
        memory_give(len);
        return ERR_NO_MEMORY;
    }
    (void)json_scan_mend(*reply, to); /* `len`, which was measured */
    call_try_release_reply(t);
    t->reply = to;
    t->reply_len = t->reply_cap = len;
    *reply = span_make(to, len);
    return ERR_OK;
}

enum err call_try_index_reply(struct call_try *t, struct json_index *index, struct span *reply)
{
    enum err e = json_index_parse_borrow(index, *reply);
    size_t len = e == ERR_BODY_NOT_JSON ? json_scan_mended(*reply, MENDED_MOST) : 0;
    if (len > 0) {
        e = mend_reply(t, reply, len);
        if (e != ERR_OK) {
            return e;
        }
        e = json_index_parse_borrow(index, *reply);
    }
    return e == ERR_OK || err_is_memory(e) ? e : ERR_UPSTREAM_JSON;
}
