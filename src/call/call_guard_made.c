/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was made of a whole reply, or of a large event, looked at before it is put: it is put
 * together, indexed anew and gone through, in slices if it is large. What the guard does about it
 * is another layer of edits, from which it is read as before.
 */
#include "base/memory.h"
#include "call/call_guard_internal.h"

#define COPY_BYTES   ((size_t)128 * 1024) /* in a slice */
#define LOOK_BYTES   ((size_t)8 * 1024)
#define MEND_CHOICES 256
#define SMALL_BYTES  CALL_LARGE_BYTES /* done at once */
#define SLICE_READS  32
#define CHOICES_MAX  ((size_t)4 << 20)

enum phase { COPY, INDEX, LOOK, MEND, MEASURE, MADE };

struct call_vetted {
    enum phase phase;
    struct call_made from; /* what is looked at */
    size_t piece, offset;  /* of its pieces, what is copied next */
    uint8_t *text;         /* counted */
    size_t len, cap;
    struct json_index index;
    struct arena arena;
    struct json_edits edits;
    struct guard_document document;
    struct guard_flow_look look; /* of an event */
    struct guard_mend mend;
    struct json_edits_reader reader;
    struct iovec window[CALL_WINDOW];
    uint64_t bytes;
    bool is_event, is_begun;
};

void call_guard_free_vetted(struct call_guard *g)
{
    struct call_vetted *v = g->vetted;
    if (v == NULL) {
        return;
    }
    if (v->is_begun) {
        guard_document_end(&v->document);
    }
    json_index_fini(&v->index);
    arena_fini(&v->arena);
    memory_free_counted(v->text);
    memory_free_counted(v);
    g->vetted = NULL;
}

void call_guard_end_made(struct call *call)
{
    if (call->guard != NULL) {
        call_guard_free_vetted(call->guard);
    }
}

