/* SPDX-License-Identifier: Apache-2.0 */
/* Every error of this program that a client sees is written here, from its row of err.def. */
#include "base/memory.h"
#include "crypto/call_id.h"
#include "server/server_internal.h"
#include "json/json_write.h"

#define LINES_BYTES  512 /* all lines but the caller's */
#define BODY_BYTES   512 /* the error object but for message and param */
#define ESCAPED_MOST 6   /* bytes that one byte may become in a JSON string */

/* Whether one of the lines is the field `name` (with its colon). */
static bool has_line(struct span lines, struct span name)
{
    while (lines.len > 0) {
        if (span_equal_nocase(span_cut(lines, 0, name.len), name)) {
            return true;
        }
        lines = span_cut(lines, span_find(lines, '\n', 0) + 1, lines.len);
    }
    return false;
}

static const struct err_row *row_of(enum err e)
{
    const struct err_row *row = err_row(e);
    return row->type[0] == '\0' ? err_row(ERR_INTERNAL) : row; /* not meant for a client */
}

/* Whether SDKs send a call again for this status alone. They do for 408 too, and rightly: there the
 * client's own line was slow. */
static bool is_retried(int status)
{
    return status == 409 || status == 429 || status >= 500;
}

static void put_lines(struct buf *out, const struct err_row *row, struct span more)
{
    int status = row->status;
    buf_put(out, more);
    if (!has_line(more, SPAN("x-request-id:"))) {
        struct crypto_call_id id;
        crypto_call_id_make(clock_wall(), &id);
        buf_put(out, SPAN("x-request-id: "));
        buf_put(out, span_make(id.text, CRYPTO_CALL_ID_CHARS));
        buf_put(out, SPAN("\r\n"));
    }
    if ((status == 429 || status == 503) && !has_line(more, SPAN("retry-after:"))) {
        buf_put(out, SPAN("Retry-After: 1\r\n"));
    }
    if (!row->retry && is_retried(status)) {
        buf_put(out, SPAN("x-should-retry: false\r\n"));
    }
    if (status == 401 && !has_line(more, SPAN("www-authenticate:"))) {
        buf_put(out, SPAN("WWW-Authenticate: Bearer\r\n"));
    }
    buf_put(out, SPAN("Content-Type: application/json\r\n"));
}

/* What was said, or what the row says. */
static struct span or_row(struct span said, const char *text)
{
    return said.len > 0 || text == NULL ? said : span_of(text);
}

static void put_text(struct json_writer *w, const char *key, struct span text)
{
    json_write_key(w, key);
    if (text.len > 0) {
        json_write_string(w, text);
    } else {
        json_write_null(w);
    }
}

enum err server_error_write(enum err e, const struct server_words *words, struct buf *out)
{
    const struct err_row *row = row_of(e);
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "error");
    json_write_object(&w);
    put_text(&w, "message", or_row(words->message, row->sentence));
    put_text(&w, "type", or_row(words->type, row->type));
    put_text(&w, "param", words->param);
    put_text(&w, "code", or_row(words->code, row->code));
    if (words->journal_id.len > 0) {
        put_text(&w, "rule", words->rule);
        put_text(&w, "zone", words->zone);
        put_text(&w, "journal_id", words->journal_id);
    }
    if (words->details.len > 0) {
        json_write_key(&w, "details");
        json_write_raw(&w, words->details);
    }
    json_write_end(&w);
    json_write_end(&w);
    return json_write_finish(&w);
}

enum err server_refusal_write(struct server_refusal *r, enum err e, struct span message,
                              struct span param, struct span more_fields)
{
    const struct err_row *row = row_of(e);
    r->status = row->status;
    buf_init(&r->fields, more_fields.len + LINES_BYTES);
    buf_init(&r->body, (message.len + param.len) * ESCAPED_MOST + BODY_BYTES);
    put_lines(&r->fields, row, more_fields);
    struct server_words words = {.message = message, .param = param};
    enum err failed = server_error_write(e, &words, &r->body);
    if (failed != ERR_OK || buf_failed(&r->fields)) {
        server_refusal_fini(r);
        return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

void server_refusal_fini(struct server_refusal *r)
{
    buf_fini(&r->fields);
    buf_fini(&r->body);
}

void server_refusal_send(struct server_connection *c, enum err e)
{
    c->keep = false;
    c->body.ended = false; /* nobody knows where this request ends */
    struct server_refusal r;
    struct span none = {NULL, 0};
    if (server_refusal_write(&r, e, none, none, none) != ERR_OK) {
        c->broken = true;
        return;
    }
    struct span body = buf_span(&r.body);
    server_output_head(c, r.status, buf_span(&r.fields), body.len);
    struct iovec slots[2] = {[1] = {.iov_base = (void *)(uintptr_t)body.at, .iov_len = body.len}};
    server_output_put(c, slots, c->to_head ? 1 : 2); /* RFC 9110 9.3.2 */
    server_refusal_fini(&r);
}
