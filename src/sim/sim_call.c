/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call reads its body, waits for its turn and for the first token, and answers. Faults at a byte
 * are done on the rendered answer, head and all, that goes out raw up to that byte; faults of
 * content are done by sim_reply.c. What is ended before its end by the other side counts as
 * aborted.
 */
#include "base/memory.h"
#include "http/http_chunked.h"
#include "http/http_request.h"
#include "sim/sim_echo.h"
#include "sim/sim_internal.h"

#define READ_BYTES    65536
#define BURST_BYTES   32768 /* of events gathered in one put */
#define ANSWER_MAX    (256u << 20)
#define STREAM_FIELDS "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
#define JSON_FIELDS   "Content-Type: application/json\r\n"

static void run(struct sim_call *c);

/* Who waits longest begins, if there is room for it; by its timer, not from within the end of
 * another. */
static void let_next_begin(struct sim *s)
{
    struct sim_call *next =
        list_is_empty(&s->queue) ? NULL : LIST_OF(s->queue.next, struct sim_call, link);
    if (next == NULL || s->taken >= next->plan.slots) {
        return;
    }
    list_remove(&next->link);
    s->queued--;
    s->taken++;
    next->is_queued = false;
    next->has_turn = true;
    if (net_timer_set(&next->timer, clock_mono()) != ERR_OK) {
        next->is_raw = true; /* it hangs until the other side gives up */
    }
}

static void give_up_turn(struct sim_call *c)
{
    struct sim *s = c->sim;
    if (c->is_queued) {
        list_remove(&c->link);
        s->queued--;
    }
    s->held_tokens -= c->is_begun ? c->question.prompt_tokens : 0;
    s->taken -= c->has_turn;
    let_next_begin(s);
}

static void end(struct sim_call *c, bool finished)
{
    struct sim *s = c->sim;
    give_up_turn(c);
    s->running--;
    s->finished += finished;
    s->aborted += !finished;
    if (c->seen != NULL) {
        c->seen->finished += finished;
        c->seen->aborted += !finished;
    }
    net_timer_fini(&c->timer);
    buf_fini(&c->body);
    buf_fini(&c->question.echo);
    memory_free(c);
}

static void finish(struct sim_call *c)
{
    exchange_finish(c->x);
    end(c, true);
}

/* Goes on at `due`. Without memory for a timer the call hangs until the other side gives up. */
static void wait_until(struct sim_call *c, mono_us due)
{
    if (net_timer_set(&c->timer, due) != ERR_OK) {
        c->is_raw = true;
    }
}

/* ---- faults at a byte ---- */

static void render_whole(const struct sim_call *c, struct buf *out)
{
    if (!c->question.stream || c->question.endpoint == SIM_EMBEDDINGS) {
        sim_reply_write(&c->question, &c->plan, out);
        return;
    }
    uint64_t count = sim_event_count(&c->question, &c->plan);
    for (uint64_t n = 0; n <= count; n++) {
        sim_event_write(&c->question, &c->plan, n, out);
    }
}

static void render_raw(const struct sim_call *c, struct buf *out)
{
    struct buf body;
    char size[HTTP_CHUNK_SIZE_BYTES];
    buf_init(&body, ANSWER_MAX);
    render_whole(c, &body);
    bool more = c->plan.fault == SIM_HALF_CHUNK;
    buf_put_text(out,
                 c->plan.fault == SIM_BAD_HEAD ? "HTTP/1.1 banana\n\n" : "HTTP/1.1 200 OK\r\n");
    buf_put_text(out, c->question.stream ? STREAM_FIELDS : JSON_FIELDS);
    buf_put_text(out, "Transfer-Encoding: chunked\r\n\r\n");
    (void)http_chunk_write(buf_span(&body).len + (more ? 1000 : 0), size); /* a text with a NUL */
    buf_put_text(out, size);
    buf_put(out, buf_span(&body));
    buf_put_text(out, more ? "" : "\r\n" HTTP_CHUNKED_END);
    buf_fini(&body);
}

