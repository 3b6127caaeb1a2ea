/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_session.h — which chat a request belongs to: what its caller calls it, else how it opened.
 *
 * Every turn of a chat is a request of its own, and repeats those before. Callers that number their
 * chats say so in a member of the body (or in a header, which is decision_session.h's affair); of
 * others the instruction and the first turn of the user tell one from another, for they stay as
 * they were.
 *
 * Ownership  texts are copies in the arena.
 * Limits     OPENAI_SESSION_MAX bytes of a name; OPENAI_OPENING_BYTES of an opening.
 * Threads    any; pure.
 * Sources    OpenAI's API reference (prompt_cache_key, conversation, metadata); what LiteLLM and
 *            OpenRouter take (litellm_session_id, session_id).
 */
#ifndef OPENAI_OPENAI_SESSION_H
#define OPENAI_OPENAI_SESSION_H

#include "base/arena.h"
#include "openai/openai_count.h"
#include "openai/openai_request.h"

#define OPENAI_SESSION_MAX   128
#define OPENAI_OPENING_BYTES 1600

struct openai_session {
    struct span named;   /* by its caller; "": it is not */
    struct span opening; /* the beginnings of the instruction and of the first turn; "": there is
                            neither. Embeddings have none, nor what is named */
};

/* Whether a text will do for the name of a session: 1 to OPENAI_SESSION_MAX visible characters of
 * ASCII. What will not is passed over. */
bool openai_session_is_name(struct span text);

/* Reads it of the index `x` of a request that was counted (NULL: token numbers, which have no
 * opening). ERR_NO_MEMORY. */
MUST_USE enum err openai_session_read(const struct openai_count *count, const struct json_index *x,
                                      const struct openai_request *request, struct arena *arena,
                                      struct openai_session *out);

#endif
