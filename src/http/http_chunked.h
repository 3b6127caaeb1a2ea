/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_chunked.h — the chunked transfer coding: taken off in pieces, and put on.
 *
 *     while (in.len > 0 && !http_chunked_is_done(&c)) {
 *         e = http_chunked_feed(&c, in, &used, &data);       data: body bytes, in place, maybe none
 *         in = span_cut(in, used, in.len);
 *     }
 *
 * Extensions and trailers are checked and dropped. What the body is does not depend on where the
 * bytes were cut; only the pieces in which it is handed out do.
 *
 * Ownership  none: data is part of what was fed.
 * Limits     a size is at most 2^60 - 1 in at most 16 digits; a size line HTTP_CHUNK_LINE_MAX
 * bytes; all extensions of a body HTTP_CHUNK_EXTENSIONS_MAX; all trailers HTTP_CHUNK_TRAILERS_MAX.
 * Threads    one at a time.
 * Sources    RFC 9112 section 7.1.
 */
#ifndef HTTP_HTTP_CHUNKED_H
#define HTTP_HTTP_CHUNKED_H

#include "base/err.h"
#include "base/span.h"

#define HTTP_CHUNK_LINE_MAX       256
#define HTTP_CHUNK_EXTENSIONS_MAX 16384
#define HTTP_CHUNK_TRAILERS_MAX   8192
#define HTTP_CHUNK_SIZE_BYTES     19 /* 16 digits, CRLF, NUL */

struct http_chunked {
    uint64_t left; /* of the chunk: bytes not yet handed out, or the size as read so far */
    uint32_t line_bytes, extension_bytes, trailer_bytes;
    uint8_t state;
};

/* Starts anew. */
void http_chunked_init(struct http_chunked *c);

/*
 * Reads `in` up to the end of the next piece of the body, of the body, or of `in`. `*used` is how
 * much was read, `*data` the piece: part of `in`, or empty. Behind the body's end nothing is read.
 *
 *   ERR_HTTP_CHUNK  not valid; it stays so
 */
MUST_USE enum err http_chunked_feed(struct http_chunked *c, struct span in, size_t *used,
                                    struct span *data);

/* Whether the last chunk and the trailers were read. */
bool http_chunked_is_done(const struct http_chunked *c);

/*
 * Writes the line before a chunk of `size` bytes (more than 0) and a NUL; returns its length. CRLF
 * follows the chunk's bytes, and HTTP_CHUNKED_END the last chunk.
 */
size_t http_chunk_write(uint64_t size, char out[HTTP_CHUNK_SIZE_BYTES]);

#define HTTP_CHUNKED_END "0\r\n\r\n"

#endif
