/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_fields.h — the header fields of a head, and what they say of the body and the connection.
 *
 * A field is kept as offsets into the head's bytes, 16 bytes a field, so the bytes may be moved or
 * copied: set `base` to where they are now and all that was found is found there.
 *
 * Ownership  `rows` is the caller's memory, `base` the caller's bytes; both outlive the struct.
 * Limits     as many fields as `max`; a name has at most HTTP_FIELD_NAME_MAX bytes.
 * Threads    one at a time.
 * Sources    RFC 9110 section 5, RFC 9112 sections 5 and 6.
 */
#ifndef HTTP_HTTP_FIELDS_H
#define HTTP_HTTP_FIELDS_H

#include "base/err.h"
#include "base/span.h"
#include "http/http_name.h"

#define HTTP_FIELD_NAME_MAX 256

/* Some bytes of the head, counted from its `base`. */
struct http_piece {
    uint32_t at, len;
};

struct http_field {
    uint32_t name_at, value_at, value_len; /* the value without the blanks around it */
    uint16_t name_len;
    uint8_t id; /* enum http_name */
};

struct http_fields {
    const uint8_t *base; /* where the head's first byte is */
    struct http_field *rows;
    uint32_t count, max;
    uint64_t seen;     /* the names that occur (HTTP_NAME_BIT) */
    uint64_t repeated; /* those that occur more than once */
};

/* How the end of a body is found. */
enum http_body_kind {
    HTTP_BODY_NONE,       /* there is none */
    HTTP_BODY_LENGTH,     /* `length` bytes */
    HTTP_BODY_CHUNKED,    /* see http_chunked.h */
    HTTP_BODY_UNTIL_CLOSE /* responses only */
};

struct http_body {
    enum http_body_kind kind;
    uint64_t length; /* of HTTP_BODY_LENGTH; else 0 */
};

/* The most a head may be. The head itself may not pass 1 MiB. */
struct http_limits {
    uint32_t head_bytes;   /* first line, fields and the empty line */
    uint32_t target_bytes; /* request target */
};

static inline struct span http_piece_span(const struct http_fields *f, struct http_piece p)
{
    return (struct span){f->base + p.at, p.len};
}

/* Name and value of field `i`. */
static inline struct span http_field_name(const struct http_fields *f, uint32_t i)
{
    CHECK(i < f->count);
    return (struct span){f->base + f->rows[i].name_at, f->rows[i].name_len};
}

static inline struct span http_field_value(const struct http_fields *f, uint32_t i)
{
    CHECK(i < f->count);
    return (struct span){f->base + f->rows[i].value_at, f->rows[i].value_len};
}

/* Whether the field occurs. Not for HTTP_NAME_OTHER. */
static inline bool http_fields_has(const struct http_fields *f, enum http_name id)
{
    return (f->seen & HTTP_NAME_BIT(id)) != 0;
}

/* The value of the first field of that name; {NULL, 0} if there is none. */
struct span http_fields_find(const struct http_fields *f, enum http_name id);

/* The same for a name without a row, in any case of letters. */
struct span http_fields_find_other(const struct http_fields *f, struct span name);

/* Whether one of the comma-separated members of the fields `id` is `token`, in any case. */
bool http_fields_list_has(const struct http_fields *f, enum http_name id, struct span token);

/*
 * Whether field `i` may be passed on to another connection: it is neither hop-by-hop nor named by
 * a Connection field.
 */
bool http_field_may_pass(const struct http_fields *f, uint32_t i);

#endif
