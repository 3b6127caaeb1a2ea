/* SPDX-License-Identifier: Apache-2.0 */
/* How a try fails: by itself, or as its model server says. Either is noted; what comes of it is
 * decided in call_tries.c. */
#include "call/call_internal.h"
#include "http/http_response.h"
#include "upstream/upstream_error.h"
#include "upstream/upstream_reason.h"

enum call_try_state call_try_fail(struct call_try *t, enum err e)
{
    CHECK(e != ERR_OK);
    if (t->error == ERR_OK) {
        bool is_refused = e == ERR_NO_MEMORY && t->call->arena.is_refused;
        t->error = is_refused ? ERR_OVERLOADED : e;
    }
    return CALL_TRY_LOST;
}

/* Whether the model server was asked for the name that the caller chose: a pattern let it through.
 */
static bool is_callers_name(const struct call_try *t)
{
    const struct policy_model *model = t->candidate->match.model;
    return model->is_pattern;
}

enum call_try_state call_try_fail_upstream(struct call_try *t, int status, struct span body)
{
    struct call *call = t->call;
    const struct http_response *head = call->shared->ports->attempt.head(t->attempt);
    struct upstream_answer answer = {
        .kind = t->candidate->match.place->deployment->definition.kind,
        .status = status,
        .content_type = http_fields_find(&head->fields, HTTP_NAME_CONTENT_TYPE),
        .retry_after = http_fields_find(&head->fields, HTTP_NAME_RETRY_AFTER),
        .now = call->shared->ports->wall(),
        .body = body,
    };
    struct upstream_error error;
    upstream_error_read(&answer, &call->shared->turn, &error);
    t->retry_after_s = error.retry_after_s;
    t->reason = upstream_reason_read(body);
    enum err e = error.err;
    struct server_words words = {
        .message = error.message, .param = error.param, .type = error.type, .code = error.code};
    char text[POLICY_UNKNOWN_BYTES];
    if (e == ERR_UPSTREAM_MODEL && is_callers_name(t)) {
        e = ERR_MODEL_UNKNOWN;
        size_t len = policy_say_unknown(call->policy, t->candidate->match.shown, text);
        words = (struct server_words){.message = span_make(text, len), .param = SPAN("model")};
    }
    if (t->error == ERR_OK && call_guard_words(call, &words) != ERR_OK) {
        words = (struct server_words){.message = SPAN("")};
    }
    if (t->error == ERR_OK) {
        t->words = call_copy_words(call, &words);
    }
    arena_fini(&call->shared->turn);
    return call_try_fail(t, e);
}
