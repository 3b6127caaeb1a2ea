/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_reading.h — what the files that read an object's members share.
 *
 * Threads  any.
 */
#ifndef ADMIN_ADMIN_READING_H
#define ADMIN_ADMIN_READING_H

#include "admin/admin_objects.h"

/* One body that is read. */
struct reading {
    const struct admin_reading *asked;
    struct json_index x;
    const struct admin_field *part; /* whose members are read; NULL: the object's own */
};

/* Says that the field must be `what`, and returns ERR_VALUE_INVALID. */
enum err admin_reading_refuse(const struct reading *r, const struct admin_field *f,
                              const char *what);

/* Whether a text of UTF-8 holds C0, DEL or C1. */
bool admin_has_control(struct span text);

/*
 * What tags are when a request's, a merge patch (RFC 7396), was put over those there were: lines,
 * in the arena. A line of the patch without '=' takes that tag away; a patch whose `at` is NULL,
 * all. False: they are more than a key may have; or without memory, as the arena says.
 */
bool admin_tags_merge(struct span before, struct span patch, struct arena *arena, struct span *out);

/* Whether a tag may be called so. */
bool admin_is_tag_name(struct span name);

/*
 * Reads names, or tags, into lines; these lie in the reading's arena.
 *
 *   ERR_VALUE_INVALID  said
 *   ERR_JSON_DUPLICATE said: a tag is given twice
 *   ERR_NO_MEMORY
 */
MUST_USE enum err admin_read_names(const struct reading *r, const struct admin_field *f,
                                   uint32_t row, struct span *out);
MUST_USE enum err admin_read_tags(const struct reading *r, const struct admin_field *f,
                                  uint32_t row, struct span *out);

#endif
