/* SPDX-License-Identifier: Apache-2.0 */
/* Limits by themselves: of an organisation, team, user, key, plan or tag, or of each child of a
 * team. */
#include "access/access_fits.h"
#include "admin/admin_internal.h"
#include "base/arena.h"
#include "store/store_change.h"

static struct admin_limit show(const struct admin_operation *op, struct span subject)
{
    struct admin_whose whose = admin_whose_of(op, subject);
    struct admin_limits n = admin_limits_of(op, subject);
    return (struct admin_limit){.id = subject,
                                .organisation = whose.organisation,
                                .team = whose.team,
                                .user = whose.user,
                                .key = whose.key,
                                .plan = whose.plan,
                                .tag = whose.tag,
                                .each = whose.each,
                                .requests_per_minute = n.requests_per_minute,
                                .burst = n.burst,
                                .tokens_per_minute = n.tokens_per_minute,
                                .tokens_per_day = n.tokens_per_day,
                                .concurrent = n.concurrent,
                                .max_tokens = n.max_tokens,
                                .priority = n.priority};
}

/* A tag that never had limits is not made for nothing. */
static enum err check_tag(const struct admin_operation *op, struct span id,
                          const struct admin_limits *limits)
{
    static const struct admin_limits none;
    return admin_tag_name(op, id).len > 0 || !admin_limits_are_alike(limits, &none)
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_VALUE_MISSING, SPAN(""),
                                 "say what keys of this tag are limited to, such as "
                                 "requests_per_minute");
}

/* `tag`: the name of one that has no limits yet, perhaps; empty: it is none. */
static enum err put(const struct admin_operation *op, struct span subject, struct span tag,
                    const struct admin_limit *asked)
{
    const struct admin_limits limits = {.requests_per_minute = asked->requests_per_minute,
                                        .burst = asked->burst,
                                        .tokens_per_minute = asked->tokens_per_minute,
                                        .tokens_per_day = asked->tokens_per_day,
                                        .concurrent = asked->concurrent,
                                        .max_tokens = asked->max_tokens,
                                        .priority = asked->priority};
    enum err e = admin_limits_check(op, subject, &limits);
    const struct admin_day day = {subject, tag, SPAN(""), limits.tokens_per_day};
    e = e == ERR_OK ? admin_days_judge(op, &day, 1) : e;
    e = e == ERR_OK && tag.len > 0 ? check_tag(op, subject, &limits) : e;
    e = e == ERR_OK && tag.len > 0 ? admin_tag_make(op, tag, subject) : e;
    e = e == ERR_OK ? admin_limits_put(op, subject, &limits) : e;
    if (e != ERR_OK) {
        return e;
    }
    admin_note(op, op->route->action, subject);
    const struct admin_limit shown = show(op, subject);
    return admin_answer_object(op, ADMIN_OBJECT_limit, &shown);
}

static enum err read_body(const struct admin_operation *op, enum admin_use use, struct arena *arena,
                          struct admin_limit *limit)
{
    struct admin_reading reading = admin_reading_of(op, ADMIN_OBJECT_limit, use, arena);
    return admin_object_read(&reading, limit);
}

enum err admin_limit_set(const struct admin_operation *op)
{
    struct arena arena;
    struct admin_limit asked = {.each = 0};
    char subject[ADMIN_SUBJECT_BYTES];
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = read_body(op, ADMIN_MAKES, &arena, &asked);
    e = e == ERR_OK ? store_change_begin(op->store) : e;
    if (e == ERR_OK) {
        const struct admin_whose whose = {asked.organisation, asked.team, asked.user, asked.key,
                                          asked.plan,         asked.tag,  asked.each};
        e = admin_resolve_whose(op, &whose, true, subject);
        e = e == ERR_OK ? admin_check_lives(op, span_of(subject)) : e;
    }
    e = e == ERR_OK ? put(op, span_of(subject), asked.tag, &asked) : e;
    arena_fini(&arena);
    return e;
}