static void put_raw(struct sim_call *c)
{
    struct buf *out = &c->sim->out;
    buf_clear(out);
    render_raw(c, out);
    struct span bytes = buf_span(out);
    bool is_short = (uint64_t)c->plan.at < bytes.len;
    if (c->plan.fault == SIM_RESET || c->plan.fault == SIM_CLOSE || c->plan.fault == SIM_STALL) {
        bytes = span_cut(bytes, 0, (size_t)c->plan.at);
    }
    exchange_put_raw(c->x, bytes);
    c->is_raw = true;
    if (c->plan.fault == SIM_STALL && is_short) {
        return; /* until the other side gives up; one who has it all would wait in vain, later */
    }
    if (c->plan.fault == SIM_RESET) {
        exchange_reset(c->x);
    } else {
        exchange_cancel(c->x);
    }
    end(c, true);
}

static void put_status(struct sim_call *c, int status)
{
    struct buf fields, *out = &c->sim->out;
    buf_clear(out);
    if (c->question.is_refused) {
        sim_refusal_write(&c->question, out);
    } else {
        sim_error_write(status, out);
    }
    buf_init(&fields, 256);
    buf_put_text(&fields, JSON_FIELDS);
    if (c->plan.retry_after > 0) {
        buf_printf(&fields, "Retry-After: %lld\r\n", (long long)c->plan.retry_after);
    }
    struct span body = buf_span(out);
    struct iovec piece = {(void *)(uintptr_t)body.at, body.len};
    exchange_put_head(c->x, status, buf_span(&fields), body.len);
    exchange_put(c->x, &piece, 1);
    buf_fini(&fields);
    finish(c);
}

static void put_whole(struct sim_call *c)
{
    struct buf *out = &c->sim->out;
    buf_clear(out);
    sim_reply_write(&c->question, &c->plan, out);
    struct span body = buf_span(out);
    if (c->plan.fault == SIM_BAD_JSON) {
        body = span_cut(body, 0, body.len - 1);
    }
    struct iovec piece = {(void *)(uintptr_t)body.at, body.len};
    exchange_put_head(c->x, 200, SPAN(JSON_FIELDS),
                      c->plan.fault == SIM_ENDLESS ? UINT64_MAX : body.len);
    exchange_put(c->x, &piece, 1);
    c->sim->generated_tokens +=
        c->question.endpoint == SIM_EMBEDDINGS ? 0 : (uint64_t)c->plan.tokens;
    c->head_put = true;
    if (c->plan.fault != SIM_ENDLESS) {
        finish(c);
    } else if (exchange_waiting(c->x) == 0) {
        wait_until(c, clock_after_ms(clock_mono(), 1));
    }
}

/* A reply that goes on for ever, as fast as it is read. */
static void put_more(struct sim_call *c)
{
    char blanks[4096];
    memset(blanks, ' ', sizeof(blanks));
    struct iovec piece = {blanks, sizeof(blanks)};
    for (int i = 0; i < 64 && exchange_waiting(c->x) == 0; i++) {
        exchange_put(c->x, &piece, 1);
    }
    if (exchange_waiting(c->x) == 0) {
        wait_until(c, clock_after_ms(clock_mono(), 1));
    }
}

/* ---- streams ---- */

static void gather(struct sim_call *c, uint64_t count, mono_us now)
{
    struct buf *out = &c->sim->out;
    int64_t step_us = c->plan.tokens_per_second > 0 ? 1000000 / c->plan.tokens_per_second : 0;
    while (c->event <= count && buf_span(out).len < BURST_BYTES &&
           (step_us == 0 || c->next_at.us <= now.us)) {
        if (c->event < count || (c->plan.fault != SIM_NO_DONE && c->plan.fault != SIM_NO_FINISH)) {
            sim_event_write(&c->question, &c->plan, c->event, out);
        }
        c->sim->generated_tokens += sim_event_is_token(&c->question, &c->plan, c->event);
        c->event++;
        c->next_at.us += step_us;
    }
}

static void put_events(struct sim_call *c)
{
    struct buf *out = &c->sim->out;
    uint64_t count = sim_event_count(&c->question, &c->plan);
    mono_us now = clock_mono();
    if (!c->head_put) {
        exchange_put_head(c->x, 200, SPAN(STREAM_FIELDS), UINT64_MAX);
        c->head_put = true;
        c->next_at = now;
    }
    while (exchange_waiting(c->x) == 0) {
        buf_clear(out);
        gather(c, count, now);
        struct span bytes = buf_span(out);
        if (bytes.len == 0) {
            break;
        }
        struct iovec piece = {(void *)(uintptr_t)bytes.at, bytes.len};
        exchange_put(c->x, &piece, 1);
        if (c->plan.fault == SIM_ENDLESS) {
            break; /* others get their turn */
        }
    }
    if (c->event > count) {
        finish(c);
    } else if (exchange_waiting(c->x) == 0) {
        mono_us due = c->next_at.us > now.us ? c->next_at : clock_after_ms(now, 1);
        wait_until(c, due);
    }
}

