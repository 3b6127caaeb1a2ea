/* SPDX-License-Identifier: Apache-2.0 */
/* The events that end a stream, which a server may have left out. */
#include "base/buf.h"
#include "openai/openai_internal.h"
#include "json/json_write.h"

#define HELD_BYTES_MAX (16 * OPENAI_HELD_MAX) /* of calls, with what is around their pieces */
#define LAST_BYTES_MAX (2 * HELD_BYTES_MAX)

/* Up to the choices, which are next. */
static void begin_chunk(struct openai_stream *s, struct json_writer *w)
{
    openai_make_identity(s->plan, &s->who);
    buf_put(w->out, SPAN("data: "));
    json_write_object(w);
    json_write_key(w, "id");
    json_write_raw(w, span_of(s->who.id));
    json_write_key(w, "object");
    json_write_raw(w, openai_object_of(s->plan, true));
    json_write_key(w, "created");
    json_write_raw(w, span_of(s->who.created));
    json_write_key(w, "model");
    json_write_raw(w, s->plan->quoted_model);
    json_write_key(w, "choices");
}

static void end_chunk(struct json_writer *w)
{
    json_write_end(w);
    json_write_end(w);
    buf_put(w->out, SPAN("\n\n"));
}

static void write_held(const struct openai_stream *s, struct openai_choice *c, int64_t index,
                       struct json_writer *w)
{
    struct buf calls;
    buf_init(&calls, HELD_BYTES_MAX);
    buf_put_byte(&calls, '[');
    openai_put_held(s->plan, c, index, &calls);
    buf_put_byte(&calls, ']');
    w->out->failed = w->out->failed || buf_failed(&calls);
    json_write_key(w, "tool_calls");
    json_write_raw(w, buf_span(&calls));
    buf_fini(&calls);
}

/* A choice that calls tools, or ends, or both. */
static void write_choice(const struct openai_stream *s, struct openai_choice *c, int64_t index,
                         struct json_writer *w)
{
    json_write_object(w);
    json_write_key(w, "index");
    json_write_int(w, index);
    if (s->plan->endpoint == OPENAI_CHAT) {
        json_write_key(w, "delta");
        json_write_object(w);
        if (openai_count_held(c) > 0) {
            write_held(s, c, index, w);
        }
        json_write_end(w);
    } else {
        json_write_key(w, "text");
        json_write_text(w, "");
    }
    json_write_key(w, "logprobs");
    json_write_null(w);
    json_write_key(w, "finish_reason");
    if (s->cut != NULL && c->reason == OPENAI_NO_REASON) {
        c->reason = s->is_filtered ? OPENAI_CONTENT_FILTER : OPENAI_LENGTH;
    } else if (c->tool_count > 0 && (c->reason == OPENAI_NO_REASON || c->reason == OPENAI_STOP)) {
        c->reason = OPENAI_TOOL_CALLS;
    } else if (c->reason == OPENAI_NO_REASON) {
        c->reason = OPENAI_STOP;
    }
    json_write_raw(w, openai_reason_text((enum openai_reason)c->reason));
    json_write_end(w);
}

static bool is_unfinished(const struct openai_choice *c)
{
    bool called_later = c != NULL && c->tool_count > 0 && c->reason == OPENAI_STOP;
    return c != NULL && c->has_begun &&
           (c->reason == OPENAI_NO_REASON || called_later || openai_count_held(c) > 0);
}

/* Each choice that the server left without a reason, but whose end it declared, and each call whose
 * name it left out. False: there are more of them. */
static bool write_choices(struct openai_stream *s, struct buf *out)
{
    struct openai_answer *a = &s->answer;
    struct json_writer w;
    uint32_t calls = 0;
    bool is_begun = false, is_all = true;
    for (int64_t index = 0; index <= a->others_room && index < OPENAI_CHOICES_MAX; index++) {
        struct openai_choice *c = openai_answer_choice(a, index);
        if (!is_unfinished(c)) {
            continue;
        }
        if (calls >= OPENAI_HELD_ONCE) {
            is_all = false;
            break;
        }
        calls += openai_count_held(c);
        if (!is_begun) {
            json_write_init(&w, out);
            begin_chunk(s, &w);
            json_write_array(&w);
            is_begun = true;
        }
        write_choice(s, c, index, &w);
    }
    if (is_begun) {
        end_chunk(&w);
    }
    if (is_begun && is_all) {
        a->ended = a->begun;
        a->any_ended = true;
    }
    return is_all;
}

/* All members that the server wrote; or those that OpenAI has, where it wrote none. */
static void write_usage(const struct openai_usage *usage, struct json_writer *w)
{
    json_write_end(w);
    json_write_key(w, "usage");
    if (usage->text_len > 0) {
        json_write_raw(w, span_make(usage->text, usage->text_len));
        json_write_end(w);
        return;
    }
    json_write_object(w);
    json_write_member_int(w, "prompt_tokens", usage->input_tokens);
    json_write_member_int(w, "completion_tokens", usage->output_tokens);
    json_write_member_int(w, "total_tokens", usage->input_tokens + usage->output_tokens);
    if (usage->cached_tokens > 0) {
        json_write_key(w, "prompt_tokens_details");
        json_write_object(w);
        json_write_member_int(w, "cached_tokens", usage->cached_tokens);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_end(w);
}

/* The usage that the caller waits for yet. False: he waits for none, or there is none. */
static bool owes_usage(const struct openai_stream *s, struct openai_usage *out)
{
    bool is_whole = openai_usage_is_known(&s->usage) && s->usage.written >= s->answer.written;
    *out = s->cut != NULL ? *s->cut : s->usage;
    return s->plan->wants_usage && !s->usage_sent && (s->cut != NULL || is_whole);
}

enum err openai_stream_finish(struct openai_stream *s, struct arena *arena, struct span *out)
{
    struct buf b;
    buf_init(&b, LAST_BYTES_MAX + 2 * s->plan->quoted_model.len);
    s->is_finished = write_choices(s, &b);
    struct openai_usage owed;
    if (s->is_finished && owes_usage(s, &owed)) {
        struct json_writer w;
        json_write_init(&w, &b);
        begin_chunk(s, &w);
        json_write_array(&w);
        write_usage(&owed, &w);
        buf_put(&b, SPAN("\n\n"));
        s->usage_sent = true;
    }
    buf_put(&b, s->is_finished ? SPAN("data: [DONE]\n\n") : SPAN(""));
    struct span events = buf_failed(&b) ? (struct span){NULL, 0} : arena_copy(arena, buf_span(&b));
    buf_fini(&b);
    if (events.at == NULL) {
        return ERR_NO_MEMORY;
    }
    *out = events;
    return ERR_OK;
}

void openai_stream_say(struct openai_stream *s, struct span choices, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    begin_chunk(s, &w);
    json_write_raw(&w, choices);
    json_write_end(&w);
    buf_put(out, SPAN("\n\n"));
}
