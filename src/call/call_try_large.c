/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large reply or event takes longer than the worker's other calls may wait: it may have millions
 * of values, choices or floats. So it is indexed, made and measured in slices, one in a turn of the
 * loop; nothing more is read of the model server meanwhile. What is made of it is not put together
 * but read from its edits as the client takes it. All of it lies in an index and an arena of its
 * own, which are counted.
 */
#include "call/call_try_large.h"
#include "base/memory.h"
#include "call/call_internal.h"
#include "json/json_scan.h"

#define SLICE_BYTES  JSON_STEP_BYTES     /* indexed in a turn: half a millisecond at most, */
#define SLICE_FLOATS 1024                /* and made: a tenth, of tool calls a quarter */
#define SLICE_READS  32                  /* of the edits, to see how long it is */
#define MENDED_MOST  4096                /* parts that are no UTF-8 */
#define MENDED_BYTES ((size_t)128 << 10) /* of the text, in a turn */

enum phase { BLANKS, INDEX, FIND_TORN, MEND, MAKE, MEASURE, MADE };

/* The text anew, in well-formed UTF-8. */
struct mending {
    size_t at;    /* of the text, what comes next */
    size_t parts; /* that are ill-formed */
    size_t len;   /* of what is made of it, so far */
    uint8_t *to;
};

struct call_large {
    enum phase phase;
    bool is_mended;
    struct span text; /* the reply's, the parser's or the arena's */
    struct mending mending;
    struct json_index index;
    struct arena arena;
    struct openai_reply reply;
    struct openai_event event; /* of a stream, and */
    struct json_edits edits;   /* what becomes of it */
    struct json_edits_reader reader;
    struct iovec window[CALL_WINDOW]; /* what comes next of it */
    uint64_t bytes;                   /* that were measured */
};

void call_try_free_large(struct call_try *t)
{
    struct call_large *large = t->large;
    if (large != NULL) {
        json_index_fini(&large->index);
        arena_fini(&large->arena);
        memory_free_counted(large);
        t->large = NULL;
    }
}

/* What lies in the worker's memory does not stay for the next slice. */
static bool is_passing(const struct call_try *t, struct span bytes)
{
    const uint8_t *pulled = t->call->shared->pulled;
    return bytes.len > 0 && bytes.at >= pulled && bytes.at < pulled + CALL_PULL_BYTES;
}

