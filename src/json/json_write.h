/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_write.h — writes JSON onto a buffer, one call a value.
 *
 * Commas and colons come by themselves; there is no white space. Strings are escaped as RFC 8785
 * (JCS) wants them, which is the least that RFC 8259 asks for; each ill-formed part of a string
 * becomes U+FFFD, so what is written is always strict JSON in UTF-8.
 *
 *   json_write_object(&w);
 *   json_write_key(&w, "usage");
 *   json_write_int(&w, 12);
 *   json_write_end(&w);
 *   e = json_write_finish(&w);     {"usage":12}
 *
 * Sticky: when the buffer is full later calls do nothing, and json_write_finish() says so. A value
 * without a key in an object, a key elsewhere, or an end without a beginning is a mistake of ours
 * and fails a CHECK.
 *
 * Ownership  the buffer is the caller's; what was in it stays, the JSON goes behind it.
 * Limits     64 containers inside one another; the buffer's maximum.
 * Threads    one at a time.
 * Sources    RFC 8259; RFC 8785 section 3.2.2.2 (strings).
 */
#ifndef JSON_JSON_WRITE_H
#define JSON_JSON_WRITE_H

#include "base/buf.h"
#include "base/err.h"

struct json_writer {
    struct buf *out;
    uint64_t objects; /* bit n: the container at depth n + 1 is an object */
    unsigned depth;
    bool comma; /* something stands before the next value or key of this container */
    bool keyed; /* a key waits for its value */
};

/* Starts a text behind what `out` holds. */
void json_write_init(struct json_writer *w, struct buf *out);

void json_write_object(struct json_writer *w);
void json_write_array(struct json_writer *w);

/* Ends the innermost object or array. */
void json_write_end(struct json_writer *w);

/* The key of the next value. */
void json_write_key(struct json_writer *w, const char *key);
void json_write_key_span(struct json_writer *w, struct span key);

void json_write_string(struct json_writer *w, struct span text);

/* A C string; NULL is written as null. */
void json_write_text(struct json_writer *w, const char *text);

void json_write_int(struct json_writer *w, int64_t number);
void json_write_u64(struct json_writer *w, uint64_t number);

/* The shortest of 15 to 17 digits that reads back as the same double; null if it is not finite. */
void json_write_double(struct json_writer *w, double number);

/* The same for a float, with 6 to 9 digits. */
void json_write_float(struct json_writer *w, float number);

void json_write_bool(struct json_writer *w, bool truth);
void json_write_null(struct json_writer *w);

/* A key and its value. */
void json_write_member_text(struct json_writer *w, const char *key, const char *text);
void json_write_member_int(struct json_writer *w, const char *key, int64_t number);

/* A value that is JSON already; it is not looked at. */
void json_write_raw(struct json_writer *w, struct span json);

/* Checks that all containers were ended. ERR_NO_MEMORY: the buffer was full or found no memory. */
MUST_USE enum err json_write_finish(struct json_writer *w);

/* Only the string, quotes included, straight onto a buffer. */
void json_put_string(struct buf *out, struct span text);

#endif
