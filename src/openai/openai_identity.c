/* SPDX-License-Identifier: Apache-2.0 */
/* Who an answer is, what and of when. Clients put a stream together by these members. */
#include <stdio.h>

#include "openai/openai_internal.h"

/* A member as it is to be: where it stands and says something else, that is replaced; where it is
 * not there, it is among those to be added. */
struct due {
    const struct openai_ed *ed;
    size_t len;
    char added[2 * sizeof(struct openai_identity)]; /* fits all three */
};

static void put_member(struct due *d, uint32_t key, const char *name, struct span value)
{
    struct json_edits *edits = d->ed->edits;
    if (key == JSON_NONE) {
        d->len += (size_t)snprintf(d->added + d->len, sizeof(d->added) - d->len, "%s\"%s\":%.*s",
                                   d->len > 0 ? "," : "", name, SPAN_ARGS(value));
        return;
    }
    struct span kept = arena_copy(edits->arena, value);
    if (kept.at == NULL) {
        json_edits_fail(edits, arena_error(edits->arena));
        return;
    }
    json_edits_set_value_borrow(edits, key + 1, kept);
}

static void make_id(const struct openai_plan *plan, struct openai_identity *who)
{
    (void)snprintf(who->id, sizeof(who->id), "\"%s-%.*s\"",
                   plan->endpoint == OPENAI_CHAT ? "chatcmpl" : "cmpl",
                   SPAN_ARGS(plan->call_id)); /* 26 characters */
}

static void make_created(const struct openai_plan *plan, struct openai_identity *who)
{
    (void)snprintf(who->created, sizeof(who->created), "%lld", (long long)plan->created_s);
}

void openai_make_identity(const struct openai_plan *plan, struct openai_identity *who)
{
    if (who->id[0] == '\0') {
        make_id(plan, who);
    }
    if (who->created[0] == '\0') {
        make_created(plan, who);
    }
}

struct span openai_object_of(const struct openai_plan *plan, bool is_chunk)
{
    switch (plan->endpoint) {
    case OPENAI_CHAT:
        return is_chunk ? SPAN("\"chat.completion.chunk\"") : SPAN("\"chat.completion\"");
    case OPENAI_COMPLETIONS:
        return SPAN("\"text_completion\"");
    case OPENAI_EMBEDDINGS:
        return SPAN("\"list\"");
    }
    NEVER("an endpoint is one of these");
}

static void edit_id(struct due *d, uint32_t key, struct openai_identity *who)
{
    const struct json_index *x = d->ed->x;
    uint32_t row = openai_value(x, key);
    struct span said = openai_is_text(x, row) ? json_source(x, row) : SPAN("");
    if (LIKELY(said.len > 0 && span_equal(said, span_of(who->id)))) {
        return;
    }
    if (who->id[0] == '\0' && said.len > 0) {
        if (said.len < sizeof(who->id)) {
            span_copy_text(said, who->id, sizeof(who->id));
        }
        return;
    }
    if (who->id[0] == '\0') {
        make_id(d->ed->plan, who);
    }
    put_member(d, key, "id", span_of(who->id));
}

static void edit_object(struct due *d, uint32_t key, struct span object)
{
    uint32_t row = openai_value(d->ed->x, key);
    if (UNLIKELY(row == JSON_NONE || !span_equal(json_source(d->ed->x, row), object))) {
        put_member(d, key, "object", object);
    }
}

/* 0 is no time at which anything was created. That it says the same as before is seen without
 * reading the number. */
static void edit_created(struct due *d, uint32_t key, struct openai_identity *who)
{
    const struct json_index *x = d->ed->x;
    int64_t seconds;
    uint32_t row = openai_value(x, key);
    struct span said = row == JSON_NONE ? SPAN("") : json_source(x, row);
    if (LIKELY(said.len > 0 && span_equal(said, span_of(who->created)))) {
        return;
    }
    if (who->created[0] == '\0') {
        if (openai_is_count(x, row, &seconds) && seconds > 0) {
            span_copy_text(said, who->created, sizeof(who->created)); /* fits */
            return;
        }
        make_created(d->ed->plan, who);
    }
    put_member(d, key, "created", span_of(who->created));
}

void openai_edit_identity(const struct openai_ed *ed, const uint32_t top[TOP_KEYS], bool is_chunk,
                          struct openai_identity *who)
{
    struct due d;
    d.ed = ed;
    d.len = 0;
    d.added[0] = '\0';
    if (ed->plan->endpoint != OPENAI_EMBEDDINGS) {
        edit_id(&d, top[TOP_ID], who);
    }
    edit_object(&d, top[TOP_OBJECT], openai_object_of(ed->plan, is_chunk));
    if (ed->plan->endpoint != OPENAI_EMBEDDINGS) {
        edit_created(&d, top[TOP_CREATED], who);
    }
    if (d.len > 0) {
        openai_add_member(ed->edits, 0, d.added);
    }
}
