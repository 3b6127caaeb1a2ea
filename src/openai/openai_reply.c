/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/openai_internal.h"
#include "json/json_value.h"

static enum err finish(struct openai_reply *r, enum err e)
{
    return e == ERR_OK ? json_edits_error(&r->edits) : e;
}

enum err openai_reply_begin(struct openai_reply *r, const struct json_index *x,
                            const struct openai_plan *plan, struct arena *arena)
{
    uint32_t top[TOP_KEYS];
    struct openai_identity who = {"", ""};
    *r = (struct openai_reply){.plan = plan};
    if (x->count == 0 || json_kind(x, 0) != JSON_OBJECT) {
        return ERR_UPSTREAM_JSON;
    }
    const struct openai_ed ed = {plan, x, &r->edits};
    json_edits_init(&r->edits, x, arena);
    openai_keys(&r->edits, 0, openai_top_names, TOP_KEYS, top);
    if (openai_is_error(x, top, &r->edits)) {
        r->failure = x->text;
        return ERR_UPSTREAM_STATUS;
    }
    openai_edit_identity(&ed, top, false, &who);
    openai_set_model(&ed, top);
    uint32_t usage = openai_value(x, top[TOP_USAGE]);
    if (openai_is_kind(x, usage, JSON_OBJECT)) {
        openai_usage_edit(&r->edits, usage, plan->endpoint != OPENAI_EMBEDDINGS);
    } else if (usage != JSON_NONE) {
        json_edits_remove_member(&r->edits, 0, top[TOP_USAGE]);
    }
    (void)openai_usage_read(x, usage, openai_value(x, top[TOP_TIMINGS]),
                            &r->usage); /* it says itself whether there was any */
    if (plan->endpoint == OPENAI_EMBEDDINGS) {
        return finish(r, openai_vectors_begin(&r->vectors, x, plan, arena));
    }
    enum err e = openai_cursor_begin(&r->cursor, x, openai_value(x, top[TOP_CHOICES]), NULL);
    r->cursor.counts = !openai_usage_is_plain(&r->usage, x->text.len, plan->asked);
    return finish(r, e);
}

enum err openai_reply_convert(struct openai_reply *r, int64_t floats)
{
    enum err e = ERR_OK;
    if (r->is_made) {
        return ERR_OK;
    }
    if (r->plan->endpoint == OPENAI_EMBEDDINGS) {
        e = openai_vectors_convert(&r->vectors, floats, &r->edits);
        r->is_made = e == ERR_OK && openai_vectors_are_done(&r->vectors);
        return finish(r, e);
    }
    const struct openai_ed ed = {r->plan, r->edits.index, &r->edits};
    e = openai_cursor_step(&r->cursor, &ed, &floats);
    r->failure = r->cursor.failure;
    r->written = r->usage.written = r->cursor.written;
    r->is_made = e == ERR_OK && r->cursor.is_done;
    return finish(r, e);
}
