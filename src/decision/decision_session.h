/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decision_session.h — which chat a call belongs to, so that the calls of one can be kept together.
 *
 *   1. a header by which a known client numbers its chats (Open WebUI, Claude Code, Codex,
 *      OpenCode, Kilo Code, Amp; X-Session-Id and X-Conversation-Id of any)
 *   2. a member of the body that does: openai/openai_session.h
 *   3. else how the chat opened: a digest of the key, the model and that
 *
 * A name is the client's own and bounded; it may be compared, and is not for logs. The hash has
 * the key mixed in, so that sessions of two keys are never one, whatever they are called.
 *
 * Ownership  none: a session is a value.
 * Limits     some 2 µs.
 * Threads    any; pure.
 * Sources    the headers: docs/routing.md.
 */
#ifndef DECISION_DECISION_SESSION_H
#define DECISION_DECISION_SESSION_H

#include "openai/openai_session.h"

struct decision_ask;

struct decision_session {
    uint64_t hash; /* of the key and the id; 0: there is no session */
    bool is_named; /* by the client; else the id is 16 hexadecimal digits */
    size_t len;    /* of the id; 0: there is none */
    char id[OPENAI_SESSION_MAX];
};

/* Which session a call is of, if it may be told: else all zero. The gist's session must have been
 * read, but for that of a header. */
void decision_session_find(const struct decision_ask *ask, struct decision_session *out);

/* The hash of the session that the client names, in a header or as ask->prefixes says; 0: it names
 * none. */
uint64_t decision_session_named(const struct decision_ask *ask);

#endif
