/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A try that lost has an end record of its own, with what it cost. Each try brings a slot in which
 * it will be written down, and one of these is the completion: the oldest one's that lives. When
 * that loses, another's becomes the completion in its place; while there is no other it is kept,
 * for the call must have one.
 *
 *     intents of a call = ends of its tries + 1
 */
#include "call/call_internal.h"

static void count_sent(struct call_try *t)
{
    call_try_note_sent(t);
    t->call->tries_sent += t->is_sent;
}

/* From now on its slot is the completion. */
static void make_completion(struct call_try *t)
{
    struct call *call = t->call;
    call->completion = t->end;
    t->end = NULL;
    struct journal_record made;
    call_fill_held(t, JOURNAL_COMPLETION, &made);
    made.bytes_out = (int64_t)call->answer.bytes;
    made.status = call->answer.head_put ? 200 : 0;
    journal_record_update(call->shared->ports->journal.record(call->completion), &made);
}

/* One that can take the place of the try that the completion speaks for; NULL: there is none. */
static struct call_try *find_heir(const struct call *call)
{
    struct call_try *heir = NULL;
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        struct call_try *t = call->tries[i];
        heir = t != NULL && t->end != NULL ? t : heir;
    }
    return heir;
}

static enum journal_outcome outcome_of(const struct call_try *t)
{
    if (t->error != ERR_OK) {
        return JOURNAL_OUTCOME_FAILED;
    }
    return t->call->error == ERR_CLIENT_GONE ? JOURNAL_OUTCOME_CLIENT_GONE : JOURNAL_OUTCOME_LOST;
}

static void write_end(const struct call_try *t, struct journal_slot *end)
{
    struct call *call = t->call;
    const struct call_ports *ports = call->shared->ports;
    struct journal_record made, *r = &made;
    call_fill_record(call, t, r);
    r->kind = JOURNAL_TRY_END;
    r->attempt = (uint8_t)t->number;
    r->attempt_ms = t->began.us / 1000;
    r->ended_ms = r->started_ms + clock_since(call->started, ports->mono()) / 1000;
    r->first_byte_ms = t->first_byte.us == 0
                           ? 0
                           : r->started_ms + clock_since(call->started, t->first_byte) / 1000;
    r->outcome = (uint8_t)outcome_of(t);
    r->status = (uint16_t)t->status;
    r->sent = t->is_sent;
    if (t->error != ERR_OK) {
        journal_record_set(r, JOURNAL_TEXT_ERROR, span_of(err_name(t->error)));
    }
    call_fill_peer(&t->peer, r);
    call_fill_used(t, r);
    journal_record_bound(r);
    call_count_used(t->candidate, r);
    call_note_used(t->call, r);
    journal_record_update(ports->journal.record(end), r);
    (void)ports->journal.publish(call->shared->lane, end); /* nobody waits for it */
}

/* Writes it down. False: the completion speaks for it, and no other is there. The process may die
 * between the two: the journal makes the heir's end the completion then. */
static bool write_down(struct call_try *t)
{
    struct journal_slot *end = t->end;
    struct call_try *heir = end == NULL ? find_heir(t->call) : NULL;
    if (end == NULL && heir == NULL) {
        return false;
    }
    t->end = NULL;
    write_end(t, end == NULL ? t->call->completion : end);
    if (heir != NULL) {
        make_completion(heir);
    }
    return true;
}

void call_settle_try(struct call_try *t)
{
    count_sent(t);
    if (t->intent_ticket == 0 || write_down(t)) {
        call_try_free(t);
    } else {
        CHECK(t->call->unwritten == NULL);
        t->call->unwritten = t;
        call_try_retire(t);
    }
}

void call_settle_unwritten(struct call *call)
{
    struct call_try *t = call->unwritten;
    if (t != NULL && write_down(t)) {
        call->unwritten = NULL;
        call_try_free(t);
    }
}

/* The better the more is known of it. */
static int weight(const struct call_try *t)
{
    return t == NULL ? 0 : 1 + (t->intent_ticket != 0) + t->is_started;
}

struct call_try *call_settle_tries(struct call *call)
{
    struct call_try *spoken = call->answering;
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE && call->answering == NULL; i++) {
        spoken = weight(call->tries[i]) > weight(spoken) ? call->tries[i] : spoken;
    }
    if (call->unwritten != NULL) { /* it has an intent, and nobody else has */
        spoken = call->unwritten;
        call->unwritten = NULL;
    } else if (spoken != NULL) {
        count_sent(spoken);
    }
    call->answering = spoken;
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        if (call->tries[i] != NULL && call->tries[i] != spoken) {
            call_settle_try(call->tries[i]);
        }
    }
    return spoken;
}