/* ---- a call ---- */

static void answer(struct sim_call *c)
{
    if (c->question.is_refused) {
        put_status(c, 400);
        return;
    }
    switch (c->plan.fault) {
    case SIM_REFUSE:
        exchange_reset(c->x);
        end(c, true);
        return;
    case SIM_RESET:
    case SIM_CLOSE:
    case SIM_STALL:
    case SIM_HALF_CHUNK:
    case SIM_BAD_HEAD:
        put_raw(c);
        return;
    case SIM_STATUS:
        put_status(c, (int)c->plan.status);
        return;
    case SIM_NONE:
    case SIM_BAD_JSON:
    case SIM_BAD_SSE:
    case SIM_NO_DONE:
    case SIM_NO_FINISH:
    case SIM_ERROR_EVENT:
    case SIM_ENDLESS:
    case SIM_FAULT_COUNT:
        break;
    }
    if (c->question.stream && c->question.endpoint != SIM_EMBEDDINGS) {
        put_events(c);
    } else if (!c->head_put) {
        put_whole(c);
    } else {
        put_more(c);
    }
}

/* False: more is to come, or the call is gone. */
static bool read_body(struct sim_call *c)
{
    for (;;) {
        size_t got = 0;
        uint8_t *room = buf_reserve(&c->body, READ_BYTES);
        if (room == NULL) {
            exchange_refuse(c->x, ERR_BODY_TOO_LARGE, SPAN(""), SPAN(""), SPAN(""));
            end(c, true);
            return false;
        }
        enum exchange_pulled pulled = exchange_pull(c->x, room, READ_BYTES, &got);
        if (pulled == EXCHANGE_FAILED) {
            exchange_cancel(c->x);
            end(c, false);
            return false;
        }
        buf_added(&c->body, got);
        if (pulled != EXCHANGE_SOME) {
            return pulled == EXCHANGE_END;
        }
    }
}

static void remember(struct sim_call *c)
{
    struct sim *s = c->sim;
    const struct http_request *head = exchange_head(c->x);
    buf_clear(&s->last_head);
    for (uint32_t i = 0; i < head->fields.count; i++) {
        buf_put(&s->last_head, http_field_name(&head->fields, i));
        buf_put_text(&s->last_head, ": ");
        buf_put(&s->last_head, http_field_value(&head->fields, i));
        buf_put_text(&s->last_head, "\r\n");
    }
    buf_clear(&s->last_body);
    buf_put(&s->last_body, buf_span(&c->body));
}

/* Reads the prompt, but for what it remembers, behind those that came before; when it will have. */
static mono_us read_prompt(struct sim_call *c)
{
    struct sim *s = c->sim;
    struct sim_question *q = &c->question;
    mono_us now = clock_mono();
    if (s->cache != NULL && c->plan.cache_tokens > 0) {
        int64_t found = sim_cache_read(s->cache, q->prompt);
        q->cached_tokens = found < c->plan.cache_tokens ? found : c->plan.cache_tokens;
        s->cache_asked += (uint64_t)q->prompt_tokens;
        s->cache_found += (uint64_t)q->cached_tokens;
    }
    if (c->plan.prefill_tokens_per_second == 0) {
        return now;
    }
    int64_t left = q->prompt_tokens - (q->cached_tokens > 0 ? q->cached_tokens : 0);
    int64_t begin = s->read_until.us > now.us ? s->read_until.us : now.us;
    s->read_until.us = begin + left * 1000000 / c->plan.prefill_tokens_per_second;
    return s->read_until;
}

/* It is its turn, or it is to wait for that. */
static void take_turn(struct sim_call *c)
{
    struct sim *s = c->sim;
    c->is_queued = c->plan.slots > 0 && (s->queued > 0 || s->taken >= c->plan.slots);
    c->has_turn = !c->is_queued;
    if (c->is_queued) {
        list_push_back(&s->queue, &c->link);
        s->queued++;
    } else {
        s->taken++;
    }
}

