/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key is looked up in any case: that takes less than a microsecond, and whoever shares an address
 * with somebody who guesses, has a good key and is let in. What guessing runs out of is answers.
 */
#include "call/call_key.h"

#include "http/http_bearer.h"
#include "http/http_request.h"
#include "keys/key_string.h"

/* A key that is none: tells the log, once a minute, of an address that tries many. Whether the
 * address is told once more that it is none. */
static bool may_guess(struct call_shared *shared, uint64_t source, const char *who,
                      struct span token, int64_t *retry_s)
{
    struct limits_tightest guesses;
    mono_us now = shared->ports->mono();
    struct span key = span_make(&source, sizeof(source));
    if (strangers_try(&shared->strangers, who, token, now) &&
        limits_gate_is_news(shared->gate, LIMITS_NEWS_GUESSING, key, now)) {
        strangers_tell_guesses(who);
    }
    if (limits_gate_guess(shared->gate, &shared->gate_terms, source, now, &guesses)) {
        return true;
    }
    *retry_s = (guesses.standing.one_more_us + 999999) / 1000000;
    return false;
}

static void tell_revoked(struct call_shared *shared, const char *who, struct span token)
{
    struct key_parts parts;
    if (key_string_parse(token, &parts) == ERR_OK &&
        limits_gate_is_news(shared->gate, LIMITS_NEWS_REVOKED, parts.id, shared->ports->mono())) {
        strangers_tell_revoked(who, parts.id);
    }
}

/* What a client without a good key is told. */
static enum err judge(struct call_shared *shared, const struct call_client *by, void *client,
                      struct span token, enum err e, int64_t *retry_s)
{
    char room[NET_IP_TEXT];
    struct net_ip address;
    const char *who = call_client_text(by, client, room);
    (void)by->address(client, &address); /* whoever says so */
    strangers_note(&shared->strangers, who, e, shared->ports->mono());
    if (shared->gate == NULL) {
        return e;
    }
    if (e == ERR_KEY_REVOKED) {
        tell_revoked(shared, who, token);
    }
    bool is_told = e != ERR_KEY_INVALID ||
                   may_guess(shared, limits_source_of(address.bytes), who, token, retry_s);
    return is_told ? e : ERR_KEYS_GUESSED;
}

enum err call_key_check(struct call_shared *shared, const struct call_client *by, void *client,
                        wall_us now, struct key_handle *out, int64_t *retry_s)
{
    const struct http_fields *fields = &by->head(client)->fields;
    struct span token = SPAN("");
    enum err e = http_bearer(http_fields_find(fields, HTTP_NAME_AUTHORIZATION), &token);
    if (e == ERR_OK) {
        e = shared->ports->keys.check(shared->keys, token, KEY_USE_INFERENCE, now, out);
    }
    return e == ERR_OK ? e : judge(shared, by, client, token, e, retry_s);
}

void call_key_note(const struct call_shared *shared, const struct call_client *by, void *client,
                   const struct key_handle *key, wall_us now)
{
    struct net_ip from;
    (void)by->address(client, &from); /* whoever says so */
    shared->ports->keys.note(shared->keys, key, &from, now);
}