static enum err keep_rest(struct call_try *t)
{
    if (!is_passing(t, t->rest)) {
        return ERR_OK;
    }
    uint8_t *kept = memory_raw_counted(t->rest.len);
    if (kept == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(kept, t->rest.at, t->rest.len);
    memory_free_counted(t->kept);
    t->kept = kept;
    t->rest = span_make(kept, t->rest.len);
    return ERR_OK;
}

enum err call_try_begin_large(struct call_try *t, struct span text)
{
    struct json_index *worker = &t->call->shared->index;
    struct call_large *large = memory_raw_counted(sizeof(*large));
    if (large == NULL) {
        return ERR_NO_MEMORY;
    }
    memset(large, 0, sizeof(*large));
    t->large = large;
    arena_init_counted(&large->arena, CALL_TURN_BYTES_MAX, 0);
    json_index_init_counted(&large->index, worker->max_rows, worker->max_depth, 0);
    large->text = is_passing(t, text) ? arena_copy(&large->arena, text) : text;
    if (large->text.at == NULL) {
        return arena_error(&large->arena);
    }
    large->phase = t->streaming ? BLANKS : INDEX;
    json_index_begin_borrow(&large->index, large->text);
    json_index_trim(worker, worker->cap); /* other calls want it in between */
    return keep_rest(t);
}

/* ---- slices ---- */

/* The next slice of the text to look for what is no UTF-8 in, or to mend. */
static struct span next_piece(struct call_large *large)
{
    struct span piece = json_scan_piece(large->text, large->mending.at, MENDED_BYTES);
    large->mending.at += piece.len;
    return piece;
}

/* Why it is no JSON may be that it is no UTF-8: ERR_BODY_NOT_JSON where it is not that, or is no
 * text at all. */
static enum err step_find_torn(struct call_large *large)
{
    struct mending *m = &large->mending;
    m->len += json_scan_mended_piece(next_piece(large), MENDED_MOST, &m->parts);
    bool is_all = m->at == large->text.len;
    if (m->parts > MENDED_MOST || (is_all && m->parts == 0)) {
        return ERR_BODY_NOT_JSON;
    }
    if (is_all) {
        m->to = arena_alloc(&large->arena, m->len);
        m->at = m->len = 0;
        large->phase = MEND;
    }
    return is_all && m->to == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* It is mended once, and begun anew. */
static void step_mend(struct call_large *large)
{
    struct mending *m = &large->mending;
    m->len += json_scan_mend(next_piece(large), m->to + m->len);
    if (m->at == large->text.len) {
        large->text = span_make(m->to, m->len);
        json_index_begin_borrow(&large->index, large->text);
        large->phase = INDEX;
    }
}

static enum err begin_making(struct call_try *t)
{
    struct call_large *large = t->large;
    large->phase = MAKE;
    return t->streaming ? openai_event_begin(&large->event, &t->stream, &large->index,
                                             &large->arena, &large->edits)
                        : openai_reply_begin(&large->reply, &large->index, &t->plan, &large->arena);
}

/* What is wrong with a text, in the words of answers. */
static enum err of_answer(const struct call_try *t, enum err e)
{
    return e == ERR_OK || err_is_memory(e) ? e
           : t->streaming                  ? ERR_UPSTREAM_STREAM
                                           : ERR_UPSTREAM_JSON;
}

static enum err step_index(struct call_try *t)
{
    struct call_large *large = t->large;
    enum err e = json_index_step(&large->index, SLICE_BYTES);
    if (e == ERR_BODY_NOT_JSON && !large->is_mended) {
        large->is_mended = true;
        large->phase = FIND_TORN;
        return ERR_OK;
    }
    if (e != ERR_OK) {
        return of_answer(t, e);
    }
    return json_index_is_done(&large->index) ? begin_making(t) : ERR_OK;
}

/* What is around an event's words: there may be much of it, and nothing in it. Cut off a slice at a
 * time, until there is no more. */
static enum err step_blanks(struct call_try *t)
{
    struct call_large *large = t->large;
    struct span text = openai_without_blanks(large->text, SLICE_BYTES);
    bool is_less = text.len < large->text.len;
    large->text = text;
    if (is_less) {
        return ERR_OK;
    }
    large->phase = INDEX;
    json_index_begin_borrow(&large->index, text);
    enum err e;
    if (openai_stream_is_word(&t->stream, text, &large->event.verdict, &e)) {
        large->phase = MADE;
        return e;
    }
    return step_index(t);
}

static const struct json_edits *edits_of(const struct call_try *t)
{
    return t->streaming ? &t->large->edits : &t->large->reply.edits;
}

static enum err step_make(struct call_try *t)
{
    struct call_large *large = t->large;
    enum err e = t->streaming ? openai_event_step(&large->event, &t->stream, SLICE_FLOATS)
                              : openai_reply_convert(&large->reply, SLICE_FLOATS);
    if (e != ERR_OK || !(t->streaming ? large->event.is_made : large->reply.is_made)) {
        return e;
    }
    large->phase = MEASURE;
    json_edits_read_begin(&large->reader, edits_of(t));
    return ERR_OK;
}

static void step_measure(struct call_try *t)
{
    struct call_large *large = t->large;
    for (int i = 0; i < SLICE_READS && large->phase == MEASURE; i++) {
        size_t count = json_edits_read(&large->reader, large->window, CALL_WINDOW);
        for (size_t p = 0; p < count; p++) {
            large->bytes += large->window[p].iov_len;
        }
        large->phase = count > 0 ? MEASURE : MADE;
    }
}

/* Gives `made` what is to be put. */
static void take_made(struct call_try *t)
{
    static const char before[] = "data: ";
    struct call_large *large = t->large;
    json_edits_read_begin(&large->reader, edits_of(t));
    t->made = (struct call_made){
        .pieces = large->window, .bytes = large->bytes, .reader = &large->reader};
    if (t->streaming) {
        large->window[0] = (struct iovec){(void *)(uintptr_t)before, sizeof(before) - 1};
        t->made.count = 1;
        t->made.is_event = true;
    }
}

enum err call_try_step_large(struct call_try *t, bool *is_made)
{
    struct call_large *large = t->large;
    enum err e = ERR_OK;
    switch (large->phase) {
    case BLANKS:
        e = step_blanks(t);
        break;
    case INDEX:
        e = step_index(t);
        break;
    case FIND_TORN:
        e = of_answer(t, step_find_torn(large));
        break;
    case MEND:
        step_mend(large);
        break;
    case MAKE:
        e = step_make(t);
        break;
    case MEASURE:
        step_measure(t);
        break;
    case MADE:
        break;
    }
    *is_made = e == ERR_OK && large->phase == MADE;
    if (*is_made && (!t->streaming || large->event.verdict == OPENAI_SEND)) {
        take_made(t);
    }
    return e == ERR_NO_MEMORY && arena_failed(&large->arena) ? arena_error(&large->arena) : e;
}

const struct openai_reply *call_try_large_reply(const struct call_try *t)
{
    return &t->large->reply;
}

enum openai_verdict call_try_large_verdict(const struct call_try *t)
{
    return t->large->event.verdict;
}
