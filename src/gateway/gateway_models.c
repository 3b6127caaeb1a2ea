/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key that is bound to no models hears the list that the policy has prepared. For another it is
 * made anew: the names that it is bound to become a map, so that the work is that of the models,
 * however many names there are.
 */
#include "gateway/gateway_models.h"

#include "base/map.h"
#include "http/http_target.h"
#include "json/json_scan.h"

#define MODEL_ID_MAX 512

/* ---- the list ---- */

/* The names that a key and its team are bound to; empty: any. */
struct bounds {
    struct map key, team;
};

/* Names a line each. */
static enum err put_names(struct map *to, struct span names)
{
    enum err e = ERR_OK;
    for (size_t at = 0; e == ERR_OK && at < names.len;) {
        size_t end = span_find(names, '\n', at);
        e = map_put_borrow(to, span_cut(names, at, end - at), to);
        at = end + 1;
    }
    return e;
}

static bool holds(const struct map *names, struct span name, const struct policy_model *model)
{
    return names->count == 0 || map_find(names, name) != NULL ||
           map_find(names, model->name) != NULL;
}

static bool may_use(void *ctx, struct span name, const struct policy_model *model)
{
    const struct bounds *bounds = ctx;
    return holds(&bounds->key, name, model) && holds(&bounds->team, name, model);
}

static enum err write_bound(const struct gateway_answer *a, const struct access_models *models,
                            struct buf *out)
{
    struct bounds bounds;
    map_init(&bounds.key);
    map_init(&bounds.team);
    enum err e = put_names(&bounds.key, models->key);
    if (e == ERR_OK) {
        e = put_names(&bounds.team, models->team);
    }
    if (e == ERR_OK) {
        e = policy_write_models(a->shared->policy, may_use, &bounds, out);
    }
    map_fini(&bounds.key);
    map_fini(&bounds.team);
    return e;
}

void gateway_models_list(struct gateway_answer *a)
{
    struct access_models models = {SPAN(""), SPAN("")};
    struct buf b;
    if (a->shared->rights != NULL) {
        models = access_models_of(a->shared->rights, &a->key, &a->who);
    }
    if (models.key.len == 0 && models.team.len == 0) {
        gateway_answer_put(a, 200, GATEWAY_JSON, a->shared->policy->models_json);
        return;
    }
    buf_init(&b, POLICY_LIST_BYTES_MAX);
    if (write_bound(a, &models, &b) == ERR_OK) {
        gateway_answer_put(a, 200, GATEWAY_JSON, buf_span(&b));
    } else {
        gateway_answer_refuse(a, ERR_NO_MEMORY, SPAN(""), SPAN(""), SPAN(""));
    }
    buf_fini(&b);
}

/* ---- one ---- */

/* What a key may not use is to it as what is not there. */
static bool find(const struct gateway_answer *a, struct span id, struct policy_match *out)
{
    const struct call_shared *shared = a->shared;
    return policy_find(shared->policy, id, out) &&
           (shared->rights == NULL ||
            shared->ports->access.permits(shared->rights, &a->key, &a->who, id, out->model->name));
}

void gateway_models_show(struct gateway_answer *a, struct span rest)
{
    uint8_t room[MODEL_ID_MAX];
    struct span id;
    struct policy_match match;
    struct buf b;
    if (rest.len > sizeof(room) || http_target_decode(rest, room, &id) != ERR_OK ||
        json_scan_utf8(id) != id.len || !find(a, id, &match)) {
        gateway_answer_refuse(a, ERR_MODEL_UNKNOWN, SPAN(""), SPAN("model"), SPAN(""));
        return;
    }
    buf_init(&b, GATEWAY_FIELDS_MAX);
    policy_write_model(a->shared->policy, id, match.model, &b);
    if (buf_failed(&b)) {
        gateway_answer_refuse(a, ERR_NO_MEMORY, SPAN(""), SPAN(""), SPAN(""));
    } else {
        gateway_answer_put(a, 200, GATEWAY_JSON, buf_span(&b));
    }
    buf_fini(&b);
}
