/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a request would go, by the policy, prices and latencies that calls go by just now.
 *
 * It is asked on the store's thread, which alone changes who there is and what each may: so all of
 * that stays as it is meanwhile. Nothing of the request is kept.
 */
#include "admin/admin_internal.h"
#include "decision/decision_explain.h"
#include "keys/keys_find.h"

/* Who asks, while it is explained. */
struct asking {
    const struct admin_operation *op;
    struct key_handle key;
    struct limits_subjects who;
};

static const char *why_not(enum err e)
{
    return e == ERR_NOT_FOUND_ROW ? "there is no key of this id" : err_sentence(e);
}

/* As the key's calls, but for what stands in their way before a model is chosen. */
static enum err find_caller(void *ctx, struct span id, struct decision_ask *ask, const char **why)
{
    struct asking *a = ctx;
    const struct admin_operation *op = a->op;
    enum err e = keys_find(op->keys, id, ask->now, &a->key);
    if (e == ERR_OK && a->key.kind == KEY_ADMIN) {
        *why = "an admin key asks no models";
        return ERR_VALUE_INVALID;
    }
    e = e == ERR_OK ? access_look(op->rights, &a->key, ask->now, &a->who) : e;
    if (e != ERR_OK) {
        *why = why_not(e);
        return ERR_VALUE_INVALID;
    }
    ask->rights = op->rights;
    ask->keys = op->keys;
    ask->permits = access_permits;
    ask->place = access_place_of(op->rights, &a->key, &a->who);
    return ERR_OK;
}

enum err admin_route_explain(const struct admin_operation *op)
{
    char fault[DECISION_FAULT_BYTES] = "";
    struct asking a = {.op = op, .key = {.id = ""}, .who = LIMITS_SUBJECTS_NONE};
    const struct decision_callers callers = {find_caller, &a};
    struct decision_ask ask = {.policy = op->policy,
                               .book = op->book,
                               .key = &a.key,
                               .who = &a.who,
                               .now = op->now,
                               .mono = clock_mono(),
                               .chance = DECISION_NO_CHANCE};
    if (op->policy == NULL) {
        return admin_refuse(op, ERR_DRAINING, "only a running gateway can say it");
    }
    ask.scratch = condition_scratch_new();
    enum err e = ask.scratch == NULL
                     ? ERR_NO_MEMORY
                     : decision_explain(&ask, &callers, op->request->body, op->out, fault);
    condition_scratch_free(&ask.scratch);
    return e == ERR_OK || fault[0] == '\0' ? e : admin_refuse(op, e, fault);
}
