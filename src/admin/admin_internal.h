/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_internal.h — the operations behind admin_operate()'s table, one file a noun.
 *
 * Each reads its request, asks keys or store, and writes its answer; errors as admin_operate().
 */
#ifndef ADMIN_ADMIN_INTERNAL_H
#define ADMIN_ADMIN_INTERNAL_H

#include "admin/admin_operations.h"
#include "json/json_write.h"

/* One request under way. */
struct admin_operation {
    struct keys *keys;
    struct store *store;
    const struct admin_request *request;
    struct span name; /* what stood behind the path, not decoded */
    wall_us now;
    struct buf *out;
    struct span *fault;
};

/* Says why, and returns `e`. */
static inline enum err admin_refuse(const struct admin_operation *op, enum err e, struct span why)
{
    *op->fault = why;
    return e;
}

/* Starts an answer that is a list, and ends it unless listing failed with `e`. */
void admin_list_begin(struct json_writer *w, struct buf *out);
MUST_USE enum err admin_list_end(struct json_writer *w, enum err e);

enum err admin_key_create(const struct admin_operation *op);
enum err admin_key_list(const struct admin_operation *op);
enum err admin_key_revoke(const struct admin_operation *op);
enum err admin_usage_list(const struct admin_operation *op);

#endif
