/* SPDX-License-Identifier: Apache-2.0 */
#include "http_oracle.h"

#include <http_parser.h>

static struct http_oracle *of(const http_parser *p)
{
    return p->data;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
    of(p)->target = span_make(at, len);
    return 0;
}

static int on_field(http_parser *p, const char *at, size_t len)
{
    struct http_oracle *o = of(p);
    if (!o->has_head) { /* else it is a trailer's */
        if (o->field_count < HTTP_ORACLE_FIELDS_MAX) {
            o->fields[o->field_count].name = span_make(at, len);
        }
        o->field_count++;
    }
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
    struct http_oracle *o = of(p);
    if (!o->has_head && o->field_count <= HTTP_ORACLE_FIELDS_MAX) {
        o->fields[o->field_count - 1].value = span_make(at, len);
    }
    return 0;
}

static int on_head(http_parser *p)
{
    struct http_oracle *o = of(p);
    o->has_head = true;
    o->keep_alive = http_should_keep_alive(p) != 0;
    o->chunked = (p->flags & F_CHUNKED) != 0;
    o->has_length = (p->flags & F_CONTENTLENGTH) != 0;
    o->length = p->content_length;
    o->minor = p->http_minor;
    o->status = p->status_code;
    o->method = p->type == HTTP_REQUEST ? http_method_str((enum http_method)p->method) : "";
    return o->verdict == HTTP_ORACLE_WHOLE; /* whether there is no body */
}

static int on_body(http_parser *p, const char *at, size_t len)
{
    buf_put(&of(p)->body, span_make(at, len));
    return 0;
}

static int on_complete(http_parser *p)
{
    struct http_oracle *o = of(p);
    o->verdict = HTTP_ORACLE_WHOLE;
    if ((p->flags & F_SKIPBODY) != 0) { /* which it did not know at the head's end */
        o->keep_alive = http_should_keep_alive(p) != 0;
    }
    http_parser_pause(p, 1);
    return 0;
}

void http_oracle_read(struct http_oracle *out, enum http_oracle_kind kind, struct span in)
{
    static const http_parser_settings settings = {.on_url = on_url,
                                                  .on_header_field = on_field,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_head,
                                                  .on_body = on_body,
                                                  .on_message_complete = on_complete};
    memset(out, 0, sizeof(*out));
    buf_init(&out->body, SIZE_MAX / 2);
    /* Until its head is read, the verdict tells on_head() whether to expect a body. */
    out->verdict = kind == HTTP_ORACLE_BODILESS ? HTTP_ORACLE_WHOLE : HTTP_ORACLE_CUT;
    http_parser p;
    http_parser_init(&p, kind == HTTP_ORACLE_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE);
    p.data = out;
    out->used = http_parser_execute(&p, &settings, (const char *)in.at, in.len);
    out->in_trailers = (p.flags & F_TRAILING) != 0;
    enum http_errno e = HTTP_PARSER_ERRNO(&p);
    if (e != HPE_PAUSED) {
        out->verdict = e == HPE_OK ? HTTP_ORACLE_CUT : HTTP_ORACLE_REFUSED;
    }
}

void http_oracle_fini(struct http_oracle *o)
{
    buf_fini(&o->body);
}

static struct span part(const struct http_parser_url *url, struct span target,
                        enum http_parser_url_fields which)
{
    if ((url->field_set & (1u << which)) == 0) {
        return (struct span){NULL, 0};
    }
    return span_cut(target, url->field_data[which].off, url->field_data[which].len);
}

bool http_oracle_target(struct span target, struct http_oracle_target *out)
{
    struct http_parser_url url;
    http_parser_url_init(&url);
    if (http_parser_parse_url((const char *)target.at, target.len, 0, &url) != 0) {
        return false;
    }
    *out = (struct http_oracle_target){.host = part(&url, target, UF_HOST),
                                       .port = part(&url, target, UF_PORT),
                                       .path = part(&url, target, UF_PATH),
                                       .query = part(&url, target, UF_QUERY)};
    return true;
}
