/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_operations.h"

#include "admin/admin_internal.h"
#include "http/http_target.h"

static const struct {
    enum http_method method;
    const char *path; /* ends with a slash where a name follows */
    enum err (*run)(const struct admin_operation *op);
} operations[] = {
    {HTTP_POST, ADMIN_KEYS_PATH, admin_key_create},
    {HTTP_GET, ADMIN_KEYS_PATH, admin_key_list},
    {HTTP_DELETE, ADMIN_KEYS_PATH "/", admin_key_revoke},
    {HTTP_GET, ADMIN_USAGE_PATH, admin_usage_list},
};

/* Whether `path` is this operation's; `*name` is then what follows it. */
static bool has_path(const char *own_path, struct span path, struct span *name)
{
    struct span own = span_of(own_path);
    if (own.at[own.len - 1] == '/') {
        *name = http_target_below(path, own);
        return name->len > 0;
    }
    *name = (struct span){NULL, 0};
    return span_equal(path, own);
}

enum err admin_operate(struct keys *keys, struct store *store, const struct admin_request *request,
                       wall_us now, struct buf *out, struct span *fault)
{
    struct admin_operation op = {keys, store, request, {NULL, 0}, now, out, fault};
    enum err e = ERR_ROUTE_UNKNOWN;
    *fault = (struct span){NULL, 0};
    if (request->body.len > ADMIN_BODY_BYTES_MAX) {
        return ERR_BODY_TOO_LARGE;
    }
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (!has_path(operations[i].path, request->path, &op.name)) {
            continue;
        }
        if (operations[i].method == request->method) {
            return operations[i].run(&op);
        }
        e = ERR_METHOD_NOT_ALLOWED;
    }
    return e;
}

void admin_list_begin(struct json_writer *w, struct buf *out)
{
    json_write_init(w, out);
    json_write_object(w);
    json_write_key(w, "object");
    json_write_text(w, "list");
    json_write_key(w, "data");
    json_write_array(w);
}

enum err admin_list_end(struct json_writer *w, enum err e)
{
    if (e != ERR_OK) {
        return e;
    }
    json_write_end(w);
    json_write_end(w);
    return json_write_finish(w);
}
