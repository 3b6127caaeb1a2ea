/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags that have limits. A tag is there from its first limit on, and its name stays its own; who
 * may not change limits may not give a key such a tag, nor take one away, or nobody would be bound
 * by it.
 */
#include "access/access_fits.h"
#include "admin/admin_internal.h"
#include "admin/admin_reading.h"
#include "base/log.h"
#include "store/store_change.h"

#define VALUE_BYTES_MAX 128 /* admin_objects.def */

static bool can_be_tag(struct span tag)
{
    size_t cut = span_find(tag, '=', 0);
    struct span value = span_cut(tag, cut + 1, tag.len);
    return cut < tag.len && admin_is_tag_name(span_cut(tag, 0, cut)) &&
           value.len <= VALUE_BYTES_MAX && !admin_has_control(value);
}

enum err admin_tag_resolve(const struct admin_operation *op, struct span given, char *out,
                           struct span *id)
{
    const struct directory *d = access_directory(op->rights);
    *id = access_tag_id(op->rights, given);
    if (id->len > 0) {
        return ERR_OK;
    }
    if (directory_slot(d, DIRECTORY_TAG, given) != SLOTS_NONE) {
        *id = given;
        return ERR_OK;
    }
    if (!can_be_tag(given)) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("tag"),
                               "'tag' must be a tag as keys bear it, such as env=prod: its name of "
                               "A-Z a-z 0-9 _ . -, and a value of at most %d bytes",
                               VALUE_BYTES_MAX);
    }
    *id = admin_make_id(op, "tag_", out);
    return ERR_OK;
}

struct span admin_tag_name(const struct admin_operation *op, struct span id)
{
    const struct directory *d = access_directory(op->rights);
    uint32_t slot = directory_slot(d, DIRECTORY_TAG, id);
    return slot == SLOTS_NONE ? SPAN("") : directory_find(d, DIRECTORY_TAG, slot)->name;
}

/* Keys bore it before it was limited: their calls count from now on, whoever gave it to them. */
static void tell_bearers(const struct admin_operation *op, struct span name)
{
    size_t count = access_count_bearers(op->rights, name);
    if (count > 0) {
        log_info("tag_limited", "the tag %.*s has its first limit or budget; %zu key%s bear%s it",
                 SPAN_ARGS(name), count, SPAN_PLURAL(count), count == 1 ? "s" : "");
    }
}

enum err admin_tag_make(const struct admin_operation *op, struct span name, struct span id)
{
    const struct store_tag row = {.id = id, .name = name, .created = op->now};
    struct span known = admin_tag_name(op, id); /* it may have been named by its id */
    char key[KEY_ID_CHARS + 1];
    if (!access_tag_fits(op->rights, known.len > 0 ? known : name, key)) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("tag"),
                               "the key %s bears this tag and %d others that have limits, as many "
                               "as may be: take one of them from it first",
                               key, LIMITS_TAGS_MAX);
    }
    if (known.len > 0) {
        return ERR_OK;
    }
    tell_bearers(op, name);
    return access_change(op->rights, op->store, STORE_TABLE_TAG, &row, "tag.create",
                         op->request->actor);
}

/* ---- tags of keys ---- */

enum err admin_tags_judge(const struct admin_operation *op, struct span before, struct span after)
{
    uint32_t had[ACCESS_TAGS_MAX] = {0}, has[ACCESS_TAGS_MAX] = {0}, limited[ACCESS_TAGS_MAX];
    size_t had_count = access_limited_tags(op->rights, before, true, had);
    size_t count = access_limited_tags(op->rights, after, true, has);
    bool is_other = count != had_count || memcmp(had, has, sizeof(had)) != 0;
    if (is_other && !admin_right_has(&op->request->right, ADMIN_SCOPE_MONEY_WRITE)) {
        return admin_fault_say(&op->answer->fault, ERR_SCOPE_DENIED, SPAN("tags"),
                               "a tag that has, or had, limits or budgets is given and taken away "
                               "by who may change these: the admin key lacks the scope '%s'",
                               admin_scope_word(ADMIN_SCOPE_MONEY_WRITE));
    }
    return access_limited_tags(op->rights, after, false, limited) <= LIMITS_TAGS_MAX
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("tags"),
                                 "'tags' may have %d that have limits or budgets of their own",
                                 LIMITS_TAGS_MAX);
}
