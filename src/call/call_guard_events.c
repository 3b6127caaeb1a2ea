/* SPDX-License-Identifier: Apache-2.0 */
/* The events of an answer through the guard, each as it would go out. */
#include "call/call_guard_internal.h"

#include "sse/sse_write.h"
#include "json/json_scan.h"

#define CHOICES_MAX ((size_t)4 << 20) /* of an event that says what was held back */

struct guard_flow *call_guard_flow(struct call *call)
{
    struct call_guard *g = call->guard;
    struct guard_wanted wanted;
    if (!g->has_flow) {
        (void)guard_case_wants(&g->found, GUARD_REPLY, &wanted); /* it does: call_guard_looks() */
        guard_flow_init(&g->flow, &g->found, &wanted, call->request.endpoint == OPENAI_CHAT);
        g->has_flow = true;
    }
    return &g->flow;
}

/* Adds the event as edited, as one line. */
static enum err gather(struct buf *out, const struct json_edits *edits)
{
    size_t len = (size_t)json_edits_total(edits);
    buf_put(out, SPAN("data: "));
    uint8_t *to = buf_reserve(out, len);
    if (to == NULL) {
        return buf_error(out);
    }
    json_edits_copy(edits, to);
    sse_one_line(to, len);
    buf_added(out, len);
    buf_put(out, SPAN("\n\n"));
    return buf_failed(out) ? buf_error(out) : ERR_OK;
}

/* Says in an event what is to be said before another. */
static enum err say(struct call_try *t, struct buf *choices)
{
    struct buf *out = &t->call->shared->out;
    if (buf_failed(choices)) {
        return buf_error(choices);
    }
    if (buf_span(choices).len > 0) {
        openai_stream_say(&t->stream, buf_span(choices), out);
    }
    return buf_failed(out) ? buf_error(out) : ERR_OK;
}

/* Looks at an event that goes out as it is, whatever is found. */
static enum err put_event_as_it_is(struct call_try *t, struct json_edits *edits)
{
    struct call_shared *shared = t->call->shared;
    struct json_edits unused;
    struct buf before;
    bool is_silent;
    json_edits_init(&unused, edits->index, &shared->turn);
    buf_init_counted(&before, CHOICES_MAX, BUF_UNCOUNTED);
    enum err e = guard_flow_event(call_guard_flow(t->call), shared->guard, &unused, &shared->turn,
                                  &before, &is_silent);
    buf_fini(&before);
    return e == ERR_OK ? gather(&shared->out, edits) : e;
}

enum err call_guard_put_event(struct call_try *t, struct span event, bool *is_cut)
{
    struct call_shared *shared = t->call->shared;
    struct guard_flow *flow = call_guard_flow(t->call);
    struct json_edits edits;
    struct buf before;
    bool is_silent = false;
    enum err e = json_index_parse_borrow(&shared->index, event);
    if (e != ERR_OK) {
        return err_is_memory(e) ? e : ERR_INTERNAL;
    }
    json_edits_init(&edits, &shared->index, &shared->turn);
    *is_cut = false;
    if (!guard_case_may_change(&t->call->guard->found, GUARD_REPLY)) {
        return put_event_as_it_is(t, &edits);
    }
    buf_init_counted(&before, CHOICES_MAX, BUF_UNCOUNTED);
    e = guard_flow_event(flow, shared->guard, &edits, &shared->turn, &before, &is_silent);
    if (e == ERR_OK) {
        e = say(t, &before);
    }
    buf_fini(&before);
    *is_cut = flow->is_cut;
    return e == ERR_OK && !is_silent ? gather(&shared->out, &edits) : e;
}

enum err call_guard_flush(struct call_try *t)
{
    struct call_shared *shared = t->call->shared;
    struct buf before;
    buf_init_counted(&before, CHOICES_MAX, BUF_UNCOUNTED);
    enum err e = guard_flow_end(call_guard_flow(t->call), shared->guard, &shared->turn, &before);
    if (e == ERR_OK && guard_case_may_change(&t->call->guard->found, GUARD_REPLY)) {
        e = say(t, &before);
    }
    buf_fini(&before);
    return e;
}

/* The next event of several; empty behind the last. */
static struct span next_event(struct span *events)
{
    static const struct span end = {(const uint8_t *)"\n\n", 2},
                             data = {(const uint8_t *)"data: ", 6};
    size_t at = 0;
    while (at + end.len <= events->len && !span_starts(span_cut(*events, at, end.len), end)) {
        at = span_find(*events, '\n', at + 1);
    }
    struct span event = span_cut(*events, 0, at);
    *events = span_cut(*events, at + end.len, events->len);
    return span_starts(event, data) ? span_cut(event, data.len, event.len) : event;
}

enum err call_guard_put_events(struct call_try *t, struct span events)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && events.len > 0) {
        struct span event = next_event(&events);
        bool is_cut;
        if (span_is(event, "[DONE]")) {
            e = call_guard_flush(t);
            buf_put(&t->call->shared->out, SPAN(SSE_DONE));
        } else if (event.len > 0) {
            e = call_guard_put_event(t, event, &is_cut);
        }
    }
    return e;
}
