/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_schemas.h — JSON schemas of what the admin API takes and gives, from the table of objects.
 *
 * An object has up to three: what replies hold ("key"), what a request that makes one may hold
 * ("key_create"), and what one that changes it may hold ("key_change"). A part of it has them, too.
 *
 * Threads  any.
 * Sources  JSON Schema 2020-12; OpenAPI 3.1.
 */
#ifndef ADMIN_ADMIN_SCHEMAS_H
#define ADMIN_ADMIN_SCHEMAS_H

#include "admin/admin_objects.h"

/* Which of an object's schemas. */
enum admin_shape { ADMIN_SHAPE_REPLY, ADMIN_SHAPE_CREATE, ADMIN_SHAPE_CHANGE };

/* Opens an object that is the value of `key`. */
void admin_schema_open(struct json_writer *w, const char *key);

/* Refers to a component: "#/components/BELOW/NAMEEND". */
void admin_schema_reference(struct json_writer *w, const char *below, const char *name,
                            const char *end);

/* Refers to an object's schema. */
void admin_schema_of(struct json_writer *w, enum admin_object object, enum admin_shape shape);

/* "type": "string", or ["string", "null"]. */
void admin_schema_type(struct json_writer *w, const char *type, bool may_be_null);

/* The members of a schema for a value of the field's kind. */
void admin_schema_kind(struct json_writer *w, const struct admin_field *f, enum admin_shape shape);

/* All schemas, as the member "schemas". */
void admin_schemas_write(struct json_writer *w);

#endif
