/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 200 OK, HTTP/1.1 200 with an empty reason, and the same without its last space: servers
 * in use send all three. Everything else about the status line is exact.
 */
#include "http/http_response.h"

#include "http/http_internal.h"

#define HEAD_BYTES_MOST (1u << 20)
#define STATUS_AT       9  /* behind "HTTP/1.1 " */
#define REASON_AT       13 /* behind the status and a space */

void http_response_init(struct http_response *r, uint32_t head_bytes, bool to_head,
                        struct http_field *rows, uint32_t rows_max)
{
    CHECK(head_bytes <= HEAD_BYTES_MOST);
    *r = (struct http_response){
        .head_bytes = head_bytes, .to_head = to_head, .fields = {.rows = rows, .max = rows_max}};
}

/* `line` is what stands before the first CRLF. */
static bool line_parse(struct http_response *r, struct span line)
{
    if (line.len < REASON_AT - 1 || !span_starts(line, SPAN("HTTP/1.")) ||
        (line.at[7] != '0' && line.at[7] != '1') || line.at[8] != ' ') {
        return false;
    }
    uint64_t status;
    if (!span_to_u64(span_cut(line, STATUS_AT, 3), 599, &status) || status < 100) {
        return false;
    }
    if (line.len >= REASON_AT) {
        if (line.at[REASON_AT - 1] != ' ' ||
            http_text_end(line.at, REASON_AT, line.len) != line.len) {
            return false;
        }
        r->reason = (struct http_piece){REASON_AT, (uint32_t)line.len - REASON_AT};
    }
    r->minor = (uint8_t)(line.at[7] - '0');
    r->status = (uint16_t)status;
    return true;
}

/* Reads the status line if it is whole: sets r->has_line. */
static bool first_line_read(struct http_response *r, struct http_progress *p, uint32_t len)
{
    const uint8_t *b = r->fields.base;
    uint32_t lf;
    if (len > 0 && b[0] != 'H') {
        return false;
    }
    if (!http_line_is_whole(b, p, len, &lf)) {
        return true;
    }
    if (b[lf - 1] != '\r' || !line_parse(r, (struct span){b, lf - 1})) {
        return false;
    }
    r->has_line = true;
    p->line = p->scanned = lf + 1;
    return true;
}

/* The whole head is there: what follows it? */
static MUST_USE enum err finish(struct http_response *r)
{
    struct http_body body;
    enum err e = http_fields_body(&r->fields, r->minor, &body);
    if (e != ERR_OK) {
        return e;
    }
    bool claims_body = body.kind == HTTP_BODY_CHUNKED || body.length > 0;
    bool never_has_body = r->status < 200 || r->status == 204;
    if (r->status < 200 && claims_body) {
        return ERR_HTTP_FRAMING; /* what comes next is the body, or the head that is waited for */
    }
    r->keep_alive = http_fields_keep_alive(&r->fields, r->minor);
    r->is_coded = http_fields_coded(&r->fields);
    if (never_has_body || r->status == 304 || r->to_head) {
        r->body = (struct http_body){HTTP_BODY_NONE, 0};
        /* A 204 that announces a body may send it: what comes next on this connection is unsure. */
        r->keep_alive = r->keep_alive && !(never_has_body && claims_body);
        return ERR_OK;
    }
    if (body.kind == HTTP_BODY_NONE) {
        body.kind = HTTP_BODY_UNTIL_CLOSE;
        r->keep_alive = false;
    }
    r->body = body;
    return ERR_OK;
}

enum err http_response_parse(struct http_response *r, struct span held, size_t *used)
{
    uint32_t most = r->head_bytes;
    uint32_t len = held.len < most ? (uint32_t)held.len : most;
    struct http_progress p = {r->line, r->scanned};
    bool last = false;
    r->fields.base = held.at;
    if (!r->has_line && !first_line_read(r, &p, len)) {
        return ERR_UPSTREAM_PROTOCOL;
    }
    if (r->has_line && http_fields_read(&r->fields, &p, len, &last) != ERR_OK) {
        return ERR_UPSTREAM_PROTOCOL;
    }
    r->line = p.line;
    r->scanned = p.scanned;
    if (last ? finish(r) != ERR_OK : len == most) {
        return ERR_UPSTREAM_PROTOCOL;
    }
    *used = last ? p.line : 0;
    return ERR_OK;
}
