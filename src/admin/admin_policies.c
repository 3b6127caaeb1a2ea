/* SPDX-License-Identifier: Apache-2.0 */
/* Policies that came in force: listed, shown. That one is read again is serve's, and the wait for
 * it admin_job.c's. */
#include "admin/admin_internal.h"
#include "base/arena.h"
#include "policy/policy_archive.h"
#include "policy/policy_history.h"
#include "store/store_change.h"

#define DIGITS_LEAST 6 /* of a digest that is named by its beginning */

void admin_policy_write(struct json_writer *w, const struct policy_version *v)
{
    char hex[POLICY_ARCHIVE_HEX];
    policy_archive_hex(v->digest, hex);
    const struct admin_policy shown = {
        .version = v->version, .digest = span_of(hex), .by = span_of(v->actor), .since = v->since};
    admin_object_write(w, ADMIN_OBJECT_policy, &shown);
}

static struct policy_version version_of(const struct store_policy *row)
{
    struct policy_version v = {.version = row->version, .since = row->since};
    memcpy(v.digest, row->digest, sizeof(v.digest));
    memcpy(v.text, row->text, sizeof(v.text));
    span_copy_text(row->actor, v.actor, sizeof(v.actor));
    return v;
}

enum err admin_route_reload(const struct admin_operation *op)
{
    return admin_refuse(op, ERR_DRAINING, "only a running gateway can do it");
}

/* ---- all ---- */

static enum err on_listed(void *context, const void *given)
{
    struct admin_lister *l = context;
    const struct store_policy *row = given;
    if (row->is_damaged) {
        return ERR_OK;
    }
    enum err e = admin_pager_next(&l->pager, row->number);
    if (e == ERR_OK) {
        const struct policy_version v = version_of(row);
        admin_policy_write(&l->pager.w, &v);
    }
    return e == ERR_OK && buf_failed(l->pager.w.out) ? ERR_NO_MEMORY : e;
}

enum err admin_route_history(const struct admin_operation *op)
{
    const struct admin_value *after = admin_param(op, "after");
    const struct store_policy from = {.number = after == NULL ? 0 : after->number};
    struct admin_lister l = {.op = op};
    enum err e = admin_pager_rows(&l.pager, op, STORE_TABLE_POLICY, STORE_INDEX_POLICY_BY_NUMBER,
                                  &from, on_listed);
    return e == ERR_OK || e == ERR_NOT_FOUND_ROW ? admin_pager_end(&l.pager) : e;
}

/* ---- one ---- */

/* The newest version whose digest begins so. */
struct search {
    struct span digits;
    struct policy_version found; /* .version 0: none */
    bool is_shared;              /* another digest begins so, too */
};

static enum err on_searched(void *context, const void *given)
{
    struct search *s = context;
    const struct store_policy *row = given;
    char hex[POLICY_ARCHIVE_HEX];
    policy_archive_hex(row->digest, hex);
    if (!row->is_damaged && span_starts(span_of(hex), s->digits)) {
        s->is_shared =
            s->is_shared || (s->found.version > 0 &&
                             memcmp(s->found.digest, row->digest, sizeof(s->found.digest)) != 0);
        s->found = version_of(row);
    }
    return ERR_OK;
}

static enum err find(const struct admin_operation *op, struct policy_version *out)
{
    const struct store_policy from = {.number = 0};
    const struct store_page page = {.from = &from, .after = true, .limit = INT64_MAX};
    struct search search = {.digits = op->id};
    if (op->id.len < DIGITS_LEAST) {
        return admin_refuse(op, ERR_VALUE_INVALID,
                            "name a policy by its digest, or six of its digits or more");
    }
    enum err e = store_change_page(op->store, STORE_TABLE_POLICY, STORE_INDEX_POLICY_BY_NUMBER,
                                   &page, on_searched, &search);
    if (e != ERR_OK && e != ERR_NOT_FOUND_ROW) {
        return e;
    }
    if (search.found.version == 0) {
        return admin_refuse(op, ERR_NOT_FOUND_ROW,
                            "no policy of this digest was in force, or it "
                            "was so long ago that it is not kept");
    }
    *out = search.found;
    return search.is_shared
               ? admin_refuse(op, ERR_VALUE_INVALID,
                              "several policies have digests that begin so: give more digits")
               : ERR_OK;
}

static enum err show(const struct admin_operation *op, const struct policy_version *v,
                     const struct policy_archived *a)
{
    char hex[POLICY_ARCHIVE_HEX];
    policy_archive_hex(v->digest, hex);
    const struct admin_policy_text shown = {.version = v->version,
                                            .digest = span_of(hex),
                                            .by = span_of(v->actor),
                                            .since = v->since,
                                            .policy = a->line,
                                            .settings = a->texts.settings,
                                            .models = a->texts.models,
                                            .rules = a->texts.rules};
    return admin_answer_object(op, ADMIN_OBJECT_policy_text, &shown);
}

enum err admin_policy_show(const struct admin_operation *op)
{
    struct arena arena;
    struct policy_version v = {.version = 0};
    struct policy_archived archived = {.line = SPAN("")};
    enum err e = find(op, &v);
    if (e != ERR_OK) {
        return e;
    }
    arena_init(&arena, POLICY_ARCHIVE_BYTES_MAX);
    e = op->data == NULL
            ? ERR_NOT_FOUND_ROW
            : policy_archive_get(op->data, v.digest, v.text, v.version, &arena, &archived);
    if (e == ERR_OK) {
        e = show(op, &v, &archived);
    } else if (e == ERR_NOT_FOUND_ROW) {
        e = admin_refuse(op, e, "it was in force, but its file is not in policies/ any more");
    } else if (e == ERR_VALUE_INVALID) {
        e = admin_refuse(op, ERR_NOT_FOUND_ROW,
                         "its file in policies/ is not what was written: it was changed since");
    }
    arena_fini(&arena);
    return e;
}
