/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags that have limits. A tag is there from its first limit on, and its name stays its own; who
 * may not change limits may not give a key such a tag, nor take one away, or nobody would be bound
 * by it.
 */
#include "access/access_fits.h"
#include "admin/admin_internal.h"
#include "admin/admin_reading.h"
#include "store/store_change.h"

#define TAG_BYTES_MAX (63 + 1 + 128) /* a name, '=' and a value (admin_objects.def) */

static bool can_be_tag(struct span name)
{
    size_t cut = span_find(name, '=', 0);
    return cut > 0 && cut < name.len && name.len <= TAG_BYTES_MAX && !admin_has_control(name);
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
                               "'tag' must be a tag as keys bear it, such as env=prod");
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

enum err admin_tag_make(const struct admin_operation *op, struct span name, struct span id)
{
    const struct store_tag row = {.id = id, .name = name, .created = op->now};
    struct span known = admin_tag_name(op, id); /* it may have been named by its id */
    if (!access_tag_fits(op->rights, known.len > 0 ? known : name)) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("tag"),
                               "a key that bears this tag has %d others that have limits, as many "
                               "as may be: take one of them from it first",
                               LIMITS_TAGS_MAX);
    }
    return known.len > 0 ? ERR_OK
                         : access_change(op->rights, op->store, STORE_TABLE_TAG, &row, "tag.create",
                                         op->request->actor);
}

/* ---- tags of keys ---- */

static enum err refuse_tags(const struct admin_operation *op, enum err e, const char *why)
{
    return admin_fault_say(&op->answer->fault, e, SPAN("tags"), "%s", why);
}

enum err admin_tags_judge(const struct admin_operation *op, const struct store_key *key,
                          struct span tags)
{
    uint32_t had[ACCESS_TAGS_MAX] = {0}, has[ACCESS_TAGS_MAX] = {0};
    const struct access_owners owners = {key->team, key->user, tags};
    size_t had_count = access_limited_tags(op->rights, key->tags, had);
    size_t count = access_limited_tags(op->rights, tags, has);
    bool is_other = count != had_count || memcmp(had, has, sizeof(had)) != 0;
    if (is_other && !admin_right_has(&op->request->right, ADMIN_SCOPE_MONEY_WRITE)) {
        return refuse_tags(op, ERR_SCOPE_DENIED,
                           "a tag that has limits or budgets is given and taken away by who may "
                           "change these: the admin key lacks the scope 'money.write'");
    }
    if (count > LIMITS_TAGS_MAX) {
        return refuse_tags(op, ERR_VALUE_INVALID,
                           "'tags' may have 4 that have limits or budgets of their own");
    }
    return access_key_fits(op->rights, key->id, &owners)
               ? ERR_OK
               : refuse_tags(op, ERR_VALUE_INVALID,
                             "more budgets would hold for the key, its user, team, organisation "
                             "and tags together than a call can count in: end some first");
}