/* What was made is not there for anybody else meanwhile. */
static enum err begin(struct call_try *t)
{
    struct call_guard *g = t->call->guard;
    const struct json_index *worker = &t->call->shared->index;
    struct call_vetted *v = memory_raw_counted(sizeof(*v));
    if (v == NULL) {
        return ERR_NO_MEMORY;
    }
    memset(v, 0, sizeof(*v));
    g->vetted = v;
    v->from = t->made;
    t->made = (struct call_made){.pieces = NULL};
    v->is_event = v->from.is_event;
    v->cap = (size_t)v->from.bytes + CALL_WINDOW;
    arena_init_counted(&v->arena, CALL_TURN_BYTES_MAX, 0);
    json_index_init_counted(&v->index, worker->max_rows, worker->max_depth, 0);
    v->text = memory_raw_counted(v->cap);
    return v->text == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* ---- slices ---- */

/* The next pieces; false: there are none. */
static bool more(struct call_vetted *v)
{
    if (v->piece < v->from.count) {
        return true;
    }
    v->piece = 0;
    v->from.count =
        v->from.reader == NULL ? 0 : json_edits_read(v->from.reader, v->from.pieces, CALL_WINDOW);
    return v->from.count > 0;
}

static enum err step_copy(struct call_vetted *v)
{
    size_t left = COPY_BYTES;
    if (v->is_event && v->from.count == 1 && v->len == 0) { /* what stands before its JSON */
        v->piece = 1;
    }
    while (left > 0 && more(v)) {
        const struct iovec *piece = &v->from.pieces[v->piece];
        size_t some = piece->iov_len - v->offset;
        some = some < left ? some : left;
        CHECK(v->len + some <= v->cap);
        memcpy(v->text + v->len, (const uint8_t *)piece->iov_base + v->offset, some);
        v->len += some;
        v->offset += some;
        left -= some;
        if (v->offset == piece->iov_len) {
            v->piece++;
            v->offset = 0;
        }
    }
    if (left > 0) {
        v->phase = INDEX;
        json_index_begin_borrow(&v->index, span_make(v->text, v->len));
    }
    return ERR_OK;
}

static void begin_look(struct call_try *t, struct call_vetted *v)
{
    struct call_guard *g = t->call->guard;
    struct guard_look look = {
        .c = &g->found, .scratch = t->call->shared->guard, .edits = &v->edits, .arena = &v->arena};
    json_edits_init(&v->edits, &v->index, &v->arena);
    v->phase = LOOK;
    v->is_begun = true;
    if (v->is_event) {
        guard_flow_look_begin(&v->look, call_guard_flow(t->call), &look, &v->document);
    } else {
        (void)guard_case_wants(&g->found, GUARD_REPLY, &look.wanted); /* call_guard_looks() */
        guard_document_begin(&v->document, &look, OPENAI_TEXTS_ANSWER);
    }
}

static enum err step_index(struct call_try *t, struct call_vetted *v)
{
    enum err e = json_index_step(&v->index, JSON_STEP_BYTES);
    if (e == ERR_OK && json_index_is_done(&v->index)) {
        begin_look(t, v);
    }
    return e == ERR_OK || err_is_memory(e) ? e : ERR_INTERNAL; /* we made it */
}

/* What was held back is said before the event. */
static enum err end_event(struct call_try *t, struct call_vetted *v)
{
    struct call_shared *shared = t->call->shared;
    struct buf before;
    buf_init_counted(&before, CHOICES_MAX, BUF_UNCOUNTED);
    enum err e = guard_flow_look_end(&v->look, &v->document, shared->guard, &before);
    if (e == ERR_OK && buf_failed(&before)) {
        e = buf_error(&before);
    }
    bool may_say = guard_case_may_change(&t->call->guard->found, GUARD_REPLY);
    if (e == ERR_OK && may_say && buf_span(&before).len > 0) {
        openai_stream_say(&t->stream, buf_span(&before), &shared->out);
        e = buf_failed(&shared->out) ? buf_error(&shared->out) : e;
    }
    buf_fini(&before);
    return e;
}

static enum err step_look(struct call_try *t, struct call_vetted *v)
{
    const struct guard_case *c = &t->call->guard->found;
    enum err e = guard_document_step(&v->document, LOOK_BYTES);
    if (e != ERR_OK || !v->document.is_done) {
        return e;
    }
    bool is_changed = v->edits.list.count > 0;
    if (v->is_event) {
        e = end_event(t, v);
        is_changed = v->look.is_late;
    }
    guard_mend_begin(&v->mend, &v->edits);
    v->mend.is_cut = v->document.is_cut && !v->is_event;
    v->mend.empties = guard_empties_blocked(&c->of);
    if (!is_changed) {
        v->mend.choice = JSON_NONE;
    }
    v->phase = MEND;
    return e;
}

/* In a dry run it goes out as it came. */
static enum err step_mend(struct call_try *t, struct call_vetted *v)
{
    if (!guard_mend_step(&v->mend, MEND_CHOICES)) {
        return ERR_OK;
    }
    enum err e = json_edits_error(&v->edits);
    if (!guard_case_may_change(&t->call->guard->found, GUARD_REPLY)) {
        json_edits_init(&v->edits, &v->index, &v->arena);
    }
    v->phase = MEASURE;
    json_edits_read_begin(&v->reader, &v->edits);
    return e;
}

static void step_measure(struct call_vetted *v)
{
    for (int i = 0; i < SLICE_READS && v->phase == MEASURE; i++) {
        size_t count = json_edits_read(&v->reader, v->window, CALL_WINDOW);
        for (size_t p = 0; p < count; p++) {
            v->bytes += v->window[p].iov_len;
        }
        v->phase = count > 0 ? MEASURE : MADE;
    }
}

/* What is put is this, in the form that it had. */
static void take(struct call_try *t, struct call_vetted *v)
{
    static const char before[] = "data: ";
    json_edits_read_begin(&v->reader, &v->edits);
    t->made = (struct call_made){
        .pieces = v->window, .bytes = v->bytes, .reader = &v->reader, .is_event = v->is_event};
    if (v->is_event) {
        v->window[0] = (struct iovec){(void *)(uintptr_t)before, sizeof(before) - 1};
        t->made.count = 1;
    }
}

static enum err step(struct call_try *t, struct call_vetted *v)
{
    switch (v->phase) {
    case COPY:
        return step_copy(v);
    case INDEX:
        return step_index(t, v);
    case LOOK:
        return step_look(t, v);
    case MEND:
        return step_mend(t, v);
    case MEASURE:
        step_measure(v);
        break;
    case MADE:
        break;
    }
    return ERR_OK;
}

enum err call_guard_step_made(struct call_try *t, bool *is_done, bool *is_cut)
{
    struct call_guard *g = t->call->guard;
    enum err e = g->vetted == NULL ? begin(t) : ERR_OK;
    struct call_vetted *v = g->vetted;
    do { /* what was made of a small one is gone when the step returns */
        e = e == ERR_OK ? step(t, v) : e;
    } while (e == ERR_OK && v->phase != MADE && (t->large == NULL || v->cap <= SMALL_BYTES));
    *is_done = e == ERR_OK && v->phase == MADE;
    *is_cut = *is_done && (v->is_event ? g->flow.is_cut : v->document.is_cut);
    if (*is_done) {
        take(t, v);
    }
    return e == ERR_NO_MEMORY && v != NULL && arena_failed(&v->arena) ? arena_error(&v->arena) : e;
}
