/* SPDX-License-Identifier: Apache-2.0 */
#include "decision/decision_session.h"

#include "crypto/hmac.h"
#include "decision/decision_internal.h"

/* By which clients say which chat it is, those that are of one client alone first. Ids that each
 * request has anew (X-Request-Id, X-Client-Request-Id) are none, nor is who asks. */
static const char *const headers[] = {
    "x-openwebui-chat-id", /* Open WebUI, with ENABLE_FORWARD_USER_INFO_HEADERS */
    "x-claude-code-session-id",
    "x-opencode-session",
    "x-kilocode-taskid",
    "x-amp-thread-id",
    "x-litellm-session-id",
    "helicone-session-id",
    "x-conversation-id", /* LibreChat and others, as their operators write it */
    "conversation-id",
    "conversation_id", /* Codex */
    "x-session-id",    /* OpenCode, Kilo Code */
    "session-id",      /* Codex */
    "session_id",
    "x-session-affinity", /* OpenCode, Pi */
};
#define HEADERS (sizeof(headers) / sizeof(headers[0]))

/* The place of a header among those before `end`; `end`: it is none of them. */
static size_t find_rank(struct span name, size_t end)
{
    size_t rank = 0;
    while (rank < end && !span_equal_nocase(name, span_of(headers[rank]))) {
        rank++;
    }
    return rank;
}

/* The value of the first of these headers that is a name; "": there is none. */
static struct span find_header(const struct http_fields *f)
{
    struct span found = SPAN("");
    size_t best = HEADERS;
    for (uint32_t i = 0; f != NULL && i < f->count; i++) {
        struct span value = http_field_value(f, i);
        size_t rank = find_rank(http_field_name(f, i), best);
        if (rank < best && openai_session_is_name(value)) {
            best = rank;
            found = value;
        }
    }
    return found;
}

struct span decision_model_name(const struct decision_ask *ask)
{
    struct policy_match match;
    return policy_find(ask->policy, ask->model, &match) ? match.shown : ask->model;
}

/* Of a key's id, its end, and a text. */
static void digest_with(const struct key_handle *key, struct span text,
                        uint8_t out[CRYPTO_SHA256_BYTES])
{
    crypto_sha256_two(span_make(key->id, strlen(key->id) + 1), text, out);
}

static void take_name(const struct decision_ask *ask, struct span name,
                      struct decision_session *out)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    digest_with(ask->key, name, digest);
    out->is_named = true;
    out->len = name.len;
    memcpy(out->id, name.at, name.len);
    memcpy(&out->hash, digest, sizeof(out->hash));
}

/* Of the key, the model by its name, and the opening. */
static void take_opening(const struct decision_ask *ask, struct span opening,
                         struct decision_session *out)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t first[CRYPTO_SHA256_BYTES], digest[CRYPTO_SHA256_BYTES];
    digest_with(ask->key, opening, first);
    crypto_sha256_two(span_make(first, sizeof(first)), decision_model_name(ask), digest);
    for (size_t i = 0; i < sizeof(out->hash); i++) {
        out->id[out->len++] = hex[digest[i] >> 4];
        out->id[out->len++] = hex[digest[i] & 0xF];
    }
    memcpy(&out->hash, digest, sizeof(out->hash));
}

uint64_t decision_session_named(const struct decision_ask *ask)
{
    struct decision_session session = {.hash = 0};
    struct span name = find_header(ask->headers);
    if (name.len == 0 && ask->prefixes != NULL) {
        name = ask->prefixes->named;
    }
    if (name.len > 0) {
        take_name(ask, name, &session);
    }
    return session.hash;
}

void decision_session_find(const struct decision_ask *ask, struct decision_session *out)
{
    struct span name = find_header(ask->headers);
    const struct openai_session *said = ask->gist == NULL ? NULL : &ask->gist->session;
    *out = (struct decision_session){.hash = 0};
    if (name.len == 0 && said != NULL) {
        name = said->named;
    }
    if (name.len > 0) {
        take_name(ask, name, out);
    } else if (said != NULL && said->opening.len > 0) {
        take_opening(ask, said->opening, out);
    }
}
