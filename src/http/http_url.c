/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_url.h"

#include "http/http_internal.h"

#define HOST_MOST 253 /* RFC 1035: what fits a name's 255 octets on the wire */

/* What is wrong with `text` beside its scheme and authority, or NULL. */
static const char *refused_part(struct span text)
{
    if (span_find(text, '#', 0) < text.len) {
        return "the URL must not have a fragment (#)";
    }
    if (span_find(text, '?', 0) < text.len) {
        return "the URL must not have a query (?)";
    }
    return NULL;
}

/* Reads host and port of `authority`, which http_is_authority() accepted. */
static const char *authority_parse(struct span authority, struct http_url *url)
{
    size_t end = span_find(authority, authority.at[0] == '[' ? ']' : ':', 0);
    struct span rest;
    if (authority.at[0] == '[') {
        url->is_ipv6 = true;
        url->host = span_cut(authority, 1, end - 1);
        rest = span_cut(authority, end + 1, authority.len);
    } else {
        url->host = span_cut(authority, 0, end);
        rest = span_cut(authority, end, authority.len);
    }
    if (url->host.len > HOST_MOST) {
        return "the host name is too long";
    }
    uint64_t port = url->is_https ? 443 : 80;
    if (rest.len > 0 && (!span_to_u64(span_cut(rest, 1, rest.len), 65535, &port) || port == 0)) {
        return "the port must be a number from 1 to 65535";
    }
    url->port = (uint16_t)port;
    url->authority = authority;
    return NULL;
}

static const char *parse(struct span text, struct http_url *url)
{
    size_t scheme = 0;
    if (span_equal_nocase(span_cut(text, 0, 7), SPAN("http://"))) {
        scheme = 7;
    } else if (span_equal_nocase(span_cut(text, 0, 8), SPAN("https://"))) {
        scheme = 8;
        url->is_https = true;
    } else {
        return "the URL must start with http:// or https://";
    }
    const char *wrong = refused_part(text);
    if (wrong != NULL) {
        return wrong;
    }
    size_t slash = span_find(text, '/', scheme);
    struct span authority = span_cut(text, scheme, slash - scheme);
    struct span path = span_cut(text, slash, text.len);
    if (span_find(authority, '@', 0) < authority.len) {
        return "the URL must not hold a user name or password";
    }
    if (authority.len == 0) {
        return "the URL has no host";
    }
    if (!http_is_authority(authority)) {
        return "the URL's host or port is not valid";
    }
    if (http_class_end(path, HTTP_IS_PATH) != path.len) {
        return "the URL's path holds a character that must be escaped";
    }
    while (path.len > 0 && path.at[path.len - 1] == '/') {
        path.len--;
    }
    url->path = path;
    return authority_parse(authority, url);
}

enum err http_url_parse(struct span text, struct http_url *out, const char **why)
{
    struct http_url url = {.port = 0};
    const char *wrong = parse(text, &url);
    if (wrong != NULL) {
        *why = wrong;
        return ERR_CONFIG;
    }
    *out = url;
    return ERR_OK;
}
