/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_url.h — the absolute URL of a server, as an operator writes it.
 *
 * Ownership  none: the parts are bytes of the text that was parsed.
 * Threads    any.
 * Sources    RFC 3986.
 */
#ifndef HTTP_HTTP_URL_H
#define HTTP_HTTP_URL_H

#include "base/err.h"
#include "base/span.h"

struct http_url {
    bool is_https;
    bool is_ipv6;          /* `host` stood in brackets */
    uint16_t port;         /* 80 or 443 if none is written */
    struct span host;      /* without brackets, as written */
    struct span authority; /* host and port as written: what a Host field says */
    struct span path;      /* without slashes at its end: "" or "/v1" */
};

/*
 * Parses http://host[:port][/path].
 *
 *   ERR_CONFIG  `*why` (and nothing else) is set to a sentence that says what is wrong
 */
MUST_USE enum err http_url_parse(struct span text, struct http_url *out, const char **why);

#endif
