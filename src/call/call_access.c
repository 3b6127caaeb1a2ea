/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call's line in the access log. The worker hands over its record as it is and, behind it, the
 * client's address and that of the proxy; the log thread makes the line.
 */
#include <stdio.h>

#include "call/call_internal.h"
#include "crypto/call_id.h"
#include "json/json_line.h"

/* Every text of a record, were each of its bytes escaped, and all that stands between them. */
_Static_assert(JSON_LINE_TEXT_MOST(JOURNAL_ROOM_BYTES) + 1024 <= LOG_LINE_MAX,
               "a line of the access log");

#define CLIENT_BYTES 48 /* of an address */
#define WHO_BYTES    (2 * CLIENT_BYTES)
#define HEAD_BYTES   offsetof(struct journal_record, room)

#define MEMBER_TEXT(to, key, text) json_line_text(JSON_LINE(to, ",\"" key "\":"), text)
#define MEMBER_INT(to, key, n)     json_line_int(JSON_LINE(to, ",\"" key "\":"), n)
#define MEMBER_BOOL(to, key, yes)  json_line_bool(JSON_LINE(to, ",\"" key "\":"), yes)

static uint8_t *put_call(uint8_t *to, const struct journal_record *r)
{
    char id[CRYPTO_CALL_ID_CHARS + 1];
    crypto_call_id_write(r->call_id, id);
    to = MEMBER_TEXT(to, "call", span_make(id, CRYPTO_CALL_ID_CHARS));
    to = MEMBER_TEXT(to, "key", journal_record_text(r, JOURNAL_TEXT_KEY));
    to = MEMBER_TEXT(to, "endpoint", journal_record_text(r, JOURNAL_TEXT_ENDPOINT));
    to = MEMBER_TEXT(to, "model", journal_record_text(r, JOURNAL_TEXT_MODEL));
    to = MEMBER_TEXT(to, "policy", journal_record_text(r, JOURNAL_TEXT_POLICY));
    to = MEMBER_TEXT(to, "fallback_from", journal_record_text(r, JOURNAL_TEXT_FALLBACK_FROM));
    to = MEMBER_TEXT(to, "upstream", journal_record_text(r, JOURNAL_TEXT_UPSTREAM));
    to = MEMBER_TEXT(to, "peer", journal_record_text(r, JOURNAL_TEXT_PEER));
    to = MEMBER_BOOL(to, "stream", r->stream != 0);
    to = MEMBER_INT(to, "status", r->status);
    to = MEMBER_TEXT(to, "outcome", span_of(journal_outcome_name(r->outcome)));
    to = MEMBER_TEXT(to, "findings", journal_record_text(r, JOURNAL_TEXT_FINDINGS));
    to = MEMBER_TEXT(to, "error", journal_record_text(r, JOURNAL_TEXT_ERROR));
    return MEMBER_INT(to, "attempts_sent", r->attempts_sent);
}

static uint8_t *put_amounts(uint8_t *to, const struct journal_record *r)
{
    to = MEMBER_INT(to, "bytes_in", r->bytes_in);
    to = MEMBER_INT(to, "bytes_out", r->bytes_out);
    to = MEMBER_INT(to, "tokens_in", r->tokens_in);
    to = MEMBER_INT(to, "tokens_out", r->tokens_out);
    to = MEMBER_INT(to, "tokens_cached", r->tokens_cached);
    to = MEMBER_BOOL(to, "tokens_in_estimated", r->tokens_in_estimated != 0);
    to = MEMBER_BOOL(to, "tokens_out_estimated", r->tokens_out_estimated != 0);
    to = MEMBER_INT(to, "cost_nano", r->cost_nano);
    return MEMBER_TEXT(to, "currency", journal_record_text(r, JOURNAL_TEXT_CURRENCY));
}

size_t call_access_format(struct span record, char out[LOG_LINE_MAX])
{
    struct journal_record r;
    char time[CLOCK_TEXT_BYTES];
    uint8_t *to = (uint8_t *)out;
    CHECK(record.len >= HEAD_BYTES && record.len <= sizeof(r) + WHO_BYTES);
    memcpy(&r, record.at, HEAD_BYTES);
    CHECK(record.len >= HEAD_BYTES + r.used && r.used <= JOURNAL_ROOM_BYTES);
    memcpy(r.room, record.at + HEAD_BYTES, r.used);
    clock_text((wall_us){r.started_ms * 1000}, time);
    to = json_line_text(JSON_LINE(to, "{\"time\":"), span_make(time, CLOCK_TEXT_BYTES - 1));
    struct span who = span_cut(record, HEAD_BYTES + r.used, record.len);
    size_t space = span_find(who, ' ', 0);
    to = MEMBER_TEXT(to, "client", span_cut(who, 0, space));
    to = MEMBER_TEXT(to, "proxy", span_cut(who, space + 1, who.len));
    to = MEMBER_INT(to, "duration_ms", r.ended_ms - r.started_ms);
    to = MEMBER_INT(to, "first_byte_after_ms",
                    r.first_byte_ms == 0 ? 0 : r.first_byte_ms - r.started_ms);
    to = put_amounts(put_call(to, &r), &r);
    to = JSON_LINE(to, "}\n");
    return (size_t)(to - (uint8_t *)out);
}

static char *put_address(char *to, const char *text)
{
    size_t len = strnlen(text, CLIENT_BYTES - 1);
    memcpy(to, text, len);
    return to + len;
}

void call_access_put(const struct call *call, const struct journal_record *r)
{
    const struct call_shared *shared = call->shared;
    if (shared->access == NULL || call->client == NULL) {
        return;
    }
    char room[NET_IP_TEXT], who[WHO_BYTES];
    const char *peer = call->by->peer(call->client);
    const char *client = call_client_text(call->by, call->client, room);
    char *end = put_address(who, client);
    *end++ = ' ';
    end = client == peer ? end : put_address(end, peer);
    log_sink_put(shared->access, span_make(r, HEAD_BYTES + r->used),
                 span_make(who, (size_t)(end - who)));
}
