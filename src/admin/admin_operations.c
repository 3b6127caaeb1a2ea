/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_operations.h"

#include "admin/admin_internal.h"
#include "admin/admin_once.h"
#include "base/log.h"
#include "base/memory.h"
#include "http/http_target.h"
#include "store/store_change.h"
#include "store/store_tables.h"

#define NAME_BYTES 765 /* of a name in a path; each of 255 bytes may be escaped */

typedef enum err run_operation(const struct admin_operation *op);

/* NULL: a page, which asks nothing of the store. */
static run_operation *const operations[] = {
#define PAGE(name, method, path, scope, gives, help) [ADMIN_ROUTE_##name] = NULL,
#define ROUTE(name, method, path, scope, queue, action, takes, gives, rules, help) \
    [ADMIN_ROUTE_##name] = admin_##name,
#define PARAM(route, name, kind, least, most, help)
#include "admin/admin_routes.def"
#undef PAGE
#undef ROUTE
#undef PARAM
};

/* Decodes what stands for {id}; what cannot be is nobody's. */
static enum err read_id(struct admin_operation *op, struct span raw, uint8_t room[NAME_BYTES])
{
    if (raw.at == NULL) {
        return ERR_OK;
    }
    if (raw.len > NAME_BYTES || http_target_decode(raw, room, &op->id) != ERR_OK) {
        return admin_refuse(op, ERR_NOT_FOUND_ROW, "there is nothing of this id");
    }
    return ERR_OK;
}

/* Whether the values of If-Match have this tag; `*`: any. Weak ones are nobody's (RFC
 * 9110, 13.1.1).
 */
static bool has_tag(struct span values, struct span tag)
{
    for (size_t at = 0; at < values.len;) {
        size_t end = at;
        for (bool is_quoted = false; end < values.len; end++) { /* a tag may hold commas */
            is_quoted ^= values.at[end] == '"';
            if (values.at[end] == ',' && !is_quoted) {
                break;
            }
        }
        if (span_equal(span_trim(span_cut(values, at, end - at)), tag)) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

enum err admin_judge(const struct admin_operation *op, enum admin_object object, const void *now)
{
    char tag[ADMIN_TAG_BYTES];
    struct span values = span_trim(op->request->if_match);
    op->answer->is_judged = true;
    if (values.at == NULL || span_is(values, "*")) {
        return ERR_OK;
    }
    enum err e = admin_object_tag(object, now, tag);
    return e == ERR_OK && !has_tag(values, span_of(tag)) ? ERR_REVISION : e;
}

/* If-Match where the path names no object: a list has no ETag, but it is there. */
static enum err judge_list(const struct admin_operation *op)
{
    op->answer->is_judged = true;
    return span_is(span_trim(op->request->if_match), "*")
               ? ERR_OK
               : admin_refuse(op, ERR_REVISION,
                              "a list has no ETag: leave If-Match out, or send *");
}

/* Does it, and sees to it that no operation forgets If-Match. */
static enum err run(const struct admin_operation *op)
{
    bool has_match = op->route->action != NULL && op->request->if_match.at != NULL;
    enum err e = ERR_OK;
    if (has_match && strchr(op->route->path, '{') == NULL) {
        e = judge_list(op);
    }
    if (e == ERR_OK) {
        e = operations[op->route->number](op);
    }
    CHECK(e != ERR_OK || !has_match || op->answer->is_judged);
    return e;
}

/* Finds the team that the caller is bound to. One whose row does not say it may nothing. */
static enum err read_team(struct admin_operation *op, uint8_t room[STORE_TEXT_MAX])
{
    struct store_key caller = {.id = op->request->actor};
    if (!op->request->right.has_team) {
        return ERR_OK;
    }
    enum err e = store_change_get(op->store, STORE_TABLE_KEY, &caller);
    if (e == ERR_NOT_FOUND_ROW || (e == ERR_OK && caller.team.len == 0)) {
        return ERR_SCOPE_DENIED;
    }
    if (e == ERR_OK) {
        memcpy(room, caller.team.at, caller.team.len);
        op->caller_team = span_make(room, caller.team.len);
    }
    return e;
}

/* Does it, or says what was said when it was done before. What changes nothing is done again: of
 * that nothing is kept. */
static enum err run_once(struct admin_operation *op)
{
    bool has_key = op->route->method == HTTP_POST && op->request->idempotency_key.at != NULL;
    if (!has_key || op->route->action == NULL || op->keys == NULL ||
        op->route->queue == ADMIN_QUEUE_URGENT) { /* nothing may keep it */
        return run(op);
    }
    struct admin_once *once = memory_new(sizeof(*once));
    if (once == NULL) {
        return ERR_NO_MEMORY;
    }
    bool is_done = false;
    size_t before = buf_span(op->out).len;
    once->keys = op->keys;
    once->store = op->store;
    once->request = op->request;
    once->now = op->now;
    enum err e = admin_once_begin(once, op->out, op->answer, &is_done);
    if (e == ERR_OK && !is_done) {
        op->seed = once->seed;
        e = run(op);
        struct span all = buf_span(op->out);
        admin_once_end(once, e, span_cut(all, before, all.len), op->answer->tag);
    }
    memory_free(once);
    return e;
}

enum err admin_operate(const struct admin_means *means, struct store *store,
                       const struct admin_request *request, wall_us now, struct buf *out,
                       struct admin_answer *answer)
{
    struct admin_operation op = {.keys = means->keys,
                                 .rights = means->rights,
                                 .book = means->book,
                                 .policy = means->policy,
                                 .data = means->data,
                                 .store = store,
                                 .request = request,
                                 .now = now,
                                 .out = out,
                                 .answer = answer};
    struct span name;
    uint8_t room[NAME_BYTES], team[STORE_TEXT_MAX];
    memset(answer, 0, sizeof(*answer));
    enum err e = admin_route_find(request->method, request->path, &op.route, &name);
    if (e == ERR_OK && request->body.len > admin_body_most(op.route)) {
        e = ERR_BODY_TOO_LARGE;
    }
    if (e == ERR_OK && operations[op.route->number] == NULL) {
        e = ERR_ROUTE_UNKNOWN;
    }
    if (e == ERR_OK && !admin_right_has(&request->right, op.route->scope)) {
        e = ERR_SCOPE_DENIED;
    }
    if (e == ERR_OK) {
        e = read_team(&op, team);
    }
    if (e == ERR_OK) {
        e = admin_params_read(op.route, request->query, &op.params, &answer->fault);
    }
    if (e == ERR_OK) {
        e = read_id(&op, name, room);
    }
    if (e == ERR_OK && (op.route->rules & ADMIN_MATCHES) != 0 && request->if_match.at == NULL) {
        e = ERR_REVISION_MISSING;
    }
    if (e == ERR_OK) {
        e = run_once(&op);
    }
    if (e != ERR_OK) {
        answer->action = NULL;
    }
    return e;
}

size_t admin_body_most(const struct admin_route *route)
{
    return (route->rules & ADMIN_LARGE) != 0 ? ADMIN_BODY_LARGE_MAX : ADMIN_BODY_BYTES_MAX;
}

void admin_note(const struct admin_operation *op, const char *action, struct span id)
{
    op->answer->action = action;
    span_copy_text(id, op->answer->object, sizeof(op->answer->object));
}

void admin_tell(const struct admin_answer *answer, struct span actor)
{
    if (answer->action != NULL) {
        log_info("admin", "%s %s by %.*s", answer->action, answer->object, SPAN_ARGS(actor));
    }
}

const struct admin_value *admin_param(const struct admin_operation *op, const char *name)
{
    size_t count;
    const struct admin_param *rows = admin_route_params(op->route, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return op->params.at[i].is_given ? &op->params.at[i] : NULL;
        }
    }
    NEVER("a parameter that is not in the table");
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