/* The id of what the path names; a name will do. A tag that has no limits yet may be given some. */
static enum err find_subject(const struct admin_operation *op, char out[ADMIN_SUBJECT_BYTES])
{
    struct admin_whose whose = admin_whose_of(op, op->id);
    bool is_new = whose.tag.len > 0 && access_tag_id(op->rights, whose.tag).len == 0;
    enum err e = is_new && op->route->method != HTTP_PATCH
                     ? ERR_VALUE_INVALID
                     : admin_resolve_whose(op, &whose, true, out);
    e = e == ERR_OK && !admin_sees(op, admin_team_of(op, span_of(out))) ? ERR_VALUE_INVALID : e;
    return e == ERR_VALUE_INVALID
               ? admin_fault_say(
                     &op->answer->fault, ERR_NOT_FOUND_ROW, SPAN(""),
                     "there is no organisation, team, user, key or plan of this id, nor a "
                     "tag that has limits")
               : e;
}

enum err admin_limit_show(const struct admin_operation *op)
{
    char subject[ADMIN_SUBJECT_BYTES];
    enum err e = find_subject(op, subject);
    if (e != ERR_OK) {
        return e;
    }
    const struct admin_limit shown = show(op, span_of(subject));
    return admin_answer_object(op, ADMIN_OBJECT_limit, &shown);
}

/* What there is, if its changer saw it as it is. */
static enum err find_to_change(const struct admin_operation *op, char subject[ADMIN_SUBJECT_BYTES],
                               struct admin_limit *shown)
{
    enum err e = store_change_begin(op->store);
    e = e == ERR_OK ? find_subject(op, subject) : e;
    if (e != ERR_OK) {
        return e;
    }
    *shown = show(op, span_of(subject));
    shown->tag = shown->tag.len > 0 ? shown->tag : admin_whose_of(op, op->id).tag;
    return admin_judge(op, ADMIN_OBJECT_limit, shown);
}

enum err admin_limit_change(const struct admin_operation *op)
{
    struct arena arena;
    struct admin_limit shown;
    char subject[ADMIN_SUBJECT_BYTES];
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = find_to_change(op, subject, &shown);
    e = e == ERR_OK ? admin_check_lives(op, span_of(subject)) : e;
    e = e == ERR_OK ? read_body(op, ADMIN_CHANGES, &arena, &shown) : e;
    e = e == ERR_OK ? put(op, span_of(subject), shown.tag, &shown) : e;
    arena_fini(&arena);
    return e;
}

enum err admin_limit_end(const struct admin_operation *op)
{
    struct admin_limit shown;
    char subject[ADMIN_SUBJECT_BYTES];
    const struct admin_limit none = {.each = 0};
    enum err e = find_to_change(op, subject, &shown);
    return e == ERR_OK ? put(op, span_of(subject), SPAN(""), &none) : e;
}

struct lister {
    struct admin_pager pager;
    const struct admin_operation *op;
};

static bool says_any(const struct store_limit *row)
{
    return (row->requests_per_minute | row->burst | row->tokens_per_minute | row->tokens_per_day |
            row->concurrent | row->max_tokens | row->priority) != 0;
}

static enum err on_limit(void *context, const void *given)
{
    struct lister *l = context;
    const struct store_limit *row = given;
    if (!says_any(row) || !admin_sees(l->op, admin_team_of(l->op, row->id))) {
        return admin_pager_skip(&l->pager, row->number);
    }
    const struct admin_limit shown = show(l->op, row->id);
    enum err e = admin_pager_next(&l->pager, row->number);
    if (e == ERR_OK) {
        admin_object_write(&l->pager.w, ADMIN_OBJECT_limit, &shown);
    }
    return e == ERR_OK && buf_failed(l->pager.w.out) ? ERR_NO_MEMORY : e;
}

enum err admin_limit_list(const struct admin_operation *op)
{
    const struct admin_value *after = admin_param(op, "after");
    const struct store_limit from = {.number = after == NULL ? 0 : after->number};
    const struct store_page page = {.from = &from, .after = true, .limit = INT64_MAX};
    struct lister l = {.op = op};
    admin_pager_begin(&l.pager, op);
    enum err e = store_change_page(op->store, STORE_TABLE_LIMIT, STORE_INDEX_LIMIT_BY_NUMBER, &page,
                                   on_limit, &l);
    return e == ERR_OK || e == ERR_NOT_FOUND_ROW ? admin_pager_end(&l.pager) : e;
}
