/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer on its way to the client: its head, the events of a stream, a whole reply. A large
 * reply takes long to put, so it is put in slices; and of every answer the last bytes are put by
 * SETTLE, when its completion is in the journal's hands.
 */
#include "call/call_internal.h"
#include "policy/cors.h"
#include "sse/sse_write.h"

#define STREAM_FIELDS                                                               \
    "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n" \
    "X-Accel-Buffering: no\r\n"
#define JSON_FIELDS  "Content-Type: application/json\r\n"
#define SLICE_BYTES  (128 * 1024)
#define SLICE_PIECES 64

/* Tokens that a whole answer has used; of a stream that begins nobody knows. */
static int64_t used_of(const struct call *call)
{
    struct journal_record r;
    if (call->answering == NULL || call->request.stream || call->hold.tokens.limit == 0) {
        return 0;
    }
    call_fill_used(call->answering, &r);
    return r.tokens_in + r.tokens_out;
}

struct span call_reply_fields(struct call *call, struct span more)
{
    const struct decision_candidate *candidate = call_candidate_of(call);
    /* Where no server answered nothing was answered anywhere. */
    bool is_answered =
        call->error == ERR_OK || (call->answering != NULL && call->answering->status > 0);
    struct span lines = candidate == NULL || !is_answered ? call->policy->common_lines
                                                          : candidate->match.place->reply_lines;
    struct span parts[] = {SPAN("x-request-id: "),
                           span_of(call->id.text),
                           SPAN("\r\nX-Audit-Trace-ID: "),
                           span_of(call->id.text),
                           SPAN("\r\n"),
                           lines,
                           call->policy_lines,
                           cors_fields(call->policy, call->by->head(call->client), &call->arena),
                           call_limits_fields(call, used_of(call)),
                           more};
    size_t len = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        len += parts[i].len;
    }
    /* The reply that says that no memory may be taken needs some, too. */
    bool is_full = arena_failed(&call->arena);
    uint8_t *to = arena_alloc(is_full ? &call->shared->turn : &call->arena, len);
    if (to == NULL) {
        return (struct span){NULL, 0};
    }
    size_t at = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].len > 0) {
            memcpy(to + at, parts[i].at, parts[i].len);
        }
        at += parts[i].len;
    }
    return span_make(to, len);
}

static enum err put_head(struct call *call, struct span more, uint64_t length)
{
    if (call->answer.head_put) {
        return ERR_OK;
    }
    struct span fields = call_reply_fields(call, more);
    if (fields.at == NULL) {
        return ERR_NO_MEMORY;
    }
    call->by->put_head(call->client, 200, fields, length);
    call->answer.head_put = true;
    call->answer.lines = call_candidate_of(call)->match.place->reply_lines;
    return ERR_OK;
}

enum err call_answer_put_stream_head(struct call *call)
{
    return put_head(call, SPAN(STREAM_FIELDS), UINT64_MAX);
}

enum err call_answer_put_reply_head(struct call *call, uint64_t length)
{
    return put_head(call, SPAN(JSON_FIELDS), length);
}

int call_answer_gathered(const struct call *call, struct iovec pieces[2])
{
    struct span texts[] = {buf_span(&call->answering->held), buf_span(&call->shared->out)};
    int count = 0;
    for (size_t i = 0; i < 2; i++) {
        if (texts[i].len > 0) {
            pieces[count++] = (struct iovec){(void *)(uintptr_t)texts[i].at, texts[i].len};
        }
    }
    return count;
}

void call_answer_put(struct call *call, const struct iovec *pieces, int count)
{
    if (count == 0) {
        return;
    }
    for (int i = 0; i < count; i++) {
        call->answer.bytes += pieces[i].iov_len;
    }
    call_note_progress(call);
    for (int at = 0; at < count; at += SLICE_PIECES) {
        int some = count - at < SLICE_PIECES ? count - at : SLICE_PIECES;
        call->by->put(call->client, pieces + at, some);
    }
}

/* Gets the next pieces of what was made; false: there are none. */
static bool more(struct call_answer *answer, struct call_made *made)
{
    static const char behind[] = "\n\n";
    if (answer->at < made->count) {
        return true;
    }
    answer->at = 0;
    made->count = 0;
    if (made->reader != NULL) {
        made->count = json_edits_read(made->reader, made->pieces, CALL_WINDOW);
        made->reader = made->count > 0 ? made->reader : NULL;
    }
    if (made->count == 0 && made->is_event) { /* its last */
        made->pieces[0] = (struct iovec){(void *)(uintptr_t)behind, sizeof(behind) - 1};
        made->count = 1;
        made->is_event = false;
    }
    return made->count > 0;
}

/* The next pieces, or a part of one. */
static int next_slice(struct call_answer *answer, struct call_made *made,
                      struct iovec slice[SLICE_PIECES])
{
    size_t left = SLICE_BYTES;
    int count = 0;
    while (left > 0 && count < SLICE_PIECES && more(answer, made)) {
        const struct iovec *piece = &made->pieces[answer->at];
        size_t some = piece->iov_len - answer->offset;
        some = some < left ? some : left;
        slice[count] = (struct iovec){(uint8_t *)piece->iov_base + answer->offset, some};
        if (made->is_event) {
            sse_one_line(slice[count].iov_base, some);
        }
        count++;
        left -= some;
        answer->offset += some;
        if (answer->offset == piece->iov_len) {
            answer->at++;
            answer->offset = 0;
        }
    }
    return count;
}

bool call_answer_put_slice(struct call *call, struct call_made *made)
{
    struct iovec slice[SLICE_PIECES];
    if (made->bytes - call->answer.bytes <= SLICE_BYTES) {
        return false;
    }
    int count = next_slice(&call->answer, made, slice);
    call_answer_put(call, slice, count);
    return true;
}

bool call_answer_put_event(struct call *call, struct call_made *made)
{
    struct iovec slice[SLICE_PIECES];
    int count = next_slice(&call->answer, made, slice);
    call_answer_put(call, slice, count);
    return more(&call->answer, made);
}

void call_answer_put_rest(struct call *call, struct call_made *made)
{
    struct iovec slice[SLICE_PIECES];
    int count;
    while ((count = next_slice(&call->answer, made, slice)) > 0) {
        call->by->put(call->client, slice, count);
    }
}