/* False: it is to wait for the first token, which depends on what is asked. */
static bool begin(struct sim_call *c)
{
    mono_us due = read_prompt(c);
    c->is_begun = true;
    c->question.prompt = SPAN("");
    buf_fini(&c->body);
    c->sim->prompt_tokens += (uint64_t)c->question.prompt_tokens;
    c->sim->held_tokens += c->question.prompt_tokens;
    due = clock_after_ms(due, c->plan.first_token_ms);
    return due.us <= clock_mono().us || net_timer_set(&c->timer, due) != ERR_OK;
}

/* The body is there; false: nothing can be made of it. */
static bool understand(struct sim_call *c)
{
    remember(c);
    if (sim_question_read(buf_span(&c->body), &c->sim->index, &c->question, &c->plan) != ERR_OK) {
        exchange_refuse(c->x, ERR_BODY_NOT_JSON, SPAN(""), SPAN(""), SPAN(""));
        end(c, true);
        return false;
    }
    c->has_body = true;
    if (c->plan.print != 0) {
        sim_echo_print(buf_span(&c->question.echo), stdout);
    }
    take_turn(c);
    return true;
}

static void run(struct sim_call *c)
{
    if (exchange_is_gone(c->x)) {
        exchange_cancel(c->x);
        end(c, false);
        return;
    }
    if (c->is_raw) {
        return;
    }
    if (!c->has_body && (!read_body(c) || !understand(c))) {
        return;
    }
    if (c->is_queued || (!c->is_begun && !begin(c))) {
        return;
    }
    if (c->timer.due.us == INT64_MAX) { /* nothing is waited for */
        answer(c);
    }
}

static void on_event(void *ctx)
{
    run(ctx);
}

static void on_due(struct net_timer *timer)
{
    run((struct sim_call *)(void *)((char *)timer - offsetof(struct sim_call, timer)));
}

static struct sim_seen *see(struct sim *s, struct span id)
{
    struct sim_seen *seen = map_find(&s->seen, id);
    if (seen == NULL && id.len > 0 && s->seen.count < SIM_IDS_MAX) {
        struct span kept = arena_copy(&s->ids, id);
        seen = arena_new(&s->ids, sizeof(*seen));
        if (kept.at == NULL || seen == NULL || map_put_borrow(&s->seen, kept, seen) != ERR_OK) {
            return NULL;
        }
    }
    return seen;
}

static void read_headers(struct sim_call *c, const struct http_request *head)
{
    static const size_t prefix = sizeof("x-sim-") - 1;
    for (uint32_t i = 0; i < head->fields.count; i++) {
        struct span name = http_field_name(&head->fields, i);
        if (name.len <= prefix || !span_equal_nocase(span_cut(name, 0, prefix), SPAN("x-sim-"))) {
            continue;
        }
        name = span_cut(name, prefix, name.len);
        if (sim_plan_set(&c->plan, name, http_field_value(&head->fields, i)) != ERR_OK) {
            sim_question_refuse(&c->question, name);
        }
    }
}

void sim_call_start(struct sim *s, struct exchange *x, enum sim_endpoint endpoint)
{
    const struct http_request *head = exchange_head(x);
    struct sim_call *c = memory_new(sizeof(*c));
    if (c == NULL) {
        exchange_refuse(x, ERR_NO_MEMORY, SPAN(""), SPAN(""), SPAN(""));
        return;
    }
    c->sim = s;
    c->x = x;
    c->plan = s->plan;
    c->question.endpoint = endpoint;
    c->question.number = ++s->calls;
    c->seen = see(s, http_fields_find(&head->fields, HTTP_NAME_X_REQUEST_ID));
    if (c->seen != NULL) {
        c->seen->attempts++;
    }
    s->running++;
    list_init(&c->link);
    buf_init(&c->body, SIM_BODY_BYTES_MAX);
    buf_init(&c->question.echo, SIM_BODY_BYTES_MAX);
    net_timer_init(&c->timer, s->loop, on_due);
    read_headers(c, head);
    exchange_attach(x, on_event, c);
    exchange_continue(x);
    run(c);
}
